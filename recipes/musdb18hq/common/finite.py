"""The guard against losses and weights that are no numbers: none of them is ever written."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

_N_FILES = 16  # of a batch that are named


class TrainingError(RuntimeError):
    """A training that cannot go on; the message is for its user."""


class _Seen(NamedTuple):
    """The loss of a batch, and which batch that was."""

    loss: Tensor
    step: int
    batch: int


class Finiteness(Callback):
    """The end of a training whose loss or weights are not finite.

    On a GPU a loss is looked at while the next batch is computed, so that nothing waits for it;
    and before anything is written. It has to come before what writes.
    """

    def __init__(self) -> None:
        self._pending: _Seen | None = None
        self._step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._pending = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._step = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._look(trainer, pl_module)
        self._pending = _Seen(outputs["loss"].detach(), self._step, batch_idx)
        if self._pending.loss.device.type == "cpu":
            self._look(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = trainer.callback_metrics.get("val_loss")
        if loss is not None and not loss.isfinite():
            raise TrainingError(
                f"val_loss is {loss.item()} after step {trainer.global_step}: {_advice(trainer)}"
            )

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._look(trainer, pl_module)
        spoilt = not_finite(checkpoint["state_dict"])
        if spoilt:
            raise TrainingError(
                f"{len(spoilt)} of the weights are not finite after step {trainer.global_step}, "
                f"{spoilt[0]} first: {_advice(trainer)}"
            )

    def _look(self, trainer: pl.Trainer, system: Any) -> None:
        seen, self._pending = self._pending, None
        if seen is None or seen.loss.isfinite().all():
            return
        message = (
            f"the loss of step {seen.step} (epoch {trainer.current_epoch}, batch {seen.batch}) is "
            f"{seen.loss.item()}: {_advice(trainer)}"
        )
        describe = getattr(system.train_loader, "files_of_batch", None)
        parts = describe(seen.batch) if describe else []
        if parts:
            more = [f"… {len(parts) - _N_FILES} more"] if len(parts) > _N_FILES else []
            message = "\n  ".join((f"{message} The batch:", *parts[:_N_FILES], *more))
        raise TrainingError(message)


def not_finite(state: Mapping[str, Any]) -> list[str]:
    """Names of the tensors of a state that hold NaN or infinite numbers."""
    named = {
        name: value
        for name, value in state.items()
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())
    }
    if not named:
        return []
    finite = torch.stack([value.isfinite().all() for value in named.values()]).tolist()
    return [name for name, is_finite in zip(named, finite, strict=True) if not is_finite]


def _advice(trainer: pl.Trainer) -> str:
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    return (
        "the training stops, and its files stay as they were before. A lower --lr "
        f"(it was {rate:.2g}) or --gradient_clipping may help, or other data."
    )
