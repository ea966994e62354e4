"""What every task of the dedup passes knows: the documents' numbers, groups of shards, and lists too long for each task.

Invariants:

* Documents are numbered in the order of the input. Neighbouring shards form at most `GROUPS` groups.
* A list of tasks grows with the tasks alone: what all of them need is in one file, and each has its digest.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.shared_values import read_shared
from goldwash.pipeline.storage.tasks import Task

GROUPS = 512
"""Groups of shards, at most."""

COUNTS = "counts.json"
"""Documents per shard: one file, not a list in each of 90,000 tasks."""

Numbers = npt.NDArray[np.int64]


def starts_of(counts: Sequence[int]) -> Numbers:
    """The number of each shard's first document, and after them that of all: ``int64[shards + 1]``."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def group_size(shards: int) -> int:
    """Shards in a group: neighbours, so that there are at most `GROUPS` groups."""
    return max(1, -(-shards // GROUPS))


def group_bounds(starts: Numbers) -> list[tuple[int, int]]:
    """The first document of each group of shards, and the one behind its last."""
    size = group_size(len(starts) - 1)
    return [(int(starts[n]), int(starts[min(n + size, len(starts) - 1)])) for n in range(0, len(starts) - 1, size)]


def group_file(folder: str, number: int) -> str:
    """The file of a group of shards, or of a part, in a folder."""
    return f"{folder}/{folder}-{number:05d}.slices"


def counts_of(task: Task) -> list[int]:
    """How many documents each shard has, as the first pass found."""
    return list(read_shared(join(task.out, COUNTS), task.extra["counts"]))


def check_count(location: str, rows: int, had: int) -> None:
    """Refuse a shard that has another number of documents than when its keys were made."""
    if rows > had:
        raise DataError(f"{location} is not what it was when its keys were made: run again from the start")
    if rows != had:
        raise DataError(f"{location} has {rows} documents, and had {had} when its keys were made: run again")
