"""The contracts: a `Stage` is a callable dataclass of its parameters; a `Run` is an executor, also callable.

Invariants: ``stage(inputs, out, run) -> Report`` fills a folder with ``part-*.parquet``, ``dropped/part-*.parquet`` and,
written last, ``report.json``. Equal parameters on equal inputs give equal bytes on any engine, with any number of workers:
nothing of the machine, the clock or the order of tasks gets into them. `Stage.fingerprint` covers everything that decides a
folder's content; outputs of two fingerprints are never mixed.
"""

import dataclasses
import hashlib
import importlib
import json
import socket
import sys
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar, Protocol, Self, TypeVar

import pyarrow as pa

from goldwash import __version__
from goldwash.errors import GoldwashError
from goldwash.filters.fetch import file_digest
from goldwash.filters.jit import warm_up
from goldwash.filters.signals import Signal
from goldwash.pipeline.by_source import by_source
from goldwash.pipeline.code import code_digest
from goldwash.pipeline.parameters import RecipeError, fits, kind_name, nearest, plain
from goldwash.pipeline.report import Report
from goldwash.pipeline.storage.atomic import clear_halves, write_json
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.locations import filesystem, join, names_in, read_json, sizes_in
from goldwash.pipeline.storage.markers import pack_markers
from goldwash.pipeline.storage.ownership import check_ours
from goldwash.pipeline.storage.retry import with_retries
from goldwash.pipeline.storage.sealed import read_sealed, write_sealed
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task, finished_markers

Work = Callable[[Task], None]


class Run(Protocol):
    """An executor: does every task that is not done yet, and returns the sum of all reports."""

    def __call__(self, work: Work, tasks: Sequence[Task]) -> Report:
        """``work`` is a top-level function; a task is plain values. Raises `RunError` if a task cannot be finished."""
        ...


class RunError(GoldwashError):
    """Tasks that failed: which, why, and where their logs are."""


@dataclass(frozen=True)
class Load:
    """The expected input of a stage, as far as it is known before a run."""

    documents: float
    text_bytes: float
    inputs: int


@dataclass(frozen=True)
class Cost:
    """A stage's resources and the share that it keeps, for estimates before a run."""

    megabytes_per_second: float
    """MB read per CPU-second: of HTML for a stage that reads archives, else of text."""
    kept_fraction: float = 1.0
    """The fraction of documents kept."""
    temporary_bytes: float = 0.0
    """Bytes per document that stay on disk beside the output until the run's folder is deleted."""
    memory: float = 0.0
    """Bytes of memory that the largest task needs beyond the ordinary."""
    tasks: int | None = None
    """Tasks of the longest pass; None: one per input."""
    advice: str = ""
    """What to set where a task would be too large for an ordinary machine."""
    writes_texts: bool = True
    """Whether its shards have the texts of their documents."""


@dataclass(frozen=True)
class Stage(ABC):
    """One step of a recipe. Subclasses are frozen dataclasses of their parameters."""

    name: ClassVar[str]
    makes_documents: ClassVar[bool] = False
    """Whether it reads archives instead of documents."""
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Parameters that are options of another parameter's value: a recipe that changes the value does not inherit them."""
    of_run: ClassVar[tuple[str, ...]] = ()
    """Parameters that only mean something in a run: a single stage does not take them from a recipe."""
    temporary: ClassVar[tuple[str, ...]] = ()
    """Files and folders in its output that only its own passes read: they are removed once it is finished."""
    gives_documents: ClassVar[bool] = True
    """Whether its shards are documents; the dataset is made of the last ones that are."""

    @abstractmethod
    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """Process ``inputs`` in tasks that ``run`` executes, and finish the folder ``out``."""

    def preflight(self) -> None:  # noqa: B027  (most stages need nothing but their inputs)
        """Fail before the first stage, not hours later, if something outside is missing: a model, a benchmark, a list."""

    def warm_up(self) -> None:  # noqa: B027  (a stage without kernels has nothing to warm_up)
        """Run the kernels on a short text, so that they are compiled before workers need them."""

    def warm_ups(self) -> list[Callable[[], object]]:
        """`warm_up` in parts that have few kernels in common: each may be compiled in a process of its own."""
        return [self.warm_up]

    def ranks_by(self) -> str:
        """The column of kept documents by which it ranks, for the report by source; "" if it does not rank."""
        return ""

    @classmethod
    def alone(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """A recipe's parameters as a single stage takes them: without those of `of_run`."""
        return {key: value for key, value in config.items() if key not in cls.of_run}

    def whole(self) -> "Stage":
        """The stage, with all columns of its documents in its own shards."""
        return self

    def measured(self, before: Mapping[str, Signal]) -> Mapping[str, Signal]:
        """The columns of its documents that hold a signal of their texts, given those of its input: none, unless it says so."""
        return {}

    def fitted(self, measured: Mapping[str, Signal]) -> "Stage":
        """The stage in a run where its input has these columns (`measured`)."""
        return self

    def notes(self) -> list[str]:
        """Lines that a user must read before this stage starts, such as that its model is a toy; also kept in its report."""
        return []

    @abstractmethod
    def cost(self, load: Load) -> Cost:
        """Its resources and the share that it keeps; the docstring gives the sources of the numbers."""

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """What happened to a document here: a list of ``(rule, value, bounds, passed)``. The document is as it came in."""
        return []

    @classmethod
    def summary(cls) -> str:
        """The first line of its documentation."""
        return (cls.__doc__ or "").split("\n")[0]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The stage with these parameters. Raises `RecipeError` for an unknown one or a value of the wrong type."""
        hints = typing.get_type_hints(cls)
        fields = {f.name: hints[f.name] for f in dataclasses.fields(cls)}
        for key, value in config.items():
            if key not in fields:
                raise RecipeError(f"stage {cls.name} has no parameter {key!r}: {nearest(key, list(fields))}", (key,))
            if not fits(value, fields[key]):
                raise RecipeError(f"stage {cls.name}: {key} is {value!r}; expected {kind_name(fields[key])}", (key,))
        return cls(**{key: plain(value) for key, value in config.items()})

    def config(self) -> dict[str, Any]:
        """The parameters as plain values; ``of(config())`` is the same stage."""
        return {f.name: json.loads(json.dumps(getattr(self, f.name))) for f in dataclasses.fields(self)}

    def versions(self) -> dict[str, str]:
        """Further inputs that decide the output: versions of packages, and digests of models and lists."""
        return {}

    def code(self) -> str:
        """A digest of the code that decides its output."""
        return code_digest(type(self).__module__) or file_digest(sys.modules[type(self).__module__].__file__ or "")[:16]

    def fingerprint(self, inputs: Sequence[Input], with_code: bool = True) -> str:
        """A hash of the stage, its parameters and inputs, and the code and versions that decide its output.

        ``with_code=False`` leaves the code out, to recognise a folder that an older version made.
        """
        facts: dict[str, Any] = {
            "stage": self.name,
            "config": self.config(),
            "versions": {**self.versions(), "format": "4", "pyarrow": pa.__version__},
            "inputs": [i.identity() for i in inputs],
            **({"code": self.code()} if with_code else {}),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


class Tasks:
    """Makes a stage's tasks on given inputs, all with one fingerprint."""

    def __init__(self, stage: Stage, inputs: Sequence[Input], out: str) -> None:
        self.inputs, self.out, self.fingerprint = inputs, out, stage.fingerprint(inputs)
        self.config = stage_values(stage)
        self.versions = versions_here(stage)

    def one(
        self, part: str, index: int, files: Sequence[str] = (), sources: Sequence[Input] = (), memory: int = 0, **extra: Any
    ) -> Task:
        """The task of a pass and number that reads ``sources``, and then ``files``.

        ``sources``: checked before the task begins, by their digests where these are known (`pass_files`). ``files``: names
        alone, for files that the task verifies itself.
        """
        paths = (*(source.path for source in sources), *files)
        return Task(self.config, paths, self.out, index, self.fingerprint, part, extra, tuple(sources), memory, self.versions)

    def each(self, part: str = "part", **extra: Any) -> list[Task]:
        """One task per input: one shard in, one shard out."""
        return [self.one(part, n, sources=(source,), **extra) for n, source in enumerate(self.inputs)]


def tasks_for(stage: Stage, inputs: Sequence[Input], out: str, part: str = "part", **extra: Any) -> list[Task]:
    """One task per input: one shard in, one shard out."""
    return Tasks(stage, inputs, out).each(part, **extra)


Kind = TypeVar("Kind", bound=Stage)


def versions_here(stage: Stage) -> dict[str, str]:
    """Everything besides parameters and inputs that decides a stage's bytes on this machine."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    versions = {"goldwash": __version__, "code": stage.code(), "Python": python, "pyarrow": pa.__version__}
    return {**versions, **stage.versions()}


def stage_of(task: Task, kind: type[Kind]) -> Kind:
    """The stage of a task, made once per process; its kernels are compiled once per machine.

    Raises `RunError` on a machine that would write other bytes than the one that planned the task: another Python, other
    packages, models or code of goldwash.
    """
    stage: Kind = _stage_of(json.dumps(task.stage), json.dumps(task.versions), kind)
    return stage


@cache
def _stage_of(config: str, versions: str, kind: type[Kind]) -> Any:
    made = stage_from(json.loads(config))
    assert isinstance(made, kind)
    here = versions_here(made)
    for name, planned in json.loads(versions).items():
        if here.get(name) != planned:
            raise RunError(
                f"{socket.gethostname()} has {name} {here.get(name)}, but the work was planned with {planned}: it would make "
                f"other bytes; install the same Python, packages and files on every machine (python: {sys.executable})"
            )
    compile_kernels(made)
    return made


def stage_values(stage: Stage) -> dict[str, Any]:
    """A stage as plain values, from which another process makes it (`stage_from`)."""
    return {"name": stage.name, "class": f"{type(stage).__module__}:{type(stage).__qualname__}", **stage.config()}


def stage_from(values: Mapping[str, Any]) -> Stage:
    """The stage of `stage_values`."""
    module, _, name = values["class"].partition(":")
    made: Stage = getattr(importlib.import_module(module), name).of(
        {key: value for key, value in values.items() if key not in ("name", "class")}
    )
    return made


def compile_kernels(stage: Stage, notify: Callable[[str], None] = lambda _: None) -> None:
    """Compile a stage's kernels on this machine, before several processes need them at once."""
    if type(stage).warm_up is not Stage.warm_up:
        warm_up(stage.name, stage.fingerprint(()), stage.warm_up, notify)


def markers_of(tasks: Sequence[Task]) -> Iterator[dict[str, Any]]:
    """The markers of finished tasks, in order. Raises `RunError` if a task is not finished."""
    for task, marker in zip(tasks, finished_markers(tasks), strict=True):
        if marker is None:
            raise RunError(f"the files of task {task.name} in {task.out} are missing although the task has ended: run again")
        yield marker


def pass_files(tasks: Sequence[Task], folder: str) -> list[Input]:
    """The files that a finished pass wrote below ``folder``, with their digests, so that the next pass can verify them."""
    found = []
    for task, marker in zip(tasks, markers_of(tasks), strict=True):
        for file, facts in marker["files"].items():
            if file.startswith(f"{folder}/"):
                found.append(Input(join(task.out, file), facts["bytes"], facts["sha256"], facts["rows"]))
    return found


def reports_of(tasks: Sequence[Task]) -> Report:
    """The sum of finished tasks' reports."""
    return sum((Report.from_dict(marker["report"]) for marker in markers_of(tasks)), Report())


def finish(
    stage: Stage,
    inputs: Sequence[Input],
    out: str,
    tasks: Sequence[Task],
    facts: Mapping[str, Any] | None = None,
    in_pairs: bool = True,
) -> Report:
    """Write ``report.json``: the sum of the tasks' reports, and the shards that now exist. From here on they can be read.

    The report has the last part of each input's name, so its bytes do not depend on where a run is. Temporary files of killed
    tasks are removed. ``in_pairs``: whether a shard and the shard of dropped documents with its number come from one input;
    sources can only be compared if they do (`by_source`).
    """
    report, files, lost = Report(), dict[str, Any](), Losses()
    for task, marker in zip(tasks, markers_of(tasks), strict=True):
        report += Report.from_dict(marker["report"])
        files |= marker["files"]
        lost.add(task, marker["facts"])
        if "records" not in marker["facts"]:  # documents; an archive's records are counted above
            lost.add_read(task, marker["report"])
    clear_halves(out)
    sources = by_source(out, files, inputs, stage.ranks_by()) if in_pairs else {}
    write_sealed(
        join(out, "report.json"),
        {
            "stage": stage.name,
            "fingerprint": stage.fingerprint(inputs),
            "fingerprint_without_code": stage.fingerprint(inputs, with_code=False),
            "code": stage.code(),
            "config": stage.config(),
            "versions": stage.versions(),
            "inputs": [{**i.to_dict(), "path": i.path.rstrip("/").rsplit("/", 1)[-1]} for i in inputs],
            "report": report.to_dict(),
            "facts": {**lost.facts(), **(facts or {}), **({"by_source": sources} if sources else {})},
            "notes": stage.notes(),
            "shards": {file: size for file, size in files.items() if "/" not in file},
            "others": {file: size for file, size in files.items() if "/" in file},
        },
    )
    return report


def tidy(stage: Stage, out: str) -> None:
    """Remove what only the passes of a finished stage need, and pack its markers.

    If a shard is found broken later, the passes that are missing run again.
    """
    fs, path = filesystem(out)
    there = names_in(out)
    with in_plain_words(out, writing=True):
        for name in stage.temporary:
            if name in there:
                with_retries(partial(fs.rm, f"{path}/{name}", recursive=True))
    pack_markers(out, stage.temporary)


MOST_LOSSES = 1000
"""Damaged places that a report lists; further ones are counted."""


class Losses:
    """The parts of a stage's inputs that could not be read, gathered from its tasks' facts.

    A task that reads archives says ``damage``: a list of ``{archive, offset, bytes, reason}``, and ``records``: how many
    records it found. An input that has bytes but no record is listed under ``without_records``.
    """

    def __init__(self) -> None:
        self.damage: list[dict[str, Any]] = []
        self.places, self.bytes, self.without_records = 0, 0, list[str]()
        self.without_documents: list[str] = []

    def add(self, task: Task, facts: Mapping[str, Any]) -> None:
        """Take a task's facts."""
        for place in facts.get("damage", ()):
            self.places += 1
            self.bytes += int(place.get("bytes") or 0)
            if len(self.damage) < MOST_LOSSES:
                self.damage.append(place)
        if facts.get("records") == 0 and facts.get("bytes", 0) > 0:
            self.without_records.append(task.inputs[0])

    def add_read(self, task: Task, report: Mapping[str, Any]) -> None:
        """Take a task's report: a text file of the user's that gave no document is listed under ``without_documents``."""
        if len(task.sources) != 1 or (report.get("read") or {}).get("documents", 0) or task.sources[0].sha256 is not None:
            return
        if not task.inputs[0].endswith((".parquet", ".pq")):  # an empty one says so itself
            self.without_documents.append(task.inputs[0])

    def facts(self) -> dict[str, Any]:
        """The entries for the stage's report; empty if nothing was lost."""
        found: dict[str, Any] = {}
        if self.places:
            found |= {"damage": self.damage, "damaged_places": self.places, "damaged_bytes": self.bytes}
        if self.without_records:
            found["without_records"] = self.without_records
        if others := [name for name in self.without_documents if name not in self.without_records]:
            found["without_documents"] = others
        return found


def done(stage: Stage, inputs: Sequence[Input], out: str, any_code: bool = False) -> dict[str, Any] | None:
    """The folder's ``report.json``, if it is for this stage on these inputs and the shards exist; otherwise None.

    ``any_code``: also if another version of goldwash's code made it. A broken or edited report is ignored and written
    again from the tasks' markers.
    """
    try:
        report = read_sealed(join(out, "report.json"))
    except DataError:
        return None
    key = "fingerprint_without_code" if any_code else "fingerprint"
    if report is None or report.get(key) != stage.fingerprint(inputs, with_code=not any_code):
        return None
    files = {**report["shards"], **report["others"]}
    folders = {folder: sizes_in(join(out, folder) if folder else out) for folder in {file.rpartition("/")[0] for file in files}}
    for file, facts in files.items():
        folder, _, name = file.rpartition("/")
        if folders[folder].get(name) != facts["bytes"]:
            return None
    return dict(report)


STAGE = "stage.json"
"""The file that marks a folder as a stage's."""


def claim(stage: Stage, inputs: Sequence[Input], out: str) -> None:
    """Make sure that a folder is new, empty, or holds this very stage's output, finished or not.

    Raises `DataError` where it holds something else: outputs of two recipes are never mixed, and nothing of the user's is
    overwritten.
    """
    check_ours(out, (STAGE,))
    held = read_json(join(out, STAGE))
    fingerprint = stage.fingerprint(inputs)
    if held is not None and held.get("fingerprint") != fingerprint:
        raise DataError(
            f"{out} holds the output of stage {held.get('stage')} with other parameters, inputs, versions or code (fingerprint "
            f"{held.get('fingerprint', held.get('identity'))}, now {fingerprint}): choose another --out, or delete that folder"
        )
    if held is None:
        write_json(join(out, STAGE), {"stage": stage.name, "fingerprint": fingerprint, "config": stage.config()})
