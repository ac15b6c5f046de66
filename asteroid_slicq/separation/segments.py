"""Streams of audio processed in overlapping segments, in bounded memory.

Neighbouring segments share an overlap of ``O`` samples. The quarter of it next to the end of a
segment is context for that segment only: there the other one counts alone. In the middle half the
two are cross-faded by ``cos²`` and ``sin²``, which sum to one::

    segment k      ────────────────────╲_____
    segment k+1               _____╱────────────────────
                              │ O/4│ O/2│ O/4│

So a time-invariant process whose memory is shorter than ``O/4`` gives what it would give on the
whole stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

Process = Callable[[np.ndarray], np.ndarray]


def crossfade(overlap: int) -> np.ndarray:
    """Weights of a segment over its first ``overlap`` samples; ``1 - w`` is the previous one's.

    Args:
        overlap: number of samples, at least 0.

    Returns:
        float32 weights from 0 to 1: zero, half a Hann window, one, in the ratio 1 : 2 : 1.
        Shape: ``(overlap,)``.
    """
    edge = overlap // 4
    n_fade = overlap - 2 * edge
    rise = np.sin(0.5 * np.pi * (np.arange(n_fade) + 0.5) / max(n_fade, 1)) ** 2
    return np.concatenate([np.zeros(edge), rise, np.ones(edge)]).astype(np.float32)


def process_in_segments(
    buffers: Iterable[np.ndarray], process: Process, size: int, overlap: int
) -> Iterator[np.ndarray]:
    """Apply a function to overlapping segments of a stream and cross-fade the results.

    Args:
        buffers: the stream. Shape of each: ``(..., time)``, any number of samples.
        process: maps ``(..., time)`` to ``(..., time)`` of the same length; the leading axes may
            differ. It sees ``size`` samples, at the end of the stream fewer.
        size: samples in a segment.
        overlap: samples shared by neighbours; at most half of ``size``.

    Yields:
        The processed stream; in all as many samples as went in. Shape of each: ``(..., time)``.
    """
    segments = cut_into_segments(buffers, size, overlap)
    estimates = ((process(segment), is_last) for segment, is_last in segments)
    yield from join_segments(estimates, size, overlap)


def join_segments(
    estimates: Iterable[tuple[np.ndarray, bool]], size: int, overlap: int
) -> Iterator[np.ndarray]:
    """Cross-fade what became of segments, each with whether it is the last.

    See `process_in_segments` for the rest.
    """
    weight = crossfade(overlap)
    hop = size - overlap
    tail: np.ndarray | None = None
    for estimate, is_last in estimates:
        if tail is not None and overlap:
            yield tail * (1 - weight) + estimate[..., :overlap] * weight
        begin, end = 0 if tail is None else overlap, None if is_last else hop
        if estimate[..., begin:end].size:
            yield estimate[..., begin:end]
        if not is_last:
            tail = estimate[..., hop:].copy()
        del estimate


def cut_into_segments(
    buffers: Iterable[np.ndarray], size: int, overlap: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield the segments of a stream, and whether each is the last; see `process_in_segments`."""
    hop = size - overlap
    source = iter(buffers)
    pieces: list[np.ndarray] = []
    n_held = 0
    while True:
        while n_held <= size:  # one sample more than a segment tells that it is not the last
            buffer = next(source, None)
            if buffer is None:
                break
            pieces.append(buffer)
            n_held += buffer.shape[-1]
        if n_held == 0:
            return
        held = np.concatenate(pieces, axis=-1)
        is_last = n_held <= size
        yield held[..., :size], is_last
        if is_last:
            return
        # Longer than the overlap, so that the next segment covers all of the tail.
        pieces, n_held = [held[..., hop:]], n_held - hop
