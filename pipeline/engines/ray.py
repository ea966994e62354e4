"""Run tasks on a Ray cluster, on datatrove's `RayPipelineExecutor`.

Law: what cannot work is said before the first task: an address that does not answer, a node that cannot see the output, has
another Python or no goldwash, a task that is larger than any node. Tasks are plain Ray tasks, so that Ray notices a worker or a
node that dies (the stock executor puts a process pool into an actor, and waits for ever for a child that was killed); such a
task is begun again, three times in all. The others go on, and at the end the run fails if a task is missing (the stock one
says nothing of it).
"""

import importlib
import importlib.metadata
import logging
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from datatrove.executor.ray import RayPipelineExecutor

from goldwash import __version__
from goldwash.pipeline.engines.progress import Progress, silent
from goldwash.pipeline.engines.settings import Ray
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
from goldwash.pipeline.stage import Run, RunError, Work, reports_of
from goldwash.pipeline.storage.locations import filesystem, is_local, join
from goldwash.pipeline.storage.states import forget_states, log_of, logs_of, read_state, write_state
from goldwash.pipeline.storage.tasks import Task

AHEAD = 4
"""Tasks that are handed to Ray for each processor that it has: enough to keep it busy, few enough for the driver's memory."""

CLOCKS = 300.0
"""Seconds that clocks may differ; files and markers do not depend on them, requests to a store do."""

ANSWER_SECONDS = 10.0
"""How long an address may take to answer."""
CLUSTER_SECONDS = 10.0
"""How often it is asked whether the cluster is still the one that this driver joined."""


def ray(settings: Ray, progress: Callable[[Sequence[Task]], Progress] = silent) -> Run:
    """Run tasks on a Ray cluster, and wait for them."""
    connect(settings)

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        ranks = missing_ranks(tasks)
        if ranks:
            forget_states([tasks[rank] for rank in ranks])
            record_pass(work, tasks, "ray", address=settings.address)
            executor = RayExecutor(work, tasks, settings.of_stage(str(tasks[0].stage["name"])))
            executor.check_nodes()
            with progress(tasks) as bar:
                executor.run(ranks, bar.look)
        return reports_of(tasks)

    return run


def connect(settings: Ray) -> None:
    """Join the cluster, unless this process has; a `RunError` where there is none."""
    try:
        import ray as engine
    except ImportError as error:
        raise RunError("Ray is not installed: pip install 'goldwash[ray]'") from error
    if engine.is_initialized():
        return
    host, _, port = settings.address.rpartition(":")
    if host:
        if not port.isdigit() or "/" in host:
            raise RunError(f"{settings.address} is no address of a Ray head: expected HOST:PORT, auto or local")
        try:
            socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
        except OSError as error:
            raise RunError(
                f"no Ray head answers at {settings.address} ({error}): start one there (`ray start --head`), or give its "
                "address with --ray-address"
            ) from error
    try:
        # a local cluster of its own: "auto" would join what a head that was killed has left behind
        engine.init(
            address=settings.address, runtime_env={"env_vars": MEMORY}, log_to_driver=False, logging_level=logging.ERROR,
            configure_logging=False,
            **({"include_dashboard": False} if settings.address == "local" else {}),
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise RunError(f"Ray cannot be reached at {settings.address} ({str(error).strip().splitlines()[0]})") from error


def cluster_at(address: str) -> str | None:
    """Which cluster answers at an address now; None where none does, or this Ray does not say."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1.0).close()
        client = importlib.import_module("ray._raylet").GcsClient(address=address)
        return str(client.cluster_id.hex())
    except Exception:  # no part of Ray's public interface: what it raises, and whether it is there, may change
        return None


def look_round(place: str) -> dict[str, Any]:
    """What a node says of itself; run there without any module of ours."""
    found = {"host": socket.gethostname(), "python": sys.version.split()[0], "time": time.time(), "sees": place == ""}
    try:
        found["goldwash"] = importlib.metadata.version("goldwash")
    except importlib.metadata.PackageNotFoundError:
        found["goldwash"] = None
    return {**found, "sees": place == "" or os.path.exists(place)}


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

    def attempt_task(self, rank: int, task: Task) -> str | None:
        """Do one task in this process, which has got that one alone; why it failed, or None."""
        self.work_tasks = {rank: task}
        self.pipeline = [WorkStep(self.work, self.work_tasks)]
        return self.attempt(rank)

    def check_nodes(self) -> None:
        """Ask each node whether it can do the work; a `RunError` says which cannot, and the cure."""
        import ray as engine
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

        nodes = [node for node in engine.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
        memory = int(self.mem_per_cpu_gb * self.cpus_per_task * 2**30)
        fitting = [
            node for node in nodes
            if node["Resources"].get("memory", 0) >= memory and node["Resources"]["CPU"] >= self.cpus_per_task
        ]  # fmt: skip
        stage = self.work_tasks[0].stage["name"]
        if not fitting:
            most = max((node["Resources"].get("memory", 0) for node in nodes), default=0)
            raise RunError(
                f"no node of the Ray cluster has {self.cpus_per_task} CPUs and {memory / 2**30:.1f} GB for a task of {stage}; "
                f"the largest of {len(nodes)} has {most / 2**30:.1f} GB: give --with {stage}.memory_gb=..., or larger nodes"
            )
        place = logs_of(self.work_tasks[0])
        seen = os.path.abspath(filesystem(join(place, "pass.json"))[1]) if is_local(place) else ""
        ask = engine.remote(num_cpus=0, max_retries=TRIES)(look_round)
        asked = [ask.options(scheduling_strategy=On(node["NodeID"], soft=False)).remote(seen) for node in nodes]
        try:
            answers = engine.get(asked, timeout=120)
        except engine.exceptions.RayError as error:
            why = str(error).strip().splitlines()[0]
            raise RunError(
                f"a node of the Ray cluster does not answer ({type(error).__name__}: {why}): see `ray status`"
            ) from error
        for said in answers:
            self.check_node(said, seen)

    def check_node(self, said: Mapping[str, Any], place: str) -> None:
        """Refuse a node by what it said of itself."""
        behind = time.time() - said["time"]
        if abs(behind) > CLOCKS:
            raise RunError(
                f"the clock of {said['host']} is {abs(behind):.0f} s {'behind' if behind > 0 else 'ahead'}: a store refuses "
                "requests of such a clock; synchronise it (NTP)"
            )
        if not said["sees"]:
            raise RunError(
                f"{said['host']} cannot see {place}: --out must be on a disk that all nodes share, or in a store (s3://)"
            )
        if said["python"].rsplit(".", 1)[0] != sys.version.split()[0].rsplit(".", 1)[0]:
            raise RunError(f"{said['host']} has Python {said['python']}, this machine {sys.version.split()[0]}: use the same")
        if said["goldwash"] != __version__:
            have = f"goldwash {said['goldwash']}" if said["goldwash"] else "no goldwash"
            raise RunError(
                f"{said['host']} has {have}, this machine {__version__}: install the same in the Python that Ray uses"
            )

    def run(self, ranks: Sequence[int], look: Look = lambda: None) -> None:
        """Do these tasks; raises `RunError` where one cannot be finished."""
        import ray as engine

        options = {
            "num_cpus": self.cpus_per_task, "memory": int(self.mem_per_cpu_gb * self.cpus_per_task * 2**30), "max_retries": 0,
        }  # fmt: skip
        remote = engine.remote(**options)(RayExecutor.attempt_task)
        tasks, self.work_tasks = self.work_tasks, {}  # what each worker gets is the executor without its tasks
        shared = engine.put(self)
        self.work_tasks = tasks
        waiting, tries, failures = list(reversed(ranks)), dict.fromkeys(ranks, 0), Failures()
        running: dict[Any, int] = {}
        most = min(self.workers, AHEAD * max(1, int(engine.cluster_resources().get("CPU", 1))))
        address = engine.get_runtime_context().gcs_address
        joined, asked = cluster_at(address), time.monotonic()
        while waiting or running:
            if time.monotonic() - asked > CLUSTER_SECONDS:
                self.check_cluster(address, joined)
                asked = time.monotonic()
            while waiting and len(running) < most:
                rank = waiting.pop()
                running[remote.remote(shared, rank, tasks[rank])] = rank
            ended, _ = engine.wait(list(running), timeout=0.5)
            look()
            for reference in ended:
                self._listen(reference, running.pop(reference), waiting, tries, failures)
        raise_failures(tasks, failures)

    def check_cluster(self, address: str, joined: str | None) -> None:
        """Refuse a cluster that was started anew under this driver, which would wait for its tasks for ever."""
        now = cluster_at(address)
        if joined and now and now != joined:
            raise RunError(
                f"another Ray cluster answers at {address} than the one that this run joined: its head was started anew. Give "
                "the same command again; what is done stays done"
            )

    def _listen(self, reference: Any, rank: int, waiting: list[int], tries: dict[int, int], failures: Failures) -> None:
        """Take a task's answer, or notice that its worker is gone and put it back."""
        import ray as engine

        try:
            if why := engine.get(reference):
                failures[rank] = why
            return
        except engine.exceptions.RayTaskError as error:  # not what the task met, which it tells, but its frame
            failures[rank] = str(error.cause).strip().splitlines()[-1]
        except engine.exceptions.RayError as error:
            tries[rank] += 1
            if tries[rank] < TRIES:
                waiting.append(rank)
                return
            why = str(error).strip().splitlines()[0]
            failures[rank] = (
                f"its worker was killed {TRIES} times ({type(error).__name__}: {why}): out of memory is the usual cause; give "
                f"--with {self.work_tasks[rank].stage['name']}.memory_gb=..., or smaller inputs"
            )
        task = self.work_tasks[rank]
        write_state(task, {**read_state(task), "task": task.name, "why": failures[rank], "log": log_of(task, rank)})


@contextmanager
def _quiet() -> Iterator[None]:
    """Without datatrove's warning that the logs lie on a disk: whether all nodes see it is asked of them."""
    from loguru import logger

    logger.disable("datatrove.executor.ray")
    try:
        yield
    finally:
        logger.enable("datatrove.executor.ray")
