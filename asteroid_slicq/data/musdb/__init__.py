"""MUSDB18-HQ on disk: its download, its archive, the check of its tree; MUSDB18, unpacked."""

from asteroid_slicq.data.musdb.download import ZENODO
from asteroid_slicq.data.musdb.stems import unpack_stems
from asteroid_slicq.data.musdb.tree import (
    TreeReport,
    download_musdb,
    inspect_tree,
    published_tracks,
)

__all__ = [
    "ZENODO",
    "TreeReport",
    "download_musdb",
    "inspect_tree",
    "published_tracks",
    "unpack_stems",
]
