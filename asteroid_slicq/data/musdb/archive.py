"""Unpacking of a zip archive that may be interrupted, and cannot write outside its folder."""

from __future__ import annotations

import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from asteroid_slicq.data.musdb.download import Progress, need_space, size_of
from asteroid_slicq.files import whole_file

_CHUNK = 1 << 20


class ArchiveError(ValueError):
    """An archive that is damaged or not to be trusted; the message is for people."""


def unpack(archive: Path, target: Path, *, progress: Progress | None = None) -> list[Path]:
    """Unpack a zip archive; return its files, as they lie in the target, which is made if missing.

    All names are looked at before anything is written: an archive with one that leads out of the
    target is refused as a whole. Each file appears under its name once it is complete and its
    checksum is right. Files that are there already in the right size are kept, so that the same
    call after an interruption does the rest. What macOS adds to archives, and hidden files, are
    left out.

    Raises:
        ArchiveError: if the archive or a file in it is damaged, encrypted, a link, or would be
            written outside the target.
        DownloadError: if the disk has no room for what is missing.
        OSError: if a file cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not m.is_dir() and not _is_litter(m)]
            unsafe = [f"{m.filename!r} {why}" for m in opened.infolist() if (why := _unsafe(m))]
            if unsafe:
                raise ArchiveError(f"{archive} is refused: {'; '.join(unsafe)}")
            paths = [target.joinpath(*PurePosixPath(m.filename).parts) for m in members]
            todo = [
                (member, path)
                for member, path in zip(members, paths, strict=True)
                if not path.is_file() or size_of(path) != member.file_size
            ]
            n_all = sum(m.file_size for m in members)
            n_done = n_all - sum(m.file_size for m, _ in todo)
            target.mkdir(parents=True, exist_ok=True)
            need_space(target, n_all - n_done, f"unpacking {archive.name}")
            for member, path in todo:
                _unpack_member(opened, member, path)
                n_done += member.file_size
                if progress is not None:
                    progress("unpack", n_done, n_all)
            return paths
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ArchiveError(f"{archive} is damaged or no zip archive ({error})") from error


def _unpack_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial, partial.open("wb") as file:
        for chunk in _content(opened, member):
            file.write(chunk)


def _content(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Pieces of a file; the last read checks the checksum. All damage is a ``BadZipFile``."""
    try:
        with opened.open(member) as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except (lzma.LZMAError, struct.error) as error:
        raise zipfile.BadZipFile(f"{member.filename}: {error}") from error
    except OSError as error:
        if error.errno is not None:  # of the disk
            raise
        raise zipfile.BadZipFile(f"{member.filename}: {error}") from error  # of bzip2


def _is_litter(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename).parts
    return "__MACOSX" in parts or any(p.startswith(".") and p not in (".", "..") for p in parts)


def _unsafe(member: zipfile.ZipInfo) -> str:
    """Reason not to unpack a member; an empty string where there is none."""
    name = member.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.search(r"\\|^[A-Za-z]:", name):
        return "leads out of the folder"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    return "is encrypted" if member.flag_bits & 1 else ""
