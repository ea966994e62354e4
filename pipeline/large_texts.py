"""Texts that are too large for a worker's memory: dropped before a stage processes them, and counted.

A kernel's arrays take 15 to 20 times the bytes of the text (two int64 offsets and a hash per word), so that one document of
300 MB took 4 to 6 GB (measured 2026-11). Every stage that cuts words drops such documents under one rule.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.storage.tables import dropped_table

MAX_TEXT_BYTES = 100_000_000
"""Default of the stages' ``max_text_bytes``: below it a task stays under 2 GB."""

RULE = "too_large"


@dataclass(frozen=True, eq=False)
class Sifted:
    """A batch without its large texts; `gone` are their rows for the shard of dropped documents, None where there are none."""

    table: pa.Table
    texts: Texts
    gone: pa.Table | None
    report: Report
    """The large texts, as read and dropped."""


def without_large(table: pa.Table, texts: Texts, most: int) -> Sifted:
    """Split off the texts of more than ``most`` bytes."""
    sizes = texts.byte_counts
    if not (sizes > most).any():
        return Sifted(table, texts, None, Report())
    small, large = np.flatnonzero(sizes <= most), np.flatnonzero(sizes > most)
    count = Count(len(large), int(sizes[large].sum()))
    gone = dropped_table(table["id"].take(large), table["url"].take(large), RULE, sizes[large], [None] * len(large))
    return Sifted(table.take(small), texts.take(small), gone, Report(count, dropped={RULE: count}))
