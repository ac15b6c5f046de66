"""Names of files are bytes: those that are no UTF-8 are read, written and printed like others."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import save

from asteroid_slicq import XUMXSliCQ, load_model
from asteroid_slicq.audio.tags import metadata
from asteroid_slicq.cli import main, model_choice
from asteroid_slicq.data import find_tracks
from asteroid_slicq.data.procedural import write_dataset
from asteroid_slicq.evaluation import Journal, Trial
from asteroid_slicq.files import write_text
from tests.helpers import GAINS, RECIPES, Split, numpy_noise
from tests.recipes.helpers import run

STEMS = ("vocals", "drums", "bass", "other")


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / os.fsdecode(b"m\xe9lodie")
    try:
        path.mkdir()
    except OSError:
        pytest.skip("names are no bytes here")
    return path


def write(path: Path, n_samples: int = 20_000, **kwargs) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        sf.write(file, numpy_noise(n_samples, 2, scale=0.1), 44100, **kwargs)


@pytest.mark.parametrize(
    ("audio_format", "written"), [("WAV", "wav"), ("MP3", "wav"), ("WAV", "flac"), ("WAV", "mp3")]
)
def test_songs_and_stems(folder, monkeypatch, capsys, audio_format, written):
    monkeypatch.setattr(model_choice, "load_default_model", Split)
    song = folder / os.fsdecode(b"\xe9t\xe9.song")
    write(song, format=audio_format)
    out = str(folder / os.fsdecode(b"out\xe9"))
    assert main(["separate", str(song), "-o", out, "--format", written]) == 0
    stems = folder / os.fsdecode(b"out\xe9") / os.fsdecode(b"\xe9t\xe9")
    assert sorted(path.name for path in stems.iterdir()) == sorted(f"{x}.{written}" for x in GAINS)
    assert metadata(stems / f"bass.{written}")["title"] == "\ufffdt\ufffd (bass)"
    assert r"m\udce9lodie" in capsys.readouterr().out


def test_tracks_and_reports(folder, capsys):
    for name in STEMS:
        write(folder / "test" / os.fsdecode(b"\xe9") / f"{name}.wav", 44100)
    (track,) = find_tracks(folder, "test", STEMS, 44100)
    assert track.read("bass").shape == (2, 44100)
    report = folder / os.fsdecode(b"\xe9.json")
    options = ["--oracles", "irm1", "--n-bins", "14", "--f-min", "150", "-q"]
    assert main(["oracle", str(folder), "-o", str(report), *options]) == 0
    assert json.loads(report.read_text("utf-8"))["tracks"] == ["\udce9"]


def test_data_sets(folder):
    def render(seed, duration_s, sample_rate):
        return dict.fromkeys(STEMS, np.zeros((2, round(duration_s * sample_rate))))

    for _ in range(2):  # the second time they are there
        (track,) = write_dataset(folder / "a", 1, 8.0, render=render, sample_rate=8000)
        assert sf.info(os.fsencode(track / "bass.wav")).frames == 64000


def test_journals(folder):
    search = {"tracks": ["\udce9"]}
    Journal(folder / "a.jsonl", search).add(Trial(0, {"n_bins": 3}, 1.0, ""))
    assert len(Journal(folder / "a.jsonl", search).trials) == 1


def test_text(folder):
    write_text(folder / "a.json", json.dumps(["\udce9", "é"], ensure_ascii=False))
    assert json.loads((folder / "a.json").read_text("utf-8")) == ["\udce9", "é"]


def test_models(folder):
    model = XUMXSliCQ.from_preset("small", transform={"n_bins": 14, "f_min_hz": 150.0})
    conf = model.serialize()
    torch.save(conf, folder / "pytorch_model.bin")
    (folder / "a.safetensors").write_bytes(save(conf["state_dict"]))
    names = {"model_name": conf["model_name"], "model_args": conf["model_args"]}
    write_text(folder / "config.json", json.dumps(names))
    for name in (".", "pytorch_model.bin", "a.safetensors"):
        assert load_model(folder / name).sources == model.sources


@pytest.mark.slow
def test_scripts(folder):
    done = run(sys.executable, "-m", "common.prepare_data", folder, cwd=RECIPES)
    assert done.returncode == 1
    assert r"m\udce9lodie" in done.stdout
