import hashlib

import numpy as np
import pytest
import soundfile

from asteroid_slicq.data.procedural import dataset, write_dataset
from asteroid_slicq.vocabulary import STEMS

FILES = {f"{name}.wav" for name in (*STEMS, "mixture")}


def digest(root):
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*.wav"))
    }


def test_the_tree_is_that_of_musdb_and_mixtures_are_sums(tmp_path):
    seen = []
    folders = write_dataset(tmp_path, 2, 0.2, 1, progress=seen.append)
    assert sorted(seen) == sorted(folders)
    assert [f.parent.name for f in folders] == ["train", "test"]
    assert {p.name for p in tmp_path.iterdir()} == {"train", "test"}
    for folder in folders:
        assert {p.name for p in folder.iterdir()} == FILES
        audio = {}
        for name in (*STEMS, "mixture"):
            audio[name], rate = soundfile.read(folder / f"{name}.wav", dtype="int16")
            assert rate == 44100
            assert audio[name].shape == (round(0.2 * 44100), 2)
            assert soundfile.info(folder / f"{name}.wav").subtype == "PCM_16"
        total = sum(audio[n].astype(np.int64) for n in STEMS)
        assert np.array_equal(total, audio["mixture"])


@pytest.mark.slow
def test_bytes_do_not_depend_on_jobs_nor_on_how_many_tracks(tmp_path):
    write_dataset(tmp_path / "a", 3, 0.5, 2, n_test=1)
    write_dataset(tmp_path / "b", 3, 0.5, 2, n_test=1, jobs=2)
    write_dataset(tmp_path / "c", 4, 0.5, 2, n_test=1)
    write_dataset(tmp_path / "d", 3, 0.5, 3, n_test=1)
    a, b, c, d = (digest(tmp_path / n) for n in "abcd")
    assert a == b
    assert a.items() <= c.items()
    mixtures = [{v for k, v in x.items() if "mixture" in k} for x in (a, d)]
    assert not mixtures[0] & mixtures[1]


def test_what_exists_is_kept_and_what_failed_leaves_nothing(tmp_path, monkeypatch):
    first = write_dataset(tmp_path, 1, 0.5, 0)[0]
    before = (first / "bass.wav").stat().st_mtime_ns
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        if len(calls) == 3:
            raise OSError("no space left")
        soundfile.SoundFile(args[0], "w", 44100, 2, "PCM_16").close()

    monkeypatch.setattr(dataset.soundfile, "write", fail)
    with pytest.raises(OSError, match="no space"):
        write_dataset(tmp_path, 2, 0.5, 0, n_test=0)
    assert [p.name for p in (tmp_path / "train").iterdir()] == [first.name]
    monkeypatch.undo()
    assert len(write_dataset(tmp_path, 2, 0.5, 0, n_test=0)) == 2
    assert (first / "bass.wav").stat().st_mtime_ns == before


def test_another_data_set_in_the_way_is_refused(tmp_path):
    first = write_dataset(tmp_path, 1, 0.5, 0)[0]
    with pytest.raises(ValueError, match="remove it"):
        write_dataset(tmp_path, 1, 0.6, 0)
    (first / "bass.wav").unlink()
    with pytest.raises(ValueError, match=r"without bass\.wav"):
        write_dataset(tmp_path, 1, 0.5, 0)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_dataset(tmp_path / "file", 1, 0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_tracks": 0}, "n_tracks"),
        ({"n_tracks": 2.5}, "n_tracks"),
        ({"duration_s": 0}, "duration_s"),
        ({"duration_s": "x"}, "duration_s"),
        ({"duration_s": float("nan")}, "duration_s"),
        ({"duration_s": float("inf")}, "duration_s"),
        ({"duration_s": 1e6}, "duration_s"),
        ({"seed": -1}, "seed"),
        ({"n_test": 5}, "n_test"),
        ({"n_test": -1}, "n_test"),
        ({"jobs": 0}, "jobs"),
        ({"sample_rate": 100}, "sample_rate"),
    ],
)
def test_bad_arguments(tmp_path, changes, words):
    arguments = {"n_tracks": 2, "duration_s": 1.0} | changes
    with pytest.raises(ValueError, match=words):
        write_dataset(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()
