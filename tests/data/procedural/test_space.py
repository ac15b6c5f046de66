import numpy as np
import pytest

from asteroid_slicq.data.procedural.space import (
    balance,
    centre,
    chorus,
    echo,
    pan,
    position,
    reverberate,
    room_response,
    spread,
    widen,
)

RATE = 44100


@pytest.mark.parametrize("position", [-1.0, -0.3, 0.0, 0.8])
def test_pan_keeps_the_power(position):
    x = np.random.default_rng(0).standard_normal(100)
    y = pan(x, position)
    assert np.sum(y**2) == pytest.approx(2 * np.sum(x**2))
    assert np.sign(np.sum(y[1] ** 2) - np.sum(y[0] ** 2) + 1e-9) == np.sign(position + 1e-9)


@pytest.mark.parametrize("rt60_s", [0.3, 1.0, 2.0])
def test_a_room_decays_by_60_db_in_its_time(rt60_s):
    h = room_response(np.random.default_rng(1), rt60_s, RATE)
    assert np.allclose(np.sum(h**2, axis=-1), 1.0)
    left = np.cumsum(h[0][::-1] ** 2)[::-1]  # Schroeder's integral
    decay_db = 10 * np.log10(left / left[0] + 1e-15)
    at_5, at_25 = np.argmax(decay_db < -5), np.argmax(decay_db < -25)
    assert 3 * (at_25 - at_5) / RATE == pytest.approx(rt60_s, rel=0.45)


def test_reverberation_of_an_impulse_is_the_response():
    h = room_response(np.random.default_rng(2), 0.2, RATE)
    x = np.zeros((2, 5000))
    x[:, 7] = 1.0
    assert np.allclose(reverberate(x, h)[:, 7:], h[:, : 5000 - 7], atol=1e-5)


def test_a_room_answers_on_both_sides():
    h = room_response(np.random.default_rng(2), 0.2, RATE)
    x = np.zeros((2, RATE))
    x[0, :1000] = np.random.default_rng(0).standard_normal(1000)
    level_db = 10 * np.log10(np.mean(reverberate(x, h) ** 2, axis=1))
    assert level_db[0] - level_db[1] == pytest.approx(20 * np.log10(0.6 / 0.4), abs=0.5)
    assert not reverberate(x, h, across=0.0)[1].any()


def test_parts_stand_near_the_middle():
    rng = np.random.default_rng(0)
    places = np.array([position(rng) for _ in range(2000)])
    assert abs(places.mean()) < 0.03
    assert places.std() == pytest.approx(0.3, abs=0.03)
    assert np.abs(places).max() <= 0.9


def test_a_mono_sound_that_is_spread_is_wide_and_sums_to_itself():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(RATE)
    wide = spread(x, rng, RATE)
    assert np.allclose(wide.mean(axis=0), x)
    assert np.corrcoef(wide)[0, 1] < 0.8
    assert np.ptp(10 * np.log10(np.mean(wide**2, axis=1))) < 0.5


@pytest.mark.parametrize("gains", [(1.0, 0.1), (0.0, 1.0), (1.0, 0.9)])
def test_no_side_is_much_louder_than_the_other(gains):
    x = np.array(gains)[:, None] * np.random.default_rng(0).standard_normal((2, RATE))
    level_db = 10 * np.log10(np.mean(centre(x, 3.0) ** 2, axis=1))
    assert abs(level_db[0] - level_db[1]) < 3.4
    if gains == (1.0, 0.9):
        assert np.array_equal(centre(x, 3.0), x)
    assert not centre(np.zeros((2, 10)), 3.0).any()


def test_echoes_fall_and_lie_at_multiples():
    x = np.zeros((2, RATE))
    x[0, 0] = 1.0
    y = echo(x, RATE, 0.1, 0.5, ping_pong=True)
    peaks = [np.abs(y[:, n * 4410 : n * 4410 + 100]).max(axis=1) for n in range(1, 4)]
    assert not y[:, :4410].any()
    assert peaks[0][1] > 0
    assert peaks[0][0] == 0
    assert peaks[0].max() > peaks[1].max() > peaks[2].max() > 0


def test_width():
    x = np.random.default_rng(3).standard_normal((2, 50))
    assert np.allclose(widen(x, 1.0), x)
    assert np.ptp(widen(x, 0.0), axis=0).max() < 1e-12
    assert np.allclose(balance(x, 1.0)[0], 0.0)
    wide = chorus(x[0], RATE, np.random.default_rng(0))
    assert wide.shape == (2, 50)
