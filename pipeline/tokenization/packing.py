"""Packing: a stream of documents is cut into rows, sequences of one length or whole documents.

Invariants:

* The stream is each document's tag, tokens and end-of-text token, in order, across shards. Row ``i`` is the stream from
  ``i * length`` on: no token is left out at a shard's end, and only the stream's last row is padded, with end-of-text tokens.
* A *piece* is the part of a document that is in one row. The pieces of a row cover it, but for the padding.
* Bytes of text are counted to pieces so that they add up to the document's: by the tokens' own bytes where these are known,
  else in proportion to the tokens.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Numbers = npt.NDArray[np.int64]

BLOCK_TOKENS = 1 << 19
"""Tokens whose bytes are counted at once: with 30 million at once, allocating memory made it five times slower."""

DOCUMENT_COLUMNS = ("id", "source", "host", "score", "epoch")
"""What a piece repeats of its document."""

PIECES = pa.schema(
    [
        ("row", pa.int64()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("masked", pa.int32()),
        ("offset", pa.int64()),
        ("bytes", pa.int64()),
        ("id", pa.string()),
        ("source", pa.string()),
        ("host", pa.string()),
        ("score", pa.float64()),
        ("epoch", pa.int32()),
    ]
)
"""A piece: its row, ``start`` and ``end`` in that row, how many of its first tokens are a tag, ``offset`` of its first token in
the document (tag included), bytes of text, and the document's columns."""


@dataclass(frozen=True)
class Documents:
    """Documents of a stream: ``ids`` with tags and ends, ``starts: int64[N + 1]`` in ``ids``, how many tokens are a tag.

    ``table`` has the columns of `DOCUMENT_COLUMNS` and ``bytes``.
    """

    ids: npt.NDArray[Any]
    starts: Numbers
    tags: Numbers
    table: pa.Table

    def __len__(self) -> int:
        return len(self.starts) - 1


def documents_of(
    table: pa.Table, ids: npt.NDArray[Any], tags: npt.NDArray[Any], end: int, tagged: bool, chosen: npt.NDArray[np.bool_]
) -> Documents:
    """The chosen documents of a table of a token shard.

    ``ids`` and ``tags``: the tokens and tags of all documents of the table, one after the other.
    """
    counts = np.asarray(table["token_count"], np.int64)
    tag_counts = np.asarray(table["tag_count"], np.int64)
    if not chosen.all():
        ids = ids[np.repeat(chosen, counts)]
        tags = tags[np.repeat(chosen, tag_counts)]
        table = table.filter(pa.array(chosen))
        counts, tag_counts = counts[chosen], tag_counts[chosen]
    if not tagged:
        tag_counts = np.zeros_like(tag_counts)
    starts = np.concatenate([[0], np.cumsum(counts + tag_counts + 1)]).astype(np.int64)
    out = np.empty(int(starts[-1]), ids.dtype)
    ordinary = np.ones(len(out), bool)
    out[starts[1:] - 1] = end
    ordinary[starts[1:] - 1] = False
    if tag_counts.any():
        places = _ranges(starts[:-1], tag_counts)
        out[places] = tags
        ordinary[places] = False
    out[ordinary] = ids
    return Documents(out, starts, tag_counts, table.select([*DOCUMENT_COLUMNS, "bytes"]))


def _ranges(starts: Numbers, counts: Numbers) -> Numbers:
    """The numbers ``start, start + 1 ...``, ``count`` of each."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))


@dataclass(frozen=True)
class Rows:
    """Consecutive rows: ``ids`` of all, ``lengths: int64[N]``, the number of the first, their pieces (``row`` from 0)."""

    ids: npt.NDArray[Any]
    lengths: Numbers
    first: int
    pieces: pa.Table

    def __len__(self) -> int:
        return len(self.lengths)


def sequences(
    documents: Iterable[Documents],
    length: int,
    begin: int,
    rows: tuple[int, int],
    end: int,
    byte_lengths: npt.NDArray[np.int32] | None,
    most: int,
) -> Iterator[Rows]:
    """The sequences ``rows[0]`` to before ``rows[1]`` of a stream, in groups of about ``most`` tokens.

    ``documents``: from the stream's token ``begin`` on, as far as the last sequence needs them. ``end``: what the last one is
    padded with. Raises ``AssertionError`` where the documents begin after the first sequence.
    """
    held: list[Documents] = []
    row, position = rows[0], begin
    assert begin <= row * length
    if row == rows[1]:
        return
    for some in documents:
        held.append(some)
        position += len(some.ids)
        ready = min(position // length, rows[1]) - row
        if ready * length >= most or position >= rows[1] * length:
            made, held, begin = _cut(held, length, begin, (row, row + ready), byte_lengths)
            row += ready
            yield made
        if row >= rows[1]:
            return
    if row < rows[1]:
        padding = rows[1] * length - position
        yield _padded(_cut(held, length, begin, (row, rows[1]), byte_lengths)[0], length, end if padding > 0 else None)


def _padded(rows: Rows, length: int, end: int | None) -> Rows:
    if end is None:
        return rows
    missing = len(rows) * length - len(rows.ids)
    return Rows(np.concatenate([rows.ids, np.full(missing, end, rows.ids.dtype)]), rows.lengths, rows.first, rows.pieces)


def _cut(
    held: list[Documents],
    length: int,
    begin: int,
    rows: tuple[int, int],
    byte_lengths: npt.NDArray[np.int32] | None,
) -> tuple[Rows, list[Documents], int]:
    """Rows of documents that begin at the stream's token ``begin``; what is left of the documents, and where it begins."""
    joined = _joined(held)
    low, high = rows[0] * length - begin, min(rows[1] * length - begin, len(joined.ids))
    last = int(np.searchsorted(joined.starts, high, "left"))  # documents that begin before the end
    pieces = _pieces(joined, low, high, length, byte_lengths)
    made = Rows(joined.ids[low:high], np.full(rows[1] - rows[0], length, np.int64), rows[0], pieces)
    keep = last - 1 if last and joined.starts[last] > high else last
    keep = max(0, min(keep, len(joined)))
    left = _from(joined, keep)
    return made, ([left] if len(left) else []), begin + int(joined.starts[keep])


def _joined(held: list[Documents]) -> Documents:
    if len(held) == 1:
        return held[0]
    ids = np.concatenate([d.ids for d in held])
    sizes = np.concatenate([np.diff(d.starts) for d in held])
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Documents(ids, starts, np.concatenate([d.tags for d in held]), pa.concat_tables([d.table for d in held]))


def _from(documents: Documents, n: int) -> Documents:
    """The documents from one on."""
    at = int(documents.starts[n])
    return Documents(documents.ids[at:], documents.starts[n:] - at, documents.tags[n:], documents.table.slice(n))


def _pieces(documents: Documents, low: int, high: int, length: int, byte_lengths: npt.NDArray[np.int32] | None) -> pa.Table:
    """The pieces of the tokens ``low`` to before ``high``, in rows of ``length`` that begin at ``low``."""
    inner = documents.starts[(documents.starts > low) & (documents.starts < high)]
    cuts = np.unique(np.concatenate([inner, np.arange(low, high, length, dtype=np.int64)]))
    ends = np.concatenate([cuts[1:], [high]]).astype(np.int64) if len(cuts) else cuts
    owners = np.searchsorted(documents.starts, cuts, "right") - 1
    return _piece_table(documents, cuts, ends, owners, (cuts - low) // length, byte_lengths, (cuts - low) % length)


def _piece_table(
    documents: Documents,
    cuts: Numbers,
    ends: Numbers,
    owners: Numbers,
    rows: Numbers,
    byte_lengths: npt.NDArray[np.int32] | None,
    within: Numbers,
) -> pa.Table:
    offsets = cuts - documents.starts[owners]
    masked = np.clip(documents.tags[owners] - offsets, 0, ends - cuts)
    columns: dict[str, Any] = {
        "row": rows,
        "start": within,
        "end": within + (ends - cuts),
        "masked": masked.astype(np.int32),
        "offset": offsets,
        "bytes": _piece_bytes(documents, cuts, ends, owners, byte_lengths),
    }
    facts = documents.table.select(list(DOCUMENT_COLUMNS)).take(pa.array(owners))
    return pa.table({**columns, **{name: facts[name] for name in DOCUMENT_COLUMNS}}, schema=PIECES)


def _piece_bytes(
    documents: Documents, cuts: Numbers, ends: Numbers, owners: Numbers, byte_lengths: npt.NDArray[np.int32] | None
) -> Numbers:
    sizes = np.asarray(documents.table["bytes"], np.int64)
    begins = documents.starts[:-1] + documents.tags
    if byte_lengths is not None and len(cuts):
        return _counted_bytes(documents, cuts, int(ends[-1]), byte_lengths)
    tokens = np.maximum(documents.starts[1:] - 1 - begins, 1)

    def counted(at: Numbers) -> Numbers:
        seen = np.clip(at - begins[owners], 0, tokens[owners])
        return np.asarray(sizes[owners] * seen // tokens[owners], np.int64)

    last = ends >= documents.starts[owners + 1]
    return np.where(last, sizes[owners], counted(ends)) - counted(cuts)


def _counted_bytes(documents: Documents, cuts: Numbers, end: int, byte_lengths: npt.NDArray[np.int32]) -> Numbers:
    """The bytes that the tokens of each piece stand for, tags left out. Pieces follow one another, and none is empty."""
    found = np.empty(len(cuts), np.int64)
    marks = _ranges(documents.starts[:-1], documents.tags) if documents.tags.any() else np.zeros(0, np.int64)
    edges = np.searchsorted(cuts, np.arange(int(cuts[0]), end, BLOCK_TOKENS))
    for a, b in pairwise(np.unique(np.append(edges, len(cuts))).tolist()):
        first, last = int(cuts[a]), int(cuts[b]) if b < len(cuts) else end
        sizes = byte_lengths[documents.ids[first:last]]
        low, high = np.searchsorted(marks, (first, last))
        sizes[marks[low:high] - first] = 0
        found[a:b] = np.add.reduceat(sizes, cuts[a:b] - first, dtype=np.int64)
    return found


def whole(documents: Iterable[Documents], first: int, byte_lengths: npt.NDArray[np.int32] | None, most: int) -> Iterator[Rows]:
    """Documents as rows of their own, in groups of about ``most`` tokens; ``first``: the number of the first."""
    held: list[Documents] = []
    tokens = 0
    for some in documents:
        held.append(some)
        tokens += len(some.ids)
        if tokens >= most:
            yield _rows(_joined(held), first, byte_lengths)
            first += sum(map(len, held))
            held, tokens = [], 0
    if held:
        yield _rows(_joined(held), first, byte_lengths)


def _rows(documents: Documents, first: int, byte_lengths: npt.NDArray[np.int32] | None) -> Rows:
    count = len(documents)
    every = np.arange(count, dtype=np.int64)
    cuts, ends = documents.starts[:-1], documents.starts[1:]
    pieces = _piece_table(documents, cuts, ends, every, every, byte_lengths, np.zeros(count, np.int64))
    return Rows(documents.ids, ends - cuts, first, pieces)
