"""Processes that share work, and how much of the machine they may use."""

from asteroid_slicq.processes.pool import become_worker, signals_held, worker_pool
from asteroid_slicq.processes.resources import memory_bytes, n_processors
from asteroid_slicq.processes.threads import threads_of_children

__all__ = [
    "become_worker",
    "memory_bytes",
    "n_processors",
    "signals_held",
    "threads_of_children",
    "worker_pool",
]
