"""What is shown of a run that goes on."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from goldwash.pipeline.engines.progress import Bar, Watched
from goldwash.pipeline.storage.locations import read_json
from goldwash.pipeline.storage.states import heartbeat
from goldwash.pipeline.storage.tasks import Task, TaskOutput


def tasks(out: Path, count: int = 2) -> list[Task]:
    return [Task({"name": "toy"}, (), str(out), n, "same") for n in range(count)]


def finish(task: Task) -> None:
    with TaskOutput(task, None, dropped=False) as output:
        from goldwash.pipeline.report import Count, Report

        output.report = Report(Count(7, 700), Count(7, 700))


@pytest.mark.parametrize("kind", [Watched, Bar])
def test_the_last_line_says_what_was_done(kind: type[Watched], tmp_path: Path) -> None:
    shown = io.StringIO()
    work = tasks(tmp_path)
    with kind(work, Console(file=shown, width=200)) as watched:
        for task in work:
            watched.look()
            finish(task)
    line = shown.getvalue().strip().splitlines()[-1]
    assert line.startswith("toy")
    assert "2/2 tasks  14 documents" in line


def test_a_bar_counts_what_unfinished_tasks_tell(tmp_path: Path) -> None:
    work = tasks(tmp_path)
    with Bar(work, Console(file=io.StringIO(), force_terminal=True, width=200)) as bar:
        finish(work[0])
        heartbeat(work[1], 5, 500)
        deadline = time.monotonic() + 10
        while bar.documents < 12 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (bar.documents, bar.bytes, len(bar.finished)) == (12, 1200, 1)


def test_beats_are_told_once_a_second(tmp_path: Path) -> None:
    task = tasks(tmp_path, 1)[0]
    for n in range(100):
        heartbeat(task, n, n)
    assert read_json(f"{tmp_path}/logs/part/states/part-00000.json") == {"documents": 0, "bytes": 0}
