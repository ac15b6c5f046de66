"""A song before it is separated: its level, and what its model measures over all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from asteroid_slicq.separation.pipeline import Cut, Segment
from asteroid_slicq.separation.segment_model import SegmentModel, SongStatistics

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Song:
    """What is known of a song before it is separated.

    Attributes:
        statistics: of all of it, one for each shift; ``None`` where nothing is measured.
        gain: what brings it to the level that its model wants, ``(batch, 1, 1)``; ``None``: it is
            separated as it is.
    """

    statistics: list[SongStatistics] | None = None
    gain: np.ndarray | None = None

    def scaled(self, segment: np.ndarray) -> np.ndarray:
        """A segment as the model gets it. Shape: ``(batch, channel, time)``."""
        return segment if self.gain is None else segment * self.gain

    def unscaled(self, estimate: np.ndarray) -> np.ndarray:
        """Its sources at the level of the song. Shape: ``(batch, source, channel, time)``."""
        return estimate if self.gain is None else estimate / self.gain[:, None]


_FIRST_PASS = 0.3  # share of the time


def measure(
    model: SegmentModel,
    segments: Iterable[Segment],
    cut: Cut,
    gain: np.ndarray | None,
    tell: Callable[[float], None],
) -> Song:
    """Measure a song; it has no statistics where one segment is all of it.

    Every step of the song is measured once, in the segment that has more of its surroundings.

    Args:
        model: in evaluation mode.
        segments: of the song.
        cut: how they were cut.
        gain: of the song, see `Song`.
        tell: called with the seconds that are done.
    """
    statistics = model.song_statistics()
    song = Song(None, gain)
    if statistics is None:
        return song
    n_steps, n_early = (cut.size - cut.overlap) // model.step, round(cut.overlap / 2 / model.step)
    for index, segment in enumerate(segments):
        if segment.is_last and not index:
            return song
        start, stop = n_early if index else 0, None if segment.is_last else n_steps + n_early
        model.observe(statistics, song.scaled(segment.samples), index * n_steps, start, stop)
        tell(segment.until_s)
    return Song(statistics, gain)


def in_first(tell: Progress, total_s: float) -> Callable[[float], None]:
    """The progress of a first pass, which is told where the length is known."""
    return lambda done_s: tell(_FIRST_PASS * done_s, total_s) if total_s else None


def after_first(tell: Progress) -> Progress:
    """The progress of a second pass, which goes on where the first one ended."""
    return lambda done_s, total_s: tell(
        _FIRST_PASS * total_s + (1 - _FIRST_PASS) * done_s if total_s else done_s, total_s
    )
