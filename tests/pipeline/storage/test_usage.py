"""What tasks used, recorded beside the logs and never in a result."""

import json
import time
from pathlib import Path

import pytest

from goldwash.pipeline.storage.tasks import Task
from goldwash.pipeline.storage.usage import measured, usage_of


def task(out: Path | str, number: int = 0, part: str = "part") -> Task:
    return Task({"name": "toy"}, ("in",), str(out), number, "same", part=part)


def test_time_cpu_and_memory_are_recorded(tmp_path: Path) -> None:
    with measured(task(tmp_path)):
        held = bytearray(80_000_000)
        held[:] = b"x" * len(held)
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass
        del held
    found = usage_of(str(tmp_path), 1000)
    assert found.tasks == 1
    assert found.seconds > 0
    assert found.cpu_seconds >= 0.1
    assert found.peak_bytes > 80_000_000
    assert found.bytes_per_second == pytest.approx(1000 / found.seconds)


def test_a_task_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), measured(task(tmp_path)):
        raise ValueError("x")
    assert usage_of(str(tmp_path), 1).tasks == 0


def test_time_between_attempts_does_not_count(tmp_path: Path) -> None:
    """Two tasks at once for 10 s, an hour's pause, one more for 5 s."""
    folder = tmp_path / "logs" / "part" / "usage"
    folder.mkdir(parents=True)
    lines = [(0.0, 10.0), (2.0, 8.0), (3600.0, 5.0)]
    text = [json.dumps({"task": "t", "since": a, "seconds": b, "cpu_seconds": 1.0, "peak_bytes": 7}) for a, b in lines]
    (folder / "h-1.jsonl").write_text("\n".join(text[:2]) + "\nnot json\n[1]\n")
    (folder / "h-2.jsonl").write_text(text[2])
    found = usage_of(str(tmp_path), 30)
    assert (found.seconds, found.cpu_seconds, found.peak_bytes, found.tasks, found.bytes_per_second) == (15.0, 3.0, 7, 3, 2.0)


def test_nothing_is_known_of_a_store_or_of_an_older_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with measured(task("s3://bucket/run")):
        pass
    assert usage_of("s3://bucket/run", 1).tasks == 0
    assert usage_of(str(tmp_path), 1).seconds == 0
    assert list(tmp_path.iterdir()) == []
