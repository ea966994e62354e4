"""The files between the two passes of the shuffle: rows, sorted by the bucket of the order that they belong to.

Invariants: a file has chunks, and each chunk a section per bucket. An index at the end says where the sections of a bucket are,
all chunks together, so that a bucket costs one small read per file and one read per section. A section and its line of the
index are checked by a CRC-32 that begins with the stage's fingerprint: a section of another run, another bucket or with a
flipped bit is refused.

Layout: sections; ``uint64[buckets][chunks][3]`` of offset, bytes and checksum; ``uint32[buckets]``, the checksums of the lines;
``uint64[2]``, buckets and chunks. Section: ``uint64[3]`` of rows, tokens and bytes of pieces; positions ``uint64[rows]`` in the
order; lengths ``int64[rows]``; ids; pieces as an Arrow stream.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.pipeline.storage.binary import BinaryWriter
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.retry import with_retries
from goldwash.pipeline.tokenization.packing import Rows

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Section:
    """Rows of a bucket: their ``positions: int64[N]`` in the order, ``lengths``, ``ids``, and pieces (``row`` from 0)."""

    positions: Numbers
    lengths: Numbers
    ids: npt.NDArray[Any]
    pieces: pa.Table


class SectionsWriter:
    """Writes such a file. Memory: the rows of one chunk and their sorted copy."""

    def __init__(self, location: str, buckets: int, bucket_rows: int, fingerprint: str) -> None:
        self.location, self._buckets, self._bucket_rows, self._seed = location, buckets, bucket_rows, fingerprint
        self._chunks: list[npt.NDArray[np.uint64]] = []
        self._file = BinaryWriter(location)

    def write(self, data: tuple[Rows, Numbers]) -> None:
        """Add a chunk: rows, and their positions in the order."""
        rows, positions = data
        order = np.argsort(positions, kind="stable")
        buckets = positions[order] // self._bucket_rows
        edges = np.searchsorted(buckets, np.arange(self._buckets + 1))
        starts = np.cumsum(rows.lengths) - rows.lengths
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        ranked = rank[np.asarray(rows.pieces["row"], np.int64)]
        by_rank = np.argsort(ranked, kind="stable")
        pieces, ranked = rows.pieces.take(pa.array(by_rank)), ranked[by_rank]
        cuts = np.searchsorted(ranked, edges)
        index = np.zeros((self._buckets, 3), np.uint64)
        for bucket in np.flatnonzero(np.diff(edges)).tolist():
            a, b = int(edges[bucket]), int(edges[bucket + 1])
            chosen = order[a:b]
            some = pieces.slice(int(cuts[bucket]), int(cuts[bucket + 1] - cuts[bucket]))
            at = some.schema.get_field_index("row")
            some = some.set_column(at, some.schema.field(at), pa.array(ranked[cuts[bucket] : cuts[bucket + 1]] - a))
            ids = _ragged(rows.ids, starts[chosen], rows.lengths[chosen])
            parts = _encoded(Section(positions[chosen], rows.lengths[chosen], ids, some))
            index[bucket] = self._put(parts, bucket)
        self._chunks.append(index)
        self._file.rows += len(rows)

    def _put(self, parts: list[Any], bucket: int) -> tuple[int, int, int]:
        at, check = self._file.bytes, _begun(self._seed, bucket)
        for part in parts:
            self._file.write(part)
            check = zlib.crc32(part, check)
        return at, self._file.bytes - at, check

    def commit(self) -> dict[str, Any]:
        """Write the index, and publish the file."""
        index = np.stack(self._chunks, 1) if self._chunks else np.zeros((self._buckets, 0, 3), np.uint64)
        checks = np.array([zlib.crc32(line.tobytes(), _begun(self._seed, n)) for n, line in enumerate(index)], np.uint32)
        for part in (np.ascontiguousarray(index), checks, np.array([self._buckets, len(self._chunks)], np.uint64)):
            self._file.write(part)
        return self._file.commit()

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.abandon()


def _begun(fingerprint: str, bucket: int) -> int:
    return zlib.crc32(f"{fingerprint} {bucket}".encode())


def _ragged(ids: npt.NDArray[Any], starts: Numbers, lengths: Numbers) -> npt.NDArray[Any]:
    """The ids of some rows, one after the other."""
    if len(lengths) and (lengths == lengths[0]).all() and (starts % lengths[0] == 0).all() and len(ids) % lengths[0] == 0:
        return np.asarray(ids.reshape(-1, int(lengths[0]))[starts // lengths[0]])
    pieces = [ids[a : a + n] for a, n in zip(starts.tolist(), lengths.tolist(), strict=True)]
    return np.concatenate(pieces) if pieces else ids[:0]


def _encoded(section: Section) -> list[Any]:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, section.pieces.schema) as writer:
        writer.write_table(section.pieces.combine_chunks())
    stream = sink.getvalue()
    head = np.array([len(section.positions), section.ids.size, stream.size], np.uint64)
    ids = np.ascontiguousarray(section.ids)
    arrays: list[Any] = [head, section.positions.astype(np.uint64), section.lengths.astype(np.int64), ids]
    return [memoryview(a).cast("B") for a in arrays if a.nbytes] + [memoryview(stream)]


def _decoded(data: bytes, dtype: np.dtype[Any]) -> Section:
    rows, tokens, size = (int(n) for n in np.frombuffer(data, np.uint64, 3))
    at = 24
    positions = np.frombuffer(data, np.uint64, rows, at).astype(np.int64)
    at += 8 * rows
    lengths = np.frombuffer(data, np.int64, rows, at)
    at += 8 * rows
    ids = np.frombuffer(data, dtype, tokens, at)
    at += tokens * dtype.itemsize
    with pa.ipc.open_stream(pa.py_buffer(data)[at : at + size]) as reader:
        return Section(positions, lengths, ids, reader.read_all())


def sections(location: str, bucket: int, fingerprint: str, dtype: np.dtype[Any]) -> Iterator[Section]:
    """The sections of a bucket in one file, chunk by chunk.

    Raises `DataError` where the file is missing, cut off, changed, or of another run.
    """
    try:
        with in_plain_words(location), _Ranges(location) as file:
            for at, size, check in _index_line(file, location, bucket, fingerprint):
                if not size:
                    continue
                data = file.read(at, size)
                if zlib.crc32(data, _begun(fingerprint, bucket)) != check:
                    raise _broken(location)
                yield _decoded(data, dtype)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{location} is missing: it was removed while it was needed; run again") from error


def _broken(location: str) -> DataError:
    return DataError(f"{location} is not what the first pass of the shuffle wrote: delete it and run again")


def _index_line(file: "_Ranges", location: str, bucket: int, fingerprint: str) -> list[tuple[int, int, int]]:
    size = file.size
    if size < 16:
        raise _broken(location)
    buckets, chunks = (int(n) for n in np.frombuffer(file.read(size - 16, 16), np.uint64))
    line = 24 * chunks
    begin = size - 16 - 4 * buckets - buckets * line
    if bucket >= buckets or begin < 0:
        raise _broken(location)
    data = file.read(begin + bucket * line, line)
    (check,) = np.frombuffer(file.read(size - 16 - 4 * buckets + 4 * bucket, 4), np.uint32).tolist()
    if zlib.crc32(data, _begun(fingerprint, bucket)) != check:
        raise _broken(location)
    return [(int(a), int(b), int(c)) for a, b, c in np.frombuffer(data, np.uint64).reshape(-1, 3)]


class _Ranges:
    """Reads ranges of a file: of a local one by seeking, of one in a store by requests for just these bytes."""

    def __init__(self, location: str) -> None:
        self._fs, self._path = filesystem(location)
        self._file = open(self._path, "rb", buffering=0) if is_local(location) else None  # noqa: SIM115
        self.size = int(self._file.seek(0, 2) if self._file else with_retries(lambda: self._fs.size(self._path)))

    def __enter__(self) -> "_Ranges":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def read(self, at: int, size: int) -> bytes:
        """Exactly these bytes, or fewer where the file ends."""
        if not size:
            return b""
        if self._file is None:
            return bytes(with_retries(lambda: self._fs.cat_file(self._path, start=at, end=at + size)))
        self._file.seek(at)
        parts = []
        while size and (part := self._file.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
