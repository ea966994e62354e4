"""The local engine: tasks in processes of this machine, on datatrove's `LocalPipelineExecutor`.

Invariants: a worker that dies is noticed, its task is tried again (three times in all), the others go on, and at the end the
run fails if a task is missing. (The stock executor's pool waits for ever for a worker that was killed, python/cpython issue
96062, and stops all work when one raises; only the loop over ranks is ours.) A worker dies with its driver, however that
ends. With one worker, or one task, the work is done in this process. Where a pass has fewer tasks than there are workers, each
may use several processors (`pipeline.threads`).
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, ClassVar

from datatrove.executor.local import LocalPipelineExecutor

from goldwash.pipeline.code import forget_sources
from goldwash.pipeline.engines.lifeline import die_with
from goldwash.pipeline.engines.progress import Shown, silent
from goldwash.pipeline.engines.settings import Screen, Settings
from goldwash.pipeline.engines.task_log import capture_output
from goldwash.pipeline.engines.work import (
    TRIES,
    Attempts,
    Failures,
    Poll,
    WorkStep,
    missing_ranks,
    nothing,
    raise_failures,
    record_pass,
)
from goldwash.pipeline.engines.workers import MEMORY, fork_context
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, Work, reports_of
from goldwash.pipeline.storage.machine import processors
from goldwash.pipeline.storage.states import forget_states, logs_of, read_state, write_state
from goldwash.pipeline.storage.tasks import Task
from goldwash.pipeline.threads import processors_per_task

if TYPE_CHECKING:
    from goldwash.pipeline.flow import Request, Step

END_SECONDS = 5.0
"""How long a worker may take to end before it is killed."""


@dataclass(frozen=True)
class Local(Settings):
    """This machine."""

    engine: ClassVar[str] = "local"
    workers_key: ClassVar[str] = "workers"
    workers: int = 0
    """Processes; 0 is one per processor that this process may use."""

    def start(self, progress: Shown = silent) -> Run:
        """The engine of these settings."""
        return local(self.workers, progress)

    def walk(self, request: "Request", screen: Screen, detach: bool = False) -> Sequence["Step"]:
        """See `Settings`; the fork server loads its packages, which takes a second, while this process plans."""
        if (self.workers or processors()) > 1:
            fork_context()
        return super().walk(request, screen, detach)


def local(workers: int = 0, progress: Shown = silent) -> Run:
    """An engine that runs tasks in ``workers`` processes (0: one per processor that this process may use)."""
    workers = workers or processors()

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        ranks = missing_ranks(tasks)
        if ranks:
            record_pass(work, tasks, "local", workers=workers)
            forget_states([tasks[rank] for rank in ranks])
            with progress(tasks) as shown:
                LocalExecutor(work, tasks, workers).run(ranks, shown.poll)
        return reports_of(tasks)

    return run


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    lifeline: Connection
    """Closed when this process ends, which ends the worker."""
    rank: int | None = None


class LocalExecutor(Attempts, LocalPipelineExecutor):  # type: ignore[misc]
    """datatrove's local executor with workers that are watched, and with markers in place of completion files."""

    def __init__(self, work: Work, tasks: Sequence[Task], workers: int) -> None:
        self.work_tasks = dict(enumerate(tasks))
        self.processors = 1
        """Processors that a task may use: several where there are fewer tasks than workers."""
        super().__init__([WorkStep(work, self.work_tasks)], tasks=len(tasks), workers=workers, logging_dir=logs_of(tasks[0]))

    def run(self, ranks: Sequence[int], poll: Poll = nothing) -> None:
        """Do these tasks; raises `RunError` if one cannot be finished."""
        alone = self.workers == 1 or len(ranks) == 1
        self.processors = max(1, self.workers // len(ranks))
        raise_failures(self.work_tasks, self._here(ranks, poll) if alone else self._in_processes(ranks, poll))

    def _here(self, ranks: Sequence[int], poll: Poll) -> Failures:
        failures = {}
        with processors_per_task(self.processors):
            for rank in ranks:
                poll()
                if why := self.attempt(rank):
                    failures[rank] = why
        poll()
        return failures

    def _in_processes(self, ranks: Sequence[int], poll: Poll) -> Failures:
        context = fork_context()
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
                poll()
                for worker in workers[:]:
                    self._listen(worker, workers, waiting, tries, failures)
        finally:
            _end(workers)
        return failures

    def _hire(self, context: Any) -> _Worker:
        ours, theirs = context.Pipe()
        end, lifeline = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(self, theirs, end, {**MEMORY, **os.environ}), daemon=True)
        process.start()
        theirs.close()
        end.close()
        return _Worker(process, ours, lifeline)

    def _listen(
        self, worker: _Worker, workers: list[_Worker], waiting: list[int], tries: dict[int, int], failures: Failures
    ) -> None:
        """Take a worker's answer, or notice that it is dead and put its task back."""
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


def _end(workers: Sequence[_Worker]) -> None:
    """Stop workers, whatever they are doing."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(END_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()
        worker.lifeline.close()


def _work(executor: LocalExecutor, pipe: Connection, lifeline: Connection, environment: Mapping[str, str]) -> None:
    """A worker's loop: receive a rank, send why it failed (or None), until the driver has ended.

    ``environment``: the driver's; the worker has that of an earlier moment, when the fork server started.
    """
    die_with(lifeline)
    os.environ.clear()
    os.environ.update(environment)
    capture_output()
    forget_sources()  # those that the fork server has read may be older than the code that this worker imports
    with suppress(EOFError, BrokenPipeError), processors_per_task(executor.processors):
        while True:
            pipe.send(executor.attempt(pipe.recv()))
