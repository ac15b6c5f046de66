"""Settings of a training that goes on: what may differ from its checkpoint's, and what may not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from asteroid_slicq.data import Track, split_validation
from common.checkpoints import LAST
from common.configuration import Configuration

# All of a section, but for what another line says of its keys.
_MAY_CHANGE = {"main_args", "run", "augmentation", "optim"}
_KEYS_MAY_CHANGE = {
    "data": {"data_dir", "resident", "random_mix", "gain_min", "gain_max", "swap_channels"},
    "training": {
        *("epochs", "patience", "max_time_s", "gradient_clipping"),
        *("plateau_factor", "plateau_patience", "warmup_steps", "ema_decay"),
    },
}
_KEYS_STAY = {"optim": {"optimizer"}}


class Change(NamedTuple):
    """A setting that differs from that of the checkpoint."""

    section: str
    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.old} → {self.new}"

    @property
    def is_possible(self) -> bool:
        """Whether a training can go on with it."""
        if self.key == "ema_decay":  # there are averages in the checkpoint, or there are none
            return bool(self.old) == bool(self.new)
        if self.section in _MAY_CHANGE:
            return self.key not in _KEYS_STAY.get(self.section, ())
        return self.key in _KEYS_MAY_CHANGE.get(self.section, ())


class Checkpoint(NamedTuple):
    """The last checkpoint of an experiment.

    Attributes:
        path: of its file.
        step: optimiser steps that are done.
        settings: that it was made with.
        tracks: names of those that it was trained and validated on; None: it does not say.
    """

    path: Path
    step: int
    settings: Configuration
    tracks: Mapping[str, Sequence[str]] | None = None


def last_checkpoint(exp_dir: Path) -> Checkpoint | None:
    """The checkpoint from which an experiment goes on; None at its beginning.

    Raises:
        ValueError: it cannot be read.
    """
    path = exp_dir / "checkpoints" / LAST
    if not path.is_file():
        return None
    try:
        content = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
        step, settings = int(content["global_step"]), content["training_config"]
        return Checkpoint(path, step, settings, content.get("tracks"))
    except (RuntimeError, EOFError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no checkpoint of a training ({error})") from error


def changes_since(checkpoint: Checkpoint, conf: Configuration) -> list[Change]:
    """Settings that differ from those of a checkpoint, all of which the training can take over.

    Settings that the checkpoint does not know, being older than they are, do not count.

    Raises:
        ValueError: some cannot be taken over; the message names them.
    """
    changes = [
        Change(section, key, old[key], value)
        for section, values in conf.items()
        if section != "main_args"
        for old in [checkpoint.settings.get(section, {})]
        for key, value in values.items()
        if key in old and old[key] != value
    ]
    impossible = [str(change) for change in changes if not change.is_possible]
    if impossible:
        listing = "\n  ".join(impossible)
        raise ValueError(
            f"the training in {checkpoint.path.parents[1]} cannot go on with other settings "
            f"than it was begun with:\n  {listing}\n"
            "Leave them out, or begin another experiment, from these weights if you like: "
            f"--init {checkpoint.path.parents[1]}/best_model.pth"
        )
    return changes


def split_tracks(
    conf: Configuration, tracks: Sequence[Track], last: Checkpoint | None
) -> tuple[list[Track], list[Track]]:
    """Tracks to train on and to validate on; a training that goes on validates on the same ones.

    Raises:
        ValueError: some of these are gone; the message names one.
    """
    if last is None or last.tracks is None:
        return split_validation(
            tracks, conf["data"]["validation_fraction"], conf["training"]["seed"]
        )
    chosen = set(last.tracks["valid"])
    gone = sorted(chosen - {track.name for track in tracks})
    if gone:
        others = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise ValueError(
            f"{gone[0]!r}{others}, which the training in {last.path.parents[1]} is validated on, "
            f"must be in {conf['data']['data_dir']}/train: put it back, or begin another "
            "experiment, from these weights if you like: "
            f"--init {last.path.parents[1]}/best_model.pth"
        )
    return (
        [track for track in tracks if track.name not in chosen],
        [track for track in tracks if track.name in chosen],
    )


def changes_of_tracks(train_tracks: Sequence[Track], last: Checkpoint) -> list[str]:
    """Say which tracks to train on the checkpoint does not know, and which of its own are gone."""
    if last.tracks is None:
        return []
    before, now = set(last.tracks["train"]), {track.name for track in train_tracks}
    changes = []
    if more := now - before:
        changes.append(f"more to train on: {_listing(more)}; validated on the same as before")
    if gone := before - now:
        changes.append(f"no more there to train on: {_listing(gone)}")
    return changes


def _listing(names: set[str]) -> str:
    first = ", ".join(sorted(names)[:3])
    return f"{first} and {len(names) - 3} other tracks" if len(names) > 3 else first


def apply_to_optimizers(
    changes: Sequence[Change], optimizers: Sequence[torch.optim.Optimizer], schedules: Sequence[Any]
) -> None:
    """Give optimizers and plateau schedules, restored from a checkpoint, their new settings."""
    changed: Mapping[str, Any] = {change.key: change.new for change in changes}
    optim = {c.key: c.new for c in changes if c.section == "optim"}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.update({key: value for key, value in optim.items() if key in group})
    for schedule in schedules:
        for key in ("factor", "patience"):
            if f"plateau_{key}" in changed and hasattr(schedule, key):
                setattr(schedule, key, changed[f"plateau_{key}"])
