"""Wiener-EM on all blocks at once: windows of their bins as rows of like length.

The coefficients of all blocks stand on one flat axis, block after block, each in the order of its
``(freq, slice, time)``. The frames of a bin follow each other there, and a window of them is a
start and a length. Rows of like length are gathered into one tensor; the shorter ones end with
zeros, which change no sum and are not written back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from asteroid_slicq.wiener.expectation import noise_of

Blocks = tuple[tuple[int, int], ...]
"""Bins, and coefficients in a slice, of each block."""

_LIKE = 0.5  # the shortest of the rows that are gathered together has this share of the longest
_FEW = 2**18  # coefficients that take no longer than it takes to start an operation
_BUDGET = 2**19  # coefficients at a time, whose intermediate results take 200 MB


class Rows(NamedTuple):
    """Windows of bins, the longest first.

    Attributes:
        starts: place of the first frame on the flat axis.
        lengths: frames.
        owners: number of the window, counted over all blocks: windows of one time and block share
            their noise.
        bins: number of the bin, low frequencies first.
        windows: number of the window among those of its bin in the song.
    """

    starts: Tensor
    lengths: Tensor
    owners: Tensor
    bins: Tensor
    windows: Tensor


class Grid(NamedTuple):
    """All windows of some slices.

    Attributes:
        rows: they, on a device.
        n_owners: how many windows there are, counted over blocks.
        n_windows: number of the last window of any bin in the song, and one.
        longest: frames of each row, in decreasing order.
        n_coefficients: length of the flat axis.
    """

    rows: Rows
    n_owners: int
    n_windows: int
    longest: tuple[int, ...]
    n_coefficients: int

    def cuts(self, n_items: int) -> Iterator[slice]:
        """Rows that go together, for so many items in a batch: of like length, or few."""
        start = 0
        while start < len(self.longest):
            most = self.longest[start]
            few, many = (start + max(1, n // (n_items * most)) for n in (_FEW, _BUDGET))
            stop = min(few, len(self.longest))
            while stop < min(many, len(self.longest)) and self.longest[stop] >= _LIKE * most:
                stop += 1
            yield slice(start, stop)
            start = stop


@lru_cache(maxsize=64)
def grid_of(
    blocks: Blocks,
    n_slices: int,
    window: int | None,
    device: torch.device,
    first: int = 0,
    own: tuple[int, int] | None = None,
) -> Grid:
    """Windows of some slices, of which the first has a number in a song.

    Args:
        blocks: see :data:`Blocks`.
        n_slices: how many slices.
        window: frames of a window, counted from the start of the song; None is all of them.
        device: where the rows are to be.
        first: number of the first slice.
        own: where the slices that are wanted begin and end; None is all.
    """
    start, stop = own or (0, n_slices)
    columns: list[list[np.ndarray]] = [[] for _ in Rows._fields]
    place, n_bins, n_owners = 0, 0, 0
    for n, m in blocks:
        n_frames, ahead = n_slices * m, first * m
        size = window or n_frames
        numbers = np.arange((ahead + start * m) // size, -(-(ahead + stop * m) // size))
        edges = (np.append(numbers, numbers[-1] + 1) * size - ahead).clip(start * m, stop * m)
        bins = np.repeat(np.arange(n), len(numbers))
        row = (
            place + bins * n_frames + np.tile(edges[:-1], n),
            np.tile(np.diff(edges), n),
            n_owners + np.tile(np.arange(len(numbers)), n),
            n_bins + bins,
            np.tile(numbers, n),
        )
        for column, values in zip(columns, row, strict=True):
            column.append(values)
        place, n_bins, n_owners = place + n * n_frames, n_bins + n, n_owners + len(numbers)
    joined = [np.concatenate(column).astype(np.int64) for column in columns]
    order = np.argsort(-joined[1], kind="stable")
    with torch.inference_mode(False):
        rows = Rows(*(torch.from_numpy(column[order]).to(device) for column in joined))
    lengths, n_windows = tuple(joined[1][order].tolist()), int(joined[4].max()) + 1
    return Grid(rows, n_owners, n_windows, lengths, place)


class _Gathered(NamedTuple):
    """Some rows.

    Attributes:
        places: of their coefficients; where a shorter row ends, those of its last one again.
        inside: 1, and 0 where a shorter row has ended; None where all are of one length.
        noise: see the base class.

    Shape:
        - places, inside: ``(row, frame)``
    """

    places: Tensor
    inside: Tensor | None
    noise: Tensor

    @property
    def in_place(self) -> bool:
        """It is a copy."""
        return False

    def of(self, block: Tensor) -> Tensor:
        """The rows of all coefficients. Shape: ``(batch, …, place)`` → ``b … row 1 t``."""
        n, length = self.places.shape
        if not block.is_complex():
            piece = block.index_select(-1, self.places.flatten()).unflatten(-1, (n, 1, length))
            return piece if self.inside is None else piece * self.inside.to(piece).unsqueeze(1)
        parts = torch.view_as_real(block.resolve_conj())
        parts = parts.index_select(-2, self.places.flatten()).unflatten(-2, (n, 1, length))
        if self.inside is not None:
            inside = self.inside.to(parts).repeat_interleave(2, -1).unsqueeze(1)  # of pairs, flat
            parts = (parts.flatten(-2) * inside).unflatten(-1, (-1, 2))
        return torch.view_as_complex(parts)

    def put(self, room: Tensor, piece: Tensor) -> None:
        """Write rows to where they belong; what is outside goes to the last place of the room."""
        places = self.places
        if self.inside is not None:
            places = torch.where(self.inside, places, room.shape[-1] - 1)
        piece = piece.to(room.dtype).flatten(-3)
        if room.is_complex():
            room, piece = torch.view_as_real(room), torch.view_as_real(piece.resolve_conj())
            room.index_copy_(-2, places.flatten(), piece)
        else:
            room.index_copy_(-1, places.flatten(), piece)


@dataclass(frozen=True)
class RowPieces:
    """Pieces of all blocks on the flat axis.

    Args:
        blocks, n_slices: of the coefficients.
        window: frames over which a spatial covariance is constant; the last may be shorter.
        eps: ε.

    Shape:
        - coefficients: ``(batch, channel, place)``
    """

    blocks: Blocks
    n_slices: int
    window: int | None
    eps: float

    def empty(self, like: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Room with one place more than there are coefficients."""
        room = like.new_empty((*like.shape[:-1], like.shape[-1] + 1), dtype=dtype)
        return room, room[..., :-1]

    def of(self, x: Tensor) -> Iterator[_Gathered]:
        """Rows of the mix."""
        grid = grid_of(self.blocks, self.n_slices, self.window, x.device)
        yield from gathered(grid, noise_of(loudest_of_rows(x, grid), self.eps))


def gathered(grid: Grid, noise: Tensor) -> Iterator[_Gathered]:
    """All rows, with their noise, ``(2, batch, row)``."""
    for cut in grid.cuts(noise.shape[1]):
        places, inside = _places_of(grid, cut)
        yield _Gathered(places, inside, noise[:, :, cut, None])


def _places_of(grid: Grid, cut: slice) -> tuple[Tensor, Tensor | None]:
    """Places of the coefficients of some rows, and which of them are inside of the rows."""
    longest, shortest = grid.longest[cut.start], grid.longest[cut.stop - 1]
    starts, lengths = grid.rows.starts[cut, None], grid.rows.lengths[cut, None]
    frames = torch.arange(longest, device=starts.device)
    if longest == shortest:
        return starts + frames, None
    return starts + torch.minimum(frames, lengths - 1), frames < lengths


def loudest_of_rows(x: Tensor, grid: Grid) -> Tensor:
    """Power of the loudest coefficient in the block and window of each row. ``(batch, row)``."""
    re, im = torch.view_as_real(x.resolve_conj()).unbind(-1)
    power = torch.addcmul(re.square(), im, im).amax(1)
    rows = [
        power.index_select(-1, places.flatten()).view(len(x), *places.shape).amax(-1)
        for places, _ in (_places_of(grid, cut) for cut in grid.cuts(len(x)))
    ]
    owners = grid.rows.owners.expand(len(x), -1)
    loudest = power.new_zeros(len(x), grid.n_owners)
    loudest.scatter_reduce_(1, owners, torch.cat(rows, 1), "amax")
    return cast(Tensor, loudest.gather(1, owners))
