"""Facts about every layout: what a block holds, where, and how exactly it goes back."""

import itertools
import math

import numpy as np
import pytest
import torch

from asteroid_slicq import SliCQT
from asteroid_slicq.transform import contraction, overlap_add
from tests.helpers import double_noise as noise
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


# Reconstruction


def is_quick(frame, raster, phase) -> bool:
    """Every frame in one layout, and every layout of a scale and of a pair of arrays."""
    return (raster, phase) == ("none", "local") or frame in ("bark", "uneven arrays")


each_frame_and_layout = pytest.mark.parametrize(
    ("frame", "raster", "phase"),
    [
        pytest.param(*case, marks=() if is_quick(*case) else pytest.mark.slow)
        for case in itertools.product(FRAMES, RASTERS, PHASES)
    ],
)


@each_frame_and_layout
def test_sliced_layouts_reconstruct(frame, raster, phase):
    slicqt = build(frame, rasterize=raster, phase=phase)
    n = slicqt.frame.slice_length
    for length in (1, 2, 3, n // 2 + 1, 3 * n + 7):
        x = noise(2, length)
        slicqt.double()
        assert (slicqt.inverse(slicqt(x), length) - x).abs().max() <= 1e-12
        slicqt, x = slicqt.float(), x.float()
        assert (slicqt.inverse(slicqt(x), length) - x).abs().max() <= 1e-5


@each_frame_and_layout
def test_overlap_added_layouts_reconstruct(frame, raster, phase):
    slicqt = build(frame, rasterize=raster, overlap_added=True, phase=phase)
    n = slicqt.frame.slice_length
    for length in (1, round(2.5 * n) + 1) if phase == "local" else (3, n // 2 + 1):
        x = noise(2, length)
        slicqt.double()
        assert below_db(slicqt.inverse(slicqt(x), length) - x, x) > 250
        slicqt, x = slicqt.float(), x.float()
        assert below_db(slicqt.inverse(slicqt(x), length) - x, x) > 120


@pytest.mark.parametrize("raster", RASTERS)
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


@pytest.mark.parametrize("frame", ["bark", "bark, published window", "log", "short transition"])
@pytest.mark.parametrize("raster", RASTERS)
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


# Shapes


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
    """DESIGN: T = 2^o·⌈L_max / 2^o⌉, M_k = T / 2^(⌈log2(T/L_k)⌉ − 1), no more than T."""
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


# What the numbers are


@pytest.mark.parametrize("raster", RASTERS)
@pytest.mark.parametrize("phase", PHASES)
def test_coefficients_are_the_idft_of_the_windowed_spectrum(raster, phase):
    slicqt = build("mel from 0 Hz", rasterize=raster, phase=phase)
    frame = slicqt.frame
    n, hop = frame.slice_length, frame.slice_hop
    x = noise(3 * n)
    s = 3
    spectrum = np.fft.fft(x.numpy()[(s - 1) * hop : (s + 1) * hop] * frame.slicing_window)
    for k, row in enumerate(rows(slicqt(x))):
        p, m, width = int(frame.positions[k]), int(frame.lengths[k]), int(frame.widths[k])
        j = np.arange(width) - width // 2
        times = np.arange(m)[:, None]
        turn = (j + p if phase == "global" else j) * times % m / m
        cut = spectrum[(p + j) % n] * frame.windows[k] * (-1) ** (p // 2)
        expected = (cut * np.exp(2j * np.pi * turn)).sum(-1) / m
        assert np.abs(row[s].numpy() - expected).max() < 1e-13


@pytest.mark.parametrize("raster", RASTERS)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("length", [3, 2900])
def test_overlap_added_is_the_overlap_add_of_the_slices(raster, phase, length):
    sliced = build("erb, wider", rasterize=raster, phase=phase)
    added = build("erb, wider", rasterize=raster, phase=phase, overlap_added=True)
    x = noise(2, length)
    for slices, stream in zip(listed(sliced(x)), listed(added(x)), strict=True):
        n_slices, m = slices.shape[-2:]
        expected = torch.zeros_like(stream)
        for s in range(n_slices):
            expected[..., s * m // 2 : s * m // 2 + m] += slices[..., s, :]
        assert (stream - expected).abs().max() < 1e-14


@pytest.mark.parametrize("raster", RASTERS)
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("frame", ["bark", "mel from 0 Hz", "plateau to Nyquist"])
def test_a_click_peaks_at_its_time(frame, added, raster):
    slicqt = build(frame, rasterize=raster, overlap_added=added)
    frame = slicqt.frame
    rate, length = frame.sample_rate, 4 * frame.slice_length
    for click in (frame.slice_length, frame.slice_length + frame.slice_hop // 3, 2 * length // 3):
        x = torch.zeros(length, dtype=torch.float64)
        x[click] = 1
        axes = frame.time_s(length)
        for block, times, hop in zip(listed(slicqt(x)), axes, frame.hop_per_block, strict=True):
            peaks = times.ravel()[block.flatten(1).abs().argmax(-1)]
            assert np.abs(peaks - click / rate).max() <= hop / rate


@pytest.mark.parametrize("raster", RASTERS)
@pytest.mark.parametrize("added", [False, True])
def test_a_sine_peaks_in_its_bin(added, raster):
    slicqt = build("log", rasterize=raster, overlap_added=added)
    frame = slicqt.frame
    hz = np.concatenate(frame.frequency_hz())
    assert np.array_equal(hz, frame.frequencies_hz)
    time = torch.arange(4 * frame.slice_length, dtype=torch.float64) / RATE
    for k in range(1, frame.n_bins - 1):
        level = [
            row.abs().square().mean() * m**2  # of the spectrum's slots
            for row, m in zip(
                rows(slicqt(torch.sin(2 * torch.pi * hz[k] * time))), frame.lengths, strict=True
            )
        ]
        assert int(np.argmax(level)) == k


@pytest.mark.parametrize("raster", RASTERS)
@pytest.mark.parametrize("added", [False, True])
def test_phase_of_a_sine_at_a_bin(added, raster):
    """Locally it stands still; globally it turns at the sine's frequency, over slices too."""
    layout = {"rasterize": raster, "overlap_added": added}
    local, other = build(**layout, phase="local"), build(**layout, phase="global")
    frame = local.frame
    n = frame.slice_length
    length = 6 * n
    starts = np.cumsum([0, *frame.bins_per_block])
    for k in range(frame.n_bins // 3, frame.n_bins - 2):
        hz = frame.positions[k] * RATE / n
        time = torch.arange(length, dtype=torch.float64) / RATE
        x = torch.cos(2 * torch.pi * hz * time + 0.4)
        block = int(np.searchsorted(starts, k, side="right")) - 1
        at = frame.time_s(length)[block]
        inside = (at > 2 * n / RATE) & (at < 4 * n / RATE)
        still = rows(local(x))[k].numpy()
        heard = inside & (np.abs(still) > 0.2 * np.abs(still).max())
        assert heard.sum() >= 16
        assert np.ptp(np.angle(still[heard] * np.exp(-1j * np.angle(still[heard][0])))) < 2e-3

        turning = rows(other(x))[k].numpy()
        rest = turning[heard] * np.exp(-2j * np.pi * hz * at[heard])
        assert np.ptp(np.angle(rest * np.exp(-1j * np.angle(rest[0])))) < 2e-3
        step = np.angle(turning[..., 1:] / turning[..., :-1])[heard[..., 1:] & heard[..., :-1]]
        expected = 2 * np.pi * hz * frame.hop_per_block[block] / RATE
        assert np.abs(np.angle(np.exp(1j * (step - expected)))).max() < 2e-3


@pytest.mark.parametrize("raster", RASTERS)
@pytest.mark.parametrize("added", [False, True])
def test_global_phase_is_the_local_one_turned(added, raster):
    layout = {"rasterize": raster, "overlap_added": added}
    local, other = build("octave", **layout), build("octave", **layout, phase="global")
    frame = local.frame
    x = noise(4000)
    for k, (a, b) in enumerate(zip(rows(local(x)), rows(other(x)), strict=True)):
        turns = np.arange(a.shape[-1]) * int(frame.positions[k]) % int(frame.lengths[k])
        factor = torch.from_numpy(np.exp(2j * np.pi * turns / frame.lengths[k]))
        assert (b - a * factor).abs().max() < 1e-14


# How it is computed does not matter


@each_layout
@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_chunks_change_nothing(layout, chunk):
    plain, chunked = build("erb, wider", **layout), build("erb, wider", **layout, chunk=chunk)
    results = []
    for slicqt in (plain, chunked):
        x = noise(3, 4 * plain.frame.slice_length + 11).requires_grad_()
        blocks = listed(slicqt(x))
        y = slicqt.inverse(blocks, x.shape[-1], passes=2)
        loss = sum(block.abs().square().sum() for block in blocks) + y.pow(3).sum()
        results.append([*blocks, y, *torch.autograd.grad(loss, x)])
    for one, other in zip(*results, strict=True):
        assert (one - other).abs().max() < 1e-12 * one.abs().max()


@each_layout
def test_inputs_stay_as_they_are(layout):
    slicqt = build(**layout)
    x = noise(2, 1500)
    before = x.clone()
    blocks = listed(slicqt(x))
    copies = [block.clone() for block in blocks]
    slicqt.inverse(blocks, 1500)
    assert torch.equal(x, before)
    assert all(torch.equal(a, b) for a, b in zip(blocks, copies, strict=True))


@each_layout
def test_items_of_a_batch_are_independent(layout):
    slicqt = build(**layout)
    x = noise(2, 3, 1, 1501)
    blocks = listed(slicqt(x))
    back = slicqt.inverse(blocks, 1501)
    assert back.shape == x.shape
    alone = listed(slicqt(x[1, 2, 0]))
    for block, one in zip(blocks, alone, strict=True):
        assert (block[1, 2, 0] - one).abs().max() < 1e-14
    assert (back[1, 2, 0] - slicqt.inverse(alone, 1501)).abs().max() < 1e-14


@each_layout
def test_both_directions_are_linear(layout):
    slicqt = build(**layout)
    x, y = noise(1500), noise(1500, seed=1)
    a, b = listed(slicqt(x)), listed(slicqt(y))
    for both, one, other in zip(listed(slicqt(2 * x - 3 * y)), a, b, strict=True):
        assert (both - (2 * one - 3 * other)).abs().max() < 1e-13
    changed = [(1 + 0.5j) * one.conj() for one in a]
    both = slicqt.inverse([2 * u - 3 * v for u, v in zip(changed, b, strict=True)], 1500)
    apart = 2 * slicqt.inverse(changed, 1500) - 3 * slicqt.inverse(b, 1500)
    assert (both - apart).abs().max() < 1e-12


@each_layout
def test_views_and_shorter_lengths_are_taken(layout):
    slicqt = build(**layout)
    x = noise(1500, 2).t()  # not contiguous
    blocks = listed(slicqt(x))
    strided = [block.mT.contiguous().mT for block in blocks]
    whole = slicqt.inverse(blocks, 1500, passes=3)
    assert (slicqt.inverse(strided, 1500, passes=3) - whole).abs().max() < 1e-14
    assert (whole[..., :700] - slicqt.inverse(blocks, 700, passes=3)[..., :700]).abs().max() < 1e-2
