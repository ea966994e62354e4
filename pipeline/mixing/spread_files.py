"""The files between the passes of a shuffle: Arrow streams with lz4, which take less CPU than Parquet to write and to read.

Invariants: a file appears whole or not at all. It is verified against its SHA-256 before a row of it is used. What is held in
memory to write one is at most ``held_bytes`` and the table that is written.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa

from goldwash.pipeline.storage.binary import BinaryWriter
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import not_read
from goldwash.pipeline.storage.verified import verified

WRITE = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
READ = pa.ipc.IpcReadOptions(use_threads=False)


class StreamWriter:
    """Writes one file of rows that have a schema."""

    def __init__(self, location: str, schema: pa.Schema, held_bytes: int) -> None:
        self.location = location
        self._most, self._held, self._held_bytes = held_bytes, list[pa.Table](), 0
        self._file = BinaryWriter(location, buffer=1 << 16)
        try:
            self._writer = pa.ipc.new_stream(pa.PythonFile(_Sink(self._file), mode="w"), schema, options=WRITE)
        except BaseException:
            self._file.abandon()
            raise

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._held.append(table)
        self._held_bytes += table.nbytes
        if self._held_bytes >= self._most:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.concat_tables(self._held).combine_chunks())
        self._held, self._held_bytes = [], 0

    def commit(self) -> dict[str, Any]:
        """Publish the file; returns its ``bytes`` and ``sha256``."""
        if self._held:
            self._flush()
        self._writer.close()
        return self._file.commit()

    def abandon(self) -> None:
        """Remove what was written."""
        with suppress(Exception):
            self._writer.close()
        self._file.abandon()


class _Sink:
    """A `BinaryWriter` as a file that Arrow writes to."""

    closed = False

    def __init__(self, file: BinaryWriter) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        """Append bytes."""
        self._file.write(data)
        return memoryview(data).nbytes

    def tell(self) -> int:
        """The bytes written."""
        return self._file.bytes

    def flush(self) -> None:
        """Nothing: the file is published as a whole."""

    def close(self) -> None:
        """Nothing: its owner closes it."""


@contextmanager
def opened_stream(location: str, facts: Mapping[str, Any]) -> Iterator[Any]:
    """A stream of an earlier pass, verified by ``bytes`` and ``sha256``; a `DataError` where it is missing or broken."""
    try:
        with verified(location, facts) as file, pa.ipc.open_stream(file, options=READ) as reader:
            yield reader
    except FileNotFoundError as error:
        raise DataError(f"{location} is missing: a pass has not run, or its output was removed; run again") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise not_read(location, error, "delete it and run again") from error
