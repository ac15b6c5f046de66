"""The best model so far, as a file that loads by itself, and the list of the best checkpoints."""

from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from asteroid_slicq.evaluation import json_text
from asteroid_slicq.files import write_text
from common.checkpoints import BestAndLast, save_whole

BEST = "best_model.pth"


class BestModel(Checkpoint):
    """Write the best model after every epoch that changes it, so that a training may end anywhere.

    It is a checkpoint to Lightning, which lets those act last, in the order they are given in.

    Args:
        exp_dir: folder of the experiment.
    """

    def __init__(self, exp_dir: Path):
        self.exp_dir = exp_dir
        self._model: Any = None
        self._scores: dict[str, float] = {}
        self._best = ""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self.write(trainer, pl_module)

    def write(self, trainer: pl.Trainer, system: Any) -> None:
        """Write the list of the best checkpoints, and the model with the weights of the very best.

        What has not changed since it was written last is not written again.
        """
        checkpoint = cast(BestAndLast, trainer.checkpoint_callback)
        scores = {path: score.item() for path, score in checkpoint.best_k_models.items()}
        if scores == self._scores or not checkpoint.best_model_path:
            return
        best = Path(checkpoint.best_model_path)
        if self._best != best.name:
            if self._model is None:  # not the one that trains, which is set up for that
                self._model = system.make_model(system.config)
            state = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
            prefix = "model."
            self._model.load_state_dict(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )
            save_whole(self._model.serialize(), self.exp_dir / BEST)
        write_text(self.exp_dir / "best_k_models.json", json_text(scores))
        self._best, self._scores = best.name, scores
