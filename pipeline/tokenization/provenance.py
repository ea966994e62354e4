"""Provenance: from a token, or a step of training, to documents.

Invariants: ``provenance.parquet`` is a folder with a file per shard of tokens, which Parquet readers read as one table. It has
a row per piece of a document (`PROVENANCE`), in the order of the tokens; padding has none. ``about/tokens.json`` says what the
tokens are and in which order they are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import filesystem, join
from goldwash.pipeline.storage.sealed import read_sealed
from goldwash.pipeline.tokenization.packing import PIECES

FOLDER, FACTS = "provenance.parquet", "about/tokens.json"
GROUP_ROWS = 1 << 16

PROVENANCE = pa.schema(
    [("shard", pa.int32()), ("start", pa.int64()), ("end", pa.int64())]
    + [PIECES.field(name) for name in ("id", "source", "host", "score", "epoch", "bytes", "offset", "masked")]
)
"""Tokens ``start`` to before ``end`` of a shard are from a document: its ``id``, ``source``, ``host``, ``score`` and
``epoch``. ``bytes``: the UTF-8 bytes of text that they stand for. ``offset``: how many tokens of the document come before.
``masked``: how many of the first ones are a tag, and do not count in the loss."""


def file_of(shard: int) -> str:
    """The file of a shard, below the stage's folder."""
    return f"{FOLDER}/part-{shard:05d}.parquet"


def rows_of(shard: int, pieces: pa.Table) -> pa.Table:
    """The rows of a shard, whose pieces' ``start`` and ``end`` count from its first token."""
    number = pa.array([shard] * pieces.num_rows, pa.int32())
    columns = {"shard": number, **{name: pieces[name] for name in PROVENANCE.names[1:]}}
    return pa.table(columns, schema=PROVENANCE)


@dataclass(frozen=True)
class Span:
    """Consecutive tokens of one shard."""

    shard: int
    start: int
    end: int


def facts_in(folder: str) -> dict[str, Any]:
    """What ``about/tokens.json`` says; a `DataError` where the folder has no such file."""
    facts = read_sealed(join(folder, FACTS))
    if facts is None:
        raise DataError(
            f"{folder} has no {FACTS}: give the --out of a finished `goldwash tokenize` that wrote a format, or RUN:tokenize"
        )
    return facts


def spans_of_step(facts: Mapping[str, Any], step: int, batch: int) -> list[Span]:
    """The tokens of a step of ``batch`` sequences, counted from 0, in the order of the shards.

    Raises `RecipeError` for a step that is not there, and where the rows are documents: their trainer packs them itself.
    """
    length, rows, per_shard = facts["row_tokens"], facts["rows"], facts["shard_rows"]
    if length is None:
        raise RecipeError("these tokens are whole documents, and their trainer decides what a step is: ask for --token SHARD:N")
    steps = -(-rows // batch)
    if not 0 <= step < steps:
        raise RecipeError(f"step {step}: expected 0 to {steps - 1}: there are {rows:,} sequences, {batch:,} to a step")
    spans = []
    row, end = step * batch, min((step + 1) * batch, rows)
    while row < end:
        shard, first = divmod(row, per_shard)
        last = min(per_shard, first + end - row)
        spans.append(Span(shard, first * length, last * length))
        row += last - first
    return spans


def documents_in(folder: str, span: Span) -> pa.Table:
    """The rows of `PROVENANCE` that have a token of the span."""
    location = join(folder, file_of(span.shard))
    fs, path = filesystem(location)
    try:
        with fs.open(path, "rb") as file:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            groups = [n for n in range(parquet.num_row_groups) if _overlaps(parquet.metadata.row_group(n), span)]
            found = parquet.read_row_groups(groups, use_threads=False)  # Arrow's threads may outlive the interpreter's end
    except FileNotFoundError as error:
        raise DataError(f"{location}: no such file: there is no shard {span.shard}, or its provenance was removed") from error
    return found.filter((pc.field("start") < span.end) & (pc.field("end") > span.start))


def _overlaps(group: Any, span: Span) -> bool:
    """Whether a row group may have a token of the span, by its statistics."""
    columns = {group.column(n).path_in_schema: group.column(n).statistics for n in range(group.num_columns)}
    start, end = columns["start"], columns["end"]
    if start is None or end is None or not (start.has_min_max and end.has_min_max):
        return True
    return bool(start.min < span.end and end.max > span.start)
