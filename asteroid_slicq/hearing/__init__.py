"""A listener, with or without a hearing loss: audiograms, an ear, and HAAQI.

The Hearing-Aid Audio Quality Index (Kates, Arehart, "The Hearing-Aid Audio Quality Index (HAAQI)",
IEEE/ACM Transactions on Audio, Speech, and Language Processing 24(2), 2016) in PyTorch: batched, on
any device, and differentiable. :mod:`~asteroid_slicq.hearing.cochlea` designs the ear,
:mod:`~asteroid_slicq.hearing.ear` lets it hear, :mod:`~asteroid_slicq.hearing.features` compares
what it heard, and :mod:`~asteroid_slicq.hearing.haaqi` makes the index of that.
"""

from asteroid_slicq.hearing.amplification import amplify
from asteroid_slicq.hearing.audiograms import (
    AUDIOGRAM_HZ,
    AUDIOGRAMS,
    Audiogram,
    hearing_loss,
    read_audiogram,
)
from asteroid_slicq.hearing.haaqi import HAAQI, HAAQIParts

__all__ = [
    "AUDIOGRAMS",
    "AUDIOGRAM_HZ",
    "HAAQI",
    "Audiogram",
    "HAAQIParts",
    "amplify",
    "hearing_loss",
    "read_audiogram",
]
