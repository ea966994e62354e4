"""The environment of workers, on every engine, and the server that forks those of this machine.

Invariants: nothing heavy is imported here. The server takes a second to load its packages (`preload`), so a command starts it
before it loads its own. It starts with Ctrl-C blocked and then ignores it: Ctrl-C is the driver's (`lifeline`).
"""

import multiprocessing
import multiprocessing.util
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

from goldwash.pipeline.storage.machine import MMAP_THRESHOLD, TRIM_THRESHOLD, keep_freed_memory, processors

MEMORY = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(MMAP_THRESHOLD),
    "MALLOC_TRIM_THRESHOLD_": str(TRIM_THRESHOLD),
}
"""Environment of workers. Arrow's own pool keeps what is freed, in pages of 2 MB, 70 MB per scoring worker; the C library's
allocator is as fast (2026-11). Its thresholds: `keep_freed_memory`."""


def start_early(on: str, workers: int, inputs: Sequence[str] = ()) -> None:
    """Start the fork server for a command that has yet to load its packages, if it will probably have workers here.

    The command's own process keeps freed memory, too: it does the work where it has one worker or one task.

    ``on``, ``workers``: the engine and the processes that the command asks for. ``inputs``: what it reads, from a command
    that makes one task of a single file: one task needs no worker.
    """
    keep_freed_memory()
    single = len(inputs) == 1 and Path(inputs[0]).is_file()
    if on == "local" and not single and (workers or processors()) > 1:
        fork_context()


def fork_context() -> Any:
    """What makes workers: they are forked from a server process, which has the packages and kernels of `preload`.

    The server is running when this returns; it may still be loading them.
    """
    short_socket_folder()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["goldwash.pipeline.engines.preload"])
    resource_tracker.ensure_running()  # it ends with Ctrl-C unblocked, so it comes first
    with _ctrl_c_blocked(), _environment(MEMORY):
        forkserver.ensure_running()
    return context


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Hold back Ctrl-C, for this thread and for processes that start meanwhile, until they ignore it (`preload`).

    Python's fork server ignores it only after it has loaded its packages, and printed a traceback before (CPython 3.11).
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables, where they have no value yet, for processes that start meanwhile. This one has its own allocator already."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


LONGEST_FOLDER = 60
"""Longest path of the temporary folder, in characters, with which a socket's name fits into 108 bytes (104 on macOS)."""


def short_socket_folder() -> None:
    """Put workers' sockets into a folder with a short path: their names are limited, and ``TMPDIR`` may have any length."""
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_FOLDER:
        return
    held = tempfile.tempdir
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        if os.access(folder, os.W_OK | os.X_OK):
            tempfile.tempdir = folder
            try:
                multiprocessing.util.get_temp_dir()  # made now, and used by this process from now on
            finally:
                tempfile.tempdir = held
            return
