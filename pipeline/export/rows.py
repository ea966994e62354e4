"""Documents as JSON values, and files of JSON lines.

Invariants: each line is strict JSON in UTF-8. NaN and infinity become null. Times are strings of ISO 8601, durations whole
numbers, decimals and UUIDs strings, bytes strings in UTF-8 or, where they are not, in base64. A column that was read from JSON
(`tables.is_json_text`) is written as the value that it was.
"""

import base64
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import zstandard

from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import is_json_text


def rows(source: Input) -> Iterator[dict[str, Any]]:
    """The documents of a file, in order, as values for `line`."""
    for table in read_batches(source):
        yield from values(table)


def values(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a table as values for `line`."""
    kinds = [field.with_type(_plain(field.type)) for field in table.schema]
    texts = [field.name for field in table.schema if is_json_text(field)]
    for row in table.cast(pa.schema(kinds)).to_pylist():
        for name in texts:
            row[name] = None if row[name] is None else orjson.Fragment(row[name])
        yield row


def line(row: Any) -> bytes:
    r"""One line of JSON, with its line break.

    >>> line({"score": float("nan"), "key": b"\xff"})
    b'{"score":null,"key":"/w=="}\n'
    """
    return orjson.dumps(row, default=_other, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


def _other(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode("ascii")
    return str(value)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type to which a column is cast: Python's own times have no nanoseconds."""
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return pa.string()
    if pa.types.is_duration(kind):
        return pa.int64()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_plain(kind.value_type)))
    return kind


def write_lines(target: str, records: Iterable[Any], packing: str) -> None:
    """Write a file of JSON lines, whole; ``packing``: ``zst``, ``gz`` or ``none``."""
    with atomic_write(target) as half, Path(half).open("wb") as file, _packed(file, packing) as lines:
        for record in records:
            lines.write(line(record))


def _packed(file: Any, packing: str) -> Any:
    if packing == "gz":
        return gzip.GzipFile("", "wb", mtime=0, fileobj=file)
    if packing == "zst":
        return zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False)
    return file
