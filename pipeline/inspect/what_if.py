"""Count the documents that other bounds, or other fractions of a score, would keep: from columns alone.

Invariants:

* The shards are those of ``goldwash stage heuristics --annotate``, or any with numeric columns. With an annotating stage's
  report, the rules are those of its recipe, in order, and ``--keep`` changes single bounds. Without one, the bounds of
  ``--keep`` are the rules.
* Documents are counted as the stage would drop them: by the first rule that they fail.
* A value after an edit is that of the edited text, so a changed bound on lines cannot be answered here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.classifiers.labels import matching
from goldwash.filters.signals import Keep, Signal, SignalError, Values
from goldwash.filters.texts import Texts
from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.stages.quality import weights_in
from goldwash.pipeline.steps import BOUNDS, Step, among_in_words
from goldwash.pipeline.storage.addresses import located
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import opened
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import filesystem, join, read_json
from goldwash.pipeline.storage.parquet import read_whole
from goldwash.pipeline.storage.source import Input

PROBABILITY = "language_probability"


@dataclass
class Rule:
    """A rule's bounds or labels, how many documents fail it, and how many it is the first to drop."""

    name: str
    keep: Keep | None
    among: tuple[str, ...] = ()
    sure: float = 0.0
    """Documents whose label has a lower probability than this pass, too (``keep: language`` alone)."""
    languages: tuple[str, ...] = ()
    """The languages of the documents that it is for; empty: all."""
    changed: bool = False
    failing: int = 0
    dropped: int = 0

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        return self.keep.bounds if self.keep else among_in_words(self.name, self.among, self.sure)

    @property
    def columns(self) -> list[str]:
        """The columns that the rule reads."""
        return [self.name, *([PROBABILITY] if self.sure else []), *(["language"] if self.languages else [])]

    def passes(self, columns: dict[str, Any]) -> Any:
        """Which documents pass, by their columns."""
        passed = self._passes(columns)
        return passed | ~matching(columns["language"], self.languages) if self.languages else passed

    def _passes(self, columns: dict[str, Any]) -> Any:
        values = columns[self.name]
        if self.keep:
            return self.keep.passes(values)
        passed = matching(values, self.among) if self.name == "language" else np.isin(values, self.among)
        return passed | (columns[PROBABILITY] < self.sure) if self.sure else passed


@dataclass
class Answer:
    """The documents, how many would be kept, how many by the recipe's own bounds (None without a recipe), and each rule's
    part.
    """

    documents: int
    kept: int
    kept_before: int | None
    rules: list[Rule]


def what_if(names: Sequence[str], settings: Sequence[str]) -> Answer:
    """Count what the bounds keep; a `RecipeError` for a bound that is wrong, a `DataError` for a column that is missing."""
    names = list(map(located, names))
    inputs = find_shards(names)
    before = _recipe_rules(names)
    rules = [replace(rule) for rule in before]
    for text in settings:
        _change(rules, text, bool(before))
    if not rules:
        raise RecipeError(
            "there are no rules: give --keep NAME.min=VALUE, or a folder that `stage heuristics --annotate` wrote"
        )
    answer = Answer(0, 0, 0 if before else None, rules)
    for shard in inputs:
        for columns, count in _columns(shard.path, sorted({name for rule in [*rules, *before] for name in rule.columns})):
            answer.documents += count
            answer.kept += _counted(rules, columns, count)
            if answer.kept_before is not None:
                answer.kept_before += _counted([replace(rule) for rule in before], columns, count)
    return answer


def _recipe_rules(names: Sequence[str]) -> list[Rule]:
    for name in names:
        report = read_json(join(name, "report.json")) if not name.endswith(".parquet") else None
        if report and report.get("stage") == Heuristics.name and report["config"].get("annotate"):
            steps = Heuristics.of(report["config"]).plan
            return [_rule(step) for step in steps if step.verb in ("keep", "keep_lost")]
    return []


def _rule(step: Step) -> Rule:
    keep = replace(step.keep, signal=replace(step.keep.signal, name=step.rule)) if step.keep else None
    return Rule(step.rule, keep, step.among, dict(step.options).get("sure", 0.0) if step.among else 0.0, step.languages)


def _change(rules: list[Rule], text: str, from_recipe: bool) -> None:
    key, equals, value = text.partition("=")
    name, dot, bound = key.rpartition(".")
    if not equals or not dot or bound not in (*BOUNDS, "among", "sure"):
        raise RecipeError(
            f"--keep {text}: expected RULE.BOUND=NUMBER with one of {', '.join(BOUNDS)}, as word_count.min=100, or "
            "RULE.among=LABELS, as language.among=en,de"
        )
    rule = next((rule for rule in rules if rule.name == name), None)
    if rule is None and from_recipe:
        raise RecipeError(f"--keep {text}: no rule is called {name!r}: {nearest(name, [r.name for r in rules])}")
    if rule is None:
        rules.append(_new_rule(name, bound, value, text))
    elif bound in BOUNDS:
        if rule.keep is None:
            raise RecipeError(f"--keep {text}: {name} has labels, no bounds: give {name}.among=LABELS, separated by commas")
        rule.keep, rule.changed = _bounded(rule.keep, name, bound, value, text), True
    elif rule.keep is not None or (bound == "sure" and name != "language"):
        raise RecipeError(f"--keep {text}: {name} has no `{bound}`; its rule is {rule.bounds}")
    elif bound == "among":
        rule.among, rule.changed = _labels(value, text), True
    else:
        rule.sure, rule.changed = _number(value, text), True


def _new_rule(name: str, bound: str, value: str, text: str) -> Rule:
    if bound == "among":
        return Rule(name, None, _labels(value, text), changed=True)
    if bound == "sure":
        raise RecipeError(f"--keep {text}: give {name}.among=LABELS before it")
    return Rule(name, _bounded(None, name, bound, value, text), changed=True)


def _bounded(keep: Keep | None, name: str, bound: str, value: str, text: str) -> Keep:
    number: dict[str, Any] = {bound: _number(value, text)}
    try:
        return replace(keep, **number) if keep else Keep(Signal(name, _column), **number)
    except SignalError as error:
        raise RecipeError(f"--keep {text}: {error}") from error


def _number(value: str, text: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise RecipeError(f"--keep {text}: {error}") from error


def _labels(value: str, text: str) -> tuple[str, ...]:
    labels = tuple(label.strip() for label in value.strip("[] ").split(","))
    if not all(labels):
        raise RecipeError(f"--keep {text}: expected labels separated by commas, as language.among=en,de")
    return labels


def _column(texts: Texts) -> Values:
    raise AssertionError("a column's values are read, not measured")


def _counted(rules: Sequence[Rule], columns: dict[str, Any], count: int) -> int:
    left = np.ones(count, bool)
    for rule in rules:
        failed = ~rule.passes(columns)
        rule.failing += int(failed.sum())
        rule.dropped += int((left & failed).sum())
        left &= ~failed
    return int(left.sum())


def _columns(location: str, names: list[str]) -> Iterator[tuple[dict[str, Any], int]]:
    fs, path = filesystem(location)
    with fs.open(path, "rb") as file:
        parquet = pq.ParquetFile(file)
        for name in names:
            if name not in parquet.schema_arrow.names:
                known = [n for n in parquet.schema_arrow.names if n not in ("id", "url", "text")]
                raise DataError(f"{location} has no column {name!r}: {nearest(name, known)}")
        for batch in parquet.iter_batches(65536, columns=names, use_threads=False):
            yield {name: _values(batch[name]) for name in names}, batch.num_rows


def _values(column: Any) -> Any:
    values = column.to_numpy(zero_copy_only=False)
    return values if values.dtype.kind == "O" else values.astype(np.float64)


@dataclass(frozen=True)
class Top:
    """A top fraction of the scores: its lowest score, documents and bytes."""

    fraction: float
    threshold: float
    documents: int
    bytes: int


@dataclass(frozen=True)
class Fractions:
    """The documents and bytes that top fractions would keep, and the totals."""

    documents: int
    bytes: int
    tops: list[Top]


def top_fractions(names: Sequence[str], fractions: Sequence[float], column: str, by: str = "documents") -> Fractions:
    """Count what the quality stage would keep with other fractions, from its folder or from any scored shards.

    Takes 12 bytes of memory per document. Raises `RecipeError` for a fraction outside (0, 1], `DataError` for a missing column.
    """
    names = list(map(located, names))
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise RecipeError(f"--fraction {fraction}: expected a number above 0 and up to 1")
    parts = list(_scored(names, column, by))
    values = np.concatenate([np.zeros(0, np.float32), *(p[0] for p in parts)])
    sizes, weights = (np.concatenate([np.zeros(0, np.int64), *(p[k] for p in parts)]) for k in (1, 2))
    total, everything = len(values), int(sizes.sum())
    known = ~np.isnan(values)
    values, sizes, weights = values[known], sizes[known], weights[known]
    order = np.argsort(-values, kind="stable")
    reached = np.cumsum(np.ones(len(order), np.int64) if by == "documents" else weights[order])
    tops = []
    for fraction in sorted(fractions):
        if not len(order):
            tops.append(Top(fraction, float("nan"), 0, 0))
            continue
        wanted = ceil(int(reached[-1]) * Fraction(str(fraction)))
        count = int(np.searchsorted(reached, wanted)) + 1
        threshold = values[order[count - 1]] if wanted else 1.0  # as the stage does if all weights are 0
        if by != "documents":  # equal scores stay together, as in the stage
            count = int((values >= threshold).sum())
        tops.append(Top(fraction, float(threshold), count, int(sizes[order[:count]].sum())))
    return Fractions(total, everything, tops)


def _scored(names: Sequence[str], column: str, by: str) -> Iterator[tuple[Any, Any, Any]]:
    """Scores, bytes and weights per shard: of a quality stage's folder, of all documents scored; else of those in the
    shards.
    """
    for name in names:
        report = read_json(join(name, "report.json")) if not name.endswith(".parquet") else None
        inside = [f for f in (report or {}).get("others", {}) if f.startswith("scores/")]
        files = sorted(_score_files(name)) if report and report.get("stage") == "quality" and not inside else inside
        if files:
            if by not in ("documents", "bytes", report["config"]["by"]):  # type: ignore[index]
                raise DataError(f"{name} weighed documents by {report['config']['by']}, not by {by}")  # type: ignore[index]
            for file in files:
                table = _scores(join(name, file))
                yield (
                    table.column(0).to_numpy(),
                    table.column(1).to_numpy(),
                    table.column(1 if by in ("documents", "bytes") else 2).to_numpy(),
                )
            continue
        for shard in find_shards([name]):
            weigh = [] if by in ("documents", "bytes") else [by]
            for table in _tables(shard, [column, "text", *weigh]):
                if not pa.types.is_floating(table[column].type) and not pa.types.is_integer(table[column].type):
                    raise DataError(f"{shard.path}, column {column}: expected numbers, found {table[column].type}")
                sizes = np.asarray(pc.binary_length(table["text"]), np.int64)
                values = np.asarray(pc.cast(table[column], pa.float32(), safe=False), np.float32)
                yield values, sizes, weights_in(table, by, shard.path) if weigh else sizes


def _score_files(folder: str) -> list[str]:
    fs, path = filesystem(join(folder, "scores"))
    return [f"scores/{p.rsplit('/', 1)[-1]}" for p in fs.glob(f"{path}/*.parquet")]


def _scores(location: str) -> pa.Table:
    fs, path = filesystem(location)
    with fs.open(path, "rb") as file:
        return read_whole(file)


def _tables(shard: Input, columns: Sequence[str]) -> Iterator[pa.Table]:
    with opened(shard) as rows:
        for name in columns:
            if name not in rows.schema.names:
                raise DataError(f"{shard.path} has no column {name!r}; it has {', '.join(rows.schema.names)}")
        yield from rows.tables(columns)
