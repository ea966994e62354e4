"""Large buffers that are used again.

Invariants: a buffer is given out again only when no array or Arrow buffer over it is left. Each thread has its own, at most
`MOST` of up to `LARGEST` bytes. The operating system clears each page of new memory when it is first touched: copying 30 MB of
texts in batches of 4 MB took 10 to 14 ms, and takes 2 ms in a buffer that is used again (2026-11).
"""

import threading
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

MOST = 2
LARGEST = 32 << 20


class _Held(threading.local):
    """A thread's buffers, each with a weak reference to the array that has it; numpy's views of that array keep it alive."""

    def __init__(self) -> None:
        self.buffers: list[tuple[bytearray, weakref.ref[Any]]] = []


_held = _Held()


def buffer(size: int) -> npt.NDArray[np.uint8]:
    """At least ``size`` bytes, of any values, that nobody else has."""
    free = [n for n, (_, user) in enumerate(_held.buffers) if user() is None]
    for n in free:
        if len(_held.buffers[n][0]) >= size:
            return _given(n, _held.buffers[n][0])
    if size > LARGEST or (not free and len(_held.buffers) == MOST):
        return np.empty(size, np.uint8)
    if free:
        del _held.buffers[free[0]]
    return _given(len(_held.buffers), bytearray(size))


def _given(place: int, memory: bytearray) -> npt.NDArray[np.uint8]:
    array = np.frombuffer(memory, np.uint8)
    _held.buffers[place : place + 1] = [(memory, weakref.ref(array))]
    return array
