"""The way of a song on the page, from the file to its stems."""

import threading

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.demo import work
from asteroid_slicq.demo.sound import CHUNK_S
from tests.demo.conftest import wav
from tests.helpers import GAINS, Split


def give(songs, content, name="song.wav"):
    song = songs.add(name)
    song.upload.write_bytes(content)
    return song


@pytest.mark.parametrize(("rate", "n_channels"), [(44100, 2), (44100, 1), (8000, 2), (48000, 6)])
@pytest.mark.filterwarnings("ignore::asteroid_slicq.audio.AudioWarning")  # six channels
def test_a_song_becomes_stems_that_sum_to_it(songs, workshop, tmp_path, rate, n_channels):
    song = give(songs, wav(tmp_path / "song", rate // 2, n_channels, rate))
    *steps, done = workshop.separate(song.ticket, "split")
    stages = [step["stage"] for step in steps]
    assert stages == sorted(stages)  # reading, separating
    assert all(step["done_s"] <= step["total_s"] for step in steps)
    assert done["stage"] == "done"
    assert done["tracks"] == ["mix", "vocals", "drums", "bass", "other"]
    assert done["n_samples"] == rate // 2
    assert done["chunk_samples"] == CHUNK_S * rate
    assert done["n_channels"] == min(n_channels, 2)
    mix, _ = sf.read(song.tracks["mix"], always_2d=True)
    stems = {name: sf.read(song.tracks[name], always_2d=True)[0] for name in GAINS}
    assert np.abs(sum(stems.values()) - mix)[50:-50].max() < 1e-3  # resampling rings at the ends
    if rate == 44100:
        assert np.abs(stems["vocals"] - GAINS["vocals"] * mix).max() < 1e-4
    assert not song.upload.exists()
    assert not song.is_busy


def test_what_cannot_be_separated_is_told_in_a_sentence(songs, workshop, refused, tmp_path):
    for name, (content, reason) in refused.items():
        song = give(songs, content, name)
        *_, end = workshop.separate(song.ticket, "split")
        assert end["stage"] == "failed", name
        assert end["error"].startswith(f"{name} "), end
        assert reason in end["error"], end
        assert end["error"].endswith(".")
        assert str(tmp_path) not in end["error"]
        assert not song.folder.exists()


def test_failures_of_a_model_are_told(songs, settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Split, "error", RuntimeError("no memory\nfor this"))
    song = give(songs, wav(tmp_path / "song"))
    *_, end = work.Workshop(settings, songs).separate(song.ticket, "split")
    assert end["error"] == "The separation failed: no memory"
    assert "RuntimeError" in capsys.readouterr().err


def test_tickets_and_models_that_are_not_there_and_second_runs(songs, workshop, tmp_path):
    (end,) = workshop.separate("../../etc/passwd", "split")
    assert "gone" in end["error"]
    song = give(songs, wav(tmp_path / "song"))
    (end,) = workshop.separate(song.ticket, "/etc/passwd")
    assert end["error"] == "This page has no such model."
    assert list(workshop.separate(song.ticket, "split"))[-1]["stage"] == "done"
    (end,) = workshop.separate(song.ticket, "split")
    assert "already" in end["error"]
    assert song.folder.exists()


@pytest.mark.parametrize("by", ["ticket", "page"])
def test_work_ends_where_nobody_waits_for_it(songs, workshop, tmp_path, monkeypatch, by):
    may_end = threading.Event()
    forward = Split.forward

    def wait(self, mix):
        assert may_end.wait(300)
        return forward(self, mix)

    monkeypatch.setattr(Split, "forward", wait)
    monkeypatch.setattr(work, "_JOIN_S", 0.05)
    song = give(songs, wav(tmp_path / "song"))
    steps = workshop.separate(song.ticket, "split")
    assert next(steps)["stage"] in ("reading", "separating")
    if by == "ticket":
        songs.stop(song)
        assert song.folder.exists()
        may_end.set()
        assert list(steps)[-1] == {"ticket": song.ticket, "stage": "failed", "error": "Stopped."}
    else:
        steps.close()
        may_end.set()
    for thread in threading.enumerate():
        if thread.name == "separation":
            thread.join(300)
    assert not song.folder.exists()
