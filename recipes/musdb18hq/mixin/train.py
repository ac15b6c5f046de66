"""Train MiXiN: ``python train.py --exp_dir exp/NAME --data_dir DATA [--conf quick] …``.

The same command again continues a run that was interrupted.
"""

import shared  # noqa: F401 - first: it says where the modules of all recipes are

# isort: split
import logging
from pathlib import Path
from typing import cast

import experiment
from asteroid.engine.optimizers import make_optimizer
from configuration import Configuration, Variants
from loaders import make_datasets, make_loaders
from system import MiXiNSystem
from targets import STEMS, STEMS_OF
from torch import nn
from trainer import make_trainer

from asteroid_slicq.data import find_tracks, split_validation
from asteroid_slicq.models.mixin import MiXiN

MIXIN = Variants(Path(__file__).resolve().parent / "local", base="published", option="conf")

log = logging.getLogger("train")


def main(conf: Configuration) -> None:
    """Train, resume or, if nothing is left to do, only write the results again."""
    exp_dir = experiment.begin(conf)
    model = MiXiN(list(STEMS_OF), **conf["model"])
    trainer = make_trainer(conf, exp_dir, conf["run"]["strategy"])
    system = make_system(conf, model, trainer.num_devices * trainer.num_nodes)
    experiment.fit(trainer, system, exp_dir)
    if trainer.is_global_zero:
        experiment.write_model(experiment.read_best(trainer, system, exp_dir), exp_dir)


def make_system(conf: Configuration, model: MiXiN, n_processes: int) -> MiXiNSystem:
    """Data, optimizer and loss around a model; an item is a chunk of the model."""
    data, training = conf["data"], conf["training"]
    rate, length_samples = cast(float, model.sample_rate), model.transform.frame.length
    tracks = find_tracks(data["data_dir"], "train", STEMS, rate)
    train_tracks, valid_tracks = split_validation(
        tracks, data["validation_fraction"], training["seed"]
    )
    log.info("%d tracks to train on, %d to validate on", len(train_tracks), len(valid_tracks))
    sets = make_datasets(conf, train_tracks, valid_tracks, STEMS, length_samples)
    train_loader, valid_loader = make_loaders(conf, *sets, n_processes)
    return MiXiNSystem(
        model=model,
        optimizer=make_optimizer(model.parameters(), **conf["optim"]),
        loss_func=nn.L1Loss(),
        train_loader=train_loader,
        val_loader=valid_loader,
        config=conf,
    )


def parse(arguments: list[str] | None = None) -> Configuration:
    """Settings of a run from its command line."""
    return MIXIN.parse(arguments, "Train MiXiN on stems.")


if __name__ == "__main__":
    main(parse())
