"""A task's log: the warnings and log lines of libraries while the task runs, and the traceback of its error.

Invariants: no line of a log holds a control character of data (`goldwash.text_output`). A task that has nothing to say leaves
no log. On a disk the log is written as the task runs, so that it survives a killed worker; to a store it is uploaded
at the end. Of the process only the root logger and `warnings` are used, and both are restored; loguru is not touched.
"""

import io
import logging
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from goldwash.pipeline.storage.atomic import anonymous_temp_file
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.retry import with_retries
from goldwash.pipeline.storage.states import log_of
from goldwash.pipeline.storage.tasks import Task
from goldwash.text_output import printable, printable_lines

_captured: list[Callable[[int], None]] = []
"""Set in a worker process: points the process's own standard output and error at a log."""


@contextmanager
def task_log(task: Task, rank: int) -> Iterator[None]:
    """Write the log of a task while the block runs; an exception is logged with its traceback, and passes on."""
    with _opened(log_of(task, rank)) as log:
        handler = logging.StreamHandler(log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(handler)
        logging.captureWarnings(True)
        for capture in _captured:
            capture(log.fileno())
        try:
            yield
        except BaseException as error:
            with suppress(OSError):  # a full disk: the task's own error is reported
                log.write(f"task {task.name} on {socket.gethostname()}, process {os.getpid()}\n")
                for line in "".join(traceback.format_exception(error)).splitlines():
                    log.write(f"{line}\n")
            raise
        finally:
            logging.captureWarnings(False)
            logging.getLogger().removeHandler(handler)


class Escaping(io.TextIOBase):
    """A text stream over a file descriptor: each write is one call, without control characters, and a full disk is
    ignored."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The file descriptor."""
        return self.descriptor

    def write(self, text: str) -> int:
        """Write a text; its line breaks stay, and every other control character is escaped."""
        safe = printable_lines(text.removesuffix("\n")) + ("\n" if text.endswith("\n") else "")
        with suppress(OSError):
            os.write(self.descriptor, safe.encode("utf-8", "backslashreplace"))
        return len(text)


@contextmanager
def _opened(location: str) -> Iterator[Escaping]:
    fs, path = filesystem(location)
    local = is_local(location)
    with suppress(FileNotFoundError, OSError):
        fs.rm_file(path)  # the log of an earlier attempt
    if local:
        with suppress(OSError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with _descriptor(path) as descriptor:
            yield Escaping(descriptor)
        with suppress(OSError):
            if not os.path.getsize(path):
                os.unlink(path)
        return
    with anonymous_temp_file() as half, _descriptor(half) as descriptor:
        try:
            yield Escaping(descriptor)
        finally:
            if os.fstat(descriptor).st_size:
                with suppress(Exception):  # the store is why the task failed, most often
                    with_retries(lambda: fs.pipe_file(path, Path(half).read_bytes()))


@contextmanager
def _descriptor(path: str) -> Iterator[int]:
    """A descriptor that appends to a file, also from a process that is forked; of the null device if there is no room."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError:
        descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def capture_output() -> None:
    """In a worker process, from now on: whatever it prints goes to the log of its task, and none of it to the terminal.

    Python's streams escape what they write. What a C library prints goes to the log as it is; `goldwash status` escapes it.
    """

    def capture(descriptor: int) -> None:
        for standard in (1, 2):
            os.dup2(descriptor, standard)

    stream: TextIO = Escaping(2)  # type: ignore[assignment]
    sys.stdout = sys.stderr = stream
    _captured[:] = [capture]


def last_lines(text: str, count: int) -> tuple[str, ...]:
    """The last lines of a log, safe to print; none for an empty one."""
    return tuple(printable(line) for line in text.splitlines()[-count:])
