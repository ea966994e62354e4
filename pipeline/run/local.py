"""Run tasks in processes of this machine, on datatrove's `LocalPipelineExecutor`.

Law: a worker that dies is noticed, its task is tried again (three times in all), the others go on, and at the end the run
fails if a task is missing. The stock executor's pool waits for ever for a worker that was killed (python/cpython issue 96062)
and stops everybody's work when one raises; only the loop over ranks is ours.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from datatrove.executor import base as stock
from datatrove.executor.local import LocalPipelineExecutor
from loguru import logger

from pipeline.report import Report
from pipeline.run.progress import Progress, silent
from pipeline.run.work import WorkStep, done_ranks, logs_of
from pipeline.shards import Task, finished
from pipeline.stage import Run, RunError, Work, markers_of

TRIES = 3


MEMORY = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_MMAP_THRESHOLD_": str(1 << 18)}
"""Said to workers: what is given back goes to the machine at once. Arrow's own pool keeps it, in pages of 2 MB, and so does the
C library once it has seen a large block: 70 and 30 MB a scoring worker (2026-11); the speed is the same."""


def _task_log(folder: Any, rank: int, local_rank: int = 0, node_rank: int = -1) -> Any:
    """A task's log, in its file alone: datatrove's own also writes every error to stderr, with a traceback."""
    logger.remove()
    file = folder.open(f"logs/task_{rank:05d}.log", "w")

    def write(line: str) -> None:
        with suppress(OSError):  # a full disk: the task's own error is what is told
            file.write(line)

    logger.add(write, colorize=False, level="DEBUG")
    return file


stock.add_task_logger = _task_log


def local(workers: int = 0, progress: Callable[[Sequence[Task]], Progress] = silent) -> Run:
    """Run tasks in ``workers`` processes (0: one a core)."""
    workers = workers or os.cpu_count() or 1

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        if tasks:
            executor = LocalExecutor(work, tasks, workers)
            with progress(tasks) as bar:
                executor.run(bar.look)
        return sum((Report.from_dict(marker["report"]) for marker in markers_of(tasks)), Report())

    return run


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    rank: int | None = None


class LocalExecutor(LocalPipelineExecutor):  # type: ignore[misc]
    """datatrove's local executor with workers that are watched, and with markers in place of completion files."""

    def __init__(self, work: Work, tasks: Sequence[Task], workers: int) -> None:
        super().__init__([WorkStep(work, tasks)], tasks=len(tasks), workers=workers, logging_dir=logs_of(tasks[0]))
        self.work_tasks = list(tasks)

    def is_rank_completed(self, rank: int) -> bool:
        """Whether the task's marker is there, of this identity, with its files."""
        return finished(self.work_tasks[rank]) is not None

    def mark_rank_as_completed(self, rank: int) -> None:
        """Nothing: the task has written its marker."""

    def run(self, look: Callable[[], None] = lambda: None) -> None:
        """Do every task that is not done; raises `RunError` where one cannot be finished."""
        ready = done_ranks(self.work_tasks)
        ranks = [rank for rank in range(len(self.work_tasks)) if rank not in ready]
        failures = self._here(ranks, look) if self.workers == 1 or len(ranks) == 1 else self._in_processes(ranks, look)
        if failures:
            rank, why = min(failures.items())
            log = f"{logs_of(self.work_tasks[0])}/logs/task_{rank:05d}.log"
            rest = f" ({len(failures)} tasks failed)" if len(failures) > 1 else ""
            raise RunError(
                f"task {self.work_tasks[rank].name} of {', '.join(self.work_tasks[rank].inputs)}: {why}{rest}; log: {log}"
            )

    def _here(self, ranks: list[int], look: Callable[[], None]) -> dict[int, str]:
        failures = {}
        for rank in ranks:
            look()
            if why := self.attempt(rank):
                failures[rank] = why
        look()
        return failures

    def attempt(self, rank: int) -> str | None:
        """Do one task; why it failed, or None."""
        logger.remove()
        try:
            self._run_for_rank(rank, local_rank=1)
        except Exception as error:
            return _why(error)
        finally:
            logger.remove()
        return None

    def _in_processes(self, ranks: list[int], look: Callable[[], None]) -> dict[int, str]:
        for name, value in MEMORY.items():
            os.environ.setdefault(name, value)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["pipeline.run.forked"])
        waiting, tries, failures = list(reversed(ranks)), dict.fromkeys(ranks, 0), dict[int, str]()
        workers: list[_Worker] = []
        try:
            while waiting or any(worker.rank is not None for worker in workers):
                while waiting and len(workers) < min(self.workers, len(ranks)):
                    workers.append(self._hire(context))
                for worker in workers:
                    if worker.rank is None and waiting:
                        worker.rank = waiting.pop()
                        worker.pipe.send(worker.rank)
                wait([thing for w in workers for thing in (w.pipe, w.process.sentinel)], timeout=0.5)
                look()
                for worker in workers:
                    self._listen(worker, workers, waiting, tries, failures)
        finally:
            for worker in workers:
                worker.process.terminate()
                worker.process.join()
        return failures

    def _hire(self, context: Any) -> _Worker:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self, theirs), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _listen(
        self, worker: _Worker, workers: list[_Worker], waiting: list[int], tries: dict[int, int], failures: dict[int, str]
    ) -> None:
        """Take a worker's answer, or notice that it is gone and put its task back."""
        rank = worker.rank
        try:
            if rank is not None and worker.pipe.poll():
                if why := worker.pipe.recv():
                    failures[rank] = why
                worker.rank = None
                return
        except (EOFError, ConnectionResetError):
            pass
        else:
            if worker.process.is_alive():
                return
        worker.process.join()
        workers.remove(worker)
        if rank is None:
            return
        tries[rank] += 1
        if tries[rank] < TRIES:
            waiting.append(rank)
        else:
            failures[rank] = (
                f"its worker was killed {TRIES} times (exit code {worker.process.exitcode}; -9 is usually the kernel, out of "
                "memory): give fewer --workers or smaller inputs"
            )


def _work(executor: LocalExecutor, pipe: Connection) -> None:
    """A worker's life: a rank comes, why it failed (or None) goes, until the other end is gone."""
    try:
        while True:
            pipe.send(executor.attempt(pipe.recv()))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        sys.exit(0)


def _why(error: BaseException) -> str:
    from pipeline.stage import RecipeError

    known = (OSError, RecipeError, RunError, ValueError, ReferenceError)
    text = str(error) or type(error).__name__
    where = traceback.extract_tb(error.__traceback__)[-1]
    from pipeline.shards import DataError

    if isinstance(error, DataError | RecipeError | RunError):
        return text
    return f"{type(error).__name__}: {text}" + ("" if isinstance(error, known) else f" ({where.filename}:{where.lineno})")
