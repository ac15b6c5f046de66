"""Files that commands write: refused before any work, or whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asteroid_slicq.cli.messages import CommandError
from asteroid_slicq.files import whole_file


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse a file that exists and may not be replaced, or that its folder does not take."""
    if os.path.isdir(path):
        raise CommandError(f"{path}: cannot be written, a folder has that name")
    if os.path.lexists(path) and not overwrite:
        raise CommandError(f"{path}: exists; replacing must be asked for (--overwrite)")
    if not os.path.isdir(path.parent):
        raise CommandError(f"{path}: cannot be written, there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CommandError(f"{path}: cannot be written (permission denied)")


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which gets the name at the end; see `whole_file`."""
    try:
        with whole_file(path) as partial:
            yield partial
    except OSError as error:
        raise CommandError(f"{path}: cannot be written ({error.strerror or error})") from error
