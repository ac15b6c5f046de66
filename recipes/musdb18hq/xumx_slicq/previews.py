"""Audio and pictures of one validation segment, for TensorBoard."""

from importlib.util import find_spec
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.plotting import plot_spectrogram


class Previews(pl.Callback):
    """What the model makes of the first validation segment, every so many epochs.

    The weights are those that are validated: averaged, where there are averages. Pictures need
    matplotlib.

    Args:
        epochs: between them.
    """

    def __init__(self, epochs: int):
        self.epochs = epochs
        self._has_truth = False

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
        model: Any = pl_module.model
        stems = batch[0].float()
        with torch.autocast(batch.device.type, enabled=False):
            estimates = model(stems.sum(0, keepdim=True))[0]
        step = trainer.global_step
        add_audio(writer, model, "estimate", estimates, step)
        add_pictures(writer, model, estimates, stems, step)
        if not self._has_truth:
            self._has_truth = True
            add_audio(writer, model, "truth", stems, step)
            add_audio(writer, model, "truth", stems.sum(0, keepdim=True), step, ["mixture"])


def add_audio(
    writer: SummaryWriter,
    model: XUMXSliCQ,
    kind: str,
    waveforms: Tensor,
    step: int,
    names: list[str] | None = None,
) -> None:
    """Add the waveforms of sources, mixed down to the one channel that TensorBoard plays.

    Shape:
        - waveforms: ``(source, channel, time)``
    """
    for name, waveform in zip(names or model.sources, waveforms, strict=True):
        mono = waveform.mean(0, keepdim=True).clamp(-1, 1).cpu()
        writer.add_audio(f"{name}/{kind}", mono, step, round(float(model.sample_rate or 0)))


def add_pictures(
    writer: SummaryWriter, model: XUMXSliCQ, estimates: Tensor, stems: Tensor, step: int
) -> None:
    """Add, for each source, the estimate above the truth, on one scale of colours.

    Shape:
        - estimates, stems: ``(source, channel, time)``
    """
    if find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    transform = model.transform
    for i, name in enumerate(model.sources):
        figure = Figure(figsize=(8, 7), layout="constrained")
        for row, (kind, waveform) in enumerate((("estimate", estimates[i]), ("truth", stems[i]))):
            ax = figure.add_subplot(2, 1, row + 1)
            with torch.autocast(waveform.device.type, enabled=False):
                blocks = [block.cpu() for block in transform(waveform)]
            plot_spectrogram(blocks, transform.frame, waveform.shape[-1], ax, reference=1.0)
            ax.set_title(f"{name}: {kind}")
        writer.add_figure(name, figure, step, close=False)
