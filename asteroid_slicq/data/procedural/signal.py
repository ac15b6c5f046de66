"""Filters, envelopes and dynamics every instrument shares. Time is the last axis."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal as sps

Array = NDArray[np.floating]


def db(value_db: float) -> float:
    """Turn decibels into an amplitude factor."""
    return float(10.0 ** (value_db / 20.0))


def _safe(cutoff_hz: float, sample_rate: int) -> float:
    return float(np.clip(cutoff_hz, 5.0, 0.47 * sample_rate))


def _run(sos: Any, x: Array) -> Array:
    return np.asarray(sps.sosfilt(sos, x, axis=-1))


def lowpass(x: Array, cutoff_hz: float, sample_rate: int, order: int = 2) -> Array:
    """Butterworth low-pass of the given order."""
    fc = _safe(cutoff_hz, sample_rate)
    return _run(sps.butter(order, fc, "low", fs=sample_rate, output="sos"), x)


def highpass(x: Array, cutoff_hz: float, sample_rate: int, order: int = 2) -> Array:
    """Butterworth high-pass of the given order."""
    fc = _safe(cutoff_hz, sample_rate)
    return _run(sps.butter(order, fc, "high", fs=sample_rate, output="sos"), x)


def bandpass(x: Array, low_hz: float, high_hz: float, sample_rate: int, order: int = 2) -> Array:
    """Butterworth band-pass between two edges in Hz."""
    low = min(_safe(low_hz, sample_rate), 0.4 * sample_rate)
    high = max(_safe(high_hz, sample_rate), 1.05 * low)
    sos = sps.butter(order, (low, high), "band", fs=sample_rate, output="sos")
    return _run(sos, x)


def biquad(kind: str, f_hz: float, gain_db: float, q: float, sample_rate: int) -> Array:
    """Design one equaliser section (R. Bristow-Johnson, "Audio EQ cookbook"), ``(1, 6)``.

    The kind is ``"peak"``, with a centre, or ``"low"`` or ``"high"``, a shelf with a corner.
    """
    a = 10.0 ** (gain_db / 40.0)
    w = 2.0 * np.pi * _safe(f_hz, sample_rate) / sample_rate
    alpha, c = np.sin(w) / (2.0 * q), np.cos(w)
    if kind == "peak":
        num = [1 + alpha * a, -2 * c, 1 - alpha * a]
        den = [1 + alpha / a, -2 * c, 1 - alpha / a]
    else:
        s = 1.0 if kind == "low" else -1.0
        r = 2.0 * np.sqrt(a) * alpha
        num = [
            a * ((a + 1) - s * (a - 1) * c + r),
            s * 2 * a * ((a - 1) - s * (a + 1) * c),
            a * ((a + 1) - s * (a - 1) * c - r),
        ]
        den = [
            (a + 1) + s * (a - 1) * c + r,
            -s * 2 * ((a - 1) + s * (a + 1) * c),
            (a + 1) + s * (a - 1) * c - r,
        ]
    return np.array([[*num, *den]]) / den[0]


def equalise(x: Array, sections: list[Array]) -> Array:
    """Run equaliser sections, as `biquad` designs them, one after another."""
    return _run(np.concatenate(sections), x) if sections else x


def random_equaliser(
    rng: np.random.Generator, sample_rate: int, range_db: float = 5.0
) -> list[Array]:
    """Draw the settings of a channel strip: two shelves and up to two peaks."""
    bands = [
        ("low", rng.uniform(80, 300), rng.normal(0, range_db / 2), 0.7),
        ("high", rng.uniform(3000, 9000), rng.normal(0, range_db / 2), 0.7),
    ]
    for _ in range(int(rng.integers(0, 3))):
        f_hz = float(np.exp(rng.uniform(np.log(200), np.log(6000))))
        bands.append(("peak", f_hz, rng.normal(0, range_db / 2), rng.uniform(0.6, 2.5)))
    return [
        biquad(kind, f, float(np.clip(g, -range_db * 1.5, range_db * 1.5)), q, sample_rate)
        for kind, f, g, q in bands
    ]


def saturate(x: Array, drive: float, bias: float = 0.0) -> Array:
    """Bend peaks like a tube: tanh of slope one at low level; `bias` adds even harmonics."""
    return (np.tanh(drive * x + bias) - np.tanh(bias)) / drive


def compression_gain(
    x: Array,
    sample_rate: int,
    threshold_db: float,
    ratio: float,
    attack_s: float = 0.005,
    release_s: float = 0.12,
) -> Array:
    """Compute the gain, ``(time,)``, by which `compress` turns a sound down, from its arguments."""
    hop = 64
    length = x.shape[-1]
    n = -(-length // hop)
    mono = np.abs(x).max(axis=tuple(range(x.ndim - 1))) if x.ndim > 1 else np.abs(x)
    level = np.pad(mono, (0, n * hop - length)).reshape(n, hop).max(axis=1)
    if n == 0 or not level.any():
        return np.ones(length)
    up = float(np.exp(-hop / (attack_s * sample_rate)))
    down = float(np.exp(-hop / (release_s * sample_rate)))
    state, out = 0.0, []
    for value in level.tolist():
        keep = up if value > state else down
        state = keep * state + (1.0 - keep) * value
        out.append(state)
    smooth = np.asarray(out)
    over_db = 20.0 * np.log10(np.maximum(smooth / smooth.max(), 1e-6)) - threshold_db
    gain = 10.0 ** (-np.maximum(over_db, 0.0) * (1.0 - 1.0 / ratio) / 20.0)
    return np.interp(np.arange(length), (np.arange(n) + 0.5) * hop, gain)


def compress(
    x: Array,
    sample_rate: int,
    threshold_db: float,
    ratio: float,
    attack_s: float = 0.005,
    release_s: float = 0.12,
) -> Array:
    """Compress the dynamics, with one gain for all channels.

    Args:
        x: Signal.
        sample_rate: In Hz.
        threshold_db: Level above which the gain falls, relative to the peak of the level.
        ratio: Of input to output level, at least 1.
        attack_s: Time constant while the level rises.
        release_s: Time constant while the level falls.
    """
    return x * compression_gain(x, sample_rate, threshold_db, ratio, attack_s, release_s)


def adsr(
    length: int,
    sample_rate: int,
    attack_s: float,
    decay_s: float,
    sustain: float,
    release_s: float,
) -> Array:
    """Shape one note: linear attack, exponential decay to `sustain`, release within `length`."""
    t = np.arange(length) / sample_rate
    env = sustain + (1.0 - sustain) * np.exp(-np.maximum(t - attack_s, 0.0) / max(decay_s, 1e-4))
    env *= np.minimum(t / max(attack_s, 1e-4), 1.0)
    left = (length - 1) / sample_rate - t
    return env * np.minimum(left / max(release_s, 1e-4), 1.0) ** 1.5


def fade(x: Array, sample_rate: int, in_s: float = 0.001, out_s: float = 0.005) -> Array:
    """Fade both ends, so that a cut sound does not click."""
    t = np.arange(x.shape[-1])
    up = np.minimum((t + 1) / max(in_s * sample_rate, 1.0), 1.0)
    return x * up * np.minimum((t[::-1] + 1) / max(out_s * sample_rate, 1.0), 1.0)


def place(buffer: Array, sound: Array, start: int, gain: float = 1.0) -> None:
    """Add a sound into a buffer in place; what lies outside the buffer is dropped."""
    begin, end = max(start, 0), min(start + sound.shape[-1], buffer.shape[-1])
    if end > begin:
        buffer[..., begin:end] += gain * sound[..., begin - start : end - start]


def smooth_noise(rng: np.random.Generator, length: int, sample_rate: int, rate_hz: float) -> Array:
    """Draw a slow random walk-like curve of unit deviation, `rate_hz` knots a second."""
    knots = max(int(np.ceil(length / sample_rate * rate_hz)) + 4, 4)
    values = rng.standard_normal(knots)
    x = np.arange(length) * (rate_hz / sample_rate)
    i = np.minimum(x.astype(int), knots - 2)
    u = x - i
    u = u * u * (3.0 - 2.0 * u)
    return values[i] * (1.0 - u) + values[i + 1] * u
