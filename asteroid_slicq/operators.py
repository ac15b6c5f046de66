r"""The two linear maps under a sliCQT, each the adjoint of the other up to its windows.

``analyse`` computes, for every slice s and bin k,

    c[s, k, m] = IDFT_{M_k} { X_s[p_k + j] · a_k[j] },     X_s = DFT_N { x_s · v },

and ``synthesise`` runs the same way back: DFT of every bin, windows, sum over bins into the half
spectrum, inverse real DFT, slicing window, overlap-add. With the analysis windows and the canonical
dual they are the transform and its inverse. With other windows they are each other's gradients:

    ⟨c, A x⟩ over (a_k, v)  =  ⟨A* c, x⟩,   A* = synthesis over (a_k · N / (2 M_k), v).

So the backward pass costs what a forward pass costs, and nothing is saved for it.

Layout: all coefficients of a slice stand in one flat row, bin after bin, each in the order of its
IDFT (j = 0 … M/2−1, −M/2 … −1). One ``gather`` fills the row from the half spectrum and one
``scatter_add`` empties it; frequencies below DC or above Nyquist are read at their mirror image and
conjugated, by a −1 on the imaginary part of the window. The work runs over a few dozen slices at a
time, so that the intermediate rows stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

_CHUNK_SAMPLES = {"cpu": 2**20}  # about 4 MB of float32
_CHUNK_SAMPLES_ELSEWHERE = 2**26


@dataclass(frozen=True)
class Windows:
    """What one direction multiplies with, and what its adjoint does.

    Attributes:
        forward: windows of the direction itself, bin after bin in IDFT order.
        adjoint: windows that make the other direction its adjoint.
        slicing: window over a slice, or None for a window of ones.

    Shape:
        - ``forward``, ``adjoint``: ``(ΣM_k,)``
        - ``slicing``: ``(slice_length,)``
    """

    forward: Tensor
    adjoint: Tensor
    slicing: Tensor | None

    def transposed(self) -> Windows:
        """The windows with which the other direction is the adjoint of this one."""
        return Windows(self.adjoint, self.forward, self.slicing)


@dataclass(frozen=True)
class Layout:
    """Where the coefficients of a slice lie in its half spectrum.

    Attributes:
        slice_length: N.
        blocks: ``(bins, coefficients)`` of each block.
        index: DFT bin of each coefficient's frequency, mirrored into 0 … N/2.
        sign: −1 where that frequency was mirrored (the spectrum is conjugated there), else 1.

    Shape:
        - ``index``, ``sign``: ``(ΣM_k,)``
    """

    slice_length: int
    blocks: tuple[tuple[int, int], ...]
    index: Tensor
    sign: Tensor

    def interleave(self, windows: Tensor) -> Tensor:
        """Windows as factors of (real, imaginary) pairs. Shape: ``(2·ΣM_k,)``."""
        return torch.stack([windows, windows * self.sign.to(windows.dtype)], dim=-1).flatten()

    def interleave_folded(self, windows: Tensor) -> Tensor:
        """The same for the way back: ``irfft`` counts DC and Nyquist once, other bins twice."""
        edge = (self.index == 0) | (self.index == self.slice_length // 2)
        return self.interleave(torch.where(edge, 2 * windows, windows))

    @property
    def starts(self) -> Iterator[int]:
        """Where each block starts in the flat row."""
        return accumulate((n_bins * width for n_bins, width in self.blocks[:-1]), initial=0)


def _chunks(batch: int, n_slices: int, layout: Layout, device: torch.device) -> Iterator[tuple]:
    """Slices of (batch, slice) ranges of bounded size, long in one of the two."""
    budget = _CHUNK_SAMPLES.get(device.type, _CHUNK_SAMPLES_ELSEWHERE)
    rows = max(1, budget // layout.slice_length)
    step_b = max(1, min(batch, rows // n_slices))
    step_s = max(1, min(n_slices, rows // step_b))
    for b in range(0, batch, step_b):
        for s in range(0, n_slices, step_s):
            yield slice(b, b + step_b), slice(s, min(s + step_s, n_slices))


def _half_spectra(slices: Tensor, window: Tensor | None) -> Tensor:
    """``rfft(slices·window)``, on the CPU as one complex transform of two rows a time.

    With Z = DFT {a + ib}, A[k] = (Z[k] + conj Z[−k]) / 2 and B[k] = (Z[k] − conj Z[−k]) / 2i. Real
    transforms of long, odd-factored rows take twice as long there.

    Shape:
        - slices: ``(batch, slice, N)``; output: ``(batch, slice, N/2 + 1)``
    """
    size_b, size_s, n = slices.shape
    if slices.device.type != "cpu" or size_b * size_s < 2:
        return torch.fft.rfft(slices if window is None else slices * window)
    n_rows, half = size_b * size_s, n // 2
    pairs = (n_rows + 1) // 2
    packed = slices.new_zeros((pairs, 2, n))
    rows = packed.view(2 * pairs, n)[:n_rows].view(size_b, size_s, n)
    # The factor ½ of both A and B.
    torch.mul(slices, 0.5 if window is None else 0.5 * window, out=rows)
    z = torch.view_as_real(torch.fft.fft(torch.complex(packed[:, 0], packed[:, 1])))
    re, im = z[:, : half + 1].unbind(-1)
    re_back, im_back = torch.cat([z[:, :1], z[:, half:].flip(1)], dim=1).unbind(-1)
    out = z.new_empty((pairs, 2, half + 1, 2))
    torch.add(re, re_back, out=out[:, 0, :, 0])
    torch.sub(im, im_back, out=out[:, 0, :, 1])
    torch.add(im, im_back, out=out[:, 1, :, 0])
    torch.sub(re_back, re, out=out[:, 1, :, 1])
    spectra = torch.view_as_complex(out).view(2 * pairs, half + 1)[:n_rows]
    return spectra.view(size_b, size_s, half + 1)


def _analyse(x: Tensor, n_slices: int, layout: Layout, windows: Windows) -> tuple[Tensor, ...]:
    batch, length = x.shape
    hop = layout.slice_length // 2
    padded = torch.nn.functional.pad(x, (hop, n_slices * hop - length))
    slices = padded.unfold(-1, layout.slice_length, hop)
    factors = layout.interleave(windows.forward)
    chunks = list(_chunks(batch, n_slices, layout, x.device))
    complex_dtype = torch.promote_types(x.dtype, torch.complex64)
    blocks: tuple[Tensor, ...] = ()
    if len(chunks) > 1:
        shapes = ((batch, n, n_slices, m) for n, m in layout.blocks)
        blocks = tuple(x.new_empty(shape, dtype=complex_dtype) for shape in shapes)
    for b, s in chunks:
        spectrum = _half_spectra(slices[b, s], windows.slicing)
        row = torch.gather(spectrum, -1, layout.index.expand(*spectrum.shape[:-1], -1))
        torch.view_as_real(row).flatten(-2).mul_(factors)
        # (batch, slice, freq·time) → (batch, freq, slice, time), by hand in this innermost loop:
        # for a second of music einops would cost more than the transform itself.
        size_b, size_s, _ = row.shape
        step_b, step_s, _ = row.stride()
        parts = (
            row.as_strided((size_b, size_s, n, m), (step_b, step_s, m, 1), start)
            for start, (n, m) in zip(layout.starts, layout.blocks, strict=True)
        )
        bins = (torch.fft.ifft(part).transpose(1, 2) for part in parts)
        if not blocks:
            return tuple(each.contiguous() for each in bins)
        for block, each in zip(blocks, bins, strict=True):
            block[b, :, s].copy_(each)
    return blocks


def _synthesise(blocks: Sequence[Tensor], length: int, layout: Layout, windows: Windows) -> Tensor:
    batch, _, n_slices, _ = blocks[0].shape
    hop = layout.slice_length // 2
    factors = layout.interleave_folded(windows.forward)
    halves = windows.forward.new_zeros((batch, n_slices + 1, hop))
    for b, s in _chunks(batch, n_slices, layout, blocks[0].device):
        # (batch, freq, slice, time) → (batch, slice, freq·time)
        parts = [torch.fft.fft(block[b, :, s]).transpose(1, 2).flatten(-2) for block in blocks]
        row = torch.cat(parts, dim=-1)
        torch.view_as_real(row).flatten(-2).mul_(factors)
        spectrum = row.new_zeros((*row.shape[:-1], hop + 1))
        spectrum.scatter_add_(-1, layout.index.expand(row.shape), row)
        chunk = torch.fft.irfft(spectrum, n=layout.slice_length)
        if windows.slicing is not None:
            chunk *= windows.slicing
        halves[b, s] += chunk[..., :hop]
        halves[b, s.start + 1 : s.stop + 1] += chunk[..., hop:]
    return halves[:, 1:n_slices].reshape(batch, -1)[:, :length]


class _Analyse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, n_slices, layout, windows):
        ctx.length, ctx.layout, ctx.windows = x.shape[-1], layout, windows
        return _analyse(x, n_slices, layout, windows)

    @staticmethod
    def backward(ctx, *gradients):
        x = _Synthesise.apply(ctx.length, ctx.layout, ctx.windows.transposed(), *gradients)
        return x, None, None, None


class _Synthesise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, length, layout, windows, *blocks):
        ctx.n_slices, ctx.layout, ctx.windows = blocks[0].shape[-2], layout, windows
        return _synthesise(blocks, length, layout, windows)

    @staticmethod
    def backward(ctx, *gradients):
        blocks = _Analyse.apply(gradients[0], ctx.n_slices, ctx.layout, ctx.windows.transposed())
        return None, None, None, *blocks


def analyse(x: Tensor, n_slices: int, layout: Layout, windows: Windows) -> tuple[Tensor, ...]:
    """Sliced coefficients of a signal, differentiable to any order.

    Shape:
        - x: ``(batch, length)``, real
        - output: ``(batch, freq, slice, time)`` complex, one tensor a block
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _analyse(x, n_slices, layout, windows)
    return _Analyse.apply(x, n_slices, layout, windows)  # type: ignore[return-value]


def synthesise(blocks: Sequence[Tensor], length: int, layout: Layout, windows: Windows) -> Tensor:
    """Signal of sliced coefficients, differentiable to any order.

    Shape:
        - blocks: ``(batch, freq, slice, time)`` complex, one tensor a block
        - output: ``(batch, length)``, real
    """
    if not (torch.is_grad_enabled() and any(block.requires_grad for block in blocks)):
        return _synthesise(blocks, length, layout, windows)
    return _Synthesise.apply(length, layout, windows, *blocks)  # type: ignore[return-value]
