"""The system of BandSplit: its model and the loss of a batch."""

from pathlib import Path
from typing import Any

import torch
from common.configuration import Configuration
from common.named_losses import make_time_loss
from common.system import StemSystem
from torch import Tensor

from asteroid_slicq import BandSplit
from asteroid_slicq.data.datasets import TrainingSegments
from asteroid_slicq.losses import MultiResolutionLoss
from asteroid_slicq.models import PerTarget, input_statistics


class BandSplitSystem(StemSystem):
    """The system for batches of stems, whose sum is the mix.

    In mixed precision the network alone is computed with fewer bits: transforms and losses never
    are.
    """

    @staticmethod
    def make_model(conf: Configuration) -> BandSplit | PerTarget:
        """The preset; what else the section of the model holds replaces its arguments.

        With ``transforms``, frames by the names of sources, every source has its own.
        """
        changes = dict(conf["model"])
        preset, frames = changes.pop("preset"), changes.pop("transforms", None)
        if frames is None:
            return BandSplit.from_preset(preset, **changes)
        return BandSplit.per_target(frames, preset, **changes)

    @staticmethod
    def make_loss(
        conf: Configuration, model: Any, train_set: TrainingSegments, folder: Path
    ) -> MultiResolutionLoss:
        """The loss; the model's input is scaled by the statistics of the data, which it keeps."""
        if n_segments := conf["data"]["statistics_segments"]:
            pairs = [(model.network, model)] if isinstance(model, BandSplit) else model.seen()
            about = (train_set.tracks, train_set.length_samples, n_segments, folder / "statistics")
            for network, seen in pairs:
                statistics = input_statistics(seen, *about)
                network.set_input_statistics(statistics.mean, statistics.std)
        return MultiResolutionLoss(**make_time_loss(conf["loss"], model.sample_rate))

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        """The total, and the terms that the loss has."""
        all_bits = torch.autocast(batch.device.type, enabled=False)
        targets = None
        with torch.no_grad(), all_bits:
            if self.loss_func.needs_coefficients:
                # The transform is linear: the coefficients of the mix are the sum of the stems'.
                targets = self.model.transform(batch)
                mix = [block.sum(1) for block in targets]
            else:
                mix = self.model.transform(batch.sum(1))
        if isinstance(self.model, PerTarget):  # the transform is a common STFT
            estimate = self.model.estimate(batch.sum(1))
        else:
            estimate = self.model.estimate_from_coefficients(mix, batch.shape[-1])
        with all_bits:
            coefficients = (estimate.coefficients, targets) if targets else ()
            parts = self.loss_func(estimate.waveforms, batch, *coefficients)
        terms = {
            "waveform_loss": (self.loss_func.waveform_weight, parts.waveform),
            "stft_loss": (self.loss_func.stft_weight, parts.stft),
            "coefficient_loss": (self.loss_func.coefficient_weight, parts.coefficient),
            "time_loss": (self.loss_func.waveform_loss and self.loss_func.time_weight, parts.time),
        }
        return {"loss": parts.total, **{name: term for name, (w, term) in terms.items() if w}}
