"""Shards: Parquet files of documents, read in batches, written whole or not at all.

Law: a file of ours appears under its name complete, or does not appear. On a disk it is written beside its place and renamed;
on an object store it is written to a `spare_file` and put in one piece. What a task has made counts only when its
marker lies there, and the marker is written last (`TaskOutput`). Readers go by a stage's ``report.json``, which is written
when every marker is there, and never by a listing of a folder of ours.

A location is a path or any URL that fsspec knows (``s3://``, ``https://``, ``hf://`` ...).
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.fetch import file_digest
from filters.texts import TextError, Texts
from pipeline.patience import may_pass, patiently
from pipeline.report import Report

BATCH_BYTES = 1 << 20
"""Bytes of text that are worked on at once: what a kernel touches stays in a core's cache."""

READ_BYTES = 1 << 17
"""Bytes of a shard that are unpacked at once: rows are counted by a mean, and a run of long texts must not fill the memory."""

ROW_GROUP_BYTES = 16 << 20

DOCUMENT = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("date", pa.string()),
        ("archive", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("status", pa.int32()),
        ("title", pa.string()),
        ("declared_language", pa.string()),
        ("text", pa.large_string()),
    ]
)
"""What every document carries: WARC-Record-ID, target URI, WARC-Date, where its record lies, to fetch it again, the response's
status, and the page's own title and language (null where it has none)."""

DROPPED = pa.schema(
    [("id", pa.string()), ("url", pa.string()), ("dropped_by", pa.string()), ("value", pa.float64()), ("detail", pa.string())]
)
"""A dropped document: the rule that dropped it, the value that it had, and what else there is to say."""


class DataError(Exception):
    """Input that cannot be used; the message says what was expected, what came, where, and the cure."""


def filesystem(location: str) -> tuple[Any, str]:
    """The fsspec file system of a location, and the location's path in it."""
    # a cached listing of a store does not know what another machine has put there since
    options: dict[str, Any] = {} if is_local(location) else {"use_listings_cache": False}
    try:
        fs, path = fsspec.core.url_to_fs(location, **options)
    except (ImportError, ValueError) as error:
        raise DataError(f"{location}: {error}") from error
    return fs, path


def is_local(location: str) -> bool:
    """Whether a location lies on a disk of this machine (or one mounted on it)."""
    return "://" not in location or location.startswith("file://")


def join(folder: str, *parts: str) -> str:
    """A location below a folder."""
    return "/".join([folder.rstrip("/"), *parts])


def exists(location: str) -> bool:
    """Whether something lies at a location."""
    fs, path = filesystem(location)
    return bool(fs.exists(path))


def read_json(location: str) -> Any:
    """A JSON file's value; None where there is no file; `DataError` where it is broken."""
    fs, path = filesystem(location)

    def content() -> Any:
        with fs.open(path, "rb") as file:
            return json.load(file)

    try:
        return patiently(content)
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise DataError(f"{location} is not whole JSON ({error}): delete it and run again") from error


def read_text(location: str) -> str:
    """A text file's content."""
    fs, path = filesystem(location)
    with fs.open(path, "rb") as file:
        return str(file.read(), "utf-8")


@contextmanager
def whole_file(location: str) -> Iterator[str]:
    """A local temporary path; what is written there appears at the location when the block ends well, and never else."""
    fs, path = filesystem(location)
    if not is_local(location):
        with spare_file() as half:
            yield half
            patiently(lambda: fs.put_file(half, path))
        return
    folder = os.path.dirname(path)
    os.makedirs(folder or ".", exist_ok=True)
    handle, half = tempfile.mkstemp(prefix=".half-", dir=folder)
    os.close(handle)
    try:
        yield half
        os.chmod(half, 0o644)
        with open(half, "rb") as file:
            os.fsync(file.fileno())
        os.replace(half, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(half)


DESCRIPTORS = "/proc/self/fd"
"""Where Linux shows a process the files that it has open, those without a name too."""


@contextmanager
def spare_file() -> Iterator[str]:
    """The path of an empty file in the machine's temporary folder; it is gone with the block, and on Linux with the process,
    however that ends. Only this process and those that it forks can open it.
    """
    if os.path.isdir(DESCRIPTORS):
        with tempfile.TemporaryFile() as file:
            yield f"{DESCRIPTORS}/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(prefix="goldwash-") as named:
            yield named.name


TRIES = 4
"""How often a transfer is tried, with a pause that doubles from half a second."""


@contextmanager
def local_copy(location: str) -> Iterator[str]:
    """A path on this machine of a file that may lie anywhere; a copy is a `spare_file`.

    Raises `DataError` where the file is not there or cannot be fetched.
    """
    fs, path = filesystem(location)
    if is_local(location):
        yield path
        return
    with spare_file() as copy:
        for attempt in range(TRIES):
            try:
                fetch(fs, path, copy)
                break
            except FileNotFoundError as error:
                raise DataError(f"{location}: no such file") from error
            except Exception as error:
                if attempt == TRIES - 1:
                    raise DataError(
                        f"{location} could not be fetched ({type(error).__name__}: {error}), {TRIES} times"
                    ) from error
                time.sleep(0.5 * 2**attempt)
        yield copy


RANGE_BYTES = 32 << 20
"""Bytes that are asked for at once."""


def fetch(fs: Any, path: str, copy: str) -> None:
    """Add to a local file what it has not yet of one that lies elsewhere, range by range, so that a broken transfer goes on
    where it broke; in one piece where the server does not say how large the file is, or gives no ranges.
    """
    size = patiently(lambda: fs.info(path)).get("size")
    have = os.path.getsize(copy) if os.path.exists(copy) else 0
    while size and have < size:
        end = min(have + RANGE_BYTES, size)
        data = patiently(partial(fs.cat_file, path, start=have, end=end))
        if len(data) != end - have:
            break
        with open(copy, "ab") as file:
            file.write(data)
        have = end
    if not size or have != size:
        fs.get_file(path, copy)


def clear_halves(folder: str) -> None:
    """Remove the temporary files of writers that were killed, once nobody writes here any more."""
    if is_local(folder):
        for half in Path(filesystem(folder)[1]).rglob(".half-*"):
            half.unlink(missing_ok=True)


def write_json(location: str, value: Any) -> None:
    """Write a JSON file, whole."""
    with whole_file(location) as half:
        Path(half).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")


def write_text(location: str, text: str) -> None:
    """Write a text file, whole."""
    with whole_file(location) as half:
        Path(half).write_text(text, "utf-8")


class ShardWriter:
    """Writes one Parquet shard: zstd, page checksums, row groups bounded by bytes; equal tables give equal bytes."""

    def __init__(self, location: str, schema: pa.Schema, dictionary: bool = True, group_rows: int | None = None) -> None:
        self.location, self.schema, self.rows, self.group_rows = location, schema, 0, group_rows
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._file = whole_file(location)
        self._half = self._file.__enter__()
        try:
            self._writer = pq.ParquetWriter(
                self._half,
                schema,
                compression="zstd",
                write_page_checksum=True,
                use_dictionary=dictionary,
                write_batch_size=16,  # how often it is asked whether a page is full: of 1024 long texts it had 20 MB
            )
        except BaseException as error:  # a full disk has no room for its first four bytes
            with suppress(type(error)):
                self._file.__exit__(type(error), error, error.__traceback__)
            raise

    def write(self, table: pa.Table) -> None:
        """Add rows; they are cast to the shard's schema."""
        self._held.append(table.select(self.schema.names).cast(self.schema))
        self._held_bytes += table.nbytes
        self.rows += table.num_rows
        if self._held_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables(self._held, promote_options="none").combine_chunks()
        if table.num_rows:
            self._writer.write_table(table, row_group_size=self.group_rows or table.num_rows)
        self._held, self._held_bytes = [], 0

    def commit(self) -> dict[str, Any]:
        """Make the shard appear; its rows, bytes and SHA-256."""
        if self._held:
            self._flush()
        self._writer.close()
        with open(self._half, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = os.path.getsize(self._half)
        self._file.__exit__(None, None, None)
        return {"rows": self.rows, "bytes": size, "sha256": digest}

    def abandon(self) -> None:
        """Leave nothing behind."""
        with suppress(Exception):
            self._writer.close()
        with suppress(RuntimeError):
            self._file.__exit__(RuntimeError, RuntimeError("abandoned"), None)


@dataclass(frozen=True)
class Input:
    """A file that is read: an archive or a shard. ``stamp`` changes with its content (size and time, or a digest)."""

    path: str
    bytes: int
    stamp: str
    rows: int | None = None


def input_at(location: str) -> Input:
    """A file as it is now: its size, and a stamp of its name, size and time; `DataError` where there is none."""
    fs, path = filesystem(location)
    try:
        info = patiently(lambda: fs.info(path))
    except FileNotFoundError as error:
        raise DataError(f"{location}: no such file") from error
    if info["type"] == "directory" and is_local(location):  # of HTML files: what lies right in it
        found = sorted((f.name, f.stat().st_size, f.stat().st_mtime) for f in os.scandir(path) if f.is_file())
        stamp = hashlib.sha256(repr(found).encode()).hexdigest()
        return Input(location, sum(size for _, size, _ in found), f"{location} {stamp}")
    size = int(info.get("size") or 0)
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return Input(location, size, f"{location} {size} {stamp}")


def check_unchanged(source: Input) -> None:
    """Refuse a file that is not what it was when the work was planned: its digest, where that is known, or size and time.

    A shard in a store is checked by its size alone (its pages have checksums of their own), and a file of which nothing is
    known but its address not at all.
    """
    if source.stamp == source.path:
        return
    now = input_at(source.path)
    if " " in source.stamp:
        same = now.stamp == source.stamp
    else:
        same = now.bytes == source.bytes and (not is_local(source.path) or file_digest(source.path) == source.stamp)
    if not same:
        raise DataError(
            f"{source.path} is not what it was when this work was planned (it had {source.bytes:,} bytes, has {now.bytes:,}, "
            "or the content is another): put the file back, or delete it if a stage of goldwash made it, and run again"
        )


@dataclass(frozen=True)
class Task:
    """One piece of a stage's work, in plain values, so that it can be sent anywhere.

    ``sources``: those of its inputs whose content was known when it was planned; they are looked at again before it begins.
    ``memory``: bytes that it takes beyond what any task takes, as far as its stage knows. ``versions``: of what decides the
    output's bytes, where it was planned.
    """

    stage: dict[str, Any]
    inputs: tuple[str, ...]
    out: str
    index: int
    identity: str
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
    def marker(self) -> str:
        """Where it says that it is done."""
        return join(self.out, "tasks", f"{self.name}.json")

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Task":
        """The task that `to_dict` wrote."""
        sources = tuple(Input(**source) for source in values["sources"])
        return Task(**{**values, "inputs": tuple(values["inputs"]), "sources": sources})


class TaskOutput:
    """What a task writes: a shard of kept rows, one of dropped ones, perhaps others, and last its marker.

    Used as a context: the files and the marker appear when the block ends well; after an error nothing does.
    """

    def __init__(self, task: Task, kept: pa.Schema | None, dropped: bool = True) -> None:
        self.task, self.report, self.facts = task, Report(), dict[str, Any]()
        self._writers: dict[str, ShardWriter] = {}
        self._files: dict[str, Any] = {}
        if kept is not None:
            self.open("kept", f"{task.name}.parquet", kept)
        if dropped:
            self.open("dropped", f"dropped/{task.name}.parquet", DROPPED)

    def open(self, name: str, file: str, schema: pa.Schema, dictionary: bool = True, group_rows: int | None = None) -> None:
        """Add a shard to this task's output; ``dictionary`` false for columns of hashes, which never repeat.

        ``group_rows``: rows of a row group, where readers look for a few rows of a sorted shard and pass over the others.
        """
        try:
            self._writers[name] = ShardWriter(join(self.task.out, file), schema, dictionary, group_rows)
        except BaseException:
            self._abandon()
            raise

    def __enter__(self) -> "TaskOutput":
        return self

    def write(self, name: str, table: pa.Table) -> None:
        """Add rows to one of the shards."""
        self._writers[name].write(table)

    def close(self, name: str) -> None:
        """Write the end of a shard that gets no more rows, so that a task of thousands of shards has few files open."""
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
        marker = {"identity": self.task.identity, "files": self._files, "report": self.report.to_dict(), "facts": self.facts}
        write_json(self.task.marker, marker)

    def _abandon(self) -> None:
        for writer in self._writers.values():
            writer.abandon()


def finished(task: Task) -> dict[str, Any] | None:
    """A task's marker, if it is of this identity and its files lie there in their full size; None else."""
    return next(iter(finished_markers([task])))


def finished_markers(tasks: Sequence[Task]) -> Iterator[dict[str, Any] | None]:
    """Of each task what `finished` says, in their order; folders are listed once, and markers that are there are read."""
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
        if size(task.out, f"tasks/{task.name}.json") is None:
            return None
        marker = read_json(task.marker)
        if marker is None or marker.get("identity") != task.identity:
            return None
        whole = all(size(task.out, file) == facts["bytes"] for file, facts in marker["files"].items())
        return dict(marker) if whole else None

    if all(is_local(task.out) for task in tasks):
        yield from map(marker_of, tasks)
        return
    with ThreadPoolExecutor(TRANSFERS) as pool:  # a store answers slowly, but many at once
        for some in range(0, len(tasks), 1000):
            yield from pool.map(marker_of, tasks[some : some + 1000])


TRANSFERS = 16
"""Requests to a store that are under way at once."""


def size_of(location: str) -> int | None:
    """A file's size in bytes; None where there is none."""
    fs, path = filesystem(location)
    try:
        return int(patiently(lambda: fs.size(path)))
    except FileNotFoundError:
        return None


def sizes_in(folder: str) -> dict[str, int]:
    """The files right in a folder and their sizes in bytes; none where there is no folder."""
    fs, path = filesystem(folder)
    try:
        if is_local(folder):
            return dict(_entries(path))
        found = patiently(lambda: fs.ls(path, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {entry["name"].rsplit("/", 1)[-1]: int(entry["size"] or 0) for entry in found if entry["type"] == "file"}


def _entries(folder: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another task's half, renamed or removed meanwhile
                if entry.is_file():
                    yield entry.name, entry.stat().st_size


def dropped_table(ids: pa.Array, urls: pa.Array, rule: str, values: npt.ArrayLike, details: Sequence[str | None]) -> pa.Table:
    """Rows for the shard of dropped documents."""
    n = len(ids)
    return pa.table(
        [
            ids.cast(pa.string()),
            urls.cast(pa.string()),
            pa.array([rule] * n, pa.string()),
            pa.array(np.asarray(values, np.float64), from_pandas=True),
            pa.array(details, pa.string()),
        ],
        schema=DROPPED,
    )


def read_batches(location: str, batch_bytes: int = BATCH_BYTES) -> Iterator[pa.Table]:
    """A shard's rows in order, as tables of at most about ``batch_bytes`` of text (one row at the least).

    Every table has ``id``, ``url`` and ``text``: a missing id becomes the file's name and row, a missing url an empty one.
    Raises `DataError` on a file that is no Parquet, has no ``text``, a null text, or broken pages.
    """
    row, held, held_bytes = 0, list[pa.Table](), 0
    for batch in _row_batches(location):
        table = _with_identity(pa.Table.from_batches([batch]), location, row)
        row += table.num_rows
        sizes = np.asarray(pc.fill_null(pc.binary_length(table["text"]), 0), np.int64)
        begin = 0
        for end, size in enumerate(sizes.tolist()):
            if held_bytes + size > batch_bytes and (held or end > begin):
                yield pa.concat_tables([*held, table.slice(begin, end - begin)]).combine_chunks()
                held, held_bytes, begin = [], 0, end
            held_bytes += size
        held.append(table.slice(begin))
    if row:
        yield pa.concat_tables(held).combine_chunks()


def not_read(location: str, error: Exception, cure: str) -> DataError:
    """What to say of a Parquet file that could not be read: it is broken, or what it lies on is unwell."""
    if may_pass(error):
        return DataError(f"{location} could not be read ({error}): run again when its disk or store answers")
    return DataError(f"{location} is not a whole Parquet file ({error}): {cure}")


def _row_batches(location: str) -> Iterator[pa.RecordBatch]:
    fs, path = filesystem(location)
    try:
        with fs.open(path, "rb") as file:
            parquet = pq.ParquetFile(file, page_checksum_verification=True, buffer_size=1 << 20)
            if "text" not in parquet.schema_arrow.names:
                raise DataError(
                    f"{location} has no column 'text' (it has: {', '.join(parquet.schema_arrow.names)}): rename the one that "
                    "holds the document's text"
                )
            for n in range(parquet.num_row_groups):
                rows = _rows_of(parquet.metadata.row_group(n))
                yield from parquet.iter_batches(rows, row_groups=[n], use_threads=False)
    except FileNotFoundError as error:
        raise DataError(f"{location}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, PermissionError | IsADirectoryError):
            raise DataError(f"{location} cannot be read: {error}") from error
        raise not_read(location, error, "write it again") from error


def _rows_of(group: Any) -> int:
    """How many rows of a row group have `READ_BYTES`, by its mean: 1 to 1024."""
    mean = max(int(group.total_byte_size) // max(int(group.num_rows), 1), 1)
    return max(1, min(1024, READ_BYTES // mean))


_STRINGS = {"id": pa.string(), "url": pa.string(), "text": pa.large_string()}


def _plain(kind: pa.DataType, to: pa.DataType) -> pa.DataType:
    """The type as which a column of strings is read: dictionaries and views become plain ones; other types stay."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    strings = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return to if strings else kind


def _with_identity(table: pa.Table, location: str, row: int) -> pa.Table:
    for name, to in _STRINGS.items():
        if name in table.column_names and (kind := _plain(table[name].type, to)) != table[name].type:
            table = with_column(table, name, table[name].cast(kind))
    if not pa.types.is_large_string(table["text"].type):
        raise DataError(
            f"{location}, column text: expected a column of strings, found {table['text'].type}: cast it to string first"
        )
    for name in ("id", "url"):
        if name not in table.column_names:
            made = [f"{Path(location).name}#{row + i}" if name == "id" else "" for i in range(table.num_rows)]
            table = table.append_column(name, pa.array(made, pa.string()))
        elif table[name].null_count:
            table = table.set_column(table.column_names.index(name), name, pc.fill_null(table[name].cast(pa.string()), ""))
    return table


def texts_of(table: pa.Table, column: str, location: str) -> Texts:
    """A column as `Texts`; a `DataError` that names file and column where it is no text."""
    try:
        return Texts.of(table[column])
    except TextError as error:
        first = table["id"][0].as_py() if table.num_rows else "none"
        raise DataError(f"{location}, column {column}, in the batch that begins with id {first}: {error}") from error


def schema_of(location: str) -> pa.Schema:
    """A shard's columns, with ``id`` and ``url`` as `read_batches` adds them."""
    fs, path = filesystem(location)
    try:
        with fs.open(path, "rb") as file:
            schema = pq.read_schema(file)
    except FileNotFoundError as error:
        raise DataError(f"{location}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise not_read(location, error, "write it again") from error
    fields = [pa.field(f.name, _plain(f.type, _STRINGS[f.name]) if f.name in _STRINGS else f.type) for f in schema]
    fields += [pa.field(name, pa.string()) for name in ("id", "url") if name not in schema.names]
    return pa.schema(fields)


def with_fields(schema: pa.Schema, **fields: pa.DataType) -> pa.Schema:
    """A schema with further columns; one that is there is replaced."""
    for name, kind in fields.items():
        i = schema.get_field_index(name)
        schema = schema.append(pa.field(name, kind)) if i < 0 else schema.set(i, pa.field(name, kind))
    return schema


def with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """A table with a column added or replaced."""
    i = table.column_names.index(name) if name in table.column_names else -1
    return table.append_column(name, values) if i < 0 else table.set_column(i, name, values)
