"""Samples as a format holds them: rounded to its steps, within its range, and in sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FLOAT_STEP = 2.0**-23
"""Of 24-bit samples. Floats of that step are exact up to 2, and so are their sums."""


@dataclass(frozen=True)
class Levels:
    """The values that samples of a format may have.

    Attributes:
        step: between neighbours; 0 where there is none.
        low: the least of them.
        high: the greatest of them.
    """

    step: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    @staticmethod
    def of_bits(bits: int) -> Levels:
        """Those of integers of that many bits, read as −1 … 1."""
        step = 2.0 ** (1 - bits)
        return Levels(step, -1.0, 1.0 - step)

    def nearest(self, samples: np.ndarray) -> np.ndarray:
        """The nearest values that there are."""
        if self.step:
            samples = np.rint(samples / self.step) * self.step
        return np.clip(samples, self.low, self.high)


def as_integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples in −1 … 1 as integers of that many bits, left-aligned in int16 or int32."""
    integers = np.rint(samples * 2.0 ** (bits - 1))
    return integers.astype(np.int16) if bits == 16 else integers.astype(np.int32) << (32 - bits)


def sum_to_mix(
    stems: np.ndarray, rest: int, mix: np.ndarray, levels: Levels
) -> tuple[np.ndarray, int]:
    """Make stems, as they will be written, sum to the mix, as it would be written.

    What the others leave of the mix is the rest. Where it would be out of range, it is limited, and
    the others take what is over: there always is room for it, since the mix is in range.

    Args:
        stems: in float. Shape: ``(stem, channel, time)``.
        rest: index of the stem that is what the others leave; what it holds does not count.
        mix: in float. Shape: ``(channel, time)``.
        levels: of the format. Those of floats sum exactly where the mix has 24 bits at most, up to
            full scale; else by rounding of float.

    Returns:
        The stems in float64, and how many samples of the mix's length were limited.
    """
    is_free = np.isinf(levels.high)
    if is_free and not np.any(np.rint(mix / _FLOAT_STEP) * _FLOAT_STEP != mix):
        levels = Levels(_FLOAT_STEP)
    others = [index for index in range(len(stems)) if index != rest]
    given = np.concatenate([stems[others], mix[None]]).astype(np.float64)
    whole = levels.nearest(given)
    is_limited = (np.abs(given) > 1.0).any(0)
    held, mix = whole[:-1], whole[-1]
    left = mix - held.sum(0)
    over = left - np.clip(left, levels.low, levels.high)
    if over.any():
        is_limited |= over != 0
        for stem in held:
            taken = np.clip(stem + over, levels.low, levels.high) - stem
            stem += taken
            over = over - taken
    made = np.empty(stems.shape)
    made[others] = held
    made[rest] = mix - held.sum(0)
    return made, 0 if is_free else int(np.count_nonzero(is_limited))
