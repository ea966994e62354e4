"""A run that is watched while it goes on."""

import io
import json
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from goldwash.pipeline.inspect.live import Row, View, Watch, drawn, plain_lines, run_rows
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.states import write_state
from goldwash.pipeline.storage.tasks import Task, TaskOutput


def begun(run: Path, tasks: int = 4, rule: str = "word_count") -> list[Task]:
    """A run whose first stage is finished and whose second is under way, with one of its tasks done."""
    for name in ("01-extract-aaaaaaaa", "02-heuristics-bbbbbbbb"):
        write_json(f"{run}/{name}/stage.json", {"stage": name.split("-")[1]})
    done = Report(Count(100, 9000), Count(80, 5000), {"language": Count(20, 4000)})
    write_json(f"{run}/01-extract-aaaaaaaa/report.json", {"stage": "extract", "report": done.to_dict()})
    stages = ["01-extract-aaaaaaaa", "02-heuristics-bbbbbbbb"]
    write_json(f"{run}/run.json", {"recipe": "x", "order": ["extract", "heuristics", "minhash"], "stages": stages})
    out = f"{run}/{stages[1]}"
    here = {"host": "elsewhere", "pid": 1, "since": time.time()}
    write_json(f"{out}/logs/part/pass.json", {"part": "part", "engine": "local", "tasks": tasks, **here})
    made = [Task({"name": "heuristics"}, ("in",), out, n, "same") for n in range(tasks)]
    finish(made[0], rule)
    return made


def finish(task: Task, rule: str = "word_count") -> None:
    with TaskOutput(task, None, dropped=False) as output:
        output.report = Report(Count(20, 1000), Count(15, 800), {rule: Count(5, 200)})


def test_a_view_has_stages_documents_drops_and_speed(tmp_path: Path) -> None:
    tasks = begun(tmp_path)
    now = [1000.0]
    watch = Watch(str(tmp_path), clock=lambda: now[0])
    first = watch.look()
    assert [(row.name, row.state) for row in first.rows] == [
        ("extract", "finished"), ("heuristics", "under way"), ("minhash", "waiting"),
    ]  # fmt: skip
    assert first.rows[1].fraction == 0.25
    assert first.rows[1].left is None
    assert first.drops == {"language": 20, "word_count": 5}
    finish(tasks[1])
    write_state(tasks[2], {"task": tasks[2].name, "documents": 10, "bytes": 500, "fraction": 0.5})
    now[0] += 10
    second = watch.look().rows[1]
    assert (second.done, second.read, second.fraction) == (2, 50, 0.625)
    assert second.bytes_per_second == 150
    assert second.left == pytest.approx(10)
    assert second.running == 1


def test_the_folder_of_a_single_stage_is_watched(tmp_path: Path) -> None:
    begun(tmp_path)
    assert [row.name for row in Watch(f"{tmp_path}/02-heuristics-bbbbbbbb").look().rows] == ["heuristics"]


def test_a_stage_that_begins_anew_is_counted_anew(tmp_path: Path) -> None:
    tasks = begun(tmp_path)
    watch = Watch(str(tmp_path))
    watch.look()
    Path(tasks[0].marker).unlink()
    assert watch.look().drops == {"language": 20}


def test_a_broken_marker_is_read_when_it_is_whole(tmp_path: Path) -> None:
    tasks = begun(tmp_path)
    watch = Watch(str(tmp_path))
    Path(tasks[1].marker).write_text("{")
    assert watch.look().drops["word_count"] == 5
    finish(tasks[1])
    assert watch.look().drops["word_count"] == 10


@pytest.mark.parametrize(("width", "height"), [(20, 6), (60, 10), (80, 24), (160, 50)])
@pytest.mark.parametrize("unicode", [True, False])
def test_the_board_fits_the_terminal(tmp_path: Path, width: int, height: int, unicode: bool) -> None:
    rows = tuple(Row(f"stage_with_a_long_name_{n}", "finished", read=10**6, kept=10) for n in range(30))
    now = Row("now", "under way", "part", 3, 90_000, 5, 1, 10**9, None, 0.5, 5e6, 4000.0, "12 pending")
    view = View("under way", (*rows, now, Row("then", "waiting")), {"rule_" * 20: 5, "b": 3}, ("x" * 500,))
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(drawn(view, width, height, unicode))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= height + 2 + 500 // width
    assert all(len(line) <= width for line in lines)
    if width >= 80:
        assert any("now" in line and "50%" in line for line in lines)
    if not unicode:
        assert all(line.isascii() or "·" in line or "…" in line or "━" in line or "╸" in line for line in lines)


def test_names_of_rules_are_escaped(tmp_path: Path) -> None:
    begun(tmp_path, rule="a\x1b[31m")
    view = Watch(str(tmp_path)).look()
    assert "\x1b" not in "".join(plain_lines(view))
    assert "a\\x1b[31m 5" in "".join(plain_lines(view))


def test_rows_of_a_run_come_from_its_reports(tmp_path: Path) -> None:
    begun(tmp_path)
    rows, drops = run_rows(str(tmp_path))
    assert [(row.name, row.state) for row in rows] == [
        ("extract", "finished"),
        ("heuristics", "under way"),
        ("minhash", "waiting"),
    ]
    assert drops == {"language": 20}
    assert run_rows(str(tmp_path / "none")) == ([], {})


# --- goldwash status --watch


def test_without_a_terminal_a_line_comes_with_each_change_until_the_run_ends(tmp_path, cli) -> None:
    tasks = begun(tmp_path, 2)
    ended = Report(Count(40, 2000), Count(30, 1600), {"word_count": Count(10, 400)})

    def go_on() -> None:
        time.sleep(1.5)
        finish(tasks[1])
        write_json(f"{tasks[0].out}/report.json", {"stage": "heuristics", "report": ended.to_dict()})
        held = json.loads((tmp_path / "run.json").read_text())
        write_json(f"{tmp_path}/run.json", {**held, "order": ["extract", "heuristics"]})

    thread = threading.Thread(target=go_on)
    thread.start()
    code, printed, _ = cli("status", tmp_path, "--watch", "--every", "0.1")
    thread.join()
    assert code == 0
    lines = printed.splitlines()
    assert lines[0] == "heuristics: under way, writing shards 1/2 tasks, 20 documents"
    assert lines[1].strip() == "dropped so far: language 20 · word_count 5"
    assert "finished: 30 documents kept" in lines
    assert len(lines) < 12


def test_a_failed_run_ends_the_watch_with_an_error(tmp_path, cli) -> None:
    tasks = begun(tmp_path)
    write_state(tasks[1], {"task": tasks[1].name, "why": "the disk is full", "host": "h"})
    code, printed, _ = cli("status", tmp_path, "--watch")
    assert code == 1
    assert "the disk is full" in printed


@pytest.mark.skipif(sys.platform == "win32", reason="pty")
def test_on_a_terminal_the_board_is_drawn(tmp_path: Path) -> None:
    import os
    import pty
    import subprocess

    begun(tmp_path)
    (tmp_path / "run.json").write_text((tmp_path / "run.json").read_text().replace('"minhash"', '"bloom"'))
    master, slave = pty.openpty()
    words = [sys.executable, "-m", "goldwash", "status", str(tmp_path), "--watch", "--every", "0.2"]
    process = subprocess.Popen(words, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"})
    os.close(slave)
    seen, deadline = b"", time.monotonic() + 60
    while b"dropped so far" not in seen and time.monotonic() < deadline:
        seen += os.read(master, 4096)
    process.terminate()
    process.wait(30)
    os.close(master)
    text = seen.decode("utf-8", "replace")
    assert "heuristics" in text
    assert "25%" in text
    assert "language 20" in text
