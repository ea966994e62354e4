"""The same run here, on Slurm and on Ray, both stood up for real: equal bytes, and what is said when things break."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from goldwash.pipeline.engines import ray as ray_engine_module
from goldwash.pipeline.engines import slurm_array, slurm_driver
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.engines.ray import Ray, ray
from goldwash.pipeline.engines.slurm import Slurm, slurm
from goldwash.pipeline.engines.slurm_array import SlurmExecutor, element
from goldwash.pipeline.engines.slurm_commands import queued
from goldwash.pipeline.engines.slurm_driver import names_of
from goldwash.pipeline.engines.work import TRIES, missing_ranks
from goldwash.pipeline.inspect.status import overall, status
from goldwash.pipeline.stage import RunError, reports_of
from goldwash.pipeline.storage.states import read_state
from tests.conftest import ROOT
from tests.faults import campaign, digests, local_engine, undisturbed, until, workers
from tests.faults import ray_engine as ray_faults
from tests.faults import slurm_engine as slurm_faults
from tests.pipeline.conftest import goldwash, shard
from tests.pipeline.engines.test_local import digests as task_digests
from tests.pipeline.engines.test_local import tasks_in
from tests.support.clusters import NoEngineError, RayCluster, SlurmCluster, ray_cluster, slurm_cluster
from tests.support.numbers import write_number

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
SLURM = RAY = pytest.mark.xdist_group("engines")  # one after the other: two clusters at once are too much for two processors
QUICK = {"poll_seconds": 0.3, "late_seconds": 2.0, "memory_gb": 0.5, "array": 3}
WITH = ("partition=gold", "memory_gb=1", "driver_memory_gb=1", "poll_seconds=0.5", "array=2", "late_seconds=3")


@pytest.fixture(scope="module")
def slurm_nodes(tmp_path_factory):
    try:
        with slurm_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
            yield cluster
    except NoEngineError as error:
        pytest.skip(str(error))


@pytest.fixture
def cluster(slurm_nodes, monkeypatch) -> SlurmCluster:
    for name, value in slurm_nodes.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([f"{ROOT}/src", str(ROOT)]))
    return slurm_nodes


@pytest.fixture(scope="module")
def ray_nodes(tmp_path_factory):
    try:
        with ray_cluster(Path(tmp_path_factory.mktemp("ray", numbered=True))) as nodes:
            yield nodes
    except NoEngineError as error:
        pytest.skip(str(error))


@pytest.fixture
def nodes(ray_nodes, monkeypatch) -> RayCluster:
    for name, value in ray_nodes.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([f"{ROOT}/src", str(ROOT)]))
    return ray_nodes


@pytest.fixture
def joined(nodes):
    """This process as a driver of the Ray cluster."""
    yield Ray(address=nodes.address, memory_gb=0.2)
    ray_engine_module.disconnect()


@pytest.fixture(scope="module")
def crawl(sample, tmp_path_factory):
    """A short run of seven passes over two archives, and the digests of its files when one worker has done it undisturbed."""
    inputs = [str(path) for path in sorted((sample / "crawl").iterdir())[:2]]
    what = ["sample", "--input", *inputs, "--skip", "heuristics", "bloom", "quality", "decontaminate"]
    return what, undisturbed(tmp_path_factory.mktemp("reference"), what)


MIXTURE = """
stages:
  - extract: {}
  - mix:
      bytes: 400k
      seed: 3
      shard_bytes: 20000
      max_repeats: 20
      sources: {crawl: {split: [{column: status, missing: none}, {column: length, quantiles: 5}]}}
dataset: {order: shuffled, shard_bytes: 30000}
"""


@pytest.fixture(scope="module")
def mixture(sample, tmp_path_factory):
    """A run of two archives through mix (count, edges, tally, draw, spread, gather), whose dataset is shuffled again."""
    folder = tmp_path_factory.mktemp("mixture")
    (folder / "mixture.yaml").write_text(MIXTURE)
    inputs = [str(path) for path in sorted((sample / "crawl").iterdir())[:2]]
    what = [str(folder / "mixture.yaml"), "--input", *inputs]
    return what, undisturbed(folder, what)


TOKENS = """
stages:
  - exact: {}
  - tokenize:
      tag: "URL: {host}\\n\\n"
      weights: {a: 0.7, b: 0.3}
      tokens: 90000
      formats: [olmo, megatron, mds, llmc]
      sequence_length: 64
      shard_tokens: 4096
      memory_tokens: 12288
"""


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """A run of six shards through all passes of tokenize (part, chosen, spread, packed, about), with repeats and tags."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "tokens.yaml").write_text(TOKENS)
    for k in range(6):
        texts = [f"Document {n} of shard {k} tells of gold, café {n * k} and 金. " * (n * 7 % 13 + 1) for n in range(60)]
        shard(folder / "in" / f"{k}.parquet", texts, source=["ab"[n % 2] for n in range(60)])
    what = [str(folder / "tokens.yaml"), "--input", str(folder / "in")]
    return what, undisturbed(folder, what)


# --- the same bytes


def test_four_workers_make_the_bytes_of_one(crawl, tmp_path):
    goldwash("run", *crawl[0], "--out", tmp_path / "run", "--workers", 4, cwd=tmp_path, timeout=300)
    assert digests(tmp_path / "run") == crawl[1]
    assert len(crawl[1]) > 20


@SLURM
def test_slurm_makes_the_bytes_of_one_worker_and_needs_nobody(cluster, crawl, tmp_path):
    run = tmp_path / "run"
    words = ("run", *crawl[0], "--out", run, "--on", "slurm", "--with", *WITH, "--detach")
    said = goldwash(*words, cwd=tmp_path, timeout=240).stderr
    assert said.count("submitted goldwash-") == 2  # all stages at once
    assert "goldwash status" in said
    again = goldwash(*words, cwd=tmp_path).stderr
    assert "in the queue already" in again
    assert "submitted goldwash-" not in again
    until(lambda: (run / "dataset" / "_report.json").exists(), 500, "the dataset")
    assert digests(run) == crawl[1]
    assert overall(status(str(run))) == "finished"
    until(lambda: not any(queued(name) for name in names_of(str(run))), 120, "the last driver's end")
    said = goldwash(*words[:-1], cwd=tmp_path)  # nothing is left to do, and it says what came of it
    assert "submitted goldwash-" not in said.stderr
    assert "minhash reads" in said.stdout
    assert digests(run) == crawl[1]


@RAY
def test_ray_makes_the_bytes_of_one_worker(nodes, crawl, tmp_path):
    words = ("run", *crawl[0], "--out", tmp_path / "run", "--on", "ray", "--ray-address", nodes.address)
    goldwash(*words, "--with", "memory_gb=0.5", cwd=tmp_path, timeout=300)
    assert digests(tmp_path / "run") == crawl[1]


def test_a_mixture_of_four_workers_is_that_of_one(mixture, tmp_path):
    goldwash("run", *mixture[0], "--out", tmp_path / "run", "--workers", 4, cwd=tmp_path, timeout=300)
    assert digests(tmp_path / "run") == mixture[1]
    assert len([name for name in mixture[1] if "dataset/part-" in name]) > 2


@SLURM
def test_slurm_mixes_as_one_worker_does(cluster, mixture, tmp_path):
    goldwash("run", *mixture[0], "--out", tmp_path / "run", "--on", "slurm", "--with", *WITH, cwd=tmp_path, timeout=400)
    assert digests(tmp_path / "run") == mixture[1]


@RAY
def test_ray_mixes_as_one_worker_does(nodes, mixture, tmp_path):
    words = ("run", *mixture[0], "--out", tmp_path / "run", "--on", "ray", "--ray-address", nodes.address)
    goldwash(*words, "--with", "memory_gb=0.5", cwd=tmp_path, timeout=300)
    assert digests(tmp_path / "run") == mixture[1]


@SLURM
def test_slurm_tokenises_as_one_worker_does_whatever_is_killed(cluster, tokens, tmp_path):
    goldwash("run", *tokens[0], "--out", tmp_path / "run", "--on", "slurm", "--with", *WITH, cwd=tmp_path, timeout=400)
    assert digests(tmp_path / "run") == tokens[1]
    assert len([name for name in tokens[1] if "/olmo/part-" in name]) > 9
    check_campaign(slurm_faults(cluster), tokens, tmp_path, 2, 5)


@RAY
def test_ray_tokenises_as_one_worker_does_whatever_is_killed(nodes, tokens, tmp_path):
    words = ("run", *tokens[0], "--out", tmp_path / "run", "--on", "ray", "--ray-address", nodes.address)
    goldwash(*words, "--with", "memory_gb=0.5", cwd=tmp_path, timeout=300)
    assert digests(tmp_path / "run") == tokens[1]
    check_campaign(ray_faults(nodes), tokens, tmp_path, 2, 6)


# --- kills


def check_campaign(engine, crawl, tmp_path, kills, seed, only=""):
    outcome = campaign(engine, *crawl, tmp_path, seed, kills, only)
    assert sum(outcome.kills.values()) >= kills
    assert outcome.different == []


def test_random_kills_here_cost_nothing(crawl, tmp_path):
    check_campaign(local_engine(), crawl, tmp_path, 8, 1)


def test_random_kills_of_a_mixture_cost_nothing(mixture, tmp_path):
    check_campaign(local_engine(), mixture, tmp_path, 4, 7)


def test_random_kills_while_tokens_are_made_cost_nothing(tokens, tmp_path):
    check_campaign(local_engine(), tokens, tmp_path, 4, 8)


@SLURM
def test_random_kills_on_slurm_cost_nothing(cluster, crawl, tmp_path):
    check_campaign(slurm_faults(cluster), crawl, tmp_path, 4, 2)


@RAY
def test_random_kills_on_ray_cost_nothing(nodes, crawl, tmp_path):
    check_campaign(ray_faults(nodes), crawl, tmp_path, 4, 3)


@RAY
def test_the_end_of_rays_head_costs_nothing(nodes, crawl, tmp_path):
    check_campaign(ray_faults(nodes), crawl, tmp_path, 1, 4, "head")


# --- tasks that fail


@SLURM
@pytest.mark.parametrize(
    ("act", "why"), [("raise", "the gold is gone"), ("fault", r"KeyError: 'a fault of ours' \(.*numbers\.py:\d+\)")]
)
def test_slurm_tells_an_error_with_its_task_and_the_others_end_well(cluster, tmp_path, act, why):
    tasks = tasks_in(tmp_path / "a", 6, t1=act, t4=act)
    with pytest.raises(RunError, match=rf"task part-00001 of in-1: {why} \(2 tasks failed\); log: (\S+)") as caught:
        slurm(Slurm(partition="gold", **QUICK))(write_number, tasks)
    assert missing_ranks(tasks) == [1, 4]
    assert why.split(" \\(")[0] in Path(str(caught.value).rsplit("log: ")[1]).read_text()


@SLURM
def test_slurm_submits_again_what_was_killed_and_gives_up_after_three_times(cluster, tmp_path):
    tasks = tasks_in(tmp_path / "a", 5, t1="die once", t3="die once")
    slurm(Slurm(partition="gold", **QUICK))(write_number, tasks)
    local(1)(write_number, tasks_in(tmp_path / "b"))
    assert task_digests(tmp_path / "a") == task_digests(tmp_path / "b")
    tasks = tasks_in(tmp_path / "c", 5, t1="die")
    with pytest.raises(RunError, match=r"task part-00001 of in-1: its worker was killed .* 3 times \(.*FAILED.*memory_gb="):
        slurm(Slurm(partition="gold", **QUICK))(write_number, tasks)
    assert missing_ranks(tasks) == [1]
    assert (tmp_path / "c" / "died-1").read_text() == "x" * TRIES
    assert read_state(tasks[1])["why"].startswith("its worker was killed")


@SLURM
def test_an_array_that_an_earlier_driver_submitted_is_waited_for(cluster, tmp_path):
    tasks = tasks_in(tmp_path / "a", 4, **{f"t{n}": "wait long" for n in range(4)})
    executor = SlurmExecutor(write_number, dict(enumerate(tasks)), Slurm(partition="gold", **QUICK))
    slurm_array.write_tasks(write_number, tasks)
    job = executor.launch([0, 1, 2, 3], 0)
    assert queued(executor.job_name) == [job]
    slurm(Slurm(partition="gold", **QUICK))(write_number, tasks)
    held = json.loads((tmp_path / "a" / "logs" / "part" / "pass.json").read_text())
    assert held["jobs"] == [job]
    assert reports_of(tasks).read.documents == 400


@RAY
@pytest.mark.parametrize(
    ("act", "why"), [("raise", "the gold is gone"), ("fault", r"KeyError: 'a fault of ours' \(.*numbers\.py:\d+\)")]
)
def test_ray_tells_an_error_with_its_task_and_the_others_end_well(joined, tmp_path, act, why):
    tasks = tasks_in(tmp_path / "a", 6, t1=act, t4=act)
    with pytest.raises(RunError, match=rf"task part-00001 of in-1: {why} \(2 tasks failed\); log: (\S+)"):
        ray(joined)(write_number, tasks)
    assert missing_ranks(tasks) == [1, 4]


@RAY
def test_ray_begins_again_what_was_killed_and_gives_up_after_three_times(joined, tmp_path):
    ray(joined)(write_number, tasks_in(tmp_path / "a", 5, t1="die once", t3="die once"))
    local(1)(write_number, tasks_in(tmp_path / "b"))
    assert task_digests(tmp_path / "a") == task_digests(tmp_path / "b")
    tasks = tasks_in(tmp_path / "c", 5, t1="die")
    with pytest.raises(RunError, match=r"task part-00001 of in-1: its worker was killed 3 times .*memory_gb="):
        ray(joined)(write_number, tasks)
    assert missing_ranks(tasks) == [1]


# --- Slurm as it is


@SLURM
@pytest.mark.parametrize("name", ["my out", "it's $(touch pwned) `x`", 'say "hi"; #50%', "ünï & <co>"])
def test_slurm_takes_folders_of_any_name(cluster, tmp_path, name):
    out = tmp_path / name
    tasks = tasks_in(out, 2, t1="raise")
    with pytest.raises(RunError, match="the gold is gone"):
        slurm(Slurm(partition="gold", **QUICK))(write_number, tasks)
    assert missing_ranks(tasks) == [1]
    assert [file.stat().st_size > 0 for file in (out / "logs" / "slurm").glob("*.out")] == [True, True]
    assert not list(tmp_path.rglob("pwned"))


@SLURM
def test_an_array_larger_than_the_cluster_takes_has_fewer_elements(cluster, tmp_path):
    """The cluster's MaxArraySize is 8."""
    tasks = tasks_in(tmp_path / "a", 30)
    slurm(Slurm(partition="gold", **{**QUICK, "array": 1000}))(write_number, tasks)
    assert reports_of(tasks).read.documents == 3000
    held = json.loads((tmp_path / "a" / "logs" / "part" / "array-0.json").read_text())
    assert held["each"] == 4


@SLURM
def test_a_controller_that_is_away_for_a_while_costs_time_and_nothing_else(cluster, tmp_path):
    tasks = tasks_in(tmp_path / "a", 2, t0="wait long", t1="wait long")
    away = threading.Timer(2.0, lambda: (cluster.kill("slurmctld"), time.sleep(4), cluster.start("slurmctld")))
    away.start()
    slurm(Slurm(partition="gold", **QUICK))(write_number, tasks)
    away.join()
    assert reports_of(tasks).read.documents == 200


def test_a_driver_job_that_is_told_to_requeue_starts_no_second_driver(tmp_path):
    """USR1 ended the script's waiting, and it began another driver beside the first."""
    script = slurm_driver.SCRIPT.format(
        environment="scontrol() { echo requeued; }", python=tmp_path / "driver", run=tmp_path, number=1
    )
    (tmp_path / "driver").write_text(
        "#!/bin/sh\necho begins; kill -USR1 $PPID; sleep 1; kill -USR1 $PPID; sleep 1; echo ends; exit 3\n"
    )
    (tmp_path / "driver").chmod(0o755)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.split() == ["begins", "requeued", "requeued", "ends"]
    assert done.returncode == 3


def test_a_driver_that_is_killed_is_begun_again_three_times(tmp_path):
    script = slurm_driver.SCRIPT.format(environment="", python=tmp_path / "driver", run=tmp_path, number=1)
    (tmp_path / "driver").write_text("#!/bin/sh\necho begins; kill -9 $$\n")
    (tmp_path / "driver").chmod(0o755)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.split() == ["begins"] * 3
    assert done.returncode == 137


# --- what cannot work is said before the first task


def test_without_sbatch_it_says_where_to_be(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RunError, match=r"sbatch is not on the path.*login node"):
        slurm(Slurm(partition="gold"))


@SLURM
def test_a_partition_that_there_is_not(cluster):
    with pytest.raises(RunError, match=r"no partition 'silver': there are gold"):
        slurm(Slurm(partition="silver"))
    with pytest.raises(RunError, match=r"no partition is named: give --with partition=NAME"):
        slurm(Slurm())


@SLURM
def test_more_memory_than_any_node_has(cluster, tmp_path):
    with pytest.raises(RunError, match=r"refused the job: .*not available \(Memory .* can not be .*; asked for .*mem=921600M"):
        slurm(Slurm(partition="gold", memory_gb=900.0))(write_number, tasks_in(tmp_path / "a"))


def test_an_element_that_cannot_see_the_folder(tmp_path):
    with pytest.raises(RunError, match=r"cannot see .*nowhere.*on a disk that all nodes share"):
        element(str(tmp_path / "nowhere"), 0, 0)


def test_no_head_at_an_address():
    pytest.importorskip("ray", reason="ray is not installed: make engines")
    with pytest.raises(RunError, match=r"no Ray head answers at 127.0.0.1:1 .*ray start --head.*--ray-address"):
        ray(Ray(address="127.0.0.1:1"))
    with pytest.raises(RunError, match=r"expected HOST:PORT, auto or local"):
        ray(Ray(address="ray://here:10001"))


@RAY
def test_more_than_any_node_of_ray_has(joined, tmp_path):
    with pytest.raises(
        RunError, match=r"no node of the Ray cluster has 1 CPUs and 900.0 GB for a task of t; the largest of 2 has 8"
    ):
        ray(Ray(address=joined.address, memory_gb=900.0))(write_number, tasks_in(tmp_path / "a"))
    assert not (tmp_path / "a" / "tasks").exists()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"sees": False}, "h cannot see /here: --out must be on a disk that all nodes share"),
        ({"python": "3.99.1"}, r"h has Python 3.99.1, this machine 3\.\d+\.\d+: use the same"),
        ({"goldwash": None}, r"h has no goldwash, this machine .*install the same"),
        ({"goldwash": "0.0.1"}, r"h has goldwash 0.0.1, this machine"),
        ({"time": time.time() - 4000}, r"the clock of h is 4\d\d\d s behind.*synchronise"),
    ],
)
def test_a_node_that_cannot_do_the_work(tmp_path, said, why):
    pytest.importorskip("ray")
    from goldwash.pipeline.engines.ray_executor import check_node
    from goldwash.pipeline.engines.ray_node import describe_node

    fine = {**describe_node(""), "host": "h"}
    check_node(fine, "/here")
    with pytest.raises(RunError, match=why):
        check_node({**fine, **said}, "/here")


# --- memory and disks


def little_more() -> dict[str, str]:
    """Ray's settings under which two gigabytes and a half more than are in use now is too much."""
    values = {line.split(":")[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()}
    used = 1 - values["MemAvailable"] / values["MemTotal"] + 2.5e6 / values["MemTotal"]
    return {"RAY_memory_usage_threshold": f"{used:.3f}", "RAY_memory_monitor_refresh_ms": "100"}


@RAY
def test_ray_out_of_memory_is_told_with_its_cure(tmp_path, monkeypatch):
    try:
        with ray_cluster(tmp_path / "ray", **little_more()) as small:
            monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
            settings = Ray(address=small.address, memory_gb=0.2)
            try:
                tasks = tasks_in(tmp_path / "a", 1, t0="eat")
                with pytest.raises(RunError, match=r"its worker was killed 3 times .*memory"):
                    ray(settings)(write_number, tasks)
            finally:
                ray_engine_module.disconnect()
    except NoEngineError as error:
        pytest.skip(str(error))


def test_a_task_that_runs_out_of_memory_here_is_told_and_the_others_end_well(tmp_path):
    tasks = tasks_in(tmp_path / "a", 3, t1="no memory")
    with pytest.raises(RunError, match=r"task part-00001 of in-1: MemoryError"):
        local(2)(write_number, tasks)
    assert missing_ranks(tasks) == [1]


def test_a_disk_that_was_full_costs_nothing(crawl, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        words = ("run", *crawl[0], "--out", disk / "run", "--workers", 2)
        full = goldwash(*words, cwd=tmp_path, check=False, timeout=300)
        assert full.returncode == 1
        assert "no space left on device" in full.stderr.lower()
        subprocess.run(["mount", "-o", "remount,size=400m", disk], check=True)
        goldwash(*words, cwd=tmp_path, timeout=300)
        assert digests(disk / "run") == crawl[1]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_worker_that_outlives_its_driver_spoils_nothing(crawl, tmp_path):
    """The driver dies, its workers go on with their tasks, and a second driver begins the same ones."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "goldwash", "run", *crawl[0], "--out", str(run), "--workers", "2"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: workers(run), 60, "a worker")
    orphans = workers(run)
    first.send_signal(signal.SIGKILL)
    first.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert orphans
    assert digests(run) == crawl[1]
    assert not list(run.rglob(".half-*"))
