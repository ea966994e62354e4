"""The columns of files that differ, as one schema.

Invariants: no value loses a digit. A column that a file lacks is null there. Types are joined where every value of both fits
one of them (null with any, string with large_string, whole numbers of one sign, float32 with float64, a dictionary with its
values); any other two are an error that names the column, both files and the cure.
"""

import base64
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from goldwash.pipeline.storage.failures import DataError
from goldwash.text_output import printable


class SchemaError(DataError):
    """Columns of one name whose types cannot be joined."""


def packed(schema: pa.Schema) -> str:
    """A schema as text."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def unpacked(text: str) -> pa.Schema:
    """The schema that `packed` wrote."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def united(found: Iterable[tuple[str, pa.Schema]], columns: Sequence[str] | None = None, cure: str = "") -> pa.Schema:
    """One schema for files, given as ``(file, schema)``: columns in the order of their first files.

    ``columns``: the columns to keep besides id, url and text; None keeps all. Raises `SchemaError` where two types of a column
    cannot be joined.
    """
    fields: dict[str, pa.Field] = {}
    first: dict[str, str] = {}
    for file, schema in found:
        for field in schema:
            if columns is not None and field.name not in (*columns, "id", "url", "text"):
                continue
            known = fields.setdefault(field.name, field)
            first.setdefault(field.name, file)
            kind = joined(known.type, field.type)
            if kind is None:
                raise SchemaError(
                    f"column {printable(field.name)} is {known.type} in {printable(first[field.name])} and {field.type} in "
                    f"{printable(file)}, and cannot be one column: cast or rename one of them{cure}"
                )
            if kind != known.type or not known.nullable:
                fields[field.name] = known.with_type(kind).with_nullable(True)
    return pa.schema(list(fields.values()))


def joined(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds every value of both; None where there is none.

    >>> joined(pa.int32(), pa.int64()), joined(pa.string(), pa.large_string()), joined(pa.int64(), pa.float64())
    (DataType(int64), DataType(large_string), None)
    """
    if one == other:
        return one
    for a, b in ((one, other), (other, one)):
        if pa.types.is_null(a):
            return b
        if pa.types.is_dictionary(a):
            return joined(a.value_type, b.value_type if pa.types.is_dictionary(b) else b)
    for test in (pa.types.is_signed_integer, pa.types.is_unsigned_integer, pa.types.is_floating):
        if test(one) and test(other):
            return one if one.bit_width >= other.bit_width else other
    for narrow, wide in ((pa.string(), pa.large_string()), (pa.binary(), pa.large_binary())):
        if {one, other} == {narrow, wide}:
            return wide
    return None


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with exactly the columns of a schema: cast to its types, null where it has none."""
    columns = []
    for field in schema:
        at = table.schema.get_field_index(field.name)
        column = table.column(at) if at >= 0 else pa.nulls(table.num_rows, field.type)
        if pa.types.is_dictionary(column.type) and column.type != field.type:
            column = pc.cast(column, column.type.value_type)
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.table(columns, schema=schema)
