"""Recorded speech of a person, cut at its pauses into phrases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from asteroid_slicq.data.sampled.voices.speech import Audio, Rng, Speaker

_PAUSE_S = 0.12
_PAUSE_DB = -32.0
_SHORTEST_S, _LONGEST_S = 1.2, 5.0


def recorded_speakers(folder: Path) -> Iterator[Speaker]:
    """The man whose recordings lie in a folder; none without any.

    Args:
        folder: of WAV files.
    """
    paths = sorted(folder.glob("*.wav"))

    def say(rng: Rng) -> tuple[Audio, int]:
        data, rate = soundfile.read(paths[int(rng.integers(len(paths)))], dtype="float64")
        samples = np.asarray(data, np.float64)
        phrases = phrases_of(samples, rate)
        if not phrases:
            return np.zeros(rate // 2), rate
        begin, end = phrases[int(rng.integers(len(phrases)))]
        return samples[begin:end], rate

    if paths:
        yield Speaker("nsh", "festvox-ru", True, say)


def phrases_of(samples: NDArray[np.float64], rate: int) -> list[tuple[int, int]]:
    """Begin and end of what is said between two pauses, where that is a line's length.

    Shape:
        - samples: ``(time,)``
    """
    power = uniform_filter1d(samples**2, int(0.02 * rate))
    loud = power > 10 ** (_PAUSE_DB / 10) * power.max(initial=1e-12)
    heard = np.flatnonzero(loud)
    if not len(heard):
        return []
    breaks = np.flatnonzero(np.diff(heard) > _PAUSE_S * rate)
    begins = [heard[0], *heard[breaks + 1]]
    ends = [*heard[breaks], heard[-1]]
    margin = int(0.04 * rate)
    return [
        (max(int(begin) - margin, 0), int(end) + margin)
        for begin, end in zip(begins, ends, strict=True)
        if _SHORTEST_S * rate < end - begin < _LONGEST_S * rate
    ]
