"""What a training has to do at every step so that it can be stopped at any, on any machines."""

from typing import Any

import numpy as np
import torch
from asteroid.engine.system import System
from loaders import ResumableLoader, share_of
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader


class ResumableSystem(System):
    """Asteroid's system, and what a checkpoint has to know of it. ``common_step`` is yours."""

    def validation_step(self, batch: Tensor, batch_nb: int) -> None:
        """Log the loss; processes agree on it, since rates and the end may follow from it."""
        loss = self.common_step(batch, batch_nb, train=False)
        self.log("val_loss", loss, prog_bar=True, sync_dist=True, batch_size=len(batch))

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
        """Have all that was logged so far on the disk, too."""
        if self.logger is not None and hasattr(self.logger.experiment, "flush"):
            self.logger.experiment.flush()
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
