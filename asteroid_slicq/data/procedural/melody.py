"""Sung melodies: rhythms, contours and syllables of phrases over the chords."""

from dataclasses import dataclass

import numpy as np

from asteroid_slicq.data.procedural.harmony import nearest
from asteroid_slicq.data.procedural.phonemes import Syllable, draw_syllable
from asteroid_slicq.data.procedural.seeds import pick
from asteroid_slicq.data.procedural.song import Song
from asteroid_slicq.data.procedural.voice import SungNote

_BEYOND = 3.0  # semitones by which a melody may pass the compass of its singer


@dataclass(frozen=True)
class Motif:
    """A rhythm and a contour that phrases share: steps, lengths, scale moves, syllables."""

    steps: tuple[int, ...]
    lengths: tuple[int, ...]
    moves: tuple[int, ...]
    syllables: tuple[Syllable | None, ...]


@dataclass(frozen=True)
class Phrase:
    """Notes in steps of the song: (start, length, MIDI pitch, loudness, syllable)."""

    notes: tuple[tuple[float, float, float, float, Syllable | None], ...]

    def timed(self, song: Song, rng: np.random.Generator, late_s: float = 0.0) -> list[SungNote]:
        """Turn steps into seconds of the recording, with the singer's own timing."""
        out: list[SungNote] = []
        for start, length, midi, loudness, syllable in self.notes:
            begin = song.time_s(start) + late_s + rng.normal(0, song.looseness_s * 1.5)
            end = song.time_s(start + length) + late_s
            end = max(end, begin + 0.06)
            if out and begin < out[-1].end_s:
                last = out[-1]
                begin = max(begin, last.start_s + 0.05)
                out[-1] = SungNote(last.start_s, begin, last.midi, last.loudness, last.syllable)
                end = max(end, begin + 0.05)
            pitch = midi + song.tuning_cents / 100.0
            out.append(SungNote(begin, end, pitch, loudness, syllable))
        return out


def _draw_motif(rng: np.random.Generator, span: int, density: str, melisma: float) -> Motif:
    lengths_of = {
        "long": {"4": 2.0, "8": 2.0, "6": 1.0, "12": 1.0},
        "plain": {"2": 3.0, "4": 3.0, "3": 1.0, "6": 1.0, "1": 0.3},
        "busy": {"1": 1.5, "2": 3.0, "3": 1.0, "4": 0.6},
        "rap": {"1": 4.0, "2": 2.0, "3": 0.4},
    }[density]
    position = int(rng.choice([0, 0, 0, 2, 2, 4, 6]))
    stop = span - int(rng.choice([0, 2, 4, 4, 6]) if density != "rap" else rng.choice([0, 1, 2]))
    steps: list[int] = []
    lengths: list[int] = []
    while position < stop:
        length = int(pick(rng, lengths_of))
        length = min(length, stop - position)
        if rng.random() < 0.07 and steps:
            position += length
            continue
        steps.append(position)
        lengths.append(length)
        position += length
    if not steps:
        steps, lengths = [0], [max(span // 2, 1)]
    if density != "rap":
        lengths[-1] = min(lengths[-1] + 2, span - steps[-1])
    moves = rng.choice(
        [-3, -2, -1, 0, 1, 2, 3], len(steps), p=[0.07, 0.13, 0.25, 0.15, 0.22, 0.12, 0.06]
    )
    syllables = [
        None if i and rng.random() < melisma else draw_syllable(rng) for i in range(len(steps))
    ]
    return Motif(tuple(steps), tuple(lengths), tuple(int(m) for m in moves), tuple(syllables))


def draw_phrases(
    rng: np.random.Generator, song: Song, low: float, high: float, manner: str, threshold: float
) -> list[Phrase]:
    """Write what a lead voice sings through the song, from its lowest to its highest MIDI pitch.

    The manner is ``"long"``, ``"plain"``, ``"busy"`` or ``"rap"``. There is singing where the
    energy of a section passes the threshold.
    """
    per_bar = song.steps_per_bar
    ladder = [m for m in range(int(low), int(high) + 1) if m % 12 in song.scale]
    sings = song.presence(rng, threshold)
    book: dict[str, list[Motif]] = {}
    gap = rng.uniform(0.05, 0.3)
    melisma = rng.uniform(0.0, 0.2) if manner != "rap" else 0.0
    out: list[Phrase] = []
    place = len(ladder) // 2 + int(rng.integers(-2, 3))
    for section in song.sections:
        if section.name not in book:
            span = per_bar * int(rng.choice([1, 2, 2]))
            book[section.name] = [_draw_motif(rng, span, manner, melisma) for _ in range(2)]
        lift = 2 if section.name == "chorus" else 0
        bar, turn = section.first_bar, 0
        while bar < section.first_bar + section.n_bars:
            motif = book[section.name][turn % 2 if turn % 4 != 2 else 0]
            turn += 1
            start = bar * per_bar
            bar += max(1, (motif.steps[-1] + motif.lengths[-1] + per_bar - 1) // per_bar)
            if not sings[min(start // per_bar, len(sings) - 1)] or rng.random() < gap:
                continue
            notes = []
            if rng.random() < 0.3:
                place = len(ladder) // 2 + lift + int(rng.integers(-2, 3))
            base = low + 0.3 * (high - low)
            for i, (step, length) in enumerate(zip(motif.steps, motif.lengths, strict=True)):
                at = start + step
                if manner == "rap":
                    fall = 3.0 * step / (motif.steps[-1] + 1)
                    pitch = base + rng.normal(0, 1.5) - fall + (2.0 if step % 4 == 0 else 0.0)
                else:
                    drag = (
                        -1 if place > 0.8 * len(ladder) else (1 if place < 0.2 * len(ladder) else 0)
                    )
                    place = int(np.clip(place + motif.moves[i] + drag, 0, len(ladder) - 1))
                    pitch = float(ladder[place])
                    strong = step % 4 == 0 or length >= 4 or i == len(motif.steps) - 1
                    if strong and rng.random() < 0.8:
                        pitch = float(nearest(song.chord_at(at).pitch_classes, pitch))
                        pitch += 12 * (pitch < low) - 12 * (pitch > high)
                        place = int(np.argmin(np.abs(np.array(ladder) - pitch)))
                loud = 0.55 + 0.25 * section.energy + 0.12 * (step % 4 == 0) + rng.normal(0, 0.06)
                held = length * float(rng.uniform(0.85, 1.0))
                syllable = motif.syllables[i]
                if syllable is not None and rng.random() < 0.4 and section.name != "chorus":
                    syllable = draw_syllable(rng)  # other words to the same tune
                notes.append((at, held, pitch, float(np.clip(loud, 0.2, 1.0)), syllable))
            out.append(Phrase(tuple(notes)))
    return out


def harmonise(phrase: Phrase, song: Song, steps: int) -> Phrase:
    """Move a phrase by steps of the scale, for a second voice."""
    classes = song.scale
    ladder = [m for m in range(24, 100) if m % 12 in classes]
    notes = []
    for start, length, midi, loudness, syllable in phrase.notes:
        at = int(np.argmin(np.abs(np.array(ladder) - midi)))
        moved = ladder[int(np.clip(at + steps, 0, len(ladder) - 1))]
        notes.append((start, length, float(moved), loudness * 0.85, syllable))
    return Phrase(tuple(notes))


def harmony_line(
    phrases: list[Phrase], song: Song, steps: int, low: float, high: float
) -> list[Phrase]:
    """Write a second voice that its singer reaches.

    The line as a whole lies so many steps of the scale away or, where fewer of its phrases
    would pass the compass by more than three semitones, one or two octaves from there. What
    still passes it rests.

    Args:
        phrases: Of the lead.
        song: The song.
        steps: Of the scale, from the lead.
        low: Lowest MIDI pitch of the singer.
        high: Highest.
    """

    def within(octaves: int) -> list[Phrase]:
        moved = [harmonise(p, song, steps + len(song.scale) * octaves) for p in phrases]
        return [
            p for p in moved if all(low - _BEYOND <= note[2] <= high + _BEYOND for note in p.notes)
        ]

    # Not where it would be the lead again.
    octaves = [k for k in (0, -1, 1, -2) if steps + len(song.scale) * k]
    return max((within(k) for k in octaves), key=len)
