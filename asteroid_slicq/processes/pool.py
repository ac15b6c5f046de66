"""Processes that share work, and end with the process that started them, however that ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process, resource_tracker
from typing import Any

_HAS_MASKS = hasattr(signal, "pthread_sigmask")  # not on Windows
_TERMINATED = 143


class _GivenUpError(SystemExit):
    """The end of a worker in the midst of its work, which removes what is half-written."""


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
    pool = _Pool(
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


@contextmanager
def signals_held() -> Iterator[None]:
    """Let processes start undisturbed: what comes meanwhile takes effect at the end of the context.

    None is left half-started. And a terminal's Ctrl-C, which goes to all processes at once, reaches
    none that starts, not even before it can ignore it.
    """
    received: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # which runs what signals do
        known = {number: signal.getsignal(number) for number in signal.valid_signals()}
        handlers |= {number: handler for number, handler in known.items() if callable(handler)}
    if _HAS_MASKS:
        resource_tracker.ensure_running()  # which lifts the mask where it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if _HAS_MASKS else set()
    try:
        # The mask is that of this thread: another one, of a library, may take the signal.
        for number in handlers:
            signal.signal(number, lambda number, _: received.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if _HAS_MASKS:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in received:
            signal.raise_signal(number)


def become_worker() -> None:
    """Make this process, which another one started, end with that one and by its orders alone.

    It has been started within `signals_held`.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the parent, too
    if _HAS_MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, _give_up)


def _give_up(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not disturb what is removed
    raise _GivenUpError(_TERMINATED)


class _Pool(ProcessPoolExecutor):
    """A pool whose processes no SIGINT reaches, and which end once they have given up."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with signals_held():  # where one more process is needed, it starts here
            return super().submit(_do, fn, *args, **kwargs)


def _do(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return work(*args, **kwargs)
    except _GivenUpError:  # of which the pool would make a result, and go on with the next work
        os._exit(_TERMINATED)


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
