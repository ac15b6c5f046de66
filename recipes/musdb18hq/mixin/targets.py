"""The sources of MiXiN, harmonic, percussive and vocal, made from the stems of MUSDB18."""

import torch
from torch import Tensor

from asteroid_slicq.models.mixin import SOURCES
from asteroid_slicq.vocabulary import SUMS_OF_STEMS

#: The stems that make up a source.
STEMS_OF = {source: SUMS_OF_STEMS.get(source, (source,)) for source in SOURCES}
#: All of them, in the order in which they are read.
STEMS = tuple(stem for stems in STEMS_OF.values() for stem in stems)


def targets_of(stems: Tensor) -> Tensor:
    """Sum the stems of each source.

    Shape:
        - stems: ``(..., stem, channel, time)``, in the order of ``STEMS``
        - output: ``(..., source, channel, time)``
    """
    parts = stems.split([len(names) for names in STEMS_OF.values()], -3)
    return torch.cat([part.sum(-3, keepdim=True) for part in parts], -3)
