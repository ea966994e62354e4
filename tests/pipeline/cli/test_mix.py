"""goldwash mix: sources by options and by file, the plan, Olmix's weights, and what is refused."""

import json

import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.mixing.olmix import read_ratios, shares, weights_of
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import rows
from tests.pipeline.stages.test_mix import corpus


@pytest.fixture
def sources(tmp_path):
    return corpus(tmp_path, "web", 2, 100), corpus(tmp_path, "code", 1, 50, 1)


def test_sources_and_weights_by_options(cli, sources, tmp_path):
    web, code = sources
    words = ("--source", f"web={web}", f"code={code}", "--weight", "web=.5", "code=.5", "--tokens", "8k")
    code_, printed, error = cli("mix", *words, "--out", tmp_path / "out", "--workers", "1")
    assert code_ == 0, error
    assert "in tokens:" in printed
    assert "web" in printed
    ratios = read_ratios((tmp_path / "out" / "mixture" / "ratios.csv").read_text())
    taken = {
        name: sum(row["token_count"] for row in rows(tmp_path / "out") if row["source"] == name) for name in ("web", "code")
    }
    assert ratios["mixture"] == pytest.approx({name: size / sum(taken.values()) for name, size in taken.items()}, abs=1e-6)
    assert (tmp_path / "out" / "mixture" / "metrics.csv").read_text() == "run,metric_bpb\nmixture,\n"


def test_a_file_its_plan_and_the_mixture(cli, sources, tmp_path):
    web, _ = sources
    keys = {"input": web, "split": ["topic", {"column": "score", "quantiles": 4}], "curve": True}
    (tmp_path / "mixture.yaml").write_text(json.dumps({"tokens": "20k", "sources": {"web": keys}}))
    words = ("mix", tmp_path / "mixture.yaml", "--out", tmp_path / "out", "--workers", "1")
    code, planned, error = cli(*words, "--plan")
    assert code == 0, error
    assert "science/4" in planned
    assert not list((tmp_path / "out").glob("part-*"))
    code, printed, _ = cli(*words)
    assert code == 0
    assert "science/4" in printed
    assert pq.read_table(tmp_path / "out" / "part-00000.parquet").num_rows > 50


def test_weights_of_olmix(cli, sources, tmp_path):
    web, code = sources
    (tmp_path / "ratios.csv").write_text(
        "run,name,index,web:science,web:sports,code\nrun_001,a,0,.5,.25,.25\nrun_002,b,1,.2,.3,.5\n"
    )
    (tmp_path / "m.yaml").write_text(
        json.dumps({"sources": {"web": {"input": web, "split": "topic"}, "code": {"input": code}}})
    )
    words = (
        "mix",
        tmp_path / "m.yaml",
        "--tokens",
        "4k",
        "--out",
        tmp_path / "out",
        "--workers",
        "1",
        "--ratios",
        tmp_path / "ratios.csv",
    )
    assert "has 2 runs: choose one, as --run run_001" in cli(*words)[2]
    assert "has no such run" in cli(*words, "--run", "run_9")[2]
    code_, _, error = cli(*words, "--run", "run_002")
    assert code_ == 0, error
    buckets = json.loads((tmp_path / "out" / "report.json").read_text())["facts"]["buckets"]
    wanted = {(row["source"], row["bucket"]): row["wanted"] for row in buckets}
    assert wanted == pytest.approx({
        ("web", "law"): 0, ("web", "science"): 800, ("web", "sports"): 1200, ("code", None): 2000
    })  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--source", "web=a", "web=b"), "there is a source web already"),
        (("--source", "web"), "--source web: expected NAME=VALUE"),
        (("--source", "web=a", "--weight", "wbe=1"), "no source is called 'wbe': did you mean 'web'"),
        (("--source", "web=a", "--weight", "web=much"), "--weight web: expected a number, found 'much'"),
        (("--source", "web=a", "b=b", "--weight", "web=.5", "b=.6"), "found a sum of 1.1"),
        (("--source", "web=nowhere"), "no documents there"),
        (("nothing.yaml",), "no mixture at nothing.yaml"),
        (("--source", "web=a", "--tokens", "lots"), "tokens is 'lots'"),
        (("--source", "web=a", "--tokens", "5", "--set", "bytes=5"), "give one of tokens, bytes and documents"),
        (("--source", "web=a", "--run", "run_001"), "--run run_001 is a row of Olmix's ratios.csv: give that file"),
        (("--set", "sources={web: runs/first}"), "sources: expected names with keys, as {web: {input: runs/first"),
        (("--set", "sources=[web, books]"), "found ['web', 'books']"),
    ],
)
def test_what_is_refused_before_the_work(cli, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, _, error = cli("mix", *words, "--out", tmp_path / "out")
    assert code == 1
    assert message in error
    assert not (tmp_path / "out").exists()


def test_two_sources_of_one_name_in_a_file(cli, tmp_path):
    (tmp_path / "m.yaml").write_text("sources:\n  web: {input: a}\n  web: {input: b}\n")
    code, _, error = cli("mix", tmp_path / "m.yaml", "--out", tmp_path / "out")
    assert code == 1
    assert "m.yaml is not YAML: the key 'web' is given twice" in error
    assert not (tmp_path / "out").exists()


def test_weights_of_columns_and_sums():
    assert weights_of({"a": 0.0, "b:x": 1.0}) == {"a": {"weight": 0.0}, "b": {"weight": 1.0, "weights": {"x": 1.0}}}
    with pytest.raises(DataError, match="a has a weight of its own and weights of buckets"):
        weights_of({"a": 0.5, "a:x": 0.5})
    with pytest.raises(DataError, match=r"expected weights of at least 0 that sum to 1, found a sum of 0\.9"):
        shares({"a": 0.9}, "here")
    with pytest.raises(DataError, match="found a sum of nan"):
        shares({"a": float("nan")}, "here")
