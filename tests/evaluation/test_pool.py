"""Facts about the environment in which the processes of an evaluation start."""

import os

from asteroid_slicq.evaluation.pool import _THREAD_VARIABLES, _one_thread_for_children


def values():
    return [os.environ.get(name) for name in _THREAD_VARIABLES]


def test_pools_at_the_same_time_leave_the_environment_as_it_was(monkeypatch):
    monkeypatch.setenv(_THREAD_VARIABLES[0], "3")
    monkeypatch.delenv(_THREAD_VARIABLES[1], raising=False)
    before = values()
    first, second = _one_thread_for_children(), _one_thread_for_children()
    first.__enter__()
    second.__enter__()
    assert values() == ["1"] * 3
    first.__exit__(None, None, None)
    assert values() == ["1"] * 3  # the second still starts processes
    second.__exit__(None, None, None)
    assert values() == before
