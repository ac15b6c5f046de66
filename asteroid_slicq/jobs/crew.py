"""Workers that separate songs side by side, and what happens to a song whose worker ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from asteroid_slicq.jobs.inputs import Job
from asteroid_slicq.jobs.work import Outcome, Task

N_ATTEMPTS = 2
"""Attempts at a song whose worker's process ends, the first one included."""

_MOST_FALSE_STARTS = 3

JobProgress = Callable[[Job, float, float], None]


class CrewError(OSError):
    """Workers that cannot be had; the message is one sentence."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a worker.

    Attributes:
        worker: which.
        kind: ``"ready"``, ``"progress"``, ``"outcome"`` or ``"died"``.
        progress: seconds done, and in all.
        outcome: of its song.
        reason: why it died.
        is_crowded: whether it died of too many workers in one memory.
    """

    worker: int
    kind: str
    progress: tuple[float, float] = (0.0, 0.0)
    outcome: Outcome | None = None
    reason: str = ""
    is_crowded: bool = False


class Crew(Protocol):
    """Workers, wherever they are."""

    def hire(self) -> int:
        """Start a worker and return its number; it is ready later."""
        ...

    def give(self, worker: int, task: Task) -> None:
        """Give a song to a worker that is ready and has none."""
        ...

    def events(self) -> Iterable[Event]:
        """Wait for what happens next, for a while."""
        ...


def separate_by_crew(
    crew: Crew,
    tasks: Iterable[Task],
    n_workers: int,
    progress: JobProgress | None = None,
) -> Iterator[Outcome]:
    """Have songs separated, every song by one worker at a time.

    A song whose worker ends is given to another one, once, after all others. That worker is
    replaced, but where there were too many for the memory.

    Yields:
        Outcomes, as they come.

    Raises:
        CrewError: no worker gets ready.
    """
    queue = deque(tasks)
    working: dict[int, Task | None] = {}  # None: not ready
    idle: list[int] = []
    n_false_starts = 0
    for _ in range(min(n_workers, len(queue))):
        working[crew.hire()] = None
    n_wanted = len(working)
    while queue or any(working.values()):
        while queue and idle:
            worker, task = idle.pop(0), queue.popleft()
            working[worker] = task
            crew.give(worker, task)
        for event in crew.events():
            task = working.get(event.worker)
            if event.kind == "ready":
                idle.append(event.worker)
                n_false_starts = 0
            elif event.kind == "progress" and task is not None and progress is not None:
                progress(task.job, *event.progress)
            elif event.kind == "outcome" and task is not None and event.outcome is not None:
                working[event.worker] = None
                idle.append(event.worker)
                yield replace(event.outcome, job=task.job)
            elif event.kind == "died":
                working.pop(event.worker, None)
                if event.worker in idle:
                    idle.remove(event.worker)
                elif task is None:
                    n_false_starts += 1
                    if n_false_starts >= _MOST_FALSE_STARTS:
                        raise CrewError(f"no worker starts ({event.reason})")
                elif task.attempt < N_ATTEMPTS:
                    if progress is not None:
                        progress(task.job, 0.0, 0.0)
                    queue.append(replace(task, attempt=task.attempt + 1, resumes=True))
                else:
                    reason = (
                        f"{task.job.name}: its worker ended {N_ATTEMPTS} times ({event.reason})"
                    )
                    yield Outcome(task.job, "failed", reason=reason, cause="process")
                if event.is_crowded:
                    n_wanted = max(1, n_wanted - 1)
                missing = min(n_wanted, len(queue) + sum(map(bool, working.values())))
                for _ in range(missing - len(working)):
                    working[crew.hire()] = None
