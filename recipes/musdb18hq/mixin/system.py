"""The system of MiXiN: its sources, its model and the loss of a batch."""

from pathlib import Path

import torch
from common.configuration import Configuration
from common.system import Item, StemSystem
from torch import Tensor, nn

from asteroid_slicq.data.datasets import TrainingSegments
from asteroid_slicq.models.mixin import SOURCES, MiXiN
from asteroid_slicq.vocabulary import SUMS_OF_STEMS

#: The stems that make up each source.
STEMS_OF = {source: SUMS_OF_STEMS.get(source, (source,)) for source in SOURCES}


class MiXiNSystem(StemSystem):
    """The system for batches of stems, each as long as a chunk.

    Each network is compared with the magnitudes of its own source only, so the three are trained
    together as they would be alone. As the transform is linear, the coefficients of the mix are the
    sum of those of the sources. In mixed precision the networks alone have fewer bits.
    """

    @staticmethod
    def make_model(conf: Configuration) -> MiXiN:
        """The model of the published sources."""
        return MiXiN(**conf["model"])

    @staticmethod
    def make_loss(
        conf: Configuration, model: MiXiN, train_set: TrainingSegments, folder: Path
    ) -> nn.Module:
        """Mean absolute error."""
        return nn.L1Loss()

    @staticmethod
    def item(conf: Configuration, model: MiXiN) -> Item:
        """All stems, as long as a chunk of the model."""
        stems = [stem for stems in STEMS_OF.values() for stem in stems]
        return Item(stems, model.transform.frame.length, None)

    def references(self, batch: Tensor) -> Tensor:
        """Sum the stems of each source, mixed down to mono as the published data were.

        Shape:
            - batch: ``(batch, stem, channel, time)``
            - output: ``(batch, source, 1, time)``
        """
        parts = batch.mean(-2, keepdim=True).split([len(stems) for stems in STEMS_OF.values()], 1)
        return torch.stack([part.sum(1) for part in parts], 1)

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        """Mean absolute error of the magnitudes."""
        all_bits = torch.autocast(batch.device.type, enabled=False)
        with torch.no_grad(), all_bits:
            coefficients = self.model.analyse(self.references(batch))
            mix = coefficients.sum(1)
        estimate = self.model.estimate_from_coefficients(mix)
        with all_bits:
            return {"loss": self.loss_func(estimate.magnitudes.float(), coefficients.abs())}
