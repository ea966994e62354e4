"""What one pass of a stage leaves for a later one: checked columns, checked rows, and sets that do not fit into memory.

Invariants: a byte that changed on disk is noticed, whatever part of a file is read.

* A file that is read whole is compared with the SHA-256 in its task's marker (`storage.verified`).
* Of a file of which single columns are read, `Checks` has a checksum of each column's values.
* A file of slices has a checksum of each slice (`storage.slices`).

Parquet's own page checksums cover the pages, but neither their headers nor the footer, which says where columns begin.
"""

import os
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.filters.ngrams import Hashes
from goldwash.pipeline.storage.formats.parquet_rows import earlier_pass
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.verified import verified

HELD = 8 << 20
"""Bytes of a spill that stay in memory: the spill of a small shard is never written to disk."""


class Checks:
    """Checksums of columns (CRC-32 of validity, lengths and values), the same however the rows come in batches."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = {name: [0, 0, 0] for name in columns}

    def add(self, table: pa.Table) -> None:
        """Continue with the next rows."""
        for name, sums in self._columns.items():
            for chunk in table[name].chunks:
                for k, values in enumerate(_bytes_of(chunk)):
                    sums[k] = zlib.crc32(values, sums[k])

    def values(self) -> dict[str, str]:
        """The checksum of each column, in hexadecimal digits."""
        return {name: "".join(f"{value:08x}" for value in sums) for name, sums in self._columns.items()}

    @staticmethod
    def of(table: pa.Table) -> dict[str, str]:
        """The checksums of a whole table's columns."""
        checks = Checks(table.column_names)
        checks.add(table)
        return checks.values()


def _bytes_of(chunk: pa.Array) -> tuple[Any, Any, Any]:
    """Which rows are valid, the lengths of strings, and the values of valid rows, as bytes."""
    valid, values = np.asarray(pc.is_valid(chunk)), chunk.drop_null()
    if pa.types.is_string(values.type):
        values = values.cast(pa.large_string())
        lengths = np.asarray(pc.binary_length(values), np.int64)
        offsets = np.frombuffer(values.buffers()[1] or b"\0" * 8, np.int64)[values.offset : values.offset + len(values) + 1]
        data = (
            np.frombuffer(values.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
            if len(values)
            else np.zeros(0, np.uint8)
        )
        return valid.view(np.uint8), lengths, data
    if pa.types.is_fixed_size_binary(values.type):
        return valid.view(np.uint8), b"", fixed_bytes(values)
    return valid.view(np.uint8), b"", np.ascontiguousarray(np.asarray(values))


@contextmanager
def opened_parquet(location: str) -> Iterator[pq.ParquetFile]:
    """A file of an earlier pass, of which each page that is read is verified; a `DataError` where it is missing or broken."""
    fs, path = filesystem(location)
    with earlier_pass(location), fs.open(path, "rb") as file:
        yield pq.ParquetFile(file, page_checksum_verification=True)


def batches_of(location: str, facts: Mapping[str, Any], rows: int = 1 << 20) -> Iterator[pa.RecordBatch]:
    """The rows of a file of an earlier pass, verified as a whole; a `DataError` where it is missing or broken."""
    with earlier_pass(location), verified(location, facts) as file:
        yield from pq.ParquetFile(file, page_checksum_verification=True).iter_batches(rows, use_threads=False)


def fixed_bytes(values: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of a fixed-size binary array without nulls: ``uint8[N * size]``."""
    size = values.type.byte_width
    data = np.frombuffer(values.buffers()[1] or b"", np.uint8)
    return np.asarray(data[values.offset * size : (values.offset + len(values)) * size])


class Spill:
    """Sets of hashes in a temporary file without a name, or in memory up to `HELD` bytes; any of them are read back.

    The file is in the output's folder where that is a disk, since the machine's temporary folder may be memory.
    """

    def __init__(self, out: str) -> None:
        self._folder = filesystem(out)[1] if is_local(out) else None
        if self._folder is not None:
            os.makedirs(self._folder, exist_ok=True)
        self._held = np.empty(HELD // 8, np.uint64)
        self._file: Any = None
        self._sizes: list[npt.NDArray[np.int64]] = []
        self._starts: npt.NDArray[np.int64] | None = None
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, values: Hashes, sizes: npt.NDArray[np.int64] | None = None) -> None:
        """Write a set, or sets of these sizes that follow each other."""
        end = self._end + len(values)
        if self._file is None and end > len(self._held):
            self._file = tempfile.TemporaryFile(prefix=".half-", dir=self._folder, buffering=0)  # noqa: SIM115  (__exit__)
            _write(self._file, 0, self._held[: self._end])
            self._held = np.empty(0, np.uint64)
        if self._file is None:
            self._held[self._end : end] = values
        else:
            _write(self._file, 8 * self._end, values)
        self._sizes.append(np.array([len(values)], np.int64) if sizes is None else sizes)
        self._starts, self._end = None, end

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many hashes each set has: ``int64[N]``."""
        if len(self._sizes) != 1:
            self._sizes = [np.concatenate([np.zeros(0, np.int64), *self._sizes])]
        return self._sizes[0]

    def take(self, rows: npt.NDArray[np.int64]) -> Hashes:
        """The sets of these numbers, one after the other: ``uint64[M]``."""
        if self._starts is None:
            self._starts = np.cumsum(self.sizes) - self.sizes
        ends = np.cumsum(self.sizes[rows])
        out, at = np.empty(int(ends[-1]) if len(ends) else 0, np.uint64), 0
        for start, end in zip(self._starts[rows].tolist(), ends.tolist(), strict=True):
            if self._file is None:
                out[at:end] = self._held[start : start + end - at]
            else:
                _read(self._file, 8 * start, out[at:end])
            at = end
        return out

    def __getitem__(self, n: int) -> Hashes:
        """The set of number ``n``: ``uint64[M]``."""
        return self.take(np.array([n]))


def _write(file: Any, place: int, values: Hashes) -> None:
    """Write to an unbuffered file, which may take less at once."""
    data = np.ascontiguousarray(values).view(np.uint8).data
    file.seek(place)
    while len(data):
        data = data[file.write(data) :]


def _read(file: Any, place: int, out: Hashes) -> None:
    """Fill an array from an unbuffered file, which may give less at once."""
    data = out.view(np.uint8).data
    file.seek(place)
    while len(data):
        count = file.readinto(data)
        if not count:
            raise OSError(f"a temporary file ends {len(data)} bytes too early")
        data = data[count:]


def written(markers: Mapping[str, Any], file: str) -> dict[str, Any]:
    """A file's size and digest, as the marker of the task that wrote it has them."""
    return {"bytes": int(markers["files"][file]["bytes"]), "sha256": str(markers["files"][file]["sha256"])}
