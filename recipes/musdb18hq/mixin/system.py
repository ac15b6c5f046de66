"""How MiXiN is trained: one step, and a line for people now and then."""

import time

import pytorch_lightning as pl
from asteroid.engine.system import System
from pytorch_lightning.callbacks import Callback
from targets import targets_of
from torch import Tensor
from torch.utils.data import DataLoader

from asteroid_slicq.data import EpochSampler


class MiXiNSystem(System):
    """Asteroid's system for batches of stems, each as long as a chunk.

    Each network is compared with the magnitudes of its own source only, so the three are trained
    together as they would be alone. As the transform is linear, the coefficients of the mix are the
    sum of those of the sources.
    """

    def common_step(self, batch: Tensor, batch_nb: int, train: bool = True) -> Tensor:
        """Mean absolute error of the magnitudes.

        Shape:
            - batch: ``(batch, stem, channel, time)``, mixed down to mono as the published data were
        """
        coefficients = self.model.analyse(targets_of(batch.mean(-2, keepdim=True)))
        estimate = self.model.estimate_from_coefficients(coefficients.sum(1))
        return self.loss_func(estimate.magnitudes, coefficients.abs())

    def validation_step(self, batch: Tensor, batch_nb: int) -> None:
        """Log the loss; processes agree on it, since the end of the training follows from it."""
        loss = self.common_step(batch, batch_nb, train=False)
        self.log("val_loss", loss, on_epoch=True, prog_bar=True, sync_dist=True)

    def train_dataloader(self) -> DataLoader:
        """The training loader, its sampler told which process of how many this is."""
        sampler = self.train_loader.sampler
        if isinstance(sampler, EpochSampler):
            sampler.n_replicas, sampler.rank = self.trainer.world_size, self.trainer.global_rank
        return self.train_loader


class PlainProgress(Callback):
    """A line after every epoch, readable in a file."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            metrics = {
                k: v for k, v in trainer.callback_metrics.items() if k in ("loss", "val_loss")
            }
            facts = (f"{name} {value:.6f}" for name, value in sorted(metrics.items()))
            print(
                time.strftime("%H:%M:%S"),
                f"epoch {trainer.current_epoch} step {trainer.global_step}",
                *facts,
                flush=True,
            )
