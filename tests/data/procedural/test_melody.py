import itertools

import numpy as np
import pytest

from asteroid_slicq.data.procedural.melody import draw_phrases, harmonise, harmony_line
from asteroid_slicq.data.procedural.song import draw_song

RATE = 44100


def song_of(seed):
    return draw_song(np.random.default_rng(seed), 20 * RATE, RATE)


@pytest.mark.parametrize("manner", ["long", "plain", "busy"])
def test_melodies_stay_in_range_and_in_key(manner):
    notes = in_key = 0
    for seed in range(10):
        song = song_of(seed)
        for phrase in draw_phrases(np.random.default_rng(seed), song, 48, 69, manner, 0.0):
            for _, length, midi, loudness, _ in phrase.notes:
                assert 45 <= midi <= 72
                assert length > 0
                assert 0 < loudness <= 1
                notes += 1
                in_key += midi % 12 in song.scale
    assert notes > 50
    assert in_key / notes > 0.9


def test_a_phrase_begins_with_a_syllable_and_never_overlaps_itself():
    for seed in range(10):
        song, rng = song_of(seed), np.random.default_rng(seed)
        for phrase in draw_phrases(rng, song, 48, 69, "busy", 0.0):
            notes = phrase.timed(song, rng)
            assert notes[0].syllable is not None
            for a, b in itertools.pairwise(notes):
                assert a.start_s < a.end_s <= b.start_s < b.end_s


def test_a_third_above_is_three_or_four_semitones():
    song = song_of(1)
    phrases = draw_phrases(np.random.default_rng(1), song, 48, 69, "plain", 0.0)
    for phrase in phrases:
        for low, high in zip(phrase.notes, harmonise(phrase, song, 2).notes, strict=True):
            assert 1 <= high[2] - low[2] <= 5


@pytest.mark.parametrize(("low", "high"), [(43, 62), (60, 80), (60, 81)])
@pytest.mark.parametrize("steps", [2, -2, 4, -3, 7])
def test_a_harmony_is_one_line_within_reach_of_its_singer(low, high, steps):
    sung = written = 0
    for seed in range(10):
        song = song_of(seed)
        phrases = draw_phrases(np.random.default_rng(seed), song, low, high, "plain", 0.0)
        line = harmony_line(phrases, song, steps, low, high)
        pitches = [note[2] for phrase in line for note in phrase.notes]
        assert all(low - 3 <= pitch <= high + 3 for pitch in pitches)
        starts = {phrase.notes[0][0]: phrase for phrase in phrases}
        apart = {
            round((low_[2] - high_[2]) / 12 - steps / 7)
            for phrase in line
            for low_, high_ in zip(phrase.notes, starts[phrase.notes[0][0]].notes, strict=True)
        }
        assert len(apart) <= 1
        written += len(phrases)
        sung += len(line)
    assert sung > 0.4 * written
