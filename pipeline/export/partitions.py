"""Documents as Parquet with all of their columns, in a folder for each value of a column: languages, crawls, sources.

Invariants: folders are named as Hive names them (``language=deu_Latn``), which pyarrow, DuckDB, Spark and Polars read as a
column; the files have the other columns. Values are percent-encoded; a null or empty one is `NOTHING`. Within a
folder the documents' order is the shards'. Equal shards give equal files. Without a column, the files are below ``out`` itself.

Files of an older export that readers would see too are refused: folders of values that the shards do not have before a document
is written, further files in a folder at the end, since their number is known only then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.pipeline.mixing import schemas
from goldwash.pipeline.parameters import nearest
from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.batches import read_batches, schema_of
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.formats.parquet_rows import columns_without_text
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import join, names_in
from goldwash.pipeline.storage.source import Input
from goldwash.text_output import printable

NOTHING = "__HIVE_DEFAULT_PARTITION__"
"""Hive's name for a value that is null or empty."""
FILE_BYTES = 256 << 20
HELD_BYTES = 1 << 30
"""Bytes of documents in memory: of a file that is written, and of all folders' together."""


def export_parquet(
    names: Sequence[str],
    out: str,
    packing: str = "zst",
    by: str = "",
    file_bytes: int = FILE_BYTES,
    held_bytes: int = HELD_BYTES,
) -> list[str]:
    """Write ``part-NNNNN.parquet`` below ``out``, or below ``out/BY=VALUE``; the files' locations, in order.

    ``packing``: how pages are compressed. Raises `DataError` where a name means no shard, a shard lacks the column or has
    another type of it than strings, or ``out`` holds files of other folders.
    """
    shards = find_shards(names)
    schema = schemas.united((shard.path, schema_of(shard)) for shard in shards)
    if by:
        _check_column(schema, by)
        _check_folders(out, by, shards)
    folders = _Folders(out, by, {"zst": "zstd", "gz": "gzip", "none": "none"}[packing], file_bytes)
    for shard in shards:
        for table in read_batches(shard):
            for value, part in _parts(schemas.conformed(table, schema), by).items():
                folders.add(value, part)
            while folders.held > held_bytes:
                folders.write(max(folders.sizes, key=lambda value: folders.sizes[value]))
    for value in sorted(folders.tables):
        folders.write(value)
    _check_others(out, by, folders.counts)
    return sorted(folders.written)


def _check_column(schema: pa.Schema, by: str) -> None:
    if by not in schema.names:
        raise DataError(f"--by {by}: the shards have no column {by!r}: {nearest(by, schema.names)}")
    if not _is_text(schema.field(by).type):
        raise DataError(f"--by {by}: the column is {schema.field(by).type}; expected strings, such as languages")


def _check_folders(out: str, by: str, shards: Sequence[Input]) -> None:
    """Raise if ``out`` has folders of values that the shards do not have. Where there are folders, the column alone is read."""
    there = {name for name in names_in(out) if name.startswith(f"{quote(by, safe='')}=")}
    for shard in shards:
        if not there:
            return
        if by not in schema_of(shard).names:
            there.discard(folder_name(by, ""))
            continue
        without_text = columns_without_text(shard, [by])
        for table in read_batches(shard) if without_text is None else (table for table, _ in without_text):
            there -= {folder_name(by, value or "") for value in pc.unique(table[by].cast(pa.string())).to_pylist()}
    if there:
        raise _older(out, sorted(there))


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _parts(table: pa.Table, by: str) -> Mapping[str, pa.Table]:
    """The rows of each value, in order, without that column."""
    if not by:
        return {"": table}
    values = np.asarray(pc.fill_null(table[by].cast(pa.string()), "").to_pylist(), np.str_)
    rest = table.drop_columns([by])
    found, places = np.unique(values, return_inverse=True)
    return {str(value): rest.take(pa.array(np.flatnonzero(places == n))) for n, value in enumerate(found)}


def folder_name(by: str, value: str) -> str:
    """The folder of a value.

    >>> folder_name("language", "deu_Latn"), folder_name("source", "a/b c"), folder_name("language", "")
    ('language=deu_Latn', 'source=a%2Fb%20c', 'language=__HIVE_DEFAULT_PARTITION__')
    """
    return f"{quote(by, safe='')}={quote(value, safe='') if value else NOTHING}"


@dataclass
class _Folders:
    """Documents that wait to be written, by value."""

    out: str
    by: str
    compression: str
    file_bytes: int
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)

    @property
    def held(self) -> int:
        """Bytes of all documents that wait."""
        return sum(self.sizes.values())

    def add(self, value: str, table: pa.Table) -> None:
        """Add documents, and write the folder's next file once they are enough."""
        self.tables.setdefault(value, []).append(table)
        self.sizes[value] = self.sizes.get(value, 0) + table.nbytes
        if self.sizes[value] >= self.file_bytes:
            self.write(value)

    def write(self, value: str) -> None:
        """Write a folder's documents that wait; nothing if there are none."""
        tables = self.tables.get(value)
        if not tables:
            return
        number = self.counts[value] = self.counts.get(value, 0) + 1
        folder = join(self.out, folder_name(self.by, value)) if self.by else self.out
        target = join(folder, f"part-{number - 1:05d}.parquet")
        with atomic_write(target) as half, in_plain_words(target, writing=True, disk_only=True):
            pq.write_table(pa.concat_tables(tables), half, compression=self.compression, row_group_size=10_000)
        self.written.append(target)
        self.tables[value], self.sizes[value] = [], 0


def _check_others(out: str, by: str, counts: Mapping[str, int]) -> None:
    """Raise if the folders hold files of an older export, whose documents readers would see too."""
    others: list[str] = []
    ours = {folder_name(by, value): count for value, count in counts.items()} if by else {"": counts.get("", 0)}
    for name, count in ours.items():
        folder = join(out, name) if name else out
        known = {f"part-{n:05d}.parquet" for n in range(count)}
        others += sorted(join(name, f) if name else f for f in names_in(folder) - known if f.endswith(".parquet"))
    if others:
        raise _older(out, others)


def _older(out: str, names: Sequence[str]) -> DataError:
    return DataError(
        f"{out} has files of an older export beside the new ones ({printable(', '.join(names[:3]), 200)}): remove them, or "
        "give another --out"
    )
