"""Lightning's trainer for one experiment, on one process or on many machines."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.environments import SLURMEnvironment
from torch import Tensor

from common.best import BestModel
from common.callbacks import (
    AveragedWeights,
    CosineSchedule,
    Patience,
    PlainProgress,
    ProgressBar,
    TimeBudget,
)
from common.checkpoints import LAST, BestAndLast, WholeFiles, WithinEpochs, steps_done
from common.configuration import Configuration
from common.finite import Finiteness
from common.loggers import make_logger
from common.previews import Previews
from common.system import StemSystem


def make_trainer(conf: Configuration, exp_dir: Path, strategy: str) -> pl.Trainer:
    """The trainer with everything a run keeps: checkpoints, logs, budget, averages.

    Args:
        conf: its settings.
        exp_dir: folder of the experiment.
        strategy: how processes work together, as Lightning names it.
    """
    training, run = conf["training"], conf["run"]
    plugins: list[Any] = [WholeFiles()]
    if SLURMEnvironment.detect():
        # Started again, the same command goes on by itself, from the checkpoint of this experiment.
        plugins.append(SLURMEnvironment(auto_requeue=False))
    last = exp_dir / "checkpoints" / LAST
    # What was logged after the checkpoint is logged again.
    purge_step = steps_done(last) if last.is_file() else 0
    bar = run["progress_bar"] and sys.stderr is not None and sys.stderr.isatty()
    return pl.Trainer(
        max_epochs=training["epochs"],
        accelerator=run["accelerator"],
        devices=run["devices"],
        num_nodes=run["num_nodes"],
        strategy=strategy,
        sync_batchnorm=choose_sync_batchnorm(conf),
        deterministic="warn" if run["deterministic"] else None,
        precision=run["precision"],
        accumulate_grad_batches=training["accumulate"],
        gradient_clip_val=training["gradient_clipping"] or None,
        callbacks=make_callbacks(conf, exp_dir, bar),
        plugins=plugins,
        default_root_dir=exp_dir,
        logger=make_logger(conf, exp_dir, purge_step),
        log_every_n_steps=run["log_every_steps"],
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=bar,
        enable_model_summary=False,
    )


def make_callbacks(conf: Configuration, exp_dir: Path, bar: bool) -> list[Callback]:
    """Callbacks in the order they act in: what keeps checkpoints comes after what it keeps."""
    training, run = conf["training"], conf["run"]
    budget = training["max_time_s"]
    timer = TimeBudget(timedelta(seconds=budget) if budget else None)
    callbacks: list[Callback] = [timer, Finiteness()]
    if training["schedule"] == "cosine":
        callbacks.append(CosineSchedule(training["warmup_steps"], timer))
    if training["ema_decay"]:
        callbacks.append(AveragedWeights(training["ema_decay"]))
    if run["preview_epochs"]:
        callbacks.append(Previews(run["preview_epochs"]))
    callbacks.append(PlainProgress(run["log_every_s"]))
    if bar:
        callbacks.append(ProgressBar())
    callbacks.append(Patience(training["patience"]))
    if run["checkpoint_steps"]:
        callbacks.append(WithinEpochs(exp_dir / "checkpoints", run["checkpoint_steps"]))
    return [*callbacks, BestAndLast(exp_dir / "checkpoints"), BestModel(exp_dir)]


def choose_strategy(conf: Configuration, system: StemSystem, batch: Tensor) -> str:
    """Lightning's own choice, unless several processes train a model of idle parameters."""
    run = conf["run"]
    if run["strategy"] != "auto" or (str(run["devices"]) == "1" and run["num_nodes"] == 1):
        return run["strategy"]
    return "ddp_find_unused_parameters_true" if idle_parameters(system, batch) else "auto"


def choose_sync_batchnorm(conf: Configuration) -> bool:
    """Share batch statistics among all processes, if asked to; only GPUs can.

    Raises:
        ValueError: without GPUs.
    """
    run = conf["run"]
    if run["sync_batchnorm"] and (run["accelerator"] == "cpu" or not torch.cuda.is_available()):
        raise ValueError("sync_batchnorm needs GPUs: torch has no SyncBatchNorm for the CPU")
    return run["sync_batchnorm"]


def idle_parameters(system: StemSystem, batch: Tensor) -> list[str]:
    """Names of the model's parameters to which the loss of a batch has no gradient.

    In evaluation mode, so that no statistics change; the model is left as it was.
    """
    named = {name: p for name, p in system.model.named_parameters() if p.requires_grad}
    modes = [(module, module.training) for module in system.modules()]
    system.eval()
    try:
        total = system.losses(batch)["loss"]
        gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    finally:
        for module, training in modes:
            module.training = training
    return [name for name, gradient in zip(named, gradients, strict=True) if gradient is None]
