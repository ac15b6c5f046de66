from dataclasses import replace

import numpy as np
import pytest

from asteroid_slicq.data.procedural.phonemes import Syllable
from asteroid_slicq.data.procedural.voice import PREROLL_S, VOICE_TYPES, SungNote, draw_singer, sing

RATE = 44100


def plain(kind="tenor", **changes):
    singer = draw_singer(np.random.default_rng(0), kind)
    steady = {
        "vibrato_cents": 0.0,
        "drift_cents": 0.0,
        "scoop_cents": 0.0,
        "rough": 0.0,
        "breath_db": -50.0,
        "jitter": 1e-4,
        "accent": (1.0,) * 5,
        "bandwidth": 0.8,
    }
    return replace(singer, **{**steady, **changes})


def vowel_note(midi, vowel, length_s=1.0, onset=""):
    return SungNote(0.0, length_s, midi, 0.8, Syllable(onset, vowel, "", ""))


def f0_of(x, low_hz, high_hz):
    """Measure the fundamental from the peak of the autocorrelation."""
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 2 * len(x))) ** 2
    ac = np.fft.irfft(spectrum)[: len(x)]
    low, high = int(RATE / high_hz), int(RATE / low_hz)
    k = low + int(np.argmax(ac[low:high]))
    a, b, c = ac[k - 1 : k + 2]
    return RATE / (k + 0.5 * (a - c) / (a - 2 * b + c))


def middle(x, start_s=0.3, end_s=0.8):
    return x[int((PREROLL_S + start_s) * RATE) : int((PREROLL_S + end_s) * RATE)]


@pytest.mark.parametrize("kind", list(VOICE_TYPES))
def test_a_note_has_its_pitch(kind):
    low, high, _ = VOICE_TYPES[kind]
    for midi in (low + 3, (low + high) / 2, high - 3):
        x = sing([vowel_note(midi, "a")], plain(kind), RATE, np.random.default_rng(1))
        f0 = 440 * 2 ** ((midi - 69) / 12)
        measured = f0_of(middle(x), 0.7 * f0, 1.4 * f0)
        assert abs(1200 * np.log2(measured / f0)) < 8


def test_vibrato_stays_within_its_depth_and_moves():
    singer = plain(vibrato_cents=60.0, vibrato_hz=5.5, vibrato_delay_s=0.1)
    x = sing([vowel_note(57, "a", 2.0)], singer, RATE, np.random.default_rng(1))
    cents = []
    for at in np.arange(0.8, 1.8, 0.02):
        piece = middle(x, at, at + 0.035)
        cents.append(1200 * np.log2(f0_of(piece, 170, 280) / 220.0))
    assert 30 < np.ptp(cents) < 170
    assert abs(np.mean(cents)) < 15


@pytest.mark.parametrize("vowel", ["i", "a", "u"])
def test_vowels_differ_by_their_formants(vowel):
    x = middle(sing([vowel_note(43, vowel)], plain("bass"), RATE, np.random.default_rng(2)))
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    f = np.fft.rfftfreq(len(x), 1 / RATE)

    def level(low, high):
        return 10 * np.log10(power[(f > low) & (f < high)].sum())

    back = level(500, 1300) - level(1700, 2600)
    assert back < -3 if vowel == "i" else back > 3
    open_ = level(600, 1000) - level(200, 420)
    assert open_ > 3 if vowel == "a" else open_ < 0


def test_a_fricative_is_noise_before_the_vowel():
    x = sing([vowel_note(50, "a", 0.6, "s")], plain(), RATE, np.random.default_rng(3))
    hiss = x[int((PREROLL_S - 0.09) * RATE) : int((PREROLL_S - 0.02) * RATE)]
    vowel = middle(x, 0.2, 0.5)

    def high(y):
        power = np.abs(np.fft.rfft(y)) ** 2
        f = np.fft.rfftfreq(len(y), 1 / RATE)
        return power[f > 3500].sum() / power.sum()

    assert high(hiss) > 0.9
    assert high(vowel) < 0.3


def test_silence_before_and_after():
    x = sing([vowel_note(50, "a", 0.5)], plain(), RATE, np.random.default_rng(3))
    assert np.abs(x[: int(0.2 * RATE)]).max() < 1e-6
    assert np.abs(x[int((PREROLL_S + 0.65) * RATE) :]).max() < 0.01 * np.abs(x).max()
    with pytest.raises(ValueError, match="notes"):
        sing([], plain(), RATE, np.random.default_rng(0))
