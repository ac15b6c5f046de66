"""Trainings that come upon what is not finite: they stop with a sentence, and write none of it."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import soundfile
import torch
from common.checkpoints import WithinEpochs
from common.finite import Finiteness, TrainingError
from torch.utils.data import DataLoader

from tests.helpers import RECIPES
from tests.recipes.helpers import last_checkpoint, serve, trainer

RECIPE = RECIPES / "xumx_slicq"
# The stems of the third track are finite, and their powers are not.
LOUD = 1e30

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server():
    with serve(RECIPE) as process:
        yield process


@pytest.fixture
def train(server, tmp_path):
    return trainer(server, tmp_path, "train/a", "train/b", "train/c", "train/d")


def change(folder: Path, value: float) -> None:
    for file in folder.glob("*.wav"):
        audio, rate = soundfile.read(file)
        soundfile.write(file, np.full_like(audio, value), rate, subtype="FLOAT")


def no_number_is_none(folder: Path) -> None:
    """Neither weights nor text."""
    for file in (*folder.rglob("*.ckpt"), *folder.rglob("*.pth")):
        state = torch.load(file, weights_only=True)["state_dict"]
        assert all(value.isfinite().all() for value in state.values()), file
    for file in folder.rglob("*.json"):
        text = file.read_text()
        assert all(math.isfinite(score) for score in json.loads(text).values()), text


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_stem_that_holds_nan_is_named(workers, train, tmp_path):
    for folder in (tmp_path / "data" / "train").iterdir():
        change(folder, math.nan)
    code, log = train("--num_workers", workers)
    assert code == 1
    assert "bass.wav: holds NaN or infinite samples, first at " in log
    assert "Traceback" not in log
    assert not list((tmp_path / "exp").rglob("*.pth"))


def test_a_loss_that_is_not_finite_stops_with_its_step_and_files(train, tmp_path):
    assert train()[0] == 0
    before = last_checkpoint(tmp_path / "exp")["global_step"]
    written = (tmp_path / "exp" / "best_model.pth").read_bytes()
    (loud,) = {p.parent for p in (tmp_path / "data" / "train" / "a").glob("*.wav")}
    for name in "abcd":  # whichever are not for validation
        change(loud.parent / name, LOUD)
    code, log = train("--epochs", "2")
    assert code == 1
    assert f"the loss of step {before} (epoch 1, batch 0) is " in log
    assert log.count(".wav from ") >= 4
    assert f"{loud.parent}/" in log
    assert last_checkpoint(tmp_path / "exp")["global_step"] == before
    assert (tmp_path / "exp" / "best_model.pth").read_bytes() == written
    no_number_is_none(tmp_path / "exp")


def test_a_validation_that_is_not_finite_stops(train, tmp_path):
    """The last step of an epoch spoils the weights, so that no loss of a training step tells."""
    code, log = train("--lr", "1e37", "--samples_per_track", "1", "--batch_size", "3")
    assert code == 1
    assert re.search(r"train.py: val_loss is (nan|inf) after step 1: the training stops", log)
    assert not list((tmp_path / "exp").rglob("*.ckpt"))
    no_number_is_none(tmp_path / "exp")


class Spoilt(pl.LightningModule):
    """A loss that is finite, a gradient that is not in the second step."""

    train_loader = None

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def training_step(self, batch, batch_nb):
        return self.weight.square().sum()

    def on_before_optimizer_step(self, optimizer):
        if self.trainer.global_step == 1:
            self.weight.grad[1] = math.nan

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore")  # of Lightning, about itself
def test_weights_that_are_not_finite_are_not_kept(tmp_path):
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Finiteness(), WithinEpochs(tmp_path, 1)],
        enable_checkpointing=False,
    )
    with pytest.raises(TrainingError, match="1 of the weights are not finite after step 2, weight"):
        trainer.fit(Spoilt(), DataLoader(torch.zeros(4)))
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert state["global_step"] == 1
    assert state["state_dict"]["weight"].isfinite().all()
