"""Facts about gradients of every layout, and what they cost. Those of NSGT: tests/test_nsgt.py."""

import copy
import dataclasses
import os
import pickle

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from asteroid_slicq import SliCQT
from tests.helpers import double_noise as noise
from tests.helpers import listed, with_slow

LAYOUTS = {
    f"{raster}, {'overlap-added' if added else 'sliced'}, {phase}": {
        "rasterize": raster,
        "overlap_added": added,
        "phase": phase,
    }
    for raster in ("none", "piecewise", "full")
    for added in (False, True)
    for phase in ("local", "global")
}
FEW = {
    "n_bins": 2,
    "f_min_hz": 1300.0,
    "f_max_hz": 2700.0,
    "sample_rate": 8000,
    "window": "hann",
    "min_width": 4,
}
SMALL = {"n_bins": 8, "f_min_hz": 300.0, "sample_rate": 8000, "window": "hann"}
# The global phase is a factor of the local one's coefficients: quickly, one layout has it.
each_layout = pytest.mark.parametrize(
    "layout",
    [
        pytest.param(layout, marks=pytest.mark.slow)
        if "global" in layout and layout != "none, overlap-added, global"
        else layout
        for layout in LAYOUTS
    ],
)
sliced_and_added = pytest.mark.parametrize(
    "layout", ["none, sliced, local", "full, overlap-added, local"]
)
# What torch says while it compiles, and derives forwards, by itself.
of_torch = pytest.mark.filterwarnings(
    "ignore:.*torch.jit.script.*:FutureWarning",
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning",
)


def build(layout: str, frame: dict = SMALL, **more) -> SliCQT:
    return SliCQT(**frame, **LAYOUTS[layout], **more)


def arbitrary(slicqt: SliCQT, x: torch.Tensor) -> list[torch.Tensor]:
    """Coefficients that no signal has, shaped as those of x."""
    with torch.no_grad():
        blocks = listed(slicqt(x))
    return [noise(*b.shape, dtype=b.dtype, seed=1).requires_grad_() for b in blocks]


def energy(slicqt: SliCQT, x: torch.Tensor) -> torch.Tensor:
    """Of coefficients and waveform; gradients of both directions."""
    blocks = listed(slicqt(x))
    changed = [block * block.abs() for block in blocks]
    y = slicqt.inverse(changed, x.shape[-1], passes=2 if slicqt.frame.overlap_added else None)
    return y.pow(3).sum() + sum(block.abs().pow(3).sum() for block in blocks)


# Right


@pytest.mark.parametrize(
    "layout",
    with_slow(LAYOUTS, *(x for x in LAYOUTS if "global" in x or x.startswith("none, overlap"))),
)
def test_gradcheck(layout):
    """Random sums of derivatives, and of a short signal every one: other rasters are as long."""
    slicqt = build(layout, FEW).double()
    checks = [((2, 101), True), *([((1, 5), False)] if layout.startswith("none") else [])]
    for shape, fast in checks:
        x = noise(*shape).requires_grad_()
        assert torch.autograd.gradcheck(slicqt, x, fast_mode=fast)
        blocks = arbitrary(slicqt, x)
        for passes in (1, 2) if fast and slicqt.frame.overlap_added else (1,):
            assert torch.autograd.gradcheck(
                lambda *c, n=passes, to=shape[-1]: slicqt.inverse(c, to, passes=n),
                blocks,
                fast_mode=fast,
            )


@sliced_and_added
def test_gradgradcheck(layout):
    slicqt = build(layout, FEW).double()
    x = noise(1, 45).requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda x: listed(slicqt(x))[0].abs().square(), x, fast_mode=True
    )
    assert torch.autograd.gradgradcheck(
        lambda *c: slicqt.synthesis(c, 45).pow(3), arbitrary(slicqt, x), fast_mode=True
    )


def test_the_whole_overlap_added_inverse_has_the_gradient_of_the_identity():
    slicqt = build("none, overlap-added, local").double()
    x = noise(900).requires_grad_()
    (gradient,) = torch.autograd.grad(
        (slicqt.inverse(slicqt(x), 900) * noise(900, seed=1)).sum(), x
    )
    assert (gradient - noise(900, seed=1)).abs().max() < 1e-12


@of_torch
@each_layout
def test_transforms_of_torch_func(layout):
    slicqt = build(layout).double()
    x = noise(3, 2, 700)
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(energy(slicqt, leaf), leaf)[0]

    def loss(x):
        return energy(slicqt, x)

    def both(x):
        return slicqt.inverse(slicqt(x), 700)

    tolerance = 1e-11 * float(expected.abs().max())
    assert (torch.func.grad(loss)(x) - expected).abs().max() < tolerance
    assert (torch.func.vmap(torch.func.grad(loss))(x) - expected).abs().max() < tolerance
    for axis in (0, 1):
        assert (torch.func.vmap(both, axis, axis)(x) - both(x)).abs().max() < 1e-12
    restored, tangent = torch.func.jvp(both, (x,), (2 * x,))
    assert (restored - x).abs().max() < 1e-11
    assert (tangent - 2 * x).abs().max() < 1e-11


def test_vmap_over_some_blocks_alone():
    slicqt = build("none, sliced, local").double()
    first, *rest = slicqt(noise(2, 700))
    many = torch.stack([first, 2 * first])
    found = torch.func.vmap(lambda block: slicqt.inverse([block, *rest], 700))(many)
    for y, block in zip(found, many, strict=True):
        assert (y - slicqt.inverse([block, *rest], 700)).abs().max() < 1e-14


# Cheap


def held_bytes(value, seen) -> int:
    """Bytes of all tensors that a node of the graph holds in its attributes."""
    if isinstance(value, torch.Tensor):
        storage = value.untyped_storage()
        new = storage.data_ptr() not in seen
        seen.add(storage.data_ptr())
        return storage.nbytes() if new else 0
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, list | tuple):
        return sum(held_bytes(one, seen) for one in value)
    return 0


def graph_bytes(*outputs: torch.Tensor) -> int:
    nodes, todo, total, seen = set(), [output.grad_fn for output in outputs], 0, set()
    while todo:
        node = todo.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            todo += [following for following, _ in node.next_functions]
            total += held_bytes(list(getattr(node, "__dict__", {}).values()), seen)
    return total


@each_layout
def test_nothing_of_signal_or_coefficients_is_saved(layout):
    """The windows are held, which do not grow with the signal."""
    slicqt = build(layout)
    saved, held = [], []
    for length in (2001, 20_001):
        x = noise(2, length, dtype=torch.float32).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
            blocks = listed(slicqt(x))
            passes = 2 if slicqt.frame.overlap_added else None
            y = slicqt.inverse(blocks, length, passes=passes)
        held.append(graph_bytes(y))
    assert not saved
    assert held[0] == held[1]
    assert held[0] < 250 * slicqt.frame.coefficients_per_slice


class FFTPoints(TorchDispatchMode):
    """Counts the points of all Fourier transforms."""

    points = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if "_fft_" in func.__name__:
            self.points += max(out.numel(), args[0].numel())
        return out


@each_layout
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_backward_transforms_no_more_than_forward(layout, direction):
    """The issue: at most 1.5 ×. The stopwatch stands in docs/benchmarks.md."""
    slicqt = build(layout)
    x = noise(2, 5000, dtype=torch.float32).requires_grad_()
    c = arbitrary(slicqt, x)
    passes = 2 if slicqt.frame.overlap_added else None
    with FFTPoints() as there:
        out = slicqt(x) if direction == "forward" else slicqt.inverse(c, 5000, passes=passes)
    with FFTPoints() as back:
        torch.autograd.backward(listed(out), [torch.ones_like(one) for one in listed(out)])
    assert 0 < back.points <= 1.5 * there.points


# Anywhere


@each_layout
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_half_precision(layout, dtype):
    slicqt = build(layout)
    x = noise(2, 1500, dtype=torch.float32)
    expected = listed(slicqt(x))
    leaf = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        blocks = listed(slicqt(leaf))
        y = slicqt.inverse(blocks, 1500)
        (gradient,) = torch.autograd.grad(y.square().sum(), leaf)
        low = listed(slicqt(x.to(dtype)))
    assert {block.dtype for block in blocks + low} == {torch.complex64}
    assert all(torch.equal(a, b) for a, b in zip(blocks, expected, strict=True))
    assert y.dtype == gradient.dtype == torch.float32
    assert (y - x).abs().max() < 1e-5
    assert (gradient - 2 * x).abs().max() < 1e-4


class Gain(nn.Module):
    """A waveform through a gain a bin: a network as small as can be."""

    def __init__(self, layout: str, frame: dict = FEW) -> None:
        super().__init__()
        self.slicqt = build(layout, frame)
        self.gain = nn.ParameterList(
            torch.linspace(0.5, 1.5, n)[:, None] for n in self.slicqt.frame.bins_per_block
        )

    def forward(self, x):
        axes = [(...,) if self.slicqt.frame.overlap_added else (..., None)] * len(self.gain)
        blocks = zip(listed(self.slicqt(x)), self.gain, axes, strict=True)
        changed = [block * gain[axis] for block, gain, axis in blocks]
        return self.slicqt.synthesis(changed, x.shape[-1])


def gradients(model, x) -> list[torch.Tensor]:
    """The output, and gradients of all parameters."""
    model.zero_grad()
    y = model(x)
    y.pow(3).mean().backward()
    return [y.detach(), *(parameter.grad.clone() for parameter in model.parameters())]


@pytest.mark.slow
@of_torch
@sliced_and_added
def test_compiled_equals_eager(layout):
    """By the eager backend of AOTAutograd: inductor needs a compiler, and a minute."""
    model, x = Gain(layout), noise(2, 700, dtype=torch.float32)
    torch.compiler.reset()
    found = gradients(torch.compile(model, backend="aot_eager"), x)
    torch.compiler.reset()
    for one, other in zip(found, gradients(model, x), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-7)


def train_in_parallel(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous"
    torch.distributed.init_process_group("gloo", rendezvous, rank=rank, world_size=2)
    found = []
    for layout in ("none, sliced, local", "full, overlap-added, local"):
        model = nn.parallel.DistributedDataParallel(Gain(layout))
        x = noise(4, 700, dtype=torch.float32)[2 * rank : 2 * rank + 2]
        found += gradients(model, x)[1:]
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
    # Without Python's own end, which now and then aborts on a thread that autograd still has.
    os._exit(0)


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path):
    torch.multiprocessing.spawn(train_in_parallel, (str(tmp_path),), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    alone = []
    for layout in ("none, sliced, local", "full, overlap-added, local"):
        alone += gradients(Gain(layout), noise(4, 700, dtype=torch.float32))[1:]
    for one, other, expected in zip(*ranks, alone, strict=True):
        assert torch.equal(one, other)
        assert torch.allclose(one, expected, rtol=1e-4, atol=1e-7)


@each_layout
def test_copies_casts_and_state(layout):
    slicqt, x = build(layout), noise(2, 1500)
    slicqt.inverse(slicqt(x), 1500)  # with whatever it remembers
    for other in (
        copy.deepcopy(slicqt).double(),
        pickle.loads(pickle.dumps(slicqt)).double(),
        build(layout).double().float().double(),
    ):
        assert other.config == slicqt.config
        assert (other.inverse(other(x), 1500) - x).abs().max() < 1e-12
    for one, other in zip(listed(slicqt.float()(x.float())), listed(slicqt(x)), strict=True):
        assert (one - other).abs().max() < 1e-6
    assert slicqt.state_dict() == {}
    assert list(slicqt.parameters()) == []
    slicqt.load_state_dict({})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@each_layout
def test_cuda_equals_cpu(layout):
    slicqt, x = build(layout).double(), noise(2, 5000)
    leaf = x.clone().requires_grad_()
    there = copy.deepcopy(slicqt).cuda()
    leaf_there = x.cuda().requires_grad_()
    for a, b in zip(listed(slicqt(leaf)), listed(there(leaf_there)), strict=True):
        assert (a - b.cpu()).abs().max() < 1e-12
    (one,) = torch.autograd.grad(energy(slicqt, leaf), leaf)
    (other,) = torch.autograd.grad(energy(there, leaf_there), leaf_there)
    assert (one - other.cpu()).abs().max() < 1e-10
