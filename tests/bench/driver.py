"""``python -m tests.bench.driver``: the driver of `minhash` for a dump of 90,000 shards and 3,000 parts, without documents.

The stage plans its passes as usual, but tasks are only counted: the bytes of their lists (a line of JSON per task, as the Slurm
engine writes them), and the files that they would open and create. `opened` is the number of files that a task opens;
tests/pipeline/dedup/test_pass_files.py compares it with a small run.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from goldwash.pipeline.dedup import passes, plan
from goldwash.pipeline.engines.slurm_array import SHARED
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Work
from goldwash.pipeline.stages import minhash
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.storage.locations import join, read_json
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task

SHARDS, DOCUMENTS, PARTS = 90_000, 6_567, 3_000
"""Of a dump, and the documents per shard that come to `minhash` (`tests.bench.growth.SHARES`)."""


@dataclass
class Pass:
    """What the tasks of a pass are and do."""

    tasks: int = 0
    list_bytes: int = 0
    opened: int = 0
    most_opened: int = 0
    """By one task."""
    created: int = 0
    memory: int = 0
    """That the largest task declares, beyond the ordinary."""


def opened(task: Task) -> int:
    """How many files of documents and of earlier passes a task opens, JSON apart."""
    extra, out = task.extra, task.out

    def known(name: str) -> int:
        return len(read_json(join(out, name)))

    if task.part == "keys":
        return len(task.sources)
    if task.part == "pairs":
        return known("bands.json")
    if task.part == "components":
        documents = sum(read_json(join(out, plan.COUNTS)))
        return int(extra["pairs"]) + 2 * known("bands.json") * max(1, -(-documents // passes.ROOTS))
    if task.part == "sets":
        return len(task.sources) + len(extra["survivors"])
    if task.part == "judged":
        return known("sets.json")
    if task.part == "merged":
        return known("judged.json") if "judges" in extra else sum(map(len, extra["components"]))
    return 3  # the shard, its keys, its slice of survivors


def created(task: Task) -> int:
    """How many files a task creates, its marker apart."""
    if task.part == "keys":
        return len(task.sources) + 1
    if task.part == "components":
        documents = sum(read_json(join(task.out, plan.COUNTS)))
        return len(read_json(join(task.out, "bands.json"))) * max(1, -(-documents // passes.ROOTS))
    if task.part == "merged":
        return len(task.extra["rows"])
    return 2 if task.part == "part" else 1


def simulated(out: Path, shards: int, documents: int, parts: int) -> dict[str, Pass]:
    """Plan every pass of `minhash` with ``check``; by pass, what its tasks are and would do."""
    inputs = [
        Input(f"/shared/crawl/CC-MAIN-2024-10/part-{n:05d}.parquet", 10**8, f"{n:064x}", documents) for n in range(shards)
    ]
    found: dict[str, Pass] = {}
    held = {"bytes": 10**8, "sha256": "0" * 64, "rows": 15_000, "slices": parts}

    def run(_: Work, tasks: Sequence[Task]) -> Report:
        first = tasks[0]
        at_first, some = opened(first), tasks[:: max(1, len(tasks) // 50)]
        each = [opened(task) for task in tasks] if first.part in ("keys", "sets") else [at_first] * len(tasks)
        found[first.part] = Pass(
            len(tasks),
            sum(map(_line, some)) * len(tasks) // len(some),
            sum(each),
            max(each),
            sum(map(created, tasks)) if first.part in ("keys", "merged") else created(first) * len(tasks),
            max(task.memory for task in tasks),
        )
        return Report()

    def markers_of(tasks: Sequence[Task]) -> Iterator[dict[str, Any]]:
        for task in tasks:
            yield {"facts": _facts(task, documents, parts), "files": dict.fromkeys(_files(task), held)}

    with (
        patch.object(passes, "markers_of", markers_of),
        patch.object(minhash, "markers_of", markers_of),
        patch.object(passes, "finish", lambda *_: Report()),
    ):
        MinHash(check=0.7)(inputs, str(out), run)
    return found


def _line(task: Task) -> int:
    """Bytes of a task's line in the list of its pass; what all tasks share is there once."""
    return len(json.dumps({key: value for key, value in task.to_dict().items() if key not in SHARED})) + 1


def _files(task: Task) -> list[str]:
    if task.part == "keys":
        return [plan.group_file("bands", task.index)]
    if task.part == "components":
        return [plan.group_file("components", n) for n in range(created(task))]
    if task.part == "merged":
        return [plan.group_file("merged", task.extra["first"] + n) for n in range(len(task.extra["rows"]))]
    return [plan.group_file(task.part, task.index) if task.part != "pairs" else f"pairs/{task.name}.parquet"]


def _facts(task: Task, documents: int, parts: int) -> dict[str, Any]:
    if task.part == "keys":
        count = len(task.sources)
        return {"documents": [documents] * count, "checks": [{"id": "0" * 24}] * count, "largest": 10**6}
    judged = {"in_components": parts * minhash.DOCUMENTS_A_PART, "size_in_components": parts << 20, "largest_text": 10**6}
    return {"pairs": 10**6, "components": 10**6, "largest_component": 10**6, "largest_in_components": 10**5, **judged}


def told(found: dict[str, Pass]) -> list[str]:
    """A Markdown table."""
    rows = [
        f"| {name} | {p.tasks:,} | {p.list_bytes / 1e6:,.1f} | {p.opened:,} | {p.most_opened:,} | {p.created:,} "
        f"| {p.memory / 1e9:.2f} |"
        for name, p in found.items()
    ]
    return [
        "| pass | tasks | list of tasks, MB | files opened | by one task | files created | GB of a task |",
        "|---|" + "---:|" * 6,
        *rows,
    ]


def main() -> None:
    """Simulate a dump; print the table, the size of the JSON that tasks share, and the driver's time and peak memory."""
    from tests.bench.scale import peak

    before, began = peak(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = simulated(Path(folder), SHARDS, DOCUMENTS, PARTS)
        shared = {file.name: file.stat().st_size for file in Path(folder).glob("*.json")}
    seconds = time.perf_counter() - began
    files = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sorted(shared.items()))
    lines = [
        *told(found),
        "",
        f"JSON that tasks share: {files}. The driver took {seconds:.0f} s and {(peak() - before) / 1e6:,.0f} MB.",
    ]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
