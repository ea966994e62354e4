"""Where a run is, told from its folder: of every state, and after shards that were spoilt between stages."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from goldwash.pipeline.engines.local import local
from goldwash.pipeline.flow import run_recipe
from goldwash.pipeline.inspect.status import LOG_LINES, SHOWN, StageStatus, overall, status
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.stage import RunError
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.tasks import Task
from tests.pipeline.conftest import goldwash, here
from tests.pipeline.test_flow import digests, folders
from tests.support.numbers import write_number

pytestmark = pytest.mark.filterwarnings("default")


def run_of(folder: Path, *begun: str, order: Sequence[str] = ("extract", "heuristics", "quality")) -> Path:
    """A run's folder of which these stages have begun."""
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"order": list(order), "stages": list(begun)}))
    return folder


def tasks_of(run: Path, stage: str, count: int = 6, part: str = "part", **acts: str) -> list[Task]:
    out = run / stage
    out.mkdir(exist_ok=True)
    acts = {key.removeprefix("t"): act for key, act in acts.items()}
    name = stage.split("-")[1]
    return [Task({"name": name}, (f"in-{n}",), str(out), n, "i", part, extra={"act": acts.get(str(n))}) for n in range(count)]


def states(run: Path) -> list[str]:
    return [stage.state for stage in status(str(run))]


def finish(run: Path, stage: str, tasks: Sequence[Task]) -> None:
    report = local(1)(write_number, tasks).to_dict()
    (run / stage / "report.json").write_text(json.dumps({"stage": stage, "report": report}))


def pass_of(stage: StageStatus) -> tuple[int, int, int, int]:
    last = stage.passes[-1]
    return last.tasks, last.done, last.running, last.failed


def test_a_folder_that_is_no_run_is_told(tmp_path, cli):
    with pytest.raises(DataError, match=r"is not a run: it has no run\.json; give the --out of `goldwash run`"):
        status(str(tmp_path))
    assert cli("status", tmp_path)[0] == 1


def test_stages_wait_until_they_begin(tmp_path, cli):
    run = run_of(tmp_path / "run")
    assert states(run) == ["waiting"] * 3
    code, printed, _ = cli("status", run)
    assert (code, printed.split("\n")[:3]) == (0, ["extract: waiting", "heuristics: waiting", "quality: waiting"])


def test_a_finished_stage_says_what_it_kept(tmp_path, cli):
    run = run_of(tmp_path / "run", "01-extract-a")
    finish(run, "01-extract-a", tasks_of(run, "01-extract-a"))
    assert states(run) == ["finished", "waiting", "waiting"]
    assert overall(status(str(run))) == "waiting"
    code, printed, _ = cli("status", run)
    assert code == 0
    assert "extract: finished, 600 of 600 documents kept" in printed


def test_failed_tasks_are_told_with_their_reasons_and_the_ends_of_their_logs(tmp_path, cli):
    run = run_of(tmp_path / "run", "01-extract-a", "02-heuristics-b")
    finish(run, "01-extract-a", tasks_of(run, "01-extract-a"))
    with pytest.raises(RunError):
        local(2)(write_number, tasks_of(run, "02-heuristics-b", t1="raise", t4="fault"))
    assert states(run) == ["finished", "failed", "waiting"]
    stage = status(str(run))[1]
    assert pass_of(stage) == (6, 4, 0, 2)
    assert [(failure.task, failure.why.split(" (")[0]) for failure in stage.failures] == [
        ("part-00001", "the gold is gone"), ("part-00004", "KeyError: 'a fault of ours'"),
    ]  # fmt: skip
    for failure in stage.failures:
        assert 0 < len(failure.log) <= LOG_LINES
    code, printed, _ = cli("status", run)
    assert code == 1
    assert "heuristics: failed, part 4/6 tasks done, 0 running, 2 failed" in printed
    assert "  part-00001 failed (on " in printed
    assert "    | goldwash.pipeline.storage.failures.DataError: the gold is gone" in printed
    assert "failed: finished work is kept; give the same command again to go on from there" in printed


def test_of_many_failed_tasks_the_first_are_told_in_full(tmp_path):
    run = run_of(tmp_path / "run", "01-extract-a")
    with pytest.raises(RunError):
        local(1)(write_number, tasks_of(run, "01-extract-a", **{f"t{n}": "raise" for n in range(6)}))
    stage = status(str(run))[0]
    assert pass_of(stage) == (6, 0, 0, 6)
    assert [failure.task for failure in stage.failures] == [f"part-{n:05d}" for n in range(SHOWN)]


def test_a_task_whose_worker_was_killed_says_so(tmp_path, cli):
    run = run_of(tmp_path / "run", "01-extract-a")
    with pytest.raises(RunError):
        local(2)(write_number, tasks_of(run, "01-extract-a", t2="die"))
    assert states(run)[0] == "failed"
    assert "part-00002 failed" in cli("status", run)[1]
    assert "its worker was killed 3 times" in cli("status", run)[1]


def test_what_failed_is_forgotten_once_it_is_done(tmp_path, cli):
    run = run_of(tmp_path / "run", "01-extract-a")
    with pytest.raises(RunError):
        local(1)(write_number, tasks_of(run, "01-extract-a", t1="raise"))
    local(1)(write_number, tasks_of(run, "01-extract-a"))
    stage = status(str(run))[0]
    assert (stage.state, pass_of(stage), stage.failures) == ("under way", (6, 6, 0, 0), ())
    assert cli("status", run)[0] == 0


def test_passes_are_told_in_the_order_of_their_beginnings(tmp_path):
    run = run_of(tmp_path / "run", "01-extract-a")
    for part in ("scores", "keys", "part"):
        local(1)(write_number, tasks_of(run, "01-extract-a", 2, part))
    assert [(p.part, p.engine, p.done) for p in status(str(run))[0].passes] == [
        ("scores", "local", 2), ("keys", "local", 2), ("part", "local", 2),
    ]  # fmt: skip


DRIVER = """
import sys
from pathlib import Path
from goldwash.pipeline.engines.local import local
from tests.support.numbers import write_number
from tests.pipeline.inspect.test_status import tasks_of

if __name__ == "__main__":
    local(2)(write_number, tasks_of(Path(sys.argv[1]), "01-extract-a", 400, **{f"t{n}": "wait" for n in range(400)}))
"""


def test_a_run_is_under_way_until_its_driver_is_killed_and_then_it_has_stopped(tmp_path, cli):
    run = run_of(tmp_path / "run", "01-extract-a")
    (tmp_path / "driver.py").write_text(DRIVER)
    words = [sys.executable, str(tmp_path / "driver.py"), str(run)]
    root = os.pathsep.join([str(Path(__file__).resolve().parents[3]), *sys.path])
    driver = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": root}, start_new_session=True)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and len(list(run.glob("01-extract-a/tasks/*.json"))) < 3:
            time.sleep(0.05)
        stage = status(str(run))[0]
        tasks, done, running, failed = pass_of(stage)
        assert (stage.state, tasks, failed) == ("under way", 400, 0)
        assert 3 <= done < 400
        assert 0 <= running <= 2
        assert cli("status", run)[0] == 0
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    assert states(run) == ["stopped", "waiting", "waiting"]
    code, printed, _ = cli("status", run)
    assert code == 1
    assert "stopped: finished work is kept" in printed


def test_a_driver_on_another_machine_is_believed_to_live(tmp_path):
    run = run_of(tmp_path / "run", "01-extract-a")
    with pytest.raises(RunError):
        local(1)(write_number, tasks_of(run, "01-extract-a", t1="raise"))
    shutil.rmtree(run / "01-extract-a" / "logs" / "part" / "states")
    told = run / "01-extract-a" / "logs" / "part" / "pass.json"
    for host, state in (("another-host", "under way"), (None, "stopped")):
        held = json.loads(told.read_text())
        held |= {"pid": dead_pid(), **({"host": host} if host else {"host": os.uname().nodename})}
        told.write_text(json.dumps(held))
        assert states(run)[0] == state


def dead_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_status_changes_nothing(tmp_path, cli):
    run = run_of(tmp_path / "run", "01-extract-a")
    with pytest.raises(RunError):
        local(1)(write_number, tasks_of(run, "01-extract-a", t1="raise"))

    def all_files() -> dict[str, tuple[int, int]]:
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in run.rglob("*")}

    before = all_files()
    cli("status", run)
    assert all_files() == before


def test_a_state_that_is_being_written_is_passed_over(tmp_path):
    run = run_of(tmp_path / "run", "01-extract-a")
    with pytest.raises(RunError):
        local(1)(write_number, tasks_of(run, "01-extract-a", t1="raise"))
    place = run / "01-extract-a" / "logs" / "part" / "states"
    (place / ".half-123-part-00002").write_text('{"task": "part-0')
    (place / ".half-xyz").write_text("")
    assert pass_of(status(str(run))[0]) == (6, 5, 0, 1)


# --- a shard that is spoilt between stages


@pytest.fixture
def spoilt(sample, sample_run, tmp_path) -> Path:
    """The sample run without its last four stages, and a shard of its second cut short while the third has begun."""
    run = tmp_path / "run"
    shutil.copytree(sample_run, run)
    for folder in folders(run)[3:]:
        shutil.rmtree(folder)
    third = folders(run)[2]
    for name in ("tasks", "keys", "dropped", "logs"):
        shutil.rmtree(third / name)
    (third / "report.json").unlink()
    return run


def test_a_truncated_shard_fails_the_run_and_status_tells_which_and_the_rerun_ends_in_the_same_bytes(
    spoilt, sample, sample_run, tmp_path, cli, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = ("run", "sample", "--input", sample / "crawl", "--out", "run", "--workers", "2")
    shard = folders(spoilt)[1] / "part-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)  # of its own size, so that the stage before looks finished
    failed = goldwash(*words, cwd=tmp_path, check=False, timeout=400)
    assert failed.returncode == 1
    assert "part-00001.parquet is not what it was" in failed.stderr

    stages = {stage.name: stage for stage in status("run")}
    assert [stage.state for stage in stages.values()] == ["finished"] * 2 + ["failed"] + ["waiting"] * 3
    (failure,) = stages["minhash"].failures
    assert failure.task == "keys-00001"
    assert "part-00001.parquet.broken: run again to have it made again" in failure.why
    code, printed, _ = cli("status", "run")
    assert code == 1
    assert "minhash: failed, keys 3/4 tasks done, 0 running, 1 failed" in printed
    assert "keys-00001 failed" in printed
    assert "    | " in printed

    assert not shard.exists()
    run_recipe(load("sample"), [str(sample / "crawl")], "run", here)
    shard.with_name(f"{shard.name}.broken").unlink()
    assert digests(spoilt) == digests(sample_run)
    assert [stage.state for stage in status("run")] == ["finished"] * 6


def test_a_shard_that_vanishes_or_shrinks_before_the_run_goes_on_is_made_again(
    spoilt, sample, sample_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    first, second, _ = folders(spoilt)
    (first / "part-00002.parquet").unlink()
    (second / "part-00001.parquet").write_bytes((second / "part-00001.parquet").read_bytes()[:-100])
    steps = run_recipe(load("sample"), [str(sample / "crawl")], "run", here)
    assert not any(step.reused for step in steps)
    assert digests(spoilt) == digests(sample_run)
