"""Process items one by one in a separate process: if an item hangs or kills the process, only that item is lost.

Invariants:

- `isolated` yields what the generator yields, in the same order. An item that exceeds its time, or kills the process twice,
  is listed in `Again.skip` when the work restarts after the last value.
- Every wait is bounded: an item by ``seconds``, the work between items by `BETWEEN` times as much.
- An exception of the generator is raised here, with its traceback, whether it can be pickled or not: a bug of ours is never
  taken for an item's crash.
- The process does not outlive the one that started it, however that ends.

Parsers are C and Rust that hold the interpreter's lock for as long as they run: neither a thread nor a Python signal handler of
the same process can stop them.
"""

import ctypes
import gc
import mmap
import os
import pickle
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from goldwash.pipeline.storage.machine import keep_freed_memory

Value = TypeVar("Value")
Begin = Callable[[int], None]
"""Called with the number of an item before it is worked on, and with `READING` or `TOGETHER` after it."""
READING, TOGETHER = -1, -2
"""The work between items: reading up to the next one; work on many items at once."""

TIME_LIMIT, CRASH = "time_limit", "crash"
KILLS = 2
"""An item is skipped if the process has died on it this often; a single death may have another cause."""
POLL_SECONDS = 0.25
BETWEEN = 4
"""Time for the work between items, as a multiple of an item's."""
WAITS = 20
"""Wall-clock limit as a multiple of the CPU limit, for an item that only waits or gets no processor."""

_SHARED = struct.Struct("qqq")


@dataclass
class Again:
    """How to start or restart the work."""

    token: Any = None
    """The token of the last value, after which the work resumes. None: from the beginning."""
    skip: dict[int, str] = field(default_factory=dict)
    """Items that are left out, with the reason."""
    singly: bool = False
    """Work on many items at once did not finish: process them one by one."""
    stop: int | None = None
    """Reading up to the item after this one did not finish: stop here."""


Make = Callable[[Again, Begin], Iterator[tuple[Any, Value]]]
"""The generator: yields a token with each value."""


class IsolationError(RuntimeError):
    """A process that dies again and again while no item is being worked on, or an exception that cannot be sent."""


Frame = tuple[str, int, str]
"""File, line and function."""


class InReadingProcess(Exception):
    """The traceback that an error had in the reading process, and its frames."""

    def __init__(self, trace: str, frames: Sequence[Frame]) -> None:
        super().__init__(f"in the reading process:\n{trace}")
        self.frames = frames


def not_isolated(make: Make[Value]) -> Iterator[Value]:
    """The values made in this process, without a limit."""
    for _, value in make(Again(), lambda item: None):
        yield value


def isolated(make: Make[Value], seconds: float) -> Iterator[Value]:
    """The values made in forked processes; ``seconds``: CPU time per item. Raises what the generator raises."""
    again = Again()
    kills: dict[int, int] = {}
    with mmap.mmap(-1, _SHARED.size) as shared:
        while True:
            child = _Child(make, again, shared)
            try:
                for again.token, value in child.values(seconds):
                    yield value
            finally:
                child.end()
            if child.finished:
                return
            item, _, reached = _SHARED.unpack(shared[: _SHARED.size])
            kills[item] = kills.get(item, 0) + 1
            _plan(again, child, item, reached, kills[item])


def _plan(again: Again, child: "_Child", item: int, reached: int, kills: int) -> None:
    """Decide how to restart after the process was late or died."""
    if item >= 0 and (child.late or kills >= KILLS):
        again.skip[item] = TIME_LIMIT if child.late else CRASH
    elif item == TOGETHER and not again.singly and (child.late or kills >= KILLS):
        again.singly = True
    elif child.late:
        again.stop = reached
    elif kills > KILLS:
        raise IsolationError(
            f"the reading process was killed {kills} times (signal {-child.code}) between two pages: out of memory? "
            "Give the task more memory, or fewer workers"
        )


def spent(process: int) -> float:
    """CPU seconds of a process; where they cannot be known (not on Linux), the time of a clock.

    Measured in CPU time, the same pages are late on a busy machine, or one that was asleep, as on an idle one.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def die_with(parent: int) -> bool:
    """Have the kernel kill this process when its parent ends; returns whether it can (on Linux)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
    if prctl is None or prctl(1, signal.SIGKILL, 0, 0, 0) != 0:  # PR_SET_PDEATHSIG
        return False
    if os.getppid() != parent:  # it ended before
        os._exit(1)
    return True


KERNEL_WATCHES = sys.platform == "linux"
"""Whether `die_with` works; elsewhere a second process waits for the parent's end."""


class _Watch:
    """A process that kills another one when this process ends, which closes a pipe that only this one holds open."""

    def __init__(self, process: int) -> None:
        theirs, self.open = os.pipe()
        self.watcher = _fork()
        if self.watcher == 0:
            try:
                os.close(self.open)
                _signals()
                os.read(theirs, 1)
                os.kill(process, signal.SIGKILL)
            finally:
                os._exit(0)
        os.close(theirs)

    def end(self) -> None:
        """Stop watching."""
        os.kill(self.watcher, signal.SIGKILL)
        os.waitpid(self.watcher, 0)
        os.close(self.open)


def _fork() -> int:
    """`os.fork` without the warnings of JAX, and of Python from 3.12 on, about a process with several threads.

    They warn of locks that another thread held at that moment. The new process only reads pages: it calls nothing of JAX,
    PyTorch or a notebook.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()


def _signals() -> None:
    """Ctrl-C is the parent's to handle, and its handlers are not this process's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Child:
    """One forked process, and what comes from it."""

    def __init__(self, make: Make[Any], again: Again, shared: mmap.mmap) -> None:
        self.shared, self.finished, self.late, self.code = shared, False, False, 0
        self.seen, self.since, self.clock = (READING, -1), 0.0, 0.0
        self.pipe, theirs = Pipe(duplex=False)
        self.begun, self.reached, parent = 0, -1, os.getpid()
        _SHARED.pack_into(shared, 0, READING, 0, -1)
        self.process = _fork()
        if self.process == 0:
            self.pipe.close()
            self._work(make, again, theirs, parent)
        theirs.close()
        self.watch = None if KERNEL_WATCHES else _Watch(self.process)

    def _begin(self, item: int) -> None:
        self.begun += 1
        if item >= 0:
            self.reached = item
        _SHARED.pack_into(self.shared, 0, item, self.begun, self.reached)

    def _work(self, make: Make[Any], again: Again, pipe: Connection, parent: int) -> None:
        try:
            gc.freeze()  # a collection would write to the parent's objects, and so copy their pages: a quarter of extract
            _signals()
            if KERNEL_WATCHES:
                die_with(parent)
            keep_freed_memory()
            try:
                for each in make(again, self._begin):
                    _send(pipe, (each, None, False))
                _send(pipe, (None, None, True))
            except Exception as error:
                _send(pipe, (None, (_sendable(error), _frames(error), traceback.format_exc()), True))
        except BaseException:  # nobody listens: the exit code says that it ended badly
            os._exit(1)
        finally:
            os._exit(0)

    def values(self, seconds: float) -> Iterator[Any]:
        """What the process yields, until it is done, dies, or is late."""
        while True:
            if not self.pipe.poll(POLL_SECONDS):
                if self._is_late(seconds):
                    self.late = True
                    return
                continue
            try:
                each, error, last = _received(self.pipe)
            except (EOFError, OSError):
                return
            if error is not None:
                raised, frames, trace = error
                raise raised from InReadingProcess(trace, frames)
            if last:
                self.finished = True
                return
            yield each

    def _is_late(self, seconds: float) -> bool:
        item, begun, _ = _SHARED.unpack(self.shared[: _SHARED.size])
        now, clock = spent(self.process), time.monotonic()
        if (item, begun) != self.seen:
            self.seen, self.since, self.clock = (item, begun), now, clock
            return False
        limit = seconds if item >= 0 else BETWEEN * seconds
        return now - self.since > limit or clock - self.clock > WAITS * limit

    def end(self) -> None:
        """Make sure that the process has ended."""
        self.pipe.close()
        if not self.finished:
            with suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)
        _, status = os.waitpid(self.process, 0)
        self.code = os.waitstatus_to_exitcode(status)
        if self.watch:
            self.watch.end()


LEAST_APART = 1 << 12
"""Bytes from which a buffer of a value goes through the pipe on its own, not within the pickle."""


def _send(pipe: Connection, value: Any) -> None:
    """Send a value. Its large buffers, such as those of Arrow's columns, are written as they are, not copied to a pickle."""
    apart = list[memoryview]()

    def stays(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes >= LEAST_APART:
            apart.append(view)
        return view.nbytes < LEAST_APART

    pickled = pickle.dumps(value, protocol=5, buffer_callback=stays)
    pipe.send_bytes(pickle.dumps((pickled, [view.nbytes for view in apart])))
    for view in apart:
        while view.nbytes:
            view = view[os.write(pipe.fileno(), view) :]


def _received(pipe: Connection) -> Any:
    """The value that `_send` sent; raises EOFError if the process ended before."""
    pickled, sizes = pickle.loads(pipe.recv_bytes())
    buffers = [np.empty(size, np.uint8) for size in sizes]
    for buffer in buffers:
        view = buffer.data
        while view.nbytes:
            count = os.readv(pipe.fileno(), [view])
            if not count:
                raise EOFError
            view = view[count:]
    return pickle.loads(pickled, buffers=buffers)


def _frames(error: Exception) -> list[Frame]:
    return [(frame.filename, frame.lineno or 0, frame.name) for frame in traceback.extract_tb(error.__traceback__)]


def _sendable(error: Exception) -> Exception:
    """An exception that survives pickling: itself, or an `IsolationError` that quotes it."""
    try:
        again = pickle.loads(pickle.dumps(error))
        if type(again) is type(error) and str(again) == str(error):
            return error
    except Exception:
        pass
    return IsolationError(f"{type(error).__name__}: {error}")
