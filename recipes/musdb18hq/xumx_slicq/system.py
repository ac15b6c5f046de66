"""How xumx-sliCQ is trained: the loss of a batch, and its terms in the logs."""

import torch
from resumable import ResumableSystem
from torch import Tensor


class XUMXSystem(ResumableSystem):
    """The system for batches of stems, whose sum is the mix.

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
