"""Run tasks in processes of this machine, on datatrove's `LocalPipelineExecutor`.

Law: a worker that dies is noticed, its task is tried again (three times in all), the others go on, and at the end the run
fails if a task is missing. The stock executor's pool waits for ever for a worker that was killed (python/cpython issue 96062)
and stops everybody's work when one raises; only the loop over ranks is ours.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor

from goldwash.pipeline.engines.progress import Progress, silent
from goldwash.pipeline.engines.work import (
    MEMORY,
    TRIES,
    Attempts,
    Failures,
    Look,
    WorkStep,
    missing_ranks,
    raise_failures,
    record_pass,
)
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, Work, reports_of
from goldwash.pipeline.storage.states import forget_states, logs_of, read_state, write_state
from goldwash.pipeline.storage.tasks import Task


def local(workers: int = 0, progress: Callable[[Sequence[Task]], Progress] = silent) -> Run:
    """Run tasks in ``workers`` processes (0: one a core)."""
    workers = workers or os.cpu_count() or 1

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        ranks = missing_ranks(tasks)
        if ranks:
            record_pass(work, tasks, "local", workers=workers)
            forget_states([tasks[rank] for rank in ranks])
            with progress(tasks) as bar:
                LocalExecutor(work, tasks, workers).run(ranks, bar.look)
        return reports_of(tasks)

    return run


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    rank: int | None = None


class LocalExecutor(Attempts, LocalPipelineExecutor):  # type: ignore[misc]
    """datatrove's local executor with workers that are watched, and with markers in place of completion files."""

    def __init__(self, work: Work, tasks: Sequence[Task], workers: int) -> None:
        self.work_tasks = dict(enumerate(tasks))
        super().__init__([WorkStep(work, self.work_tasks)], tasks=len(tasks), workers=workers, logging_dir=logs_of(tasks[0]))

    def run(self, ranks: Sequence[int], look: Look = lambda: None) -> None:
        """Do these tasks; raises `RunError` where one cannot be finished."""
        alone = self.workers == 1 or len(ranks) == 1
        raise_failures(self.work_tasks, self._here(ranks, look) if alone else self._in_processes(ranks, look))

    def _here(self, ranks: Sequence[int], look: Look) -> Failures:
        failures = {}
        for rank in ranks:
            look()
            if why := self.attempt(rank):
                failures[rank] = why
        look()
        return failures

    def _in_processes(self, ranks: Sequence[int], look: Look) -> Failures:
        for name, value in MEMORY.items():
            os.environ.setdefault(name, value)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["goldwash.pipeline.engines.preload"])
        waiting, tries, failures = list(reversed(ranks)), dict.fromkeys(ranks, 0), Failures()
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
        self, worker: _Worker, workers: list[_Worker], waiting: list[int], tries: dict[int, int], failures: Failures
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
            return
        failures[rank] = (
            f"its worker was killed {TRIES} times (exit code {worker.process.exitcode}; -9 is usually the kernel, out of "
            "memory): give fewer --workers or smaller inputs"
        )
        task = self.work_tasks[rank]
        write_state(task, {**read_state(task), "task": task.name, "why": failures[rank]})


def _work(executor: LocalExecutor, pipe: Connection) -> None:
    """A worker's life: a rank comes, why it failed (or None) goes, until the other end is gone."""
    try:
        while True:
            pipe.send(executor.attempt(pipe.recv()))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        sys.exit(0)
