"""The vocal stem: singers, doubles and backing voices, and their effects."""

import numpy as np

from asteroid_slicq.data.procedural.harmony import voice_near
from asteroid_slicq.data.procedural.melody import Phrase, draw_phrases, harmony_line
from asteroid_slicq.data.procedural.phonemes import Syllable
from asteroid_slicq.data.procedural.seeds import log_uniform, pick
from asteroid_slicq.data.procedural.signal import (
    Array,
    biquad,
    compress,
    db,
    equalise,
    highpass,
    place,
    random_equaliser,
    saturate,
)
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.space import (
    balance,
    chorus,
    echo,
    pan,
    reverberate,
    room_response,
)
from asteroid_slicq.data.procedural.voice import PREROLL_S, VOICE_TYPES, Singer, draw_singer, sing

MANNERS = {"plain": 4.0, "long": 2.0, "busy": 2.0, "rap": 0.6}


def _render(
    phrases: list[Phrase],
    singer: Singer,
    song: Song,
    rng: np.random.Generator,
    late_s: float = 0.0,
) -> Array:
    """Sing phrases into a mono track as long as the recording."""
    out = np.zeros(song.n_samples)
    for phrase in phrases:
        notes = phrase.timed(song, rng, late_s)
        end_s = song.n_samples / song.sample_rate
        if notes[-1].end_s < 0.0 or notes[0].start_s > end_s:
            continue
        origin = notes[0].start_s
        local = [
            type(n)(n.start_s - origin, n.end_s - origin, n.midi, n.loudness, n.syllable)
            for n in notes
        ]
        x = sing(local, singer, song.sample_rate, rng, breath_in=bool(rng.random() < 0.5))
        place(out, x, round((origin - PREROLL_S) * song.sample_rate))
    return out


def _choir(rng: np.random.Generator, song: Song, kind: str) -> list[Phrase]:
    """Write held vowels on the chords, one list of phrases in which each voice is a phrase."""
    low, high, _ = VOICE_TYPES[kind]
    sings = song.presence(rng, float(rng.uniform(0.6, 0.9)))
    vowel = str(rng.choice(["u", "a", "o", "O"]))
    onset = str(rng.choice(["", "", "h", "m", "l"]))
    n_voices = int(rng.integers(2, 4))
    lines: list[list[tuple[float, float, float, float, Syllable | None]]] = [
        [] for _ in range(n_voices)
    ]
    phrases: list[Phrase] = []
    previous: list[int] = []
    for chord in song.chords:
        if not sings[min(chord.start // song.steps_per_bar, len(sings) - 1)]:
            phrases += [Phrase(tuple(line)) for line in lines if line]
            lines = [[] for _ in range(n_voices)]
            continue
        previous = voice_near(chord, (low + high) / 2 + 2, n_voices, previous)
        for line, pitch in zip(lines, previous, strict=False):
            syllable = Syllable(onset, vowel, "", "") if rng.random() < 0.6 or not line else None
            line.append(
                (chord.start, (chord.end - chord.start) * 0.96, float(pitch), 0.5, syllable)
            )
    return phrases + [Phrase(tuple(line)) for line in lines if line]


def lead_effects(rng: np.random.Generator, x: Array, sample_rate: int) -> Array:
    """High-pass, compression, saturation and equaliser of a voice, mono; its peak is about one."""
    x = highpass(x, rng.uniform(60, 140), sample_rate)
    peak = np.abs(x).max() + 1e-9
    x = compress(x / peak, sample_rate, rng.uniform(-26, -10), rng.uniform(2, 6), 0.004, 0.12)
    x = x / (np.abs(x).max() + 1e-9)
    if rng.random() < 0.4:
        x = saturate(x, log_uniform(rng, 0.5, 4.0), rng.uniform(0, 0.3))
    polish = [  # presence and air, as nearly every mix adds them
        biquad("peak", rng.uniform(2000, 5000), rng.uniform(0, 8), 0.8, sample_rate),
        biquad("high", rng.uniform(5000, 9000), rng.uniform(2, 11), 0.7, sample_rate),
    ]
    return equalise(x, polish + random_equaliser(rng, sample_rate, 4.0))


def render_vocals(rng: np.random.Generator, song: Song) -> Array:
    """Render the vocal stem of a song, ``(2, time)``."""
    sr, n = song.sample_rate, song.n_samples
    kind = pick(
        rng,
        dict.fromkeys(VOICE_TYPES, 1.0)
        | {"baritone": 2.0, "tenor": 2.5, "alto": 2.0, "mezzo": 2.0, "child": 0.4},
    )
    low, high, _ = VOICE_TYPES[kind]
    singer = draw_singer(rng, kind)
    rap = {"hiphop": 5.0, "trap": 4.0, "funk": 0.5}.get(song.style, 0.15)
    manner = pick(rng, MANNERS | {"rap": rap})
    phrases = draw_phrases(rng, song, low, high, manner, float(rng.uniform(0.1, 0.55)))
    late_s = float(rng.normal(0.0, 0.012))
    lead = _render(phrases, singer, song, rng, late_s)
    dry = np.zeros((2, n))
    if lead.any():
        lead = lead_effects(rng, lead, sr)
        dry += pan(lead, float(rng.normal(0, 0.04)))
    if phrases and rng.random() < 0.3:  # the same singer again, left and right
        gain = db(rng.uniform(-12, -3))
        sides = (-1, 1) if rng.random() < 0.5 else (0,)
        for side in sides:
            double = _render(phrases, singer, song, rng, late_s + float(rng.normal(0, 0.015)))
            if double.any():
                double /= np.abs(double).max() * 1.5
                dry += gain * pan(double, side * rng.uniform(0.3, 1.0))
    if phrases and rng.random() < 0.35:  # a harmony a third or so away
        other = draw_singer(rng, kind)
        for steps in rng.choice([2, -2, 4, -3, 7], int(rng.integers(1, 3)), replace=False):
            keep = rng.uniform(0.3, 1.0)
            chosen = [p for p in phrases if rng.random() < keep]
            chosen = harmony_line(chosen, song, int(steps), low, high)
            x = _render(chosen, other, song, rng, late_s + float(rng.normal(0, 0.012)))
            if x.any():
                x /= np.abs(x).max() * 1.5
                dry += db(rng.uniform(-12, -3)) * pan(x, float(rng.uniform(-0.8, 0.8)))
    if rng.random() < 0.25:
        choir_kind = str(rng.choice(["tenor", "alto", "soprano", "baritone"]))
        voices = np.zeros((2, n))
        for phrase in _choir(rng, song, choir_kind):
            x = _render([phrase], draw_singer(rng, choir_kind), song, rng)
            voices += balance(chorus(x, sr, rng, 0.004, 0.7), float(rng.uniform(-0.7, 0.7)))
        if voices.any():
            dry += db(rng.uniform(-14, -4)) * voices / np.abs(voices).max()
    if not dry.any():
        return dry
    out = dry
    rt60_s = log_uniform(rng, 0.3, 3.0)
    response = room_response(rng, rt60_s, sr)
    out = out + db(rng.uniform(-24, -7)) * reverberate(dry, response)
    if rng.random() < 0.45:
        steps = float(rng.choice([0.5, 1.0, 2.0, 3.0, 4.0]))
        delay_s = rng.uniform(0.07, 0.14) if rng.random() < 0.4 else steps * song.step_s * 2
        wet = echo(dry, sr, delay_s, rng.uniform(0.15, 0.5), bool(rng.random() < 0.5))
        out = out + db(rng.uniform(-20, -8)) * wet
    return out
