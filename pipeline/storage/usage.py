"""What tasks used: time, CPU time and peak memory, beside the output for `goldwash report`.

Invariants: usage is a note about a machine and never part of a result: it is in ``logs/PART/usage/``, one file per process,
with one line per finished task. It is written on a disk only; a store would charge for each write. Failing to write it fails
nothing.
"""

import json
import os
import resource
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldwash.pipeline.storage.locations import filesystem, is_local, join
from goldwash.pipeline.storage.states import Task, logs_of

MOST_FILES = 2_000
"""Files of usage that are read for a pass."""

STATUS, CLEAR = "/proc/self/status", "/proc/self/clear_refs"
"""Where Linux shows a process's peak memory, and where it is reset (``5``)."""


@dataclass(frozen=True)
class Usage:
    """A stage's use: wall-clock seconds in which a task ran, CPU-seconds, bytes read per second, and the peak memory of the
    largest task in bytes. 0: not known."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    bytes_per_second: float = 0.0
    peak_bytes: int = 0
    tasks: int = 0


@contextmanager
def measured(task: Task) -> Iterator[None]:
    """Record what the block used, if it ends without an error."""
    if not is_local(task.out):
        yield
        return
    _reset_peak()
    began, cpu = time.time(), _cpu_seconds()
    yield
    line = {"task": task.name, "since": began, "seconds": time.time() - began}
    line |= {"cpu_seconds": _cpu_seconds() - cpu, "peak_bytes": _peak_bytes()}
    with suppress(OSError):
        folder = filesystem(join(logs_of(task), "usage"))[1]
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{socket.gethostname()}-{os.getpid()}.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")


def usage_of(folder: str, read_bytes: int) -> Usage:
    """The use of a stage that read ``read_bytes`` bytes of text, over all its passes; zeros where nothing was recorded."""
    lines = [line for line in _lines(folder) if isinstance(line, dict)]
    if not lines:
        return Usage()
    seconds = max(_covered((float(line.get("since", 0)), float(line.get("seconds", 0))) for line in lines), 1e-3)
    return Usage(
        seconds,
        sum(float(line.get("cpu_seconds", 0)) for line in lines),
        read_bytes / seconds,
        max(int(line.get("peak_bytes", 0)) for line in lines),
        len(lines),
    )


def _covered(intervals: Iterable[tuple[float, float]]) -> float:
    """The time that intervals of (begin, length) cover together: a stage that stopped for a night did not run at night."""
    covered = end = 0.0
    for begin, length in sorted(intervals):
        covered += max(0.0, begin + length - max(begin, end))
        end = max(end, begin + length)
    return covered


def _lines(folder: str) -> Iterator[Any]:
    if not is_local(folder):
        return
    files = sorted(Path(filesystem(folder)[1]).glob("logs/*/usage/*.jsonl"))[:MOST_FILES]
    for file in files:
        with suppress(OSError):
            for line in file.read_text("utf-8", "replace").splitlines():
                with suppress(json.JSONDecodeError):
                    yield json.loads(line)


def _cpu_seconds() -> float:
    """CPU-seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _reset_peak() -> None:
    with suppress(OSError):
        Path(CLEAR).write_text("5")


def _peak_bytes() -> int:
    """The largest memory since `_reset_peak`; where that is not known, since the process began."""
    with suppress(OSError, ValueError, IndexError):
        text = Path(STATUS).read_text()
        return int(text.split("VmHWM:")[1].split()[0]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
