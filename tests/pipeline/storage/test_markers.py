"""Packed markers: one file per pass, nothing lost, whatever is killed or broken on the way."""

import errno
import gzip
import itertools
import json
import random
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.storage import markers
from goldwash.pipeline.storage.failures import DataError, StorageError
from goldwash.pipeline.storage.markers import marker_of, pack_markers, unpack_markers
from goldwash.pipeline.storage.sealed import write_sealed

COUNTER = itertools.count()


def written(out: str, *tasks: str, folder: str = "") -> dict[str, dict[str, object]]:
    made = {
        task: {"fingerprint": "f", "files": {f"{folder}{task}.parquet": {"bytes": 3}}, "facts": {"text": "é\n"}}
        for task in tasks
    }
    for task, marker in made.items():
        write_sealed(f"{out}/tasks/{task}.json", marker, indent=None)
    return made


def single(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted((out / "tasks").iterdir())}


TASKS = [f"{part}-{n:05d}" for part in ("keys", "part", "spread2") for n in (0, 1, 2, 100000)]


@pytest.mark.parametrize("store", [False, True])
def test_packed_and_unpacked_they_are_the_same_bytes(store: bool, tmp_path: Path) -> None:
    out = f"memory://markers{next(COUNTER)}" if store else str(tmp_path)
    made = written(out, *TASKS)
    before = {} if store else single(tmp_path)
    pack_markers(out)
    assert sorted(markers.names_in(f"{out}/tasks")) == ["keys.jsonl.gz", "part.jsonl.gz", "spread2.jsonl.gz"]
    assert {task: marker_of(out, task) for task in TASKS} == made
    assert marker_of(out, "part-00009") is None
    assert marker_of(out, "other-00000") is None
    pack_markers(out)
    assert {task: marker_of(out, task) for task in TASKS} == made
    unpack_markers(out)
    assert sorted(markers.names_in(f"{out}/tasks")) == sorted(f"{task}.json" for task in TASKS)
    if not store:
        assert single(tmp_path) == before


def test_equal_markers_make_equal_files(tmp_path: Path) -> None:
    for name, order in (("a", 1), ("b", -1)):
        written(str(tmp_path / name), *TASKS[::order])
        pack_markers(str(tmp_path / name))
    assert single(tmp_path / "a") == single(tmp_path / "b")


@given(st.lists(st.sampled_from(TASKS), unique=True), st.lists(st.sampled_from(TASKS), unique=True))
def test_markers_that_come_later_join_the_packed_ones_and_win(first: list[str], second: list[str]) -> None:
    out = f"memory://markers{next(COUNTER)}"
    made = written(out, *first)
    pack_markers(out)
    made |= written(out, *second, folder="later/")
    assert all(marker_of(out, task) == made[task] for task in made)
    pack_markers(out)
    assert all(marker_of(out, task) == made[task] for task in made)
    unpack_markers(out)
    assert sorted(markers.names_in(f"{out}/tasks")) == sorted(f"{task}.json" for task in made)


@pytest.mark.parametrize("step", ["_remove", "_write"])
@pytest.mark.parametrize("after", [0, 1, 2, 5])
def test_a_kill_loses_no_marker(step: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, calls = str(tmp_path), itertools.count()
    made = written(out, *TASKS)
    act = getattr(markers, step)

    def killed(*arguments: object) -> None:
        if next(calls) == after:
            raise KeyboardInterrupt
        act(*arguments)

    if step == "_write":
        pack_markers(out)
    monkeypatch.setattr(markers, step, killed)
    for work in (pack_markers, unpack_markers, pack_markers):
        try:
            work(out)
        except KeyboardInterrupt:
            break
    assert {task: marker_of(out, task) for task in TASKS} == made
    monkeypatch.setattr(markers, step, act)
    unpack_markers(out)
    assert {task: marker_of(out, task) for task in TASKS} == made
    assert len(single(tmp_path)) == len(TASKS)


def test_markers_of_files_that_are_gone_go_too(tmp_path: Path) -> None:
    out = str(tmp_path)
    made = written(out, "part-00000", "part-00001")
    written(out, "pairs-00000", "part-00002", folder="pairs/")
    pack_markers(out, ["pairs"])
    assert list(single(tmp_path)) == ["part.jsonl.gz"]
    unpack_markers(out)
    assert list(single(tmp_path)) == [f"{task}.json" for task in made]


def test_broken_markers_are_not_packed(tmp_path: Path) -> None:
    out = str(tmp_path)
    written(out, "part-00000", "part-00001", "part-00002")
    (tmp_path / "tasks/part-00001.json").write_text('{"files": ')
    edited = tmp_path / "tasks/part-00002.json"
    edited.write_text(edited.read_text().replace('"bytes": 3', '"bytes": 4'))
    pack_markers(out)
    assert sorted(single(tmp_path)) == ["part-00001.json", "part-00002.json", "part.jsonl.gz"]
    for task in ("part-00001", "part-00002"):
        with pytest.raises(DataError):
            marker_of(out, task)


def test_a_marker_that_was_edited_in_a_packed_file_is_noticed(tmp_path: Path) -> None:
    out = str(tmp_path)
    written(out, "part-00000")
    pack_markers(out)
    packed = tmp_path / "tasks/part.jsonl.gz"
    line = json.loads(gzip.decompress(packed.read_bytes()))
    line["marker"]["facts"] = {"text": "other"}
    packed.write_bytes(gzip.compress(json.dumps(line).encode() + b"\n", mtime=0))
    with pytest.raises(DataError, match="was changed after goldwash wrote it"):
        marker_of(out, "part-00000")


@pytest.mark.parametrize("content", [b"", b"x", gzip.compress(b'{"task": 1', mtime=0), gzip.compress(b"[]\n", mtime=0)])
def test_tasks_of_a_broken_packed_file_are_done_again(content: bytes, tmp_path: Path) -> None:
    out = str(tmp_path)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/part.jsonl.gz").write_bytes(content)
    assert marker_of(out, "part-00000") is None
    unpack_markers(out)
    assert single(tmp_path) == {}


def test_a_flipped_bit_in_a_packed_file_is_noticed(tmp_path: Path) -> None:
    """The marker is as it was, is gone (its task is done again), or is refused: never another one."""
    out, draw = str(tmp_path), random.Random(5)
    made = written(out, *(f"part-{n:05d}" for n in range(3)))
    pack_markers(out)
    packed = tmp_path / "tasks/part.jsonl.gz"
    whole, gone = packed.read_bytes(), 0
    for bit in [*range(80), *(draw.randrange(8 * len(whole)) for _ in range(300))]:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        packed.write_bytes(flipped)
        markers._lines.cache_clear()
        for task, marker in made.items():
            try:
                found = marker_of(out, task)
            except DataError:
                found = None
            assert found in (marker, None), bit
            gone += found is None
    assert gone > 500


def test_a_store_that_does_not_answer_loses_no_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = str(tmp_path)
    made = written(out, *TASKS)
    pack_markers(out)

    def away(*_: object, **__: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(LocalFileSystem, "cat_file", away)
        patched.setattr("time.sleep", lambda _: None)
        with pytest.raises(StorageError):
            unpack_markers(out)
    assert {task: marker_of(out, task) for task in TASKS} == made
