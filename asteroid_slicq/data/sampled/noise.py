"""Noise that recordings have and samples lack: of amplifiers and fingers, and air."""

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from asteroid_slicq.data.procedural.signal import (
    Array,
    bandpass,
    biquad,
    db,
    equalise,
    fade,
    highpass,
    saturate,
)

_BLOCK_S = 0.05


def add_floor(
    rng: np.random.Generator, x: Array, sample_rate: int, amplifier: bool = False
) -> Array:
    """Add the noise of a microphone or an amplifier while a part plays and for a moment around.

    Where a part rests for longer, editors cut its track: there it stays silent.

    Args:
        rng: Random stream.
        x: Stereo part.
        sample_rate: In Hz.
        amplifier: Whether there is hum as well, and little treble.

    Shape:
        - Input and output: ``(2, time)``
    """
    n = x.shape[-1]
    block = max(int(_BLOCK_S * sample_rate), 1)
    n_blocks = -(-n // block)
    power = np.pad(np.mean(x**2, axis=0), (0, n_blocks * block - n)).reshape(n_blocks, block)
    level = np.sqrt(power.mean(axis=1))
    heard = level > 0.01 * level.max(initial=0.0)
    if not heard.any():
        return x
    loud = float(np.sqrt(np.mean(level[heard] ** 2)))
    around = maximum_filter1d(heard.astype(float), 2 * int(rng.uniform(0.3, 1.5) / _BLOCK_S) + 1)
    gate = np.interp(np.arange(n), (np.arange(n_blocks) + 0.5) * block, uniform_filter1d(around, 5))
    middle, side = rng.standard_normal((2, n), dtype=np.float32)
    side *= rng.uniform(0.2, 1.0)
    noise = np.stack([middle + side, middle - side])
    tilt = [biquad("low", rng.uniform(300, 1500), rng.uniform(0.0, 26.0), 0.5, sample_rate)]
    if amplifier:
        tilt.append(
            biquad("high", rng.uniform(2500, 6000), rng.uniform(-24.0, 0.0), 0.7, sample_rate)
        )
    noise = equalise(noise, tilt)
    if amplifier:
        noise += rng.uniform(0.0, 4.0) * np.resize(_hum(rng, sample_rate), n)
    noise /= np.sqrt(np.mean(noise**2)) + 1e-12
    return x + loud * db(rng.uniform(-78.0, -48.0)) * gate * noise


def _hum(rng: np.random.Generator, sample_rate: int) -> Array:
    """Draw one period of the mains' hum, of unit level."""
    period = round(sample_rate / float(rng.choice([50.0, 60.0])))
    t = np.arange(period) / period
    hum = sum(
        rng.uniform(0.0, 1.0) / k * np.sin(2 * np.pi * (k * t + rng.random())) for k in range(1, 8)
    ) + np.zeros(period)
    return hum / (np.sqrt(np.mean(hum**2)) + 1e-12)


def excite(rng: np.random.Generator, x: Array, sample_rate: int) -> Array:
    """Add the harmonics of the presence above it, as studios do to sounds that end too early.

    Shape:
        - Input and output: ``(..., time)``
    """
    low_hz = rng.uniform(2000, 4500)
    presence = bandpass(x, low_hz, rng.uniform(1.6, 2.5) * low_hz, sample_rate)
    peak = np.abs(presence).max() + 1e-12
    bent = saturate(presence / peak, rng.uniform(4.0, 20.0), rng.uniform(0.0, 0.5))
    air = highpass(bent, rng.uniform(6000, 9000), sample_rate, 4)
    return x + peak * db(rng.uniform(0.0, 18.0)) * air


class Touch:
    """The noise of fingers, plectrum and frets at the beginning of a note, drawn once.

    Args:
        rng: Random stream.
        sample_rate: In Hz.
    """

    def __init__(self, rng: np.random.Generator, sample_rate: int) -> None:
        self._rng, self._rate = rng, sample_rate
        low_hz = rng.uniform(500, 2500)
        self._band_hz = low_hz, low_hz * rng.uniform(2.0, 5.0)
        self._decay_s = rng.uniform(0.002, 0.02)
        self._gain = db(rng.uniform(-30.0, -12.0))
        self._takes = [self._take() for _ in range(6)]

    def _take(self) -> Array:
        n = int(8 * self._decay_s * self._rate)
        decay = np.exp(-np.arange(n) / (self._decay_s * self._rate))
        noise = bandpass(self._rng.standard_normal(n), *self._band_hz, self._rate, 1) * decay
        noise *= self._gain / (np.abs(noise).max() + 1e-12)
        return fade(noise, self._rate, 0.0005, 0.001)

    def sound(self, velocity: float) -> Array:
        """Draw the noise of one note.

        Shape:
            - Output: ``(time,)``, beside a note of peak one.
        """
        take = self._takes[int(self._rng.integers(len(self._takes)))]
        return take * velocity * self._rng.uniform(0.4, 1.5)
