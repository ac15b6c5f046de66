"""Facts about inputs: nothing is lost, nothing is done twice, no two tracks share a folder."""

import os
import warnings
from pathlib import Path

import pytest

from asteroid_slicq.audio import AudioWarning
from asteroid_slicq.jobs.inputs import collect_jobs


@pytest.fixture
def music(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "a/song.wav",
        "b/song.flac",
        "b/SONG.mp3",
        "b/deep/er/tune.ogg",
        "b/._song.wav",
        "b/.hidden/x.wav",
        "b/cover.jpg",
        "b/talk.m4a",
        "empty/readme.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def jobs(inputs, output="out"):
    found, problems = collect_jobs(inputs, Path(output))
    return {str(job.path): job.track for job in found}, problems


def test_files_are_named_after_themselves(music):
    assert jobs(["a/song.wav", "b/deep/er/tune.ogg"]) == (
        {"a/song.wav": "song", "b/deep/er/tune.ogg": "tune"},
        [],
    )


def test_equal_names_get_different_folders(music):
    assert jobs(["a/song.wav", "b/song.flac", "b/SONG.mp3"]) == (
        {"a/song.wav": "song", "b/song.flac": "song-2", "b/SONG.mp3": "SONG-3"},
        [],
    )


def test_a_number_that_is_taken_is_passed_over(music):
    Path("song-2.wav").touch()
    found, _ = jobs(["song-2.wav", "a/song.wav", "b/song.flac"])
    assert list(found.values()) == ["song-2", "song", "song-3"]


def test_a_folder_is_searched_and_mirrored(music):
    expected = {
        "b/SONG.mp3": "SONG",
        "b/song.flac": "song-2",
        "b/talk.m4a": "talk",
        "b/deep/er/tune.ogg": os.path.join("deep", "er", "tune"),
    }
    assert jobs(["b"]) == (expected, [])


def test_a_file_named_twice_is_one_job(music):
    assert jobs(["a/song.wav", str(music / "a" / "song.wav"), "a"]) == ({"a/song.wav": "song"}, [])


def test_patterns_are_expanded(music):
    assert jobs(["b/*.flac"]) == ({"b/song.flac": "song"}, [])
    Path("[x].wav").touch()
    assert jobs(["[x].wav"]) == ({"[x].wav": "[x]"}, [])


def test_what_is_not_there_is_said(music):
    found, problems = jobs(["nowhere.wav", "a/song.wav", "empty", "*.xyz"])
    assert found == {"a/song.wav": "song"}
    assert problems == [
        "nowhere.wav: no such file or folder",
        "empty: holds no audio files",
        "*.xyz: no such file or folder",
    ]


@pytest.mark.parametrize("output", ["a", "a/stems", "a/../a/stems"])
def test_earlier_results_are_no_inputs(music, output):
    folder = Path(output) / "song"
    folder.mkdir(parents=True)
    for stem in ("vocals", "drums"):
        (folder / f"{stem}.wav").touch()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert jobs(["a"], output) == ({"a/song.wav": "song"}, [])
    assert [str(warning.message)[:22] for warning in told] == ["2 file(s) passed over,"] * (
        output == "a"  # the folder for the output is not searched
    )
    named = str(folder / "vocals.wav")  # named by the user, it is one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        assert list(jobs(["a", named], output)[0]) == ["a/song.wav", named]


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_of_a_tree_of_stems_the_mixtures_are_songs(music, suffix):
    """As of MUSDB18-HQ, and as ``asteroid-slicq synth`` writes it."""
    for name in ("mixture", "vocals", "drums", "bass", "other", "accompaniment", "live take"):
        path = Path(f"m/train/Song/{name}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    songs = [f"m/train/Song/{name}.{suffix}" for name in ("live take", "mixture")]
    with pytest.warns(AudioWarning, match=r"5 file\(s\) passed over, which are the stems beside"):
        assert list(jobs(["m"])[0]) == songs
    named = f"m/train/Song/bass.{suffix}"
    with pytest.warns(AudioWarning, match="the stems beside a mixture"):
        assert list(jobs(["m", named])[0]) == [*songs, named]
    assert len(jobs([f"m/train/*/*.{suffix}"])[0]) == 7  # a pattern names them


@pytest.mark.parametrize("names", [("mixture", "drums"), ("drums", "bass", "vocals", "other")])
def test_files_with_names_of_stems_are_songs_elsewhere(music, names):
    Path("m").mkdir()
    for name in names:
        Path(f"m/{name}.wav").touch()
    assert list(jobs(["m"])[0]) == [f"m/{name}.wav" for name in sorted(names)]


def test_songs_that_lie_where_stems_go_are_inputs(music):
    for name in ("m/Intro.wav", "m/Intro/one.wav", "m/Intro/no_vocals.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    with pytest.warns(AudioWarning, match=r"1 file\(s\) passed over"):
        assert list(jobs(["m"], "m")[0]) == ["m/Intro.wav", "m/Intro/one.wav"]


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege elsewhere")
def test_links_in_a_circle_do_not_stop_the_others(music):
    os.symlink("loop.wav", "a/loop.wav")
    os.symlink("ring.m3u", "ring.m3u")
    found, problems = jobs(["a", "ring.m3u", "a/loop.wav"])
    assert set(found) == {"a/song.wav", "a/loop.wav"}
    assert problems == ["ring.m3u: cannot be read (Too many levels of symbolic links)"]


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege elsewhere")
def test_a_link_to_a_folder_is_followed_once(music):
    os.symlink(music / "b", music / "a" / "more")
    os.symlink(music / "a", music / "b" / "back")
    found = sorted(jobs(["a"])[0].values())
    assert found == ["more/SONG", "more/deep/er/tune", "more/song-2", "more/talk", "song"]
