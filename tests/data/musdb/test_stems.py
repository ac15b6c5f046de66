"""Stem files of MUSDB18: every stem from the stream that musdb says, whole or refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asteroid_slicq.audio import AudioError, AudioReader
from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.musdb import inspect_tree, unpack_stems
from asteroid_slicq.data.musdb.stems import read_stem, stem_streams
from tests.data.musdb.stem_files import FREQUENCIES_HZ, write_stem_file

RATE = 44100


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return write_stem_file(tmp_path_factory.mktemp("stems") / "a.stem.mp4", 0.5, RATE)


@pytest.fixture
def tree(file, tmp_path) -> Path:
    for name in ("train/A - B", "train/C (D)", "test/E"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / f"{name}.stem.mp4")
    return tmp_path


def loudest_hz(audio: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio[0]))) * RATE / audio.shape[-1])


def test_the_streams_are_those_of_musdb():
    assert stem_streams() == {"mixture": 0, "drums": 1, "bass": 2, "other": 3, "vocals": 4}


def test_every_stem_is_unpacked(tree, tmp_path):
    told = []
    root = unpack_stems(tree, tmp_path / "wav", progress=lambda *numbers: told.append(numbers))
    assert told == [(1, 3), (2, 3), (3, 3)]
    report = inspect_tree(root, samples=True)
    assert (report.problems, report.notes) == ((), ())
    assert report.n_tracks == {"train": 2, "test": 1}
    tracks = find_tracks(root, "train", list(FREQUENCIES_HZ), RATE, 2)
    assert [track.name for track in tracks] == ["A - B", "C (D)"]
    for stem, f_hz in FREQUENCIES_HZ.items():
        audio = tracks[0].read(stem)
        assert audio.shape == (2, RATE // 2)
        assert loudest_hz(audio) == pytest.approx(f_hz, abs=2)
    assert soundfile.info(tracks[0].path / "bass.wav").subtype == "PCM_16"


def test_what_is_there_is_not_unpacked_again(tree, tmp_path):
    unpack_stems(tree, tmp_path / "wav")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "wav").rglob("*.wav")}
    shutil.rmtree(tmp_path / "wav" / "train" / "C (D)")
    unpack_stems(tree, tmp_path / "wav")
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "wav").rglob("*.wav")}
    assert before.keys() == after.keys()
    assert {p.parent.name for p in before if before[p] != after[p]} == {"C (D)"}


def test_damaged_files_leave_nothing(tree, tmp_path):
    broken = tree / "train" / "C (D).stem.mp4"
    broken.write_bytes(broken.read_bytes()[:-2000])
    with pytest.raises(AudioError, match=r"C \(D\)\.stem\.mp4: "):
        unpack_stems(tree, tmp_path / "wav")
    assert not (tmp_path / "wav" / "train" / "C (D)").exists()
    assert not list((tmp_path / "wav").rglob("*.part"))


def test_files_with_fewer_streams_are_refused(tree, tmp_path):
    write_stem_file(tree / "test" / "E.stem.mp4", 0.1, RATE, ("mixture", "drums"))
    with pytest.raises(AudioError, match=r"E\.stem\.mp4: has 2 stream\(s\) of sound, none of num"):
        unpack_stems(tree, tmp_path / "wav")


def test_folders_without_stem_files_are_named(tree, tmp_path):
    shutil.rmtree(tree / "test")
    with pytest.raises(FileNotFoundError, match=r"no \.stem\.mp4 file in .*/test"):
        unpack_stems(tree, tmp_path / "wav")


def test_stem_files_in_place_of_folders_are_explained(tree):
    with pytest.raises(FileNotFoundError, match=r"stem\.mp4 files are unpacked first: .*unpack_st"):
        find_tracks(tree, "train", ["bass"], RATE)


def test_a_reader_chooses_a_stream(file):
    for number, f_hz in enumerate(FREQUENCIES_HZ.values(), 1):
        with AudioReader(file, stream=number) as reader:
            audio = np.concatenate(list(reader.buffers(1000)), 1)
        assert loudest_hz(audio) == pytest.approx(f_hz, abs=2)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg, which stempeg needs")
@pytest.mark.slow
def test_samples_are_those_of_stempeg(file):
    stempeg = pytest.importorskip("stempeg")
    theirs, rate = stempeg.read_stems(str(file), dtype=np.float32)
    for number in range(5):
        ours = read_stem(file, number)
        assert ours[0] == rate
        n = ours[1].shape[1]
        np.testing.assert_allclose(ours[1].T / 2**15, theirs[number, :n], atol=1.1 / 2**16)
