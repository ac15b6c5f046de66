"""Callbacks of a training: averages, schedules, early stopping and progress."""

import math
import sys
import time
from contextlib import redirect_stdout
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    Callback,
    EarlyStopping,
    Timer,
    TQDMProgressBar,
    WeightAveraging,
)
from torch import Tensor
from tqdm import tqdm


class AveragedWeights(WeightAveraging):
    """Exponential moving average of weights and batch-norm statistics.

    Buffers that never change, like the windows of a transform, stay exactly as they are: the
    average moves by a fraction of the difference, which is zero for them.

    Args:
        decay: share of the old average that a step keeps. Early on it is smaller,
            ``(1 + n) / (10 + n)`` after ``n`` steps, so that the initial weights fade quickly.
    """

    def __init__(self, decay: float):
        def average(old: list[Tensor], new: list[Tensor], n_averaged: Tensor | int) -> None:
            if not (new[0].is_floating_point() or new[0].is_complex()):
                torch._foreach_copy_(old, new)
                return
            # Tensors alone, so that a GPU is not waited for.
            n = torch.as_tensor(n_averaged)
            kept = torch.clamp((1 + n) / (10 + n), max=decay)
            change = torch._foreach_sub(new, old)
            torch._foreach_mul_(change, 1 - kept)
            torch._foreach_add_(old, change)

        super().__init__(multi_avg_fn=average)


class CosineSchedule(Callback):
    """Linear warm-up, then half a cosine down to a hundredth of the learning rate.

    The rate follows the share of the training that is over: of its steps or of its time,
    whichever is larger.

    Args:
        warmup_steps: steps of the warm-up.
        timer: its time budget; it has a duration or none.
    """

    def __init__(self, warmup_steps: int, timer: Timer):
        self.warmup_steps = warmup_steps
        self.timer = timer

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        share = max(step / trainer.estimated_stepping_batches, self._share_of_time())
        # Clocks differ between processes, and so would their weights.
        share = min(1.0, trainer.strategy.broadcast(share))
        factor = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))
        factor *= min(1.0, (step + 1) / (self.warmup_steps + 1))
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = factor * optimizer.defaults["lr"]

    def _share_of_time(self) -> float:
        remaining, elapsed = self.timer.time_remaining(), self.timer.time_elapsed()
        return 0.0 if remaining is None else elapsed / max(elapsed + remaining, 1e-9)


class TimeBudget(Timer):
    """The time that a training may take. It ends between steps, not between a step's batches."""

    @property
    def state_key(self) -> str:
        """The name in checkpoints, which is Lightning's."""
        return Timer.__qualname__

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        n_batches = batch_idx + 1
        is_last = n_batches == trainer.num_training_batches
        if is_last or n_batches % trainer.accumulate_grad_batches == 0:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


class Patience(EarlyStopping):
    """Early stopping that holds when a training which it ended is started once more.

    Args:
        epochs: without a lower ``val_loss`` before the training ends. A resumed training takes
            this number, not that of its checkpoint.
    """

    def __init__(self, epochs: int):
        super().__init__("val_loss", mode="min", patience=epochs)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**state_dict, "patience": self.patience})

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class ProgressBar(TQDMProgressBar):
    """Lightning's bar, but on the standard error: what a log is made of stays free of it."""

    def init_train_tqdm(self) -> Any:
        with redirect_stdout(sys.stderr):  # which is what the bar keeps as its file
            return super().init_train_tqdm()

    def init_validation_tqdm(self) -> Any:
        with redirect_stdout(sys.stderr):
            return super().init_validation_tqdm()


class PlainProgress(Callback):
    """A line of text now and then: readable in a file, where a progress bar is not.

    Args:
        interval_s: seconds between lines within an epoch.
    """

    def __init__(self, interval_s: float):
        self.interval_s = interval_s
        self._losses: list[Tensor] = []
        self._reset()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._reset()
        self._say(trainer, f"{trainer.num_training_batches} batches an epoch")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Tensor,
        batch_idx: int,
    ) -> None:
        self._losses.append(outputs["loss"].detach())
        elapsed = time.monotonic() - self._since
        if elapsed >= self.interval_s:
            loss = torch.stack(self._losses).mean().item()
            self._say(trainer, f"loss {loss:.5f}", f"{elapsed / len(self._losses):.3f} s a batch")
            self._reset()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {k: v for k, v in trainer.callback_metrics.items() if k.startswith("val_")}
        self._say(trainer, *(f"{name} {value:.5f}" for name, value in sorted(metrics.items())))
        self._reset()

    def _reset(self) -> None:
        self._losses = []
        self._since = time.monotonic()

    def _say(self, trainer: pl.Trainer, *facts: str) -> None:
        if not trainer.is_global_zero:
            return
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        where = f"epoch {trainer.current_epoch} step {trainer.global_step} lr {rate:.2e}"
        tqdm.write(" ".join((time.strftime("%H:%M:%S"), where, *facts)), file=sys.stdout)
        sys.stdout.flush()
