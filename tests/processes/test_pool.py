"""Facts about processes that share work: what reaches them, and how they give up."""

import os
import signal
import subprocess
import sys

import pytest

from asteroid_slicq.processes import pool, signals_held

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are another matter there")
HELD = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"


@pytest.fixture(autouse=True)
def interrupted_by_default():
    """Where a shell started the tests in the background, interruptions are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_process_that_starts_gets_no_interruption():
    """Not even before its first line of Python."""
    with signals_held():
        told = subprocess.check_output([sys.executable, "-S", "-c", HELD], text=True)
    assert told == "True\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize("takes", [False, True])
def test_an_interruption_comes_once_a_process_has_started(takes):
    """Whether this thread takes it, or another one, for which a mask holds nothing back."""
    steps = []

    def start():
        with signals_held():
            if takes:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("started")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert steps == ["started"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def end_twice(steps):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        steps.append("removed")


def test_a_worker_that_gives_up_removes_what_is_half_written_and_ends(monkeypatch):
    """The pool ends all processes once more, where one has ended; none goes on with other work."""
    monkeypatch.setattr(pool.os, "_exit", lambda code: steps.append(code))
    before, steps = signal.signal(signal.SIGTERM, pool._give_up), []
    try:
        pool._do(end_twice, steps)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert steps == ["removed", 143]
