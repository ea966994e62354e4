"""Which documents of a mixture are taken: the events between two rates, and the copies that go to the shuffle.

Invariants: what is taken depends on the seed, the source's name and the document's number in it (`mixing.draws`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.mixing import draws, passes, schemas
from goldwash.pipeline.mixing.keys import buckets_of, facts_of, read_keys
from goldwash.pipeline.mixing.parameters import Mixture
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import stage_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.parquet import read_whole
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import DROPPED, dropped_table, with_column
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.verified import verified
from goldwash.text_output import printable

RULE = "not_drawn"
"""The rule of documents that the mixture does not take."""

Numbers = npt.NDArray[np.int64]

EVENTS = pa.schema([("bucket", pa.int64()), ("rate", pa.float64()), ("weight", pa.int64())])


def draw_file(task: Task) -> None:
    """Write the weight that each bucket gives below its lower rate, and the documents that it gives between its two rates."""
    stage = stage_of(task, Mixture)
    keys = read_keys(task, task.extra["keys"])
    bucket = buckets_of(keys, task.extra["edges"], task.extra["rows"])
    wanted = {int(n): limits for n, limits in task.extra["rates"].items()}
    rows = np.flatnonzero(np.isin(bucket, list(wanted)))
    bucket = bucket[rows]
    low, high = (by_bucket({n: limits[k] for n, limits in wanted.items()}, bucket) for k in (0, 1))
    times, weight = keys["times"][rows].astype(np.int64), keys["weight"][rows]
    chance = draws.Draw(stage.seed, stage.parsed[task.extra["source"]].name).chance(rows + task.extra["start"])
    below, above = draws.copies(low, times, chance), draws.copies(high, times, chance)
    taken = np.zeros(max(wanted, default=0) + 1, np.int64)
    np.add.at(taken, bucket, below * weight)
    at, rates = draws.events(below, above, times, chance)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("events", _events_file(task), EVENTS, dictionary=False)
        output.write("events", pa.table([pa.array(bucket[at]), pa.array(rates), pa.array(weight[at])], schema=EVENTS))
        output.facts["below"] = {str(n): int(taken[n]) for n in sorted(wanted)}


def by_bucket(values: Mapping[int, float], bucket: Numbers) -> npt.NDArray[np.float64]:
    """The value of each document's bucket: ``float64[N]``; ``values``: by bucket."""
    table = np.zeros(max(values, default=0) + 1)
    table[list(values)] = list(values.values())
    return table[bucket]


def _events_file(task: Task) -> str:
    return f"draws/{task.name}.parquet"


def events_of(task: Task, marker: Mapping[str, Any]) -> dict[int, tuple[Any, Any]]:
    """The events of a task by bucket: rates and weights."""
    file = _events_file(task)
    with verified(join(task.out, file), facts_of(marker, file)) as opened_:
        table = read_whole(opened_)
    bucket, rates, weights = (table[name].to_numpy() for name in EVENTS.names)
    return {n: (rates[bucket == n], weights[bucket == n]) for n in np.unique(bucket).tolist()}


def spread_documents(task: Task) -> None:
    """Spread the copies of some files' documents; list those that are not taken."""
    stage, schema = stage_of(task, Mixture), schemas.unpacked(task.extra["schema"])
    taken: dict[str, list[int]] = {}
    with passes.spread_output(task) as (output, divider):
        output.open("dropped", f"dropped/part-{task.index:05d}.parquet", DROPPED)
        for file, held in zip(task.sources, task.extra["held"], strict=True):
            found = _Taken(task, stage, held)
            _count_taken(taken, found.bucket, found.weight, found.copies)
            _spread_file(output, divider, schema, file, found)
        output.facts["taken"] = taken


class _Taken:
    """The choice among a file's documents: the hash, bucket and copies of each, in arrays of ``[documents]``."""

    def __init__(self, task: Task, stage: Mixture, held: Mapping[str, Any]) -> None:
        self.source = stage.parsed[held["source"]]
        named = {int(n): facts for n, facts in task.extra["buckets"].items()}
        keys = read_keys(task, held["keys"])
        self.bucket = buckets_of(keys, held["edges"], held["rows"])
        self.names = {n: name for n, (name, _) in named.items()}
        self.weight, self.times = keys["weight"], keys["times"].astype(np.int64)
        self.numbers = np.arange(len(self.bucket)) + held["start"]
        self.order = held["source"] << 44
        self.draw = draws.Draw(stage.seed, self.source.name)
        self.chance = self.draw.chance(self.numbers)
        self.copies = draws.copies(by_bucket({n: rate for n, (_, rate) in named.items()}, self.bucket), self.times, self.chance)

    def table(self, table: pa.Table, here: slice, schema: pa.Schema) -> pa.Table:
        """The copies of some documents, with the columns of the output and the columns that order them."""
        count = self.copies[here]
        rows = np.repeat(np.arange(len(count)), count)
        epochs = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        number = self.numbers[here][rows]
        table = table if (count == 1).all() else table.take(pa.array(rows))
        made = with_column(table, "source", pa.repeat(self.source.name, len(rows)))
        if "bucket" in schema.names:
            names = [self.names[n] or None for n in self.bucket[here][rows].tolist()]
            made = with_column(made, "bucket", pa.array(names, pa.string()))
        made = schemas.conformed(with_column(made, "epoch", pa.array(epochs, pa.int32())), schema)
        made = made.append_column(passes.HIDDEN[0], pa.array(self.draw.places(number, epochs, count[rows])))
        return made.append_column(passes.HIDDEN[1], pa.array(number + self.order))

    def left(self, table: pa.Table, here: slice) -> pa.Table:
        """The documents that are not taken, each with the lowest rate at which it would be."""
        gone = np.flatnonzero(self.copies[here] == 0)
        names = [self.names[n] for n in self.bucket[here][gone].tolist()]
        details = [self.source.name + (f":{name}" if name else "") for name in names]
        first = (1 - self.chance[here][gone]) / self.times[here][gone]
        return dropped_table(table["id"].take(gone), table["url"].take(gone), RULE, first, details)

    def report(self, texts: Texts, here: slice) -> Report:
        """The report on some documents."""
        count = self.copies[here]
        lost = Count(int((count == 0).sum()), int(texts.byte_counts[count == 0].sum()))
        kept = Count(len(texts) - lost.documents, texts.bytes - lost.bytes)
        more = np.maximum(count - 1, 0)
        notes = {"repeats": int(more.sum()), "repeated_bytes": int((more * texts.byte_counts).sum())}
        return Report(Count(len(texts), texts.bytes), kept, {RULE: lost} if lost.documents else {}, {}, notes)


def _spread_file(output: TaskOutput, divider: passes.Divider, schema: pa.Schema, file: Input, taken: _Taken) -> None:
    row = 0
    for table, texts in output.batches(file):
        here = slice(row, row + len(texts))
        row += len(texts)
        if row > len(taken.copies):
            break
        divider.add(taken.table(table, here, schema))
        if not taken.copies[here].all():
            output.write("dropped", taken.left(table, here))
        output.report += taken.report(texts, here)
    if row != len(taken.copies):
        raise DataError(
            f"{printable(file.path)} does not have the {len(taken.copies):,} documents that were counted: run again from the "
            "start"
        )


def _count_taken(taken: dict[str, list[int]], bucket: Numbers, weight: Numbers, copies: Numbers) -> None:
    """Add to each bucket's documents taken, copies, weight of the documents taken, and weight of the copies."""
    size = int(bucket.max(initial=-1)) + 1
    sums = np.zeros((4, size), np.int64)
    for k, values in enumerate((copies > 0, copies, (copies > 0) * weight, copies * weight)):
        np.add.at(sums[k], bucket, values.astype(np.int64))
    for n in np.unique(bucket).tolist():
        have = taken.setdefault(str(n), [0, 0, 0, 0])
        taken[str(n)] = [a + int(b) for a, b in zip(have, sums[:, n], strict=True)]
