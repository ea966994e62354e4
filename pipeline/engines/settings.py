"""What an engine is told: partition, time, memory and the like, from a small YAML file or ``KEY=VALUE``.

Law: read strictly, as recipes are. A file has a part for each engine that it speaks of::

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

``stages`` has what is different for one stage. What a stage says that its tasks take (`Task.memory`) is asked for at the least.
"""

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml

from goldwash.pipeline.stage import RecipeError, fits, kind_name, nearest
from goldwash.pipeline.storage.tasks import Task

STAGED = ("time", "cpus", "memory_gb", "at_once", "sbatch")
"""What may differ from stage to stage."""


@dataclass(frozen=True)
class Local:
    """This machine."""

    engine: ClassVar[str] = "local"
    workers: int = 0
    """Processes; 0 is one a core."""


@dataclass(frozen=True)
class Cluster:
    """What Slurm and Ray have in common."""

    engine: ClassVar[str]
    cpus: int = 1
    """Processors a task; a task uses one, more of them buy memory where a cluster sells it by the processor."""
    memory_gb: float = 4.0
    """Memory a task."""
    at_once: int = 0
    """Tasks (of Slurm: elements of an array) that run at the same time, at the most; 0 is no limit."""
    stages: Mapping[str, Any] = field(default_factory=dict)

    def of_stage(self, name: str) -> Self:
        """The settings for a stage."""
        return dataclasses.replace(self, **self.stages.get(name, {}))

    def memory_of(self, tasks: Sequence[Task]) -> int:
        """MB a task: what is set, or a GB more than what the stage says that the largest takes."""
        said = max((task.memory for task in tasks), default=0)
        return math.ceil(max(self.memory_gb * 1024, said / 2**20 + 1024 if said else 0))


@dataclass(frozen=True)
class Slurm(Cluster):
    """A Slurm cluster. ``environment`` is a shell command that puts goldwash's Python first on the path."""

    engine: ClassVar[str] = "slurm"
    partition: str = ""
    time: str = "24:00:00"
    array: int = 1000
    """Elements of a job array, at the most (the cluster's MaxArraySize); more tasks than that share elements."""
    environment: str = ""
    account: str = ""
    qos: str = ""
    sbatch: Mapping[str, Any] = field(default_factory=dict)
    """Further options of sbatch, as {constraint: icelake}."""
    lead_memory_gb: float = 4.0
    """Memory of the jobs that lead the stages."""
    poll_seconds: float = 5.0
    late_seconds: float = 60.0
    """How long a shared disk may take to show what another machine has written."""


@dataclass(frozen=True)
class Ray(Cluster):
    """A Ray cluster: its head's HOST:PORT, ``auto`` for the one that this machine belongs to, ``local`` for one of its own."""

    engine: ClassVar[str] = "ray"
    address: str = "auto"


Engine = Local | Slurm | Ray
ENGINES: dict[str, type[Local] | type[Slurm] | type[Ray]] = {kind.engine: kind for kind in (Local, Slurm, Ray)}


def settings_of(
    engine: str, file: str | None = None, given: Mapping[str, Any] | None = None, stages: Sequence[str] | None = None
) -> Engine:
    """An engine's settings from a file and from ``KEY`` or ``STAGE.KEY`` with values; the latter win.

    ``stages``: the names that a stage may have, where they are known. Raises `RecipeError` on an unknown engine, key or stage,
    and on a value of the wrong kind.
    """
    if engine not in ENGINES:
        raise RecipeError(f"no engine is called {engine!r}: {nearest(engine, list(ENGINES))}")
    values: dict[str, Any] = dict(_parts(file)[engine]) if file else {}
    values["stages"] = _stages(values.get("stages") or {}, f"{engine} settings")
    for key, value in (given or {}).items():
        stage, dot, name = key.rpartition(".")
        if dot:
            values["stages"].setdefault(stage, {})[name] = value
        else:
            values[key] = value
    kind = ENGINES[engine]
    if not values["stages"]:
        del values["stages"]
    for name, stage in values.get("stages", {}).items():
        if stages is not None and name not in stages:
            raise RecipeError(f"{engine} settings: no stage is called {name!r}: {nearest(str(name), stages)}")
        _check(kind, stage, f"{engine} settings of stage {name}", [k for k in STAGED if k in _fields(kind)])
    _check(kind, values, f"{engine} settings", list(_fields(kind)))
    return kind(**values)


def _parts(file: str) -> dict[str, dict[str, Any]]:
    try:
        values = yaml.safe_load(Path(file).read_text("utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no file of engine settings at {file}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file} is not YAML: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(part or {}, dict) for part in values.values()):
        raise RecipeError(f"{file}: expected a part for each engine, as `slurm: {{partition: cpu}}`")
    for key in values:
        if key not in ENGINES:
            raise RecipeError(f"{file}: no engine is called {key!r}: {nearest(str(key), list(ENGINES))}")
    return {engine: values.get(engine) or {} for engine in ENGINES}


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
