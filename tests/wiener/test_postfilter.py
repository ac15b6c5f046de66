import numpy as np
import pytest
import torch

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.wiener import filter_masked, postfilter, wiener_on_stft

EPS = float(np.finfo(np.float32).eps)


def mixture(length: int, gain: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    """Four stereo sources that differ in place and loudness, all a bit wrong, and their mix."""
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(2, 4, 1, length, dtype=torch.float64, generator=generator)
    pan = torch.tensor([[1, 0.1], [0.2, 1], [0.7, 0.7], [0.5, -0.6]], dtype=torch.float64)
    loudness = torch.rand(2, 4, 1, length, dtype=torch.float64, generator=generator)
    sources = gain * loudness * sources * pan[None, :, :, None]
    return sources + 0.2 * sources.roll(1, 1), sources.sum(1)


def norbert_em(estimates: np.ndarray, mix: np.ndarray, iterations: int) -> np.ndarray:
    """What `norbert.wiener` does to a first estimate. Shape: ``(source, channel, freq, frame)``."""
    norbert = pytest.importorskip("norbert")
    scale = max(1.0, np.abs(mix).max() / 10)
    y, x = estimates.transpose(3, 2, 1, 0) / scale, mix.transpose(2, 1, 0) / scale
    y, _, _ = norbert.expectation_maximization(y, x, iterations, eps=EPS)
    return scale * y.transpose(3, 2, 1, 0)


@pytest.mark.parametrize("iterations", [1, 2])
@pytest.mark.parametrize("gain", [0.3, 30.0])
def test_stft_filter_equals_brute_force(iterations, gain):
    """Frames in a Python loop, norbert between them, for a signal of one stretch."""
    n_fft, hop, length = 32, 8, 200
    estimates, mix = mixture(length, gain)
    window = np.hanning(n_fft + 1)[:-1]
    first, last = hop - n_fft, length - 1
    starts = range(first, last + 1, hop)

    def stft(x):
        padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(n_fft, 2 * n_fft)])
        frames = [padded[..., n_fft + s : n_fft + s + n_fft] * window for s in starts]
        return np.stack([np.fft.rfft(frame) for frame in frames], axis=-1)

    refined = wiener_on_stft(estimates, mix, iterations, n_fft, hop)
    for b in range(2):
        spectra = norbert_em(stft(estimates[b].numpy()), stft(mix[b].numpy()), iterations)
        total = np.zeros((4, 2, length + 3 * n_fft))
        norm = np.zeros(length + 3 * n_fft)
        for i, s in enumerate(starts):
            frame = slice(n_fft + s, 2 * n_fft + s)
            total[..., frame] += np.fft.irfft(spectra[..., i]) * window
            norm[frame] += window**2
        expected = (total / np.maximum(norm, 1e-9))[..., n_fft : n_fft + length]
        assert np.abs(refined[b].numpy() - expected).max() < 1e-9 * gain


@pytest.mark.parametrize("iterations", [1, 3])
def test_block_filter_equals_norbert_on_slices_laid_end_to_end(iterations):
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn((2, 2, 3, 5, 6), dtype=torch.complex128, generator=generator)
    masks = torch.rand((2, 4, 2, 3, 5, 6), dtype=torch.float64, generator=generator)
    estimates = masks * mix.unsqueeze(1)
    refined = filter_masked(masks, mix, iterations)
    for b in range(2):
        ends = norbert_em(estimates[b].flatten(-2).numpy(), mix[b].flatten(-2).numpy(), iterations)
        assert np.abs(refined[b].flatten(-2).numpy() - ends).max() < 1e-9


@pytest.mark.parametrize("length", [1, 7, 95, 96, 97, 500])
@pytest.mark.parametrize("window_frames", [1, 3, 7, 300])
def test_stretches_join_without_a_seam(length, window_frames):
    """A source that is alone comes out as the mix."""
    _, mix = mixture(length, gain=30)
    same = wiener_on_stft(mix[:, None], mix, 1, 32, 8, window_frames)
    assert (same - mix[:, None]).abs().max() < 1e-3 * mix.abs().max()


@pytest.mark.parametrize("seconds", [5, 40])
def test_no_more_than_one_stretch_is_a_spectrum_at_a_time(seconds, monkeypatch):
    sizes = []

    def count(y, *_, **__):
        sizes.append(y.shape[-1])
        return y

    monkeypatch.setattr(postfilter, "wiener_em", count)
    estimates = torch.zeros(1, 1, 1, seconds * 44100)
    wiener_on_stft(estimates, estimates[:, 0])
    assert set(sizes[:-1]) <= {300}
    assert sizes[-1] < 600


@pytest.mark.parametrize("wiener", ["stft", "slicqt"])
@pytest.mark.parametrize("iterations", [1, 2])
def test_sources_sum_to_the_mix(wiener, iterations):
    torch.manual_seed(0)
    transform = {"n_bins": 14, "f_min_hz": 150.0}
    model = XUMXSliCQ.from_preset(
        "v1", transform=transform, wiener=wiener, wiener_iterations=iterations
    ).eval()
    mix = 30 * torch.randn(1, 2, 20000)  # beside which √ε, the noise of the filter, is small
    with torch.inference_mode():
        total = model(mix).sum(1)
    assert (total - mix).norm() < 2e-3 * mix.norm()


def test_silence_stays_silent_and_its_gradient_finite():
    estimates = torch.zeros(1, 4, 2, 900, requires_grad=True)
    refined = wiener_on_stft(estimates, torch.zeros(1, 2, 900), 2, 64, 16)
    refined.square().sum().backward()
    assert not refined.any()
    assert estimates.grad is not None
    assert estimates.grad.isfinite().all()


def test_silence_in_the_midst_of_music_and_silent_sources():
    estimates, mix = mixture(600)
    estimates[:, 1] = 0
    estimates[..., 200:400] = mix[..., 200:400] = 0
    refined = wiener_on_stft(estimates, mix, 2, 32, 8)
    assert refined.isfinite().all()
    assert not refined[:, 1].any()
    assert not refined[..., 232:368].any()


def test_gradients():
    estimates, mix = mixture(60)
    estimates, mix = estimates[:1].requires_grad_(), mix[:1].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda y, x: wiener_on_stft(y, x, 1, 16, 4, 9), (estimates, mix), fast_mode=True
    )


def test_inputs_are_not_changed_and_no_iterations_return_them():
    estimates, mix = mixture(300)
    before = estimates.clone(), mix.clone()
    wiener_on_stft(estimates, mix, 1, 32, 8)
    assert torch.equal(estimates, before[0])
    assert torch.equal(mix, before[1])
    assert wiener_on_stft(estimates, mix, 0) is estimates


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"iterations": -1}, "iterations"),
        ({"hop": 5}, "hop"),
        ({"hop": 16}, "hop"),
        ({"window_frames": 0}, "window_frames"),
        ({"mix": torch.zeros(1, 2, 3)}, "estimates"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    estimates, mix = mixture(100)
    with pytest.raises(ValueError, match=named):
        wiener_on_stft(**{"estimates": estimates, "mix": mix, "n_fft": 32, "hop": 8, **arguments})
