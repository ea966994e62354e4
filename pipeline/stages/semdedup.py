"""semdedup: drop documents that say nearly the same as another, by the similarity of their embeddings.

Invariants:

- This is SemDeDup (arXiv 2303.09540): documents are embedded and clustered with k-means. Within a cluster they are put in order
  (``keep``), and a document's *similarity* is its largest cosine with one before it, whether that one is kept or not. What is
  dropped is decided by this number alone: at or above ``similarity``, or the highest ones beyond ``fraction`` of all documents.
- With ``fraction``, exactly that share of the run is kept, the count rounded up. Similarities are compared in steps of
  2 ** -15; of equal ones the first in input order are kept.
- Documents in different clusters are not compared, so that near copies can survive. A cluster of more than `LARGEST_CLUSTER`
  documents is cut into pieces by the cosine with its centroid; the report says how many were cut.
- A document without a word that the embedding knows is nobody's copy and is kept first.
- Arithmetic is exact (`pipeline.dedup.clusters`), and no pass depends on the number of workers.

==========  ==================  ================================================================================
pass        one task per        writes
==========  ==================  ================================================================================
vectors     shard               ``vectors/``: id, url, bytes and vector of each document; ``sample/``: some vectors
centroids   run                 ``centroids/``: the centroids
assigned    group of shards     ``assigned/``: cluster, order and vector of each document, sorted by part
near        part                ``near/``: similarity and nearest earlier document, sorted by document
merged      range of shards     ``merged/``: the same of a range, and a histogram of similarities
ties        range of shards     only with ``fraction``: how many documents of each shard are at the threshold
part        shard               the kept documents and the dropped ones
==========  ==================  ================================================================================
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from goldwash.classifiers.embeddings import CHARACTERS, Embedding, embedded, embedding
from goldwash.filters.signals import Signal
from goldwash.pipeline.dedup.clusters import Vectors, k_means, nearest, nearest_earlier, quantised
from goldwash.pipeline.dedup.pass_files import batches_of, fixed_bytes
from goldwash.pipeline.dedup.plan import COUNTS, Numbers, check_count, counts_of, group_size, starts_of
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, Tasks, finish, markers_of, stage_of
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import earlier_pass
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.sealed import read_sealed
from goldwash.pipeline.storage.shared_values import write_shared
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import dropped_table, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.verified import opened_output

DOCUMENTS_A_CLUSTER = 1000
"""Documents of a cluster, on average, where the number of clusters is not given."""
MOST_CLUSTERS = 1 << 16
SAMPLED, SAMPLED_A_CLUSTER = 1 << 18, 64
"""Vectors that the centroids are found from, at most; and per cluster."""
LEAST_SAMPLED = 64
"""Vectors that a shard gives to the sample, at least, if it has them."""
DOCUMENTS_A_PART = 100_000
"""Documents that a task compares within their clusters, on average."""
LARGEST_CLUSTER = 20_000
"""Documents that are compared with each other: 4e8 products."""
MERGED_DOCUMENTS = 1 << 24
"""Documents whose similarities a merging task holds: about 0.5 GB."""
GROUP_ROWS = 1 << 14
"""Rows of a row group where readers look for a range."""

COLUMN, RULE = "nearest_similarity", "semantic_copy"
LEVELS = 1 << 15
NEAR = pa.schema([("document", pa.int64()), ("similarity", pa.float64()), ("other", pa.int64())])

Cosines = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SemDeDup(Stage):
    """Keep one of the documents that say nearly the same, by embeddings and k-means clusters."""

    name: ClassVar[str] = "semdedup"
    temporary: ClassVar[tuple[str, ...]] = ("centroids", "assigned", "near", "merged")
    embedding: str = "wordllama"
    """The embedding: ``wordllama``, a model2vec model (folder or ``hf://OWNER/REPO``), ``fastembed:NAME`` or
    ``sentence-transformers:NAME``."""
    fraction: float | None = 0.8
    """Keep this fraction of the documents, the least similar ones. Null with ``similarity``."""
    similarity: float | None = None
    """Drop documents of at least this similarity. Null with ``fraction``."""
    clusters: int | None = None
    """Clusters of k-means. Null: one per 1,000 documents."""
    keep: Literal["far", "near", "longest", "first"] = "far"
    """Which of similar documents comes first: the farthest from the centroid (as the paper), the nearest, the longest, or the
    first of the input."""
    characters: int = CHARACTERS
    """Characters of a document that are embedded."""
    rounds: int = 10
    """Rounds of k-means."""
    seed: int = 0
    """The seed of the first centroids."""

    def __post_init__(self) -> None:
        if (self.fraction is None) == (self.similarity is None):
            raise RecipeError(
                f"stage semdedup: give fraction or similarity, not both (fraction {self.fraction}, similarity "
                f"{self.similarity}; write `fraction: null` to use a similarity)"
            )
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise RecipeError(
                f"stage semdedup: fraction is {self.fraction}; expected a number above 0 and up to 1", ("fraction",)
            )
        if self.similarity is not None and not 0 < self.similarity <= 1:
            raise RecipeError(
                f"stage semdedup: similarity is {self.similarity}; expected a cosine above 0 and up to 1", ("similarity",)
            )
        for name, least in (("clusters", 1), ("characters", 1), ("rounds", 0), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise RecipeError(f"stage semdedup: {name} is {value}; expected {least} or more", (name,))
        if self.seed >= 1 << 32:
            raise RecipeError(f"stage semdedup: seed is {self.seed}; expected less than 2 to the 32nd", ("seed",))
        if not self.embedding:
            raise RecipeError("stage semdedup: embedding is empty; expected wordllama or a model", ("embedding",))

    @cached_property
    def model(self) -> Embedding:
        """The embedding, loaded."""
        return embedding(self.embedding)

    def versions(self) -> dict[str, str]:
        """Those of the embedding."""
        return self.model.versions()

    def preflight(self) -> None:
        """Load the embedding."""
        _ = self.model

    def measured(self, before: Mapping[str, Signal]) -> Mapping[str, Signal]:
        """See `Stage`: texts stay as they are."""
        return before

    def cost(self, load: Load) -> Cost:
        """wordllama embeds 3.5 MB per CPU-second (1.06 million characters, 2026-11); the other passes are estimated."""
        kept = self.fraction if self.fraction is not None else 1.0
        return Cost(3.5, kept, 2.0 * self._width(256), memory=max(12.0 * load.documents, 1e9))

    @staticmethod
    def _width(dimension: int) -> float:
        return dimension + 100.0

    def order(self, sizes: Numbers, near_centroid: Cosines) -> Cosines:
        """What comes first in a cluster has most of: ``float64[N]``."""
        if self.keep == "longest":
            return sizes.astype(np.float64)
        if self.keep == "first":
            return np.zeros(len(sizes))
        return near_centroid if self.keep == "near" else -near_centroid

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """The passes, in their order."""
        tasks = Tasks(self, inputs, out)
        most = max(LEAST_SAMPLED, -(-SAMPLED // max(1, len(inputs))))
        embedding_ = tasks.each("vectors", sampled=most)
        run(embed_shard, embedding_)
        facts = [marker["facts"] for marker in markers_of(embedding_)]
        counts, known = [int(fact["documents"]) for fact in facts], sum(int(fact["known"]) for fact in facts)
        counted, documents = write_shared(out, COUNTS, counts), sum(counts)
        sampled = sum(int(fact["sampled"]) for fact in facts)
        clusters = self.clusters or min(MOST_CLUSTERS, max(1, known // DOCUMENTS_A_CLUSTER))
        clusters = min(clusters, max(1, sampled))
        memory = 8 * self.model.dimension * min(sampled, SAMPLED)
        centring = tasks.one("centroids", 0, memory=memory, shards=len(inputs), clusters=clusters)
        run(find_centroids, [centring])
        parts = max(1, -(-known // DOCUMENTS_A_PART))
        assigning = self._assigning(tasks, parts, counts, counted)
        run(assign_group, assigning)
        rows = np.sum([marker["facts"]["rows"] for marker in markers_of(assigning)] or [[0] * parts], axis=0).tolist()
        width = int(self._width(3 * self.model.dimension))
        comparing = [
            tasks.one("near", n, memory=width * rows[n] + (1 << 28), groups=len(assigning), rows=rows[n]) for n in range(parts)
        ]
        run(compare_part, comparing)
        cut = [int(marker["facts"]["cut"]) for marker in markers_of(comparing)]
        merging = _merging(tasks, counts, counted, parts)
        run(merge_range, merging)
        bounds, more = self._threshold(merging, documents, run)
        cutting = [
            tasks.one("part", n, sources=(source,), counts=counted, merged=_range_of(merging, n), **bounds[n])
            for n, source in enumerate(inputs)
        ]
        run(cut_shard, cutting)
        found = {"documents": documents, "embedded": known, "clusters": clusters, "large_clusters": sum(cut), **more}
        return finish(self, inputs, out, cutting, found)

    def _assigning(self, tasks: Tasks, parts: int, counts: Sequence[int], counted: str) -> list[Task]:
        shards, size = len(tasks.inputs), group_size(len(tasks.inputs))
        width, made = int(self._width(3 * self.model.dimension)), list[Task]()
        for n, first in enumerate(range(0, shards, size)):
            last = min(first + size, shards)
            memory = width * sum(counts[first:last]) + (1 << 28)
            made.append(tasks.one("assigned", n, memory=memory, first=first, last=last, parts=parts, counts=counted))
        return made

    def _threshold(self, merging: Sequence[Task], documents: int, run: Run) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """For each shard, the level from which documents go and how many of that level stay; and facts for the report."""
        if self.fraction is None:
            shards = merging[-1].extra["last"] if merging else 0
            return [{"level": None, "ties": 0}] * shards, {"similarity": self.similarity}
        wanted = ceil(documents * Fraction(str(self.fraction)))  # as it is written: as floats, 0.07 * 100 is more than 7
        histogram: dict[int, int] = {}
        for marker in markers_of(merging):
            for level, count in marker["facts"]["levels"].items():
                histogram[int(level)] = histogram.get(int(level), 0) + int(count)
        below, cut = 0, 2 * LEVELS + 1
        for level in sorted(histogram):
            if below + histogram[level] > wanted:
                cut = level
                break
            below += histogram[level]
        tying = [_again(task, "ties", level=cut) for task in merging]
        run(count_ties, tying)
        left, bounds = wanted - below, list[dict[str, Any]]()
        for marker in markers_of(tying):
            for ties in marker["facts"]["ties"]:
                kept = min(int(ties), left)
                left -= kept
                bounds.append({"level": cut, "ties": kept})
        return bounds, {"similarity": cut / LEVELS - 1 if cut in histogram else None, "kept": wanted}

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """The similarity with the nearest earlier document, and which that is."""
        if RULE not in document:
            return [(COLUMN, document.get(COLUMN), "cosine with the nearest earlier document of its cluster", True)]
        if document["detail"] is None:
            return [(RULE, document[RULE], f"no earlier document is near; beyond the fraction of {self.fraction}", False)]
        shard, row = map(int, str(document["detail"]).removeprefix("near ").split(":"))
        with _opened(folder, "vectors", shard) as parquet:
            near = parquet.read(columns=["id", "url"]).slice(row, 1).to_pylist()[0]
        return [(RULE, document[RULE], f"the nearest earlier one: {near['id']} {near['url']}", False)]


def _merging(tasks: Tasks, counts: Sequence[int], counted: str, parts: int) -> list[Task]:
    """Tasks of neighbouring shards that have at most `MERGED_DOCUMENTS` documents together, or one that has more."""
    made, first, held = list[Task](), 0, 0
    for n, count in enumerate(counts):
        held += count
        if n + 1 == len(counts) or held + counts[n + 1] > MERGED_DOCUMENTS:
            extra: dict[str, Any] = {"first": first, "last": n + 1, "counts": counted, "parts": parts}
            made.append(tasks.one("merged", len(made), memory=60 * held, **extra))
            first, held = n + 1, 0
    return made


def _again(task: Task, part: str, **extra: Any) -> Task:
    """The same range in another pass."""
    values = {**task.to_dict(), "part": part, "extra": {**task.extra, **extra}}
    return Task.from_dict(values)


def _range_of(merging: Sequence[Task], shard: int) -> int:
    return next(task.index for task in merging if task.extra["first"] <= shard < task.extra["last"])


@contextmanager
def _opened(out: str, folder: str, number: int) -> Iterator[pq.ParquetFile]:
    """A file that an earlier pass wrote, verified as far as it is read; a `DataError` where it is missing or broken."""
    location = join(out, folder, f"{folder}-{number:05d}.parquet")
    with earlier_pass(location), opened_output(location, partly=True) as file:
        yield pq.ParquetFile(file, page_checksum_verification=True)


def _vectors_of(column: pa.ChunkedArray) -> Vectors:
    """A column of fixed-size binary without nulls as ``int8[N, d]``."""
    width = column.type.byte_width
    parts = [fixed_bytes(chunk).view(np.int8).reshape(-1, width) for chunk in column.chunks]
    return np.concatenate([np.zeros((0, width), np.int8), *parts])


def _binary(vectors: Vectors, known: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Vectors as fixed-size binary, null where they are not known."""
    valid = np.ones(len(vectors), bool) if known is None else known
    kind, bits = pa.binary(vectors.shape[1]), np.packbits(valid, bitorder="little")
    return pa.FixedSizeBinaryArray.from_buffers(
        kind, len(vectors), [pa.py_buffer(bits), pa.py_buffer(np.ascontiguousarray(vectors))]
    )


def embed_shard(task: Task) -> None:
    """Write the vector of each of a shard's documents, and evenly spaced ones for the sample."""
    stage = stage_of(task, SemDeDup)
    width = stage.model.dimension
    schema = pa.schema([("id", pa.string()), ("url", pa.string()), ("bytes", pa.int64()), ("vector", pa.binary(width))])
    held = [np.zeros((0, width), np.int8)]
    with TaskOutput(task, None, dropped=False) as output:
        output.open("vectors", f"vectors/{task.name}.parquet", schema, dictionary=False)
        for table, texts in output.batches(task.source, columns=()):
            vectors = quantised(embedded(stage.model, texts, stage.characters))
            known = np.asarray(vectors.any(axis=1))
            columns = [table["id"].cast(pa.string()), table["url"].cast(pa.string()), pa.array(texts.byte_counts)]
            output.write("vectors", pa.table([*columns, _binary(vectors, known)], schema=schema))
            held.append(vectors[known])
            output.count(texts)
        vectors = np.concatenate(held)
        some = evenly(len(vectors), task.extra["sampled"])
        output.open("sample", f"sample/sample-{task.index:05d}.parquet", pa.schema([("vector", pa.binary(width))]), False)
        output.write("sample", pa.table([_binary(vectors[some])], ["vector"]))
        output.facts.update(documents=output.report.read.documents, known=len(vectors), sampled=len(some))


def evenly(count: int, most: int) -> Numbers:
    """At most ``most`` numbers below ``count``, evenly spaced: ``int64[M]``."""
    wanted = min(count, most)
    return np.arange(wanted, dtype=np.int64) * count // max(1, wanted)


def find_centroids(task: Task) -> None:
    """Cluster the sample; write the centroids."""
    stage = stage_of(task, SemDeDup)
    width, clusters = stage.model.dimension, task.extra["clusters"]
    held = [np.zeros((0, width), np.int8)]
    for n in range(task.extra["shards"]):
        held += [_vectors_of(table["vector"]) for table in _sample(task.out, n)]
    vectors = np.concatenate(held)
    vectors = vectors[evenly(len(vectors), min(SAMPLED, max(SAMPLED_A_CLUSTER * clusters, 1)))]
    with threadpool_limits(1, user_api="blas"):
        found = k_means(vectors, clusters, stage.seed, stage.rounds)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("centroids", f"centroids/{task.name}.parquet", pa.schema([("vector", pa.binary(width))]), False)
        output.write("centroids", pa.table([_binary(found)], ["vector"]))
        output.facts["centroids"] = len(found)


def _sample(out: str, number: int) -> Iterator[pa.Table]:
    """A shard's sample, which the task of its vectors wrote."""
    marker = read_sealed(join(out, "tasks", f"vectors-{number:05d}.json")) or {"files": {}}
    name = f"sample/sample-{number:05d}.parquet"
    if name not in marker["files"]:
        raise DataError(f"{join(out, name)} is missing: a pass has not run, or its output was removed; run again")
    for batch in batches_of(join(out, name), marker["files"][name]):
        yield pa.Table.from_batches([batch])


def assign_group(task: Task) -> None:
    """Name the cluster of each document of a group of shards; write them sorted by part, cluster and document."""
    stage, extra = stage_of(task, SemDeDup), task.extra
    starts, parts = starts_of(counts_of(task)), extra["parts"]
    with _opened(task.out, "centroids", 0) as parquet:
        centroids = _vectors_of(parquet.read(use_threads=False)["vector"])
    width = stage.model.dimension
    held, documents, sizes = [np.zeros((0, width), np.int8)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for n in range(extra["first"], extra["last"]):
        with _opened(task.out, "vectors", n) as parquet:
            table = parquet.read(columns=["bytes", "vector"], use_threads=False)
        known = np.flatnonzero(np.asarray(table["vector"].is_valid()))
        held.append(_vectors_of(table["vector"].drop_null()))
        documents.append(known + starts[n])
        sizes.append(np.asarray(table["bytes"])[known])
    vectors, document, size = np.concatenate(held), np.concatenate(documents), np.concatenate(sizes)
    with threadpool_limits(1, user_api="blas"):
        cluster, cosine = nearest(vectors, centroids) if len(vectors) else (np.zeros(0, np.int64), np.zeros(0))
    part, order = cluster % parts, stage.order(size, cosine)
    rows = np.lexsort((document, cluster, part))
    columns = [part, cluster, document, order, cosine]
    names = ("part", "cluster", "document", "order", "cosine")
    table = pa.table([*(pa.array(column[rows]) for column in columns), _binary(vectors[rows])], [*names, "vector"])
    with TaskOutput(task, None, dropped=False) as output:
        output.open("assigned", f"assigned/{task.name}.parquet", table.schema, False, GROUP_ROWS)
        output.write("assigned", table)
        output.facts["rows"] = np.bincount(part, minlength=parts).tolist()


def _rows_of_range(parquet: pq.ParquetFile, column: str, low: int, high: int) -> pa.Table:
    """The rows whose value of a sorted column is from ``low`` to before ``high``; other row groups are not read."""
    names = parquet.schema_arrow.names
    groups = []
    for group in range(parquet.num_row_groups):
        statistics = parquet.metadata.row_group(group).column(names.index(column)).statistics
        if statistics is None or not statistics.has_min_max or (statistics.min < high and statistics.max >= low):
            groups.append(group)
    table = parquet.read_row_groups(groups, use_threads=False)
    first, last = np.searchsorted(table[column].to_numpy(), [low, high])
    return table.slice(first, last - first)


def compare_part(task: Task) -> None:
    """Find, within the clusters of a part, each document's nearest earlier one."""
    stage_of(task, SemDeDup)
    tables = []
    for n in range(task.extra["groups"]):
        with _opened(task.out, "assigned", n) as parquet:
            tables.append(_rows_of_range(parquet, "part", task.index, task.index + 1))
    table = pa.concat_tables(tables) if tables else pa.table({name: [] for name in ("cluster", "document")})
    if table.num_rows != task.extra["rows"]:
        raise DataError(
            f"the files in {join(task.out, 'assigned')} have {table.num_rows} documents of part {task.index}, and "
            f"{task.extra['rows']} were written: delete the folder and run again"
        )
    found = [np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)], 0
    with TaskOutput(task, None, dropped=False) as output:
        with threadpool_limits(1, user_api="blas"):
            (document, similarity, other), cut = _compared(table) if table.num_rows else found
        rows = np.argsort(document)
        output.open("near", f"near/{task.name}.parquet", NEAR, False, GROUP_ROWS)
        columns = [pa.array(column[rows]) for column in (document, similarity, other)]
        output.write("near", pa.table(columns, schema=NEAR))
        output.facts["cut"] = cut


def _compared(table: pa.Table) -> tuple[list[Any], int]:
    """Documents, their similarities and the nearest earlier documents (-1: none); and how many clusters were cut."""
    cluster, document, order, cosine = (table[name].to_numpy() for name in ("cluster", "document", "order", "cosine"))
    vectors = _vectors_of(table["vector"])
    piece, cut = pieces(cluster, cosine, document)
    rows = np.lexsort((document, -order, piece))
    edges = np.flatnonzero(np.diff(piece[rows], prepend=-1, append=-1))
    similarity, other = np.empty(len(rows)), np.empty(len(rows), np.int64)
    for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        here = rows[a:b]
        similarity[here], place = nearest_earlier(vectors[here])
        other[here] = np.where(place >= 0, document[here[place]], -1)
    return [document, similarity, other], cut


def pieces(cluster: Numbers, cosine: Cosines, document: Numbers) -> tuple[Numbers, int]:
    """The set of documents in which each is compared: its cluster, or a piece of it; and how many clusters were cut.

    A piece has at most `LARGEST_CLUSTER` documents of like cosine with the centroid, so that near copies are mostly in one.
    """
    rows = np.lexsort((document, cosine, cluster))
    edges = np.flatnonzero(np.diff(cluster[rows], prepend=-1, append=-1))
    piece, number, cut = np.empty(len(rows), np.int64), 0, 0
    for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        count = -(-(b - a) // LARGEST_CLUSTER)
        piece[rows[a:b]] = number + np.arange(b - a) * count // (b - a)
        number, cut = number + count, cut + (count > 1)
    return piece, cut


def level_of(similarity: Cosines) -> Numbers:
    """Similarities in whole steps: ``int64[N]``, 0 for -1."""
    return np.floor((similarity + 1.0) * LEVELS).astype(np.int64)


def merge_range(task: Task) -> None:
    """Gather the similarities of a range of shards, sorted by document, with a histogram of them."""
    stage_of(task, SemDeDup)
    starts = starts_of(counts_of(task))
    low, high = int(starts[task.extra["first"]]), int(starts[task.extra["last"]])
    similarity, other = np.full(high - low, -1.0), np.full(high - low, -1, np.int64)
    for n in range(task.extra["parts"]):
        with _opened(task.out, "near", n) as parquet:
            table = _rows_of_range(parquet, "document", low, high)
        rows = table["document"].to_numpy() - low
        similarity[rows], other[rows] = table["similarity"].to_numpy(), table["other"].to_numpy()
    levels, count = np.unique(level_of(similarity), return_counts=True)
    with TaskOutput(task, None, dropped=False) as output:
        output.open("merged", f"merged/{task.name}.parquet", NEAR, False, GROUP_ROWS)
        columns = [pa.array(np.arange(low, high)), pa.array(similarity), pa.array(other)]
        output.write("merged", pa.table(columns, schema=NEAR))
        output.facts["levels"] = {str(k): int(v) for k, v in zip(levels.tolist(), count.tolist(), strict=True)}


def count_ties(task: Task) -> None:
    """Count the documents of each shard of a range whose similarity is that of the threshold."""
    stage_of(task, SemDeDup)
    starts = starts_of(counts_of(task))[task.extra["first"] : task.extra["last"] + 1]
    with _opened(task.out, "merged", task.index) as parquet:
        tied = level_of(parquet.read(use_threads=False)["similarity"].to_numpy()) == task.extra["level"]
    sums = np.concatenate([[0], np.cumsum(tied)])
    with TaskOutput(task, None, dropped=False) as output:
        output.facts["ties"] = np.diff(sums[starts - starts[0]]).tolist()


def cut_shard(task: Task) -> None:
    """Keep a shard's documents that are not too similar to an earlier one; drop the others, with the one they are near."""
    stage, location = stage_of(task, SemDeDup), task.inputs[0]
    starts = starts_of(counts_of(task))
    start, end = map(int, starts[task.index : task.index + 2])
    with _opened(task.out, "merged", task.extra["merged"]) as parquet:
        found = _rows_of_range(parquet, "document", start, end)
    similarity, other = found["similarity"].to_numpy(), found["other"].to_numpy()
    stays = _stays(stage, task, similarity)
    with _opened(task.out, "vectors", task.index) as parquet:
        ids = parquet.read(columns=["id"], use_threads=False)["id"]
    row = 0
    with TaskOutput(task, with_fields(schema_of(task.source), **{COLUMN: pa.float32()})) as output:
        for table, texts in output.batches(task.source):
            if not table["id"].cast(pa.string()).equals(ids.slice(row, len(texts))):
                raise DataError(f"{location} is not what it was when it was embedded: run again from the start")
            here = slice(row, row + len(texts))
            row += len(texts)
            values = pa.array(similarity[here].astype(np.float32), mask=other[here] < 0)
            table = with_column(table, COLUMN, values)
            kept, gone = np.flatnonzero(stays[here]), np.flatnonzero(~stays[here])
            output.write("kept", table.take(kept))
            dropped = {}
            if len(gone):
                theirs = other[here][gone]
                shards = np.searchsorted(starts, theirs, side="right") - 1
                details = [f"near {s}:{o - starts[s]}" if o >= 0 else None for s, o in zip(shards, theirs, strict=True)]
                ids_, urls = table["id"].take(gone), table["url"].take(gone)
                output.write("dropped", dropped_table(ids_, urls, RULE, similarity[here][gone], details))
                dropped = {RULE: Count(len(gone), int(texts.byte_counts[gone].sum()))}
            left = Count(len(kept), int(texts.byte_counts[kept].sum()))
            output.report += Report(Count(len(texts), texts.bytes), left, dropped)
    check_count(location, row, end - start)


def _stays(stage: SemDeDup, task: Task, similarity: Cosines) -> npt.NDArray[np.bool_]:
    """Which documents of a shard are kept."""
    if task.extra["level"] is None:
        assert stage.similarity is not None
        return np.asarray(similarity < stage.similarity)
    level = level_of(similarity)
    stays = np.asarray(level < task.extra["level"])
    stays[np.flatnonzero(level == task.extra["level"])[: task.extra["ties"]]] = True
    return stays
