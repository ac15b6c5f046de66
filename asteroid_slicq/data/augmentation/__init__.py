"""Random changes of stems while they are read, so that a network learns sources, not recordings."""

from asteroid_slicq.data.augmentation.chain import Augmentation, play_at

__all__ = ["Augmentation", "play_at"]
