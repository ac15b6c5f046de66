"""An audio file that comes on standard input."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asteroid_slicq.cli.messages import CommandError

_CHUNK_BYTES = 2**20


@contextmanager
def file_of_standard_input(name: str) -> Iterator[str]:
    """Give the path of a file, with a name, that holds what comes on standard input.

    Raises:
        CommandError: nothing comes, or there is nowhere to keep it.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise CommandError("standard input: is closed")
    if sys.stdin.isatty():
        raise CommandError("standard input: is a terminal; pipe an audio file into it")
    with tempfile.TemporaryDirectory(prefix="asteroid-slicq-") as folder:
        path = Path(folder, name)
        digest = hashlib.sha256()
        try:
            with path.open("wb") as file:
                while data := sys.stdin.buffer.read(_CHUNK_BYTES):
                    digest.update(data)
                    file.write(data)
        except OSError as error:
            raise CommandError(f"standard input: cannot be kept ({error.strerror})") from error
        if path.stat().st_size == 0:
            raise CommandError("standard input: is empty (0 bytes)")
        # A time that stands for the content, so that the same song is known again.
        seconds = int.from_bytes(digest.digest()[:3], "big") * 60
        os.utime(path, (seconds, seconds))
        yield str(path)
