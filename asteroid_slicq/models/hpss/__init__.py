"""Harmonic/percussive separation by running medians, without a training."""

from asteroid_slicq.models.hpss.medians import hpss
from asteroid_slicq.models.hpss.model import HPSS

__all__ = ["HPSS", "hpss"]
