"""Wiener-EM on a song that comes in segments, with the covariances of the whole song.

A spatial covariance is a quotient of sums over the frames of a window, and a window may be longer
than a segment. So a first pass over the segments adds up the sums, and a second one filters: what
comes out does not depend on where the segments lie.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from asteroid_slicq.wiener import stereo
from asteroid_slicq.wiener.expectation import (
    _CHUNK,
    _CHUNK_ELSEWHERE,
    _cut,
    loudest_frame,
    noise_of,
)
from asteroid_slicq.wiener.filtering import EPS, WINDOW_FRAMES


class SongCovariances:
    """Sums of one block of stereo coefficients over the windows of a song, for one EM iteration.

    Args:
        window_frames: frames over which a spatial covariance is constant.
        eps: as for :func:`~asteroid_slicq.wiener.wiener_em`.
        joins_rest: whether what is left at the end belongs to the last whole window, not to a
            shorter one of its own.
        dtype: of the sums while they are kept; ``None`` for float64, on devices that have it.
    """

    def __init__(
        self,
        window_frames: int = WINDOW_FRAMES,
        eps: float = EPS,
        joins_rest: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        self._window, self._eps, self._joins_rest = window_frames, eps, joins_rest
        self._dtype = dtype
        self._n_frames = 0
        self._sums = torch.empty(0)  # window, batch, freq, source, 5
        self._loudest = torch.empty(0)  # window, batch

    def add(self, y: Tensor, mix: Tensor, first: int) -> None:
        """Add frames that were not added yet.

        Args:
            y: estimates of the sources, or their masks.
            mix: the mix.
            first: number of the first of these frames, counted from the start of the song.

        Shape:
            - y: ``(batch, source, channel, freq, ...)``, complex estimates or real masks
            - mix: ``(batch, channel, freq, ...)``, complex: frames, or slices and time
        """
        y, mix = y.flatten(4), mix.flatten(3)
        dtype = _precision(mix)
        self._n_frames = max(self._n_frames, first + mix.shape[-1])
        for window, frames in self._windows(first, mix.shape[-1]):
            parts = [
                stereo.sums_over_frames(
                    y[..., bins, None, frames], mix[..., bins, None, frames], dtype
                )
                for bins in _bins(mix, frames)
            ]
            sums, loudest = torch.cat(parts, 1), loudest_frame(mix[..., frames])
            self._sums = _with_room(self._sums, window, sums.to(self._dtype or dtype))
            self._loudest = _with_room(self._loudest, window, loudest)
            self._sums[window] += sums
            self._loudest[window] = torch.maximum(self._loudest[window], loudest)

    def refine(self, y: Tensor, mix: Tensor, first: int) -> Tensor:
        """Refined sources of frames, all of whose windows were added, but for silent ones.

        Shape:
            - y, mix: as for :meth:`add`; output: as ``y``, complex
        """
        shape, y, x = y.shape, y.flatten(4), mix.flatten(3)
        out = torch.empty_like(y, dtype=torch.promote_types(y.dtype, x.dtype))
        for window, frames in self._windows(first, x.shape[-1]):
            if window >= len(self._sums):  # silent to the end
                out[..., frames] = 0
                continue
            sums, loudest = self._of_window(window)
            noise = noise_of(loudest, self._eps)[:, :, None, None]
            for bins in _bins(x, frames):
                stereo.refine_by_sums(
                    y[..., bins, None, frames],
                    x[..., bins, None, frames],
                    sums[:, bins],
                    noise,
                    out[..., bins, None, frames],
                )
        return out.reshape(shape)

    def _of_window(self, window: int) -> tuple[Tensor, Tensor]:
        """Sums of a window, and power of its loudest coefficient."""
        rest = self._n_frames // self._window  # the window that is not whole, if there is one
        if self._joins_rest and window >= rest - 1 >= 0:
            last = slice(rest - 1, rest + 1)
            return self._sums[last].sum(0), self._loudest[last].amax(0)
        return self._sums[window], self._loudest[window]

    def _windows(self, first: int, n_frames: int) -> Iterator[tuple[int, slice]]:
        """Windows of the song that lie in some frames, and which of these frames."""
        start = 0
        while start < n_frames:
            window = (first + start) // self._window
            stop = min(n_frames, (window + 1) * self._window - first)
            yield window, slice(start, stop)
            start = stop


def _with_room(rows: Tensor, index: int, like: Tensor) -> Tensor:
    """Rows with one of an index, which are zero at first; one tensor, since many scatter."""
    if index < len(rows):
        return rows
    more = like.new_zeros((max(index + 1, 2 * len(rows)) - len(rows), *like.shape))
    return torch.cat([rows, more]) if len(rows) else more


def _bins(x: Tensor, frames: slice) -> list[slice]:
    """Pieces of the bins whose frames stay in the cache of a processor."""
    budget = _CHUNK.get(x.device.type, _CHUNK_ELSEWHERE)
    return _cut(0, x.shape[2], max(1, budget // (frames.stop - frames.start)))


def _precision(x: Tensor) -> torch.dtype:
    return torch.float32 if x.device.type == "mps" else torch.float64
