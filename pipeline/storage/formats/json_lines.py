"""Read JSON lines: an object per line, plain or packed.

Invariants: a file is read twice, once for the kinds of its columns and once for its rows, so that a column has one type from
the first row to the last. The types of the columns:

======================================  ==============================================
values                                  column
======================================  ==============================================
true, false                             bool
whole numbers of 64 bits                int64
numbers                                 double (``NaN`` and ``Infinity`` are read too)
strings, or nothing but null            string
objects, lists, or values of two kinds  string of JSON (`JSON_TEXT` marks the field)
======================================  ==============================================

A key that a line does not have is null. Columns are in the order in which their keys first occur. Half a surrogate pair becomes
U+FFFD. Documents in the schema of DCLM's releases, which have no ``id``, get the one of ``metadata`` (``WARC-Record-ID``), and
their ``date``.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Literal

import orjson
import pyarrow as pa

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.packed import text_stream
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.source import Input, Reading

Kind = Literal["null", "bool", "int", "float", "string", "json"]
TYPES: Mapping[Kind, pa.DataType] = {
    "null": pa.string(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "string": pa.string(),
    "json": pa.string(),
}
JSON_TEXT = {b"goldwash": b"json"}
"""The metadata of a field whose strings are JSON, so that an export writes the values and not their text."""

TABLE_BYTES, TABLE_ROWS = 1 << 20, 1024
OF_64_BITS = float(1 << 63)
MISSING = object()
EXACT = 1 << 53
"""Whole numbers above this are not exact as doubles."""


class JsonRows:
    """An opened file of JSON lines."""

    first_row = 0

    def __init__(self, source: Input) -> None:
        self._source = source
        self._kinds = dict(kinds_of(source)) or {source.reading.text: "null"}  # an empty file holds no documents
        self.schema = pa.schema([field_of(name, kind) for name, kind in self._kinds.items()])

    def tables(self, _columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows in order, `TABLE_BYTES` of lines at once."""
        held: list[dict[str, Any]] = []
        held_bytes = 0
        with text_stream(self._source) as stream:
            for row, size in objects(stream, self._source):
                held.append(row)
                held_bytes += size
                if held_bytes >= TABLE_BYTES or len(held) == TABLE_ROWS:
                    yield self._table(held)
                    held, held_bytes = [], 0
        if held:
            yield self._table(held)

    def _table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        columns = [column_of([row.get(name) for row in rows], kind) for name, kind in self._kinds.items()]
        return pa.table(columns, schema=self.schema)


@contextmanager
def opened(source: Input) -> Iterator[JsonRows]:
    """The rows of a file of JSON lines; `DataError` names the line that is no object."""
    yield JsonRows(source)


def field_of(name: str, kind: Kind) -> pa.Field:
    """The column of a kind."""
    return pa.field(name, TYPES[kind], metadata=JSON_TEXT if kind == "json" else None)


def column_of(values: Sequence[Any], kind: Kind) -> pa.Array:
    """Values as a column of a kind."""
    if kind == "json":
        values = [None if value is None else _json_of(value) for value in values]
    elif kind == "float":
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, TYPES[kind])


def _json_of(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a whole number of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def kinds_of(source: Input) -> tuple[tuple[str, Kind], ...]:
    """The columns of a file and their kinds; read once per process as long as the file stays the same."""
    changes: Any = source.stamp
    if is_local(source.path):
        with suppress(OSError):
            facts = os.stat(filesystem(source.path)[1])
            changes = (source.stamp, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return _kinds_of(source, changes)


@lru_cache(maxsize=64)
def _kinds_of(source: Input, _changes: Any) -> tuple[tuple[str, Kind], ...]:
    kinds: dict[str, Kind] = {}
    large: set[str] = set()
    with text_stream(source) as stream:
        for row, _ in objects(stream, source):
            for name, value in row.items():
                held, found = kinds.get(name, "null"), kind_of(value)
                if found == "int" and not -EXACT <= value <= EXACT:
                    large.add(name)
                if held != found or name not in kinds:
                    kinds[name] = merged(held, found)
    return tuple((name, "json" if kind == "float" and name in large else kind) for name, kind in kinds.items())


def kind_of(value: Any) -> Kind:
    """The kind of one value.

    >>> [kind_of(value) for value in (None, True, 1, 1 << 64, 0.5, "a", [1], {})]
    ['null', 'bool', 'int', 'json', 'float', 'string', 'json', 'json']
    """
    if value is None:
        return "null"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(1 << 63) <= value < 1 << 63 else "json"
    return "float" if isinstance(value, float) else "json"


def merged(one: Kind, other: Kind) -> Kind:
    """The kind of a column that has values of both kinds.

    >>> merged("null", "int"), merged("int", "float"), merged("int", "string")
    ('int', 'float', 'json')
    """
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    return "float" if {one, other} == {"int", "float"} else "json"


def objects(stream: Any, source: Input) -> Iterator[tuple[dict[str, Any], int]]:
    """The objects of a stream and the bytes of their lines; `DataError` names a line that is none."""
    paths = [path for path in (source.reading.text, source.reading.id, source.reading.url) if "." in path]
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        row = _object(line, number, source.path)
        for path in paths:
            if path not in row and (inner := _inner(row, path)) is not MISSING:
                row[path] = inner
        if "metadata" in row and source.reading.id == Reading.id:
            _with_record(row)
        if type(key := row.get(source.reading.id)) is int:
            row[source.reading.id] = str(key)
        yield row, len(line)


def _object(line: bytes, number: int, location: str) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = _leniently(line, number, location)
    if isinstance(row, dict):
        cut = any(
            type(value) is float and abs(value) >= OF_64_BITS for value in row.values()
        )  # orjson's, of larger whole numbers
        return dict(_leniently(line, number, location)) if cut else row
    raise DataError(
        f"{location}, line {number}: expected a JSON object on each line, found {_name_of(row)}"
        + (": write the list's items as lines, with `jq -c '.[]'`" if isinstance(row, list) else "")
    )


def _leniently(line: bytes, number: int, location: str) -> Any:
    """A line that strict JSON refuses: Python's own reader takes NaN, half surrogates and large numbers."""
    try:
        return _whole(json.loads(line.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise DataError(f"{location}, line {number}, is not UTF-8 ({error.reason} at byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        many = line.strip() in (b"[", b"{", b"[{")
        cure = "expected one JSON object per line: write it so, with `jq -c '.[]'`" if many and number == 1 else str(error)
        raise DataError(f"{location}, line {number}, is not JSON: {cure}") from error


def _whole(value: Any) -> Any:
    """A value whose strings have no halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(inner) for key, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list) else value


def _name_of(value: Any) -> str:
    return {list: "a list", str: "a string", type(None): "null"}.get(type(value), f"a {type(value).__name__}")


def _inner(row: Mapping[str, Any], path: str) -> Any:
    """The field of an object inside a row, as ``metadata.url``; `MISSING` where a part is missing."""
    value: Any = row
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value


def _with_record(row: dict[str, Any]) -> None:
    """Give a document of DCLM's releases the id and the date that its record had."""
    metadata = row["metadata"]
    if isinstance(metadata, dict) and isinstance(record := metadata.get("WARC-Record-ID"), str):
        row.setdefault("id", record.strip("<>"))
        if isinstance(date := metadata.get("WARC-Date"), str):
            row.setdefault("date", date)
