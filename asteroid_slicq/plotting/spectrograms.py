"""Pictures of coefficients: cells on true time and frequency axes, in dB.

Every coefficient is drawn where it lies. Cell i of a bin with M coefficients a slice is centred on
i·N/M samples and N/M long; in frequency the cells of two neighbours meet at the geometric mean of
their centre frequencies, across the borders of blocks too, so that all cells tile the plane. Slices
are added where they overlap, as complex numbers, so what is drawn is one row of cells a bin.

A level is an amplitude: a sine of amplitude 1 at the centre of a bin has N/2 at one DFT bin of a
slice, where the window is 1, and so |c| = N / (2M). Every bin is multiplied by 2M/N; DC and
Nyquist, whose windows see the sine and its mirror image, by M/N. Then bins of all lengths compare.

A block never has more cells than pixels: of cells that share one, the loudest is drawn.

Needs matplotlib, the extra ``plot``. No figure is made by pyplot, so there is no global state and
no display.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from asteroid_slicq.plotting.cells import (
    Cells,
    amplitudes_of,
    cells_of,
    drawn_range_hz,
    edges_of_blocks,
    pool,
    slicqt_analysis,
    stft_analysis,
)
from asteroid_slicq.transform import STFT, Frame, SliCQT, check_waveform

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 130
_N_COLORS = 96  # steps of less than 1 dB, few enough for a PNG with a palette


def plot_spectrogram(
    coefficients: Sequence[Tensor] | Tensor,
    frame: Frame,
    length_samples: int,
    ax: Axes | None = None,
    *,
    db_range: float = 80.0,
    reference: float | None = None,
    cmap: str = "magma",
    colorbar: bool = True,
) -> Axes:
    """Draw coefficients of any layout: sliced, overlap-added, ragged, piecewise or matrix.

    Args:
        coefficients: as :class:`asteroid_slicq.SliCQT` returns them; leading axes, such as
            channels, are drawn as their mean power.
        frame: that of the transform, ``slicqt.frame``.
        length_samples: length of the waveform.
        ax: where to draw; None makes a figure, ``ax.figure``.
        db_range: how far below the reference the colours reach, in dB.
        reference: amplitude of a sine that reads 0 dB; None is the loudest cell.
        cmap: name of a colour map of matplotlib.
        colorbar: whether to add a colour bar.

    Returns:
        The axes: seconds and, logarithmic, Hz, from the lower edge of the scale's lowest bin, or
        20 Hz, to half the sample rate. The DC bin lies below that.

    Shape:
        - coefficients: ``(..., freq, slice, time)`` each, or ``(..., freq, time)``

    Raises:
        ValueError: coefficients that are not those of this frame and length, an empty range, or
            matplotlib is missing.

    Example:
        >>> slicqt = SliCQT(overlap_added=True)
        >>> waveform = torch.randn(2, 44100, generator=torch.Generator().manual_seed(0))
        >>> ax = plot_spectrogram(slicqt(waveform), slicqt.frame, 44100)  # doctest: +SKIP
        >>> ax.figure.savefig("noise.png")  # doctest: +SKIP
    """
    blocks = [coefficients] if isinstance(coefficients, Tensor) else list(coefficients)
    _check(blocks, frame, length_samples)
    steps = frame.hop_per_block / frame.sample_rate
    edges_hz = edges_of_blocks(frame)
    cells = [
        Cells(amplitude[:, m // 2 :], float(step), edges)  # without what lies before 0 s
        for amplitude, (_, m), step, edges in zip(
            amplitudes_of(blocks, frame), frame.blocks, steps, edges_hz, strict=True
        )
    ]
    span_s = (0.0, length_samples / frame.sample_rate)
    range_hz = drawn_range_hz(edges_hz)
    return _draw_alone(cells, ax, span_s, range_hz, db_range, reference, cmap, colorbar)


def plot_stft(
    waveform: Any,
    sample_rate: float,
    ax: Axes | None = None,
    *,
    n_fft: int = 4096,
    hop: int = 1024,
    **style: Any,
) -> Axes:
    """Draw the short-time Fourier transform of a waveform on the same axes, from 20 Hz on.

    Args:
        waveform: real samples, an array or a tensor; leading axes are drawn as their mean power.
        sample_rate: in Hz.
        ax: where to draw; None makes a figure, ``ax.figure``.
        n_fft: samples of an STFT frame, even, under a Hann window.
        hop: samples between STFT frames, at most ``n_fft / 2``.
        **style: ``db_range``, ``reference``, ``cmap``, ``colorbar`` of :func:`plot_spectrogram`.

    Shape:
        - waveform: ``(..., time)``

    Raises:
        ValueError: an empty waveform, sizes that do not work, or matplotlib is missing.
    """
    samples = check_waveform(torch.as_tensor(waveform).detach())
    span_s = (0.0, samples.shape[-1] / sample_rate)
    analysis = stft_analysis(STFT(n_fft, hop, sample_rate))
    cells = cells_of(samples, analysis, 0.0, 0.0)
    return _draw_alone(cells, ax, span_s, drawn_range_hz(analysis.edges_hz), **style)


def plot_waveform_spectrogram(
    waveform: Any,
    sample_rate: float,
    transform: SliCQT | None = None,
    *,
    stft: bool = False,
    start_s: float = 0.0,
    span_s: tuple[float, float] | None = None,
    size_px: tuple[int, int] = (1200, 560),
    db_range: float = 80.0,
    cmap: str = "magma",
) -> Figure:
    """Draw a waveform's sliCQT, and beside it its STFT, computing a part at a time.

    Args:
        waveform: real samples, an array or a tensor; leading axes, such as channels, are drawn as
            their mean power.
        sample_rate: in Hz.
        transform: None is :func:`drawing_transform`.
        stft: whether to draw the STFT (4096/1024) too, on the left, in the same colours.
        start_s: time of the first sample.
        span_s: from when to when to draw, in seconds; None is all.
        size_px: width and height, 130 pixels to the inch.
        db_range: how far below the loudest cell the colours reach, in dB.
        cmap: name of a colour map of matplotlib.

    Returns:
        A figure; ``figure.savefig("song.png")`` writes it.

    Shape:
        - waveform: ``(..., time)``

    Raises:
        ValueError: an empty waveform, a transform for another sample rate, sizes that do not work,
            or matplotlib is missing.
    """
    slicqt = drawing_transform(sample_rate) if transform is None else transform
    if slicqt.frame.sample_rate != sample_rate:
        raise ValueError(
            f"transform must be made for sample_rate = {sample_rate} Hz, "
            f"got {slicqt.frame.sample_rate} Hz"
        )
    samples = check_waveform(torch.as_tensor(waveform).detach())
    end_s = start_s + samples.shape[-1] / sample_rate
    span_s = (start_s, end_s) if span_s is None else (span_s[0], min(span_s[1], end_s))
    if not start_s <= span_s[0] < span_s[1]:
        raise ValueError(f"span_s must lie in {start_s:g} … {end_s:g} s, got {span_s}")
    analysis = slicqt_analysis(slicqt)
    analyses = {_title(slicqt): analysis}
    if stft:
        other = stft_analysis(STFT(4096, 1024, sample_rate))
        analyses = {"STFT, 4096 samples": other, **analyses}
    axes = _new_figure(size_px).subplots(1, len(analyses), sharey=True, squeeze=False)[0]
    column_s = (span_s[1] - span_s[0]) * len(analyses) / size_px[0]
    range_hz = drawn_range_hz(analysis.edges_hz)
    pictures = [
        _visible(cells_of(samples, analysis, column_s, start_s), ax, span_s, range_hz)
        for analysis, ax in zip(analyses.values(), axes, strict=True)
    ]
    reference = max(map(_loudest, pictures))
    for title, cells, ax in zip(analyses, pictures, axes, strict=True):
        _draw(cells, ax, db_range, reference, cmap, list(axes) if ax is axes[-1] else None)
        ax.set_title(title, fontsize="medium")
        ax.label_outer()
    return axes[0].figure


def drawing_transform(sample_rate: float, **options: Any) -> SliCQT:
    """A transform for the eye: constant Q, as the axis, and no bin narrower than 20 Hz.

    Its bins overlap more than those of :class:`asteroid_slicq.SliCQT` do by default, so that a sine
    between two of them reads 2.5 dB less than at the centre of one, not 13.

    Args:
        sample_rate: in Hz.
        **options: arguments of :class:`asteroid_slicq.SliCQT` that differ.
    """
    defaults = {
        "scale": "log",
        "n_bins": 400,
        "window": "hann",
        "min_bandwidth_hz": 20.0,
        "bandwidth_factor": 1.5,
    }
    return SliCQT(sample_rate=sample_rate, overlap_added=True, **(defaults | options))


def _visible(
    cells: Sequence[Cells], ax: Axes, span_s: tuple[float, float], range_hz: tuple[float, float]
) -> list[Cells]:
    """The cells inside the limits, which the axes get; those that share a pixel become one."""
    ax.set(xlim=span_s, yscale="log", ylim=range_hz)
    width, height = ax.get_window_extent().size
    result = []
    for c in cells:
        first = max(0, int(np.searchsorted(c.edges_s, span_s[0], "right")) - 1)
        last = int(np.searchsorted(c.edges_s, span_s[1], "left"))
        low = max(0, int(np.searchsorted(c.edges_hz, range_hz[0], "right")) - 1)
        edges_hz, amplitude = c.edges_hz[low:], c.amplitude[low:, first:last]
        if not amplitude.size:
            continue
        group = math.ceil(amplitude.shape[1] / width)
        start_s = c.start_s + first * c.group * c.step_s
        octaves = np.log(np.maximum(edges_hz[:-1] / range_hz[0], 1))
        pixels = np.floor(octaves / math.log(range_hz[1] / range_hz[0]) * height)
        rows = np.unique(pixels, return_index=True)[1]
        amplitude = np.maximum.reduceat(pool(amplitude, group), rows, axis=0)
        edges_hz = edges_hz[[*rows, -1]]
        result.append(Cells(amplitude, c.step_s, edges_hz, start_s, c.group * group))
    return result


def _loudest(cells: Sequence[Cells]) -> float:
    """The largest amplitude; 1 in silence.

    Raises:
        ValueError: an amplitude is NaN or infinite.
    """
    loudest = float(np.max([0.0, *(c.amplitude.max() for c in cells)]))
    if not math.isfinite(loudest):
        raise ValueError("what is drawn must be finite, got NaN or infinite values")
    return loudest or 1.0


def _draw_alone(
    cells: Sequence[Cells],
    ax: Axes | None,
    span_s: tuple[float, float],
    range_hz: tuple[float, float],
    db_range: float = 80.0,
    reference: float | None = None,
    cmap: str = "magma",
    colorbar: bool = True,
) -> Axes:
    ax = _new_figure().subplots() if ax is None else ax
    cells = _visible(cells, ax, span_s, range_hz)
    reference = _loudest(cells) if reference is None else reference
    _draw(cells, ax, db_range, reference, cmap, [ax] if colorbar else None)
    return ax


def _draw(
    cells: Sequence[Cells],
    ax: Axes,
    db_range: float,
    reference: float,
    cmap: str,
    bar: list[Axes] | None,
) -> None:
    """Draws cells, labels the axes, and puts a colour bar beside the axes in ``bar``."""
    if not (0 < db_range < math.inf and 0 < reference < math.inf):
        raise ValueError(
            f"db_range and reference must be above 0 and finite, got {db_range} and {reference}"
        )
    import matplotlib as mpl
    from matplotlib.ticker import LogLocator, NullLocator

    colors = mpl.colormaps.get_cmap(cmap).resampled(_N_COLORS)
    limits = ax.get_xlim(), ax.get_ylim()
    mesh = None
    for c in cells:
        level_db = 20 * np.log10(np.maximum(c.amplitude / reference, 10 ** (-db_range / 20)))
        mesh = ax.pcolormesh(
            c.edges_s, c.edges_hz, level_db, cmap=colors, vmin=-db_range, vmax=0, rasterized=True
        )
    ax.set(xlim=limits[0], ylim=limits[1], xlabel="time in s", ylabel="frequency in Hz")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(lambda hz, _: f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}")
    if bar is not None and mesh is not None:
        ax.figure.colorbar(mesh, ax=bar, label="level in dB", pad=0.01, aspect=30)


def _new_figure(size_px: tuple[int, int] = (1000, 560)) -> Figure:
    """A figure that draws without a display.

    Raises:
        ValueError: matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("drawing needs matplotlib: pip install 'asteroid-slicq[plot]'") from error
    size = (size_px[0] / _DPI, size_px[1] / _DPI)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _title(slicqt: SliCQT) -> str:
    scale = slicqt.config["scale"]
    name = f"{scale} scale" if isinstance(scale, str) else "own scale"
    return f"sliCQT, {slicqt.frame.n_bins} bins, {name}"


def _check(blocks: Sequence[Tensor], frame: Frame, length_samples: int) -> None:
    """Refuses coefficients that are not those of a frame and length."""
    n_slices = frame.n_slices(length_samples)
    wanted = [
        (n, (n_slices + 1) * (m // 2)) if frame.overlap_added else (n, n_slices, m)
        for n, m in frame.blocks
    ]
    axes = 2 if frame.overlap_added else 3
    found = [tuple(block.shape[-axes:]) for block in blocks]
    if length_samples < 1 or found != wanted:
        raise ValueError(
            f"coefficients must be {len(wanted)} blocks {tuple(wanted[:2])} … for length_samples = "
            f"{length_samples}, got {len(found)} blocks {tuple(found[:2])} …"
        )
