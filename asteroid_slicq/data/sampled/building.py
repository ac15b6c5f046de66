"""Building a bank of sounds from the packages that are installed."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from asteroid_slicq.data.sampled.bank import BankWriter, default_folder
from asteroid_slicq.data.sampled.catalogue import SOURCES, Source
from asteroid_slicq.data.sampled.copyrights import read_copyright
from asteroid_slicq.data.sampled.extraction import EXTRACTORS
from asteroid_slicq.data.sampled.voices import VOICE_SOURCES, add_voices

MAX_BYTES = 40_000_000


@dataclass(frozen=True)
class Built:
    """A bank that was built: its folder, its manifest, and the sources that were missing."""

    folder: Path
    manifest: dict[str, Any]
    missing: tuple[Source, ...]


def find_sources(root: Path = Path("/")) -> tuple[list[Source], list[Source]]:
    """Divide the catalogue into sources that are installed below a root, and those that aren't."""
    # Speech is synthesised by programs, which an unpacked package does not run.
    sources = SOURCES + VOICE_SOURCES if root == Path("/") else SOURCES
    installed = [s for s in sources if (root / s.folder).is_dir()]
    return installed, [s for s in sources if s not in installed]


def installation(missing: tuple[Source, ...]) -> list[str]:
    """List the commands that install what is missing, a line for each installer."""
    by_installer: dict[str, list[str]] = {}
    for source in missing:
        by_installer.setdefault(source.installer, []).append(source.package)
    return [f"{installer} {' '.join(p)}" for installer, p in by_installer.items()]


def build_bank(
    folder: Path | None = None,
    root: Path = Path("/"),
    progress: Callable[[str], None] | None = None,
) -> Built:
    """Build a bank from every source that is installed; the same packages give the same bytes.

    Args:
        folder: Where the bank goes; `default_folder` by default.
        root: Root of the file system that the packages are installed in, or unpacked to.
        progress: Called with the name of each source and speaker that is done.

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
        if source.name in EXTRACTORS:
            EXTRACTORS[source.name](root, source, text, bank)
            if progress is not None:
                progress(source.name)
    voices = [source for source in installed if source in VOICE_SOURCES]
    if voices:
        add_voices(bank, voices, progress=progress)
    if bank.n_bytes > MAX_BYTES:
        raise ValueError(f"the bank would have {bank.n_bytes} bytes, more than {MAX_BYTES}")
    return Built(folder, bank.write(folder), tuple(missing))


def installed_version(root: Path, package: str) -> str:
    """Find the version of an installed package; empty where it is only unpacked."""
    name, *_ = package.split()
    if root == Path("/"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    status = root / "var/lib/dpkg/status"
    if not status.is_file():
        return ""
    text = status.read_text(encoding="utf-8", errors="replace")
    found = re.search(rf"^Package: {re.escape(package)}\n(?:.+\n)*?Version: (.+)$", text, re.M)
    return found[1] if found else ""
