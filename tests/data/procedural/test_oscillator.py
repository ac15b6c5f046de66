import numpy as np
import pytest

from asteroid_slicq.data.procedural.oscillator import (
    CUTOFFS_HZ,
    cutoff_position,
    filtered_tables,
    phase_of,
    scan,
    wave_tables,
)

RATE = 44100


def test_a_table_of_one_harmonic_is_a_sine():
    phase = phase_of(np.full(2000, 441.0), RATE)
    x = scan(wave_tables(np.array([[-1j]])), phase)
    assert np.allclose(x, np.sin(2 * np.pi * phase), atol=1e-4)


def test_scanning_blends_neighbours():
    tables = wave_tables(np.array([[-1j], [-3j]]))
    phase = np.linspace(-1.0, 3.0, 500)
    assert np.allclose(scan(tables, phase, 0.5), 2 * np.sin(2 * np.pi * phase), atol=1e-4)
    assert np.allclose(scan(tables, phase, 9.0), 3 * np.sin(2 * np.pi * phase), atol=1e-4)


@pytest.mark.parametrize("f0_hz", [55.0, 440.0, 3000.0])
def test_a_saw_has_no_aliases(f0_hz):
    x = scan(filtered_tables("saw", f0_hz, 0.7, RATE), phase_of(np.full(RATE, f0_hz), RATE), 16.0)
    power = np.abs(np.fft.rfft(x * np.hanning(RATE))) ** 2
    bins = np.arange(len(power))
    off = np.abs(bins - f0_hz * np.round(bins / f0_hz)) > 3
    assert power[off].sum() < 1e-6 * power.sum()


def test_the_cutoff_decides_the_brightness():
    phase = phase_of(np.full(8192, 110.0), RATE)
    f = np.fft.rfftfreq(8192, 1 / RATE)

    def centroid(cutoff_hz):
        x = scan(filtered_tables("saw", 110.0, 0.7, RATE), phase, cutoff_position(cutoff_hz))
        power = np.abs(np.fft.rfft(x)) ** 2
        return (f * power).sum() / power.sum()

    assert centroid(200.0) < centroid(1000.0) < centroid(8000.0)
    assert cutoff_position(CUTOFFS_HZ[3]) == pytest.approx(3.0)
