"""Songs and stems elsewhere, by the addresses that ``fsspec`` knows, such as ``s3://bucket/song``.

A song is copied here and its stems are copied there, so that audio is read and written as always.
"""

from __future__ import annotations

import glob
import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asteroid_slicq.audio import AUDIO_SUFFIXES

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://.")
_WEB = ("http", "https", "ftp")


class RemoteError(OSError):
    """Something at an address that cannot be read or written; the message is one sentence."""


def is_address(text: object) -> bool:
    """Whether a path is an address of ``fsspec``, not that of a file here."""
    return isinstance(text, str) and _ADDRESS.match(text) is not None


def join(folder: str, *names: str) -> str:
    """The address of something in a folder."""
    return posixpath.join(folder, *names)


def expand(address: str, output: str) -> Iterator[tuple[str, str]]:
    """The audio files that an address stands for: a file, a folder or a pattern.

    Yields:
        The address of a file and its folder relative to the one asked for; of a folder, what lies
        in the output is passed over.

    Raises:
        RemoteError: there is none, or it cannot be read.
    """
    with _told(address):
        fs, path = _open(address)
        if glob.has_magic(path):
            found = [name for name in sorted(fs.glob(path)) if fs.isfile(name)]
            files = [(name, "") for name in found if not posixpath.basename(name).startswith(".")]
        elif fs.isfile(path):
            files = [(path, "")]
        elif fs.isdir(path):
            files = [
                (found, posixpath.dirname(posixpath.relpath(found, path)) or ".")
                for found in sorted(fs.find(path))
                if _is_song(posixpath.relpath(found, path))
            ]
        else:
            raise RemoteError(f"{address}: no such file or folder")
        files = [(fs.unstrip_protocol(found), folder) for found, folder in files]
        beside = join(output, "")
        files = [file for file in files if file[1] == "" or not file[0].startswith(beside)]
        if not files:
            raise RemoteError(f"{address}: holds no audio files")
    yield from files


def version(address: str) -> tuple[int | None, str]:
    """The size of a file and a word that changes with its content.

    Raises:
        RemoteError: there is no such file.
    """
    with _told(address):
        fs, path = _open(address)
        return fs.info(path).get("size"), str(fs.ukey(path))


@contextmanager
def local_copy(address: str) -> Iterator[Path]:
    """A file with the content and the name of one elsewhere, for as long as it is needed.

    Raises:
        RemoteError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="asteroid-slicq-") as folder:
        copy = Path(folder) / (posixpath.basename(address) or "song")
        with _told(address):
            fs, path = _open(address)
            if not fs.isfile(path):
                raise RemoteError(f"{address}: no such file")
            fs.get_file(path, str(copy))
        yield copy


class RemoteFolder:
    """A folder of stems elsewhere, filled by way of one that is here for a while.

    Args:
        address: of the folder.

    Raises:
        RemoteError: what speaks to it is not there.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        with _told(address):
            self._fs, self._root = _open(address)

    @contextmanager
    def mirrored(self) -> Iterator[Path]:
        """A folder here that stands for it."""
        with tempfile.TemporaryDirectory(prefix="asteroid-slicq-") as name:
            yield Path(name)

    def mirror(self, folder: Path, files: Iterable[Path]) -> None:
        """Make empty files here for those of some that exist there."""
        with _told(self.address):
            for file in files:
                if self._fs.exists(posixpath.join(self._root, file.relative_to(folder).as_posix())):
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.touch()

    def store(self, folder: Path, files: Iterable[Path]) -> list[str]:
        """Copy files of a folder here, all of them or none, and return their addresses.

        Raises:
            RemoteError: they cannot be written.
        """
        names = [file.relative_to(folder).as_posix() for file in files]
        with _told(self.address), self._fs.transaction:
            for name in names:
                target = posixpath.join(self._root, name)
                self._fs.makedirs(posixpath.dirname(target), exist_ok=True)
                with (folder / name).open("rb") as source, self._fs.open(target, "wb") as file:
                    shutil.copyfileobj(source, file, 2**22)
        return [join(self.address, name) for name in names]

    def names(self) -> dict[str, int | None]:
        """The size of each file below it, by its path relative to it."""
        with _told(self.address):
            if not self._fs.exists(self._root):
                return {}
            found = self._fs.find(self._root, detail=True)
            return {posixpath.relpath(p, self._root): info.get("size") for p, info in found.items()}

    def read(self, name: str) -> bytes:
        """The content of a file."""
        with _told(self.address):
            return self._fs.cat_file(posixpath.join(self._root, name))

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all."""
        target = posixpath.join(self._root, name)
        with _told(self.address), self._fs.transaction:
            self._fs.makedirs(posixpath.dirname(target), exist_ok=True)
            with self._fs.open(target, "wb") as file:
                file.write(data)


def _is_song(name: str) -> bool:
    hidden = any(part.startswith(".") for part in name.split("/"))
    return not hidden and posixpath.splitext(name)[1].lower() in AUDIO_SUFFIXES


def _open(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    scheme = address.partition("://")[0].lower()
    if scheme in _WEB:
        raise RemoteError(f"{address}: is a web address; download it first")
    import fsspec  # only where there is an address

    return fsspec.core.url_to_fs(address)


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Make one sentence of whatever a file system of somebody else raises."""
    try:
        yield
    except RemoteError:
        raise
    except FileNotFoundError as error:
        raise RemoteError(f"{address}: no such file or folder") from error
    except Exception as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise RemoteError(f"{address}: cannot be reached ({lines[0]})") from error
