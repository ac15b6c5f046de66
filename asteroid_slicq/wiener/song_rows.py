"""Wiener-EM with the covariances of a whole song, on all blocks at once."""

from __future__ import annotations

import torch
from torch import Tensor

from asteroid_slicq.wiener import stereo
from asteroid_slicq.wiener.expectation import noise_of
from asteroid_slicq.wiener.filtering import EPS, WINDOW_FRAMES
from asteroid_slicq.wiener.rows import Blocks, Grid, gathered, grid_of, loudest_of_rows


class SongCovariancesOfBlocks:
    """:class:`.song.SongCovariances` of each block, in few operations: for a GPU.

    Args:
        blocks: bins, and coefficients in a slice, of each block.
        window_frames: as for :class:`.song.SongCovariances`.
        eps: the same.
    """

    def __init__(
        self, blocks: Blocks, window_frames: int = WINDOW_FRAMES, eps: float = EPS
    ) -> None:
        self._blocks, self._window, self._eps = blocks, window_frames, eps
        self._n_bins = sum(n for n, _ in blocks)
        self._sums: Tensor | None = None  # batch, window · bin, source, 5
        self._loudest: Tensor | None = None  # batch, window · bin

    def add(self, masks: Tensor, mix: Tensor, first: int, own: slice = slice(None)) -> None:
        """Add slices that were not added yet.

        Args:
            masks: of the sources, all blocks on a flat axis, see :func:`.filter_all_masked`.
            mix: the mix, the same.
            first: number of the first of these slices, counted from the start of the song.
            own: which of them to add.

        Shape:
            - masks: ``(batch, source, channel, place)``; mix: ``(batch, channel, place)``
        """
        n_slices = mix.shape[-1] // sum(n * m for n, m in self._blocks)
        start, stop, _ = own.indices(n_slices)
        if start >= stop:
            return
        grid = grid_of(self._blocks, n_slices, self._window, mix.device, first, (start, stop))
        loudest = loudest_of_rows(mix, grid)
        noise = noise_of(loudest, self._eps)
        rows = [
            stereo.sums_over_frames(piece.of(masks), piece.of(mix), noise.dtype)
            for piece in gathered(grid, noise)
        ]
        sums = torch.cat(rows, 1)
        places = self._places(grid)
        known, heard = (
            _with_room(rows, grid.n_windows * self._n_bins, like)
            for rows, like in ((self._sums, sums), (self._loudest, loudest))
        )
        known.index_add_(1, places, sums)
        heard.scatter_reduce_(1, places.expand(len(mix), -1), loudest, "amax")
        self._sums, self._loudest = known, heard

    def refine(self, masks: Tensor, mix: Tensor, first: int) -> Tensor:
        """Refined sources of slices all of whose windows were added, but for silent ones.

        Shape:
            - masks, mix: as for :meth:`add`; output: as ``masks``, complex
        """
        room = masks.new_empty((*masks.shape[:-1], masks.shape[-1] + 1), dtype=mix.dtype)
        if self._sums is None or self._loudest is None:  # nothing but silence
            return room.zero_()[..., :-1]
        n_slices = mix.shape[-1] // sum(n * m for n, m in self._blocks)
        grid = grid_of(self._blocks, n_slices, self._window, mix.device, first)
        places, n_places = self._places(grid), grid.n_windows * self._n_bins
        sums, loudest = (
            _with_room(rows, n_places, rows).index_select(1, places)
            for rows in (self._sums, self._loudest)
        )
        noise = noise_of(loudest, self._eps)
        for cut, piece in zip(grid.cuts(len(mix)), gathered(grid, noise), strict=True):
            y = piece.of(masks)
            refined = torch.empty_like(y, dtype=mix.dtype)
            stereo.refine_by_sums(y, piece.of(mix), sums[:, cut], piece.noise, refined)
            piece.put(room, refined)
        return room[..., :-1]

    def _places(self, grid: Grid) -> Tensor:
        return grid.rows.windows * self._n_bins + grid.rows.bins


def _with_room(rows: Tensor | None, n: int, like: Tensor) -> Tensor:
    """At least n rows; those that there were not are zeros. Shape: ``(batch, row, …)``."""
    n_old = 0 if rows is None else rows.shape[1]
    if rows is not None and n <= n_old:
        return rows
    more = like.new_zeros((len(like), max(n, 2 * n_old) - n_old, *like.shape[2:]))
    return more if rows is None else torch.cat([rows, more], 1)
