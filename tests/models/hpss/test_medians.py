"""Facts about harmonic/percussive separation: medians, lines of tones and clicks, sums, masks."""

import math

import numpy as np
import pytest
import torch

from asteroid_slicq import NSGT, SliCQT
from asteroid_slicq.models.hpss import hpss
from asteroid_slicq.models.hpss.filters import frequency_median, running_median, time_median
from asteroid_slicq.transform import STFT
from tests.helpers import noise

RATE, LENGTH = 8000, 8000
FRAME = {"n_bins": 80, "f_min_hz": 50.0, "sample_rate": RATE, "window": "hann", "min_width": 32}
TRANSFORMS = {
    "sliced": SliCQT(**FRAME),
    "sliced matrix": SliCQT(**FRAME, rasterize="full"),
    "overlap-added": SliCQT(**FRAME, overlap_added=True),
    "piecewise": SliCQT(**FRAME, overlap_added=True, rasterize="piecewise"),
    "matrix": SliCQT(**FRAME, overlap_added=True, rasterize="full"),
    "NSGT": NSGT(n_bins=80, f_min_hz=50.0, sample_rate=RATE, length=LENGTH),
    "STFT": STFT(512, 128, RATE),
}
STFT_COARSE = STFT(128, 32, RATE)


@pytest.mark.parametrize("width", [3, 5, 7, 17, 31])
@pytest.mark.parametrize("length", [1, 2, 9, 40])
def test_running_medians_are_those_of_numpy(width, length):
    x, half = noise(2, 5, length), width // 2
    padded = np.pad(x.numpy(), [(0, 0), (0, 0), (half, half)], mode="symmetric")
    expected = np.median(np.lib.stride_tricks.sliding_window_view(padded, width, -1), -1)
    np.testing.assert_array_equal(running_median(x, width, -1), expected)
    np.testing.assert_array_equal(running_median(x.mT, width, 1), expected.swapaxes(1, 2))


def test_a_long_median_is_that_of_means():
    x = noise(1, 2, 50).abs()
    means = torch.stack([x[..., i : i + 3].mean(-1) for i in range(0, 50, 3)], -1)
    expected = running_median(means, 17, -1).repeat_interleave(3, -1)[..., :50]
    torch.testing.assert_close(time_median(x, 51, 17), expected)
    torch.testing.assert_close(time_median(x, 17.4, 17), running_median(x, 17, -1))


def test_the_median_along_frequency_crosses_blocks():
    rows = noise(1, 12, 1).abs()  # constant in time, so that steps do not matter
    sizes, steps = (1, 4, 2, 5), (2, 4, 8, 24)
    parts = zip(rows.split(sizes, 1), steps, strict=True)
    medians = frequency_median([part.expand(-1, -1, n) for part, n in parts], 7)
    assert [tuple(m.shape) for m in medians] == [
        (1, n, t) for n, t in zip(sizes, steps, strict=True)
    ]
    torch.testing.assert_close(
        torch.cat([m[..., :1] for m in medians], 1), running_median(rows, 7, 1)
    )


def tone_and_click() -> tuple[torch.Tensor, torch.Tensor]:
    time = torch.arange(LENGTH) / RATE
    return torch.sin(2 * math.pi * 440 * time)[None], 40.0 * (time == 0.5)[None]


def share(part, of):
    return float((part * of).sum() / of.square().sum())


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_tone_is_harmonic_and_a_click_percussive(name):
    tone, click = tone_and_click()
    harmonic, percussive = hpss(tone + click, TRANSFORMS[name])
    assert share(harmonic, tone) > 0.95
    assert share(percussive, click) > 0.75
    assert share(harmonic, click) < 0.25
    torch.testing.assert_close(harmonic + percussive, tone + click, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["sliced", "overlap-added", "STFT"])
def test_levels_scale_and_channels_and_batches_are_separate(name):
    transform, x = TRANSFORMS[name], noise(2, 2, LENGTH)
    together = hpss(x, transform)
    assert together.shape == (2, 2, 2, LENGTH)
    alone = hpss(x[1, :1], transform)
    torch.testing.assert_close(together[1, :, :1], alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(hpss(1e-3 * x, transform), 1e-3 * together, atol=1e-7, rtol=1e-3)


def test_sources_sum_to_the_mix_with_margin_and_vocals():
    x, stft = noise(2, LENGTH), TRANSFORMS["STFT"]
    for margin in (1.0, 2.0):
        for second in (None, STFT_COARSE):
            parts = hpss(x, stft, second, margin=margin)
            assert len(parts) == 2 + (second is not None) + (margin > 1)
            torch.testing.assert_close(parts.sum(0), x, atol=1e-5, rtol=0)


def test_a_margin_leaves_noise_to_the_residual():
    x = noise(1, LENGTH)
    powers = hpss(x, TRANSFORMS["STFT"], margin=4.0).square().sum((1, 2)) / x.square().sum()
    assert powers[2] > 0.5
    assert powers[:2].max() < 0.2
    binary = hpss(x, TRANSFORMS["STFT"], margin=4.0, power=math.inf)
    torch.testing.assert_close(binary.sum(0), x, atol=1e-5, rtol=0)


def test_a_glide_is_vocal_where_a_tone_is_harmonic_and_a_click_percussive():
    """FitzGerald and Gainza's two stages, on 256 ms and 16 ms of an STFT."""
    tone, click = tone_and_click()
    time = torch.arange(LENGTH) / RATE
    voice = torch.sin(2 * math.pi * (800 * time + 200 * time**2))[None]
    mix, fine = tone + click + voice, STFT(2048, 256, RATE)
    harmonic, percussive, vocals = hpss(mix, fine, STFT_COARSE, bins=9)
    assert share(harmonic, tone) > 0.9
    assert share(vocals, voice) > 0.8
    assert share(percussive, click) > 0.8
    assert max(share(vocals, tone), share(vocals, click), share(percussive, voice)) < 0.1


def test_silence_is_silent_with_a_finite_gradient():
    x = torch.zeros(1, LENGTH, requires_grad=True)
    for name in ("sliced", "STFT"):
        parts = hpss(x, TRANSFORMS[name])
        assert not parts.any()
        assert torch.autograd.grad(parts[0].sum(), x)[0].isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time_s": 0.0}, "time_s must be finite and above 0, got 0.0"),
        ({"bins": 16}, "bins must be odd, got 16; nearest that works: 17"),
        ({"bins": 1}, "bins must be at least 3, got 1"),
        ({"margin": 0.5}, "margin must be at least 1, got 0.5"),
        ({"margin": math.inf}, "margin must be finite, got inf"),
        ({"power": 0.0}, "power must be above 0, got 0.0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        hpss(noise(1, 100), STFT_COARSE, **arguments)


def test_another_transform_is_refused():
    with pytest.raises(TypeError, match="transform must be a SliCQT, NSGT or STFT, got Identity"):
        hpss(noise(1, 100), torch.nn.Identity())


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_gradients_around_silence_are_finite(power):
    waveform = torch.zeros(1, 6000)
    waveform[0, 2000:2500] = noise(500)
    waveform.requires_grad_()
    harmonic, percussive = hpss(waveform, STFT(512, 128, RATE), power=power)
    gradient = torch.autograd.grad(harmonic.square().sum() + percussive.sum(), waveform)[0]
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0.01
