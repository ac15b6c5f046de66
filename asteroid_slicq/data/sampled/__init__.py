"""Songs of recorded sounds that anyone may use, from a bank built of installed packages."""

from asteroid_slicq.data.sampled.bank import Bank, default_folder, read_manifest
from asteroid_slicq.data.sampled.building import build_bank, installation
from asteroid_slicq.data.sampled.catalogue import REFUSED, SOURCES

__all__ = [
    "REFUSED",
    "SOURCES",
    "Bank",
    "build_bank",
    "default_folder",
    "installation",
    "read_manifest",
]
