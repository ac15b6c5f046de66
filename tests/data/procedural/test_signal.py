import numpy as np
import pytest

from asteroid_slicq.data.procedural.signal import (
    adsr,
    biquad,
    compress,
    db,
    equalise,
    fade,
    place,
    saturate,
    smooth_noise,
)

RATE = 44100


def test_units():
    assert db(-20.0) == pytest.approx(0.1)


@pytest.mark.parametrize(("kind", "at"), [("peak", 1000.0), ("low", 20.0), ("high", 20000.0)])
@pytest.mark.parametrize("gain_db", [-7.0, 4.0])
def test_a_section_has_its_gain(kind, at, gain_db):
    x = np.zeros(RATE)
    x[0] = 1.0
    spectrum = np.abs(np.fft.rfft(equalise(x, [biquad(kind, 1000.0, gain_db, 0.7, RATE)])))
    assert 20 * np.log10(spectrum[int(at)]) == pytest.approx(gain_db, abs=0.1)


def test_compression_lowers_the_loud_part_only():
    t = np.arange(RATE) / RATE
    x = np.sin(2 * np.pi * 440 * t) * np.where(t < 0.5, 0.05, 1.0)
    y = compress(x, RATE, threshold_db=-12.0, ratio=4.0)
    assert np.allclose(y[: RATE // 3], x[: RATE // 3])
    late = slice(RATE * 3 // 4, RATE * 9 // 10)
    loss_db = 20 * np.log10(np.abs(y[late]).max() / np.abs(x[late]).max())
    assert loss_db == pytest.approx(-9.0, abs=0.5)  # 12 dB over, three quarters of it taken
    assert not compress(np.zeros((2, 100)), RATE, -10, 4).any()


def test_saturation_is_linear_at_low_level_and_bounded():
    x = np.linspace(-1e-4, 1e-4, 11)
    assert np.allclose(saturate(x, 3.0), x, rtol=1e-6)
    assert np.abs(saturate(np.array([50.0, -50.0]), 4.0)).max() <= 0.25


def test_notes_start_and_end_in_silence():
    env = adsr(1000, RATE, 0.002, 0.1, 0.5, 0.005)
    assert env[0] == 0.0
    assert env[-1] == 0.0
    assert 0.9 < env.max() <= 1.0
    x = fade(np.ones(1000), RATE)
    assert x[-1] < 0.01
    assert x[500] == 1.0


def test_place_drops_what_lies_outside():
    buffer = np.zeros(5)
    place(buffer, np.array([1.0, 2.0, 3.0]), -1)
    place(buffer, np.array([1.0, 2.0, 3.0]), 3, gain=2.0)
    place(buffer, np.ones(2), 9)
    place(buffer, np.ones(2), -9)
    assert buffer.tolist() == [2.0, 3.0, 0.0, 2.0, 4.0]


@pytest.mark.parametrize("length", [1, 2, 1000])
def test_smooth_noise_is_smooth(length):
    x = smooth_noise(np.random.default_rng(0), length, 1000, 5.0)
    assert x.shape == (length,)
    assert np.abs(np.diff(x)).max(initial=0) < 0.05
