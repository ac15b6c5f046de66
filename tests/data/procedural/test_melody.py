import itertools

import numpy as np
import pytest

from asteroid_slicq.data.procedural.melody import draw_phrases, harmonise
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
