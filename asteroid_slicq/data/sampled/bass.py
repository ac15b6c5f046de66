"""The bass stem of recordings: the composer's line on a recorded bass, its amplifier and desk."""

import numpy as np

from asteroid_slicq.data.procedural.bass import (
    AMPLIFIED,
    KINDS,
    STRINGS,
    Note,
    draw_line,
    presence,
    render_bass,
)
from asteroid_slicq.data.procedural.seeds import log_uniform, pick
from asteroid_slicq.data.procedural.signal import (
    Array,
    biquad,
    compress,
    db,
    equalise,
    highpass,
    lowpass,
    place,
    random_equaliser,
    saturate,
)
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.space import chorus, pan, reverberate, room_response
from asteroid_slicq.data.sampled.articulation import glide
from asteroid_slicq.data.sampled.noise import Touch, add_floor
from asteroid_slicq.data.sampled.sampler import Sampler

PRESETS = {
    # Fingered, picked, fretless, and fingered without an amplifier.
    "electric": ["0:33", *["0:34"] * 2, "0:35", *["electric-bass:0"] * 5],
    "slap": ["0:36", *["0:37"] * 2],
    "upright": ["0:32"],
    "drive": [*["0:34"] * 2, *["electric-bass:0"] * 3],
    "synth": ["0:38", "0:39", "8:38", "8:39", "0:87"],
    "fm": ["0:39", "0:38"],
    "reese": ["0:87", "0:38"],
    "sub": ["0:39"],
    "808": ["0:39"],
}
_UNAMPLIFIED = "electric-bass"


def sampled_bass(rng: np.random.Generator, song: Song, sampler: Sampler) -> Array:
    """Render the bass stem of a song from recordings; most synthesisers stay synthesised.

    Shape:
        - Output: ``(2, time)``
    """
    n = song.n_samples
    kind = pick(rng, KINDS[song.style])
    presets = sampler.having(PRESETS[kind])
    synthesised = kind not in STRINGS and not sampler.bank.for_tests
    if not presets or (synthesised and rng.random() < 0.6):
        return render_bass(rng, song)
    x = _play(rng, song, sampler, str(rng.choice(presets)), draw_line(rng, song, kind), kind)
    peak = np.abs(x).max()
    if peak < 1e-9:
        return np.zeros((2, n))
    x = _amplify(rng, x / peak, song.sample_rate, kind)
    out = pan(x, float(rng.normal(0.0, 0.03)))
    if rng.random() < 0.1:
        out = chorus(x, song.sample_rate, rng, 0.002, 0.4)
    if rng.random() < 0.3:
        response = room_response(rng, log_uniform(rng, 0.2, 0.8), song.sample_rate)
        out = out + db(rng.uniform(-24, -12)) * reverberate(out, response)
    return add_floor(rng, out, song.sample_rate, True) if rng.random() < 0.7 else out


def _play(
    rng: np.random.Generator,
    song: Song,
    sampler: Sampler,
    preset: str,
    notes: list[Note],
    kind: str,
) -> Array:
    rate, n = song.sample_rate, song.n_samples
    out = np.zeros((2, n))
    bright = float(rng.uniform(-0.8, 1.0))
    late_s = float(rng.normal(0.0, 0.004))
    touch = Touch(rng, rate) if kind in STRINGS else None
    noises = np.zeros(n)
    unamplified = preset.startswith(_UNAMPLIFIED)
    for note in notes:
        start = song.sample(note.step, rng) + round(late_s * rate)
        duration_s = note.length * song.step_s
        if start >= n or start < -3 * rate:
            continue
        take = _take(rng, note.muted) if unamplified else preset
        if note.muted:
            duration_s = min(duration_s, 0.2 if unamplified else 0.05)
        bend = None
        if note.slide_from is not None and abs(note.slide_from - note.pitch) <= 7:
            bend = glide(note.slide_from - note.pitch, rng.uniform(0.03, 0.12), rate)
        sampler.play(
            out,
            start,
            take,
            note.pitch,
            float(np.clip(note.velocity * rng.uniform(0.85, 1.05), 0.1, 1.0)),
            duration_s,
            cents=song.tuning_cents + rng.normal(0.0, 3.0 if kind in STRINGS else 0.0),
            width=0.0,
            bright=bright - (1.0 if note.muted else 0.0),
            bend=bend,
        )
        if touch is not None:
            place(noises, touch.sound(note.velocity), start)
    x = out.mean(axis=0)
    if unamplified:  # the knobs for bass and treble
        knobs = [
            biquad("low", rng.uniform(90, 180), rng.uniform(0, 10), 0.7, rate),
            biquad("high", rng.uniform(700, 2200), rng.uniform(-3, 14), 0.6, rate),
        ]
        x = equalise(x, knobs)
    return x + np.abs(x).max() * noises


def _take(rng: np.random.Generator, muted: bool) -> str:
    """Choose how a note of the electric bass is played: damped, or on one string or another."""
    return f"{_UNAMPLIFIED}:{'damped' if muted else int(rng.random() < 0.25)}"


def _amplify(rng: np.random.Generator, x: Array, rate: int, kind: str) -> Array:
    """Blend the direct sound with an amplifier's, and compress: what most records do."""
    if kind == "drive" or rng.random() < (AMPLIFIED if kind in STRINGS else 0.35):
        drive = log_uniform(rng, 1.5, 12.0) if kind == "drive" else log_uniform(rng, 1.0, 6.0)
        bent = saturate(highpass(x, 90, rate, 1), drive, rng.uniform(0, 0.3)) * drive**0.7
        cabinet = lowpass(bent, rng.uniform(1800, 5500), rate, 3)
        x = rng.uniform(0.2, 0.7) * x + cabinet
    x = equalise(x, presence(rng, rate) + random_equaliser(rng, rate, 4.0))
    if rng.random() < 0.8:
        x = compress(x, rate, rng.uniform(-22, -8), rng.uniform(2, 8), 0.01, 0.2)
    if rng.random() < 0.4:
        peak = np.abs(x).max() + 1e-9
        x = saturate(x / peak, rng.uniform(0.4, 1.5), rng.uniform(0.0, 0.2)) * peak
    return x
