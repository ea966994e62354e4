"""A pass as a job array, on datatrove's `SlurmPipelineExecutor`.

Invariants: tasks that are missing when an array has ended are submitted again, until workers have been killed `TRIES` times;
arrays that Slurm preempted or whose node failed do not count. An array that an earlier driver has submitted is waited for, not
submitted twice. An array that is larger than the cluster's limits (MaxArraySize, MaxSubmitJobs) is submitted with fewer
elements, each of which does more tasks. What an element needs is JSON in the pass's ``logs/``, read by ``python -m
goldwash.pipeline.engines.slurm_array``: the stock executor's pickle belongs to one Python version, and is overwritten while an
array waits. (The stock one also drops an element's other tasks when one raises.)

``tasks.jsonl``     the tasks: what they share, then a line each
``array-N.json``    the ranks of an array, and how many of them an element does
"""

import hashlib
import itertools
import json
import os
import re
import shlex
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from datatrove.executor.base import DistributedEnvVars
from datatrove.executor.slurm import SlurmPipelineExecutor

from goldwash.pipeline.engines import slurm_commands as commands
from goldwash.pipeline.engines.slurm_settings import SlurmSettings, check_path, python_of, settings_from, slurm_logs, whole
from goldwash.pipeline.engines.work import (
    TRIES,
    Attempts,
    Failures,
    Poll,
    WorkStep,
    missing_ranks,
    name_of,
    nothing,
    raise_failures,
    record_pass,
    unmarked,
    work_named,
)
from goldwash.pipeline.engines.workers import MEMORY
from goldwash.pipeline.stage import RunError, Work
from goldwash.pipeline.storage.atomic import atomic_write, write_json
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import filesystem, join, read_json
from goldwash.pipeline.storage.states import forget_states, logs_of, read_state, write_state
from goldwash.pipeline.storage.tasks import Task

NOT_THEIR_FAULT = ("PREEMPTED", "NODE_FAIL", "REQUEUED")
"""States of elements whose end was not their tasks' fault."""

ROUNDS = 50
"""The most arrays of one pass, where preemption ends them again and again."""


class SlurmExecutor(Attempts, SlurmPipelineExecutor):  # type: ignore[misc]
    """datatrove's Slurm executor with markers, tasks as JSON, and a driver that waits and submits again."""

    def __init__(self, work: Work, tasks: Mapping[int, Task], settings: SlurmSettings) -> None:
        first = next(iter(tasks.values()))
        check_path(first.out)
        self.folder = logs_of(first)
        super().__init__(
            [WorkStep(work, tasks)],
            tasks=len(tasks),
            time=settings.time,
            partition=settings.partition,
            cpus_per_task=settings.cpus,
            job_name=f"goldwash-{_plain(first.stage['name'])}-{_plain(first.part)}-{_key(whole(first.out), first.fingerprint)}",
            env_command=settings.environment or None,
            logging_dir=self.folder,
            slurm_logs_folder=os.path.abspath(slurm_logs(first.out)),
            qos=settings.qos or None,
            workers=settings.at_once or -1,
            sbatch_args=settings.options(),
            with_srun=False,
        )
        self.work, self.work_tasks, self.settings = work, tasks, settings
        self.every = list(tasks.values())

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, str]:
        """The options of an array: memory per task, not per processor, and a log's path whose ``%`` means itself."""
        options = {key: str(value) for key, value in super().get_sbatch_args(max_array).items()}
        for unused in ("mem-per-cpu", "job-name", "error"):
            options.pop(unused, None)
        log = self.slurm_logs_folder.replace("%", "%%")
        return {**options, "mem": f"{self.settings.memory_of(self.every)}M", "output": f"{log}/%A_%a.out"}

    def get_distributed_env(self, node_rank: int = -1) -> DistributedEnvVars:
        """datatrove's variables for its own steps; goldwash's step reads none of them."""
        return DistributedEnvVars(
            datatrove_node_ips="", datatrove_cpus_per_task="1", datatrove_mem_per_cpu="0", datatrove_gpus_on_node="0",
            datatrove_executor="SLURM",
        )  # fmt: skip

    def run(self, ranks: Sequence[int], poll: Poll = nothing) -> None:
        """Do these tasks: submit, wait, submit what is missing again. Raises `RunError` if one cannot be finished."""
        earlier = commands.queued(self.job_name, self.settings.clusters)
        jobs = ",".join(earlier)
        if not jobs:
            forget_states([self.work_tasks[rank] for rank in ranks])
        write_tasks(self.work, self.every)  # equal to those that are there, if an array waits
        tries = 0
        for number in range(ROUNDS):
            jobs = jobs or self.launch(ranks, number)
            record_pass(self.work, self.every, "slurm", jobs=jobs.split(","))
            self._wait(jobs, poll)
            ends = commands.ends_of(jobs)
            tries += not (ends and all(end.startswith(NOT_THEIR_FAULT) for end in ends))
            ranks, jobs = self._late() if tries >= TRIES else missing_ranks(self.every), ""
            failed = {rank: why for rank in ranks if (why := read_state(self.work_tasks[rank]).get("why"))}
            if failed or not ranks:
                raise_failures(self.work_tasks, failed)
                return
            if tries >= TRIES:
                break
        raise_failures(self.work_tasks, self._killed(ranks, ends))

    def launch(self, ranks: Sequence[int], number: int) -> str:
        """Submit an array for these ranks, of as many elements as the settings and the cluster allow; returns the job."""
        elements = min(len(ranks), self.settings.array)
        while True:
            each = -(-len(ranks) // elements)
            elements = -(-len(ranks) // each)
            write_json(
                join(self.folder, f"array-{number}.json"),
                {"ranks": list(ranks), "each": each, "settings": asdict(self.settings)},
            )
            try:
                return commands.submit(
                    self.job_name, self._script(number), self.get_sbatch_args(elements), self.settings.clusters
                )
            except commands.LimitError:
                if elements == 1:
                    raise
                elements = -(-elements // 2)

    def _script(self, number: int) -> str:
        """What an element runs, by datatrove's template, whose own ``#SBATCH`` lines `slurm_commands.submit` writes."""
        values = " ".join(f"{name}={value}" for name, value in MEMORY.items())
        folder = shlex.quote(whole(self.folder))
        words = f"{values} {python_of(self.settings)} -P -m goldwash.pipeline.engines.slurm_array {folder} {number}"
        contents: str = self.get_launch_file_contents({}, words)
        return contents.removeprefix("#!/bin/bash\n")

    def _wait(self, jobs: str, poll: Poll) -> None:
        """Return when the array has ended, or every task has a marker."""
        written: dict[str, Any] = {}
        while unmarked(self.every):
            queue = commands.queue_of(jobs, self.settings.controller_seconds)
            if not queue["states"]:
                return
            if queue != written:
                written = queue
                write_json(join(self.folder, "queue.json"), queue)
            poll()
            time.sleep(self.settings.poll_seconds)

    def _late(self) -> list[int]:
        """The missing ranks, after the time that a shared disk may take to show what other machines wrote."""
        until = time.monotonic() + self.settings.late_seconds
        while (ranks := missing_ranks(self.every)) and time.monotonic() < until:
            if any(read_state(self.work_tasks[rank]).get("why") for rank in ranks):
                break
            time.sleep(min(1.0, self.settings.poll_seconds))
        return ranks

    def _killed(self, ranks: Sequence[int], ends: Counter[str]) -> Failures:
        how = "; ".join(f"{n} x {end}" for end, n in ends.most_common()) or "Slurm no longer knows how"
        failures = Failures()
        for rank in ranks:
            task = self.work_tasks[rank]
            failures[rank] = (
                f"its worker was killed or never began, {TRIES} times ({how}); if it is out of memory or time: --with "
                f"{task.stage['name']}.memory_gb=... or .time=...; see {self.slurm_logs_folder}"
            )
            write_state(task, {**read_state(task), "task": task.name, "why": failures[rank]})
        return failures


def _plain(name: str) -> str:
    """A text that is safe inside a job's name: squeue takes names as a list separated by commas."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)


def _key(*facts: str) -> str:
    """A hash that distinguishes the jobs of one folder and fingerprint from all others."""
    return hashlib.sha256(" ".join(facts).encode()).hexdigest()[:12]


# --- tasks as JSON

SHARED = ("stage", "out", "fingerprint", "part", "versions")


def write_tasks(work: Work, tasks: Sequence[Task]) -> None:
    """Write a pass's tasks: a line of what they share, then a line for each."""
    with atomic_write(join(logs_of(tasks[0]), "tasks.jsonl")) as half, open(half, "w", encoding="utf-8") as file:
        values = tasks[0].to_dict()
        file.write(json.dumps({"work": name_of(work), **{key: values[key] for key in SHARED}}) + "\n")
        for task in tasks:
            own = {k: v for k, v in task.to_dict().items() if k not in SHARED}
            file.write(json.dumps(own) + "\n")


def read_tasks(folder: str, ranks: Sequence[int]) -> tuple[Work, dict[int, Task]]:
    """The work and the tasks of these ranks; a `RunError` if this machine does not see the folder."""
    fs, path = filesystem(join(folder, "tasks.jsonl"))
    wanted = set(ranks)
    try:
        with fs.open(path, "rt", encoding="utf-8") as file:
            shared = json.loads(next(file))
            work = work_named(shared.pop("work"))
            lines: Iterator[tuple[int, str]] = enumerate(itertools.islice(file, max(wanted) + 1))
            return work, {n: Task.from_dict({**shared, **json.loads(line)}) for n, line in lines if n in wanted}
    except FileNotFoundError as error:
        raise RunError(
            f"{socket.gethostname()} cannot see {folder}: the folder that is given with --out must be on a disk that all nodes "
            "share, or in a store (s3://)"
        ) from error


def element(folder: str, number: int, index: int) -> int:
    """Do an element's tasks, one after the other; returns the exit code, 1 if one of them failed."""
    array = read_json(join(folder, f"array-{number}.json"))
    if array is None:
        read_tasks(folder, [0])
        raise DataError(f"{folder} has no array-{number}.json: submit the run again")
    each = array["each"]
    work, tasks = read_tasks(folder, array["ranks"][index * each : (index + 1) * each])
    executor = SlurmExecutor(work, tasks, settings_from(array["settings"]))
    failures = [why for rank in tasks if (why := executor.attempt(rank))]
    sys.stderr.write("".join(f"{why}\n" for why in failures))
    return int(bool(failures))


if __name__ == "__main__":
    try:
        sys.exit(element(sys.argv[1], int(sys.argv[2]), int(os.environ["SLURM_ARRAY_TASK_ID"])))
    except (DataError, RunError) as error:
        sys.exit(f"goldwash: {error}")
