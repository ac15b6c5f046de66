"""Notes of accompanying instruments: held chords, stabs, arpeggios, riffs and lines."""

from dataclasses import dataclass

import numpy as np

from asteroid_slicq.data.procedural.harmony import nearest, voice_near
from asteroid_slicq.data.procedural.signal import Array
from asteroid_slicq.data.procedural.song import Song


@dataclass(frozen=True)
class Event:
    """A note: start and length in steps, MIDI pitch, velocity in (0, 1], and a delay in seconds."""

    step: float
    length: float
    pitch: int
    velocity: float
    delay_s: float = 0.0


RHYTHMS_16 = (
    "x...............",
    "x.......x.......",
    "x...x...x...x...",
    "x.x.x.x.x.x.x.x.",
    "..x...x...x...x.",
    "x..x..x...x..x..",
    "x...x.x...x.x.x.",
    "x.....x.........",
    "....x.......x...",
    "x..x...x..x.x...",
    "xxxxxxxxxxxxxxxx",
    "x.xxx.xxx.xxx.xx",
)
RHYTHMS_12 = (
    "x...........",
    "x.....x.....",
    "x.x.x.x.x.x.",
    "x...x...x...",
    "....x...x...",
    "x..x..x..x..",
)


def _rhythm(rng: np.random.Generator, song: Song) -> list[int]:
    table = RHYTHMS_16 if song.steps_per_bar == 16 else RHYTHMS_12
    return [i for i, c in enumerate(table[int(rng.integers(len(table)))]) if c == "x"]


def block_chords(
    rng: np.random.Generator,
    song: Song,
    plays: Array,
    centre: float,
    n_voices: int,
    strum_s: float = 0.0,
    power: bool = False,
) -> list[Event]:
    """Play chords around a MIDI pitch, on a rhythm repeated in the bars where the part plays.

    Strings follow one another by `strum_s`; a power chord is root, fifth and octave.
    """
    rhythm = _rhythm(rng, song)
    hold = float(rng.choice([0.3, 0.7, 0.95, 1.0]))
    accents = rng.uniform(0.6, 1.0, song.steps_per_bar)
    out: list[Event] = []
    previous: list[int] = []
    last = None
    for bar in np.flatnonzero(plays):
        begin = int(bar) * song.steps_per_bar
        onsets = {begin + s for s in rhythm}
        onsets |= {c.start for c in song.chords if begin <= c.start < begin + song.steps_per_bar}
        ordered = sorted(onsets)
        for i, step in enumerate(ordered):
            end = ordered[i + 1] if i + 1 < len(ordered) else begin + song.steps_per_bar
            chord = song.chord_at(step)
            if chord is not last:
                last = chord
                if power:
                    root = nearest((chord.root,), centre - 6)
                    previous = [root, root + 7, root + 12]
                else:
                    previous = voice_near(chord, centre, n_voices, previous)
            up = (step % 4) == 2
            for k, pitch in enumerate(previous[::-1] if up else previous):
                velocity = accents[step % song.steps_per_bar] * rng.uniform(0.85, 1.0)
                out.append(Event(step, (end - step) * hold, pitch, float(velocity), k * strum_s))
    return out


def arpeggio(
    rng: np.random.Generator, song: Song, plays: Array, centre: float, n_voices: int
) -> list[Event]:
    """Play the notes of each chord one after another."""
    grid = int(rng.choice([1, 2, 2, 4])) if song.meter != "6/8" else 2
    order = str(rng.choice(["up", "down", "updown", "random", "fixed"]))
    fixed = rng.permutation(8).tolist()
    hold = float(rng.choice([0.5, 1.0, 2.0, 4.0]))
    rests = rng.uniform(0.0, 0.25)
    pattern_rests = rng.random(song.steps_per_bar) < rests
    out: list[Event] = []
    previous: list[int] = []
    for bar in np.flatnonzero(plays):
        for i, s in enumerate(range(0, song.steps_per_bar, grid)):
            step = int(bar) * song.steps_per_bar + s
            previous = voice_near(song.chord_at(step), centre, n_voices, previous)
            size = len(previous)
            index = {
                "up": i % size,
                "down": size - 1 - i % size,
                "updown": abs((i % (2 * size - 2 or 1)) - (size - 1)) if size > 1 else 0,
                "random": int(rng.integers(size)),
                "fixed": fixed[i % 8] % size,
            }[order]
            if not pattern_rests[s]:
                velocity = float(rng.uniform(0.6, 0.9) + 0.1 * (s % 4 == 0))
                out.append(Event(step, grid * hold, previous[index], velocity))
    return out


def riff(
    rng: np.random.Generator, song: Song, plays: Array, centre: float, busy: float = 0.5
) -> list[Event]:
    """Play a line of single notes whose rhythm and contour return every bar or two."""
    span = song.steps_per_bar * int(rng.choice([1, 2]))
    steps = np.flatnonzero(rng.random(span) < busy * np.tile([0.9, 0.2, 0.6, 0.25], span // 4))
    if len(steps) == 0:
        steps = np.array([0])
    moves = rng.choice([-4, -3, -2, -1, 0, 1, 2, 3, 4], len(steps))
    hold = float(rng.uniform(0.5, 1.0))
    out: list[Event] = []
    for bar in np.flatnonzero(plays):
        begin = int(bar) * song.steps_per_bar
        half = (int(bar) * song.steps_per_bar) % span
        target = centre
        for i, s in enumerate(steps):
            target = float(np.clip(target + moves[i], centre - 9, centre + 9))
            if not half <= s < half + song.steps_per_bar:
                continue
            step = begin + int(s) - half
            end = int(steps[i + 1]) if i + 1 < len(steps) else span
            classes = song.chord_at(step).pitch_classes if s % 4 == 0 else song.scale
            pitch = nearest(classes, target)
            out.append(Event(step, (end - int(s)) * hold, pitch, float(rng.uniform(0.6, 1.0))))
    return out
