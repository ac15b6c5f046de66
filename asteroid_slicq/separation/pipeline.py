"""A song on its way through a model: read ahead in one thread, handed on behind in another.

Reading and resampling of the next segment, and cross-fading, resampling back and writing of the
last one, take place while the model works on the one between. What is in memory is a segment of mix
more than without, whatever the song's length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from asteroid_slicq.audio import resample_stream
from asteroid_slicq.separation.segments import cut_into_segments, join_segments
from asteroid_slicq.separation.side_threads import made_ahead, taken_behind

Consume = Callable[[np.ndarray, np.ndarray], None]
"""Takes the next samples of the mix and its sources, at most a second, in a thread of its own."""


@dataclass(frozen=True)
class Cut:
    """Rates and sizes that a song is cut by.

    Attributes:
        rate_in: sample rate of the song in Hz.
        rate: of the model.
        size: samples in a segment, at the model's rate.
        overlap: samples that neighbours share.
    """

    rate_in: float
    rate: float
    size: int
    overlap: int

    def segments(self, buffers: Iterable[np.ndarray]) -> AbstractContextManager[Iterator[Segment]]:
        """The segments of a song, read ahead in a thread of their own."""
        return made_ahead(self._segments(buffers))

    def _segments(self, buffers: Iterable[np.ndarray]) -> Iterator[Segment]:
        held: list[np.ndarray] = []
        n_read = 0

        def kept() -> Iterator[np.ndarray]:
            nonlocal n_read
            for buffer in buffers:
                held.append(buffer)
                n_read += buffer.shape[-1]
                yield buffer

        mix = resample_stream(kept(), self.rate_in, self.rate)
        for samples, is_last in cut_into_segments(mix, self.size, self.overlap):
            yield Segment(samples, is_last, [*held], n_read / self.rate_in)
            held.clear()

    def handing_on(
        self, consume: Consume
    ) -> AbstractContextManager[Callable[[tuple[Segment, Estimate]], None]]:
        """A function that takes the estimates of segments, one after the other.

        Args:
            consume: gets what becomes of them.
        """

        def work(estimates: Iterator[tuple[Segment, Estimate]]) -> None:
            for mix, sources in self._joined(estimates):
                consume(mix, sources)

        return taken_behind(work)

    def _joined(
        self, estimates: Iterator[tuple[Segment, Estimate]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        held: list[np.ndarray] = []
        n_held = 0

        def finished() -> Iterator[tuple[np.ndarray, bool]]:
            nonlocal n_held
            for segment, estimate in estimates:
                held.extend(segment.buffers)
                n_held += sum(buffer.shape[-1] for buffer in segment.buffers)
                is_last = segment.is_last
                del segment
                yield estimate(), is_last
                del estimate

        sources = join_segments(finished(), self.size, self.overlap)
        step = max(1, round(self.rate_in))
        for part in resample_stream(sources, self.rate, self.rate_in):
            # Before the end resampling lags behind; at the end it gives a few samples too many.
            n_samples = min(part.shape[-1], n_held)
            mix = np.concatenate(held, axis=-1)
            for start in range(0, n_samples, step):  # so that what is made of them is small, too
                piece = slice(start, min(start + step, n_samples))
                yield mix[..., piece], part[..., piece]
            held[:] = [mix[..., n_samples:].copy()]
            n_held -= n_samples
            del part, mix


@dataclass(frozen=True)
class Segment:
    """A segment on its way to the model.

    Attributes:
        samples: at the model's rate. Shape: ``(batch, channel, time)``.
        is_last: whether none follows.
        buffers: of the song at its own rate, that were read for this segment.
        until_s: seconds of the song that were read so far.
    """

    samples: np.ndarray
    is_last: bool
    buffers: list[np.ndarray]
    until_s: float


Estimate = Callable[[], np.ndarray]
"""Waits for the sources of a segment. Shape: ``(batch, source, channel, time)``."""
