"""Cells to draw of a transform, on true time and frequency axes, as few as there are pixels.

The geometry and the levels are told in :mod:`asteroid_slicq.plotting.spectrograms`; nothing here
needs matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from asteroid_slicq.transform import STFT, Array, Frame, SliCQT, overlap_add


@dataclass(frozen=True)
class Cells:
    """Cells of one width: in row k from ``edges_hz[k]`` to ``edges_hz[k + 1]``.

    Shape:
        - amplitude: ``(freq, time)``; edges_hz: ``(freq + 1,)``
    """

    amplitude: Array
    step_s: float
    edges_hz: Array
    start_s: float = 0.0  # centre of the first cell
    group: int = 1  # cells that were drawn together into a column

    @property
    def edges_s(self) -> Array:
        """Borders of the columns. Shape: ``(time + 1,)``."""
        columns = np.arange(self.amplitude.shape[1] + 1) * self.group
        return self.start_s + (columns - 0.5) * self.step_s


@dataclass(frozen=True)
class Analysis:
    """A transform that gives the same cells for a part of a signal as for all of it.

    Attributes:
        unit: samples in which all rows have whole numbers of cells.
        margin: units that a cell sees on either side.
        cells_per_unit: of each block.
        edges_hz: of each block.
        amplitudes: of a part, ``(..., time)``, without its margins: ``(freq, cell)`` each block.
    """

    sample_rate: float
    unit: int
    margin: int
    cells_per_unit: list[int]
    edges_hz: list[Array]
    amplitudes: Callable[[Tensor], list[Array]]


def slicqt_analysis(slicqt: SliCQT) -> Analysis:
    """A sliCQT, overlap-added while it is drawn."""
    frame, halves = slicqt.frame, [m // 2 for _, m in slicqt.frame.blocks]

    def amplitudes(part: Tensor) -> list[Array]:
        with torch.no_grad():
            blocks = slicqt(part)
        blocks = [blocks] if isinstance(blocks, Tensor) else blocks
        # One unit of cells lies before the part, one is the margin; two follow behind.
        rows = zip(amplitudes_of(blocks, frame), halves, strict=True)
        return [amplitude[:, 2 * half : -2 * half] for amplitude, half in rows]

    edges = edges_of_blocks(frame)
    return Analysis(frame.sample_rate, frame.slice_hop, 1, halves, edges, amplitudes)


def stft_analysis(stft: STFT) -> Analysis:
    """An STFT."""
    factor = np.full((stft.n_fft // 2 + 1, 1), 4 / stft.n_fft)  # Hann windows sum to n_fft / 2
    factor[[0, -1]] /= 2
    margin = math.ceil(stft.n_fft / 2 / stft.hop)

    def amplitudes(part: Tensor) -> list[Array]:
        (block,) = stft(part)
        block = block.reshape(-1, *block.shape[-2:])[..., margin : -margin - 1]
        return [mean_power(block).numpy() * factor]

    edges = [row_edges(stft.frequencies_hz)]
    return Analysis(stft.sample_rate, stft.hop, margin, [1], edges, amplitudes)


def cells_of(
    samples: Tensor, analysis: Analysis, column_s: float, start_s: float, part_samples: int = 2**19
) -> list[Cells]:
    """The cells of a waveform, in columns of at most ``column_s`` where cells are shorter.

    About ``part_samples`` are transformed at a time.

    Shape:
        - samples: ``(..., time)``
    """
    unit, margin = analysis.unit, analysis.margin
    total = math.ceil(samples.shape[-1] / unit) + 1
    n_units = math.ceil(part_samples / unit)
    steps = [unit / n / analysis.sample_rate for n in analysis.cells_per_unit]
    groups = [max(1, math.floor(column_s / step)) for step in steps]
    cells = [
        Cells(np.zeros((len(edges) - 1, math.ceil(total * n / group))), step, edges, start_s, group)
        for n, group, step, edges in zip(
            analysis.cells_per_unit, groups, steps, analysis.edges_hz, strict=True
        )
    ]
    for u in range(0, total, n_units):
        begin, end = (u - margin) * unit, (min(u + n_units, total) + margin) * unit
        part = samples[..., max(begin, 0) : end]
        behind = end - max(begin, 0) - part.shape[-1]
        part = torch.nn.functional.pad(part, (max(-begin, 0), behind))
        for c, n, amplitude in zip(
            cells, analysis.cells_per_unit, analysis.amplitudes(part), strict=True
        ):
            first, done = divmod(u * n, c.group)
            pooled = pool(amplitude, c.group, done)
            columns = c.amplitude[:, first : first + pooled.shape[1]]
            np.maximum(columns, pooled, out=columns)  # the first may go on with the last part's
    return cells


def pool(amplitude: Array, group: int, done: int = 0) -> Array:
    """The loudest of ``group`` neighbours in time, where the first group has ``done`` already."""
    begins = np.arange(-done, amplitude.shape[1], group).clip(0)
    return amplitude if group == 1 else np.maximum.reduceat(amplitude, begins, axis=1)


def amplitudes_of(blocks: Sequence[Tensor], frame: Frame) -> list[Array]:
    """Amplitudes of sines, of slices added where they overlap. Shape: ``(freq, time)`` each."""
    result, first = [], 0
    for block, (n, m) in zip(blocks, frame.blocks, strict=True):
        if not frame.overlap_added:
            block = overlap_add(block)
        factor = np.full((n, 1), 2 * m / frame.slice_length)
        ends = [k - first for k in (0, frame.n_bins - 1) if first <= k < first + n]
        factor[ends] /= 2
        result.append(
            mean_power(block.detach().reshape(-1, *block.shape[-2:])).cpu().numpy() * factor
        )
        first += n
    return result


def mean_power(coefficients: Tensor) -> Tensor:
    """Root of the mean power over the first axis: ``(channel, freq, time)`` → ``(freq, time)``."""
    return coefficients.abs().square().mean(0).sqrt()


def row_edges(f_hz: Array) -> Array:
    """Borders of bins on a logarithmic axis, the first being DC and the last Nyquist.

    The first bin of the scale ends as far below its centre as above; DC fills what is below.

    Shape:
        - f_hz: ``(n_bins,)``; output: ``(n_bins + 1,)``
    """
    between = np.sqrt(f_hz[1:-1] * f_hz[2:])
    lowest = f_hz[1] ** 2 / between[0]
    return np.array([min(1.0, lowest / 2), lowest, *between, f_hz[-1]], dtype=np.float64)


def edges_of_blocks(frame: Frame) -> list[Array]:
    """Borders of the bins of each block, see :func:`row_edges`."""
    edges, ends = row_edges(frame.frequencies_hz), np.cumsum(frame.bins_per_block)
    return [edges[end - n : end + 1] for n, end in zip(frame.bins_per_block, ends, strict=True)]


def drawn_range_hz(edges_hz: Sequence[Array]) -> tuple[float, float]:
    """Range of an axis over the edges of each block: all bins but DC, from 20 Hz on."""
    lowest, highest = np.concatenate(edges_hz)[[1, -1]]
    return float(max(lowest, min(20, highest / 2))), float(highest)
