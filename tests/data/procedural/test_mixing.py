import numpy as np
import pytest

from asteroid_slicq.data.procedural.mixing import (
    active_level,
    balance_stems,
    duck,
    limiting_gain,
    mix_down,
    quantise,
    sum_stems,
)
from asteroid_slicq.vocabulary import STEMS

RATE = 44100
PARTS = slice(0, 1500), slice(6000, 9000)  # of the time between kicks: near one, far of both


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


@pytest.mark.parametrize("most_db", [0.0, 6.0, 40.0])
def test_no_peak_passes_the_ceiling(most_db):
    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal((2, RATE))
    x[0, 20000] = x[1, 0] = 3.0
    gain = limiting_gain([x, x / 2], 0.9, most_db, RATE)
    assert np.abs(gain * x).max() <= 0.9 + 1e-9
    assert gain.min() >= 0.3 * 0.999
    # Away from the peaks all is turned down by what the limiter may not do.
    assert gain[10000] == pytest.approx(min(1.0, 0.3 * 10 ** (most_db / 20)))
    assert limiting_gain([x], 4.0, most_db, RATE).min() == 1.0


def test_a_kick_ducks_what_sounds_with_it():
    kick = np.zeros((2, RATE))
    kick[:, 20000:24000] = np.sin(2 * np.pi * 60 / RATE * np.arange(4000))
    tone = np.ones((2, RATE))
    ducked = duck(tone, kick, 6.0, RATE)
    assert ducked.min() == pytest.approx(0.5, abs=0.05)
    assert ducked[0].argmin() in range(19000, 27000)
    assert ducked[:, [1000, 40000]].min() > 0.98
    assert np.array_equal(duck(tone, np.zeros_like(kick), 6.0, RATE), tone)


def test_dance_music_is_ducked_and_folk_hardly_ever():
    stems = noise_stems(0)
    stems["drums"] = np.zeros((2, RATE))
    stems["drums"][:, ::11025] = 100.0
    for style, few, many in (("dance", 0.35, 0.85), ("folk", 0.0, 0.2)):
        n_ducked = 0
        for seed in range(40):
            mix = mix_down(stems, style, np.random.default_rng(seed), RATE)
            # The vocals are never ducked, and share all gains of the whole.
            other, vocals = (mix[name][:, 11025:].reshape(2, 3, -1) for name in ("other", "vocals"))
            near, far = (np.std(other[..., i]) / np.std(vocals[..., i]) for i in PARTS)
            n_ducked += near < 0.95 * far
        assert few <= n_ducked / 40 <= many


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
