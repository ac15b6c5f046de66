import numpy as np
import pytest

from asteroid_slicq.data.procedural.mixing import (
    active_level,
    balance_stems,
    quantise,
    sum_stems,
)
from asteroid_slicq.vocabulary import STEMS

RATE = 44100


def noise_stems(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return {n: scale * rng.standard_normal((2, RATE)) for n in STEMS}


def test_the_gate_ignores_silence():
    x = np.zeros((2, 4 * RATE))
    x[:, : 2 * RATE] = 0.5
    assert active_level(x, RATE) == pytest.approx(0.5, rel=0.1)
    assert active_level(np.zeros((2, 100)), RATE) == 0.0


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_nothing_clips_and_levels_vary(scale):
    ratios = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        stems = balance_stems(noise_stems(seed, scale), rng, RATE)
        mixture = sum_stems(stems)
        assert np.abs(mixture).max() < 1.0
        assert all(np.abs(x).max() < 1.0 and x.dtype == np.float32 for x in stems.values())
        assert all(abs(x.mean()) < 1e-3 for x in stems.values())
        ratios.append(20 * np.log10(stems["vocals"].std() / stems["other"].std()))
    assert np.std(ratios) > 1.5


def test_silent_stems_stay_silent():
    silent = {n: np.zeros((2, 1000)) for n in STEMS}
    out = balance_stems(silent, np.random.default_rng(0), RATE)
    assert not any(x.any() for x in out.values())


def test_the_quantised_mixture_is_the_sum_of_the_stems():
    stems = balance_stems(noise_stems(1), np.random.default_rng(1), RATE)
    whole = quantise(stems)
    assert all(x.dtype == np.int16 for x in whole.values())
    total = sum(whole[n].astype(np.int64) for n in STEMS)
    assert np.array_equal(total, whole["mixture"])
    assert np.abs(whole["bass"] / 32767 - stems["bass"]).max() <= 0.5 / 32767 + 1e-7


def test_stems_that_clip_are_refused():
    loud = {n: np.full((2, 4), 0.4, np.float32) for n in STEMS}
    with pytest.raises(ValueError, match=r"1\.600"):
        quantise(loud)
