"""The passes that `minhash` and `exact` share: keys by shard, pairs by band, components, survivors, the cut.

Law: a *band* is a column of keys, and documents of equal keys in it belong together; what is told apart is how keys are made.
Documents are numbered in the order of the input. Each pass runs in parallel and is resumed task by task:

============  ================  =====================================================================================
pass          one task a        writes
============  ================  =====================================================================================
keys          shard             ``keys/``: id, url, weight and a column a band, of each document in its order
pairs         band and slice    ``pairs/``: pairs of documents of equal keys; 50 bytes a document of its slice in memory
components    run               ``components/``: (document, survivor, copies) of all that have a copy; 20 bytes a document
sets, judged  shard, part       only with ``check``: the shingles of those documents, then (document, survivor, copies)
part          shard             the kept documents and the dropped ones
============  ================  =====================================================================================

A slice is a range of keys, so that a pairs task never holds more than `DOCUMENTS_A_TASK` of them (evenly spread hashes).
A kept document's ``copy_count`` is how many documents stood where it stands, itself included.
"""

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.filters.ngrams import hashes
from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup.components import link, pairs, settle
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Load, RecipeError, Run, Stage, Tasks, finish, markers_of, stage_of
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.inputs import Input
from goldwash.pipeline.storage.locations import DataError, join, read_json
from goldwash.pipeline.storage.parquet import (
    dropped_table,
    not_read,
    schema_of,
    with_column,
    with_fields,
)
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.verified import opened_output

DOCUMENTS_A_TASK = 1 << 25
"""Documents whose keys a pairs task holds: about 1.7 GB."""

BYTES_PAIRED, BYTES_JOINED = 50, 20
"""Bytes of memory a document in a pairs task, and in the components task."""

COUNTS = "counts.json"
"""The file of the numbers of documents, shard by shard: of 10,000 shards, no list for each of 10,000 tasks."""

Numbers = npt.NDArray[np.int64]

PAIRS = pa.schema([("one", pa.int64()), ("other", pa.int64())])
SURVIVORS = pa.schema([("document", pa.int64()), ("survivor", pa.int64()), ("copies", pa.int32())])


@dataclass(frozen=True)
class Copies(Stage):
    """A stage that keeps one of each component of documents that share a key."""

    rule: ClassVar[str]
    """What a dropped document is said to be dropped by."""
    keep: Literal["longest", "first", "best"] = "longest"
    score: str = "quality_probability"

    @property
    @abstractmethod
    def key_columns(self) -> tuple[tuple[str, int], ...]:
        """The bands: columns of keys, and their sizes in bytes."""

    @abstractmethod
    def keys(self, table: pa.Table, texts: Texts) -> dict[str, pa.Array]:
        """Each band's keys, null for a document that has none, and further columns of `more_columns`."""

    def more_columns(self) -> tuple[tuple[str, pa.DataType], ...]:
        """Columns that the keys' shards have beside the bands."""
        return ()

    def weights(self, table: pa.Table, texts: Texts) -> npt.NDArray[np.float64]:
        """What the survivor has most of: bytes, nothing, or a score (nan and null below all): ``float64[N]``."""
        if self.keep == "best":
            scores = np.asarray(pc.fill_null(table[self.score].cast(pa.float64()), -np.inf))
            return np.where(np.isnan(scores), -np.inf, scores)
        return texts.byte_counts.astype(np.float64) if self.keep == "longest" else np.zeros(len(texts))

    def parameters(self) -> dict[str, Any]:
        """What keys depend on: written into their shards, and compared by who reads them."""
        return {k: v for k, v in self.config().items() if k not in ("keep", "score", "check")}

    def key_schema(self) -> pa.Schema:
        """The columns of ``keys/``."""
        fixed = [("id", pa.string()), ("url", pa.string()), ("weight", pa.float64())]
        bands = [(name, pa.binary(size)) for name, size in self.key_columns]
        schema = pa.schema([*fixed, *bands, *self.more_columns()])
        return schema.with_metadata({"goldwash": json.dumps({"stage": self.name, **self.parameters()}, sort_keys=True)})

    def survivors(self, tasks: Tasks, run: Run, components: Task, counts: Sequence[int]) -> list[str]:
        """The files that say who survives."""
        return [join(tasks.out, "components", f"{components.name}.parquet")]

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """The passes, in their order."""
        tasks = Tasks(self, inputs, out)
        keying = tasks.each("keys")
        run(key_shard, keying)
        counts = [int(marker["facts"]["documents"]) for marker in markers_of(keying)]
        write_json(join(out, COUNTS), counts)
        pairing = self._pairing(tasks, sum(counts))
        run(pair_band, pairing)
        memory = BYTES_JOINED * sum(counts)
        bound = tasks.one("components", 0, (join(out, "pairs"),), memory=memory, pairs=len(pairing))
        run(join_components, [bound])
        survivors = self.survivors(tasks, run, bound, counts)
        cutting = [
            tasks.one("part", n, (join(out, "keys", f"keys-{n:05d}.parquet"), *survivors), (source,))
            for n, source in enumerate(inputs)
        ]
        run(cut_shard, cutting)
        found = sum(int(marker["facts"]["pairs"]) for marker in markers_of(pairing))
        facts = {"documents": sum(counts), "pairs": found, **next(markers_of([bound]))["facts"]}
        return finish(self, inputs, out, cutting, facts)

    def _pairing(self, tasks: Tasks, documents: int) -> list[Task]:
        slices = max(1, -(-documents // DOCUMENTS_A_TASK))
        places = [(band, k) for band, _ in self.key_columns for k in range(slices)]
        keys, memory = (join(tasks.out, "keys"),), BYTES_PAIRED * min(documents, DOCUMENTS_A_TASK)
        return [
            tasks.one("pairs", n, keys, memory=memory, band=band, slice=k, slices=slices) for n, (band, k) in enumerate(places)
        ]

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """How many copies stand for the document, or which document stands for it."""
        if self.rule not in document:
            return [("copy_count", document.get("copy_count"), "documents that it stands for", True)]
        shard, row = map(int, str(document["detail"]).removeprefix("copy of ").split(":"))
        with _opened(join(folder, "keys", f"keys-{shard:05d}.parquet"), partly=True) as file:
            kept = pq.read_table(file, columns=["id", "url"], page_checksum_verification=True).slice(row, 1).to_pylist()[0]
        return [(self.rule, document[self.rule], f"one is kept: {kept['id']} {kept['url']}", False)]


def passes_memory(load: Load) -> float:
    """Bytes of the largest task: the pairs of a slice, or the components of all documents."""
    return max(BYTES_PAIRED * min(load.documents, DOCUMENTS_A_TASK), BYTES_JOINED * load.documents)


def starts_of(counts: Sequence[int]) -> Numbers:
    """The number of each shard's first document, and after them that of all: ``int64[shards + 1]``."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _counts(task: Task) -> list[int]:
    """How many documents each shard has, as the first pass found."""
    return list(read_json(join(task.out, COUNTS)))


def key_shard(task: Task) -> None:
    """Make the keys of a shard's documents."""
    stage = stage_of(task, Copies)
    schema = stage.key_schema()
    if stage.keep == "best":
        _check_score(stage, task.source)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("keys", f"keys/{task.name}.parquet", schema, dictionary=False)
        for table, texts in output.batches(task.source):
            fixed = {"id": table["id"], "url": table["url"], "weight": pa.array(stage.weights(table, texts))}
            output.write("keys", pa.table({**fixed, **stage.keys(table, texts)}).select(schema.names))
            output.count(texts)
        output.facts["documents"] = output.report.read.documents


def _check_score(stage: Copies, source: Input) -> None:
    schema, location = schema_of(source), source.path
    if stage.score not in schema.names:
        raise DataError(
            f"{location} has no column {stage.score!r}, by which stage {stage.name} shall keep the best: score the documents "
            "first (goldwash score), name their column with score=NAME, or give keep=longest"
        )
    kind = schema.field(stage.score).type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise DataError(f"{location}, column {stage.score}: expected numbers, found {kind}: name another with score=NAME")


@contextmanager
def _opened(location: str, partly: bool = False) -> Iterator[Any]:
    """A file that an earlier pass wrote, verified (`opened_output`); a `DataError` where it is missing or broken."""
    try:
        with opened_output(location, partly) as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{location} is missing: a pass has not run, or its output was removed; run again") from error
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise not_read(location, error, "delete it and run again") from error


def read_keys(location: str, stage: Copies, columns: Sequence[str], rows: int | None = None) -> pa.Table:
    """Columns of a shard of keys; `DataError` where it is missing, of other parameters, or of another length."""
    with _opened(location, partly=True) as file:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        made = json.loads((parquet.schema_arrow.metadata or {}).get(b"goldwash", b"null"))
        wanted = json.loads(json.dumps({"stage": stage.name, **stage.parameters()}))
        if made != wanted:
            raise DataError(f"{location} holds keys of other parameters ({made}; wanted {wanted}): delete it and run again")
        table = parquet.read(columns=list(columns))
    if rows is not None and table.num_rows != rows:
        raise DataError(f"{location} has {table.num_rows} documents, and had {rows} when it was made: delete it and run again")
    return table


def key_hashes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.uint64], Numbers]:
    """Hashes of a band's keys that are not null, and their places: ``uint64[M]``, ``int64[M]``."""
    place = np.flatnonzero(np.asarray(pc.is_valid(column)))
    keys = pa.concat_arrays(column.drop_null().chunks) if column.num_chunks else pa.array([], column.type)
    size = keys.type.byte_width
    utf8 = np.frombuffer(keys.buffers()[1] or b"", np.uint8)[keys.offset * size : (keys.offset + len(keys)) * size]
    starts = np.arange(len(keys), dtype=np.int64) * size
    return np.asarray(hashes(utf8, starts, starts + size)), place


def pair_band(task: Task) -> None:
    """Pair the documents of equal keys in one band, in one slice of the keys."""
    stage, extra, counts = stage_of(task, Copies), task.extra, _counts(task)
    keys: list[npt.NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    numbers: list[Numbers] = [np.zeros(0, np.int64)]
    width = -(-(1 << 64) // extra["slices"])
    for n, (start, count) in enumerate(zip(starts_of(counts), counts, strict=False)):
        table = read_keys(join(task.out, "keys", f"keys-{n:05d}.parquet"), stage, [extra["band"]], count)
        found, place = key_hashes(table.column(0))
        if extra["slices"] > 1:
            low, high = extra["slice"] * width, min((extra["slice"] + 1) * width, (1 << 64)) - 1
            inside = (found >= np.uint64(low)) & (found <= np.uint64(high))
            found, place = found[inside], place[inside]
        keys.append(found)
        numbers.append(place + start)
    all_keys, all_numbers = np.concatenate(keys), np.concatenate(numbers)
    keys.clear()
    numbers.clear()
    one, other = pairs(all_keys, all_numbers)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("pairs", f"pairs/{task.name}.parquet", PAIRS)
        for k in range(0, len(one), 1 << 20):
            part = slice(k, k + (1 << 20))
            output.write("pairs", pa.table([pa.array(one[part]), pa.array(other[part])], schema=PAIRS))
        output.facts["pairs"] = len(one)


def join_components(task: Task) -> None:
    """Join pairs to components, and name each one's survivor."""
    stage, counts = stage_of(task, Copies), _counts(task)
    starts = starts_of(counts)
    weights = np.empty(starts[-1], np.float64)
    for n, count in enumerate(counts):
        table = read_keys(join(task.out, "keys", f"keys-{n:05d}.parquet"), stage, ["weight"], count)
        weights[starts[n] : starts[n + 1]] = table.column(0).to_numpy()
    parents = np.arange(starts[-1], dtype=np.int64)
    for n in range(task.extra["pairs"]):
        for batch in _batches(join(task.inputs[0], f"pairs-{n:05d}.parquet")):
            link(parents, weights, batch[0].to_numpy(), batch[1].to_numpy())
    sizes = settle(parents)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("components", f"components/{task.name}.parquet", SURVIVORS)
        for k in range(0, len(parents), 1 << 20):
            roots = parents[k : k + (1 << 20)]
            held = np.flatnonzero(sizes[roots] > 1)
            columns = [pa.array(held + k), pa.array(roots[held]), pa.array(sizes[roots[held]])]
            output.write("components", pa.table(columns, schema=SURVIVORS))
        roots = np.flatnonzero(sizes > 1)
        output.facts["components"] = len(roots)
        output.facts["largest_component"] = int(sizes.max(initial=0))
        output.facts["in_components"] = int(sizes[roots].sum())


def _batches(location: str) -> Iterator[pa.RecordBatch]:
    with _opened(location) as file:
        yield from pq.ParquetFile(file, page_checksum_verification=True).iter_batches(1 << 20)


def rows_between(locations: Sequence[str], column: str, low: int, high: int) -> pa.Table:
    """Rows whose number in a sorted column lies from ``low`` to below ``high``; row groups beyond are not read."""
    found = []
    for location in locations:
        with _opened(location, partly=True) as file:
            inside = (pc.field(column) >= low) & (pc.field(column) < high)
            found.append(pq.read_table(file, filters=inside, page_checksum_verification=True))
    return pa.concat_tables(found).sort_by(column)


def cut_shard(task: Task) -> None:
    """Keep what survives of a shard; the others are dropped with the place of the one that stands for them."""
    stage, location, starts = stage_of(task, Copies), task.inputs[0], starts_of(_counts(task))
    start, end = map(int, starts[task.index : task.index + 2])
    table = rows_between(task.inputs[2:], "document", start, end)
    document, survivor, copies = (table[name].to_numpy() for name in SURVIVORS.names)
    standing, counts = np.arange(start, end), np.ones(end - start, np.int32)
    standing[document - start], counts[document - start] = survivor, copies
    ids = read_keys(task.inputs[1], stage, ["id"], end - start)["id"]
    row = 0
    with TaskOutput(task, with_fields(schema_of(task.source), copy_count=pa.int32())) as output:
        for table, texts in output.batches(task.source):
            if not table["id"].cast(pa.string()).equals(ids.slice(row, len(texts))):
                raise DataError(f"{location} is not what it was when its keys were made: run again from the start")
            here = slice(row, row + len(texts))
            stays = standing[here] == np.arange(start + row, start + row + len(texts))
            kept, gone = np.flatnonzero(stays), np.flatnonzero(~stays)
            row += len(texts)
            output.write("kept", with_column(table, "copy_count", pa.array(counts[here])).take(kept))
            if len(gone):
                others = standing[here][gone]
                shards = np.searchsorted(starts, others, side="right") - 1
                details = [f"copy of {s}:{o - starts[s]}" for s, o in zip(shards, others, strict=True)]
                fingerprint = table["id"].take(gone), table["url"].take(gone)
                output.write("dropped", dropped_table(*fingerprint, stage.rule, counts[here][gone], details))
            lost = Count(len(gone), int(texts.byte_counts[gone].sum()))
            left = Count(len(kept), int(texts.byte_counts[kept].sum()))
            output.report += Report(Count(len(texts), texts.bytes), left, {stage.rule: lost} if len(gone) else {})
    if row != end - start:
        raise DataError(f"{location} has {row} documents, and had {end - start} when its keys were made: run again")


def check_keep(stage: Copies) -> None:
    """Refuse parameters that cannot be."""
    if not stage.score:
        raise RecipeError(f"stage {stage.name}: score is empty; expected a column's name")
