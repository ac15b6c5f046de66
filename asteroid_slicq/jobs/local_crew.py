"""Workers that are processes of this machine, each with its share of the processors."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, cast

import torch

from asteroid_slicq.jobs.crew import Event
from asteroid_slicq.jobs.work import Task, Work
from asteroid_slicq.processes import become_worker, signals_held, threads_of_children

_POLL_S, _PROGRESS_S, _END_S = 1.0, 0.25, 10.0


class LocalCrew:
    """Processes that load the model once each.

    Args:
        work: what they do; every process gets a copy.
        n_threads: of each.
    """

    def __init__(self, work: Work, n_threads: int) -> None:
        self._packed, self._n_threads = pickle.dumps(work), n_threads
        self._members: dict[int, tuple[SpawnProcess, Connection]] = {}
        self._numbers = count()
        self._context = get_context("spawn")  # threads and accelerators do not survive a fork

    def hire(self) -> int:
        """Start a process."""
        here, there = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(there,), daemon=True)
        number = next(self._numbers)
        with threads_of_children(self._n_threads), signals_held():
            process.start()
            self._members[number] = process, here
        there.close()  # so that the pipe ends with the process
        # It reads once it has loaded PyTorch, which the next one need not wait for.
        words = here, (self._packed, self._n_threads)
        threading.Thread(target=self._send, args=words, daemon=True).start()
        return number

    def give(self, worker: int, task: Task) -> None:
        """Send a song; that the process is gone, `events` tells."""
        self._send(self._members[worker][1], task)

    def events(self) -> Iterator[Event]:
        """What the processes say, and which of them ended."""
        pipes = {pipe: number for number, (_, pipe) in self._members.items()}
        for pipe in cast(list[Connection], wait(list(pipes), _POLL_S)):
            number = pipes[pipe]
            try:
                yield Event(number, **pipe.recv())
            except (EOFError, OSError):
                code = self._bury(number)
                # The kernel kills by this signal where memory runs out.
                is_killed = code == -getattr(signal, "SIGKILL", 0)
                yield Event(number, "died", reason=_why(code, is_killed), is_crowded=is_killed)

    @contextmanager
    def at_work(self) -> Iterator[LocalCrew]:
        """Itself, until the end, when all processes end and remove what is half-written."""
        try:
            yield self
        except BaseException:
            for process, _ in self._members.values():
                process.terminate()
            raise
        finally:
            for _, pipe in self._members.values():
                pipe.close()  # which ends those that wait for a song
            until = time.monotonic() + _END_S
            for process, _ in self._members.values():
                process.join(max(0.0, until - time.monotonic()))
                if process.exitcode is None:
                    process.kill()
                    process.join()
            self._members.clear()

    def _bury(self, number: int) -> int:
        """Forget a process that ended; return its exit code, negative for a signal."""
        process, pipe = self._members.pop(number)
        pipe.close()
        process.join(_END_S)
        return process.exitcode or 0

    @staticmethod
    def _send(pipe: Any, message: object) -> None:
        with suppress(OSError, TypeError):  # of a pipe that is closed while it sends
            pipe.send(message)


def _why(code: int, is_killed: bool) -> str:
    if is_killed:
        return "killed, most likely for want of memory, of which fewer processes need less"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


# In the processes.


def _serve(pipe: Any) -> None:
    try:
        become_worker()
        packed, n_threads = _heard(pipe)
        torch.set_num_threads(n_threads)
        _work(pipe, pickle.loads(packed))
    except (EOFError, ConnectionError, SystemExit):  # of the parent's, whose files are its own
        os._exit(0)


def _heard(pipe: Any) -> Any:
    """The next message.

    Raises:
        EOFError: the parent ended, or closed the pipe.
    """
    try:
        return pipe.recv()
    except OSError as error:  # in the midst of a message, or before it had read what there was
        raise EOFError from error


def _work(pipe: Any, work: Work) -> None:
    last = 0.0

    def advance(done_s: float, total_s: float) -> None:
        nonlocal last
        if time.monotonic() - last > _PROGRESS_S:
            last = time.monotonic()
            pipe.send({"kind": "progress", "progress": (done_s, total_s)})

    pipe.send({"kind": "ready"})
    while True:
        pipe.send({"kind": "outcome", "outcome": work.do(_heard(pipe), advance)})
