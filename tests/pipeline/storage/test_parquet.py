import errno
import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.storage import atomic, locations
from goldwash.pipeline.storage.atomic import atomic_write, write_json
from goldwash.pipeline.storage.batches import read_batches, schema_of
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import read_json
from goldwash.pipeline.storage.parquet import ShardWriter
from goldwash.pipeline.storage.source import Input, Reading
from goldwash.pipeline.storage.tables import texts_of, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput, finished
from tests.pipeline.conftest import shard

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string())])
TABLE = pa.table({"id": ["a", "b"], "text": ["gold", "wash"]})


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def task_in(folder: Path, **more: object) -> Task:
    return Task({"name": "test"}, (), str(folder), 0, "fingerprint", **more)


# --- written whole or not at all


def test_a_task_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), TaskOutput(task_in(tmp_path), SCHEMA) as output:  # noqa: PT012
        output.write("kept", TABLE)
        raise ZeroDivisionError
    assert files(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_so_does_one_that_is_interrupted(tmp_path, error):
    with pytest.raises(error), TaskOutput(task_in(tmp_path), SCHEMA) as output:  # noqa: PT012
        output.write("kept", TABLE)
        raise error
    assert files(tmp_path) == []


def test_a_task_that_ends_well_leaves_shards_and_a_marker(tmp_path):
    with TaskOutput(task_in(tmp_path), SCHEMA) as output:
        output.write("kept", TABLE)
        output.report += Report(Count(2, 8), Count(2, 8))
    assert files(tmp_path) == ["dropped/part-00000.parquet", "part-00000.parquet", "tasks/part-00000.json"]
    assert pq.read_table(tmp_path / "part-00000.parquet") == TABLE.cast(SCHEMA)
    marker = finished(task_in(tmp_path))
    assert marker is not None
    assert marker["files"]["part-00000.parquet"]["rows"] == 2
    assert Report.from_dict(marker["report"]).kept == Count(2, 8)


@pytest.mark.parametrize("spoil", ["fingerprint", "missing", "size"])
def test_a_marker_counts_for_its_identity_and_whole_files_alone(tmp_path, spoil):
    with TaskOutput(task_in(tmp_path), SCHEMA) as output:
        output.write("kept", TABLE)
    task = task_in(tmp_path)
    assert finished(task) is not None
    if spoil == "fingerprint":
        task = Task({"name": "test"}, (), str(tmp_path), 0, "another")
    elif spoil == "missing":
        (tmp_path / "dropped" / "part-00000.parquet").unlink()
    else:
        with (tmp_path / "part-00000.parquet").open("ab") as file:
            file.write(b"x")
    assert finished(task) is None


def test_equal_tables_give_equal_bytes(tmp_path):
    facts = []
    for name in ("a", "b"):
        writer = ShardWriter(str(tmp_path / name), SCHEMA)
        writer.write(TABLE)
        writer.write(TABLE)
        facts.append(writer.commit())
    assert facts[0] == facts[1]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_row_groups_do_not_depend_on_how_rows_come(tmp_path):
    writer = ShardWriter(str(tmp_path / "a"), SCHEMA, group_bytes=1000)
    for n in range(100):
        writer.write(pa.table({"id": [str(n)], "text": ["x" * 50]}))
    writer.commit()
    held = pq.ParquetFile(tmp_path / "a")
    assert held.metadata.num_row_groups > 3
    assert held.read()["id"].to_pylist() == [str(n) for n in range(100)]


def test_an_empty_shard_can_be_read(tmp_path):
    ShardWriter(str(tmp_path / "a.parquet"), SCHEMA).commit()
    assert list(read_batches(str(tmp_path / "a.parquet"))) == []


def test_whole_file_goes_to_other_file_systems_in_one_piece():
    with atomic_write("memory://bucket/a.txt") as half:
        Path(half).write_text("gold")
    assert locations.filesystem("memory://bucket/a.txt")[0].cat("/bucket/a.txt") == b"gold"
    with pytest.raises(ZeroDivisionError), atomic_write("memory://bucket/b.txt") as half:
        raise ZeroDivisionError
    assert not locations.exists("memory://bucket/b.txt")
    assert not os.path.exists(half)


def write_far() -> None:
    with atomic_write("memory://bucket/killed") as half:
        Path(half).write_text("gold")
        os.kill(os.getpid(), signal.SIGKILL)


def write_far_shard() -> None:
    writer = ShardWriter("memory://bucket/killed", SCHEMA)
    writer.write(TABLE)
    os.kill(os.getpid(), signal.SIGKILL)


def read_far() -> None:
    with local_copy("memory://bucket/archive") as path:
        assert Path(path).read_text() == "gold"
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not os.path.isdir(atomic.DESCRIPTORS), reason="only Linux opens files without a name")
@pytest.mark.parametrize("act", [write_far, write_far_shard, read_far])
def test_a_process_that_is_killed_leaves_nothing_in_the_temporary_folder(tmp_path, monkeypatch, act):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    locations.filesystem("memory://")[0].pipe_file("/bucket/archive", b"gold")
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert files(tmp_path) == []


@pytest.mark.parametrize("descriptors", [atomic.DESCRIPTORS, "/none"])
def test_what_lies_far_away_is_written_and_read_through_files_that_go_away(tmp_path, monkeypatch, descriptors):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(atomic, "DESCRIPTORS", descriptors)
    writer = ShardWriter("memory://bucket/far.parquet", SCHEMA)
    writer.write(TABLE)
    facts = writer.commit()
    with local_copy("memory://bucket/far.parquet") as path:
        assert pq.read_table(path) == TABLE.cast(SCHEMA)
        assert os.path.getsize(path) == facts["bytes"]
    assert files(tmp_path) == []


def test_broken_json_is_named(tmp_path):
    write_json(str(tmp_path / "a.json"), {"a": 1})
    assert read_json(str(tmp_path / "a.json")) == {"a": 1}
    assert read_json(str(tmp_path / "none.json")) is None
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(DataError, match=r"a\.json is not whole JSON .*delete it"):
        read_json(str(tmp_path / "a.json"))


# --- a full disk


def noise(rows: int) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table({"id": [str(n) for n in range(rows)], "text": [rng.bytes(500).hex() for _ in range(rows)]})


def test_a_full_disk_is_an_error_and_leaves_nothing(small_disk):
    with pytest.raises(OSError, match=r"(?i)no space left"), TaskOutput(task_in(small_disk), SCHEMA) as output:  # noqa: PT012
        for _ in range(40):
            output.write("kept", noise(1000))
    assert files(small_disk) == []


def test_a_disk_that_fills_up_at_the_end_leaves_nothing(small_disk):
    """The rows are held back until the shard is finished."""
    with pytest.raises(OSError, match=r"(?i)no space left"), TaskOutput(task_in(small_disk), SCHEMA) as output:
        output.write("kept", noise(500))
    assert files(small_disk) == []


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_failing_rename_leaves_no_marker_and_no_half(tmp_path, monkeypatch, nth):
    count = 0
    real = os.replace

    def full(*paths: str) -> None:
        nonlocal count
        count += 1
        if count == nth:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*paths)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"(?i)no space left"), TaskOutput(task_in(tmp_path), SCHEMA) as output:
        output.write("kept", TABLE)
    assert finished(task_in(tmp_path)) is None
    assert not [f for f in files(tmp_path) if ".half-" in f or f.startswith("tasks")]


# --- read in batches


def read(path: object, **more: int) -> list[pa.Table]:
    return list(read_batches(str(path), **more))


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 300), max_size=60), bound=st.integers(1, 400))
def test_batches_are_bounded_by_bytes_and_in_order(tmp_path_factory, sizes, bound):
    path = tmp_path_factory.mktemp("batches") / "a.parquet"
    shard(path, ["x" * size for size in sizes])
    tables = read(path, batch_bytes=bound)
    assert [len(t) for table in tables for t in table["text"].to_pylist()] == sizes
    for table in tables:
        held = [len(t) for t in table["text"].to_pylist()]
        assert sum(held[:-1]) <= bound
        assert held


def test_a_document_of_5_mb_is_a_batch_by_itself(tmp_path):
    texts = ["a", "b" * 5_000_000, "c", "d"]
    shard(tmp_path / "a.parquet", texts)
    tables = read(tmp_path / "a.parquet")
    assert [t for table in tables for t in table["text"].to_pylist()] == texts
    assert [table.num_rows for table in tables] == [1, 1, 2]


def test_a_missing_id_is_made_of_file_and_row_and_a_missing_url_is_empty(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [str(n) for n in range(1500)]}), path)
    table = pa.concat_tables(read(path))
    assert table["id"].to_pylist() == [f"a.parquet#{n}" for n in range(1500)]
    assert set(table["url"].to_pylist()) == {""}
    assert set(schema_of(str(path)).names) == {"text", "id", "url"}


def test_a_null_id_is_made_up_and_a_null_url_is_empty(tmp_path):
    pq.write_table(pa.table({"text": ["x", "y"], "url": ["u", None], "id": [None, "i"]}), tmp_path / "a.parquet")
    table = pa.concat_tables(read(tmp_path / "a.parquet"))
    assert table["url"].to_pylist() == ["u", ""]
    assert table["id"].to_pylist() == ["a.parquet#0", "i"]


def test_text_without_a_column_named_so(tmp_path):
    pq.write_table(pa.table({"content": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet has no column 'text' \(it has: content\): say which .*--text-column"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_texts_come_in_many_arrow_types(tmp_path, kind):
    pq.write_table(pa.table({"text": pa.array(["gold", "", "größe"]).cast(kind)}), tmp_path / "a.parquet")
    (table,) = read(tmp_path / "a.parquet")
    assert list(texts_of(table, "text", "a")) == ["gold", "", "größe"]


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pa.array(["x", None]), "row 1 is null, and a document needs a text"),
        (pa.array([1, 2]), "expected a column of strings, found int64"),
        (
            pa.Array.from_buffers(
                pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 3], np.int32)), pa.py_buffer(b"a\xff\xfe")]
            ),
            r"row 1: bytes that are not UTF-8 \(invalid start byte at byte 0\): write the column again",
        ),
    ],
)
def test_columns_that_are_no_text(tmp_path, column, why):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["i1", "i2"], "text": column}), path)
    with pytest.raises(DataError, match=rf"a\.parquet.*{why}"):  # noqa: PT012
        for table in read_batches(str(path)):
            texts_of(table, "text", str(path))


def with_bytes(kind: pa.DataType, row: int) -> pa.Array:
    """300 strings, of which one is not UTF-8, as Arrow reads it from Parquet."""
    values = [b"gold %d" % n for n in range(300)]
    values[row] = b"gold \xe9 of Latin-1"
    offsets = np.cumsum([0, *map(len, values)])
    width = np.int64 if kind == pa.large_string() else np.int32
    buffers = [None, pa.py_buffer(offsets.astype(width).tobytes()), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


@pytest.mark.parametrize("name", ["id", "url", "text", "source"])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@pytest.mark.parametrize("row", [0, 217, 299])
@pytest.mark.parametrize("chosen", [True, False])
def test_strings_that_are_not_utf8_are_refused_with_their_row(tmp_path, name, kind, row, chosen):
    """A broken url or source passed, and failed at the stage's end without a file; a broken id was kept."""
    columns = {each: pa.array([f"{each} {n}" for n in range(300)]) for each in ("id", "url", "text", "source")}
    columns[name] = with_bytes(kind, row)
    held = {("my_" if chosen else "") + each: column for each, column in columns.items()}
    pq.write_table(pa.table(held), tmp_path / "a.parquet", row_group_size=100)
    reading = Reading(text="my_text", id="my_id", url="my_url") if chosen else Reading()
    source = Input(str(tmp_path / "a.parquet"), 0, "", reading=reading)
    shown = ("my_" if chosen else "") + name
    with pytest.raises(DataError, match=rf"a\.parquet, column {shown}, row {row}: bytes that are not UTF-8 \(.* at byte 5\)"):
        list(read_batches(source))


def whole_shard(path: Path) -> bytes:
    writer = ShardWriter(str(path), SCHEMA)
    writer.write(noise(300))
    writer.commit()
    return path.read_bytes()


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.999])
def test_a_truncated_shard(tmp_path, keep):
    path = tmp_path / "a.parquet"
    data = whole_shard(path)
    path.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    for look in (read, lambda p: schema_of(str(p))):
        with pytest.raises(DataError, match=r"a\.parquet is not a whole Parquet file"):
            look(path)


def test_a_flipped_bit_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "a.parquet"
    data = bytearray(whole_shard(path))
    for at in range(2000, len(data) // 2, 10_007):
        data[at] ^= 1
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"a\.parquet is not a whole Parquet file"):
            read(path)
        data[at] ^= 1


@pytest.mark.parametrize("make", ["none", "text", "folder"])
def test_what_is_no_shard(tmp_path, make):
    path = tmp_path / "a.parquet"
    if make == "text":
        path.write_text("no parquet\n" * 100)
    elif make == "folder":
        path.mkdir()
    with pytest.raises(DataError, match=r"a\.parquet"):
        read(path)


def test_columns_are_added_or_replaced():
    schema = with_fields(SCHEMA, text=pa.int64(), score=pa.float32())
    assert schema.names == ["id", "text", "score"]
    assert schema.field("text").type == pa.int64()
    table = with_column(with_column(TABLE, "text", pa.array([1, 2])), "score", pa.array([0.5, 1.0]))
    assert table.to_pydict() == {"id": ["a", "b"], "text": [1, 2], "score": [0.5, 1.0]}
