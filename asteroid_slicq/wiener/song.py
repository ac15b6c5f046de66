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
    """

    def __init__(self, window_frames: int = WINDOW_FRAMES, eps: float = EPS) -> None:
        self._window, self._eps = window_frames, eps
        self._sums: dict[int, Tensor] = {}
        self._loudest: dict[int, Tensor] = {}

    def add(self, masks: Tensor, mix: Tensor, first: int) -> None:
        """Add frames that were not added yet.

        Args:
            masks: of the sources.
            mix: the mix.
            first: number of the first of these frames, counted from the start of the song.

        Shape:
            - masks: ``(batch, source, channel, freq, slice, time)``, real
            - mix: ``(batch, channel, freq, slice, time)``, complex
        """
        masks, mix = masks.flatten(4), mix.flatten(3)
        dtype = _precision(mix)
        for window, frames in self._windows(first, mix.shape[-1]):
            parts = [
                stereo.sums_of_masked(
                    masks[..., bins, None, frames], mix[..., bins, None, frames], dtype
                )
                for bins in _bins(mix, frames)
            ]
            sums, loudest = torch.cat(parts, 1), loudest_frame(mix[..., frames])
            if window in self._sums:
                sums = sums + self._sums[window]
                loudest = torch.maximum(loudest, self._loudest[window])
            self._sums[window], self._loudest[window] = sums, loudest

    def refine(self, masks: Tensor, mix: Tensor, first: int) -> Tensor:
        """Refined sources of frames, all of whose windows were added.

        Shape:
            - masks, mix: as for :meth:`add`; output: as ``masks``, complex
        """
        y, x = masks.flatten(4), mix.flatten(3)
        out = torch.empty_like(y, dtype=torch.promote_types(y.dtype, x.dtype))
        for window, frames in self._windows(first, x.shape[-1]):
            noise = noise_of(self._loudest[window], self._eps)[:, :, None, None]
            for bins in _bins(x, frames):
                stereo.refine_masked(
                    y[..., bins, None, frames],
                    x[..., bins, None, frames],
                    self._sums[window][:, bins],
                    noise,
                    out[..., bins, None, frames],
                )
        return out.reshape(masks.shape)

    def _windows(self, first: int, n_frames: int) -> Iterator[tuple[int, slice]]:
        """Windows of the song that lie in some frames, and which of these frames."""
        start = 0
        while start < n_frames:
            window = (first + start) // self._window
            stop = min(n_frames, (window + 1) * self._window - first)
            yield window, slice(start, stop)
            start = stop


def _bins(x: Tensor, frames: slice) -> list[slice]:
    """Pieces of the bins whose frames stay in the cache of a processor."""
    budget = _CHUNK.get(x.device.type, _CHUNK_ELSEWHERE)
    return _cut(0, x.shape[2], max(1, budget // (frames.stop - frames.start)))


def _precision(x: Tensor) -> torch.dtype:
    return torch.float32 if x.device.type == "mps" else torch.float64
