import numpy as np
import pytest

from asteroid_slicq.data.procedural.harmony import (
    FOLLOW,
    MODE_WEIGHTS,
    MODES,
    PROGRESSIONS,
    Chord,
    draw_degrees,
    nearest,
    scale_classes,
    stack_thirds,
    voice_near,
)


def test_tables_agree():
    assert set(MODES) == set(MODE_WEIGHTS)
    assert all(len(m) == 7 and m[0] == 0 for m in MODES.values())
    assert all(0 <= d < 7 for p in PROGRESSIONS for d in p)
    assert FOLLOW.shape == (7, 7)
    assert (FOLLOW > 0).all()


@pytest.mark.parametrize(
    ("degree", "mode", "colour", "root", "tones"),
    [
        (0, "major", "triad", 0, (0, 4, 7)),
        (1, "major", "triad", 2, (0, 3, 7)),
        (6, "major", "triad", 11, (0, 3, 6)),
        (4, "major", "seventh", 7, (0, 4, 7, 10)),
        (4, "minor", "triad", 7, (0, 3, 7)),
        (4, "harmonic minor", "triad", 7, (0, 4, 7)),
        (3, "dorian", "triad", 5, (0, 4, 7)),
        (0, "major", "ninth", 0, (0, 4, 7, 11, 14)),
    ],
)
def test_chords_of_the_modes(degree, mode, colour, root, tones):
    assert stack_thirds(degree, mode, colour, np.random.default_rng(0)) == (root, tones)


def test_voice_leading_moves_little_and_stays_in_the_chord():
    c, f = Chord(0, 16, 0, 0, (0, 4, 7)), Chord(16, 32, 5, 5, (0, 4, 7))
    first = voice_near(c, 60, 3, [])
    second = voice_near(f, 60, 3, first)
    assert {p % 12 for p in first} == {0, 4, 7}
    assert {p % 12 for p in second} == {5, 9, 0}
    assert max(abs(a - b) for a, b in zip(first, second, strict=True)) <= 4


@pytest.mark.parametrize("n_voices", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("tones", [(0, 4, 7), (0, 3, 7, 10), (0, 4, 7, 11, 14)])
def test_voicings_have_the_voices_asked_for(n_voices, tones):
    chord = Chord(0, 16, 2, 2, tones)
    notes = voice_near(chord, 60, n_voices, [])
    assert len(notes) == len(set(notes)) == n_voices
    assert {p % 12 for p in notes} <= set(chord.pitch_classes)


def test_nearest_and_degrees():
    assert nearest((0, 4, 7), 61.4) == 60
    assert nearest((11,), 60.0) == 59
    assert scale_classes(2, "major") == (2, 4, 6, 7, 9, 11, 1)
    rng = np.random.default_rng(0)
    drawn = [draw_degrees(rng) for _ in range(200)]
    assert len(set(drawn)) > 40
    assert all(0 <= d < 7 for p in drawn for d in p)
