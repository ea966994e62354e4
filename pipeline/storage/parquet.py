"""Write Parquet shards: zstd, page checksums, row groups bounded by bytes; read whole files."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.failures import in_plain_words
from goldwash.pipeline.storage.verified import footer_of

ROW_GROUP_BYTES = 16 << 20


def read_whole(file: Any, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a Parquet file, a path or an open file; the checksum of each page is verified.

    ``pq.read_table`` imports pyarrow.dataset first, which takes 0.2 s in each process, and its threads may outlive the
    interpreter's end, which aborts the process.
    """
    return pq.ParquetFile(file, page_checksum_verification=True).read(columns, use_threads=False)


class ShardWriter:
    """Writes one Parquet shard: zstd, page checksums, row groups bounded by bytes; equal tables give equal bytes.

    Held in memory: at most ``group_bytes`` and the table that is written. ``compression``: lz4 for files between passes.
    ``chunking``: pages end where their content says so,
    so that two files with the same run of documents share pages (docs/mixing.md has what that saves).
    """

    def __init__(  # noqa: PLR0913  (how a shard is written; nearly all callers take the defaults)
        self,
        location: str,
        schema: pa.Schema,
        dictionary: bool = True,
        group_rows: int | None = None,
        group_bytes: int = ROW_GROUP_BYTES,
        chunking: bool = False,
        compression: str = "zstd",
    ) -> None:
        self.location, self.schema, self.rows, self.group_rows = location, schema, 0, group_rows
        self._group_bytes = group_bytes
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._file = atomic_write(location)
        self._half = self._file.__enter__()
        try:
            with in_plain_words(location, writing=True, disk_only=True):
                self._writer = pq.ParquetWriter(
                    self._half,
                    schema,
                    compression=compression,
                    write_page_checksum=True,
                    use_dictionary=dictionary,
                    use_content_defined_chunking=chunking,
                    write_batch_size=16,  # rows between checks of the page size: with 1024, a page of long texts had 20 MB
                )
        except BaseException as error:  # a full disk has no room for its first four bytes
            with suppress(type(error)):
                self._file.__exit__(type(error), error, error.__traceback__)
            raise

    def write(self, table: pa.Table) -> None:
        """Add rows; they are cast to the shard's schema."""
        if not table.schema.equals(self.schema):  # a cast takes 0.1 ms for ten columns, even if it changes nothing
            table = table.select(self.schema.names).cast(self.schema)
        self._held.append(table)
        self._held_bytes += table.nbytes
        self.rows += table.num_rows
        if self._held_bytes >= self._group_bytes:
            self._flush()

    def _flush(self) -> None:
        table = pa.concat_tables(self._held, promote_options="none")
        table = table.combine_chunks() if self._held_bytes < 1 << 30 else table  # strings of 32-bit offsets hold 2 GB
        if table.num_rows:
            with in_plain_words(self.location, writing=True, disk_only=True):
                self._writer.write_table(table, row_group_size=self.group_rows or table.num_rows)
        self._held, self._held_bytes = [], 0

    def commit(self) -> dict[str, Any]:
        """Publish the shard; returns its rows, bytes, SHA-256, and the SHA-256 of its footer."""
        if self._held:
            self._flush()
        with in_plain_words(self.location, writing=True, disk_only=True):
            self._writer.close()
            with open(self._half, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size, footer = footer_of(file)
        self._file.__exit__(None, None, None)
        return {"rows": self.rows, "bytes": size, "sha256": digest, "footer": footer}

    def abandon(self) -> None:
        """Remove what was written."""
        with suppress(Exception):
            self._writer.close()
        with suppress(RuntimeError):
            self._file.__exit__(RuntimeError, RuntimeError("abandoned"), None)
