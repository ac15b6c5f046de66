"""Keyboards and mallets, note by note.

Every maker draws an instrument and returns a function `(f0_hz, duration_s, velocity)` that renders
a mono note, `(time,)`.
"""

from collections.abc import Callable

import numpy as np

from asteroid_slicq.data.procedural.oscillator import phase_of, scan, wave_tables
from asteroid_slicq.data.procedural.plucked import pluck
from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.procedural.signal import Array, adsr, fade, lowpass

NoteFn = Callable[[float, float, float], Array]


def damped(x: Array, duration_s: float, release_s: float, sample_rate: int) -> Array:
    """Let a ringing sound die once its key is released."""
    t = np.arange(len(x)) / sample_rate
    return fade(x * np.exp(-np.maximum(t - duration_s, 0.0) / release_s), sample_rate)


def make_piano(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw a piano: two or three stiff, slightly mistuned strings and a hammer's knock."""
    upright = rng.uniform(0.6, 1.6)
    mistune = rng.uniform(0.5, 4.0) if rng.random() < 0.8 else rng.uniform(6, 15)
    hardness = rng.uniform(0.5, 2.0)
    position, slope = rng.uniform(0.09, 0.14), rng.uniform(0.2, 0.8)
    damper_s = rng.uniform(0.05, 0.25)
    pedal_s = float(rng.choice([0.0, 0.0, 0.5]))

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        octave = np.log2(f0_hz / 261.6)
        decay_s = float(np.clip(7.0 * upright * 2.0 ** (-0.8 * octave), 0.6, 14.0))
        length_s = min(duration_s + pedal_s + 4 * damper_s, 5.0)
        out = 0.0
        for cents, gain in ((0.0, 1.0), (mistune, 0.8)):
            out = out + gain * pluck(
                f0_hz * 2 ** (cents / 1200),
                length_s,
                sample_rate,
                decay_s=decay_s,
                damping_hz=3500.0 + 2.0 * f0_hz,
                brightness_hz=hardness * (700 + 4500 * velocity**1.5) + 0.6 * f0_hz,
                position=position,
                slope=slope,
                stiffness=float(np.clip(2.5e-4 * 2 ** (1.1 * octave), 5e-5, 6e-3)),
            )
        x = np.asarray(out)
        n = min(int(0.08 * sample_rate), len(x))
        knock = rng.standard_normal(n) * np.exp(-np.arange(n) / (0.012 * sample_rate))
        x[:n] += 0.15 * velocity * lowpass(knock, 500 + 1500 * velocity, sample_rate)
        return velocity * damped(0.5 * x, duration_s + pedal_s, damper_s, sample_rate)

    return note


def make_electric_piano(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw an electric piano: a tine of two FM pairs whose bark grows with velocity."""
    ratio = float(rng.choice([1.0, 1.0, 14.0, 7.0, 3.0]))
    index = rng.uniform(0.4, 2.2)
    tine, tine_s = rng.uniform(0.05, 0.5), log_uniform(rng, 0.05, 0.5)
    decay_s, release_s = rng.uniform(0.8, 3.0), rng.uniform(0.03, 0.2)
    bark = rng.uniform(0.0, 1.5)

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        t = np.arange(int((min(duration_s, 4.0) + 4 * release_s) * sample_rate)) / sample_rate
        w = 2 * np.pi * f0_hz * t
        body = np.sin(w + index * velocity * np.exp(-t / (0.4 * decay_s)) * np.sin(w))
        high = ratio if ratio * f0_hz < 9000 else 3.0
        body += tine * np.exp(-t / tine_s) * np.sin(w + velocity * index * np.sin(high * w))
        x = body * np.exp(-t / decay_s) * np.minimum(t / 0.002, 1.0)
        x = np.tanh((0.3 + bark * velocity) * x) / (0.3 + bark * velocity)
        return velocity * 0.6 * damped(x, duration_s, release_s, sample_rate)

    return note


def make_organ(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw an organ: drawbars on a sine's harmonics, a key click, and no decay."""
    feet = np.array([0.5, 1.5, 1, 2, 3, 4, 5, 6, 8])
    bars = np.where(rng.random(9) < 0.55, rng.uniform(0.2, 1.0, 9), 0.0)
    bars[2] = max(bars[2], 0.7)
    click, attack_s = rng.uniform(0.0, 0.3), log_uniform(rng, 0.003, 0.05)
    # One period of the lowest drawbar holds whole harmonics of half the pitch.
    spectrum = np.zeros((1, 16), dtype=complex)
    spectrum[0, (2 * feet).astype(int) - 1] = -1j * bars * rng.uniform(0.6, 1.0, 9)
    spectrum /= np.sqrt(np.sum(np.abs(spectrum) ** 2))
    tables = wave_tables(spectrum)

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        n = int((duration_s + 0.03) * sample_rate)
        x = scan(tables, phase_of(np.full(n, f0_hz / 2), sample_rate, float(rng.random())))
        x *= adsr(n, sample_rate, attack_s, 1.0, 1.0, 0.03)
        m = min(n, int(0.02 * sample_rate))
        burst = rng.standard_normal(m) * np.exp(-np.arange(m) / (0.003 * sample_rate))
        x[:m] += click * 0.3 * burst
        return (0.7 + 0.3 * velocity) * 0.4 * x

    return note


def make_clavinet(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw a clavinet or harpsichord: bright struck strings, damped at once on release."""
    position, pickup = rng.uniform(0.05, 0.2), rng.uniform(0.05, 0.35)
    bright_hz, decay_s = log_uniform(rng, 2500, 9000), rng.uniform(0.8, 3.0)

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        x = pluck(
            f0_hz,
            min(duration_s + 0.1, 3.0),
            sample_rate,
            decay_s=decay_s,
            damping_hz=5000.0,
            brightness_hz=bright_hz * (0.4 + 0.6 * velocity),
            position=position,
            pickup=pickup,
            stiffness=1e-4,
            slope=0.3,
            rng=rng,
        )
        return velocity * 0.7 * damped(x, duration_s, 0.02, sample_rate)

    return note


MALLETS = {
    "marimba": ((1.0, 3.93, 9.24), (1.0, 0.25, 0.08), 0.5),
    "vibraphone": ((1.0, 4.0, 10.2), (1.0, 0.2, 0.06), 2.5),
    "glockenspiel": ((1.0, 2.76, 5.4, 8.93), (1.0, 0.5, 0.3, 0.15), 1.5),
    "bell": (
        (0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.1),
        (0.4, 1, 0.8, 0.4, 0.7, 0.3, 0.3, 0.25, 0.2),
        3.0,
    ),
    "kalimba": ((1.0, 5.4, 6.3), (1.0, 0.15, 0.1), 0.7),
    "steel drum": ((1.0, 2.0, 3.01, 4.02), (1.0, 0.7, 0.3, 0.15), 0.8),
}


def make_mallet(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw a mallet instrument: a few inharmonic modes, high ones dying first."""
    ratios, levels, decay_s = MALLETS[str(rng.choice(list(MALLETS)))]
    decay_s = decay_s * rng.uniform(0.5, 1.5)
    gains = np.array(levels) * rng.uniform(0.5, 1.5, len(levels))
    stick = rng.uniform(0.0, 0.3)
    tremolo_hz = float(rng.uniform(3, 7)) if rng.random() < 0.3 else 0.0

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        n = int(min(4.0 * decay_s, duration_s + 1.5) * sample_rate)
        t = np.arange(max(n, 64)) / sample_rate
        x = np.zeros(len(t))
        for r, g in zip(ratios, gains, strict=True):
            if r * f0_hz < 0.45 * sample_rate:
                speed = decay_s / (0.4 + 0.6 * r) * (400.0 / f0_hz) ** 0.3
                x += (
                    g
                    * velocity ** (0.5 * r)
                    * np.sin(2 * np.pi * r * f0_hz * t)
                    * np.exp(-t / speed)
                )
        m = min(len(t), int(0.02 * sample_rate))
        burst = rng.standard_normal(m) * np.exp(-np.arange(m) / (0.003 * sample_rate))
        x[:m] += stick * lowpass(burst, 4000, sample_rate)
        if tremolo_hz:
            x *= 1.0 + 0.3 * np.sin(2 * np.pi * tremolo_hz * t)
        return velocity * 0.5 * fade(x, sample_rate, 0.001, 0.05)

    return note
