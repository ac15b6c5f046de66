"""Facts about pictures: cells tile the plane, lie where they sound, and read a sine's level."""

import sys
from itertools import pairwise

import numpy as np
import pytest
import torch

from asteroid_slicq import SliCQT

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from asteroid_slicq.plotting import (
    drawing_transform,
    plot_spectrogram,
    plot_stft,
    plot_waveform_spectrogram,
)
from asteroid_slicq.plotting.cells import cells_of, slicqt_analysis, stft_analysis
from asteroid_slicq.transform import STFT
from tests.helpers import noise

RATE = 8000
FRAME = {"n_bins": 40, "f_min_hz": 80.0, "sample_rate": RATE, "window": "hann"}
LAYOUTS = {
    "sliced": {},
    "overlap-added": {"overlap_added": True},
    "global phase": {"phase": "global"},
    "piecewise": {"rasterize": "piecewise"},
    "piecewise, overlap-added": {"rasterize": "piecewise", "overlap_added": True},
    "matrix": {"rasterize": "full", "overlap_added": True},
    "sliced matrix": {"rasterize": "full"},
}


def sine(f_hz, seconds=2.0):
    return torch.cos(2 * torch.pi * f_hz * torch.arange(int(seconds * RATE)) / RATE)[None]


def draw(slicqt, waveform, **options):
    return plot_spectrogram(slicqt(waveform), slicqt.frame, waveform.shape[-1], **options)


def meshes(ax):
    """Time edges, frequency edges and levels of each block that was drawn, low ones first."""
    for mesh in ax.collections:
        corners = mesh.get_coordinates()
        yield corners[0, :, 0], corners[:, 0, 1], np.asarray(mesh.get_array())


def level_at(ax, t_s, f_hz):
    for edges_s, edges_hz, level in meshes(ax):
        if edges_hz[0] <= f_hz < edges_hz[-1]:
            row = np.searchsorted(edges_hz, f_hz, "right") - 1
            return level[row, np.searchsorted(edges_s, t_s, "right") - 1]
    raise AssertionError(f"nothing is drawn at {f_hz} Hz")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sine_reads_its_level_at_its_frequency(layout):
    slicqt = SliCQT(**FRAME, **LAYOUTS[layout])
    for k in (2, 13, 37):
        f_hz = float(slicqt.frame.frequencies_hz[k])
        ax = draw(slicqt, 0.5 * sine(f_hz), reference=0.5)
        for t_s in (0.5, 1.0, 1.31):
            assert level_at(ax, t_s, f_hz) == pytest.approx(0, abs=0.5)
        (rows,) = np.nonzero(np.concatenate([level.max(1) for *_, level in meshes(ax)]) > -1)
        assert len(rows) <= 2  # the sine and, where its window is as loud, a neighbour


def test_a_sine_near_nyquist_reads_its_level_too():
    """Though the coefficients of the last bin hold it twice."""
    ax = draw(SliCQT(**FRAME), sine(RATE / 2 - 8.0, 4), reference=1.0)
    (*_, (_, _, level)) = meshes(ax)
    assert level.max() == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cells_tile_the_plane(layout):
    slicqt = SliCQT(**FRAME, **LAYOUTS[layout])
    n_samples = 3 * RATE + 77
    noise = torch.randn(2, n_samples, generator=torch.Generator().manual_seed(0))
    ax = draw(slicqt, noise)
    drawn = list(meshes(ax))
    f_hz = slicqt.frame.frequencies_hz
    assert len(drawn) == len(slicqt.frame.blocks)
    for edges_s, edges_hz, level in drawn:
        assert level.shape == (len(edges_hz) - 1, len(edges_s) - 1)
        assert np.isfinite(level).all()
        assert (np.diff(edges_s) > 0).all()
        assert (np.diff(edges_hz) > 0).all()
        assert edges_s[0] <= 0
        assert edges_s[-1] >= n_samples / RATE
    for (_, below, _), (_, above, _) in pairwise(drawn):
        assert below[-1] == above[0]
    edges = np.concatenate([edges_hz[:-1] for _, edges_hz, _ in drawn] + [f_hz[-1:]])
    np.testing.assert_allclose(edges[1:-1], np.sqrt(f_hz[1:-1] * f_hz[2:]))
    assert drawn[-1][1][-1] == RATE / 2
    assert ax.get_xlim() == (0, n_samples / RATE)
    assert max(level.max() for *_, level in drawn) == pytest.approx(0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_click_is_drawn_when_it_sounds(layout):
    slicqt = SliCQT(**FRAME, **LAYOUTS[layout])
    for click in (4321, 7999):
        waveform = torch.zeros(1, 2 * RATE)
        waveform[0, click] = 1
        for edges_s, _, level in meshes(draw(slicqt, waveform)):
            for row in level:
                column = row.argmax()
                step = edges_s[1] - edges_s[0]
                assert edges_s[column] - step <= click / RATE <= edges_s[column + 1] + step


def test_the_stft_reads_levels_and_times():
    waveform = 0.25 * sine(1000.0)
    waveform[0, 12_345] += 1
    ax = plot_stft(waveform, RATE, n_fft=512, hop=128, reference=0.25)
    assert level_at(ax, 0.7, 1000.0) == pytest.approx(0, abs=0.1)
    ((edges_s, edges_hz, level),) = meshes(ax)
    loudest = level[np.searchsorted(edges_hz, 3000.0)].argmax()
    assert abs((edges_s[loudest] + edges_s[loudest + 1]) / 2 - 12_345 / RATE) <= 128 / RATE


@pytest.mark.parametrize("column_s", [0.0, 0.05])
def test_a_part_at_a_time_has_the_same_cells(column_s):
    waveform = noise(2, 3 * RATE + 5)
    analyses = [slicqt_analysis(SliCQT(**FRAME, **layout)) for layout in LAYOUTS.values()]
    for analysis in (*analyses, stft_analysis(STFT(sample_rate=RATE))):
        wholes = cells_of(waveform, analysis, column_s, 7.0)
        parts = cells_of(waveform, analysis, column_s, 7.0, part_samples=5000)
        for whole, part in zip(wholes, parts, strict=True):
            np.testing.assert_allclose(part.amplitude, whole.amplitude, rtol=1e-3, atol=1e-6)


def test_the_streamed_picture_is_that_of_the_coefficients():
    slicqt = SliCQT(**FRAME, overlap_added=True)
    waveform = noise(1, RATE)
    figure = plot_waveform_spectrogram(waveform, RATE, slicqt)
    for a, b in zip(meshes(figure.axes[0]), meshes(draw(slicqt, waveform)), strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y[..., : x.shape[-1]], atol=2e-3)


def test_no_more_cells_than_pixels_and_nothing_loud_is_lost():
    waveform = noise(1, 60 * RATE, scale=1e-3)
    waveform[0, 123_456] = 1
    waveform[0, RATE : 2 * RATE] += sine(1000.0, 1.0)[0]
    figure = plot_waveform_spectrogram(waveform, RATE, stft=True, size_px=(500, 300))
    for ax in figure.axes[:2]:
        assert sum(len(edges_hz) - 1 for _, edges_hz, _ in meshes(ax)) <= 450
        for edges_s, edges_hz, level in meshes(ax):
            assert level.shape[1] <= 250
            if edges_hz[0] > 1500:
                first = np.searchsorted(edges_s, 3)  # after the sine's own ends
                column = np.searchsorted(edges_s[first:], 123_456 / RATE) - 1
                assert (abs(level[:, first:].argmax(1) - column) <= 1).all()
        assert level_at(ax, 1.5, 1000.0) == pytest.approx(0, abs=2.6)


def test_sines_between_bins_lose_little_in_the_drawing_transform():
    slicqt = drawing_transform(RATE)
    f_hz = slicqt.frame.frequencies_hz
    for k in (20, 150, 300):
        f_between = float(np.sqrt(f_hz[k] * f_hz[k + 1]))
        ax = draw(slicqt, sine(f_between), reference=1.0)
        levels = [level_at(ax, 1.0, f) for f in f_hz[k : k + 2]]
        assert -2.6 < max(levels) < 0.1


@pytest.mark.parametrize(
    "n_samples", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (77, 5000))]
)
def test_silence_and_short_waveforms_draw(n_samples, tmp_path):
    silence = torch.zeros(2, n_samples)
    figure = plot_waveform_spectrogram(silence, RATE, stft=True, size_px=(400, 250))
    figure.savefig(tmp_path / "silence.png")
    for ax in figure.axes[:2]:
        for *_, level in meshes(ax):
            np.testing.assert_array_equal(level, -80)
    slicqt = SliCQT(**FRAME)
    draw(slicqt, silence).figure.savefig(tmp_path / "silence.pdf")
    plot_stft(silence, RATE).figure.savefig(tmp_path / "silence.svg")


def test_what_lies_above_the_reference_or_below_the_range_is_drawn_as_its_end():
    ax = draw(SliCQT(**FRAME), sine(1000.0), db_range=40.0)
    levels = np.concatenate([level.ravel() for *_, level in meshes(ax)])
    assert levels.min() == -40
    mesh = ax.collections[0]
    assert (mesh.norm.vmin, mesh.norm.vmax) == (-40, 0)


def test_axes_say_hz_and_seconds():
    figure = plot_waveform_spectrogram(sine(1000.0), RATE, stft=True)
    figure.canvas.draw()
    stft, slicqt, bar = figure.axes
    labels = [label.get_text() for label in stft.get_yticklabels()]
    assert [text for text in labels if text in ("100", "500", "1k", "2k")] == [
        *("100", "500", "1k", "2k")
    ]
    assert stft.get_ylabel() == "frequency in Hz"
    assert stft.get_xlabel() == slicqt.get_xlabel() == "time in s"
    assert bar.get_ylabel() == "level in dB"
    assert (stft.get_title(), slicqt.get_title()) == (
        "STFT, 4096 samples",
        "sliCQT, 401 bins, log scale",
    )


def test_axes_of_the_caller_are_drawn_into():
    figure = Figure()
    first, second = figure.subplots(1, 2)
    slicqt = SliCQT(**FRAME)
    assert draw(slicqt, sine(500.0), ax=first, colorbar=False) is first
    assert plot_stft(sine(500.0), RATE, second, n_fft=512, hop=128, colorbar=False) is second
    assert figure.axes == [first, second]
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_the_input_is_not_changed():
    slicqt = SliCQT(**FRAME)
    waveform = sine(440.0).requires_grad_()
    blocks = slicqt(waveform)
    before = [block.detach().clone() for block in blocks]
    plot_spectrogram(blocks, slicqt.frame, waveform.shape[-1])
    plot_waveform_spectrogram(waveform, RATE, slicqt)
    for block, copy in zip(blocks, before, strict=True):
        torch.testing.assert_close(block.detach(), copy, rtol=0, atol=0)


BLOCKS = SliCQT(**FRAME)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: plot_spectrogram(BLOCKS(x)[1:], BLOCKS.frame, 16_000), "must be 1[0-9] blocks"),
        (lambda x: plot_spectrogram(BLOCKS(x), BLOCKS.frame, 99), "for length_samples = 99"),
        (lambda x: plot_spectrogram(BLOCKS(x), BLOCKS.frame, 16_000, db_range=0), "db_range"),
        (lambda x: plot_spectrogram(BLOCKS(x), BLOCKS.frame, 16_000, reference=0), "reference"),
        (lambda x: plot_spectrogram(BLOCKS(x * np.nan), BLOCKS.frame, 16_000), "must be finite"),
        (lambda x: plot_stft(x, RATE, n_fft=511), "n_fft must be even"),
        (lambda x: plot_stft(x, RATE, hop=4096), "hop must lie in 1 … n_fft / 2 = 2048"),
        (lambda x: plot_stft(x[:, :0], RATE), "at least one sample"),
        (lambda x: plot_waveform_spectrogram(x, 44100, BLOCKS), "sample_rate = 44100 Hz, got 8000"),
        (lambda x: plot_waveform_spectrogram(x, RATE, span_s=(3, 4)), "span_s must lie in 0 … 2 s"),
    ],
)
def test_wrong_arguments(call, words):
    with pytest.raises(ValueError, match=words):
        call(sine(440.0))


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match=r"needs matplotlib: pip install 'asteroid-slicq\[plot\]'"):
        plot_stft(sine(440.0), RATE)
