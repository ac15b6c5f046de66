"""Random changes of stems while they are read, so that a network learns sources, not recordings."""

from asteroid_slicq.data.augmentation.chain import Augmentation, play_at
from asteroid_slicq.data.augmentation.pitch import shift_pitch

__all__ = ["Augmentation", "play_at", "shift_pitch"]
