"""How a separator is trained: the step, and what a checkpoint has to know of it."""

from typing import Any

import numpy as np
import torch
from asteroid.engine.system import System
from loaders import ResumableLoader, share_of
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader


class XUMXSystem(System):
    """Asteroid's system for batches of stems, whose sum is the mix.

    The transform is linear, so the coefficients of the mix are the sum of those of the stems. A
    step needs the inverse transform only where the loss compares waveforms, too. In mixed
    precision the networks alone are computed with fewer bits: transforms and losses never are.
    """

    def common_step(self, batch: Tensor, batch_nb: int, train: bool = True) -> Tensor:
        """Loss of a batch.

        Shape:
            - batch: ``(batch, source, channel, time)``
        """
        all_bits = torch.autocast(batch.device.type, enabled=False)
        with torch.no_grad(), all_bits:
            targets = self.model.transform(batch)
            mix = [block.sum(1) for block in targets]
        estimate = self.model.estimate_from_coefficients(mix)
        with all_bits:
            waveforms = ()
            if self.loss_func.needs_waveforms:
                length = batch.shape[-1]
                inverse = self.model.transform.inverse(estimate.coefficients, length=length)
                waveforms = (inverse, batch)
            parts = self.loss_func(estimate, targets, *waveforms)
        terms = {"combination_loss": parts.combination, "mask_sum_loss": parts.mask_sum}
        if waveforms:
            terms["time_loss"] = parts.time
        for name, value in terms.items():
            self._log_term(name if train else f"val_{name}", value, len(batch), train)
        return parts.total

    def _log_term(self, name: str, value: Tensor, batch_size: int, train: bool) -> None:
        self.log(
            name,
            value,
            on_step=train,
            on_epoch=not train,
            sync_dist=not train,
            batch_size=batch_size,
        )

    def validation_step(self, batch: Tensor, batch_nb: int) -> None:
        """Log the loss; processes agree on it, since learning rates may follow from it."""
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
