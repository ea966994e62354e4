"""A shard that is a copy of its source, if all of its rows stay: the source's bytes are copied, not packed again.

Invariants:

* The file has the bytes that `ShardWriter` would give. It is a copy only if the source has the SHA-256 of a shard that goldwash
  wrote, every row of it was kept as it was, and its footer says that the same version of Parquet's writer wrote it, with the
  same schema, metadata, compression and encodings, and in row groups of the rows that `ShardWriter` would put into each. A
  footer does not say where pages end: a copy of a shard in chunks by content (docs/mixing.md) has its pages.
* Otherwise the rows that were kept so far are read once more, in the same batches, and written as any shard.
* A shard with a column of dictionaries is never copied: their values can be numbered in several ways.
"""

import shutil
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.failures import in_plain_words
from goldwash.pipeline.storage.formats.parquet_rows import opened
from goldwash.pipeline.storage.parquet import ROW_GROUP_BYTES, ShardWriter
from goldwash.pipeline.storage.source import PLAIN, Input
from goldwash.pipeline.storage.verified import footer_of, opened_file

CHUNKED_BYTES = 1 << 30
"""Row groups from this size on are not made of one piece (`ShardWriter`)."""


class UnchangedShard:
    """Writes one shard of the rows of a source; a `storage.tasks.Writer`."""

    def __init__(self, location: str, schema: pa.Schema, source: Input) -> None:
        self.location, self.schema, self.rows = location, schema, 0
        self._source = source
        self._writer: ShardWriter | None = None
        self._batches, self._held_rows, self._held_bytes = 0, 0, 0
        self._groups: list[int] = []
        if source.sha256 is None or source.groups or source.reading != PLAIN or any(map(_has_dictionary, schema)):
            self._writer = ShardWriter(location, schema)

    def keep(self, table: pa.Table) -> None:
        """Take the next batch of the source, as `read_batches` gave it, with all of its rows and columns."""
        if self._writer is not None:
            self._writer.write(table)
            return
        self._batches += 1
        self.rows += table.num_rows
        self._held_rows += table.num_rows
        self._held_bytes += table.nbytes
        if self._held_bytes >= CHUNKED_BYTES:
            self._write_all()
        elif self._held_bytes >= ROW_GROUP_BYTES:
            self._end_group()

    def write(self, table: pa.Table) -> None:
        """Take what is left of the next batch of the source."""
        self._write_all().write(table)

    def _end_group(self) -> None:
        if self._held_rows:
            self._groups.append(self._held_rows)
        self._held_rows, self._held_bytes = 0, 0

    def _write_all(self) -> ShardWriter:
        """The writer of a shard that is no copy; the batches that were kept so far are written first."""
        if self._writer is None:
            self._writer = ShardWriter(self.location, self.schema)
            for _, table in zip(range(self._batches), read_batches(self._source), strict=False):
                self._writer.write(table)
        return self._writer

    def commit(self) -> dict[str, Any]:
        """Publish the shard; returns what `ShardWriter.commit` does."""
        if self._writer is None:
            self._end_group()
            if self._groups and self._is_same():
                return self._copied()
        return self._write_all().commit()

    def _is_same(self) -> bool:
        """Whether the source's footer is that of a shard that `ShardWriter` makes of all its rows."""
        with opened(self._source) as rows:
            found = rows.metadata
            if not all(map(rows.never_null, ("id", "url", "text"))):  # `read_batches` fills them in
                return False
        made = _empty_footer(self.schema)
        groups = [found.row_group(n) for n in range(found.num_row_groups)]
        return (
            [group.num_rows for group in groups] == self._groups
            and (found.created_by, found.format_version) == (made.created_by, made.format_version)
            and found.metadata == made.metadata
            and bool(found.schema.equals(made.schema))
            and all(_is_usual(group.column(n)) for group in groups for n in range(group.num_columns))
        )

    def _copied(self) -> dict[str, Any]:
        with opened_file(self._source) as source, atomic_write(self.location) as half:
            with in_plain_words(self.location, writing=True, disk_only=True), open(half, "wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            size, footer = footer_of(source)
        return {"rows": self.rows, "bytes": size, "sha256": self._source.sha256, "footer": footer}

    def abandon(self) -> None:
        """Remove what was written."""
        if self._writer is not None:
            with suppress(Exception):
                self._writer.abandon()


def _has_dictionary(field: pa.Field) -> bool:
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    inside = [kind.field(n) for n in range(kind.num_fields)]
    return pa.types.is_dictionary(kind) or any(map(_has_dictionary, inside))


def _empty_footer(schema: pa.Schema) -> Any:
    """The footer of a shard of this schema without rows."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd"):
        pass
    return pq.read_metadata(pa.BufferReader(sink.getvalue()))


def _is_usual(column: Any) -> bool:
    """Whether a column is packed as `ShardWriter` packs it without further arguments, as far as the footer says."""
    return bool(column.compression == "ZSTD" and (column.has_dictionary_page or column.physical_type == "BOOLEAN"))
