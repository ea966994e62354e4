"""Who survives: rows of (document, survivor, copies) in slices, and the pass that merges several files of them."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.pipeline.dedup.plan import Numbers, counts_of, group_bounds, group_file, group_size, starts_of
from goldwash.pipeline.stage import Tasks
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.shared_values import read_shared
from goldwash.pipeline.storage.slices import Slices, SliceWriter, facts_of, opened_slices
from goldwash.pipeline.storage.tasks import Task, TaskOutput

MERGED_DOCUMENTS = 1 << 24
"""Documents whose survivors a merging task holds: about 1 GB."""

SURVIVOR_BYTES = 20
"""Bytes on disk of a row."""

Survivors = tuple[Numbers, Numbers, npt.NDArray[np.int32]]
"""Documents in rising order, the document that is kept of each one's component, and how many documents that component has."""


def write_survivors(writer: SliceWriter, rows: Survivors, starts: Numbers) -> None:
    """Write rows in slices: those of documents from each start to before the next."""
    document, survivor, copies = rows
    for first, last in pairwise(np.searchsorted(document, starts).tolist()):
        writer.write([document[first:last], survivor[first:last], np.ascontiguousarray(copies[first:last], np.int32)])
        writer.rows += last - first


def survivors_in(held: Slices, first: int, last: int) -> Survivors:
    """The rows of the slices from ``first`` to before ``last``."""
    parts: list[Survivors] = []
    for data in held.each(first, last):
        m = len(data) // SURVIVOR_BYTES
        kinds: Any = ((np.int64, 0), (np.int64, 8), (np.int32, 16))
        one, other, copies = (np.frombuffer(data, kind, m, at * m) for kind, at in kinds)
        parts.append((one, other, copies))
    return joined(parts)


def rows_of_file(task: Task, facts: Mapping[str, Any]) -> Survivors:
    """All rows of a file of survivors."""
    with opened_slices(join(task.out, facts["file"]), facts) as held:
        return survivors_in(held, 0, held.count)


def joined(parts: Sequence[Survivors]) -> Survivors:
    """Rows of several files or slices, in the order of their documents."""
    kinds: Any = (np.int64, np.int64, np.int32)
    columns = (np.concatenate([np.zeros(0, kind), *(part[k] for part in parts)]) for k, kind in enumerate(kinds))
    document, survivor, copies = columns
    order = np.argsort(document, kind="stable")
    return document[order], survivor[order], copies[order]


def files_of_group(marker: Mapping[str, Any], group: int, groups: int) -> list[dict[str, Any]]:
    """The files in ``components/`` that have documents of a group, as the marker of their task has them."""
    names = [group_file("components", n) for n in range(group, len(marker["files"]), groups)]
    return [{"file": name, **facts_of(marker, name)} for name in names]


def merging_tasks(
    tasks: Tasks, components: Task, marker: Mapping[str, Any], counts: Sequence[int], judged: Mapping[str, Any]
) -> list[Task]:
    """Tasks that each merge the groups of `MERGED_DOCUMENTS` documents, or of one group that has more.

    ``judged``: what they are told of the files of judges; empty where the files in ``components/`` are merged.
    """
    bounds, first, made = group_bounds(starts_of(counts)), 0, list[Task]()
    for n, (_, end) in enumerate(bounds):
        if n + 1 == len(bounds) or bounds[n + 1][1] - bounds[first][0] > MERGED_DOCUMENTS:
            held = [files_of_group(marker, group, len(bounds)) for group in range(first, n + 1)]
            rows = [sum(int(marker["files"][f["file"]]["rows"]) for f in files) for files in held]
            extra = {"first": first, "rows": rows, "counts": components.extra["counts"]}
            extra |= judged or {"components": held}
            made.append(tasks.one("merged", len(made), memory=60 * (end - bounds[first][0]), **extra))
            first = n + 1
    return made


def merge_survivors(task: Task) -> None:
    """Sort what several files say of the documents of some groups, and write a file per group."""
    extra, starts = task.extra, starts_of(counts_of(task))
    size = group_size(len(starts) - 1)
    found = _of_judges(task) if "judges" in extra else _of_components(task)
    document = found[0]
    with TaskOutput(task, None, dropped=False) as output:
        for group, rows in enumerate(extra["rows"], extra["first"]):
            here = starts[group * size : (group + 1) * size + 1]
            first, last = np.searchsorted(document, here[[0, -1]])
            if last - first != rows:
                raise DataError(
                    f"{last - first} of {rows} documents from {here[0]} to {here[-1]} were found in {task.out}: delete that "
                    "folder and run again"
                )
            writer = SliceWriter(join(task.out, group_file("merged", group)))
            output.attach("group", writer)
            write_survivors(writer, (document[first:last], found[1][first:last], found[2][first:last]), here)
            output.close("group")


def _of_judges(task: Task) -> Survivors:
    first, last = task.extra["first"], task.extra["first"] + len(task.extra["rows"])
    parts = list[Survivors]()
    for n, facts in enumerate(read_shared(join(task.out, "judged.json"), task.extra["judges"])):
        with opened_slices(join(task.out, group_file("judged", n)), facts) as held:
            parts.append(survivors_in(held, first, last))
    return joined(parts)


def _of_components(task: Task) -> Survivors:
    return joined([rows_of_file(task, facts) for files in task.extra["components"] for facts in files])
