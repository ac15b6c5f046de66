"""Files that are whole under their name or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def given_path(path: str | os.PathLike[str], argument: str) -> Path:
    """The path that somebody gave for an argument.

    Raises:
        ValueError: an empty one, which would otherwise stand for the current folder.
    """
    if not os.fspath(path):
        raise ValueError(f"{argument} must be a path, got an empty one")
    return Path(path)


def reserve_beside(target: Path) -> Path:
    """Create an empty, hidden file beside a target, which no other process writes to.

    Raises:
        OSError: it cannot be created.
    """
    path = target.with_name(f".{target.stem}-{secrets.token_hex(4)}.part")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # less the umask
    return path


@contextmanager
def whole_file(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a path to write to, which gets the name of the target at the end.

    It replaces a target that exists. On any exception it is removed, and the target is as it was.

    Args:
        target: the file; its folder must exist.
        durable: wait until the content is on the disk, so that a crash of the machine does not
            leave an empty file under the name.

    Raises:
        OSError: it cannot be written.
    """
    partial = reserve_beside(target)
    try:
        yield partial
        if durable:
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(target: Path, text: str) -> None:
    """Write a text file, in UTF-8, that is whole or as it was; folders are made as needed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target, durable=True) as partial:
        partial.write_text(text, encoding="utf-8")
