"""Frames in all layouts, small enough for tests, and what tests ask of their coefficients."""

import math

import numpy as np
import pytest
import torch

from asteroid_slicq import SliCQT
from tests.helpers import listed

RASTERS = ("none", "piecewise", "full")
PHASES = ("local", "global")
RATE = 8000
SCALE_ARRAYS = ([110.0, 200.0, 230.0, 500.0, 900.0, 1000.0, 1800.0, 3000.0], [2.0] * 7 + [1.0])

# Every scale, every window, and the parameters that shape a frame.
FRAMES = {
    "bark": {"window": "hann", "min_width": 32},
    "bark, published window": {},
    "mel from 0 Hz": {"scale": "mel", "f_min_hz": 0.0},
    "log": {"scale": "log", "window": "sine"},
    "vqlog": {"scale": "vqlog", "gamma_hz": 30.0, "window": "hann"},
    "octave": {"scale": "octave", "n_bins": 3, "f_max_hz": 3500.0},
    "erb, wider": {"scale": "erb", "bandwidth_factor": 1.5, "window": "hann"},
    "linear": {"scale": "linear", "n_bins": 20},
    "floor in Hz": {"scale": "mel", "n_bins": 40, "min_bandwidth_hz": 150.0, "window": "hann"},
    "uneven arrays": {"scale": SCALE_ARRAYS, "window": "hann"},
    "callable": {"scale": lambda: (np.geomspace(150, 3600, 15), np.full(15, 3.0))},
    "plateau to Nyquist": {"f_max_hz": 2600.0, "window": "hann"},
    "short transition": {"transition_length": 2},
    "long transition": {"slice_length": 1200, "transition_length": 600, "window": "hann"},
    "48 kHz": {"sample_rate": 48000, "n_bins": 30},
    "odd rate": {"sample_rate": 11025.5, "f_max_hz": 5000.0, "n_bins": 24},
    "two bins": {"n_bins": 2, "f_min_hz": 2000.0, "f_max_hz": 3000.0},
}
LAYOUTS = [
    {"rasterize": raster, "overlap_added": added, "phase": phase}
    for raster in RASTERS
    for added in (False, True)
    for phase in PHASES
]


def name_of(layout):
    return "-".join(
        [
            layout["rasterize"],
            "added" if layout["overlap_added"] else "sliced",
            layout["phase"],
        ]
    )


# The global phase turns the coefficients of the local one: quickly, one layout has it.
each_layout = pytest.mark.parametrize(
    "layout",
    [
        pytest.param(layout, id=name_of(layout), marks=pytest.mark.slow)
        if layout["phase"] == "global" and name_of(layout) != "none-added-global"
        else pytest.param(layout, id=name_of(layout))
        for layout in LAYOUTS
    ],
)


def build(frame="bark", **layout) -> SliCQT:
    arguments = {"n_bins": 16, "f_min_hz": 120.0, "sample_rate": RATE, **FRAMES[frame]}
    return SliCQT(**arguments, **layout).double()


def rows(coefficients) -> list[torch.Tensor]:
    """One tensor a bin, (slice, time) or (time,)."""
    return [row for block in listed(coefficients) for row in block]


def below_db(error, signal) -> float:
    return -20 * math.log10(max(float(error.norm() / signal.norm()), 1e-20))
