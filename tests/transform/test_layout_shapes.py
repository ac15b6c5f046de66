"""Facts about every layout: how many coefficients a block holds, and when they are."""

import math

import numpy as np
import pytest
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.transform import overlap_add
from tests.helpers import double_noise as noise
from tests.helpers import listed
from tests.transform.helpers import FRAMES, RASTERS, build, each_layout


def test_overlap_add_by_hand():
    x = torch.arange(24.0).view(2, 3, 4)
    expected = torch.zeros(2, 8)
    for s in range(3):
        expected[:, 2 * s : 2 * s + 4] += x[:, s]
    assert torch.equal(overlap_add(x), expected)


@each_layout
@pytest.mark.parametrize("frame", ["bark", "octave", "linear", "two bins"])
def test_shapes_are_those_that_the_frame_tells(frame, layout):
    slicqt = build(frame, **layout)
    frame = slicqt.frame
    for length in (1, 700, 5001):
        coefficients = slicqt(noise(2, length))
        assert isinstance(coefficients, torch.Tensor) == (layout["rasterize"] == "full")
        blocks = listed(coefficients)
        times, frequencies = frame.time_s(length), frame.frequency_hz()
        slices = frame.n_slices(length)
        assert slices == math.ceil(length / frame.slice_hop) + 1
        for block, (n, m), t, f in zip(blocks, frame.blocks, times, frequencies, strict=True):
            last = ((slices + 1) * m // 2,) if layout["overlap_added"] else (slices, m)
            assert block.shape == (2, n, *last)
            assert t.shape == last
            assert f.shape == (n,)
    numbers = 2 * sum(block[0].numel() for block in listed(slicqt(noise(1, 400 * frame.slice_hop))))
    assert numbers / (400 * frame.slice_hop) == pytest.approx(frame.redundancy, rel=0.01)


@pytest.mark.parametrize(
    ("layout", "redundancy"),
    [
        ({}, 4.13),
        ({"overlap_added": True}, 2.06),
        ({"rasterize": "full", "overlap_added": True}, 8.5),
        ({"rasterize": "full"}, 17.0),
    ],
)
def test_redundancies_of_the_published_frame(layout, redundancy):
    frame = SliCQT(**layout).frame
    assert frame.redundancy == pytest.approx(redundancy, abs=0.01)


@pytest.mark.parametrize("frame", FRAMES)
def test_raster_lengths(frame):
    """docs/transform.md: T = 2^o·⌈L_max / 2^o⌉, M_k = T / 2^(⌈log2(T/L_k)⌉ − 1), no more than T."""
    ragged, piecewise, full = (build(frame, rasterize=raster).frame for raster in RASTERS)
    assert np.array_equal(ragged.lengths, ragged.widths)
    assert set(full.lengths) == {full.widths.max()}
    assert len(full.blocks) == 1
    scale = piecewise.frequencies_hz[1:-1]
    octaves = max(2, math.ceil(math.log2(scale[-1] / scale[0])))
    top = 2**octaves * math.ceil(piecewise.widths.max() / 2**octaves)
    for width, length in zip(piecewise.widths.tolist(), piecewise.lengths.tolist(), strict=True):
        assert top % length == 0
        assert width <= length <= top
        assert length % 4 == 0
        share = 2 ** max(0, math.ceil(math.log2(top / width)) - 1)
        assert length == max(top // share, top // 2 ** (octaves - 2))
    assert len(piecewise.blocks) <= len(ragged.blocks)
