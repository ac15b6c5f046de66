"""The index beside pyclarity's, on thirty degraded stems where it is installed; golden values."""

import sys

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from asteroid_slicq.data.procedural import synthesize_track
from asteroid_slicq.hearing import AUDIOGRAM_HZ, AUDIOGRAMS, HAAQI
from tests.hearing.degradations import DEGRADATIONS, RATE, noise, quantise

NAMES = ("normal", "mild", "moderate")


def pyclarity(stem, degraded, audiogram, rate=RATE):
    module = pytest.importorskip("clarity.evaluator.haaqi", reason="pyclarity is not installed")
    from clarity.utils.audiogram import Audiogram

    losses = Audiogram(levels=np.array(AUDIOGRAMS[audiogram]), frequencies=np.array(AUDIOGRAM_HZ))
    level = 65 - 20 * np.log10(np.sqrt(np.mean(stem**2)))
    np.random.seed(0)  # noqa: NPY002  # its noise at the threshold
    return module.haaqi_v1(stem, rate, degraded, rate, losses, 1, level)[0]


def ours(stem, degraded, audiogram, rate=RATE, **options):
    pair = (torch.tensor(x, dtype=torch.float32) for x in (degraded, stem))
    with torch.no_grad():
        return HAAQI(rate, audiogram, amplified=True, **options)(*pair).index.item()


def thirty():
    """Degraded stems and their references: every degradation of two of four stems."""
    rng = np.random.default_rng(0)
    track = synthesize_track(3, 14.0)
    second = slice(RATE * 10, RATE * 11)
    stems = {name: wave[:, second].mean(0).astype(float) for name, wave in track.items()}
    mix, names = sum(stems.values()), list(stems)
    for i, degrade in enumerate(DEGRADATIONS):
        for name in (names[i % 4], names[(i + 1) % 4]):
            stem = stems[name]
            yield name, stem, degrade(stem, mix - stem, rng)


def tones(seed, rate, seconds=0.5):
    """Plucked tones over a little noise, by formulas."""
    time = np.arange(round(rate * seconds)) / rate
    partials = [
        np.sin(2 * np.pi * f0 * k * time + seed) / k * np.exp(-8 * ((time - 0.1 * i) % 0.5))
        for i, f0 in enumerate((110.0, 164.81, 277.18))
        for k in range(1, 24)
        if f0 * k < rate / 2
    ]
    rng = np.random.RandomState(seed)  # whose numbers do not change
    return np.sum(partials, axis=0) + 0.01 * rng.standard_normal(len(time)), rng


# How it is degraded, audiogram, sample rate, and what pyclarity 0.9.0 says
GOLDEN = [
    (noise(20), "normal", 44100, 0.4587),
    (noise(5), "moderate", 44100, 0.1972),
    (quantise(6), "mild", 24000, 0.385),
    (lambda x, rest, rng: np.tanh(x), "normal", 16000, 0.5161),
    (lambda x, rest, rng: np.convolve(x, np.ones(8) / 8)[: len(x)], "mild", 48000, 0.2824),
]


@pytest.mark.parametrize("number", range(len(GOLDEN)))
def test_golden_values(number):
    degrade, audiogram, rate, expected = GOLDEN[number]
    stem, rng = tones(number, rate)
    assert ours(stem, degrade(stem, 0, rng), audiogram, rate) == pytest.approx(expected, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(GOLDEN)))
def test_golden_values_are_those_of_pyclarity(number):
    degrade, audiogram, rate, expected = GOLDEN[number]
    stem, rng = tones(number, rate)
    value = pyclarity(stem, degrade(stem, 0, rng), audiogram, rate)
    assert value == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_thirty_degraded_stems():
    pytest.importorskip("clarity.evaluator.haaqi", reason="pyclarity is not installed")
    pairs = []
    for i, (name, stem, degraded) in enumerate(thirty()):
        audiogram = NAMES[i % 3]
        pairs.append((pyclarity(stem, degraded, audiogram), ours(stem, degraded, audiogram)))
        sys.stdout.write(f"{name} {audiogram} {pairs[-1][0]:.4f} {pairs[-1][1]:.4f}\n")
    theirs, mine = np.transpose(pairs)
    correlation = spearmanr(theirs, mine)[0]
    sys.stdout.write(f"at most {np.abs(theirs - mine).max():.4f}, ranks {correlation:.4f}\n")
    assert len(pairs) == 30
    assert np.ptp(theirs) > 0.4
    assert np.abs(theirs - mine).max() < 0.02
    assert correlation >= 0.97
