"""Bends of pitch by a player: slides, scoops and vibrato, a value for every 32 samples."""

import numpy as np

from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.procedural.signal import Array
from asteroid_slicq.data.sampled.sampler import CONTROL


def glide(semitones: float, seconds: float, sample_rate: int) -> Array:
    """Slide from so many semitones beside a note to the note.

    Shape:
        - Output: ``(time,)`` in cents, ending at zero.
    """
    n = max(int(seconds * sample_rate / CONTROL), 1)
    return 100.0 * semitones * (0.5 + 0.5 * np.cos(np.pi * np.arange(n + 1) / n))


class Expression:
    """A player's vibrato and scoops, drawn once.

    Args:
        rng: Random stream.
        depth_cents: Lowest and highest depth of the vibrato.
        scoops: How often a note is approached from below.
        bends: How often it is bent up from a whole or half tone below, as on a guitar.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        depth_cents: tuple[float, float] = (8.0, 40.0),
        scoops: float = 0.3,
        bends: float = 0.0,
    ) -> None:
        self._rng = rng
        self._rate_hz = rng.uniform(4.6, 6.4)
        self._depth = log_uniform(rng, *depth_cents)
        self._delay_s = rng.uniform(0.12, 0.4)
        self._scoops, self._bends = scoops, bends

    def course(self, duration_s: float, sample_rate: int) -> Array:
        """Draw the course of a note's pitch.

        Shape:
            - Output: ``(time,)`` in cents, a value for every 32 samples.
        """
        rng = self._rng
        t = np.arange(int((duration_s + 0.3) * sample_rate / CONTROL) + 1) * CONTROL / sample_rate
        rise = np.clip((t - self._delay_s) / 0.35, 0.0, 1.0)
        rate_hz = self._rate_hz * rng.uniform(0.94, 1.06)
        depth = self._depth * rng.uniform(0.6, 1.2)
        cents = depth * rise * np.sin(2 * np.pi * rate_hz * t + rng.uniform(0, 0.5))
        if rng.random() < self._bends and duration_s > 0.15:
            semitones = float(rng.choice([1.0, 2.0]))
            cents -= 100.0 * semitones * (1.0 - np.clip(t / rng.uniform(0.05, 0.2), 0.0, 1.0))
        elif rng.random() < self._scoops:
            cents -= rng.uniform(20, 90) * np.exp(-t / rng.uniform(0.02, 0.06))
        return cents + rng.normal(0.0, 4.0)
