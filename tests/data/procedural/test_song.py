import numpy as np
import pytest

from asteroid_slicq.data.procedural.song import STYLES, draw_song

RATE = 44100
SONGS = [draw_song(np.random.default_rng(s), 10 * RATE, RATE) for s in range(150)]


def test_songs_spread_over_the_musical_space():
    assert {s.key for s in SONGS} == set(range(12))
    assert {s.style for s in SONGS} == set(STYLES)
    assert {s.meter for s in SONGS} == {"4/4", "3/4", "6/8"}
    assert len({s.mode for s in SONGS}) >= 5
    tempi = np.array([s.tempo_bpm for s in SONGS if s.meter != "6/8"])
    assert tempi.min() >= 60
    assert tempi.max() <= 180
    assert tempi.std() > 20
    assert max(s.swing for s in SONGS) > 0.6


@pytest.mark.parametrize("song", SONGS[:40], ids=range(40))
def test_a_song_covers_its_recording_without_gaps(song):
    assert song.time_s(song.n_bars * song.steps_per_bar) >= song.n_samples / RATE
    assert song.time_s(0) <= 0.0
    for a, b in zip(song.chords[:-1], song.chords[1:], strict=True):
        assert a.end == b.start
    assert song.chords[-1].end == song.n_bars * song.steps_per_bar
    bar = 0
    for section in song.sections:
        assert section.first_bar == bar
        assert section.n_bars >= 1
        bar += section.n_bars


@pytest.mark.parametrize("song", SONGS[:20], ids=range(20))
def test_swing_moves_steps_but_not_their_order(song):
    times = [song.time_s(s) for s in range(3 * song.steps_per_bar)]
    assert (np.diff(times) > 0).all()
    on_beat = np.diff(times[:: 2 * song.steps_per_beat])
    assert np.allclose(on_beat, on_beat[0])


def test_chords_are_looked_up_by_step():
    song = SONGS[0]
    for chord in song.chords:
        assert song.chord_at(chord.start) is chord
        assert song.chord_at(chord.end - 0.5) is chord
    assert song.chord_at(1e9) is song.chords[-1]


def test_a_lower_threshold_plays_more():
    some = [s.presence(np.random.default_rng(0), 0.1).mean() for s in SONGS]
    few = [s.presence(np.random.default_rng(0), 0.8).mean() for s in SONGS]
    assert np.mean(some) > 0.85 > 0.5 > np.mean(few)
