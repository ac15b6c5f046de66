"""Facts about conversion between the layouts of one frame."""

import itertools
import re

import numpy as np
import pytest
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.transform import convert
from tests.helpers import double_noise as noise
from tests.helpers import listed

SMALL = {"n_bins": 12, "f_min_hz": 150.0, "sample_rate": 8000}
RASTERS = {
    "ragged": {},
    "piecewise": {"rasterize": "piecewise"},
    "full": {"rasterize": "full"},
    "longer": {"rasterize": "full", "n_coefficients": 80},
}
LAYOUTS = {
    f"{name}, {phase}": {**raster, "phase": phase}
    for name, raster in RASTERS.items()
    for phase in ("local", "global")
}
PAIRS = list(itertools.permutations(LAYOUTS, 2))
ALIKE = [
    (source, target)
    for source, target in PAIRS
    if {source.split(",")[0], target.split(",")[0]}
    in ({"ragged"}, {"piecewise"}, {"full"}, {"longer"}, {"full", "longer"})
]
LENGTH = 1501


def build(layout: str, **more) -> SliCQT:
    return SliCQT(**{**SMALL, **LAYOUTS[layout], **more}).double()


def arbitrary(slicqt: SliCQT, *shape: int) -> list[torch.Tensor]:
    """Coefficients that no signal has, shaped as those of a waveform of a shape."""
    generator = torch.Generator().manual_seed(1)
    blocks = listed(slicqt(torch.zeros(shape, dtype=torch.float64)))
    return [torch.randn(block.shape, generator=generator, dtype=block.dtype) for block in blocks]


def distance(one, other) -> float:
    pairs = zip(listed(one), listed(other), strict=True)
    assert all(a.shape == b.shape for a, b in zip(listed(one), listed(other), strict=True))
    return max(float((a - b).abs().max()) for a, b in pairs)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_coefficients_of_a_signal_become_those_of_the_other_layout(source, target):
    ours, theirs = build(source), build(target)
    x = noise(2, 1, LENGTH)
    found = convert(ours(x), ours, theirs)
    assert isinstance(found, torch.Tensor) == (theirs.config["rasterize"] == "full")
    assert distance(found, theirs(x)) < 1e-14


@pytest.mark.parametrize(("source", "target"), ALIKE)
def test_masked_coefficients_sound_the_same_where_both_rasters_weigh_bins_alike(source, target):
    """The canonical dual weighs bins by M_k: alike in all matrices, and in both phases."""
    ours, theirs = build(source), build(target)
    c = arbitrary(ours, 2, LENGTH)
    expected = ours.inverse(c, LENGTH)
    assert (theirs.inverse(convert(c, ours, theirs), LENGTH) - expected).abs().max() < 1e-13


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_there_and_back(source, target):
    """The identity by way of a longer raster; an orthogonal projection by way of a shorter one."""
    ours, theirs = build(source), build(target)
    c = arbitrary(ours, LENGTH)
    back = listed(convert(convert(c, ours, theirs), theirs, ours))
    if (ours.frame.lengths <= theirs.frame.lengths).all():
        assert distance(back, c) < 1e-13
        return
    again = convert(convert(back, ours, theirs), theirs, ours)
    assert distance(again, back) < 1e-13
    for whole, part in zip(c, back, strict=True):
        product = ((whole - part).conj() * part).sum(-1).abs()
        assert product.max() < 1e-12
        assert (part.norm(dim=-1) < whole.norm(dim=-1) + 1e-13).all()


@pytest.mark.parametrize("phase", ["local", "global"])
def test_a_longer_raster_interpolates_the_shorter_one(phase):
    """[S14]: at the times that both have, the numbers are the same but for 1/M of the IDFT."""
    ragged = build(f"ragged, {phase}")
    m = int(ragged.frame.widths.max())
    one, twice = (
        build(f"full, {phase}", n_coefficients=length)(noise(LENGTH)) for length in (m, 2 * m)
    )
    assert distance(2 * twice[..., ::2], one) < 1e-14


@pytest.mark.parametrize("source", [name for name in LAYOUTS if "longer" not in name])
@pytest.mark.parametrize("target", ["ragged, local", "piecewise, global", "full, local"])
def test_slices_add_up_to_the_overlap_added_layout(source, target):
    ours, theirs = build(source), build(target, overlap_added=True)
    for length in (3, LENGTH):
        x = noise(2, length)
        assert distance(convert(ours(x), ours, theirs), theirs(x)) < 1e-14


@pytest.mark.parametrize("raster", RASTERS)
@pytest.mark.parametrize("phases", [("local", "global"), ("global", "local")])
def test_overlap_added_layouts_change_their_phase(raster, phases):
    ours, theirs = (build(f"{raster}, {phase}", overlap_added=True) for phase in phases)
    x = noise(2, 60_000)
    assert distance(convert(ours(x), ours, theirs), theirs(x)) < 1e-13


def test_frames_stand_for_their_transforms():
    ours, theirs = build("ragged, local"), build("full, global")
    c = ours(noise(LENGTH))
    (found,) = convert(c, ours.frame, theirs.frame)  # a frame alone returns blocks
    assert torch.equal(found, convert(c, ours, theirs))
    assert distance(convert(convert(c, ours, theirs), theirs, ours.frame), c) < 1e-14


def test_no_conversion_is_none():
    slicqt = build("piecewise, global")
    c = slicqt(noise(LENGTH))
    assert all(
        a is b for a, b in zip(convert(c, slicqt, build("piecewise, global")), c, strict=True)
    )


@pytest.mark.parametrize("source", ["piecewise, global", "full, local"])
def test_single_precision_leading_axes_and_inputs_left_alone(source):
    ours, theirs = build(source).float(), build("ragged, local").float()
    x = noise(2, 3, 1, LENGTH).float()
    c = listed(ours(x))
    copies = [block.clone() for block in c]
    found = convert(c, ours, theirs)
    assert {block.dtype for block in found} == {torch.complex64}
    assert distance(found, theirs(x)) < 1e-6
    assert distance(c, copies) == 0


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("ragged, local", "full, global"),
        ("full, global", "ragged, local"),
        ("piecewise, local", "piecewise, global"),
    ],
)
@pytest.mark.parametrize("added", [False, True])
def test_gradcheck(source, target, added):
    few = {"n_bins": 4, "f_min_hz": 900.0, "f_max_hz": 3000.0, "window": "hann"}
    ours, theirs = build(source, **few), build(target, **few, overlap_added=added)
    c = [block.requires_grad_() for block in arbitrary(ours, 50)]
    assert torch.autograd.gradcheck(lambda *c: convert(c, ours, theirs), c, fast_mode=True)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ({}, {"sample_rate": 16000}, "same sample_rate.*8000 and 16000"),
        ({}, {"slice_length": 1000}, "same slice_length.*and 1000"),
        ({}, {"transition_length": 20}, "same transition_length.*and 20"),
        ({}, {"n_bins": 13, "slice_length": 600}, "same slice_length"),
        ({"slice_length": 600}, {"n_bins": 13, "slice_length": 600}, "same positions"),
        ({}, {"min_width": 20}, "same widths"),
        ({}, {"window": "hann"}, "same analysis windows"),
        ({"overlap_added": True}, {}, "cut into those of slices.*invert with source"),
        (
            {"overlap_added": True},
            {"overlap_added": True, "rasterize": "full"},
            "not between rasters.*invert with source",
        ),
    ],
)
def test_frames_that_differ_in_more_are_refused(source, target, message):
    ours, theirs = SliCQT(**{**SMALL, **source}), SliCQT(**{**SMALL, **target})
    with pytest.raises(ValueError, match=message):
        convert(ours(torch.zeros(LENGTH)), ours, theirs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [], r"blocks \(freq, time\)"),
        (lambda c: c[1:], r"blocks \(freq, time\)"),
        (lambda c: c[0], r"blocks \(freq, time\)"),
        (lambda c: [c[0][..., :-1], *c[1:]], r"blocks \(freq, time\)"),
        (lambda c: [c[0].real, *c[1:]], "complex"),
        (lambda c: [c[0][0, 0, 0], *c[1:]], "axes (…, freq, slice, time)"),
        (lambda c: [c[0][..., 1:, :], *c[1:]], "number of slices"),
        (lambda c: [c[0][:1], *c[1:]], "leading shape"),
        (lambda c: [c[0].to(torch.complex64), *c[1:]], "dtype"),
    ],
)
def test_coefficients_of_another_frame_are_refused(change, message):
    ours = build("ragged, local")
    blocks = change(ours(noise(2, LENGTH)))
    pattern = message if "\\" in message else re.escape(message)
    with pytest.raises(ValueError, match=pattern):
        convert(blocks, ours, build("full, local"))


def test_the_published_frame():
    """Every bin of 70 blocks lands in the row that its frequency has in the matrix."""
    ragged, full = SliCQT(), SliCQT(rasterize="full")
    x = noise(20_000).float()
    found = convert(ragged(x), ragged, full)
    assert distance(found, full(x)) < 1e-6 * float(full(x).abs().max())
    assert np.array_equal(np.concatenate(ragged.frame.frequency_hz()), full.frame.frequency_hz()[0])
