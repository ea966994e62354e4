import hashlib
from multiprocessing import forkserver
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from goldwash.pipeline import threads
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.engines.work import TRIES
from goldwash.pipeline.report import Count
from goldwash.pipeline.stage import RunError, compile_kernels
from goldwash.pipeline.stages.quality import Quality
from goldwash.pipeline.storage.tasks import Task, finished
from tests.support.numbers import tell_worker, write_number

pytestmark = pytest.mark.filterwarnings("default")


def tasks_in(folder: Path, count: int = 5, fingerprint: str = "i", **acts: str) -> list[Task]:
    folder.mkdir(exist_ok=True)
    acts = {key.removeprefix("t"): act for key, act in acts.items()}
    return [
        Task({"name": "t"}, (f"in-{n}",), str(folder), n, fingerprint, extra={"act": acts.get(str(n))}) for n in range(count)
    ]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix in (".parquet", ".json") and "logs" not in p.parts
    }


def worked(folder: Path) -> list[int]:
    """The tasks that were done, in the order of their ends."""
    return [int(line.split()[0]) for line in (folder / "done.log").read_text().splitlines()]


def test_any_number_of_workers_makes_the_same_bytes(tmp_path):
    found = []
    for workers in (1, 2, 4):
        report = local(workers)(write_number, tasks_in(tmp_path / str(workers)))
        assert report.read == Count(500, 4000)
        assert sorted(worked(tmp_path / str(workers))) == [0, 1, 2, 3, 4]
        found.append(digests(tmp_path / str(workers)))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 15


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_has_the_environment_that_its_run_has(tmp_path, monkeypatch, workers):
    """Not that of an earlier run in this process, in which the fork server started."""
    for value in ("first", "second", None):
        monkeypatch.setenv("GOLDWASH_TEST", value) if value else monkeypatch.delenv("GOLDWASH_TEST")
        folder = tmp_path / str(value)
        local(workers)(write_number, tasks_in(folder, 2, t0="environment", t1="environment"))
        assert [(folder / f"environment-{n}").read_text() for n in range(2)] == [value or "none"] * 2


def test_work_is_shared_by_processes(tmp_path):
    tasks = tasks_in(tmp_path / "a", 4, **{f"t{n}": "wait" for n in range(4)})
    local(2)(write_number, tasks)
    assert len({line.split()[1] for line in (tmp_path / "a" / "done.log").read_text().splitlines()}) == 2


def test_a_scoring_worker_holds_its_stage_alone_and_kernels_that_it_was_forked_with(tmp_path):
    compile_kernels(Quality())  # which a run does before its stages
    forkserver._forkserver._stop()  # the server of earlier tests may be older than the kernels
    tasks = tasks_in(tmp_path / "a", 2)
    local(2)(tell_worker, tasks)
    for task in tasks:
        facts = finished(task)["facts"]
        assert facts["kernels"] == 1
        assert facts["pool"] == "system"
        modules = set(facts["modules"])
        assert {name for name in modules if name.startswith("goldwash.pipeline.stages.")} == {
            "goldwash.pipeline.stages.quality"
        }
        assert not modules & {"datasketch", "fastwarc", "resiliparse", "scipy.optimize", "tldextract", "warcio"}


def test_no_task_is_nothing_to_do():
    assert local(2)(write_number, []).read == Count()


def test_a_worker_that_is_killed_once_costs_nothing(tmp_path):
    tasks = tasks_in(tmp_path / "a", t1="die once", t3="die once")
    assert local(2)(write_number, tasks).read == Count(500, 4000)
    local(1)(write_number, tasks_in(tmp_path / "b"))
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert pq.read_table(tmp_path / "a" / "part-00001.parquet")["n"].to_pylist() == [1] * 100


def test_a_task_that_always_kills_its_worker_fails_after_three_tries_and_the_others_end_well(tmp_path):
    tasks = tasks_in(tmp_path / "a", t1="die")
    with pytest.raises(RunError, match=r"task part-00001 of in-1: its worker was killed 3 times .*fewer --workers"):
        local(2)(write_number, tasks)
    assert (tmp_path / "a" / "died-1").read_text() == "x" * TRIES
    assert [finished(task) is not None for task in tasks] == [True, False, True, True, True]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("act", "why"), [("raise", r": the gold is gone"), ("fault", r": KeyError: 'a fault of ours' \(.*numbers\.py:\d+\)")]
)
def test_an_error_is_told_with_its_task_and_the_others_end_well(tmp_path, workers, act, why):
    tasks = tasks_in(tmp_path / "a", t1=act, t2=act)
    with pytest.raises(RunError, match=rf"task part-00001 of in-1{why} \(2 tasks failed\); log: (\S+)") as caught:
        local(workers)(write_number, tasks)
    assert [finished(task) is not None for task in tasks] == [True, False, False, True, True]
    assert not (tmp_path / "a" / "part-00001.parquet").exists()
    assert not list((tmp_path / "a").rglob(".half-*"))
    assert "Traceback" in Path(str(caught.value).rpartition("log: ")[2]).read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failed_task_alone_is_done_again(tmp_path, workers):
    with pytest.raises(RunError):
        local(workers)(write_number, tasks_in(tmp_path / "a", t1="raise"))
    assert local(workers)(write_number, tasks_in(tmp_path / "a")).read == Count(500, 4000)
    assert sorted(worked(tmp_path / "a")) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_done_is_not_done_again_unless_it_is_another_or_gone(tmp_path, workers):
    run, folder = local(workers), tmp_path / "a"
    run(write_number, tasks_in(folder))
    run(write_number, tasks_in(folder))
    assert len(worked(folder)) == 5
    (folder / "part-00003.parquet").unlink()
    (folder / "dropped" / "part-00002.parquet").write_bytes(b"short")
    run(write_number, tasks_in(folder))
    assert sorted(worked(folder)[5:]) == [2, 3]
    run(write_number, tasks_in(folder, fingerprint="another"))
    assert len(worked(folder)) == 12


@pytest.mark.parametrize(("workers", "count", "each"), [(1, 1, 1), (4, 1, 4), (4, 2, 2), (3, 2, 1), (2, 4, 1)])
def test_tasks_use_the_processors_that_no_other_task_needs(tmp_path, workers, count, each):
    tasks = tasks_in(tmp_path / "a", count, **{f"t{n}": "processors" for n in range(count)})
    local(workers)(write_number, tasks)
    assert [(tmp_path / "a" / f"processors-{n}").read_text() for n in range(count)] == [str(each)] * count
    assert threads.processors() == 1
