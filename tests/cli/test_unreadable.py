"""What may not be read is told as that, not as absent, empty or damaged."""

import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq.audio import AudioError, AudioReader
from asteroid_slicq.cli import main, model_choice
from asteroid_slicq.data import find_tracks, inspect_file
from asteroid_slicq.data.musdb import inspect_tree
from asteroid_slicq.hub import load_model
from asteroid_slicq.jobs.inputs import collect_jobs
from tests.helpers import Split

DENIED = "cannot be read (Permission denied)"


@pytest.fixture
def folder(monkeypatch):
    """A folder with one in it that this user may not enter, and a file that may not be read."""
    if os.name != "posix":
        pytest.skip("permissions are POSIX's")
    path = Path(tempfile.mkdtemp(dir="/tmp"))  # into which anyone may go
    path.chmod(0o777)
    for name in ("locked/song.wav", "locked/deep/song.wav", "secret.wav", "good.wav"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(path / name, np.zeros((5000, 2)), 44100)
    (path / "locked").chmod(0)
    (path / "secret.wav").chmod(0)
    monkeypatch.chdir(path)
    for command in ("convert", "oracle", "publish", "spectrogram"):  # this user's alone to import
        import_module(f"asteroid_slicq.cli.{command}")
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield path
    finally:
        if was_root:
            os.seteuid(0)
        (path / "locked").chmod(0o700)
        shutil.rmtree(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("locked", f"locked: {DENIED}"),
        ("locked/song.wav", f"locked/song.wav: {DENIED}"),
        ("locked/deep/song.wav", f"locked/deep/song.wav: {DENIED}"),
        ("locked/*.wav", f"locked: {DENIED}"),
        ("nowhere.wav", "nowhere.wav: no such file or folder"),
    ],
)
def test_an_input_out_of_reach(folder, text, told):
    assert collect_jobs([text], Path("out")) == ([], [told])


def test_a_folder_in_a_walk_is_not_passed_over_silently(folder):
    jobs, problems = collect_jobs(["."], Path("out"))
    assert [str(job.path) for job in jobs] == ["good.wav", "secret.wav"]
    assert problems == [f"./locked: {DENIED}"]


def test_the_rest_is_done(folder, monkeypatch, capsys):
    monkeypatch.setattr(model_choice, "load_default_model", Split)
    assert main(["separate", ".", "-o", "out", "-q"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"asteroid-slicq: ./locked: {DENIED}",
        f"asteroid-slicq: secret.wav: {DENIED}",
    ]
    assert [path.name for path in Path("out").glob("[!.]*")] == ["good"]


@pytest.mark.parametrize(
    "argv",
    [
        ["spectrogram", "locked/song.wav", "-o", "a.png"],
        ["oracle", "locked"],
        ["oracle", "locked/deep"],
        ["separate", "good.wav", "--model", "locked/model.pth"],
        ["separate", "good.wav", "--model", "locked/model.onnx"],
        ["separate", "good.wav", "--model", "locked"],
        ["convert", "locked/song.wav", "-o", "a.pth"],
        ["convert", "secret.wav", "-o", "a.pth"],
        ["publish", "locked/model.pth", "--repo", "a/b", "--dry-run", "-o", "card"],
    ],
    ids=" ".join,
)
def test_commands(folder, capsys, argv):
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(DENIED)


def test_functions(folder):
    for path in ("locked/song.wav", "secret.wav"):
        with pytest.raises(AudioError) as caught:
            AudioReader(path)
        assert str(caught.value) == f"{path}: {DENIED}"
        assert inspect_file(Path(path)) == DENIED
    with pytest.raises(ValueError, match="Permission denied"):
        load_model("locked/model.pth")
    for call in (lambda: find_tracks(".", "locked", ["a"], 44100), lambda: inspect_tree("locked")):
        with pytest.raises(PermissionError, match=r"cannot be read \(Permission denied\)"):
            call()
