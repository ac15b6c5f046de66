"""What a process may use: the machine's, or less where a container limits it."""

import os
import sys
from pathlib import Path

import pytest

from asteroid_slicq.processes.resources import memory_bytes, n_processors

PHYSICAL = memory_bytes(root=Path("/nowhere"))
GIB = 2**30

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="of Linux alone")


def tree(root, **files):
    """A file system of these files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "memory", "processors"),
    [
        ({}, PHYSICAL, None),
        ({"proc/self/cgroup": "0::/\n"}, PHYSICAL, None),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": f"{GIB}\n",
                "sys/fs/cgroup/cpu.max": "100000 100000\n",
            },
            GIB,
            1,
        ),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/memory.max": f"{GIB}\n",
                "sys/fs/cgroup/a/b/memory.max": "max\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            },
            GIB,
            None,
        ),
        (
            {
                "proc/self/cgroup": "9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            GIB,
            1,
        ),
        (
            {
                "proc/self/cgroup": "9:memory:/\n4:cpu:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            PHYSICAL,
            None,
        ),
        ({"proc/self/cgroup": "nonsense\n", "sys/fs/cgroup/memory.max": "?"}, PHYSICAL, None),
    ],
    ids=["none", "v2, no files", "v2", "v2, above", "v1", "v1, unlimited", "nonsense"],
)
def test_the_limits_of_a_container_hold(tmp_path, files, memory, processors):
    root = tree(tmp_path, **files)
    assert memory_bytes(root) == min(memory, PHYSICAL)
    assert n_processors(root) == (processors or len(os.sched_getaffinity(0)))
