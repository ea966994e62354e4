"""Families of copies: how many documents each kept one stands for, and the biggest families with an excerpt.

Invariants: a family is a kept document and the documents that were dropped as its copies. Its size is the column
``copy_count`` of the deduplicating stage. Shards without that column (of older versions) have no families here.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from goldwash.pipeline.reporting.facts import Run, Stage
from goldwash.pipeline.reporting.parts import EXCERPT, Parts, files_of, groups_of, read_columns

COPIES = "copy_count"
SHOWN = 8

Largest = tuple[int, str, int]
"""A large family: its size, the shard, and the row of the document that is kept."""


@dataclass(frozen=True)
class Family:
    """A kept document, and how many documents its family has."""

    id: str
    url: str
    size: int
    text: str


@dataclass(frozen=True)
class Families:
    """The families of one stage. ``sizes``: (least size, greatest size, families) by powers of two, from 2 on."""

    stage: str
    sizes: tuple[tuple[int, int, int], ...]
    largest: tuple[Family, ...]
    families: int
    copies: int
    facts: tuple[tuple[str, int], ...] = ()


def families_of(run: Run, parts: Parts) -> list[Families]:
    """The families of each stage that drops copies of documents."""
    found = []
    for stage in run.finished:
        files = [file for n, (file, rows) in files_of(stage).items() if n in parts.numbers and rows]
        sizes: Counter[int] = Counter()
        largest: list[Largest] = []
        for file in files:
            table = read_columns(parts, file, (COPIES,))
            if table is None or COPIES not in table.column_names:
                break
            _count(np.asarray(pc.fill_null(table[COPIES], 1), np.int64), file, sizes, largest)
        else:
            if files and stage.name in ("minhash", "exact"):
                found.append(_made(stage, parts, sizes, largest))
    return found


def _count(counts: npt.NDArray[np.int64], file: str, sizes: Counter[int], largest: list[Largest]) -> None:
    values, numbers = np.unique(counts[counts > 1], return_counts=True)
    sizes.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
    rows = np.argsort(-counts, kind="stable")[:SHOWN].tolist()
    largest.extend((int(counts[row]), file, row) for row in rows if counts[row] > 1)


def _made(stage: Stage, parts: Parts, sizes: Counter[int], largest: list[Largest]) -> Families:
    order = sorted(largest, key=lambda each: (-each[0], each[1:]))
    shown = [_family(parts, file, row, size) for size, file, row in order[:SHOWN]]
    total = sum(sizes.values())
    copies = sum((size - 1) * n for size, n in sizes.items())
    known = ("pairs", "components", "largest_component", "in_components")
    facts = tuple((name.replace("_", " "), int(stage.facts[name])) for name in known if isinstance(stage.facts.get(name), int))
    return Families(stage.key, _powers(sizes), tuple(f for f in shown if f), total, copies, facts)


def _powers(sizes: Counter[int]) -> tuple[tuple[int, int, int], ...]:
    """Families by size: 2, 3 to 4, 5 to 8, 9 to 16, and so on."""
    found, low, high = [], 2, 2
    while sizes and low <= max(sizes):
        found.append((low, high, sum(n for size, n in sizes.items() if low <= size <= high)))
        low, high = high + 1, 2 * high
    return tuple(found)


def _family(parts: Parts, file: str, row: int, size: int) -> Family | None:
    """A document by its row in a shard."""
    first = 0
    for table in groups_of(parts, file, ("id", "url", "text")):
        if row < first + table.num_rows:
            at: dict[str, object] = table.slice(row - first, 1).to_pylist()[0]
            return Family(str(at.get("id")), str(at.get("url") or ""), size, str(at.get("text") or "")[:EXCERPT])
        first += table.num_rows
    return None
