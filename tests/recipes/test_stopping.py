"""Trainings that are stopped: the best model is there, and a sentence says how to go on."""

import pytest
import torch

from asteroid_slicq import XUMXSliCQ
from tests.helpers import RECIPES
from tests.recipes.helpers import last_checkpoint, same, scores_of, serve, trainer


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
