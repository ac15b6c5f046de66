"""The training of the recipe: what a kill, a low precision and a long wait do to it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from common.configuration import Configuration
from common.trainer import choose_strategy, choose_sync_batchnorm, idle_parameters

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.losses import XUMXLoss
from asteroid_slicq.wiener import filter_masked
from tests.helpers import RECIPES, noise
from tests.recipes.helpers import (
    RATE,
    STEMS,
    ask,
    curves_of,
    events_of,
    last_checkpoint,
    recipe_module,
    same,
    scores_of,
    serve,
    write_stems,
)

RECIPE = RECIPES / "xumx_slicq"
SETTINGS = recipe_module(RECIPE, "train").SETTINGS
TINY_MODEL = {
    "sample_rate": RATE,
    "hidden_channels": [2, 3],
    "transform": {"n_bins": 16, "f_min_hz": 200.0},
}

# Two tracks of eight items: eight batches and four steps an epoch, checkpoints within them.
CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "data": {
        "segment_s": 0.25,
        "samples_per_track": 8,
        "validation_segments": 4,
        "statistics_segments": 8,
    },
    "model": {"preset": "small", **TINY_MODEL},
    "training": {
        "epochs": 4,
        "batch_size": 2,
        "accumulate": 2,
        "ema_decay": 0.9,
        "gradient_clipping": 5.0,
        "plateau_patience": 0,  # so that the learning rate falls, in one run as in the other
        "wiener_in_training": False,
    },
    "loss": {"mask_sum_weight": 0.0},
    "optim": {"lr": 1.0},
    "run": {
        "num_workers": 0,
        "n_threads": 1,
        "accelerator": "cpu",
        "log_every_steps": 1,
        "checkpoint_steps": 3,
        "preview_epochs": 0,
    },
}
# Dropout, and a worker that has read ahead what no step was made with; two steps an epoch.
RECURRENT: dict[str, dict[str, Any]] = {
    **CONVOLUTIONS,
    "data": {**CONVOLUTIONS["data"], "segment_s": 0.125, "samples_per_track": 4},
    "model": {"preset": "v2-lstm", **TINY_MODEL, "bandwidth_hz": 250.0},  # LSTMs take long
    "training": {**CONVOLUTIONS["training"], "epochs": 3},
    "run": {**CONVOLUTIONS["run"], "num_workers": 1, "checkpoint_steps": 0},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_stems(tmp_path_factory.mktemp("data"), "train/a", "train/b", "train/c")


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen]:
    with serve(RECIPE) as process:
        yield process


@pytest.fixture
def train(server, data, tmp_path):
    """Train an experiment with settings, options and a moment of death; gives the exit code."""

    def run(name: str, settings: dict, *options: str, moment: tuple[str, int] | None = None) -> int:
        file = tmp_path / "conf.yml"
        file.write_text(yaml.safe_dump(settings))
        arguments = ["--model", str(file), "--data_dir", str(data), *options]
        arguments += ["--exp_dir", str(tmp_path / name)]
        return ask(server, arguments, moment, tmp_path / f"{name}.log")

    return run


@pytest.mark.parametrize(
    ("settings", "moments", "n_steps"),
    [
        # Before there is a checkpoint; after one within an epoch; in the midst of the next.
        (CONVOLUTIONS, [("step", 1), ("step", 7), ("checkpoint", 1)], 16),
        (RECURRENT, [("step", 3)], 6),
    ],
    ids=["convolutions", "recurrent"],
)
def test_a_killed_training_has_the_losses_of_an_uninterrupted_one(
    settings, moments, n_steps, train, tmp_path
):
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    for moment in moments:
        assert train("killed", settings, moment=moment) == -9
        if moment[0] == "checkpoint":
            assert list((killed / "checkpoints").glob(".last-*.part"))
    assert train("killed", settings) == 0
    # Pictures and audio on the way change nothing.
    assert train("straight", settings, "--preview_epochs", "4") == 0

    ours, theirs = last_checkpoint(killed), last_checkpoint(straight)
    assert ours["global_step"] == n_steps
    for key in ("state_dict", "current_model_state", "averaging_state", "optimizer_states"):
        same(ours[key], theirs[key], key)
    same(ours["lr_schedulers"], theirs["lr_schedulers"], "lr_schedulers")
    curves = curves_of(straight)
    assert {"loss", "combination_loss", "mask_sum_loss", "val_loss"} <= set(curves)
    assert [step for step, _ in curves["loss"]] == list(range(n_steps))
    assert curves_of(killed) == curves
    scores, files = scores_of(killed), (killed / "checkpoints").glob("*.ckpt")
    assert scores == scores_of(straight)
    assert {path.name for path in files} == {*scores, "last.ckpt"}  # none is left over
    assert not list(killed.glob("**/*.part"))

    if settings is CONVOLUTIONS:
        assert ours["optimizer_states"][0]["param_groups"][0]["lr"] < 1.0  # fell on the way
        tags = events_of(straight).Tags()
        assert set(tags["images"]) == set(STEMS)
        assert {"mixture/reference", "bass/reference", "bass/estimate"} <= set(tags["audio"])


def test_a_training_that_is_over_is_over(train, tmp_path):
    """By its epochs, by early stopping, by its time: once more, it only writes its results."""
    short = ["--epochs", "2", "--checkpoint_steps", "0"]
    stopped = ["--lr", "3.0", "--mask_sum_weight", "1.0", "--patience", "1"]  # it diverges
    cosine = ["--schedule", "cosine"]
    assert train("time", CONVOLUTIONS, "--epochs", "1", *cosine) == 0
    # However busy the machine: what the first epoch took, and a little more.
    used_s = last_checkpoint(tmp_path / "time")["callbacks"]["Timer"]["time_elapsed"]["train"]
    timed = ["--max_time_s", f"{used_s + 0.1}", "--epochs", "1000", *cosine]
    for name, options in {"epochs": short, "patience": stopped, "time": timed}.items():
        assert train(name, CONVOLUTIONS, *options) == 0
        before = last_checkpoint(tmp_path / name)
        (tmp_path / name / "best_model.pth").unlink()
        assert train(name, CONVOLUTIONS, *options) == 0
        after = last_checkpoint(tmp_path / name)
        assert "continuing from" in (tmp_path / f"{name}.log").read_text()
        assert after["global_step"] == before["global_step"]
        same(after["state_dict"], before["state_dict"])
        assert (tmp_path / name / "best_model.pth").is_file()
    assert train("hurry", CONVOLUTIONS, "--max_time_s", "0.000001") == 0
    assert last_checkpoint(tmp_path / "hurry")["global_step"] == 1
    assert last_checkpoint(tmp_path / "epochs")["global_step"] == 8
    assert last_checkpoint(tmp_path / "patience")["global_step"] == 8  # the second was no better
    for best in (tmp_path / "epochs/checkpoints").glob("epoch*"):
        best.unlink()
    assert train("epochs", CONVOLUTIONS, *short) == 1
    assert "no checkpoint of the best epochs is there" in (tmp_path / "epochs.log").read_text()


def test_a_training_in_mixed_precision(train, tmp_path):
    options = ["--precision", "bf16-mixed", "--epochs", "1", "--lr", "0.001"]
    assert train("mixed", CONVOLUTIONS, *options) == 0
    weights = last_checkpoint(tmp_path / "mixed")["state_dict"]
    assert all(value.dtype != torch.bfloat16 for value in weights.values())
    (loss,) = curves_of(tmp_path / "mixed")["val_loss"]
    assert np.isfinite(loss[1])


@pytest.mark.parametrize("preset", ["v1", "v2"])
def test_mixed_precision_is_that_of_the_networks_alone(preset, monkeypatch):

    torch.manual_seed(0)
    model = XUMXSliCQ.from_preset(preset, **TINY_MODEL)
    loss = XUMXLoss.from_preset(preset)
    seen: list[Any] = []
    monkeypatch.setattr(loss, "forward", lambda *args: (seen.append(args), forward(*args))[1])
    forward = type(loss).forward.__get__(loss)
    system = recipe_module(RECIPE, "system").XUMXSystem(model, None, loss, None)
    monkeypatch.setattr(system, "log", lambda *_, **__: None)
    stems = 0.1 * torch.randn(2, 4, 2, 4000)
    totals = [system.common_step(stems, 0)]
    with torch.autocast("cpu", torch.bfloat16):
        totals.append(system.common_step(stems, 0))
    totals[1].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    torch.testing.assert_close(*totals, rtol=0.02, atol=0)

    (_, full_targets, *_), (estimate, targets, *waveforms) = seen
    same(targets, full_targets)
    assert {block.dtype for block in estimate.coefficients} == {torch.complex64}
    assert {mask.dtype for mask in estimate.masks} == {torch.float32}
    assert all(waveform.dtype == torch.float32 for waveform in waveforms)
    # That it is mixed at all.
    assert not torch.equal(seen[0][0].masks[0], estimate.masks[0])


def test_wiener_em_has_all_bits_in_mixed_precision():
    torch.manual_seed(0)
    masks = torch.rand(1, 4, 2, 3, 4, 6, requires_grad=True)
    mix = torch.randn(1, 2, 3, 4, 6, dtype=torch.complex64)
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            refined = filter_masked(masks, mix, 1)
            without_gradient = filter_masked(masks.detach(), mix, 1)
        gradients = torch.autograd.grad(refined.abs().sum(), masks)
        results.append((refined, without_gradient, *gradients))
    same(*results)


def test_idle_parameters_are_found_and_need_another_strategy():
    def conf(*options: str) -> Configuration:
        return SETTINGS.parse("", ["--exp_dir", "exp", *options])

    model = XUMXSliCQ.from_preset("v2", **TINY_MODEL).train()
    model.blocks[0].eval()  # frozen
    system = recipe_module(RECIPE, "system").XUMXSystem(model, None, XUMXLoss(), None)
    batch = noise(1, 4, 2, 4000)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert idle_parameters(system, batch) == []
    assert choose_strategy(conf("--devices", "2"), system, batch) == "auto"
    model.blocks[0].unused = torch.nn.Parameter(torch.zeros(1))
    assert idle_parameters(system, batch) == ["blocks.0.unused"]
    idle = "ddp_find_unused_parameters_true"
    assert choose_strategy(conf("--devices", "2"), system, batch) == idle
    assert choose_strategy(conf("--devices", "1", "--num_nodes", "2"), system, batch) == idle
    assert choose_strategy(conf("--devices", "1"), system, batch) == "auto"
    assert choose_strategy(conf("--devices", "2", "--strategy", "ddp"), system, batch) == "ddp"
    assert model.training
    assert not any(module.training for module in model.blocks[0].modules())
    assert all(p.grad is None for p in model.parameters())
    del model.blocks[0].unused
    same(dict(model.state_dict()), before)
    with pytest.raises(ValueError, match="sync_batchnorm needs GPUs"):
        choose_sync_batchnorm(conf("--sync_batchnorm", "true", "--accelerator", "cpu"))
