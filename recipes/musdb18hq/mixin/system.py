"""How MiXiN is trained: the loss of a batch."""

import torch
from resumable import ResumableSystem
from targets import targets_of
from torch import Tensor


class MiXiNSystem(ResumableSystem):
    """The system for batches of stems, each as long as a chunk.

    Each network is compared with the magnitudes of its own source only, so the three are trained
    together as they would be alone. As the transform is linear, the coefficients of the mix are the
    sum of those of the sources. In mixed precision the networks alone have fewer bits.
    """

    def common_step(self, batch: Tensor, batch_nb: int, train: bool = True) -> Tensor:
        """Mean absolute error of the magnitudes.

        Shape:
            - batch: ``(batch, stem, channel, time)``, mixed down to mono as the published data were
        """
        all_bits = torch.autocast(batch.device.type, enabled=False)
        with torch.no_grad(), all_bits:
            coefficients = self.model.analyse(targets_of(batch.mean(-2, keepdim=True)))
            mix = coefficients.sum(1)
        estimate = self.model.estimate_from_coefficients(mix)
        with all_bits:
            return self.loss_func(estimate.magnitudes.float(), coefficients.abs())
