"""Checkpoints from which a training resumes after a kill at any moment."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from asteroid_slicq.files import whole_file

LAST = "last.ckpt"


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that are there as a whole or not at all.

    Lightning itself collects a checkpoint in memory and moves it in from the folder of temporary
    files. Where that lies on another disk, moving is copying, and a kill leaves half a file.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write beside the final place, wait for the disk, and rename."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save_whole(checkpoint, Path(path))


def save_whole(content: Any, file: Path) -> None:
    """``torch.save`` that never leaves half a file under its name."""
    with whole_file(file, durable=True) as partial, partial.open("wb") as opened:
        torch.save(content, opened)  # not to a path: its name would be in the bytes


class BestAndLast(ModelCheckpoint):
    """The five best epochs by ``val_loss``, and the last one, under names that do not change.

    An epoch that is made a second time, since a kill came between its checkpoint and that of the
    last, writes over the first one's file.
    """

    def __init__(self, folder: Path):
        super().__init__(
            folder,
            monitor="val_loss",
            mode="min",
            save_top_k=5,
            save_last=True,
            enable_version_counter=False,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what is there under the names of the state, wherever the folder lay then.

        Lightning forgets the scores of checkpoints whose folder has moved.
        """
        folder = Path(self.dirpath or "")
        best = {str(folder / Path(path).name): s for path, s in state_dict["best_k_models"].items()}
        best = {path: score for path, score in best.items() if Path(path).is_file()}
        state = {**state_dict, "dirpath": self.dirpath, "best_k_models": best}
        state["best_model_path"] = min(best, key=best.__getitem__, default="")
        state["best_model_score"] = best.get(state["best_model_path"])
        if len(best) == self.save_top_k:
            state["kth_best_model_path"] = max(best, key=best.__getitem__)
            state["kth_value"] = best[state["kth_best_model_path"]]
        else:
            state.update(kth_best_model_path=self.kth_best_model_path, kth_value=self.kth_value)
        if state["last_model_path"]:
            state["last_model_path"] = str(folder / Path(state["last_model_path"]).name)
        super().load_state_dict(state)


class WithinEpochs(Callback):
    """Also keep the last checkpoint every so many steps, for epochs that take long.

    Args:
        folder: of the checkpoints.
        n_steps: steps between them.
    """

    def __init__(self, folder: Path, n_steps: int):
        self.folder = folder
        self.n_steps = n_steps
        self._step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        # Not between batches that add up to one step, whose gradients would be lost.
        stepped, self._step = trainer.global_step != self._step, trainer.global_step
        is_last = batch_idx + 1 == trainer.num_training_batches  # which the epoch's own follows
        if stepped and self._step % self.n_steps == 0 and not is_last:
            trainer.save_checkpoint(self.folder / LAST)


def steps_done(checkpoint: Path) -> int:
    """Optimiser steps of the training that a checkpoint holds."""
    return int(torch.load(checkpoint, weights_only=True, mmap=True)["global_step"])
