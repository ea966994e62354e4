"""What the engines have in common: which errors are met again, attempts and what is told of them, tasks as plain values."""

import errno
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest

from goldwash.filters.fetch import FetchError
from goldwash.pipeline.engines import work
from goldwash.pipeline.engines.local import LocalExecutor
from goldwash.pipeline.engines.slurm_array import read_tasks, write_tasks
from goldwash.pipeline.engines.work import finished, why_failed
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import RunError, Tasks, stage_of
from goldwash.pipeline.stages.extract import Extract
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.storage import locations, states
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import check_unchanged, find_shards, input_at
from goldwash.pipeline.storage.locations import sizes_in
from goldwash.pipeline.storage.retry import ATTEMPTS, is_transient
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.states import read_state, state_file
from goldwash.pipeline.storage.tasks import Task, TaskOutput, finished_markers
from tests.pipeline.conftest import here, rows, shard
from tests.support.numbers import write_number

pytestmark = pytest.mark.filterwarnings("default")


# --- which errors may pass


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        *((OSError(number, "o"), True) for number in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY, errno.EREMOTEIO)),
        *((OSError(number, "o"), False) for number in (errno.ENOSPC, errno.EACCES, errno.ENOENT, errno.EROFS, errno.EISDIR)),
        (OSError("no number"), False),
        (ConnectionResetError(), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), True),
        (TimeoutError(), True),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (PermissionError(errno.EACCES, "no"), False),
        (ValueError("x"), False),
        (MemoryError(), False),
        (DataError("broken"), False),
        (caused(DataError("not whole"), OSError(errno.EIO, "io")), True),
        (caused(DataError("not whole"), TimeoutError()), True),
        (caused(DataError("not whole"), caused(RuntimeError("x"), ConnectionError())), True),
        (caused(DataError("not whole"), ValueError("x")), False),
        (caused(DataError("not whole"), OSError(errno.ENOSPC, "full")), False),
    ],
    ids=repr,
)
def test_an_error_may_pass_if_it_or_its_cause_is_of_a_moment(error, passes):
    assert is_transient(error) is passes


ANSWERS = [(200, False), (400, False), (403, False), (404, False), (416, False), (429, True), (500, True), (503, True)]


@pytest.mark.parametrize(("status", "passes"), ANSWERS)
def test_an_answer_over_http_may_pass_by_its_status(status, passes):
    aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    error = aiohttp.ClientResponseError(None, (), status=status)
    assert is_transient(error) is passes
    assert is_transient(caused(DataError("could not be fetched"), error)) is passes


@pytest.mark.parametrize(("status", "passes"), ANSWERS)
def test_an_answer_of_a_store_may_pass_by_its_status(status, passes):
    botocore = pytest.importorskip("botocore.exceptions", reason="s3fs is not installed: pip install 'goldwash[s3]'")
    error = botocore.ClientError({"Error": {"Code": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")
    assert is_transient(error) is passes
    assert is_transient(caused(PermissionError("denied"), error)) is passes


def test_a_store_that_does_not_answer_may_pass_and_missing_credentials_do_not():
    botocore = pytest.importorskip("botocore.exceptions", reason="s3fs is not installed: pip install 'goldwash[s3]'")
    assert is_transient(botocore.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"))
    assert is_transient(botocore.ReadTimeoutError(endpoint_url="http://127.0.0.1:1"))
    assert not is_transient(botocore.NoCredentialsError())
    assert not is_transient(botocore.ParamValidationError(report="x"))


def test_a_connection_that_breaks_may_pass_and_an_address_that_is_none_does_not():
    aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    assert is_transient(aiohttp.ServerDisconnectedError())
    assert is_transient(aiohttp.ClientPayloadError("not all of it came"))
    assert not is_transient(aiohttp.InvalidURL("http//"))


def test_a_circle_of_causes_ends():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert not is_transient(one)


# --- attempts


class Steps:
    """Errors that a work meets, one a call, before it does what it should."""

    def __init__(self, errors: list[Exception]) -> None:
        self.errors, self.calls = errors, 0

    def __call__(self, task: Task) -> None:
        self.calls += 1
        if len(self.errors) >= self.calls:
            raise self.errors[self.calls - 1]
        write_number(task)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def task_in(folder: Path, index: int = 0, **more: Any) -> Task:
    folder.mkdir(exist_ok=True)
    return Task({"name": "t"}, ("in",), str(folder), index, "i", **more)


def attempted(task: Task, errors: list[Exception]) -> tuple[str | None, int]:
    steps = Steps(errors)
    why = LocalExecutor(steps, [task], 1).attempt(0)
    return why, steps.calls


def test_an_error_that_passes_after_three_times_costs_nothing(tmp_path, pauses):
    task = task_in(tmp_path)
    assert attempted(task, [OSError(errno.EIO, "input/output error")] * 3) == (None, 4)
    assert pauses == [0.5, 2.0, 8.0]
    assert finished(task) is not None
    assert read_state(task) == {}


def test_one_that_does_not_pass_in_four_times_is_told_in_its_own_words(tmp_path, pauses):
    task = task_in(tmp_path)
    why, calls = attempted(task, [OSError(errno.EIO, "input/output error")] * 9)
    assert calls == ATTEMPTS == 4
    assert why == "OSError: [Errno 5] input/output error"
    assert read_state(task)["why"] == why
    assert finished(task) is None


def test_an_error_of_another_kind_is_met_once(tmp_path, pauses):
    task = task_in(tmp_path)
    assert attempted(task, [DataError("a.parquet is broken: write it again")]) == ("a.parquet is broken: write it again", 1)
    assert pauses == []


def test_a_task_that_waits_says_for_what(tmp_path, monkeypatch):
    task, told = task_in(tmp_path), list[Any]()
    monkeypatch.setattr(time, "sleep", lambda seconds: told.append(read_state(task)))
    attempted(task, [ConnectionResetError("reset by peer")])
    assert told[0]["waits"] == "ConnectionResetError: reset by peer"
    assert told[0]["pid"] == os.getpid()


def test_beginnings_are_counted_until_the_task_is_done(tmp_path):
    task = task_in(tmp_path)
    for tries in (1, 2):
        attempted(task, [DataError("no")])
        assert read_state(task)["tries"] == tries
    attempted(task, [])
    assert not Path(state_file(task)).exists()


def test_states_are_forgotten_where_tasks_begin_afresh(tmp_path):
    tasks = [task_in(tmp_path, n) for n in range(3)]
    for task in tasks:
        attempted(task, [DataError("no")])
    states.forget_states(tasks[:2])
    assert [read_state(task).get("tries") for task in tasks] == [None, None, 1]


def test_a_state_that_cannot_be_read_counts_as_none(tmp_path):
    task = task_in(tmp_path)
    attempted(task, [DataError("no")])
    Path(state_file(task)).write_text('{"tries": ')
    assert read_state(task) == {}
    assert attempted(task, [])[0] is None


def test_a_state_that_cannot_be_written_does_not_hide_what_happened(tmp_path, monkeypatch):
    def full(location: str, value: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    task = task_in(tmp_path)
    monkeypatch.setattr(work, "write_json", full)
    assert attempted(task, [DataError("the gold is gone")])[0] == "the gold is gone"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DataError("a.parquet: no such file"), r"a\.parquet: no such file"),
        (FetchError("no model"), "no model"),
        (RunError("another Python"), "another Python"),
        (OSError(errno.ENOSPC, "No space left"), r"OSError: \[Errno 28\] No space left"),
        (ValueError("x"), "ValueError: x"),
        (ZeroDivisionError(), r"ZeroDivisionError: ZeroDivisionError \(.*test_work\.py:\d+\)"),
        (KeyError("id"), r"KeyError: 'id' \(.*test_work\.py:\d+\)"),
    ],
    ids=repr,
)
def test_why_is_a_line_and_for_a_fault_of_ours_with_its_place(error, told):
    with pytest.raises(type(error)) as caught:
        raise error
    assert re.fullmatch(told, why_failed(caught.value))


# --- inputs that are not what they were


def spoil_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.fixture
def made(tmp_path: Path) -> Input:
    """A shard that a stage has made, known by its digest."""
    stage = Heuristics.of({"steps": [{"keep": "word_count", "min": 1}]})
    stage([shard(tmp_path / "in.parquet", ["gold wash", "wash gold"])], str(tmp_path / "made"), here)
    return find_shards([str(tmp_path / "made")])[0]


@pytest.mark.parametrize("spoil", [spoil_bytes, cut_short])
def test_a_shard_that_changed_is_noticed_and_put_back_it_is_fine(made, spoil: Callable[[Path], None], tmp_path):
    check_unchanged(made)
    shutil.copy(made.path, tmp_path / "kept")
    spoil(Path(made.path))
    with pytest.raises(
        DataError, match=r"part-00000\.parquet is not what it was .*is set aside as .*part-00000\.parquet\.broken: run again"
    ):
        check_unchanged(made)
    shutil.copy(tmp_path / "kept", made.path)
    check_unchanged(made)


def test_a_shard_that_vanished_is_named(made):
    Path(made.path).unlink()
    with pytest.raises(DataError, match=r"part-00000\.parquet: no such file"):
        check_unchanged(made)


def test_an_archive_is_known_by_its_size_and_time(tmp_path):
    archive = tmp_path / "a.warc.gz"
    archive.write_bytes(b"x" * 100)
    source = input_at(str(archive))
    check_unchanged(source)
    at = archive.stat()
    os.utime(archive, ns=(at.st_atime_ns, at.st_mtime_ns + 1_000_000_000))
    with pytest.raises(DataError, match=r"a\.warc\.gz is not what it was .*it had 100 bytes, has 100"):
        check_unchanged(source)
    os.utime(archive, ns=(at.st_atime_ns, at.st_mtime_ns))
    check_unchanged(source)


def test_what_is_known_by_its_address_alone_is_not_looked_at():
    check_unchanged(Input("https://a.example/a.warc.gz", 0, "https://a.example/a.warc.gz"))


def test_a_task_does_not_begin_on_an_input_that_changed(made, tmp_path):
    task = replace(task_in(tmp_path / "out"), inputs=(made.path,), sources=(made,))
    spoil_bytes(Path(made.path))
    why, calls = attempted(task, [])
    assert "is not what it was" in str(why)
    assert calls == 0


# --- tasks as plain values


def full_task(index: int, out: str = "out") -> Task:
    source = Input(f"in/part-{index:05d}.parquet", 123, "ab" * 32, 7)
    extra = {"threshold": 0.1 + 0.2, "band": "band_00", "start": 1 << 40, "none": None, "list": [1, 2]}
    stage = {"name": "heuristics", "steps": [{"keep": "word_count", "min": n} for n in range(50)]}
    versions = {"goldwash": "1", "Python": "3.11"}
    return Task(stage, (source.path, "more"), out, index, "fingerprint", "part", extra, (source,), 5 << 30, versions)


def test_a_task_is_the_same_after_a_way_through_json():
    task = full_task(3)
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task


def test_tasks_are_the_same_after_a_way_through_a_file(tmp_path):
    tasks = [full_task(n, str(tmp_path)) for n in range(30)]
    write_tasks(write_number, tasks)
    folder = states.logs_of(tasks[0])
    assert read_tasks(folder, [3, 29, 0]) == (write_number, {n: tasks[n] for n in (0, 3, 29)})


def test_ten_thousand_tasks_do_not_repeat_what_they_share(tmp_path):
    sizes = {}
    for count in (1, 10_000):
        tasks = [full_task(n, str(tmp_path / str(count))) for n in range(count)]
        write_tasks(write_number, tasks)
        text = Path(states.logs_of(tasks[0]), "tasks.jsonl").read_text()
        assert text.count('"word_count"') == 50
        sizes[count] = len(text)
    assert sizes[10_000] < sizes[1] + 10_000 * 400
    assert len(json.dumps(tasks[0].to_dict())) > 1500


def test_a_folder_that_is_not_seen_from_here(tmp_path):
    with pytest.raises(RunError, match=r"cannot see .*nowhere: the folder that is given with --out must be on a disk"):
        read_tasks(str(tmp_path / "nowhere"), [0])


@pytest.mark.parametrize("package", ["pyarrow", "Python", "goldwash", "resiliparse"])
def test_a_machine_of_other_versions_is_refused(package, tmp_path):
    task = Tasks(Extract(), [], str(tmp_path)).one("part", 0)
    assert stage_of(task, Extract) == Extract()
    other = replace(task, versions={**task.versions, package: "0.0"})
    with pytest.raises(RunError, match=rf"has {package} [\d.]+, but the work was planned with 0\.0: .*install the same Python"):
        stage_of(other, Extract)


def test_the_versions_of_a_task_are_those_of_here(tmp_path):
    versions = Tasks(Extract(), [], str(tmp_path)).one("part", 0).versions
    assert versions["pyarrow"] == pa.__version__
    assert versions["Python"] == ".".join(platform.python_version_tuple()[:2])


# --- markers and listings


@pytest.fixture(params=["disk", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder on a disk, and one in a store."""
    if request.param == "disk":
        yield str(tmp_path / "out")
        return
    yield f"memory://{tmp_path.name}/out"
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


SCHEMA = pa.schema([("n", pa.int64())])


def write_some(task: Task) -> None:
    with TaskOutput(task, SCHEMA) as output:
        output.open("more", f"more/{task.name}.parquet", SCHEMA)
        output.write("kept", pa.table({"n": [task.index]}))
        output.report += Report(Count(1, 1), Count(1, 1))


def test_many_markers_say_what_each_says_alone(place):
    tasks = [Task({"name": "t"}, (), place, n, "i") for n in range(12)]
    for task in tasks[:10]:
        write_some(task)
    fs, path = locations.filesystem(place)
    fs.rm_file(f"{path}/more/part-00001.parquet")
    fs.rm_file(f"{path}/dropped/part-00002.parquet")
    fs.pipe_file(f"{path}/part-00003.parquet", b"short")
    fs.rm_file(f"{path}/tasks/part-00004.json")
    tasks[5] = replace(tasks[5], fingerprint="another")
    together = list(finished_markers(tasks))
    assert together == [finished(task) for task in tasks]
    assert [n for n, marker in enumerate(together) if marker is None] == [1, 2, 3, 4, 5, 10, 11]
    assert together[9] is not None
    assert Report.from_dict(together[9]["report"]).kept == Count(1, 1)


def test_no_task_has_no_marker():
    assert list(finished_markers([])) == []


def test_sizes_are_those_of_files_right_there(place):
    write_some(Task({"name": "t"}, (), place, 0, "i"))
    assert set(sizes_in(place)) == {"part-00000.parquet"}
    assert set(sizes_in(locations.join(place, "tasks"))) == {"part-00000.json"}
    assert sizes_in(locations.join(place, "nothing")) == {}
    assert sizes_in(locations.join(place, "part-00000.parquet")) == {}, "a file is no folder"


def test_a_listing_bears_with_halves_that_vanish_meanwhile(tmp_path, monkeypatch):
    for name in (".half-1", "a", "b"):
        (tmp_path / name).write_text(name)
    plain = os.scandir

    class Vanishing:
        """A listing whose halves are renamed before they are looked at."""

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            entries = list(plain(tmp_path))
            (tmp_path / ".half-1").unlink()
            return iter(entries)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", lambda folder: Vanishing())
    assert sizes_in(str(tmp_path)) == {"a": 1, "b": 1}


def test_the_rows_of_a_task_are_written_once_whatever_it_met(tmp_path, pauses):
    task = task_in(tmp_path)
    attempted(task, [OSError(errno.EIO, "o")] * 2)
    assert len(rows(tmp_path)) == 100
