import copy
import pickle
import re

import numpy as np
import pytest
import torch

from asteroid_slicq import NSGT
from tests.helpers import double_noise as noise

FRAMES = {
    "default": {},
    "bark14": {"n_bins": 14, "f_min_hz": 150.0},
    "mel": {"scale": "mel", "n_bins": 64, "f_min_hz": 40.0, "min_bandwidth_hz": 90.0},
    "log": {"scale": "log", "n_bins": 48, "f_min_hz": 65.0, "f_max_hz": 9000.0},
    "vqlog": {"scale": "vqlog", "n_bins": 40, "f_min_hz": 50.0, "gamma_hz": 30.0},
    "octave": {"scale": "octave", "n_bins": 6, "f_min_hz": 55.0},
    "linear from 0": {"scale": "linear", "n_bins": 50, "f_min_hz": 0.0},
    "erb 16 kHz": {"scale": "erb", "n_bins": 60, "f_min_hz": 20.0, "sample_rate": 16000},
    "two bins": {"scale": "linear", "n_bins": 2, "f_min_hz": 9000.0, "f_max_hz": 9010.0},
    "one bin": {"scale": ([1000.0, 30000.0], [1.0, 1.0])},
    "wide": {"n_bins": 20, "bandwidth_factor": 1.9, "window": "blackman-harris"},
    "wide least": {"n_bins": 20, "min_width": 63, "window": "sine"},
}
SMALL = {"n_bins": 8, "f_min_hz": 300.0, "sample_rate": 8000}
LENGTHS = [64, 65, 66, 67, 1001, 4098]


def random_like(blocks, seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(b.shape, generator=generator, dtype=b.dtype) for b in blocks]


def blocks_of(nsgt: NSGT, x: torch.Tensor) -> list[torch.Tensor]:
    coefficients = nsgt(x)
    return [coefficients] if isinstance(coefficients, torch.Tensor) else list(coefficients)


@pytest.mark.parametrize("rasterize", ["none", "full"])
@pytest.mark.parametrize("frame", FRAMES)
def test_reconstruction(frame, rasterize):
    for length in LENGTHS:
        nsgt = NSGT(**FRAMES[frame], length=length, rasterize=rasterize)
        x = noise(2, length)
        assert (nsgt.inverse(nsgt(x.float())) - x.float()).abs().max() <= 1e-5
        nsgt = nsgt.double()
        assert (nsgt.inverse(nsgt(x)) - x).abs().max() <= 1e-12


def test_reconstruction_at_every_short_length():
    for length in range(4, 64):
        nsgt = NSGT(**SMALL, length=length).double()
        x = noise(1, length)
        assert (nsgt.inverse(nsgt(x)) - x).abs().max() <= 1e-13


@pytest.mark.parametrize("length", [600, 601, 602, 603])
@pytest.mark.parametrize("rasterize", ["none", "full"])
def test_coefficients_equal_the_formula(length, rasterize):
    """docs/transform.md: c = IDFT {X[p + j]·g[j]}, Hann windows, width round(ν_{k+1} − ν_{k−1})."""
    f_hz = np.array([150.0, 320.0, 580.0, 1100.0, 2300.0])
    nsgt = NSGT((f_hz, np.ones(5)), sample_rate=8000, length=length, rasterize=rasterize).double()
    x = noise(length)
    rows = [row.numpy() for block in blocks_of(nsgt, x) for row in block]
    nu = np.array([0.0, *f_hz, 4000.0, 8000.0 - f_hz[-1]]) * length / 8000
    widths = [round(2 * nu[1]), *(round(nu[k + 1] - nu[k - 1]) for k in range(1, 7))]
    centres = [*nu[:5], (nu[4] + nu[6]) / 2, nu[6]]  # the last of the scale: halfway
    assert nsgt.frame.widths.tolist() == widths
    assert nsgt.frame.positions.tolist() == [round(c) for c in centres]
    spectrum = np.fft.fft(x.numpy())
    for k, (width, centre) in enumerate(zip(widths, centres, strict=True)):
        m = width if rasterize == "none" else max(widths)
        expected = np.zeros(m, complex)
        time = np.arange(m)
        for j in range(-(width // 2), width - width // 2):
            g = 0.5 + 0.5 * np.cos(2 * np.pi * j / width)
            expected += (
                spectrum[(round(centre) + j) % length] * g * np.exp(2j * np.pi * j * time / m)
            )
        assert np.abs(rows[k] - expected / m).max() < 1e-12


def test_frame_tells_where_coefficients_lie():
    nsgt = NSGT(**SMALL, length=4001)
    frame, blocks = nsgt.frame, nsgt(noise(3, 4001))
    assert [tuple(b.shape) for b in blocks] == [(3, n, m) for n, m in frame.blocks]
    assert frame.redundancy == pytest.approx(2 * sum(b[0].numel() for b in blocks) / 4001)
    assert np.array_equal(np.concatenate(frame.frequency_hz()), frame.frequencies_hz)
    assert frame.n_bins == len(frame.widths) == len(frame.positions) == len(frame.lengths)
    assert np.abs(frame.frequencies_hz * 4001 / 8000 - frame.positions).max() <= 0.5
    for times, block in zip(frame.time_s(), blocks, strict=True):
        assert times.shape == block.shape[-1:]
        assert times[0] == 0
        assert np.allclose(np.diff(times), 4001 / 8000 / len(times))
    full = NSGT(**SMALL, length=4001, rasterize="full").frame
    assert full.blocks == ((frame.n_bins, frame.widths.max()),)


def test_impulse_and_sine_land_where_the_axes_say():
    nsgt = NSGT(n_bins=60, f_min_hz=40.0, sample_rate=8000, length=8001, rasterize="full").double()
    frame = nsgt.frame
    click = torch.zeros(8001, dtype=torch.float64)
    click[6000] = 1
    rows = nsgt(click).abs()[30:].argmax(-1)
    assert np.abs(frame.time_s()[0][rows] - 6000 / 8000).max() < 2 / frame.lengths[0]
    sine = torch.sin(2 * torch.pi * 1000 / 8000 * torch.arange(8001, dtype=torch.float64))
    k = int(nsgt(sine).abs().square().sum(-1).argmax())
    assert k == np.abs(frame.frequencies_hz - 1000).argmin()


def test_min_width_and_min_bandwidth_are_floors():
    assert NSGT(length=1000).frame.widths.min() == 4
    assert NSGT(length=1000, min_width=9).frame.widths.min() == 9
    frame = NSGT(length=44101, min_bandwidth_hz=50.0).frame
    assert frame.widths.min() == 51  # DFT bins of 0.99998 Hz
    wide = NSGT(length=44100, bandwidth_factor=1.5).frame
    plain = NSGT(length=44100).frame
    assert np.abs(wide.widths[1:-1] - 1.5 * plain.widths[1:-1]).max() <= 1.5


def test_any_leading_shape_and_each_item_alone():
    nsgt = NSGT(**SMALL, length=1001)
    x = noise(2, 3, 2, 1001, dtype=torch.float32)
    blocks = nsgt(x)
    assert blocks[0].shape[:3] == (2, 3, 2)
    alone = nsgt(x[1, 2, 1])
    for block, one in zip(blocks, alone, strict=True):
        assert torch.allclose(block[1, 2, 1], one, atol=1e-6)
    assert nsgt.inverse(blocks).shape == x.shape
    assert nsgt.inverse(alone).shape == (1001,)
    strided = x.transpose(0, 2)
    for block, other in zip(nsgt(strided), blocks, strict=True):
        assert torch.allclose(block.transpose(0, 2), other, atol=1e-6)


def test_inverse_cuts_to_a_length():
    nsgt = NSGT(**SMALL, length=1001).double()
    x = noise(2, 1001)
    assert torch.equal(nsgt.inverse(nsgt(x), 900), nsgt.inverse(nsgt(x))[:, :900])


def test_linear_and_circular():
    nsgt = NSGT(**SMALL, length=1500, rasterize="full").double()
    x, y = noise(1500), noise(1500, seed=1)
    assert (nsgt(2 * x - 3 * y) - (2 * nsgt(x) - 3 * nsgt(y))).abs().max() < 1e-12
    half = int(nsgt.frame.lengths[0]) // 2
    assert nsgt.frame.lengths[0] == 2 * half
    turned = nsgt(torch.roll(x, 750)).abs()
    assert (turned - torch.roll(nsgt(x).abs(), half, -1)).abs().max() < 1e-12


@pytest.mark.parametrize("rasterize", ["none", "full"])
@pytest.mark.parametrize("length", [64, 65, 67, 1500, 1501])
def test_backward_is_the_adjoint(length, rasterize):
    """Re⟨c, A x⟩ = ⟨A* c, x⟩ for random c and x, both ways."""
    nsgt = NSGT(**SMALL, length=length, rasterize=rasterize).double()
    x = noise(2, length).requires_grad_()
    blocks = blocks_of(nsgt, x)
    c = [b.requires_grad_() for b in random_like(blocks)]
    products = [(b.conj() * d).real.sum() for b, d in zip(c, blocks, strict=True)]
    left = torch.stack(products).sum()
    (gradient,) = torch.autograd.grad(left, x)
    assert torch.allclose(left, (gradient * x).sum(), rtol=1e-10)

    left = (nsgt.inverse(c) * x).sum()
    gradients = torch.autograd.grad(left, c)
    products = [(g.conj() * b).real.sum() for g, b in zip(gradients, c, strict=True)]
    assert torch.allclose(left, torch.stack(products).sum(), rtol=1e-10)


@pytest.mark.parametrize(("length", "rasterize"), [(20, "none"), (21, "full")])
def test_gradcheck_both_directions_and_twice(length, rasterize):
    nsgt = NSGT("linear", 2, 1200.0, 2800.0, 8000, length=length, rasterize=rasterize).double()
    x = noise(1, length).requires_grad_()
    assert torch.autograd.gradcheck(nsgt, x)
    blocks = [b.requires_grad_() for b in random_like(blocks_of(nsgt, x))]
    assert torch.autograd.gradcheck(lambda *c: nsgt.inverse(c), blocks)
    assert torch.autograd.gradgradcheck(
        lambda x: blocks_of(nsgt, x)[0].abs().square().sum(), x, fast_mode=True
    )
    assert torch.autograd.gradgradcheck(
        lambda *c: nsgt.inverse(c).pow(3).sum(), blocks, fast_mode=True
    )


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")  # of torch, by itself
@pytest.mark.parametrize("rasterize", ["none", "full"])
def test_transforms_of_torch_func(rasterize):
    nsgt = NSGT(**SMALL, length=701, rasterize=rasterize).double()
    x = noise(3, 2, 701)

    def loss(x):
        changed = [block * block.abs() for block in blocks_of(nsgt, x)]
        return nsgt.inverse(changed).pow(3).sum()

    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf), leaf)
    tolerance = 1e-11 * float(expected.abs().max())
    assert (torch.func.grad(loss)(x) - expected).abs().max() < tolerance
    assert (torch.func.vmap(torch.func.grad(loss))(x) - expected).abs().max() < tolerance
    y = noise(3, 2, 701, seed=1)
    value, slope = torch.func.jvp(loss, (x,), (y,))
    assert torch.allclose(value, loss(x), rtol=1e-12)
    assert torch.allclose(slope, (expected * y).sum(), rtol=1e-10)


def test_backward_saves_nothing_of_the_signal():
    nsgt = NSGT(**SMALL, length=1501)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        nsgt.inverse(nsgt(noise(1, 1501, dtype=torch.float32).requires_grad_()))
    assert not saved


def test_unused_blocks_have_no_gradient_but_others_do():
    nsgt = NSGT(**SMALL, length=501)
    x = noise(1, 501, dtype=torch.float32).requires_grad_()
    nsgt(x)[2].abs().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0


def test_inputs_are_not_changed():
    for rasterize in ("none", "full"):
        nsgt = NSGT(**SMALL, length=1001, rasterize=rasterize)
        x = noise(2, 1001, dtype=torch.float32)
        before = x.clone()
        blocks = blocks_of(nsgt, x)
        assert torch.equal(x, before)
        copies = [b.clone() for b in blocks]
        nsgt.inverse(blocks)
        assert all(torch.equal(a, b) for a, b in zip(blocks, copies, strict=True))


def test_precision_survives_casts_copies_and_pickling():
    nsgt = NSGT(**SMALL, length=2001)
    x = noise(1, 2001)
    for other in (
        copy.deepcopy(nsgt).double(),
        pickle.loads(pickle.dumps(nsgt)).double(),
        NSGT(**SMALL, length=2001).double().float().double(),
    ):
        assert (other.inverse(other(x)) - x).abs().max() < 1e-12
    assert not nsgt.state_dict()
    nsgt.load_state_dict({})


def test_half_precision_input_is_computed_in_single():
    assert NSGT(**SMALL, length=300)(noise(1, 300).half())[0].dtype == torch.complex64


def test_silence_stays_silent():
    nsgt = NSGT(**SMALL, length=5001)
    blocks = nsgt(torch.zeros(2, 5001))
    assert all(not block.any() for block in blocks)
    assert not nsgt.inverse(blocks).any()


def test_a_piecewise_raster_is_refused():
    with pytest.raises(ValueError, match=r"^rasterize must be one of none, full, got 'piecewise'$"):
        NSGT(length=1000, rasterize="piecewise")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"length": 3}, "length.*got 3; nearest that works: 4"),
        ({"length": -10}, "length.*got -10; nearest that works: 4"),
        ({"sample_rate": 0}, "sample_rate.*got 0; nearest that works: 44100"),
        ({"sample_rate": float("nan")}, "sample_rate.*got nan; nearest that works: 44100"),
        ({"f_max_hz": 30000.0}, "f_max_hz.*got 30000.0 Hz; nearest that works: 22050.0"),
        ({"f_min_hz": 22050.0}, "f_min_hz.*got 22050.0 Hz; nearest that works: 22049"),
        ({"f_min_hz": -1.0}, "f_min_hz.*got -1.0 Hz; nearest that works: 0.0"),
        ({"n_bins": 1}, "n_bins.*got 1; nearest that works: 2"),
        ({"scale": "barck"}, "scale.*got 'barck'; nearest that works: 'bark'"),
        (
            {"scale": ([3e4, 4e4], [1.0, 1.0])},
            "scale.*got bins from 30000.0.*works: a bin at 11025",
        ),
        ({"window": "han"}, "window.*got 'han'; nearest that works: 'hann'"),
        ({"min_width": 0}, "min_width.*got 0; nearest that works: 4"),
        ({"min_width": 1001}, "min_width.*got 1001; nearest that works: 1000"),
        ({"min_bandwidth_hz": -1.0}, "min_bandwidth_hz.*got -1.0; nearest that works: 0.0"),
        ({"min_bandwidth_hz": 3e4}, "min_bandwidth_hz.*got 30000.0; nearest that works: 22050.0"),
        ({"bandwidth_factor": 0.0}, "bandwidth_factor.*got 0.0; nearest that works: 1.0"),
        ({"bandwidth_factor": 99.0}, "bandwidth_factor.*got 99.0; nearest that works: [0-9.]+$"),
        ({"gamma_hz": 5.0}, "gamma_hz.*got 5.0 Hz; nearest that works: 0.0"),
        ({"scale": "vqlog", "gamma_hz": 3e4}, "gamma_hz.*got 30000.0; nearest that works: 22050"),
        ({"rasterize": "ful"}, "rasterize.*got 'ful'; nearest that works: 'full'"),
        ({"n_bins": 5, "bandwidth_factor": 0.2}, "min_width.*got 4, and none covers [0-9]+ … "),
    ],
)
def test_wrong_arguments_are_named_and_what_is_advised_works(arguments, named):
    arguments = {"length": 1000, **arguments}
    with pytest.raises(ValueError, match=named) as error:
        NSGT(**arguments)
    text = str(error.value)
    name = text.split()[0]
    advice = re.search(r"nearest that works: '?([\w.-]+)", text)
    assert advice
    value = advice[1]
    if name == "scale" and value == "a":
        value = ([11025.0, 4e4], [1.0, 1.0])
    elif name not in ("scale", "window", "rasterize"):
        value = int(value) if re.fullmatch(r"\d+", value) else float(value)
    NSGT(**{**arguments, name: value})


@pytest.mark.parametrize(
    "arguments",
    [
        {"length": 1000.0},
        {"length": True},
        {"length": None},
        {"min_width": 4.5},
        {"length": 1000, "sample_rate": "44100"},
        {"length": 1000, "f_min_hz": None},
    ],
)
def test_wrong_types_are_named(arguments):
    with pytest.raises(TypeError, match=list(arguments)[-1]):
        NSGT(**{"length": 1000, **arguments})


def test_a_frame_with_holes_is_an_error():
    """Two bins far apart, each with a close neighbour: both windows are zero where they meet."""
    f_hz, q = [500.0, 999.5, 1000.0, 1800.0, 1800.5, 2500.0], [1.0] * 6
    with pytest.raises(
        ValueError, match=r"got 4, and none covers 1399 … 1401 of 0 … 4000"
    ) as error:
        NSGT((f_hz, q), sample_rate=8000, length=8000)
    least = re.search(r"nearest that works: (\d+)", str(error.value))
    assert least
    NSGT((f_hz, q), sample_rate=8000, length=8000, min_width=int(least[1]))


@pytest.mark.parametrize(
    ("waveform", "named"),
    [
        (torch.zeros(2, 999), "waveform must have the 1000 samples .* got 999"),
        (torch.zeros(2, 1001), "waveform must have the 1000 samples .* got 1001"),
        (torch.zeros(2, 0), "waveform"),
        (torch.zeros(0, 2, 1000), "waveform"),
        (torch.tensor(1.0), "waveform"),
        (torch.zeros(1000, dtype=torch.complex64), "waveform must be real"),
    ],
)
def test_wrong_waveforms_are_refused(waveform, named):
    with pytest.raises(ValueError, match=named):
        NSGT(**SMALL, length=1000)(waveform)


def test_wrong_coefficients_are_refused():
    nsgt = NSGT(**SMALL, length=500)
    blocks = nsgt(noise(1, 500, dtype=torch.float32))
    for wrong in (501, 0):
        with pytest.raises(ValueError, match=f"length.*got {wrong}; nearest that works"):
            nsgt.inverse(blocks, wrong)
    for wrong in (
        blocks[1:],
        [],
        blocks[0],
        [blocks[0][..., :-1], *blocks[1:]],
        NSGT(**SMALL, length=501)(noise(1, 501)),
    ):
        with pytest.raises(ValueError, match="coefficients must be"):
            nsgt.inverse(wrong)
    with pytest.raises(ValueError, match="leading shape"):
        nsgt.inverse([blocks[0].expand(3, *blocks[0].shape), *blocks[1:]])
    with pytest.raises(ValueError, match="complex"):
        nsgt.inverse([blocks[0].real, *blocks[1:]])
    with pytest.raises(ValueError, match="dtype"):
        nsgt.inverse([blocks[0].to(torch.complex128), *blocks[1:]])
