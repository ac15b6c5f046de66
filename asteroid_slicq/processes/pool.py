"""Processes that share work, and end with the process that started them, however that ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import Any


@contextmanager
def worker_pool(
    n_workers: int, start: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes.

    When the work is given up, as by Ctrl-C, they end what they are at by an exception, which
    removes what is half-written. After an error they finish it. When the parent is killed, they end
    at once.

    Args:
        n_workers: number of processes.
        start: called in each of them first.
        arguments: of ``start``.
    """
    pool = ProcessPoolExecutor(
        n_workers,
        mp_context=get_context("spawn"),  # threads and accelerators do not survive a fork
        initializer=_start,
        initargs=(start, arguments),
    )
    try:
        yield pool
    except Exception:
        raise
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def become_worker() -> None:
    """Make this process, which another one started, end with that one and by its orders alone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the parent, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _start(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    become_worker()
    if start is not None:
        start(*arguments)


def _end_with_parent() -> None:
    """Processes of a pool wait for ever where their parent was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
