"""Single hits of the pieces of a drum kit.

Every maker draws the timbre of one piece and returns a function of velocity in (0, 1] that
renders a hit. Hits are mono, `(time,)`, and peak near one at full velocity.
"""

from collections.abc import Callable

import numpy as np

from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.procedural.signal import Array, bandpass, fade, highpass, lowpass, saturate

Hit = Callable[[float], Array]


def _times(duration_s: float, sample_rate: int) -> Array:
    return np.arange(max(int(duration_s * sample_rate), 8)) / sample_rate


def _unit(x: Array) -> Array:
    return x / (np.abs(x).max() + 1e-12)


def make_kick(rng: np.random.Generator, sample_rate: int, electronic: bool) -> Hit:
    """Draw a bass drum: a sine that falls in pitch, a click, and a beater's thud."""
    low, sweep = rng.uniform(41, 62), rng.uniform(1.2, 4.0) if not electronic else rng.uniform(2, 7)
    fall_s = log_uniform(rng, 0.008, 0.05)
    decay_s = log_uniform(rng, 0.05, 0.16) if not electronic else log_uniform(rng, 0.08, 0.35)
    click, click_hz = rng.uniform(0.05, 0.6), log_uniform(rng, 1500, 7000)
    shell, shell_hz = rng.uniform(0.0, 0.35), rng.uniform(85, 180)
    drive = rng.uniform(0.5, 4.0) if electronic else rng.uniform(0.3, 1.5)
    noise = rng.standard_normal(int(0.06 * sample_rate) + 8)

    def hit(velocity: float) -> Array:
        t = _times(min(7 * decay_s, 1.2), sample_rate)
        f = low * (1.0 + sweep * velocity**0.3 * np.exp(-t / fall_s))
        body = np.sin(2 * np.pi * np.cumsum(f) / sample_rate) * np.exp(-t / decay_s)
        body += shell * np.sin(2 * np.pi * shell_hz * t) * np.exp(-t / (0.4 * decay_s))
        n = min(len(noise), len(t))
        tick = noise[:n] * np.exp(-t[:n] / 0.004)
        body[:n] += click * velocity * lowpass(tick, click_hz, sample_rate) * 0.8
        if not electronic:
            body[:n] += 0.25 * bandpass(noise[:n] * np.exp(-t[:n] / 0.02), 150, 900, sample_rate)
        return velocity * fade(_unit(saturate(_unit(body), drive)), sample_rate, 0.0005, 0.02)

    return hit


def make_snare(rng: np.random.Generator, sample_rate: int, electronic: bool) -> Hit:
    """Draw a snare drum: modes of the head and the rattle of the wires."""
    f0 = rng.uniform(150, 270)
    ratios = np.array([1.0, 1.59, 2.14, 2.65, 3.3])
    levels = np.array([1.0, 0.6, 0.35, 0.25, 0.15]) * rng.uniform(0.3, 1.2, 5)
    ring_s = log_uniform(rng, 0.025, 0.15)
    wires_s = log_uniform(rng, 0.05, 0.28)
    wires = rng.uniform(0.5, 2.2)
    low_hz, high_hz = rng.uniform(400, 2200), rng.uniform(6000, 15000)
    bend = rng.uniform(0.0, 0.35)
    crack = rng.uniform(0.2, 1.0)
    drive = rng.uniform(0.3, 3.0)

    def hit(velocity: float) -> Array:
        t = _times(min(max(6 * ring_s, 6 * wires_s), 1.0), sample_rate)
        slide = 1.0 + bend * np.exp(-t / 0.012)
        phase = 2 * np.pi * np.cumsum(slide) / sample_rate
        body = np.zeros_like(t)
        for k, (r, a) in enumerate(zip(ratios, levels, strict=True)):
            body += a * np.sin(f0 * r * phase) * np.exp(-t * (1 + 0.5 * k) / ring_s)
        noise = rng.standard_normal(len(t))
        rattle = bandpass(noise, low_hz, high_hz * (0.4 + 0.6 * velocity), sample_rate, 1)
        rattle *= (1.0 - np.exp(-t / 0.001)) * np.exp(-t / (wires_s * (0.5 + 0.5 * velocity)))
        snap = highpass(noise * np.exp(-t / 0.003), 2000, sample_rate, 1) * crack * velocity
        mixed = 0.7 * body + wires * 0.5 * rattle + 0.4 * snap
        return velocity * fade(_unit(saturate(_unit(mixed), drive)), sample_rate, 0.0005, 0.02)

    return hit


def make_clap(rng: np.random.Generator, sample_rate: int) -> Hit:
    """Draw a hand clap: a few bursts of noise a few milliseconds apart, then a tail."""
    gaps_s = np.cumsum(rng.uniform(0.006, 0.014, 4)) - 0.006
    tail_s, centre_hz = log_uniform(rng, 0.04, 0.2), rng.uniform(900, 2000)
    top_hz = rng.uniform(3500, 9000)

    def hit(velocity: float) -> Array:
        t = _times(7 * tail_s, sample_rate)
        env = sum(np.where(t >= g, np.exp(-(t - g) / 0.004), 0.0) for g in gaps_s)
        env = env + np.where(t >= gaps_s[-1], np.exp(-(t - gaps_s[-1]) / tail_s), 0.0) * 0.6
        noise = bandpass(rng.standard_normal(len(t)), centre_hz * 0.7, top_hz, sample_rate, 1)
        return velocity * fade(_unit(noise * env), sample_rate)

    return hit


def make_rim(rng: np.random.Generator, sample_rate: int) -> Hit:
    """Draw a rim shot or side stick: a few short high modes."""
    modes = rng.uniform(400, 2600, 4)
    decay_s = log_uniform(rng, 0.008, 0.03)

    def hit(velocity: float) -> Array:
        t = _times(8 * decay_s, sample_rate)
        tone = sum(np.sin(2 * np.pi * f * t + 0.3) for f in modes)
        tone = tone + 0.5 * rng.standard_normal(len(t)) * np.exp(-t / 0.002)
        return velocity * fade(_unit(tone * np.exp(-t / decay_s)), sample_rate)

    return hit


def make_tom(rng: np.random.Generator, sample_rate: int, f0_hz: float) -> Hit:
    """Draw a tom of a given pitch: a bending fundamental with membrane modes."""
    decay_s = log_uniform(rng, 0.1, 0.35)
    bend, stick = rng.uniform(0.1, 0.5), rng.uniform(0.05, 0.4)

    def hit(velocity: float) -> Array:
        t = _times(5 * decay_s, sample_rate)
        phase = 2 * np.pi * np.cumsum(1.0 + bend * np.exp(-t / 0.04)) / sample_rate
        body = np.sin(f0_hz * phase) * np.exp(-t / decay_s)
        body += 0.4 * np.sin(1.59 * f0_hz * phase) * np.exp(-t / (0.5 * decay_s))
        body += 0.2 * np.sin(2.14 * f0_hz * phase) * np.exp(-t / (0.3 * decay_s))
        noise = rng.standard_normal(len(t)) * np.exp(-t / 0.01)
        body += stick * bandpass(noise, 300, 5000, sample_rate, 1)
        return velocity * fade(_unit(body), sample_rate, 0.0005, 0.02)

    return hit


def _metal(
    rng: np.random.Generator, sample_rate: int, n: int, low_hz: float, high_hz: float, count: int
) -> Array:
    """Sum many inharmonic partials, as a plate has, over noise, below both edges falling off."""
    size = int(2 ** np.ceil(np.log2(max(n, 16))))
    spectrum = np.zeros(size // 2 + 1, dtype=complex)
    f = np.exp(rng.uniform(np.log(0.4 * low_hz), np.log(0.47 * sample_rate), count))
    at = np.minimum((f * size / sample_rate).astype(int), size // 2 - 1)
    weight = rng.rayleigh(1.0, count) * np.exp(2j * np.pi * rng.random(count))
    # Two neighbouring bins make a partial whose envelope fills the buffer.
    np.add.at(spectrum, at, weight * np.sqrt(at))
    np.add.at(spectrum, at + 1, -0.6 * weight * np.sqrt(at))
    noise = rng.standard_normal(spectrum.shape) + 1j * rng.standard_normal(spectrum.shape)
    scale = np.sqrt(np.sum(np.abs(spectrum) ** 2) / np.sum(np.abs(noise) ** 2))
    spectrum += rng.uniform(0.3, 1.2) * scale * noise
    bins = np.arange(len(spectrum)) * (sample_rate / size)
    low = (bins / low_hz) ** 2
    spectrum *= low / (1.0 + low) / (1.0 + (bins / high_hz) ** 4)
    return _unit(np.fft.irfft(spectrum, size)[:n])


def make_hat(rng: np.random.Generator, sample_rate: int, electronic: bool) -> Callable[..., Array]:
    """Draw a hi-hat; the hit takes a second argument, how open it is in [0, 1]."""
    cut_hz = rng.uniform(4000, 8500)
    closed_s, open_s = log_uniform(rng, 0.012, 0.06), log_uniform(rng, 0.15, 0.6)
    metal = rng.uniform(0.2, 0.9)
    top_hz = rng.uniform(11000, 18000)
    length = int(0.9 * sample_rate)
    if electronic:
        base = rng.uniform(280, 560)
        t = np.arange(length) / sample_rate
        ratios = np.array([1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523]) * rng.uniform(0.95, 1.05, 6)
        plate = sum(np.sign(np.sin(2 * np.pi * base * r * t)) for r in ratios)
        plate = _unit(highpass(np.asarray(plate), cut_hz, sample_rate, 2))
    else:
        plate = _metal(rng, sample_rate, length, 3000, rng.uniform(10000, 18000), 400)

    def hit(velocity: float, openness: float = 0.0) -> Array:
        decay_s = closed_s * (open_s / closed_s) ** openness * (0.7 + 0.3 * velocity)
        t = _times(min(6 * decay_s, 0.9), sample_rate)
        n = len(t) if len(t) < length else length
        noise = rng.standard_normal(n)
        mixed = metal * plate[:n] * 1.5 + (1.0 - metal) * noise * 0.4
        env = np.exp(-t[:n] / decay_s) * (1.0 - np.exp(-t[:n] / 0.0006))
        bright = lowpass(highpass(mixed * env, cut_hz, sample_rate, 2), top_hz, sample_rate, 1)
        return velocity * fade(_unit(bright), sample_rate, 0.0005, 0.01)

    return hit


def make_cymbal(rng: np.random.Generator, sample_rate: int, ride: bool) -> Hit:
    """Draw a crash or a ride: dense partials whose high ones die first, and a bell."""
    decay_s = log_uniform(rng, 0.15, 0.7) * (0.8 if ride else 1.0)
    low_hz = rng.uniform(600, 2500) if not ride else rng.uniform(2000, 5000)
    length = int(min(6.0 * decay_s, 3.0) * sample_rate)
    t = np.arange(length) / sample_rate
    plate = _metal(rng, sample_rate, length, low_hz, rng.uniform(9000, 18000), 3000)
    highs = highpass(plate, 5000, sample_rate, 1) * np.exp(-t / (0.45 * decay_s))
    lows = lowpass(plate, 5000, sample_rate, 1) * np.exp(-t / decay_s)
    wash = highs + lows * rng.uniform(0.3, 1.0)
    bell = np.zeros(length)
    for _ in range(5):
        tone = np.sin(2 * np.pi * log_uniform(rng, 700, 6000) * t)
        bell += tone * np.exp(-t / log_uniform(rng, 0.1, 0.5))
    stick = bandpass(rng.standard_normal(length) * np.exp(-t / 0.003), 3000, 14000, sample_rate, 1)
    attack = 1.0 - np.exp(-t / (0.0015 if ride else 0.004))
    sound = _unit(wash) * attack + (0.25 if ride else 0.05) * bell / 5.0
    sound = highpass(sound + (0.4 if ride else 0.1) * stick, 350, sample_rate, 2)
    sound = fade(_unit(sound), sample_rate, 0.0005, 0.05)
    soft = _unit(lowpass(sound, 7000, sample_rate, 1))
    return lambda velocity: velocity * (velocity * sound + (1.0 - velocity) * soft)


def make_shaker(rng: np.random.Generator, sample_rate: int) -> Hit:
    """Draw a shaker or a tambourine: noise of a slow attack, with or without jingles."""
    jingle = rng.random() < 0.5
    decay_s, rise_s = log_uniform(rng, 0.02, 0.09), rng.uniform(0.002, 0.03)
    cut_hz = rng.uniform(3500, 7500)
    plate = _metal(rng, sample_rate, int(0.6 * sample_rate), 5000, 14000, 60)

    def hit(velocity: float) -> Array:
        t = _times(min(rise_s + 6 * decay_s, 0.6), sample_rate)
        n = min(len(t), len(plate))
        sound = rng.standard_normal(n) * 0.3 + (1.5 * plate[:n] if jingle else 0.0)
        env = np.where(t < rise_s, (t / rise_s) ** 2, np.exp(-(t - rise_s) / decay_s))[:n]
        return velocity * fade(_unit(highpass(sound * env, cut_hz, sample_rate)), sample_rate)

    return hit


def make_brush(rng: np.random.Generator, sample_rate: int) -> Hit:
    """Draw a brush on a snare: a soft tap inside a swish."""
    swish_s, centre_hz = rng.uniform(0.08, 0.25), rng.uniform(1500, 4000)

    def hit(velocity: float) -> Array:
        t = _times(3 * swish_s, sample_rate)
        env = np.exp(-(((t - 0.4 * swish_s) / (0.5 * swish_s)) ** 2)) * 0.5 + np.exp(-t / 0.015)
        noise = bandpass(rng.standard_normal(len(t)), centre_hz / 2, centre_hz * 3, sample_rate, 1)
        return velocity * fade(_unit(noise * env), sample_rate, 0.002)

    return hit
