"""An unattended run on Slurm: one driver job per stage, all submitted at once, each waiting for the one before it.

Invariants: a driver job does one stage as any driver does (`pipeline.flow`), on the engine that submits arrays. The process
that submits the jobs may go away; whoever sees the run's folder can see where the run is (`pipeline.inspect.status`). Jobs
that are in the queue are not submitted again. Where Slurm allows fewer jobs than a run has stages, a driver job submits the
one after it.

``logs/driver-NN.json``  of a stage's driver job: its job, host and process, and why it failed
"""

import dataclasses
import hashlib
import os
import re
import shlex
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from goldwash.pipeline.engines import slurm_commands as commands
from goldwash.pipeline.engines import slurm_settings as engine
from goldwash.pipeline.engines.settings import Screen
from goldwash.pipeline.engines.slurm_settings import SlurmSettings, settings_from
from goldwash.pipeline.flow import Flow, Request, Step, held_run, planned, resumed, run_folders
from goldwash.pipeline.inspect.status import StageStatus, overall, status
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import RunError, Work
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join, read_json
from goldwash.pipeline.storage.locks import STALE_SECONDS, LockError
from goldwash.pipeline.storage.tasks import Task
from goldwash.text_output import printable

Notify = Callable[[str], None]

SCRIPT = """
trap 'scontrol requeue "$SLURM_JOB_ID"' USR1
{environment}
for try in 1 2 3; do
    {python} -P -m goldwash drive {run} {number} &
    driver=$!
    wait $driver
    while kill -0 $driver 2>/dev/null; do wait $driver; done    # a signal ends the waiting, not the driver
    wait $driver
    code=$?
    [ $code -lt 128 ] && exit $code
done
exit $code
"""
"""A driver job. It restarts its driver if that was killed, and requeues itself shortly before its time limit."""


def walk(settings: SlurmSettings, request: Request, screen: Screen, detach: bool) -> Sequence[Step]:
    """Submit a run's driver jobs and follow them; its steps once it is finished, none if ``detach``."""
    run = request.out
    engine.check_path(run)
    engine.check_cluster(settings)
    flow = request.queued() if waiting(run) else request.begin()
    names = submit(flow, settings, screen.notify)
    goes_on = f"the run goes on without this process; to see it: goldwash status {shlex.quote(printable(run))}"
    screen.notify(goes_on)
    screen.kept(goes_on)
    if detach:
        return []
    follow(run, names, settings, screen.notify)
    found = zip(flow.recipe.stages, run_folders(run), strict=True)
    return [Step(made, folder, Report.from_dict(report["report"]), False) for made, (folder, report) in found]


def names_of(run: str) -> list[str]:
    """The names of a run's driver jobs, in order."""
    key = hashlib.sha256(engine.whole(run).encode()).hexdigest()[:8]
    order = [re.sub(r"[^\w.-]", "_", name, flags=re.ASCII) for name in held_run(run)["order"]]
    return [f"goldwash-{key}-{number:02d}-{name}" for number, name in enumerate(order, 1)]


def waiting(run: str) -> list[str]:
    """The driver jobs of a run that are in the queue: the files that they read must not be rewritten."""
    try:
        names = names_of(run)
    except DataError:
        return []
    return [name for name in names if commands.queued(name, _held(run).clusters)]


def _held(run: str) -> SlurmSettings:
    """The settings with which a run was submitted; the defaults if it was not."""
    return settings_from((read_json(join(run, "engine.json")) or {"slurm": {}})["slurm"])


def submit(flow: Flow, settings: SlurmSettings, notify: Notify) -> list[str]:
    """Submit a driver job for each stage that is not finished, as many as Slurm allows; the names of all of them."""
    names = names_of(flow.out)
    if queued := waiting(flow.out):
        notify(f"this run is in the queue already ({', '.join(queued)}): nothing is submitted again")
        return queued
    write_json(join(flow.out, "engine.json"), {"slurm": dataclasses.asdict(settings)})
    finished = len(_finished(flow))
    _submit_from(flow.out, settings, finished + 1, None, notify)
    if finished == len(names):
        flow.end(settings.start())
    return names[finished:]


def _submit_from(run: str, settings: SlurmSettings, number: int, job: str | None, notify: Notify) -> None:
    """Submit the driver jobs of a stage and of those after it, each to wait for the one before, the first for ``job``."""
    names, first = names_of(run), job
    for n in range(number, len(names) + 1):
        try:
            job = submit_driver(settings, run, n, names[n - 1], job)
        except commands.LimitError as error:
            if job is first and first is None:
                raise
            notify(f"{error}\nthe driver job of {held_run(run)['order'][n - 2]} will submit the one after it")
            return
        notify(f"submitted {names[n - 1]}: job {job}")


def submit_driver(settings: SlurmSettings, run: str, number: int, name: str, after: str | None) -> str:
    """Submit the driver job of a stage; returns the job.

    It starts when the job ``after`` has ended well and is cancelled if that one fails. Slurm queues it again when its node is
    lost, and it goes on with what is missing.
    """
    logs = engine.whole(engine.slurm_logs(run))
    Path(logs).mkdir(parents=True, exist_ok=True)
    options = {
        "partition": settings.partition,
        "time": settings.time,
        "cpus-per-task": "1",
        "mem": f"{round(settings.driver_memory_gb * 1024)}M",
        "output": f"{logs.replace('%', '%%')}/{name}.out",
        "open-mode": "append",
        "signal": "B:USR1@120",
        "requeue": "",
        "kill-on-invalid-dep": "yes",
        **({"dependency": f"afterok:{after.partition(';')[0]}"} if after else {}),
        **settings.options(),
    }
    body = SCRIPT.format(
        environment=settings.environment, python=engine.python_of(settings), run=shlex.quote(engine.whole(run)), number=number
    )
    return commands.submit(name, body, options, settings.clusters)


def _finished(flow: Flow) -> Sequence[str]:
    """The first stages of a run that are finished, recorded as its stages."""
    done = []
    for number, step in enumerate(planned(flow.recipe, flow.inputs, flow.out), 1):
        if not step.reused:
            break
        flow.step(number, _nothing)
        done.append(step.stage.name)
    return done


def _nothing(work: Work, tasks: Sequence[Task]) -> Report:
    raise AssertionError("a stage that is finished has nothing to do")


# --- in a driver job


def drive(run: str, number: int, notify: Notify) -> None:
    """Do one stage of a run, and after the last one the dataset. An error is recorded in the run's folder."""
    file = join(run, "logs", f"driver-{number:02d}.json")
    facts: dict[str, Any] = {"stage": number, "host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
    facts["job"] = os.environ.get("SLURM_JOB_ID", "")
    write_json(file, facts)
    try:
        _drive(run, number, notify)
    except Exception as error:
        write_json(file, {**facts, "why": printable(str(error) or type(error).__name__)})
        raise
    write_json(file, {**facts, "ended": time.time()})


def _drive(run: str, number: int, notify: Notify) -> None:
    flow, settings = resumed(run), _held(run)
    until = time.monotonic() + STALE_SECONDS + 60
    while True:
        try:
            flow.step(number, settings.start(), notify)
            break
        except LockError as error:  # this job's predecessor, on a node that was lost, counts as alive for a while
            if time.monotonic() > until:
                raise
            notify(f"{error}\nwaiting, for {STALE_SECONDS + 60:.0f} s at the most")
            time.sleep(min(20.0, settings.poll_seconds))
        except commands.LimitError:
            if not _give_way(run, number, settings, notify):
                raise
    if number == len(flow.recipe.stages):
        flow.end(settings.start())
    elif not commands.queued(names_of(run)[number], settings.clusters):
        _submit_from(run, settings, number + 1, os.environ.get("SLURM_JOB_ID"), notify)


def _give_way(run: str, number: int, settings: SlurmSettings, notify: Notify) -> bool:
    """Take the last driver job out of the queue, so that Slurm takes an array in its place; False if none waits."""
    for name in reversed(names_of(run)[number:]):
        for job in commands.queued(name, settings.clusters):
            notify(f"Slurm takes no more jobs: {name} (job {job}) is cancelled, and submitted again after this stage")
            commands.cancel(job)
            return True
    return False


def without_drivers(run: str, stages: Sequence[StageStatus]) -> Sequence[StageStatus]:
    """A run's stages; the one under way counts as stopped if none of its driver jobs is in Slurm's queue any more.

    A driver job that was cancelled or killed could not record it. Where Slurm's commands are not installed, or its controller
    does not answer, the stages are returned as they are.
    """
    if (read_json(join(run, "run.json")) or {}).get("on") != "slurm" or shutil.which("squeue") is None:
        return stages
    try:
        queued = waiting(run)
    except RunError:
        return stages
    return [replace(stage, state="stopped") if stage.state == "under way" and not queued else stage for stage in stages]


# --- following


def follow(run: str, names: Sequence[str], settings: SlurmSettings, notify: Notify) -> None:
    """Report each change until the run is finished; a `RunError` if it stops before, or if Slurm no longer answers."""
    shown: dict[str, str] = {}
    while True:
        try:
            queued = any(commands.queued(name, settings.clusters, settings.controller_seconds) for name in reversed(names))
        except commands.ControllerError as error:
            raise RunError(f"{error}; the run goes on without this process: goldwash status {shlex.quote(run)}") from error
        stages = status(run)
        for stage in stages:
            line = in_words(stage)
            if stage.state != "waiting" and shown.get(stage.name) != line:
                shown[stage.name] = line
                notify(line)
        if not queued:
            break
        time.sleep(settings.poll_seconds)
    if overall(stages) != "finished":
        raise RunError(_why_stopped(run, stages))


def _why_stopped(run: str, stages: Sequence[StageStatus]) -> str:
    stopped = next(stage for stage in stages if stage.state != "finished")
    why = "; ".join(f"{f.task}: {f.why}" for f in stopped.failures)
    why = why or f"its job has ended and says nothing in {run} (can its node see that folder?)"
    return (
        f"{stopped.name} is not finished: {why}; Slurm's logs: {engine.slurm_logs(run)}; see goldwash status {shlex.quote(run)}"
    )


def in_words(stage: StageStatus) -> str:
    """A stage's state in a line."""
    if stage.report is not None:
        return f"{stage.name}: finished, {stage.report.kept.documents:,} of {stage.report.read.documents:,} documents kept"
    if not stage.passes:
        return f"{stage.name}: {stage.state}"
    last = stage.passes[-1]
    failed = f", {last.failed} failed" if last.failed else ""
    queue = f" ({last.queue})" if last.queue and last.done < last.tasks else ""
    return (
        f"{stage.name}: {stage.state}, {last.part} {last.done}/{last.tasks} tasks done, {last.running} running{failed}{queue}"
    )
