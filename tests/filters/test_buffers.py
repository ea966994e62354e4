"""Buffers that are used again: only when nobody has them any more."""

import gc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pyarrow as pa
import pytest

from goldwash.filters import buffers
from goldwash.filters.buffers import LARGEST, MOST, buffer
from goldwash.filters.texts import Texts


@pytest.fixture(autouse=True)
def no_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_held", buffers._Held())


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_a_buffer_is_used_again_when_its_array_is_gone() -> None:
    first = buffer(1000)
    assert first.size >= 1000
    assert first.flags.writeable
    place = address(first)
    del first
    assert address(buffer(900)) == place


@pytest.mark.parametrize("kept", [lambda a: a[10:20], lambda a: a[9:20].view(np.int8)[:3], pa.py_buffer, memoryview])
def test_whatever_sees_a_buffer_keeps_it(kept: object) -> None:
    assert callable(kept)
    first = buffer(1000)
    first[:] = 7
    view = kept(first)
    del first
    gc.collect()
    second = buffer(1000)
    second[:] = 9
    assert set(bytes(view)) == {7}


def test_texts_keep_their_buffer_and_later_ones_get_another() -> None:
    texts = [Texts.of([f"a{n}", "b" * n]).replace(np.array([0]), Texts.of([f"gold {n}"])) for n in range(5)]
    assert [list(t) for t in texts] == [[f"gold {n}", "b" * n] for n in range(5)]


def test_no_more_buffers_are_held_than_said_and_none_that_is_too_large() -> None:
    given = [buffer(100) for _ in range(MOST + 3)]
    assert len({address(array) for array in given}) == MOST + 3
    assert len(buffers._held.buffers) == MOST
    del given
    assert buffer(LARGEST + 1).size == LARGEST + 1
    assert len(buffers._held.buffers) == MOST


def test_one_that_is_too_small_makes_room_for_a_larger_one() -> None:
    small = [buffer(100) for _ in range(MOST)]
    del small
    assert buffer(5000).size == 5000
    assert sorted(len(memory) for memory, _ in buffers._held.buffers) == [100] * (MOST - 1) + [5000]


def test_threads_have_their_own() -> None:
    ready = Barrier(2)

    def place(n: int) -> tuple[int, bool]:
        array = buffer(1 << 16)
        array[:] = n
        ready.wait()
        return address(array), bool((array == n).all())

    with ThreadPoolExecutor(2) as pool:
        (one, whole), (other, also) = pool.map(place, (1, 2))
    assert one != other
    assert whole
    assert also
