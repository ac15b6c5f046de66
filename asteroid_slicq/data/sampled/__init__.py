"""Songs of recorded sounds that anyone may use, from a bank built of installed packages."""

from asteroid_slicq.data.sampled.bank import Bank, default_folder, read_manifest
from asteroid_slicq.data.sampled.building import build_bank
from asteroid_slicq.data.sampled.catalogue import SOURCES
from asteroid_slicq.data.sampled.packages import installation, packages_folder
from asteroid_slicq.data.sampled.packed_sources import PACKED_SOURCES
from asteroid_slicq.data.sampled.refused import REFUSED

__all__ = [
    "PACKED_SOURCES",
    "REFUSED",
    "SOURCES",
    "Bank",
    "build_bank",
    "default_folder",
    "installation",
    "packages_folder",
    "read_manifest",
]
