"""One task as a step of a datatrove pipeline.

Law: a task that is done is not done again; one that fails says why in its log, and where.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from pipeline.shards import Task, filesystem, finished, is_local, join
from pipeline.stage import Work


class WorkStep(PipelineStep):  # type: ignore[misc]
    """Runs ``work(tasks[rank])``; the frame of a datatrove document is not used: a task takes shards and makes shards."""

    name = "goldwash"
    type = "Work"

    def __init__(self, work: Work, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.work, self.tasks = work, list(tasks)

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Any:
        """Do one task; there are no documents to pass on."""
        self.work(self.tasks[rank])
        yield from ()


def logs_of(task: Task) -> str:
    """Where a pass of a stage keeps its logs: beside the output, on a disk."""
    return join(task.out if is_local(task.out) else ".goldwash-logs", "logs", task.part)


def done_ranks(tasks: Sequence[Task]) -> set[int]:
    """The ranks whose markers are there and of this identity."""
    return {rank for rank, task in enumerate(tasks) if finished(task) is not None}


_beats: dict[str, float] = {}


def beat(task: Task, documents: int, bytes_: int) -> None:
    """Tell how far a task is, for those who watch: once a second, and only where the output lies on a disk."""
    if not is_local(task.out) or time.monotonic() - _beats.get(task.marker, -1.0) < 1:
        return
    _beats[task.marker] = time.monotonic()
    folder = Path(filesystem(task.out)[1]) / "logs" / "progress"
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".half-{os.getpid()}-{task.name}"
    half.write_text(json.dumps({"documents": documents, "bytes": bytes_}))
    os.replace(half, folder / f"{task.name}.json")
