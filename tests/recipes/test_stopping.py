"""Trainings that are stopped: the best model is there, and a sentence says how to go on."""

import pytest
import torch
from common.callbacks import TimeBudget
from pytorch_lightning.callbacks import Timer

from asteroid_slicq import XUMXSliCQ
from tests.helpers import RECIPES
from tests.recipes.helpers import (
    curves_of,
    last_checkpoint,
    same,
    scores_of,
    serve,
    trainer,
)


@pytest.fixture(scope="module")
def server():
    with serve(RECIPES / "xumx_slicq") as process:
        yield process


@pytest.fixture
def train(server, tmp_path):
    return trainer(server, tmp_path, "train/a", "train/b", "train/c")


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "code"), [("interrupt", 130), ("terminate", 143), ("step", -9)])
def test_a_training_that_is_stopped_leaves_its_best_model(moment, code, train, tmp_path):
    exp = tmp_path / "exp"
    ended, log = train("--epochs", "1000", "--ema_decay", "0.9", moment=(moment, 4))
    assert ended == code, log
    assert "Traceback" not in log
    if moment != "step":
        assert log.splitlines()[-1] == (
            "stopped: the same command goes on from step 4, and stage 2 evaluates the best model "
            f"so far, {exp}/best_model.pth"
        )
    scores = scores_of(exp)
    assert {path.name for path in (exp / "checkpoints").iterdir()} == {*scores, "last.ckpt"}
    best = exp / "checkpoints" / min(scores, key=scores.__getitem__)
    weights = torch.load(best, weights_only=True)["state_dict"]
    written = torch.load(exp / "best_model.pth", weights_only=True)["state_dict"]
    same(dict(written), {name: weights[f"model.{name}"] for name in written})
    XUMXSliCQ.from_pretrained(str(exp / "best_model.pth"))

    ended, log = train("--epochs", "3", "--ema_decay", "0.9")
    assert (ended, last_checkpoint(exp)["global_step"]) == (0, 6)
    assert len(scores_of(exp)) == 3


@pytest.mark.slow
def test_a_training_that_is_stopped_early_says_what_there_is_not(train):
    code, log = train(moment=("interrupt", 0))
    assert code == 130
    assert log.splitlines()[-1] == (
        "stopped before the first checkpoint: the same command begins anew"
    )
    code, log = train("--checkpoint_steps", "1", moment=("interrupt", 1))
    assert code == 130
    assert log.splitlines()[-1] == (
        "stopped: the same command goes on from step 1; there is no model to evaluate before the "
        "end of an epoch"
    )


@pytest.mark.slow
def test_a_training_that_ran_out_of_time_goes_on_within_its_epoch(train, tmp_path):
    """With the weights of one that had the time, in as many steps, which a cosine ends by."""
    # Eight batches and four steps an epoch.
    options = ("--samples_per_track", "16", "--accumulate", "2", "--schedule", "none")
    options += ("--epochs", "2", "--ema_decay", "0.9", "--log_every_steps", "1")
    cut, straight = ("--exp_dir", str(tmp_path / "cut")), tmp_path / "straight"
    for step in (1, 5):  # the time is over between the two batches of the next step
        code, log = train(*options, *cut, "--max_time_s", "50", moment=("time", step))
        assert code == 0, log
        ended = last_checkpoint(tmp_path / "cut")
        assert ended["global_step"] == step + 1
        ended["callbacks"]["Timer"]["time_elapsed"]["train"] = 0.0
        torch.save(ended, tmp_path / "cut/checkpoints/last.ckpt")
    assert train(*options, *cut)[0] == 0
    assert train(*options, "--exp_dir", str(straight))[0] == 0
    ours, theirs = last_checkpoint(tmp_path / "cut"), last_checkpoint(straight)
    assert ours["global_step"] == 8
    for key in ("state_dict", "current_model_state", "optimizer_states"):
        same(ours[key], theirs[key], key)
    assert curves_of(tmp_path / "cut")["loss"] == curves_of(straight)["loss"]
    epochs = ours["loops"]["fit_loop"]["epoch_progress"]["total"]
    assert epochs == theirs["loops"]["fit_loop"]["epoch_progress"]["total"]


def test_a_time_budget_has_the_name_of_older_checkpoints():
    assert TimeBudget().state_key == Timer().state_key
