"""Sources of which a stage took far more than of the others: counts, alarms, and the AUC of the source alone."""

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.by_source import (
    LEAST,
    auc_of_source,
    by_source,
    counts_of,
    crawl_of,
    host_of,
    hosts_of,
    sentences,
)
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.storage.locations import join
from goldwash.pipeline.storage.sealed import read_sealed
from tests.pipeline.conftest import here, shard

STAGE = Heuristics.of({"steps": [{"keep": "word_count", "min": 2}]})


def report(folder: Path) -> dict[str, Any]:
    found = read_sealed(join(str(folder), "report.json"))
    assert found is not None
    return dict(found["facts"])


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Any]:
    """Three domains of 200 documents, of which the stage drops 5%, 10% and 97%; one domain of ten, all dropped."""
    urls, texts, archives, column = [], [], [], []
    for name, count, dropped in (("a.co.uk", 200, 10), ("b.com", 200, 20), ("bad.com", 200, 194), ("small.com", 10, 10)):
        for n in range(count):
            urls.append(f"https://w{n % 2}.{name}/{n}")
            texts.append("one" if n < dropped else "one two")
            archives.append(f"crawl-data/CC-MAIN-{2020 + (name == 'bad.com')}-10/x.warc.gz")
            column.append("forum" if name == "bad.com" else "news")
    inputs = [shard(tmp_path / "in" / "a.parquet", texts, url=urls, archive=archives, source=column)]
    run_stage(STAGE, inputs, str(tmp_path / "out"), here)
    found: dict[str, Any] = report(tmp_path / "out")["by_source"]
    return found


URLS = st.sampled_from(
    [
        None,
        "",
        "http://",
        "https://a.b",
        "http://a.b\n",
        "http://a.b:80/",
        "HTTP://A.b/",
        "http://..a.b../x",
        "http://.",
        "http://é.b/",
    ]
) | st.text(st.sampled_from("htps:/.ab@?#[A\n é"), max_size=12).map("http".__add__)


@given(st.lists(URLS, max_size=10), st.integers(0, 10))
def test_hosts_of_a_column_are_those_of_each_url(urls, cut):
    column = pa.chunked_array([pa.array(urls[:cut], pa.string()), pa.array(urls[cut:], pa.string())])
    assert [host.strip(".") for host in hosts_of(column).to_pylist()] == [host_of(url or "") for url in urls]


@given(st.lists(st.none() | st.text("ab", max_size=2), max_size=20))
def test_values_are_counted_in_the_order_of_their_first_occurrence(values):
    for column in (pa.array(values, pa.string()), pa.chunked_array([values[:7], values[7:]], pa.large_string())):
        assert list(counts_of(column)) == list(Counter(values).items())
    numbers = [len(value or "") for value in values]
    assert list(counts_of(pa.array(numbers, pa.int8()))) == [(number, 1) for number in numbers]


def test_shares_by_domain_crawl_and_source(sources: dict[str, Any]) -> None:
    assert sources["documents"] == 610
    assert [(d["name"], d["read"], d["dropped"]) for d in sources["domain"]] == [
        ("a.co.uk", 200, 10), ("b.com", 200, 20), ("bad.com", 200, 194),
    ]  # fmt: skip
    assert {(d["name"], d["dropped"]) for d in sources["crawl"]} == {("CC-MAIN-2020-10", 40), ("CC-MAIN-2021-10", 194)}
    assert {(d["name"], d["share"]) for d in sources["source"]} == {("news", round(40 / 410, 4)), ("forum", 0.97)}


def test_alarms_are_told(sources: dict[str, Any]) -> None:
    kinds = {(alarm["kind"], alarm["name"]) for alarm in sources["alarms"]}
    assert {("domain", "bad.com"), ("crawl", "CC-MAIN-2021-10"), ("source", "forum")} <= kinds
    assert not any("small.com" in name or name == "b.com" for _, name in kinds)
    lines = sentences("heuristics", sources)
    assert "heuristics took 97% of domain bad.com (194 of 200 documents; 10% of the others)" in lines


def test_no_alarm_where_all_sources_fare_alike(tmp_path: Path) -> None:
    urls = [f"https://{host}.com/{n}" for host in "abc" for n in range(100)]
    texts = ["one" if n % 2 else "one two" for n in range(300)]
    inputs = [shard(tmp_path / "in" / "a.parquet", texts, url=urls)]
    run_stage(STAGE, inputs, str(tmp_path / "out"), here)
    assert report(tmp_path / "out")["by_source"]["alarms"] == []


def test_a_contaminated_source_among_clean_ones(tmp_path: Path) -> None:
    urls = [f"https://{host}.com/{n}" for host in "abcdq" for n in range(100)]
    texts = ["one" if "q.com" in url and n % 100 < 35 else "one two" for n, url in enumerate(urls)]
    inputs = [shard(tmp_path / "in" / "a.parquet", texts, url=urls)]
    run_stage(STAGE, inputs, str(tmp_path / "out"), here)
    (alarm,) = report(tmp_path / "out")["by_source"]["alarms"]
    assert (alarm["kind"], alarm["name"], alarm["share"], alarm["others"]) == ("domain", "q.com", 0.35, 0.0)


def test_names_from_urls_are_escaped_for_the_terminal() -> None:
    alarm = {"kind": "host", "name": "a\x1b[2Jb", "read": 100, "dropped": 97, "share": 0.97, "others": 0.1, "excess": 87}
    assert "\x1b" not in sentences("minhash", {"alarms": [alarm]})[0]


def test_the_auc_of_the_source_alone_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    for _ in range(20):
        counts = {str(n): (int(r), int(random.integers(0, r + 1))) for n, r in enumerate(random.integers(LEAST, 200, 8))}
        labels, values = [], []
        for read, dropped in counts.values():
            kept = read - dropped
            labels += [1] * kept + [0] * dropped
            values += [(kept - 1) / (read - 1)] * kept + [kept / (read - 1)] * dropped
        assert auc_of_source(counts) == pytest.approx(roc_auc_score(labels, values), abs=1e-4)


def test_the_auc_of_sources_that_decide_and_of_ones_that_do_not() -> None:
    assert auc_of_source({"good": (100, 0), "bad": (100, 100)}) == 1.0
    even = auc_of_source({str(n): (1000, 500) for n in range(4)})
    assert even is not None
    assert even == pytest.approx(0, abs=0.01) or even < 0.5  # each document's own vote is left out
    assert auc_of_source({"a": (100, 0)}) is None
    assert auc_of_source({}) is None


def test_names() -> None:
    assert host_of("https://User@WWW.Example.com.:80/x") == "www.example.com"
    assert host_of("http://[") == ""


@given(st.text("http://s:@[]?#. \tab-_A1é/", max_size=30).map(lambda rest: f"http{rest}") | st.from_regex(r"https?://[ -~]*"))
def test_hosts_that_need_no_parser_are_the_parsers(url):
    try:
        expected = (urlsplit(url).hostname or "").strip(".")
    except ValueError:
        expected = ""
    assert host_of(url) == expected
    assert crawl_of("https://x.org/crawl-data/CC-SUPPLEMENTAL-2026-22/a.gz") == "CC-SUPPLEMENTAL-2026-22"
    assert crawl_of("CC-MAIN-20240101.warc.gz") == ""
    assert crawl_of(None) == ""
    assert crawl_of(7) == ""  # a user's own column of that name


def test_shards_without_urls_or_documents(tmp_path: Path) -> None:
    assert by_source(str(tmp_path), {}, []) == {}


def test_the_command_of_one_stage_tells_alarms(tmp_path: Path, cli: Any) -> None:
    urls = [f"https://{name}/{n}" for name in ("a.com", "b.com", "bad.com") for n in range(100)]
    texts = ["one" if "bad.com" in url else "one two" for url in urls]
    shard(tmp_path / "in" / "a.parquet", texts, url=urls)
    recipe = tmp_path / "r.yaml"
    recipe.write_text("stages: [{heuristics: {steps: [{keep: word_count, min: 2}]}}]")
    code, printed, told = cli(
        "stage", "heuristics", "--recipe", recipe, "--input", tmp_path / "in", "--out", tmp_path / "out", "--workers", 1
    )
    assert code == 0, told
    assert "alarm: heuristics took 100% of domain bad.com (100 of 100 documents; 0% of the others)" in printed
