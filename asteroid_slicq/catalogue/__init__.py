"""Models that there are: presets, what ships, and files in caches, read without PyTorch."""

from asteroid_slicq.catalogue.caches import (
    asteroid_cache,
    hub_cache,
    in_asteroid_cache,
    in_hub_cache,
)
from asteroid_slicq.catalogue.entries import Entry, in_folder, presets, shipped
from asteroid_slicq.catalogue.headers import Header, HeaderError, read_header

__all__ = [
    "Entry",
    "Header",
    "HeaderError",
    "asteroid_cache",
    "hub_cache",
    "in_asteroid_cache",
    "in_folder",
    "in_hub_cache",
    "presets",
    "read_header",
    "shipped",
]
