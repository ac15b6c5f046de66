"""The tree of MUSDB18-HQ: what is missing or broken is named, and what is missing is fetched."""

import io
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from common import prepare_data

from asteroid_slicq.data.musdb import download
from asteroid_slicq.data.musdb import tree as musdb_tree
from asteroid_slicq.data.musdb.download import DownloadError
from asteroid_slicq.data.musdb.tree import (
    ARCHIVE,
    FILES,
    SPLITS,
    download_musdb,
    inspect_tree,
    published_tracks,
)
from asteroid_slicq.data.procedural import write_dataset
from asteroid_slicq.data.tracks import find_tracks, published_validation_tracks, split_validation
from tests.zenodo import Zenodo

RATE = 44100


def wav(length: int = 100, rate: int = RATE, channels: int = 2) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((length, channels)), rate, format="WAV")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """All tracks of MUSDB18-HQ, silent and short."""
    root, content = tmp_path_factory.mktemp("musdb18hq"), wav()
    for split, names in published_tracks().items():
        for name in names:
            (root / split / name).mkdir(parents=True)
            for file in FILES:
                (root / split / name / f"{file}.wav").write_bytes(content)
    return root


@pytest.fixture
def musdb(published, tmp_path) -> Path:
    """A copy of it to break."""
    return Path(shutil.copytree(published, tmp_path / "musdb", copy_function=os.link))


@pytest.fixture(scope="module")
def procedural(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("procedural")
    write_dataset(root, 3, 0.5, 1, n_test=1)
    return root


@pytest.fixture
def tree(procedural, tmp_path) -> Path:
    """A copy of procedural stems to break."""
    return Path(shutil.copytree(procedural, tmp_path / "tree"))


@pytest.fixture
def zenodo(procedural, monkeypatch):
    """A server whose record of MUSDB18-HQ holds procedural stems."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(procedural.rglob("*")):
            archive.write(path, path.relative_to(procedural))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    server = Zenodo(buffer.getvalue(), ARCHIVE)
    yield server
    server.close()


def digest(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.wav")}


def replace(file: Path, content: bytes) -> None:
    """Write a file anew; others may be links to the same content."""
    file.unlink()
    file.write_bytes(content)


def test_the_published_lists_agree():
    tracks = published_tracks()
    assert {split: len(names) for split, names in tracks.items()} == {"train": 100, "test": 50}
    assert not tracks["train"] & tracks["test"]
    assert len(published_validation_tracks()) == 14
    assert published_validation_tracks() <= tracks["train"]


def test_a_complete_tree_has_no_problems(published):
    report = inspect_tree(published)
    assert report.problems == ()
    assert report.is_musdb
    assert report.n_tracks == {"train": 100, "test": 50}
    assert report.duration_s == {
        "train": pytest.approx(10000 / RATE),
        "test": pytest.approx(5000 / RATE),
    }
    report.raise_for_problems()
    tracks = find_tracks(published, "train", FILES, RATE, 2)
    assert [len(part) for part in split_validation(tracks)] == [86, 14]


def test_everything_wrong_is_named_file_by_file(musdb):
    folder = musdb / "train" / "Leaf - Wicked"
    (folder / "bass.wav").unlink()
    replace(folder / "drums.wav", wav(90))
    replace(folder / "other.wav", wav(rate=48000))
    replace(folder / "vocals.wav", wav(channels=1))
    folder = musdb / "test" / "PR - Oh No"
    replace(folder / "bass.wav", wav()[:-40])
    replace(folder / "drums.wav", b"")
    replace(folder / "other.wav", b"no audio")
    replace(folder / "vocals.wav", wav(0))
    report = inspect_tree(musdb)
    found = [problem.removeprefix(f"{musdb}/") for problem in report.problems]
    assert found == [
        "train/Leaf - Wicked/vocals.wav: has 1 channel(s), not 2",
        "train/Leaf - Wicked/drums.wav: has 90 samples, where other files of the track have 100",
        "train/Leaf - Wicked/bass.wav: missing",
        "train/Leaf - Wicked/other.wav: sample rate is 48000 Hz, not 44100 Hz",
        "test/PR - Oh No/vocals.wav: holds no samples",
        "test/PR - Oh No/drums.wav: is empty (0 bytes)",
        "test/PR - Oh No/bass.wav: is truncated: its header announces 400 bytes, 360 are there",
        "test/PR - Oh No/other.wav: is no audio that can be read (WAV, FLAC, MP3, OGG, M4A, WMA "
        "or the like, or a video), or is damaged",
    ]
    with pytest.raises(ValueError, match=r"^8 problem\(s\) with ") as error:
        report.raise_for_problems()
    assert all(problem in str(error.value) for problem in report.problems)


def test_missing_and_misplaced_tracks_are_named(musdb):
    shutil.rmtree(musdb / "train" / "Flags - 54")
    shutil.move(musdb / "test" / "Zeno - Signs", musdb / "train" / "Zeno - Signs")
    problems = inspect_tree(musdb).problems
    assert problems == (
        f"{musdb}/train/Zeno - Signs: belongs into test",
        f"{musdb}/test: 49 tracks, not the 50 of MUSDB18-HQ",
        f"{musdb}/test/Zeno - Signs: missing",
    )
    shutil.rmtree(musdb / "train" / "Zeno - Signs")
    assert inspect_tree(musdb).problems[:2] == (
        f"{musdb}/train: 99 tracks, not the 100 of MUSDB18-HQ",
        f"{musdb}/train/Flags - 54: missing",
    )
    assert inspect_tree(musdb, subset=True).problems == ()


def test_a_track_may_have_another_name(musdb):
    (musdb / "train" / "Flags - 54").rename(musdb / "train" / "Flags (54)")
    assert inspect_tree(musdb).problems == ()


def test_other_stems_may_be_any_number_at_any_rate(tree):
    report = inspect_tree(tree)
    assert report.problems == ()
    assert not report.is_musdb
    assert report.n_tracks == {"train": 2, "test": 1}
    (file,) = (tree / "test").rglob("bass.wav")
    replace(file, wav(22050, rate=8000))
    assert inspect_tree(tree).problems == (f"{file}: sample rate is 8000 Hz, not 44100 Hz",)
    for file in tree.rglob("*.wav"):
        replace(file, wav(80, rate=8000))
    assert inspect_tree(tree).problems == ()


def test_samples_are_looked_at_when_asked_for(tree):
    report = inspect_tree(tree, samples=True)
    assert (report.problems, report.notes) == ((), ())
    folder = next((tree / "train").iterdir())
    audio, rate = soundfile.read(folder / "bass.wav")
    audio[4410:, 1] = np.nan
    soundfile.write(folder / "bass.wav", audio, rate, subtype="FLOAT")
    assert inspect_tree(tree).problems == ()  # their headers are sound
    report = inspect_tree(tree, samples=True)
    assert report.problems == (
        f"{folder}/bass.wav: holds NaN or infinite samples, first at 0.100 s",
    )
    assert report.notes == ()


def test_a_mixture_that_is_not_the_sum_of_its_stems_is_noted(tree):
    folder = next((tree / "test").iterdir())
    audio, rate = soundfile.read(folder / "mixture.wav")
    soundfile.write(folder / "mixture.wav", 0.5 * audio, rate)
    report = inspect_tree(tree, samples=True)
    assert report.problems == ()
    (note,) = report.notes
    # Half of it is missing, which is as much as is there.
    assert note.startswith(f"{folder}/mixture.wav: is not the sum of its stems: they differ by ")
    assert "by 0 dB of the mixture" in note


@pytest.mark.parametrize("split", SPLITS)
def test_folders_that_are_not_there_are_named(tree, split):
    shutil.rmtree(tree / split)
    with pytest.raises(FileNotFoundError, match=rf"no folder .*/{split}: .* must hold"):
        inspect_tree(tree)
    (tree / split / ".hidden").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=rf"no track in .*/{split}: .* must hold"):
        inspect_tree(tree)


def test_download_and_unpack(zenodo, procedural, tmp_path):
    told = []
    root = download_musdb(
        tmp_path / "new", base_url=zenodo.url, progress=lambda what, *_: told.append(what)
    )
    assert digest(root) == digest(procedural)
    assert (root / ARCHIVE).read_bytes() == zenodo.content
    assert list(dict.fromkeys(told)) == ["download", "check", "unpack"]
    assert inspect_tree(root).problems == ()


def test_an_interrupted_download_and_a_broken_tree_are_made_whole(zenodo, procedural, tmp_path):
    half = len(zenodo.content) // 2
    zenodo.cuts = [half]
    with pytest.raises(DownloadError, match="the same again continues it"):
        download_musdb(tmp_path, base_url=zenodo.url, attempts=1)
    assert 0 < (tmp_path / f"{ARCHIVE}.partial").stat().st_size <= half
    download_musdb(tmp_path, base_url=zenodo.url)
    assert zenodo.asked[1].startswith("bytes=")
    file = next((tmp_path / "train").rglob("bass.wav"))
    file.unlink()
    download_musdb(tmp_path, base_url=zenodo.url, delete_archive=True)
    assert digest(tmp_path) == digest(procedural)
    assert len(zenodo.asked) == 2  # the archive was still there
    assert not (tmp_path / ARCHIVE).exists()


def test_a_wrong_checksum_unpacks_nothing(zenodo, tmp_path):
    zenodo.record = zenodo.listing(md5="0" * 32)
    with pytest.raises(DownloadError, match="has the checksum"):
        download_musdb(tmp_path, base_url=zenodo.url)
    assert list(tmp_path.iterdir()) == []


def test_room_for_archive_and_tree_is_needed_before(zenodo, tmp_path, monkeypatch):
    free = round(2.4 * len(zenodo.content))
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"musdb18hq\.zip with what it holds needs"):
        download_musdb(tmp_path, base_url=zenodo.url)
    assert zenodo.asked == []
    (tmp_path / f"{ARCHIVE}.partial").write_bytes(zenodo.content[: len(zenodo.content) // 2])
    download_musdb(tmp_path, base_url=zenodo.url)


def test_stage_0_as_a_command(zenodo, procedural, tmp_path, monkeypatch, capsys):
    def prepare(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["prepare_data.py", str(tmp_path / "data"), *options])
        return (prepare_data.main(), *capsys.readouterr())

    status, out, _ = prepare()
    assert status == 1
    assert out.startswith(f"no folder {tmp_path}/data/train: ")
    status, out, error = prepare(
        *("--download", "true", "--delete_zip", "true", "--zenodo_url", zenodo.url)
    )
    assert status == 0, error
    assert "download: 0.00 of 0.00 GB" in out
    assert "is sound: stems that are not MUSDB18-HQ, 2 tracks (0.0 min) in train" in out
    assert digest(tmp_path / "data") == digest(procedural)
    # A sound tree is not downloaded again.
    assert prepare("--download", "true", "--zenodo_url", "http://127.0.0.1:1")[0] == 0
    assert len(zenodo.asked) == 1
    next((tmp_path / "data").rglob("bass.wav")).unlink()
    status, out, _ = prepare()  # to the standard output, of which the log is made
    assert status == 1
    assert out.startswith(f"1 problem(s) with {tmp_path}/data:")
    assert "bass.wav: missing" in out


def test_samples_are_read_once_as_long_as_no_file_changes(tree, tmp_path, monkeypatch, capsys):
    looked = []
    inspect = musdb_tree.inspect_samples
    monkeypatch.setattr(
        musdb_tree, "inspect_samples", lambda *a: (looked.append(a[0]), inspect(*a))[1]
    )
    folder = next((tree / "test").iterdir())
    audio, rate = soundfile.read(folder / "mixture.wav")
    soundfile.write(folder / "mixture.wav", 0.5 * audio, rate)

    def prepare() -> str:
        command = ["prepare_data.py", str(tree), "--known", str(tmp_path / "known")]
        monkeypatch.setattr(sys, "argv", command)
        prepare_data.main()
        return capsys.readouterr().out

    first = prepare()
    assert len(looked) == 1
    assert "is not the sum of its stems" in first
    assert prepare() == first
    assert len(looked) == 1
    audio[10] = np.nan
    soundfile.write(folder / "drums.wav", audio, rate, subtype="FLOAT")
    assert "drums.wav: holds NaN" in prepare()
    assert "drums.wav: holds NaN" in prepare()  # what is wrong is looked at again
    assert len(looked) == 3


def test_the_recipe_names_the_record():
    assert (musdb_tree.ZENODO_RECORD, ARCHIVE) == (3338373, "musdb18hq.zip")
