"""Cells of the time-frequency plane, one per coefficient of a transform.

Oracles and sparsity measures look at a track part by part. For that a part must have the very
coefficients that the whole track has there. A transform repeats itself after a *unit* of samples
(half a slice of a sliCQT, the hop of an STFT): a part that starts at a multiple of it, and has a
margin around it, has them.

A *cell* is the part of the time-frequency plane that belongs to one coefficient: as long as the
step to the next one, as high as the distance between the midpoints towards the neighbouring bins.
Cells tile the plane from 0 Hz to half the sample rate without gaps. Their *density* is the energy
of the coefficient in units in which white noise of variance 1 has density 1 on average, in every
bin of every transform. So sums of area × density compare between transforms of any redundancy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from asteroid_slicq.transform import STFT, Array, SliCQT, overlap_add


@dataclass(frozen=True, eq=False)
class Tiling:
    """Units and cells of a transform.

    Attributes:
        sample_rate: in Hz.
        unit: samples after which the transform repeats itself.
        margin: units around a part within which oracles see what is there.
        redundancy: real numbers for each sample.
        heights_hz: height of the cells of each bin, one array a block; they sum to half the sample
            rate.
        per_unit: cells in a unit, for each block.
        gains: what turns |c|² into a density, one array a block.
        first: units that lie before the first sample in the streams of :meth:`densities`.
        is_sliced: whether neighbouring slices have their own coefficients where they overlap.

    Shape:
        - ``heights_hz[i]``, ``gains[i]``: ``(freq,)``
    """

    sample_rate: float
    unit: int
    margin: int
    redundancy: float
    heights_hz: tuple[Array, ...]
    per_unit: tuple[int, ...]
    gains: tuple[Array, ...]
    first: int
    is_sliced: bool

    def aligned(self, start: int) -> int:
        """The last multiple of the unit that is a margin before ``start``, or 0."""
        return max(0, (start // self.unit - self.margin) * self.unit)

    @property
    def areas(self) -> list[Array]:
        """Area of a cell of each bin, in seconds × Hz, ``(freq,)`` each."""
        unit_s = self.unit / self.sample_rate
        rows = zip(self.heights_hz, self.per_unit, strict=True)
        return [height * unit_s / n for height, n in rows]

    def frames(self, block: int, start: int, stop: int) -> slice:
        """Place of some units in the frames of a block, its slices laid end to end.

        A slice belongs to the unit at whose start its middle is.
        """
        n = self.per_unit[block]
        if self.is_sliced:
            return slice(2 * n * start, 2 * n * stop)
        return slice(n * (start + self.first), n * (stop + self.first))

    def densities(self, blocks: Sequence[Tensor], start: int, stop: int) -> list[Array]:
        """Energy density of the cells from one unit to another, the power of channels averaged.

        Units count from the waveform's first sample. Slices are added where they overlap: the cells
        of a frame do not depend on its layout.

        Shape:
            - blocks: ``(channel, freq, slice, time)`` or ``(channel, freq, time)`` each
            - output: ``(freq, time)`` each
        """
        result = []
        for block, n, gain in zip(blocks, self.per_unit, self.gains, strict=True):
            stream = overlap_add(block) if self.is_sliced else block
            stream = stream[..., (start + self.first) * n : (stop + self.first) * n]
            power = (stream.real.square() + stream.imag.square()).mean(0)
            result.append(power.cpu().double().numpy() * gain[:, None])
        return result


def tiling(transform: SliCQT | STFT) -> Tiling:
    """The units and cells of a transform."""
    if isinstance(transform, SliCQT):
        return _of_slicqt(transform)
    if isinstance(transform, STFT):
        return _of_stft(transform)
    raise TypeError(f"transform must be a SliCQT or an STFT, got {type(transform).__name__}")


def _of_slicqt(slicqt: SliCQT) -> Tiling:
    frame = slicqt.frame
    heights = _heights(frame.frequencies_hz, frame.sample_rate / 2)
    # c = (1/M)·Σ_j X_j·g_j·e^…, so white noise of |X|² = N has |c|² = N/M²·Σ|g|².
    energies = np.array([np.square(window).sum() for window in frame.windows])
    gains = np.square(frame.lengths.astype(float)) / (frame.slice_length * energies)
    edges = np.cumsum(frame.bins_per_block)[:-1]
    return Tiling(
        sample_rate=frame.sample_rate,
        unit=frame.slice_hop,
        margin=5,  # two slices for the slices that overlap, as many for the overlap-added stream
        redundancy=frame.redundancy,
        heights_hz=tuple(np.split(heights, edges)),
        per_unit=tuple(m // 2 for _, m in frame.blocks),
        gains=tuple(np.split(gains, edges)),
        first=1,
        is_sliced=not frame.overlap_added,
    )


def _of_stft(stft: STFT) -> Tiling:
    gain = 8 / (3 * stft.n_fft)  # squared Hann windows sum to 3/8
    return Tiling(
        sample_rate=stft.sample_rate,
        unit=stft.hop,
        margin=math.ceil(stft.n_fft / stft.hop) + 1,
        redundancy=stft.redundancy,
        heights_hz=(_heights(stft.frequencies_hz, stft.sample_rate / 2),),
        per_unit=(1,),
        gains=(np.full(stft.n_fft // 2 + 1, gain),),
        first=0,
        is_sliced=False,
    )


def _heights(frequencies_hz: Array, nyquist_hz: float) -> Array:
    midpoints = (frequencies_hz[1:] + frequencies_hz[:-1]) / 2
    return np.diff(np.concatenate([[0.0], midpoints, [nyquist_hz]]))
