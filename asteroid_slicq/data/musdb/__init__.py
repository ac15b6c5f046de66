"""MUSDB18-HQ on disk: its download, its archive and the check of its tree."""

from asteroid_slicq.data.musdb.download import ZENODO
from asteroid_slicq.data.musdb.tree import (
    TreeReport,
    download_musdb,
    inspect_tree,
    published_tracks,
)

__all__ = ["ZENODO", "TreeReport", "download_musdb", "inspect_tree", "published_tracks"]
