"""Parquet shards: written with bounded row groups and page checksums, read in batches bounded by bytes."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.filters.texts import TextError, Texts
from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.locations import DataError, filesystem
from goldwash.pipeline.storage.retry import is_transient

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


class ShardWriter:
    """Writes one Parquet shard: zstd, page checksums, row groups bounded by bytes; equal tables give equal bytes."""

    def __init__(self, location: str, schema: pa.Schema, dictionary: bool = True, group_rows: int | None = None) -> None:
        self.location, self.schema, self.rows, self.group_rows = location, schema, 0, group_rows
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._file = atomic_write(location)
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
    if is_transient(error):
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
