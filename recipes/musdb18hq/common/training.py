"""A training from its settings, or its last checkpoint, to the model that is written."""

import atexit
import logging
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
import yaml
from asteroid.engine.optimizers import make_optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

import common.muon  # noqa: F401  (known to make_optimizer by its name)
from asteroid_slicq.data import Track, find_tracks
from asteroid_slicq.files import write_text
from common.best import BEST, BestModel
from common.checkpoints import LAST, BestAndLast, steps_done
from common.configuration import Configuration
from common.finite import TrainingError
from common.initial import start_from
from common.loaders import make_datasets, make_loaders
from common.lock import locked
from common.resuming import (
    Checkpoint,
    changes_of_tracks,
    changes_since,
    last_checkpoint,
    split_tracks,
)
from common.system import Item, StemSystem
from common.trainer import choose_strategy, make_trainer

log = logging.getLogger("train")


def train(system_class: type[StemSystem], conf: Configuration) -> None:
    """Train, resume or, if nothing is left to do, only write the results again.

    What a user can mend is said in a sentence, in the log, too, and ends the process with 1.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        _train(system_class, conf)
    except (TrainingError, ValueError, OSError) as error:
        log.error("train.py: %s", sentence(error))
        sys.exit(1)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        end_among_others()


def end_among_others() -> None:
    """End a process that has trained with others.

    Python's own end now and then aborts on a thread that autograd still has, and Lightning takes
    the abort of one process for a failure of all.
    """
    atexit._run_exitfuncs()
    logging.shutdown()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(0)


def sentence(error: Exception) -> str:
    """What an error says, without the traceback that a worker's brings along."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    text = str(error)
    return text.strip().splitlines()[-1] if "Traceback" in text else text


def _train(system_class: type[StemSystem], conf: Configuration) -> None:
    exp_dir = Path(conf["main_args"]["exp_dir"])
    last = last_checkpoint(exp_dir)
    changes = changes_since(last, conf) if last else []
    begin(conf)
    model: Any = system_class.make_model(conf)
    item = system_class.item(conf, model)
    tracks = find_training_tracks(conf["data"]["data_dir"], item, model.sample_rate)
    train_tracks, valid_tracks = split_tracks(conf, tracks, last)
    train_set, valid_set = make_datasets(
        conf, train_tracks, valid_tracks, item.stems, item.length_samples, int(model.sample_rate)
    )
    if conf["main_args"].get("check"):
        log.info("%d tracks to train on fit the model and its settings", len(tracks))
        return
    is_of_recipe = exp_dir.resolve().parent == Path("exp").resolve()
    shared = exp_dir.parent if is_of_recipe else exp_dir
    loss = system_class.make_loss(conf, model, train_set, shared)
    if conf["training"]["init"] and not last:
        start_from(model, conf["training"]["init"])
        log.info("starting from the weights of %s", conf["training"]["init"])
    optimizer = make_optimizer(model.parameters(), **conf["optim"])
    schedule = make_schedule(conf, optimizer)
    system = system_class(model, optimizer, loss, None, None, schedule, conf)
    system.changes = changes
    system.tracks = {
        "train": [track.name for track in train_tracks],
        "valid": [track.name for track in valid_tracks],
    }
    trainer = make_trainer(conf, exp_dir, choose_strategy(conf, system, valid_set[0][None]))
    system.train_loader, system.val_loader = make_loaders(
        conf, train_set, valid_set, trainer.num_devices * trainer.num_nodes
    )
    log.info(
        "%d tracks to train on, %d to validate on, %d parameters",
        len(train_tracks),
        len(valid_tracks),
        sum(p.numel() for p in model.parameters() if p.requires_grad),
    )
    if last:
        log.info("continuing from %s", last.path)
        for change in (*changes, *changes_of_tracks(train_tracks, last)):
            log.info("from step %d on, %s", last.step, change)
    with locked(exp_dir) if trainer.is_global_zero else nullcontext():
        if trainer.is_global_zero:
            note_settings(conf, exp_dir, last if changes else None)
        try:
            trainer.fit(system, ckpt_path=last.path if last else None, weights_only=True)
        except SystemExit:  # by which Lightning ends on Ctrl-C and on SIGTERM
            if trainer.is_global_zero:
                log.info("%s", stopped(exp_dir))
            number = signal.SIGTERM if trainer.received_sigterm else signal.SIGINT
            sys.exit(128 + number)
        if trainer.is_global_zero:
            write_best(trainer, system)


def find_training_tracks(root: str, item: Item, sample_rate: float) -> list[Track]:
    """The tracks of the folder ``train``.

    Raises:
        FileNotFoundError: there are none.
        ValueError: a file cannot be used; the message names all of them, and what to do.
    """
    try:
        return find_tracks(root, "train", item.stems, sample_rate, item.n_channels)
    except ValueError as error:
        if "sample rate is" not in str(error):
            raise
        raise ValueError(
            f"{error}\nThe model works at {sample_rate:g} Hz: resample the files, or set another "
            "sample_rate in the section `model` of a YAML file"
        ) from None


def begin(conf: Configuration) -> None:
    """Seed all that draws, and set the number of threads."""
    pl.seed_everything(conf["training"]["seed"], workers=True)
    if conf["run"]["n_threads"]:
        torch.set_num_threads(conf["run"]["n_threads"])


def note_settings(conf: Configuration, exp_dir: Path, before: Checkpoint | None) -> None:
    """Write ``conf.yml``, and clear away what a killed training left.

    Args:
        conf: settings of the training.
        exp_dir: folder of the experiment, which is made.
        before: the checkpoint that had others, which are kept beside them.
    """
    for left_by_a_kill in exp_dir.glob("checkpoints/.*.part"):
        left_by_a_kill.unlink(missing_ok=True)
    settings = {"conf.yml": conf}
    if before:
        settings[f"conf_until_step_{before.step}.yml"] = before.settings
    for name, content in settings.items():
        write_text(exp_dir / name, yaml.safe_dump(content, sort_keys=False))


def make_schedule(
    conf: Configuration, optimizer: torch.optim.Optimizer
) -> ReduceLROnPlateau | None:
    """Make the schedule of the learning rate; a cosine is a callback of the trainer."""
    training = conf["training"]
    if training["schedule"] == "plateau":
        return ReduceLROnPlateau(
            optimizer, factor=training["plateau_factor"], patience=training["plateau_patience"]
        )
    if training["schedule"] not in ("none", "cosine"):
        raise ValueError(f"schedule must be none, plateau or cosine, got {training['schedule']!r}")
    return None


def write_best(trainer: pl.Trainer, system: StemSystem) -> None:
    """Write the best model and its list, unless they were after the last epoch, and name it."""
    checkpoint = cast(BestAndLast, trainer.checkpoint_callback)
    if not checkpoint.best_model_path:
        raise SystemExit("there is no model to write: no checkpoint of the best epochs is there")
    best = next(c for c in trainer.checkpoint_callbacks if isinstance(c, BestModel))
    best.write(trainer, system)
    name = Path(checkpoint.best_model_path).name
    log.info("best model: %s (val_loss %.6f)", name, checkpoint.best_model_score)


def stopped(exp_dir: Path) -> str:
    """What is there, and what goes on from it, once a training was stopped."""
    last = exp_dir / "checkpoints" / LAST
    if not last.is_file():
        return "stopped before the first checkpoint: the same command begins anew"
    goes_on = f"stopped: the same command goes on from step {steps_done(last)}"
    if not (exp_dir / BEST).is_file():
        return f"{goes_on}; there is no model to evaluate before the end of an epoch"
    return f"{goes_on}, and stage 2 evaluates the best model so far, {exp_dir / BEST}"
