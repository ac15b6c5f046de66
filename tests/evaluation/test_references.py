"""Reference sources: sums of stems, mixes of some, and data that are wrong."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from asteroid_slicq.evaluation import find_reference_tracks
from tests.evaluation.helpers import RATE, tracks_of, write_track


def test_sources_of_mixin_are_sums_of_stems(data):
    track, *_ = tracks_of(data, ("harmonic", "percussive", "vocals"))
    assert track.files == (("bass", "other"), ("drums",), ("vocals",))
    _, stems = track.read()
    parts = [track.track.read(name) for name in ("bass", "other")]
    np.testing.assert_array_equal(stems[0], parts[0] + parts[1])


def test_a_mix_of_some_sources_is_another_track(data):
    track, *_ = find_reference_tracks(data, "test", ("harmonic", "percussive"), RATE, remix=True)
    mix, stems = track.read()
    np.testing.assert_array_equal(mix, stems.sum(0))
    assert track.fingerprint() != replace(track, remix=False).fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "mixture.wav").unlink(), "mixture.wav: missing"),
        (
            lambda f: soundfile.write(f / "bass.wav", np.zeros((10, 1)), RATE),
            r"bass.wav: has 1 channel\(s\) at 4000 Hz, its mixture has 2",
        ),
        (
            lambda f: soundfile.write(f / "bass.wav", np.zeros((10, 2)), 8000),
            "bass.wav: has 2 channel.* at 8000 Hz",
        ),
        (lambda f: (f / "bass.wav").unlink(), "no track under .* has a true 'bass'"),
    ],
)
def test_wrong_data_are_named(change, message, tmp_path):
    change(write_track(tmp_path, "a"))
    with pytest.raises(ValueError, match=message):
        tracks_of(tmp_path)
