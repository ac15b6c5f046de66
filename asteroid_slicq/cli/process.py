"""The process that runs a command: its threads, its standard streams, its signals."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Whose default is to end the process at once; not all of them are known everywhere.
_ENDING = ("SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGALRM", "SIGBREAK")
_SAME_END_S = 1.0
_SPINS = "2000"
_M_ARENA_MAX = -8  # of malloc.h


def share_processors() -> None:
    """Let the threads of PyTorch spin for microseconds, then sleep, while they wait for each other.

    Where two programs compute on the same processors, threads that spin keep those that have work
    from it, and a program alone loses a third of its speed where they sleep at once. PyTorch reads
    this once, when it is loaded; what the user has set stays.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)  # of GNU's OpenMP, PyTorch's on Linux


def share_one_heap() -> None:
    """Let all threads allocate from one heap, with glibc; what the user has set stays.

    A heap for each thread keeps what was freed in it from the others.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 1)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Put the null device in the place of standard streams that are closed, as a daemon's are.

    Else a file that the command opens gets the number of one, and what libraries print goes into
    it; and what is written to a standard error that is not there fails, or goes to the output.
    Standard input and output stay closed for Python, so that commands that need them can say so.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stderr is not None:
        yield
        return
    with open(os.devnull, "w") as sys.stderr:
        try:
            yield
        finally:
            sys.stderr = None


class Signals:
    """Signals that end a command by an exception, so that it removes what is half-written.

    Attributes:
        received: number of the first that came; 0 for none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._until = 0.0

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch them; those that are ignored, as by ``nohup``, stay ignored."""
        previous: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
            previous |= {
                n: signal.SIG_DFL for n in numbers if signal.getsignal(n) is signal.SIG_DFL
            }
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                previous[signal.SIGINT] = signal.getsignal(signal.SIGINT)
        try:
            for number in previous:
                signal.signal(number, self._end)
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _end(self, number: int, _: object) -> None:
        # One end may come as several signals; they must not disturb the removal of files.
        if time.monotonic() < self._until:
            return
        self._until = time.monotonic() + _SAME_END_S
        self.received = self.received or number
        raise KeyboardInterrupt
