"""The drum stem: one kit, its groove over the sections, its room and its bus."""

from collections.abc import Callable

import numpy as np

from asteroid_slicq.data.procedural.grooves import Stroke, bar_strokes, draw_fill, draw_groove
from asteroid_slicq.data.procedural.percussion import (
    make_brush,
    make_clap,
    make_cymbal,
    make_hat,
    make_kick,
    make_rim,
    make_shaker,
    make_snare,
    make_tom,
)
from asteroid_slicq.data.procedural.seeds import log_uniform
from asteroid_slicq.data.procedural.signal import (
    Array,
    compress,
    db,
    equalise,
    place,
    random_equaliser,
    saturate,
)
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.space import pan, reverberate, room_response

LAYERS = np.array([0.15, 0.3, 0.5, 0.7, 0.85, 1.0])
# Level in dB beside the kick, and how wide the voice is panned.
PLACES = {
    "kick": (0.0, 0.03),
    "snare": (-1.0, 0.08),
    "clap": (-4.0, 0.15),
    "rim": (-7.0, 0.25),
    "brush": (-6.0, 0.2),
    "hat": (-11.0, 0.5),
    "open": (-10.0, 0.5),
    "pedal": (-13.0, 0.5),
    "ride": (-14.0, 0.6),
    "crash": (-10.0, 0.6),
    "shaker": (-13.0, 0.7),
    "tom1": (-3.0, 0.6),
    "tom2": (-3.0, 0.4),
    "tom3": (-2.0, 0.6),
}


class Kit:
    """A drum kit drawn once; hits of one voice and layer are rendered once or twice and reused.

    Args:
        rng: Random stream.
        sample_rate: In Hz.
        electronic: Whether it is a drum machine.
    """

    def __init__(self, rng: np.random.Generator, sample_rate: int, electronic: bool) -> None:
        hat = make_hat(rng, sample_rate, electronic)
        toms = rng.uniform(65, 95) * np.array([2.2, 1.6, 1.0])
        self._makers: dict[str, Callable[[float], Array]] = {
            "kick": make_kick(rng, sample_rate, electronic),
            "snare": make_snare(rng, sample_rate, electronic),
            "clap": make_clap(rng, sample_rate),
            "rim": make_rim(rng, sample_rate),
            "brush": make_brush(rng, sample_rate),
            "hat": lambda v: hat(v, 0.0),
            "pedal": lambda v: hat(v, 0.15),
            "open": lambda v: hat(v, 0.9),
            "ride": make_cymbal(rng, sample_rate, True),
            "crash": make_cymbal(rng, sample_rate, False),
            "shaker": make_shaker(rng, sample_rate),
            "tom1": make_tom(rng, sample_rate, toms[0]),
            "tom2": make_tom(rng, sample_rate, toms[1]),
            "tom3": make_tom(rng, sample_rate, toms[2]),
        }
        self._rng = rng
        self._takes: dict[tuple[str, int, int], Array] = {}
        self._n_takes = 1 if electronic else 3

    def hit(self, voice: str, velocity: float) -> Array:
        """Render or recall a hit of a voice at a velocity in (0, 1]."""
        layer = int(np.argmin(np.abs(LAYERS - velocity)))
        key = (voice, layer, int(self._rng.integers(self._n_takes)))
        if key not in self._takes:
            self._takes[key] = self._makers[voice](float(LAYERS[layer]))
        return self._takes[key] * (velocity / LAYERS[layer])


def draw_strokes(rng: np.random.Generator, song: Song) -> list[Stroke]:
    """Write what the drummer plays through the song."""
    grooves = {s.name: draw_groove(rng, song) for s in song.sections}
    if rng.random() < 0.7:  # one groove through the song, voices apart
        first = next(iter(grooves.values()))
        grooves = {name: {**first} for name in grooves}
    plays = song.presence(rng, float(rng.uniform(0.05, 0.4)))
    fills = rng.uniform(0.2, 0.9)
    out: list[Stroke] = []
    for section in song.sections:
        for bar in range(section.first_bar, section.first_bar + section.n_bars):
            if not plays[bar]:
                continue
            at = bar * song.steps_per_bar
            strokes = bar_strokes(rng, song, grooves[section.name], section.energy)
            last = bar == section.first_bar + section.n_bars - 1
            if last and rng.random() < fills:
                fill = draw_fill(rng, song)
                begin = min(s.step for s in fill) if fill else song.steps_per_bar
                strokes = [s for s in strokes if s.step < begin or s.voice == "kick"] + fill
            if bar == section.first_bar and rng.random() < 0.2 + 0.6 * section.energy:
                strokes.append(Stroke(0.0, "crash", 0.85))
            out += [Stroke(at + s.step, s.voice, s.velocity) for s in strokes]
    return out


def render_drums(rng: np.random.Generator, song: Song) -> Array:
    """Render the drum stem of a song, ``(2, time)``."""
    sr, n = song.sample_rate, song.n_samples
    odds = {"dance": 0.9, "trap": 0.95, "hiphop": 0.6, "pop": 0.45, "funk": 0.1}
    electronic = rng.random() < odds.get(song.style, 0.08)
    kit = Kit(rng, sr, electronic)
    offsets = {v: rng.normal(0.0, 2.5) for v in PLACES}
    sides = {v: rng.choice([-1, 1]) * rng.uniform(0, 1) * w for v, (_, w) in PLACES.items()}
    voices: dict[str, Array] = {}
    scatter = 0.03 if electronic else 0.1
    for stroke in draw_strokes(rng, song):
        start = song.sample(stroke.step, rng)
        velocity = float(np.clip(stroke.velocity * (1 + rng.normal(0, scatter)), 0.08, 1.0))
        if start >= n:
            continue
        buffer = voices.setdefault(stroke.voice, np.zeros(n))
        place(buffer, kit.hit(stroke.voice, velocity), start)
    dry, send = np.zeros((2, n)), np.zeros((2, n))
    room_db = rng.uniform(-26, -8)
    for voice, x in voices.items():
        level_db, _ = PLACES[voice]
        x = pan(equalise(x, random_equaliser(rng, sr, 3.0)), sides[voice])
        x *= db(level_db + offsets[voice])
        dry += x
        send += x * (0.25 if voice == "kick" else 1.0)
    if not voices:
        return dry
    rt60_s = log_uniform(rng, 0.15, 1.4)
    wet = reverberate(send, room_response(rng, rt60_s, sr))
    out = dry + db(room_db) * 2.0 * wet
    if rng.random() < 0.7:
        out = compress(out, sr, rng.uniform(-24, -8), rng.uniform(1.5, 6), 0.006, 0.15)
    if rng.random() < 0.6:
        peak = np.abs(out).max() + 1e-9
        out = saturate(out / peak, rng.uniform(0.5, 2.5)) * peak
    return equalise(out, random_equaliser(rng, sr, 2.0))
