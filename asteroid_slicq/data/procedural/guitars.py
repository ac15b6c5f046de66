"""Guitars: steel, nylon and clean electric strings, and the distorted amplifier."""

import numpy as np

from asteroid_slicq.data.procedural.comping import Event
from asteroid_slicq.data.procedural.keys import NoteFn, damped
from asteroid_slicq.data.procedural.plucked import pluck
from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.procedural.signal import (
    Array,
    biquad,
    compress,
    equalise,
    fade,
    highpass,
    lowpass,
    place,
    saturate,
)
from asteroid_slicq.data.procedural.song import Song


def make_acoustic(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw an acoustic guitar: strings of steel or nylon on a resonating box."""
    nylon = rng.random() < 0.35
    decay_s = rng.uniform(1.5, 4.0)
    damping_hz = rng.uniform(1200, 2500) if nylon else rng.uniform(3500, 9000)
    bright_hz = rng.uniform(1200, 2500) if nylon else rng.uniform(3000, 8000)
    position, slope = rng.uniform(0.08, 0.3), rng.uniform(0.1, 0.8)
    body = [
        biquad(
            "peak", f * rng.uniform(0.9, 1.1), rng.uniform(2, 7), rng.uniform(1.5, 5), sample_rate
        )
        for f in (105, 205, 390, 620)
    ]
    body.append(biquad("low", 90, -8, 0.7, sample_rate))

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        x = pluck(
            f0_hz,
            min(duration_s + 0.15, 4.0),
            sample_rate,
            decay_s=decay_s,
            damping_hz=damping_hz,
            brightness_hz=bright_hz * (0.3 + 0.7 * velocity),
            position=position,
            stiffness=0.0 if nylon else 4e-5,
            slope=slope,
            rng=rng,
        )
        t = np.arange(len(x)) / sample_rate
        x = x * np.exp(-np.maximum(t - duration_s, 0.0) / 0.05)
        return velocity * 0.7 * fade(equalise(x, body), sample_rate)

    return note


def make_electric(rng: np.random.Generator, sample_rate: int, muted: bool = False) -> NoteFn:
    """Draw an electric guitar's strings and pickup, before any amplifier."""
    decay_s = 0.25 if muted else rng.uniform(2.0, 6.0)
    damping_hz = rng.uniform(900, 1800) if muted else rng.uniform(3000, 7000)
    position, pickup = rng.uniform(0.06, 0.25), rng.uniform(0.06, 0.25)
    bright_hz, slope = log_uniform(rng, 2500, 8000), rng.uniform(0.2, 0.9)

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        x = pluck(
            f0_hz,
            min(duration_s + 0.06, 5.0),
            sample_rate,
            decay_s=decay_s,
            damping_hz=damping_hz,
            brightness_hz=bright_hz * (0.3 + 0.7 * velocity),
            position=position,
            pickup=pickup,
            stiffness=3e-5,
            slope=slope,
            rng=rng,
        )
        return velocity * 0.7 * damped(x, duration_s, 0.015, sample_rate)

    return note


def amplify(rng: np.random.Generator, x: Array, sample_rate: int, gain: float) -> Array:
    """Send a mono guitar through an amplifier: tightened, bent twice, then through a loudspeaker.

    A `gain` of 2 breaks up, one of 100 is saturated.
    """
    peak = np.abs(x).max() + 1e-9
    x = highpass(x / peak, rng.uniform(80, 250), sample_rate, 1)
    x = lowpass(x, 6000, sample_rate, 1)
    x = saturate(x, gain, rng.uniform(0.0, 0.4)) * gain**0.85
    x = highpass(x, 60, sample_rate, 1)
    x = saturate(x, max(0.15 * gain, 0.5))
    x = highpass(x, rng.uniform(70, 120), sample_rate)
    x = lowpass(x, rng.uniform(4500, 8000), sample_rate, 4)
    tone = [
        biquad("peak", rng.uniform(350, 900), rng.uniform(-9, 4), 0.8, sample_rate),
        biquad("peak", rng.uniform(1800, 3500), rng.uniform(0, 7), 1.0, sample_rate),
        biquad("low", 110, rng.uniform(-2, 5), 0.8, sample_rate),
    ]
    x = equalise(x, tone)
    return compress(x / (np.abs(x).max() + 1e-9), sample_rate, -12, 2.0)


def lead_guitar(rng: np.random.Generator, song: Song, events: list[Event]) -> Array:
    """Play a mono lead with bends and vibrato: strings read at a moving rate, not yet amplified."""
    sr = song.sample_rate
    string = make_electric(rng, sr)
    out = np.zeros(song.n_samples)
    rate_hz, depth = rng.uniform(4.5, 6.5), rng.uniform(10, 50)
    bends = rng.uniform(0.1, 0.4)
    for e in events:
        start = song.sample(e.step, rng)
        duration_s = min(e.length * song.step_s, 4.0)
        if start >= song.n_samples or duration_s < 0.03:
            continue
        x = string(song.hz(e.pitch), duration_s * 1.15 + 0.05, e.velocity)
        t = np.arange(int(duration_s * sr)) / sr
        cents = depth * np.clip((t - 0.2) / 0.3, 0, 1) * np.sin(2 * np.pi * rate_hz * t)
        if rng.random() < bends:
            size = float(rng.choice([100, 200]))
            cents -= size * (1.0 - np.clip(t / log_uniform(rng, 0.05, 0.25), 0, 1))
        at = np.cumsum(2.0 ** (cents / 1200.0))
        place(out, fade(np.interp(at - at[0], np.arange(len(x)), x), sr), start)
    return out
