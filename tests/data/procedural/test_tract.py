import numpy as np
import pytest

from asteroid_slicq.data.procedural.oscillator import phase_of, scan
from asteroid_slicq.data.procedural.phonemes import CODAS, CONSONANTS, ONSETS, VOWELS
from asteroid_slicq.data.procedural.tract import filter_frames, glottal_tables, tract_response

RATE = 44100
HOP = 256


def test_phoneme_tables_agree():
    assert set(ONSETS) - {""} == set(CONSONANTS)
    assert set(CODAS) - {""} <= set(CONSONANTS)
    assert all(f1 < f2 < f3 for f1, f2, f3 in (vowel.formants for vowel in VOWELS.values()))
    assert {glide for vowel in VOWELS.values() for glide in vowel.glides} <= set(VOWELS)


@pytest.mark.parametrize("vowel", ["i", "E", "a", "u"])
def test_the_response_peaks_at_the_formants(vowel):
    formants = np.array([*VOWELS[vowel].formants, 3400.0, 4450.0])
    f_hz = np.arange(0.0, 6000.0, 5.0)
    h = np.abs(tract_response(formants[:, None], f_hz, 1.0, 0.8, 0.0))[0]
    peaks = f_hz[1:-1][(h[1:-1] > h[:-2]) & (h[1:-1] > h[2:])]
    for target in formants[:3]:
        assert np.abs(peaks - target).min() < 0.06 * target + 20
    assert h[0] == pytest.approx(1.0)


def test_a_flat_response_changes_nothing():
    x = np.random.default_rng(0).standard_normal(20 * HOP)
    flat = np.ones((22, 4 * HOP + 1), dtype=complex)
    assert np.allclose(filter_frames(x, flat, HOP)[HOP:], x[HOP:], atol=1e-5)


def test_effort_brightens_the_pulse():
    phase = phase_of(np.full(RATE, 200.0), RATE)
    tables = glottal_tables(200.0, RATE)
    f = np.fft.rfftfreq(RATE, 1 / RATE)
    power = [np.abs(np.fft.rfft(scan(tables, phase, p))) ** 2 for p in (0.0, 2.5, 5.0)]
    centroids = [(f * p).sum() / p.sum() for p in power]
    assert centroids[0] < centroids[1] < centroids[2]
