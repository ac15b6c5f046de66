"""The system of a recipe: a model and its loss in a training that may stop at any step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from asteroid.engine.system import System
from asteroid.models import BaseModel
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader

from asteroid_slicq.data.datasets import TrainingSegments
from common.configuration import Configuration
from common.graphs import capture
from common.loaders import ResumableLoader, share_of
from common.resuming import Change, apply_to_optimizers


class Item(NamedTuple):
    """The contents of an item of a batch.

    Attributes:
        stems: names of the files to read, in the order in which a batch has them.
        length_samples: of each.
        n_channels: that every file must have; None accepts any number.
    """

    stems: list[str]
    length_samples: int
    n_channels: int | None


class StemSystem(System):
    """Asteroid's system for batches of stems, and what a checkpoint has to know of it.

    A recipe derives from it and says what is its own: :meth:`make_model`, :meth:`make_loss` and
    :meth:`losses`; where the stems are not the sources, also :meth:`item` and :meth:`references`.
    """

    _graph: Any = None
    #: Settings that differ from those of the checkpoint that a training goes on from.
    changes: Sequence[Change] = ()
    #: Names of the tracks to train on and to validate on, ``train`` and ``valid``.
    tracks: Mapping[str, Sequence[str]] | None = None

    @staticmethod
    def make_model(conf: Configuration) -> BaseModel:
        """Make the model that is written in the end, with random weights."""
        raise NotImplementedError

    @staticmethod
    def make_loss(
        conf: Configuration, model: Any, train_set: TrainingSegments, folder: Path
    ) -> nn.Module:
        """Make the loss; the model may be set up for its training, too.

        Args:
            conf: settings of the training.
            model: about to be trained.
            train_set: on these segments.
            folder: for what all experiments of a recipe share; where an experiment lies elsewhere,
                its own.
        """
        raise NotImplementedError

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute ``loss``, which is minimised, and by other names what is only logged.

        Shape:
            - batch: ``(batch, stem, channel, time)``
        """
        raise NotImplementedError

    @staticmethod
    def item(conf: Configuration, model: Any) -> Item:
        """Describe the items of a batch: all sources of the model, in segments of ``segment_s``."""
        length_samples = round(conf["data"]["segment_s"] * model.sample_rate)
        return Item(model.sources, length_samples, model.n_channels)

    def references(self, batch: Tensor) -> Tensor:
        """Turn stems into the sources of the model."""
        return batch

    def common_step(self, batch: Tensor, batch_nb: int, train: bool = True) -> Tensor:
        """Loss of a batch; its terms go to the logs."""
        terms = self._graph(batch) if train and self._captures(batch) else self.losses(batch)
        total = terms.pop("loss")
        options: dict[str, Any] = {"on_step": train, "on_epoch": not train, "sync_dist": not train}
        for name, value in terms.items():
            self.log(name if train else f"val_{name}", value, batch_size=len(batch), **options)
        return total

    def _captures(self, batch: Tensor) -> bool:
        """Whether this batch is replayed as a CUDA graph, which the first batch is captured in."""
        run = self.config.get("run", {})
        possible = (
            batch.device.type == "cuda"
            and self.trainer.world_size == 1
            and run.get("cuda_graphs")
            and run.get("precision") in ("32-true", "bf16-mixed")
        )
        if possible and self._graph is None:
            self._graph = capture(self.model, self.losses, batch)
        return bool(possible and self._graph.shape == batch.shape)

    def validation_step(self, batch: Tensor, batch_nb: int) -> None:
        """Log the loss; processes agree on it, since rates and the end may follow from it."""
        loss = self.common_step(batch, batch_nb, train=False)
        self.log("val_loss", loss, prog_bar=True, sync_dist=True, batch_size=len(batch))

    def on_train_start(self) -> None:
        """Give what was restored from a checkpoint the settings that have changed since."""
        schedules = [entry.scheduler for entry in self.trainer.lr_scheduler_configs]
        apply_to_optimizers(self.changes, self.trainer.optimizers, schedules)

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        """Make what a step draws (for dropout) a function of the seed and the step alone."""
        if isinstance(self.train_loader, ResumableLoader):
            self.train_loader.n_done = batch_idx + 1  # when the next checkpoint is written
        seed = self.config.get("training", {}).get("seed", 0)
        place = [seed, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def on_validation_epoch_end(self) -> None:
        """Step the plateau schedule before the checkpoint of the epoch is written.

        Lightning does it after, so that a training that goes on from there has missed a step.
        """
        super().on_validation_epoch_end()
        if self.trainer.sanity_checking:
            return
        for schedule in self.trainer.lr_scheduler_configs:
            if isinstance(schedule.scheduler, ReduceLROnPlateau):
                schedule.scheduler.step(self.trainer.callback_metrics[self.default_monitor])

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Leave plateau schedules alone, see ``on_validation_epoch_end``."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Have all that was logged so far on the disk, too, and count whole epochs alone."""
        if self.logger is not None:
            flush = getattr(self.logger.experiment, "flush", self.logger.save)
            flush()
        # To Lightning an epoch that ran out of time is over; a training that goes on has its rest.
        n_batches = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]
        if n_batches < self.trainer.num_training_batches:
            for counts in (epochs["total"], epochs["current"]):
                counts["processed"] = min(counts["processed"], counts["started"] - 1)
        checkpoint["tracks"] = self.tracks
        return super().on_save_checkpoint(checkpoint)

    def train_dataloader(self) -> DataLoader:
        """The training loader, told which process of how many this is."""
        if isinstance(self.train_loader, ResumableLoader):
            epoch = self.trainer.fit_loop.epoch_progress.current.processed
            self.train_loader.distribute(self.trainer.world_size, self.trainer.global_rank, epoch)
        return self.train_loader

    def val_dataloader(self) -> DataLoader | None:
        """The validation loader, of this process's share."""
        if self.val_loader is None or self.trainer.world_size == 1:
            return self.val_loader
        return share_of(self.val_loader, self.trainer.world_size, self.trainer.global_rank)
