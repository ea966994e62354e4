"""What is shown of a run that is under way."""

import io
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from goldwash.pipeline.engines.progress import Bar, Counter, Course, Lines, Progress
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.storage import states
from goldwash.pipeline.storage.failures import StorageError
from goldwash.pipeline.storage.locations import read_json
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.states import heartbeat, write_state
from goldwash.pipeline.storage.tasks import Task, TaskOutput


def tasks(out: Path, count: int = 2, size: int = 1000, part: str = "part", rows: int | None = None) -> list[Task]:
    sources = (Input("in", size, "stamp", rows),)
    return [Task({"name": "toy"}, ("in",), str(out), n, "same", part=part, sources=sources) for n in range(count)]


def finish(task: Task, documents: int = 7, size: int = 700) -> None:
    with TaskOutput(task, None, dropped=False) as output:
        output.report = Report(Count(documents, size), Count(documents, size))


def console(width: int = 200, terminal: bool = False) -> tuple[io.StringIO, Console]:
    file = io.StringIO()
    return file, Console(file=file, width=width, force_terminal=terminal)


@pytest.mark.parametrize("kind", [Lines, Bar])
def test_the_last_line_reports_the_pass(kind: type[Lines], tmp_path: Path) -> None:
    file, shown = console()
    work = tasks(tmp_path)
    with kind(work, shown) as progress:
        for task in work:
            progress.poll()
            finish(task)
    line = file.getvalue().strip().splitlines()[-1]
    assert line.startswith("toy")
    assert "2/2 tasks  14 documents" in line


def test_a_bar_counts_unfinished_tasks(tmp_path: Path) -> None:
    work = tasks(tmp_path)
    with Bar(work, console(terminal=True)[1]) as bar:
        finish(work[0])
        heartbeat(work[1], 5, 500)
        deadline = time.monotonic() + 10
        while bar.now.documents < 12 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (bar.now.documents, bar.now.bytes, bar.now.tasks) == (12, 1200, 1)


def test_heartbeats_are_written_once_a_second(tmp_path: Path) -> None:
    task = tasks(tmp_path, 1)[0]
    for n in range(100):
        heartbeat(task, n, n)
    assert read_json(f"{tmp_path}/logs/part/states/part-00000.json") == {"documents": 0, "bytes": 0}


# --- how far a pass is


def test_the_only_task_moves_the_bar_while_it_reads(tmp_path: Path) -> None:
    """One archive showed 0/1 tasks from beginning to end."""
    task = tasks(tmp_path, 1)[0]
    counter = Counter([task])
    assert counter.count().fraction == 0
    write_state(task, {"task": task.name, "documents": 10, "bytes": 999, "fraction": 0.25})
    assert counter.count().fraction == 0.25
    write_state(task, {"task": task.name, "documents": 90, "bytes": 9999, "fraction": 7})
    assert counter.count().fraction == 1


def test_rows_tell_how_far_a_shard_is_read(tmp_path: Path) -> None:
    task = tasks(tmp_path, 1, rows=200)[0]
    write_state(task, {"task": task.name, "documents": 50, "bytes": 1})
    assert Counter([task]).count().fraction == 0.25


def test_finished_tasks_tell_how_much_text_a_byte_of_input_holds(tmp_path: Path) -> None:
    work = tasks(tmp_path, 2, size=1000)
    finish(work[0], size=2000)
    write_state(work[1], {"task": work[1].name, "documents": 1, "bytes": 1000})
    assert Counter(work).count().fraction == pytest.approx(0.75)
    write_state(work[1], {"task": work[1].name, "documents": 1, "bytes": 10**9})
    assert 0.99 < Counter(work).count().fraction < 1  # not done before its marker says so


def test_tasks_count_by_the_size_of_their_inputs(tmp_path: Path) -> None:
    small, large = tasks(tmp_path, 2)
    large = replace(large, sources=(Input("in", 9000, "stamp"),))
    finish(small)
    assert Counter([small, large]).count().fraction == pytest.approx(0.1)


def test_a_state_that_is_broken_or_of_another_pass_is_passed_over(tmp_path: Path) -> None:
    work = tasks(tmp_path)
    for name in ("part-00000.json", ".half-1-part-00001", "part-00077.json"):
        file = tmp_path / "logs" / "part" / "states" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"documents": ')
    assert Counter(work).count().documents == 0


def test_counting_asks_for_names_and_not_for_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """90,000 markers were looked at twice a second."""
    work = tasks(tmp_path, 50)
    for task in work[:25]:
        finish(task)
    counter = Counter(work)
    counter.count()
    monkeypatch.setattr(os, "scandir", lambda folder: pytest.fail("folders are listed by name"))
    assert counter.count().tasks == 25


# --- words


def test_titles_have_the_stage_number_and_the_pass_in_words() -> None:
    course = Course([("extract", 60.0), ("minhash", 30.0), ("quality", 10.0)])
    assert course.title("minhash", "judged") == "stage 2 of 3, minhash: comparing copies"
    assert course.title("extract", "part") == "stage 1 of 3, extract"
    assert course.title("mine", "own") == "mine: own"
    assert Course().title("extract", "part") == "extract"


def test_the_time_left_for_the_run_follows_from_the_speed_so_far() -> None:
    course = Course([("extract", 60.0), ("minhash", 30.0), ("quality", 10.0)])
    assert course.seconds_left("extract", spent=60, left=60) == 60 + 2 * 40  # twice as slow as planned
    assert course.seconds_left("quality", spent=1, left=4) == 4
    assert course.seconds_left("another", spent=1, left=1) is None


def test_lines_come_at_intervals_with_the_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lines, "seconds", 0.05)
    file, shown = console()
    work = tasks(tmp_path)
    with Lines(work, shown, Course([("toy", 1.0), ("other", 9.0)])):
        finish(work[0])
        deadline = time.monotonic() + 20
        while "left" not in file.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
    lines = [line for line in file.getvalue().splitlines() if "left" in line]
    assert lines[0].startswith("stage 1 of 2, toy, 50%, 1/2 tasks  7 documents")
    assert "left, the run: " in lines[0]


def test_a_store_that_does_not_answer_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lines, "seconds", 0.02)
    file, shown = console()
    work = [replace(task, out="memory://away") for task in tasks(tmp_path)]
    with Lines(work, shown) as lines:
        failures = list[int]()

        def away() -> None:
            failures.append(1)
            raise StorageError("memory://away/tasks cannot be read: no answer")

        there = lines.counter.count
        monkeypatch.setattr(lines.counter, "count", away)
        deadline = time.monotonic() + 20
        while len(failures) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        monkeypatch.setattr(lines.counter, "count", there)
    assert len(failures) >= 3
    assert file.getvalue().count("cannot be read: no answer. Meanwhile tasks that read from it ask again") == 1
    assert "GOLDWASH_PATIENCE" in file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 69, 80, 109, 110, 160])
def test_a_bar_fits_its_terminal(width: int, tmp_path: Path) -> None:
    _, shown = console(width, terminal=True)
    work = tasks(tmp_path)
    finish(work[0])
    with Bar(work, shown, Course([("toy", 1.0), ("another_stage_with_a_long_name", 9.0)])) as bar:
        table = Console(file=io.StringIO(), width=width)
        table.print(bar.bar.get_renderable())
    lines = table.file.getvalue().splitlines()
    assert len(lines) == 1
    assert len(lines[0]) <= width
    assert "50%" in lines[0]


def test_names_of_stages_are_escaped(tmp_path: Path) -> None:
    file, shown = console()
    work = [replace(task, stage={"name": "a\x1b[31m[bold]"}, part="b\r") for task in tasks(tmp_path, 1)]
    with Lines(work, shown):
        pass
    assert "a\\x1b[31m[bold]: b\\r" in file.getvalue()


def test_progress_without_a_console_shows_nothing() -> None:
    with Progress() as progress:
        progress.poll()


def test_states_are_named_once() -> None:
    assert states.state_file(tasks(Path("x"), 1)[0]).endswith("logs/part/states/part-00000.json")
