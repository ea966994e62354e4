"""Inputs by index: the records that a query of Common Crawl's index names, fetched as ranges of their archives.

Invariants:

- ``cdx:FILE`` names an index: Parquet, or JSON lines (also CDXJ, gzipped or not), with the columns of Common Crawl's columnar
  index (``warc_filename``, ``warc_record_offset``, ``warc_record_length``) or those of its CDX server (``filename``,
  ``offset``, ``length``). Other columns are ignored.
- Records are in the order of archive and offset, each once. A part of `PART_BYTES` is one input, ``cdx:FILE#FROM-TO``, so
  that parts depend on the index alone.
- Ranges of one archive with at most `GAP_BYTES` between them are one request of at most `REQUEST_BYTES`; the bytes between are
  not kept.
- A document's ``archive`` and ``offset`` are those of the index. A record that is not there (no such archive, a range past its
  end) is counted as damage, with archive and offset.
"""

import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.pipeline.storage.atomic import anonymous_temp_file
from goldwash.pipeline.storage.downloads import local_copy, worth_another_request
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.parquet import read_whole
from goldwash.pipeline.storage.patience import patiently
from goldwash.pipeline.storage.retry import answer_behind, status_of
from goldwash.pipeline.storage.source import Input
from goldwash.text_output import printable

INDEX = "cdx:"
PART_BYTES = 64 << 20
"""Bytes of records per task."""
GAP_BYTES = 64 << 10
"""A gap that costs less than another request."""
REQUEST_BYTES = 32 << 20
NAMES = (("warc_filename", "filename"), ("warc_record_offset", "offset"), ("warc_record_length", "length"))
MOST_RECORD = 1 << 31

Base = Callable[[str], str]
"""The location of an archive that an index names."""


@dataclass(frozen=True)
class Index:
    """The records of an index, in order: archives' names, and ``int64[N]`` offsets and lengths."""

    names: tuple[str, ...]
    archive: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def parts(self) -> list[tuple[int, int]]:
        """Ranges of records of about `PART_BYTES`."""
        edges, held = [0], 0
        for n, length in enumerate(self.lengths.tolist()):
            if held and held + length > PART_BYTES:
                edges.append(n)
                held = 0
            held += length
        return [(a, b) for a, b in zip(edges, [*edges[1:], len(self.lengths)], strict=True) if b > a]


@dataclass
class Places:
    """Where the bytes of a copy come from, and the records that were not there."""

    starts: list[int] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    missing: list[dict[str, Any]] = field(default_factory=list)
    """As the damage of the extract stage: ``archive``, ``offset``, ``bytes``, ``reason``."""

    def of(self, at: int) -> tuple[str, int]:
        """The archive, and the offset in it, of a byte of the copy."""
        n = max(0, int(np.searchsorted(self.starts, at, side="right")) - 1)
        return self.archives[n], self.offsets[n] + at - self.starts[n]

    def located(self, table: pa.Table) -> pa.Table:
        """A table of documents with the columns ``archive`` and ``offset`` of the index."""
        found = [self.of(at) for at in table["offset"].to_pylist()]
        for name, values in (("archive", [a for a, _ in found]), ("offset", [o for _, o in found])):
            i = table.schema.get_field_index(name)
            table = table.set_column(i, table.schema.field(i), pa.array(values, table.schema.field(i).type))
        return table


def is_index(name: str) -> bool:
    """Whether a name is that of an index or a part of one."""
    return name.startswith(INDEX)


def index_inputs(name: str) -> list[Input]:
    """The parts of an index as inputs; `DataError` for a file that is none, or names no record."""
    index = read_index(name.removeprefix(INDEX))
    return [_part(name, index, a, b) for a, b in index.parts()]


def part_at(path: str) -> Input:
    """The input of a part's path, as the index is now."""
    place, a, b = _parted(path)
    return _part(INDEX + place, read_index(place), a, b)


def _part(name: str, index: Index, a: int, b: int) -> Input:
    digest = hashlib.sha256(repr((index.names, index.archive[a:b].tolist())).encode())
    digest.update(index.offsets[a:b].tobytes() + index.lengths[a:b].tobytes())
    last = name.rstrip("/").rpartition("/")[2].removeprefix(INDEX)
    return Input(f"{name}#{a}-{b}", int(index.lengths[a:b].sum()), f"index {digest.hexdigest()[:32]}", name=f"{last}#{a}-{b}")


def _parted(path: str) -> tuple[str, int, int]:
    place, _, part = path.removeprefix(INDEX).rpartition("#")
    a, _, b = part.partition("-")
    return place, int(a), int(b)


def read_index(location: str) -> Index:
    """The records of an index file; `DataError` says which line, column or row is wrong."""
    facts = os.stat(filesystem(location)[1]) if is_local(location) and os.path.exists(filesystem(location)[1]) else None
    return _index(location, (facts.st_size, facts.st_mtime_ns) if facts else None)


@lru_cache(maxsize=4)
def _index(location: str, _stamp: tuple[int, int] | None) -> Index:
    try:
        with local_copy(location) as path:
            return _read(location, path)
    except FileNotFoundError as error:
        raise DataError(f"{location}: no such index") from error


def _read(location: str, path: str) -> Index:
    with open(path, "rb") as file:
        start = file.read(4)
    try:
        table = read_whole(path, _columns(pq.read_schema(path).names, location)) if start == b"PAR1" else _json(path, location)
    except (pa.ArrowException, OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise DataError(
            f"{location} is not an index: expected Parquet, JSON lines or CDXJ ({printable(str(error), 200)})"
        ) from error
    names, offsets, lengths = (_values(table, column, location) for column in _columns(table.column_names, location))
    if not len(table):
        raise DataError(f"{location} names no record: the query found nothing")
    archives, codes = np.unique(np.asarray(names, object).astype(str), return_inverse=True)
    numbers = [_whole(values, location) for values in (offsets, lengths)]
    order = np.lexsort((numbers[0], codes))
    codes, starts, sizes = codes[order], numbers[0][order], numbers[1][order]
    once = np.r_[True, (np.diff(codes) != 0) | (np.diff(starts) != 0)]
    return Index(tuple(archives.tolist()), codes[once].astype(np.int64), starts[once], sizes[once])


def _columns(names: list[str], location: str) -> list[str]:
    found = [next((name for name in pair if name in names), "") for pair in NAMES]
    if "" in found:
        lacking = " or ".join(NAMES[found.index("")])
        raise DataError(
            f"{location} is not an index: it has no column {lacking} (it has: {', '.join(map(printable, names[:20]))})"
        )
    return found


def _json(path: str, location: str) -> pa.Table:
    """JSON lines, or CDXJ: what comes before the first brace is the key and the time."""
    with open(path, "rb") as file:
        data = file.read()
    text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8-sig")
    rows = []
    for number, line in enumerate(io.StringIO(text), 1):
        brace = line.find("{")
        if not line.strip():
            continue
        try:
            row = json.loads(line[brace:]) if brace >= 0 else None
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise pa.ArrowInvalid(f"line {number} holds no JSON object")
        found = {name: _written(row[name]) for pair in NAMES for name in pair if name in row}
        if not found:
            lacking = " or ".join(NAMES[0])
            raise DataError(
                f"{location} is not an index: line {number} has no column {lacking}: {printable(line.strip(), 200)}"
            )
        rows.append(found)
    return pa.Table.from_pylist(rows) if rows else pa.table({pair[1]: pa.array([], pa.string()) for pair in NAMES})


def _written(value: Any) -> str | None:
    """A JSON value as text: the CDX server writes numbers as strings, other tools as numbers, and a file may have both."""
    whole = isinstance(value, float) and value.is_integer()
    return None if value is None else str(int(value) if whole else value)


def _values(table: pa.Table, column: str, location: str) -> list[Any]:
    values = table[column]
    if values.null_count:
        row = int(pc.index(pc.is_null(values), True).as_py())
        raise DataError(f"{location}, row {row}: {column} is null; expected the place of a record")
    return list(values.to_pylist())


def _number(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} is not whole")
    return int(value)


def _whole(values: list[Any], location: str) -> npt.NDArray[np.int64]:
    try:
        numbers = np.array([_number(value) for value in values], np.int64)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{location}: expected whole numbers for offsets and lengths ({printable(str(error), 200)})") from error
    wrong = np.flatnonzero(numbers < 0)
    if len(wrong):
        raise DataError(f"{location}, row {wrong[0]}: {numbers[wrong[0]]} is no place in an archive")
    return numbers


# --- fetching


@contextmanager
def fetched_part(path: str, base: Base) -> Iterator[tuple[str, Places]]:
    """A file with the records of a part, one after the other, and where they come from."""
    place, a, b = _parted(path)
    index = read_index(place)
    places = Places()
    with anonymous_temp_file() as copy:
        with open(copy, "wb") as file:
            for rows in _requests(index, a, b):
                name = index.names[index.archive[rows[0]]]
                _take(index, rows, name, base(name), file, places)
        yield copy, places


def _requests(index: Index, a: int, b: int) -> Iterator[list[int]]:
    """Rows that one request fetches."""
    held: list[int] = []
    for row in range(a, b):
        if held:
            end = index.offsets[held[-1]] + index.lengths[held[-1]]
            near = index.archive[row] == index.archive[held[-1]] and index.offsets[row] - end <= GAP_BYTES
            if not near or index.offsets[row] + index.lengths[row] - index.offsets[held[0]] > REQUEST_BYTES:
                yield held
                held = []
        held.append(row)
    if held:
        yield held


def _take(index: Index, rows: list[int], name: str, location: str, file: Any, places: Places) -> None:
    start = int(index.offsets[rows[0]])
    end = max(int(index.offsets[row] + index.lengths[row]) for row in rows)
    data, reason = _range(location, start, end)
    for row in rows:
        offset, length = int(index.offsets[row]), int(index.lengths[row])
        piece = data[offset - start : offset - start + length]
        if len(piece) < length or not length:
            why = reason or "the index names a record here, and the archive ends before it"
            places.missing.append({"archive": name, "offset": offset, "bytes": length, "reason": why})
            continue
        places.starts.append(file.tell())
        places.archives.append(name)
        places.offsets.append(offset)
        file.write(piece)


def _range(location: str, start: int, end: int) -> tuple[bytes, str]:
    """The bytes of a range, fewer where the archive ends before it, and why there are none."""
    if end - start > MOST_RECORD:
        return b"", "the index names a record of more than 2 GB"
    fs, path = filesystem(location)
    try:
        with in_plain_words(location):
            if is_local(location):
                with open(path, "rb") as file:
                    file.seek(start)
                    return file.read(end - start), ""
            data = bytes(patiently(location, lambda: fs.cat_file(path, start=start, end=end), worth_another_request))
    except (FileNotFoundError, IsADirectoryError):
        return b"", "the index names a record of an archive that is not there"
    except DataError as error:
        if error.__cause__ is not None and status_of(answer_behind(error.__cause__)) == 416:
            return b"", ""
        raise
    return data[start:end] if len(data) > end - start else data, ""
