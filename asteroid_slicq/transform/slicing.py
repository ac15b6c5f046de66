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
_FEW_SLICES = 64


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
            spectrum = torch.fft.rfft(
                slices if windows.slicing is None else slices * windows.slicing
            )
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
            spectrum = half_spectra(_slices(x, 0, n_slices, self.hop), windows.slicing)
            return tuple(spectrum_to_blocks(spectrum, layout, factors))
        dtype = torch.promote_types(x.dtype, torch.complex64)
        blocks = tuple(x.new_empty(shape, dtype=dtype) for shape in self.shapes(batch, n_slices))
        for b, s in chunks:
            spectrum = half_spectra(_slices(x[b], s.start, s.stop, self.hop), windows.slicing)
            parts = spectrum_to_blocks(spectrum, layout, factors)
            for i, (block, part) in enumerate(zip(blocks, parts, strict=True)):
                if not self.overlap_added:
                    block[b, :, s].copy_(part)
                    continue
                weights = None if windows.stream is None else windows.stream[i]
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
        halves = windows.bins.new_zeros((batch, n_slices + 1, hop))
        for b, s in self.chunks(batch, n_slices, device):
            chunk = real_slices(spectra(b, s), self.layout.n_fft)
            if windows.slicing is not None:
                chunk *= windows.slicing
            halves[b, s] += chunk[..., :hop]
            halves[b, s.start + 1 : s.stop + 1] += chunk[..., hop:]
        return halves[:, 1:n_slices].reshape(batch, -1)[:, :length].reshape(*leading, -1)

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
            spectrum = rows.new_zeros((*rows.shape[:-1], self.layout.n_fft // 2 + 1))
            return spectrum.scatter_add_(-1, index.expand(rows.shape), rows)

        return spectra

    def _spectra_by_blocks(
        self, blocks: Sequence[Tensor], n_slices: int, windows: Windows
    ) -> Callable[[slice, slice], Tensor]:
        if self.overlap_added:
            sizes = [m for _, m in self.layout.blocks]
            blocks = [c.unfold(-1, m, m // 2) for c, m in zip(blocks, sizes, strict=True)]
        blocks = [c.reshape(-1, *c.shape[-3:]) for c in blocks]

        def spectra(b: slice, s: slice) -> Tensor:
            parts = [block[b, :, s] for block in blocks]
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
        blocks = spectrum_to_blocks(torch.fft.rfft(x), self.layout, factors)
        return tuple(block.view(*leading, block.shape[1], -1) for block in blocks)

    def synthesise(self, blocks: Sequence[Tensor], length: int, windows: Windows) -> Tensor:
        """Signal of coefficients, the way back of :meth:`analyse`; its length is the layout's."""
        leading = blocks[0].shape[:-2]
        blocks = [c.reshape(-1, c.shape[-2], 1, c.shape[-1]) for c in blocks]
        spectrum = blocks_to_spectrum(blocks, self.layout, windows.synthesis_factors)
        return torch.fft.irfft(spectrum, n=self.layout.n_fft).view(*leading, -1)


def _even_share(total: int, most: int) -> int:
    """Size of parts of about one size, ``most`` at most; even where there is more than one."""
    if most >= total:
        return total
    share = math.ceil(total / math.ceil(total / most))
    return share + share % 2 if share + share % 2 <= most else max(1, share - share % 2)


def half_spectra(slices: Tensor, window: Tensor | None) -> Tensor:
    """``rfft(slices·window)``, on the CPU as one complex transform of two slices a time.

    With Z = DFT {a + ib}, A[k] = (Z[k] + conj Z[−k]) / 2 and B[k] = (Z[k] − conj Z[−k]) / 2i. Real
    transforms of long, odd-factored rows take twice as long there.

    Shape:
        - slices: ``(batch, slice, N)``; output: ``(batch, slice, N/2 + 1)``
    """
    batch, n_slices, n = slices.shape
    if slices.device.type != "cpu" or batch * n_slices < 2:
        return torch.fft.rfft(slices if window is None else slices * window)
    factor = 0.5 if window is None else 0.5 * window  # the ½ of both A and B
    axis, shape, half = *_pairs(batch, n_slices), n // 2
    a, b = _neighbours(slices, axis)
    packed = slices.new_empty((*shape, n, 2))
    torch.mul(a, factor, out=packed[..., 0])
    torch.mul(b, factor, out=packed[: b.shape[0], : b.shape[1], :, 1])
    packed[:, b.shape[1] :, :, 1] = 0
    z = torch.view_as_real(torch.fft.fft(torch.view_as_complex(packed)))
    re, im = z[:, :, 1 : half + 1].unbind(-1)
    re_back, im_back = z[:, :, half:].flip(2).unbind(-1)  # Z[−k] at k = 1 … N/2
    pairs = z.new_empty((*shape[:axis], 2, *shape[axis:], half + 1, 2))
    a, b = pairs.unbind(axis)
    torch.add(re, re_back, out=a[:, :, 1:, 0])
    torch.sub(im, im_back, out=a[:, :, 1:, 1])
    torch.add(im, im_back, out=b[:, :, 1:, 0])
    torch.sub(re_back, re, out=b[:, :, 1:, 1])
    pairs[..., 0, 1] = 0
    torch.mul(z[:, :, 0], 2, out=pairs[..., 0, 0].movedim(axis, -1))
    return torch.view_as_complex(pairs).view(batch, -1, half + 1)[:, :n_slices]


def real_slices(spectra: Tensor, n: int) -> Tensor:
    """``irfft(spectra, n)``, the way back of :func:`half_spectra`.

    Of few slices on the CPU, by Z[k] = A[k] + iB[k] and Z[−k] = conj(A[k] − iB[k]); of many, that
    takes more memory and no less time.

    Shape:
        - spectra: ``(batch, slice, N/2 + 1)``; output: ``(batch, slice, N)``
    """
    batch, n_slices, n_bins = spectra.shape
    few = 2 <= batch * n_slices <= _FEW_SLICES
    if spectra.device.type != "cpu" or not few or n % 2:
        return torch.fft.irfft(spectra, n=n)
    axis, shape, half = *_pairs(batch, n_slices), n // 2
    a, b = _neighbours(torch.view_as_real(spectra), axis)
    if b.shape[1] < a.shape[1]:
        b = torch.nn.functional.pad(b, (0, 0, 0, 0, 0, 1))
    (a_re, a_im), (b_re, b_im) = a.unbind(-1), b.unbind(-1)
    z, back = a.new_empty((*shape, n, 2)), a.new_empty((*shape, n_bins, 2))
    torch.sub(a_re, b_im, out=z[:, :, :n_bins, 0])
    torch.add(a_im, b_re, out=z[:, :, :n_bins, 1])
    torch.add(a_re, b_im, out=back[..., 0])
    torch.sub(b_re, a_im, out=back[..., 1])
    z[:, :, n_bins:] = back[:, :, 1:half].flip(2)
    del back
    for edge in (0, half):  # which irfft takes as real
        z[:, :, edge, 0], z[:, :, edge, 1] = a_re[:, :, edge], b_re[:, :, edge]
    z = torch.view_as_real(torch.fft.ifft(torch.view_as_complex(z)))
    slices = z.new_empty((*shape[:axis], 2, *shape[axis:], n))
    slices.copy_(z.movedim(-1, axis))
    return slices.view(batch, -1, n)[:, :n_slices]


def _pairs(batch: int, n_slices: int) -> tuple[int, tuple[int, int]]:
    """The axis of pairs of slices, 1 of the batch and 2 of time, and their number of each."""
    if n_slices % 2 and not batch % 2:
        return 1, (batch // 2, n_slices)
    return 2, (batch, (n_slices + 1) // 2)


def _neighbours(slices: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The first and the second of each pair, of which the last may have no second."""
    if axis == 1:
        return slices[0::2], slices[1::2]
    return slices[:, 0::2], slices[:, 1::2]


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
        - weights: ``(M,)``, real
    """
    n_slices, m = part.shape[-2:]
    # view_as_real: … slice, half, M/2, re/im
    early, late = torch.view_as_real(part).unflatten(-2, (2, m // 2)).unbind(-3)
    halves = torch.view_as_real(stream).unflatten(-2, (-1, m // 2))
    begun = halves[:, :, first].clone() if first else None
    own = halves[:, :, first : first + n_slices]
    behind = halves[:, :, first + 1 : first + n_slices + 1]
    if weights is None:
        own.copy_(early)
        behind[:, :, -1] = 0
        behind += late
    else:
        u, v = weights.view(2, m // 2, 1).unbind(0)
        torch.mul(early, u, out=own)
        behind[:, :, -1] = 0
        behind.addcmul_(late, v)
    if begun is not None:
        own[:, :, 0] += begun
