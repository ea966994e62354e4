"""Run a recipe, and read a run's report.

Invariants: a run is the same as on the command line: same folders, same bytes; each can continue a run of the other.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset

from goldwash.pipeline import flow
from goldwash.pipeline.inspect.explain import Passage, explained
from goldwash.pipeline.interface.memory import settings_of
from goldwash.pipeline.recipes import recipe as recipes
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import filesystem, join, read_json

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class StageReport:
    """A finished stage: its folder, its counts of documents, and further facts from its report."""

    name: str
    folder: str
    report: Report
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    shards: tuple[str, ...]
    others: tuple[str, ...]

    def documents(self) -> Any:
        """The kept documents as a `pyarrow.dataset.Dataset`, which reads lazily.

        Raises `DataError` where the stage left their texts in the shards of the stage before (``copy_text: false``).
        """
        if not self.config.get("copy_text", True):
            raise DataError(
                f"{self.folder} has no texts: stage {self.name} left them in the shards of the stage before it. Run with "
                f"settings={{'{self.name}.copy_text': True}}, or do `goldwash stage pack --input {self.folder} --out NEW`"
            )
        return _dataset([join(self.folder, file) for file in self.shards])

    def dropped(self) -> Any:
        """The dropped documents (``id``, ``url``, ``dropped_by``, ``value``, ``detail``) as a `pyarrow.dataset.Dataset`."""
        return _dataset([join(self.folder, file) for file in self.others if file.startswith("dropped/")])


@dataclass(frozen=True)
class RunReport:
    """The finished stages of a run, in their order. ``finished``: whether all of its stages are."""

    folder: str
    stages: tuple[StageReport, ...]
    finished: bool

    def __iter__(self) -> Iterator[StageReport]:
        return iter(self.stages)

    def __getitem__(self, name: str) -> StageReport:
        """The stage of this name; raises `KeyError` where none is finished."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(f"no stage {name!r} is finished in {self.folder}; finished: {', '.join(s.name for s in self.stages)}")

    def documents(self) -> Any:
        """The documents that the last finished stage kept, as a `pyarrow.dataset.Dataset`."""
        return self.stages[-1].documents()

    def table(self) -> pa.Table:
        """One row per stage and rule (``read``, those that drop, ``kept``): ``stage``, ``rule``, ``documents``, ``bytes``."""
        rows = []
        for stage in self.stages:
            counts = {"read": stage.report.read, **stage.report.dropped, "kept": stage.report.kept}
            rows += [
                {"stage": stage.name, "rule": rule, "documents": c.documents, "bytes": c.bytes} for rule, c in counts.items()
            ]
        schema = pa.schema([("stage", pa.string()), ("rule", pa.string()), ("documents", pa.int64()), ("bytes", pa.int64())])
        return pa.Table.from_pylist(rows, schema=schema)


def load_recipe(name: Place, settings: Mapping[str, Any] | Sequence[str] = (), skip: Sequence[str] = ()) -> recipes.Recipe:
    """The recipe of a name or path, with some parameters changed and some stages left out.

    Raises `RecipeError` with the file, the line and the nearest name.

    >>> [stage.name for stage in load_recipe("gopher", skip=["extract"]).stages]
    ['heuristics']
    """
    return recipes.load(os.fspath(name), settings_of(settings), skip)


def run(
    recipe: Place | recipes.Recipe,
    inputs: Place | Sequence[Place],
    out: Place,
    *,
    settings: Mapping[str, Any] | Sequence[str] = (),
    skip: Sequence[str] = (),
    until: str | None = None,
    workers: int = 1,
    executor: Run | None = None,
    notify: Callable[[str], None] = lambda line: None,
) -> RunReport:
    """Run a recipe on archives or shards, or go on with a run that stopped; the same as ``goldwash run``.

    ``recipe``: a name, the path of a YAML file, or a recipe. ``inputs``: what ``--input`` takes, one or several.
    ``settings``: parameters to change, as ``{"quality.fraction": 0.2}``. ``workers``: processes (0: one per core).
    ``executor``: an engine to use instead, such as the one that `goldwash.pipeline.engines.ray.ray` returns.
    ``notify`` is called with each message of the run.
    Raises `RecipeError`, `DataError` or `RunError`, with the cure.
    """
    from goldwash.pipeline.engines.local import local

    if isinstance(recipe, recipes.Recipe) and (settings or skip):
        raise TypeError("settings and skip belong to a recipe's name: make the recipe with them, as goldwash.recipe(name, ...)")
    loaded = recipe if isinstance(recipe, recipes.Recipe) else load_recipe(recipe, settings, skip)
    names = [os.fspath(inputs)] if isinstance(inputs, str | os.PathLike) else [os.fspath(name) for name in inputs]
    loaded = flow.fitted(loaded, names, notify)
    flow.run_recipe(loaded, names, os.fspath(out), executor or local(workers), until, notify)
    return report(out)


def report(folder: Place) -> RunReport:
    """The report of a run, or of a single stage's folder; raises `DataError` where the folder is neither."""
    place = os.fspath(folder)
    alone = read_json(join(place, "report.json"))
    if alone is not None and "stage" in alone:
        return RunReport(place, (_stage_report(place, alone),), True)
    held = flow.held_run(place)
    stages = tuple(_stage_report(at, found) for at, found in flow.run_folders(place))
    wanted = held["order"]
    return RunReport(place, stages, [s.name for s in stages] == list(wanted))


def _stage_report(folder: str, held: Mapping[str, Any]) -> StageReport:
    return StageReport(
        held["stage"], folder, Report.from_dict(held["report"]), held["config"], held["facts"],
        tuple(sorted(held["shards"])), tuple(sorted(held["others"])),
    )  # fmt: skip


def _dataset(files: Sequence[str]) -> Any:
    if not files:
        raise DataError("the stage wrote no shard")
    fs, _ = filesystem(files[0])
    paths = [filesystem(file)[1] for file in files]
    return pyarrow.dataset.dataset(paths, filesystem=fs, format=pyarrow.dataset.ParquetFileFormat())


def explain(folder: Place, page: str) -> list[tuple[dict[str, Any], list[Passage]]]:
    """Why a page was kept or dropped: each document with this URL or id, and its passage through each stage.

    A `Passage` has the stage's name, ``kept`` or the rule that dropped the document, and each rule's value beside its bounds.
    """
    return explained(os.fspath(folder), page)
