"""Read Parquet: row group by row group, in tables bounded by bytes, with page checksums verified.

Invariants:

* Of a user's file, at most about `READ_BYTES` are unpacked at once, and never more than one row beyond `MOST_BYTES`, whatever
  the row groups are like.
* A file whose SHA-256 is known is verified before its first row is given. `ShardWriter` wrote it, and held each of its row
  groups in memory: about `SHARD_BYTES` of it are unpacked at once, and never more than a row group.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.pipeline.storage.failures import DataError, in_plain_words, is_of_disk
from goldwash.pipeline.storage.formats.left_texts import JoinedRows, RowGroups, joined, row_column, texts_beside
from goldwash.pipeline.storage.retry import is_transient
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.verified import opened_file

READ_BYTES = 1 << 17
"""Bytes of a row group that are unpacked at once: rows are counted by a mean, and a run of long texts must not fill the
memory."""

TABLE_BYTES = 1 << 20
"""Bytes after which the rows unpacked so far are given as a table. Tables of `READ_BYTES` took three times as long as reading
the file, in Python's steps per table and column (2026-11)."""

SHARD_BYTES = 2 << 20
"""Bytes of a row group of goldwash's own shards that are unpacked at once, and given as a table without another copy: half the
CPU time of `READ_BYTES` (2026-11). Whole row groups are no faster, and slower with the allocator that workers use."""

MOST_BYTES = 64 << 20
"""Bytes that the values of a batch may have at the most, where a dictionary stores a long value once for many rows."""


class ParquetRows:
    """An opened Parquet file."""

    def __init__(self, source: Input, file: Any) -> None:
        self._source = source
        self.texts = source
        """The shard that holds the texts: this one."""
        self._parquet = pq.ParquetFile(file, page_checksum_verification=True, buffer_size=1 << 20)
        self.schema: pa.Schema = self._parquet.schema_arrow
        self.metadata: Any = self._parquet.metadata
        metadata = self.metadata
        first, last = source.groups or (0, metadata.num_row_groups)
        if last > metadata.num_row_groups:
            raise DataError(
                f"{source.path} has {metadata.num_row_groups} row groups, and had {last} when this work was planned"
            )
        self._groups = range(first, last)
        self.first_row = sum(metadata.row_group(n).num_rows for n in range(first))

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows in order, with all columns or these."""
        held, size = list[pa.RecordBatch](), 0
        least = TABLE_BYTES if self._source.sha256 is None else 0
        for n in self._groups:
            rows = self._rows_at_once(n, columns)
            for batch in self._parquet.iter_batches(rows, row_groups=[n], columns=columns, use_threads=False):
                held.append(batch)
                size += batch.nbytes
                if size >= least:
                    yield pa.Table.from_batches(held).combine_chunks()
                    held, size = [], 0
        if held:
            yield pa.Table.from_batches(held).combine_chunks()

    def pieces(self, column: str, wanted: Callable[[int], bool]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """A column in batches, and the number of each one's first row.

        ``wanted`` is asked about the end of each row group before it is read; one that is not wanted is skipped.
        """
        first = self.first_row
        for n in self._groups:
            end = first + int(self.metadata.row_group(n).num_rows)
            if wanted(end):
                size = self._rows_at_once(n, [column])
                for batch in self._parquet.iter_batches(size, row_groups=[n], columns=[column], use_threads=False):
                    yield first, batch
                    first += batch.num_rows
            first = end

    def without_texts(self) -> Iterator[tuple[pa.Table, npt.NDArray[np.int64]]]:
        """The rows in order, with all columns but the texts, and where the texts are: ``int64[N]``."""
        row = self.first_row
        for table in self.tables([name for name in self.schema.names if name != "text"]):
            yield table, np.arange(row, row + table.num_rows)
            row += table.num_rows

    def mean_bytes(self, column: str, packed: bool = False) -> float:
        """Bytes of a value of a column on average, without compression or as ``packed``; 0.0 for a file without rows."""
        groups = range(self.metadata.num_row_groups)
        rows = sum(int(self.metadata.row_group(n).num_rows) for n in groups)
        size = "total_compressed_size" if packed else "total_uncompressed_size"
        return sum(int(getattr(self._column(n, column), size)) for n in groups) / max(rows, 1)

    def _rows_at_once(self, n: int, columns: Sequence[str] | None) -> int:
        group = self._parquet.metadata.row_group(n)
        if self._source.sha256 is None:
            return rows_at_once(group, columns)
        return max(1, SHARD_BYTES // mean_bytes(group, columns))

    @property
    def row_groups(self) -> RowGroups:
        """The row groups that are read."""
        groups = [self._parquet.metadata.row_group(n) for n in self._groups]
        return RowGroups([int(group.num_rows) for group in groups], sum(int(group.total_byte_size) for group in groups))

    def never_null(self, name: str) -> bool:
        """Whether the footer says that a column has no nulls in the row groups that are read."""
        found = [self._statistics(n, name) for n in self._groups]
        return all(column is not None and column.null_count == 0 for column in found)

    def _column(self, group: int, name: str) -> Any:
        metadata = self._parquet.metadata.row_group(group)
        return next((c for c in map(metadata.column, range(metadata.num_columns)) if c.path_in_schema == name), None)

    def _statistics(self, group: int, name: str) -> Any:
        column = self._column(group, name)
        return column.statistics if column is not None and column.is_stats_set else None

    def columns(self, names: list[str], text: str) -> Iterator[tuple[pa.Table, int]]:
        """Some columns of the rows, and the bytes that the column ``text`` has unpacked, spread evenly over its row group."""
        for n in self._groups:
            group = self._parquet.metadata.row_group(n)
            size = int(self._column(n, text).total_uncompressed_size) / max(int(group.num_rows), 1)
            if not names:
                yield pa.table({"": pa.nulls(group.num_rows)}), int(size * group.num_rows)
                continue
            for batch in self._parquet.iter_batches(1 << 16, row_groups=[n], columns=names, use_threads=False):
                yield pa.Table.from_batches([batch]), int(size * batch.num_rows)


@contextmanager
def opened(source: Input) -> Iterator[ParquetRows | JoinedRows]:
    """The rows of a Parquet file, with their texts wherever these are.

    Raises `DataError` where it is missing, broken, or not the file that it was.
    """
    with _opened(source) as rows:
        texts = texts_beside(rows.schema, source.path)
        yield rows if texts is None else JoinedRows(rows, source.path, texts, _opened)


@contextmanager
def _opened(source: Input) -> Iterator[ParquetRows]:
    try:
        with in_plain_words(source.path):
            try:
                with opened_file(source) as file:
                    yield ParquetRows(source, file)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
                if isinstance(error, DataError | FileNotFoundError | PermissionError) or is_of_disk(error):
                    raise
                if isinstance(error, IsADirectoryError):
                    raise DataError(f"{source.path} cannot be read: {error}") from error
                raise not_read(source.path, error, "write it again") from error
    except FileNotFoundError as error:
        raise DataError(f"{source.path}: no such file") from error


def shard_of_texts(source: Input) -> Input:
    """The shard that holds the texts of a shard of goldwash: itself, or another one."""
    with opened(source) as rows:
        return rows.texts


def documents_without_texts(source: Input) -> Iterator[tuple[pa.Table, npt.NDArray[np.int64]]]:
    """The documents of a shard of goldwash with all columns but the texts, and the row of each text in `shard_of_texts`."""
    with opened(source) as rows:
        yield from rows.without_texts()


def with_texts(table: pa.Table, schema: pa.Schema, location: str) -> pa.Table:
    """Rows that were read from a shard as they are, with their texts if it has left them; ``schema``: the shard's."""
    texts = texts_beside(schema, location)
    if texts is None or not table.num_rows or row_column(schema) not in table.column_names:
        return table
    with _opened(texts) as held:
        return pa.concat_tables(joined(iter([table]), row_column(schema), held, location)).combine_chunks()


def row_group(parquet: pq.ParquetFile, location: str, n: int, names: Sequence[str] | None = None) -> pa.Table:
    """A row group of the shard at ``location`` as documents: the columns of ``names`` that it has; None is all."""
    schema = parquet.schema_arrow
    wanted = names
    if names is not None and "text" in names and texts_beside(schema, location) is not None:
        wanted = [*names, row_column(schema)]
    there = [name for name in schema.names if wanted is None or name in wanted]
    return with_texts(parquet.read_row_group(n, columns=there, use_threads=False), schema, location)


def columns_without_text(source: Input, names: Sequence[str]) -> Iterator[tuple[pa.Table, int]] | None:
    """Some columns of a file's documents, and about how many bytes of text they have; the text itself is not read.

    None where the text must be read after all: the file is not Parquet, its footer does not say that no text is null, or a name
    is not a plain column of it.
    """
    if not source.path.endswith((".parquet", ".pq")) or set(names) & {"id", "url", "text"}:
        return None
    with opened(source) as rows:
        if not rows.never_null(source.reading.text) or not set(names) <= set(rows.schema.names):
            return None
    return _columns(source, list(names))


def row_groups(source: Input) -> RowGroups | None:
    """The row groups of a file; None for one that is not Parquet."""
    if not source.path.endswith((".parquet", ".pq")):
        return None
    with opened(source) as rows:
        return rows.row_groups


def _columns(source: Input, names: list[str]) -> Iterator[tuple[pa.Table, int]]:
    with opened(source) as rows:
        yield from rows.columns(names, source.reading.text)


def not_read(location: str, error: Exception, cure: str, kind: str = "Parquet file") -> DataError:
    """The error for a file that could not be read: it is corrupt, or its disk or store returned an I/O error."""
    if is_transient(error):
        return DataError(f"{location} could not be read ({error}): run again when its disk or store answers")
    return DataError(f"{location} is not a whole {kind} ({error}): {cure}")


@contextmanager
def earlier_pass(location: str, kind: str = "Parquet file") -> Iterator[None]:
    """Raise the errors of reading a file that an earlier pass of a stage wrote as a `DataError` about this file.

    Wrap the reading alone: any other error inside the block would be blamed on the file.
    """
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{location} is missing: a pass has not run, or its output was removed; run again") from error
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:  # a broken footer raises any of them
        raise not_read(location, error, "delete it and run again", kind) from error


def rows_at_once(group: Any, names: Sequence[str] | None = None) -> int:
    """Rows of a row group that have about `READ_BYTES`, by their mean, and cannot have more than `MOST_BYTES`: 1 to 1024.

    ``names``: the columns that are read; None is all.
    """
    repeated = sum(map(_longest_repeated, _columns_of(group, names)))
    return max(1, min(1024, READ_BYTES // mean_bytes(group, names), MOST_BYTES // max(repeated, 1)))


def mean_bytes(group: Any, names: Sequence[str] | None = None) -> int:
    """Bytes of a row in a row group, on average and without compression; at least 1."""
    return max(sum(int(c.total_uncompressed_size) for c in _columns_of(group, names)) // max(int(group.num_rows), 1), 1)


def _columns_of(group: Any, names: Sequence[str] | None) -> list[Any]:
    columns = [group.column(n) for n in range(group.num_columns)]
    if names is None:
        return columns
    inside = tuple(f"{name}." for name in names)
    return [c for c in columns if c.path_in_schema in names or c.path_in_schema.startswith(inside)]


def _longest_repeated(column: Any) -> int:
    """Bytes that one value of a dictionary may have: a dictionary of a megabyte can mean a megabyte in each row."""
    coded = column.has_dictionary_page or any("DICTIONARY" in str(encoding) for encoding in column.encodings)
    size = int(column.total_uncompressed_size)
    if column.physical_type != "BYTE_ARRAY" or not coded:
        return 0
    return size if size <= 16 << 20 else 1 << 20  # where a chunk is larger, its dictionary was given up at a megabyte
