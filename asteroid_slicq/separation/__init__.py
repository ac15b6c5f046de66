"""Separation of whole songs by a model of short segments; it knows no model."""

from asteroid_slicq.separation.segment_model import SegmentModel
from asteroid_slicq.separation.segments import crossfade
from asteroid_slicq.separation.separator import Separator, separate

__all__ = ["SegmentModel", "Separator", "crossfade", "separate"]
