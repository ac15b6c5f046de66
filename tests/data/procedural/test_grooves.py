import numpy as np

from asteroid_slicq.data.procedural.drums import PLACES
from asteroid_slicq.data.procedural.grooves import (
    GROOVES,
    SIX_EIGHT,
    THREE_FOUR,
    bar_strokes,
    draw_fill,
    draw_groove,
)
from asteroid_slicq.data.procedural.song import STYLES, draw_song


def test_tables_are_well_formed():
    assert set(GROOVES) == set(STYLES)
    sized = [(16, g) for pool in GROOVES.values() for g in pool]
    sized += [(12, g) for g in SIX_EIGHT + THREE_FOUR]
    for length, groove in sized:
        for voice, line in groove.items():
            assert len(line) == length, (voice, line)
            assert set(line) <= set(".123456789")
            assert voice in PLACES or voice == "roll"


def test_strokes_lie_in_the_bar_and_have_places():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        song = draw_song(rng, 44100 * 4, 44100)
        groove = draw_groove(rng, song)
        for stroke in bar_strokes(rng, song, groove, 0.8) + draw_fill(rng, song):
            assert 0 <= stroke.step < song.steps_per_bar + 2
            assert 0 < stroke.velocity <= 1.0
            assert stroke.voice in PLACES
