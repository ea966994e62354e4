"""Engines' settings: the table of engines, and how settings are read from a small YAML file or ``KEY=VALUE``.

Invariants: settings are read strictly, as recipes are. An engine is one file with a frozen dataclass of its settings, whose
`start` returns the engine; it is listed in `ENGINES`, or by an installed package in the entry points ``goldwash.engines``,
and is imported when it is named. A file of settings has a section per engine::

    slurm:
      partition: cpu
      time: "4:00:00"
      memory_gb: 4
      environment: source /shared/goldwash/bin/activate
      stages:
        bloom: {memory_gb: 200, time: "24:00:00"}
    ray:
      address: 10.0.0.1:6379
    local:
      workers: 8

``stages`` overrides settings for one stage. A task gets at least the memory that its stage declares (`Task.memory`).
"""

import dataclasses
import importlib
import math
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from goldwash.pipeline.engines.progress import Shown, silent
from goldwash.pipeline.parameters import RecipeError, fits, kind_name, nearest
from goldwash.pipeline.recipes.reading import read
from goldwash.pipeline.stage import Run, RunError
from goldwash.pipeline.storage.locations import join, read_json
from goldwash.pipeline.storage.tasks import Task

if TYPE_CHECKING:
    from goldwash.pipeline.flow import Request, Step

ENGINES = {
    "local": "goldwash.pipeline.engines.local:Local",
    "slurm": "goldwash.pipeline.engines.slurm:Slurm",
    "ray": "goldwash.pipeline.engines.ray:Ray",
}
"""The engines and their settings, as ``module:class``."""

STAGED = ("time", "cpus", "memory_gb", "at_once", "sbatch")
"""Settings that may differ from stage to stage."""


@dataclass(frozen=True)
class Settings(ABC):
    """The settings of an engine. Subclasses are frozen dataclasses, listed in `ENGINES`."""

    engine: ClassVar[str]
    workers_key: ClassVar[str] = "at_once"
    """The setting that ``--workers`` sets."""

    @abstractmethod
    def start(self, progress: Shown = silent) -> Run:
        """The engine of these settings; a `RunError` says why it cannot work here."""

    def check(self) -> None:  # noqa: B027  (this machine can always be reached)
        """Fail if the engine cannot be reached, or if it cannot do what these settings say; nothing is started."""

    @classmethod
    def queued(cls, run: str) -> list[str]:
        """A run's jobs, from an earlier command, that still wait or run; empty for an engine without jobs."""
        return []

    def walk(self, request: "Request", screen: "Screen", detach: bool = False) -> Sequence["Step"]:
        """Do a whole run; its steps. ``detach``: submit it and return no step, where an engine can."""
        if detach:
            raise RecipeError("--detach is for --on slurm: other engines end with the process that drives them")
        _check_not_queued(request.out)
        return request.begin().walk(self.start(screen.progress), screen.notify)


def _check_not_queued(run: str) -> None:
    """Refuse a folder whose run was submitted to a cluster and is still queued there."""
    engine = (read_json(join(run, "run.json")) or {}).get("on")
    if engine in engine_names() and (queued := settings_class(engine).queued(run)):
        raise RunError(
            f"the run in {run} was submitted to {engine} and is queued there ({', '.join(queued)}): wait for it, cancel its "
            "jobs, or choose another --out"
        )


@dataclass(frozen=True)
class Screen:
    """What a command shows while a run is under way."""

    progress: Shown = silent
    notify: Callable[[str], None] = lambda line: None
    kept: Callable[[str], None] = lambda line: None
    """Called with a sentence on what an interruption from now on would leave behind."""


@dataclass(frozen=True)
class Cluster(Settings):
    """The settings that clusters have in common."""

    cpus: int = 1
    """Processors per task. A task uses one; ask for more where a cluster allots memory per processor."""
    memory_gb: float = 4.0
    """GB of memory per task."""
    at_once: int = 0
    """The most tasks (on Slurm: elements of an array) that run at the same time; 0 is no limit."""
    stages: Mapping[str, Any] = field(default_factory=dict)

    def of_stage(self, name: str) -> Self:
        """The settings for a stage."""
        return dataclasses.replace(self, **self.stages.get(name, {}))

    def memory_of(self, tasks: Sequence[Task]) -> int:
        """MB per task: the setting, or 1 GB more than the stage says that the largest task takes."""
        most = max((task.memory for task in tasks), default=0)
        return math.ceil(max(self.memory_gb * 1024, most / 2**20 + 1024 if most else 0))


def engine_names() -> list[str]:
    """The engines that can be named, those of installed packages too."""
    return [*ENGINES, *(point.name for point in entry_points(group="goldwash.engines") if point.name not in ENGINES)]


def settings_class(engine: str) -> type[Settings]:
    """The settings of an engine; a `RecipeError` with the nearest name if there is none of that name."""
    if engine in ENGINES:
        module, _, name = ENGINES[engine].partition(":")
        found: type[Settings] = getattr(importlib.import_module(module), name)
        return found
    for point in entry_points(group="goldwash.engines", name=engine):
        other: type[Settings] = point.load()
        return other
    raise RecipeError(f"no engine is called {engine!r}: {nearest(engine, engine_names())}")


def settings_of(
    engine: str, file: str | None = None, given: Mapping[str, Any] | None = None, stages: Sequence[str] | None = None
) -> Settings:
    """An engine's settings from a file and from ``KEY`` or ``STAGE.KEY`` with values; the latter win.

    ``stages``: the names that a stage may have, where they are known. Raises `RecipeError` on an unknown engine, key or
    stage, and on a value of the wrong kind.
    """
    kind = settings_class(engine)
    values: dict[str, Any] = dict(_parts(file).get(engine) or {}) if file else {}
    values["stages"] = _stages(values.get("stages") or {}, f"{engine} settings")
    for key, value in (given or {}).items():
        stage, dot, name = key.rpartition(".")
        if dot:
            values["stages"].setdefault(stage, {})[name] = value
        else:
            values[key] = value
    if not values["stages"]:
        del values["stages"]
    for name, stage in values.get("stages", {}).items():
        if stages is not None and name not in stages:
            raise RecipeError(f"{engine} settings: no stage is called {name!r}: {nearest(str(name), stages)}")
        _check(kind, stage, f"{engine} settings of stage {name}", [k for k in STAGED if k in _fields(kind)])
    _check(kind, values, f"{engine} settings", list(_fields(kind)))
    return kind(**values)


def _parts(file: str) -> dict[str, dict[str, Any]]:
    if not Path(file).exists():
        raise RecipeError(f"no file of engine settings at {file}")
    values, _ = read(Path(file))
    if not isinstance(values, dict) or not all(isinstance(part or {}, dict) for part in values.values()):
        raise RecipeError(f"{file}: expected a section per engine, as `slurm: {{partition: cpu}}`")
    known = engine_names()
    for key in values:
        if key not in known:
            raise RecipeError(f"{file}: no engine is called {key!r}: {nearest(str(key), known)}")
    return {engine: part or {} for engine, part in values.items()}


def _stages(values: Any, what: str) -> dict[str, dict[str, Any]]:
    """The settings of stages, copied."""
    if not isinstance(values, Mapping) or not all(isinstance(stage or {}, Mapping) for stage in values.values()):
        raise RecipeError(f"{what}: stages is {values!r}; expected keys and values for each stage, as `bloom: {{cpus: 2}}`")
    return {name: dict(stage or {}) for name, stage in values.items()}


def _fields(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def _check(kind: Any, values: Any, what: str, known: Sequence[str]) -> None:
    if not isinstance(values, Mapping):
        raise RecipeError(f"{what}: expected keys and values, found {values!r}")
    for key, value in values.items():
        if key not in known:
            raise RecipeError(f"{what}: no key is called {key!r}: {nearest(str(key), known)}")
        if not fits(value, _fields(kind)[key]):
            cure = ', in quotes, as "4:00:00" or "cpu"' if _fields(kind)[key] is str else ""
            raise RecipeError(f"{what}: {key} is {value!r}; expected {kind_name(_fields(kind)[key])}{cure}")
