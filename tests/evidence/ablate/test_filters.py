"""The seven filters on one pool: their variants, models that are trained once, and the command on a small crawl."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from goldwash.__main__ import main
from goldwash.classifiers.examples import Example
from goldwash.evidence.ablate import filters
from goldwash.evidence.ablate.filters import Given, Learned, models, variants
from goldwash.evidence.errors import EvidenceError
from goldwash.pipeline.recipes.recipe import load
from tests.classifiers.test_ask import by_text
from tests.support.servers import serving
from tests.support.sources import SOURCES, source, written

GOOD = [Example(f"The river carries gold from the hills, past mill number {n}.", "a") for n in range(60)]
WEB = [Example(f"Buy now, click here, number {n}!", "b") for n in range(60)]


def silent(line: str) -> None:
    """Nobody listens."""


def test_each_filter_takes_the_place_of_quality() -> None:
    base = load("filters", ["quality.fraction=0.2", "quality.label=x"])
    made = variants(base, {"fastText": "a.fold", "PageRank": "pagerank:r.txt"})
    assert [variant.name for variant in made] == ["no filter", "fastText", "PageRank", "SemDeDup"]
    shared = [stage.name for stage in base.stages[:-1]]
    assert shared == ["extract", "heuristics", "minhash", "bloom"]
    assert base.stage("extract").config()["links"] is True
    last = [variant.recipe.stages[len(shared) :] for variant in made]
    assert last[0] == ()
    assert [stage[0].name for stage in last[1:]] == ["quality", "quality", "semdedup"]
    assert [stage[0].config()["fraction"] for stage in last[1:]] == [0.2, 0.2, 0.2]
    assert (last[1][0].config()["model"], last[1][0].config()["label"]) == ("a.fold", None)
    assert all(variant.recipe.stages[: len(shared)] == base.stages[:-1] for variant in made)


@pytest.mark.parametrize("words", [(("quality.fraction=null", "quality.threshold=0.5"), ()), ((), ("quality",))])
def test_a_recipe_that_does_not_end_with_quality_by_a_fraction(words: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    with pytest.raises(EvidenceError, match="the filters take the place of its last stage, expected quality with a fraction"):
        variants(load("filters", *words), {})


def test_models_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "GPT_TOKENS", 4000)
    monkeypatch.setattr(filters, "GPT_SHAPE", (32, 1, 2))
    said = list[str]()
    first = models(Learned(GOOD, WEB), Given(), str(tmp_path), said.append)
    assert list(first) == ["fastText", "perplexity", "top-k", "embedding"]
    assert len(said) >= 4
    again = list[str]()
    assert models(Learned(GOOD[::-1], WEB), Given(), str(tmp_path), again.append) == first
    assert again == []
    assert Learned(GOOD[1:], WEB).digest != Learned(GOOD, WEB).digest
    with pytest.raises(EvidenceError, match="give both, with --good and --web"):
        models(Learned(GOOD, []), Given(), str(tmp_path), silent)


def answers(words: Sequence[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """What `goldwash ablate filters` answers with a server, as JSON and as printed."""
    monkeypatch.setattr(filters, "GPT_TOKENS", 4000)
    monkeypatch.setattr(filters, "GPT_SHAPE", (32, 1, 2))
    with serving(by_text) as server:
        asked = ("--ask", f"{server.url}/v1#model=little&characters=500", "--json", "found.json", "--workers", "1")
        given = ["goldwash", "ablate", "filters", "--out", "out", *words, *asked]
        monkeypatch.setattr(sys, "argv", list(map(str, given)))
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return json.loads(Path("found.json").read_text()), capsys.readouterr().out


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, and an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    return tmp_path


QUICK = ("--seeds", "2", "--points", "1", "--vocabulary", "300", "--overlap", "1")


def test_all_filters_on_documents(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of the seven keeps the same number of documents; AskLLM and PageRank keep what the server and the ranks say."""
    texts = [f"{text} gold" if n < 20 else text for n, text in enumerate(source(SOURCES[0], 60))]
    rows = [{"text": text, "url": f"https://{'good' if n < 20 else 'bad'}.example/{n}"} for n, text in enumerate(texts)]
    (here / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (here / "ranks.txt").write_text("#pr_pos\t#pr_val\t#host_rev\n1\t0.5\texample.good\n2\t0.1\texample.bad\n")
    good, web = (written(here / f"{name}.jsonl", source(SOURCES[n], 40, 100)) for n, name in ((0, "good"), (1, "web")))
    target = written(here / "held.jsonl", source(SOURCES[0], 9, 10_000))
    found, printed = answers(
        [
            "--input", "in.jsonl", "--ranks", "ranks.txt", "--good", *good.places, "--web", *web.places, "--targets",
            *target.places, "--skip", "heuristics", "minhash", "--set", "quality.fraction=0.3", *QUICK,
        ], monkeypatch, capsys,
    )  # fmt: skip
    names = ["no filter", "fastText", "perplexity", "top-k", "embedding", "AskLLM", "PageRank", "SemDeDup"]
    assert [variant["variant"] for variant in found["variants"]] == names
    assert [variant["documents"] for variant in found["variants"]] == [60, *[18] * 7]
    assert found["left_out"] == []
    assert all(name in printed for name in names)
    for variant in found["variants"][5:7]:
        shards = sorted((here / "out" / variant["folder"]).glob("part-*.parquet"))
        kept = [text for shard in shards for text in pq.read_table(shard)["text"].to_pylist()]
        assert set(kept) < set(texts[:20])


@pytest.mark.slow
def test_the_command_on_the_sample_crawl(
    sample: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From archives: pages are extracted, and PageRank takes their links."""
    folder = sample / "classifier"
    found, printed = answers(
        [
            "--input", sample / "crawl", "--targets", "sample", "--good", folder / "positive.jsonl", "--web",
            folder / "negative.jsonl", "--set", "quality.fraction=0.4", "--tokens", "2000", *QUICK,
        ], monkeypatch, capsys,
    )  # fmt: skip
    names = [variant["variant"] for variant in found["variants"]]
    wanted = ["no filter", "fastText", "perplexity", "top-k", "embedding", "AskLLM"]
    assert names in ([*wanted, "PageRank", "SemDeDup"], [*wanted, "SemDeDup"])
    assert "PageRank" in names or "PageRank was left out" in printed
    most = found["variants"][0]["documents"]
    assert {variant["documents"] for variant in found["variants"][1:]} == {-(-most * 2 // 5)}
