"""The values of the heuristics stage's rules, measured again on a sample of what the stage read.

Invariants: the values are measured by the stage's own steps (``annotate``), on at most `MOST_SAMPLED` documents. A document
counts under the first rule that it fails, as in the stage. Texts longer than `LONGEST` bytes are left out of the sample.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.classifiers.labels import matching
from goldwash.errors import GoldwashError
from goldwash.filters.signals import Keep
from goldwash.filters.texts import Texts
from goldwash.pipeline.reporting.facts import Run, Stage
from goldwash.pipeline.reporting.parts import EXCERPT, Parts, files_of, groups_of, row_groups, spaced
from goldwash.pipeline.reporting.values import (
    NEAR,
    Mask,
    Near,
    Other,
    Rule,
    Values,
    changed_bounds,
    histogram_of,
    limits_of,
)
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.steps import Step, clean
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.locations import join, read_json
from goldwash.pipeline.storage.source import Input

MOST_SAMPLED, MOST_SAMPLED_BYTES, LONGEST = 4_000, 24_000_000, 1_000_000
"""Documents whose rules are measured again, the bytes of their text, and the longest such text in bytes."""


@dataclass
class Annotated:
    """Documents of a sample with every rule's value; ``passed``: which are within its bounds."""

    table: pa.Table
    values: dict[str, Values] = field(default_factory=dict)
    passed: dict[str, Mask] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of documents."""
        return int(self.table.num_rows)

    def kept(self, without: str | None = None, passed: Mask | None = None) -> Mask:
        """Which documents pass every rule; ``passed`` in place of the verdict of the rule ``without``."""
        left = np.ones(self.rows, bool)
        for rule, mask in self.passed.items():
            left &= passed if rule == without and passed is not None else mask
        return left

    def first_failed(self) -> npt.NDArray[np.int64]:
        """The number of the first rule that each document fails; -1 if none."""
        first = np.full(self.rows, -1)
        for n, mask in enumerate(self.passed.values()):
            first[(first < 0) & ~mask] = n
        return first


def heuristics_rules(run: Run, parts: Parts) -> tuple[list[Rule], list[str]]:
    """The rules of a run's heuristics stages that have bounds, and why a stage's rules could not be measured."""
    found: list[Rule] = []
    notes: list[str] = []
    for stage in run.finished:
        if stage.name != Heuristics.name or stage.config.get("annotate"):
            continue
        before = run.stages[stage.number - 2] if stage.number > 1 else None
        try:
            annotated, whole = _annotated(stage, sample_of(run, before, parts))
        except (GoldwashError, OSError, pa.ArrowException, ImportError) as error:
            notes.append(f"the values of {stage.key} could not be measured again: {error}")
            continue
        found += _rules_of(stage, annotated, whole)
    return found, notes


def sample_of(run: Run, before: Stage | None, parts: Parts) -> Iterator[pa.Table]:
    """Documents that a stage read, evenly from the chosen parts: at most `MOST_SAMPLED`."""
    files = _read_by(run, before, parts)
    rows = sum(source.rows or 0 for source in files)
    each = MOST_SAMPLED if rows <= MOST_SAMPLED else max(1, MOST_SAMPLED // max(1, len(files)))
    for source in files:
        if source.path.endswith(".parquet") and before is not None:
            yield from _rows_of(parts, source.path, each)
        else:
            yield from _first_rows(source, each)


def _read_by(run: Run, before: Stage | None, parts: Parts) -> list[Input]:
    if before is not None:
        return [Input(file, 0, file, rows) for n, (file, rows) in files_of(before).items() if n in parts.numbers and rows]
    held = read_json(join(run.folder, "inputs.json")) or []
    inputs = [Input(**values) for values in held]
    return [inputs[n] for n in spaced(list(range(len(inputs))), max(1, len(parts.numbers)))] if inputs else []


def _rows_of(parts: Parts, file: str, most: int) -> Iterator[pa.Table]:
    """Evenly spaced rows of evenly spaced row groups of a shard."""
    sizes = row_groups(parts, file)
    groups = spaced(list(range(len(sizes))), 8)
    total = sum(sizes[g] for g in groups)
    for group in groups:
        share = max(1, -(-most * sizes[group] // max(1, total)))
        for table in groups_of(parts, file, None, [group]):
            yield table.take(pa.array(spaced(list(range(table.num_rows)), share), pa.int64()))


def _first_rows(source: Input, most: int) -> Iterator[pa.Table]:
    for table in read_batches(source):
        yield table.slice(0, most)
        most -= table.num_rows
        if most <= 0:
            return


def _annotated(stage: Stage, tables: Iterator[pa.Table]) -> tuple[Annotated, bool]:
    """The stage's rules on a sample, and whether the sample is all that the stage read."""
    rules = Heuristics.of(stage.config)
    made = [_measured(rules, table) for table in tables if table.num_rows]
    steps = {step.rule: step for step in rules.plan if step.verb in ("keep", "keep_lost")}
    table = pa.concat_tables([m.table for m in made]) if made else pa.table({"id": [], "url": [], "text": []})
    joined = Annotated(table, steps=steps)
    for rule in steps:
        empty: list[Any] = [np.zeros(0)]
        joined.values[rule] = np.concatenate(empty + [m.values[rule] for m in made if rule in m.values])
        joined.passed[rule] = np.concatenate([np.zeros(0, bool)] + [m.passed[rule] for m in made if rule in m.passed])
    return joined, joined.rows >= stage.read.documents


def _measured(stage: Heuristics, table: pa.Table) -> Annotated:
    sizes = np.asarray(pc.binary_length(table["text"]), np.int64)
    short = np.flatnonzero((sizes <= LONGEST) & (np.cumsum(np.minimum(sizes, LONGEST)) <= MOST_SAMPLED_BYTES))
    table = table.take(pa.array(short)).combine_chunks()
    texts, urls = Texts.of(table["text"]), Texts.of(table["url"])
    documents = clean(stage.plan, texts, urls, annotate=True, table=table)
    shown = pc.utf8_slice_codeunits(table["text"], 0, EXCERPT)
    found = Annotated(pa.table({"id": table["id"], "url": table["url"], "text": shown.cast(pa.string())}))
    for step in stage.plan:
        if step.verb in ("keep", "keep_lost"):
            values = np.asarray(documents.annotations[step.rule], np.float64)
            found.values[step.rule] = values
            found.passed[step.rule] = _passed(step, values, documents.columns)
            if step.languages:
                found.passed[step.rule] |= ~matching(documents.column("language"), step.languages)
    return found


def _passed(step: Step, values: Values, columns: Mapping[str, Any]) -> Mask:
    if step.keep is not None:
        return np.asarray(step.keep.passes(values), bool)
    if step.subject != "language" or "language" not in columns:
        return np.ones(len(values), bool)  # strings of the user's column, which annotating does not keep
    passed = matching(np.asarray(columns["language"]), step.among)
    sure = dict(step.options).get("sure")
    return np.asarray(passed | (columns["language_probability"] < sure) if sure else passed, bool)


def _rules_of(stage: Stage, sample: Annotated, whole: bool) -> list[Rule]:
    if not sample.rows:
        return []
    scale = 1.0 if whole else stage.read.documents / sample.rows
    count = f"{sample.rows:,}"
    basis = (
        f"all {count} documents that the stage read" if whole else f"a sample of {count} of {stage.read.documents:,} documents"
    )
    first, kept = sample.first_failed(), sample.kept()
    rules = []
    for number, (name, step) in enumerate(sample.steps.items()):
        if step.keep is None:
            continue
        values, keep = sample.values[name], step.keep
        dropped = first == number
        masks = {"kept": kept, "dropped": dropped, "others": ~kept & ~dropped}
        rules.append(
            Rule(
                stage.key,
                name,
                keep.bounds,
                limits_of(keep),
                histogram_of(values, masks, limits_of(keep)),
                _others(sample, name, keep, int(kept.sum()), scale),
                _near(sample, values, kept, dropped, limits_of(keep)),
                int(np.isnan(values).sum()),
                scale,
                basis,
            )
        )
    return rules


def _others(sample: Annotated, name: str, keep: Keep, now: int, scale: float) -> tuple[Other, ...]:
    """What tighter and looser bounds would keep, with the other rules as they are."""
    found = []
    for bound in ("min", "max", "above", "below"):
        value = getattr(keep, bound)
        changes = []
        for changed in changed_bounds(name, value) if value is not None else ():
            bounds: dict[str, Any] = {bound: changed}
            other = replace(keep, **bounds)
            left = int(sample.kept(name, np.asarray(other.passes(sample.values[name]), bool)).sum())
            tighter, small = (changed > value) == (bound in ("min", "above")), abs(changed - value) <= 0.3 * abs(value)
            changes.append(Other(f"{bound} {changed:g}", tighter, (left - now) * scale, small))
        found += changes if any(other.change for other in changes) else []
    return tuple(found)


def _near(sample: Annotated, values: Values, kept: Mask, dropped: Mask, limits: Sequence[float]) -> tuple[Near, ...]:
    """The documents of a sample nearest to a bound, on both sides."""
    if not limits:
        return ()
    distance = np.min([np.abs(values - limit) for limit in limits], axis=0)
    found = []
    for mask, is_kept in ((dropped, False), (kept, True)):
        rows = np.flatnonzero(mask & np.isfinite(values))
        for row in rows[np.argsort(distance[rows], kind="stable")][:NEAR]:
            at = sample.table.slice(int(row), 1).to_pylist()[0]
            found.append(Near(str(at["id"]), str(at["url"] or ""), float(values[row]), is_kept, str(at["text"] or "")))
    return tuple(found)
