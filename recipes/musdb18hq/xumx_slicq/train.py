"""Train xumx-sliCQ: ``python train.py --exp_dir exp/NAME --data_dir DATA [--model small] …``.

The same command again continues a run that was interrupted.
"""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import configuration
import pytorch_lightning as pl
import torch
import yaml
from asteroid.engine.optimizers import make_optimizer
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer
from pytorch_lightning.loggers import TensorBoardLogger
from system import AveragedWeights, CosineSchedule, PlainProgress, XUMXSystem
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.data import EpochSampler, TrainingSegments, ValidationSegments
from asteroid_slicq.losses import XUMXLoss
from asteroid_slicq.tracks import Track, find_tracks, split_validation

log = logging.getLogger("train")


def main(conf: configuration.Configuration) -> None:
    """Train, resume or, if nothing is left to do, only write the results again."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    exp_dir = Path(conf["main_args"]["exp_dir"])
    exp_dir.mkdir(parents=True, exist_ok=True)
    (exp_dir / "conf.yml").write_text(yaml.safe_dump(conf, sort_keys=False))
    pl.seed_everything(conf["training"]["seed"], workers=True)
    if conf["run"]["n_threads"]:
        torch.set_num_threads(conf["run"]["n_threads"])

    model = make_model(conf)
    if not conf["training"]["wiener_in_training"]:
        model.wiener_iterations = 0
    train_tracks, valid_tracks = read_tracks(conf, model)
    train_set, valid_set = make_datasets(conf, model, train_tracks, valid_tracks)
    resumed = exp_dir / "checkpoints" / "last.ckpt"
    statistics = input_statistics(conf, model, train_tracks, exp_dir)
    if statistics is not None and not resumed.is_file():
        model.set_input_statistics(statistics["mean"], statistics["std"])

    loss = make_loss(conf, model, statistics)
    system = make_system(conf, model, loss, train_set, valid_set)
    trainer = make_trainer(conf, exp_dir)
    log.info(
        "%d tracks to train on, %d to validate on, %d parameters",
        len(train_tracks),
        len(valid_tracks),
        sum(p.numel() for p in model.parameters() if p.requires_grad),
    )
    if resumed.is_file():
        log.info("continuing from %s", resumed)
    trainer.fit(system, ckpt_path=resumed if resumed.is_file() else None)
    if trainer.is_global_zero:
        write_results(conf, trainer, system, exp_dir)


def make_model(conf: configuration.Configuration) -> XUMXSliCQ:
    """The preset, with whatever else the section of the model holds in place of its arguments."""
    changes = {key: value for key, value in conf["model"].items() if key != "preset"}
    return XUMXSliCQ.from_preset(conf["model"]["preset"], **changes)


def read_tracks(
    conf: configuration.Configuration, model: XUMXSliCQ
) -> tuple[list[Track], list[Track]]:
    """The tracks of the train folder, divided into those to train and to validate on."""
    tracks = find_tracks(
        conf["data"]["data_dir"], "train", model.sources, model.sample_rate, model.n_channels
    )
    return split_validation(tracks, conf["data"]["validation_fraction"], conf["training"]["seed"])


def make_datasets(
    conf: configuration.Configuration,
    model: XUMXSliCQ,
    train_tracks: list[Track],
    valid_tracks: list[Track],
) -> tuple[TrainingSegments, ValidationSegments]:
    """Random segments to train on and fixed ones to validate on."""
    data = conf["data"]
    length_samples = round(data["segment_s"] * model.sample_rate)
    train_set = TrainingSegments(
        train_tracks,
        model.sources,
        length_samples,
        samples_per_track=data["samples_per_track"],
        random_mix=data["random_mix"],
        gain=(data["gain_min"], data["gain_max"]),
        swap_channels=data["swap_channels"],
        seed=conf["training"]["seed"],
    )
    valid_set = ValidationSegments(
        valid_tracks, model.sources, length_samples, data["validation_segments"] or None
    )
    return train_set, valid_set


def input_statistics(
    conf: configuration.Configuration, model: XUMXSliCQ, tracks: list[Track], exp_dir: Path
) -> dict[str, Tensor] | None:
    """Mean and standard deviation of the magnitudes of each bin, computed once for a data set."""
    data = conf["data"]
    if not data["statistics_segments"]:
        return None
    length_samples = round(data["segment_s"] * model.sample_rate)
    segments = ValidationSegments(
        tracks, model.sources, length_samples, data["statistics_segments"]
    )
    facts = [
        model.transform.config,
        length_samples,
        [(t.name, t.length_samples) for t in tracks],
        segments.segments,
    ]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    file = exp_dir.parent / "statistics" / f"{key[:16]}.pth"
    if file.is_file():
        statistics = torch.load(file, weights_only=True)
    else:
        log.info("input statistics of %d segments → %s", len(segments), file)
        mixes = (batch.sum(1) for batch in DataLoader(segments, batch_size=8))
        mean, std = magnitude_statistics(model, mixes)
        statistics = {"mean": mean, "std": std}
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")  # several processes may be at it
        torch.save(statistics, partial)
        partial.replace(file)
    return statistics


def make_loss(
    conf: configuration.Configuration, model: XUMXSliCQ, statistics: dict[str, Tensor] | None
) -> XUMXLoss:
    """The loss; with ``normalize_blocks`` each block counts relative to the power of its mix."""
    settings = dict(conf["loss"])
    if not settings.pop("normalize_blocks"):
        return XUMXLoss(**settings)
    if statistics is None:
        raise ValueError("normalize_blocks needs statistics_segments above 0")
    power = statistics["mean"].square() + statistics["std"].square()
    blocks = power.split(list(model.transform.frame.bins_per_block))
    weights = [1 / max(block.mean().item(), 1e-12) for block in blocks]
    return XUMXLoss(**settings, block_weights=weights)


@torch.no_grad()
def magnitude_statistics(model: XUMXSliCQ, mixes: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the magnitudes of each frequency bin, low to high.

    Shape:
        - mixes: each ``(batch, channel, time)``
        - output: ``(n_bins,)``, twice
    """
    first, second, count = torch.zeros(()), torch.zeros(()), 0
    for mix in mixes:
        magnitudes = [block.abs().double() for block in model.transform(mix)]
        # Blocks are (batch, channel, freq, slice, time). All bins must count the same slices,
        # so that their averages within a batch may be averaged over batches.
        first = first + len(mix) * torch.cat([m.mean((0, 1, 3, 4)) for m in magnitudes])
        second = second + len(mix) * torch.cat([m.square().mean((0, 1, 3, 4)) for m in magnitudes])
        count += len(mix)
    mean = first / count
    return mean.float(), (second / count - mean.square()).clamp(min=0).sqrt().float()


def make_system(
    conf: configuration.Configuration,
    model: XUMXSliCQ,
    loss: XUMXLoss,
    train_set: TrainingSegments,
    valid_set: ValidationSegments,
) -> XUMXSystem:
    """Loaders, optimizer and schedule around a model and its loss."""
    training, n_workers = conf["training"], conf["run"]["num_workers"]
    loading: dict[str, Any] = {
        "num_workers": n_workers,
        "persistent_workers": n_workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }
    # Every process takes an equal share of the items, and needs one batch of them.
    share = max(1, len(train_set) // n_processes(conf))
    batch_size = min(training["batch_size"], share)
    train_loader = DataLoader(
        train_set,
        batch_size,
        sampler=EpochSampler(len(train_set), training["seed"]),
        drop_last=True,
        **loading,
    )
    # Workers for the few segments of a validation would only hold memory between epochs.
    valid_loader = DataLoader(valid_set, batch_size)
    optimizer = make_optimizer(model.parameters(), **conf["optim"])
    scheduler = None
    if training["schedule"] == "plateau":
        scheduler = ReduceLROnPlateau(
            optimizer, factor=training["plateau_factor"], patience=training["plateau_patience"]
        )
    elif training["schedule"] != "cosine":
        raise ValueError(f"schedule must be plateau or cosine, got {training['schedule']!r}")
    return XUMXSystem(
        model=model,
        optimizer=optimizer,
        loss_func=loss,
        train_loader=train_loader,
        val_loader=valid_loader,
        scheduler=scheduler,
        config=conf,
    )


def n_processes(conf: configuration.Configuration) -> int:
    """How many processes will train together, as far as the settings tell before they start."""
    devices = conf["run"]["devices"]
    if "WORLD_SIZE" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    if str(devices).isdigit():
        return int(devices)
    return max(1, torch.cuda.device_count())


def make_trainer(conf: configuration.Configuration, exp_dir: Path) -> pl.Trainer:
    """Lightning's trainer with everything a run keeps: checkpoints, logs, budget, averages."""
    training, run = conf["training"], conf["run"]
    budget = training["max_time_s"]
    timer = Timer(timedelta(seconds=budget) if budget else None)
    callbacks: list[Callback] = [
        timer,
        ModelCheckpoint(
            exp_dir / "checkpoints", monitor="val_loss", mode="min", save_top_k=5, save_last=True
        ),
        EarlyStopping("val_loss", mode="min", patience=training["patience"]),
        PlainProgress(run["log_every_s"]),
    ]
    if training["schedule"] == "cosine":
        callbacks.append(CosineSchedule(training["warmup_steps"], timer))
    if training["ema_decay"]:
        callbacks.append(AveragedWeights(training["ema_decay"]))
    return pl.Trainer(
        max_epochs=training["epochs"],
        accelerator=run["accelerator"],
        devices=run["devices"],
        precision=run["precision"],
        accumulate_grad_batches=training["accumulate"],
        gradient_clip_val=training["gradient_clipping"] or None,
        callbacks=callbacks,
        logger=TensorBoardLogger(exp_dir, name="tensorboard", version=""),
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=sys.stdout.isatty(),
        enable_model_summary=False,
    )


def write_results(
    conf: configuration.Configuration, trainer: pl.Trainer, system: XUMXSystem, exp_dir: Path
) -> None:
    """Write the list of the best checkpoints and, as a model of Asteroid, the very best."""
    checkpoint = trainer.checkpoint_callback
    assert isinstance(checkpoint, ModelCheckpoint)
    scores = {path: score.item() for path, score in checkpoint.best_k_models.items()}
    (exp_dir / "best_k_models.json").write_text(json.dumps(scores, indent=0))
    best = exp_dir / "checkpoints" / Path(checkpoint.best_model_path).name
    system.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
    system.cpu()
    system.model.wiener_iterations = make_model(conf).wiener_iterations
    partial = exp_dir / "best_model.partial"
    torch.save(system.model.serialize(), partial)
    partial.replace(exp_dir / "best_model.pth")
    log.info("best model: %s (val_loss %.5f)", best.name, checkpoint.best_model_score)


if __name__ == "__main__":
    main(configuration.parse())
