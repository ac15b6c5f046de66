"""Trainings that go on with other settings: taken over and said, or refused, nothing changed."""

import os
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from common.lock import locked
from common.resuming import Checkpoint, changes_since

from tests.helpers import RECIPES
from tests.recipes.helpers import (
    STEMS,
    events_of,
    last_checkpoint,
    recipe_module,
    serve,
    trainer,
    write_stems,
)

RECIPE = RECIPES / "xumx_slicq"
PARSE = recipe_module(RECIPE, "train").SETTINGS.parse


def settings(*options: str):
    return PARSE("", ["--exp_dir", "exp", *options])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], []),
        (["--lr", "0.0001"], ["lr: 0.001 → 0.0001"]),
        (
            ["--weight_decay", "0", "--epochs", "3"],
            ["weight_decay: 1e-05 → 0.0", "epochs: 1000 → 3"],
        ),
        (["--data_dir", "new", "--devices", "1"], ["data_dir: data → new", "devices: auto → 1"]),
        (["--plateau_factor", "0.5"], ["plateau_factor: 0.3 → 0.5"]),
        (["--low_pass", "0.5"], ["low_pass: 0.0 → 0.5"]),
    ],
)
def test_what_may_change_is_taken_over(options, said):
    checkpoint = Checkpoint(Path("exp/checkpoints/last.ckpt"), 7, settings())
    changes = changes_since(checkpoint, settings(*options))
    assert sorted(map(str, changes)) == sorted(said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "v1"], "preset: v2 → v1"),
        (["--optimizer", "sgd"], "optimizer: adam → sgd"),
        (["--batch_size", "8"], "batch_size: 64 → 8"),
        (["--seed", "1"], "seed: 42 → 1"),
        (["--ema_decay", "0.9"], "ema_decay: 0.0 → 0.9"),
        (["--schedule", "cosine"], "schedule: plateau → cosine"),
        (["--time_loss", "l1", "--lr", "0.1"], "time_loss: none → l1"),
    ],
)
def test_what_may_not_change_is_refused(options, said):
    checkpoint = Checkpoint(Path("exp/checkpoints/last.ckpt"), 7, settings())
    with pytest.raises(ValueError, match="training in exp cannot go on with other settings") as e:
        changes_since(checkpoint, settings(*options))
    assert said in str(e.value)
    assert "lr:" not in str(e.value)
    assert "--init exp/best_model.pth" in str(e.value)


@pytest.fixture(scope="module")
def server():
    with serve(RECIPE) as process:
        yield process


@pytest.fixture
def train(server, tmp_path):
    return trainer(server, tmp_path, "train/a", "train/b", "train/c")


def group_of(folder: Path) -> dict:
    return last_checkpoint(folder)["optimizer_states"][0]["param_groups"][0]


@pytest.mark.slow
def test_the_optimizer_of_the_checkpoint_takes_its_settings_over(train, tmp_path):
    exp = tmp_path / "exp"
    assert train()[0] == 0
    assert (group_of(exp)["lr"], group_of(exp)["weight_decay"]) == (1e-3, 1e-5)
    changed = (
        "--lr",
        "0.0002",
        "--weight_decay",
        "0.1",
        "--epochs",
        "2",
        "--plateau_patience",
        "5",
    )
    # Killed before the next checkpoint, which knows the old ones.
    assert train(*changed, moment=("step", 2))[0] == -9
    assert group_of(exp)["lr"] == 1e-3
    code, log = train(*changed)
    assert code == 0
    assert "from step 2 on, lr: 0.001 → 0.0002" in log
    assert "from step 2 on, weight_decay: 1e-05 → 0.1" in log
    assert (group_of(exp)["lr"], group_of(exp)["weight_decay"]) == (2e-4, 0.1)
    assert last_checkpoint(exp)["lr_schedulers"][0]["patience"] == 5
    assert yaml.safe_load((exp / "conf.yml").read_text())["optim"]["lr"] == 2e-4
    before = yaml.safe_load((exp / "conf_until_step_2.yml").read_text())
    assert (before["optim"]["lr"], before["training"]["epochs"]) == (1e-3, 1)


@pytest.mark.slow
def test_a_refusal_leaves_the_experiment_as_it_was(train, tmp_path):
    assert train()[0] == 0
    files = {p: p.read_bytes() for p in (tmp_path / "exp").rglob("*") if p.is_file()}
    for options in (("--model", "v1"), ("--batch_size", "2"), ("--data_dir", "nowhere")):
        code, log = train(*options)
        assert code == 1
        assert log.startswith("train.py: ")
        assert {p: p.read_bytes() for p in (tmp_path / "exp").rglob("*") if p.is_file()} == files


@pytest.mark.slow
def test_one_training_at_a_time_writes_to_a_folder(train, tmp_path):
    with locked(tmp_path / "exp"):
        code, log = train()
        assert code == 1
        assert f"another training writes to {tmp_path}/exp (process {os.getpid()})" in log
        assert [p.name for p in (tmp_path / "exp").iterdir()] == [".lock"]
    assert train()[0] == 0


@pytest.mark.slow
def test_pictures_and_sounds_stay_where_a_training_goes_on(train, tmp_path):
    for epochs in ("1", "2", "3"):
        assert train("--preview_epochs", "1", "--epochs", epochs)[0] == 0
    events = events_of(tmp_path / "exp")
    assert set(events.Tags()["images"]) == set(STEMS)
    for stem in STEMS:  # two steps an epoch, and the last of each
        assert [e.step for e in events.Images(stem)] == [1, 3, 5]
        assert [e.step for e in events.Audio(f"{stem}/estimate")] == [1, 3, 5]
        assert [e.step for e in events.Audio(f"{stem}/reference")] == [1]


@pytest.mark.slow
@pytest.mark.parametrize("room", [1000, 100_000])
def test_a_full_disk_is_a_sentence(room, train, tmp_path):
    assert train()[0] == 0
    before = last_checkpoint(tmp_path / "exp")["global_step"]
    code, log = train("--epochs", "2", moment=("room", room))
    assert code == 1
    assert re.search(r"^train\.py: .*File too large", log, re.MULTILINE), log
    assert "Traceback" not in log
    assert last_checkpoint(tmp_path / "exp")["global_step"] == before
    assert not list((tmp_path / "exp").rglob("*.part"))
    assert train("--epochs", "2")[0] == 0


@pytest.mark.slow
def test_new_tracks_are_trained_on_and_validation_stays(train, tmp_path):
    # Within an epoch, too, which is longer with them.
    within = ("--checkpoint_steps", "1")
    assert train(*within, moment=("step", 1))[0] == -9
    before = last_checkpoint(tmp_path / "exp")["tracks"]
    assert [*map(len, before.values())] == [2, 1]
    new = [f"new {n}" for n in range(5)]
    write_stems(tmp_path / "data", *(f"train/{name}" for name in new))
    code, log = train(*within, "--epochs", "2")
    assert code == 0, log
    said = "from step 1 on, more to train on: new 0, new 1, new 2 and 2 other tracks; validated on"
    assert f"{said} the same as before" in log
    assert "7 tracks to train on, 1 to validate on" in log
    after = last_checkpoint(tmp_path / "exp")
    assert after["tracks"] == {"train": before["train"] + new, "valid": before["valid"]}
    assert after["global_step"] == 2 * 7

    shutil.rmtree(tmp_path / "data/train/new 3")
    code, log = train(*within, "--epochs", "3")
    assert code == 0, log
    assert "from step 14 on, no more there to train on: new 3" in log
    assert last_checkpoint(tmp_path / "exp")["global_step"] == 2 * 7 + 6

    (validated,) = before["valid"]
    shutil.rmtree(tmp_path / f"data/train/{validated}")
    code, log = train(*within, "--epochs", "4")
    assert code == 1
    assert log.splitlines()[-1] == (
        f"train.py: '{validated}', which the training in {tmp_path}/exp is validated on, must be "
        f"in {tmp_path}/data/train: put it back, or begin another experiment, from these weights "
        f"if you like: --init {tmp_path}/exp/best_model.pth"
    )


@pytest.mark.slow
def test_a_checkpoint_that_names_no_tracks_goes_on(train, tmp_path):
    assert train()[0] == 0
    older = last_checkpoint(tmp_path / "exp")
    del older["tracks"]
    torch.save(older, tmp_path / "exp/checkpoints/last.ckpt")
    assert train("--epochs", "2")[0] == 0
    assert last_checkpoint(tmp_path / "exp")["tracks"] is not None
