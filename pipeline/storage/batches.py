"""The documents of a file, of whatever format, in batches bounded by bytes.

Invariants:

* Every batch has ``id``, ``url`` and ``text``, of one type in every file: string, string, large_string. A missing or null id
  becomes the file's name and the row, ``a/part.parquet#17``, which is unique in a run; a missing or null URL an empty one.
* A batch has at most about ``batch_bytes`` of text and `MOST_BYTES` of all columns, or one row that has more.
* View columns become plain ones. No value is converted by Python's repr, by a guessed encoding, or with lost digits.
* `source.Reading` says which columns hold the text, the id and the URL, and what becomes of null texts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats import Rows, format_of
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import DOCUMENT, INPUT_COLUMN, is_json_text, kept_name

BATCH_BYTES = 1 << 20
"""Bytes of text per batch: small enough for what a kernel touches to stay in a core's cache."""

MOST_BYTES = 16 << 20
"""Largest batch, in bytes of all columns: 300 short texts beside 300 pages of 1 MB make twenty batches."""

NULL_TEXT = "null_text"
"""The rule that drops a document without a text, where the user asked for that."""

TEXT, STRING = pa.large_string(), pa.string()


def read_batches(
    source: str | Input,
    batch_bytes: int = BATCH_BYTES,
    on_dropped: Callable[[pa.Table], None] | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """A file's documents in order, as tables of at least one row; none for an empty file.

    ``columns``: names of the columns that are wanted besides ``id``, ``url`` and ``text``, those that are there; None is all.
    Others are neither read nor unpacked (of Parquet), so that they take no memory.
    ``on_dropped`` is given the ``id`` and ``url`` of documents whose text is null, where `Reading.on_null` is ``drop``. Raises
    `DataError` on a file that cannot be read, has no text, a null text, or broken pages.
    """
    source = as_input(source)
    held, held_text, held_all = list[pa.Table](), 0, 0
    for table in _documents(source, on_dropped, columns):
        size = table.nbytes
        if held and held_all + size > MOST_BYTES:
            yield _joined(held)
            held, held_text, held_all = [], 0, 0
        begin = 0
        for end, bytes_ in enumerate(np.asarray(pc.binary_length(table["text"]), np.int64).tolist()):
            if held_text + bytes_ > batch_bytes and (held or end > begin):
                yield _joined([*held, table.slice(begin, end - begin)])
                held, held_text, held_all, begin = [], 0, 0, end
            held_text += bytes_
        held.append(table.slice(begin))
        held_all += held[-1].nbytes if begin else size
    if held:
        yield _joined(held)


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).combine_chunks()


def as_input(source: str | Input) -> Input:
    """A location as an input of which nothing else is known."""
    return source if isinstance(source, Input) else Input(source, 0, source)


def schema_of(source: str | Input) -> pa.Schema:
    """A file's columns as `read_batches` gives them."""
    source = as_input(source)
    with _opened(source) as rows:
        return _Columns(source, rows.schema).schema


@contextmanager
def _opened(source: Input) -> Iterator[Rows]:
    with format_of(source.path).opened(source) as rows:
        yield rows


def _documents(
    source: Input, on_dropped: Callable[[pa.Table], None] | None, wanted: Sequence[str] | None
) -> Iterator[pa.Table]:
    """All documents, in tables of at most `MOST_BYTES` or one row."""
    with _opened(source) as rows:
        columns = _Columns(source, rows.schema, wanted)
        row = rows.first_row
        for whole in rows.tables(columns.read):
            pieces = max(1, -(-whole.nbytes // MOST_BYTES))
            step = max(1, whole.num_rows // pieces)
            for at in range(0, whole.num_rows, step):
                table = columns.of(whole.slice(at, step), row + at)
                if table["text"].null_count:
                    gone = table.filter(pc.is_null(table["text"])).select(["id", "url"])
                    table = table.filter(pc.is_valid(table["text"]))
                    if on_dropped is not None:
                        on_dropped(gone)
                if table.num_rows:
                    yield table
            row += whole.num_rows


class _Columns:
    """Turns a file's rows into documents: renames columns, casts them to types that stages support, fills in ids and URLs."""

    def __init__(self, source: Input, found: pa.Schema, wanted: Sequence[str] | None = None) -> None:
        self._source, self._found = source, found
        self._refuse_twins()
        self._names = [(name, to) for name, to in self._roles() if wanted is None or to in ("text", "id", "url", *wanted)]
        self.read = None if wanted is None else list(dict.fromkeys(self._top(name) for name, _ in self._names))
        """The file's columns that are needed; None for all."""
        self._marks = source.sha256 is None
        self.schema = self._schema()

    def _refuse_twins(self) -> None:
        twins = [name for name, count in Counter(self._found.names).items() if count > 1]
        if twins:
            raise DataError(
                f"{self._source.path} has several columns of one name ({', '.join(twins)}): rename all but one of each"
            )

    def _top(self, name: str) -> str:
        """The column of the file in which a column or a field is."""
        return name if name in self._found.names else name.split(".")[0]

    def _roles(self) -> list[tuple[str, str]]:
        """Each column of the file by its new name, or names: one column can be the id and the URL. A column whose name a chosen
        one takes becomes ``input_NAME``."""
        reading, found = self._source.reading, self._found
        chosen = {"text": reading.text, "id": reading.id, "url": reading.url}
        paths = {name for name in chosen.values() if name not in found.names and _struct_field(found, name) is not None}
        for role, name in chosen.items():
            missing = name not in found.names and name not in paths
            if missing and (role == "text" or name != role):
                raise DataError(
                    f"{self._source.path} has no column {name!r} (it has: {', '.join(found.names) or 'none'}): say which "
                    f"column holds the {role}, with --{role}-column NAME"
                )
        out: list[tuple[str, str]] = []
        for name in (*found.names, *sorted(paths)):
            roles = [role for role, chosen_name in chosen.items() if chosen_name == name]
            out += [(name, role) for role in roles] or [(name, kept_name(name, found.names) if name in chosen else name)]
        return out

    def _schema(self) -> pa.Schema:
        empty = self._found.empty_table()
        fields = {}
        for name, to in self._names:
            field = self._field(name)
            kind = TEXT if to == "text" else STRING if to in ("id", "url") else _plain_type(field.type)
            if to in ("text", "id", "url"):
                if is_json_text(field):
                    raise DataError(
                        f"{self._source.path}, column {name}: expected strings, found objects, lists or values of several kinds"
                    )
                self._string_of(_column_at(empty, name), to, 0)  # refuses a type that is not text
            metadata = {k: v for k, v in (field.metadata or {}).items() if k == b"goldwash"} or None
            if self._marks and metadata is None and to not in DOCUMENT.names:
                metadata = INPUT_COLUMN
            fields[to] = pa.field(to, kind, metadata=metadata)
        for name in ("id", "url"):
            fields.setdefault(name, pa.field(name, STRING))
        return pa.schema(list(fields.values()))

    def _field(self, name: str) -> pa.Field:
        field = self._found.field(name) if name in self._found.names else _struct_field(self._found, name)
        assert isinstance(field, pa.Field)
        return field

    def of(self, table: pa.Table, row: int) -> pa.Table:
        """A table of the file as documents; ``row`` is the number of its first row in the file."""
        columns: dict[str, Any] = {}
        for name, to in self._names:
            column = _column_at(table, name)
            if to in ("text", "id", "url"):
                columns[to] = self._string_of(column, to, row)
            else:
                columns[to] = self._checked(_plain(column), name, row)
        columns["url"] = pc.fill_null(columns["url"], "") if "url" in columns else pa.array([""] * table.num_rows, STRING)
        if "id" not in columns or columns["id"].null_count:
            made = pa.array([f"{self._source.label}#{row + k}" for k in range(table.num_rows)], STRING)
            columns["id"] = pc.coalesce(columns["id"], made) if "id" in columns else made
        if columns["text"].null_count and self._source.reading.on_null != "drop":
            if self._source.reading.on_null == "error":
                first = row + int(np.flatnonzero(np.asarray(pc.is_null(columns["text"])))[0])
                raise DataError(
                    f"{self._source.path}, column {self._source.reading.text}: row {first} is null, and a document needs a "
                    "text (an empty one is allowed): give --on-null drop or --on-null empty"
                )
            columns["text"] = pc.fill_null(columns["text"], "")
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema)

    def _string_of(self, column: Any, role: str, row: int) -> Any:
        """A column of text, ids or URLs as strings; `DataError` if it is not text."""
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        to = TEXT if role == "text" else STRING
        name = getattr(self._source.reading, role)
        if pa.types.is_null(kind):
            return pa.nulls(len(column), to)
        if isinstance(kind, pa.UuidType):
            return pa.array([value if value is None else str(value) for value in column.to_pylist()], to)
        if pa.types.is_integer(kind) and role == "id":
            return column.cast(to)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return self._checked(column.cast(to), name, row)
        if isinstance(kind, pa.BaseExtensionType) and not isinstance(column, pa.DictionaryArray):
            stored = pa.chunked_array([chunk.storage for chunk in _chunks(column)], kind.storage_type)
            return self._string_of(stored, role, row)
        if _is_binary(kind):
            return self._decoded(column.cast(pa.large_binary()), to, name, row)
        raise DataError(
            f"{self._source.path}, column {name}: expected a column of strings, found {column.type}: cast it to string first, "
            f"or name another column with --{role}-column"
        )

    def _checked(self, column: Any, name: str, row: int) -> Any:
        """A column, if its strings are UTF-8: Arrow reads any bytes of a user's Parquet as strings."""
        if self._marks and (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid:
                return self._decoded(column.cast(pa.large_binary()), column.type, name, row)
        return column

    def _decoded(self, column: Any, to: pa.DataType, name: str, row: int) -> Any:
        try:
            return column.cast(to)
        except pa.ArrowInvalid:
            for k, value in enumerate(column.to_pylist()):
                try:
                    str(value or b"", "utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{self._source.path}, column {name}, row {row + k}: bytes that are not UTF-8 ({error.reason} at byte "
                        f"{error.start}): write the column again, decoded with errors='replace'"
                    ) from error
            raise


def _chunks(column: Any) -> list[Any]:
    return list(column.chunks) if isinstance(column, pa.ChunkedArray) else [column]


def _is_binary(kind: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _struct_field(schema: pa.Schema, path: str) -> pa.Field | None:
    """The field inside a struct column, as ``metadata.url``; None where there is none."""
    first, *rest = path.split(".")
    field = schema.field(first) if first in schema.names else None
    for part in rest:
        if field is None or not pa.types.is_struct(field.type) or field.type.get_field_index(part) < 0:
            return None
        field = field.type.field(part)
    return field


def _column_at(table: pa.Table, path: str) -> Any:
    if path in table.column_names:
        return table[path]
    first, *rest = path.split(".")
    return pc.struct_field(table[first], rest)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The type in which stages get a column: views, which Arrow can neither filter nor take from, become plain types."""
    if pa.types.is_string_view(kind):
        return STRING
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain_type(kind.key_type), _plain_type(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_type(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_plain_type(kind.value_type)))
    return kind


def _plain(column: Any) -> Any:
    """A column of the type that `_plain_type` says."""
    kind = _plain_type(column.type)
    return column if kind == column.type else column.cast(kind)
