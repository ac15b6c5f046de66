"""An empty word, as an unset variable makes one, is refused: no path stands for the folder here."""

import os

import numpy as np
import pytest
import soundfile as sf

from asteroid_slicq import XUMXSliCQ, load_model
from asteroid_slicq.audio import AudioReader
from asteroid_slicq.cli import main
from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.musdb import inspect_tree
from asteroid_slicq.data.procedural import plan_dataset
from asteroid_slicq.data.sampled import read_manifest
from asteroid_slicq.evaluation import Journal, find_reference_tracks
from asteroid_slicq.separation import separate
from tests.helpers import Split

COMMANDS = [
    ("an argument", ["separate", ""]),
    ("an argument", ["separate", "song.wav", ""]),
    ("argument -q", ["separate", "-q", ""]),
    ("argument -o", ["separate", "song.wav", "-o", ""]),
    ("argument --output", ["separate", "song.wav", "--output="]),
    ("argument --model", ["separate", "song.wav", "--model", ""]),
    ("an argument", ["spectrogram", ""]),
    ("argument -o", ["spectrogram", "song.wav", "-o", ""]),
    ("an argument", ["oracle", ""]),
    ("argument --output", ["oracle", ".", "--output", ""]),
    ("an argument", ["synth", ""]),
    ("argument --cache", ["synth", "out", "--cache", ""]),
    ("argument --root", ["sounds", "build", "--root", ""]),
    ("argument --cache", ["sounds", "list", "--cache="]),
    ("an argument", ["convert", "", "-o", "a.pth"]),
    ("argument -o", ["convert", "a.pth", "-o", ""]),
    ("an argument", ["export", "", "-o", "a.onnx"]),
    ("argument -o", ["export", "a.pth", "-o", ""]),
    ("an argument", ["publish", "", "--repo", "a/b", "--dry-run"]),
    ("argument -o", ["publish", "a.pth", "--repo", "a/b", "--dry-run", "-o", ""]),
    ("argument --metrics", ["publish", "a.pth", "--repo", "a/b", "--metrics", ""]),
    ("argument --settings", ["publish", "a.pth", "--repo", "a/b", "--settings", ""]),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sf.write(tmp_path / "song.wav", np.zeros((1000, 2)), 44100)
    return tmp_path


@pytest.mark.parametrize(("where", "argv"), COMMANDS, ids=lambda value: " ".join(value))
def test_commands_refuse_it(folder, capsys, where, argv):
    assert main(argv) == 2
    reason = capsys.readouterr().err.splitlines()[0]
    assert reason.endswith(f"error: {where}: must not be empty (is a variable not set?)")
    assert os.listdir(folder) == ["song.wav"]


CALLS = {
    "path": [AudioReader, lambda path: separate(Split(), path), lambda path: Journal(path, {})],
    "output_dir": [lambda path: separate(Split(), "song.wav", path)],
    "folder": [read_manifest],
    "spec": [load_model],
    "root": [
        lambda path: find_tracks(path, "train", ["a"], 44100),
        lambda path: find_reference_tracks(path, "train", ["a"], 44100),
        lambda path: plan_dataset(path, 1, 10.0),
        inspect_tree,
    ],
}


@pytest.mark.parametrize(
    ("argument", "call"), [(name, call) for name, calls in CALLS.items() for call in calls]
)
def test_functions_refuse_it(folder, argument, call):
    with pytest.raises(ValueError, match=f"^{argument} must be a path, got an empty one"):
        call("")
    assert os.listdir(folder) == ["song.wav"]


def test_a_model_refuses_it(folder):
    model = XUMXSliCQ.from_preset("small", transform={"n_bins": 14, "f_min_hz": 150.0})
    with pytest.raises(ValueError, match="path must be a path, got an empty one"):
        model.separate("")
