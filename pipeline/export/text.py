"""Documents as text for trainers that tokenise while they train: Parquet, row groups of 1,024 documents.

Invariants: the documents' order is the shards'. Files have the column ``text`` alone, unless all columns are asked for, and
about `SHARD_CHARACTERS` characters, in whole row groups but for the last: nanochat gives each process every so-manieth row
group. The last file is nanochat's validation set, so there are two files or more where there are two row groups.

Source: karpathy/nanochat, ``nanochat/dataset.py`` and ``dev/repackage_data_reference.py`` (250 million characters a file, row
groups of 1,024, zstd, no dictionary, no statistics). TorchTitan reads the same files by ``datasets`` (``parquet``, column
``text``).
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.failures import in_plain_words
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import join

GROUP_ROWS = 1024
SHARD_CHARACTERS = 250_000_000
SCHEMA = pa.schema([("text", pa.string())])
LARGEST_GROUP = (1 << 31) - 1
"""Bytes of text that a column of 32-bit strings holds; a group that has more is written with 64-bit ones."""


def export_text(names: Sequence[str], out: str, packing: str = "zst", shard_characters: int = SHARD_CHARACTERS) -> list[str]:
    """Write ``shard_NNNNN.parquet`` below ``out``; the files' locations.

    ``packing``: how pages are compressed. Raises `DataError` where a name means no shard.
    """
    compression = {"zst": "zstd", "gz": "gzip", "none": "none"}[packing]
    written: list[str] = []
    held: list[pa.Table] = []
    characters = 0
    for group in _groups(names):
        held.append(group)
        characters += pc.sum(pc.utf8_length(group["text"])).as_py() or 0
        if characters >= shard_characters:
            written.append(_write(out, len(written), held, compression))
            held, characters = [], 0
    if not written and len(held) > 1:
        written.append(_write(out, 0, held[:-1], compression))
        held = held[-1:]
    if held or not written:
        written.append(_write(out, len(written), held, compression))
    return written


def _groups(names: Sequence[str]) -> Iterator[pa.Table]:
    """The texts of shards, in groups of `GROUP_ROWS`; the last has the rest."""
    held: list[pa.Table] = []
    rows = 0
    for shard in find_shards(names):
        for table in read_batches(shard):
            held.append(table.select(["text"]))
            rows += table.num_rows
            while rows >= GROUP_ROWS:
                joined = pa.concat_tables(held)
                yield joined.slice(0, GROUP_ROWS)
                held, rows = [joined.slice(GROUP_ROWS)], rows - GROUP_ROWS
    if rows:
        yield pa.concat_tables(held)


def _write(out: str, number: int, groups: Sequence[pa.Table], compression: str) -> str:
    target = join(out, f"shard_{number:05d}.parquet")
    large = any(group.nbytes > LARGEST_GROUP for group in groups)
    schema = pa.schema([("text", pa.large_string())]) if large else SCHEMA
    with (
        atomic_write(target) as half,
        in_plain_words(target, writing=True, disk_only=True),
        pq.ParquetWriter(half, schema, compression=compression, use_dictionary=False, write_statistics=False) as writer,
    ):
        for group in groups:
            writer.write_table(group.cast(schema).combine_chunks(), row_group_size=GROUP_ROWS)
    return target
