"""A recorded chord: whether it holds the tones that its name says."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

#: Tones over the root.
TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}
_BAND_HZ = 75.0, 700.0  # of the fundamentals of a guitar
_SEMITONES = 0.65  # by which a string may be out of tune
_LEAST = 0.78  # share of the energy that the triad holds


def is_triad(takes: Iterable[tuple[NDArray, int]], root: int, quality: str) -> bool:
    """Whether some takes of a chord, on average, sound as the triad of their name.

    Its three pitch classes hold most of the energy between 75 and 700 Hz, and its third more
    than the third of the other quality.

    Args:
        takes: Mono recordings, each with its rate in Hz.
        root: Pitch class, 0 to 11.
        quality: A key of `TRIADS`.

    Shape:
        - takes: ``(time,)`` each
    """
    tones = sorted({t for triad in TRIADS.values() for t in triad})
    found = np.mean([_shares(x, rate, root, tones) for x, rate in takes], axis=0)
    share = dict(zip(tones, found, strict=True))
    other = 7 - TRIADS[quality][1]
    return bool(
        sum(share[t] for t in TRIADS[quality]) >= _LEAST
        and share[TRIADS[quality][1]] > share[other]
    )


def _shares(x: NDArray, rate: int, root: int, tones: list[int]) -> NDArray[np.float64]:
    """Share of the energy of a sound around each of some tones over a root."""
    power = np.abs(np.fft.rfft(x)) ** 2
    f_hz = np.fft.rfftfreq(len(x), 1.0 / rate)
    inside = (f_hz > _BAND_HZ[0]) & (f_hz < _BAND_HZ[1])
    power, pitch = power[inside], 69.0 + 12.0 * np.log2(f_hz[inside] / 440.0)
    total = power.sum() + 1e-30
    return np.array(
        [power[np.abs((pitch - root - t + 6) % 12 - 6) < _SEMITONES].sum() / total for t in tones]
    )
