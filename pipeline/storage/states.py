"""States: how far each unfinished task is, written beside the output for `goldwash status` and progress bars.

Invariants: a state is a hint, never a fact. Only markers (`pipeline.storage.tasks`) say that a task is done. For each
pass, the output's ``logs/PART/`` holds:

``states/NAME.json``   a task that has started and is not done: its attempts, host, progress, and why it failed
``logs/``              one log per task
"""

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import filesystem, is_local, join, names_in, read_json


class Task(Protocol):
    """The names and places of a task (`pipeline.storage.tasks.Task`)."""

    @property
    def out(self) -> str:
        """The stage's folder."""

    @property
    def part(self) -> str:
        """The pass."""

    @property
    def name(self) -> str:
        """The task's name."""

    @property
    def marker(self) -> str:
        """The task's marker."""


HEARTBEAT_SECONDS = 1.0

_beats: dict[str, float] = {}
"""When this process last wrote a task's state, by the task's marker."""


def logs_of(task: Task) -> str:
    """The folder of a pass's logs and states, beside the output."""
    return join(task.out, "logs", task.part)


def log_of(task: Task, rank: int) -> str:
    """A task's log file."""
    return join(logs_of(task), "logs", f"task_{rank:05d}.log")


def state_file(task: Task) -> str:
    """The state file of a task that is not done."""
    return join(logs_of(task), "states", f"{task.name}.json")


def begun(task: Task) -> dict[str, Any]:
    """Record that a task starts another attempt; returns the new state."""
    earlier = read_state(task)
    state = {"task": task.name, "tries": int(earlier.get("tries", 0)) + 1, "host": socket.gethostname(), "pid": os.getpid()}
    state |= {"since": time.time()}
    write_state(task, state)
    _beats[task.marker] = time.monotonic()
    return state


def write_state(task: Task, state: Mapping[str, Any]) -> None:
    """Write a task's state. A full disk is ignored here: the task's own error reports it."""
    with suppress(OSError):
        write_json(state_file(task), dict(state), sync=False, indent=None)


def read_state(task: Task) -> dict[str, Any]:
    """A task's last state; empty if it is done, has not started, or its state file is broken."""
    try:
        return dict(read_json(state_file(task)) or {})
    except DataError:
        return {}


def forget_state(task: Task) -> None:
    """Remove a task's state: it is done, or starts afresh."""
    fs, path = filesystem(state_file(task))
    with suppress(FileNotFoundError, OSError):
        fs.rm_file(path)


def forget_states(tasks: Sequence[Task]) -> None:
    """Remove the states of tasks that start afresh."""
    if tasks:
        there = names_in(join(logs_of(tasks[0]), "states"))
        for task in tasks:
            if f"{task.name}.json" in there:
                forget_state(task)


def heartbeat(task: Task, documents: int, bytes_: int, fraction: float | None = None) -> None:
    """Record a task's progress, at most once per second and only on a disk (a store would charge for each write).

    ``fraction``: how much of its inputs the task has read, 0 to 1, where it knows; else it is estimated from the documents and
    bytes of text that it has read.
    """
    if not is_local(task.out) or time.monotonic() - _beats.get(task.marker, -HEARTBEAT_SECONDS) < HEARTBEAT_SECONDS:
        return
    _beats[task.marker] = time.monotonic()
    file = Path(filesystem(state_file(task))[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".half-{os.getpid()}-{task.name}")
    read = {"documents": documents, "bytes": bytes_, **({} if fraction is None else {"fraction": fraction})}
    try:
        half.write_text(json.dumps({**read_state(task), **read}))
        os.replace(half, file)
    finally:
        half.unlink(missing_ok=True)  # a full disk
