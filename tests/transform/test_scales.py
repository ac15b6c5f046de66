import re
import warnings

import numpy as np
import pytest
import torch

from asteroid_slicq.transform import design_frame
from asteroid_slicq.transform.scales import WARPS, design_scale
from asteroid_slicq.vocabulary import SCALES

RANGE = (50.0, 16000.0)
BY_COUNT = sorted(set(SCALES) - {"octave"})  # the scales on which n_bins is the number of bins
FROM_ZERO = ["bark", "erb", "linear", "mel"]

# Each axis once more, from Hz to its unit, as the literature prints it.
AXES = {
    "bark": lambda f: 6 * np.log(f / 600 + np.sqrt((f / 600) ** 2 + 1)),
    "mel": lambda f: 2595 * np.log10(1 + f / 700),
    "erb": lambda f: 21.4 * np.log10(1 + 0.00437 * f),
    "log": np.log2,
    "vqlog": np.log2,
    "octave": np.log2,
    "linear": lambda f: f / 1000,
}


def frequency_at(scale, k, n_bins, f_min_hz, f_max_hz):
    """F(k) of a fractional k, by bisection on the printed axis."""
    axis = AXES[scale]
    unit = axis(f_min_hz) + k * (axis(f_max_hz) - axis(f_min_hz)) / (n_bins - 1)
    low, high = np.full_like(unit, f_min_hz / 2), np.full_like(unit, f_max_hz * 2)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = np.where(axis(middle) < unit, (middle, high), (low, middle))
    return (low + high) / 2


@pytest.mark.parametrize("scale", BY_COUNT)
def test_bins_are_equally_spaced_on_the_printed_axis(scale):
    f_hz, _ = design_scale(scale, 40, *RANGE)
    assert f_hz == pytest.approx(frequency_at(scale, np.arange(40.0), 40, *RANGE), rel=1e-12)


@pytest.mark.parametrize("scale", FROM_ZERO)
def test_q_is_that_of_a_bin_as_wide_as_its_neighbours_are_apart(scale):
    f_hz, q = design_scale(scale, 40, *RANGE)
    # Richardson's extrapolation of the central difference of F, from half a bin and a quarter
    half, quarter = (
        [frequency_at(scale, np.arange(1.0, 39.0) + s * d, 40, *RANGE) for s in (1, -1)]
        for d in (0.5, 0.25)
    )
    slope = (4 * (quarter[0] - quarter[1]) / 0.5 - (half[0] - half[1])) / 3
    assert q[1:-1] == pytest.approx(f_hz[1:-1] / (2 * slope), rel=1e-6)


@pytest.mark.parametrize("scale", ["log", "octave"])
def test_constant_q_is_half_the_quotient_of_half_a_bin_to_either_side(scale):
    f_hz, q = design_scale(scale, {"log": 49, "octave": 12}[scale], 55.0, 55.0 * 2**4)
    assert f_hz == pytest.approx([55 * 2 ** (k / 12) for k in range(49)], rel=1e-13)
    assert q == pytest.approx(np.full(49, 1 / (2 * (2 ** (1 / 24) - 2 ** (-1 / 24)))), rel=1e-12)


@pytest.mark.parametrize("gamma_hz", [0.0, 3, 30.0])
def test_variable_q_has_the_bandwidth_of_the_paper(gamma_hz):
    f_hz, q = design_scale("vqlog", 49, 55.0, 55.0 * 2**4, gamma_hz=gamma_hz)
    assert (f_hz == design_scale("log", 49, 55.0, 55.0 * 2**4)[0]).all()
    bandwidth_hz = [f * (2 ** (1 / 12) - 2 ** (-1 / 12)) + gamma_hz for f in f_hz]
    assert f_hz / q == pytest.approx(bandwidth_hz, rel=1e-12)


def test_variable_q_without_gamma_is_the_distance_of_the_neighbours_and_near_constant_q():
    f_hz, q = design_scale("vqlog", 49, 55.0, 880.0)
    assert (f_hz / q)[1:-1] == pytest.approx(f_hz[2:] - f_hz[:-2], rel=1e-12)
    constant_q = design_scale("log", 49, 55.0, 880.0)[1]
    assert q == pytest.approx(constant_q / np.cosh(np.log(2) / 24), rel=1e-12)


@pytest.mark.parametrize("scale", BY_COUNT)
@pytest.mark.parametrize("f_range", [RANGE, (32.9, 22050.0), (0.1, 0.3)])
def test_both_ends_are_exact(scale, f_range):
    f_hz, q = design_scale(scale, 40, *f_range)
    assert len(f_hz) == len(q) == 40
    assert (f_hz[0], f_hz[-1]) == f_range
    assert (np.diff(f_hz) > 0).all()
    assert (q > 0).all()


@pytest.mark.parametrize("bins_per_octave", [1, 12, 31])
@pytest.mark.parametrize("f_max_hz", [110.0, 119.0, 440.0, 879.9, 22050.0])
def test_octave_scale_keeps_its_steps_and_ends_below_f_max(bins_per_octave, f_max_hz):
    f_hz, q = design_scale("octave", bins_per_octave, 55.0, f_max_hz)
    assert f_hz[0] == 55
    assert f_hz[1:] / f_hz[:-1] == pytest.approx(2 ** (1 / bins_per_octave), rel=1e-12)
    assert f_hz[-1] <= f_max_hz < f_hz[-1] * 2 ** (1 / bins_per_octave)
    assert len(q) == len(f_hz)


@pytest.mark.parametrize("steps", range(1, 60))
def test_octave_scale_ends_at_f_max_where_that_is_on_the_grid(steps):
    f_max_hz = 32.7 * 2 ** (steps / 12)
    f_hz, _ = design_scale("octave", 12, 32.7, f_max_hz)
    assert len(f_hz) == steps + 1
    assert f_hz[-1] == f_max_hz


@pytest.mark.parametrize("scale", FROM_ZERO)
def test_scales_from_0_hz_are_finite(scale):
    f_hz, q = design_scale(scale, 100, 0, 22050)
    assert f_hz[0] == q[0] == 0
    assert np.isfinite(q).all()
    assert (q[1:] > 0).all()
    again = design_scale((f_hz, q), 0, 0, 0)
    assert (again[0] == f_hz).all()
    assert (again[1] == q).all()
    assert design_frame(scale, 100, 0.0).frequencies_hz[1] == f_hz[1]


@pytest.mark.parametrize("scale", sorted(WARPS))
def test_derivative_is_that_of_the_inverse(scale):
    warp = WARPS[scale]
    units = warp.forward(np.linspace(40.0, 20000.0, 50))
    h = 1e-5 * np.abs(units).max()
    numeric = (warp.inverse(units + h) - warp.inverse(units - h)) / (2 * h)
    assert warp.derivative(units) == pytest.approx(numeric, rel=1e-5)


@pytest.fixture(scope="module")
def nsgt_scales():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("nsgt", reason="nsgt is not installed (CONTRIBUTING.md)").fscale


@pytest.mark.parametrize(
    ("scale", "theirs"), [("log", "LogScale"), ("linear", "LinScale"), ("mel", "MelScale")]
)
@pytest.mark.parametrize(("n_bins", "f_range"), [(96, (32.7, 22050.0)), (7, (100.0, 1000.0))])
def test_parity_with_nsgt(nsgt_scales, scale, theirs, n_bins, f_range):
    f_hz, q = design_scale(scale, n_bins, *f_range)
    nsgt_f_hz, nsgt_q = getattr(nsgt_scales, theirs)(*f_range, n_bins)()
    assert f_hz == pytest.approx(nsgt_f_hz, rel=1e-12)
    # nsgt's mel Q divides by a difference of F over 2e-8 bins, which cancels 6 to 8 digits.
    assert q == pytest.approx(nsgt_q, rel=2e-5 if scale == "mel" else 1e-12)


def test_q_of_nsgt_on_mel_differs_by_its_numeric_derivative_alone(nsgt_scales):
    _, q = design_scale("mel", 96, 32.7, 22050.0)
    theirs = nsgt_scales.MelScale(32.7, 22050.0, 96)
    theirs.dbnd = d = 0.5  # wide enough for the rounding to vanish
    # F is an exponential, so its central difference over ±d is F'·2·sinh(step·d)/step.
    step = np.log((22050 + 700) / (32.7 + 700)) / 95
    assert q == pytest.approx(theirs()[1] * np.sinh(step * d) / (step * d), rel=1e-12)


@pytest.mark.parametrize(
    ("bins_per_octave", "f_range"), [(12, (55.0, 880.0)), (24, (27.5, 7040.0)), (1, (25.0, 800.0))]
)
def test_parity_with_nsgt_over_whole_octaves(nsgt_scales, bins_per_octave, f_range):
    f_hz, q = design_scale("octave", bins_per_octave, *f_range)
    # a hair below, or else rounding makes nsgt count one step more
    f_min_hz, f_max_hz = f_range[0], f_range[1] * (1 - 1e-13)
    nsgt_f_hz, nsgt_q = nsgt_scales.OctScale(f_min_hz, f_max_hz, bins_per_octave)()
    assert f_hz == pytest.approx(nsgt_f_hz, rel=1e-10)
    assert q == pytest.approx(nsgt_q, rel=1e-10)


def test_off_the_grid_nsgt_narrows_the_steps_to_those_of_our_log_scale(nsgt_scales):
    nsgt_f_hz, nsgt_q = nsgt_scales.OctScale(32.7, 22050.0, 12)()
    f_hz, q = design_scale("log", len(nsgt_f_hz), 32.7, 22050.0)
    assert f_hz == pytest.approx(nsgt_f_hz, rel=1e-10)
    assert q == pytest.approx(nsgt_q, rel=1e-10)
    ours, _ = design_scale("octave", 12, 32.7, 22050.0)
    assert len(ours) == len(f_hz) - 1
    assert ours[12] == pytest.approx(2 * ours[0], rel=1e-14)
    assert f_hz[12] < 1.999 * f_hz[0]


@pytest.mark.parametrize(
    ("theirs", "arguments"),
    [
        ("OctScale", (40.0, 16000.0, 12)),
        ("LogScale", (40.0, 16000.0, 30)),
        ("LinScale", (40.0, 16000.0, 30)),
        ("MelScale", (0.0, 16000.0, 30)),
    ],
)
def test_scale_objects_of_nsgt_plug_in(nsgt_scales, theirs, arguments):
    scale = getattr(nsgt_scales, theirs)(*arguments)
    for mine, nsgts in zip(design_scale(scale, 0, 0.0, 0.0), scale(), strict=True):
        assert (mine == nsgts).all()


F, Q = [100.0, 200.0, 400.0], [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "scale",
    [
        (F, Q),
        [F, Q],
        (np.array(F), np.array(Q, dtype=np.float32)),
        (np.array(F, dtype=np.int64), tuple(Q)),
        np.array([F, Q]),
        (torch.tensor(F), torch.tensor(Q, dtype=torch.float64, requires_grad=True)),
        lambda: (F, Q),
        lambda: np.array([F, Q]),
    ],
)
def test_a_pair_of_arrays_is_the_scale_whatever_else_is_said(scale):
    f_hz, q = design_scale(scale, 0, -1.0, -2.0)
    assert f_hz.dtype == q.dtype == np.float64
    assert (f_hz.tolist(), q.tolist()) == (F, Q)


def test_given_arrays_are_neither_shared_nor_changed():
    given = np.array(F), torch.tensor(Q, dtype=torch.float64)
    f_hz, q = design_scale(given, 0, 0.0, 0.0)
    f_hz[0] = q[0] = 7
    assert given[0].tolist() == F
    assert given[1].tolist() == Q


def values_that_work(message):
    return re.search(r"(?:nearest that works|works): (\S+)", message).group(1)


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("scale", ("bach", 10, 10.0, 100.0)),
        ("scale", ("octaves", 10, 10.0, 100.0)),
        *(("n_bins", (scale, 1, 10.0, 100.0)) for scale in BY_COUNT),
        ("n_bins", ("octave", 0, 10.0, 100.0)),
        ("n_bins", ("octave", -12, 10.0, 100.0)),
        *(("f_min_hz", (scale, 12, 100.0, 100.0)) for scale in SCALES),
        *(("f_min_hz", (scale, 12, 200.0, 100.0)) for scale in SCALES),
        *(("f_min_hz", (scale, 12, -1.0, 100.0)) for scale in SCALES),
        *(("f_min_hz", (scale, 12, np.nan, 100.0)) for scale in SCALES),
        *(("f_min_hz", (scale, 12, np.inf, 100.0)) for scale in SCALES),
        *(("f_min_hz", (scale, 12, 0.0, 100.0)) for scale in ("log", "vqlog", "octave")),
        ("f_min_hz", ("octave", 12, 95.0, 100.0)),
        ("f_min_hz", ("octave", 1, 95.0, 100.0)),
        *(("f_max_hz", (scale, 12, 20.0, -1.0)) for scale in SCALES),
        *(("f_max_hz", (scale, 12, 20.0, np.inf)) for scale in SCALES),
        *(("f_max_hz", (scale, 12, 20.0, np.nan)) for scale in SCALES),
        *(("gamma_hz", (scale, 12, 20.0, 100.0, 5.0)) for scale in {*SCALES} - {"vqlog"}),
        *(("gamma_hz", ("vqlog", 12, 20.0, 100.0, gamma)) for gamma in (-1.0, np.inf, np.nan)),
        ("gamma_hz", ((F, Q), 12, 20.0, 100.0, 5.0)),
        ("gamma_hz", (lambda: (F, Q), 12, 20.0, 100.0, 5.0)),
    ],
)
def test_an_error_names_argument_value_and_the_nearest_that_works(argument, arguments):
    named = dict(
        zip(("scale", "n_bins", "f_min_hz", "f_max_hz", "gamma_hz"), arguments, strict=False)
    )
    with pytest.raises(ValueError, match=rf"^{argument}\b.* got {named[argument]!r}") as error:
        design_scale(**named)
    nearest = values_that_work(str(error.value)).strip("'")
    as_type = {"scale": str, "n_bins": int}.get(argument, float)
    f_hz, q = design_scale(**(named | {argument: as_type(nearest)}))
    assert (np.diff(f_hz) > 0).all()
    assert np.isfinite(q).all()


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("bach", 10, 10.0, 100.0), "'bark'"),
        (("Mels", 10, 10.0, 100.0), "'mel'"),
        (("vq-log", 10, 10.0, 100.0), "'vqlog'"),
        (("mel", 0, 10.0, 100.0), "2"),
        (("octave", 0, 10.0, 100.0), "1"),
        (("mel", 10, -3.0, 100.0), "0.0"),
        (("log", 10, 0.0, 22050.0), "0.02205"),
        (("mel", 10, 300.0, 100.0), "99.9999"),
        (("octave", 1, 60.0, 100.0), "50.0"),
        (("octave", 1, 60.0, -100.0), "120.0"),
    ],
)
def test_the_nearest_value_that_works(arguments, nearest):
    with pytest.raises(ValueError, match="nearest") as error:
        design_scale(*arguments)
    assert values_that_work(str(error.value)) == nearest


def test_an_unknown_scale_lists_those_there_are():
    with pytest.raises(
        ValueError, match="one of bark, erb, linear, log, mel, octave, vqlog, got 'bach'"
    ):
        design_scale("bach", 10, 10.0, 100.0)


@pytest.mark.parametrize(
    ("scale", "error", "message"),
    [
        (None, TypeError, "scale must be a pair.*None"),
        (3, TypeError, "scale must be a pair.*3"),
        (F, TypeError, r"scale must be a pair.*\[100.0, 200.0, 400.0\]"),
        ((F, Q, Q), TypeError, "scale must be a pair"),
        (("bark", "mel"), TypeError, "f_hz of scale must be an array of real numbers.*bark"),
        ((F, [1j, 1j, 1j]), TypeError, "q of scale must be an array of real numbers"),
        ((F, [[1.0], [1.0, 2.0]]), TypeError, "q of scale must be an array of numbers"),
        (([F], Q), ValueError, r"f_hz of scale must have one dimension.*works: \(3,\)"),
        ((F, 2.0), ValueError, r"q of scale must have one dimension.*works: \(1,\)"),
        ((F, Q[:2]), ValueError, "one length of at least 2, got 3 and 2; nearest that works: 2"),
        ((F[:1], Q[:1]), ValueError, "one length of at least 2, got 1 and 1.*works: 2"),
        (([], []), ValueError, "one length of at least 2, got 0 and 0"),
        (([1.0, np.nan], [1.0, 1.0]), ValueError, "f_hz of scale must be finite, got nan .* 1"),
        (([1.0, 2.0], [np.inf, 1.0]), ValueError, "q of scale must be finite, got inf .* 0"),
        (([-1.0, 2.0], [1.0, 1.0]), ValueError, r"at least 0 Hz, got f_hz\[0\] = -1.0.*: 0.0 Hz"),
        ((F[::-1], Q), ValueError, r"increase strictly, got f_hz\[0\] = 400.0 .* sorted"),
        (([1.0, 2.0, 2.0], Q), ValueError, r"strictly.* f_hz\[2\] = 2.0 .*: f_hz\[2\] above 2.0"),
        ((F, [1.0, 0.0, 1.0]), ValueError, r"above 0.*got q\[1\] = 0.0.*works: 0.66"),
        (([0.0, 1.0], [-1.0, 1.0]), ValueError, r"above 0.*got q\[0\] = -1.0.*works: 0.0"),
        (lambda: F, TypeError, "what scale returns must be a pair"),
        (lambda: None, TypeError, "what scale returns must be a pair.*None"),
        (lambda n_bins: (F, Q), TypeError, "scale must return .* without arguments: .*n_bins"),
        (lambda: (F[::-1], Q), ValueError, "f_hz of what scale returns must increase strictly"),
    ],
)
def test_what_is_no_scale_is_refused(scale, error, message):
    with pytest.raises(error, match=message):
        design_scale(scale, 10, 10.0, 100.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_bins", 10.0),
        ("n_bins", "10"),
        ("n_bins", None),
        ("f_min_hz", "10"),
        ("f_max_hz", None),
        ("gamma_hz", None),
    ],
)
def test_a_wrong_type_is_named(name, value):
    arguments = {"scale": "vqlog", "n_bins": 10, "f_min_hz": 10.0, "f_max_hz": 100.0}
    with pytest.raises(TypeError, match=f"^{name} must be .* got {value!r}"):
        design_scale(**arguments | {name: value})
