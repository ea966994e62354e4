"""Files of slices: what one task leaves for many others, each of which reads its own slice.

A pass of T tasks that each write for P later tasks would need T x P files. Here it writes T files of P slices, and a later task
reads its slice of each: one file opened, two ranged reads (the index, the slice).

Invariants:

* A file is its slices one after the other, and then an index: where each slice ends (``uint64``) and its CRC-32 (``uint32``).
* Nothing is read that is not verified: the index by the SHA-256 that the file's marker has of it, a slice by its CRC-32.
* A file appears complete or not at all (`atomic.atomic_write`). In a store, a slice is one ranged request.
* Memory: a slice is written and read in pieces of any size. An index has `INDEX_BYTES` per slice.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from isal.isal_zlib import crc32  # the same CRC-32 as zlib's, at several times its speed

from goldwash.pipeline.storage.binary import BinaryWriter, Crc32
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.retry import with_retries
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.verified import changed

INDEX_BYTES = 12
"""Bytes of the index per slice."""

PIECE = 16 << 20
"""Bytes of a slice that are read at once."""


class SliceWriter:
    """Writes a file of slices, in their order; a `storage.tasks.Writer`."""

    def __init__(self, location: str) -> None:
        self.location, self.rows = location, 0
        self._ends: list[int] = []
        self._checks: list[int] = []
        self._slice = Crc32()
        self._file = BinaryWriter(location, digest=Crc32(), sync=False)

    def append(self, *pieces: Any) -> None:
        """Continue the slice that is being written with buffers, such as contiguous arrays."""
        for piece in pieces:
            if len(piece):
                data = memoryview(piece).cast("B")
                self._file.write(data)
                self._slice.update(data)

    def end(self) -> None:
        """Finish the slice; the next one begins."""
        self._ends.append(self._file.bytes)
        self._checks.append(int(self._slice.hexdigest(), 16))
        self._slice = Crc32()

    def write(self, data: Sequence[Any]) -> None:
        """Add a whole slice that is made of these buffers."""
        self.append(*data)
        self.end()

    def commit(self) -> dict[str, Any]:
        """Write the index and publish the file; returns its ``bytes``, ``slices``, and the ``sha256`` of its index.

        Callers count ``rows`` themselves.
        """
        index = np.array(self._ends, np.uint64).tobytes() + np.array(self._checks, np.uint32).tobytes()
        self._file.write(index)
        digest, size = hashlib.sha256(index).hexdigest(), self._file.commit()["bytes"]
        return {"rows": self.rows, "bytes": size, "slices": len(self._ends), "sha256": digest}

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.abandon()


def facts_of(marker: Mapping[str, Any], file: str) -> dict[str, Any]:
    """What a later task needs to know of a file of slices, from the marker of the task that wrote it."""
    held = marker["files"][file]
    return {"bytes": int(held["bytes"]), "slices": int(held["slices"]), "sha256": str(held["sha256"])}


class Slices:
    """An opened file of slices."""

    def __init__(self, location: str, facts: Mapping[str, Any], file: Any) -> None:
        self.location, self.count = location, int(facts["slices"])
        self._size, self._file = int(facts["bytes"]), file
        self._source = Input(location, self._size, str(facts["sha256"]))
        index = self._at(self._size - INDEX_BYTES * self.count, self._size)
        if hashlib.sha256(index).hexdigest() != facts["sha256"]:
            raise self.broken()
        self._starts = np.concatenate([[0], np.frombuffer(index, np.uint64, self.count).astype(np.int64)])
        self._checks = np.frombuffer(index, np.uint32, self.count, 8 * self.count)

    def broken(self) -> DataError:
        """The error for a file that is not what was written; on a disk, it is set aside."""
        fs, path = filesystem(self.location)
        return changed(self._source, int(fs.size(path)))

    def _at(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        with _named(self.location):
            if self._file is not None:
                self._file.seek(start)
                data: bytes = self._file.read(end - start)
            else:
                fs, path = filesystem(self.location)
                data = with_retries(lambda: fs.cat_file(path, start=start, end=end))
        if len(data) != end - start:
            raise self.broken()
        return data

    def size(self, first: int, last: int | None = None) -> int:
        """Bytes of a slice, or of those from ``first`` to before ``last``."""
        return int(self._starts[first + 1 if last is None else last] - self._starts[first])

    def read(self, n: int) -> bytes:
        """A slice, verified."""
        return next(self.each(n, n + 1))

    def each(self, first: int, last: int) -> Iterator[bytes]:
        """The slices from ``first`` to before ``last``, each verified; neighbours are read together, up to `PIECE` bytes."""
        at = first
        while at < last:
            end = max(at + 1, min(last, int(np.searchsorted(self._starts, self._starts[at] + PIECE, side="right")) - 1))
            start = int(self._starts[at])
            data = memoryview(self._at(start, int(self._starts[end])))
            for n in range(at, end):
                piece = data[int(self._starts[n]) - start : int(self._starts[n + 1]) - start]
                if crc32(piece) != self._checks[n]:
                    raise self.broken()
                yield bytes(piece) if end - at > 1 else data.obj  # type: ignore[misc]
            at = end

    def stream(self, n: int) -> "SliceStream":
        """A slice that is read in pieces."""
        return SliceStream(self, int(self._starts[n]), int(self._starts[n + 1]), int(self._checks[n]))


class SliceStream:
    """A slice that is read in pieces. `close` verifies it: do not rely on its content before."""

    def __init__(self, slices: Slices, start: int, end: int, check: int) -> None:
        self._slices, self._at, self._end, self._expected, self._check = slices, start, end, check, 0

    def array(self, count: int, kind: Any) -> npt.NDArray[Any]:
        """The next ``count`` numbers; `DataError` where the slice has fewer."""
        size = count * np.dtype(kind).itemsize
        if not 0 <= size <= self._end - self._at:
            raise self._slices.broken()
        data = self._slices._at(self._at, self._at + size)
        self._check, self._at = crc32(data, self._check), self._at + size
        return np.frombuffer(data, kind)

    def close(self) -> None:
        """Verify the slice; `DataError` where it is not what was written, or was not read to its end."""
        if self._at != self._end or self._check != self._expected:
            raise self._slices.broken()


@contextmanager
def opened_slices(location: str, facts: Mapping[str, Any]) -> Iterator[Slices]:
    """A file of slices that an earlier pass wrote, opened for reading; ``facts``: what `facts_of` says of it.

    Raises `DataError` where the file is missing, or is not what was written.
    """
    with ExitStack() as ends:
        file = None
        if is_local(location):
            with _named(location):
                file = ends.enter_context(open(filesystem(location)[1], "rb"))
        yield Slices(location, facts, file)


@contextmanager
def _named(location: str) -> Iterator[None]:
    """Raise errors of opening or reading a file as errors that name it. Not for a caller's block: its errors are its own."""
    try:
        with in_plain_words(location):
            yield
    except FileNotFoundError as error:
        raise DataError(f"{location} is missing: a pass has not run, or its output was removed; run again") from error
