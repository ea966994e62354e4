"""Division of large Parquet files: ranges of row groups, each an input of its own.

Invariants: the ranges depend on the file alone, so that the tasks, and their output, do not depend on the number of workers. A
range is never empty, together they are the file, and only the file's footer is read.
"""

from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.formats import format_of
from goldwash.pipeline.storage.locations import filesystem
from goldwash.pipeline.storage.source import Input

SPLIT_BYTES = 256 << 20
"""Larger Parquet files are read by several tasks, each of a range of row groups."""


def divided(source: Input) -> list[Input]:
    """A large Parquet file as ranges of its row groups, each of about `SPLIT_BYTES`; any other file as it is.

    Raises `DataError` for a Parquet file without a whole footer.
    """
    if source.bytes <= SPLIT_BYTES or format_of(source.path).name != "Parquet":
        return [source]
    try:
        with in_plain_words(source.path):
            fs, path = filesystem(source.path)
            with fs.open(path, "rb") as file:
                metadata = pq.read_metadata(file)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{source.path} is not a whole Parquet file ({error}): write it again") from error
    parts = min(-(-source.bytes // SPLIT_BYTES), metadata.num_row_groups)
    if parts <= 1:
        return [source]
    sizes = [metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups)]
    total, reached, edges = sum(sizes), 0, [0]
    for n, size in enumerate(sizes, 1):
        reached += size
        if reached * parts >= total * len(edges) and n < len(sizes):
            edges.append(n)
    edges.append(len(sizes))
    ranges = [(a, b) for a, b in pairwise(edges) if b > a]
    rows = [sum(metadata.row_group(n).num_rows for n in range(a, b)) for a, b in ranges]
    shares = [source.bytes * sum(sizes[a:b]) // max(total, 1) for a, b in ranges]
    return [
        replace(source, bytes=share if source.sha256 is None else source.bytes, rows=count, groups=(a, b))
        for (a, b), count, share in zip(ranges, rows, shares, strict=True)
    ]
