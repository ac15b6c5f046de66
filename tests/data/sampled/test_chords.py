"""Recorded chords: which are what their name says, and how the others are played."""

import numpy as np
import pytest

from asteroid_slicq.data.procedural.comping import block_chords
from asteroid_slicq.data.procedural.harmony import Chord
from asteroid_slicq.data.procedural.track import track_song
from asteroid_slicq.data.sampled import guitars
from asteroid_slicq.data.sampled.chords import is_triad
from asteroid_slicq.data.sampled.sampler import Sampler
from tests.data.sampled.made_up import strum

RATE = 44100


@pytest.mark.parametrize(
    ("pitches", "cents", "true"),
    [
        ((48, 52, 55, 60), 0.0, True),
        ((48, 52, 55, 60), 30.0, True),  # a guitar that is not tuned to 440 Hz
        ((47, 51, 54, 59), 0.0, False),  # a semitone flat
        ((48, 51, 55, 60), 0.0, False),  # minor
        ((48, 52, 54, 60), 0.0, False),  # one string in a wrong fret
    ],
)
def test_a_chord_is_what_it_is_called(pitches, cents, true):
    takes = [(strum(pitches, RATE, cents, seed), RATE) for seed in range(3)]
    assert is_triad(takes, 0, "major") == true


def test_strokes_are_played_of_triads_alone(bank, monkeypatch):
    """A chord that is no triad sounds its own tones, string by string."""
    struck, picked = [], []
    sampler = Sampler(bank, RATE)
    hit, play = sampler.hit, sampler.play

    def on_hit(sample, cents=0.0):
        struck.append(round(cents / 100.0))
        return hit(sample, cents)

    def on_play(out, start, preset, key, *rest, **options):
        picked.append((preset, key % 12))
        play(out, start, preset, key, *rest, **options)

    monkeypatch.setattr(sampler, "hit", on_hit)
    monkeypatch.setattr(sampler, "play", on_play)
    song = track_song(3, 4.0, RATE)
    n_steps = song.n_bars * song.steps_per_bar
    for tones in [(0, 4, 7), (0, 3, 7, 10), (0, 3, 6), (0, 5, 7), (0, 2, 7)]:
        struck.clear()
        picked.clear()
        one = type(song)(**{**vars(song), "chords": (Chord(0, n_steps, 2, 2, tones),)})
        plays = np.ones(song.n_bars, dtype=bool)
        x = guitars.strummed(np.random.default_rng(0), one, sampler, plays)
        assert x.any()
        if tones[:3] in ((0, 4, 7), (0, 3, 7)):
            assert struck
            assert not picked
        else:
            assert not struck
            assert {preset for preset, _ in picked} <= set(guitars.STEEL)
            assert {pitch for _, pitch in picked} == {(2 + t) % 12 for t in tones}


def test_strokes_and_single_notes_are_equally_loud(bank):
    song = track_song(3, 6.0, RATE)
    n_steps = song.n_bars * song.steps_per_bar
    chords = (
        Chord(0, n_steps // 2, 0, 0, (0, 4, 7)),
        Chord(n_steps // 2, n_steps, 0, 0, (0, 3, 6)),
    )
    mixed = type(song)(**{**vars(song), "chords": chords})
    rng = np.random.default_rng(1)
    events = block_chords(rng, mixed, np.ones(song.n_bars, dtype=bool), 55.0, 1)
    x = guitars._strokes(rng, mixed, Sampler(bank, RATE), events)
    turn = round(song.time_s(n_steps // 2) * RATE)
    before, after = np.abs(x[: turn - RATE // 10]).max(), np.abs(x[turn + RATE // 10 :]).max()
    assert before / 2 < after < 2 * before
