import numpy as np
import pytest

from asteroid_slicq.data.procedural.plucked import pluck

RATE = 44100


def partial_hz(x, near_hz):
    """Find a spectral peak near a frequency by parabolic interpolation."""
    size = 4 * len(x)
    power = np.log(np.abs(np.fft.rfft(x * np.hanning(len(x)), size)) + 1e-12)
    low, high = (int(near_hz * s * size / RATE) for s in (0.97, 1.03))
    k = low + int(np.argmax(power[low:high]))
    a, b, c = power[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * RATE / size


@pytest.mark.parametrize("f0_hz", [41.2, 110.0, 329.63, 1318.5])
def test_a_string_is_in_tune(f0_hz):
    x = pluck(f0_hz, 1.0, RATE, rng=np.random.default_rng(0))
    cents = 1200 * np.log2(partial_hz(x, f0_hz) / f0_hz)
    assert abs(cents) < 2.0


def test_stiffness_stretches_the_partials():
    b, f0_hz = 4e-4, 220.0
    x = pluck(f0_hz, 1.0, RATE, stiffness=b, damping_hz=8000, brightness_hz=8000)
    for k in (1, 5, 9):
        assert partial_hz(x, k * f0_hz * np.sqrt(1 + b * k**2)) == pytest.approx(
            k * f0_hz * np.sqrt(1 + b * k**2), rel=1e-3
        )


def test_a_string_decays_by_60_db_in_its_time():
    x = pluck(220.0, 2.0, RATE, decay_s=2.0, damping_hz=1e9)
    early, late = (np.sqrt(np.mean(x[s : s + 4410] ** 2)) for s in (4410, 4410 + 22050))
    assert 20 * np.log10(late / early) == pytest.approx(-60 * 0.5 / 2.0, abs=1.5)


def test_plucking_in_the_middle_removes_even_partials():
    x = pluck(220.0, 1.0, RATE, position=0.5)
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    odd, even = (power[k * 220 - 3 : k * 220 + 4].sum() for k in (3, 2))
    assert even < 1e-3 * odd


@pytest.mark.parametrize("duration_s", [0.0, 0.001, 0.7])
def test_short_sounds(duration_s):
    x = pluck(100.0, duration_s, RATE)
    assert x.shape == (max(int(duration_s * RATE), 1),)
    assert np.isfinite(x).all()
