"""Facts about every layout: how exactly it goes back, and how fast its passes converge."""

import itertools

import pytest
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.transform import contraction
from tests.helpers import double_noise as noise
from tests.transform.helpers import FRAMES, PHASES, RASTERS, below_db, build


def cases(quick_frames):
    """Some frames in one layout, and every layout of a scale, quickly."""

    def is_quick(frame, raster, phase):
        one = (raster, phase) == ("none", "local") and frame in quick_frames
        return one or frame == "bark"

    return pytest.mark.parametrize(
        ("frame", "raster", "phase"),
        [
            pytest.param(*case, marks=() if is_quick(*case) else pytest.mark.slow)
            for case in itertools.product(FRAMES, RASTERS, PHASES)
        ],
    )


@cases(quick_frames=FRAMES)
def test_sliced_layouts_reconstruct(frame, raster, phase):
    slicqt = build(frame, rasterize=raster, phase=phase)
    n = slicqt.frame.slice_length
    for length in (1, 2, 3, n // 2 + 1, 3 * n + 7):
        x = noise(2, length)
        slicqt.double()
        assert (slicqt.inverse(slicqt(x), length) - x).abs().max() <= 1e-12
        slicqt, x = slicqt.float(), x.float()
        assert (slicqt.inverse(slicqt(x), length) - x).abs().max() <= 1e-5


@cases(quick_frames=("uneven arrays", "octave", "two bins", "long transition"))
def test_overlap_added_layouts_reconstruct(frame, raster, phase):
    slicqt = build(frame, rasterize=raster, overlap_added=True, phase=phase)
    n = slicqt.frame.slice_length
    for length in (1, round(2.5 * n) + 1) if phase == "local" else (3, n // 2 + 1):
        x = noise(2, length)
        slicqt.double()
        assert below_db(slicqt.inverse(slicqt(x), length) - x, x) > 250
        slicqt, x = slicqt.float(), x.float()
        assert below_db(slicqt.inverse(slicqt(x), length) - x, x) > 120


@pytest.mark.parametrize("raster", ["none", pytest.param("full", marks=pytest.mark.slow)])
def test_one_pass_of_the_recommended_frame_is_within_80_db(raster):
    slicqt = SliCQT(window="hann", min_width=32, rasterize=raster, overlap_added=True)
    x = noise(44101).float()
    coefficients = slicqt(x)
    assert below_db(slicqt.synthesis(coefficients, 44101) - x, x) > 80
    assert below_db(slicqt.inverse(coefficients, 44101, passes=2) - x, x) > 120
    assert slicqt.passes_needed(torch.complex64) <= 3
    assert slicqt.passes_needed(torch.complex128) <= 5


def test_a_thousand_bins_reconstruct():
    slicqt = SliCQT("mel", 1000, 20.0, min_bandwidth_hz=30.0, window="hann").double()
    x = noise(30001)
    assert (slicqt.inverse(slicqt(x), 30001) - x).abs().max() <= 1e-12


@pytest.mark.parametrize(
    ("frame", "raster"),
    [
        *(("bark", raster) for raster in RASTERS),
        *((frame, "none") for frame in ("bark, published window", "log", "short transition")),
    ],
)
def test_error_after_n_passes_is_bounded_by_the_norm(frame, raster):
    slicqt = build(frame, rasterize=raster, overlap_added=True)
    norm = contraction(slicqt.maps(torch.float64))
    x = noise(6 * slicqt.frame.slice_length + 5)
    coefficients = slicqt(x)
    for passes in range(1, 8):
        error = (slicqt.inverse(coefficients, len(x), passes=passes) - x).norm()
        assert error <= (1.1 * norm) ** passes * x.norm() + 1e-13 * x.norm()


@pytest.mark.parametrize("raster", RASTERS)
def test_synthesis_of_a_sliced_layout_is_its_inverse(raster):
    slicqt = build(rasterize=raster)
    coefficients = slicqt(noise(1000))
    assert torch.equal(slicqt.synthesis(coefficients, 900), slicqt.inverse(coefficients, 900))


def test_inverse_passes_default_to_those_needed():
    slicqt = build("log", overlap_added=True)
    c = slicqt(noise(2000))
    passes = slicqt.passes_needed(torch.complex128)
    assert torch.equal(slicqt.inverse(c, 2000), slicqt.inverse(c, 2000, passes=passes))
    assert torch.equal(slicqt.synthesis(c, 2000), slicqt.inverse(c, 2000, passes=1))
