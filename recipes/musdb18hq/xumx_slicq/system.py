"""The system of xumx-sliCQ: its model and the loss of a batch."""

from pathlib import Path
from typing import Any

import torch
from common.configuration import Configuration
from common.named_losses import make_time_loss
from common.system import StemSystem
from torch import Tensor

from asteroid_slicq import XUMXSliCQ
from asteroid_slicq.data.datasets import TrainingSegments
from asteroid_slicq.losses import MultiResolutionLoss, XUMXLoss
from asteroid_slicq.models import PerTarget, input_statistics


class XUMXSystem(StemSystem):
    """The system for batches of stems, whose sum is the mix.

    The transform is linear, so the coefficients of the mix are the sum of those of the stems. A
    step needs the inverse transform only where the loss compares waveforms, too. In mixed
    precision the networks alone are computed with fewer bits: transforms and losses never are.
    """

    @staticmethod
    def make_model(conf: Configuration) -> XUMXSliCQ | PerTarget:
        """The preset; what else the section of the model holds replaces its arguments.

        With ``transforms``, frames by the names of sources, every source has its own.
        """
        changes = dict(conf["model"])
        preset, frames = changes.pop("preset"), changes.pop("transforms", None)
        if frames is None:
            return XUMXSliCQ.from_preset(preset, **changes)
        return XUMXSliCQ.per_target(frames, preset, **changes)

    @staticmethod
    def make_loss(
        conf: Configuration, model: Any, train_set: TrainingSegments, folder: Path
    ) -> XUMXLoss | MultiResolutionLoss:
        """The loss; the scaling of the model's input starts from the statistics of the data.

        With ``normalize_blocks`` each block counts relative to the power of its mix. In the domain
        ``waveform`` it is a loss of waveforms and STFTs, and no block counts.
        """
        if not conf["training"]["wiener_in_training"]:
            model.wiener_iterations = 0
        settings = make_time_loss(dict(conf["loss"]), model.sample_rate)
        of_waveforms = {name: settings.pop(name) for name in ("stft_weight", "n_ffts")}
        in_waveforms = settings["domain"] == "waveform"
        normalize_blocks = settings.pop("normalize_blocks") and not in_waveforms
        n_segments = conf["data"]["statistics_segments"]
        if normalize_blocks and not n_segments:
            raise ValueError("normalize_blocks needs statistics_segments above 0")
        per_target = isinstance(model, PerTarget)
        if per_target and normalize_blocks:
            raise ValueError("normalize_blocks must be false where every source has its own blocks")
        networks = model.seen() if per_target else [(model, model)]
        for network, seen in networks if n_segments else []:
            tracks, length = train_set.tracks, train_set.length_samples
            statistics = input_statistics(seen, tracks, length, n_segments, folder / "statistics")
            network.set_input_statistics(statistics.mean, statistics.std)
            if normalize_blocks:
                blocks = statistics.power.split(list(model.transform.frame.bins_per_block))
                powers = [block.mean().item() for block in blocks]
                settings["block_weights"] = [1 / max(power, 1e-12) for power in powers]
        if in_waveforms:
            time = {name: settings[name] for name in ("time_loss", "time_weight", "time_options")}
            return MultiResolutionLoss(**of_waveforms, **time)
        return XUMXLoss(**settings)

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        """The total, and the terms that the loss has."""
        if isinstance(self.loss_func, MultiResolutionLoss):
            return self._losses_of_waveforms(self.loss_func, batch)
        all_bits = torch.autocast(batch.device.type, enabled=False)
        with torch.no_grad(), all_bits:
            targets = self.model.transform(batch)
            mix = [block.sum(1) for block in targets]
        if isinstance(self.model, PerTarget):  # the transform is a common STFT
            estimate = self.model.estimate(batch.sum(1))
        else:
            estimate = self.model.estimate_from_coefficients(mix)
        with all_bits:
            waveforms = ()
            if self.loss_func.needs_waveforms:
                length = batch.shape[-1]
                inverse = getattr(estimate, "waveforms", None)
                if inverse is None:
                    inverse = self.model.transform.inverse(estimate.coefficients, length=length)
                waveforms = (inverse, batch)
            parts = self.loss_func(estimate, targets, *waveforms)
        terms = {"combination_loss": parts.combination, "mask_sum_loss": parts.mask_sum}
        if waveforms:
            terms["time_loss"] = parts.time
        return {"loss": parts.total, **terms}

    def _losses_of_waveforms(self, loss: MultiResolutionLoss, batch: Tensor) -> dict[str, Tensor]:
        """The same of the domain ``waveform``, for which stems need no transform."""
        estimate = waveforms_of(self.model, batch.sum(1))
        with torch.autocast(batch.device.type, enabled=False):
            parts = loss(estimate.float(), batch)
        terms = {"waveform_loss": parts.waveform, "stft_loss": parts.stft}
        if loss.waveform_loss:
            terms["time_loss"] = parts.time
        return {"loss": parts.total, **terms}


def waveforms_of(model: Any, mix: Tensor) -> Tensor:
    """Sources of a mix by a model in training; xumx-sliCQ's transform always has all bits.

    Shape:
        - mix: ``(batch, channel, time)``; output: ``(batch, source, channel, time)``
    """
    if not isinstance(model, XUMXSliCQ):
        return model(mix)
    with torch.autocast(mix.device.type, enabled=False):
        blocks = model.transform(mix)
    estimate = model.estimate_from_coefficients(blocks)
    with torch.autocast(mix.device.type, enabled=False):
        return model.transform.inverse(estimate.coefficients, mix.shape[-1])
