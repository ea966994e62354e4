"""minhash: keep one of the documents that are nearly the same, over the whole run.

Law: signatures are datasketch's (`pipeline.dedup.minhash`); bands and rows are given, or chosen by its optimiser from a Jaccard
threshold. Documents that meet in a band belong together, and components of such documents keep one, by a stated rule
(`pipeline.dedup.passes` has the passes). Meeting is a matter of probability, and a component a chain: A may go for the sake of
C because both are near B. With ``check``, no document goes that has not at least that Jaccard similarity, counted and not
estimated, with the one that stays in its place.

Columns of ``keys/``: ``band_00`` and on, each a band's rows of the signature (``uint32``, little endian), ``rest`` the
permutations beyond the bands, ``shingle_count``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup import minhash as kernels
from goldwash.pipeline.dedup.components import link, pairs, settle
from goldwash.pipeline.dedup.passes import SURVIVORS, Copies, check_keep, passes_memory, rows_between, starts_of
from goldwash.pipeline.stage import Cost, Load, RecipeError, Run, Tasks, markers_of, stage_of
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.tasks import Task, TaskOutput

DOCUMENTS_A_PART = 100_000
"""Documents whose shingles a judging task holds: at 8 bytes a word, about 400 MB. A component is never divided."""

GROUPS = 64
"""Row groups of a file of sets, and of one of those judged: who reads a part of it reads about that share of its bytes."""

MOST_COMPARED = 256
"""Kept documents of its component that a document is compared with, the preferred first; what is near none of them stays."""

SETS = pa.schema(
    [
        ("part", pa.int64()),
        ("component", pa.int64()),
        ("document", pa.int64()),
        ("weight", pa.float64()),
        ("shingles", pa.large_list(pa.uint64())),
    ]
)


@dataclass(frozen=True)
class MinHash(Copies):
    """Keep one of the documents that are nearly the same, by MinHash signatures."""

    name: ClassVar[str] = "minhash"
    rule: ClassVar[str] = "near_copy"
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

    def survivors(self, tasks: Tasks, run: Run, components: Task, counts: Sequence[int]) -> list[str]:
        """Those of the components, or those that a judge found."""
        files = super().survivors(tasks, run, components, counts)
        if self.check is None or not counts:
            return files
        documents = int(next(markers_of([components]))["facts"]["in_components"])
        parts = max(1, -(-documents // DOCUMENTS_A_PART))
        starts = starts_of(counts).tolist()
        sets = [
            tasks.one("sets", n, files, (source,), start=starts[n], end=starts[n + 1], parts=parts)
            for n, source in enumerate(tasks.inputs)
        ]
        run(collect_sets, sets)
        judging = [tasks.one("judged", n, (join(tasks.out, "sets"),), shards=len(counts)) for n in range(parts)]
        run(judge_part, judging)
        return [join(tasks.out, "judged", f"{task.name}.parquet") for task in judging]


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
    """Write the shingles of a shard's documents that have a near copy, in the order of the parts that judge them."""
    stage = stage_of(task, MinHash)
    start = task.extra["start"]
    known = rows_between(task.inputs[1:], "document", start, task.extra["end"])
    document, component = known["document"].to_numpy(), known["survivor"].to_numpy()
    row, found = start, [SETS.empty_table()]
    with TaskOutput(task, None, dropped=False) as output:
        for table, texts in output.batches(task.source):
            first, last = np.searchsorted(document, [row, row + len(texts)])
            here = slice(first, last)
            rows = document[here] - row
            shingles, parents = kernels.shingle_hashes(texts.take(rows), stage.ngram)
            sets = [np.unique(shingles[a:b]) for a, b in pairwise(parents)]
            bounds = np.cumsum([0, *map(len, sets)])
            column = pa.LargeListArray.from_arrays(pa.array(bounds), pa.array(np.concatenate([*sets, np.zeros(0, np.uint64)])))
            values = [component[here] % task.extra["parts"], component[here], document[here], stage.weights(table, texts)[rows]]
            found.append(pa.table([*map(pa.array, values), column], schema=SETS))
            row += len(texts)
            output.count(texts)
        table = pa.concat_tables(found).sort_by([("part", "ascending"), ("component", "ascending")])
        output.open("sets", f"sets/{task.name}.parquet", SETS, group_rows=max(1, -(-table.num_rows // GROUPS)))
        output.write("sets", table)


def judge_part(task: Task) -> None:
    """Decide, by counted similarity, which documents of some components are copies of which."""
    stage = stage_of(task, MinHash)
    assert stage.check is not None
    files = [join(task.inputs[0], f"sets-{n:05d}.parquet") for n in range(task.extra["shards"])]
    table = rows_between(files, "part", task.index, task.index + 1)
    table = table.sort_by([("component", "ascending"), ("weight", "descending"), ("document", "ascending")]).combine_chunks()
    document, component = table["document"].to_numpy(), table["component"].to_numpy()
    lists = pa.concat_arrays(table["shingles"].chunks) if table.num_rows else pa.array([], SETS.field("shingles").type)
    bounds, values = np.asarray(lists.offsets, np.int64), np.asarray(lists.values)
    standing = document.copy()
    edges = [0, *(np.flatnonzero(np.diff(component)) + 1).tolist(), len(component)]
    for a, b in pairwise(edges):
        if b > a:
            standing[a:b] = document[a + kernels.judged(values, bounds[a : b + 1], stage.check, MOST_COMPARED)]
    order = np.argsort(document)
    document, standing = document[order], standing[order]
    _, inverse, copies = np.unique(standing, return_inverse=True, return_counts=True)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("judged", f"judged/{task.name}.parquet", SURVIVORS, group_rows=-(-DOCUMENTS_A_PART // GROUPS))
        columns = [pa.array(document), pa.array(standing), pa.array(copies[inverse].astype(np.int32))]
        output.write("judged", pa.table(columns, schema=SURVIVORS))
