"""All blocks at once: the coefficients of slices in padded columns, and their DFTs as products.

Dozens of blocks, each of a few bins, are dozens of small operators, and on a GPU those take longer
to launch than to run. So the coefficients of a slice stand in one row of columns, bin after bin,
grouped by length: the bins of a group have lengths within a quarter of each other and are padded to
the longest. One gather fills the rows of all slices from the spectra, one product applies all
windows, one batched matrix product a group is the DFT of its bins (a DFT matrix a bin, zero where
padded), and one ``scatter_add`` puts all coefficients where their blocks have them: in one flat
tensor, block after block, of which the blocks are views. Where slices overlap, that adds them. The
way back is the same from end to start.

Lengths beyond :data:`LONGEST` and groups of a single length go through an FFT instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from asteroid_slicq.transform.layout import Windows

LONGEST = 384
"""The longest DFT that is a matrix product: its work grows with the square of the length."""

_FEW_BLOCKS = 8  # one operator a block costs no more
_PADDED = 1.25
_NUMBERS = ("source", "weight", "step", "item", "bins", "before", "time")


class Group(NamedTuple):
    """Bins of like length, in neighbouring columns.

    Attributes:
        start: its first column.
        n_bins: number of bins.
        width: columns of each, the length of the longest.
        matrices: inverse DFTs, not normalised, ``(bin, width, width)``; None is an FFT.
    """

    start: int
    n_bins: int
    width: int
    matrices: Tensor | None


class PaddedWindows(NamedTuple):
    """Windows of a linear map in the order of the columns, zero where padded.

    Shape:
        - index: ``(column,)``, DFT bins
        - factors: ``(column, 2)``, of real and imaginary parts; weights: the same, or None
    """

    index: Tensor
    factors: Tensor
    weights: Tensor | None


@dataclass(frozen=True)
class Columns:
    """Columns of the coefficients of a slice, and where these stand in the flat tensor.

    A coefficient, at ``time`` in a bin and a slice of an item of the batch, stands ``n_steps``
    (see :meth:`n_steps`) times the coefficients of the blocks ``before`` it for each item, those of
    the items before it in its block, ``item`` each, and those of the bins before it there, ``bins``
    together; then slices follow, ``step`` coefficients apart. Padding stands behind all blocks.

    Attributes:
        source: place of each column in the flat row of :class:`Layout`; padding is behind it.
        weight: place of each column in the weights of all blocks, joined; padding as before.
        step, item, bins, before, time: see above, one number a column.
        groups: bins by their length.
        blocks: ``(bins, coefficients, step)`` of each block.
        overlap_added: whether slices overlap by half.
    """

    source: Tensor
    weight: Tensor
    step: Tensor
    item: Tensor
    bins: Tensor
    before: Tensor
    time: Tensor
    groups: tuple[Group, ...]
    blocks: tuple[tuple[int, int, int], ...]
    overlap_added: bool

    def n_steps(self, n_slices: int) -> int:
        """Steps in a bin: slices, or half slices where these overlap."""
        return n_slices + self.overlap_added

    def zeros(self, batch: int, n_slices: int, like: Tensor) -> Tensor:
        """The flat tensor, padding at its end, of zeros."""
        per_step = sum(n * step for n, _, step in self.blocks)
        return like.new_zeros(
            batch * self.n_steps(n_slices) * per_step + self.n_padding, dtype=_complex(like.dtype)
        )

    @property
    def n_padding(self) -> int:
        """Columns that hold nothing."""
        return len(self.source) - sum(n * m for n, m, _ in self.blocks)

    def places(self, batch: int, b: slice, n_slices: int, s: slice) -> Tensor:
        """Places in the flat tensor of the columns of some items and slices.

        Shape:
            - output: ``(item, slice, column)``
        """
        n = self.n_steps(n_slices)
        device = self.step.device
        items = torch.arange(b.start * n, b.stop * n, n, device=device)
        slices = torch.arange(s.start, s.stop, device=device)
        first = self.time.add(self.bins, alpha=n).add(self.before, alpha=batch * n)
        first = torch.addcmul(first, items[:, None], self.item)
        return first[:, None] + slices[:, None] * self.step

    def views(self, flat: Tensor, leading: torch.Size, n_slices: int) -> tuple[Tensor, ...]:
        """Blocks of the flat tensor, as views: ``(*leading, freq, slice, time)`` each."""
        n, start, views = self.n_steps(n_slices), 0, []
        batch = leading.numel()
        for n_bins, m, step in self.blocks:
            shape = (n_bins, n * step) if self.overlap_added else (n_bins, n, m)
            shape = (*leading, *shape)
            strides = tuple(accumulate(shape[:0:-1], int.__mul__, initial=1))[::-1]
            views.append(flat.as_strided(shape, strides, start))
            start += batch * n_bins * n * step
        return tuple(views)

    def joined(self, blocks: Sequence[Tensor]) -> Tensor:
        """The flat tensor of blocks, with zeros as padding."""
        flat = [c.view(-1) if c.is_contiguous() else c.reshape(-1) for c in blocks]
        return torch.cat([*flat, flat[0].new_zeros(self.n_padding)])

    def analysis_windows(self, windows: Windows) -> PaddedWindows:
        """Windows of an analysis, with the 1/M_k of the inverse DFTs."""
        if (kept := windows.kept.get("analysis")) is None:
            lengths = windows.layout.lengths.to(windows.bins.dtype)
            kept = self._padded(windows, windows.analysis_factors.view(-1, 2) / lengths[:, None])
            windows.kept["analysis"] = kept
        return kept

    def synthesis_windows(self, windows: Windows) -> PaddedWindows:
        """Windows of a synthesis."""
        if (kept := windows.kept.get("synthesis")) is None:
            kept = self._padded(windows, windows.synthesis_factors.view(-1, 2))
            windows.kept["synthesis"] = kept
        return kept

    def _padded(self, windows: Windows, pairs: Tensor) -> PaddedWindows:
        index = F.pad(windows.layout.index, (0, 1))[self.source]
        weights = None
        if windows.stream is not None:
            weights = F.pad(torch.cat(windows.stream), (0, 1))[self.weight]
            weights = weights.repeat_interleave(2).view(-1, 2)  # flat: not repeated over pairs
        return PaddedWindows(index, F.pad(pairs, (0, 0, 0, 1))[self.source], weights)

    def dft(self, rows: Tensor, inverse: bool) -> Tensor:
        """DFTs, or inverse ones without their 1/M, of all bins: ``(…, column)``, contiguous."""
        n_columns = rows.shape[-1]
        n_rows = rows.numel() // n_columns
        out = torch.empty_like(rows)
        with exact_products(rows.device):
            for start, n, width, matrices in self.groups:
                shape, strides = (n, n_rows, width), (width, n_columns, 1)
                part = rows.as_strided(shape, strides, start)
                to = out.as_strided(shape, strides, start)
                if matrices is None:
                    to.copy_(
                        torch.fft.ifft(part, norm="forward") if inverse else torch.fft.fft(part)
                    )
                    continue
                matrices = matrices if inverse else matrices.mH  # symmetric: that conjugates
                if rows.device.type == "cpu":  # where strides of the output cost a loop over bins
                    to.copy_(torch.bmm(part, matrices))
                else:
                    torch.bmm(part, matrices, out=to)
        return out


def pays(blocks: tuple[tuple[int, int], ...]) -> bool:
    """Whether all blocks at once are fewer operators than one after the other."""
    return len(blocks) > max(_FEW_BLOCKS, len(_grouped(blocks)))


def columns_of(blocks: tuple[tuple[int, int], ...], overlap_added: bool, like: Tensor) -> Columns:
    """The columns of blocks, ``(bins, coefficients)`` each, for a precision and a device."""
    return _columns(blocks, overlap_added, _complex(like.dtype), like.device)


@lru_cache(maxsize=16)
def _columns(
    blocks: tuple[tuple[int, int], ...],
    overlap_added: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> Columns:
    steps = [m // 2 if overlap_added else m for _, m in blocks]
    n_each = np.array([n for n, _ in blocks])
    row_starts = np.cumsum([0, *(n * m for n, m in blocks)])
    weight_starts = np.cumsum([0, *(m for _, m in blocks)])
    before = np.cumsum([0, *(n_each * steps)])
    tables: dict[str, list[np.ndarray]] = {name: [] for name in _NUMBERS}
    groups, n_padding, n_columns = [], 0, 0
    for members in _grouped(blocks):
        width = max(blocks[i][1] for i in members)
        is_fft = len({blocks[i][1] for i in members}) == 1
        matrices = []
        for i in members:
            n, m = blocks[i]
            f, t = np.arange(n)[:, None], np.arange(width)
            own, step = t < m, steps[i]
            padding = n_padding + f * (width - m) + t - m
            n_padding += n * (width - m)
            numbers = {  # of a column that holds a coefficient, and of padding
                "source": (row_starts[i] + f * m + t, row_starts[-1]),
                "weight": (weight_starts[i] + 0 * f + t, weight_starts[-1]),
                "step": (step, 0),
                "item": (n * step, 0),
                "bins": (f * step, 0),
                "before": (before[i], before[-1]),
                "time": (0 * f + t, padding),
            }
            for name, one in numbers.items():
                tables[name].append(np.broadcast_to(np.where(own, *one), (n, width)).ravel())
            if not is_fft:
                matrices += [_inverse_dft(m, width)] * n
        stacked = None if is_fft else torch.from_numpy(np.stack(matrices)).to(device, dtype)
        n = int(sum(n_each[members]))
        groups.append(Group(n_columns, n, width, stacked))
        n_columns += n * width
    tensors = {
        name: torch.from_numpy(np.concatenate(parts)).to(device) for name, parts in tables.items()
    }
    shapes = tuple((n, m, step) for (n, m), step in zip(blocks, steps, strict=True))
    return Columns(**tensors, groups=tuple(groups), blocks=shapes, overlap_added=overlap_added)


def _grouped(blocks: tuple[tuple[int, int], ...]) -> list[list[int]]:
    """Blocks by their length, each group within a quarter."""
    order = sorted(range(len(blocks)), key=lambda i: blocks[i][1])
    shortest = 0

    def group_of(i: int) -> int:
        nonlocal shortest
        m = blocks[i][1]
        if m > (_PADDED * shortest if m <= LONGEST else shortest):
            shortest = m
        return shortest

    return [list(members) for _, members in groupby(order, group_of)]


def _inverse_dft(m: int, width: int) -> np.ndarray:
    """The inverse DFT of length m without its 1/m, padded with zeros."""
    turns = np.outer(np.arange(m), np.arange(m)) % m
    matrix = np.zeros((width, width), np.complex128)
    matrix[:m, :m] = np.exp(2j * np.pi / m * turns)
    return matrix


def _complex(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.complex64)


_lock = threading.Lock()
_within: list[Any] = []


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """No TensorFloat-32 within: its ten bits would do to networks, and not to a transform.

    The setting is one of the process, so the last thread to leave restores it.
    """
    if device.type != "cuda":
        yield
        return
    matmul = torch.backends.cuda.matmul
    with _lock:
        _within.append(matmul.fp32_precision if not _within else _within[0])
        matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        with _lock:
            before = _within.pop()
            if not _within:
                matmul.fp32_precision = before
