"""Spatial effects: pan, width, chorus, echo and reverberation."""

import numpy as np
from scipy.signal import oaconvolve

from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.procedural.signal import (
    Array,
    bandpass,
    db,
    highpass,
    lowpass,
    smooth_noise,
)


def pan(x: Array, position: float) -> Array:
    """Place a mono sound, ``(time,)``, between left (-1) and right (1) at constant power."""
    angle = (np.clip(position, -1.0, 1.0) + 1.0) * np.pi / 4.0
    return np.stack([np.cos(angle) * x, np.sin(angle) * x]) * np.sqrt(2.0)


def balance(x: Array, position: float) -> Array:
    """Turn a stereo sound towards one side by lowering the other."""
    left, right = min(1.0 - position, 1.0), min(1.0 + position, 1.0)
    return x * np.array([[left], [right]])


def widen(x: Array, width: float) -> Array:
    """Scale the side signal of a stereo sound; 0 is mono and 1 changes nothing."""
    mid, side = 0.5 * (x[0] + x[1]), 0.5 * (x[0] - x[1]) * width
    return np.stack([mid + side, mid - side])


def position(rng: np.random.Generator) -> float:
    """Draw where a part stands: most near the middle, few at a side."""
    return float(np.clip(rng.normal(0.0, 0.3), -0.9, 0.9))


def spread(x: Array, rng: np.random.Generator, sample_rate: int) -> Array:
    """Make a mono sound, ``(time,)``, wide: what one side has more, the other has less.

    A short echo without its low frequencies is the side signal, so the sum of both sides is the
    sound itself. Source: Lauridsen's method, as in Orban, "A rational technique for synthesizing
    pseudo-stereo from monophonic sources" (JAES 1970).
    """
    side = highpass(x, float(rng.uniform(150, 400)), sample_rate, 1)
    side = modulated_delay(side, np.full(x.shape[-1], rng.uniform(0.007, 0.02) * sample_rate))
    side *= rng.uniform(0.4, 0.9)
    return np.stack([x + side, x - side])


def centre(x: Array, most_db: float) -> Array:
    """Bring the levels of both sides of a stereo sound to within `most_db` of each other."""
    left, right = np.sqrt(np.mean(x**2, axis=-1)) + 1e-12
    lean_db = 20.0 * np.log10(left / right)
    excess_db = lean_db - np.clip(lean_db, -most_db, most_db)
    if not excess_db:
        return x
    mono = 0.5 * (x[0] + x[1])  # the softer side gets of the louder one what it lacks
    target = max(left, right) * db(-most_db)
    softer = 0 if lean_db < 0 else 1
    out = x.copy()
    lacking = np.sqrt(max(target**2 - np.mean(x[softer] ** 2), 0.0))
    out[softer] += lacking / (np.sqrt(np.mean(mono**2)) + 1e-12) * mono
    return out


def modulated_delay(x: Array, delay: Array) -> Array:
    """Read a mono sound `delay` samples ago, with linear interpolation."""
    at = np.arange(x.shape[-1]) - delay
    return np.interp(at, np.arange(x.shape[-1]), x, left=0.0)


def chorus(
    x: Array, sample_rate: int, rng: np.random.Generator, depth_s: float = 0.003, mix: float = 0.5
) -> Array:
    """Spread a mono or stereo sound over the stereo field with two slowly moving copies of it."""
    x = np.stack([x, x]) if x.ndim == 1 else x
    t = np.arange(x.shape[-1]) / sample_rate
    rate, phase = log_uniform(rng, 0.15, 2.5), rng.uniform(0, 2 * np.pi)
    out = []
    for side, channel in enumerate(x):
        swing = 0.5 + 0.5 * np.sin(2 * np.pi * rate * t + phase + side * np.pi * 0.6)
        wet = modulated_delay(channel, (0.006 + depth_s * swing) * sample_rate)
        out.append((1.0 - 0.5 * mix) * channel + mix * wet)
    return np.stack(out)


def echo(
    x: Array,
    sample_rate: int,
    delay_s: float,
    feedback: float,
    ping_pong: bool = False,
    tone_hz: float = 4000.0,
) -> Array:
    """Repeat a stereo sound, each repetition darker and weaker; the dry sound is not included."""
    out = np.zeros_like(x)
    step = max(int(delay_s * sample_rate), 1)
    tap, gain = x, 1.0
    for n in range(1, 12):
        if n * step >= x.shape[-1] or gain < 0.03:
            break
        if n < 4:
            tap = lowpass(tap, tone_hz, sample_rate, 1)
        if ping_pong:
            tap = tap[::-1]
        out[:, n * step :] += gain * tap[:, : x.shape[-1] - n * step]
        gain *= feedback
    return out


def room_response(rng: np.random.Generator, rt60_s: float, sample_rate: int) -> Array:
    """Draw the impulse response of a room: early reflections, then decaying noise.

    Three bands decay at their own rates, high ones faster, as air and walls make them; the middle
    one falls by 60 dB in `rt60_s`. The output, ``(2, time)``, has unit energy a channel.
    """
    length = max(int(0.9 * rt60_s * sample_rate), 256)
    t = np.arange(length) / sample_rate
    noise = rng.standard_normal((2, length))
    split_low, split_high = rng.uniform(250, 500), rng.uniform(2500, 6000)
    bands = (
        (lowpass(noise, split_low, sample_rate), rng.uniform(0.8, 1.3), rng.uniform(0.4, 1.2)),
        (bandpass(noise, split_low, split_high, sample_rate, 1), 1.0, 1.0),
        (highpass(noise, split_high, sample_rate), rng.uniform(0.3, 0.75), rng.uniform(0.3, 1.0)),
    )
    build_s = rng.uniform(0.0, 0.02) * min(rt60_s, 1.0)
    tail = sum(g * b * np.exp(-6.91 * t / (rt60_s * f)) for b, f, g in bands)
    tail = tail * (1.0 - np.exp(-t / max(build_s, 1e-4)))
    tail /= np.sqrt(np.sum(tail**2, axis=-1, keepdims=True)) + 1e-12
    early = np.zeros((2, length))
    n_early = int(rng.integers(4, 14))
    when = np.sort(rng.uniform(0.002, 0.01 + 0.06 * min(rt60_s, 1.0), n_early))
    at = np.minimum((when * sample_rate).astype(int), length - 1)
    for side in range(2):
        jitter = np.minimum(at + rng.integers(0, 40, n_early), length - 1)
        early[side, jitter] += rng.choice([-1.0, 1.0], n_early) * np.exp(-when / 0.04)
    early /= np.sqrt(np.sum(early**2, axis=-1, keepdims=True)) + 1e-12
    out = tail + rng.uniform(0.1, 0.6) * lowpass(early, rng.uniform(4000, 12000), sample_rate)
    predelay = int(rng.uniform(0.0, 0.04) * min(rt60_s, 1.0) * sample_rate)
    out = np.pad(highpass(out, rng.uniform(80, 300), sample_rate, 1), ((0, 0), (predelay, 0)))
    return out / (np.sqrt(np.sum(out**2, axis=-1, keepdims=True)) + 1e-12)


def reverberate(x: Array, response: Array, across: float = 0.4) -> Array:
    """Convolve a stereo sound with a room response, cut to the length of the sound; wet only.

    Each side of the room hears its own side of the sound, and `across` of the other one: a room
    answers on both sides.
    """
    heard = (1.0 - across) * x + across * x[::-1]
    wet = oaconvolve(heard.astype(np.float32), response.astype(np.float32), axes=-1)
    return wet[:, : x.shape[-1]].astype(np.float64)


def wander(
    rng: np.random.Generator, length: int, sample_rate: int, cents: float, rate_hz: float
) -> Array:
    """Draw a pitch drift as a factor on frequency, `cents` its standard deviation."""
    return 2.0 ** (smooth_noise(rng, length, sample_rate, rate_hz) * cents / 1200.0)
