"""A song on its way through a model: read ahead in one thread, handed on behind in another.

Reading and resampling of the next segment, and cross-fading, resampling back and writing of the
last one, take place while the model works on the one between. What is in memory is a segment of mix
more than without, whatever the song's length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

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
        held = _Held()

        def finished() -> Iterator[tuple[np.ndarray, bool]]:
            for segment, estimate in estimates:
                held.buffers.extend(segment.buffers)
                yield estimate(), segment.is_last
                del segment, estimate

        # A second at a time, so that what is made of them is small while the model works, too.
        sources = _in_pieces(join_segments(finished(), self.size, self.overlap), self.rate)
        for part in resample_stream(sources, self.rate, self.rate_in):
            # Before the end resampling lags behind; at the end it gives a few samples too many.
            mix = held.take(part.shape[-1])
            if mix is not None:
                yield mix, part[..., : mix.shape[-1]]


class _Held:
    """Buffers of the mix whose sources are not there yet."""

    def __init__(self) -> None:
        self.buffers: deque[np.ndarray] = deque()

    def take(self, n_samples: int) -> np.ndarray | None:
        """The next samples, or as many as there are; ``None`` for none."""
        taken: list[np.ndarray] = []
        while n_samples and self.buffers:
            first = self.buffers.popleft()
            taken.append(first[..., :n_samples])
            if first.shape[-1] > n_samples:
                self.buffers.appendleft(first[..., n_samples:])
            n_samples -= taken[-1].shape[-1]
        return np.concatenate(taken, axis=-1) if taken else None


def _in_pieces(buffers: Iterable[np.ndarray], sample_rate: float) -> Iterator[np.ndarray]:
    """Buffers of at most a second."""
    step = max(1, round(sample_rate))
    for buffer in buffers:
        for start in range(0, buffer.shape[-1], step):
            yield buffer[..., start : start + step]


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

    def at_its_rate(self) -> Segment:
        """What is needed of it once the model has it."""
        return replace(self, samples=self.samples[..., :0].copy())


Estimate = Callable[[], np.ndarray]
"""Waits for the sources of a segment. Shape: ``(batch, source, channel, time)``."""
