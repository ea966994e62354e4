"""The facts of a run: what its small files say, before any shard is opened.

Invariants: only JSON files and ``recipe.yaml`` are read. A run that is half done, that an older version wrote, or that holds
no stage yet has facts too; what is missing is empty. A run's numbers are shown as they are, even where they do not add up:
`Ledger.adds_up` says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from goldwash.errors import GoldwashError
from goldwash.pipeline.dataset import DATASET, REPORT
from goldwash.pipeline.flow import held_run
from goldwash.pipeline.inspect.status import StageStatus, State, overall, stage_in, status
from goldwash.pipeline.inspect.summary import Losses, losses_of
from goldwash.pipeline.report import Count
from goldwash.pipeline.storage.addresses import located
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join, read_json, read_text
from goldwash.pipeline.storage.usage import Usage, usage_of

BYTES_PER_TOKEN = 4.3
"""Bytes of English web text per token of GPT-NeoX's tokenizer (docs/evidence.md). A run counts tokens only where its recipe
names a tokenizer."""


ZERO, UNKNOWN, NONE = Count(), Usage(), Losses()


@dataclass(frozen=True)
class Stage:
    """A stage of a run. ``read``, ``kept``, ``dropped`` and ``edited`` are its report's; all empty until it is finished."""

    number: int
    name: str
    folder: str
    state: State
    read: Count = ZERO
    kept: Count = ZERO
    dropped: Mapping[str, Count] = field(default_factory=dict)
    edited: Mapping[str, Count] = field(default_factory=dict)
    held: Mapping[str, Any] = field(default_factory=dict)
    """Its ``report.json``."""
    usage: Usage = UNKNOWN

    @property
    def finished(self) -> bool:
        """Whether it has a report."""
        return bool(self.held)

    @property
    def key(self) -> str:
        """Its name among the run's stages, as ``02-heuristics``."""
        return f"{self.number:02d}-{self.name}"

    @property
    def config(self) -> Mapping[str, Any]:
        """Its parameters."""
        return self.held.get("config") or {}

    @property
    def facts(self) -> Mapping[str, Any]:
        """The further facts of its report."""
        return self.held.get("facts") or {}

    @property
    def dropped_total(self) -> Count:
        """All that it dropped."""
        return sum(self.dropped.values(), Count())


@dataclass(frozen=True)
class Ledger:
    """``read = kept + dropped + damaged``, in documents. A damaged place of an archive counts as one document."""

    read: int
    kept: int
    dropped: int
    damaged: int

    @property
    def adds_up(self) -> bool:
        """Whether no document is missing."""
        return self.read == self.kept + self.dropped + self.damaged


@dataclass(frozen=True)
class Run:
    """A run, or a single stage's folder, which counts as a run of one stage."""

    folder: str
    name: str
    state: State
    stages: tuple[Stage, ...]
    held: Mapping[str, Any] = field(default_factory=dict)
    """Its ``run.json``; empty for a single stage."""
    recipe: str = ""
    """Its resolved recipe, as YAML."""
    failures: tuple[str, ...] = ()
    losses: Losses = NONE
    tokens: Mapping[str, Any] = field(default_factory=dict)
    """``count`` and ``tokenizer`` of the dataset's tokens; empty where no tokenizer was named (``dataset.tokenizer``)."""

    @property
    def finished(self) -> tuple[Stage, ...]:
        """The stages that are finished, in order, up to the first that is not."""
        found = []
        for stage in self.stages:
            if not stage.finished:
                break
            found.append(stage)
        return tuple(found)

    @property
    def reads_archives(self) -> bool:
        """Whether the first stage reads archives, so that documents are pages of a crawl."""
        return bool(self.stages) and self.stages[0].name == "extract"

    @property
    def ledger(self) -> Ledger:
        """The run's documents, over its finished stages."""
        done = self.finished
        if not done:
            return Ledger(self.losses.places, 0, 0, self.losses.places)
        dropped = sum(stage.dropped_total.documents for stage in done)
        return Ledger(done[0].read.documents + self.losses.places, done[-1].kept.documents, dropped, self.losses.places)

    def stage(self, key: str) -> Stage | None:
        """The stage of this key; None where there is none."""
        return next((stage for stage in self.stages if stage.key == key), None)


def facts_of(run: str) -> Run:
    """The facts of a run's folder, a single stage's folder, or ``RUN:STAGE``; a `DataError` where the folder is neither."""
    run = located(run).rstrip("/") or "/"
    alone = stage_in(run)
    if alone is not None:
        stage = _stage(1, alone, run, status(run)[0])
        return Run(run, alone, stage.state, (stage,), losses=losses_of(stage.held), failures=_failures(status(run)))
    held = held_run(run)
    folders = [str(folder) for folder in held.get("stages") or ()]
    held["order"] = list(held.get("order") or [_name_in(folder) for folder in folders])
    held["stages"] = folders
    states = _states(run, held)
    stages = [
        _stage(n + 1, name, join(run, folders[n]) if n < len(folders) else "", states[n])
        for n, name in enumerate(held["order"])
    ]
    found = [losses_of(stage.held) for stage in stages]
    losses = Losses(
        tuple(damage for loss in found for damage in loss.listed),
        sum(loss.places for loss in found),
        sum(loss.bytes for loss in found),
        tuple(name for loss in found for name in loss.without_records),
        tuple(name for loss in found for name in loss.without_documents),
    )
    name, recipe = str(held.get("recipe", "run")), _text(join(run, "recipe.yaml"))
    return Run(run, name, overall(states), tuple(stages), held, recipe, _failures(states), losses, _tokens(run))


def _tokens(run: str) -> Mapping[str, Any]:
    """What the dataset's report says of its tokens."""
    held = read_json(join(run, DATASET, REPORT))
    found = held.get("tokens") if isinstance(held, dict) else None
    return found if isinstance(found, dict) and isinstance(found.get("count"), int) else {}


def _name_in(folder: str) -> str:
    parts = folder.split("-")
    return parts[1] if len(parts) > 2 else folder


def _states(run: str, held: Mapping[str, Any]) -> list[StageStatus]:
    """The states of the stages; of a run of an older version, from its reports alone."""
    try:
        return status(run)
    except (GoldwashError, KeyError, TypeError, ValueError):
        folders = held["stages"]
        return [
            StageStatus(name, "finished" if n < len(folders) and _report(join(run, folders[n])) else "waiting")
            for n, name in enumerate(held["order"])
        ]


def _failures(states: Sequence[StageStatus]) -> tuple[str, ...]:
    return tuple(f"{state.name}, {failure.task}: {failure.why}" for state in states for failure in state.failures)


def _stage(number: int, name: str, folder: str, state: StageStatus) -> Stage:
    held = _report(folder) if folder else {}
    if not held:
        return Stage(number, name, folder, state.state if state.state != "finished" else "under way")
    report = held.get("report") or {}
    return Stage(
        number,
        name,
        folder,
        "finished",
        _count(report.get("read")),
        _count(report.get("kept")),
        {str(rule): _count(count) for rule, count in (report.get("dropped") or {}).items()},
        {str(rule): _count(count) for rule, count in (report.get("edited") or {}).items()},
        held,
        usage_of(folder, _count(report.get("read")).bytes),
    )


def _report(folder: str) -> dict[str, Any]:
    """A stage's ``report.json``; empty where there is none. A `DataError` where it is broken."""
    held = read_json(join(folder, "report.json"))
    if held is None:
        return {}
    if not isinstance(held, dict) or not isinstance(held.get("report"), dict):
        raise DataError(f"{folder}/report.json is no report of a stage: delete it and run again")
    return held


def _count(values: Any) -> Count:
    """A count of a report; of a report of an older version, a plain number of documents."""
    if isinstance(values, Mapping):
        return Count(int(values.get("documents", 0)), int(values.get("bytes", 0)))
    return Count(int(values or 0), 0)


def _text(location: str) -> str:
    try:
        return read_text(location)
    except (OSError, GoldwashError, UnicodeDecodeError):
        return ""
