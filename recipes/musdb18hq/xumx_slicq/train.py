"""Train xumx-sliCQ: ``python train.py --exp_dir exp/NAME --data_dir DATA [--model small] …``.

The same command again continues a run that was interrupted.
"""

import quiet  # noqa: F401 - first: some of what it leaves out is said by the imports

# isort: split
import logging
from pathlib import Path
from typing import Any

import configuration
import experiment
from asteroid.engine.optimizers import make_optimizer
from loaders import make_datasets, make_loaders
from system import XUMXSystem
from torch.optim.lr_scheduler import ReduceLROnPlateau
from trainer import choose_strategy, choose_sync_batchnorm, make_trainer

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.data import Track, find_tracks, split_validation
from asteroid_slicq.data.datasets import TrainingSegments, ValidationSegments
from asteroid_slicq.losses import XUMXLoss
from asteroid_slicq.models.xumx_slicq import InputStatistics, input_statistics

log = logging.getLogger("train")


def main(conf: configuration.Configuration) -> None:
    """Train, resume or, if nothing is left to do, only write the results again."""
    exp_dir = experiment.begin(conf)
    model = make_model(conf)
    if not conf["training"]["wiener_in_training"]:
        model.wiener_iterations = 0
    train_tracks, valid_tracks = read_tracks(conf, model)
    length_samples = round(conf["data"]["segment_s"] * model.sample_rate)
    train_set, valid_set = make_datasets(
        conf, train_tracks, valid_tracks, model.sources, length_samples
    )
    statistics = read_statistics(conf, model, train_set, exp_dir)
    if statistics is not None and experiment.last_checkpoint(exp_dir) is None:
        model.set_input_statistics(statistics.mean, statistics.std)

    loss = make_loss(conf, model, statistics)
    strategy, sync_batchnorm = choose_strategy(conf, model, loss), choose_sync_batchnorm(conf)
    trainer = make_trainer(conf, exp_dir, strategy, sync_batchnorm)
    n_processes = trainer.num_devices * trainer.num_nodes
    system = make_system(conf, model, loss, train_set, valid_set, n_processes)
    log.info(
        "%d tracks to train on, %d to validate on, %d parameters",
        len(train_tracks),
        len(valid_tracks),
        sum(p.numel() for p in model.parameters() if p.requires_grad),
    )
    experiment.fit(trainer, system, exp_dir)
    if trainer.is_global_zero:
        best: Any = experiment.read_best(trainer, system, exp_dir)
        best.wiener_iterations = make_model(conf).wiener_iterations
        experiment.write_model(best, exp_dir)


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


def read_statistics(
    conf: configuration.Configuration, model: XUMXSliCQ, train_set: TrainingSegments, exp_dir: Path
) -> InputStatistics | None:
    """Statistics for the scaling of the input, computed once for all experiments of a folder."""
    n_segments = conf["data"]["statistics_segments"]
    if not n_segments:
        return None
    cache = exp_dir.parent / "statistics"
    return input_statistics(model, train_set.tracks, train_set.length_samples, n_segments, cache)


def make_loss(
    conf: configuration.Configuration, model: XUMXSliCQ, statistics: InputStatistics | None
) -> XUMXLoss:
    """The loss; with ``normalize_blocks`` each block counts relative to the power of its mix."""
    settings = dict(conf["loss"])
    if not settings.pop("normalize_blocks"):
        return XUMXLoss(**settings)
    if statistics is None:
        raise ValueError("normalize_blocks needs statistics_segments above 0")
    blocks = statistics.power.split(list(model.transform.frame.bins_per_block))
    weights = [1 / max(block.mean().item(), 1e-12) for block in blocks]
    return XUMXLoss(**settings, block_weights=weights)


def make_system(
    conf: configuration.Configuration,
    model: XUMXSliCQ,
    loss: XUMXLoss,
    train_set: TrainingSegments,
    valid_set: ValidationSegments,
    n_processes: int,
) -> XUMXSystem:
    """Loaders, optimizer and schedule around a model and its loss."""
    training = conf["training"]
    train_loader, valid_loader = make_loaders(conf, train_set, valid_set, n_processes)
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


if __name__ == "__main__":
    main(configuration.parse())
