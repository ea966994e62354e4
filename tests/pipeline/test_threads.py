"""Steps side by side: the same items, errors in their places, bounds, and threads that end."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.threads import ahead, processors_per_task


def threads() -> set[threading.Thread]:
    return set(threading.enumerate())


def size(item: int) -> int:
    return item


@given(st.lists(st.integers(0, 100)), st.integers(0, 300), st.integers(1, 4))
def test_the_same_items_in_the_same_order(items, most, processors):
    before = threads()
    with processors_per_task(processors):
        doubled = (2 * item for item in ahead(iter(items), size, most))
        assert list(ahead(doubled, size, most)) == [2 * item for item in items]
    assert threads() == before


def test_without_processors_to_spare_nothing_is_made_ahead():
    made = []

    def items() -> Iterator[int]:
        for n in range(5):
            made.append(n)
            yield n

    for n in ahead(items(), size, 100):
        assert made == list(range(n + 1))
        assert threading.active_count() == len(threads())


def test_items_are_made_while_others_are_used():
    """Each waits for the other: what makes them, and what uses the first."""
    used, made = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 0
        assert used.wait(10)
        made.set()
        yield 1

    with processors_per_task(2):
        for item in ahead(items(), size, 100):
            if item == 0:
                used.set()
                assert made.wait(10)


@given(st.lists(st.integers(0, 20), max_size=50), st.integers(0, 60))
def test_what_waits_and_what_is_used_are_bounded(sizes, most):
    """When an item is made, those before it that are not used up have no more than the bound."""
    held, lock = [], threading.Lock()

    def items() -> Iterator[int]:
        for item in sizes:
            with lock:
                assert sum(held) <= most
                held.append(item)
            yield item

    with processors_per_task(2):
        for item in ahead(items(), size, most):
            with lock:
                held.remove(item)
                held.append(item)  # in use
            with lock:
                held.remove(item)


def test_an_error_comes_where_its_item_would_be():
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("no third")

    before = threads()
    with processors_per_task(2):
        made = ahead(ahead(items(), size, 100), size, 100)
        assert [next(made), next(made)] == [1, 2]
        with pytest.raises(ValueError, match="no third"):
            next(made)
    assert threads() == before


def test_who_stops_early_stops_the_thread():
    """Also one that waits for room, and one that waits for the step before it."""
    ended = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.append(True)

    before = threads()
    with processors_per_task(2):
        steps = ahead(ahead(endless(), size, 5), size, 5)
        assert next(steps) == 1
        assert len(threads() - before) == 2
        steps.close()
        del steps
    assert threads() == before
    assert ended == [True]
