"""Do the steps of one task side by side, in threads, where the engine has processors that no other task needs.

Invariants: what a task writes does not depend on threads. They pay where a step spends its time in kernels and in Arrow, which
run without Python's lock. A task uses one processor unless its engine allows more (`processors_per_task`).
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")

_processors = 1


def processors() -> int:
    """How many processors a task of this process may use."""
    return _processors


@contextmanager
def processors_per_task(count: int) -> Iterator[None]:
    """Allow the tasks of this process to use ``count`` processors each while the block runs."""
    global _processors
    before, _processors = _processors, count
    try:
        yield
    finally:
        _processors = before


@contextmanager
def ahead(items: Iterator[Item], size: Callable[[Item], int], most: int) -> Iterator[Iterator[Item]]:
    """The same items in the same order, made by a thread while earlier ones are used. The thread has ended when the block does.

    ``size``: the bytes of an item. No item is made while those that wait and the one in use have more than ``most`` together.
    An error is raised where its item would be. If the task may use only one processor, nothing is made ahead.
    """
    if _processors < 2:
        yield items
        return
    made = _Made(items, size, most)
    try:
        yield made.each()
    finally:
        made.stop()


class _Made(Generic[Item]):
    """The items that a thread has made and that are not used up."""

    def __init__(self, items: Iterator[Item], size: Callable[[Item], int], most: int) -> None:
        self._items, self._size, self._most = items, size, most
        self._waiting = deque[tuple[Item, int]]()
        self._bytes = 0
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._changed = Condition()
        self._thread = Thread(target=self._make, daemon=True)
        self._thread.start()

    def _make(self) -> None:
        try:
            for item in self._items:
                if not self._put(item, self._size(item)):
                    break
        except BaseException as error:  # raised where the item would be taken
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, item: Item, size: int) -> bool:
        """Add an item, and wait until the next may be made; False if none is wanted any more."""
        with self._changed:
            self._waiting.append((item, size))
            self._bytes += size
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopped or self._bytes <= self._most)
            return not self._stopped

    def each(self) -> Iterator[Item]:
        """The items, as they are made."""
        while (found := self._next()) is not None:
            item, size = found
            del found
            yield item
            del item
            with self._changed:
                self._bytes -= size
                self._changed.notify_all()
        if self._error is not None:
            error, self._error = self._error, None  # its traceback holds this object
            raise error

    def _next(self) -> tuple[Item, int] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            return self._waiting.popleft() if self._waiting else None

    def stop(self) -> None:
        """Make no more items, and wait until the thread has ended."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()
