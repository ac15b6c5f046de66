"""Recorded guitars: rhythm parts played twice and panned apart, leads, and strummed chords."""

from dataclasses import replace

import numpy as np

from asteroid_slicq.data.procedural.comping import Event, block_chords, riff
from asteroid_slicq.data.procedural.guitars import amplify
from asteroid_slicq.data.procedural.harmony import Chord, voice_near
from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.procedural.signal import Array, biquad, equalise, fade, place
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.space import pan
from asteroid_slicq.data.sampled.articulation import Expression
from asteroid_slicq.data.sampled.chords import TRIADS
from asteroid_slicq.data.sampled.performance import perform
from asteroid_slicq.data.sampled.sampler import Sampler

# Strings as the pickup hears them, two takes, and damped by the hand.
ELECTRIC = ("electric-guitar:0", "electric-guitar:1")
_DAMPED = "electric-guitar:damped"
# Clean strings go through an amplifier of ours; the others were recorded through one.
CLEAN = ("0:26", "0:27", "0:28", "8:28")
CRUNCH = ["0:29", "0:30", "0:27"]
LEAD = ["0:29", "0:30", "8:30", "0:27", *ELECTRIC, *ELECTRIC]
STEEL = ["steel-guitar:0", "0:25", "8:25", "0:24"]  # steel strings, nylon ones for want of any
_UNAMPLIFIED = 0.6  # share of driven rhythm guitars that were recorded without an amplifier


def other_take(preset: str) -> str:
    """Name the other take of an instrument that has two; the same instrument if it has one."""
    name, _, take = preset.rpartition(":")
    return f"{name}:{1 - int(take)}" if not name.isdigit() and take in ("0", "1") else preset


def _pick_up(rng: np.random.Generator, x: Array, rate: int) -> Array:
    """Hear strings, recorded at the neck, nearer to the bridge and through a pickup's resonance."""
    tone = [
        biquad("high", rng.uniform(900, 2200), rng.uniform(3.0, 16.0), 0.6, rate),
        biquad("peak", rng.uniform(2200, 4800), rng.uniform(0.0, 9.0), rng.uniform(0.8, 2.5), rate),
        biquad("low", rng.uniform(120, 300), rng.uniform(-6.0, 3.0), 0.7, rate),
    ]
    return equalise(x, tone)


def clean(rng: np.random.Generator, x: Array, rate: int) -> Array:
    """Send a mono take of electric strings through an amplifier that hardly breaks up."""
    return amplify(rng, _pick_up(rng, x, rate), rate, log_uniform(rng, 0.2, 2.5)) if x.any() else x


def _amplified(rng: np.random.Generator, x: Array, rate: int, preset: str, gain: float) -> Array:
    """Send a mono take through an amplifier, or leave it as it was recorded through one."""
    if not x.any():
        return x
    if preset in ELECTRIC:
        return amplify(rng, _pick_up(rng, x, rate), rate, 8.0 * gain)
    if preset in CLEAN:
        return amplify(rng, x, rate, 8.0 * gain)
    return amplify(rng, x, rate, gain) if rng.random() < 0.7 else x / np.abs(x).max()


def crunch(rng: np.random.Generator, song: Song, sampler: Sampler, plays: Array) -> Array:
    """Play distorted rhythm guitars; more often than not two takes, left and right.

    Shape:
        - Output: ``(2, time)``
    """
    if sampler.having(list(ELECTRIC)) and rng.random() < _UNAMPLIFIED:
        return _driven(rng, song, sampler, plays)
    power = rng.random() < 0.75
    centre = float(rng.uniform(47, 56))
    events = block_chords(rng, song, plays, centre, 4, float(rng.uniform(0.0, 0.01)), power)
    gain = log_uniform(rng, 0.3, 6.0)
    doubled = rng.random() < 0.65
    sides = (-0.9, 0.9) if doubled else (float(rng.uniform(-0.6, 0.6)),)
    out = np.zeros((2, song.n_samples))
    for side in sides:
        preset = str(rng.choice(sampler.having(CRUNCH)))
        bright = float(rng.uniform(-0.8, 0.8))
        take = perform(rng, song, sampler, preset, events, bright, tight=1.4).mean(axis=0)
        out += pan(_amplified(rng, take, song.sample_rate, preset, gain), side)
    return out


def _driven(rng: np.random.Generator, song: Song, sampler: Sampler, plays: Array) -> Array:
    """Play rhythm guitars through amplifiers from crunch to high gain, palm mutes among chords."""
    gain = log_uniform(rng, 2.5, 150.0)
    high = gain > 20.0
    power = rng.random() < (0.9 if high else 0.5)
    centre = float(rng.uniform(45, 53) if high else rng.uniform(47, 57))
    events = block_chords(rng, song, plays, centre, 4, float(rng.uniform(0.0, 0.012)), power)
    mutes = rng.uniform(0.3, 0.8) if rng.random() < (0.7 if high else 0.25) else 0.0
    muted = rng.random(song.steps_per_bar) < mutes
    muted[0] = muted[0] and rng.random() < 0.3  # bars begin with what rings, mostly
    ringing = [e for e in events if not muted[int(e.step) % song.steps_per_bar]]
    damped = [
        replace(e, velocity=0.9 * e.velocity)
        for e in events
        if muted[int(e.step) % song.steps_per_bar] and e.pitch < centre + 2
    ]
    doubled = rng.random() < 0.7
    sides = (-0.9, 0.9) if doubled else (float(rng.uniform(-0.6, 0.6)),)
    out = np.zeros((2, song.n_samples))
    for side, preset in zip(sides, rng.permutation(sampler.having(list(ELECTRIC))), strict=False):
        bright = float(rng.uniform(-0.5, 1.0))
        take = perform(rng, song, sampler, str(preset), ringing, bright, tight=1.4)
        if damped:
            take += perform(rng, song, sampler, _DAMPED, damped, bright, tight=1.4)
        x = take.mean(axis=0)
        if x.any():
            out += pan(
                amplify(rng, _pick_up(rng, x, song.sample_rate), song.sample_rate, gain), side
            )
    return out


def lead(rng: np.random.Generator, song: Song, sampler: Sampler, plays: Array) -> Array:
    """Play a distorted lead with bends and vibrato.

    Shape:
        - Output: ``(2, time)``
    """
    preset = str(rng.choice(sampler.having(LEAD)))
    events = riff(rng, song, plays, float(rng.uniform(58, 74)), rng.uniform(0.3, 0.8))
    expression = Expression(rng, (10, 50), 0.1, float(rng.uniform(0.1, 0.4)))
    take = perform(
        rng, song, sampler, preset, events, float(rng.uniform(-0.5, 0.8)), expression=expression
    ).mean(axis=0)
    gain = log_uniform(rng, 0.4, 8.0)
    return pan(_amplified(rng, take, song.sample_rate, preset, gain), float(rng.uniform(-0.4, 0.4)))


def strummed(rng: np.random.Generator, song: Song, sampler: Sampler, plays: Array) -> Array:
    """Play the chords with recorded strokes of a steel-string guitar, at times twice.

    What is no major or minor triad is played from single notes, of an instrument in `STEEL`.

    Shape:
        - Output: ``(2, time)``
    """
    events = block_chords(rng, song, plays, 55.0, 1)
    if rng.random() < 0.4:
        width = rng.uniform(0.4, 1.0)
        return sum(
            pan(_strokes(rng, song, sampler, events), side) for side in (-width, width)
        ) + np.zeros((2, song.n_samples))
    return pan(_strokes(rng, song, sampler, events), float(rng.uniform(-0.6, 0.6)))


def _strokes(rng: np.random.Generator, song: Song, sampler: Sampler, events: list[Event]) -> Array:
    rate, n = song.sample_rate, song.n_samples
    out = np.zeros(n)
    capo = int(rng.integers(-2, 3))
    for i, event in enumerate(events):
        start = song.sample(event.step, rng)
        length = int(event.length * song.step_s * rate)
        if i + 1 < len(events):  # the next stroke takes the strings
            length = max(length, int((events[i + 1].step - event.step) * song.step_s * rate))
        if start >= n or start + length < 0:
            continue
        chord = song.chord_at(event.step)
        quality = _quality(chord)
        if quality is None:
            continue
        sample, semitones = _shape(rng, sampler, chord.root, quality, event, capo)
        cents = 100.0 * semitones + song.tuning_cents + rng.normal(0.0, 2.0)
        x = fade(sampler.hit(sample, cents)[:length], rate, 0.0005, 0.02)
        place(out, x, start, event.velocity)
    picked = _picked(rng, song, sampler, events)
    loud, peak = np.abs(out).max(initial=0.0), np.abs(picked).max(initial=0.0)
    return out + picked * (loud / peak if loud > 0.0 and peak > 0.0 else 1.0)


def _picked(rng: np.random.Generator, song: Song, sampler: Sampler, events: list[Event]) -> Array:
    """Play the chords that no stroke was recorded of string by string."""
    preset = str(rng.choice(sampler.having(STEEL)))
    strum_s = float(rng.uniform(0.008, 0.02))
    notes: list[Event] = []
    previous: list[int] = []
    for event in events:
        chord = song.chord_at(event.step)
        if _quality(chord) is None:
            previous = voice_near(chord, 55.0, 5, previous)
            strings = previous[::-1] if _is_up(event) else previous
            notes += [
                replace(event, pitch=pitch, delay_s=k * strum_s) for k, pitch in enumerate(strings)
            ]
    bright = float(rng.uniform(-0.5, 0.5))
    return perform(rng, song, sampler, preset, notes, bright).mean(axis=0)


def _quality(chord: Chord) -> str | None:
    """Name the triad that a chord begins with, if it is a major or a minor one."""
    return next((name for name, tones in TRIADS.items() if chord.tones[:3] == tones), None)


def _is_up(event: Event) -> bool:
    return event.step % 4 == 2 or event.step % 2 == 1


def _shape(
    rng: np.random.Generator, sampler: Sampler, root: int, quality: str, event: Event, capo: int
) -> tuple[int, int]:
    """Choose a recorded stroke of a chord, and the semitones from it to the chord.

    Of the recorded chords of the right quality the one is taken that lies nearest below or above
    the chord moved by the capo, so that a guitarist's voicings change from song to song.
    """
    strums = sampler.bank.strums
    names = [name for name in strums if name.endswith(quality)] or list(strums)

    def distance(name: str) -> int:
        return (root - int(name.split(":")[0]) + 6) % 12 - 6

    name = min(names, key=lambda name: (abs(distance(name) - capo), name))
    wanted, others = ("up", "down") if _is_up(event) else ("down", "up")
    strokes = strums[name][wanted] or strums[name][others]
    return int(strokes[int(rng.integers(len(strokes)))]), distance(name)
