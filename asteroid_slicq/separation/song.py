"""The first of two passes over a song: what its model measures over all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from asteroid_slicq.separation.pipeline import Cut, Segment
from asteroid_slicq.separation.segment_model import SegmentModel, SongStatistics

Progress = Callable[[float, float], None]
Song = list[SongStatistics]
"""Statistics of a song, one for each shift."""

_FIRST_PASS = 0.3  # share of the time


def measure(
    model: SegmentModel, segments: Iterable[Segment], cut: Cut, tell: Callable[[float], None]
) -> Song | None:
    """Measure a song; ``None`` where there is nothing to measure, or one segment is all of it.

    Every step of the song is measured once, in the segment that has more of its surroundings.

    Args:
        model: in evaluation mode.
        segments: of the song.
        cut: how they were cut.
        tell: called with the seconds that are done.
    """
    song = model.song_statistics()
    if song is None:
        return None
    n_steps, n_early = (cut.size - cut.overlap) // model.step, round(cut.overlap / 2 / model.step)
    for index, segment in enumerate(segments):
        if segment.is_last and not index:
            return None
        start, stop = n_early if index else 0, None if segment.is_last else n_steps + n_early
        model.observe(song, segment.samples, index * n_steps, start, stop)
        tell(segment.until_s)
    return song


def in_first(tell: Progress, total_s: float) -> Callable[[float], None]:
    """The progress of a first pass, which is told where the length is known."""
    return lambda done_s: tell(_FIRST_PASS * done_s, total_s) if total_s else None


def after_first(tell: Progress) -> Progress:
    """The progress of a second pass, which goes on where the first one ended."""
    return lambda done_s, total_s: tell(
        _FIRST_PASS * total_s + (1 - _FIRST_PASS) * done_s if total_s else done_s, total_s
    )
