"""The state of a run or of a single stage.

Invariants: reads only the files of its folder, so that anybody who sees the folder can ask; changes nothing. Markers say what
is done, ``logs/`` what is under way and what failed (`goldwash.pipeline.engines.work`).
"""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from goldwash.pipeline.flow import held_run
from goldwash.pipeline.report import Report
from goldwash.pipeline.storage.addresses import located
from goldwash.pipeline.storage.locations import filesystem, join, read_json, read_text, sizes_in
from goldwash.text_output import printable

LOG_LINES = 5
SHOWN = 3
"""Failed tasks that are shown in full."""

State = Literal["finished", "under way", "failed", "stopped", "waiting"]


@dataclass(frozen=True)
class Failure:
    """A task that failed: its name, why, where, and the last lines of its log."""

    task: str
    why: str
    host: str
    log: tuple[str, ...]


@dataclass(frozen=True)
class PassStatus:
    """A pass of a stage: how many of its tasks are done, running and failed. ``queue``: the engine's reasons why
    tasks wait.
    """

    part: str
    engine: str
    tasks: int
    done: int
    running: int
    failed: int
    queue: str = ""
    alive: bool = True


@dataclass(frozen=True)
class StageStatus:
    """A stage of a run; ``report`` once it is finished."""

    name: str
    state: State
    report: Report | None = None
    passes: tuple[PassStatus, ...] = ()
    failures: tuple[Failure, ...] = field(default=())


def status(run: str) -> list[StageStatus]:
    """Each stage of a run, in order; of a single stage's folder, that stage. A `DataError` where the folder holds neither."""
    run = located(run)
    alone = stage_in(run)
    if alone is not None:
        return [_stage(alone, run)]
    held = held_run(run)
    found = []
    for number, name in enumerate(held["order"]):
        folder = held["stages"][number] if number < len(held["stages"]) else None
        made = _stage(name, join(run, folder)) if folder else StageStatus(name, "waiting")
        found.append(_driven(run, number + 1, made))
    return found


def _driven(run: str, number: int, stage: StageStatus) -> StageStatus:
    """The stage, marked as failed if its driver job recorded an error (`pipeline.engines.slurm_driver`)."""
    driver = read_json(join(run, "logs", f"driver-{number:02d}.json")) or {}
    if stage.state == "finished" or "why" not in driver:
        return stage
    name, why, host = (printable(driver.get(key, "")) for key in ("job", "why", "host"))
    failed = Failure(f"driver job {name}".strip(), why, host, ())
    return replace(stage, state="failed", failures=stage.failures or (failed,))


def stage_in(folder: str) -> str | None:
    """The name of the stage whose own folder this is; None for a run's folder, or anything else."""
    held = read_json(join(folder, "stage.json"))
    return str(held["stage"]) if isinstance(held, dict) and "stage" in held else None


def folders(run: str) -> list[str]:
    """The folders of a run's stages that have begun; of a single stage's folder, that one."""
    run = located(run)
    return [run] if stage_in(run) is not None else [join(run, folder) for folder in held_run(run)["stages"]]


def _stage(name: str, folder: str) -> StageStatus:
    report = read_json(join(folder, "report.json"))
    if report is not None:
        return StageStatus(name, "finished", Report.from_dict(report["report"]))
    passes, failures = [], []
    for held in _passes(folder):
        found, failed = _pass(folder, held)
        passes.append(found)
        failures += failed
    state: State = "under way"
    if passes and passes[-1].failed and not passes[-1].running:
        state = "failed"
    elif passes and not passes[-1].alive:
        state = "stopped"
    return StageStatus(name, state, None, tuple(passes), tuple(failures))


def _passes(folder: str) -> list[dict[str, Any]]:
    """The records of a stage's passes, in the order in which they began."""
    fs, path = filesystem(join(folder, "logs"))
    try:
        names = [entry.rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False)]
    except FileNotFoundError:
        return []
    found = [read_json(join(folder, "logs", name, "pass.json")) for name in sorted(names)]
    return sorted((f for f in found if f), key=lambda f: float(f["since"]))


def _pass(folder: str, held: Mapping[str, Any]) -> tuple[PassStatus, list[Failure]]:
    part, place = held["part"], join(folder, "logs", held["part"])
    there = sizes_in(join(folder, "tasks"))
    done = sum(name.startswith(f"{part}-") for name in there)
    states = [read_json(join(place, "states", name)) for name in sizes_in(join(place, "states")) if name.endswith(".json")]
    left = [s for s in states if s and f"{s['task']}.json" not in there]
    failed = sorted((s for s in left if s.get("why")), key=lambda s: str(s["task"]))
    queue = read_json(join(place, "queue.json")) or {"states": {}, "reasons": []}
    words = [f"{n} {state.lower()}" for state, n in sorted(queue["states"].items())] + queue["reasons"]
    found = PassStatus(
        part, held["engine"], held["tasks"], done, len(left) - len(failed), len(failed), ", ".join(words), _alive(held)
    )  # fmt: skip
    return found, [_failure(place, state) for state in failed[:SHOWN]]


def _alive(held: Mapping[str, Any]) -> bool:
    """Whether the process that drives a pass may still run; on another machine that is not known."""
    if held["host"] != socket.gethostname():
        return True
    try:
        os.kill(held["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _failure(place: str, state: Mapping[str, Any]) -> Failure:
    log = join(place, "logs", f"task_{int(state['task'].rsplit('-', 1)[1]):05d}.log")
    try:
        lines = read_text(log).splitlines()[-LOG_LINES:]
    except OSError:
        lines = []
    return Failure(str(state["task"]), str(state["why"]), str(state.get("host", "")), tuple(lines))


def overall(stages: Sequence[StageStatus]) -> State:
    """The run's own state: that of the first stage that is not finished."""
    return next((stage.state for stage in stages if stage.state != "finished"), "finished")
