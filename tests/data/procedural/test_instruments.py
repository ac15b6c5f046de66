"""Facts of every pitched instrument, bass included: pitch, length, level."""

import numpy as np
import pytest

from asteroid_slicq.data.procedural.bass import KINDS, BassVoice, draw_line, presence
from asteroid_slicq.data.procedural.comping import arpeggio, block_chords, riff
from asteroid_slicq.data.procedural.guitars import amplify
from asteroid_slicq.data.procedural.other import BASE, FAVOURED, MAKERS, perform
from asteroid_slicq.data.procedural.signal import equalise
from asteroid_slicq.data.procedural.song import STYLES, draw_song

RATE = 44100
BASSES = sorted({kind for table in KINDS.values() for kind in table})


def energy_on_harmonics(x, f0_hz, below_hz=2000.0):
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)), 4 * RATE)) ** 2
    f = np.arange(len(power)) * 0.25
    inside = (f > 25) & (f < below_hz)
    grid = 0.5 * f0_hz  # an organ's drawbars and a bell have a tone an octave below
    off = np.abs(f / grid - np.round(f / grid)) * grid
    return power[inside & (off < 0.03 * f + 4)].sum() / power[inside].sum()


@pytest.mark.parametrize("name", [n for n in MAKERS if n != "mallet"])
@pytest.mark.parametrize("seed", [0, 1])
def test_notes_are_in_tune_and_bounded(name, seed):
    note = MAKERS[name](np.random.default_rng(seed), RATE)
    x = note(220.0, 0.8, 0.9)
    assert np.isfinite(x).all()
    assert x.ndim == 1
    assert 0.02 < np.abs(x).max() < 3.0
    assert energy_on_harmonics(x, 220.0) > 0.8
    assert np.abs(x[-1]) < 0.02 * np.abs(x).max() + 1e-3
    assert np.abs(note(220.0, 0.8, 0.25)).max() < np.abs(x).max()


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize("f0_hz", [40.0, 2500.0])
@pytest.mark.parametrize("duration_s", [0.05, 1.0])
def test_extremes_stay_finite(name, f0_hz, duration_s):
    x = MAKERS[name](np.random.default_rng(2), RATE)(f0_hz, duration_s, 1.0)
    assert np.isfinite(x).all()
    assert np.abs(x).max() < 4.0


@pytest.mark.parametrize("kind", BASSES)
@pytest.mark.parametrize("muted", [False, True])
def test_basses_are_low_and_in_tune(kind, muted):
    voice = BassVoice(kind, np.random.default_rng(3), RATE)
    x = voice.note(np.full(RATE, 55.0), 0.9, muted)
    assert x.shape == (RATE,)
    assert np.isfinite(x).all()
    assert 0.05 < np.abs(x).max() < 8.0
    power = np.abs(np.fft.rfft(x)) ** 2
    assert power[:2000].sum() > 0.9 * power.sum()
    assert energy_on_harmonics(x, 55.0, 400.0) > 0.7


def test_two_dotted_beats_have_a_bass_note_each():
    """In 6/8 a line of roots falls on the beats of kick and snare, steps 0 and 6 of 12."""
    seen = 0
    for seed in range(600):
        song = draw_song(np.random.default_rng(seed), 8 * RATE, RATE)
        if song.meter != "6/8":
            continue
        notes = draw_line(np.random.default_rng(seed), song, "electric")
        for bar in {int(n.step) // 12 for n in notes}:
            steps = {int(n.step) % 12 for n in notes if int(n.step) // 12 == bar}
            assert steps != {0, 4, 8}
            seen += steps == {0, 6}
    assert seen > 10


def test_few_lines_go_below_the_lowest_string():
    lowest = {"synth": [], "electric": []}
    for seed in range(400):
        song = draw_song(np.random.default_rng(seed), 10 * RATE, RATE)
        for kind, found in lowest.items():
            found.append([n.pitch for n in draw_line(np.random.default_rng(seed), song, kind)])
    shares = {k: np.mean([min(p) < 28 for p in found if p]) for k, found in lowest.items()}
    assert shares["electric"] == 0
    assert 0.03 < shares["synth"] < 0.25
    low = np.mean([pitch <= 31 for p in lowest["electric"] for pitch in p])
    assert 0.08 < low < 0.2


def test_a_desk_brings_most_basses_forward():
    gains = []
    t = np.arange(RATE // 4) / RATE
    x = np.sin(2 * np.pi * 55 * t) + 0.01 * np.sin(2 * np.pi * 1500 * t)
    for seed in range(40):
        y = equalise(x, presence(np.random.default_rng(seed), RATE))
        power = np.abs(np.fft.rfft(y * np.hanning(len(y)))) ** 2
        gains.append(10 * np.log10(power[300:].sum() / power.sum()) + 40)
    assert 0.5 < np.mean(np.array(gains) > 2.0) < 0.95


def test_a_style_table_names_what_exists():
    assert set(KINDS) == set(STYLES)
    assert set(FAVOURED) <= set(STYLES)
    assert all(set(t) <= set(BASE) for t in FAVOURED.values())
    assert set(MAKERS) <= set(BASE)


def test_an_amplifier_adds_harmonics_and_keeps_the_top_off():
    t = np.arange(RATE) / RATE
    x = np.sin(2 * np.pi * 220 * t)
    y = amplify(np.random.default_rng(0), x, RATE, 30.0)
    power = np.abs(np.fft.rfft(y)) ** 2
    assert power[640:680].sum() > 1e-3 * power[200:240].sum()
    assert power[12000:].sum() < 1e-3 * power.sum()


@pytest.mark.parametrize("seed", range(6))
def test_parts_follow_the_chords_and_rest_when_told(seed):
    rng = np.random.default_rng(seed)
    song = draw_song(rng, 10 * RATE, RATE)
    plays = np.arange(song.n_bars) % 2 == 0
    parts = [
        block_chords(rng, song, plays, 60, 4),
        arpeggio(rng, song, plays, 60, 4),
        riff(rng, song, plays, 64, 0.7),
    ]
    for events in parts:
        assert all(plays[int(e.step) // song.steps_per_bar] for e in events)
        assert all(e.length > 0 and 0 < e.velocity <= 1.0 for e in events)
    for e in parts[0] + parts[1]:
        assert e.pitch % 12 in song.chord_at(e.step).pitch_classes


def test_the_same_note_is_rendered_once():
    song = draw_song(np.random.default_rng(0), 10 * RATE, RATE)
    calls = []

    def note(f0_hz, duration_s, velocity):
        calls.append((f0_hz, duration_s, velocity))
        return np.ones(10)

    rng = np.random.default_rng(0)
    events = block_chords(rng, song, np.ones(song.n_bars, bool), 60, 3)
    out = perform(rng, song, note, events)
    assert len(calls) == len(set(calls)) < len(events)
    assert out.shape == (song.n_samples,)
    assert out.any()
