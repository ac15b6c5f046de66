"""Audiograms: the hearing loss of a listener by frequency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
from numpy.typing import NDArray

Audiogram = str | Sequence[float] | Mapping[float, float]

AUDIOGRAM_HZ = (250, 500, 1000, 2000, 4000, 6000)
"""Frequencies of an audiogram, in Hz."""

AUDIOGRAMS: dict[str, tuple[float, ...]] = {
    "normal": (0, 0, 0, 0, 0, 0),
    "mild": (20, 20, 25, 35, 45, 50),
    "moderate": (35, 35, 40, 50, 60, 65),
    "moderate-severe": (55, 55, 55, 65, 75, 80),
}
"""Hearing losses in dB HL at :data:`AUDIOGRAM_HZ`, by name.

The impaired ones are the standard audiograms N2, N3 and N4 (Bisgaard, Vlaming, Dahlquist, "Standard
audiograms for the IEC 60118-15 measurement procedure", Trends in Amplification 14(2), 2010).
"""

_WORST_DB = 120.0


def hearing_loss(audiogram: Audiogram) -> NDArray[np.float64]:
    """Loss in dB HL at :data:`AUDIOGRAM_HZ`.

    Args:
        audiogram: a name in :data:`AUDIOGRAMS`, six numbers in dB HL, or the loss by frequency in
            Hz, which is interpolated on a logarithmic axis, and constant beyond its ends.

    Raises:
        TypeError: for what is none of these.
        ValueError: for an unknown name, another count, or a loss beyond −20 … 120 dB.

    >>> hearing_loss({250: 10, 1000: 30}).round(1)
    array([10., 20., 30., 30., 30., 30.])
    """
    if isinstance(audiogram, str):
        if audiogram not in AUDIOGRAMS:
            names = ", ".join(AUDIOGRAMS)
            raise ValueError(
                f"audiogram must be one of {names}, or six losses in dB at "
                f"{', '.join(map(str, AUDIOGRAM_HZ))} Hz, got {audiogram!r}"
            )
        return np.array(AUDIOGRAMS[audiogram], dtype=np.float64)
    if isinstance(audiogram, Mapping):
        frequencies, losses = list(audiogram), list(audiogram.values())
    else:
        frequencies, losses = list(AUDIOGRAM_HZ), list(audiogram)
    for value in (*frequencies, *losses):
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(f"audiogram must hold numbers, got {value!r}")
    if not losses or len(losses) != len(frequencies):
        raise ValueError(f"audiogram must hold {len(AUDIOGRAM_HZ)} losses in dB, got {audiogram!r}")
    if any(not -20 <= loss <= _WORST_DB for loss in losses) or min(frequencies) <= 0:
        raise ValueError(
            f"audiogram must hold losses of -20 to {_WORST_DB:g} dB at frequencies above 0 Hz, "
            f"got {audiogram!r}"
        )
    points = sorted(zip(frequencies, losses, strict=True))
    known_hz, known_db = np.array(points, dtype=np.float64).T
    return np.interp(np.log(AUDIOGRAM_HZ), np.log(known_hz), known_db)


def read_audiogram(text: str) -> str | tuple[float, ...]:
    """An audiogram as people write it: a name, or six losses with commas between them.

    Raises:
        ValueError: for what is none.

    >>> read_audiogram("20,20,25,35,45,50")
    (20.0, 20.0, 25.0, 35.0, 45.0, 50.0)
    """
    audiogram: str | tuple[float, ...] = text
    if "," in text:
        try:
            audiogram = tuple(float(part) for part in text.split(","))
        except ValueError:
            raise ValueError(f"audiogram must hold numbers, got {text!r}") from None
    hearing_loss(audiogram)
    return audiogram
