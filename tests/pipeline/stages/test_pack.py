"""pack: the same documents in shards of about one size, in their order or shuffled; and what content-defined chunks keep."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.engines.local import local
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.mixing import passes
from goldwash.pipeline.mixing.schemas import SchemaError
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stage import Run
from goldwash.pipeline.stages.pack import Pack, cuts, near
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.source import Input, Reading
from goldwash.pipeline.tokenization.tokenizers import MODELS
from tests.pipeline.conftest import here, rows, shard
from tests.pipeline.stages.test_mix import Killed, digests, passes_of, published, stopping


def crawl(folder: Path, files: int = 12, documents: int = 60) -> list[Input]:
    random = np.random.default_rng(5)
    for n in range(files):
        texts = [f"{n} {k} " + random.bytes(int(random.integers(10, 400))).hex() for k in range(documents)]
        shard(folder / f"{n:02d}.parquet", texts, number=list(range(n * documents, (n + 1) * documents)))
    return find_shards([str(folder)])


def packed(inputs: Sequence[Input], out: Path, run: Run = here, **parameters: Any) -> list[dict[str, Any]]:
    run_stage(Pack.of(parameters), inputs, str(out), run)
    return rows(out)


@pytest.mark.parametrize("size", [6000, 30_000, 150_000, 10**9])
def test_the_crawls_order_stays_whatever_the_size(tmp_path, size):
    inputs = crawl(tmp_path / "in", 4)
    made = packed(inputs, tmp_path / "out", shard_bytes=size)
    assert [row["number"] for row in made] == list(range(240))
    files = sorted((tmp_path / "out").glob("part-*.parquet"))
    expected = max(1, min(240, round(sum(i.bytes for i in inputs) / size)))
    assert len(files) == expected
    if 1 < len(files) < 20:
        sizes = [file.stat().st_size for file in files]
        assert max(sizes) < 1.5 * min(sizes)
    report = json.loads((tmp_path / "out" / "report.json").read_text())["report"]
    assert report["read"] == report["kept"]
    assert report["read"]["documents"] == 240


def test_a_shuffle_is_seeded_and_global(tmp_path):
    inputs = crawl(tmp_path / "in")
    made = packed(inputs, tmp_path / "a", order="shuffled", shard_bytes=60_000)
    assert sorted(row["number"] for row in made) == list(range(720))
    assert packed(inputs, tmp_path / "b", order="shuffled", shard_bytes=200_000) == made
    other = packed(inputs, tmp_path / "c", order="shuffled", seed=1)
    assert other != made
    numbers = np.array([row["number"] for row in made])
    assert abs(np.corrcoef(numbers, np.arange(720))[0, 1]) < 0.12
    first = pq.read_table(sorted((tmp_path / "a").glob("part-*"))[0])["number"].to_numpy()
    assert len(np.unique(first // 60)) == 12  # from every file


def test_two_workers_make_the_bytes_of_one(tmp_path):
    inputs = crawl(tmp_path / "in", 6)
    for order in ("crawl", "shuffled"):
        for workers in (1, 2):
            packed(inputs, tmp_path / f"{order}{workers}", local(workers), order=order, shard_bytes=50_000)
        assert digests(tmp_path / f"{order}1") == digests(tmp_path / f"{order}2")


@pytest.mark.parametrize("chunking", [False, True])
def test_a_shuffle_in_memory_gives_the_bytes_of_one_through_files(tmp_path, monkeypatch, chunking):
    inputs = crawl(tmp_path / "in", 6)
    parameters = {"order": "shuffled", "shard_bytes": 60_000, "chunking": chunking, "tokenizer": "goldwash"}
    packed(inputs, tmp_path / "memory", **parameters)
    monkeypatch.setattr(passes, "WHOLE_BYTES", 0)
    packed(inputs, tmp_path / "files", **parameters)
    assert published(tmp_path / "memory") == published(tmp_path / "files")
    assert passes_of(tmp_path / "memory") == {"look": 1, "whole": 1}
    assert "spread1" in passes_of(tmp_path / "files")


@pytest.fixture
def small_shuffle(monkeypatch):
    """Passes of many tasks, through files."""
    sizes = {"UNIT_BYTES": 60_000, "MOST_OPEN": 3, "GROUP_BYTES": 90_000, "HELD_BYTES": 20_000, "WHOLE_BYTES": 0}
    for name, value in sizes.items():
        monkeypatch.setattr(passes, name, value)


@pytest.mark.parametrize("order", ["crawl", "shuffled"])
def test_killed_anywhere_it_goes_on_to_the_same_bytes(tmp_path, small_shuffle, order):
    inputs = crawl(tmp_path / "in", 6)
    parameters = {"order": order, "shard_bytes": 60_000}
    packed(inputs, tmp_path / "whole", **parameters)
    tasks = len(list((tmp_path / "whole" / "tasks").iterdir()))
    for after in {0, 2, tasks // 2, tasks - 1}:
        with pytest.raises(Killed):
            packed(inputs, tmp_path / f"k{after}", stopping(after), **parameters)
        packed(inputs, tmp_path / f"k{after}", **parameters)
        assert digests(tmp_path / f"k{after}") == digests(tmp_path / "whole")


def test_a_store_where_the_files_between_are_compressed_gets_the_same_bytes(tmp_path, small_shuffle):
    inputs = crawl(tmp_path / "in", 4)
    stage = Pack.of({"order": "shuffled", "shard_bytes": 60_000})
    store, _ = fsspec.core.url_to_fs("memory://")
    for out in (str(tmp_path / "out"), f"memory://{tmp_path.name}/out"):
        stage(inputs, out, here)
    here_, there = sorted((tmp_path / "out").glob("part-*")), sorted(store.glob(f"/{tmp_path.name}/out/part-*"))
    assert [file.read_bytes() for file in here_] == [store.cat_file(name) for name in there]
    assert len(here_) == 2


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1000), st.booleans()), min_size=1, max_size=12), st.integers(1, 30))
def test_cuts_hold_every_row_once_and_in_order(files, shards):
    counts, sizes, divisible = (list(column) for column in zip(*files, strict=True))
    found = list(cuts(counts, sizes, shards, divisible))
    assert len(found) == shards
    flat = [run for runs in found for run in runs]
    assert flat == sorted(flat)
    for k, count in enumerate(counts):
        own = [(a, b) for n, a, b in flat if n == k]
        assert own[0][0] == 0
        assert own[-1][1] == count
        assert all(one[1] == other[0] for one, other in pairwise(own))
        assert divisible[k] or len(own) == 1


def test_cuts_are_of_about_one_size():
    runs = list(cuts([1000] * 50, [100.0] * 50, 7, [True] * 50))
    sizes = [sum((b - a) / 10 for _, a, b in each) for each in runs]
    assert max(sizes) - min(sizes) < 1


@pytest.mark.parametrize("order", ["crawl", "shuffled"])
def test_files_of_other_formats_ids_and_nulls(tmp_path, order):
    (tmp_path / "a.jsonl").write_text('{"body": "one"}\n{"body": null}\n{"body": "three", "more": 1}\n')
    (tmp_path / "b.jsonl").write_text('{"body": "four"}\n')
    inputs = find_shards([str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")], Reading(text="body", on_null="drop"))
    made = packed(inputs, tmp_path / "out", order=order, shard_bytes=10)
    assert sorted((row["id"], row["text"], row["more"]) for row in made) == [
        ("a.jsonl#0", "one", None), ("a.jsonl#2", "three", 1), ("b.jsonl#0", "four", None)
    ]  # fmt: skip
    assert [row["dropped_by"] for row in rows(tmp_path / "out", "dropped")] == ["null_text"]


def test_row_groups_stream_and_are_read_alone(tmp_path):
    """A large file is divided by its row groups; a task reads those that it needs."""
    shard(tmp_path / "in" / "0.parquet", [f"{n} " + "gold " * 50 for n in range(1000)])
    table = pq.read_table(tmp_path / "in" / "0.parquet")
    pq.write_table(table, tmp_path / "in" / "0.parquet", row_group_size=100)
    made = packed(find_shards([str(tmp_path / "in")]), tmp_path / "out", shard_bytes=3_000)
    assert [row["id"] for row in made] == [f"0-{n}" for n in range(1000)]
    assert len(list((tmp_path / "out").glob("part-*"))) > 3


@pytest.mark.parametrize("order", ["crawl", "shuffled"])
def test_a_document_longer_than_a_shard_is_kept_whole(tmp_path, order):
    texts = [np.random.default_rng(n).bytes(30_000 if n == 7 else 50).hex() for n in range(20)]
    shard(tmp_path / "in" / "0.parquet", texts)
    made = packed(find_shards([str(tmp_path / "in")]), tmp_path / "out", order=order, shard_bytes=5000)
    assert sorted(row["text"] for row in made) == sorted(texts)
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) > 2


@pytest.mark.parametrize("order", ["crawl", "shuffled"])
def test_with_a_tokenizer_each_document_has_its_number_of_tokens(tmp_path, order):
    library = tokenizers.Tokenizer.from_file(str(MODELS / "goldwash.json"))
    texts = ["", "gold in the river", "a<|endoftext|>b", "金 " * 40]
    library.encode_special_tokens = True
    shard(tmp_path / "in" / "0.parquet", texts)
    shard(tmp_path / "in" / "1.parquet", ["more gold"], token_count=[99])
    made = packed(find_shards([str(tmp_path / "in")]), tmp_path / "out", order=order, tokenizer="goldwash")
    expected = {text: len(library.encode(text, add_special_tokens=False)) for text in [*texts, "more gold"]}
    assert {row["text"]: row["token_count"] for row in made} == expected
    assert [row["input_token_count"] for row in made if row["text"] == "more gold"] == [99]  # the user's own
    assert pq.read_schema(tmp_path / "out" / "part-00000.parquet").field("token_count").type == "int64"
    assert json.loads((tmp_path / "out" / "report.json").read_text())["report"]["notes"]["tokens"] == sum(expected.values())


def test_a_tokenizer_changes_no_other_column_and_none_means_no_column(tmp_path):
    inputs = crawl(tmp_path / "in", 2)
    plain = packed(inputs, tmp_path / "plain")
    counted = packed(inputs, tmp_path / "counted", tokenizer="goldwash")
    assert "token_count" not in plain[0]
    assert [{k: v for k, v in row.items() if k != "token_count"} for row in counted] == plain


def test_what_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="shard_bytes is 0"):
        Pack.of({"shard_bytes": 0})
    with pytest.raises(RecipeError, match="expected one of 'crawl', 'shuffled'"):
        Pack.of({"order": "random"})
    shard(tmp_path / "in" / "0.parquet", ["x"], worth=[1])
    shard(tmp_path / "in" / "1.parquet", ["y"], worth=["much"])
    with pytest.raises(SchemaError, match=r"column worth is int64 in .* and string in .*: cast or rename"):
        packed(find_shards([str(tmp_path / "in")]), tmp_path / "out")
    inputs = crawl(tmp_path / "crawl", 2)

    def changed(work: Any, tasks: Any) -> Any:
        if tasks[0].part == "part":
            shard(tmp_path / "crawl" / "00.parquet", ["x"], number=[1])
        return here(work, tasks)

    with pytest.raises(DataError, match=r"00\.parquet does not have the 60 documents that were counted"):
        packed(inputs, tmp_path / "changed", changed)


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ([100], True),
        ([257], False),
        ([100, 100], True),
        ([60, 120, 5], True),
        ([60, 5, 120], False),
        ([100, 300], False),
        ([], True),
    ],
)
def test_shards_that_are_near_the_wanted_size(sizes, wanted):
    assert near(sizes, 128 if sizes != [60, 120, 5] else 120) == wanted


def test_content_defined_chunks_are_written(tmp_path):
    inputs = crawl(tmp_path / "in", 3)
    plain = packed(inputs, tmp_path / "plain")
    assert packed(inputs, tmp_path / "chunked", chunking=True) == plain
    pages = [pq.read_metadata(tmp_path / name / "part-00000.parquet").row_group(0) for name in ("plain", "chunked")]
    assert pages[0].num_rows == pages[1].num_rows == 180
