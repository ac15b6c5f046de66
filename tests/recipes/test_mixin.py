"""The recipe of MiXiN: all stages as a user runs them, on small stems; kills, processes, modes."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from asteroid.models import BaseModel

from asteroid_slicq.hub import load_model, read_evaluation
from asteroid_slicq.models.mixin import MiXiN
from tests.helpers import RECIPES
from tests.recipes.helpers import (
    RATE,
    STEMS,
    ask,
    curves_of,
    events_of,
    last_checkpoint,
    recipe_module,
    run,
    run_all,
    run_script,
    same,
    scores_of,
    serve,
    write_stems,
)

RECIPE = RECIPES / "mixin"
SETTINGS = recipe_module(RECIPE, "train").SETTINGS
SOURCES = ["harmonic", "percussive", "vocals"]

# One track to train on: four batches an epoch, checkpoints within them.
TINY = {
    "data": {"samples_per_track": 8, "validation_segments": 4},
    "model": {"sample_rate": RATE, "transform": {"n_bins": 16, "length": 2048}},
    "training": {"epochs": 3, "batch_size": 2},
    "run": {
        "num_workers": 0,
        "n_threads": 1,
        "accelerator": "cpu",
        "log_every_steps": 1,
        "log_every_s": 0.0,
        "checkpoint_steps": 3,
    },
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A tree like that of MUSDB18-HQ: two tracks to train and validate on, one to test."""
    return write_stems(tmp_path_factory.mktemp("data"), "train/a", "train/b", "test/c", seconds=3)


@pytest.fixture(scope="module")
def conf(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("conf") / "tiny.yml"
    file.write_text(yaml.safe_dump(TINY))
    return file


@pytest.fixture(scope="module")
def experiment(data, conf, tmp_path_factory) -> Path:
    options = (
        "--conf",
        conf,
        "--trained_on",
        "procedural",
        "--train_options",
        "--preview_epochs 3",
    )
    return run_all(RECIPE, data, tmp_path_factory.mktemp("work"), *options)


def test_stages_follow_the_settings(experiment):
    assert len(list(experiment.glob("eval/*/scores/test/c.json"))) == 1
    conf = yaml.safe_load((experiment / "conf.yml").read_text())
    assert conf["data"]["samples_per_track"] == 8
    assert conf["optim"]["lr"] == 0.001
    tags = events_of(experiment).Tags()
    assert set(tags["images"]) == set(SOURCES)
    assert {"mixture/reference", "harmonic/reference", "harmonic/estimate"} <= set(tags["audio"])


def test_logs_hold_no_warnings_that_nobody_can_heed(experiment):
    for name in ("train", "eval", "publish"):
        log = (experiment / "logs" / f"{name}.log").read_text()
        assert not re.search(r"[wW]arn|[dD]eprecated|Tip:|site-packages", log), log


def test_the_best_model_is_one_of_asteroid_and_has_learnt(experiment):
    model = BaseModel.from_pretrained(str(experiment / "best_model.pth")).eval()
    assert isinstance(model, MiXiN)
    assert (model.sources, model.sample_rate) == (SOURCES, RATE)
    assert model.transform.frame.length == 2048
    scores = scores_of(experiment)
    assert last_checkpoint(experiment)["global_step"] == 3 * 4
    assert len(scores) == 3
    assert min(scores, key=lambda name: scores[name]) == "epoch=2-step=12.ckpt"


def test_metrics_hold_the_model_and_its_bounds(experiment):
    report = read_evaluation(experiment / "metrics.json")
    assert (report["n_tracks"], report["sources"], report["remix"]) == (1, SOURCES, False)
    scores = report["scores"]
    assert set(scores) == {"model", "mixture", "soft-mask oracle"}
    for kind in scores.values():
        for measure in ("sdr", "usdr"):
            assert set(kind[measure]) == {*SOURCES, "mean"}
    assert scores["soft-mask oracle"]["sdr"]["mean"] > scores["mixture"]["sdr"]["mean"] + 6
    # Of what is published, the vocals alone are of the same source.
    text = (experiment / "results.md").read_text()
    assert "| model | vocals | where |" in text
    assert "| xumx-sliCQ V2 | 4.791 |" in text
    assert "Open-Unmix (UMX), re-evaluated" not in text  # only its mean is known


def test_what_would_be_published_tells_the_truth(experiment, data):
    folder = experiment / "publish"
    card = (folder / "README.md").read_text()
    mean = read_evaluation(experiment / "metrics.json")["scores"]["model"]["sdr"]["mean"]
    for sentence in (
        "# mixin-tiny",
        "into harmonic, percussive and vocals at 8000 Hz, mono or stereo, channel by channel",
        "of 111,015 parameters",
        "arXiv:1703.08019",
        "stems/song/harmonic.wav",
        "Trained on procedural stems",
        "harmonic is bass + other, percussive is drums",
        "On the test tracks of procedural stems (`asteroid-slicq synth`) (1 track), in dB.",
        f"| **this model** | SDR | {mean:.2f} |",
        "lr: 0.001",
    ):
        assert sentence in card, sentence
    model = load_model(folder)
    best = load_model(experiment / "best_model.pth")
    same(dict(model.state_dict()), dict(best.state_dict()))
    # Its own words on how to use it.
    model.separate(str(data / "test" / "c" / "mixture.wav"), output_dir=str(folder / "stems"))
    assert (folder / "stems" / "mixture" / "harmonic.wav").is_file()
    assert "nothing was published" in (experiment / "logs" / "publish.log").read_text()


@pytest.fixture
def evaluate(experiment, data, monkeypatch):
    """Run ``python eval.py`` in this process."""
    common = ("--exp_dir", experiment, "--data_dir", data, "--fast", "true", "--device", "cpu")
    return partial(run_script, monkeypatch, RECIPE / "eval.py", *common)


def test_modes_reach_the_evaluation(experiment, data, evaluate, capsys):
    own = (experiment / "metrics.json").read_text()
    evaluate("--instrumental", "true", "--n_workers", 0)
    report = read_evaluation(experiment / "metrics_instrumental.json")
    assert (report["sources"], report["remix"]) == (SOURCES[:2], True)
    assert "soft-mask oracle" in report["scores"]
    # No voice in the mix: what is left of it beside a source is the other one.
    read = {s: soundfile.read(data / "test" / "c" / f"{s}.wav")[0] for s in STEMS}
    sources = {"harmonic": read["bass"] + read["other"], "percussive": read["drums"]}
    power = {name: (value**2).sum() for name, value in sources.items()}
    expected = 10 * np.log10(power["harmonic"] / power["percussive"])
    mixture = report["scores"]["mixture"]["usdr"]
    assert mixture["harmonic"] == pytest.approx(expected, abs=0.01)
    assert mixture["percussive"] == pytest.approx(-expected, abs=0.01)
    assert (
        "mixed of harmonic and percussive alone"
        in (experiment / "results_instrumental.md").read_text()
    )

    evaluate("--instrumental", "true", "--single_model", "true", "--n_workers", 0)
    report = read_evaluation(experiment / "metrics_instrumental_single_model.json")
    assert set(report["scores"]) == {"model", "mixture", "mix-phase oracle"}
    # The model as it is has kept its scores; asked for once more, they are not computed again.
    assert (experiment / "metrics.json").read_text() == own
    capsys.readouterr()
    evaluate("--single_model", "false", "--n_workers", 0)
    assert "done before" in capsys.readouterr().out
    assert json.loads((experiment / "metrics.json").read_text()) == json.loads(own)


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen]:
    """Runs trainings that may be killed, see :mod:`tests.recipes.test_training`."""
    with serve(RECIPE) as process:
        yield process


@pytest.fixture
def train(server, data, conf, tmp_path):
    """Train an experiment with options and a moment of death; gives the exit code."""

    def run(name: str, *options: object, moment: tuple[str, int] | None = None) -> int:
        arguments = ["--conf", conf, "--data_dir", data, "--exp_dir", tmp_path / name, *options]
        return ask(server, arguments, moment, tmp_path / f"{name}.log")

    return run


def test_a_killed_training_ends_as_an_uninterrupted_one(train, tmp_path):
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    # Before there is a checkpoint; after one within an epoch; in the midst of the next.
    for moment in (("step", 1), ("step", 7), ("checkpoint", 1)):
        assert train("killed", moment=moment) == -9
    assert list((killed / "checkpoints").glob(".last-*.part"))
    assert train("killed") == 0
    assert "continuing from" in (tmp_path / "killed.log").read_text()
    assert train("straight") == 0

    ours, theirs = last_checkpoint(killed), last_checkpoint(straight)
    assert ours["global_step"] == 12
    for key in ("state_dict", "optimizer_states"):
        same(ours[key], theirs[key], key)
    models = [torch.load(e / "best_model.pth", weights_only=True) for e in (killed, straight)]
    same(models[0]["state_dict"], models[1]["state_dict"])
    curves = curves_of(straight)
    assert [step for step, _ in curves["loss"]] == list(range(12))
    assert curves_of(killed) == curves
    scores = scores_of(killed)
    assert scores == scores_of(straight)
    files = (killed / "checkpoints").glob("*.ckpt")
    assert {path.name for path in files} == {*scores, "last.ckpt"}
    assert not list(killed.glob("**/*.part"))


def test_a_training_that_is_over_is_over(train, tmp_path):
    """By its epochs, by early stopping: once more, it only writes its results."""
    stopped = ["--lr", 0.0, "--patience", 2, "--epochs", 100]
    for name, options in {"epochs": ["--epochs", 1], "patience": stopped}.items():
        assert train(name, *options) == 0
        before = last_checkpoint(tmp_path / name)
        (tmp_path / name / "best_model.pth").unlink()
        assert train(name, *options) == 0
        after = last_checkpoint(tmp_path / name)
        assert after["global_step"] == before["global_step"]
        same(after["state_dict"], before["state_dict"])
        assert (tmp_path / name / "best_model.pth").is_file()
    assert last_checkpoint(tmp_path / "epochs")["global_step"] == 4
    assert last_checkpoint(tmp_path / "patience")["global_step"] == 3 * 4  # two were no better


def test_two_processes_take_the_steps_of_one(train, data, conf, tmp_path):
    # Steps in proportion to the gradient: Adam's first are as long for rounding as for any other.
    options = ["--optimizer", "sgd", "--lr", 0.1, "--epochs", 1]
    assert train("one", *options, "--batch_size", 4) == 0
    command = [sys.executable, RECIPE / "train.py", "--conf", conf, "--data_dir", data, *options]
    command += ["--exp_dir", "two", "--batch_size", 2, "--devices", 2]
    done = run(*command, cwd=tmp_path, paths=[RECIPES])
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = (last_checkpoint(tmp_path / name) for name in ("one", "two"))
    assert one["global_step"] == two["global_step"] == 2
    torch.manual_seed(42)
    start = MiXiN(**TINY["model"]).state_dict()
    moved = 0.0
    for name, value in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], value, atol=1e-7, rtol=1e-5, msg=name)
        moved = max(moved, float((value - start[name.removeprefix("model.")]).abs().max()))
    assert moved > 1e-4  # far more than they may differ
    (score,), (other,) = (scores_of(tmp_path / name).values() for name in ("one", "two"))
    assert score == pytest.approx(other, rel=1e-5)


def test_mixed_precision_is_that_of_the_networks_alone(train, tmp_path):
    assert train("mixed", "--precision", "bf16-mixed", "--epochs", 1) == 0
    (loss,) = curves_of(tmp_path / "mixed")["val_loss"]
    assert np.isfinite(loss[1])
    weights = last_checkpoint(tmp_path / "mixed")["state_dict"]
    assert all(value.dtype != torch.bfloat16 for value in weights.values())


def test_references_are_made_of_the_stems():
    system = recipe_module(RECIPE, "system").MiXiNSystem
    model = system.make_model({"model": TINY["model"]})
    values = {"bass": 1.0, "drums": 10.0, "other": 100.0, "vocals": 1000.0}
    stems = [values[stem] for stem in system.item({}, model).stems]
    batch = torch.tensor(stems)[:, None, None].expand(2, 4, 2, 5)
    references = system(model, None, None, None).references(batch)
    assert references.shape == (2, 3, 1, 5)
    assert references[0, :, 0, 0].tolist() == [101.0, 10.0, 1000.0]


def test_the_published_settings():
    conf = SETTINGS.load("published")
    assert conf["optim"] == {"optimizer": "adam", "lr": 0.001, "weight_decay": 0.0}
    training, data = conf["training"], conf["data"]
    assert (training["batch_size"], training["epochs"], training["patience"]) == (64, 100, 2)
    assert (training["schedule"], training["ema_decay"]) == ("none", 0.0)
    augmented = ("random_mix", "gain_min", "gain_max", "swap_channels")
    assert [data[key] for key in augmented] == [0.0, 1.0, 1.0, 0.0]
    assert SETTINGS.load("quick")["training"]["patience"] == 2
