"""A pass on a Ray cluster, on datatrove's `RayPipelineExecutor`; used in the agent's process alone (`ray_agent`).

Invariants: what cannot work is refused before the first task: a node that cannot see the output, has another Python or no
goldwash, or a task that is larger than any node. Tasks are plain Ray tasks, so that Ray notices a worker or a node that dies
(the stock executor puts a process pool into an actor, and waits for ever for a child that was killed); such a task is started
again, three times in all. The others go on, and at the end the tasks that failed are named (the stock one does not
report them).
"""

import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray as engine
from datatrove.executor.ray import RayPipelineExecutor

from goldwash import __version__
from goldwash.pipeline.engines import ray_node
from goldwash.pipeline.engines.ray import Ray
from goldwash.pipeline.engines.work import TRIES, Attempts, Failures, WorkStep
from goldwash.pipeline.stage import RunError, Work
from goldwash.pipeline.storage.locations import filesystem, is_local, join
from goldwash.pipeline.storage.states import log_of, logs_of, read_state, write_state
from goldwash.pipeline.storage.tasks import Task
from goldwash.text_output import printable

AHEAD = 4
"""Tasks handed to Ray per processor that it has: enough to keep it busy, few enough for the driver's memory."""

CLOCKS = 300.0
"""Seconds that clocks may differ. Files and markers do not depend on them, requests to a store do."""


class RayExecutor(Attempts, RayPipelineExecutor):  # type: ignore[misc]
    """datatrove's Ray executor with markers, and with plain tasks that are watched."""

    def __init__(self, work: Work, tasks: Sequence[Task], settings: Ray) -> None:
        self.work_tasks: Mapping[int, Task] = dict(enumerate(tasks))
        with warnings.catch_warnings(), _quiet():
            super().__init__(
                [],
                tasks=len(tasks),
                workers=settings.at_once or -1,
                cpus_per_task=settings.cpus,
                mem_per_cpu_gb=settings.memory_of(tasks) / 1024 / settings.cpus,
                logging_dir=logs_of(tasks[0]),
            )
        self.work, self.settings = work, settings

    @property
    def memory(self) -> int:
        """Bytes per task."""
        return int(self.mem_per_cpu_gb * self.cpus_per_task * 2**30)

    def attempt_task(self, rank: int, task: Task) -> str | None:
        """Do one task in this process, which got that one alone; returns why it failed, or None."""
        self.work_tasks = {rank: task}
        self.pipeline = [WorkStep(self.work, self.work_tasks)]
        return self.attempt(rank)

    def check_nodes(self) -> None:
        """Ask each node whether it can do the work; a `RunError` says which cannot, and the cure."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

        nodes = [node for node in engine.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
        self._check_size(nodes)
        place = logs_of(self.work_tasks[0])
        path = os.path.abspath(filesystem(join(place, "pass.json"))[1]) if is_local(place) else ""
        engine.cloudpickle.register_pickle_by_value(ray_node)
        ask = engine.remote(num_cpus=0, max_retries=TRIES)(ray_node.describe_node)
        asked = [ask.options(scheduling_strategy=On(node["NodeID"], soft=False)).remote(path) for node in nodes]
        try:
            answers = engine.get(asked, timeout=120)
        except engine.exceptions.RayError as error:
            why = printable(str(error).strip().splitlines()[0])
            raise RunError(
                f"a node of the Ray cluster does not answer ({type(error).__name__}: {why}): see `ray status`"
            ) from error
        for answer in answers:
            check_node(answer, path)

    def _check_size(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        for node in nodes:
            if node["Resources"].get("memory", 0) >= self.memory and node["Resources"]["CPU"] >= self.cpus_per_task:
                return
        stage = self.work_tasks[0].stage["name"]
        most = max((node["Resources"].get("memory", 0) for node in nodes), default=0)
        raise RunError(
            f"no node of the Ray cluster has {self.cpus_per_task} CPUs and {self.memory / 2**30:.1f} GB for a task of {stage}; "
            f"the largest of {len(nodes)} has {most / 2**30:.1f} GB: give --with {stage}.memory_gb=..., or larger nodes"
        )

    def run(self, ranks: Sequence[int]) -> Failures:
        """Do these tasks; returns those that failed."""
        remote = engine.remote(num_cpus=self.cpus_per_task, memory=self.memory, max_retries=0)(RayExecutor.attempt_task)
        tasks, self.work_tasks = self.work_tasks, {}  # each worker gets the executor without its tasks
        shared = engine.put(self)
        self.work_tasks = tasks
        waiting, tries, failures = list(reversed(ranks)), dict.fromkeys(ranks, 0), Failures()
        running: dict[Any, int] = {}
        most = min(self.workers, AHEAD * max(1, int(engine.cluster_resources().get("CPU", 1))))
        while waiting or running:
            while waiting and len(running) < most:
                rank = waiting.pop()
                running[remote.remote(shared, rank, tasks[rank])] = rank
            ended, _ = engine.wait(list(running), timeout=0.5)
            for reference in ended:
                self._listen(reference, running.pop(reference), waiting, tries, failures)
        return failures

    def _listen(self, reference: Any, rank: int, waiting: list[int], tries: dict[int, int], failures: Failures) -> None:
        """Take a task's answer, or notice that its worker is dead and put it back."""
        try:
            if why := engine.get(reference):
                failures[rank] = why
            return
        except engine.exceptions.RayTaskError as error:  # outside of the task's own work, which reports its errors
            failures[rank] = printable(str(error.cause).strip().splitlines()[-1])
        except engine.exceptions.RayError as error:
            tries[rank] += 1
            if tries[rank] < TRIES:
                waiting.append(rank)
                return
            why = printable(str(error).strip().splitlines()[0])
            failures[rank] = (
                f"its worker was killed {TRIES} times ({type(error).__name__}: {why}): out of memory is the usual cause; give "
                f"--with {self.work_tasks[rank].stage['name']}.memory_gb=..., or smaller inputs"
            )
        task = self.work_tasks[rank]
        write_state(task, {**read_state(task), "task": task.name, "why": failures[rank], "log": log_of(task, rank)})


def check_node(answer: Mapping[str, Any], place: str) -> None:
    """Refuse a node that does not fit, by its `ray_node.describe_node`."""
    host, behind = printable(answer["host"]), time.time() - answer["time"]
    if abs(behind) > CLOCKS:
        raise RunError(
            f"the clock of {host} is {abs(behind):.0f} s {'behind' if behind > 0 else 'ahead'}: a store refuses requests from "
            "such a clock; synchronise it (NTP)"
        )
    if not answer["sees"]:
        raise RunError(f"{host} cannot see {place}: --out must be on a disk that all nodes share, or in a store (s3://)")
    if answer["python"].rsplit(".", 1)[0] != sys.version.split()[0].rsplit(".", 1)[0]:
        raise RunError(f"{host} has Python {answer['python']}, this machine {sys.version.split()[0]}: use the same")
    if answer["goldwash"] != __version__:
        have = f"goldwash {answer['goldwash']}" if answer["goldwash"] else "no goldwash"
        raise RunError(f"{host} has {have}, this machine {__version__}: install the same in the Python that Ray uses")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without datatrove's warning that logs are on a disk: each node is asked whether it sees that disk."""
    from loguru import logger

    logger.disable("datatrove.executor.ray")
    try:
        yield
    finally:
        logger.enable("datatrove.executor.ray")
