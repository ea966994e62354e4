"""Tables of documents: their columns, and columns added or replaced.

Invariants: a column that came with the user's files (`INPUT_COLUMN` marks its field) is never overwritten: when a stage makes
one of the same name, the user's is kept as ``input_NAME``, or under the next free name that `kept_name` gives.
"""

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.texts import TextError, Texts
from goldwash.pipeline.storage.failures import DataError

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
"""The columns of every document: WARC-Record-ID, target URI, WARC-Date, the archive with the record's offset and length in it
(to fetch it again), the response's status, and the page's own title and language (null where it has none)."""

DROPPED = pa.schema(
    [("id", pa.string()), ("url", pa.string()), ("dropped_by", pa.string()), ("value", pa.float64()), ("detail", pa.string())]
)
"""A dropped document: the rule that dropped it, its value, and further details."""

INPUT_COLUMN = {b"goldwash": b"input"}
"""The metadata of a field that came with the user's files."""


def dropped_table(
    ids: pa.Array, urls: pa.Array, rule: str | Sequence[str], values: npt.ArrayLike, details: Sequence[str | None]
) -> pa.Table:
    """Rows for the shard of dropped documents. ``rule``: that of all, or of each."""
    n = len(ids)
    return pa.table(
        [
            ids.cast(pa.string()),
            urls.cast(pa.string()),
            pa.array([rule] * n if isinstance(rule, str) else rule, pa.string()),
            pa.array(np.asarray(values, np.float64), from_pandas=True),
            pa.array(details, pa.string()),
        ],
        schema=DROPPED,
    )


def texts_of(table: pa.Table, column: str, location: str, checked: bool = False) -> Texts:
    """A column as `Texts`; a `DataError` that names file and column where it is not text. ``checked``: see `Texts.of`."""
    try:
        return Texts.of(table[column], checked)
    except TextError as error:
        first = table["id"][0].as_py() if table.num_rows else "none"
        raise DataError(f"{location}, column {column}, in the batch that begins with id {first}: {error}") from error


def with_fields(schema: pa.Schema, **fields: pa.DataType) -> pa.Schema:
    """A schema with further columns; an existing one is replaced, and the user's own is kept as ``input_NAME``."""
    for name, kind in fields.items():
        i = schema.get_field_index(name)
        if i >= 0 and is_input(schema.field(i)):
            schema = schema.set(i, kept_field(schema.field(i), schema.names)).append(pa.field(name, kind))
        else:
            schema = schema.append(pa.field(name, kind)) if i < 0 else schema.set(i, pa.field(name, kind))
    return schema


def with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """A table with a column added or replaced; the user's own column of this name is kept as ``input_NAME``."""
    i = table.schema.get_field_index(name)
    if i >= 0 and is_input(table.schema.field(i)):
        table = table.set_column(i, kept_field(table.schema.field(i), table.column_names), table.column(i))
        i = -1
    return table.append_column(name, values) if i < 0 else table.set_column(i, name, values)


def is_input(field: pa.Field) -> bool:
    """Whether a column came with the user's files."""
    return (field.metadata or {}).get(b"goldwash") in (b"input", b"json")


def kept_field(field: pa.Field, taken: Collection[str]) -> pa.Field:
    """The user's column under the name by which it is kept."""
    field = field if is_json_text(field) else field.remove_metadata()
    return field.with_name(kept_name(field.name, taken))


def kept_name(name: str, taken: Collection[str]) -> str:
    """The name by which a column is kept whose own name another column takes: ``input_NAME``, and another ``input_`` before it
    as long as a column has that name.

    >>> kept_name("url", ["text"]), kept_name("url", ["input_url", "text"])
    ('input_url', 'input_input_url')
    """
    kept = f"input_{name}"
    while kept in taken:
        kept = f"input_{kept}"
    return kept


def is_json_text(field: pa.Field) -> bool:
    """Whether a column's strings are JSON, read from objects, lists or mixed values of JSON lines."""
    return (field.metadata or {}).get(b"goldwash") == b"json"
