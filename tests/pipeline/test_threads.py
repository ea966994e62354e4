"""Steps side by side: the same items, errors in their places, bounds, and threads that end."""

import threading
import time
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
    with (
        processors_per_task(processors),
        ahead(iter(items), size, most) as same,
        ahead((2 * item for item in same), size, most) as doubled,
    ):
        assert list(doubled) == [2 * item for item in items]
    assert threads() == before


def test_without_processors_to_spare_nothing_is_made_ahead():
    made = []

    def items() -> Iterator[int]:
        for n in range(5):
            made.append(n)
            yield n

    before = threads()
    with ahead(items(), size, 100) as found:
        for n in found:
            assert made == list(range(n + 1))
            assert threads() == before


def test_items_are_made_while_others_are_used():
    """Each waits for the other: what makes them, and what uses the first."""
    used, made = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 0
        assert used.wait(10)
        made.set()
        yield 1

    with processors_per_task(2), ahead(items(), size, 100) as found:
        for item in found:
            if item == 0:
                used.set()
                assert made.wait(10)


@given(st.lists(st.integers(0, 20), max_size=50), st.integers(0, 60))
def test_what_waits_is_bounded(sizes, most):
    """When an item is made, those that wait have no more than the bound."""
    held, lock = [], threading.Lock()

    def items() -> Iterator[int]:
        for item in sizes:
            with lock:
                assert sum(held) <= most
                held.append(item)
            yield item

    with processors_per_task(2), ahead(items(), size, most) as found:
        for item in found:
            with lock:
                held.remove(item)


def test_an_item_that_is_larger_than_the_bound_is_used_up_before_the_next_is_made():
    made = []

    def items() -> Iterator[int]:
        for n in range(5):
            made.append(n)
            yield 100

    with processors_per_task(2), ahead(items(), size, 50) as found:
        for n, _ in enumerate(found):
            time.sleep(0.02)  # time enough for a thread that does not wait
            assert made == list(range(n + 1))


def test_an_error_comes_where_its_item_would_be():
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("no third")

    before = threads()
    with processors_per_task(2), ahead(items(), size, 100) as inner, ahead(inner, size, 100) as outer:
        assert [next(outer), next(outer)] == [1, 2]
        with pytest.raises(ValueError, match="no third"):
            next(outer)
    assert threads() == before


def test_who_stops_early_stops_the_threads():
    """One waits for room; the other may wait for it, or for room too. An error that is kept keeps no thread."""

    def endless() -> Iterator[int]:
        while True:
            yield 1

    def stops(before: set[threading.Thread]) -> None:
        with ahead(endless(), size, 5) as inner, ahead(inner, size, 5) as outer:
            assert next(outer) == 1
            assert len(threads() - before) == 2
            raise ValueError("enough")

    before = threads()
    with processors_per_task(2), pytest.raises(ValueError, match="enough") as kept:
        stops(before)
    assert threads() == before
    assert kept.tb is not None
