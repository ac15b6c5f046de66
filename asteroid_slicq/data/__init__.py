"""Multitrack music on disk, and segments of it to train on.

:mod:`asteroid_slicq.data.datasets` is imported by its own name: it needs PyTorch, which the
generators of songs do without.
"""

from asteroid_slicq.data.tracks import FileFacts, Track, find_tracks, inspect_file, split_validation

__all__ = ["FileFacts", "Track", "find_tracks", "inspect_file", "split_validation"]
