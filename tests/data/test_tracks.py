"""Tracks: what is read is what is there, and what is not is named."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asteroid_slicq.data.tracks import (
    Track,
    find_tracks,
    published_validation_tracks,
    split_validation,
)
from tests.data.helpers import RATE, SOURCES, names


def test_tracks_are_sorted_and_measured(tracks):
    assert [t.name for t in tracks] == ["track 0", "track 1", "track 2"]
    assert {t.length_samples for t in tracks} == {1000}


def test_read_is_what_was_written(tracks):
    audio = tracks[1].read("drums", start=200, length_samples=50)
    expected = 0.21 + np.arange(200, 250) / 2**15
    np.testing.assert_allclose(audio, [expected, -expected], atol=1e-7)
    assert audio.flags.c_contiguous
    np.testing.assert_array_equal(tracks[1].read_frames("drums", 200, 50), audio.T)
    assert tracks[1].read("drums", start=990).shape == (2, 10)


def test_a_read_beyond_the_end_is_padded_with_zeros(tracks):
    audio = tracks[0].read("bass", start=990, length_samples=30)
    assert audio.shape == (2, 30)
    assert (audio[:, :10] != 0).all()
    assert (audio[:, 10:] == 0).all()


def test_every_unusable_file_is_named_in_one_error(root):
    (root / "train" / "track 0" / "bass.wav").unlink()
    (root / "train" / "track 1" / "drums.wav").write_bytes(b"RIFF, but not really")
    folder = root / "train" / "track 2"
    soundfile.write(folder / "bass.wav", np.zeros((10, 2)), 2 * RATE)
    soundfile.write(folder / "drums.wav", np.zeros(10), RATE)
    with pytest.raises(ValueError, match=r"^4 unusable file\(s\)") as error:
        find_tracks(root, "train", SOURCES, RATE, n_channels=2)
    for expected in (
        "track 0/bass.wav: missing",
        "track 1/drums.wav: is no audio that can be read",
        "track 2/bass.wav: sample rate is 16000 Hz, not 8000 Hz",
        "track 2/drums.wav: has 1 channel(s), not 2",
    ):
        assert expected in str(error.value)


def test_empty_files_are_unusable(root):
    soundfile.write(root / "train" / "track 0" / "bass.wav", np.zeros((0, 2)), RATE)
    with pytest.raises(ValueError, match=r"bass\.wav: holds no samples"):
        find_tracks(root, "train", SOURCES, RATE)


def test_truncated_files_are_unusable(root):
    file = root / "train" / "track 0" / "bass.wav"
    file.write_bytes(file.read_bytes()[:-800])
    with pytest.raises(ValueError, match=r"bass\.wav: is truncated"):
        find_tracks(root, "train", SOURCES, RATE)


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="test"):
        find_tracks(tmp_path, "test", SOURCES, RATE)
    (tmp_path / "train").mkdir()
    with pytest.raises(FileNotFoundError, match="no track in"):
        find_tracks(tmp_path, "train", SOURCES, RATE)


def test_a_file_that_breaks_later_is_named(tracks):
    (tracks[0].path / "bass.wav").write_bytes(b"")
    with pytest.raises(OSError, match=r"track 0/bass\.wav"):
        tracks[0].read("bass")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_named_with_their_time(root, tracks, bad):
    file = root / "train" / "track 1" / "bass.wav"
    audio, _ = soundfile.read(file)
    audio[400, 1] = bad
    soundfile.write(file, audio, RATE, subtype="FLOAT")
    assert tracks[1].read("bass", 0, 400).shape == (2, 400)
    with pytest.raises(OSError, match=r"track 1/bass\.wav: holds NaN .* first at 0\.050 s"):
        tracks[1].read("bass", 100, 500)


def test_musdb_is_split_as_published():
    tracks = [Track(Path(n), 1) for n in published_validation_tracks()] + names(86)
    train, valid = split_validation(tracks)
    assert (len(train), len(valid)) == (86, 14)
    assert {t.name for t in valid} == set(published_validation_tracks())


def test_other_collections_are_split_by_a_seed():
    train, valid = split_validation(names(20), fraction=0.2, seed=1)
    assert (len(train), len(valid)) == (16, 4)
    assert not {t.name for t in train} & {t.name for t in valid}
    assert split_validation(names(20)[::-1], 0.2, 1)[1] == valid[::-1]
    assert split_validation(names(20), 0.2, 2)[1] != valid
    assert [len(part) for part in split_validation(names(2), 0.01)] == [1, 1]


@pytest.mark.parametrize(
    ("n_tracks", "fraction", "message"),
    [
        (1, 0.5, "tracks must hold at least 2 to split, got 1"),
        (3, 1.0, r"fraction must lie between 0 and 1, got 1\.0"),
        (3, 0.0, r"fraction must lie between 0 and 1, got 0\.0"),
    ],
)
def test_wrong_arguments_are_named(n_tracks, fraction, message):
    with pytest.raises(ValueError, match=message):
        split_validation(names(n_tracks), fraction)
