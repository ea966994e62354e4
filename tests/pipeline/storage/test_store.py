"""Runs whose inputs and outputs lie in a store (S3), or on a web server; both on this machine, and both fail now and then."""

import functools
import gzip
import hashlib
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.engines import work
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.inspect.explain import explained
from goldwash.pipeline.inspect.neighbours import near
from goldwash.pipeline.inspect.status import status
from goldwash.pipeline.stage import RunError
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.stages.extract import Extract
from goldwash.pipeline.storage import patience
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives, find_shards, input_at
from goldwash.pipeline.storage.locations import filesystem, read_json, size_of, sizes_in
from goldwash.pipeline.storage.tasks import Task
from tests.pipeline.conftest import goldwash, rows
from tests.support.store import BUCKET, Store, served

pytestmark = pytest.mark.filterwarnings("default")

HEURISTICS = {"steps": [{"keep": "word_count", "min": 50}]}


@pytest.fixture(scope="session")
def servers() -> Iterator[Store]:
    """A store for all tests of a process, and the environment in which it is found."""
    patch = pytest.MonkeyPatch()
    with served() as (store, address):
        for key, value in {
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": address,
        }.items():  # fmt: skip
            patch.setenv(key, value)
        store.fs.mkdir(BUCKET)
        yield store
    patch.undo()


@pytest.fixture
def store(servers: Store, sample: Path, request: pytest.FixtureRequest) -> Store:
    """The store, with the sample crawl in it."""
    if not servers.fs.exists(f"{BUCKET}/crawl"):
        servers.fs.put(str(sample / "crawl"), f"{BUCKET}/crawl", recursive=True)
    servers.asked.clear()
    return servers


@pytest.fixture
def stored_run(once: Callable[..., Path], store: Store) -> Path:
    """A run on a disk, of the sample crawl in the store."""

    def make(folder: Path) -> None:
        folder.mkdir()
        words = ("run", "sample", "--input", f"s3://{BUCKET}/crawl", "--out", "run", "--workers", "2")
        goldwash(*words, cwd=folder, timeout=400)

    return once("stored-run", make) / "run"


def promised(files: dict[str, str]) -> dict[str, str]:
    """Without logs, and without what training leaves beside a model."""
    left = ("model.bin", "MODEL.md", "model/report.json")
    return {name: digest for name, digest in files.items() if "/logs/" not in f"/{name}" and not name.endswith(left)}


def on_disk(run: Path) -> dict[str, str]:
    files = [p for p in run.rglob("*") if p.is_file()]
    return promised({str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files})


def in_store(store: Store, run: str) -> dict[str, str]:
    return promised(store.digests(f"{BUCKET}/{run}"))


WORDS = ("run", "sample", "--input", f"s3://{BUCKET}/crawl", "--workers", "2", "--out")


def put_extracted(store: Store, sample_run: Path, name: str) -> str:
    """The sample run's first stage, in the store."""
    folder = next(sample_run.glob("01-*"))
    for file in ("report.json", "stage.json", *(p.name for p in folder.glob("part-*"))):
        store.fs.put(str(folder / file), f"{BUCKET}/{name}/{file}")
    return f"s3://{BUCKET}/{name}"


# --- whole runs


def test_a_run_in_a_store_makes_the_bytes_of_one_on_a_disk(store, stored_run, sample_run, tmp_path):
    out = f"s3://{BUCKET}/whole"
    goldwash(*WORDS, out, cwd=tmp_path, timeout=400)
    made = in_store(store, "whole")
    assert made == on_disk(stored_run)
    assert len([name for name in made if name.startswith("dataset/part-")]) == 1  # packed
    assert len([name for name in made if name.endswith("model/model.fold")]) == 1

    texts = [{**row, "archive": ""} for row in rows(stored_run / "dataset")]
    assert texts == [{**row, "archive": ""} for row in rows(sample_run / "dataset")]

    before = {path: info["LastModified"] for path, info in store.fs.find(f"{BUCKET}/whole", detail=True).items()}
    printed = goldwash(*WORDS, out, cwd=tmp_path, timeout=400).stdout
    assert printed.count("reused") == 6
    after = {path: info["LastModified"] for path, info in store.fs.find(f"{BUCKET}/whole", detail=True).items()}
    changed = {path.rpartition("/")[2] for path in before if before[path] != after[path]}
    assert after.keys() == before.keys()
    assert changed <= {"recipe.yaml", "inputs.json", "run.json"}

    assert [stage.state for stage in status(out)] == ["finished"] * 6
    copy = next(row for row in rows(next(stored_run.glob("03-*")), "dropped"))
    assert asked(explained(out, str(copy["url"]))) == asked(explained(str(stored_run), str(copy["url"])))
    assert near(out, str(copy["id"])) == near(str(stored_run), str(copy["id"]))


def asked(found: Any) -> Any:
    """What was explained, with values that compare."""
    return [(document["url"], [(p.stage, p.verdict, str(p.value), str(p.rules)) for p in met]) for document, met in found]


MOMENTS = [1, 6, 20]
"""Objects of the run that are there when it is killed."""


def test_killed_at_any_moment_and_run_again_it_ends_in_the_same_bytes(store, stored_run, tmp_path):
    rng, killed = random.Random(1), 0
    words = [sys.executable, "-m", "goldwash", *WORDS, f"s3://{BUCKET}/killed", "--until", "minhash"]
    for moment in MOMENTS:
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(words, cwd=tmp_path, start_new_session=True, stdout=log, stderr=log)
        while process.poll() is None and marked(store, "killed") < moment:
            time.sleep(0.05)
        time.sleep(rng.random() * 0.5)
        killed += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
        for path in store.fs.glob(f"{BUCKET}/killed/**/part-*.parquet"):
            pq.read_metadata(store.fs.open(path))  # whole, or not there
    assert killed == len(MOMENTS), (tmp_path / "log").read_text()
    goldwash(*words[3:], cwd=tmp_path, timeout=400)
    made = {name: digest for name, digest in in_store(store, "killed").items() if name.startswith("0")}
    assert made == {name: digest for name, digest in on_disk(stored_run).items() if name.startswith(("01", "02", "03"))}


def marked(store: Store, run: str) -> int:
    """How many tasks of a run are done, in single markers and in those that finished stages have packed."""
    there = [path for path in store.fs.find(f"{BUCKET}/{run}") if "/tasks/" in path]
    packed = [path for path in there if path.endswith(".jsonl.gz")]
    lines = sum(len(gzip.decompress(store.fs.cat_file(path)).splitlines()) for path in packed)
    return lines + sum(path.endswith(".json") for path in there)


def test_a_store_that_answers_500_and_503_now_and_then_costs_no_byte(store, stored_run, tmp_path):
    with store.failing(first=2, every=29) as faults:
        goldwash(*WORDS, f"s3://{BUCKET}/faulty", cwd=tmp_path, timeout=400)
    assert faults.failed > 20
    assert in_store(store, "faulty") == on_disk(stored_run)


# --- stages


@pytest.fixture
def extracted(store, sample_run, request) -> str:
    """A finished stage in the store."""
    return put_extracted(store, sample_run, f"extracted-{abs(hash(request.node.name))}")


def test_a_stage_from_a_store_to_a_store(store, extracted, sample_run, tmp_path, cli):
    out, here = f"s3://{BUCKET}/annotated", tmp_path / "annotated"
    for source, target in ((extracted, out), (str(next(sample_run.glob("01-*"))), here)):
        code, _, err = cli("stage", "heuristics", "--annotate", "--input", source, "--out", target, "--workers", "1")
        assert code == 0, err
    assert in_store(store, "annotated") == on_disk(here)
    answers = [cli("what-if", place, "--keep", "fasttext_word_count.min=100") for place in (out, here)]
    assert answers[0][:2] == answers[1][:2]
    assert "fasttext_word_count" in answers[0][1]


def test_another_model_in_the_same_place_is_not_taken_for_the_first(store, extracted, sample_run, model, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    out, run = f"s3://{BUCKET}/scored", local(1)
    for name in ("sample", str(model)):
        stage = STAGES["quality"].of({"model": name, "fraction": 0.5})
        stage(find_shards([extracted]), out, run)
        stage(find_shards([str(next(sample_run.glob("01-*")))]), str(tmp_path / Path(name).name), run)
        made = store.digests(f"{BUCKET}/scored")
        there = on_disk(tmp_path / Path(name).name)
        assert {n: d for n, d in made.items() if n.startswith("part-")} == {
            n: d for n, d in there.items() if n.startswith("part-")
        }
        store.fs.rm(f"{BUCKET}/scored", recursive=True)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[float]]:
    """No try of botocore's own, and pauses that pass at once."""
    import s3fs

    waited, now = list[float](), time.time
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.setattr(time, "time", lambda: now() + sum(waited))
    (tmp_path / "pauses").mkdir()
    monkeypatch.setattr(patience, "_folder", lambda host: tmp_path / "pauses")  # those of other tests are of another clock
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    yield waited
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_read_that_fails_three_times_and_then_works(store, extracted, impatient):
    inputs, stage = find_shards([extracted]), STAGES["heuristics"].of(HEURISTICS)
    stage(inputs, f"s3://{BUCKET}/patient-0", local(1))
    read = is_get_of("part-00001.parquet")
    with store.failing(every=1, meant=lambda method, path: read(method, path) and len(impatient) < 3):
        stage(inputs, f"s3://{BUCKET}/patient-1", local(1))
    assert len(impatient) == 3
    assert in_store(store, "patient-1") == in_store(store, "patient-0")


def test_a_store_that_does_not_answer_is_not_taken_for_a_broken_shard(store, extracted, impatient, monkeypatch):
    monkeypatch.setenv("GOLDWASH_PATIENCE", "0")
    inputs, stage = find_shards([extracted]), STAGES["heuristics"].of(HEURISTICS)
    unread = pytest.raises(RunError, match=r"part-00001\.parquet cannot be read: no answer .*")
    with store.failing(every=1, meant=is_get_of("part-00001.parquet")), unread:
        stage(inputs, f"s3://{BUCKET}/unread", local(1))


def test_what_a_driver_asks_is_asked_again(store, impatient):
    """It has no attempts, as tasks have."""
    folder = f"s3://{BUCKET}/driver"
    for ask, answer in (
        (lambda: write_json(f"{folder}/a.json", {"a": 1}), None),
        (lambda: read_json(f"{folder}/a.json"), {"a": 1}),
        (lambda: list(sizes_in(folder)), ["a.json"]),
        (lambda: size_of(f"{folder}/a.json"), 12),
        (lambda: input_at(f"{folder}/a.json").bytes, 12),
    ):
        impatient.clear()
        with store.failing(every=1, meant=lambda method, path: len(impatient) < 3):
            assert ask() == answer
        assert len(impatient) == 3


def test_a_store_that_keeps_failing_is_told_with_its_answer(store, impatient):
    with store.failing(every=1), pytest.raises(OSError, match="a fault of the test's"):
        write_json(f"s3://{BUCKET}/never.json", {})
    assert len(impatient) == 3
    assert read_json(f"s3://{BUCKET}/never.json") is None


def is_get_of(name: str) -> Callable[[str, str], bool]:
    return lambda method, path: method == "GET" and path.endswith(name) and "extracted" in path


def test_an_object_that_is_overwritten_between_two_stages_is_noticed(store, extracted):
    inputs, stage = find_shards([extracted]), STAGES["heuristics"].of(HEURISTICS)
    place = inputs[1].path.removeprefix("s3://")
    content = store.fs.cat_file(place)
    store.fs.pipe_file(place, content[:-9])
    with pytest.raises(RunError, match=r"part-00001\.parquet is not what it was .*put the file back, or delete it"):
        stage(inputs, f"s3://{BUCKET}/noticed", local(1))
    assert "report.json" not in sizes_in(f"s3://{BUCKET}/noticed")
    store.fs.pipe_file(place, content)
    stage(inputs, f"s3://{BUCKET}/noticed", local(1))
    assert "report.json" in sizes_in(f"s3://{BUCKET}/noticed")


def test_so_is_one_of_the_same_size_by_its_pages(store, extracted):
    place = find_shards([extracted])[1].path
    content = bytearray(store.fs.cat_file(place))
    content[len(content) // 3] ^= 1
    store.fs.pipe_file(place, bytes(content))
    with pytest.raises(DataError, match=r"part-00001\.parquet is not a whole Parquet file"):
        list(read_batches(place if "://" in place else f"s3://{place}"))


def test_an_object_that_is_not_there_is_told_at_once(store, extracted, impatient):
    inputs, stage = find_shards([extracted]), STAGES["heuristics"].of(HEURISTICS)
    store.fs.rm_file(inputs[2].path.removeprefix("s3://"))
    with pytest.raises(RunError, match=r"part-00002\.parquet: no such file"):
        stage(inputs, f"s3://{BUCKET}/gone", local(1))
    assert impatient == []


def test_a_bucket_that_is_not_there_is_told_in_one_line(store, cli, tmp_path):
    code, _, err = cli("run", "sample", "--input", "s3://no-such-bucket/crawl", "--out", tmp_path / "run")
    assert code == 1
    assert "no-such-bucket/crawl: no archive there" in err


def test_what_another_machine_puts_into_a_folder_is_seen(store):
    folder = f"s3://{BUCKET}/seen"
    for n in range(3):
        store.fs.pipe_file(f"{BUCKET}/seen/{n}", b"x")
        assert len(sizes_in(folder)) == n + 1
        assert filesystem(f"{folder}/{n}")[0].exists(f"{BUCKET}/seen/{n}")


# --- listings


@pytest.mark.parametrize("where", ["s3", "https"])
def test_a_list_of_90_000_paths_is_read_and_none_of_them_opened(store, where, tmp_path):
    paths = "".join(f"{where}://{BUCKET}/crawl/CC-MAIN-{n:05d}.warc.gz\n" for n in range(90_000))
    store.fs.pipe_file(f"{BUCKET}/warc.paths", paths.encode())
    store.asked.clear()
    found = find_archives([f"s3://{BUCKET}/warc.paths"])
    assert len(found) == 90_000
    assert found[70_000].path == f"{where}://{BUCKET}/crawl/CC-MAIN-70000.warc.gz"
    assert {path for _, path in store.asked} <= {f"/{BUCKET}/warc.paths", f"/{BUCKET}", f"/{BUCKET}/"}
    assert len(store.asked) < 20


def test_a_folder_is_listed_in_few_requests(store):
    for n in range(60):
        store.fs.pipe_file(f"{BUCKET}/many/tasks/part-{n:05d}.json", b"{}")
    store.asked.clear()
    assert len(sizes_in(f"s3://{BUCKET}/many/tasks")) == 60
    assert len(store.asked) <= 2


def test_whether_tasks_are_done_is_told_from_listings_and_their_markers(store):
    tasks = [Task({"name": "t"}, (), f"s3://{BUCKET}/told", n, "i") for n in range(40)]
    for task in tasks[:30]:
        store.fs.pipe_file(
            f"{BUCKET}/told/tasks/{task.name}.json", json.dumps({"fingerprint": "i", "files": {}, "report": {}}).encode()
        )
    store.asked.clear()
    assert work.missing_ranks(tasks) == list(range(30, 40))
    assert len(store.asked) <= 30 * 2 + 2
    store.asked.clear()
    assert work.unmarked(tasks) == 10
    assert len(store.asked) <= 2


# --- archives on a web server


class Failing(http.server.SimpleHTTPRequestHandler):
    """Answers every k-th request with 503, whatever its method."""

    every, asked = 0, 0

    def fails(self) -> bool:
        kind = type(self)
        kind.asked += 1
        if kind.every and kind.asked % kind.every == 0:
            self.send_error(503)
            return True
        return False

    def do_GET(self) -> None:
        if not self.fails():
            super().do_GET()

    def do_HEAD(self) -> None:
        if not self.fails():
            super().do_HEAD()

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A web server's address."""
    Failing.every = Failing.asked = 0
    handler = functools.partial(Failing, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def website(sample: Path) -> Iterator[str]:
    with serving(sample) as address:
        yield address


def test_a_list_on_a_web_server_is_read_and_none_of_its_paths_opened(tmp_path):
    (tmp_path / "warc.paths").write_text("".join(f"crawl-data/CC-MAIN-{n:05d}.warc.gz\n" for n in range(90_000)))
    with serving(tmp_path) as address:
        found = find_archives([f"{address}/warc.paths"])
        assert Failing.asked <= 3
    assert len(found) == 90_000
    assert found[-1].path == "https://data.commoncrawl.org/crawl-data/CC-MAIN-89999.warc.gz"


@pytest.mark.parametrize("every", [2, 3, 4])
def test_archives_of_a_server_that_answers_503_now_and_then(website, sample, tmp_path, monkeypatch, every):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    names = [f"{website}/crawl/sample-{n:05d}.warc.gz" for n in range(4)]
    Failing.every = every
    Extract()(find_archives(names), str(tmp_path / "there"), local(1))
    assert Failing.asked > 8
    Extract()(find_archives([str(sample / "crawl")]), str(tmp_path / "here"), local(1))
    for below in ("", "dropped"):
        there, here = rows(tmp_path / "there", below), rows(tmp_path / "here", below)
        assert [{**r, "archive": ""} for r in there] == [{**r, "archive": ""} for r in here]


def test_an_archive_that_the_server_has_not_is_told_at_once(website, tmp_path, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    (tmp_path / "warc.paths").write_text(f"{website}/crawl/nothing.warc.gz\n")
    found = find_archives([str(tmp_path / "warc.paths")])
    with pytest.raises(RunError, match=r"nothing\.warc\.gz: no such file"):
        Extract()(found, str(tmp_path / "out"), local(1))
    assert waited == []
