"""The passes that `minhash` and `exact` share: keys by group, pairs by band, components, survivors, the cut.

Invariants:

* A *band* is a column of keys, and documents of equal keys in it belong together. A stage says how keys are made.
* Documents are numbered in the order of the input. A kept document's ``copy_count`` is how many documents it stands for, itself
  included.
* What goes from many tasks to many others goes through a file of slices per group of shards or part (`storage.slices`): a task
  reads its own slices, each once, and nothing else.
* A task has folders and ranges, and names no more files than it reads (`pipeline.dedup.plan`).
* Everything that one pass reads of another is verified (`pipeline.dedup.pass_files`, `storage.slices`).
* How shards are grouped, keys sliced and components divided changes no document of the output.

============  ================  ====================================================================================
pass          one task per      writes
============  ================  ====================================================================================
keys          group of shards   ``keys/``: per shard, id, url, weight and a column per band, of each document, in order;
                                ``bands/``: per group, 128 bits of each key and its document, by band and *bucket* (the
                                first bits of the key), and the documents' weights and sizes
pairs         bands and slice   ``pairs/``: pairs of documents of equal keys; `BYTES_PAIRED` per document of its slice
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.filters.signals import Signal
from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup.bands import LISTED, BandColumns, BandFiles, GroupKeys, key_hashes
from goldwash.pipeline.dedup.components import elect, link, members, pairs, roots, settle
from goldwash.pipeline.dedup.pass_files import Checks, batches_of, opened_parquet, written
from goldwash.pipeline.dedup.plan import (
    COUNTS,
    Numbers,
    check_count,
    counts_of,
    group_bounds,
    group_file,
    group_size,
    starts_of,
)
from goldwash.pipeline.dedup.survivors import merge_survivors, merging_tasks, survivors_in, write_survivors
from goldwash.pipeline.large_texts import MAX_TEXT_BYTES
from goldwash.pipeline.large_texts import RULE as TOO_LARGE
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Load, Run, Stage, Tasks, finish, markers_of, stage_of
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.left_texts import check_beside, row_column, without_texts
from goldwash.pipeline.storage.formats.parquet_rows import documents_without_texts, shard_of_texts
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.shared_values import read_shared, write_shared
from goldwash.pipeline.storage.slices import SliceWriter, facts_of, opened_slices
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import dropped_table, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput

DOCUMENTS_A_TASK = 1 << 25
"""Documents whose keys a pairs task holds: about 1.7 GB."""

KEYS_A_TASK = 1 << 20
"""Of a small run, a pairs task takes as many bands as have this many keys together (half a second): a task takes 4 ms however
small it is, which for 14 bands was a tenth of minhash on 17 MB of text (2026-11)."""

BYTES_PAIRED = 50
"""Bytes of memory per document in a pairs task."""

ROOTS = 1 << 25
"""Survivors are elected for the components of this many root documents at a time: 20 bytes of memory each."""

TEXT_BYTES = "text_bytes"
"""The column of ``keys/`` with the bytes of each text, where the last pass leaves texts and does not read them."""

PAIRS = pa.schema([("one", pa.int64()), ("other", pa.int64())])


@dataclass(frozen=True)
class Copies(Stage):
    """A stage that keeps one of each component of documents that share a key."""

    temporary: ClassVar[tuple[str, ...]] = (COUNTS, "bands", LISTED, "pairs", "pairs.json", "components", "merged")
    of_run: ClassVar[tuple[str, ...]] = ("copy_text",)
    rule: ClassVar[str]
    """The rule that dropped documents are reported under."""
    keep: Literal["longest", "first", "best"] = "longest"
    """The copy to keep: the ``longest``, the ``first``, or the ``best`` by a score. Ties go to the first."""
    score: str = "quality_probability"
    """For ``best``: the column of scores."""
    max_text_bytes: int = MAX_TEXT_BYTES
    """Drop longer texts as ``too_large``."""
    copy_text: bool = True
    """Write the texts of the kept documents. False: leave them in the shards of the run's stage before, where readers find
    them; the first stage of a run and the one whose documents make the dataset write them all the same."""
    size_column: ClassVar[str | None] = None
    """The column of ``keys/`` with a document's size in the passes of ``check``."""

    def measured(self, before: Mapping[str, Signal]) -> Mapping[str, Signal]:
        """See `Stage`: texts stay as they are."""
        return before

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

    @property
    def band_columns(self) -> BandColumns:
        """The columns of ``keys/`` that later passes read."""
        return BandColumns(tuple(name for name, _ in self.key_columns), ("weight", *filter(None, [self.size_column])))

    def parameters(self) -> dict[str, Any]:
        """What keys depend on: written into their shards, and compared by who reads them."""
        return {k: v for k, v in self.config().items() if k not in ("keep", "score", "check")}

    def key_schema(self) -> pa.Schema:
        """The columns of ``keys/``."""
        fixed = [("id", pa.string()), ("url", pa.string()), ("weight", pa.float64())]
        fixed += [] if self.copy_text else [(TEXT_BYTES, pa.int64())]
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
        if not self.copy_text:
            check_beside(inputs, out, f"stage {self.name}", "copy_text: true")
        tasks, size = Tasks(self, inputs, out), group_size(len(inputs))
        firsts = range(0, len(inputs), size)
        keying = [tasks.one("keys", n, sources=inputs[k : k + size], first=k) for n, k in enumerate(firsts)]
        run(key_group, keying)
        counts, checks, bands, largest = list[int](), list[dict[str, str]](), list[dict[str, Any]](), 0
        for task, marker in zip(keying, markers_of(keying), strict=True):
            counts += marker["facts"]["documents"]
            checks += marker["facts"]["checks"]
            bands.append(facts_of(marker, group_file("bands", task.index)))
            largest = max(largest, int(marker["facts"]["largest"]))
        known, known_bands = write_shared(out, COUNTS, counts), write_shared(out, LISTED, bands)
        pairing = self._pairing(tasks, sum(counts), known, known_bands)
        run(pair_band, pairing)
        digests = [written(m, f"pairs/{t.name}.parquet") for t, m in zip(pairing, markers_of(pairing), strict=True)]
        bound = tasks.one(
            "components",
            0,
            memory=joining_memory(sum(counts)),
            pairs=len(pairing),
            written=write_shared(out, "pairs.json", digests),
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
            tasks.one(
                "part", n, sources=(source,), survivors=ordered[n // size], slice=n % size, checks=checks[n], counts=known
            )
            for n, source in enumerate(inputs)
        ]
        run(cut_shard, cutting)
        return finish(self, inputs, out, cutting, facts)

    def fingerprint(self, inputs: Sequence[Input], with_code: bool = True) -> str:
        """As `Stage.fingerprint`; with the names of the folders that hold the texts, which its shards name."""
        own = super().fingerprint(inputs, with_code)
        if self.copy_text or not inputs:
            return own
        folders = dict.fromkeys(source.path.rpartition("/")[0].rpartition("/")[2] for source in inputs)
        return hashlib.sha256(json.dumps([own, *folders]).encode()).hexdigest()[:16]

    def whole(self) -> "Copies":
        """The same stage, which copies texts."""
        return replace(self, copy_text=True)

    def _pairing(self, tasks: Tasks, documents: int, counts: str, bands: str) -> list[Task]:
        slices = max(1, -(-documents // DOCUMENTS_A_TASK))
        count, step = len(self.key_columns), max(1, KEYS_A_TASK // max(documents, 1))
        places = [(first, k) for first in range(0, count, step) for k in range(slices)]
        memory = BYTES_PAIRED * min(documents, DOCUMENTS_A_TASK)
        return [
            tasks.one(
                "pairs", n, memory=memory, counts=counts, bands=bands,
                first=first, last=min(first + step, count), slice=k, slices=slices,
            )
            for n, (first, k) in enumerate(places)
        ]  # fmt: skip

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """How many copies stand for the document, or which document stands for it."""
        if self.rule not in document:
            return [("copy_count", document.get("copy_count"), "documents that it stands for", True)]
        shard, row = map(int, str(document["detail"]).removeprefix("copy of ").split(":"))
        with opened_parquet(join(folder, "keys", f"keys-{shard:05d}.parquet")) as keys:
            kept = keys.read(columns=["id", "url"], use_threads=False).slice(row, 1).to_pylist()[0]
        return [(self.rule, document[self.rule], f"one is kept: {kept['id']} {kept['url']}", False)]


def passes_memory(load: Load) -> float:
    """Bytes of the largest task: the pairs of a slice, or the components of all documents."""
    return max(BYTES_PAIRED * min(load.documents, DOCUMENTS_A_TASK), joining_memory(load.documents))


def joining_memory(documents: float) -> int:
    """Bytes of memory of the components task: the roots of all documents, and what survivors are elected in."""
    return int((4 if documents < 1 << 32 else 8) * documents + 20 * min(documents, ROOTS))


def key_group(task: Task) -> None:
    """Make the keys of the documents of a group of shards."""
    stage, documents, found, largest = stage_of(task, Copies), list[int](), list[dict[str, str]](), 0
    schema = stage.key_schema()
    with TaskOutput(task, None, dropped=False) as output, GroupKeys(task, stage.band_columns) as keys:
        for n, source in enumerate(task.sources, task.extra["first"]):
            if stage.keep == "best":
                _check_score(stage, source)
            before, checks = keys.documents, Checks(_checked_columns(stage))
            output.open("keys", f"keys/keys-{n:05d}.parquet", schema, dictionary=False)
            for table, texts in output.batches(source, columns=stage.weight_columns):
                fixed = {"id": table["id"], "url": table["url"], "weight": pa.array(stage.weights(table, texts))}
                fixed |= {} if stage.copy_text else {TEXT_BYTES: pa.array(texts.byte_counts)}
                made = pa.table({**fixed, **stage.keys(*_without_large(table, texts, stage.max_text_bytes))})
                made = made.select(schema.names).cast(schema)
                output.write("keys", made)
                checks.add(made)
                keys.add(made)
                largest = max(largest, int(texts.byte_counts.max(initial=0)))
                output.count(texts)
            output.close("keys")
            documents.append(keys.documents - before)
            found.append(checks.values())
        keys.write(output)
        output.facts.update(documents=documents, largest=largest, checks=found)


def _checked_columns(stage: Copies) -> list[str]:
    """The columns of ``keys/`` that the last pass reads."""
    return ["id"] if stage.copy_text else ["id", TEXT_BYTES]


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


def read_keys(
    location: str, stage: Copies, columns: Sequence[str], rows: int | None = None, checks: Mapping[str, str] | None = None
) -> pa.Table:
    """Columns of a shard of keys; `DataError` where it is missing, broken, of other parameters, or of another length.

    ``checks``: the columns' checksums, as the pass that wrote them found.
    """
    with opened_parquet(location) as parquet:
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


def pair_band(task: Task) -> None:
    """Pair the documents of equal keys in some bands, one after the other, in one slice of the keys."""
    stage, extra = stage_of(task, Copies), task.extra
    files = BandFiles(task, stage.band_columns)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("pairs", f"pairs/{task.name}.parquet", PAIRS)
        output.facts["pairs"] = 0
        for band in range(extra["first"], extra["last"]):
            first, second, numbers = files.range_of_keys(band, extra["slice"], extra["slices"])
            one, other = pairs(first, numbers, second)
            del first, second, numbers
            for k in range(0, len(one), 1 << 20):
                some = slice(k, k + (1 << 20))
                output.write("pairs", pa.table([pa.array(one[some]), pa.array(other[some])], schema=PAIRS))
            output.facts["pairs"] += len(one)


def join_components(task: Task) -> None:
    """Join pairs to components, and name each one's survivor: for the components of `ROOTS` documents at a time."""
    stage, starts = stage_of(task, Copies), starts_of(counts_of(task))
    parents = roots(int(starts[-1]))
    digests = read_shared(join(task.out, "pairs.json"), task.extra["written"])
    for n in range(task.extra["pairs"]):
        for batch in batches_of(join(task.out, "pairs", f"pairs-{n:05d}.parquet"), digests[n]):
            link(parents, batch[0].to_numpy(), batch[1].to_numpy())
    settle(parents)
    files = BandFiles(task, stage.band_columns)
    found = {"components": 0, "largest_component": 0, "in_components": 0}
    sums = {"size_in_components": 0, "largest_in_components": 0}
    groups = len(group_bounds(starts))
    with TaskOutput(task, None, dropped=False) as output:
        for k, low in enumerate(range(0, max(1, len(parents)), ROOTS)):
            survivors, sizes = _elected(files, starts, parents, low)
            found["components"] += int((sizes > 1).sum())
            found["largest_component"] = max(found["largest_component"], int(sizes.max(initial=0)))
            found["in_components"] += int(sizes[sizes > 1].sum())
            for group in range(groups):
                writer = SliceWriter(join(task.out, group_file("components", k * groups + group)))
                output.attach("group", writer)
                _write_members(files, stage.size_column, starts, group, (parents, low, survivors, sizes), writer, sums)
                output.close("group")
        output.facts |= found
        if stage.size_column is not None:
            output.facts |= {"largest_text": task.extra["largest"], **sums}


def _elected(files: BandFiles, starts: Numbers, parents: Any, low: int) -> tuple[Numbers, npt.NDArray[np.int32]]:
    """Of each component whose root is one of `ROOTS` from ``low`` on: its survivor and its size; 0 for no root."""
    count = min(ROOTS, len(parents) - low)
    best, survivors, sizes = np.empty(count, np.float64), np.empty(count, np.int64), np.zeros(count, np.int32)
    for group, (first, last) in enumerate(group_bounds(starts)):
        if last > low:  # roots come first in their components
            elect(parents[first:last], first, files.numbers(group, "weight"), low, best, survivors, sizes)
    return survivors, sizes


def _write_members(
    files: BandFiles, size_column: str | None, starts: Numbers, group: int, elected: tuple[Any, int, Numbers, Any],
    writer: SliceWriter, sums: dict[str, int],
) -> None:  # fmt: skip
    """Write who survives for the documents of a group, a slice per shard; add up the sizes of those documents."""
    parents, low, survivors, sizes = elected
    first, last = group_bounds(starts)[group]
    size = group_size(len(starts) - 1)
    document = members(parents[first:last], low, sizes) + first
    root = parents[document].astype(np.int64) - low
    write_survivors(writer, (document, survivors[root], sizes[root]), starts[group * size : (group + 1) * size + 1])
    if size_column is not None and len(document):
        own = files.numbers(group, size_column, np.int64)[document - first]
        sums["size_in_components"] += int(own.sum())
        sums["largest_in_components"] = max(sums["largest_in_components"], int(own.max()))


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
    file = join(task.out, "keys", f"keys-{task.index:05d}.parquet")
    keys = read_keys(file, stage, _checked_columns(stage), end - start, task.extra["checks"])
    schema = with_fields(schema_of(task.source), copy_count=pa.int32())
    if not stage.copy_text:
        texts = shard_of_texts(task.source)
        check_beside([texts], task.out, f"stage {stage.name}", "copy_text: true")
        schema = without_texts(schema, texts)
    row = 0
    with TaskOutput(task, schema) as output:
        for table, sizes in _documents(stage, task, output, schema, keys):
            if not table["id"].cast(pa.string()).equals(keys["id"].slice(row, len(sizes))):
                raise DataError(f"{location} is not what it was when its keys were made: run again from the start")
            here = slice(row, row + len(sizes))
            row += len(sizes)
            kept, gone, report = _cut(stage, table, sizes, starts, start + here.start, standing[here], copied[here])
            output.write("kept", kept)
            output.write("dropped", gone)
            output.report += report
    check_count(location, row, end - start)


def _documents(
    stage: Copies, task: Task, output: TaskOutput, schema: pa.Schema, keys: pa.Table
) -> Iterator[tuple[pa.Table, Numbers]]:
    """The documents of a shard in batches, and the bytes of their texts; of texts that are left, their rows."""
    if stage.copy_text:
        yield from ((table, texts.byte_counts) for table, texts in output.batches(task.source, again=True))
        return
    sizes, row = keys[TEXT_BYTES].to_numpy(), 0
    for table, rows in documents_without_texts(task.source):
        yield table.append_column(row_column(schema), pa.array(rows)), sizes[row : row + len(rows)]
        row += len(rows)
        output.beat()


def _cut(
    stage: Copies,
    table: pa.Table,
    sizes: Numbers,
    starts: Numbers,
    first: int,
    standing: Numbers,
    copied: npt.NDArray[np.int32],
) -> tuple[pa.Table, pa.Table, Report]:
    """A batch's kept documents, its dropped ones, and the report; ``first``: the batch's first document."""
    table = with_column(table, "copy_count", pa.array(copied))
    large = sizes > stage.max_text_bytes
    stays = ~large & (standing == np.arange(first, first + len(sizes)))
    kept, gone = np.flatnonzero(stays), np.flatnonzero(~stays)
    shards = np.searchsorted(starts, standing[gone], side="right") - 1
    details: list[str | None] = [f"copy of {s}:{o - starts[s]}" for s, o in zip(shards, standing[gone], strict=True)]
    rules, values = [stage.rule] * len(gone), copied[gone].astype(np.float64)
    for k in np.flatnonzero(large[gone]):
        rules[k], values[k], details[k] = TOO_LARGE, sizes[gone[k]], None
    lost = dropped_table(table["id"].take(gone), table["url"].take(gone), rules, values, details)
    dropped = {}
    for rule, those in ((stage.rule, ~stays & ~large), (TOO_LARGE, large)):
        if those.any():
            dropped[rule] = Count(int(those.sum()), int(sizes[those].sum()))
    read, left = Count(len(sizes), int(sizes.sum())), Count(len(kept), int(sizes[kept].sum()))
    return table.take(kept), lost, Report(read, left, dropped)


def check_keep(stage: Copies) -> None:
    """Refuse parameters that cannot be."""
    if stage.max_text_bytes < 1:
        raise RecipeError(
            f"stage {stage.name}: max_text_bytes is {stage.max_text_bytes}; expected 1 or more", ("max_text_bytes",)
        )
    if not stage.score:
        raise RecipeError(f"stage {stage.name}: score is empty; expected a column's name")
