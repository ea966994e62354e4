"""Run tasks as job arrays of a Slurm cluster, on datatrove's `SlurmPipelineExecutor`.

Law: a pass is one array; what is missing when it has ended is submitted again, as often as workers may be killed. An array that
an earlier driver has submitted is waited for, not submitted twice. What an element needs is written as JSON into the pass's
``logs/`` and read by ``python -m goldwash.pipeline.engines.slurm``: the stock executor's pickle is of one Python version, and is rewritten
under an array that waits. The stock one also drops an element's tasks after one that raises.

``tasks.jsonl``     the tasks: what they share, then a line each
``array-N.json``    the ranks of an array, and how many of them an element does
"""

import hashlib
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datatrove.executor.base import DistributedEnvVars
from datatrove.executor.slurm import SlurmPipelineExecutor

from goldwash.pipeline.engines.progress import Progress, silent
from goldwash.pipeline.engines.settings import Slurm
from goldwash.pipeline.engines.work import (
    MEMORY,
    TRIES,
    Attempts,
    Failures,
    Look,
    WorkStep,
    missing_ranks,
    name_of,
    raise_failures,
    record_pass,
    unmarked,
    work_named,
)
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, RunError, Work, reports_of
from goldwash.pipeline.storage.atomic import atomic_write, write_json
from goldwash.pipeline.storage.locations import DataError, filesystem, is_local, join, read_json
from goldwash.pipeline.storage.states import forget_states, logs_of, read_state, write_state
from goldwash.pipeline.storage.tasks import Task

GONE = "Invalid job id"
"""What squeue says of a job that is no more known."""


def slurm(settings: Slurm, progress: Callable[[Sequence[Task]], Progress] = silent) -> Run:
    """Run tasks as job arrays, and wait for them."""
    check_cluster(settings)

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        ranks = missing_ranks(tasks)
        if ranks:
            with progress(tasks) as bar:
                executor = SlurmExecutor(work, dict(enumerate(tasks)), settings.of_stage(str(tasks[0].stage["name"])))
                executor.run(ranks, bar.look)
        return reports_of(tasks)

    return run


def check_cluster(settings: Slurm) -> None:
    """Refuse what cannot work: no sbatch here, no answer, no such partition."""
    if shutil.which("sbatch") is None:
        raise RunError("sbatch is not on the path: run goldwash where Slurm's commands are (a login node), or give --on local")
    if not settings.partition:
        raise RunError("no partition is named: give --with partition=NAME, or a file of settings; `sinfo` lists them")
    known = command("sinfo", "-h", "-o", "%R").split()
    if settings.partition not in known:
        raise RunError(f"Slurm has no partition {settings.partition!r}: there are {', '.join(sorted(set(known)))}")


def command(*words: str) -> str:
    """What one of Slurm's commands prints; a `RunError` with its own words where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=outside())
    if done.returncode:
        raise RunError(f"{' '.join(words[:1])} failed: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout


def outside() -> dict[str, str]:
    """The environment without what Slurm told this job of itself, so that a job can submit others."""
    return {k: v for k, v in os.environ.items() if not k.startswith("SLURM_") or k == "SLURM_CONF"}


def submitted(script: str, *options: str) -> str:
    """Submit a script; the job's number."""
    done = subprocess.run(
        ["sbatch", "--parsable", *options], input=script, capture_output=True, text=True, check=False, env=outside()
    )
    if done.returncode:
        why = done.stderr.strip().splitlines()
        asked = ", ".join(
            re.findall(r"^#SBATCH --((?:partition|cpus-per-task|mem|time|account|qos)=.*)$", script, re.MULTILINE)
        )
        raise RunError(
            f"sbatch refused the job: {why[-1] if why else done.returncode}; asked for {asked}: change it with --with KEY=VALUE"
        )
    return done.stdout.strip().split(";")[0]


def queued(name: str) -> list[str]:
    """The numbers of this user's jobs of that name that wait or run."""
    said = command("squeue", "-h", "--me", f"--name={name}", "-o", "%A")
    return sorted(set(said.split()))


def python_of(settings: Slurm) -> str:
    """Python as a job calls it: the environment's, or this very one."""
    return "python" if settings.environment else shlex.quote(sys.executable)


class SlurmExecutor(Attempts, SlurmPipelineExecutor):  # type: ignore[misc]
    """datatrove's Slurm executor with markers, with tasks as JSON, and with a driver that waits and submits again."""

    def __init__(self, work: Work, tasks: Mapping[int, Task], settings: Slurm) -> None:
        first = next(iter(tasks.values()))
        self.folder = logs_of(first)
        super().__init__(
            [WorkStep(work, tasks)],
            tasks=len(tasks),
            time=settings.time,
            partition=settings.partition,
            cpus_per_task=settings.cpus,
            job_name=f"goldwash-{first.stage['name']}-{first.part}-{_key(whole(first.out), first.fingerprint)}",
            env_command=settings.environment or None,
            logging_dir=self.folder,
            slurm_logs_folder=os.path.abspath(slurm_logs(first.out)),
            qos=settings.qos or None,
            workers=settings.at_once or -1,
            sbatch_args={**({"account": settings.account} if settings.account else {}), **settings.sbatch},
            with_srun=False,
        )
        self.work, self.work_tasks, self.settings = work, tasks, settings
        self.every = list(tasks.values())

    def get_sbatch_args(self, max_array: int = 1) -> dict[str, Any]:
        """The options of an array, with memory a task and not a processor."""
        options: dict[str, Any] = super().get_sbatch_args(max_array)
        del options["mem-per-cpu"]
        return {**options, "mem": f"{self.settings.memory_of(self.every)}M"}

    def get_distributed_env(self, node_rank: int = -1) -> DistributedEnvVars:
        """What datatrove tells its steps; ours do not ask."""
        return DistributedEnvVars(
            datatrove_node_ips="", datatrove_cpus_per_task="1", datatrove_mem_per_cpu="0", datatrove_gpus_on_node="0",
            datatrove_executor="SLURM",
        )  # fmt: skip

    def run(self, ranks: Sequence[int], look: Look = lambda: None) -> None:
        """Do these tasks: submit, wait, submit what is missing again; raises `RunError` where one cannot be finished."""
        job = ",".join(queued(self.job_name))
        if not job:
            forget_states([self.work_tasks[rank] for rank in ranks])
        write_tasks(self.work, self.every)  # the same as are there, if an array waits
        for number in range(TRIES):
            job = job or self.launch(ranks, number)
            record_pass(self.work, self.every, "slurm", jobs=job.split(","))
            self._wait(job, look)
            ranks = self._late() if number == TRIES - 1 else missing_ranks(self.every)
            ends, job = self._ends(job), ""
            told = {rank: why for rank in ranks if (why := read_state(self.work_tasks[rank]).get("why"))}
            if told or not ranks:
                raise_failures(self.work_tasks, told)
                return
        raise_failures(self.work_tasks, self._killed(ranks, ends))

    def launch(self, ranks: Sequence[int], number: int) -> str:
        """Submit an array for these ranks; its number."""
        each = -(-len(ranks) // self.settings.array)
        file = join(self.folder, f"array-{number}.json")
        write_json(file, {"ranks": list(ranks), "each": each, "settings": asdict(self.settings)})
        said = " ".join(f"{name}={value}" for name, value in MEMORY.items())
        words = (
            f"{said} {python_of(self.settings)} -m goldwash.pipeline.engines.slurm {shlex.quote(whole(self.folder))} {number}"
        )
        return submitted(self.get_launch_file_contents(self.get_sbatch_args(-(-len(ranks) // each)), words))

    def _wait(self, job: str, look: Look) -> None:
        """Until the array has ended, or has nothing left to do."""
        told: dict[str, Any] = {}
        while unmarked(self.every):
            queue = queue_of(job)
            if queue is not None and not queue["states"]:
                return
            if queue is not None and queue != told:
                told = queue
                write_json(join(self.folder, "queue.json"), queue)
            look()
            time.sleep(self.settings.poll_seconds)

    def _late(self) -> list[int]:
        """What is missing, once a shared disk has had the time to show what others wrote."""
        until = time.monotonic() + self.settings.late_seconds
        while (ranks := missing_ranks(self.every)) and time.monotonic() < until:
            if any(read_state(self.work_tasks[rank]).get("why") for rank in ranks):
                break
            time.sleep(min(1.0, self.settings.poll_seconds))
        return ranks

    def _ends(self, job: str) -> str:
        """How elements of an array ended, as far as the controller still knows."""
        found = Counter[str]()
        for number in job.split(","):
            with suppress(RunError):
                for line in command("scontrol", "-o", "show", "job", number).splitlines():
                    words = dict(word.split("=", 1) for word in line.split() if "=" in word)
                    if words.get("JobState") not in ("COMPLETED", None):
                        found[f"{words['JobState']}, exit code {words.get('ExitCode')}"] += 1
        return "; ".join(f"{n} x {what}" for what, n in found.most_common())

    def _killed(self, ranks: Sequence[int], ends: str) -> Failures:
        failures = Failures()
        for rank in ranks:
            task = self.work_tasks[rank]
            failures[rank] = (
                f"its worker was killed or never began, {TRIES} times ({ends or 'Slurm no more knows how'}); if it is out of "
                f"memory or time: --with {task.stage['name']}.memory_gb=... or .time=...; see {self.slurm_logs_folder}"
            )
            write_state(task, {**read_state(task), "task": task.name, "why": failures[rank]})
        return failures


def _key(*facts: str) -> str:
    """What tells jobs of one folder and fingerprint from all others."""
    return hashlib.sha256(" ".join(facts).encode()).hexdigest()[:12]


def slurm_logs(out: str) -> str:
    """Where Slurm writes what jobs print: it takes no other place than a disk."""
    return join(filesystem(out)[1], "logs", "slurm") if is_local(out) else join("goldwash-slurm-logs", out.rpartition("://")[2])


def whole(location: str) -> str:
    """A location that means the same in any folder."""
    return os.path.abspath(filesystem(location)[1]) if is_local(location) else location


def queue_of(job: str) -> dict[str, Any] | None:
    """How many elements of jobs are in which state, and why those that wait do; None where the controller does not answer."""
    done = subprocess.run(
        ["squeue", "-h", "-r", "-j", job, "-o", "%T|%r"], capture_output=True, text=True, check=False, env=outside()
    )
    if done.returncode:
        return {"states": {}, "reasons": []} if GONE in done.stderr else None
    rows = [line.strip().split("|", 1) for line in done.stdout.splitlines() if "|" in line]
    reasons = sorted({reason for state, reason in rows if state == "PENDING" and reason != "None"})
    return {"states": dict(Counter(state for state, _ in rows)), "reasons": reasons}


# --- tasks as JSON

SHARED = ("stage", "out", "fingerprint", "part", "versions")


def write_tasks(work: Work, tasks: Sequence[Task]) -> None:
    """Write a pass's tasks: a line of what they share, then a line each."""
    with atomic_write(join(logs_of(tasks[0]), "tasks.jsonl")) as half, open(half, "w", encoding="utf-8") as file:
        values = tasks[0].to_dict()
        file.write(json.dumps({"work": name_of(work), **{key: values[key] for key in SHARED}}) + "\n")
        for task in tasks:
            own = {k: v for k, v in task.to_dict().items() if k not in SHARED}
            file.write(json.dumps(own) + "\n")


def read_tasks(folder: str, ranks: Sequence[int]) -> tuple[Work, dict[int, Task]]:
    """The work and the tasks of these ranks; a `RunError` where the folder cannot be seen from here."""
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
            f"{os.uname().nodename} cannot see {folder}: the folder that is given with --out must be on a disk that all nodes "
            "share, or in a store (s3://)"
        ) from error


def element(folder: str, number: int, index: int) -> int:
    """Do an element's tasks, one after the other; the exit code, 1 where one of them failed."""
    array = read_json(join(folder, f"array-{number}.json"))
    if array is None:
        read_tasks(folder, [0])
        raise DataError(f"{folder} has no array-{number}.json: submit the run again")
    each = array["each"]
    work, tasks = read_tasks(folder, array["ranks"][index * each : (index + 1) * each])
    executor = SlurmExecutor(work, tasks, Slurm(**array["settings"]))
    failures = [why for rank in tasks if (why := executor.attempt(rank))]
    sys.stderr.write("".join(f"{why}\n" for why in failures))
    return int(bool(failures))


# --- jobs that lead


LEAD = """
trap 'scontrol requeue $SLURM_JOB_ID' USR1
{environment}
for try in 1 2 3; do
    {python} -m goldwash lead {run} {number} &
    wait $!
    code=$?
    [ $code -lt 128 ] && exit $code
done
exit $code
"""


def lead(settings: Slurm, run: str, number: int, name: str, after: str | None) -> str:
    """Submit the job that leads a stage of a run: it submits the stage's arrays and waits for them; the job's number.

    It begins when the one before it has ended well, is cancelled where that has not, is queued again by Slurm when its node is
    lost and by itself shortly before its time is over, and goes on with what is missing.
    """
    Path(slurm_logs(run)).mkdir(parents=True, exist_ok=True)
    options = {
        "job-name": name,
        "partition": settings.partition,
        "time": settings.time,
        "cpus-per-task": 1,
        "mem": f"{round(settings.lead_memory_gb * 1024)}M",
        "output": f"{whole(slurm_logs(run))}/{name}.out",
        "open-mode": "append",
        "signal": "B:USR1@120",
        "requeue": None,
        "kill-on-invalid-dep": "yes",
        **({"account": settings.account} if settings.account else {}),
        **({"qos": settings.qos} if settings.qos else {}),
        **({"dependency": f"afterok:{after}"} if after else {}),
        **settings.sbatch,
    }
    head = "".join(f"#SBATCH --{key}" + (f"={value}\n" if value is not None else "\n") for key, value in options.items())
    values = {"environment": settings.environment, "python": python_of(settings), "run": shlex.quote(whole(run))}
    return submitted("#!/bin/bash\n" + head + textwrap.dedent(LEAD).format(number=number, **values))


if __name__ == "__main__":
    try:
        sys.exit(element(sys.argv[1], int(sys.argv[2]), int(os.environ["SLURM_ARRAY_TASK_ID"])))
    except (DataError, RunError) as error:
        sys.exit(f"goldwash: {error}")
