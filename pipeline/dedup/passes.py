"""The passes that `minhash` and `exact` share: keys by group, pairs by band, components, survivors, the cut.

Invariants:

* A *band* is a column of keys, and documents of equal keys in it belong together. A stage says how keys are made.
* Documents are numbered in the order of the input. A kept document's ``copy_count`` is how many documents it stands for, itself
  included.
* Neighbouring shards form at most `GROUPS` groups. What goes from many tasks to many others goes through a
  file of slices per group or part (`storage.slices`): a task reads its own slices, each once, and nothing else.
* A task has folders and ranges, and names no more files than it reads: a list of tasks grows with the tasks alone.
* Everything that one pass reads of another is verified (`pipeline.dedup.pass_files`, `storage.slices`).
* How shards are grouped, keys sliced and components divided changes no document of the output.

============  ================  ====================================================================================
pass          one task per      writes
============  ================  ====================================================================================
keys          group of shards   ``keys/``: per shard, id, url, weight and a column per band, of each document, in order;
                                ``bands/``: per group, 128 bits of each key and its document, by band and *bucket* (the
                                first bits of the key), and the documents' weights and sizes
pairs         band and slice    ``pairs/``: pairs of documents of equal keys; `BYTES_PAIRED` per document of its slice
components    run               ``components/``: (document, survivor, copies) of all that have a copy, a file per group of
                                shards (and per `ROOTS` documents), a slice per shard; `joining_memory`
sets          group of shards   only with ``check``: the shingles of those documents, a slice per part
judged        part              only with ``check``: (document, survivor, copies), by counted similarity, a slice per group
merged        range of groups   with ``check``, or of more than `ROOTS` documents: the same as ``components/``, one file per
                                group
part          shard             the kept documents and the dropped ones
============  ================  ====================================================================================

A slice of a band is a range of keys, so that a pairs task never holds more than `DOCUMENTS_A_TASK` of them (hashes spread
evenly). For a dump (90,000 shards, 591 million documents, 3,000 parts) the passes open 2.3 million files, 1.5 million of them
for 3,000 parts of 512 groups (``python -m tests.bench.driver``). Before each slice read only its own keys, it was 26 million.
"""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.filters.ngrams import Hashes, hashes
from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup.components import elect, link, members, pairs, roots, settle
from goldwash.pipeline.dedup.pass_files import Checks, Spill, fixed_bytes, written
from goldwash.pipeline.large_texts import MAX_TEXT_BYTES, without_large
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Load, Run, Stage, Tasks, finish, markers_of, stage_of
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import not_read
from goldwash.pipeline.storage.locations import filesystem, join, read_json
from goldwash.pipeline.storage.slices import Slices, SliceWriter, facts_of, opened_slices
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import dropped_table, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.verified import verified

DOCUMENTS_A_TASK = 1 << 25
"""Documents whose keys a pairs task holds: about 1.7 GB."""

BYTES_PAIRED = 50
"""Bytes of memory per document in a pairs task."""

ROOTS = 1 << 25
"""Documents among whose components survivors are elected at once: 20 bytes of memory each."""

GROUPS = 512
"""Groups of shards, at most."""

BUCKET, MOST_BUCKETS = 1024, 256
"""Documents per bucket of a band, at least, and buckets, at most. A pairs task reads two buckets too many of each group."""

MERGED_DOCUMENTS = 1 << 24
"""Documents whose survivors a merging task holds: about 1 GB."""

COUNTS = "counts.json"
"""Documents per shard: one file, not a list in each of 90,000 tasks."""

Numbers = npt.NDArray[np.int64]

PAIRS = pa.schema([("one", pa.int64()), ("other", pa.int64())])
KEY_BYTES, SURVIVOR_BYTES = 20, 20
"""Bytes on disk of a key in ``bands/``, and of a row of survivors."""

Survivors = tuple[Numbers, Numbers, npt.NDArray[np.int32]]
"""Documents, rising, the one that survives of each one's copies, and how many those are."""


@dataclass(frozen=True)
class Copies(Stage):
    """A stage that keeps one of each component of documents that share a key."""

    temporary: ClassVar[tuple[str, ...]] = ("bands", "bands.json", "pairs", "pairs.json", "components", "merged")
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

    def warm_up(self) -> None:
        """Compile the kernels of the passes."""
        numbers = np.arange(2)
        for _, size in self.key_columns:
            keys = pa.chunked_array([pa.array([bytes(size)] * 2, pa.binary(size))])
            first, second, _ = key_hashes(keys)
            one, other = pairs(first, numbers, second)
        parents, sizes, weights = roots(2), np.zeros(2, np.int32), np.zeros(2)
        for read in (one, other, weights):  # as passes get them from files
            read.flags.writeable = False
        link(parents, one, other)
        settle(parents)
        elect(parents, 0, weights, 0, np.zeros(2), np.zeros(2, np.int64), sizes)
        members(parents, 0, sizes)

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

    @property
    def weight_columns(self) -> tuple[str, ...]:
        """The columns that `weights` needs: the passes before the cut read these, id, URL and text, and no other column."""
        return (self.score,) if self.keep == "best" else ()

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
        marker = next(markers_of([components]))
        groups = -(-len(counts) // group_size(len(counts)))
        if len(marker["files"]) <= groups:
            return [components]
        merging = merging_tasks(tasks, components, marker, counts, {})
        run(merge_survivors, merging)
        return merging

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """The passes, in their order."""
        tasks, size = Tasks(self, inputs, out), group_size(len(inputs))
        firsts = range(0, len(inputs), size)
        keying = [tasks.one("keys", n, sources=inputs[k : k + size], first=k) for n, k in enumerate(firsts)]
        run(key_group, keying)
        counts, ids, bands, largest = list[int](), list[str](), list[dict[str, Any]](), 0
        for task, marker in zip(keying, markers_of(keying), strict=True):
            counts += marker["facts"]["documents"]
            ids += marker["facts"]["ids"]
            bands.append(facts_of(marker, group_file("bands", task.index)))
            largest = max(largest, int(marker["facts"]["largest"]))
        known, known_bands = _written_json(out, COUNTS, counts), _written_json(out, "bands.json", bands)
        pairing = self._pairing(tasks, sum(counts), known, known_bands)
        run(pair_band, pairing)
        digests = [written(m, f"pairs/{t.name}.parquet") for t, m in zip(pairing, markers_of(pairing), strict=True)]
        bound = tasks.one(
            "components",
            0,
            memory=joining_memory(sum(counts)),
            pairs=len(pairing),
            written=_written_json(out, "pairs.json", digests),
            counts=known,
            bands=known_bands,
            largest=largest,
        )
        run(join_components, [bound])
        found = sum(int(marker["facts"]["pairs"]) for marker in markers_of(pairing))
        facts = {"documents": sum(counts), "pairs": found, **next(markers_of([bound]))["facts"]}
        files: dict[str, Any] = {}
        for marker in markers_of(self.survivors(tasks, run, bound, counts)):
            files |= {name: facts_of(marker, name) for name in marker["files"]}
        ordered = [{"file": name, **files[name]} for name in sorted(files)]
        cutting = [
            tasks.one("part", n, sources=(source,), survivors=ordered[n // size], slice=n % size, ids=ids[n], counts=known)
            for n, source in enumerate(inputs)
        ]
        run(cut_shard, cutting)
        return finish(self, inputs, out, cutting, facts)

    def _pairing(self, tasks: Tasks, documents: int, counts: str, bands: str) -> list[Task]:
        slices = max(1, -(-documents // DOCUMENTS_A_TASK))
        places = [(band, k) for band in range(len(self.key_columns)) for k in range(slices)]
        memory = BYTES_PAIRED * min(documents, DOCUMENTS_A_TASK)
        return [
            tasks.one("pairs", n, memory=memory, band=band, slice=k, slices=slices, counts=counts, bands=bands)
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
    return max(BYTES_PAIRED * min(load.documents, DOCUMENTS_A_TASK), joining_memory(load.documents))


def joining_memory(documents: float) -> int:
    """Bytes of memory of the components task: the roots of all documents, and what survivors are elected in."""
    return int((4 if documents < 1 << 32 else 8) * documents + 20 * min(documents, ROOTS))


def starts_of(counts: Sequence[int]) -> Numbers:
    """The number of each shard's first document, and after them that of all: ``int64[shards + 1]``."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def group_size(shards: int) -> int:
    """Shards in a group: neighbours, so that there are at most `GROUPS` groups."""
    return max(1, -(-shards // GROUPS))


def digest_of(value: Any) -> str:
    """The SHA-256 of a value, as tasks carry it of a file that is too long for them."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _written_json(out: str, name: str, value: Any) -> str:
    """Write what many tasks need to know; returns the digest that they carry (`checked_json`)."""
    write_json(join(out, name), value)
    return digest_of(value)


def checked_json(location: str, digest: str) -> Any:
    """A value that an earlier pass wrote; `DataError` where it is missing or changed."""
    value = read_json(location)
    if value is None or digest_of(value) != digest:
        raise DataError(f"{location} is missing or changed since this work was planned: run again")
    return value


def counts_of(task: Task) -> list[int]:
    """How many documents each shard has, as the first pass found."""
    return list(checked_json(join(task.out, COUNTS), task.extra["counts"]))


def key_group(task: Task) -> None:
    """Make the keys of the documents of a group of shards."""
    stage, documents, ids, largest = stage_of(task, Copies), list[int](), list[str](), 0
    schema = stage.key_schema()
    with TaskOutput(task, None, dropped=False) as output, GroupKeys(task, stage) as keys:
        for n, source in enumerate(task.sources, task.extra["first"]):
            if stage.keep == "best":
                _check_score(stage, source)
            before, checks = keys.documents, Checks(["id"])
            output.open("keys", f"keys/keys-{n:05d}.parquet", schema, dictionary=False)
            for table, texts in output.batches(source, columns=stage.weight_columns):
                fixed = {"id": table["id"], "url": table["url"], "weight": pa.array(stage.weights(table, texts))}
                made = pa.table({**fixed, **stage.keys(*_without_large(table, texts, stage.max_text_bytes))})
                made = made.select(schema.names).cast(schema)
                output.write("keys", made)
                checks.add(made)
                keys.add(made)
                largest = max(largest, int(texts.byte_counts.max(initial=0)))
                output.count(texts)
            output.close("keys")
            documents.append(keys.documents - before)
            ids.append(checks.values()["id"])
        keys.write(output)
        output.facts.update(documents=documents, largest=largest, ids=ids)


class GroupKeys:
    """The keys of a group of shards in a `Spill`, until they are written by band and bucket.

    Memory: the documents' weights and sizes; when it writes a band, about 40 bytes per document of the group.
    """

    def __init__(self, task: Task, stage: Copies) -> None:
        self.documents = 0
        self._task, self._spill = task, Spill(task.out)
        self._bands = [name for name, _ in stage.key_columns]
        self._numbers: dict[str, list[Any]] = {name: [] for name in ("weight", stage.size_column) if name}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._spill.__exit__(kind, error, trace)

    def add(self, made: pa.Table) -> None:
        """Take the keys of the next documents."""
        for name in self._bands:
            first, second, place = key_hashes(made[name])
            self._spill.append(np.concatenate([first, second, (place + self.documents).view(np.uint64)]))
        for name, held in self._numbers.items():
            held.append(made[name].to_numpy())
        self.documents += made.num_rows

    def write(self, output: TaskOutput) -> None:
        """Write a slice per band and bucket (both halves of its keys, and documents), and one per column of numbers."""
        buckets, bands = _buckets(self.documents), len(self._bands)
        output.attach("bands", SliceWriter(join(self._task.out, group_file("bands", self._task.index))))
        for band in range(bands):
            first, second, place = self._band(band)
            bucket = _bucket_of(first, buckets)
            order = np.argsort(bucket, kind="stable")
            for start, end in pairwise(np.searchsorted(bucket, np.arange(buckets + 1), sorter=order).tolist()):
                rows = order[start:end]
                output.write("bands", [first[rows], second[rows], place[rows]])
        for column in self._numbers.values():
            output.write("bands", column)
        output.close("bands")

    def _band(self, band: int) -> tuple[Hashes, Hashes, npt.NDArray[np.uint32]]:
        """Both halves of a band's keys, and their documents."""
        sizes, step = self._spill.sizes, len(self._bands)
        count = int(sizes[band::step].sum()) // 3
        first, second, place = np.empty(count, np.uint64), np.empty(count, np.uint64), np.empty(count, np.uint32)
        at = 0
        for n in range(band, len(sizes), step):
            some = self._spill[n].reshape(3, -1)
            end = at + some.shape[1]
            first[at:end], second[at:end], place[at:end] = some
            at = end
        return first, second, place


def _buckets(documents: int) -> int:
    """Buckets of each band of a group: a power of two, so that every range of keys is a range of buckets and their parts."""
    return 1 << min(MOST_BUCKETS.bit_length() - 1, max(0, (documents // BUCKET).bit_length() - 1))


def _bucket_of(first: Hashes, buckets: int) -> npt.NDArray[np.uint16]:
    """The bucket of each key, from its first bits: ``uint16[N]``."""
    bits = buckets.bit_length() - 1
    return (first >> np.uint64(64 - bits)).astype(np.uint16) if bits else np.zeros(len(first), np.uint16)


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
    ends, backwards = starts + size, np.ascontiguousarray(data.reshape(-1, size)[:, ::-1]).reshape(-1)
    for read in (data, backwards, starts, ends):  # the form in which texts are hashed: the kernel is compiled once
        read.flags.writeable = False
    return np.asarray(hashes(data, starts, ends)), np.asarray(hashes(backwards, starts, ends)), place


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


Bands = Sequence[Callable[[], AbstractContextManager[Slices]]]
"""What opens the files of keys, by group."""


def _bands(task: Task) -> Bands:
    known = checked_json(join(task.out, "bands.json"), task.extra["bands"])
    return [partial(opened_slices, join(task.out, group_file("bands", group)), facts) for group, facts in enumerate(known)]


def _keys_of_slice(task: Task, stage: Copies, band: int, number: int, slices: int) -> tuple[Hashes, Hashes, Numbers]:
    """Both halves of the keys in a slice of a band, and their documents: ``uint64[M]`` twice, ``int64[M]``.

    Equal keys are in the order of their documents. The arrays grow in place: their parts and the whole are never held together.
    """
    starts, width = starts_of(counts_of(task)), -(-(1 << 64) // slices)
    least, most = number * width, min((number + 1) * width, 1 << 64) - 1
    low, high = np.uint64(least), np.uint64(most)
    room = int(starts[-1]) // slices + 1024
    first, second, numbers = np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.int64)
    at, size = 0, group_size(len(starts) - 1)
    for opened, start in zip(_bands(task), starts[:-1:size], strict=True):
        with opened() as held:
            buckets = _buckets_in(held, stage)
            begin = band * buckets
            for data in held.each(begin + (least * buckets >> 64), begin + (most * buckets >> 64) + 1):
                m = len(data) // KEY_BYTES
                one, other = np.frombuffer(data, np.uint64, m), np.frombuffer(data, np.uint64, m, 8 * m)
                place = np.frombuffer(data, np.uint32, m, 16 * m)
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


def _buckets_in(held: Slices, stage: Copies) -> int:
    """The buckets of each band in a file of keys."""
    return (held.count - (2 if stage.size_column else 1)) // len(stage.key_columns)


def join_components(task: Task) -> None:
    """Join pairs to components, and name each one's survivor: for the components of `ROOTS` documents at a time."""
    stage, starts = stage_of(task, Copies), starts_of(counts_of(task))
    parents = roots(int(starts[-1]))
    digests = checked_json(join(task.out, "pairs.json"), task.extra["written"])
    for n in range(task.extra["pairs"]):
        with opened_pass(join(task.out, "pairs", f"pairs-{n:05d}.parquet"), digests[n]) as parquet:
            for batch in parquet.iter_batches(1 << 20, use_threads=False):
                link(parents, batch[0].to_numpy(), batch[1].to_numpy())
    settle(parents)
    bands = _bands(task)
    found = {"components": 0, "largest_component": 0, "in_components": 0}
    sums = {"size_in_components": 0, "largest_in_components": 0}
    groups = len(group_bounds(starts))
    with TaskOutput(task, None, dropped=False) as output:
        for k, low in enumerate(range(0, max(1, len(parents)), ROOTS)):
            survivors, sizes = _elected(bands, stage, starts, parents, low)
            found["components"] += int((sizes > 1).sum())
            found["largest_component"] = max(found["largest_component"], int(sizes.max(initial=0)))
            found["in_components"] += int(sizes[sizes > 1].sum())
            for group in range(groups):
                writer = SliceWriter(join(task.out, group_file("components", k * groups + group)))
                output.attach("group", writer)
                _write_members(bands, stage, starts, group, (parents, low, survivors, sizes), writer, sums)
                output.close("group")
        output.facts |= found
        if stage.size_column is not None:
            output.facts |= {"largest_text": task.extra["largest"], **sums}


def _numbers_of(held: Slices, stage: Copies, name: str) -> npt.NDArray[Any]:
    """A column of numbers of a group's documents: ``weight`` or the size."""
    place = held.count - (2 if name == "weight" and stage.size_column else 1)
    return np.frombuffer(held.read(place), np.float64 if name == "weight" else np.int64)


def _elected(bands: Bands, stage: Copies, starts: Numbers, parents: Any, low: int) -> tuple[Numbers, npt.NDArray[np.int32]]:
    """Of each component whose root is one of `ROOTS` from ``low`` on: its survivor and its size; 0 for no root."""
    count = min(ROOTS, len(parents) - low)
    best, survivors, sizes = np.empty(count, np.float64), np.empty(count, np.int64), np.zeros(count, np.int32)
    for group, (first, last) in enumerate(group_bounds(starts)):
        if last > low:  # roots come first in their components
            with bands[group]() as held:
                weights = _numbers_of(held, stage, "weight")
            elect(parents[first:last], first, weights, low, best, survivors, sizes)
    return survivors, sizes


def _write_members(
    bands: Bands, stage: Copies, starts: Numbers, group: int, elected: tuple[Any, int, Numbers, Any], writer: SliceWriter,
    sums: dict[str, int],
) -> None:  # fmt: skip
    """Write who survives for the documents of a group, a slice per shard; add up the sizes of those documents."""
    parents, low, survivors, sizes = elected
    first, last = group_bounds(starts)[group]
    size = group_size(len(starts) - 1)
    document = members(parents[first:last], low, sizes) + first
    root = parents[document].astype(np.int64) - low
    write_survivors(writer, (document, survivors[root], sizes[root]), starts[group * size : (group + 1) * size + 1])
    if stage.size_column is not None and len(document):
        with bands[group]() as held:
            own = _numbers_of(held, stage, stage.size_column)[document - first]
        sums["size_in_components"] += int(own.sum())
        sums["largest_in_components"] = max(sums["largest_in_components"], int(own.max()))


def write_survivors(writer: SliceWriter, rows: Survivors, starts: Numbers) -> None:
    """Write rows in slices: those of documents from each start to before the next."""
    document, survivor, copies = rows
    for first, last in pairwise(np.searchsorted(document, starts).tolist()):
        writer.write([document[first:last], survivor[first:last], np.ascontiguousarray(copies[first:last], np.int32)])
        writer.rows += last - first


def survivors_in(held: Slices, first: int, last: int) -> Survivors:
    """The rows of the slices from ``first`` to before ``last``."""
    parts: list[Survivors] = []
    for data in held.each(first, last):
        m = len(data) // SURVIVOR_BYTES
        kinds: Any = ((np.int64, 0), (np.int64, 8), (np.int32, 16))
        one, other, copies = (np.frombuffer(data, kind, m, at * m) for kind, at in kinds)
        parts.append((one, other, copies))
    return joined(parts)


def joined(parts: Sequence[Survivors]) -> Survivors:
    """Rows of several files or slices, in the order of their documents."""
    kinds: Any = (np.int64, np.int64, np.int32)
    columns = (np.concatenate([np.zeros(0, kind), *(part[k] for part in parts)]) for k, kind in enumerate(kinds))
    document, survivor, copies = columns
    order = np.argsort(document, kind="stable")
    return document[order], survivor[order], copies[order]


def group_file(folder: str, number: int) -> str:
    """The file of a group of shards, or of a part, in a folder."""
    return f"{folder}/{folder}-{number:05d}.slices"


def group_bounds(starts: Numbers) -> list[tuple[int, int]]:
    """The first document of each group of shards, and the one behind its last."""
    size = group_size(len(starts) - 1)
    return [(int(starts[n]), int(starts[min(n + size, len(starts) - 1)])) for n in range(0, len(starts) - 1, size)]


def files_of_group(marker: Mapping[str, Any], group: int, groups: int) -> list[dict[str, Any]]:
    """The files in ``components/`` that have documents of a group, as the marker of their task has them."""
    names = [group_file("components", n) for n in range(group, len(marker["files"]), groups)]
    return [{"file": name, **facts_of(marker, name)} for name in names]


def merging_tasks(
    tasks: Tasks, components: Task, marker: Mapping[str, Any], counts: Sequence[int], judged: Mapping[str, Any]
) -> list[Task]:
    """Tasks that each merge the groups of `MERGED_DOCUMENTS` documents, or of one group that has more.

    ``judged``: what they are told of the files of judges; empty where the files in ``components/`` are merged.
    """
    bounds, first, made = group_bounds(starts_of(counts)), 0, list[Task]()
    for n, (_, end) in enumerate(bounds):
        if n + 1 == len(bounds) or bounds[n + 1][1] - bounds[first][0] > MERGED_DOCUMENTS:
            held = [files_of_group(marker, group, len(bounds)) for group in range(first, n + 1)]
            rows = [sum(int(marker["files"][f["file"]]["rows"]) for f in files) for files in held]
            extra = {"first": first, "rows": rows, "counts": components.extra["counts"]}
            extra |= judged or {"components": held}
            made.append(tasks.one("merged", len(made), memory=60 * (end - bounds[first][0]), **extra))
            first = n + 1
    return made


def merge_survivors(task: Task) -> None:
    """Sort what several files say of the documents of some groups, and write a file per group."""
    extra, starts = task.extra, starts_of(counts_of(task))
    size = group_size(len(starts) - 1)
    found = _of_judges(task) if "judges" in extra else _of_components(task)
    document = found[0]
    with TaskOutput(task, None, dropped=False) as output:
        for group, rows in enumerate(extra["rows"], extra["first"]):
            here = starts[group * size : (group + 1) * size + 1]
            first, last = np.searchsorted(document, here[[0, -1]])
            if last - first != rows:
                raise DataError(
                    f"{last - first} of {rows} documents from {here[0]} to {here[-1]} were found in {task.out}: delete that "
                    "folder and run again"
                )
            writer = SliceWriter(join(task.out, group_file("merged", group)))
            output.attach("group", writer)
            write_survivors(writer, (document[first:last], found[1][first:last], found[2][first:last]), here)
            output.close("group")


def _of_judges(task: Task) -> Survivors:
    first, last = task.extra["first"], task.extra["first"] + len(task.extra["rows"])
    parts = list[Survivors]()
    for n, facts in enumerate(checked_json(join(task.out, "judged.json"), task.extra["judges"])):
        with opened_slices(join(task.out, group_file("judged", n)), facts) as held:
            parts.append(survivors_in(held, first, last))
    return joined(parts)


def _of_components(task: Task) -> Survivors:
    return joined([rows_of_file(task, facts) for files in task.extra["components"] for facts in files])


def rows_of_file(task: Task, facts: Mapping[str, Any]) -> Survivors:
    """All rows of a file of survivors."""
    with opened_slices(join(task.out, facts["file"]), facts) as held:
        return survivors_in(held, 0, held.count)


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


def cut_shard(task: Task) -> None:
    """Keep the survivors of a shard; drop the others, each with the place of the one that stands for it."""
    stage, location, counts = stage_of(task, Copies), task.inputs[0], counts_of(task)
    starts = starts_of(counts)
    start, end = map(int, starts[task.index : task.index + 2])
    facts = task.extra["survivors"]
    with opened_slices(join(task.out, facts["file"]), facts) as held:
        document, survivor, copies = survivors_in(held, task.extra["slice"], task.extra["slice"] + 1)
    standing, copied = np.arange(start, end), np.ones(end - start, np.int32)
    standing[document - start], copied[document - start] = survivor, copies
    check = {"id": task.extra["ids"]}
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
