"""Work item by item in a process of its own, so that an item that hangs or kills it costs that item and no more.

Law: what a isolated generator gives is what it gives here, in the same order. An item that takes longer than its time, or twice
kills the process, is named in ``skip`` when the work is begun again; what had been given is not given again. Parsers are C and
Rust that hold the interpreter's lock for as long as they run: neither a thread nor a signal of this process can stop them.
"""

import ctypes
import mmap
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from goldwash.errors import GoldwashError

Given = TypeVar("Given")
Begin = Callable[[int], None]
"""Told the number of an item before it is worked on, and -1 after it."""
Make = Callable[[Mapping[int, str], int, Begin], Iterator[Given]]
"""``make(skip, given, begin)``: the generator; the items in ``skip`` are left out for the reason there, and the first
``given`` of what it gives is made without work and not given."""

TIME_LIMIT, CRASH = "time_limit", "crash"
KILLS = 2
"""An item is left out when it was being worked on so often when the process died: once may have been anybody's fault."""
LOOK_SECONDS = 0.25
WAITS = 20
"""An item that only waits, or that no processor is there for, is late after so many times its time by the clock."""

MMAP_THRESHOLD, TRIM_THRESHOLD = (-3, 32 << 20), (-1, 64 << 20)
"""Parameters of glibc's ``mallopt``, and the values to which glibc itself raises them when it has freed a block so large."""


class IsolationError(GoldwashError, RuntimeError):
    """A isolated process that dies again and again while no item is being worked on."""


def not_isolated(make: Make[Given]) -> Iterator[Given]:
    """The same in this process, without a limit."""
    return make({}, 0, lambda item: None)


def isolated(make: Make[Given], seconds: float) -> Iterator[Given]:
    """What a generator gives, made in forked processes; ``seconds``: an item's time of the processor."""
    skip: dict[int, str] = {}
    kills: dict[int, int] = {}
    given = 0
    with mmap.mmap(-1, 8) as shared:
        while True:
            child = _Child(make, skip, given, shared)
            try:
                for each in child.given(seconds):
                    given += 1
                    yield each
            finally:
                child.end()
            if child.finished:
                return
            (item,) = struct.unpack("q", shared[:8])
            kills[item] = kills.get(item, 0) + 1
            if child.late:
                skip[item] = TIME_LIMIT
            elif kills[item] >= KILLS and item >= 0:
                skip[item] = CRASH
            elif kills[item] > KILLS:
                raise IsolationError(
                    f"the reading process was killed {kills[item]} times (signal {-child.code}): out of memory?"
                )


def spent(process: int) -> float:
    """Seconds of CPU that a process has taken; where that cannot be known (not on Linux), the time of a clock.

    What is late is told by what it has done, so that the same pages are late on a machine that is busy, or was asleep.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def keep_freed() -> bool:
    """Have this process use anew what it frees, up to the trim threshold, where the C library is one that can be told to.

    An item's blocks have 100 kB and more. They are freed with it, and would go back to the kernel each time, to be asked for
    again, and cleared, for the next item.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all([mallopt(name, value) for name, value in (MMAP_THRESHOLD, TRIM_THRESHOLD)])


class _Child:
    """One forked process, and what comes from it."""

    def __init__(self, make: Make[Any], skip: Mapping[int, str], given: int, shared: mmap.mmap) -> None:
        self.shared, self.finished, self.late, self.code = shared, False, False, 0
        self.item, self.since, self.seen = -1, 0.0, 0.0
        self.pipe, theirs = Pipe(duplex=False)
        self._begin(-1)
        self.process = os.fork()
        if self.process == 0:
            self.pipe.close()
            self._work(make, skip, given, theirs)
        theirs.close()

    def _begin(self, item: int) -> None:
        struct.pack_into("q", self.shared, 0, item)

    def _work(self, make: Make[Any], skip: Mapping[int, str], given: int, pipe: Connection) -> None:
        try:
            try:
                keep_freed()
                for each in make(skip, given, self._begin):
                    pipe.send((each, None, False))
                pipe.send((None, None, True))
            except Exception as error:
                pipe.send((None, error, True))
        except BaseException:  # nobody listens, or the error cannot be sent: the exit code says that it ended badly
            os._exit(1)
        finally:
            os._exit(0)

    def given(self, seconds: float) -> Iterator[Any]:
        """What the process gives, until it is done, dies, or has to be killed."""
        while True:
            if not self.pipe.poll(LOOK_SECONDS):
                (item,) = struct.unpack("q", self.shared[:8])
                now, clock = spent(self.process), time.monotonic()
                if item != self.item:
                    self.item, self.since, self.seen = item, now, clock
                elif item >= 0 and (now - self.since > seconds or clock - self.seen > WAITS * seconds):
                    self.late = True
                    return
                continue
            try:
                each, error, last = self.pipe.recv()
            except (EOFError, OSError):
                return
            if error is not None:
                raise error
            if last:
                self.finished = True
                return
            yield each

    def end(self) -> None:
        """See to it that the process is gone."""
        self.pipe.close()
        if not self.finished:
            with suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)
        _, status = os.waitpid(self.process, 0)
        self.code = os.waitstatus_to_exitcode(status)
