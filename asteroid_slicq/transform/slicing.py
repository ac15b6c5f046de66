"""Analysis and synthesis of a signal, slice by slice or as a whole, without gradients.

Slices are computed in chunks of bounded size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asteroid_slicq.transform.layout import Layout, Windows, blocks_to_spectrum, spectrum_to_blocks
from asteroid_slicq.transform.products import columns_of

_CHUNK_SAMPLES = {"cpu": 3 * 2**20}  # 12 MB of float32
_CHUNK_SAMPLES_ELSEWHERE = 2**26


@dataclass(frozen=True)
class Slicing:
    """The cut of a signal into slices, and their computation in chunks.

    Attributes:
        layout: where the coefficients of a slice lie.
        overlap_added: whether coefficients of neighbouring slices are added where they overlap.
        chunk: slices at a time; None is what suits the device.
        at_once: whether all blocks are computed at once, see :mod:`.products`.
    """

    layout: Layout
    overlap_added: bool = False
    chunk: int | None = None
    at_once: bool = False

    @property
    def hop(self) -> int:
        """Distance between slices in samples."""
        return self.layout.n_fft // 2

    def chunks(self, batch: int, n_slices: int, device: torch.device) -> list[tuple[slice, slice]]:
        """Chunks: (batch, slice) ranges of bounded size, long in one of the two."""
        budget = _CHUNK_SAMPLES.get(device.type, _CHUNK_SAMPLES_ELSEWHERE)
        budget -= budget // 3 * self.overlap_added  # there are half as many coefficients, too
        rows = self.chunk or max(2, budget // self.layout.n_fft)
        step_b = _even_share(batch, max(1, rows // n_slices))
        step_s = _even_share(n_slices, max(1, rows // step_b))
        return [
            (slice(b, min(b + step_b, batch)), slice(s, min(s + step_s, n_slices)))
            for b in range(0, batch, step_b)
            for s in range(0, n_slices, step_s)
        ]

    def n_slices(self, blocks: Sequence[Tensor]) -> int:
        """Number of slices that blocks of coefficients come from."""
        if not self.overlap_added:
            return blocks[0].shape[-2]
        return blocks[0].shape[-1] // (self.layout.blocks[0][1] // 2) - 1

    def shapes(self, batch: int, n_slices: int) -> Iterator[tuple[int, ...]]:
        """Shape of each block of coefficients."""
        for n, m in self.layout.blocks:
            if self.overlap_added:
                yield batch, n, (n_slices + 1) * (m // 2)
            else:
                yield batch, n, n_slices, m

    def analyse(self, x: Tensor, n_slices: int, windows: Windows) -> tuple[Tensor, ...]:
        """Coefficients, as :meth:`shapes`, of a signal, ``(..., length)``, chunk by chunk."""
        leading, x = x.shape[:-1], x.reshape(-1, x.shape[-1])
        if self.at_once:
            return self._analyse_at_once(x, leading, n_slices, windows)
        blocks = self._analyse_by_blocks(x, n_slices, windows)
        if len(leading) == 1:
            return blocks
        return tuple(block.view(*leading, *block.shape[1:]) for block in blocks)

    def _analyse_at_once(
        self, x: Tensor, leading: torch.Size, n_slices: int, windows: Windows
    ) -> tuple[Tensor, ...]:
        batch = x.shape[0]
        columns = columns_of(self.layout.blocks, self.overlap_added, x)
        index, factors, weights = columns.analysis_windows(windows)
        flat = columns.zeros(batch, n_slices, x)
        for b, s in self.chunks(batch, n_slices, x.device):
            slices = _slices(x[b], s.start, s.stop, self.hop)
            spectrum = self.layout.dft.spectra(slices, windows.slicing)
            rows = spectrum.gather(-1, index.expand(*spectrum.shape[:2], -1))
            torch.view_as_real(rows).mul_(factors)
            rows = columns.dft(rows, inverse=True)
            if weights is not None:
                torch.view_as_real(rows).mul_(weights)
            flat.scatter_add_(0, columns.places(batch, b, n_slices, s).view(-1), rows.view(-1))
        return columns.views(flat, leading, n_slices)

    def _analyse_by_blocks(self, x: Tensor, n_slices: int, windows: Windows) -> tuple[Tensor, ...]:
        batch = x.shape[0]
        layout, factors = self.layout, windows.analysis_factors_of_blocks
        chunks = self.chunks(batch, n_slices, x.device)
        if len(chunks) == 1 and not self.overlap_added:
            spectrum = layout.dft.spectra(_slices(x, 0, n_slices, self.hop), windows.slicing)
            return tuple(spectrum_to_blocks(spectrum, layout, factors))
        dtype = torch.promote_types(x.dtype, torch.complex64)
        blocks = tuple(x.new_empty(shape, dtype=dtype) for shape in self.shapes(batch, n_slices))
        for b, s in chunks:
            slices = _slices(x[b], s.start, s.stop, self.hop)
            spectrum = layout.dft.spectra(slices, windows.slicing)
            parts = spectrum_to_blocks(spectrum, layout, factors)
            for i, (block, part) in enumerate(zip(blocks, parts, strict=True)):
                if not self.overlap_added:
                    block[b, :, s].copy_(part)
                    continue
                weights = None if windows.stream is None else windows.stream_pairs[i]
                _add_overlapping(block[b], part, s.start, weights)
        return blocks

    def synthesise(self, blocks: Sequence[Tensor], length: int, windows: Windows) -> Tensor:
        """Signal of coefficients, the way back of :meth:`analyse`."""
        n_axes = 2 if self.overlap_added else 3
        leading, n_slices = blocks[0].shape[:-n_axes], self.n_slices(blocks)
        batch, hop = leading.numel(), self.hop
        device = blocks[0].device
        spectra = (
            self._spectra_at_once(blocks, batch, n_slices, windows)
            if self.at_once
            else self._spectra_by_blocks(blocks, n_slices, windows)
        )
        chunks = self.chunks(batch, n_slices, device)

        def halves_of(b: slice, s: slice) -> tuple[Tensor, ...]:
            chunk = self.layout.dft.slices(spectra(b, s))
            if windows.slicing is not None:
                chunk *= windows.slicing
            return chunk.unflatten(-1, (2, hop)).unbind(-2)

        if len(chunks) == 1:  # of a second of music, the sums below took a tenth of the time
            early, late = halves_of(*chunks[0])
            samples = early[:, 1:] + late[:, :-1]
        else:
            halves = windows.bins.new_zeros((batch, n_slices + 1, hop))
            for b, s in chunks:
                early, late = halves_of(b, s)
                halves[b, s] += early
                halves[b, s.start + 1 : s.stop + 1] += late
            samples = halves[:, 1:n_slices]
        return samples.reshape(batch, -1)[:, :length].reshape(*leading, -1)

    def _spectra_at_once(
        self, blocks: Sequence[Tensor], batch: int, n_slices: int, windows: Windows
    ) -> Callable[[slice, slice], Tensor]:
        columns = columns_of(self.layout.blocks, self.overlap_added, blocks[0])
        index, factors, weights = columns.synthesis_windows(windows)
        flat = columns.joined(blocks)

        def spectra(b: slice, s: slice) -> Tensor:
            places = columns.places(batch, b, n_slices, s)
            rows = flat.index_select(0, places.view(-1)).view(places.shape)
            if weights is not None:
                torch.view_as_real(rows).mul_(weights)
            rows = columns.dft(rows, inverse=False)
            torch.view_as_real(rows).mul_(factors)
            spectrum = rows.new_zeros((*rows.shape[:-1], self.layout.dft.size))
            return spectrum.scatter_add_(-1, index.expand(rows.shape), rows)

        return spectra

    def _spectra_by_blocks(
        self, blocks: Sequence[Tensor], n_slices: int, windows: Windows
    ) -> Callable[[slice, slice], Tensor]:
        if self.overlap_added:
            sizes = [m for _, m in self.layout.blocks]
            blocks = [c.unfold(-1, m, m // 2) for c, m in zip(blocks, sizes, strict=True)]
        if blocks[0].ndim != 4:
            blocks = [c.reshape(-1, *c.shape[-3:]) for c in blocks]
        whole = slice(0, blocks[0].shape[0]), slice(0, n_slices)

        def spectra(b: slice, s: slice) -> Tensor:
            parts = blocks if (b, s) == whole else [block[b, :, s] for block in blocks]
            if windows.stream is not None:
                parts = [part * u for part, u in zip(parts, windows.stream, strict=True)]
            return blocks_to_spectrum(parts, self.layout, windows.synthesis_factors)

        return spectra


@dataclass(frozen=True)
class Unsliced:
    """A signal as one slice without a window, as of the NSGT."""

    layout: Layout

    def n_slices(self, blocks: Sequence[Tensor]) -> int:
        """Number of slices: one."""
        return 1

    def analyse(self, x: Tensor, n_slices: int, windows: Windows) -> tuple[Tensor, ...]:
        """Coefficients of a signal: ``(..., length)`` → ``(..., freq, time)`` each."""
        leading, x = x.shape[:-1], x.reshape(-1, 1, x.shape[-1])
        factors = windows.analysis_factors_of_blocks
        blocks = spectrum_to_blocks(self.layout.dft.spectra(x, None), self.layout, factors)
        return tuple(block.view(*leading, block.shape[1], -1) for block in blocks)

    def synthesise(self, blocks: Sequence[Tensor], length: int, windows: Windows) -> Tensor:
        """Signal of coefficients, the way back of :meth:`analyse`; its length is the layout's."""
        leading = blocks[0].shape[:-2]
        blocks = [c.reshape(-1, c.shape[-2], 1, c.shape[-1]) for c in blocks]
        spectrum = blocks_to_spectrum(blocks, self.layout, windows.synthesis_factors)
        return self.layout.dft.slices(spectrum).view(*leading, -1)


def _even_share(total: int, most: int) -> int:
    """Size of parts of about one size, ``most`` at most; even where there is more than one."""
    if most >= total:
        return total
    share = math.ceil(total / math.ceil(total / most))
    return share + share % 2 if share + share % 2 <= most else max(1, share - share % 2)


def _slices(x: Tensor, start: int, stop: int, hop: int) -> Tensor:
    """Slices of a signal; one hop of zeros is in front of it, and as many as it takes behind.

    Only slices at the ends are copied.
    """
    first, last = (start - 1) * hop, stop * hop
    part = x[:, max(0, first) : last]
    padding = (max(0, -first), last - max(0, first) - part.shape[-1])
    part = torch.nn.functional.pad(part, padding) if any(padding) else part
    return part.unfold(-1, 2 * hop, hop)


def _add_overlapping(stream: Tensor, part: Tensor, first: int, weights: Tensor | None) -> None:
    """Write weighted slices into a stream, which holds the slices before ``first``.

    That is ``overlap_add`` of a chunk, in place.

    Shape:
        - stream: ``(batch, freq, (all slices + 1)·M/2)``; part: ``(batch, freq, slice, M)``
        - weights: ``(2·M,)``, of (real, imaginary) pairs
    """
    n_slices, m = part.shape[-2:]
    # Pairs stand flat: to repeat a weight over two neighbours takes ten times as long.
    early, late = torch.view_as_real(part).flatten(-2).unflatten(-1, (2, m)).unbind(-2)
    halves = torch.view_as_real(stream).flatten(-2).unflatten(-1, (-1, m))
    begun = halves[:, :, first].clone() if first else None
    own = halves[:, :, first : first + n_slices]
    behind = halves[:, :, first + 1 : first + n_slices + 1]
    if weights is None:
        own.copy_(early)
        behind[:, :, -1] = 0
        behind += late
    else:
        u, v = weights.view(2, m).unbind(0)
        torch.mul(early, u, out=own)
        behind[:, :, -1] = 0
        behind.addcmul_(late, v)
    if begun is not None:
        own[:, :, 0] += begun
