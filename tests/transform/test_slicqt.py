import copy
import pickle

import numpy as np
import pytest
import torch

from asteroid_slicq import SliCQT
from tests.helpers import golden, noise

FRAMES = {
    "default": {},
    "bark14": {"n_bins": 14, "f_min_hz": 150.0},
    "mel": {"scale": "mel", "n_bins": 128, "f_min_hz": 40.0, "window": "hann", "min_width": 32},
    "log": {"scale": "log", "n_bins": 48, "f_min_hz": 65.0},
    "linear from 0": {"scale": "linear", "n_bins": 50, "f_min_hz": 0.0},
    "erb 16 kHz": {"scale": "erb", "n_bins": 60, "f_min_hz": 20.0, "sample_rate": 16000},
}
SMALL = {"n_bins": 8, "f_min_hz": 300.0, "sample_rate": 8000}


@pytest.mark.parametrize("frame", FRAMES)
def test_reconstruction(frame):
    slicqt = SliCQT(**FRAMES[frame])
    for length in (1, 2, 3, 457, 458, 459, 9030, 44101):
        x = noise(1, 2, length, dtype=torch.float64)
        slicqt.float()
        assert (slicqt.inverse(slicqt(x.float()), length) - x.float()).abs().max() <= 1e-5
        slicqt.double()
        assert (slicqt.inverse(slicqt(x), length) - x).abs().max() <= 1e-12


def test_coefficients_equal_the_reference():
    reference = np.load(golden("slicqt_bark14_fmin150.npz"))
    slicqt = SliCQT(n_bins=14, f_min_hz=150.0)
    blocks = slicqt(torch.from_numpy(reference["x"]))
    assert len(blocks) == 11
    for b, block in enumerate(blocks):
        expected = torch.from_numpy(reference[f"c{b:02d}"])
        assert block[0].shape == expected.shape
        assert (block[0] - expected).abs().max() < 1e-6 * expected.abs().max()


def test_coefficients_equal_the_formula():
    """docs/transform.md: c = IDFT {X[p + j]·g[j]}, times (−1)^(p/2) for the origin of the phase."""
    slicqt = SliCQT(n_bins=14, f_min_hz=150.0).double()
    frame = slicqt.frame
    n, hop = frame.slice_length, frame.slice_hop
    x = noise(3 * n, dtype=torch.float64)
    blocks = slicqt(x)
    s = 3
    spectrum = np.fft.fft(x.numpy()[(s - 1) * hop : (s + 1) * hop] * frame.slicing_window)
    k = 0
    for (n_bins, m), block in zip(frame.blocks, blocks, strict=True):
        for row in range(n_bins):
            p = frame.positions[k]
            cut = np.take(spectrum, p + np.arange(m) - m // 2, mode="wrap") * frame.windows[k]
            expected = (-1.0) ** (p // 2) * np.fft.ifft(np.fft.ifftshift(cut))
            assert np.abs(block[row, s].numpy() - expected).max() < 1e-13
            k += 1


def test_any_leading_shape_and_each_item_alone():
    slicqt = SliCQT(**SMALL)
    x = noise(2, 3, 2, 1001)
    blocks = slicqt(x)
    assert blocks[0].shape[:3] == (2, 3, 2)
    alone = slicqt(x[1, 2, 1])
    for block, one in zip(blocks, alone, strict=True):
        assert torch.allclose(block[1, 2, 1], one, atol=1e-6)
    assert slicqt.inverse(blocks, 1001).shape == x.shape
    assert slicqt.inverse(alone, 1001).shape == (1001,)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_backward_is_the_adjoint(direction):
    """Re⟨c, A x⟩ = ⟨Aᵀ c, x⟩ for random c and x."""
    slicqt = SliCQT(**SMALL).double()
    x = noise(2, 1501, dtype=torch.float64).requires_grad_()
    blocks = [torch.randn_like(b).requires_grad_() for b in slicqt(x)]
    if direction == "forward":
        products = [(b.conj() * c).real.sum() for b, c in zip(blocks, slicqt(x), strict=True)]
        left = torch.stack(products).sum()
        (gradient,) = torch.autograd.grad(left, x)
        right = (gradient * x).sum()
    else:
        left = (slicqt.inverse(blocks, 1501) * x).sum()
        gradients = torch.autograd.grad(left, blocks)
        products = [(g.conj() * b).real.sum() for g, b in zip(gradients, blocks, strict=True)]
        right = torch.stack(products).sum()
    assert torch.allclose(left, right, rtol=1e-10)


def test_unused_blocks_have_no_gradient_but_others_do():
    slicqt = SliCQT(**SMALL)
    x = noise(1, 500).requires_grad_()
    slicqt(x)[2].abs().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0


def test_precision_survives_casts_copies_and_pickling():
    slicqt = SliCQT(**SMALL)
    x = noise(1, 2000, dtype=torch.float64)
    for other in (
        copy.deepcopy(slicqt).double(),
        pickle.loads(pickle.dumps(slicqt)).double(),
        SliCQT(**SMALL).double().float().double(),
    ):
        assert (other.inverse(other(x), 2000) - x).abs().max() < 1e-12
    assert not slicqt.state_dict()
    SliCQT(**SMALL).load_state_dict(slicqt.state_dict())


def test_half_precision_input_is_computed_in_single():
    slicqt = SliCQT(**SMALL)
    assert slicqt(noise(1, 300).half())[0].dtype == torch.complex64


def test_silence_stays_silent():
    slicqt = SliCQT()
    blocks = slicqt(torch.zeros(2, 5000))
    assert all(not block.any() for block in blocks)
    assert not slicqt.inverse(blocks, 5000).any()


def test_sine_lands_in_its_bin():
    slicqt = SliCQT()
    t = torch.arange(88200) / 44100
    blocks = slicqt(torch.sin(2 * torch.pi * 1000 * t))
    energy = torch.cat([b.abs().square().mean((-1, -2)) * b.shape[-1] for b in blocks])
    assert slicqt.frame.frequencies_hz[int(energy.argmax())] == pytest.approx(1000, rel=0.02)


@pytest.mark.parametrize(
    "waveform",
    [
        torch.zeros(2, 0),
        torch.zeros(0, 2, 9),
        torch.tensor(1.0),
        torch.zeros(9, dtype=torch.complex64),
    ],
)
def test_wrong_waveforms_are_refused(waveform):
    with pytest.raises(ValueError, match="waveform"):
        SliCQT(**SMALL)(waveform)


def test_wrong_coefficients_are_refused():
    slicqt = SliCQT(**SMALL)
    blocks = slicqt(noise(1, 500))
    with pytest.raises(ValueError, match="length"):
        slicqt.inverse(blocks, 50000)
    with pytest.raises(ValueError, match="length"):
        slicqt.inverse(blocks, 0)
    with pytest.raises(ValueError, match="coefficients"):
        slicqt.inverse(blocks[1:], 500)
    with pytest.raises(ValueError, match="leading shape"):
        slicqt.inverse([blocks[0].expand(3, *blocks[0].shape), *blocks[1:]], 500)
    with pytest.raises(ValueError, match="complex"):
        slicqt.inverse([blocks[0].real, *blocks[1:]], 500)
    with pytest.raises(ValueError, match="slices"):
        slicqt.inverse([blocks[0][..., :-1, :], *blocks[1:]], 500)
