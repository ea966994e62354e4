"""minhash: keep one of the documents that are nearly the same, over the whole run.

Invariants:

* Signatures are datasketch's (`pipeline.dedup.minhash`). Bands and rows are given, or chosen by its optimiser from a Jaccard
  threshold. Documents that share a band belong together; each component of them keeps one (`pipeline.dedup.passes`).
* A shared band is a matter of probability, and a component a chain: A may go because of C since both are near B. With
  ``check``, a document is removed only if its exact Jaccard similarity with the one that stays for it is at least that.
* Memory of the passes with ``check`` does not grow with the text: sets of shingles go through temporary files.

Columns of ``keys/``: ``band_00`` and on, each a band's rows of the signature (``uint32``, little endian), ``rest`` the
permutations beyond the bands, ``shingle_count``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup import minhash as kernels
from goldwash.pipeline.dedup.components import link, pairs, settle
from goldwash.pipeline.dedup.pass_files import Spill, row_check, written
from goldwash.pipeline.dedup.passes import (
    SURVIVORS,
    Copies,
    check_count,
    check_keep,
    checked_json,
    counts_of,
    digest_of,
    group_bounds,
    group_file,
    group_size,
    opened_pass,
    opened_unverified,
    passes_memory,
    starts_of,
)
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stage import Cost, Load, Run, Tasks, markers_of, stage_of
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.tasks import Task, TaskOutput

DOCUMENTS_A_PART = 100_000
"""Documents that a judging task decides on. A component is never divided."""

BYTES_A_PART = 1 << 28
"""Bytes of shingles that a judging task reads, on average."""

MOST_COMPARED = 256
"""Maximum number of survivors in its component to compare each document with, best first; a document that is near none of
them is kept."""

CHUNK = 1 << 26
"""Bytes of shingles that are compared at once."""

SET_GROUP_BYTES = 1 << 21
"""Bytes of a row group of a file of sets: what is read of the neighbours of a part."""

MERGED_DOCUMENTS = 1 << 24
"""Documents whose survivors a merging task holds: about 1 GB."""

SETS = pa.schema(
    [
        ("part", pa.int64()),
        ("component", pa.int64()),
        ("size", pa.int64()),
        ("document", pa.int64()),
        ("weight", pa.float64()),
        ("shingles", pa.large_list(pa.uint64())),
        ("check", pa.uint32()),
    ]
)
"""A document's shingles; ``size``: documents of its component; ``check``: `pass_files.row_check` of the row."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MinHash(Copies):
    """Keep one of the documents that are nearly the same, by MinHash signatures."""

    name: ClassVar[str] = "minhash"
    temporary: ClassVar[tuple[str, ...]] = (*Copies.temporary, "sets", "judged", "judged.json", "merged")
    rule: ClassVar[str] = "near_copy"
    size_column: ClassVar[str | None] = "shingle_count"
    ngram: int = 5
    """Words per shingle."""
    bands: int | None = 14
    """Bands of a signature; two documents are candidates if one band is equal. Null with ``threshold``."""
    rows: int | None = 8
    """Hashes per band. Null with ``threshold``."""
    threshold: float | None = None
    """A Jaccard similarity, from which bands and rows are chosen. Null with ``bands`` and ``rows``."""
    permutations: int | None = None
    """Hashes of a signature. Null: bands x rows, or 128 with ``threshold``."""
    seed: int = 1
    """The seed of the permutations."""
    check: float | None = None
    """Drop a candidate only if its counted Jaccard similarity with the kept document is at least this. Null: no check."""

    def __post_init__(self) -> None:
        check_keep(self)
        if (self.bands is None) != (self.rows is None) or (self.bands is None) == (self.threshold is None):
            raise RecipeError(
                f"stage minhash: give bands and rows, or a threshold (bands {self.bands}, rows {self.rows}, threshold "
                f"{self.threshold}; write `bands: null, rows: null` to have them chosen from a threshold)"
            )
        for name, least in (("ngram", 1), ("bands", 1), ("rows", 1), ("permutations", 2), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise RecipeError(f"stage minhash: {name} is {value}; expected {least} or more", (name,))
        if self.seed >= 1 << 32:
            raise RecipeError(f"stage minhash: seed is {self.seed}; expected less than 2 to the 32nd", ("seed",))
        for name in ("threshold", "check"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise RecipeError(f"stage minhash: {name} is {value}; expected more than 0 and up to 1", (name,))
        if self.bands and self.rows and self.permutations and self.permutations < self.bands * self.rows:
            raise RecipeError(
                f"stage minhash: {self.bands} bands of {self.rows} rows need {self.bands * self.rows} permutations, and there "
                f"are {self.permutations}",
                ("permutations",),
            )
        try:
            _ = self.layout
        except ValueError as error:
            raise RecipeError(
                f"stage minhash: no bands of {self.permutations or 128} permutations fit a threshold of {self.threshold} "
                f"({error}): give more permutations, or bands and rows",
                ("threshold",),
            ) from error

    @cached_property
    def layout(self) -> tuple[int, int, int]:
        """Bands, rows and permutations."""
        if self.bands and self.rows:
            return self.bands, self.rows, self.permutations or self.bands * self.rows
        count = self.permutations or 128
        assert self.threshold is not None
        return *kernels.optimal_bands(self.threshold, count), count

    @property
    def key_columns(self) -> tuple[tuple[str, int], ...]:
        """A column a band."""
        bands, rows, _ = self.layout
        return tuple((f"band_{k:02d}", 4 * rows) for k in range(bands))

    def more_columns(self) -> tuple[tuple[str, pa.DataType], ...]:
        """The permutations beyond the bands, and how many shingles a document has."""
        bands, rows, count = self.layout
        rest = count - bands * rows
        return ((("rest", pa.binary(4 * rest)),) if rest else ()) + (("shingle_count", pa.int64()),)

    def warm_up(self) -> None:
        """Compile the kernels."""
        texts = Texts.of(["one two three four five six seven", "one"])
        signed, _ = kernels.signatures(texts, self.ngram, kernels.permutations(16, self.seed))
        one, other = pairs(signed[:, 0].astype(np.uint64), np.arange(2))
        parents = np.arange(2)
        link(parents, np.zeros(2), one, other)
        settle(parents)
        sets, bounds = kernels.shingle_hashes(texts, self.ngram)
        kernels.judged(np.sort(sets), bounds, 0.5, 2)

    def cost(self, load: Load) -> Cost:
        """Measured (docs/clusters.md); the share kept is that of DCLM's deduplication (2406.11794, figure 4)."""
        return Cost(23.0, 0.69, 553.0, memory=passes_memory(load))

    def keys(self, table: pa.Table, texts: Texts) -> dict[str, pa.Array]:
        """Signatures by band; null for documents without a shingle."""
        bands, rows, count = self.layout
        signed, shingles = kernels.signatures(texts, self.ngram, kernels.permutations(count, self.seed))
        known = shingles > 0
        made = {name: _binary(signed[:, k * rows : (k + 1) * rows], known) for k, (name, _) in enumerate(self.key_columns)}
        if count > bands * rows:
            made["rest"] = _binary(signed[:, bands * rows :], known)
        return {**made, "shingle_count": pa.array(shingles)}

    def survivors(self, tasks: Tasks, run: Run, components: Task, counts: Sequence[int]) -> list[Task]:
        """The components' task, or with ``check`` the tasks that merged what the judges found."""
        if self.check is None or not counts:
            return [components]
        marker = next(markers_of([components]))
        facts = marker["facts"]
        parts = max(1, -(-facts["in_components"] // DOCUMENTS_A_PART), -(-8 * facts["size_in_components"] // BYTES_A_PART))
        bounds, size, groups = group_bounds(starts_of(counts)), group_size(len(counts)), []
        memory = (1 << 28) + 24 * facts["largest_text"]
        for n in range(len(bounds)):
            shards = tasks.inputs[n * size : (n + 1) * size]
            file = group_file("components", n)
            groups.append(
                tasks.one(
                    "sets",
                    n,
                    sources=shards,
                    memory=memory,
                    first=n * size,
                    counts=components.extra["counts"],
                    parts=parts,
                    survivors={"file": file, **written(marker, file)},
                )
            )
        run(collect_sets, groups)
        largest = MOST_COMPARED * 8 * facts["largest_in_components"]
        memory = 3 * CHUNK + min(2 * 8 * facts["size_in_components"], 2 * largest)
        judging = [tasks.one("judged", n, memory=memory, groups=len(groups)) for n in range(parts)]
        run(judge_part, judging)
        digests = [written(m, f"judged/{t.name}.parquet") for t, m in zip(judging, markers_of(judging), strict=True)]
        write_json(join(tasks.out, "judged.json"), digests)
        merging = self._merging(tasks, bounds, marker, digest_of(digests))
        run(merge_judged, merging)
        return merging

    def _merging(self, tasks: Tasks, bounds: Sequence[tuple[int, int]], marker: Mapping[str, Any], digest: str) -> list[Task]:
        """Tasks that each merge the groups of `MERGED_DOCUMENTS` documents, or of one group that has more."""
        merging: list[Task] = []
        first = 0
        for n, (_, end) in enumerate(bounds):
            if n + 1 == len(bounds) or bounds[n + 1][1] - bounds[first][0] > MERGED_DOCUMENTS:
                rows = [int(marker["files"][group_file("components", g)]["rows"]) for g in range(first, n + 1)]
                memory = 60 * (end - bounds[first][0])
                merging.append(
                    tasks.one(
                        "merged",
                        len(merging),
                        memory=memory,
                        first=first,
                        bounds=list(bounds[first : n + 1]),
                        rows=rows,
                        judged=digest,
                    )
                )
                first = n + 1
        return merging


def _binary(rows: npt.NDArray[np.uint32], known: npt.NDArray[np.bool_]) -> pa.Array:
    """Rows as fixed-size binary, null where they are not known."""
    data = np.ascontiguousarray(rows)
    kind, bits = pa.binary(4 * rows.shape[1]), np.packbits(known, bitorder="little")
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [pa.py_buffer(bits), pa.py_buffer(data)])


def signatures_of(table: pa.Table) -> npt.NDArray[np.uint32]:
    """The signatures of a table of keys: ``uint32[N, permutations]``; all ones where there is none."""
    names = [name for name in table.column_names if name.startswith("band_")]
    names += [name for name in table.column_names if name == "rest"]
    columns = []
    for name in names:
        size = table.schema.field(name).type.byte_width
        joined = b"".join(value if value is not None else b"\xff" * size for value in table[name].to_pylist())
        columns.append(np.frombuffer(joined, np.uint32).reshape(-1, size // 4))
    return np.hstack(columns)


def collect_sets(task: Task) -> None:
    """Write the shingles of a group's documents that have a near copy, sorted by the part that judges them."""
    stage = stage_of(task, MinHash)
    with opened_pass(join(task.out, task.extra["survivors"]["file"]), task.extra["survivors"]) as parquet:
        known = parquet.read(use_threads=False)
    document, component, size = (known[name].to_numpy() for name in SURVIVORS.names)
    weights = np.empty(len(document), np.float64)
    with TaskOutput(task, None, dropped=False) as output, Spill(task.out) as spill:
        starts = starts_of(counts_of(task))[task.extra["first"] :]
        for source, (start, end) in zip(task.sources, pairwise(starts.tolist()), strict=False):
            row = start
            for table, texts in output.batches(source):
                first, last = np.searchsorted(document, [row, row + len(texts)])
                rows = document[first:last] - row
                if len(rows):
                    weights[first:last] = stage.weights(table.take(rows), texts.take(rows))
                    shingles, parents = kernels.shingle_hashes(texts.take(rows), stage.ngram)
                    for a, b in pairwise(parents.tolist()):
                        spill.append(np.unique(shingles[a:b]))
                row += len(texts)
                output.count(texts)
            check_count(source.path, row - start, end - start)
        part = component % task.extra["parts"]
        order = np.lexsort((document, component, part))
        group_rows = max(1, int(len(order) * SET_GROUP_BYTES // max(1, 8 * int(spill.sizes.sum()))))
        output.open("sets", f"sets/{task.name}.parquet", SETS, dictionary=False, group_rows=group_rows)
        for some in _chunks(order, spill.sizes, CHUNK >> 3):
            sets = [spill[n] for n in some]
            numbers = part[some], component[some], size[some].astype(np.int64), document[some]
            checks = [
                row_check(head, weight, own)
                for head, weight, own in zip(zip(*numbers, strict=True), weights[some], sets, strict=True)
            ]
            bounds = np.cumsum([0, *map(len, sets)])
            column = pa.LargeListArray.from_arrays(pa.array(bounds), pa.array(np.concatenate(sets)))
            columns = [*map(pa.array, numbers), pa.array(weights[some]), column, pa.array(checks, pa.uint32())]
            output.write("sets", pa.table(columns, schema=SETS))


def _chunks(rows: Numbers, sizes: Numbers, most: int) -> Iterator[Numbers]:
    """Rows in their order, as many at once as have ``most`` bytes of shingles (one at the least)."""
    ends = np.cumsum(8 * sizes[rows])
    at = 0
    while at < len(rows):
        before = int(ends[at - 1]) if at else 0
        end = max(at + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield rows[at:end]
        at = end


def judge_part(task: Task) -> None:
    """Decide, by exact similarity, which documents of some components are copies of which."""
    stage = stage_of(task, MinHash)
    assert stage.check is not None
    with Spill(task.out) as spill:
        component, size, document, weight = _read_sets(task, spill)
        order = np.lexsort((document, -weight, component))
        standing = document.copy()
        edges = np.flatnonzero(np.diff(component[order], prepend=-1, append=-1)) if len(order) else np.zeros(0, np.int64)
        for a, b in pairwise(edges.tolist()):
            members = order[a:b]
            if (size[members] != len(members)).any():
                raise _incomplete(task, f"component {component[members[0]]} has {len(members)} of {size[members[0]]} documents")
            standing[members] = document[_judged(members, spill, stage.check)]
    order = np.argsort(document)
    document, standing = document[order], standing[order]
    _, inverse, copies = np.unique(standing, return_inverse=True, return_counts=True)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("judged", f"judged/{task.name}.parquet", SURVIVORS)
        columns = [pa.array(document), pa.array(standing), pa.array(copies[inverse].astype(np.int32))]
        output.write("judged", pa.table(columns, schema=SURVIVORS))


def _judged(members: Numbers, spill: Spill, least: float) -> Numbers:
    """For each member of a component, best first, the one that stands for it: itself, or an earlier one it is a copy of."""
    out = members.copy()
    kept = np.zeros(0, np.int64)
    at = 0
    for some in _chunks(members, spill.sizes, CHUNK):
        compared = np.concatenate([kept, some])
        sets = [spill[int(n)] for n in compared]
        bounds = np.cumsum([0, *map(len, sets)])
        found = kernels.judged(np.concatenate(sets), bounds, least, MOST_COMPARED, len(kept))[len(kept) :]
        out[at : at + len(some)] = compared[found]
        new = some[compared[found] == some]
        kept = np.concatenate([kept, new])[:MOST_COMPARED]
        at += len(some)
    return out


def _read_sets(task: Task, spill: Spill) -> tuple[Numbers, Numbers, Numbers, npt.NDArray[np.float64]]:
    """The rows of a part, of all files of sets: component, its size, document, weight; their shingles go to the spill.

    Row groups of other parts are not read. Each row is compared with its checksum.
    """
    found: list[tuple[Any, ...]] = []
    for n in range(task.extra["groups"]):
        location = join(task.out, "sets", f"sets-{n:05d}.parquet")
        with opened_unverified(location) as parquet:
            for group in range(parquet.num_row_groups):
                statistics = parquet.metadata.row_group(group).column(0).statistics
                if statistics is not None and not statistics.min <= task.index <= statistics.max:
                    continue
                for batch in parquet.iter_batches(256, row_groups=[group], use_threads=False):
                    found += _rows_of_part(batch, task, spill, location)
    columns = [np.array([row[k] for row in found], np.int64) for k in range(3)]
    return columns[0], columns[1], columns[2], np.array([row[3] for row in found], np.float64)


def _rows_of_part(batch: pa.RecordBatch, task: Task, spill: Spill, location: str) -> list[tuple[Any, ...]]:
    lists = batch["shingles"]
    bounds, values = np.asarray(lists.offsets, np.int64), np.asarray(lists.values)
    rows = [batch[name].to_numpy() for name in ("part", "component", "size", "document", "weight", "check")]
    found = []
    for k in np.flatnonzero(rows[0] == task.index).tolist():
        own = values[bounds[k] : bounds[k + 1]]
        part, component, size, document, weight, check = (column[k] for column in rows)
        if row_check((part, component, size, document), weight, own) != check:
            raise _incomplete(task, f"{location} is not what was written there")
        spill.append(own)
        found.append((component, size, document, weight))
    return found


def _incomplete(task: Task, why: str) -> DataError:
    sets = join(task.out, "sets")
    return DataError(f"{why}: a file of sets is broken; delete the folder {sets} and run again")


def merge_judged(task: Task) -> None:
    """Sort what the judges found by document, and write it in files of one group of shards each."""
    bounds, digests = task.extra["bounds"], checked_json(join(task.out, "judged.json"), task.extra["judged"])
    low, high, found = bounds[0][0], bounds[-1][1], [SURVIVORS.empty_table()]
    for n, facts in enumerate(digests):
        with opened_pass(join(task.out, "judged", f"judged-{n:05d}.parquet"), facts) as parquet:
            table = parquet.read(use_threads=False)
        first, last = np.searchsorted(table["document"].to_numpy(), [low, high])
        found.append(table.slice(first, last - first))
    table = pa.concat_tables(found).sort_by("document").combine_chunks()
    document = table["document"].to_numpy()
    with TaskOutput(task, None, dropped=False) as output:
        for n, ((start, end), rows) in enumerate(zip(bounds, task.extra["rows"], strict=True)):
            first, last = np.searchsorted(document, [start, end])
            if last - first != rows:
                raise _incomplete(task, f"{last - first} of {rows} documents from {start} to {end} were judged")
            output.open("group", group_file("merged", task.extra["first"] + n), SURVIVORS)
            output.write("group", table.slice(first, last - first))
            output.close("group")
