"""The bass stem: one instrument, the line it plays over the chords, and its amplifier."""

from dataclasses import dataclass

import numpy as np

from asteroid_slicq.data.procedural.harmony import nearest
from asteroid_slicq.data.procedural.oscillator import (
    cutoff_position,
    filtered_tables,
    phase_of,
    scan,
)
from asteroid_slicq.data.procedural.plucked import pluck
from asteroid_slicq.data.procedural.seeds import log_uniform, pick
from asteroid_slicq.data.procedural.signal import (
    Array,
    adsr,
    biquad,
    compress,
    db,
    equalise,
    fade,
    highpass,
    lowpass,
    place,
    random_equaliser,
    saturate,
)
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.space import chorus, pan, reverberate, room_response

KINDS = {
    "rock": {"electric": 1.0},
    "pop": {"electric": 2.0, "synth": 2.0, "sub": 1.0},
    "funk": {"electric": 2.0, "slap": 2.0, "synth": 1.0},
    "dance": {"synth": 3.0, "sub": 1.0, "fm": 1.5, "reese": 1.0},
    "hiphop": {"sub": 2.0, "electric": 1.0, "upright": 0.4, "synth": 0.7},
    "trap": {"808": 4.0, "sub": 1.0},
    "ballad": {"electric": 2.0, "upright": 0.4, "synth": 0.5},
    "shuffle": {"electric": 2.0, "upright": 0.6},
    "metal": {"drive": 3.0, "electric": 1.0},
    "jazz": {"upright": 3.0, "electric": 1.0},
    "folk": {"upright": 0.6, "electric": 1.0},
}


STRINGS = ("electric", "slap", "upright", "drive")
AMPLIFIED = 0.65  # share of strings that go through an amplifier
_FORWARD = 0.85  # share of basses whose presence is raised
_HIGH = 0.45  # share of lines whose roots lie from G1 up, not from E1, the lowest string
_DEEP = 0.15  # share of synthesised lines that go down to C1


@dataclass(frozen=True)
class Note:
    """A bass note: start and length in steps, MIDI pitch, velocity, and articulation."""

    step: float
    length: float
    pitch: float
    velocity: float
    muted: bool = False
    slide_from: float | None = None


def draw_line(rng: np.random.Generator, song: Song, kind: str) -> list[Note]:
    """Write a bass line: a rhythm repeated bar by bar, over roots, fifths, octaves or a walk."""
    odds = {"roots": 2.0, "eighths": 2.0, "octaves": 1.0, "syncopated": 2.0, "long": 1.0}
    if song.style in ("jazz", "shuffle"):
        odds["walking"] = 6.0
    if song.style in ("metal", "rock"):
        odds["eighths"] = 5.0
    if song.style == "trap":
        odds = {"syncopated": 2.0, "long": 2.0}
    floor = 31 if rng.random() < _HIGH else 28  # of the octave that roots lie in
    if kind in ("sub", "808", "synth", "reese") and rng.random() < _DEEP:
        floor = 24
    stride, half = (2, 6) if song.meter == "6/8" else (4, 8)
    per_bar = song.steps_per_bar
    plays = song.presence(rng, float(rng.uniform(0.1, 0.45)))
    manner_of = {s.name: pick(rng, odds) for s in song.sections}
    groove = sorted({0, *rng.choice(per_bar, int(rng.integers(2, 7)), replace=False).tolist()})
    legato = rng.uniform(0.5, 1.0)
    ghosts = rng.uniform(0.0, 0.12) if kind in ("electric", "slap", "drive") else 0.0
    slides = rng.uniform(0.0, 0.15) if kind not in ("fm",) else 0.0
    palm = kind in ("electric", "drive") and rng.random() < 0.2
    notes: list[Note] = []
    last = float(floor + 8)
    for section in song.sections:
        manner = manner_of[section.name]
        if manner == "eighths" or manner == "octaves":
            steps = list(range(0, per_bar, 2))
        elif manner in ("roots", "walking"):
            steps = list(range(0, per_bar, stride if manner == "walking" else half))
        elif manner == "long":
            steps = [0]
        else:
            steps = groove
        for bar in range(section.first_bar, section.first_bar + section.n_bars):
            if not plays[bar]:
                continue
            for i, s in enumerate(steps):
                step = bar * per_bar + s
                end = bar * per_bar + (steps[i + 1] if i + 1 < len(steps) else per_bar)
                chord = song.chord_at(step)
                root = floor + (chord.bass - floor) % 12
                pitch = float(root)
                if manner == "octaves" and i % 2:
                    pitch = root + 12
                elif manner == "walking" and s:
                    final = song.chord_at(end)
                    if final is not chord and rng.random() < 0.7:
                        goal = nearest((final.bass,), last)
                        pitch = goal + float(rng.choice([-1, 1, 2, -2]))
                    else:
                        pitch = nearest(song.scale, last + float(rng.choice([-3, -2, 2, 3, 4])))
                    pitch = float(np.clip(pitch, floor, floor + 24))
                elif s and rng.random() < 0.3:
                    pitch = root + float(rng.choice([7, 12, 0, chord.tones[1], -5]))
                    pitch = pitch if pitch >= floor else pitch + 12
                ghost = bool(s) and rng.random() < ghosts
                notes.append(
                    Note(
                        step=step,
                        length=(end - step) * (0.3 if ghost else legato),
                        pitch=pitch,
                        velocity=0.35 if ghost else float(rng.uniform(0.65, 1.0)),
                        muted=ghost or palm,
                        slide_from=last if rng.random() < slides and last != pitch else None,
                    )
                )
                last = pitch
    return notes


class BassVoice:
    """A bass instrument of a kind of `KINDS`, drawn once, rendering single notes."""

    def __init__(self, kind: str, rng: np.random.Generator, sample_rate: int) -> None:
        self.kind, self._rng, self._sr = kind, rng, sample_rate
        self._decay_s = {"upright": 1.2, "slap": 3.0}.get(kind, 4.0) * rng.uniform(0.6, 1.5)
        self._damping_hz = rng.uniform(250, 1200) if kind == "upright" else rng.uniform(800, 4500)
        self._bright_hz = {"slap": 4000.0, "upright": 700.0, "drive": 4000.0}.get(kind, 2500.0)
        self._bright_hz *= log_uniform(rng, 0.5, 2.0)
        self._slope = rng.uniform(0.7, 1.2)
        self._position = rng.uniform(0.08, 0.3)
        self._pickup = None if kind == "upright" else rng.uniform(0.1, 0.3)
        self._wave = str(rng.choice(["saw", "pulse", "triangle"], p=[0.5, 0.35, 0.15]))
        self._resonance = log_uniform(rng, 0.6, 6.0)
        self._cutoff_hz = log_uniform(rng, 150, 1400)
        self._sweep = log_uniform(rng, 1.0, 10.0)
        self._sweep_s = log_uniform(rng, 0.03, 0.5)
        self._sustain = rng.uniform(0.3, 1.0)
        self._ratio = float(rng.choice([1, 1, 2, 3, 0.5]))
        self._index = rng.uniform(0.5, 4.0)
        self._sub = rng.uniform(0.0, 0.7)
        self._detune = rng.uniform(0.002, 0.012)
        self._touch = log_uniform(rng, 0.005, 0.08)  # finger or plectrum
        self._punch = rng.uniform(0.0, 1.5)

    def note(self, f: Array, velocity: float, muted: bool) -> Array:
        """Render a note of a frequency contour in Hz, ``(time,)``; ghost notes are muted, too."""
        if self.kind in STRINGS:
            return self._string(f, velocity, muted)
        sr, n = self._sr, len(f)
        t = np.arange(n) / sr
        phase = phase_of(f, sr)
        env = adsr(n, sr, 0.004, 0.25, 0.1 if muted else self._sustain, 0.03)
        if self.kind == "sub":
            x = np.sin(2 * np.pi * phase) + 0.15 * self._sub * np.sin(4 * np.pi * phase)
            return velocity * env * saturate(x, 0.3 + self._sub)
        if self.kind == "808":
            drop = 1.0 + (1.0 + self._punch) * np.exp(-t / 0.02)
            x = np.sin(2 * np.pi * phase_of(f * drop, sr)) * np.exp(-t / (0.3 + self._decay_s / 5))
            return velocity * fade(saturate(x, 0.5 + 2 * self._sub), sr, 0.001, 0.02)
        if self.kind == "fm":
            index = self._index * np.exp(-t / self._sweep_s) + 0.3
            x = np.sin(2 * np.pi * phase + index * np.sin(2 * np.pi * self._ratio * phase))
            return velocity * env * x
        top = float(f.max())
        tables = filtered_tables(self._wave, top, self._resonance, sr, 0.3)
        cut = self._cutoff_hz * (1 + self._sweep * velocity * np.exp(-t / self._sweep_s))
        x = scan(tables, phase, cutoff_position(cut))
        if self.kind == "reese":
            x = x + scan(tables, phase * (1 + self._detune), cutoff_position(cut))
            x = 0.6 * x
        return velocity * env * (x + self._sub * np.sin(2 * np.pi * phase))

    def _string(self, f: Array, velocity: float, muted: bool) -> Array:
        f0 = float(f[-1])
        x = pluck(
            f0,
            len(f) / self._sr + 0.01,
            self._sr,
            decay_s=0.25 if muted else self._decay_s,
            damping_hz=self._damping_hz * (0.4 if muted else 1.0),
            brightness_hz=self._bright_hz * (0.4 + 0.6 * velocity),
            position=self._position,
            pickup=self._pickup,
            stiffness=2e-5,
            slope=self._slope,
            rng=self._rng,
        )
        if f[0] != f0:  # a fretted slide reads the string at a moving rate
            at = np.cumsum(f / f0)
            x = np.interp(at - at[0], np.arange(len(x)), x)
        else:
            x = x[: len(f)]
        m = min(int(0.05 * self._sr), len(x))
        touch = self._rng.standard_normal(m) * np.exp(-np.arange(m) / (0.008 * self._sr))
        x = np.concatenate([x[:m] + self._touch * velocity * highpass(touch, 900, self._sr), x[m:]])
        if self.kind == "slap":
            x = x + 0.4 * np.tanh(6 * x) * np.exp(-np.arange(len(x)) / (0.01 * self._sr))
        return velocity * fade(x, self._sr, 0.001, 0.02)


def presence(rng: np.random.Generator, sample_rate: int) -> list[Array]:
    """Draw how a desk brings a bass forward, above 800 Hz: by a shelf, a peak, or not at all."""
    if rng.random() >= _FORWARD:
        return []
    kind = "high" if rng.random() < 0.5 else "peak"
    f_hz = log_uniform(rng, 800, 3000)
    return [biquad(kind, f_hz, rng.uniform(3.0, 12.0), rng.uniform(0.5, 1.0), sample_rate)]


def render_bass(rng: np.random.Generator, song: Song) -> Array:
    """Render the bass stem of a song, ``(2, time)``."""
    sr, n = song.sample_rate, song.n_samples
    kind = pick(rng, KINDS[song.style])
    voice = BassVoice(kind, rng, sr)
    x = np.zeros(n)
    cache: dict[tuple[float, int, bool, int], Array] = {}
    for note in draw_line(rng, song, kind):
        start = song.sample(note.step, rng)
        length = int(note.length * song.step_s * sr)
        if kind == "808":
            length = int(length * 1.4)
        if start >= n or length < 64:
            continue
        key = (note.pitch, round(note.velocity * 4), note.muted, length // 500)
        if note.slide_from is not None:
            key = (note.pitch + 1000 * note.slide_from, *key[1:])
        if key not in cache:
            f = np.full(length, song.hz(note.pitch))
            if note.slide_from is not None:
                span = min(int(rng.uniform(0.03, 0.12) * sr), length // 2)
                f[:span] = np.geomspace(song.hz(note.slide_from), f[-1], span)
            cache[key] = voice.note(f, round(note.velocity * 4) / 4, note.muted)
        place(x, cache[key], start, float(rng.uniform(0.9, 1.1)))
    if not x.any():
        return np.zeros((2, n))
    x = x / (np.abs(x).max() + 1e-9)
    if kind == "drive" or rng.random() < (AMPLIFIED if kind in STRINGS else 0.3):
        drive = log_uniform(rng, 1.5, 12.0) if kind == "drive" else log_uniform(rng, 1.0, 6.0)
        bent = saturate(x, drive, rng.uniform(0, 0.3)) * drive**0.7
        x = rng.uniform(0.2, 0.6) * x + lowpass(bent, rng.uniform(1800, 5000), sr)
    x = equalise(x, presence(rng, sr) + random_equaliser(rng, sr, 4.0))
    if rng.random() < 0.75:
        x = compress(x, sr, rng.uniform(-20, -8), rng.uniform(2, 6), 0.01, 0.2)
    if kind in ("synth", "reese", "electric") and rng.random() < 0.15:
        out = chorus(x, sr, rng, 0.002, 0.4)
    else:
        out = pan(x, float(rng.normal(0, 0.03)))
    if rng.random() < 0.35:
        response = room_response(rng, log_uniform(rng, 0.2, 0.8), sr)
        out = out + db(rng.uniform(-24, -12)) * reverberate(out, response)
    return out
