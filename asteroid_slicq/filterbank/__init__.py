"""The sliCQT as a filterbank of Asteroid, and its traced form."""

from asteroid_slicq.filterbank.slicqt_filterbank import SliCQTFB

__all__ = ["SliCQTFB"]
