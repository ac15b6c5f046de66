"""Facts about the environment in which processes start."""

import os

from asteroid_slicq.processes import threads_of_children
from asteroid_slicq.processes.threads import _VARIABLES


def values():
    return [os.environ.get(name) for name in _VARIABLES]


def test_pools_at_the_same_time_leave_the_environment_as_it_was(monkeypatch):
    monkeypatch.setenv(_VARIABLES[0], "3")
    monkeypatch.delenv(_VARIABLES[1], raising=False)
    before = values()
    first, second = threads_of_children(1), threads_of_children(1)
    first.__enter__()
    second.__enter__()
    assert values() == ["1"] * 3
    first.__exit__(None, None, None)
    assert values() == ["1"] * 3  # the second still starts processes
    second.__exit__(None, None, None)
    assert values() == before
