"""Threads beside the one that computes: what makes items ahead of it, what takes them behind it.

Files are decoded, resampled and encoded by libraries that let other threads of Python run. Each
side holds one item at a time, so that nothing piles up, whichever is faster. An exception of either
side comes to the thread that computes; when that one is interrupted, the others end.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

_NOTICE_S = 0.2  # how often a thread that waits looks up, which Ctrl-C needs on Windows


class _AbandonedError(Exception):
    """The other thread wants no more."""


class _Passage(Generic[T]):
    """A place for one item between two threads; one is made only when it is asked for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._is_wanted = self._is_ended = self._is_abandoned = False
        self._error: BaseException | None = None

    def _wait(self, until: Callable[[], bool]) -> None:
        while not self._changed.wait_for(lambda: self._is_abandoned or until(), _NOTICE_S):
            pass
        if self._is_abandoned:
            raise self._error or _AbandonedError

    def wait_until_wanted(self) -> None:
        with self._changed:
            self._wait(lambda: self._is_wanted)

    def give(self, item: T) -> None:
        """Hand an item over, once it is wanted."""
        with self._changed:
            self._wait(lambda: self._is_wanted)
            self._items.append(item)
            self._is_wanted = False
            self._changed.notify_all()

    def want(self) -> None:
        with self._changed:
            self._is_wanted = True
            self._changed.notify_all()

    def taken(self) -> Iterator[T]:
        """The items up to the end, or to the error, of the other thread."""
        while True:
            with self._changed:
                self._wait(lambda: bool(self._items) or self._is_ended)
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.pop()
            yield item
            del item

    def end(self, error: BaseException | None = None) -> None:
        """No item follows."""
        with self._changed:
            self._is_ended, self._error = True, error
            self._changed.notify_all()

    def abandon(self, error: BaseException | None = None) -> None:
        """No item is taken any more: the other thread gets the error, or is told to end."""
        with self._changed:
            self._is_abandoned, self._error = True, error
            self._items.clear()
            self._changed.notify_all()


@contextmanager
def made_ahead(items: Iterable[T]) -> Iterator[Iterator[T]]:
    """Items that a thread makes, each while the one before it is worked on.

    Args:
        items: made in the other thread, the first one at once.
    """
    passage: _Passage[T] = _Passage()

    def make() -> None:
        try:
            for item in items:
                passage.give(item)
                del item
                passage.wait_until_wanted()
            passage.end()
        except _AbandonedError:
            pass
        except BaseException as error:
            passage.end(error)

    def taken() -> Iterator[T]:
        for item in passage.taken():
            passage.want()
            yield item
            del item

    thread = _started(make, "reading ahead")
    passage.want()
    try:
        yield taken()
    finally:
        passage.abandon()
        thread.join()


@contextmanager
def taken_behind(consume: Callable[[Iterator[T]], None]) -> Iterator[Callable[[T], None]]:
    """A function that hands items to a thread, which works on each while the next one is made.

    The context ends once all of them are worked on, and raises what the thread raised.

    Args:
        consume: called in the other thread with the items.
    """
    passage: _Passage[T] = _Passage()

    def items() -> Iterator[T]:
        passage.want()
        for item in passage.taken():
            yield item
            del item
            passage.want()

    def work() -> None:
        try:
            consume(items())
            passage.abandon()
        except _AbandonedError:
            pass
        except BaseException as error:
            failed.append(error)
            passage.abandon(error)

    failed: list[BaseException] = []
    thread = _started(work, "writing behind")
    try:
        yield passage.give
        passage.end()
    except BaseException:
        passage.abandon()
        raise
    finally:
        thread.join()
    if failed:
        raise failed[0]


def _started(run: Callable[[], None], name: str) -> threading.Thread:
    """A thread that sees the context of this one, such as its filters of warnings."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,), name=name, daemon=True)
    thread.start()
    return thread
