"""A run on Slurm that needs nobody: a job a stage, submitted at once, each waiting for the one before it.

Law: a lead is a small job that does one stage as any driver does (`pipeline.flow`), on the engine that submits arrays. The
process that submits the leads may go away; whoever sees the run's folder can tell where it is (`pipeline.inspect.status`). What is
queued already is not submitted again.
"""

import hashlib
import time
from collections.abc import Callable, Sequence

from goldwash.pipeline.engines import slurm as engine
from goldwash.pipeline.engines.settings import Slurm, settings_of
from goldwash.pipeline.flow import Flow, held_run, planned, resumed
from goldwash.pipeline.inspect.status import StageStatus, overall, status
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import RunError, Work
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.locations import DataError, join, read_json
from goldwash.pipeline.storage.tasks import Task

Notify = Callable[[str], None]


def names_of(run: str) -> list[str]:
    """The names of a run's leads, in order."""
    key = hashlib.sha256(engine.whole(run).encode()).hexdigest()[:8]
    return [f"goldwash-{key}-{number:02d}-{name}" for number, name in enumerate(held_run(run)["order"], 1)]


def waiting(run: str) -> list[str]:
    """The leads of a run that wait or run already: what they read of its folder must not be written anew."""
    try:
        names = names_of(run)
    except DataError:
        return []
    return [name for name in names if engine.queued(name)]


def submit(flow: Flow, settings: Slurm, notify: Notify) -> list[str]:
    """Submit a lead for each stage that is not finished; the jobs' names."""
    engine.check_cluster(settings)
    names = names_of(flow.out)
    if queued := waiting(flow.out):
        notify(f"this run is in the queue already ({', '.join(queued)}): nothing is submitted again")
        return queued
    write_json(join(flow.out, "engine.json"), {"slurm": dict(vars(settings))})
    finished = len(_finished(flow))
    job: str | None = None
    for number in range(finished + 1, len(names) + 1):
        job = engine.lead(settings, flow.out, number, names[number - 1], job)
        notify(f"submitted {names[number - 1]}: job {job}")
    if job is None:
        flow.end()
    return names[finished:]


def _finished(flow: Flow) -> Sequence[str]:
    """The first stages of a run that are finished, which are written down as its."""
    done = []
    for number, step in enumerate(planned(flow.recipe, flow.inputs, flow.out), 1):
        if not step.reused:
            break
        flow.step(number, _nothing)
        done.append(step.stage.name)
    return done


def _nothing(work: Work, tasks: Sequence[Task]) -> Report:
    raise AssertionError("a stage that is finished has nothing to do")


def lead(run: str, number: int, notify: Notify) -> None:
    """Do one stage of a run, and after the last one the dataset: what a lead's job does."""
    flow = resumed(run)
    held = read_json(join(run, "engine.json"))["slurm"]
    settings = settings_of("slurm", given=held)
    assert isinstance(settings, Slurm)
    flow.step(number, engine.slurm(settings), notify)
    if number == len(flow.recipe.stages):
        flow.end()


def follow(run: str, names: Sequence[str], notify: Notify, seconds: float) -> None:
    """Tell what happens until the run is finished; a `RunError` where it stops before."""
    told: dict[str, str] = {}
    while True:
        left = [name for name in names if engine.queued(name)]
        stages = status(run)
        for stage in stages:
            line = in_words(stage)
            if stage.state != "waiting" and told.get(stage.name) != line:
                told[stage.name] = line
                notify(line)
        if not left:
            break
        time.sleep(seconds)
    if overall(stages) != "finished":
        stopped = next(stage for stage in stages if stage.state != "finished")
        why = "; ".join(f"{f.task}: {f.why}" for f in stopped.failures) or (
            f"its job has ended and says nothing in {run} (can its node see that folder?)"
        )
        raise RunError(
            f"{stopped.name} is not finished: {why}; Slurm's logs: {engine.slurm_logs(run)}; see goldwash status {run}"
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
