"""Asteroid's and the Hub's view of our models and filterbanks, and the contents of their files."""

from asteroid_slicq.registration.checkpoints import (
    allow_asteroid_checkpoints,
    plain_serialization,
    plain_types,
)
from asteroid_slicq.registration.eight_bits import SCALE_SUFFIX, from_eight_bits, to_eight_bits
from asteroid_slicq.registration.names import register_filterbank, register_model
from asteroid_slicq.registration.shareable import Hub, Shareable, register_hub

__all__ = [
    "SCALE_SUFFIX",
    "Hub",
    "Shareable",
    "allow_asteroid_checkpoints",
    "from_eight_bits",
    "plain_serialization",
    "plain_types",
    "register_filterbank",
    "register_hub",
    "register_model",
    "to_eight_bits",
]
