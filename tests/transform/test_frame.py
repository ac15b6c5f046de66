import dataclasses
import inspect
import json
import re

import numpy as np
import pytest
import torch

from asteroid_slicq.transform import FrameConfig, SliCQT, design_frame, frame_of
from asteroid_slicq.transform.scales import design_scale
from tests.helpers import DATA

TABLES = json.loads((DATA / "slicqt_block_tables.json").read_text())
SCALE_NAMES = {"cqlog": "log"}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_block_table(name):
    table = TABLES[name]
    scale = SCALE_NAMES.get(table["scale"], table["scale"])
    frame = design_frame(scale, table["n_bins"], table["f_min_hz"])
    assert frame.slice_length == table["slice_length"]
    assert frame.transition_length == table["transition_length"]
    assert frame.n_bins == table["n_bins_actual"]
    for length, blocks in table["blocks_bins_slices_coefs"].items():
        assert frame.table(int(length)) == blocks


def test_default_has_70_blocks_of_18640_coefficients():
    frame = design_frame()
    assert len(frame.blocks) == 70
    assert frame.blocks[:5] == ((1, 28), (86, 16), (14, 20), (11, 24), (9, 28))
    assert frame.blocks[-1] == (1, 292)
    assert frame.coefficients_per_slice == 18640
    assert frame.redundancy == pytest.approx(4.13, abs=0.005)


def test_positions_are_even_and_widths_multiples_of_four():
    frame = design_frame("mel", 128, 40.0)
    assert not (frame.positions % 2).any()
    assert not (frame.widths % 4).any()
    assert frame.widths.min() >= 16


@pytest.mark.parametrize("scale", ["bark", "mel", "log", "erb", "linear"])
@pytest.mark.parametrize("factor", [1.0, 1.5, 2.2])
def test_widths_are_distances_of_neighbours_times_the_factor(scale, factor):
    """docs/transform.md: L_k = 4·round(factor · (ν_{k+1} − ν_{k−1}) / 4), other at the ends."""
    frame = design_frame(scale, 48, 200.0, 20_000.0, bandwidth_factor=factor, min_width=4)
    f_hz, q = design_scale(scale, 48, 200.0, 20_000.0)
    bins = frame.slice_length / 44100
    nu = np.concatenate([[0], f_hz, [22050]]) * bins
    raw = np.empty(50)
    raw[1:-1] = factor * (nu[2:] - nu[:-2])
    raw[1], raw[-2] = factor * nu[1] / q[0], factor * nu[-2] / q[-1]
    raw[0], raw[-1] = 2 * nu[1], 2 * (nu[-1] - nu[-2])
    assert np.array_equal(frame.widths, np.maximum(4, 4 * np.round(raw / 4)))
    assert np.array_equal(frame.positions, 2 * np.round(nu / 2))


def test_a_wider_band_takes_a_shorter_slice():
    """The slice resolves the narrowest bin by 8 DFT bins of it."""
    lengths = [design_frame(bandwidth_factor=factor).slice_length for factor in (1, 1.5, 2)]
    assert lengths == [18060, 12040, 9032]
    frame = design_frame("log", 60, 50.0)
    f_hz, q = design_scale("log", 60, 50.0, 22050.0)
    needed = (8 * q * 44100 / f_hz).max()
    assert needed <= frame.slice_length < needed + 4


@pytest.mark.parametrize("hz", [20.0, 30.0, 47.3, 200.0, 1000.0])
@pytest.mark.parametrize("scale", ["bark", "mel"])
@pytest.mark.parametrize("slice_length", [None, 40_000])
def test_no_bin_is_narrower_than_min_bandwidth_hz(scale, hz, slice_length):
    arguments = {"scale": scale, "n_bins": 300, "f_min_hz": 30.0, "slice_length": slice_length}
    frame = design_frame(**arguments, min_bandwidth_hz=hz)
    step_hz = 44100 / frame.slice_length
    floor = 4 * np.ceil(hz / step_hz / 4 - 1e-6)
    assert frame.widths.min() == max(16, floor)
    if slice_length:  # wider bins stay as they are
        free = design_frame(**arguments)
        assert np.array_equal(frame.widths, np.maximum(free.widths, floor))
    else:  # the floor in DFT bins is not the one that holds
        assert frame.widths.min() == floor or frame.slice_length < 16 * 44100 / hz


def test_the_frame_for_new_models():
    """docs/transform.md, "Which frame?": mel 600, 20 Hz up, Hann, at least 30 Hz."""
    frame = design_frame("mel", 600, 20.0, window="hann", min_bandwidth_hz=30.0, overlap_added=True)
    assert frame.widths.min() * 44100 / frame.slice_length == pytest.approx(30, rel=0.01)
    assert frame.redundancy == pytest.approx(2.14, abs=0.01)


# The arguments as one object


def test_a_configuration_has_the_signature_of_the_transform_and_of_the_design():
    of_config = list(inspect.signature(FrameConfig).parameters.values())
    for function in (design_frame, SliCQT):
        parameters = list(inspect.signature(function).parameters.values())[:16]
        assert [(p.name, p.default) for p in parameters] == [(p.name, p.default) for p in of_config]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"scale": "mel", "n_bins": np.int64(90), "f_min_hz": np.float32(40), "f_max_hz": 2e4},
        {"sample_rate": 16000, "slice_length": 16384, "transition_length": 100, "window": "hann"},
        {"min_width": 32, "min_bandwidth_hz": 50.0, "bandwidth_factor": 1.5, "phase": "global"},
        {"scale": "vqlog", "n_bins": 60, "gamma_hz": 10.0, "rasterize": "piecewise"},
        {"rasterize": "full", "overlap_added": True, "n_coefficients": 512},
        {"scale": (np.linspace(1000, 21000, 20), torch.full((20,), 3.0))},
        {"scale": lambda: design_scale("bark", 40, 50.0, 16000.0)},
    ],
    ids=lambda arguments: " ".join(arguments) or "default",
)
def test_every_argument_reaches_the_frame(arguments):
    config = FrameConfig(**arguments)
    slicqt = SliCQT(**arguments)
    assert slicqt.frame_config == config
    assert hash(slicqt.frame_config) == hash(config)
    assert slicqt.config == dataclasses.asdict(config)
    assert FrameConfig(**json.loads(json.dumps(slicqt.config))) == config
    frames = frame_of(config), design_frame(**arguments), slicqt.frame
    for name in (field.name for field in dataclasses.fields(frames[0])):
        first, *others = (getattr(frame, name) for frame in frames)
        assert all(equal(first, other) for other in others), name


def equal(a, b) -> bool:
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(np.array_equal, a, b))
    return np.array_equal(a, b)


# Wrong arguments, and one that works


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"sample_rate": 0}, "sample_rate"),
        ({"sample_rate": float("inf")}, "sample_rate"),
        ({"f_max_hz": 30000.0}, "f_max_hz"),
        ({"f_min_hz": 22050.0}, "f_min_hz"),
        ({"f_min_hz": 21000.0, "f_max_hz": 20000.0}, "f_min_hz"),
        ({"f_min_hz": 5000.0, "f_max_hz": 4000.0}, "f_max_hz"),
        ({"f_min_hz": -1.0}, "f_min_hz"),
        ({"f_min_hz": 20000.0}, "f_min_hz"),
        ({"n_bins": 30, "f_max_hz": 9000.0}, "f_max_hz"),
        ({"n_bins": -3}, "n_bins"),
        ({"n_bins": 1}, "n_bins"),
        ({"n_bins": 2}, "n_bins"),
        ({"scale": "octave", "n_bins": 1}, "n_bins"),
        ({"scale": "log", "n_bins": 5}, "n_bins"),
        ({"slice_length": 18062}, "slice_length"),
        ({"slice_length": 18058}, "slice_length"),
        ({"slice_length": 0}, "slice_length"),
        ({"slice_length": -4}, "slice_length"),
        ({"transition_length": 3}, "transition_length"),
        ({"transition_length": 0}, "transition_length"),
        ({"transition_length": 9032}, "transition_length"),
        ({"min_width": 10}, "min_width"),
        ({"min_width": 0}, "min_width"),
        ({"n_bins": 20, "min_width": 2000}, "min_width"),
        ({"min_bandwidth_hz": -1.0}, "min_bandwidth_hz"),
        ({"min_bandwidth_hz": 22049.0}, "min_bandwidth_hz"),
        ({"min_bandwidth_hz": 22050.0}, "min_bandwidth_hz"),
        ({"bandwidth_factor": 0.0}, "bandwidth_factor"),
        ({"bandwidth_factor": 50.0}, "bandwidth_factor"),
        ({"bandwidth_factor": 0.4}, "bandwidth_factor"),  # holes between the bins
        ({"scale": "vqlog", "gamma_hz": 20_000.0}, "gamma_hz"),
        ({"n_coefficients": 290, "rasterize": "full"}, "n_coefficients"),
        ({"n_coefficients": 302, "rasterize": "full"}, "n_coefficients"),
        ({"n_coefficients": 300}, "n_coefficients"),
    ],
    ids=str,
)
def test_the_value_that_an_error_names_works(arguments, named):
    with pytest.raises(ValueError, match=named) as told:
        design_frame(**arguments)
    message = str(told.value)
    pattern = rf"; (?:nearest that works: |{named} = )(None|-?[\d.]+\d|\d)"
    found = re.findall(pattern, message)
    assert len(found) == 1, message
    value = None if found[0] == "None" else float(found[0])
    if value is not None and (named.startswith("n_") or named.endswith(("_length", "_width"))):
        value = int(value)
    design_frame(**{**arguments, named: value})


@pytest.mark.parametrize("slice_length", [2048, 9000, 18056])
def test_a_slice_too_short_for_its_q_names_two_ways_out(slice_length):
    with pytest.raises(ValueError, match=r"too short for Q = 1.684 at 32.9 Hz") as told:
        design_frame(slice_length=slice_length)
    shortest, hz = re.search(
        r"works is (\d+), or min_bandwidth_hz = ([\d.]+)", f"{told.value}"
    ).groups()
    assert design_frame(slice_length=int(shortest)).slice_length == design_frame().slice_length
    design_frame(slice_length=slice_length, min_bandwidth_hz=float(hz))
    with pytest.raises(ValueError, match="too short"):
        design_frame(slice_length=slice_length, min_bandwidth_hz=0.99 * float(hz))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"window": "kaiser"}, "window must be one of blackman-harris, hann, sine, got 'kaiser'"),
        ({"rasterize": "matrix"}, "rasterize must be one of none, piecewise, full, got 'matrix'"),
        ({"phase": "absolute"}, "phase must be one of local, global, got 'absolute'"),
        ({"scale": ([3e4, 4e4], [1.0, 1.0])}, "from 30000.0 Hz to 40000.0 Hz; one at 11025.0 Hz"),
        ({"scale": ([3e3, 4e3], [1.0, 1.0])}, "22050 Hz is too wide.*highest above that"),
        ({"n_bins": 2, "f_min_hz": 2e4, "f_max_hz": 2.1e4}, "0 Hz is too wide.*lowest bin must"),
        ({"n_bins": 2, "f_min_hz": 20000.0, "slice_length": 64}, "slice_length"),
    ],
)
def test_other_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        design_frame(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_bins": 262.0},
        {"slice_length": "long"},
        {"transition_length": 4516.0},
        {"min_width": True},
        {"sample_rate": "44100"},
        {"f_min_hz": None},
        {"f_max_hz": "nyquist"},
        {"min_bandwidth_hz": None},
        {"bandwidth_factor": 1j},
        {"gamma_hz": None},
    ],
    ids=str,
)
def test_wrong_types_are_named(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(TypeError, match=f"{name} must be.*got {re.escape(repr(value))}"):
        design_frame(**arguments)
