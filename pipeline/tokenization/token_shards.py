"""Token shards: Parquet with a row per document, its token ids and where it came from.

Invariants:

* Every shard of a stage has the columns of `schema_for`. ``tokens`` and ``tag`` have neither the end-of-text token nor a
  beginning; ``token_count`` and ``tag_count`` are their lengths.
* The schema's metadata says which vocabulary the ids belong to (`Vocabulary`). Ids of different vocabularies are never mixed.
* A shard that stands for one of an earlier stage (`indexed`) has counts and no ids: they are read where they are.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.tokenization.tokenizers import Ids, Lengths, Tokenizer

METADATA = b"goldwash.tokens"
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """What the ids of a shard mean."""

    tokenizer: str
    """The digest of the tokenizer's file."""
    name: str
    end: int
    """The id that ends a document."""
    size: int
    """The largest id, plus one."""
    tag: str = ""
    """The template of the tag before each document."""

    @staticmethod
    def of(tokenizer: Tokenizer, end: int, tag: str) -> "Vocabulary":
        """The vocabulary of a tokenizer."""
        return Vocabulary(tokenizer.digest, tokenizer.name, end, tokenizer.size, tag)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of an id."""
        return np.dtype(np.uint16 if self.size <= 1 << 16 else np.uint32)


def schema_for(vocabulary: Vocabulary) -> pa.Schema:
    """The columns of a token shard."""
    ids = pa.list_(pa.uint16() if vocabulary.dtype.itemsize == 2 else pa.uint32())
    columns = [
        ("id", pa.string()),
        ("url", pa.string()),
        ("source", pa.string()),
        ("host", pa.string()),
        ("score", pa.float64()),
        ("epoch", pa.int32()),
        ("bytes", pa.int64()),
        ("token_count", pa.int64()),
        ("tag_count", pa.int32()),
        ("tokens", ids),
        ("tag", ids),
    ]
    return pa.schema(columns, metadata={METADATA: json.dumps(asdict(vocabulary), sort_keys=True)})


def vocabulary_of(schema: pa.Schema) -> Vocabulary | None:
    """The vocabulary of a token shard; None for a shard of another kind."""
    held = (schema.metadata or {}).get(METADATA)
    return Vocabulary(**json.loads(held)) if held else None


def check_same(found: Vocabulary, wanted: Vocabulary, place: str) -> None:
    """Refuse token shards of another vocabulary or tag; a `DataError` says what to do."""
    for what, one, other in (
        ("tokenizer", found.tokenizer, wanted.tokenizer),
        ("end-of-text token", found.end, wanted.end),
        ("tag", found.tag, wanted.tag),
    ):
        if one != other:
            shown = (found.name, wanted.name) if what == "tokenizer" else (repr(one), repr(other))
            raise DataError(
                f"{place} was tokenised with the {what} {shown[0]}, and this stage has {shown[1]}: give the same "
                "parameters, or tokenise its documents again"
            )


def lists(ids: Ids, lengths: Lengths, kind: pa.DataType) -> pa.Array:
    """Ids, one document after the other, as an array of lists."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    dtype = np.uint16 if kind.value_type == pa.uint16() else np.uint32
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids.astype(dtype, copy=False)), type=kind)


def flat(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """The ids of a column of lists, one document after the other."""
    parts = [chunk.flatten() for chunk in column.chunks]
    arrays = [np.asarray(part) for part in parts]
    return np.concatenate(arrays) if len(arrays) != 1 else arrays[0]


def indexed(table: pa.Table) -> pa.Table:
    """A table of a token shard without its ids."""
    for name in ("tokens", "tag"):
        kind = table.schema.field(name).type
        empty = pa.ListArray.from_arrays(pa.array(np.zeros(table.num_rows + 1, np.int32)), pa.array([], kind.value_type))
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), empty.cast(kind))
    return table


def optional(table: pa.Table, name: str, kind: pa.DataType, default: Any = None) -> pa.Array:
    """A column cast to a type; ``default`` where there is no such column, or one of another kind."""
    if name not in table.column_names:
        return pa.array([default] * table.num_rows, kind)
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    try:
        cast = column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column {name}: expected {kind}, found {column.type} ({error}): cast it, or leave it out") from error
    return pc.fill_null(cast, default) if default is not None else cast


def facts_of(values: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary from plain values."""
    return Vocabulary(**values)
