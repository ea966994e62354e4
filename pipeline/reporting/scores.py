"""Values that stages wrote: scores, shares of contained n-grams, and the values of pages that were dropped before parsing.

Invariants: nothing is measured again. The values are those of all documents of the chosen parts, kept and dropped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.errors import GoldwashError
from goldwash.pipeline.reporting.facts import Run, Stage
from goldwash.pipeline.reporting.parts import Parts, files_of, read_columns, texts_by_id
from goldwash.pipeline.reporting.values import FACTORS, NEAR, Mask, Near, Other, Rule, Values, histogram_of, limits_of, rounded
from goldwash.pipeline.steps import plan_of
from goldwash.pipeline.storage.locations import join


def early_rules(run: Run, fates: pa.Table) -> list[Rule]:
    """The rules with bounds that the extract stage applies before it parses a page: the values of dropped pages alone."""
    found = []
    for stage in run.finished:
        if stage.name != "extract" or not stage.config.get("early"):
            continue
        try:
            plan = plan_of(stage.config["early"])
        except GoldwashError:  # a signal of the user's own that is not there any more
            continue
        for step in plan:
            values = np.asarray(_dropped_by(fates, stage.key, step.rule)["value"], np.float64)
            if step.verb != "keep" or step.keep is None or not len(values) or len(np.unique(values)) < 2:
                continue
            shown = histogram_of(values, {"dropped": np.ones(len(values), bool)}, limits_of(step.keep))
            basis = f"{len(values):,} dropped pages; the values of kept ones are not written"
            found.append(
                Rule(
                    stage.key,
                    step.rule,
                    step.keep.bounds,
                    limits_of(step.keep),
                    shown,
                    unknown=int(np.isnan(values).sum()),
                    basis=basis,
                )
            )
    return found


def quality_rules(run: Run, parts: Parts, fates: pa.Table) -> list[Rule]:
    """The score of each quality stage, with the threshold that was found."""
    return [rule for stage in run.finished if stage.name == "quality" for rule in _quality(run, stage, parts, fates)]


def _quality(run: Run, stage: Stage, parts: Parts, fates: pa.Table) -> Iterator[Rule]:
    threshold, name = stage.facts.get("threshold"), next(iter(stage.dropped), "quality_probability")
    scored = [read_columns(parts, join(stage.folder, f"scores/scores-{n:05d}.parquet"), None) for n in parts.numbers]
    columns = [np.asarray(pc.cast(t.column(0), pa.float64(), safe=False)) for t in scored if t is not None and t.num_columns]
    values = np.concatenate([np.zeros(0), *columns])
    if threshold is None or not len(values):
        return
    limit = float(threshold)
    passes = values >= limit
    scale = stage.read.documents / len(values)
    others = []
    fraction = stage.config.get("fraction")
    for part in (fraction / 2, fraction * 0.8, fraction * 1.25, fraction * 2) if fraction else ():
        if part < 1:
            change = stage.read.documents * part - stage.kept.documents
            lowest = float(np.nanquantile(values, 1 - part)) if np.isfinite(values).any() else float("nan")
            others.append(Other(f"fraction {part:g} (score from {lowest:.3g})", part < fraction, change))
    near = _near(_Column(run, stage, name, limit, lambda t: t[name] if name in t.column_names else None), parts, fates)
    basis = f"all {len(values):,} scores" if len(values) >= stage.read.documents else f"the scores of {len(values):,} documents"
    masks = {"kept": passes, "dropped": ~passes}
    yield Rule(
        stage.key, name, f"{name} >= {limit:.6g}", (limit,), histogram_of(values, masks, (limit,)), tuple(others), near,
        int(np.isnan(values).sum()), scale, basis,
    )  # fmt: skip


def bloom_rules(run: Run, parts: Parts, fates: pa.Table) -> list[Rule]:
    """The share of n-grams that other documents have too, of each bloom stage that drops documents by it."""
    return [rule for stage in run.finished if stage.name == "bloom" for rule in _bloom(run, stage, parts, fates)]


CONTAINED = "contained_fraction"


def _contained(table: pa.Table) -> Any:
    if not {"ngram_count", "contained_ngram_count"} <= set(table.column_names):
        return None
    total = table["ngram_count"].cast(pa.float64())
    return pc.divide(table["contained_ngram_count"].cast(pa.float64()), pc.if_else(pc.equal(total, 0.0), None, total))


def _bloom(run: Run, stage: Stage, parts: Parts, fates: pa.Table) -> Iterator[Rule]:
    limit = stage.config.get("threshold")
    kept = [_numbers(parts, file, _contained) for n, (file, rows) in files_of(stage).items() if n in parts.numbers and rows]
    dropped = np.asarray(_dropped_by(fates, stage.key, CONTAINED)["value"], np.float64)
    values = np.concatenate([np.zeros(0), *kept, dropped])
    if limit is None or not len(values):
        return
    passes = np.arange(len(values)) < len(values) - len(dropped)
    near = _near(_Column(run, stage, CONTAINED, float(limit), _contained), parts, fates)
    scale = max(1.0, stage.read.documents / len(values))
    others = [
        Other(f"threshold {changed:g}", changed < limit, _change(values, passes, float(limit), changed) * scale)
        for changed in sorted({rounded(limit * factor, 0.5) for factor in FACTORS if limit * factor <= 1})
    ]
    masks = {"kept": passes, "dropped": ~passes}
    yield Rule(
        stage.key, CONTAINED, f"{CONTAINED} below {limit:g}", (float(limit),), histogram_of(values, masks, (float(limit),)),
        tuple(others), near, int(np.isnan(values).sum()), scale, f"{len(values):,} documents",
    )  # fmt: skip


def _change(values: Values, passes: Mask, limit: float, changed: float) -> int:
    """How many more documents another threshold would keep, by the values at hand."""
    if changed < limit:
        return -int((passes & (values >= changed)).sum())
    return int((~passes & (values < changed)).sum())


def _numbers(parts: Parts, file: str, of: Callable[[pa.Table], Any]) -> Values:
    table = read_columns(parts, file, ("ngram_count", "contained_ngram_count"))
    column = of(table) if table is not None else None
    return np.zeros(0) if column is None else np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _dropped_by(fates: pa.Table, stage: str, rule: str) -> pa.Table:
    return fates.filter(pc.and_(pc.equal(fates["stage"], stage), pc.equal(fates["rule"], rule)))


@dataclass(frozen=True)
class _Column:
    """A rule whose values a stage wrote: ``of`` makes them from a table of kept documents, if it can."""

    run: Run
    stage: Stage
    rule: str
    limit: float
    of: Callable[[pa.Table], Any]


def _near(column: _Column, parts: Parts, fates: pa.Table) -> tuple[Near, ...]:
    """The dropped and kept documents whose value is nearest to the limit, with their texts as the stage read them."""
    stage, rule, limit, of = column.stage, column.rule, column.limit, column.of
    found = []
    gone = _dropped_by(fates, stage.key, rule)
    for row in _nearest(gone["value"], limit):
        at = gone.slice(row, 1).to_pylist()[0]
        found.append(Near(at["id"], at["url"], float(at["value"]), False))
    kept: list[Near] = []
    for number, (file, rows) in files_of(stage).items():
        if number not in parts.numbers or not rows:
            continue
        table = read_columns(parts, file, ("id", "url", rule, "ngram_count", "contained_ngram_count"))
        values = of(table) if table is not None else None
        if table is None or values is None:
            continue
        for row in _nearest(values, limit):
            at = table.slice(row, 1).to_pylist()[0]
            kept.append(Near(str(at["id"]), str(at.get("url") or ""), float(values[row].as_py()), True))
    found += sorted(kept, key=lambda near: abs(near.value - limit))[:NEAR]
    before = column.run.stages[stage.number - 2] if stage.number > 1 else None
    texts = texts_by_id(parts, before, {near.id for near in found})
    return tuple(replace(near, text=texts.get(near.id, "")) for near in found)


def _nearest(column: Any, limit: float) -> list[int]:
    values = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    rows = np.flatnonzero(np.isfinite(values))
    order = rows[np.argsort(np.abs(values[rows] - limit), kind="stable")]
    return [int(row) for row in order[:NEAR]]
