"""DCLM's 53 tasks, the 22 of CORE, and the aggregates over them.

Invariants: accuracies and baselines are fractions of 1; the centred accuracy is (accuracy - baseline) / (1 - baseline): 0 for
guessing, 1 for perfect. An aggregate with a missing task is None, and the missing tasks are named.
Source: DCLM, arXiv 2406.11794, section 3.5 and appendix G; its repository's task table, version 2 (baselines there in percent).
"""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from goldwash.evidence.tables import text

SOURCE = "DCLM, arXiv 2406.11794, tasks of version 2"


@dataclass(frozen=True)
class Task:
    """One task. ``lm_eval`` is its name in lm-evaluation-harness, empty where that has no equivalent."""

    name: str
    category: str
    kind: str
    shots: int
    items: int
    baseline: float
    core: bool
    lm_eval: str

    def centred(self, accuracy: float) -> float:
        """0 for guessing, 1 for perfect."""
        return (accuracy - self.baseline) / (1 - self.baseline)


@cache
def tasks() -> Mapping[str, Task]:
    """All 53 tasks by name, in DCLM's order."""
    rows = csv.DictReader(io.StringIO(text("tasks.csv")))
    return {
        r["task"]: Task(
            r["task"], r["category"], r["kind"], int(r["shots"]), int(r["items"]), float(r["baseline"]) / 100,
            r["core"] == "1", r["lm_eval"],
        )
        for r in rows
    }  # fmt: skip


@dataclass(frozen=True)
class Aggregate:
    """CORE and EXTENDED, None where tasks are missing; their standard errors over items; the centred mean per category."""

    core: float | None
    extended: float | None
    core_error: float | None
    missing_core: tuple[str, ...]
    missing_extended: tuple[str, ...]
    categories: Mapping[str, float]
    partial: float | None
    """The centred mean over the available CORE tasks; None without any. Not comparable with CORE."""


def aggregate(accuracies: Mapping[str, float]) -> Aggregate:
    """The aggregates of accuracies by task name. Names that are no tasks of DCLM are ignored."""
    known = tasks()
    centred = {name: task.centred(accuracies[name]) for name, task in known.items() if name in accuracies}
    core = [name for name, task in known.items() if task.core]
    missing_core = tuple(name for name in core if name not in centred)
    missing = tuple(name for name in known if name not in centred)
    there = [centred[name] for name in core if name in centred]
    groups: dict[str, list[float]] = {}
    for name, value in centred.items():
        groups.setdefault(known[name].category, []).append(value)
    return Aggregate(
        None if missing_core else _mean(there),
        None if missing else _mean(list(centred.values())),
        None if missing_core else _item_error({name: accuracies[name] for name in core}),
        missing_core, missing, {name: _mean(values) for name, values in sorted(groups.items())},
        _mean(there) if there else None,
    )  # fmt: skip


def _mean(values: "list[float]") -> float:
    return math.fsum(values) / len(values)


def _item_error(accuracies: Mapping[str, float]) -> float:
    """Standard error of the mean centred accuracy over the drawing of items, binomial per task."""
    known = tasks()
    variance = math.fsum(
        max(a * (1 - a), 0) / known[name].items / (1 - known[name].baseline) ** 2 for name, a in accuracies.items()
    )
    return math.sqrt(variance) / len(accuracies)
