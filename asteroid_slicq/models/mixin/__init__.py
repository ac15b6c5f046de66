"""MiXiN: autoencoders on the matrix of an NSGT."""

from asteroid_slicq.models.mixin.model import SOURCES, MiXiN
from asteroid_slicq.models.mixin.network import DenoisingAutoencoder

__all__ = ["SOURCES", "DenoisingAutoencoder", "MiXiN"]
