"""Loaders of segments, in a seeded order, for any number of processes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from asteroid_slicq.data import Track
from asteroid_slicq.data.augmentation import Augmentation
from asteroid_slicq.data.datasets import EpochSampler, TrainingSegments, ValidationSegments
from asteroid_slicq.data.resident import ResidentSegments, ResidentSongs
from common.configuration import Configuration


class ResumableLoader(DataLoader):
    """Batches of training segments; a checkpoint holds how many of an epoch are done.

    Attributes:
        segments: that the items of the dataset are, if it is not these itself.

    Args:
        dataset: what to train on.
        batch_size: for each process.
        seed: of the order.
        **options: of ``DataLoader``.
    """

    segments: TrainingSegments | None = None

    def __init__(self, dataset: Dataset[Tensor], batch_size: int, seed: int, **options: Any):
        self.n_done = 0  # batches of the epoch; not those that workers have read ahead
        self.order = EpochSampler(len(dataset), seed)
        super().__init__(dataset, batch_size, sampler=self.order, drop_last=True, **options)

    def distribute(self, n_processes: int, rank: int, epoch: int) -> None:
        """Take one of the equal shares; workers read ahead before Lightning names the epoch."""
        self.order.n_replicas, self.order.rank = n_processes, rank
        self.order.set_epoch(epoch)

    def files_of_batch(self, number: int) -> list[str]:
        """The parts of files that a batch of the present epoch is made of, for people."""
        segments: Any = self.segments or self.dataset
        size = self.batch_size or 1
        indices = self.order.all_of_epoch()[number * size : (number + 1) * size]
        return [part for index in indices for part in segments.files_of(index)]

    def state_dict(self) -> dict[str, int]:
        """Position in the training, for Lightning's checkpoint."""
        return {"epoch": self.order.epoch, "n_done": self.n_done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from a position."""
        epoch, n_done = state["epoch"], state["n_done"]
        if n_done >= len(self):
            self.order.set_epoch(epoch + 1)
        else:
            self.order.set_epoch(epoch)
            self.order.resume(epoch, n_done * (self.batch_size or 1))


def make_datasets(
    conf: Configuration,
    train_tracks: list[Track],
    valid_tracks: list[Track],
    stems: Sequence[str],
    length_samples: int,
    sample_rate: int,
) -> tuple[TrainingSegments, ValidationSegments]:
    """Random segments to train on and fixed ones to validate on."""
    data, changes = conf["data"], conf["augmentation"]
    train_set = TrainingSegments(
        train_tracks,
        stems,
        length_samples,
        samples_per_track=data["samples_per_track"],
        random_mix=data["random_mix"],
        gain=(data["gain_min"], data["gain_max"]),
        swap_channels=data["swap_channels"],
        seed=conf["training"]["seed"],
        augmentation=Augmentation(sample_rate, **changes) if any(changes.values()) else None,
    )
    valid_set = ValidationSegments(
        valid_tracks, stems, length_samples, data["validation_segments"] or None
    )
    return train_set, valid_set


def make_loaders(
    conf: Configuration,
    train_set: TrainingSegments,
    valid_set: ValidationSegments,
    n_processes: int,
) -> tuple[ResumableLoader, DataLoader]:
    """Loaders of one process; the system tells them which it is."""
    resident = conf["data"]["resident"]
    n_workers = 0 if resident else conf["run"]["num_workers"]
    # Every process takes an equal share of the items, and needs one batch of them.
    share = max(1, len(train_set) // n_processes)
    batch_size = min(conf["training"]["batch_size"], share)
    items: Dataset[Tensor] = train_set
    if resident:
        songs = ResidentSongs(train_set.tracks, train_set.sources, _device(conf))
        items = ResidentSegments(train_set, songs)
    train_loader = ResumableLoader(
        items,
        batch_size,
        conf["training"]["seed"],
        num_workers=n_workers,
        persistent_workers=n_workers > 0,
        pin_memory=torch.cuda.is_available() and not resident,
        collate_fn=(lambda batch: batch) if resident else None,
    )
    train_loader.segments = train_set
    # Workers for the few segments of a validation would only hold memory between epochs.
    return train_loader, DataLoader(valid_set, batch_size)


def _device(conf: Configuration) -> torch.device:
    """Where this process trains."""
    on_gpu = torch.cuda.is_available() and conf["run"]["accelerator"] != "cpu"
    return torch.device("cuda" if on_gpu else "cpu")


def share_of(loader: DataLoader, n_processes: int, rank: int) -> DataLoader:
    """The loader of a process's share of a validation, in the order it has.

    All shares are of one size: where the processes do not divide the items, a few count twice.
    """
    sampler = DistributedSampler(loader.dataset, n_processes, rank, shuffle=False)
    return DataLoader(loader.dataset, loader.batch_size, sampler=sampler)
