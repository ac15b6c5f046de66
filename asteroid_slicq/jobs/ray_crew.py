"""Workers on a cluster of Ray, which hold the model, each with its processors or its GPU."""

from __future__ import annotations

import math
import os
import pickle
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import torch

from asteroid_slicq.jobs.crew import CrewError, Event
from asteroid_slicq.jobs.work import Task, Work
from asteroid_slicq.processes import n_processors

_ADDRESS = re.compile(r"(?:ray://)?([^/]+):(\d+)")
_REACH_S = 10.0
_STORE_BYTES = 512 * 2**20
_POLL_S, _PROGRESS_S, _END_S = 0.5, 1.0, 10.0


class Interrupted(BaseException):
    """The end of a worker, in the middle of a song: what is half-written is removed."""


class Worker:
    """An actor: one thread separates, another answers."""

    def __init__(self, packed: bytes, n_threads: int, device: str | None) -> None:
        torch.set_num_threads(n_threads)
        work: Work = pickle.loads(packed)
        self._work = work if device is None else work.on_device(device)
        self._done = (0.0, 0.0)
        self._ends, self._rests = threading.Event(), threading.Event()
        self._rests.set()

    def ready(self) -> bool:
        """Answer, once it exists."""
        return True

    def do(self, task: Task) -> Any:
        """Separate a song."""
        self._rests.clear()
        try:
            return self._work.do(task, self._advance)
        finally:
            self._rests.set()

    def progress(self) -> tuple[float, float]:
        """Seconds of the song that are done, and in all."""
        return self._done

    def end(self) -> bool:
        """Break off; whether nothing is half-written."""
        self._ends.set()
        return self._rests.wait(_END_S)

    def _advance(self, done_s: float, total_s: float) -> None:
        self._done = done_s, total_s
        if self._ends.is_set():
            raise Interrupted


class RayCrew:
    """Actors on a cluster.

    Args:
        work: what they do; every machine fetches it once.
        n_threads: of each, and processors that it takes; ``None`` for 1.
        n_workers: number of actors; ``None`` for as many as the cluster has room for.

    Attributes:
        n_workers: number of actors that there is room for.

    Raises:
        CrewError: the cluster has no room for one.
    """

    def __init__(self, work: Work, n_threads: int | None, n_workers: int | None) -> None:
        self._ray = _import_ray()
        n_threads = n_threads or 1
        resources = self._ray.cluster_resources()
        device = work.separator.device
        n_gpus = resources.get("GPU", 0.0) if device is None or device.type == "cuda" else 0.0
        room = n_gpus or resources.get("CPU", 0.0) / n_threads
        self.n_workers = n_workers or int(room)
        if self.n_workers < 1:
            raise CrewError(f"the cluster of Ray has no worker of {n_threads} processors free")
        # A GPU is shared where more workers are asked for than there are.
        share = {"num_gpus": 1 / math.ceil(self.n_workers / n_gpus)} if n_gpus else {}
        self._options = {
            "num_cpus": 0 if n_gpus else n_threads,
            "max_concurrency": 2,
            "max_restarts": 0,  # the song needs another one, and the crew hires it
            **share,
        }
        self._arguments = (
            self._ray.put(pickle.dumps(work)),
            n_threads,
            "cuda" if n_gpus else "cpu",
        )
        self._numbers = count()
        self._actors: dict[int, Any] = {}
        self._waiting: dict[Any, tuple[int, str]] = {}  # what was asked of whom
        self._polls: dict[Any, int] = {}
        self._asked = 0.0

    def hire(self) -> int:
        """Ask for an actor; it starts once there is room."""
        number = next(self._numbers)
        actor = self._ray.remote(Worker).options(**self._options).remote(*self._arguments)
        self._actors[number] = actor
        self._waiting[actor.ready.remote()] = number, "ready"
        return number

    def give(self, worker: int, task: Task) -> None:
        """Send a song."""
        self._waiting[self._actors[worker].do.remote(task)] = worker, "outcome"

    def events(self) -> Iterator[Event]:
        """What the actors say, and which of them are gone."""
        answers, _ = self._ray.wait(list(self._waiting), timeout=_POLL_S)
        for answer in answers:
            number, kind = self._waiting.pop(answer)
            try:
                value = self._ray.get(answer)
            except self._ray.exceptions.RayError as error:
                self._dismiss(number)
                reason = _first_line(getattr(error, "cause", None) or error)
                yield Event(number, "died", reason=reason)
            else:
                yield Event(number, kind, outcome=value if kind == "outcome" else None)
        yield from self._progress()

    def _progress(self) -> Iterator[Event]:
        """How far the actors are, now and then."""
        if time.monotonic() - self._asked > _PROGRESS_S:
            self._asked = time.monotonic()
            busy = [number for number, kind in self._waiting.values() if kind == "outcome"]
            self._polls = {self._actors[n].progress.remote(): n for n in busy}
        answers, _ = self._ray.wait(list(self._polls), num_returns=len(self._polls), timeout=0)
        for answer in answers:
            number = self._polls.pop(answer)
            with suppress(self._ray.exceptions.RayError):  # of its end, its song tells
                yield Event(number, "progress", progress=self._ray.get(answer))

    @contextmanager
    def at_work(self) -> Iterator[RayCrew]:
        """Itself, until the end, when all actors end and remove what is half-written."""
        try:
            yield self
        finally:
            with suppress(Exception):
                ends = [actor.end.remote() for actor in self._actors.values()]
                self._ray.wait(ends, num_returns=len(ends), timeout=_END_S)
            for number in list(self._actors):
                self._dismiss(number)

    def _dismiss(self, number: int) -> None:
        with suppress(Exception):
            self._ray.kill(self._actors.pop(number))


@contextmanager
def cluster(address: str) -> Iterator[None]:
    """A connection to a cluster; the one that there is, if this program has one.

    Args:
        address: ``"local"`` for one of this machine alone, which ends with the connection;
            ``"auto"`` for the one that runs here; or ``host:port`` or ``ray://host:port``.

    Raises:
        CrewError: it cannot be reached, or Ray is not installed.
    """
    ray = _import_ray()
    if ray.is_initialized():
        yield
        return
    if host := _ADDRESS.fullmatch(address):  # Ray itself tries for minutes
        try:
            socket.create_connection((host[1].strip("[]"), int(host[2])), _REACH_S).close()
        except OSError as error:
            reason = error.strerror or error
            raise CrewError(f"Ray at {address}: cannot be reached ({reason})") from error
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "error"}
    if address == "local":
        memory = {"object_store_memory": _STORE_BYTES}  # else a third of the machine's
        options |= {"include_dashboard": False, "num_cpus": n_processors(), **memory}
    try:
        ray.init(**options)
    except Exception as error:
        raise CrewError(f"Ray at {address}: cannot be reached ({_first_line(error)})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _import_ray() -> Any:
    # Said before it is loaded: nothing is reported to its makers unless somebody wants to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise CrewError('Ray is not installed: pip install "asteroid-slicq[ray]"') from error
    return ray


def _first_line(error: BaseException) -> str:
    return [*filter(None, map(str.strip, str(error).splitlines())), type(error).__name__][0]
