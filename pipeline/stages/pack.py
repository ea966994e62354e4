"""pack: the same documents in shards of a sane size, in the crawl's order or shuffled.

Invariants: no document is dropped or changed; with a tokenizer, each gets ``token_count``. In the crawl's order each output
shard is a run of neighbouring documents, which one task copies as it reads them; shuffled, the documents are in the order of
hashes of the seed and of their numbers (`mixing.passes`). The cuts depend on the inputs alone: on the sizes, rows and order of
their files.

`pipeline.dataset` packs a run's last shards with this stage.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.mixing import draws, passes, schemas
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, Tasks, finish, markers_of, stage_of
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.left_texts import RowGroups
from goldwash.pipeline.storage.formats.parquet_rows import row_groups
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import DROPPED, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.tokenization.tokenizers import Tokenizer, load
from goldwash.text_output import printable

SHARD_BYTES = 256 << 20
TOKEN_COUNT, TOKENS = "token_count", "tokens"
"""The column of tokens per document, and the note of the report with their sum."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pack(Stage):
    """Repack shards to a given size, in the crawl's order or in a global shuffle; drop nothing."""

    name: ClassVar[str] = "pack"
    shard_bytes: int = SHARD_BYTES
    """The size of an output shard, on average."""
    order: Literal["crawl", "shuffled"] = "crawl"
    """The order of documents: as they came, or shuffled over the whole run."""
    seed: int = 0
    """The seed of the shuffle."""
    chunking: bool = False
    """Content-defined chunks: two runs that differ little share most pages, in a store that keeps equal chunks once."""

    tokenizer: str | None = None
    """Add ``token_count``: the tokens of each document by this tokenizer, as the stage tokenize takes it. Null: no column."""

    def __post_init__(self) -> None:
        if self.shard_bytes < 1:
            raise RecipeError(f"stage pack: shard_bytes is {self.shard_bytes}; expected 1 or more", ("shard_bytes",))

    @cached_property
    def loaded(self) -> Tokenizer | None:
        """The tokenizer; None without one."""
        return load(self.tokenizer) if self.tokenizer is not None else None

    def versions(self) -> dict[str, str]:
        """The tokenizer's digest and library."""
        return {"tokenizer": self.loaded.digest, **self.loaded.versions} if self.loaded else {}

    def preflight(self) -> None:
        """Fetch the tokenizer."""
        _ = self.loaded

    def schema(self, found: pa.Schema) -> pa.Schema:
        """The columns of the output."""
        return with_fields(found, **{TOKEN_COUNT: pa.int64()}) if self.loaded else found

    def counted(self, table: pa.Table, output: TaskOutput) -> pa.Table:
        """Documents with their numbers of tokens; their sum goes into the report."""
        if self.loaded is None:
            return table
        _, counts = self.loaded.encode(table["text"].to_pylist())
        output.report += Report(notes={TOKENS: int(counts.sum())})
        return with_column(table, TOKEN_COUNT, pa.array(counts, pa.int64()))

    def cost(self, load: Load) -> Cost:
        """Measured (docs/mixing.md)."""
        if self.loaded is not None:
            return Cost(2.0 if self.loaded.faster is None else 15.0, memory=passes.TASK_MEMORY)
        if self.order == "crawl":
            return Cost(120.0)
        return Cost(68.0, 1.0, load.text_bytes / max(load.documents, 1) / passes.SPREAD_RATIO, memory=passes.TASK_MEMORY)

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """Look at the files, then copy."""
        tasks = Tasks(self, inputs, out)
        looking = [
            tasks.one("look", n, sources=inputs[a:b], first=a)
            for n, (a, b) in enumerate(passes.groups_of(passes.spread_files(inputs)))
        ]
        run(look, looking)
        found = [facts for marker in markers_of(looking) for facts in marker["facts"]["files"]]
        schema = self.schema(
            schemas.united((i.path, schemas.unpacked(f["schema"])) for i, f in zip(inputs, found, strict=True))
        )
        rows, sizes = [int(f["rows"]) for f in found], [float(f["stored"]) for f in found]
        if self.order == "crawl":
            writing = self._copying(tasks, inputs, rows, sizes, schema)
            run(copy_rows, writing)
            return finish(self, inputs, out, writing, in_pairs=False)
        layout = passes.Layout.of(sum(rows), sum(sizes), sum(sizes) * passes.TEXT_RATIO, self.shard_bytes)
        shuffle = passes.Shuffle(tasks, layout, schema, sum(f["unpacked"] for f in found), self.chunking)
        starts, spreading = [0, *np.cumsum(rows).tolist()], []
        for n, (a, b) in enumerate(passes.groups_of(passes.spread_files(inputs))):
            extra = {"starts": starts[a : b + 1], **shuffle.first_extra()}
            spreading.append(tasks.one("spread1", n, sources=inputs[a:b], memory=passes.TASK_MEMORY, **extra))
        spreading, gathering = shuffle.run(run, spread_shards, spreading)
        return finish(self, inputs, out, [*spreading, *gathering], in_pairs=False)

    def _copying(
        self, tasks: Tasks, inputs: Sequence[Input], rows: Sequence[int], sizes: Sequence[float], schema: pa.Schema
    ) -> list[Task]:
        """A task per output shard: which rows of which files."""
        shards = passes.shards_for(sum(rows), sum(sizes), self.shard_bytes)
        found = []
        for n, runs in enumerate(cuts(rows, sizes, shards, [i.reading.on_null != "drop" for i in inputs])):
            files = [inputs[k] for k, _, _ in runs]
            ranges = [[a, b, rows[k]] for k, a, b in runs]
            found.append(
                tasks.one("part", n, sources=files, ranges=ranges, schema=schemas.packed(schema), chunking=self.chunking)
            )
        return found


def cuts(
    rows: Sequence[int], sizes: Sequence[float], shards: int, divisible: Sequence[bool]
) -> Iterator[list[tuple[int, int, int]]]:
    """For each shard, its files with the first row and the row past the last, so that shards have about equal bytes.

    ``rows``, ``sizes``: of each file. A file that is not divisible goes whole to the shard where its middle is. Every file,
    even an empty one, is in at least one shard.

    >>> list(cuts([4, 4], [10.0, 30.0], 2, [True, True]))
    [[(0, 0, 4), (1, 0, 1)], [(1, 1, 4)]]
    """
    total, reached = sum(sizes) or 1.0, 0.0
    found: list[list[tuple[int, int, int]]] = [[] for _ in range(shards)]
    for k, (count, size) in enumerate(zip(rows, sizes, strict=True)):
        first, last = (int(min(edge * shards / total, shards - 1)) for edge in (reached, reached + size))
        if not divisible[k] or first == last or not count:
            middle = int(min((reached + size / 2) * shards / total, shards - 1))
            found[middle if not divisible[k] else first].append((k, 0, count))
        else:
            edges = [(n * total / shards - reached) / size for n in range(first + 1, last + 1)]
            marks = [0, *(int(min(max(edge, 0.0), 1.0) * count) for edge in edges), count]
            for n, (a, b) in enumerate(pairwise(marks)):
                if b > a:
                    found[first + n].append((k, a, b))
        reached += size
    yield from found


def look(task: Task) -> None:
    """The columns, rows and bytes of some files."""
    stage_of(task, Pack)
    with TaskOutput(task, None, dropped=False) as output:
        found = []
        for source in task.sources:
            groups = row_groups(source)
            if groups is not None and source.reading.on_null != "drop":
                rows, unpacked = sum(groups.rows), groups.unpacked_bytes
            else:
                rows, read = _read(output, source)
                unpacked = read if groups is None else groups.unpacked_bytes
            facts = {"schema": schemas.packed(schema_of(source)), "rows": rows, "stored": _stored(source, groups)}
            found.append({**facts, "unpacked": unpacked})
        output.facts["files"] = found


def _read(output: TaskOutput, source: Input) -> tuple[int, int]:
    """The rows of a file, and their bytes."""
    rows = bytes_ = 0
    for table, texts in output.batches(source):
        rows, bytes_ = rows + len(texts), bytes_ + table.nbytes
    return rows, bytes_


def _stored(source: Input, found: RowGroups | None) -> float:
    """The bytes of a file's documents in Parquet; for a range of row groups, its share of the file."""
    if found is None:
        return float(source.bytes)
    if source.groups is not None and source.sha256 is not None and source.reading.on_null != "drop":
        whole = row_groups(Input(source.path, source.bytes, source.stamp))
        return source.bytes * sum(found.rows) / max(sum(whole.rows) if whole else 1, 1) + found.left_bytes
    return float(source.bytes) + found.left_bytes


def copy_rows(task: Task) -> None:
    """Copy rows of neighbouring files into one shard."""
    stage, schema = stage_of(task, Pack), schemas.unpacked(task.extra["schema"])
    with TaskOutput(task, None) as output:
        output.open("kept", f"{task.name}.parquet", schema, chunking=task.extra["chunking"])
        for source, (first, last, rows) in zip(task.sources, task.extra["ranges"], strict=True):
            row = 0
            for table, texts in _rows(output, source, first, last):
                output.write("kept", schemas.conformed(stage.counted(table, output), schema))
                output.count(texts)
                row += len(texts)
            if row != last - first:
                raise DataError(
                    f"{printable(source.path)} does not have the {rows:,} documents that were counted: run again from the start"
                )


def _rows(output: TaskOutput, source: Input, first: int, last: int) -> Iterator[tuple[pa.Table, Texts]]:
    """The documents of a file from ``first`` to before ``last``; the row groups before and after are not read."""
    found = row_groups(source) if source.reading.on_null != "drop" else None
    if found is not None:
        groups = found.rows
        begin = source.groups[0] if source.groups else 0
        ends = np.cumsum(groups)
        a, b = int(np.searchsorted(ends, first, side="right")), int(np.searchsorted(ends, last, side="left")) + 1
        if last > first and (a, b) != (0, len(groups)):
            before = int(ends[a - 1]) if a else 0
            source = _part(source, begin + a, begin + min(b, len(groups)))
            first, last = first - before, last - before
    row = 0
    for table, texts in output.batches(source):
        a, b = max(first - row, 0), min(last - row, len(texts))
        row += len(texts)
        if b > a:
            yield (table, texts) if b - a == len(texts) else (table.slice(a, b - a), texts.take(np.arange(a, b)))
        if row >= last:
            break


def _part(source: Input, first: int, last: int) -> Input:
    return replace(source, rows=None, groups=(first, last))


def spread_shards(task: Task) -> None:
    """Spread the documents of some files by their places in the shuffle."""
    stage, schema = stage_of(task, Pack), schemas.unpacked(task.extra["schema"])
    draw = draws.Draw(stage.seed, "")
    with passes.spread_output(task) as (output, divider):
        output.open("dropped", f"dropped/part-{task.index:05d}.parquet", DROPPED)
        for source, (start, end) in zip(task.sources, pairwise(task.extra["starts"]), strict=True):
            row = start
            for table, texts in output.batches(source):
                number = np.arange(row, row + len(texts))
                row += len(texts)
                places = draw.places(number, np.zeros_like(number), np.ones_like(number))
                made = schemas.conformed(stage.counted(table, output), schema).append_column(passes.HIDDEN[0], pa.array(places))
                divider.add(made.append_column(passes.HIDDEN[1], pa.array(number)))
                output.count(texts)
            if row != end:
                raise DataError(
                    f"{printable(source.path)} has {row - start:,} documents, and had {end - start:,} when they were counted: "
                    "run again"
                )


def near(sizes: Sequence[int], shard_bytes: int) -> bool:
    """Whether all shards but the last have half to twice the wanted size; the last, or the only one, at most twice.

    >>> near([100, 210, 7], 128), near([10, 10], 128), near([3], 128), near([300], 128), near([], 128)
    (True, False, True, False, True)
    """
    if len(sizes) <= 1:
        return all(size <= 2 * shard_bytes for size in sizes)
    return all(shard_bytes <= 2 * size for size in sizes[:-1]) and max(sizes) <= 2 * shard_bytes
