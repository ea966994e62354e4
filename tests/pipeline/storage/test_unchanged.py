"""A shard that is copied has the bytes that writing it again would give, and it is only copied then."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.storage import parquet, unchanged
from goldwash.pipeline.storage.batches import read_batches, schema_of
from goldwash.pipeline.storage.parquet import ShardWriter
from goldwash.pipeline.storage.source import Input, Reading
from goldwash.pipeline.storage.unchanged import UnchangedShard

TABLE = pa.table(
    {
        "id": pa.array([f"id {n}" for n in range(50)]),
        "url": pa.array(["http://a.example/"] * 50),
        "text": pa.array([f"text {n} " * 40 for n in range(50)], pa.large_string()),
        "score": pa.array([None if n % 7 == 0 else n / 3 for n in range(50)], pa.float32()),
        "flag": pa.array([n % 2 == 0 for n in range(50)]),
        "tags": pa.array([["a", None], [], None, ["b"], ["c"]] * 10, pa.list_(pa.field("element", pa.string()))),
        "more": pa.array([{"n": n, "s": None} for n in range(50)], pa.struct([("n", pa.int64()), ("s", pa.string())])),
        "none": pa.nulls(50),
    }
)


def written(place: Path, *tables: pa.Table, **more: object) -> Input:
    """A shard with these tables, as an input of which everything is known."""
    made = ShardWriter(str(place), tables[0].schema, **more)
    for table in tables:
        made.write(table)
    facts = made.commit()
    return Input(str(place), facts["bytes"], facts["sha256"], facts["rows"])


def rewritten(source: Input, place: Path) -> dict:
    """The facts of a shard made of all the rows of another, as every stage makes it."""
    writer = ShardWriter(str(place), schema_of(source))
    for table in read_batches(source):
        writer.write(table)
    return writer.commit()


def kept(source: Input, place: Path | str, lose: int | None = None) -> tuple[dict, bool]:
    """The facts of a shard by `UnchangedShard`, of which the row ``lose`` goes; and whether it is a copy."""
    shard, row = UnchangedShard(str(place), schema_of(source), source), 0
    for table in read_batches(source):
        if lose is not None and row <= lose < row + table.num_rows:
            at = lose - row
            shard.write(pa.concat_tables([table.slice(0, at), table.slice(at + 1)]))
        else:
            shard.keep(table)
        row += table.num_rows
    facts = shard.commit()
    return facts, shard._writer is None


@pytest.fixture
def small_groups(monkeypatch):
    """Row groups of 2 kB, and batches of one text."""
    monkeypatch.setattr(unchanged, "ROW_GROUP_BYTES", 1 << 11)
    monkeypatch.setattr(parquet.ShardWriter.__init__, "__defaults__", (True, None, 1 << 11, False, "zstd"))


def test_a_shard_in_a_store_is_copied_to_a_store(tmp_path):
    local = written(tmp_path / "a.parquet", TABLE)
    store = fsspec.filesystem("memory")
    store.pipe("/shards/a.parquet", (tmp_path / "a.parquet").read_bytes())
    facts, copied = kept(replace(local, path="memory://shards/a.parquet"), "memory://shards/c.parquet")
    assert copied
    assert store.cat("/shards/c.parquet") == (tmp_path / "a.parquet").read_bytes()
    assert (facts["sha256"], facts["bytes"]) == (local.sha256, local.bytes)


def test_a_shard_of_which_all_rows_stay_is_a_copy_of_the_bytes_that_it_would_get(tmp_path):
    source = written(tmp_path / "a.parquet", TABLE)
    expected = rewritten(source, tmp_path / "b.parquet")
    assert kept(source, tmp_path / "c.parquet") == (expected, True)
    assert (tmp_path / "c.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert hashlib.sha256((tmp_path / "c.parquet").read_bytes()).hexdigest() == expected["sha256"]


@pytest.mark.parametrize("lose", [0, 25, 49])
@pytest.mark.usefixtures("small_groups")
def test_a_shard_that_loses_a_row_has_all_others_in_their_order(tmp_path, monkeypatch, lose):
    monkeypatch.setattr(read_batches, "__defaults__", (500, None, None))
    source = written(tmp_path / "a.parquet", TABLE)
    facts, copied = kept(source, tmp_path / "b.parquet", lose)
    again = Input(str(tmp_path / "b.parquet"), facts["bytes"], facts["sha256"])
    assert not copied
    ids = [id_ for table in read_batches(again) for id_ in table["id"].to_pylist()]
    assert ids == [f"id {n}" for n in range(50) if n != lose]


LETTERS = st.text(st.sampled_from("ab é"), max_size=30)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(LETTERS, st.none() | LETTERS, st.none() | st.integers(-5, 5)), max_size=40),
    st.lists(st.integers(1, 15), max_size=8),
    st.booleans(),
)
def test_copied_or_not_the_bytes_are_those_of_writing_it_again(tmp_path_factory, rows, cuts, usual):
    """Over shards of several row groups, of which some are not where they would be put."""
    folder = tmp_path_factory.mktemp("made")
    text, title, number = zip(*rows, strict=True) if rows else ((), (), ())
    table = pa.table(
        {
            "id": pa.array([str(n) for n in range(len(rows))], pa.string()),
            "url": pa.array([""] * len(rows), pa.string()),
            "title": pa.array(title, pa.string()),
            "number": pa.array(number, pa.int32()),
            "text": pa.array(text, pa.large_string()),
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unchanged, "ROW_GROUP_BYTES", 300)
        patch.setattr(ShardWriter.__init__, "__defaults__", (True, None, 300, False, "zstd"))
        patch.setattr(read_batches, "__defaults__", (60, None, None))
        source = written(folder / "a.parquet", table)
        if usual:  # row groups where a stage that reads and writes it would put them
            source = replace(source, path=str(folder / "b.parquet"))
            facts = rewritten(replace(source, path=str(folder / "a.parquet")), folder / "b.parquet")
            source = replace(source, bytes=facts["bytes"], stamp=facts["sha256"])
        elif cuts:
            pieces, at = [], 0
            for cut in cuts:
                pieces.append(table.slice(at, cut))
                at += cut
            source = written(folder / "a.parquet", *pieces, table.slice(at), group_bytes=1)
        expected = rewritten(source, folder / "c.parquet")
        facts, copied = kept(source, folder / "d.parquet")
    assert facts == expected
    assert (folder / "d.parquet").read_bytes() == (folder / "c.parquet").read_bytes()
    assert copied or not usual or not rows
    if copied:
        assert (folder / "d.parquet").read_bytes() == Path(source.path).read_bytes()
    shutil.rmtree(folder)


def with_null(name: str) -> pa.Table:
    column = pa.array([None, *TABLE[name].to_pylist()[1:]], TABLE[name].type)
    return TABLE.set_column(TABLE.column_names.index(name), name, column)


@pytest.mark.parametrize(
    "make",
    [
        lambda place: written(place, with_null("id")),
        lambda place: written(place, with_null("url")),
        lambda place: written(place, TABLE, dictionary=False),
        lambda place: written(place, TABLE, group_rows=10),
        lambda place: written(place, TABLE, compression="lz4"),
        lambda place: written(place, TABLE.replace_schema_metadata({"made": "elsewhere"})),
        lambda place: written(place, TABLE.append_column("kind", TABLE["url"].dictionary_encode())),
        lambda place: written(place, TABLE.append_column("view", TABLE["url"].cast(pa.string_view()))),
        lambda place: replace(written(place, TABLE), reading=Reading(on_null="drop")),
        lambda place: replace(written(place, TABLE), groups=(0, 1)),
        lambda place: replace(written(place, TABLE), stamp="name, size and time"),
        lambda place: written(place, TABLE.slice(0, 0)),
    ],
    ids=["id", "url", "plain", "rows", "lz4", "metadata", "dictionary", "view", "nulls", "groups", "unknown", "empty"],
)
def test_what_would_get_other_bytes_is_written_again(tmp_path, make):
    source = make(tmp_path / "a.parquet")
    expected = rewritten(source, tmp_path / "b.parquet")
    assert kept(source, tmp_path / "c.parquet") == (expected, False)


def test_a_shard_that_is_given_up_leaves_nothing(tmp_path):
    source = written(tmp_path / "a.parquet", TABLE)
    for lose in (False, True):
        shard = UnchangedShard(str(tmp_path / "b.parquet"), schema_of(source), source)
        for table in read_batches(source):
            shard.write(table) if lose else shard.keep(table)
        shard.abandon()
        assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]
