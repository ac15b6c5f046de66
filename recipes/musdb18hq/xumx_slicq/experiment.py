"""An experiment from its start, or from its last checkpoint, to the model that is written."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from asteroid.models import BaseModel
from checkpoints import LAST, BestAndLast, write_whole
from configuration import Configuration

log = logging.getLogger("train")


def begin(conf: Configuration) -> Path:
    """Make the folder of the experiment, note its settings there, and seed all that draws."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    exp_dir = Path(conf["main_args"]["exp_dir"])
    exp_dir.mkdir(parents=True, exist_ok=True)
    write_text(exp_dir / "conf.yml", yaml.safe_dump(conf, sort_keys=False))
    pl.seed_everything(conf["training"]["seed"], workers=True)
    if conf["run"]["n_threads"]:
        torch.set_num_threads(conf["run"]["n_threads"])
    return exp_dir


def last_checkpoint(exp_dir: Path) -> Path | None:
    """Where a training goes on; None where it starts."""
    file = exp_dir / "checkpoints" / LAST
    return file if file.is_file() else None


def fit(trainer: pl.Trainer, system: pl.LightningModule, exp_dir: Path) -> None:
    """Train to the end from wherever the experiment is; at its end there is nothing left to do."""
    resumed = last_checkpoint(exp_dir)
    if resumed is not None:
        log.info("continuing from %s", resumed)
    trainer.fit(system, ckpt_path=resumed, weights_only=True)


def read_best(trainer: pl.Trainer, system: Any, exp_dir: Path) -> BaseModel:
    """Write the list of the best checkpoints; the model with the weights of the very best."""
    checkpoint = trainer.checkpoint_callback
    assert isinstance(checkpoint, BestAndLast)
    if not checkpoint.best_model_path:
        raise SystemExit("the training ended before its first step: there is no model to write")
    scores = {path: score.item() for path, score in checkpoint.best_k_models.items()}
    write_text(exp_dir / "best_k_models.json", json.dumps(scores, indent=0))
    best = exp_dir / "checkpoints" / Path(checkpoint.best_model_path).name
    system.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
    log.info("best model: %s (val_loss %.6f)", best.name, checkpoint.best_model_score)
    return system.cpu().model


def write_model(model: BaseModel, exp_dir: Path) -> None:
    """Write a model of Asteroid, as a whole."""
    write_whole(model.serialize(), exp_dir / "best_model.pth")


def write_text(file: Path, text: str) -> None:
    """Write a text file as a whole or not at all; several processes may be at it."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    partial.write_text(text)
    partial.replace(file)
