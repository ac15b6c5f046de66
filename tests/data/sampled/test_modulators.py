import pytest

from asteroid_slicq.data.sampled.modulators import Modulator, offsets

POSITIVE, FALLING, BIPOLAR = 0, 0x100, 0x200
LINEAR, CONCAVE, CONVEX, SWITCH = (curve << 10 for curve in range(4))
VELOCITY, KEY = 2, 3


def value(operator, key=60, velocity=100):
    return offsets([Modulator(operator, 8, 1)], key, velocity)[8]


@pytest.mark.parametrize(
    ("operator", "at_0", "at_64", "at_127"),
    [
        (LINEAR | POSITIVE, 0, 0.5, 127 / 128),
        (LINEAR | FALLING, 1, 0.5, 1 / 128),
        (LINEAR | BIPOLAR, -1, 0, 63 / 64),
        (LINEAR | BIPOLAR | FALLING, 1, 0, -63 / 64),
        (CONCAVE | POSITIVE, 0, 0.1269, 1),
        (CONCAVE | FALLING, 1, 0.1240, 0),
        (CONVEX | POSITIVE, 0, 0.8760, 1),
        (CONVEX | FALLING, 1, 0.8731, 0),
        (CONCAVE | BIPOLAR, -1, 0.0014, 1),
        (CONVEX | BIPOLAR | FALLING, 1, -0.1235, -1),
        (SWITCH | POSITIVE, 0, 1, 1),
        (SWITCH | FALLING, 1, 0, 0),
        (SWITCH | BIPOLAR, -1, 1, 1),
        (SWITCH | BIPOLAR | FALLING, 1, -1, -1),
    ],
)
def test_curves(operator, at_0, at_64, at_127):
    for x, expected in ((0, at_0), (64, at_64), (127, at_127)):
        assert value(operator | VELOCITY, velocity=x) == pytest.approx(expected, abs=1e-3)
        assert value(operator | KEY, key=x) == value(operator | VELOCITY, velocity=x)


@pytest.mark.parametrize("curve", [LINEAR, CONCAVE, CONVEX, SWITCH])
def test_curves_rise_or_fall(curve):
    for polarity in (0, BIPOLAR):
        up = [value(curve | polarity | VELOCITY, velocity=v) for v in range(128)]
        down = [value(curve | polarity | FALLING | VELOCITY, velocity=v) for v in range(128)]
        assert up == sorted(up)
        assert down == sorted(down, reverse=True)


def test_a_tenth_of_the_velocity_is_40_db_softer():
    (soft,) = offsets([Modulator(0x0502, 48, 960)], 60, 13).values()
    assert soft == pytest.approx(396, abs=1)


def test_amounts_add_up_and_are_scaled():
    two = [Modulator(VELOCITY, 11, 1000, KEY), Modulator(0, 11, 30), Modulator(VELOCITY, 8, -64)]
    assert offsets(two, 32, 64) == {11: 0.25 * 500 + 30, 8: -32}
    falling = Modulator(LINEAR | BIPOLAR | VELOCITY, 8, 100, 0, 2)
    assert offsets([falling], 60, 32) == {8: 50}
