"""The vocal stem of a sampled song: lead, doubles, harmonies and shouts, and their effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from asteroid_slicq.data.procedural.melody import Phrase, draw_phrases, harmony_line
from asteroid_slicq.data.procedural.seeds import log_uniform, pick
from asteroid_slicq.data.procedural.signal import Array, db, place
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.space import echo, pan, reverberate, room_response
from asteroid_slicq.data.procedural.vocals import MANNERS, lead_effects
from asteroid_slicq.data.procedural.voice import SungNote
from asteroid_slicq.data.sampled.voices.singer import Singer, Voice, draw_singer
from asteroid_slicq.data.sampled.voices.singing import PREROLL_S, sing
from asteroid_slicq.data.sampled.voices.utterances import Utterance

_RAP = {"hiphop": 5.0, "trap": 4.0, "funk": 0.5}


def sung_vocals(rng: np.random.Generator, song: Song, voices: Mapping[str, Voice]) -> Array:
    """The vocal stem.

    Args:
        rng: random stream.
        song: what is played.
        voices: recorded voices by name, as ``read_voices`` returns them.

    Shape:
        - output: ``(2, time)``
    """
    rate, n = song.sample_rate, song.n_samples
    singer = draw_singer(rng, voices)
    manner = pick(rng, MANNERS | {"rap": _RAP.get(song.style, 0.15)})
    threshold = float(rng.uniform(0.1, 0.5))
    phrases = draw_phrases(rng, song, singer.low, singer.high, manner, threshold)
    speech = float(rng.uniform(0.6, 0.95)) if manner == "rap" else 0.0
    late_s = float(rng.normal(0, 0.012))
    words = int(rng.integers(2**31))  # all takes sing the same words

    def take(who: Singer, what: Sequence[Phrase], late_s: float) -> Array:
        x = _render(np.random.default_rng(words), who, song, what, late_s, speech)
        return lead_effects(rng, x, rate) if x.any() else x

    dry = np.zeros((2, n))
    lead = take(singer, phrases, late_s)
    if lead.any():
        dry += pan(lead, float(rng.normal(0, 0.04)))

    def add(x: Array, gain_db: float, position: float) -> None:
        if x.any():
            dry[:] += db(gain_db) * pan(x / (np.abs(x).max() * 1.5), position)

    if phrases and rng.random() < 0.3:  # the same singer again, left and right
        gain_db = rng.uniform(-12, -3)
        for side in (-1, 1) if rng.random() < 0.5 else (0,):
            x = take(singer.again(rng), phrases, late_s + float(rng.normal(0, 0.018)))
            add(x, gain_db, side * rng.uniform(0.3, 1))
    if phrases and rng.random() < 0.35:  # harmonies
        for steps in rng.choice([2, -2, 4, -3, 7], int(rng.integers(1, 3)), replace=False):
            keep = rng.uniform(0.3, 1)
            chosen = [p for p in phrases if rng.random() < keep]
            chosen = harmony_line(chosen, song, int(steps), singer.low, singer.high)
            x = take(singer.again(rng, 0.5), chosen, late_s + float(rng.normal(0, 0.012)))
            add(x, rng.uniform(-12, -3), float(rng.uniform(-0.8, 0.8)))
    if phrases and rng.random() < 0.15:  # shouts of a crowd on some phrases
        chosen = [_shout(phrase) for phrase in phrases if rng.random() < 0.3]
        for _ in range(int(rng.integers(2, 5))):
            crowd = draw_singer(rng, voices)
            x = _render(rng, crowd, song, chosen, float(rng.normal(0, 0.03)), 0.7)
            x = lead_effects(rng, x, rate) if x.any() else x
            add(x, rng.uniform(-16, -8), float(rng.uniform(-1, 1)))
    if not dry.any():
        return dry
    response = room_response(rng, log_uniform(rng, 0.3, 3.0), rate)
    out = dry + db(rng.uniform(-24, -7)) * reverberate(dry, response)
    if rng.random() < 0.45:
        steps = float(rng.choice([0.5, 1.0, 2.0, 3.0, 4.0]))
        delay_s = rng.uniform(0.07, 0.14) if rng.random() < 0.4 else 2 * steps * song.step_s
        wet = echo(dry, rate, delay_s, rng.uniform(0.15, 0.5), bool(rng.random() < 0.5))
        out = out + db(rng.uniform(-20, -8)) * wet
    return out


def _shout(phrase: Phrase) -> Phrase:
    """The first notes of a phrase, short and loud."""
    return Phrase(
        tuple(
            (start, min(length, 2.0), midi + 3, 1.0, syllable)
            for start, length, midi, _, syllable in phrase.notes[:3]
        )
    )


def _render(
    rng: np.random.Generator,
    singer: Singer,
    song: Song,
    phrases: Sequence[Phrase],
    late_s: float,
    speech: float,
) -> Array:
    """Phrases, sung into a mono track as long as the song; some lines come back."""
    out = np.zeros(song.n_samples)
    lines: dict[int, Utterance] = {}
    for phrase in phrases:
        notes = phrase.timed(song, rng, late_s)
        origin_s = notes[0].start_s
        utterance = lines.get(len(notes))
        if utterance is None or rng.random() < 0.4:
            utterance = lines[len(notes)] = _draw_line(rng, singer.voice, len(notes))
        seed = int(rng.integers(2**31))
        if notes[-1].end_s < 0 or origin_s > song.n_samples / song.sample_rate:
            continue
        local = [
            SungNote(n.start_s - origin_s, n.end_s - origin_s, n.midi, n.loudness, n.syllable)
            for n in notes
        ]
        own = np.random.default_rng(seed)
        x = sing(local, singer, utterance, song.sample_rate, own, speech)
        place(out, x, round((origin_s - PREROLL_S) * song.sample_rate))
    return out


def _draw_line(rng: np.random.Generator, voice: Voice, n_notes: int) -> Utterance:
    """A line of the voice with about enough syllables."""
    long = [u for u in voice.utterances if len(u.syllables) >= min(n_notes, 8)]
    lines = long or voice.utterances
    return lines[int(rng.integers(len(lines)))]
