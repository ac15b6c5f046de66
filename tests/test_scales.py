import numpy as np
import pytest

from asteroid_slicq.scales import WARPS, design_scale


@pytest.mark.parametrize("scale", sorted(WARPS))
def test_ends_are_exact_and_units_equally_spaced(scale):
    f_hz, q = design_scale(scale, 40, 50.0, 16000.0)
    assert f_hz[[0, -1]] == pytest.approx([50, 16000], rel=1e-12)
    steps = np.diff(WARPS[scale].forward(f_hz))
    assert steps == pytest.approx(np.full(39, steps[0]), rel=1e-9)
    assert (q > 0).all()


@pytest.mark.parametrize("scale", sorted(WARPS))
def test_derivative_is_that_of_the_inverse(scale):
    warp = WARPS[scale]
    units = warp.forward(np.linspace(40.0, 20000.0, 50))
    h = 1e-5 * np.abs(units).max()
    numeric = (warp.inverse(units + h) - warp.inverse(units - h)) / (2 * h)
    assert warp.derivative(units) == pytest.approx(numeric, rel=1e-5)


def test_log_scale_has_constant_q_of_its_neighbours():
    f_hz, q = design_scale("log", 49, 55.0, 55.0 * 2**4)
    assert np.ptp(q) < 1e-12
    assert q[0] == pytest.approx(1 / (2 * (2 ** (1 / 24) - 2 ** (-1 / 24))), rel=1e-12)
    assert f_hz[12] == pytest.approx(110.0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("bach", 10, 10.0, 100.0), "scale"),
        (("bark", 1, 10.0, 100.0), "n_bins"),
        (("bark", 10, 100.0, 100.0), "f_min_hz"),
        (("bark", 10, -1.0, 100.0), "f_min_hz"),
        (("log", 10, 0.0, 100.0), "f_min_hz"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        design_scale(*arguments)
