"""Resampling of streams, without delay."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import soxr


class Resampler:
    """A resampler of a stream that comes buffer by buffer.

    Args:
        rate_in: sample rate of the stream in Hz.
        rate_out: the wanted sample rate in Hz.
    """

    def __init__(self, rate_in: float, rate_out: float):
        self._rates = rate_in, rate_out
        self._lead: tuple[int, ...] = ()
        self._stream: soxr.ResampleStream | None = None

    def push(self, buffer: np.ndarray) -> np.ndarray:
        """Resample a buffer; what comes out lags behind. Shape: ``(..., time)`` of both."""
        if self._stream is None:
            self._lead = buffer.shape[:-1]
            self._stream = soxr.ResampleStream(*self._rates, math.prod(self._lead), quality="VHQ")
        return self._resample(self._stream, buffer)

    def flush(self) -> np.ndarray | None:
        """What is left, and a few samples more, as if zeros followed; ``None`` for no stream."""
        if self._stream is None:
            return None
        n_flush = 1 + math.ceil(self._rates[0] / self._rates[1])
        zeros = np.zeros((*self._lead, n_flush), np.float32)
        return self._resample(self._stream, zeros, last=True)

    def _resample(
        self, stream: soxr.ResampleStream, buffer: np.ndarray, last: bool = False
    ) -> np.ndarray:
        flat = np.ascontiguousarray(buffer.reshape(-1, buffer.shape[-1]).T, dtype=np.float32)
        return stream.resample_chunk(flat, last=last).T.reshape(*self._lead, -1)


def resample_stream(
    buffers: Iterable[np.ndarray], rate_in: float, rate_out: float
) -> Iterator[np.ndarray]:
    """Resample a stream without delay.

    Args:
        buffers: the stream. Shape of each: ``(..., time)``.
        rate_in: its sample rate in Hz.
        rate_out: the wanted sample rate in Hz.

    Yields:
        float32 buffers of the same leading axes, in all at least ``time * rate_out / rate_in``
        samples and a few more, as if zeros followed. With equal rates: the buffers as they are.
    """
    if rate_in == rate_out:
        yield from buffers
        return
    resampler = Resampler(rate_in, rate_out)
    for buffer in buffers:
        yield resampler.push(buffer)
    rest = resampler.flush()
    if rest is not None:
        yield rest
