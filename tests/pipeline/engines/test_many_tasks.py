"""Ten thousand tiny shards: what the driver does for a pass is counted, and does not grow faster than the number of tasks."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from goldwash.pipeline import stage
from goldwash.pipeline.engines import work
from goldwash.pipeline.engines.slurm_array import read_tasks, write_tasks
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Tasks, Work, done, finish, reports_of
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage import atomic, locations, sealed, states
from goldwash.pipeline.storage import tasks as tasks_
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task, TaskOutput

MANY = 10_000

FACTS = {
    "documents": 3,
    "pairs": 0,
    "components": 0,
    "largest_component": 0,
    "in_components": 9,
    "histogram": {"48896": [3, 9]},
}
"""What the passes of stages are told by their tasks."""


def inputs(count: int) -> list[Input]:
    return [Input(f"/crawl/part-{n:05d}.parquet", 1000, f"{n:064d}", 3) for n in range(count)]


def mark(task: Task) -> None:
    """The marker of a task that has read three documents, and no file."""
    with TaskOutput(task, None, dropped=False) as output:
        output.report += Report(Count(3, 9), Count(3, 9))
        output.facts.update(FACTS)


class Asked:
    """How often the disk is asked for what."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = Counter[str]()
        for name in ("names_in", "sizes_in", "read_json", "size_of", "write_json"):
            counted = self._counted(name, getattr(locations if hasattr(locations, name) else atomic, name))
            for module in (locations, atomic, sealed, tasks_, states, stage, work):
                if hasattr(module, name):
                    patch.setattr(module, name, counted)
        self.since = time.perf_counter()

    def _counted(self, name: str, plain: Any) -> Any:
        def counted(*words: Any, **options: Any) -> Any:
            self.count[name] += 1
            return plain(*words, **options)

        return counted

    def told(self, what: str) -> Counter[str]:
        """What was asked since the last time; its seconds are printed for who looks (pytest -s)."""
        print(f"{what:32s} {time.perf_counter() - self.since:6.2f} s  {dict(self.count)}")  # noqa: T201
        count, self.count, self.since = self.count, Counter[str](), time.perf_counter()
        return count


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic.os, "fsync", lambda file: None)


def test_a_pass_over_ten_thousand_shards_lists_folders_and_reads_each_marker_once_a_question(tmp_path, monkeypatch):
    made = STAGES["heuristics"].of({"steps": [{"keep": "word_count", "min": 1}]})
    asked, given, out = Asked(monkeypatch), inputs(MANY), str(tmp_path)
    tasks = Tasks(made, given, out).each()
    assert asked.told("Tasks.each") == {}

    assert len(work.missing_ranks(tasks)) == MANY
    assert asked.told("missing_ranks, none done") == {"sizes_in": 1}

    work.record_pass(mark, tasks, "local")
    assert asked.told("record_pass") == {"write_json": 1}
    states.forget_states(tasks)
    assert asked.told("forget_states") == {"names_in": 1}

    for task in tasks:
        mark(task)
    asked.told("markers written")

    assert work.missing_ranks(tasks) == []
    assert asked.told("missing_ranks, all done") == {"sizes_in": 1, "read_json": MANY}
    assert work.unmarked(tasks) == 0
    assert asked.told("unmarked") == {"names_in": 1}
    assert reports_of(tasks).read == Count(3 * MANY, 9 * MANY)
    assert asked.told("reports_of") == {"sizes_in": 1, "read_json": MANY}
    finish(made, given, out, tasks)
    assert asked.told("finish") == {"sizes_in": 1, "read_json": MANY, "write_json": 1}
    assert done(made, given, out) is not None
    assert asked.told("done")["read_json"] == 1

    write_tasks(mark, tasks)
    asked.told("write_tasks")
    found = read_tasks(states.logs_of(tasks[0]), [MANY - 1])
    assert found == (mark, {MANY - 1: tasks[-1]})
    assert asked.told("read_tasks, the last one") == {}


def recorded(parts: dict[str, list[Task]]) -> Any:
    """A `Run` that marks tasks as done, and remembers them by pass."""

    def run(work_: Work, tasks: Sequence[Task]) -> Report:
        parts[tasks[0].part] = list(tasks)
        for task in tasks:
            mark(task)
        return Report()

    return run


def longest(tasks: Sequence[Task]) -> int:
    """Characters of the longest task, without what a pass's tasks share."""
    return max(len(json.dumps([t.inputs, t.extra, [s.to_dict() for s in t.sources]])) for t in tasks)


PASSED = {
    "heuristics": ({"steps": [{"keep": "word_count", "min": 1}]}, {"part"}),
    "extract": ({}, {"part"}),
}
"""Stages of one pass; tests/pipeline/dedup/test_pass_files.py does the same for the passes of exact and minhash."""


@pytest.mark.parametrize("name", PASSED)
def test_no_task_grows_with_the_number_of_shards(name, tmp_path):
    config, parts = PASSED[name]
    found: dict[int, dict[str, list[Task]]] = {}
    for count in (10, 1000):
        found[count] = {}
        STAGES[name].of(config)(inputs(count), str(tmp_path / f"{count:04d}"), recorded(found[count]))
        assert set(found[count]) == parts
    for part in parts:
        assert longest(found[1000][part]) <= longest(found[10][part]) + 30, part
        assert len(found[1000][part]) in (1000, len(found[10][part]))
