"""Read CSV and TSV: a header, then a record per row, plain or packed.

Invariants: fields may hold separators, quotes and line breaks, and be of any length. A file is read twice, once for the kinds
of its columns: a column whose fields are all whole numbers is int64, one of numbers is double (an empty field is null in
both), and any other, and the text, id and URL, is string (an empty field is an empty string). A record with more or fewer
fields than the header is an error.
"""

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import pyarrow as pa

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.packed import text_stream
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.source import Input

LONGEST_FIELD = (1 << 31) - 1
"""The csv module refuses fields of more than 131,072 characters if it is not told otherwise."""

TABLE_BYTES, TABLE_ROWS = 1 << 20, 1024
WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|-?inf|nan|NaN|Infinity|-Infinity")


class CsvRows:
    """An opened file of separated values."""

    first_row = 0

    def __init__(self, source: Input) -> None:
        self._source = source
        self.schema = pa.schema(_columns_of(source))

    def tables(self, _columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows in order, `TABLE_BYTES` of text at once."""
        held: list[list[str]] = []
        held_bytes = 0
        for record in records(self._source):
            held.append(record)
            held_bytes += sum(map(len, record))
            if held_bytes >= TABLE_BYTES or len(held) == TABLE_ROWS:
                yield self._table(held)
                held, held_bytes = [], 0
        if held:
            yield self._table(held)

    def _table(self, rows: Sequence[Sequence[str]]) -> pa.Table:
        columns = [_column([row[k] for row in rows], field.type) for k, field in enumerate(self.schema)]
        return pa.table(columns, schema=self.schema)


def _column(values: Sequence[str], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array(values, kind)
    read = int if pa.types.is_integer(kind) else float
    return pa.array([read(value) if value else None for value in values], kind)


@contextmanager
def opened(source: Input) -> Iterator[CsvRows]:
    """The rows of a CSV or TSV file; `DataError` names the line that is wrong."""
    yield CsvRows(source)


def records(source: Input, header: bool = False) -> Iterator[list[str]]:
    """The records below the header, or with it first."""
    csv.field_size_limit(LONGEST_FIELD)
    with text_stream(source) as stream:
        first = stream.peek(1 << 16).split(b"\n", 1)[0]
        separator = "\t" if ".tsv" in source.path.lower() else ";" if b";" in first and b"," not in first else ","
        reader = csv.reader(io.TextIOWrapper(stream, "utf-8", newline=""), delimiter=separator, strict=True)
        names: list[str] | None = None
        try:
            for record in reader:
                if names is None:
                    names = _header(record, source.path)
                    if header:
                        yield names
                elif record:
                    if len(record) != len(names):
                        raise DataError(
                            f"{source.path}, line {reader.line_num}: {len(record)} fields, and the header has {len(names)}: "
                            "put fields that hold separators or line breaks into double quotes"
                        )
                    yield record
        except UnicodeDecodeError as error:
            raise DataError(f"{source.path}, after line {reader.line_num}, is not UTF-8 ({error.reason})") from error
        except csv.Error as error:
            raise DataError(f"{source.path}, line {reader.line_num}: {error}") from error
        if names is None:
            raise DataError(f"{source.path} is empty: expected a header with the columns' names")


def _header(names: list[str], location: str) -> list[str]:
    if len(set(names)) != len(names):
        raise DataError(f"{location}, line 1: two columns have one name ({', '.join(names)}): rename one")
    return names


def _columns_of(source: Input) -> tuple[tuple[str, pa.DataType], ...]:
    changes: Any = source.stamp
    if is_local(source.path):
        with suppress(OSError):
            facts = os.stat(filesystem(source.path)[1])
            changes = (source.stamp, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return _kinds_of(source, changes)


@lru_cache(maxsize=64)
def _kinds_of(source: Input, _changes: Any) -> tuple[tuple[str, pa.DataType], ...]:
    lines = records(source, header=True)
    names = next(lines)
    whole, number, filled = [True] * len(names), [True] * len(names), [False] * len(names)
    for record in lines:
        for k, value in enumerate(record):
            if value and number[k]:
                filled[k] = True
                whole[k] = whole[k] and WHOLE.fullmatch(value) is not None
                number[k] = whole[k] or NUMBER.fullmatch(value) is not None
    texts = (source.reading.text, source.reading.id, source.reading.url)
    kinds = [
        pa.string() if name in texts else pa.int64() if w and f else pa.float64() if n and f else pa.string()
        for name, w, n, f in zip(names, whole, number, filled, strict=True)
    ]
    return tuple(zip(names, kinds, strict=True))
