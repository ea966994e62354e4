"""The parts that engines share: a task as a step of a datatrove pipeline, its attempts, and the record of a pass.

Invariants: a task that is done is not done again; one that fails says why, and where its log is. What an engine knows of a
pass is in the output's ``logs/PART/``, so that anybody who sees that folder knows it too (`pipeline.inspect.status`):

``pass.json``          the pass: its work, how many tasks it has, the engine and its jobs
``states/NAME.json``   a task that has started and is not done (`pipeline.storage.states`)
``logs/``              a log for each task that had something to say (`pipeline.engines.task_log`)

After a transient error (a store that answers 503, a broken connection, an I/O error of a shared disk) the task waits and
tries again in the same process, `ATTEMPTS` times in all; any other error fails it at once. A worker that is killed says
nothing: its engine notices, and starts the task again, `TRIES` times in all.
"""

import importlib
import os
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from sysconfig import get_paths
from typing import Any

from datatrove.pipeline.base import PipelineStep

from goldwash.filters.fetch import FetchError
from goldwash.pipeline.engines.isolation import InReadingProcess
from goldwash.pipeline.engines.task_log import task_log
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stage import RunError, Work
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import check_unchanged
from goldwash.pipeline.storage.locations import join, names_in
from goldwash.pipeline.storage.retry import ATTEMPTS, exhausted, is_transient, pause
from goldwash.pipeline.storage.states import begun, forget_state, log_of, logs_of, write_state
from goldwash.pipeline.storage.tasks import Task, finished, finished_markers
from goldwash.pipeline.storage.usage import measured
from goldwash.text_output import printable

TRIES = 3
"""Attempts for a task whose workers are killed."""

Poll = Callable[[], None]
"""Called from time to time by an engine that waits."""

Failures = dict[int, str]
"""Why tasks failed, by rank."""


def nothing() -> None:
    """A `Poll` that does nothing."""


class WorkStep(PipelineStep):  # type: ignore[misc]
    """Runs ``work(tasks[rank])``. A task reads shards and writes shards, so no datatrove document passes through."""

    name = "goldwash"
    type = "Work"

    def __init__(self, work: Work, tasks: Mapping[int, Task]) -> None:
        super().__init__()
        self.work, self.tasks = work, tasks

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Do one task, if its inputs are unchanged; yields no document."""
        task = self.tasks[rank]
        for source in task.sources:
            check_unchanged(source)
        self.work(task)
        yield from ()


class Attempts:
    """The part of an executor that does one task: markers replace datatrove's completion files, and attempts are recorded.

    It comes before datatrove's executor among the bases, and overrides the executor's methods for one rank; no module of
    datatrove is patched, and nobody's loguru handlers are touched. ``work_tasks``: the tasks of this process, by rank.
    """

    work_tasks: Mapping[int, Task]
    pipeline: Sequence[Callable[..., Any]]

    def is_rank_completed(self, rank: int) -> bool:
        """Whether the task's marker exists, with this fingerprint, and its files."""
        return finished(self.work_tasks[rank]) is not None

    def mark_rank_as_completed(self, rank: int) -> None:
        """Do nothing: the task has written its marker."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> None:
        """Run the pipeline's steps for one task, unless it is done.

        datatrove's own method replaces all handlers of loguru, prints each error to stderr with a traceback, and writes
        statistics that goldwash does not use.
        """
        if self.is_rank_completed(rank):
            return
        with task_log(self.work_tasks[rank], rank):
            data: Any = None
            for step in self.pipeline:
                data = step(data, rank, len(self.work_tasks))
            deque(data or (), maxlen=0)

    def attempt(self, rank: int) -> str | None:
        """Do one task; returns why it failed, or None."""
        task = self.work_tasks[rank]
        state = begun(task)
        for number in range(ATTEMPTS):
            try:
                with measured(task):
                    self._run_for_rank(rank)
            except Exception as error:
                why = why_failed(error)
                if number < ATTEMPTS - 1 and is_transient(error) and not exhausted(error):
                    write_state(task, {**state, "waits": why})
                    pause(number)
                    continue
                write_state(task, {**state, "why": why})
                return why
            forget_state(task)
            return None
        raise AssertionError("the last attempt returns")


# --- why a task failed


def why_failed(error: BaseException) -> str:
    """An error in a line that is safe to print; for an error in a filter or a bug in goldwash, with file and line."""
    text = printable(str(error) or type(error).__name__)
    notes = "".join(f"; {printable(note)}" for note in getattr(error, "__notes__", ()))
    if isinstance(error, DataError | RecipeError | RunError | FetchError):
        return text + notes
    frames = [(frame.filename, frame.lineno, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error.__cause__, InReadingProcess):
        frames += error.__cause__.frames
    theirs = next((frame for frame in reversed(frames) if _is_users(frame[0])), None)
    if theirs is not None:
        file, line, name = theirs
        return f"{file.strip('<>')}:{line}, in {name}: {type(error).__name__}: {text}{notes}"
    known = isinstance(error, OSError | ValueError | ReferenceError) or not frames
    place = "" if known else f" ({frames[-1][0]}:{frames[-1][1]})"
    return f"{type(error).__name__}: {text}{place}{notes}"


def _is_users(file: str) -> bool:
    """Whether a file of a traceback is neither goldwash's, nor an installed package's, nor Python's."""
    if file.startswith("<"):
        return file.endswith(".py>")  # the label of a file under `use:` (`pipeline.recipes.plugins`)
    return not any(folder in Path(file).parents for folder in _not_users())


@cache
def _not_users() -> frozenset[Path]:
    package = Path(__file__).absolute().parents[2]
    installed = {Path(get_paths()[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return frozenset({package, package.resolve(), Path(__file__).resolve().parents[2], *installed})


def raise_failures(tasks: Mapping[int, Task], failures: Failures) -> None:
    """Raise a `RunError` for the first task that failed, with the number of all; do nothing if none did."""
    if failures:
        rank, why = min(failures.items())
        rest = f" ({len(failures)} tasks failed)" if len(failures) > 1 else ""
        task = tasks[rank]
        inputs = ", ".join(printable(name) for name in task.inputs[:3])
        place = f" of {inputs}" if inputs else ""
        raise RunError(f"task {task.name}{place}: {why}{rest}; log: {log_of(task, rank)}")


# --- passes


def missing_ranks(tasks: Sequence[Task]) -> list[int]:
    """The ranks whose markers do not exist, or have another fingerprint, or name files that are missing or shortened."""
    return [rank for rank, marker in enumerate(finished_markers(tasks)) if marker is None]


def unmarked(tasks: Sequence[Task]) -> int:
    """How many tasks have no marker at all: from names alone, so that it can be asked every few seconds."""
    there = names_in(join(tasks[0].out, "tasks"))
    return sum(f"{task.name}.json" not in there for task in tasks)


def name_of(work: Work) -> str:
    """A work function as ``module:name``."""
    return f"{work.__module__}:{work.__qualname__}"


def work_named(name: str) -> Work:
    """The work function of such a name."""
    module, _, function = name.partition(":")
    found: Work = getattr(importlib.import_module(module), function)
    return found


def record_pass(work: Work, tasks: Sequence[Task], engine: str, **facts: Any) -> None:
    """Write ``pass.json``: a pass is under way."""
    first = tasks[0]
    held = {"stage": first.stage["name"], "part": first.part, "work": name_of(work), "tasks": len(tasks), "engine": engine}
    held |= {"fingerprint": first.fingerprint, "since": time.time(), "host": socket.gethostname(), "pid": os.getpid()}
    write_json(join(logs_of(first), "pass.json"), {**held, **facts})
