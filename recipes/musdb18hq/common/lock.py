"""A lock on the folder of an experiment, which one training at a time may write to."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("train")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made; it goes with the process, however that ends.

    Raises:
        ValueError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            # Of the process alone: a worker that outlives it for a moment does not hold it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            raise ValueError(
                f"another training writes to {folder} ({file.read() or 'of unknown number'}): "
                "wait for its end, or choose another --tag or --exp_dir"
            ) from None
        except OSError as error:  # a file system without locks
            log.warning("%s: no lock (%s), so take care to train once at a time", folder, error)
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield
