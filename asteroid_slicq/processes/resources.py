"""Processors and memory that this process may use, a container's limits among them.

Linux keeps such limits in control groups, whose files lie under ``/sys/fs/cgroup``: of version 2
``memory.max`` and ``cpu.max``, of version 1 in a hierarchy for memory and one for processors.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_UNKNOWN_MEMORY = 16e9


def n_processors(root: Path = _ROOT) -> int:
    """Processors, at least one."""
    try:
        n = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        n = os.cpu_count() or 1
    return max(1, min([n, *(math.ceil(quota) for quota in _quotas(root))]))


def memory_bytes(root: Path = _ROOT) -> float:
    """Memory of the machine, or of the container where that is less."""
    try:
        physical = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows
        physical = _UNKNOWN_MEMORY
    limits = (
        _number(folder / name)
        for folder in _groups(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
    )
    return min([physical, *(limit for limit in limits if limit is not None)])


def _quotas(root: Path) -> Iterator[float]:
    """Limits of processor time per time."""
    for folder in _groups(root, "cpu"):
        quota, period = [*_words(folder / "cpu.max"), "", ""][:2]
        if not quota:
            quota = next(iter(_words(folder / "cpu.cfs_quota_us")), "")
            period = next(iter(_words(folder / "cpu.cfs_period_us")), "")
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:  # neither "max" nor -1
            yield int(quota) / int(period)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the group of this process and of those above it, whose limits hold as well."""
    lines = _read(root / "proc/self/cgroup").splitlines()
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = mounts / controller if controllers else mounts
        group = top / path.strip("/")  # a container may see its own group at the top
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(top))


def _number(path: Path) -> float | None:
    words = _words(path)
    return float(words[0]) if words and words[0].isdecimal() else None


def _words(path: Path) -> list[str]:
    return _read(path).split()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
