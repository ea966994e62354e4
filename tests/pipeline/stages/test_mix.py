"""mix: exact amounts, buckets, repeats that are spread evenly, equal bytes, and input that is refused before the work."""

import gzip
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.engines.local import local
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.mixing import passes
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, Work
from goldwash.pipeline.stages.mix import Mix
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task
from tests.pipeline.conftest import here, rows, shard

TOPICS = ("science", "sports", "law")


def corpus(folder: Path, name: str, files: int = 3, documents: int = 200, seed: int = 0) -> str:
    """A folder of shards with ``token_count``, ``topic``, ``score`` and ``copy_count``."""
    random = np.random.default_rng(seed)
    for n in range(files):
        shard(
            folder / name / f"{name}-{n}.parquet",
            [f"{name} {n} {k} " + "gold " * int(random.integers(0, 60)) for k in range(documents)],
            token_count=random.integers(1, 300, documents),
            topic=random.choice(TOPICS, documents, p=[0.5, 0.3, 0.2]),
            score=random.random(documents),
            copy_count=pa.array(random.integers(1, 6, documents), pa.int32()),
        )
    return str(folder / name)


@pytest.fixture
def two(tmp_path) -> dict[str, dict[str, Any]]:
    """Two sources, of which the second is a third of the first."""
    return {"web": {"input": corpus(tmp_path, "web")}, "code": {"input": corpus(tmp_path, "code", 2, 100, 1)}}


def mixed(out: Path, run: Run = here, inputs: Sequence[Input] = (), **parameters: Any) -> tuple[list[dict[str, Any]], Any]:
    """The rows of a mixture, and the facts of its report."""
    run_stage(Mix.of(parameters), inputs, str(out), run)
    return rows(out), json.loads((out / "report.json").read_text())["facts"]


def table(folder: str) -> Any:
    return pa.concat_tables([pq.read_table(file) for file in sorted(Path(folder).glob("*.parquet"))]).to_pandas()


def digests(out: Path) -> dict[str, str]:
    files = (path for path in out.rglob("*") if path.is_file() and "logs" not in path.parts)
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- amounts


def test_what_is_taken_is_within_half_a_document_of_what_is_wanted(two, tmp_path):
    two["web"]["weight"], two["code"]["weight"] = 0.7, 0.3
    made, facts = mixed(tmp_path / "out", sources=two, tokens="60k")
    assert facts["unit"] == "tokens"
    assert facts["total"] == 60_000
    for row in facts["buckets"]:
        own = [each for each in made if each["source"] == row["source"]]
        assert row["taken"] == sum(each["token_count"] for each in own)
        assert abs(row["taken"] - row["wanted"]) <= 150
        assert row["copies"] == len(own)
        assert row["documents_taken"] == len({each["id"] for each in own})
        assert row["repeats"] == row["taken"] / row["had"]
        assert row["had"] == table(two[row["source"]]["input"])["token_count"].sum()
    assert [row["wanted"] for row in facts["buckets"]] == [0.7 * 60_000, pytest.approx(0.3 * 60_000)]


def test_the_report_adds_up_and_what_is_left_is_listed(two, tmp_path):
    made, facts = mixed(tmp_path / "out", sources={name: {**keys, "weight": 0.5} for name, keys in two.items()}, tokens=20_000)
    report = json.loads((tmp_path / "out" / "report.json").read_text())["report"]
    gone = rows(tmp_path / "out", "dropped")
    assert report["read"]["documents"] == 800 == report["kept"]["documents"] + len(gone)
    assert {row["dropped_by"] for row in gone} == {"not_drawn"} == set(report["dropped"])
    assert {row["detail"] for row in gone} == {"web", "code"}
    assert {row["id"] for row in gone} & {row["id"] for row in made} == set()
    for row in facts["buckets"]:
        held = table(two[row["source"]]["input"]).set_index("id")["token_count"]
        assert row["left"] == held[[each["id"] for each in gone if each["detail"] == row["source"]]].sum()


@pytest.mark.parametrize("unit", ["tokens", "bytes", "documents"])
def test_all_without_weights_takes_every_document_once(two, tmp_path, unit):
    made, facts = mixed(tmp_path / "out", sources=two, **{unit: "all"})
    assert sorted(row["id"] for row in made) == sorted(id_ for keys in two.values() for id_ in table(keys["input"])["id"])
    assert {row["epoch"] for row in made} == {0}
    assert all(row["left"] == 0 and row["taken"] == row["had"] == row["wanted"] for row in facts["buckets"])


def test_all_with_weights_is_as_much_as_they_allow_without_a_repeat(two, tmp_path):
    two["web"]["weight"], two["code"]["weight"] = 0.5, 0.5
    made, facts = mixed(tmp_path / "out", sources=two, tokens="all")
    web, code = facts["buckets"]
    assert code["taken"] == code["had"]
    assert web["wanted"] == pytest.approx(code["had"])
    assert max(row["epoch"] for row in made) == 0


def test_bytes_and_documents_weigh_too(two, tmp_path):
    two["web"]["weight"], two["code"]["weight"] = 0.25, 0.75
    made, _ = mixed(tmp_path / "bytes", sources=two, bytes=10_000)
    sizes = Counter[str]()
    for row in made:
        sizes[row["source"]] += len(row["text"].encode())
    assert abs(sizes["web"] - 2500) <= 160
    assert abs(sizes["code"] - 7500) <= 160
    made, _ = mixed(tmp_path / "documents", sources=two, documents=100)
    assert Counter(row["source"] for row in made) == {"web": 25, "code": 75}


def test_tokens_are_estimated_where_they_are_not_counted_and_the_report_says_so(tmp_path):
    shard(tmp_path / "a" / "0.parquet", ["gold " * 10] * 50)
    with pytest.raises(DataError, match=r"0\.parquet \(source a\) has no column 'token_count', .* tokenize it first, or give"):
        mixed(tmp_path / "out", sources={"a": {"input": str(tmp_path / "a")}}, tokens=100)
    made, facts = mixed(tmp_path / "out2", sources={"a": {"input": str(tmp_path / "a")}}, tokens=100, bytes_per_token=5.0)
    assert len(made) == 10
    assert facts["tokens_by"] == {"files_counted": 0, "files_estimated": 1, "bytes_per_token": 5.0}


def test_a_larger_total_and_another_source_keep_the_documents(two, tmp_path):
    few, _ = mixed(tmp_path / "few", sources={"web": two["web"]}, tokens=10_000)
    more, _ = mixed(tmp_path / "more", sources={"web": two["web"]}, tokens=20_000)
    beside, _ = mixed(
        tmp_path / "beside",
        sources={"web": {**two["web"], "weight": 0.5}, "code": {**two["code"], "weight": 0.5}},
        tokens=20_000,
    )
    assert {row["id"] for row in few} < {row["id"] for row in more}
    assert {row["id"] for row in beside if row["source"] == "web"} == {row["id"] for row in few}
    other, _ = mixed(tmp_path / "other", sources={"web": two["web"]}, tokens=10_000, seed=1)
    assert {row["id"] for row in other} != {row["id"] for row in few}


# --- repeats


def test_repeats_say_which_they_are_and_are_spread_evenly(two, tmp_path):
    made, facts = mixed(tmp_path / "out", sources={"web": {**two["web"], "max_repeats": 6}}, tokens=350_000)
    places: dict[str, list[tuple[int, int]]] = {}
    for place, row in enumerate(made):
        places.setdefault(row["id"], []).append((place, row["epoch"]))
    counts = {len(found) for found in places.values()}
    rate = facts["buckets"][0]["repeats"]
    assert counts <= {int(rate), int(rate) + 1}
    assert len(counts) == 2
    for found in places.values():
        assert [epoch for _, epoch in found] == list(range(len(found)))
        for (one, _), (other, _) in pairwise(found):
            assert abs((other - one) / len(made) - 1 / len(found)) < 0.05
    assert pq.read_schema(tmp_path / "out" / "part-00000.parquet").field("epoch").type == pa.int32()
    assert facts["warnings"] == []


def test_many_repeats_are_warned_of_with_the_papers(two, tmp_path):
    _, facts = mixed(tmp_path / "alone", sources={"web": {**two["web"], "max_repeats": 6}}, tokens=350_000)
    assert facts["warnings"] == []
    _, facts = mixed(tmp_path / "more", sources={"web": {**two["web"], "max_repeats": 6}}, tokens=480_000)
    assert "source web is repeated 5." in facts["warnings"][0]
    assert "2305.16264" in facts["warnings"][0]
    two["web"]["weight"], two["code"] = 0.1, {**two["code"], "weight": 0.9, "max_repeats": 30}
    _, facts = mixed(tmp_path / "mixture", sources=two, tokens=700_000)
    assert [("source code is repeated 2" in line, "2605.12715" in line) for line in facts["warnings"]] == [(True, True)]


def test_the_crawls_copies_come_back(two, tmp_path):
    made, facts = mixed(tmp_path / "out", sources={"web": {**two["web"], "rehydrate": True}}, tokens="all")
    held = table(two["web"]["input"]).set_index("id")["copy_count"]
    assert Counter(row["id"] for row in made) == held.to_dict()
    made, _ = mixed(tmp_path / "most", sources={"web": {**two["web"], "rehydrate": {"most": 2}}}, tokens="all")
    assert Counter(row["id"] for row in made) == held.clip(upper=2).to_dict()
    assert facts["buckets"][0]["left"] == 0
    made, facts = mixed(tmp_path / "half", sources={"web": {**two["web"], "rehydrate": True}}, tokens=100_000)
    assert abs(facts["buckets"][0]["taken"] - 100_000) <= 150
    rate, counts = facts["buckets"][0]["repeats"], Counter(row["id"] for row in made)
    assert all(counts[id_] in (int(rate * m), int(rate * m) + 1) for id_, m in held.items())


# --- buckets


def test_buckets_of_a_column_with_weights(two, tmp_path):
    keys = {**two["web"], "split": "topic", "weights": {"science": 0.2, "law": 0.8}}
    made, facts = mixed(tmp_path / "out", sources={"web": keys}, tokens=30_000)
    assert {row["bucket"] for row in made} == {"science", "law"}
    assert all(row["bucket"] == row["topic"] for row in made)
    found = {row["bucket"]: row for row in facts["buckets"]}
    assert abs(found["law"]["taken"] - 24_000) <= 150
    assert found["sports"]["wanted"] == found["sports"]["taken"] == 0
    assert found["sports"]["left"] == found["sports"]["had"]


@pytest.mark.parametrize("kind", ["float64", "float32", "int64", "ties"])
@pytest.mark.parametrize("quantiles", [2, 5, 20])
def test_quantiles_are_those_of_the_sorted_scores(tmp_path, kind, quantiles):
    random = np.random.default_rng(3)
    scores = random.normal(size=(3, 150))
    made_of: dict[str, Any] = {"float64": scores, "float32": scores.astype(np.float32), "ties": scores.round(1)}
    values = {**made_of, "int64": (scores * 1000).astype(np.int64)}[kind]
    weights = random.integers(0, 100, (3, 150))
    for n in range(3):
        shard(tmp_path / "in" / f"{n}.parquet", ["gold"] * 150, score=values[n], token_count=weights[n])
    split = {"column": "score", "quantiles": quantiles}
    made, _ = mixed(tmp_path / "out", sources={"a": {"input": str(tmp_path / "in"), "split": split}}, tokens="all")
    flat = sorted(zip(values.astype(np.float32).ravel().tolist(), weights.ravel().tolist(), strict=True))
    whole, edges = int(weights.sum()), []
    for q in range(1, quantiles):  # the largest score up to which there is at most q parts of the weight
        within = [s for s, _ in flat if sum(w for other, w in flat if other <= s) * quantiles <= whole * q]
        edges.append(max(within, default=-np.inf))
    for row in made:
        expected = sum(edge < np.float32(row["score"]) for edge in edges) + 1
        assert int(row["bucket"]) == expected


def test_topics_by_quality_along_the_curve(two, tmp_path):
    keys = {
        **two["web"], "split": ["topic", {"column": "score", "quantiles": 20}], "curve": {"discard": 0.4, "cap": 7},
        "weights": {"science": 0.5, "sports": 0.3, "law": 0.2},
    }  # fmt: skip
    made, facts = mixed(tmp_path / "out", sources={"web": keys}, tokens=90_000)
    by_topic = Counter[str]()
    for row in facts["buckets"]:
        by_topic[row["bucket"].split("/")[0]] += row["wanted"]
        assert row["repeats"] <= 7.5
        assert abs(row["taken"] - row["wanted"]) <= 150
    assert by_topic == {"science": pytest.approx(45_000), "sports": pytest.approx(27_000), "law": pytest.approx(18_000)}
    assert len(facts["buckets"]) == 60
    assert {curve["bucket"] for curve in facts["curves"]} == set(TOPICS)
    lowest = [row["bucket"] for row in made if int(row["bucket"].split("/")[1]) <= 6]
    assert lowest == []


def test_a_column_of_twentieths_can_be_curved_too(tmp_path):
    for n, size in enumerate((1000, 2000)):
        shard(tmp_path / "medicine" / f"{n}.parquet", ["a"] * 100, token_count=[size // 100] * 100, vigintile=[n + 9] * 100)
    for n, size in enumerate((3000, 4000)):
        shard(tmp_path / "science" / f"{n}.parquet", ["b"] * 100, token_count=[size // 100] * 100, vigintile=[n + 9] * 100)
    keys = {"split": "vigintile", "curve": {"over": "vigintile", "discard": 0.5, "cap": 7}}
    sources = {name: {"input": str(tmp_path / name), "weight": w, **keys} for name, w in (("medicine", 0.3), ("science", 0.7))}
    _, facts = mixed(tmp_path / "out", sources=sources, tokens=20_000)
    assert [(c["C"], c["p"], c["lambda"]) for c in facts["curves"]] == [
        (pytest.approx(18.3169, abs=5e-5), 2.0, 0.2), (pytest.approx(29.5076, abs=5e-5), 2.0, 0.2)
    ]  # fmt: skip
    assert [row["taken"] for row in facts["buckets"]] == [6000, 0, 14000, 0]  # "10" comes before "9"


def test_hosts_divide_a_source(tmp_path):
    urls = ["https://en.wikipedia.org/a", "https://b.example/", "http://docs.python.org/3/", "", "https://notwikipedia.org/"]
    path = tmp_path / "in" / "0.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"id": list("abcde"), "url": urls, "text": ["x"] * 5}), path)
    (tmp_path / "code.txt").write_text("python.org\n")
    split = {"hosts": {"reference": ["wikipedia.org"], "code": str(tmp_path / "code.txt")}, "missing": "rest"}
    made, _ = mixed(tmp_path / "out", sources={"a": {"input": str(path), "split": split}}, documents="all")
    assert {row["id"]: row["bucket"] for row in made} == {"a": "reference", "b": "rest", "c": "code", "d": "rest", "e": "rest"}


# --- columns


def test_documents_keep_all_columns_and_a_source_that_lacks_one_has_nulls(tmp_path):
    shard(tmp_path / "a" / "0.parquet", ["x"], worth=pa.array([1], pa.int32()), only=["here"])
    (tmp_path / "b.jsonl").write_text('{"body": "y", "worth": 2, "key": "k"}\n')
    sources = {"a": {"input": str(tmp_path / "a")}, "b": {"input": [str(tmp_path / "b.jsonl")], "text": "body", "id": "key"}}
    made, _ = mixed(tmp_path / "out", sources=sources, documents="all")
    found = {row["source"]: row for row in made}
    assert (found["a"]["text"], found["a"]["worth"], found["a"]["only"]) == ("x", 1, "here")
    assert (found["b"]["text"], found["b"]["worth"], found["b"]["only"], found["b"]["id"]) == ("y", 2, None, "k")
    assert "bucket" not in found["a"]


def test_columns_that_cannot_be_joined_are_named_and_can_be_left_out(tmp_path):
    shard(tmp_path / "a" / "0.parquet", ["x"], worth=[1], date=["now"])
    shard(tmp_path / "b" / "0.parquet", ["y"], worth=["much"])
    sources = {name: {"input": str(tmp_path / name)} for name in "ab"}
    with pytest.raises(
        DataError, match=r"column worth is int64 in .*a/0\.parquet and string in .*b/0\.parquet.*columns: \[date"
    ):
        mixed(tmp_path / "out", sources=sources, documents="all")
    made, _ = mixed(tmp_path / "out2", sources=sources, documents="all", columns=["date"])
    assert {tuple(sorted(row)) for row in made} == {("date", "epoch", "id", "source", "text", "url")}


def test_the_stage_before_is_the_source_without_an_input(two, tmp_path):
    sources = {"crawl": {"weight": 0.5}, "code": {**two["code"], "weight": 0.5}}
    made, _ = mixed(tmp_path / "out", here, find_shards([two["web"]["input"]]), sources=sources, documents=100)
    assert Counter(row["source"] for row in made) == {"crawl": 50, "code": 50}


# --- the same bytes


SPLIT = {"split": ["topic", {"column": "score", "quantiles": 4}], "curve": True}


def parameters(two: dict[str, dict[str, Any]]) -> dict[str, Any]:
    web, code = {**two["web"], **SPLIT, "weight": 0.6}, {**two["code"], "weight": 0.4}
    return {"sources": {"web": web, "code": code}, "tokens": 60_000, "shard_bytes": 4000}


@pytest.fixture
def small(monkeypatch):
    """Passes of many tasks: units of a few kB, four open files, a spreading task per file, nothing in memory."""
    sizes = {"UNIT_BYTES": 3000, "MOST_OPEN": 4, "GROUP_BYTES": 6000, "HELD_BYTES": 2000, "WHOLE_BYTES": 0}
    for name, value in sizes.items():
        monkeypatch.setattr(passes, name, value)


def passes_of(out: Path) -> Counter[str]:
    """The tasks of each pass of a finished stage, by its packed markers."""
    packed = (out / "tasks").glob("*.jsonl.gz")
    return Counter(
        {path.name.removesuffix(".jsonl.gz"): len(gzip.decompress(path.read_bytes()).splitlines()) for path in packed}
    )


def test_spreading_twice_makes_the_documents_of_spreading_once(two, tmp_path, monkeypatch, small):
    once, _ = mixed(tmp_path / "twice", **parameters(two))
    names = passes_of(tmp_path / "twice")
    assert {"spread1", "spread2", "part"} <= set(names)
    assert not (tmp_path / "twice" / "spread").exists()
    monkeypatch.setattr(passes, "MOST_OPEN", 1000)
    twice, _ = mixed(tmp_path / "once", **parameters(two))
    assert once == twice
    assert "spread2" not in passes_of(tmp_path / "once")


@pytest.mark.parametrize("most", [passes.WHOLE_BYTES, 0])
def test_two_workers_make_the_bytes_of_one(two, tmp_path, monkeypatch, most):
    monkeypatch.setattr(passes, "WHOLE_BYTES", most)
    mixed(tmp_path / "one", here, **parameters(two))
    mixed(tmp_path / "two", local(2), **parameters(two))
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def published(out: Path) -> dict[str, str]:
    """The digests of all files but the markers, which differ between a shuffle in memory and one through files."""
    return {name: digest for name, digest in digests(out).items() if not name.startswith("tasks/")}


def odd(n: int, count: int) -> dict[str, Any]:
    """Columns whose buffers may differ between a table that was read from Parquet and one that was read from a stream."""
    return {
        "topic": [None if k % 3 else "law" for k in range(count)],
        "date": pa.nulls(count, pa.string()),
        "links": [None if k % 5 == n else [{"to": "a" * (k % 7)}, None] for k in range(count)],
        "named": pa.array([{"a": k if k % 4 else None} for k in range(count)]),
        "kind": pa.array([f"{n}-{k % 3}" for k in range(count)]).dictionary_encode(),
        **({"only_here": list(range(count))} if n else {}),
    }


@pytest.mark.parametrize("shards", [1, 3])
def test_a_shuffle_in_memory_gives_the_bytes_of_one_through_files(tmp_path, monkeypatch, shards):
    """With several units, and row groups that end where the bytes held say so."""
    random = np.random.default_rng(3)
    for n in range(3):
        texts = [f"{n} {k} " + "gold " * int(random.integers(0, 40_000)) for k in range(80)]
        shard(tmp_path / "in" / f"{n}.parquet", texts, **odd(n, len(texts)))
    size = sum(file.stat().st_size for file in (tmp_path / "in").iterdir())
    wanted = {"sources": {"a": {"input": str(tmp_path / "in")}}, "documents": 360, "shard_bytes": int(1.5 * size / shards)}
    monkeypatch.setattr(passes, "UNIT_BYTES", 24 << 20)
    mixed(tmp_path / "memory", **wanted)
    assert passes_of(tmp_path / "memory")["whole"] == 1
    monkeypatch.setattr(passes, "WHOLE_BYTES", 0)
    mixed(tmp_path / "files", **wanted)
    assert "whole" not in passes_of(tmp_path / "files")
    assert published(tmp_path / "memory") == published(tmp_path / "files")
    made = [pq.read_metadata(file).num_row_groups for file in sorted((tmp_path / "memory").glob("part-*.parquet"))]
    assert len(made) == shards
    assert shards > 1 or made[0] > 1


def test_what_does_not_fit_into_memory_after_all_goes_through_files(two, tmp_path, monkeypatch):
    mixed(tmp_path / "memory", **parameters(two))
    estimate = [0.0]
    monkeypatch.setattr(passes, "WHOLE_BYTES", 20_000)
    made = passes.Shuffle.__init__

    def underestimated(self: passes.Shuffle, *values: Any) -> None:
        estimate[0] = values[3]
        made(self, *values[:3], 1.0)

    monkeypatch.setattr(passes.Shuffle, "__init__", underestimated)
    mixed(tmp_path / "out", **parameters(two))
    assert estimate[0] > 30_000
    assert {"whole", "spread1", "part"} <= set(passes_of(tmp_path / "out"))
    assert published(tmp_path / "out") == published(tmp_path / "memory")


def test_in_memory_too_a_killed_run_goes_on_and_a_lost_shard_is_made_again(two, tmp_path):
    mixed(tmp_path / "whole", **parameters(two))
    expected = digests(tmp_path / "whole")
    tasks = sum(passes_of(tmp_path / "whole").values())
    for after in (0, 3, tasks - 1):
        out = tmp_path / f"killed-{after}"
        with pytest.raises(Killed):
            mixed(out, stopping(after), **parameters(two))
        mixed(out, **parameters(two))
        assert digests(out) == expected
    (tmp_path / "whole" / "part-00001.parquet").unlink()
    mixed(tmp_path / "whole", **parameters(two))
    assert digests(tmp_path / "whole") == expected


def test_memory_is_the_same_for_four_times_the_input(tmp_path, monkeypatch):
    """What Arrow holds after each batch, with bounds of a hundredth; long and short documents go to many parts."""
    sizes = {"UNIT_BYTES": 400_000, "HELD_BYTES": 150_000, "OPEN_BYTES": 600_000, "WHOLE_BYTES": 0}
    for name, value in sizes.items():
        monkeypatch.setattr(passes, name, value)
    held: list[int] = []
    add, beat = passes.Divider.add, passes.heartbeat

    def adding(self: passes.Divider, batch: pa.Table) -> None:
        add(self, batch)
        held.append(pa.total_allocated_bytes())

    def beating(*facts: Any) -> None:
        beat(*facts)
        held.append(pa.total_allocated_bytes())

    monkeypatch.setattr(passes.Divider, "add", adding)
    monkeypatch.setattr(passes, "heartbeat", beating)
    random = np.random.default_rng(0)
    for n in range(20):
        texts = [random.bytes(int(size)).hex() for size in random.pareto(1.2, 300).clip(0.1, 60) * 1000]
        shard(tmp_path / "in" / f"{n:02d}.parquet", texts)
    peaks = []
    for count in (5, 20):
        before = pa.total_allocated_bytes()
        held.clear()
        inputs = find_shards([str(tmp_path / "in")])[:count]
        mixed(tmp_path / f"out-{count}", inputs=inputs, documents="all", shard_bytes=300_000)
        peaks.append(max(held) - before)
    assert passes_of(tmp_path / "out-20")["spread1"] == 1
    assert peaks[1] < 1.25 * peaks[0]
    assert sum(file.stat().st_size for file in (tmp_path / "out-20").glob("part-*")) > 2 * peaks[1]


def test_shards_are_not_compared_with_dropped_documents_of_other_files(two, tmp_path):
    """Repeats and another division made more documents kept than read, and alarms of sources that lost nothing."""
    mixed(tmp_path / "out", **parameters(two))
    assert "by_source" not in json.loads((tmp_path / "out" / "report.json").read_text())["facts"]


class Killed(BaseException):
    """The end of a driver."""


def stopping(after: int) -> Run:
    """A `Run` that is killed before its task of number ``after``."""
    left = [after]

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        def counted(task: Task) -> None:
            if not left[0]:
                raise Killed
            left[0] -= 1
            work(task)

        return here(counted, tasks)

    return run


def test_killed_anywhere_it_goes_on_to_the_same_bytes(two, tmp_path, small):
    mixed(tmp_path / "whole", **parameters(two))
    expected = digests(tmp_path / "whole")
    tasks = sum(passes_of(tmp_path / "whole").values())
    for after in sorted({0, 3, tasks // 3, tasks // 2, tasks - 12, tasks - 1}):
        out = tmp_path / f"killed-{after}"
        with pytest.raises(Killed):
            mixed(out, stopping(after), **parameters(two))
        mixed(out, **parameters(two))
        assert digests(out) == expected, after


def test_killed_once_the_last_shard_is_written_it_spreads_nothing_again(two, tmp_path, small, monkeypatch):
    mixed(tmp_path / "whole", **parameters(two))
    out = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(passes, "_remove", lambda folder: (shutil.rmtree(folder), (_ for _ in ()).throw(Killed())))
        with pytest.raises(Killed):
            mixed(out, **parameters(two))
    assert not (out / "spread").exists()
    worked: list[str] = []

    def recorded(work: Work, tasks: Sequence[Task]) -> Report:
        return here(lambda task: (worked.append(task.part), work(task))[1], tasks)  # type: ignore[func-returns-value]

    mixed(out, recorded, **parameters(two))
    assert worked == []
    assert digests(out) == digests(tmp_path / "whole")


def test_a_broken_file_between_the_passes_is_noticed_and_made_again(two, tmp_path, small):
    mixed(tmp_path / "whole", **parameters(two))
    out = tmp_path / "out"

    def meddling(work: Work, tasks: Sequence[Task]) -> Report:
        if tasks[0].part == "part":
            listed = json.loads((out / "spread" / "lists" / "00000.json").read_text())["units"]
            file = out / next(files for files in listed if files)[0][0]
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(data)
        return here(work, tasks)

    with pytest.raises(DataError, match=r"is not what it was .*run again"):
        mixed(out, meddling, **parameters(two))
    mixed(out, **parameters(two))
    assert digests(out) == digests(tmp_path / "whole")


# --- what is refused


Change = Callable[[dict[str, dict[str, Any]]], dict[str, Any]]


@pytest.mark.parametrize(
    ("sources", "more", "message"),
    [
        ({"a": {"input": "x", "weight": 0.7}, "b": {"input": "y", "weight": 0.7}}, {}, r"found a sum of 1\.4.*a 0\.5, b 0\.5"),
        ({"a": {"input": "x", "weight": 0.7}, "b": {"input": "y"}}, {}, r"source b has no weight, but a has.*leave is 0\.3"),
        ({"a": {"input": "x", "weight": -0.1}}, {}, "expected a number from 0 to 1, found -0.1"),
        ({"a": {"input": "x", "weight": "half"}}, {}, "expected a number from 0 to 1, found 'half'"),
        ({"a": {"weight": 0.5}, "b": {"weight": 0.5}}, {}, "the sources a, b have no input"),
        ({"a": {"inptu": "x"}}, {}, "source a: no key is called 'inptu': did you mean 'input'"),
        ({"a": {"input": 3}}, {}, "expected names of inputs, found 3"),
        ({"a:b": {"input": "x"}}, {}, "'a:b' cannot be a source's name"),
        ({"a": {"input": "x", "weights": {"b": 1.0}}}, {}, "no bucket to give a weight"),
        ({"a": {"input": "x", "split": "t", "weights": {"b": 0.5}}}, {}, "weights of its buckets: .*found a sum of 0.5"),
        ({"a": {"input": "x", "split": "t", "curve": True}}, {}, "a curve needs a split by quantiles, or `over`"),
        ({"a": {"input": "x", "split": {"quantiles": 20}}}, {}, "expected a column"),
        ({"a": {"input": "x", "split": {"column": "s", "quantiles": 1}}}, {}, "expected a number from 2 to 1000"),
        ({"a": {"input": "x", "split": {"column": "s", "quantiles": 4}, "curve": {"cap": 0}}}, {}, "cap is 0"),
        ({"a": {"input": "x", "split": {"column": "s", "quantiles": 4}, "curve": {"power": 3}}}, {}, "expected two numbers"),
        ({"a": {"input": "x", "max_repeats": 0}}, {}, "expected a number above 0"),
        ({}, {"tokens": "many"}, "tokens is 'many': expected a number such as 7B.*or all"),
        ({}, {"tokens": 0}, "expected a finite number above zero"),
        ({}, {"tokens": 5, "bytes": 5}, "give one of tokens, bytes and documents"),
        ({}, {"bytes_per_token": 0.0}, "bytes_per_token is 0"),
        ({}, {"shard_bytes": 0}, "shard_bytes is 0"),
    ],
)  # fmt: skip
def test_parameters_that_are_refused_before_a_file_is_opened(sources, more, message):
    with pytest.raises(RecipeError, match=message):
        Mix.of({"sources": sources, **more})


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        ({"split": "topc"}, {}, r"web/web-0\.parquet \(source web\) has no column 'topc' to divide"),
        ({"split": "topic", "weights": {"sience": 1.0}}, {}, "bucket 'sience' has a weight, but no document .* 'science'"),
        ({"split": "score"}, {}, "expected names, whole numbers .* found double; cut scores by .*quantiles: 20"),
        ({"split": {"column": "topic", "quantiles": 4}}, {}, "expected numbers, to cut them into 4 quantiles, found string"),
        ({"split": "topic", "curve": {"over": "topic"}}, {}, "must be whole numbers in rising quality; found 'law'"),
        ({"rehydrate": {"column": "nothing"}}, {}, "has no column 'nothing'"),
        ({}, {"tokens": "1M"}, "source web is too small .* 1M tokens .* max_repeats to 10.9, .* at most 366k tokens"),
        ({"max_repeats": 1}, {"tokens": "100k"}, "too small for its weight"),
        (
            {"split": {"column": "score", "quantiles": 4}, "curve": {"discard": 0.5, "cap": 2}},
            {"tokens": "100k"},
            "source web: 100,000 are wanted, but with the lowest 0.5 discarded and at most 2 repeats",
        ),
    ],
)  # fmt: skip
def test_data_that_is_refused_before_a_text_is_copied(two, tmp_path, change, more, message):
    with pytest.raises(DataError, match=message):
        mixed(tmp_path / "out", sources={"web": {**two["web"], **change}}, **{"tokens": 10_000, **more})
    assert not list(tmp_path.glob("out/part-*"))
    assert not (tmp_path / "out" / "spread").exists()


def test_nulls_in_columns_are_refused_with_the_cure(tmp_path):
    shard(
        tmp_path / "a" / "0.parquet",
        ["x"] * 3,
        topic=["t", None, None],
        score=[0.1, None, float("nan")],
        token_count=[1, 2, None],
    )
    source = {"input": str(tmp_path / "a")}
    with pytest.raises(DataError, match=r"0\.parquet, column topic: 2 of 3 rows are null .* \{column: topic, missing: NAME\}"):
        mixed(tmp_path / "one", sources={"a": {**source, "split": "topic"}}, documents="all")
    made, _ = mixed(
        tmp_path / "two", sources={"a": {**source, "split": {"column": "topic", "missing": "none"}}}, documents="all"
    )
    assert Counter(row["bucket"] for row in made) == {"t": 1, "none": 2}
    with pytest.raises(DataError, match=r"column score: 2 of 3 rows are null or nan and have no quantile"):
        mixed(tmp_path / "three", sources={"a": {**source, "split": {"column": "score", "quantiles": 2}}}, documents="all")
    with pytest.raises(
        DataError, match=r"column token_count: expected a number of tokens in each row, found int64 with 1 nulls"
    ):
        mixed(tmp_path / "four", sources={"a": source}, tokens="all")


def test_sources_that_are_empty_overlap_or_are_not_there(two, tmp_path):
    shard(tmp_path / "empty" / "0.parquet", [])
    empty = {"input": str(tmp_path / "empty"), "weight": 0.5}
    with pytest.raises(DataError, match="source empty is empty: it has no document"):
        mixed(tmp_path / "one", sources={"web": {**two["web"], "weight": 0.5}, "empty": empty}, documents=10)
    with pytest.raises(DataError, match=r"web-0\.parquet is in the sources a and b"):
        mixed(tmp_path / "two", sources={"a": two["web"], "b": two["web"]}, documents=10)
    with pytest.raises(DataError, match="no documents there"):
        mixed(tmp_path / "three", sources={"a": {"input": str(tmp_path / "nowhere")}}, documents=10)
    with pytest.raises(DataError, match="source input has no input"):
        mixed(tmp_path / "four", documents=10)


def test_a_document_longer_than_a_shard_has_a_shard(tmp_path):
    shard(tmp_path / "a" / "0.parquet", ["gold " * 10_000, *(f"sand {n}" for n in range(50))])
    made, _ = mixed(tmp_path / "out", sources={"a": {"input": str(tmp_path / "a")}}, documents="all", shard_bytes=300)
    assert sorted(map(len, (row["text"] for row in made)))[-1] == 50_000
    assert len(made) == 51
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) > 3
