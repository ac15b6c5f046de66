"""A whole song in segments: Wiener-EM with the covariances of the song, in two passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from asteroid_slicq.models.xumx_slicq.flat import Blocks, separated
from asteroid_slicq.separation import replayed, replays
from asteroid_slicq.wiener import SongCovariances, SongCovariancesOfBlocks


class SliCQTStatistics:
    """What a first pass over the segments of a song measures, for the second one.

    Positions are in slices; segments start on one.

    Args:
        blocks: bins, and coefficients in a slice, of each block of the model's transform.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = [SongCovariances() for _ in blocks]
        self._at_once = SongCovariancesOfBlocks(blocks)

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
        own = slice(start, stop)
        if model.runs_at_once(mix):
            flat, masks = replayed(_all_at_once, model, mix)
            self._at_once.add(masks, flat, position, own)
            return
        blocks, masks = _coefficients_and_masks(model, mix)
        for sums, mask, block in zip(self._blocks, masks, blocks, strict=True):
            first = (position + start) * block.shape[-1]
            sums.add(mask[..., own, :], block[..., own, :], first)

    def separate(self, model: Any, mix: Tensor, position: int) -> Tensor:
        """The sources of a segment.

        Shape:
            - mix: ``(batch, channel, time)``; output: ``(batch, source, channel, time)``
        """
        if model.runs_at_once(mix):
            flat, masks = replayed(_all_at_once, model, mix)
            refined = model.in_shares(self._at_once.refine(masks, flat, position), masks, flat)
            sources = separated(refined, model.transform.frame.blocks)
            return replayed(_waveforms, model, mix.shape[-1], *sources)
        blocks, masks = _coefficients_and_masks(model, mix)
        sources = [
            model.in_shares(sums.refine(mask, block, position * block.shape[-1]), mask, block)
            for sums, mask, block in zip(self._blocks, masks, blocks, strict=True)
        ]
        del blocks, masks
        return replayed(_waveforms, model, mix.shape[-1], *sources)


def _coefficients_and_masks(model: Any, mix: Tensor) -> tuple[Sequence[Tensor], Iterable[Tensor]]:
    """Those of all blocks; masks only when they are asked for, which takes less memory."""
    if replays(mix):
        return replayed(_all_coefficients_and_masks, model, mix)
    blocks = model.transform(mix)
    return blocks, model.blocks.masks(block.abs() for block in blocks)


def _all_coefficients_and_masks(
    model: Any, mix: Tensor
) -> tuple[Sequence[Tensor], Iterable[Tensor]]:
    blocks = model.transform(mix)
    return blocks, tuple(model.blocks.masks(block.abs() for block in blocks))


def _all_at_once(model: Any, mix: Tensor) -> tuple[Tensor, Tensor]:
    """The same of all blocks at once."""
    return model.masks_at_once(model.transform(mix))


def _waveforms(model: Any, length: int, *sources: Tensor) -> Tensor:
    # One source after the other takes less memory.
    each = [
        model.transform.inverse([block[:, source] for block in sources], length=length)
        for source in range(sources[0].shape[1])
    ]
    return torch.stack(each, dim=1)
