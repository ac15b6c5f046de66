"""Audio and pictures of one validation segment, for TensorBoard."""

from importlib.util import find_spec
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from asteroid_slicq.plotting import drawing_transform, plot_spectrogram


class Previews(pl.Callback):
    """Estimates of the first validation segment, every so many epochs.

    The weights are those that are validated: averaged, where there are averages. Pictures need
    matplotlib.

    Args:
        epochs: between them.
    """

    def __init__(self, epochs: int):
        self.epochs = epochs
        self._has_references = False

    def state_dict(self) -> dict[str, Any]:
        """Whether the references are there, for Lightning's checkpoint."""
        return {"has_references": self._has_references}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from there."""
        self._has_references = state_dict["has_references"]

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Tensor,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        due = (trainer.current_epoch + 1) % self.epochs == 0
        if not (due and batch_idx == 0 and trainer.is_global_zero):
            return
        writer: Any = trainer.logger.experiment if trainer.logger else None
        if not isinstance(writer, SummaryWriter):
            return
        system: Any = pl_module
        references = system.references(batch[:1].float())
        # The last step that is done: what has the number of the next one is hidden by TensorBoard
        # once a training goes on from there.
        rate, step = float(system.model.sample_rate), max(trainer.global_step - 1, 0)
        with torch.autocast(batch.device.type, enabled=False):
            estimates = system.model(references.sum(1))[0].cpu()
            references = references[0].cpu()
            for name, *pair in zip(system.model.sources, estimates, references, strict=True):
                add_audio(writer, f"{name}/estimate", pair[0], rate, step)
                if not self._has_references:
                    add_audio(writer, f"{name}/reference", pair[1], rate, step)
                if find_spec("matplotlib"):
                    add_picture(writer, name, pair, rate, step)
        if not self._has_references:
            add_audio(writer, "mixture/reference", references.sum(0), rate, step)
        self._has_references = True


def add_audio(writer: SummaryWriter, tag: str, waveform: Tensor, rate: float, step: int) -> None:
    """Add a waveform, mixed down to the one channel that TensorBoard plays.

    Shape:
        - waveform: ``(channel, time)``
    """
    writer.add_audio(tag, waveform.mean(0, keepdim=True).clamp(-1, 1), step, round(rate))


def add_picture(
    writer: SummaryWriter, name: str, pair: list[Tensor], rate: float, step: int
) -> None:
    """Add the estimate of a source above its reference, on one scale of colours.

    Shape:
        - pair: ``(channel, time)`` each
    """
    from matplotlib.figure import Figure

    transform = drawing_transform(rate)
    figure = Figure(figsize=(8, 7), layout="constrained")
    for ax, what, waveform in zip(figure.subplots(2), ("estimate", "reference"), pair, strict=True):
        length = waveform.shape[-1]
        plot_spectrogram(transform(waveform), transform.frame, length, ax, reference=1.0)
        ax.set_title(f"{name}: {what}")
    writer.add_figure(name, figure, step, close=False)
