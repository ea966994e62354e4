"""The passes that `minhash` and `exact` share: keys by shard, pairs by band, components, survivors, the cut.

Invariants:

* A *band* is a column of keys, and documents of equal keys in it belong together. A stage says how keys are made.
* Documents are numbered in the order of the input. A kept document's ``copy_count`` is how many documents it stands for, itself
  included.
* No task names the files of others: it has folders and ranges, so that a list of tasks grows with the tasks alone.
* Everything that one pass reads of another is verified (`pipeline.dedup.pass_files`).

============  ================  ====================================================================================
pass          one task per      writes
============  ================  ====================================================================================
keys          shard             ``keys/``: id, url, weight and a column per band, of each document, in order
pairs         band and slice    ``pairs/``: pairs of documents of equal keys; 50 bytes per document of its slice
components    run               ``components/``: (document, survivor, copies) of all that have a copy, a file per group
                                of shards; 20 bytes per document
sets          group of shards   only with ``check``: the shingles of those documents, sorted by part
judged        part              only with ``check``: (document, survivor, copies), by counted similarity
merged        range of groups   only with ``check``: the same, a file per group of shards
part          shard             the kept documents and the dropped ones
============  ================  ====================================================================================

A slice is a range of keys, so that a pairs task never holds more than `DOCUMENTS_A_TASK` of them (hashes spread evenly). Shards
are taken together in at most `GROUPS` groups of neighbours: 3,000 parts of 90,000 shards read 3 million files, not 266 million.
"""

import hashlib
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

from goldwash.filters.ngrams import Hashes, hashes
from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup.components import link, pairs, settle
from goldwash.pipeline.dedup.pass_files import Checks, fixed_bytes, written
from goldwash.pipeline.large_texts import MAX_TEXT_BYTES, without_large
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Load, Run, Stage, Tasks, finish, markers_of, stage_of
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import not_read
from goldwash.pipeline.storage.locations import filesystem, join, read_json
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import dropped_table, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.verified import verified

DOCUMENTS_A_TASK = 1 << 25
"""Documents whose keys a pairs task holds: about 1.7 GB."""

BYTES_PAIRED, BYTES_JOINED = 50, 20
"""Bytes of memory per document in a pairs task, and in the components task."""

GROUPS = 1024
"""Groups of shards, at most."""

COUNTS = "counts.json"
"""Documents per shard, and the checksums of each column of keys: one file, not a list in each of 90,000 tasks."""

Numbers = npt.NDArray[np.int64]

PAIRS = pa.schema([("one", pa.int64()), ("other", pa.int64())])
SURVIVORS = pa.schema([("document", pa.int64()), ("survivor", pa.int64()), ("copies", pa.int32())])


@dataclass(frozen=True)
class Copies(Stage):
    """A stage that keeps one of each component of documents that share a key."""

    temporary: ClassVar[tuple[str, ...]] = ("pairs", "pairs.json", "components", "checks")
    rule: ClassVar[str]
    """The rule that dropped documents are reported under."""
    keep: Literal["longest", "first", "best"] = "longest"
    """The copy to keep: the ``longest``, the ``first``, or the ``best`` by a score. Ties go to the first."""
    score: str = "quality_probability"
    """For ``best``: the column of scores."""
    max_text_bytes: int = MAX_TEXT_BYTES
    """Drop longer texts as ``too_large``."""
    size_column: ClassVar[str | None] = None
    """The column of ``keys/`` with a document's size in the passes of ``check``."""

    @property
    @abstractmethod
    def key_columns(self) -> tuple[tuple[str, int], ...]:
        """The bands: columns of keys, and their sizes in bytes."""

    @abstractmethod
    def keys(self, table: pa.Table, texts: Texts) -> dict[str, pa.Array]:
        """Each band's keys, null for a document without one, and the columns of `more_columns`."""

    def more_columns(self) -> tuple[tuple[str, pa.DataType], ...]:
        """Columns of the keys' shards other than the bands."""
        return ()

    def weights(self, table: pa.Table, texts: Texts) -> npt.NDArray[np.float64]:
        """What the kept copy has most of, ``float64[N]``: bytes, nothing, or a score (nan and null are below all)."""
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

    def survivors(self, tasks: Tasks, run: Run, components: Task, counts: Sequence[int]) -> list[Task]:
        """The tasks that wrote who survives, a file per group of shards."""
        return [components]

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """The passes, in their order."""
        tasks = Tasks(self, inputs, out)
        keying = tasks.each("keys")
        run(key_shard, keying)
        counts, largest = list[int](), 0
        checks: dict[str, list[str]] = {}
        for marker in markers_of(keying):
            counts.append(int(marker["facts"]["documents"]))
            largest = max(largest, int(marker["facts"]["largest"]))
            for name, check in marker["facts"]["checks"].items():
                checks.setdefault(name, []).append(check)
        known = _write_counts(out, counts, checks)
        pairing = self._pairing(tasks, sum(counts), known)
        run(pair_band, pairing)
        digests = [written(m, f"pairs/{t.name}.parquet") for t, m in zip(pairing, markers_of(pairing), strict=True)]
        write_json(join(out, "pairs.json"), digests)
        memory, known_pairs = BYTES_JOINED * sum(counts), digest_of(digests)
        bound = tasks.one(
            "components", 0, memory=memory, pairs=len(pairing), written=known_pairs, counts=known, largest=largest
        )
        run(join_components, [bound])
        found = sum(int(marker["facts"]["pairs"]) for marker in markers_of(pairing))
        facts = {"documents": sum(counts), "pairs": found, **next(markers_of([bound]))["facts"]}
        files: dict[str, Any] = {}
        for marker in markers_of(self.survivors(tasks, run, bound, counts)):
            files |= {name: written(marker, name) for name in marker["files"]}
        ordered = [{"file": name, **files[name]} for name in sorted(files)]
        size = group_size(len(inputs))
        cutting = [
            tasks.one("part", n, sources=(source,), survivors=ordered[n // size], counts=known)
            for n, source in enumerate(inputs)
        ]
        run(cut_shard, cutting)
        return finish(self, inputs, out, cutting, facts)

    def _pairing(self, tasks: Tasks, documents: int, known: str) -> list[Task]:
        slices = max(1, -(-documents // DOCUMENTS_A_TASK))
        places = [(band, k) for band, _ in self.key_columns for k in range(slices)]
        memory = BYTES_PAIRED * min(documents, DOCUMENTS_A_TASK)
        return [
            tasks.one("pairs", n, memory=memory, band=band, slice=k, slices=slices, counts=known)
            for n, (band, k) in enumerate(places)
        ]

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """How many copies stand for the document, or which document stands for it."""
        if self.rule not in document:
            return [("copy_count", document.get("copy_count"), "documents that it stands for", True)]
        shard, row = map(int, str(document["detail"]).removeprefix("copy of ").split(":"))
        with _opened(join(folder, "keys", f"keys-{shard:05d}.parquet")) as file:
            kept = (
                pq.read_table(file, columns=["id", "url"], page_checksum_verification=True, use_threads=False, pre_buffer=False)
                .slice(row, 1)
                .to_pylist()[0]
            )
        return [(self.rule, document[self.rule], f"one is kept: {kept['id']} {kept['url']}", False)]


def passes_memory(load: Load) -> float:
    """Bytes of the largest task: the pairs of a slice, or the components of all documents."""
    return max(BYTES_PAIRED * min(load.documents, DOCUMENTS_A_TASK), BYTES_JOINED * load.documents)


def starts_of(counts: Sequence[int]) -> Numbers:
    """The number of each shard's first document, and after them that of all: ``int64[shards + 1]``."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def group_size(shards: int) -> int:
    """Shards in a group: neighbours, so that there are at most `GROUPS` groups."""
    return max(1, -(-shards // GROUPS))


def digest_of(value: Any) -> str:
    """The SHA-256 of a value, as tasks carry it of a file that is too long for them."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _write_counts(out: str, counts: Sequence[int], checks: Mapping[str, Sequence[str]]) -> str:
    """Write `COUNTS` and the columns' checksums; returns the digest that tasks carry."""
    for name, values in checks.items():
        write_json(join(out, "checks", f"{name}.json"), list(values))
    known = {"documents": list(counts), "checks": {name: digest_of(list(values)) for name, values in checks.items()}}
    write_json(join(out, COUNTS), known)
    return digest_of(known)


def checked_json(location: str, digest: str) -> Any:
    """A value that an earlier pass wrote; `DataError` where it is missing or changed."""
    value = read_json(location)
    if value is None or digest_of(value) != digest:
        raise DataError(f"{location} is missing or changed since this work was planned: run again")
    return value


def counts_of(task: Task) -> list[int]:
    """How many documents each shard has, as the first pass found."""
    return list(_known(task)["documents"])


def _known(task: Task) -> dict[str, Any]:
    return dict(checked_json(join(task.out, COUNTS), task.extra["counts"]))


def _checks(task: Task, column: str) -> list[str]:
    """The checksums of a column of keys, by shard; none where there is no shard."""
    known = _known(task)["checks"]
    return list(checked_json(join(task.out, "checks", f"{column}.json"), known[column])) if column in known else []


def key_shard(task: Task) -> None:
    """Make the keys of a shard's documents."""
    stage = stage_of(task, Copies)
    schema = stage.key_schema()
    if stage.keep == "best":
        _check_score(stage, task.source)
    checks, largest = Checks(schema.names), 0
    with TaskOutput(task, None, dropped=False) as output:
        output.open("keys", f"keys/{task.name}.parquet", schema, dictionary=False)
        for table, texts in output.batches(task.source):
            fixed = {"id": table["id"], "url": table["url"], "weight": pa.array(stage.weights(table, texts))}
            made = pa.table({**fixed, **stage.keys(*_without_large(table, texts, stage.max_text_bytes))})
            made = made.select(schema.names).cast(schema)
            output.write("keys", made)
            checks.add(made)
            largest = max(largest, int(texts.byte_counts.max(initial=0)))
            output.count(texts)
        output.facts.update(documents=output.report.read.documents, largest=largest, checks=checks.values())


def _without_large(table: pa.Table, texts: Texts, most: int) -> tuple[pa.Table, Texts]:
    """A batch in which documents that will be dropped as too large have neither text nor URL: they are nobody's copy."""
    large = np.flatnonzero(texts.byte_counts > most)
    if not len(large):
        return table, texts
    urls = table["url"].to_pylist()
    for row in large:
        urls[row] = ""
    return with_column(table, "url", pa.array(urls, pa.string())), texts.replace(large, Texts.of([""] * len(large)))


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
def _opened(location: str) -> Iterator[Any]:
    """A file that an earlier pass wrote, whose content the reader verifies; a `DataError` where it is missing or broken."""
    fs, path = filesystem(location)
    try:
        with fs.open(path, "rb") as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{location} is missing: a pass has not run, or its output was removed; run again") from error
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:  # a footer that is broken has any of them
        raise not_read(location, error, "delete it and run again") from error


def read_keys(
    location: str, stage: Copies, columns: Sequence[str], rows: int | None = None, checks: Mapping[str, str] | None = None
) -> pa.Table:
    """Columns of a shard of keys; `DataError` where it is missing, broken, of other parameters, or of another length.

    ``checks``: the columns' checksums, as the pass that wrote them found.
    """
    with _opened(location) as file:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        made = json.loads((parquet.schema_arrow.metadata or {}).get(b"goldwash", b"null"))
        wanted = json.loads(json.dumps({"stage": stage.name, **stage.parameters()}))
        if made != wanted:
            raise DataError(f"{location} holds keys of other parameters ({made}; wanted {wanted}): delete it and run again")
        table = parquet.read(columns=list(columns), use_threads=False)
    if rows is not None and table.num_rows != rows:
        raise DataError(f"{location} has {table.num_rows} documents, and had {rows} when it was made: delete it and run again")
    if checks is not None and (found := Checks.of(table)) != dict(checks):
        broken = ", ".join(name for name in checks if found.get(name) != checks[name])
        raise DataError(f"{location} is not what was written there (column {broken}): delete it and run again")
    return table


def shards_of_keys(task: Task, stage: Copies, column: str) -> Iterator[pa.ChunkedArray]:
    """A column of keys, shard by shard, verified."""
    counts, checks = counts_of(task), _checks(task, column)
    for n, count in enumerate(counts):
        location = join(task.out, "keys", f"keys-{n:05d}.parquet")
        yield read_keys(location, stage, [column], count, {column: checks[n]})[column]


def key_hashes(column: pa.ChunkedArray) -> tuple[Hashes, Hashes, Numbers]:
    """128 bits of each key that is not null, as two halves, and the keys' places: ``uint64[M]`` twice, ``int64[M]``.

    A key of 128 bits is its own; a longer one is hashed forwards and backwards.
    """
    place = np.flatnonzero(np.asarray(pc.is_valid(column)))
    keys = pa.concat_arrays(column.drop_null().chunks) if column.num_chunks else pa.array([], column.type)
    size, data = keys.type.byte_width, fixed_bytes(keys)
    if size == 16:
        halves = data.view(np.uint64).reshape(-1, 2)
        return np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1]), place
    starts = np.arange(len(keys), dtype=np.int64) * size
    backwards = np.ascontiguousarray(data.reshape(-1, size)[:, ::-1]).reshape(-1)
    return np.asarray(hashes(data, starts, starts + size)), np.asarray(hashes(backwards, starts, starts + size)), place


def pair_band(task: Task) -> None:
    """Pair the documents of equal keys in one band, in one slice of the keys."""
    stage, extra = stage_of(task, Copies), task.extra
    first, second, numbers = _keys_of_slice(task, stage, extra["band"], extra["slice"], extra["slices"])
    one, other = pairs(first, numbers, second)
    del first, second, numbers
    with TaskOutput(task, None, dropped=False) as output:
        output.open("pairs", f"pairs/{task.name}.parquet", PAIRS)
        for k in range(0, len(one), 1 << 20):
            some = slice(k, k + (1 << 20))
            output.write("pairs", pa.table([pa.array(one[some]), pa.array(other[some])], schema=PAIRS))
        output.facts["pairs"] = len(one)


def _keys_of_slice(task: Task, stage: Copies, band: str, number: int, slices: int) -> tuple[Hashes, Hashes, Numbers]:
    """Both halves of the keys in a slice of a band, and their documents, which rise: ``uint64[M]`` twice, ``int64[M]``.

    The arrays grow in place: their parts and the whole are never held together.
    """
    starts, width = starts_of(counts_of(task)), -(-(1 << 64) // slices)
    low, high = np.uint64(number * width), np.uint64(min((number + 1) * width, 1 << 64) - 1)
    room = int(starts[-1]) // slices + 1024
    first, second, numbers = np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.int64)
    at = 0
    for start, column in zip(starts, shards_of_keys(task, stage, band), strict=False):
        one, other, place = key_hashes(column)
        if slices > 1:
            inside = (one >= low) & (one <= high)
            one, other, place = one[inside], other[inside], place[inside]
        end = at + len(place)
        if end > len(first):
            more = end + len(first) // 8
            first.resize(more, refcheck=False)
            second.resize(more, refcheck=False)
            numbers.resize(more, refcheck=False)
        first[at:end], second[at:end], numbers[at:end] = one, other, place + start
        at = end
    return first[:at], second[:at], numbers[:at]


def join_components(task: Task) -> None:
    """Join pairs to components, and name each one's survivor."""
    stage, counts = stage_of(task, Copies), counts_of(task)
    starts = starts_of(counts)
    weights = np.empty(starts[-1], np.float64)
    for n, column in enumerate(shards_of_keys(task, stage, "weight")):
        weights[starts[n] : starts[n + 1]] = column.to_numpy()
    parents = np.arange(starts[-1], dtype=np.int64)
    digests = checked_json(join(task.out, "pairs.json"), task.extra["written"])
    for n in range(task.extra["pairs"]):
        with opened_pass(join(task.out, "pairs", f"pairs-{n:05d}.parquet"), digests[n]) as parquet:
            for batch in parquet.iter_batches(1 << 20, use_threads=False):
                link(parents, weights, batch[0].to_numpy(), batch[1].to_numpy())
    del weights
    sizes = settle(parents)
    with TaskOutput(task, None, dropped=False) as output:
        for number, (first, last) in enumerate(group_bounds(starts)):
            output.open("group", group_file("components", number), SURVIVORS)
            for k in range(first, last, 1 << 20):
                roots = parents[k : min(k + (1 << 20), last)]
                held = np.flatnonzero(sizes[roots] > 1)
                columns = [pa.array(held + k), pa.array(roots[held]), pa.array(sizes[roots[held]])]
                output.write("group", pa.table(columns, schema=SURVIVORS))
            output.close("group")
        roots = np.flatnonzero(sizes > 1)
        output.facts["components"] = len(roots)
        output.facts["largest_component"] = int(sizes.max(initial=0))
        output.facts["in_components"] = int(sizes[roots].sum())
        if stage.size_column is not None:
            output.facts |= {"largest_text": task.extra["largest"], **_sizes(task, stage, starts, sizes[parents] > 1)}


def _sizes(task: Task, stage: Copies, starts: Numbers, held: npt.NDArray[np.bool_]) -> dict[str, int]:
    """The sum and the largest of the documents' sizes that have a copy."""
    assert stage.size_column is not None
    total = most = 0
    for n, column in enumerate(shards_of_keys(task, stage, stage.size_column)):
        here = column.to_numpy()[held[starts[n] : starts[n + 1]]]
        total, most = total + int(here.sum()), max(most, int(here.max(initial=0)))
    return {"size_in_components": total, "largest_in_components": most}


def group_file(folder: str, number: int) -> str:
    """The file of a group of shards in a folder of survivors."""
    return f"{folder}/{folder}-{number:05d}.parquet"


def group_bounds(starts: Numbers) -> list[tuple[int, int]]:
    """The first document of each group of shards, and the one behind its last."""
    size = group_size(len(starts) - 1)
    return [(int(starts[n]), int(starts[min(n + size, len(starts) - 1)])) for n in range(0, len(starts) - 1, size)]


@contextmanager
def opened_unverified(location: str) -> Iterator[pq.ParquetFile]:
    """A file of an earlier pass whose rows the reader verifies; a `DataError` where it is missing or broken."""
    with _opened(location) as file:
        yield pq.ParquetFile(file, page_checksum_verification=True)


@contextmanager
def opened_pass(location: str, facts: Mapping[str, Any]) -> Iterator[pq.ParquetFile]:
    """A file of an earlier pass, verified as a whole; a `DataError` where it is missing or broken."""
    try:
        with verified(location, facts) as file:
            yield pq.ParquetFile(file, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise DataError(f"{location} is missing: a pass has not run, or its output was removed; run again") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise not_read(location, error, "delete it and run again") from error


def survivors_between(task: Task, start: int, end: int) -> pa.Table:
    """Who survives, of the documents from ``start`` to before ``end``: the rows of their group's file."""
    facts = task.extra["survivors"]
    with opened_pass(join(task.out, facts["file"]), facts) as parquet:
        table = parquet.read(use_threads=False)
    document = table["document"].to_numpy()
    first, last = np.searchsorted(document, [start, end])
    return table.slice(first, last - first)


def cut_shard(task: Task) -> None:
    """Keep the survivors of a shard; drop the others, each with the place of the one that stands for it."""
    stage, location, counts = stage_of(task, Copies), task.inputs[0], counts_of(task)
    starts = starts_of(counts)
    start, end = map(int, starts[task.index : task.index + 2])
    table = survivors_between(task, start, end)
    document, survivor, copies = (table[name].to_numpy() for name in SURVIVORS.names)
    standing, copied = np.arange(start, end), np.ones(end - start, np.int32)
    standing[document - start], copied[document - start] = survivor, copies
    check = {"id": _checks(task, "id")[task.index]}
    ids = read_keys(join(task.out, "keys", f"keys-{task.index:05d}.parquet"), stage, ["id"], end - start, check)["id"]
    row = 0
    with TaskOutput(task, with_fields(schema_of(task.source), copy_count=pa.int32())) as output:
        for table, texts in output.batches(task.source):
            if not table["id"].cast(pa.string()).equals(ids.slice(row, len(texts))):
                raise DataError(f"{location} is not what it was when its keys were made: run again from the start")
            here = slice(row, row + len(texts))
            row += len(texts)
            kept, gone, report = _cut(stage, table, texts, starts, start + here.start, standing[here], copied[here])
            output.write("kept", kept)
            for dropped in gone:
                output.write("dropped", dropped)
            output.report += report
    check_count(location, row, end - start)


def check_count(location: str, rows: int, had: int) -> None:
    """Refuse a shard that has another number of documents than when its keys were made."""
    if rows > had:
        raise DataError(f"{location} is not what it was when its keys were made: run again from the start")
    if rows != had:
        raise DataError(f"{location} has {rows} documents, and had {had} when its keys were made: run again")


def _cut(
    stage: Copies, table: pa.Table, texts: Texts, starts: Numbers, first: int, standing: Numbers, copied: npt.NDArray[np.int32]
) -> tuple[pa.Table, list[pa.Table], Report]:
    """A batch's kept documents, its dropped ones, and the report; ``first``: the batch's first document."""
    table = with_column(table, "copy_count", pa.array(copied))
    large = texts.byte_counts > stage.max_text_bytes
    stays = standing == np.arange(first, first + len(texts))
    kept, gone, too_large = np.flatnonzero(stays & ~large), np.flatnonzero(~stays & ~large), np.flatnonzero(large)
    out, dropped = list[pa.Table](), dict[str, Count]()
    if len(gone):
        shards = np.searchsorted(starts, standing[gone], side="right") - 1
        details = [f"copy of {s}:{o - starts[s]}" for s, o in zip(shards, standing[gone], strict=True)]
        out.append(dropped_table(table["id"].take(gone), table["url"].take(gone), stage.rule, copied[gone], details))
        dropped[stage.rule] = Count(len(gone), int(texts.byte_counts[gone].sum()))
    if len(too_large):
        sifted = without_large(table, texts, stage.max_text_bytes)
        assert sifted.gone is not None
        out.append(sifted.gone)
        dropped |= sifted.report.dropped
    left = Count(len(kept), int(texts.byte_counts[kept].sum()))
    return table.take(kept), out, Report(Count(len(texts), texts.bytes), left, dropped)


def check_keep(stage: Copies) -> None:
    """Refuse parameters that cannot be."""
    if stage.max_text_bytes < 1:
        raise RecipeError(
            f"stage {stage.name}: max_text_bytes is {stage.max_text_bytes}; expected 1 or more", ("max_text_bytes",)
        )
    if not stage.score:
        raise RecipeError(f"stage {stage.name}: score is empty; expected a column's name")
