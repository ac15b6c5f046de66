"""Instruments of single notes: every key sounds, at its pitch, from two recordings."""

import numpy as np
import pytest

from asteroid_slicq.data.procedural.track import track_song
from asteroid_slicq.data.sampled import guitars
from asteroid_slicq.data.sampled.bass import sampled_bass
from asteroid_slicq.data.sampled.notes import key_of, lay_out
from asteroid_slicq.data.sampled.sampler import Sampler
from asteroid_slicq.data.sampled.zones import Zone

RATE = 44100


@pytest.fixture(scope="module")
def sampler(bank):
    return Sampler(bank, RATE)


def played(sampler, preset, key, seconds=0.25):
    out = np.zeros((2, RATE // 2))
    sampler.play(out, 0, preset, key, 1.0, seconds)
    return out.mean(axis=0)


def test_keys_are_read_from_names():
    assert [key_of(n) for n in ("C4", "Cs4", "A4", "E1", "As-1")] == [60, 61, 69, 28, 10]
    assert [key_of(n) for n in ("README", "H4", "Cb4", "C", "c4")] == [None] * 5


def test_every_key_has_the_nearest_recording_and_another_one():
    samples = {40: 0, 43: 1, 47: 2}
    takes = [lay_out(samples, Zone(0), take) for take in (0, 1)]
    for key in range(21, 109):
        first, second = (
            next(z.sample for z in zones if z.keys[0] <= key <= z.keys[1]) for zones in takes
        )
        assert first != second
        distances = [abs(root - key) for root in samples]
        assert distances[first] == min(distances)
        assert distances[second] == sorted(distances)[1]


@pytest.mark.parametrize("take", [0, 1])
def test_the_pitch_is_that_of_the_key(sampler, take):
    for key in (40, 45, 50):
        x = played(sampler, f"electric-guitar:{take}", key)[2000:11000]
        power = np.abs(np.fft.rfft(x * np.hanning(len(x)), 1 << 17)) ** 2
        f_hz = np.fft.rfftfreq(1 << 17, 1 / RATE)
        expected_hz = 440 * 2 ** ((key - 69) / 12)
        near = (f_hz > 0.8 * expected_hz) & (f_hz < 1.25 * expected_hz)
        found_hz = f_hz[near][np.argmax(power[near])]
        assert 1200 * abs(np.log2(found_hz / expected_hz)) < 25


def test_damped_strings_fall_silent(sampler):
    ringing, damped = (
        played(sampler, f"electric-bass:{take}", 40)[9000:11000] for take in ("0", "damped")
    )
    assert np.abs(damped).max() < 0.2 * np.abs(ringing).max()


def test_instruments_that_have_another_take():
    assert guitars.other_take("electric-guitar:0") == "electric-guitar:1"
    assert guitars.other_take("electric-guitar:1") == "electric-guitar:0"
    assert guitars.other_take("electric-guitar:damped") == "electric-guitar:damped"
    assert guitars.other_take("0:1") == "0:1"


def test_a_driven_guitar_that_is_played_twice_plays_two_takes(sampler, monkeypatch):
    monkeypatch.setattr(guitars, "_UNAMPLIFIED", 1.0)
    song = track_song(4, 2.0)
    plays = np.ones(len(song.presence(np.random.default_rng(0), 0.0)))
    x, again = (guitars.crunch(np.random.default_rng(0), song, sampler, plays) for _ in range(2))
    np.testing.assert_array_equal(x, again)
    assert np.isfinite(x).all()
    assert x.any()
    heard: set[str] = set()
    monkeypatch.setattr(Sampler, "play", lambda s, o, a, preset, *r, **k: heard.add(preset))
    together = set()
    for seed in range(12):
        heard.clear()
        guitars.crunch(np.random.default_rng(seed), song, sampler, plays)
        together.add(tuple(sorted(heard)))
    assert ("electric-guitar:0", "electric-guitar:1") in together
    assert any("electric-guitar:damped" in presets for presets in together)


def test_a_bass_is_played_from_its_notes(sampler, monkeypatch):
    heard = []
    monkeypatch.setattr(Sampler, "play", lambda s, o, a, p, *r, **k: heard.append(p))
    song = next(s for s in (track_song(i, 4.0) for i in range(50)) if s.style == "rock")
    for seed in range(12):
        sampled_bass(np.random.default_rng(seed), song, sampler)
    assert {"electric-bass:0", "electric-bass:1", "electric-bass:damped"} <= set(heard)
