"""Files that are whole under their name or not there, whatever happens while they are written.

What is being written is hidden beside its target and locked, so that what a killed process left can
be told apart from it: whoever writes into the folder next removes that. Windows and file systems
without locks keep it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_MOST_BYTES = 200  # of a target's name in a hidden one
_LEFTOVER = re.compile(r"\..*-[0-9a-f]{8}\.part")


def given_path(path: str | os.PathLike[str], argument: str) -> Path:
    """The path that somebody gave for an argument.

    Raises:
        ValueError: an empty one, which would otherwise stand for the current folder.
    """
    if not os.fspath(path):
        raise ValueError(f"{argument} must be a path, got an empty one")
    return Path(path)


def real_path(path: str | os.PathLike[str]) -> Path:
    """A path without links; of links that lead in a circle, what is left of it."""
    return Path(os.path.realpath(path))


def unreadable(path: str | os.PathLike[str]) -> str | None:
    """A few words on why a file or folder, which may be there, is out of reach; else ``None``."""
    try:
        os.stat(path)
        if os.path.isdir(path):
            os.scandir(path).close()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def library_path(path: str | os.PathLike[str]) -> Any:
    """A path as soundfile takes it, whatever bytes its name holds, though its types say no."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)


class Partial:
    """A hidden, empty file or folder beside a target, which no other process touches.

    Attributes:
        path: where it is until somebody renames it.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, target: Path, is_folder: bool = False) -> None:
        _remove_leftovers(target.parent)
        while True:
            self.path = _hidden_beside(target)
            if is_folder:
                self.path.mkdir()
            else:  # with the mode that the umask leaves
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            with suppress(BlockingIOError):  # somebody took it for a leftover before it was locked
                self._lock = _lock(self.path)
                if self.path.exists():
                    return
                self.release()

    def release(self) -> None:
        """Give up the lock, once it has got its name."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def discard(self) -> None:
        """Remove it, if it still is there."""
        _remove(self.path)
        self.release()


@contextmanager
def whole_file(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a path to write to, which gets the name of the target at the end.

    It replaces a target that exists. On any exception it is removed, and the target is as it was.
    If it is to be durable, this waits until the content is on the disk, so that a crash of the
    machine does not leave an empty file under the name.

    Raises:
        OSError: it cannot be written; it has the name of the target.
    """
    partial = Partial(target)
    try:
        yield partial.path
        if durable:
            with partial.path.open("r+b") as file:
                os.fsync(file.fileno())
        os.replace(partial.path, target)
    except (OSError, RuntimeError) as error:
        # torch.save hides what the file system said behind an error of its own.
        reason = error if isinstance(error, OSError) else error.__context__
        if isinstance(reason, OSError) and reason.errno and reason.filename is None:
            raise OSError(reason.errno, reason.strerror, os.fspath(target)) from error
        raise
    finally:
        partial.discard()


@contextmanager
def whole_folder(target: Path, hidden_in: Path) -> Iterator[Path]:
    """Give a folder to fill, hidden in another one, which becomes the target at the end."""
    with hidden_folder(hidden_in / target.name) as path:
        yield path
        os.rename(path, target)


@contextmanager
def hidden_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside a target; what is in it at the end is removed."""
    partial = Partial(target, is_folder=True)
    try:
        yield partial.path
    finally:
        partial.discard()


def replace_all(targets: Mapping[Path, Path]) -> None:
    """Give files their names, all of them or, on any exception, none.

    What has the names, in the same file system, is replaced; if not all can be, it has them again.
    """
    before: dict[Path, tuple[Path, int | None]] = {}
    try:
        for target in targets.values():
            if os.path.lexists(target):
                kept = _second_name(target)
                before[target] = kept, None
                with suppress(BlockingIOError):
                    before[target] = kept, _lock(kept)
        moved: list[Path] = []
        try:
            for source, target in targets.items():
                moved.append(target)
                os.replace(source, target)
        except BaseException:
            for target in moved:
                with suppress(OSError):
                    if target in before:
                        os.replace(before[target][0], target)
                    else:
                        target.unlink()
            raise
    finally:
        for kept, lock in before.values():
            _remove(kept)
            if lock is not None:
                os.close(lock)


def write_text(target: Path, text: str) -> None:
    """Write a text file, in UTF-8, that is whole or as it was; folders are made as needed.

    Bytes of file names that are no text are escaped as in JSON, by a backslash.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target, durable=True) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def _hidden_beside(target: Path) -> Path:
    stem = target.stem
    if len(os.fsencode(stem)) > _MOST_BYTES:  # a name may have 255, also with what is added
        stem = os.fsencode(stem)[:_MOST_BYTES].decode("utf-8", "ignore")
    return target.with_name(f".{stem}-{secrets.token_hex(4)}.part")


def _second_name(path: Path) -> Path:
    """Keep a file under a hidden name, too; a copy where the file system has no hard links."""
    kept = _hidden_beside(path)
    try:
        os.link(path, kept, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, kept, follow_symlinks=False)
    return kept


def _lock(path: Path) -> int | None:
    """Lock a file or folder until the descriptor is closed or the process ends, however it does.

    Returns:
        The descriptor; None where there are no locks.

    Raises:
        BlockingIOError: another has locked it.
    """
    if fcntl is None:
        return None
    try:
        mode = os.O_RDONLY if path.is_dir() else os.O_RDWR  # which NFS asks for
        descriptor = os.open(path, mode | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left in a folder: the hidden that nobody locks."""
    names = os.listdir(folder) if os.access(folder, os.R_OK) else ()
    for name in filter(_LEFTOVER.fullmatch, names):
        with suppress(OSError):
            lock = _lock(folder / name)
            if lock is not None:
                _remove(folder / name)
                os.close(lock)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
