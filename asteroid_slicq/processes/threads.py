"""The number of threads that libraries use in processes which are started from here."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_environment = threading.Lock()
_before: list[dict[str, str | None]] = []  # what the first of the open contexts found there


@contextmanager
def threads_of_children(n_threads: int) -> Iterator[None]:
    """Processes that start meanwhile have so many threads in every library.

    Libraries read these variables once, when they are loaded: those of this process stay as they
    are. The environment belongs to all threads: the last context to end puts back what the first
    one found.
    """
    with _environment:
        found = {name: os.environ.get(name) for name in _VARIABLES}
        _before.append(_before[0] if _before else found)
        os.environ.update(dict.fromkeys(_VARIABLES, str(n_threads)))
    try:
        yield
    finally:
        with _environment:
            before = _before.pop()
            if not _before:
                for name, value in before.items():
                    os.environ.pop(name, None)
                    if value is not None:
                        os.environ[name] = value
