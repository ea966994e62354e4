"""What the engines have in common: a task as a step of a datatrove pipeline, its attempts, and what is told of them.

Law: a task that is done is not done again; one that fails says why, and where its log lies. What an engine knows of a pass
stands in the output's ``logs/PART/``, so that anybody who sees that folder knows it too (`pipeline.inspect.status`):

``pass.json``          the pass: its work, how many tasks it has, the engine and its jobs
``states/NAME.json``   a task that has begun and is not done: its attempts, its host, how far it is, why it failed
``logs/``              a log a task

After an error that may pass (a store that answers 503, a connection that broke, an I/O error of a shared disk) the task waits
and tries again in the same process, `ATTEMPTS` times in all; any other error is its last word. A worker that is killed says
nothing: its engine notices, and tries `TRIES` times.
"""

import importlib
import os
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from datatrove.executor import base as stock
from datatrove.pipeline.base import PipelineStep
from loguru import logger

from goldwash.filters.fetch import FetchError
from goldwash.pipeline.stage import RecipeError, RunError, Work
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.inputs import check_unchanged
from goldwash.pipeline.storage.locations import DataError, join, sizes_in
from goldwash.pipeline.storage.retry import ATTEMPTS, exhausted, is_transient, pause
from goldwash.pipeline.storage.states import begun, forget_state, log_of, logs_of, write_state
from goldwash.pipeline.storage.tasks import Task, finished, finished_markers

TRIES = 3
"""How often a task is begun whose worker is killed."""

MEMORY = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_MMAP_THRESHOLD_": str(1 << 18)}
"""Said to workers: what is given back goes to the machine at once. Arrow's own pool keeps it, in pages of 2 MB, and so does the
C library once it has seen a large block: 70 and 30 MB a scoring worker (2026-11); the speed is the same."""


class WorkStep(PipelineStep):  # type: ignore[misc]
    """Runs ``work(tasks[rank])``; the frame of a datatrove document is not used: a task takes shards and makes shards."""

    name = "goldwash"
    type = "Work"

    def __init__(self, work: Work, tasks: Mapping[int, Task]) -> None:
        super().__init__()
        self.work, self.tasks = work, tasks

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Do one task, if its inputs are what they were; there are no documents to pass on."""
        task = self.tasks[rank]
        for source in task.sources:
            check_unchanged(source)
        self.work(task)
        yield from ()


def _task_log(folder: Any, rank: int, local_rank: int = 0, node_rank: int = -1) -> Any:
    """A task's log, in its file alone: datatrove's own also writes every error to stderr, with a traceback."""
    logger.remove()
    file = folder.open(f"logs/task_{rank:05d}.log", "w")

    def write(line: str) -> None:
        with suppress(OSError):  # a full disk: the task's own error is what is told
            file.write(line)

    logger.add(write, colorize=False, level="DEBUG")
    return file


def _close_log(file: Any) -> None:
    with suppress(OSError):
        file.close()
    logger.remove()


stock.add_task_logger = _task_log
stock.close_task_logger = _close_log


class Attempts:
    """A part of our executors: markers stand in the place of completion files, and attempts are written down.

    It comes before datatrove's executor among the bases. ``work_tasks``: the tasks that this process may be asked for, by rank.
    """

    work_tasks: Mapping[int, Task]

    def is_rank_completed(self, rank: int) -> bool:
        """Whether the task's marker is there, of this fingerprint, with its files."""
        return finished(self.work_tasks[rank]) is not None

    def mark_rank_as_completed(self, rank: int) -> None:
        """Nothing: the task has written its marker."""

    def attempt(self, rank: int) -> str | None:
        """Do one task; why it failed, or None."""
        task = self.work_tasks[rank]
        state = begun(task)
        for number in range(ATTEMPTS):
            logger.remove()
            try:
                stock.PipelineExecutor._run_for_rank(self, rank, local_rank=1)
            except Exception as error:
                why = why_failed(error)
                if number < ATTEMPTS - 1 and is_transient(error) and not exhausted(error):
                    write_state(task, {**state, "waits": why})
                    pause(number)
                    continue
                write_state(task, {**state, "why": why})
                return why
            finally:
                logger.remove()
            forget_state(task)
            return None
        raise AssertionError("the last attempt returns")


def why_failed(error: BaseException) -> str:
    """An error in a line; for a fault of ours, with its place."""
    text = str(error) or type(error).__name__
    if isinstance(error, DataError | RecipeError | RunError | FetchError):
        return text
    where = traceback.extract_tb(error.__traceback__)[-1]
    known = isinstance(error, OSError | ValueError | ReferenceError)
    return f"{type(error).__name__}: {text}" + ("" if known else f" ({where.filename}:{where.lineno})")


def missing_ranks(tasks: Sequence[Task]) -> list[int]:
    """The ranks whose markers are not there, or not of this fingerprint, or whose files are not all there."""
    return [rank for rank, marker in enumerate(finished_markers(tasks)) if marker is None]


def unmarked(tasks: Sequence[Task]) -> int:
    """How many tasks have no marker at all: told from a listing alone, so that it may be asked every few seconds."""
    there = sizes_in(join(tasks[0].out, "tasks"))
    return sum(f"{task.name}.json" not in there for task in tasks)


# --- passes: what a pass is, for those who come later


def name_of(work: Work) -> str:
    """A work function as ``module:name``."""
    return f"{work.__module__}:{work.__qualname__}"


def work_named(name: str) -> Work:
    """The work function of such a name."""
    module, _, function = name.partition(":")
    found: Work = getattr(importlib.import_module(module), function)
    return found


def record_pass(work: Work, tasks: Sequence[Task], engine: str, **facts: Any) -> None:
    """Write down that a pass is under way."""
    first = tasks[0]
    told = {"stage": first.stage["name"], "part": first.part, "work": name_of(work), "tasks": len(tasks), "engine": engine}
    told |= {"fingerprint": first.fingerprint, "since": time.time(), "host": socket.gethostname(), "pid": os.getpid()}
    write_json(join(logs_of(first), "pass.json"), {**told, **facts})


Failures = dict[int, str]


def raise_failures(tasks: Mapping[int, Task], failures: Failures) -> None:
    """Raise a `RunError` that tells of the first task that failed, and how many did."""
    if failures:
        rank, why = min(failures.items())
        rest = f" ({len(failures)} tasks failed)" if len(failures) > 1 else ""
        task = tasks[rank]
        raise RunError(f"task {task.name} of {', '.join(task.inputs[:3])}: {why}{rest}; log: {log_of(task, rank)}")


Look = Callable[[], None]
"""Called from time to time by an engine that waits."""
