"""The drum stem of recordings: the composer's strokes on a kit, its microphones and its bus."""

import numpy as np

from asteroid_slicq.data.procedural.drums import draw_strokes
from asteroid_slicq.data.procedural.grooves import Stroke
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
from asteroid_slicq.data.sampled.kit import PERCUSSION, RecordedKit
from asteroid_slicq.data.sampled.noise import add_floor
from asteroid_slicq.data.sampled.sampler import Sampler

# Level in dB of the peak of a channel beside the kick's, and how wide it is panned.
CHANNELS = {
    "kick": (0.0, 0.03),
    "snare": (-1.0, 0.1),
    "brush": (-5.0, 0.15),
    "clap": (-4.0, 0.2),
    "rim": (-7.0, 0.25),
    "hats": (-10.0, 0.6),
    "ride": (-11.0, 0.7),
    "crash": (-8.0, 0.8),
    "shaker": (-13.0, 0.7),
    "tom1": (-3.0, 0.6),
    "tom2": (-3.0, 0.3),
    "tom3": (-2.0, 0.6),
    "perc": (-9.0, 0.8),
}
_HATS = ("hat", "open", "pedal")
_ELECTRONIC = {"dance": 0.85, "trap": 0.9, "hiphop": 0.55, "pop": 0.4, "funk": 0.08}


def _channel(voice: str) -> str:
    return "hats" if voice in _HATS else "perc" if voice.startswith("perc") else voice


def _add_percussion(rng: np.random.Generator, song: Song, strokes: list[Stroke]) -> None:
    """Add a part of two pieces of percussion, on a pattern repeated bar by bar."""
    pattern = np.flatnonzero(rng.random(song.steps_per_bar) < rng.uniform(0.15, 0.5))
    keys = rng.choice(PERCUSSION, 2)
    accents = rng.uniform(0.3, 0.8, song.steps_per_bar)
    for bar in np.flatnonzero(song.presence(rng, 0.5)):
        for step in pattern:
            voice = f"perc{int(keys[int(step) % 2])}"
            velocity = float(accents[step] * rng.uniform(0.8, 1.1))
            strokes.append(Stroke(int(bar) * song.steps_per_bar + int(step), voice, velocity))


def _perform(
    rng: np.random.Generator, song: Song, kit: RecordedKit, strokes: list[Stroke], scatter: float
) -> dict[str, Array]:
    """Play strokes into mono channels; each voice is a little early or late throughout."""
    rate, n = song.sample_rate, song.n_samples
    lean_s = {c: rng.normal(0.0, 0.3 * song.looseness_s) for c in CHANNELS}
    channels: dict[str, Array] = {}
    ringing = {"hats": -1, "kick": -1}  # where a sound began that the next one ends
    for stroke in sorted(strokes, key=lambda s: s.step):
        channel = _channel(stroke.voice)
        start = song.sample(stroke.step, rng) + round(lean_s[channel] * rate)
        velocity = float(np.clip(stroke.velocity * (1.0 + rng.normal(0.0, scatter)), 0.08, 1.0))
        if start >= n or start < -4 * rate:
            continue
        buffer = channels.setdefault(channel, np.zeros(n))
        if 0 <= ringing.get(channel, -1) < start:
            closing = min(int((0.008 if channel == "hats" else 0.03) * rate), n - start)
            buffer[start : start + closing] *= np.linspace(1.0, 0.0, closing)
            buffer[start + closing :] = 0.0
        if channel in ringing:
            ringing[channel] = start if stroke.voice in ("open", "kick") else -1
        if channel in ("snare", "tom1") and velocity > 0.6 and rng.random() < 0.02:  # a flam
            place(buffer, kit.hit(stroke.voice, 0.4 * velocity), start - int(0.025 * rate))
        place(buffer, kit.hit(stroke.voice, velocity), start)
    return channels


def sampled_drums(rng: np.random.Generator, song: Song, sampler: Sampler) -> Array:
    """Render the drum stem of a song from recordings.

    Shape:
        - Output: ``(2, time)``
    """
    rate, n = song.sample_rate, song.n_samples
    electronic = bool(rng.random() < _ELECTRONIC.get(song.style, 0.06))
    brushed = song.style in ("jazz", "ballad", "folk") and rng.random() < 0.3
    kit = RecordedKit(rng, sampler, rate, electronic, brushed and not electronic)
    strokes = draw_strokes(rng, song)
    if rng.random() < 0.3:
        _add_percussion(rng, song, strokes)
    channels = _perform(rng, song, kit, strokes, 0.03 if electronic else 0.1)
    close, overhead = np.zeros((2, n)), np.zeros((2, n))
    audience = float(rng.choice([-1.0, 1.0])) * rng.uniform(0.3, 1.0)
    for channel, x in channels.items():
        peak = np.abs(x).max()
        if peak < 1e-6:
            continue
        level_db, width = CHANNELS[channel]
        side = {"hats": 1.0, "ride": -1.0, "tom1": 0.6, "tom3": -0.8}.get(
            channel, float(rng.uniform(-1.0, 1.0))
        )
        x = equalise(x / peak * db(level_db + rng.normal(0.0, 2.0)), random_equaliser(rng, rate, 3))
        if channel in ("kick", "snare") and rng.random() < 0.5:
            x = compress(x, rate, rng.uniform(-15, -6), rng.uniform(2, 5), 0.012, 0.1)
        if channel in ("kick", "snare") and rng.random() < 0.3:
            x = saturate(x, rng.uniform(0.5, 2.5), rng.uniform(0.0, 0.3))
        placed = pan(x, audience * side * width)
        close += placed
        overhead += placed * (0.25 if channel == "kick" else 1.0)
    if not close.any():
        return close
    room = reverberate(overhead, room_response(rng, log_uniform(rng, 0.15, 1.2), rate))
    if rng.random() < 0.35:  # the room's microphones, crushed
        room = 1.5 * compress(room, rate, -24, rng.uniform(4, 10), 0.003, 0.25)
    out = close + db(rng.uniform(-22, -5)) * room
    if not electronic and rng.random() < 0.6:
        out = add_floor(rng, out, rate)
    if rng.random() < 0.7:
        out = compress(out, rate, rng.uniform(-24, -8), rng.uniform(1.5, 6), 0.006, 0.15)
    if rng.random() < 0.25:  # parallel compression
        out = out + rng.uniform(0.2, 0.6) * compress(out, rate, -30, 10, 0.001, 0.15)
    if rng.random() < 0.6:
        peak = np.abs(out).max() + 1e-9
        out = saturate(out / peak, rng.uniform(0.5, 2.5)) * peak
    return equalise(out, random_equaliser(rng, rate, 2.0))
