"""Tasks and their markers: a task counts as done only when its marker exists, and the marker is written last."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Any, Protocol

import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.storage.batches import BATCH_BYTES, NULL_TEXT, as_input, read_batches
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import is_local, join, size_of, sizes_in
from goldwash.pipeline.storage.markers import FOLDER, TRANSFERS
from goldwash.pipeline.storage.parquet import ShardWriter
from goldwash.pipeline.storage.sealed import read_sealed, write_sealed
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.states import heartbeat
from goldwash.pipeline.storage.tables import DROPPED, dropped_table, texts_of


@dataclass(frozen=True)
class Task:
    """One piece of a stage's work, in plain values, so that it can be sent anywhere.

    ``sources``: the inputs whose content was known when the task was planned; they are checked again before it starts.
    ``memory``: bytes that it needs beyond the ordinary, as its stage declares. ``versions``: those of everything that decides
    the output's bytes, on the machine that planned the task.
    """

    stage: dict[str, Any]
    inputs: tuple[str, ...]
    out: str
    index: int
    fingerprint: str
    part: str = "part"
    extra: dict[str, Any] = field(default_factory=dict)
    sources: tuple[Input, ...] = ()
    memory: int = 0
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name among the stage's tasks, as ``part-00003``."""
        return f"{self.part}-{self.index:05d}"

    @property
    def source(self) -> Input:
        """The one file of documents that it reads, and how to read it."""
        return self.sources[0] if self.sources else Input(self.inputs[0], 0, self.inputs[0])

    @property
    def marker(self) -> str:
        """The file that marks it as done."""
        return join(self.out, FOLDER, f"{self.name}.json")

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(replace(self, sources=())), "sources": [source.to_dict() for source in self.sources]}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Task":
        """The task that `to_dict` wrote."""
        sources = tuple(Input(**source) for source in values["sources"])
        return Task(**{**values, "inputs": tuple(values["inputs"]), "sources": sources})


class Writer(Protocol):
    """Writes one file of a task's output."""

    location: str

    def write(self, data: Any) -> None:
        """Append to the file."""
        ...

    def commit(self) -> dict[str, Any]:
        """Publish the file; returns what the marker says of it: ``rows``, ``bytes`` and ``sha256``."""
        ...

    def abandon(self) -> None:
        """Remove what was written."""
        ...


class TaskOutput:
    """What a task writes: a shard of kept rows, one of dropped ones, perhaps others, and last its marker.

    Used as a context: the files and the marker appear when the block ends well; after an error nothing does.
    """

    def __init__(self, task: Task, kept: pa.Schema | None, dropped: bool = True) -> None:
        self.task, self.report, self.facts = task, Report(), dict[str, Any]()
        self._writers: dict[str, Writer] = {}
        self._files: dict[str, Any] = {}
        if kept is not None:
            self.open("kept", f"{task.name}.parquet", kept)
        if dropped:
            self.open("dropped", f"dropped/{task.name}.parquet", DROPPED)

    def open(
        self,
        name: str,
        file: str,
        schema: pa.Schema,
        dictionary: bool = True,
        group_rows: int | None = None,
        chunking: bool = False,
    ) -> None:
        """Add a shard to this task's output; ``dictionary`` false for columns of hashes, which never repeat.

        ``group_rows``: rows of a row group, where readers look for a few rows of a sorted shard and pass over the others.
        ``chunking``: content-defined chunks (`ShardWriter`).
        """
        try:
            place = join(self.task.out, file)
            self._writers[name] = ShardWriter(place, schema, dictionary, group_rows, chunking=chunking)
        except BaseException:
            self._abandon()
            raise

    def attach(self, name: str, writer: Writer) -> None:
        """Add a file that is not Parquet; its ``location`` is below the stage's folder."""
        self._writers[name] = writer

    def __enter__(self) -> "TaskOutput":
        return self

    def batches(
        self,
        source: str | Input,
        dropped: str = "dropped",
        columns: Sequence[str] | None = None,
        batch_bytes: int = BATCH_BYTES,
        again: bool = False,
    ) -> Iterator[tuple[pa.Table, Texts]]:
        """The documents of a shard, as tables with their texts, in order; records progress after each batch.

        The caller adds to `report` what became of a batch before it takes the next one. Documents whose text is null, and that
        the user wants dropped, go to the shard ``dropped`` here, in a pass that has one. ``columns``: those that are wanted
        besides ``id``, ``url`` and ``text``; None is all (`read_batches`). ``batch_bytes``: bytes of text per batch.
        ``again``: an earlier pass of the stage has read this file, whose digest has not changed: its texts are not checked
        for UTF-8 again.
        """
        source = as_input(source)
        checked = again or source.sha256 is None  # `read_batches` checks what goldwash has not written
        for table in read_batches(source, batch_bytes, partial(self._drop_nulls, dropped), columns):
            yield table, texts_of(table, "text", source.path, checked)
            self.beat()

    def beat(self) -> None:
        """Record the task's progress (`states.heartbeat`)."""
        heartbeat(self.task, self.report.read.documents, self.report.read.bytes)

    def _drop_nulls(self, dropped: str, table: pa.Table) -> None:
        if dropped in self._writers:
            n = table.num_rows
            self.write(dropped, dropped_table(table["id"], table["url"], NULL_TEXT, [float("nan")] * n, [None] * n))
            self.report += Report(Count(n, 0), Count(), {NULL_TEXT: Count(n, 0)})
        else:
            self.report += Report(notes={NULL_TEXT: table.num_rows})

    def count(self, texts: Texts) -> None:
        """Count a batch that a pass has read and that loses nothing."""
        everything = Count(len(texts), texts.bytes)
        self.report += Report(everything, everything)

    def write(self, name: str, table: pa.Table) -> None:
        """Add rows to one of the shards."""
        self._writers[name].write(table)

    def close(self, name: str) -> None:
        """Finish a shard that gets no more rows, so that a task with thousands of shards has few open files."""
        writer = self._writers.pop(name)
        try:
            self._files[writer.location.removeprefix(self.task.out.rstrip("/") + "/")] = writer.commit()
        except BaseException:
            writer.abandon()
            raise

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            for name in list(self._writers):
                self.close(name)
        except BaseException:  # a full disk, most often; what is renamed already does not count without its marker
            self._abandon()
            raise
        marker = {
            "fingerprint": self.task.fingerprint,
            "files": self._files,
            "report": self.report.to_dict(),
            "facts": self.facts,
        }
        write_sealed(self.task.marker, marker, indent=None)

    def _abandon(self) -> None:
        for writer in self._writers.values():
            writer.abandon()


def finished(task: Task) -> dict[str, Any] | None:
    """A task's marker, if it has this fingerprint and its files exist at full size; otherwise None."""
    return next(iter(finished_markers([task])))


def finished_markers(tasks: Sequence[Task]) -> Iterator[dict[str, Any] | None]:
    """`finished` for each task, in order; each folder is listed once, and only markers that exist are read."""
    listed: dict[str, dict[str, int]] = {}
    lock = Lock()

    def size(out: str, file: str) -> int | None:
        folder, _, name = file.rpartition("/")
        place = join(out, folder) if folder else out
        if len(tasks) == 1:
            return size_of(join(out, file))
        with lock:  # each folder is listed by one of the threads
            if place not in listed:
                listed[place] = sizes_in(place)
        return listed[place].get(name)

    def marker_of(task: Task) -> dict[str, Any] | None:
        if size(task.out, f"{FOLDER}/{task.name}.json") is None:
            return None
        try:
            marker = read_sealed(task.marker)
        except DataError:  # broken or edited: the task is done again
            return None
        if marker is None or marker.get("fingerprint") != task.fingerprint:
            return None
        whole = all(size(task.out, file) == facts["bytes"] for file, facts in marker["files"].items())
        return dict(marker) if whole else None

    if all(is_local(task.out) for task in tasks):
        yield from map(marker_of, tasks)
        return
    with ThreadPoolExecutor(TRANSFERS) as pool:  # a store answers slowly, but many at once
        for some in range(0, len(tasks), 1000):
            yield from pool.map(marker_of, tasks[some : some + 1000])
