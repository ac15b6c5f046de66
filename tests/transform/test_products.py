"""Facts about all blocks at once, the way of a GPU: the same results, as views of one tensor."""

import copy
import threading

import pytest
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.transform.products import LONGEST, columns_of, exact_products, pays
from tests.helpers import double_noise as noise

# Lengths 16 … 276 in 14 blocks, of which some have no neighbour in length.
FRAME = {
    "scale": "octave",
    "n_bins": 3,
    "f_min_hz": 120.0,
    "f_max_hz": 3500.0,
    "sample_rate": 8000,
    "window": "hann",
}
LAYOUTS = {
    "sliced": {},
    "overlap-added": {"overlap_added": True},
    "overlap-added, global": {"overlap_added": True, "phase": "global"},
}
each_layout = pytest.mark.parametrize("layout", LAYOUTS)
of_torch = pytest.mark.filterwarnings(
    "ignore:.*torch.jit.script.*:FutureWarning",
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning",
)


def pair(layout: str, **more) -> tuple[SliCQT, SliCQT]:
    """A transform block by block, and the same at once."""
    slicqt = SliCQT(**FRAME, **LAYOUTS[layout], **more).double()
    at_once = copy.deepcopy(slicqt)
    slicqt.at_once, at_once.at_once = False, True
    return slicqt, at_once


def largest_difference(one, other) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(one, other, strict=True))


def test_bins_of_like_length_are_grouped(monkeypatch):
    frame = SliCQT(**FRAME).frame
    groups = columns_of(frame.blocks, False, torch.zeros(1)).groups
    assert {group.matrices is None for group in groups} == {True, False}
    assert sum(group.n_bins for group in groups) == frame.n_bins
    assert pays(frame.blocks)
    assert not pays(SliCQT(**FRAME, rasterize="full").frame.blocks)

    blocks = ((2, 30), (1, 16), (3, 20), (1, 21), (1, LONGEST + 4), (1, LONGEST + 8))
    widths = [
        (g.n_bins, g.width, g.matrices is None)
        for g in columns_of(blocks, False, torch.zeros(1)).groups
    ]
    assert widths == [
        (4, 20, False),
        (1, 21, True),
        (2, 30, True),
        (1, LONGEST + 4, True),
        (1, LONGEST + 8, True),
    ]


@each_layout
@pytest.mark.parametrize("chunk", [None, pytest.param(3, marks=pytest.mark.slow)])
def test_both_ways_and_their_gradients_are_those_of_block_by_block(layout, chunk):
    results = []
    for slicqt in pair(layout, chunk=chunk):
        x = noise(2, 2, 2 * slicqt.frame.slice_length + 11).requires_grad_()
        blocks = slicqt(x)
        given = [noise(*c.shape, seed=1, dtype=c.dtype).requires_grad_() for c in blocks]
        y = slicqt.synthesis(given, x.shape[-1])
        (of_x,) = torch.autograd.grad(blocks, x, [c.detach() for c in given])
        of_blocks = torch.autograd.grad(y, given, x.detach())
        back = slicqt.inverse([c.detach() for c in blocks], x.shape[-1], passes=2)
        results.append([*blocks, y, of_x, *of_blocks, back])
    assert largest_difference(*results) < 1e-12


@each_layout
def test_single_precision_restores_as_well(layout):
    _, at_once = pair(layout)
    x = noise(2, 3000, dtype=torch.float32)
    at_once.float()
    assert (at_once.inverse(at_once(x), 3000) - x).abs().max() < 1e-5


@each_layout
def test_blocks_are_contiguous_views_of_one_tensor(layout):
    _, at_once = pair(layout)
    blocks = at_once(noise(2, 3, 3000))
    assert all(block.is_contiguous() for block in blocks)
    assert len({block.untyped_storage().data_ptr() for block in blocks}) == 1
    with torch.no_grad():
        blocks = at_once(noise(3000))
        others = [block.clone() for block in blocks[1:]]
        blocks[0].zero_()
        assert all(torch.equal(a, b) for a, b in zip(blocks[1:], others, strict=True))


def test_what_is_not_finite_stays_in_its_item():
    _, at_once = pair("sliced")
    x = noise(3, 5000)
    expected = at_once(x)
    x[1, 2500] = torch.nan
    found = at_once(x)
    for block, other in zip(found, expected, strict=True):
        assert torch.equal(block[::2], other[::2])
        assert not block[1].isfinite().all()
    y = at_once.inverse(found, 5000)
    assert y[::2].isfinite().all()
    assert not y[1].isfinite().all()


@pytest.mark.parametrize("at_once", [False, True])
def test_inference_before_training(at_once):
    """What is kept from a call under ``inference_mode`` serves autograd, and another precision."""
    slicqt = SliCQT(**FRAME)
    slicqt.at_once = at_once
    with torch.inference_mode():
        slicqt.inverse(slicqt(noise(1500, dtype=torch.float32)), 1500)
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-11)):
        x = noise(1500, dtype=dtype).requires_grad_()
        y = slicqt.to(dtype).inverse(slicqt(x), 1500)
        (gradient,) = torch.autograd.grad(y.square().sum(), x)
        assert (gradient - 2 * x).abs().max() < tolerance


@pytest.mark.slow
@of_torch
def test_transforms_of_torch_func():
    plain, at_once = pair("overlap-added")

    def energy(slicqt, x):
        blocks = [c * c.abs() for c in slicqt(x)]
        return slicqt.synthesis(blocks, x.shape[-1]).pow(3).sum()

    x = noise(2, 3, 3000)
    grads = [
        torch.func.vmap(torch.func.grad(lambda x, s=s: energy(s, x)))(x) for s in (plain, at_once)
    ]
    assert (grads[0] - grads[1]).abs().max() < 1e-11 * grads[0].abs().max()
    y, tangent = torch.func.jvp(lambda x: at_once.inverse(at_once(x), 3000), (x,), (2 * x,))
    assert (y - x).abs().max() < 1e-11
    assert (tangent - 2 * x).abs().max() < 1e-11


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["sliced", "overlap-added"])
def test_gradcheck(layout):
    _, at_once = pair(layout)
    x = noise(2, 400).requires_grad_()
    assert torch.autograd.gradcheck(at_once, x, fast_mode=True)
    blocks = [c.detach().requires_grad_() for c in at_once(x)]
    assert torch.autograd.gradcheck(lambda *c: at_once.synthesis(c, 400), blocks, fast_mode=True)


@pytest.mark.slow
@of_torch
def test_compiled_equals_eager():
    """What is compiled goes block by block."""
    _, at_once = pair("sliced")

    def loss(x):
        return at_once.synthesis([2 * c for c in at_once(x)], x.shape[-1]).pow(3).sum()

    x = noise(2, 1500).requires_grad_()
    torch.compiler.reset()
    found = torch.compile(loss, backend="aot_eager")(x)
    (gradient,) = torch.autograd.grad(found, x)
    torch.compiler.reset()
    (expected,) = torch.autograd.grad(loss(x), x)
    assert torch.allclose(found, loss(x))
    assert torch.allclose(gradient, expected)


# Precision of matrix products


def test_products_are_exact_and_the_setting_comes_back():
    """Of a thread that begins earlier and ends later, too; the setting is there without a GPU."""
    matmul, cuda = torch.backends.cuda.matmul, torch.device("cuda")
    begun, ended, usual = threading.Event(), threading.Event(), matmul.fp32_precision

    def other():
        with exact_products(cuda):
            begun.set()
            ended.wait(300)

    matmul.fp32_precision = "tf32"
    try:
        thread = threading.Thread(target=other)
        thread.start()
        begun.wait(300)
        with exact_products(cuda):
            assert matmul.fp32_precision == "ieee"
        assert matmul.fp32_precision == "ieee"
        ended.set()
        thread.join()
        assert matmul.fp32_precision == "tf32"
        with exact_products(torch.device("cpu")):
            assert matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = usual
