"""Token shards: Parquet with a row per document, its token ids and where it came from.

Invariants:

* Every shard of a stage has the columns of `schema_for`. ``tokens`` and ``tag`` are ids, little endian, in the vocabulary's
  type (``numpy.frombuffer(row, "<u2")``), without the end-of-text token or a beginning; ``token_count`` and ``tag_count`` say
  how many.
* The schema's metadata says which vocabulary the ids belong to (`Vocabulary`). Ids of different vocabularies are never mixed.
* A shard that stands for one of an earlier stage (`indexed`) has counts and no ids: they are read where they are.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats import parquet_rows
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.tokenization.tokenizers import Tokenizer

METADATA = b"goldwash.tokens"
INDEX = ("id", "url", "source", "host", "score", "epoch", "bytes", "token_count", "tag_count")
"""The columns beside the ids."""
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
        ("tokens", pa.large_binary()),
        ("tag", pa.large_binary()),
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


def check_has_ids(tables: Iterator[pa.Table], place: str) -> None:
    """Refuse an index (`indexed`) as input; ``tables``: those of the file, with ``token_count`` and ``tokens``."""
    for table in tables:
        held = np.asarray(table["token_count"], np.int64) > 0
        if held.any():
            if not flat(table["tokens"], np.dtype(np.uint8)).size:
                raise DataError(
                    f"{place} is an index of token shards and holds no ids: give the token shards that it was made from as "
                    "--input"
                )
            return


def packed_ids(ids: npt.NDArray[Any], lengths: Numbers, dtype: np.dtype[Any]) -> pa.Array:
    """Ids, one document after the other, as a column of bytes: five times as fast to write as a column of lists."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths * dtype.itemsize, out=offsets[1:])
    data = np.ascontiguousarray(ids.astype(dtype, copy=False))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(lengths), buffers)


def flat(column: pa.ChunkedArray, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The ids of a column of bytes, one document after the other."""
    parts = []
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        if data is None:
            continue
        bounds = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        parts.append(np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]].view(dtype))
    return np.concatenate(parts) if len(parts) != 1 else parts[0]


def tables_of(source: Input, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The rows of a token shard in order, with these columns or all; `DataError` where it is missing, broken or changed."""
    with parquet_rows.opened(source) as rows:
        yield from rows.tables(columns)


def indexed(table: pa.Table) -> pa.Table:
    """A table of `INDEX` with empty ids."""
    nothing = packed_ids(np.zeros(0, np.uint16), np.zeros(table.num_rows, np.int64), np.dtype(np.uint16))
    return table.append_column("tokens", nothing).append_column("tag", nothing)


def optional(table: pa.Table, name: str, kind: pa.DataType, place: str, default: Any = None) -> pa.Array:
    """A column cast to a type; ``default`` where the column or its value is missing.

    Raises `DataError` for a column that cannot be cast; it names the file, ``place``.
    """
    if name not in table.column_names:
        return pa.array([default] * table.num_rows, kind)
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    try:
        cast = column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"{place}, column {name}: expected {kind}, found {column.type} ({error}): cast it, or leave it out"
        ) from error
    return pc.fill_null(cast, default) if default is not None else cast
