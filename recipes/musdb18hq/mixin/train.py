"""Train MiXiN: ``python train.py --exp_dir exp/NAME --data_dir DATA [--conf quick] …``.

The same command again continues a run that was interrupted.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
import yaml
from asteroid.engine.optimizers import make_optimizer
from asteroid.utils import parse_args_as_dict, prepare_parser_from_dict
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from system import MiXiNSystem, PlainProgress
from targets import STEMS, STEMS_OF
from torch import nn
from torch.utils.data import DataLoader

from asteroid_slicq.data import EpochSampler, TrainingSegments, ValidationSegments
from asteroid_slicq.mixin import MiXiN
from asteroid_slicq.tracks import find_tracks, split_validation

CONFIGURATIONS = Path(__file__).resolve().parent / "local"
log = logging.getLogger("train")

Configuration = dict[str, dict[str, Any]]


def main(conf: Configuration) -> None:
    """Train, resume or, if nothing is left to do, only write the results again."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    exp_dir = Path(conf["main_args"]["exp_dir"])
    exp_dir.mkdir(parents=True, exist_ok=True)
    (exp_dir / "conf.yml").write_text(yaml.safe_dump(conf, sort_keys=False))
    pl.seed_everything(conf["training"]["seed"], workers=True)
    if conf["run"]["n_threads"]:
        torch.set_num_threads(conf["run"]["n_threads"])

    model = MiXiN(list(STEMS_OF), **conf["model"])
    system = make_system(conf, model)
    trainer = make_trainer(conf, exp_dir)
    resumed = exp_dir / "checkpoints" / "last.ckpt"
    if resumed.is_file():
        log.info("continuing from %s", resumed)
    trainer.fit(system, ckpt_path=resumed if resumed.is_file() else None)
    if trainer.is_global_zero:
        write_results(trainer, system, exp_dir)


def make_system(conf: Configuration, model: MiXiN) -> MiXiNSystem:
    """Data, optimizer and loss around a model; an item is a chunk of the model."""
    data, training, n_workers = conf["data"], conf["training"], conf["run"]["num_workers"]
    rate, length = cast(float, model.sample_rate), model.transform.frame.length
    tracks = find_tracks(data["data_dir"], "train", STEMS, rate)
    train_tracks, valid_tracks = split_validation(
        tracks, data["validation_fraction"], training["seed"]
    )
    train_set = TrainingSegments(
        train_tracks,
        STEMS,
        length,
        samples_per_track=data["samples_per_track"],
        random_mix=data["random_mix"],
        gain=(data["gain_min"], data["gain_max"]),
        swap_channels=0.0,
        seed=training["seed"],
    )
    valid_set = ValidationSegments(valid_tracks, STEMS, length, data["validation_segments"] or None)
    # Every process takes an equal share of the items, and needs one batch of them.
    batch_size = min(training["batch_size"], max(1, len(train_set) // n_processes(conf)))
    train_loader = DataLoader(
        train_set,
        batch_size,
        sampler=EpochSampler(len(train_set), training["seed"]),
        drop_last=True,
        num_workers=n_workers,
        persistent_workers=n_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    log.info("%d tracks to train on, %d to validate on", len(train_tracks), len(valid_tracks))
    return MiXiNSystem(
        model=model,
        optimizer=make_optimizer(model.parameters(), **conf["optim"]),
        loss_func=nn.L1Loss(),
        train_loader=train_loader,
        val_loader=DataLoader(valid_set, batch_size),
        config=conf,
    )


def n_processes(conf: Configuration) -> int:
    """How many processes will train together, as far as the settings tell before they start."""
    if "WORLD_SIZE" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    devices = str(conf["run"]["devices"])
    return int(devices) if devices.isdigit() else max(1, torch.cuda.device_count())


def make_trainer(conf: Configuration, exp_dir: Path) -> pl.Trainer:
    """Lightning's trainer with everything a run keeps."""
    training, run = conf["training"], conf["run"]
    return pl.Trainer(
        max_epochs=training["epochs"],
        accelerator=run["accelerator"],
        devices=run["devices"],
        precision=run["precision"],
        gradient_clip_val=training["gradient_clipping"] or None,
        callbacks=[
            ModelCheckpoint(
                exp_dir / "checkpoints",
                monitor="val_loss",
                mode="min",
                save_top_k=5,
                save_last=True,
            ),
            EarlyStopping("val_loss", mode="min", patience=training["patience"]),
            PlainProgress(),
        ],
        logger=TensorBoardLogger(exp_dir, name="tensorboard", version=""),
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=sys.stdout.isatty(),
        enable_model_summary=False,
    )


def write_results(trainer: pl.Trainer, system: MiXiNSystem, exp_dir: Path) -> None:
    """Write the list of the best checkpoints and, as a model of Asteroid, the very best."""
    checkpoint = trainer.checkpoint_callback
    assert isinstance(checkpoint, ModelCheckpoint)
    scores = {path: score.item() for path, score in checkpoint.best_k_models.items()}
    (exp_dir / "best_k_models.json").write_text(json.dumps(scores, indent=0))
    best = exp_dir / "checkpoints" / Path(checkpoint.best_model_path).name
    system.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
    partial = exp_dir / "best_model.partial"
    torch.save(system.cpu().model.serialize(), partial)
    partial.replace(exp_dir / "best_model.pth")
    log.info("best model: %s (val_loss %.6f)", best.name, checkpoint.best_model_score)


def load(name: str) -> Configuration:
    """Read ``conf.yml`` and, over it, another file.

    Args:
        name: ``published`` for ``conf.yml`` alone, ``quick``, or the path of a YAML file.

    Raises:
        ValueError: if there is no such file, or it has a section or key unknown to ``conf.yml``.
    """
    conf: Configuration = yaml.safe_load((CONFIGURATIONS / "conf.yml").read_text())
    if name == "published":
        return conf
    file = Path(name) if name.endswith((".yml", ".yaml")) else CONFIGURATIONS / f"{name}.yml"
    if not file.is_file():
        raise ValueError(f"conf must be published, quick or a YAML file, got {name!r}")
    for section, values in yaml.safe_load(file.read_text()).items():
        # The section of the model may add arguments of its own, which go to its constructor.
        known = values if section == "model" else conf.get(section, {})
        if unknown := set(values) - set(known):
            raise ValueError(f"{file}: unknown key(s) {sorted(unknown)} in {section!r}")
        conf[section].update(values)
    return conf


def parse(arguments: list[str] | None = None) -> Configuration:
    """Settings of a run from its command line; ``main_args`` holds what no YAML file has."""
    arguments = sys.argv[1:] if arguments is None else arguments
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--conf", default="published")
    name = first.parse_known_args(arguments)[0].conf

    parser = argparse.ArgumentParser(description="Train MiXiN on stems.")
    parser.add_argument("--conf", default="published", help="published, quick or a YAML file")
    parser.add_argument("--exp_dir", required=True, help="folder of this experiment")
    try:
        parser = prepare_parser_from_dict(load(name), parser=parser)
    except ValueError as error:
        parser.error(str(error))
    groups = cast(Configuration, parse_args_as_dict(parser, args=arguments))
    groups["main_args"].pop("help", None)
    groups.pop("positional arguments", None)
    return groups


if __name__ == "__main__":
    main(parse())
