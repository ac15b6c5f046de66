"""A whole song in segments: Wiener-EM with the covariances of the song, in two passes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asteroid_slicq.wiener import SongCovariances


class SliCQTStatistics:
    """What a first pass over the segments of a song measures, for the second one.

    Positions are in slices; segments start on one.

    Args:
        n_blocks: of the model's transform.
    """

    def __init__(self, n_blocks: int) -> None:
        self._blocks = [SongCovariances() for _ in range(n_blocks)]

    def observe(self, model: Any, mix: Tensor, position: int, start: int, stop: int | None) -> None:
        """Measure some slices of a segment; every slice of the song once.

        Args:
            model: the :class:`asteroid_slicq.XUMXSliCQ`.
            mix: the segment.
            position: of the segment in the song.
            start: first slice to measure, counted in the segment.
            stop: slice after the last; ``None`` is the end.

        Shape:
            - mix: ``(batch, channel, time)``
        """
        blocks = model.transform(mix)
        masks = model.blocks.masks(block.abs() for block in blocks)
        own = slice(start, stop)
        for sums, mask, block in zip(self._blocks, masks, blocks, strict=True):
            first = (position + start) * block.shape[-1]
            sums.add(mask[..., own, :], block[..., own, :], first)

    def separate(self, model: Any, mix: Tensor, position: int) -> Tensor:
        """The sources of a segment.

        Shape:
            - mix: ``(batch, channel, time)``; output: ``(batch, source, channel, time)``
        """
        blocks = model.transform(mix)
        masks = model.blocks.masks(block.abs() for block in blocks)
        sources = [
            sums.refine(mask, block, position * block.shape[-1])
            for sums, mask, block in zip(self._blocks, masks, blocks, strict=True)
        ]
        del blocks, masks
        length = mix.shape[-1]  # one source after the other takes less memory
        waveforms = [
            model.transform.inverse([block[:, source] for block in sources], length=length)
            for source in range(len(model.sources))
        ]
        return torch.stack(waveforms, dim=1)
