"""A shard that has left its texts reads as the shard that would hold them, wherever the run is; what is missing is named."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.classifiers.examples import examples
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.interface.memory import in_process
from goldwash.pipeline.stages.mix import Mix
from goldwash.pipeline.stages.pack import Pack
from goldwash.pipeline.storage.batches import read_batches, schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats import parquet_rows
from goldwash.pipeline.storage.formats.left_texts import METADATA, TEXT, check_beside, row_column, texts_beside, without_texts
from goldwash.pipeline.storage.formats.parquet_rows import (
    columns_without_text,
    documents_without_texts,
    opened,
    row_group,
    row_groups,
    shard_of_texts,
    with_texts,
)
from goldwash.pipeline.storage.parquet import ShardWriter
from goldwash.pipeline.storage.source import Input, Reading


def documents(count: int, letters: str = "aé語", **columns: object) -> pa.Table:
    """Documents of different lengths; every seventh text is empty."""
    texts = [letters[n % len(letters)] * (n % 7 * 13) for n in range(count)]
    ids = pa.array([f"id {n}" for n in range(count)], pa.string())
    table = {"id": ids, "url": pa.array(["http://a.example/"] * count, pa.string()), "text": pa.array(texts, pa.large_string())}
    return pa.table({**table, "score": pa.array(range(count), pa.float64()), **columns})


def written(place: Path | str, table: pa.Table, group_rows: int = 1 << 20, schema: pa.Schema | None = None) -> Input:
    shard = ShardWriter(str(place), schema or table.schema, group_rows=group_rows)
    shard.write(table)
    facts = shard.commit()
    return Input(str(place), facts["bytes"], facts["sha256"], facts["rows"])


def left(place: Path | str, whole: Input, rows: Sequence[int], group_rows: int = 1 << 20) -> Input:
    """A shard of some rows of another one, in which it leaves their texts."""
    texts, parts, places = shard_of_texts(whole), list[pa.Table](), list[np.ndarray]()
    for table, held in documents_without_texts(whole):
        parts.append(table)
        places.append(held)
    schema = without_texts(schema_of(whole), texts)
    table = pa.concat_tables(parts).append_column(row_column(schema), pa.array(np.concatenate(places)))
    return written(place, table.take(pa.array(rows, pa.int64())).select(schema.names), group_rows, schema)


def read(source: Input, **more: object) -> pa.Table:
    return pa.concat_tables(read_batches(source, **more)).combine_chunks()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run."""
    return tmp_path / "run"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_shard_without_texts_reads_as_the_one_that_has_them(tmp_path_factory, data) -> None:
    count = data.draw(st.integers(1, 60))
    rows = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    place = tmp_path_factory.mktemp("left")
    table = documents(count)
    whole = written(place / "01/a.parquet", table, data.draw(st.integers(1, 20)))
    one = left(place / "02/b.parquet", whole, rows, data.draw(st.integers(1, 20)))
    wanted = table.take(pa.array(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_rows, "SHARD_BYTES", data.draw(st.sampled_from([64, 1000, 2 << 20])))
        assert schema_of(one).equals(schema_of(whole))
        assert read(one, batch_bytes=data.draw(st.sampled_from([1, 200, 1 << 20]))).equals(wanted)
        assert read(one, columns=["score"]).select(["score", "text"]).equals(wanted.select(["score", "text"]))
        again = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
        two = left(place / "03/c.parquet", one, again, 3)
        assert read(two).equals(wanted.take(pa.array(again)))
    assert shard_of_texts(two).path.endswith("/01/a.parquet")
    assert "text" not in pq.read_schema(two.path).names


def test_the_columns_stay_in_their_order_and_the_file_says_where_its_texts_are(run: Path) -> None:
    whole = written(run / "01-x/part-00000.parquet", documents(5))
    one = left(run / "02-y/part-00000.parquet", whole, [1, 3])
    schema = pq.read_schema(one.path)
    assert schema.names == ["id", "url", "text_row", "score"]
    assert json.loads(schema.metadata[METADATA]) == {
        "path": "01-x/part-00000.parquet", "bytes": whole.bytes, "sha256": whole.sha256, "column": "text_row",
    }  # fmt: skip
    assert pq.read_table(one.path)["text_row"].to_pylist() == [1, 3]


def test_a_column_of_the_documents_own_named_text_row_stays(run: Path) -> None:
    table = documents(4, text_row=pa.array(["own"] * 4), _text_row=pa.array([7] * 4))
    one = left(run / "02/b.parquet", written(run / "01/a.parquet", table), [0, 2])
    assert row_column(pq.read_schema(one.path)) == "__text_row"
    assert read(one).equals(table.take([0, 2]))


@pytest.mark.parametrize("rows", [[], [4], [0, 1, 2, 3, 4]])
def test_no_row_one_row_and_every_row(run: Path, rows: list[int]) -> None:
    whole = written(run / "01/a.parquet", documents(5), 2)
    one = left(run / "02/b.parquet", whole, rows)
    assert [row for table in read_batches(one) for row in table["score"].to_pylist()] == rows


def test_row_groups_without_a_wanted_text_are_not_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written(run / "01/a.parquet", documents(100), 10)
    one = left(run / "02/b.parquet", whole, [35, 36, 71])
    asked = list[int]()
    usual = parquet_rows.ParquetRows._rows_at_once
    monkeypatch.setattr(
        parquet_rows.ParquetRows, "_rows_at_once", lambda self, n, columns: asked.append(n) or usual(self, n, columns)
    )
    assert read(one, columns=[]).num_rows == 3
    assert asked == [0, 3, 7]  # its own row group, and two of the texts'


def test_columns_without_text_do_not_open_the_texts_but_for_their_size(run: Path) -> None:
    whole = written(run / "01/a.parquet", documents(50), 8)
    one = left(run / "02/b.parquet", whole, list(range(0, 50, 2)))
    found = columns_without_text(one, ["score"])
    assert found is not None
    tables, sizes = zip(*found, strict=True)
    assert pa.concat_tables(tables)["score"].to_pylist() == list(range(0, 50, 2))
    whole_bytes = sum(pc.binary_length(read(whole)["text"]).to_pylist())
    assert 0.3 * whole_bytes < sum(sizes) < 0.9 * whole_bytes
    counted = row_groups(one)
    own = row_groups(whole)
    assert counted is not None
    assert own is not None
    assert sum(counted.rows) == 25
    assert 0.3 * own.unpacked_bytes < counted.unpacked_bytes < own.unpacked_bytes


def test_tools_that_read_a_row_group_or_some_rows_get_the_texts(run: Path) -> None:
    table = documents(20)
    one = left(run / "02/b.parquet", written(run / "01/a.parquet", table, 6), list(range(3, 17)), 5)
    with pq.ParquetFile(one.path) as file:
        wanted = table.slice(3 + 5, 5)
        assert row_group(file, one.path, 1).select(table.column_names).equals(wanted)
        assert row_group(file, one.path, 1, ["id", "text"]).select(["id", "text"]).equals(wanted.select(["id", "text"]))
        assert row_group(file, one.path, 1, ["id"]).equals(wanted.select(["id"]))
        some = file.read_row_group(1).take([0, 4])
        assert with_texts(some, file.schema_arrow, one.path)["text"].equals(wanted.take([0, 4])["text"])
        assert with_texts(some.slice(0, 0), file.schema_arrow, one.path).num_rows == 0


def test_a_moved_run_a_link_and_a_relative_path(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = documents(9)
    one = left(run / "02/b.parquet", written(run / "01/a.parquet", table), [2, 5])
    moved = run.with_name("moved")
    shutil.move(run, moved)
    (moved.parent / "link").symlink_to(moved / "02")
    places = [str(moved / "02/b.parquet"), str(moved.parent / "link/b.parquet")]
    monkeypatch.chdir(moved)
    places += ["02/b.parquet", "./02/b.parquet"]
    for place in places:
        assert read(Input(place, one.bytes, one.stamp)).equals(table.take([2, 5])), place
    monkeypatch.chdir(moved / "02")
    assert read(Input("b.parquet", one.bytes, one.stamp)).equals(table.take([2, 5]))


def test_a_store(run: Path) -> None:
    fs = fsspec.filesystem("memory")
    table = documents(9)
    one = left("memory://left/02/b.parquet", written("memory://left/01/a.parquet", table), [2, 5])
    try:
        assert texts_beside(without_texts(table.schema, shard_of_texts(one)), one.path) == shard_of_texts(one)
        assert read(one).equals(table.take([2, 5]))
    finally:
        fs.rm("/left", recursive=True)


def test_texts_that_are_missing_or_changed_are_named(run: Path) -> None:
    whole = written(run / "01/a.parquet", documents(9))
    one = left(run / "02/b.parquet", whole, [2, 5])
    assert [table.num_rows for table, _ in documents_without_texts(one)] == [2]
    shutil.copy(whole.path, run / "kept")
    with open(whole.path, "r+b") as file:
        file.seek(10)
        file.write(b"\xff")
    with pytest.raises(DataError, match=r"02/b\.parquet has its texts in another shard.*01/a\.parquet is not what it was"):
        read(one)
    assert os.path.exists(f"{whole.path}.broken")
    with pytest.raises(
        DataError,
        match=r"02/b\.parquet has its texts in another shard.*01/a\.parquet: no such file.*keep the folders of a run together",
    ):
        read(one)
    with opened(one) as rows:  # without the texts it can be read
        assert pa.concat_tables(rows.tables(["score"]))["score"].to_pylist() == [2, 5]
    shutil.copy(run / "kept", whole.path)
    assert read(one).num_rows == 2


def test_a_row_that_the_texts_do_not_have_is_an_error(run: Path) -> None:
    whole = written(run / "01/a.parquet", documents(9))
    schema = without_texts(documents(9).schema, whole)
    table = documents(2).drop_columns(["text"]).append_column("text_row", pa.array([3, 9])).select(schema.names)
    with pytest.raises(DataError, match=r"row 9 of .*01/a\.parquet, its text, is not there"):
        read(written(run / "02/b.parquet", table, schema=schema))


def test_a_stages_folder_that_was_moved_to_another_disk_and_linked(run: Path) -> None:
    table = documents(9)
    one = left(run / "02/b.parquet", written(run / "01/a.parquet", table), [2, 5])
    elsewhere = run.with_name("disk") / "stages"
    elsewhere.mkdir(parents=True)
    shutil.move(run / "02", elsewhere / "02")
    (run / "02").symlink_to(elsewhere / "02")
    assert read(one).equals(table.take([2, 5]))


def test_a_link_to_a_shard(run: Path) -> None:
    table = documents(9)
    one = left(run / "02/b.parquet", written(run / "01/a.parquet", table), [2, 5])
    link = run.with_name("links") / "some" / "c.parquet"
    link.parent.mkdir(parents=True)
    link.symlink_to(one.path)
    assert read(Input(str(link), one.bytes, one.stamp)).equals(table.take([2, 5]))


@pytest.mark.parametrize("order", [[1, 0], [0, 2, 1], [0, 1, 1]])
@pytest.mark.parametrize("group_rows", [1, 100])
def test_rows_that_another_program_has_sorted_are_refused(run: Path, order: list[int], group_rows: int) -> None:
    one = left(run / "02/b.parquet", written(run / "01/a.parquet", documents(9), 2), [1, 2, 7])
    other = str(run / "02/sorted.parquet")
    pq.write_table(pq.read_table(one.path).take(order), other, row_group_size=group_rows)
    with pytest.raises(DataError, match=r"sorted\.parquet: the numbers in text_row do not rise: another program"):
        read(Input(other, 0, other))


def test_a_file_made_from_a_shard_may_have_texts_of_its_own(run: Path) -> None:
    one = left(run / "02/b.parquet", written(run / "01/a.parquet", documents(9)), [1, 2])
    other = str(run / "02/own.parquet")
    table = pq.read_table(one.path).drop_columns(["text_row"])  # the schema keeps its metadata
    pq.write_table(table.append_column("text", pa.array(["own", "texts"])), other)
    assert read(Input(other, 0, other))["text"].to_pylist() == ["own", "texts"]


def test_sizes_count_the_texts_or_the_column_that_is_read_as_text(run: Path) -> None:
    summaries = pa.array([f"a summary {n}" * n for n in range(50)], pa.large_string())
    whole = written(run / "01/a.parquet", documents(50, summary=summaries))
    one = left(run / "02/b.parquet", whole, list(range(50)))
    reading = Reading(text="summary")
    sizes = [sum(size for _, size in columns_without_text(replace(s, reading=reading), ["score"])) for s in (whole, one)]
    assert sizes[0] == sizes[1] > 10_000
    own, found = row_groups(whole), row_groups(one)
    assert own.left_bytes == 0
    assert abs(whole.bytes - one.bytes - found.left_bytes) < 0.2 * whole.bytes


@pytest.mark.parametrize("order", ["crawl", "shuffled"])
def test_packed_shards_have_the_same_sizes_as_those_of_whole_documents(run: Path, order: str) -> None:
    rng = np.random.default_rng(1)
    texts = pa.array([rng.bytes(500).hex() for _ in range(200)], pa.large_string())
    table = documents(200).set_column(2, TEXT, texts)
    whole = written(run / "01/part-00000.parquet", table, 50)
    one = left(run / "02/part-00000.parquet", whole, list(range(200)))
    digests = []
    for n, source in enumerate([whole, one]):
        out = run / f"packed{n}"
        run_stage(Pack.of({"shard_bytes": 30_000, "order": order}), [source], str(out), in_process())
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(out.glob("*.parquet"))])
    assert len(digests[0]) > 2
    assert digests[0] == digests[1]


@pytest.mark.parametrize("parameters", [{"bytes": "all"}, {"documents": 150, "seed": 3}])
def test_mixtures_of_left_texts_are_those_of_whole_documents(run: Path, parameters: dict[str, object]) -> None:
    rng = np.random.default_rng(2)
    table = documents(200).set_column(2, TEXT, pa.array([rng.bytes(500).hex() for _ in range(200)], pa.large_string()))
    left(run / "02/part-00000.parquet", written(run / "01/part-00000.parquet", table, 50), list(range(200)))
    made = []
    for folder in ("01", "02"):
        mix = Mix.of({**parameters, "shard_bytes": 30_000, "sources": {"web": {"input": str(run / folder), "weight": 1.0}}})
        run_stage(mix, [], str(run / f"mixed{folder}"), in_process())
        made.append([pq.read_table(file).to_pylist() for file in sorted((run / f"mixed{folder}").glob("*.parquet"))])
    assert len(made[0]) > 1
    assert made[0] == made[1]


def test_examples_for_training(run: Path) -> None:
    table = documents(20)
    one = left(run / "02/b.parquet", written(run / "01/a.parquet", table, 3), [4, 5, 11])
    found = [example.text for example in examples(one.path, blank=True, joined=with_texts)]
    assert found == table["text"].take([4, 5, 11]).to_pylist()


def test_texts_are_left_only_where_they_are_found_again(run: Path) -> None:
    whole = written(run / "01/a.parquet", documents(9))
    check_beside([whole], str(run / "02"), "stage exact", "copy_text: true")
    unknown = Input(whole.path, whole.bytes, whole.path)
    other = Input(whole.path, whole.bytes, whole.stamp, reading=Reading(text="body"))
    (run.parent / "link").symlink_to(run / "01")
    linked = replace(whole, path=str(run.parent / "link" / "a.parquet"))
    check_beside([linked], str(run.parent / "02"), "stage exact", "copy_text: true")  # found by the link's name
    for source, out in (
        (linked, run / "02"),
        (unknown, run / "02"),
        (other, run / "02"),
        (whole, run / "deeper/02"),
        (whole, run),
    ):
        with pytest.raises(DataError, match=r"stage exact cannot leave texts in .*a\.parquet: .*give `copy_text: true`"):
            check_beside([source], str(out), "stage exact", "copy_text: true")
