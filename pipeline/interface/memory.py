"""One stage on documents in memory.

Invariants:

* The stage is the one that recipes and the command line use. It reads and writes shards in a temporary folder, which is
  removed at the end. It therefore decides as ``goldwash stage`` does on the same documents.
* With ``workers=1`` everything happens in the calling process, without logs and without another process, except that a stage
  may isolate a parser.
* The caller's object is never changed.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.pipeline import flow
from goldwash.pipeline.interface.frames import Frame
from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.recipes import recipe as recipes
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, Stage, Work, reports_of
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import read_json
from goldwash.pipeline.storage.parquet import ShardWriter, read_whole
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import DROPPED
from goldwash.pipeline.storage.tasks import Task, finished

Data = TypeVar("Data")


@dataclass(frozen=True)
class Applied(Generic[Data]):
    """What a stage made of documents in memory.

    ``kept``: the documents that it kept, in the type that was given. ``rows: int64[K]``: their row numbers in the input.
    ``table``: the same as an Arrow table with all columns, those that the stage added too, and ``row`` first.
    ``dropped``: the others: ``row``, ``id`` and ``url`` if there were such columns, ``dropped_by`` (the rule), ``value`` (what
    the rule measured) and ``detail``; a data frame or dataset if one was given, else an Arrow table.
    ``report``: documents and bytes read, kept, dropped by rule, and edited. ``facts``: further facts from the stage's report.
    """

    kept: Data
    dropped: Any
    report: Report
    rows: npt.NDArray[np.int64]
    table: pa.Table
    facts: Mapping[str, Any] = field(default_factory=dict)
    hits: pa.Table | None = None
    """Of ``decontaminate``: each benchmark item that a document quotes (``row``, ``name``, ``coverage``, ``matched`` ...)."""

    def __repr__(self) -> str:
        reasons = ", ".join(f"{rule} {count.documents}" for rule, count in self.report.dropped.items())
        return (
            f"<{type(self).__name__}: {self.report.kept.documents} of {self.report.read.documents} documents kept"
            f"{f'; dropped by {reasons}' if reasons else ''}>"
        )


def stage(name: str, recipe: str | recipes.Recipe | None = "baseline", **parameters: Any) -> Stage:
    """The stage of this name, with a recipe's parameters and these on top; ``recipe=None`` takes the stage's own defaults.

    A stage that the recipe does not have gets its own defaults, as with ``goldwash stage``. Raises `RecipeError` for an unknown
    stage, recipe or parameter, with the nearest name.

    >>> stage("minhash", bands=20, rows=5).config()["bands"]
    20
    """
    if name not in STAGES:
        raise RecipeError(f"no stage is called {name!r}: {nearest(name, list(STAGES))}")
    loaded = recipes.load(recipe) if isinstance(recipe, str) else recipe
    config = loaded.stage(name).config() if loaded and name in [s.name for s in loaded.stages] else {}
    return STAGES[name].of({**STAGES[name].alone(config), **parameters})


def apply(
    stage: str | Stage,
    data: Data,
    *,
    recipe: str | recipes.Recipe | None = "baseline",
    text: str = "text",
    url: str = "url",
    workers: int = 1,
    **parameters: Any,
) -> Applied[Data]:
    """Do one stage on documents in memory, and return documents of the same type.

    ``stage`` is a stage, or the name of one, with a recipe's parameters and further ``parameters`` as `stage` takes them.
    ``data`` is a list of texts, or a table, data frame or dataset whose columns ``text`` and ``url`` are named so here.
    Raises `TypeError` for another type of data, `DataError` for a missing column or a null text, `RecipeError` for parameters
    that the stage does not accept.

    >>> rules = [{"keep": "word_count", "min": 3}]
    >>> result = apply("heuristics", ["one two three", "one"], recipe=None, steps=rules)
    >>> result.kept
    ['one two three']
    >>> result.dropped.select(["row", "dropped_by", "value"]).to_pylist()
    [{'row': 1, 'dropped_by': 'word_count', 'value': 1.0}]
    """
    made = _stage_of(stage, recipe, parameters)
    frame = Frame.of(data, text, url)
    with tempfile.TemporaryDirectory(prefix="goldwash-") as folder:
        inputs = _written(frame.table, f"{folder}/in", max(1, workers))
        out = f"{folder}/out"
        made.preflight()
        run = in_process() if workers == 1 else _local(workers)
        flow.run_stage(made, inputs, out, run, options=flow.Options(allow_empty=True))
        held = read_json(f"{out}/report.json")
        kept = _read(out, held["shards"])
        gone = _read(out, [file for file in held["others"] if file.startswith("dropped/")])
        hits = _hits(out, held["others"], inputs)
    if "id" not in kept.column_names:
        raise DataError(f"stage {made.name} does not return documents: run it with goldwash.run")
    documents, rows, table = frame.take(kept)
    report = Report.from_dict(held["report"])
    return Applied(documents, frame.side_table(frame.dropped(gone)), report, rows, table, held["facts"], hits)


def _stage_of(stage_: str | Stage, recipe: str | recipes.Recipe | None, parameters: Mapping[str, Any]) -> Stage:
    if isinstance(stage_, str):
        stage_ = stage(stage_, recipe, **parameters)
    elif not isinstance(stage_, Stage):
        raise TypeError(f"expected a stage, or the name of one ({', '.join(STAGES)}); found {type(stage_).__name__}")
    elif parameters:
        raise TypeError(
            f"{', '.join(parameters)}: give parameters with a stage's name, or make the stage with them: goldwash.stage(...)"
        )
    if stage_.makes_documents:
        raise RecipeError(
            f"stage {stage_.name} reads archives, not documents: run it with goldwash.run(..., until={stage_.name!r})"
        )
    return stage_


def in_process() -> Run:
    """A `Run` that does tasks one after the other in the calling process."""

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        for task in tasks:
            if finished(task) is None:
                work(task)
        return reports_of(tasks)

    return run


def _local(workers: int) -> Run:
    from goldwash.pipeline.engines.local import local

    return local(workers)


def _written(table: pa.Table, folder: str, parts: int) -> list[Input]:
    """The documents as shards of a temporary folder, in their order."""
    edges = np.linspace(0, table.num_rows, min(parts, max(table.num_rows, 1)) + 1).astype(np.int64).tolist()
    for number, (start, end) in enumerate(pairwise(edges)):
        writer = ShardWriter(f"{folder}/part-{number:05d}.parquet", table.schema)
        try:
            writer.write(table.slice(start, end - start))
            writer.commit()
        except BaseException:
            writer.abandon()
            raise
    return find_shards([folder])


def _read(out: str, files: Any) -> pa.Table:
    tables = [read_whole(Path(out) / file) for file in sorted(files)]
    return pa.concat_tables(tables) if tables else DROPPED.empty_table()


def _hits(out: str, others: Any, inputs: Sequence[Input]) -> pa.Table | None:
    files = sorted(file for file in others if file.startswith("hits/"))
    if not files:
        return None
    table = _read(out, files)
    rows = pa.array(map(int, table["id"].to_pylist()), pa.int64())
    left = [name for name in table.column_names if name not in ("row", "id", "url", "words")]
    return table.select(left).add_column(0, "row", rows)


def settings_of(changes: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Changes of a recipe's parameters as ``STAGE.PARAMETER=VALUE``.

    >>> settings_of({"quality.fraction": 0.2, "minhash": {"keep": "first"}})
    ['quality.fraction=0.2', 'minhash.keep="first"']
    """
    if not isinstance(changes, Mapping):
        return list(changes)
    made = []
    for key, value in changes.items():
        if isinstance(value, Mapping) and "." not in key:
            made += [f"{key}.{name}={json.dumps(each)}" for name, each in value.items()]
        else:
            made.append(f"{key}={json.dumps(value)}")
    return made
