"""Facts about the heap that threads share: with glibc, and harmlessly elsewhere."""

import ctypes
from types import SimpleNamespace

import pytest

from asteroid_slicq.cli import process


@pytest.fixture
def calls(monkeypatch):
    found = []
    library = SimpleNamespace(
        mallopt=lambda option, value: found.append((option, value)),
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    return found


def test_glibc_is_told(calls):
    process.share_one_heap()
    assert calls == [(-8, 1)]


def test_what_the_user_has_set_stays(calls, monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    process.share_one_heap()
    assert calls == []


def test_other_libraries_are_left_alone(calls, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    process.share_one_heap()
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    process.share_one_heap()
    assert calls == []
