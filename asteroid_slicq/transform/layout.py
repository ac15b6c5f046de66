"""Places of the coefficients of a spectrum, and the maps between spectrum and coefficients.

All coefficients of one spectrum (of a slice, or of a whole signal) stand in a flat row, bin after
bin, each bin in the order of its IDFT: the frequency ``p_k + j`` in slot ``j mod M_k``. A bin whose
IDFT is longer than its window has slots in between where the windows are zero. For a global phase
the slot is ``(p_k + j) mod M_k``: a rotation of the IDFT's input turns the phase of its output.

One ``gather`` fills the row from the half spectrum and one ``scatter_add`` empties it; frequencies
below DC or above Nyquist are read at their mirror image and conjugated, by a −1 on the imaginary
part of the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq.transform.complex_indexing import gathered, scatter_added
from asteroid_slicq.transform.fourier import RealDFT


@dataclass(frozen=True)
class Layout:
    """Places of the coefficients of a spectrum.

    Attributes:
        n_fft: length of the DFT; of a slice, N.
        blocks: ``(bins, coefficients)`` of each block.
        index: place of each coefficient's frequency, mirrored into 0 … n_fft/2, in the spectrum.
        sign: −1 where the spectrum is conjugated there, else 1.
        lengths: M_k, the length of each coefficient's IDFT.
        dft: the DFT, which sets the order of the spectrum.

    Shape:
        - ``index``, ``sign``, ``lengths``: ``(ΣM_k,)``
    """

    n_fft: int
    blocks: tuple[tuple[int, int], ...]
    index: Tensor
    sign: Tensor
    lengths: Tensor
    dft: RealDFT

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Start of each block in the flat row."""
        return tuple(accumulate((n * m for n, m in self.blocks[:-1]), initial=0))

    def gain(self, dtype: torch.dtype) -> Tensor:
        """``n_fft / (2·M_k)``: the IDFT of a bin divides by M_k, that of a slice by n_fft/2."""
        return self.n_fft / 2 / self.lengths.to(dtype)


@dataclass(frozen=True)
class Windows:
    """Windows and weights of a linear map, and what follows from them, which is computed once.

    Attributes:
        layout: of the coefficients of a slice.
        bins: windows of all bins, in the order of the flat row, ``(ΣM_k,)``.
        slicing: window over a slice, ``(slice_length,)``, or None for a window of ones.
        stream: weights over the coefficients of a slice, ``(M,)`` a block, where slices are cut
            from an overlap-added stream; None for ones.
        kept: what else was computed of them.
    """

    layout: Layout
    bins: Tensor
    slicing: Tensor | None = None
    stream: tuple[Tensor, ...] | None = None
    kept: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @cached_property
    def adjoint_of_analysis(self) -> Windows:
        """Windows with which synthesis is the adjoint of the analysis with these."""
        return replace(self, bins=self.bins * self.layout.gain(self.bins.dtype))

    @cached_property
    def adjoint_of_synthesis(self) -> Windows:
        """Windows with which analysis is the adjoint of the synthesis with these."""
        return replace(self, bins=self.bins / self.layout.gain(self.bins.dtype))

    @cached_property
    def analysis_factors(self) -> Tensor:
        """Factors of the analysis, of (real, imaginary) pairs. Shape: ``(2·ΣM_k,)``."""
        return self._factors(self.bins)

    @cached_property
    def analysis_factors_of_blocks(self) -> list[Tensor]:
        """The same, one tensor per block. Shape: ``(freq, 1, time, 2)`` each."""
        cuts = zip(self.layout.starts, self.layout.blocks, strict=True)
        return [
            self.analysis_factors[2 * a : 2 * (a + n * m)].view(n, 1, m, 2) for a, (n, m) in cuts
        ]

    @cached_property
    def stream_pairs(self) -> tuple[Tensor, ...]:
        """``stream`` for (real, imaginary) pairs. Shape: ``(2·M,)`` a block."""
        return tuple(weights.repeat_interleave(2) for weights in self.stream or ())

    @cached_property
    def synthesis_factors(self) -> Tensor:
        """Factors of the synthesis: all count twice, as mirror images do."""
        once = torch.zeros_like(self.layout.index, dtype=torch.bool)
        for place in self.layout.dft.once:
            once |= self.layout.index == place
        return self._factors(torch.where(once, 2 * self.bins, self.bins))

    def _factors(self, bins: Tensor) -> Tensor:
        return torch.stack([bins, bins * self.layout.sign.to(bins.dtype)], dim=-1).flatten()


def spectrum_to_blocks(
    spectrum: Tensor, layout: Layout, factors: Sequence[Tensor]
) -> Iterator[Tensor]:
    """Coefficients of half spectra, block after block.

    The innermost loop of the transform: for a second of music, einops, or one call more a block,
    would cost as much as the arithmetic.

    Shape:
        - spectrum: ``(batch, slice, dft.size)``, complex
        - output: ``(batch, freq, slice, time)`` each, complex, contiguous
    """
    batch, n_slices, _ = spectrum.shape
    index = layout.index.expand(batch, n_slices, -1)
    row = torch.view_as_real(gathered(spectrum, index))
    (step_b, step_s), first = row.stride()[:2], row.storage_offset()
    for start, (n, m), factor in zip(layout.starts, layout.blocks, factors, strict=True):
        # (batch, slice, freq·time) read as (batch, freq, slice, time), written so by the product
        shape, steps = (batch, n, n_slices, m, 2), (step_b, 2 * m, step_s, 2, 1)
        part = torch.mul(row.as_strided(shape, steps, first + 2 * start), factor)
        yield torch.fft.ifft(torch.view_as_complex(part))


def blocks_to_spectrum(blocks: Sequence[Tensor], layout: Layout, factors: Tensor) -> Tensor:
    """Half spectra of coefficients: DFT of each bin, windows, sum over bins.

    Shape:
        - blocks: ``(batch, freq, slice, time)`` each, complex
        - output: ``(batch, slice, dft.size)``, complex
    """
    # (batch, freq, slice, time) → (batch, slice, freq·time)
    row = torch.cat([torch.fft.fft(block).transpose(1, 2).flatten(-2) for block in blocks], dim=-1)
    torch.view_as_real(row).flatten(-2).mul_(factors)
    spectrum = row.new_zeros((*row.shape[:-1], layout.dft.size))
    return scatter_added(spectrum, layout.index.expand(row.shape), row)


def overlap_add(slices: Tensor) -> Tensor:
    """Add the second half of each slice to the first half of the next, into one stream.

    Of coefficients, magnitudes or samples; in operations that ``torch.jit.script`` takes, too.

    Shape:
        - slices: ``(..., slice, time)``; output: ``(..., (slice + 1)·time/2)``
    """
    half = slices.shape[-1] // 2
    early, late = slices[..., :half], slices[..., half:]
    return (F.pad(early, [0, 0, 0, 1]) + F.pad(late, [0, 0, 1, 0])).flatten(-2)


@dataclass(frozen=True)
class FlatRow:
    """The flat row of a frame in NumPy: see :class:`Layout`.

    Its windows, ``(2, ΣM_k)``, are those of the analysis, and of the synthesis by the dual.
    """

    index: np.ndarray
    sign: np.ndarray
    lengths: np.ndarray
    windows: np.ndarray

    def tensors(self) -> dict[str, Tensor]:
        """Buffers of a transform by name; windows as of :func:`split_precision`."""
        whole = {
            name: torch.from_numpy(getattr(self, name)) for name in ("index", "sign", "lengths")
        }
        return {**whole, "windows": split_precision(self.windows)}


def flat_row(
    n_fft: int,
    positions: np.ndarray,
    lengths: np.ndarray,
    windows: Sequence[np.ndarray],
    duals: Sequence[np.ndarray],
    origin: np.ndarray,
    phase: str,
) -> FlatRow:
    """Lay the windows of all bins, ``−L//2 ≤ j``, and their duals out in the flat row.

    The ``origin`` is a factor on each bin's windows that sets the time origin of its phase.
    """
    index, factors = [], []
    for k, (p, m) in enumerate(zip(positions.tolist(), lengths.tolist(), strict=True)):
        width = len(windows[k])
        j = np.arange(width) - width // 2
        slots = (j + p if phase == "global" else j) % m
        # DC and Nyquist are their own mirror images, which the way back adds to every bin.
        share = 0.5 if k in (0, len(positions) - 1) else 1.0
        analysis, synthesis, bins = np.zeros(m), np.zeros(m), np.full(m, p)
        analysis[slots] = origin[k] * windows[k]
        synthesis[slots] = origin[k] * share * duals[k]
        bins[slots] = p + j
        index.append(bins)
        factors.append([analysis, synthesis])
    frequency = np.concatenate(index)
    mirrored = np.abs(frequency)
    mirrored = np.where(2 * mirrored > n_fft, n_fft - mirrored, mirrored)
    sign = np.where(mirrored == frequency, 1.0, -1.0).astype(np.float32)
    slots = np.repeat(lengths, lengths).astype(np.int32)
    return FlatRow(mirrored, sign, slots, np.concatenate(factors, axis=-1))


def split_precision(values: np.ndarray) -> Tensor:
    """Float64 values as the sum of two float32 numbers, 48 bits in all.

    So ``module.double()`` has its full precision, also after ``module.float()``, and devices
    without float64 can hold the buffer, ``(2, …)``. A cast to 16 bits does lose it.
    """
    high = values.astype(np.float32)
    return torch.from_numpy(np.stack([high, (values - high).astype(np.float32)]))


def joined_precision(pair: Tensor, dtype: torch.dtype) -> Tensor:
    """The values that :func:`split_precision` split, in a precision."""
    return pair.to(dtype).sum(0)
