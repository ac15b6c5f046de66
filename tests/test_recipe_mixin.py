"""The recipe of MiXiN: all stages as a user runs them, on small stems."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from asteroid.models import BaseModel

from asteroid_slicq.mixin import MiXiN

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "musdb18hq" / "mixin"
RATE = 8000
STEMS = ("bass", "drums", "other", "vocals")

TINY = {
    "data": {"samples_per_track": 8, "validation_segments": 4},
    "model": {"sample_rate": RATE, "transform": {"n_bins": 16, "length": 2048}},
    "training": {"epochs": 2, "batch_size": 4},
    "run": {"num_workers": 0, "n_threads": 1, "accelerator": "cpu"},
}

pytestmark = pytest.mark.skipif(not RECIPE.is_dir(), reason="recipes are not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A tree like that of MUSDB18-HQ: two tracks to train and validate on, one to test."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for folder in ("train/a", "train/b", "test/c"):
        (root / folder).mkdir(parents=True)
        time_s = np.arange(3 * RATE) / RATE
        stems = []
        for stem, f_hz in zip(STEMS, (80, 400, 900, 2000), strict=True):
            tone = np.sin(2 * np.pi * f_hz * (time_s + rng.random()))
            stems.append(0.1 * tone[:, None] + 0.02 * rng.standard_normal((3 * RATE, 2)))
            soundfile.write(root / folder / f"{stem}.wav", stems[-1], RATE)
        soundfile.write(root / folder / "mixture.wav", sum(stems), RATE)
    return root


def run_sh(*options: str, cwd: Path) -> subprocess.CompletedProcess:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        ["bash", str(RECIPE / "run.sh"), "--python", sys.executable, *options],
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )


def options(data: Path, folder: Path) -> list[str]:
    conf = folder / "tiny.yml"
    conf.write_text(yaml.safe_dump(TINY))
    pairs = {"--data_dir": data, "--conf": conf, "--expdir": "exp"}
    return [str(part) for pair in pairs.items() for part in pair]


@pytest.fixture(scope="module")
def experiment(data, tmp_path_factory) -> Path:
    """Training and evaluation, from a working directory that is not the recipe's."""
    folder = tmp_path_factory.mktemp("work")
    done = run_sh(*options(data, folder), "--stage", "1", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "exp"


def test_stages_write_what_they_promise(experiment):
    for name in (
        *("conf.yml", "best_k_models.json", "best_model.pth", "metrics.json"),
        *("checkpoints/last.ckpt", "logs/train.log", "logs/eval.log", "eval/c.json"),
    ):
        assert (experiment / name).stat().st_size > 0, name
    conf = yaml.safe_load((experiment / "conf.yml").read_text())
    assert conf["data"]["samples_per_track"] == 8
    assert conf["optim"]["lr"] == 0.001
    assert "val_loss" in (experiment / "logs" / "train.log").read_text()


def test_the_best_model_is_one_of_asteroid_and_has_learnt(experiment):
    model = BaseModel.from_pretrained(str(experiment / "best_model.pth")).eval()
    assert isinstance(model, MiXiN)
    assert (model.sources, model.sample_rate) == (["harmonic", "percussive", "vocals"], RATE)
    assert model.transform.frame.length == 2048
    scores = json.loads((experiment / "best_k_models.json").read_text())
    last = torch.load(experiment / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 2 * 2
    assert len(scores) == 2
    assert min(scores, key=lambda path: scores[path]).endswith("step=4.ckpt")


def test_metrics_hold_the_model_and_its_bounds(experiment):
    report = json.loads((experiment / "metrics.json").read_text())
    assert report["n_tracks"] == 1
    scores = report["scores"]
    assert set(scores) == {"model", "mixture", "soft-mask oracle"}
    for kind in scores.values():
        for measure in ("sdr", "usdr"):
            assert set(kind[measure]) == {*report["sources"], "mean"}
    assert scores["soft-mask oracle"]["sdr"]["mean"] > scores["mixture"]["sdr"]["mean"] + 6


def test_modes_reach_the_evaluation(experiment, data):
    modes = "--instrumental true --single_model true"
    folder = experiment.parent
    done = run_sh(*options(data, folder), "--stage", "2", "--eval_options", modes, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((experiment / "metrics.json").read_text())
    assert report["sources"] == ["harmonic", "percussive"]


def test_targets_are_made_of_the_stems(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPE))
    monkeypatch.delitem(sys.modules, "targets", raising=False)
    from targets import STEMS, targets_of

    values = {"bass": 1.0, "drums": 10.0, "other": 100.0, "vocals": 1000.0}
    stems = torch.tensor([values[stem] for stem in STEMS])[:, None, None].expand(2, 4, 1, 5)
    assert targets_of(stems)[0, :, 0, 0].tolist() == [101.0, 10.0, 1000.0]


def test_the_published_settings():
    conf = yaml.safe_load((RECIPE / "local" / "conf.yml").read_text())
    assert conf["optim"] == {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0}
    training = conf["training"]
    assert (training["batch_size"], training["epochs"], training["patience"]) == (64, 100, 2)
    keys = [key for section in conf.values() for key in section]
    assert len(keys) == len(set(keys))


def test_help_lists_every_option(tmp_path):
    done = run_sh("--help", cwd=tmp_path)
    assert done.returncode == 0
    script = (RECIPE / "run.sh").read_text()
    names = re.findall(r"^([a-z][a-z_]*)=", script.partition("parse_options.sh")[0], re.MULTILINE)
    assert {"stage", "tag", "conf", "quick", "musdb"} <= set(names)
    for name in names:
        assert f"--{name} " in done.stdout


def test_wrong_settings_are_named(data, tmp_path):
    (tmp_path / "odd.yml").write_text("training:\n  epoch: 3\n")
    done = run_sh(
        *("--data_dir", str(data), "--expdir", "exp", "--conf", "odd.yml", "--stage", "1"),
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "unknown key(s) ['epoch'] in 'training'" in done.stdout
