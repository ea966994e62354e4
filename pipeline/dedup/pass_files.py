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
    """Sets of hashes in a temporary file without a name, or in memory up to `HELD` bytes, read back one by one.

    The file is in the output's folder where that is a disk, since the machine's temporary folder may be memory.
    """

    def __init__(self, out: str) -> None:
        folder = filesystem(out)[1] if is_local(out) else None
        if folder is not None:
            os.makedirs(folder, exist_ok=True)
        self._file = tempfile.SpooledTemporaryFile(HELD, prefix=".half-", dir=folder)  # noqa: SIM115  (closed by __exit__)
        self._starts: list[int] = []
        self._sizes: list[int] = []
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def append(self, values: Hashes) -> None:
        """Write a set."""
        self._file.seek(8 * self._end)
        self._file.write(np.ascontiguousarray(values).data)
        self._starts.append(self._end)
        self._sizes.append(len(values))
        self._end += len(values)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many hashes each set has: ``int64[N]``."""
        return np.array(self._sizes, np.int64)

    def __getitem__(self, n: int) -> Hashes:
        """The set of number ``n``: ``uint64[M]``."""
        self._file.seek(8 * self._starts[n])
        return np.frombuffer(self._file.read(8 * self._sizes[n]), np.uint64)


def written(markers: Mapping[str, Any], file: str) -> dict[str, Any]:
    """A file's size and digest, as the marker of the task that wrote it has them."""
    return {"bytes": int(markers["files"][file]["bytes"]), "sha256": str(markers["files"][file]["sha256"])}
