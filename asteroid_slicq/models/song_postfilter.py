"""A whole song in segments, of a model whose Wiener-EM runs on the STFT: two passes over it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from asteroid_slicq.separation import replayed
from asteroid_slicq.wiener import SongPostfilter, in_part


class STFTStatistics:
    """What a first pass over the segments of a song measures, for the second one.

    Positions are in steps of the model; segments start on one.
    """

    def __init__(self) -> None:
        self._filter = SongPostfilter()

    def observe(self, model: Any, mix: Tensor, position: int, start: int, stop: int | None) -> None:
        """Measure a part of a segment; every step of the song once.

        Args:
            model: whose ``waveforms`` are those before the filter.
            mix: the segment.
            position: of the segment in the song.
            start: first step to measure, counted in the segment.
            stop: step after the last; ``None`` is the end.

        Shape:
            - mix: ``(batch, channel, time)``
        """
        step = model.segment_step_samples
        end = None if stop is None else stop * step
        sources = replayed(_waveforms, model, mix)
        self._filter.observe(sources, mix, position * step, start * step, end)

    def separate(self, model: Any, mix: Tensor, position: int) -> Tensor:
        """The sources of a segment.

        Shape:
            - mix: ``(batch, channel, time)``; output: ``(batch, source, channel, time)``
        """
        position *= model.segment_step_samples
        estimates = replayed(_waveforms, model, mix)
        refined = self._filter.refine(estimates, mix, position)
        return in_part(refined, estimates, model.wiener_share)


def _waveforms(model: Any, mix: Tensor) -> Tensor:
    return model.waveforms(mix)
