"""Shuffle documents over a whole run with bounded memory: spread them into ranges of places, then sort one range at a time.

Invariants:

* Each document has a place (`draws.PLACE_BITS`) and a number in the run (`HIDDEN`); the output is in the order of
  places, then numbers, then epochs. It does not depend on how the work was divided.
* The places are cut into units of about `UNIT_BYTES` of text, and an output shard is a run of units. A spreading task reads
  some files and writes one file per range of units; where there are more units than files may be open, the ranges are spread
  again. A gathering task sorts one unit after the other in memory. So every document is copied twice, or three times beyond
  `MOST_OPEN` units, and memory depends neither on the number of documents nor on the number of files.
* A run of up to `WHOLE_BYTES` is shuffled by one task in memory, without files between the passes, to the same bytes.
* The files between the passes are verified by their checksum when they are read, and removed when the last shard is written. A
  run that was killed writes the missing ones again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.pipeline.mixing.draws import PLACE_BITS
from goldwash.pipeline.mixing.schemas import packed, unpacked
from goldwash.pipeline.mixing.spread_files import HeldStream, StreamWriter, tables_of
from goldwash.pipeline.stage import Run, Stage, Tasks, markers_of, stage_of
from goldwash.pipeline.storage.locations import filesystem, join, sizes_in
from goldwash.pipeline.storage.parquet import ROW_GROUP_BYTES
from goldwash.pipeline.storage.shared_values import read_shared, write_shared
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.states import heartbeat
from goldwash.pipeline.storage.tasks import Task, TaskOutput, finished_markers

UNIT_BYTES = 64 << 20
"""Text that a gathering task sorts in memory."""

HELD_BYTES = 16 << 20
"""Text that a spreading task gathers before it divides it."""

MOST_OPEN = 128
"""Files that a spreading task writes at once."""

OPEN_BYTES = 64 << 20
"""Bytes that the writers of a spreading task hold together. All of them are written then: a part that waited for more would
keep the whole tables that its few rows are slices of."""

GROUP_BYTES = 256 << 20
"""Bytes of files that a spreading task reads, unless there are more than `MOST_GROUPS` times as many."""

MOST_GROUPS = 2048
"""Spreading tasks of a pass: each writes up to `MOST_OPEN` files."""

WHOLE_BYTES = 128 << 20
"""Bytes of documents, unpacked, up to which a run is shuffled in memory. The estimate comes from Parquet's footers; a task that
holds half as much again gives up, and the run is shuffled through files."""

TASK_MEMORY = 384 << 20
"""Bytes that a task of these passes needs beyond the ordinary."""

SPREAD_RATIO = 0.95
"""Bytes of text per byte of the files between the passes, at the least: they are not compressed on a local disk."""

TEXT_RATIO = 2.5
"""Bytes of text per byte of Parquet, to lay out a shuffle before the text is read."""

FOLDER, WHOLE, TOO_LARGE = "spread", "whole", "too_large"
"""The folder of the files between the passes and the fact that lists them; the pass in memory, and the fact that it gave up."""

PLACE, NUMBER = "__goldwash_place__", "__goldwash_number__"
HIDDEN = (pa.field(PLACE, pa.int64()), pa.field(NUMBER, pa.int64()))
"""The columns that order documents between the passes; no user's column has these names."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """How the places are cut: output shards, units per shard."""

    shards: int
    units_per_shard: int

    @property
    def units(self) -> int:
        """All units."""
        return self.shards * self.units_per_shard

    @staticmethod
    def of(documents: float, stored: float, text: float, shard_bytes: int) -> "Layout":
        """The layout for documents of ``stored`` bytes in Parquet and ``text`` bytes of text."""
        shards = shards_for(documents, stored, shard_bytes)
        return Layout(shards, max(1, ceil(text / shards / UNIT_BYTES)))

    def parts(self, first: int, last: int) -> list[tuple[int, int]]:
        """The ranges that one pass spreads the units ``first`` to before ``last`` into: at most `MOST_OPEN`.

        >>> Layout(1, 5).parts(0, 5), Layout(200, 1).parts(0, 200)[:2]
        ([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)], [(0, 14), (14, 27)])
        """
        size, levels = last - first, 1
        while MOST_OPEN**levels < size:
            levels += 1
        count = ceil(size ** (1 / levels))
        count = min(size, MOST_OPEN, count + (count**levels < size))
        edges = [first + -(-size * n // count) for n in range(count + 1)]
        return list(pairwise(edges))

    def units_in(self, shard: int) -> range:
        """The units of a shard."""
        return range(shard * self.units_per_shard, (shard + 1) * self.units_per_shard)

    def unit_of(self, places: Numbers) -> Numbers:
        """The unit of each place: ``int64[N]``."""
        return (places * self.units) >> PLACE_BITS


def shards_for(documents: float, stored: float, shard_bytes: int) -> int:
    """The number of output shards: of the wanted size on average, and at most one per document."""
    return max(1, min(round(documents), round(stored / shard_bytes)))


def groups_of(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring files for each task, as the first and the one past the last: about `GROUP_BYTES`, or more in a huge run."""
    most = max(GROUP_BYTES, -(-sum(sizes) // MOST_GROUPS))
    found, first, held = [], 0, 0
    for n, size in enumerate(sizes):
        if n > first and held + size > most:
            found.append((first, n))
            first, held = n, 0
        held += size
    return [*found, (first, len(sizes))] if sizes else []


class _TooLargeError(Exception):
    """The documents of a run do not fit into memory after all."""


@contextmanager
def spread_output(task: Task) -> Iterator[tuple[TaskOutput, "Divider"]]:
    """The output of a task that spreads documents, and what takes them; both are published when the block ends well."""
    schema, layout = unpacked(task.extra["schema"]), Layout(**task.extra["layout"])
    kind = Whole if task.part == WHOLE else Spreader
    try:
        with TaskOutput(task, None, dropped=False) as output, kind(task, schema, layout) as divider:
            yield output, divider
            output.facts[FOLDER] = divider.commit(output)
    except _TooLargeError:
        with TaskOutput(task, None, dropped=False) as output:
            output.facts[TOO_LARGE] = True


class Divider(ABC):
    """Divides documents by ranges of units."""

    def __init__(self, task: Task, schema: pa.Schema, layout: Layout, parts: Sequence[tuple[int, int]]) -> None:
        self.task, self.layout, self.parts = task, layout, parts
        self.schema = pa.schema([*schema, *HIDDEN], metadata=schema.metadata)
        self._ends = np.array([end for _, end in parts], np.int64)
        self._held: list[pa.Table] = []
        self._held_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            self.abandon()

    @abstractmethod
    def abandon(self) -> None:
        """Remove what was written, after an error."""

    @abstractmethod
    def write(self, n: int, table: pa.Table) -> None:
        """Keep documents of the part ``n``."""

    @abstractmethod
    def commit(self, output: TaskOutput) -> list[list[Any]]:
        """Publish the documents; returns the files that the next pass reads, as `Spreader.commit` describes them."""

    def add(self, table: pa.Table) -> None:
        """Take documents with the columns of the schema and those of `HIDDEN`."""
        self._held.append(table)
        self._held_bytes += table.nbytes
        if self._held_bytes >= HELD_BYTES:
            self.divide()

    def divide(self) -> None:
        """Give the documents that are held to their parts."""
        if not self._held:
            return
        table = pa.concat_tables(self._held)
        self._held, self._held_bytes = [], 0
        if len(self.parts) == 1:
            self.write(0, table)
            return
        units = self.layout.unit_of(np.asarray(table[PLACE], np.int64))
        part = np.searchsorted(self._ends, units, side="right")
        order = np.argsort(part, kind="stable")
        table = table.combine_chunks().take(pa.array(order))
        edges = np.searchsorted(part[order], np.arange(len(self.parts) + 1))
        for n, (a, b) in enumerate(pairwise(edges.tolist())):
            if b > a:
                self.write(n, table.slice(a, b - a))


class Spreader(Divider):
    """Writes documents into files by ranges of units; a range without a document gets no file."""

    def __init__(self, task: Task, schema: pa.Schema, layout: Layout) -> None:
        first, last = task.extra["units"]
        super().__init__(task, schema, layout, layout.parts(first, last))
        self._writers: dict[int, StreamWriter] = {}
        self._open_bytes = 0
        self._folder = f"{FOLDER}/{task.part}-{first}-{last}"

    def abandon(self) -> None:
        """Remove the files."""
        for writer in self._writers.values():
            writer.abandon()

    def write(self, n: int, table: pa.Table) -> None:
        """Add to a part's file."""
        if n not in self._writers:
            a, b = self.parts[n]
            file = join(self.task.out, self._folder, f"{a}-{b}", f"{self.task.index:05d}.arrow")
            self._writers[n] = StreamWriter(file, self.schema)
        self._writers[n].write(table)
        self._open_bytes += table.nbytes
        if self._open_bytes >= OPEN_BYTES:
            for writer in self._writers.values():
                writer.flush()
            self._open_bytes = 0

    def commit(self, output: TaskOutput) -> list[list[Any]]:
        """Publish the files; for each its first unit, the one past its last, its place below the output, bytes and checksum."""
        self.divide()
        found = []
        for n in sorted(self._writers):
            writer = self._writers[n]
            facts = writer.commit()
            file = writer.location.removeprefix(self.task.out.rstrip("/") + "/")
            found.append([*self.parts[n], file, facts["bytes"], facts["crc32"]])
        self._writers = {}
        return found


class Whole(Divider):
    """Holds all documents of a small run by units, and writes the output shards.

    A unit's documents go through the format of the files between the passes, so that row groups end where they do there.
    """

    def __init__(self, task: Task, schema: pa.Schema, layout: Layout) -> None:
        super().__init__(task, schema, layout, [(n, n + 1) for n in range(layout.units)])
        self._streams: dict[int, HeldStream] = {}
        self._bytes = 0

    def abandon(self) -> None:
        """Nothing is on disk."""

    def write(self, n: int, table: pa.Table) -> None:
        """Add to a unit."""
        self._bytes += table.nbytes
        if 2 * self._bytes > 3 * WHOLE_BYTES:
            raise _TooLargeError
        if n not in self._streams:
            self._streams[n] = HeldStream(self.schema)
        self._streams[n].write(table)

    def commit(self, output: TaskOutput) -> list[list[Any]]:
        """Write the shards; no file is left for another pass."""
        self.divide()
        for shard in range(self.layout.shards):
            units = (self._streams.pop(n, None) for n in self.layout.units_in(shard))
            name = f"part-{shard:05d}"
            output.open(name, f"{name}.parquet", unpacked(self.task.extra["schema"]), chunking=self.task.extra["chunking"])
            for stream in units:
                for piece in _sorted(stream.tables() if stream else []):
                    output.write(name, piece)
                    heartbeat(self.task, output.report.read.documents, output.report.read.bytes)
            output.close(name)
        return []


@dataclass(frozen=True)
class Shuffle:
    """The passes of one stage: its tasks, the layout, and the columns of the output.

    ``unpacked_bytes``: about how many bytes all documents of the output have in memory.
    """

    tasks: Tasks
    layout: Layout
    schema: pa.Schema
    unpacked_bytes: float
    chunking: bool = False
    """Content-defined chunks in the output's pages."""

    def first_extra(self) -> dict[str, Any]:
        """The parameters of the first spreading tasks."""
        units = [0, self.layout.units]
        return {"layout": asdict(self.layout), "units": units, "schema": packed(self.schema), "chunking": self.chunking}

    def run(self, run: Run, work: Callable[[Task], None], spreading: Sequence[Task]) -> tuple[list[Task], list[Task]]:
        """Spread by ``work`` and gather; returns the tasks that took documents, and those that wrote shards besides."""
        if len(spreading) == 1 and self.unpacked_bytes <= WHOLE_BYTES and self.layout.units <= MOST_OPEN:
            whole = [replace(spreading[0], part=WHOLE)]
            run(work, whole)
            if not any(TOO_LARGE in marker["facts"] for marker in markers_of(whole)):
                return whole, []
        return list(spreading), self._through_files(run, work, spreading)

    def _through_files(self, run: Run, work: Callable[[Task], None], spreading: Sequence[Task]) -> list[Task]:
        """Spread, spread again where needed, gather; returns the gathering tasks."""
        gathering = [self.tasks.one("part", n) for n in range(self.layout.shards)]
        if not all(finished_markers(gathering)):
            _forget_incomplete(spreading)
            run(work, spreading)
            files = _by_part(spreading)
            level = 1
            while any(b - a > 1 for a, b in files):
                level += 1
                wide = [part for part in sorted(files) if part[1] - part[0] > 1]
                tasks = (task for part in wide for task in self._again(level, part, files[part]))
                again = [replace(task, index=n) for n, task in enumerate(tasks)]
                _forget_incomplete(again)
                run(spread_again, again)
                files = {**{part: held for part, held in files.items() if part[1] - part[0] == 1}, **_by_part(again)}
            gathering = [self._gathering(n, files) for n in range(self.layout.shards)]
            run(gather, gathering)
        _remove(join(self.tasks.out, FOLDER))
        return gathering

    def _again(self, level: int, part: tuple[int, int], files: Sequence[Sequence[Any]]) -> Iterator[Task]:
        extra = {**self.first_extra(), "units": list(part)}
        for a, b in groups_of([int(file[3]) for file in files]):
            held = [file[2:5] for file in files[a:b]]
            yield self.tasks.one(f"spread{level}", 0, memory=TASK_MEMORY, held=held, **extra)

    def _gathering(self, n: int, files: Mapping[tuple[int, int], Sequence[Sequence[Any]]]) -> Task:
        listed = {"units": [[list(file[2:5]) for file in files.get((u, u + 1), ())] for u in self.layout.units_in(n)]}
        name = f"{FOLDER}/lists/{n:05d}.json"
        digest = write_shared(self.tasks.out, name, listed)
        facts: dict[str, Any] = {"list": name, "digest": digest, "schema": packed(self.schema)}
        return self.tasks.one("part", n, memory=TASK_MEMORY, **facts, chunking=self.chunking)


def _by_part(tasks: Sequence[Task]) -> dict[tuple[int, int], list[list[Any]]]:
    """The files that tasks have spread, by their range of units, in the order of the tasks."""
    found: dict[tuple[int, int], list[list[Any]]] = {}
    for marker in markers_of(tasks):
        for file in marker["facts"][FOLDER]:
            found.setdefault((file[0], file[1]), []).append(file)
    return found


def _forget_incomplete(tasks: Sequence[Task]) -> None:
    """Remove the markers of tasks whose files are gone: they were removed at the end of a run, or set aside as broken."""
    listed: dict[str, dict[str, int]] = {}
    for task, marker in zip(tasks, finished_markers(tasks), strict=True):
        for file in marker["facts"][FOLDER] if marker else ():
            folder, _, name = file[2].rpartition("/")
            if folder not in listed:
                listed[folder] = sizes_in(join(task.out, folder))
            if listed[folder].get(name) != file[3]:
                fs, path = filesystem(task.marker)
                fs.rm_file(path)
                break


def _remove(folder: str) -> None:
    fs, path = filesystem(folder)
    with suppress(FileNotFoundError):
        fs.rm(path, recursive=True)


def spread_again(task: Task) -> None:
    """Spread the files of a range of units into smaller ranges."""
    stage_of(task, Stage)  # checks the versions
    rows = bytes_ = 0
    with spread_output(task) as (_, divider):
        for file, size, crc in task.extra["held"]:
            for table in tables_of(join(task.out, file), {"bytes": size, "crc32": crc}):
                rows, bytes_ = rows + table.num_rows, bytes_ + table.nbytes
                divider.add(table)
                heartbeat(task, rows, bytes_)


def gather(task: Task) -> None:
    """Write an output shard: sort the documents of each of its units."""
    stage_of(task, Stage)  # checks the versions
    listed = read_shared(join(task.out, task.extra["list"]), task.extra["digest"])
    schema = unpacked(task.extra["schema"])
    rows = bytes_ = 0
    with TaskOutput(task, None, dropped=False) as output:
        output.open("kept", f"{task.name}.parquet", schema, chunking=task.extra["chunking"])
        for files in listed["units"]:
            for piece in _sorted(_tables(task, files)):
                output.write("kept", piece)
                rows, bytes_ = rows + piece.num_rows, bytes_ + piece.nbytes
                heartbeat(task, rows, bytes_)


def _tables(task: Task, files: Sequence[Sequence[Any]]) -> list[pa.Table]:
    """The documents of a unit, file by file."""
    return [table for file, size, crc in files for table in tables_of(join(task.out, file), {"bytes": size, "crc32": crc})]


def _sorted(tables: list[pa.Table]) -> Iterator[pa.Table]:
    """The documents of a unit in the order of the output, in pieces of at most a row group. Empties ``tables``."""
    if not tables:
        return
    table = pa.concat_tables(tables).combine_chunks()
    tables.clear()
    keys = [np.asarray(table[name], np.int64) for name in (NUMBER, PLACE)]
    epochs = [np.asarray(table["epoch"], np.int64)] if "epoch" in table.column_names else []
    order = np.lexsort([*epochs, *keys])
    yield from pieces(table, order)


def pieces(table: pa.Table, rows: Numbers, most: int = ROW_GROUP_BYTES) -> Iterator[pa.Table]:
    """Rows of a table in the given order, in tables of at most about ``most`` bytes (at least one row)."""
    lengths = np.asarray(pc.fill_null(pc.binary_length(table["text"]), 0), np.int64)
    rest = max(table.nbytes - int(lengths.sum()), 0) // max(table.num_rows, 1)
    ends = np.cumsum(lengths[rows] + rest)
    at = 0
    while at < len(rows):
        before = int(ends[at - 1]) if at else 0
        end = max(at + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield table.take(pa.array(rows[at:end]))
        at = end


def spread_files(sources: Sequence[Input]) -> list[int]:
    """The sizes of files as `groups_of` takes them: an unknown one counts as `GROUP_BYTES`."""
    return [source.bytes or GROUP_BYTES for source in sources]
