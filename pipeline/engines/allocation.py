"""Give freed memory back to the machine, in a driver that does tasks itself: what `work.MEMORY` does for workers.

Invariants: nothing but the use of memory changes. Arrow's own pool is the default again afterwards; the C library's threshold
stays, since it cannot be asked for.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa

M_MMAP_THRESHOLD = -3
MMAP_THRESHOLD = 1 << 18
"""Bytes from which glibc gives a block pages of its own, which go back to the machine when it is freed."""


@contextmanager
def giving_back() -> Iterator[None]:
    """Let Arrow and the C library give back what tasks free: 40 to 90 MB of a driver that did the tasks of a run (2026-11)."""
    held = pa.default_memory_pool()
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(held)
