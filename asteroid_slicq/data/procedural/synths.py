"""Synthesisers, strings and brass: notes from wave tables, and gliding single lines."""

import numpy as np
from scipy.signal import lfilter

from asteroid_slicq.data.procedural.comping import Event
from asteroid_slicq.data.procedural.keys import NoteFn
from asteroid_slicq.data.procedural.oscillator import (
    cutoff_position,
    filtered_tables,
    phase_of,
    scan,
)
from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.procedural.signal import (
    Array,
    adsr,
    bandpass,
    biquad,
    equalise,
    highpass,
    smooth_noise,
)
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.space import pan, wander


def make_pad(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw a pad: a few detuned waves through a slowly moving filter."""
    wave = str(rng.choice(["saw", "saw", "pulse", "triangle"]))
    n_voices, detune = int(rng.integers(2, 6)), log_uniform(rng, 0.001, 0.012)
    attack_s, release_s = log_uniform(rng, 0.03, 0.8), log_uniform(rng, 0.1, 0.8)
    low_hz, depth = log_uniform(rng, 500, 8000), rng.uniform(0.0, 2.5)
    rate_hz, q = rng.uniform(0.05, 0.6), log_uniform(rng, 0.6, 3.0)

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        n = int((duration_s + release_s) * sample_rate)
        t = np.arange(n) / sample_rate
        tables = filtered_tables(wave, f0_hz, q, sample_rate, 0.35)
        sweep = 0.5 - 0.5 * np.cos(2 * np.pi * rate_hz * t + rng.uniform(0, 6))
        position = cutoff_position(low_hz * (0.6 + 0.4 * velocity) * 2.0 ** (depth * sweep))
        x = np.zeros(n)
        for k in range(n_voices):
            f = f0_hz * (1.0 + detune * (k - (n_voices - 1) / 2))
            x += scan(tables, f * t + rng.random(), position)
        env = adsr(n, sample_rate, min(attack_s, 0.5 * duration_s), 1.0, 0.8, release_s)
        return velocity * x * env / n_voices

    return note


def make_stab(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw a synthesiser of short, bright notes: a pluck, a supersaw, or a square blip."""
    wave = str(rng.choice(["saw", "saw", "pulse", "sine"]))
    n_voices, detune = int(rng.choice([1, 2, 5, 7])), log_uniform(rng, 0.002, 0.012)
    low_hz, sweep = log_uniform(rng, 300, 5000), log_uniform(rng, 1.0, 30.0)
    sweep_s, q = log_uniform(rng, 0.03, 0.4), log_uniform(rng, 0.6, 5.0)
    decay_s, sustain = log_uniform(rng, 0.08, 0.6), rng.uniform(0.0, 0.7)
    width = rng.uniform(0.1, 0.5)

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        n = int((min(duration_s, 3.0) + 0.08) * sample_rate)
        t = np.arange(n) / sample_rate
        tables = filtered_tables(wave, f0_hz, q, sample_rate, width)
        position = cutoff_position(low_hz * (1.0 + sweep * velocity * np.exp(-t / sweep_s)))
        x = np.zeros(n)
        for k in range(n_voices):
            f = f0_hz * (1.0 + detune * (k - (n_voices - 1) / 2))
            x += scan(tables, f * t + rng.random(), position)
        return velocity * x * adsr(n, sample_rate, 0.003, decay_s, sustain, 0.07) / n_voices**0.7

    return note


def make_strings(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw a string section: several bowed saws, each with its own vibrato, in a wooden body."""
    players = int(rng.choice([1, 3, 4]))
    rate_hz, depth = rng.uniform(4.8, 6.5), rng.uniform(5, 25)
    attack_s = log_uniform(rng, 0.03, 0.35)
    low_hz = log_uniform(rng, 2000, 10000)
    body = [
        biquad("peak", f * rng.uniform(0.9, 1.1), rng.uniform(2, 8), rng.uniform(2, 5), sample_rate)
        for f in (280, 450, 700, 1100, 2600)
    ]

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        n = int((duration_s + 0.15) * sample_rate)
        t = np.arange(n) / sample_rate
        tables = filtered_tables("saw", f0_hz * 1.02, 0.7, sample_rate)
        swell = 1.0 - np.exp(-t / attack_s)
        position = cutoff_position(low_hz * (0.3 + 0.7 * swell * velocity))
        x = np.zeros(n)
        for _ in range(players):
            rate = rate_hz * rng.uniform(0.9, 1.1)
            cents = depth * swell * np.sin(2 * np.pi * rate * t + rng.uniform(0, 6))
            cents += 5 * rng.standard_normal() + 4 * smooth_noise(rng, n, sample_rate, 5.0)
            f = f0_hz * 2.0 ** (cents / 1200.0)
            x += scan(tables, phase_of(f, sample_rate, rng.random()), position)
        x += 0.03 * highpass(rng.standard_normal(n), 2000, sample_rate, 1) * swell  # the bow
        env = adsr(n, sample_rate, min(attack_s, 0.5 * duration_s), 1.0, 0.9, 0.12)
        return velocity * 0.6 * equalise(x * env, body) / players

    return note


def make_brass(rng: np.random.Generator, sample_rate: int) -> NoteFn:
    """Draw a brass section: brightness follows loudness, and the attack slides into pitch."""
    players = int(rng.integers(1, 4))
    attack_s, top_hz = rng.uniform(0.015, 0.08), log_uniform(rng, 2000, 8000)
    fall = rng.random() < 0.2
    body = [biquad("peak", rng.uniform(450, 1500), rng.uniform(2, 7), 1.5, sample_rate)]

    def note(f0_hz: float, duration_s: float, velocity: float) -> Array:
        n = int((duration_s + 0.08) * sample_rate)
        t = np.arange(n) / sample_rate
        env = adsr(n, sample_rate, attack_s, 0.15, 0.75, 0.07)
        tables = filtered_tables("saw", f0_hz * 1.02, 0.8, sample_rate)
        position = cutoff_position(f0_hz + top_hz * velocity * env)
        x = np.zeros(n)
        for _ in range(players):
            cents = -60 * np.exp(-t / 0.02) + 5 * rng.standard_normal()
            cents = cents + 10 * np.minimum(t / 0.5, 1) * np.sin(2 * np.pi * 5.3 * t)
            if fall:
                cents = cents - 300 * np.clip((t - duration_s + 0.1) / 0.15, 0, 1)
            phase = phase_of(f0_hz * 2.0 ** (cents / 1200.0), sample_rate, 0.1 * rng.random())
            x += scan(tables, phase, position)
        return velocity * equalise(x * env, body) / players

    return note


def lead_line(rng: np.random.Generator, song: Song, events: list[Event]) -> Array:
    """Play a stereo line with glides and vibrato: a synth lead, a flute, a violin, a theremin."""
    sr, n = song.sample_rate, song.n_samples
    wave = str(rng.choice(["saw", "pulse", "triangle", "sine"]))
    airy = rng.random() < 0.3
    glide_s = log_uniform(rng, 0.004, 0.06)
    rate_hz, depth = rng.uniform(4.5, 6.5), rng.uniform(5, 45)
    attack_s, release_s = log_uniform(rng, 0.004, 0.06), rng.uniform(0.03, 0.15)
    hop = 64
    m = n // hop + 2
    midi, gate, vibrato = np.zeros(m), np.zeros(m), np.zeros(m)
    filled = False
    for e in sorted(events, key=lambda e: e.step):
        first = song.sample(e.step, rng)
        last = first + int(e.length * song.step_s * sr)
        a, b = max(first // hop, 0), min(max(last // hop, 0), m)
        if a >= m or b <= a:
            continue
        midi[a:] = e.pitch
        if not filled:
            midi[:a], filled = e.pitch, True
        gate[a:b] = e.velocity
        vibrato[a:b] = np.clip((np.arange(b - a) * hop / sr - 0.2) / 0.3, 0, 1)
    if not filled:
        return np.zeros((2, n))

    def lag(x: Array, time_s: float) -> Array:
        keep = float(np.exp(-hop / (time_s * sr)))
        return np.asarray(lfilter([1 - keep], [1, -keep], x, zi=[keep * x[0]])[0])

    t = np.arange(m) * hop / sr
    cents = depth * lag(vibrato, 0.05) * np.sin(2 * np.pi * rate_hz * t)
    f = 440.0 * 2.0 ** ((lag(midi, glide_s) - 69) / 12 + (cents + song.tuning_cents) / 1200)
    level = np.minimum(lag(gate, attack_s), lag(gate, release_s) * 1.2)
    grid = np.arange(n) / hop
    f_full = np.interp(grid, np.arange(m), f) * wander(rng, n, sr, 2.0, 4.0)
    env = np.interp(grid, np.arange(m), level)
    tables = filtered_tables(wave, float(f.max()), log_uniform(rng, 0.6, 4.0), sr, 0.25)
    position = cutoff_position(log_uniform(rng, 1000, 9000) * (0.3 + env))
    x = scan(tables, phase_of(f_full, sr), position) * env
    if airy:
        x += 0.12 * env * bandpass(rng.standard_normal(n), 1500, 7000, sr, 1)
    return pan(x, float(rng.uniform(-0.3, 0.3)))


def risers(rng: np.random.Generator, song: Song) -> Array:
    """Play stereo noise that rises in pitch into the sections, or falls away from them."""
    sr, n = song.sample_rate, song.n_samples
    out = np.zeros((2, n))
    for section in song.sections[1:]:
        if rng.random() < 0.4:
            continue
        at = int(song.time_s(section.first_bar * song.steps_per_bar) * sr)
        length = int(min(song.step_s * song.steps_per_bar * 2, 4.0) * sr)
        t = np.linspace(0.0, 1.0, length)
        noise = rng.standard_normal((2, length))
        bright = highpass(noise, 3000, sr, 1) * t + bandpass(noise, 400, 2500, sr, 1) * (1 - t)
        sweep = bright * t**2 if rng.random() < 0.6 else bright[:, ::-1] * (1 - t) ** 3
        begin = at - length if sweep[0, -1] ** 2 > 0 else at
        first, last = max(begin, 0), min(begin + length, n)
        if last > first:
            out[:, first:last] += 0.3 * sweep[:, first - begin : last - begin]
    return out
