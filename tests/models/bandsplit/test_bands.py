"""Facts about the bands of a transform: they cover every bin once, in few groups."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.models.bandsplit.bands import bands_of
from asteroid_slicq.transform import STFT

LAYOUT = {"rasterize": "piecewise", "overlap_added": True, "window": "hann"}
TRANSFORMS = {
    "bark": SliCQT(min_width=32, **LAYOUT),
    "mel": SliCQT("mel", 600, f_min_hz=20.0, min_width=4, min_bandwidth_hz=30.0, **LAYOUT),
    "octave": SliCQT("octave", 12, f_min_hz=60.0, **LAYOUT),
    "8 kHz": SliCQT(n_bins=36, f_min_hz=300.0, sample_rate=8000, **LAYOUT),
    "few bins": SliCQT(n_bins=3, f_min_hz=1000.0, f_max_hz=3000.0, sample_rate=8000, **LAYOUT),
    "stft": STFT(4096, 564),
    "smallest stft": STFT(4, 1, 8000),
}


@pytest.fixture(params=TRANSFORMS)
def transform(request):
    return TRANSFORMS[request.param]


def test_every_bin_is_in_one_band(transform):
    bands = bands_of(transform, 5.0, 33.0, 78.0)
    assert sum(group.n_bands for group in bands.groups) == bands.n_bands
    for block, n_bins in enumerate(bands.bins_per_block):
        groups = [group for group in bands.groups if group.block == block]
        assert groups[0].start == 0
        assert all(a.stop == b.start for a, b in pairwise(groups))
        assert 0 <= groups[-1].stop - n_bins < groups[-1].n_bins


def test_blocks_share_their_steps(transform):
    bands = bands_of(transform, 5.0, 33.0, 78.0)
    n_samples = round(1.5 * getattr(transform, "sample_rate", 8000))
    steps = {
        block.shape[-1] / rate
        for block, rate in zip(transform(torch.zeros(1, n_samples)), bands.rates, strict=True)
    }
    assert len(steps) == 1
    assert steps.pop().is_integer()


def test_the_recommended_frame():
    bands = bands_of(TRANSFORMS["bark"], 5.0, 33.0, 78.0)
    assert bands.rates == (2, 4, 8, 16)
    assert bands.n_bands == 36
    assert len(bands.groups) == 6
    assert bands.step_samples == pytest.approx(564.4, abs=0.1)


@pytest.mark.parametrize("name", ["bark", "mel", "stft"])
def test_bandwidths_are_what_was_asked_for_within_the_powers_of_two(name):
    transform = TRANSFORMS[name]
    bands = bands_of(transform, 5.0, 33.0, 78.0)
    slicqt = isinstance(transform, SliCQT)
    blocks = transform.frame.frequency_hz() if slicqt else [transform.frequencies_hz]
    for group in bands.groups:
        frequencies = blocks[group.block]
        for k in range(1, group.n_bands - 1):
            start = group.start + k * group.n_bins
            width = frequencies[start + group.n_bins] - frequencies[start]
            wanted = max(33.0, frequencies[start] * (2**0.2 - 1))
            assert abs(np.log2(width / wanted)) < 0.85


def test_gains_make_amplitudes():
    """A sinusoid of amplitude a, at the centre of a bin, has coefficients of magnitude a."""
    for name in ("bark", "stft"):
        transform = TRANSFORMS[name]
        bands = bands_of(transform, 5.0, 33.0, 78.0)
        slicqt = isinstance(transform, SliCQT)
        blocks = transform.frame.frequency_hz() if slicqt else [transform.frequencies_hz]
        for block, frequencies in enumerate(blocks):
            f = frequencies[len(frequencies) // 2]
            time = torch.arange(60000, dtype=torch.float64) / 44100
            x = 0.3 * torch.sin(2 * np.pi * f * time)
            c = transform(x[None])[block][0, len(frequencies) // 2].abs() * bands.gains[block]
            middle = c[len(c) // 3 : -len(c) // 3]
            assert middle.mean().item() == pytest.approx(0.3, rel=0.03)
