"""The first of two passes over a song: what its model measures over all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from asteroid_slicq.separation.segment_model import SegmentModel, SongStatistics
from asteroid_slicq.separation.segments import cut_into_segments

Progress = Callable[[float, float], None]
Song = list[SongStatistics]
"""Statistics of a song, one for each shift."""

_FIRST_PASS = 0.3  # share of the time


def measure(model: SegmentModel, mix: Iterable[np.ndarray], size: int, overlap: int) -> Song | None:
    """Measure a song; ``None`` where there is nothing to measure, or one segment is all of it.

    Every step of the song is measured once, in the segment that has more of its surroundings.

    Args:
        model: in evaluation mode.
        mix: the song at the model's rate, ``(batch, channel, time)`` each.
        size: of a segment.
        overlap: of neighbours.
    """
    song = model.song_statistics()
    if song is None:
        return None
    n_steps, n_early = (size - overlap) // model.step, round(overlap / 2 / model.step)
    for index, (segment, is_last) in enumerate(cut_into_segments(mix, size, overlap)):
        if is_last and not index:
            return None
        start, stop = n_early if index else 0, None if is_last else n_steps + n_early
        model.observe(song, segment, index * n_steps, start, stop)
    return song


def counted(
    buffers: Iterable[np.ndarray], sample_rate: float, total_s: float, tell: Progress
) -> Iterator[np.ndarray]:
    """The buffers of a first pass, of which progress is told where the length is known."""
    n_read = 0
    for buffer in buffers:
        n_read += buffer.shape[-1]
        if total_s:
            tell(_FIRST_PASS * n_read / sample_rate, total_s)
        yield buffer


def after_first(tell: Progress) -> Progress:
    """The progress of a second pass, which goes on where the first one ended."""
    return lambda done_s, total_s: tell(
        _FIRST_PASS * total_s + (1 - _FIRST_PASS) * done_s if total_s else done_s, total_s
    )
