"""minhash: keep one of the documents that are nearly the same, over the whole run.

Invariants:

* Signatures are datasketch's (`pipeline.dedup.minhash`). Bands and rows are given, or chosen by its optimiser from a Jaccard
  threshold. Documents that share a band belong together; each component of them keeps one (`pipeline.dedup.passes`).
* A shared band is a matter of probability, and a component a chain: A may go because of C since both are near B. With
  ``check``, a document is removed only if its exact Jaccard similarity with the one that stays for it is at least that.
* Memory of the passes with ``check`` does not grow with the text: sets of shingles go through temporary files.
* A judging task reads its slice of each group's sets, and nothing else of them. It compares whole components by one call.

Columns of ``keys/``: ``band_00`` and on, each a band's rows of the signature (``uint32``, little endian), ``rest`` the
permutations beyond the bands, ``shingle_count``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup import minhash as kernels
from goldwash.pipeline.dedup.pass_files import Spill
from goldwash.pipeline.dedup.passes import Copies, check_keep, passes_memory
from goldwash.pipeline.dedup.plan import (
    Numbers,
    check_count,
    counts_of,
    group_bounds,
    group_file,
    group_size,
    starts_of,
)
from goldwash.pipeline.dedup.survivors import (
    files_of_group,
    joined,
    merge_survivors,
    merging_tasks,
    rows_of_file,
    write_survivors,
)
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stage import Cost, Load, Run, Tasks, markers_of, stage_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.shared_values import read_shared, write_shared
from goldwash.pipeline.storage.slices import PIECE, Slices, SliceWriter, facts_of, opened_slices
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


@dataclass(frozen=True)
class MinHash(Copies):
    """Keep one of the documents that are nearly the same, by MinHash signatures."""

    name: ClassVar[str] = "minhash"
    temporary: ClassVar[tuple[str, ...]] = (*Copies.temporary, "sets", "sets.json", "judged", "judged.json")
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
        kernels.signatures(texts, self.ngram, kernels.permutations(16, self.seed))
        sets, bounds = kernels.shingle_hashes(texts, self.ngram)
        sets, bounds = kernels.sorted_sets(sets, bounds)[0], np.array([0, len(sets), len(sets)])
        kernels.judged(sets, bounds, 0.5, 2, 0)
        kernels.judged_each(sets, bounds, np.arange(3), 0.5, 2)
        super().warm_up()

    def cost(self, load: Load) -> Cost:
        """Measured (docs/clusters.md); the share kept is that of DCLM's deduplication (2406.11794, figure 4)."""
        rate = 67.0 if self.copy_text else 120.0
        return Cost(rate, 0.69, 428.0, memory=passes_memory(load), writes_texts=self.copy_text)

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
        """The tasks that wrote who survives, a file per group of shards: with ``check``, by what the judges found."""
        if self.check is None or not counts:
            return super().survivors(tasks, run, components, counts)
        marker = next(markers_of([components]))
        facts = marker["facts"]
        parts = max(1, -(-facts["in_components"] // DOCUMENTS_A_PART), -(-8 * facts["size_in_components"] // BYTES_A_PART))
        size, known = group_size(len(counts)), components.extra["counts"]
        groups = len(group_bounds(starts_of(counts)))
        memory = (1 << 28) + 24 * facts["largest_text"]
        collecting = [
            tasks.one(
                "sets",
                n,
                sources=tasks.inputs[n * size : (n + 1) * size],
                memory=memory,
                first=n * size,
                counts=known,
                parts=parts,
                survivors=files_of_group(marker, n, groups),
            )
            for n in range(groups)
        ]
        run(collect_sets, collecting)
        sets = _known_files(tasks.out, "sets", collecting)
        largest = MOST_COMPARED * 8 * facts["largest_in_components"]
        memory = 3 * CHUNK + min(2 * 8 * facts["size_in_components"], 2 * largest)
        judging = [tasks.one("judged", n, memory=memory, sets=sets, counts=known) for n in range(parts)]
        run(judge_part, judging)
        judges = _known_files(tasks.out, "judged", judging)
        merging = merging_tasks(tasks, components, marker, counts, {"judges": judges})
        run(merge_survivors, merging)
        return merging


def _known_files(out: str, part: str, tasks: Sequence[Task]) -> str:
    """Write what is known of the files of a pass, a file per task; returns the digest that later tasks carry."""
    held = [facts_of(marker, group_file(part, task.index)) for task, marker in zip(tasks, markers_of(tasks), strict=True)]
    return write_shared(out, f"{part}.json", held)


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
    """Write the shingles of a group's documents that have a near copy, a slice per part that judges them."""
    stage = stage_of(task, MinHash)
    document, component, size = joined([rows_of_file(task, facts) for facts in task.extra["survivors"]])
    weights = np.empty(len(document), np.float64)
    with TaskOutput(task, None, dropped=False) as output, Spill(task.out) as spill:
        starts = starts_of(counts_of(task))[task.extra["first"] :]
        for source, (start, end) in zip(task.sources, pairwise(starts.tolist()), strict=False):
            row = start
            for table, texts in output.batches(source, columns=stage.weight_columns, again=True):
                first, last = np.searchsorted(document, [row, row + len(texts)])
                rows = document[first:last] - row
                if len(rows):
                    near = texts.take(rows)
                    weights[first:last] = stage.weights(table.select(stage.weight_columns).take(rows), near)
                    spill.append(*kernels.shingle_sets(near, stage.ngram))
                row += len(texts)
                output.count(texts)
            check_count(source.path, row - start, end - start)
        part = component % task.extra["parts"]
        order = np.lexsort((document, component, part))
        writer = SliceWriter(join(task.out, group_file("sets", task.index)))
        output.attach("sets", writer)
        columns = component, size.astype(np.int64), document, weights, spill.sizes
        for first, last in pairwise(np.searchsorted(part[order], np.arange(task.extra["parts"] + 1)).tolist()):
            _write_sets(writer, order[first:last], columns, spill)


def _write_sets(writer: SliceWriter, rows: Numbers, columns: Sequence[npt.NDArray[Any]], spill: Spill) -> None:
    """Write a slice: how many documents it has, their columns (the last: the sizes of their sets), and the sets."""
    if len(rows):
        writer.append(np.array([len(rows)]), *(column[rows] for column in columns))
        for some in _chunks(rows, spill.sizes, PIECE):
            writer.append(spill.take(some))
    writer.end()


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
    stage, starts = stage_of(task, MinHash), starts_of(counts_of(task))
    assert stage.check is not None
    with Spill(task.out) as spill:
        component, size, document, weight = _read_sets(task, spill)
        order, sizes = np.lexsort((document, -weight, component)), spill.sizes
        standing = document.copy()
        edges = np.flatnonzero(np.diff(component[order], prepend=-1, append=-1)) if len(order) else np.zeros(1, np.int64)
        counts = np.diff(edges)
        if len(wrong := np.flatnonzero(size[order] != np.repeat(counts, counts))):
            one, held = order[wrong[0]], counts[np.searchsorted(edges, wrong[0], side="right") - 1]
            raise _incomplete(task, f"component {component[one]} has {held} of {size[one]} documents")
        totals = np.add.reduceat(sizes[order], edges[:-1]) if len(order) else counts
        for some in _chunks(np.arange(len(counts)), totals, CHUNK):
            own = edges[some[0] : some[-1] + 2]
            members = order[own[0] : own[-1]]
            alone = len(some) == 1  # perhaps more than `CHUNK`
            near = _judged(members, spill, stage.check) if alone else _judged_each(members, own - own[0], spill, stage.check)
            standing[members] = document[near]
    order = np.argsort(document)
    document, standing = document[order], standing[order]
    _, inverse, copies = np.unique(standing, return_inverse=True, return_counts=True)
    with TaskOutput(task, None, dropped=False) as output:
        writer = SliceWriter(join(task.out, group_file("judged", task.index)))
        output.attach("judged", writer)
        groups = np.array([*starts[: -1 : group_size(len(starts) - 1)], starts[-1]])
        write_survivors(writer, (document, standing, copies[inverse].astype(np.int32)), groups)


def _judged_each(members: Numbers, edges: Numbers, spill: Spill, least: float) -> Numbers:
    """For each member of some components, best first, the one that stands for it; ``edges``: where each component begins."""
    bounds = np.cumsum([0, *spill.sizes[members].tolist()])
    found: Numbers = kernels.judged_each(spill.take(members), bounds, edges, least, MOST_COMPARED)
    return members[found]


def _judged(members: Numbers, spill: Spill, least: float) -> Numbers:
    """For each member of a component, best first, the one that stands for it: itself, or an earlier one it is a copy of."""
    out, sizes = members.copy(), spill.sizes
    kept = np.zeros(0, np.int64)
    at = 0
    for some in _chunks(members, sizes, CHUNK):
        compared = np.concatenate([kept, some])
        bounds = np.cumsum([0, *sizes[compared].tolist()])
        found = kernels.judged(spill.take(compared), bounds, least, MOST_COMPARED, len(kept))[len(kept) :]
        out[at : at + len(some)] = compared[found]
        new = some[compared[found] == some]
        kept = np.concatenate([kept, new])[:MOST_COMPARED]
        at += len(some)
    return out


def _read_sets(task: Task, spill: Spill) -> tuple[Numbers, Numbers, Numbers, npt.NDArray[np.float64]]:
    """The rows of a part, of all files of sets: component, its size, document, weight; their shingles go to the spill."""
    found: list[list[npt.NDArray[Any]]] = [[np.zeros(0, np.int64)] for _ in range(3)] + [[np.zeros(0, np.float64)]]
    for n, facts in enumerate(read_shared(join(task.out, "sets.json"), task.extra["sets"])):
        with opened_slices(join(task.out, group_file("sets", n)), facts) as held:
            if held.size(task.index):
                for column, values in zip(found, _read_slice(held, task.index, spill), strict=True):
                    column.append(values)
    component, size, document, weight = map(np.concatenate, found)
    return component, size, document, weight


def _read_slice(held: Slices, number: int, spill: Spill) -> list[npt.NDArray[Any]]:
    """The columns of a slice that `_write_sets` wrote; its sets go to the spill, a `PIECE` at a time."""
    stream = held.stream(number)
    count = int(stream.array(1, np.int64)[0])
    columns = [stream.array(count, kind) for kind in (np.int64, np.int64, np.int64, np.float64)]
    sizes = stream.array(count, np.int64)
    if (sizes < 0).any():
        raise held.broken()
    for some in _chunks(np.arange(count), sizes, PIECE):
        spill.append(stream.array(int(sizes[some].sum()), np.uint64), sizes[some])
    stream.close()
    return columns


def _incomplete(task: Task, why: str) -> DataError:
    sets = join(task.out, "sets")
    return DataError(f"{why}: a file of sets is broken; delete the folder {sets} and run again")
