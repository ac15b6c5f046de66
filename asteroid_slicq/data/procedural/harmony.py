"""Harmony: modes, chords, progressions and the voicing of chords."""

from dataclasses import dataclass

import numpy as np

from asteroid_slicq.data.procedural.seeds import pick

MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
}
MODE_WEIGHTS = {
    "major": 5.0,
    "minor": 5.0,
    "dorian": 1.5,
    "mixolydian": 1.5,
    "phrygian": 0.4,
    "lydian": 0.5,
    "harmonic minor": 0.6,
}
# Degrees counted from zero: (0, 4, 5, 3) is I V vi IV in major and i v VI iv in minor.
PROGRESSIONS: tuple[tuple[int, ...], ...] = (
    (0, 4, 5, 3),
    (5, 3, 0, 4),
    (0, 5, 3, 4),
    (0, 3, 4, 0),
    (0, 3, 0, 4),
    (1, 4, 0, 0),
    (0, 5, 1, 4),
    (2, 5, 1, 4),
    (0, 6, 5, 6),
    (0, 5, 2, 6),
    (0, 6, 5, 4),
    (0, 2, 3, 4),
    (3, 4, 2, 5),
    (0, 0, 3, 3),
    (0, 6, 3, 0),
    (0, 3, 5, 4),
    (0, 4, 5, 2, 3, 0, 3, 4),
    (0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4),
    (0,),
    (0, 6),
    (0, 3),
    (5, 4),
)
# How readily one degree follows another; rows are the degree left.
FOLLOW = np.array(
    [
        [0.5, 2.0, 1.0, 4.0, 4.0, 3.0, 1.0],
        [1.0, 0.2, 0.5, 1.0, 5.0, 0.5, 1.0],
        [0.5, 0.5, 0.2, 3.0, 0.5, 4.0, 0.3],
        [4.0, 1.5, 0.5, 0.3, 4.0, 1.0, 1.0],
        [5.0, 0.3, 0.4, 1.5, 0.3, 3.0, 0.2],
        [1.0, 2.0, 1.0, 4.0, 2.0, 0.3, 1.0],
        [4.0, 0.2, 1.0, 1.0, 0.5, 2.0, 0.2],
    ]
)


@dataclass(frozen=True)
class Chord:
    """A chord over a stretch of the song.

    Args:
        start: First step.
        end: Step after the last.
        root: Pitch class of the root, 0 to 11.
        bass: Pitch class in the bass; differs from the root in an inversion.
        tones: Intervals over the root in semitones, ascending from 0.
    """

    start: int
    end: int
    root: int
    bass: int
    tones: tuple[int, ...]

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord, root first."""
        return tuple((self.root + t) % 12 for t in self.tones)


def scale_classes(key: int, mode: str) -> tuple[int, ...]:
    """Pitch classes of a mode, tonic first."""
    return tuple((key + s) % 12 for s in MODES[mode])


def draw_degrees(rng: np.random.Generator) -> tuple[int, ...]:
    """Draw a progression: a common one, or a walk through `FOLLOW` that starts on the tonic."""
    if rng.random() < 0.65:
        return PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))]
    degrees = [0]
    for _ in range(int(rng.choice([2, 4, 4, 8])) - 1):
        row = FOLLOW[degrees[-1]]
        degrees.append(int(rng.choice(7, p=row / row.sum())))
    return tuple(degrees)


def stack_thirds(
    degree: int, mode: str, colour: str, rng: np.random.Generator
) -> tuple[int, tuple[int, ...]]:
    """Build a triad, seventh, ninth or one of two sus chords on a degree, 0 to 6, of a mode.

    The result is the interval of the root over the tonic, and the tones over the root.
    """
    scale = MODES[mode]

    def over(n: int) -> int:
        return scale[(degree + n) % 7] + 12 * ((degree + n) // 7) - scale[degree]

    steps = {"triad": (0, 2, 4), "seventh": (0, 2, 4, 6), "ninth": (0, 2, 4, 6, 8)}.get(colour)
    if steps is None:
        steps = (0, 1, 4) if rng.random() < 0.5 else (0, 3, 4)
    return scale[degree], tuple(over(n) for n in steps)


def draw_colour(rng: np.random.Generator, richness: float) -> str:
    """Draw how a chord is stacked; a richer song has more sevenths and ninths."""
    return pick(rng, {"triad": 1.0, "seventh": richness, "ninth": 0.4 * richness**2, "sus": 0.12})


def voice_near(chord: Chord, centre: float, n_voices: int, previous: list[int]) -> list[int]:
    """Voice a chord close to the one before it, so that each part moves little.

    Without one before, the voicing lies around the centre. Pitches are MIDI's, ascending.
    """
    classes = list(chord.pitch_classes)
    if len(classes) > n_voices:  # the fifth is missed least
        classes = [classes[0], classes[1], *classes[3:], classes[2]][:n_voices]
    targets = previous or [round(centre + 4.5 * (i - (n_voices - 1) / 2)) for i in range(n_voices)]
    notes: list[int] = []
    wanted = (classes * n_voices)[:n_voices]
    for target in targets[:n_voices]:
        best = min(
            (
                (abs(p - target) + 0.15 * abs(p - centre), p, c)
                for c in wanted
                for p in _near(c, target)
                if p not in notes
            ),
            default=None,
        )
        if best is None:
            continue
        notes.append(best[1])
        wanted.remove(best[2])
    return sorted(notes)


def _near(pitch_class: int, target: float) -> tuple[int, int, int]:
    base = round((target - pitch_class) / 12.0) * 12 + pitch_class
    return base - 12, base, base + 12


def nearest(pitch_classes: tuple[int, ...], target: float) -> int:
    """Find the MIDI pitch of one of the pitch classes that lies nearest to a pitch."""
    return min((p for c in pitch_classes for p in _near(c, target)), key=lambda p: abs(p - target))
