"""The keys of a mixture's documents: the group, the weight, the copies and the score of each, and what is counted of them.

Invariants: no pass between the first and the one that copies documents reads a text. Keys are verified before they are used.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.jit import warm_up
from goldwash.pipeline.mixing import buckets, passes, schemas
from goldwash.pipeline.mixing.parameters import Mixture
from goldwash.pipeline.mixing.sources import Source
from goldwash.pipeline.stage import stage_of
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.formats.left_texts import RowGroups
from goldwash.pipeline.storage.formats.parquet_rows import columns_without_text, row_groups
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.parquet import read_whole
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.verified import verified

Numbers = npt.NDArray[np.int64]


def keys_file(n: int) -> str:
    """The file of keys of a file of documents, below the stage's folder."""
    return f"keys/keys-{n:05d}.parquet"


def facts_of(marker: Mapping[str, Any], file: str) -> dict[str, Any]:
    """What a marker says of a file, so that it can be verified."""
    return {"bytes": marker["files"][file]["bytes"], "sha256": marker["files"][file]["sha256"]}


def count_file(task: Task) -> None:
    """Write the group, the weight, the copies and the score of each document of a file."""
    stage = stage_of(task, Mixture)
    source, file = stage.parsed[task.extra["source"]], task.source
    if any(split.hosts for split in source.split):
        warm_up("mix", "hosts", buckets.compile_hosts)
    columns = schema_of(file)
    buckets.check_columns(source, stage.unit, stage.bytes_per_token, columns.names, file.path)
    groups, split = buckets.Groups(source), source.quantile
    schema = pa.schema(
        [("group", pa.int32()), ("weight", pa.int64()), ("times", pa.int32()), *([("key", pa.uint32())] if split else [])]
    )
    tallies: list[list[float]] = []
    histogram: dict[int, int] = {}
    text, read, stored = 0, 0, row_groups(file)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("keys", keys_file(task.index), schema, dictionary=False)
        counted = stage.unit == "tokens" and buckets.TOKEN_COLUMN in columns.names
        for table, bytes_, held in _planning_tables(output, source, stage.unit, counted):
            group = groups.of(table, file.path)
            weight = buckets.weights_of(table, stage.unit, stage.bytes_per_token, file.path)
            times = buckets.times_of(table, source.rehydrate, file.path)
            rows = [pa.array(group, pa.int32()), pa.array(weight), pa.array(times, pa.int32())]
            if split:
                keys = buckets.keys_of(table, split, file.path)
                rows.append(pa.array(keys))
                _add(histogram, (keys >> np.uint32(16)).astype(np.int64), weight * times)
            output.write("keys", pa.table(rows, schema=schema))
            _tallied(tallies, group, weight, times)
            text += bytes_
            read += held
        output.facts |= {
            "documents": int(sum(row[0] for row in tallies)), "groups": groups.names, "histogram": _named(histogram),
            "tally": tallies, "counted": counted, "schema": schemas.packed(columns),
            "stored": _stored(file, text, stored), "text": text, "unpacked": read if stored is None else stored.unpacked_bytes,
        }  # fmt: skip


def _planning_tables(output: TaskOutput, source: Source, unit: str, counted: bool) -> Iterator[tuple[pa.Table, int, int]]:
    """The columns that the plan needs of a file, the bytes of its text, and the bytes of all its columns.

    Where the text is not read, its bytes are estimated and those of all columns are 0.
    """
    file = output.task.source
    if unit == "documents" or counted:
        found = columns_without_text(file, buckets.needed_columns(source, unit))
        if found is not None:
            yield from ((table, bytes_, 0) for table, bytes_ in found)
            return
    for table, texts in output.batches(file):
        output.count(texts)
        yield table, texts.bytes, table.nbytes


def _add(histogram: dict[int, int], bins: Numbers, weights: Numbers) -> None:
    found, inverse = np.unique(bins, return_inverse=True)
    sums = np.zeros(len(found), np.int64)
    np.add.at(sums, inverse, weights)
    for b, weight in zip(found.tolist(), sums.tolist(), strict=True):
        histogram[b] = histogram.get(b, 0) + weight


def _named(histogram: Mapping[int, int]) -> dict[str, int]:
    """A histogram for JSON, whose keys are strings."""
    return {str(b): weight for b, weight in histogram.items()}


def _tallied(tallies: list[list[float]], rows: Numbers, weights: Numbers, times: Numbers) -> None:
    """Add documents, weights with copies, squares of weights and weights to the rows of a table; new rows are appended."""
    most = int(rows.max(initial=-1)) + 1
    while len(tallies) < most:
        tallies.append([0, 0, 0.0, 0])
    documents, sums, squares, once = np.bincount(rows, minlength=most), *(np.zeros(most, kind) for kind in ("i8", "f8", "i8"))
    np.add.at(sums, rows, weights * times)
    np.add.at(once, rows, weights)
    np.add.at(squares, rows, weights.astype(np.float64) ** 2)
    for n in np.flatnonzero(documents).tolist():
        tallies[n][0] += int(documents[n])
        tallies[n][1] += int(sums[n])
        tallies[n][2] += float(squares[n])
        tallies[n][3] += int(once[n])


def _stored(file: Input, text: int, found: RowGroups | None) -> float:
    """The bytes of a file's documents in Parquet: the size of a whole file, or an estimate from the bytes of text."""
    if file.path.endswith((".parquet", ".pq")) and file.bytes and file.groups is None:
        return float(file.bytes) + (found.left_bytes if found else 0)
    return text / passes.TEXT_RATIO


def read_keys(task: Task, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a file of keys, verified."""
    with verified(join(task.out, keys["file"]), keys) as file:
        table = read_whole(file)
    return {name: table[name].to_numpy() for name in table.column_names}


def _quantiles(keys: Mapping[str, Any], edges: Sequence[int]) -> Numbers:
    """The quantile of each document: how many edges are below its key; 0 without quantiles."""
    if "key" not in keys:
        return np.zeros(len(keys["group"]), np.int64)
    return np.asarray(np.searchsorted(np.array(edges, np.int64), keys["key"].astype(np.int64), side="left"), np.int64)


def buckets_of(keys: Mapping[str, Any], edges: Sequence[int], rows: Sequence[Sequence[int]]) -> Numbers:
    """The bucket of each document: ``int64[N]``."""
    if not rows:
        return np.zeros(0, np.int64)
    return np.asarray(np.array(rows, np.int64)[keys["group"], _quantiles(keys, edges)])


def refine_edges(task: Task) -> None:
    """For each bin of an edge, a histogram of the lower 16 bits of the keys in it."""
    stage_of(task, Mixture)
    keys = read_keys(task, task.extra["keys"])
    high, weights = (keys["key"] >> np.uint32(16)).astype(np.int64), keys["weight"] * keys["times"]
    found: dict[str, dict[str, int]] = {}
    for b in task.extra["bins"]:
        inside, table = high == b, dict[int, int]()
        _add(table, (keys["key"][inside] & np.uint32(0xFFFF)).astype(np.int64), weights[inside])
        found[str(b)] = _named(table)
    with TaskOutput(task, None, dropped=False) as output:
        output.facts["histograms"] = found


def tally(task: Task) -> None:
    """Count the documents of each group and quantile."""
    stage_of(task, Mixture)
    keys, count = read_keys(task, task.extra["keys"]), len(task.extra["edges"]) + 1
    rows = keys["group"].astype(np.int64) * count + _quantiles(keys, task.extra["edges"])
    flat: list[list[float]] = [[0, 0, 0.0, 0] for _ in range(count * task.extra["groups"])]
    _tallied(flat, rows, keys["weight"], keys["times"].astype(np.int64))
    with TaskOutput(task, None, dropped=False) as output:
        output.facts["tally"] = [flat[n : n + count] for n in range(0, len(flat), count)]
