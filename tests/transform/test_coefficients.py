"""Facts about every layout: what the numbers are, in formulas, of clicks and of sines."""

import numpy as np
import pytest
import torch

from tests.helpers import double_noise as noise
from tests.helpers import listed
from tests.transform.helpers import PHASES, RASTERS, RATE, build, rows


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
