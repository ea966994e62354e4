"""The seven filters on one pool: their variants, models that are trained once, and the command on a small crawl."""

import json
import sys
from pathlib import Path

import pytest

from goldwash.__main__ import main
from goldwash.classifiers.examples import Example
from goldwash.evidence.ablate import filters
from goldwash.evidence.ablate.filters import Given, Learned, models, variants
from goldwash.evidence.errors import EvidenceError
from goldwash.pipeline.recipes.recipe import load
from tests.classifiers.test_ask import by_text
from tests.support.servers import serving

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


@pytest.mark.slow
def test_the_command_on_the_sample_crawl(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(filters, "GPT_TOKENS", 40_000)
    folder = sample / "classifier"
    words = [
        "ablate", "filters", "--input", sample / "crawl", "--out", "out", "--workers", "1", "--targets", "sample",
        "--good", folder / "positive.jsonl", "--web", folder / "negative.jsonl", "--set", "quality.fraction=0.4",
        "--tokens", "2000", "--seeds", "2", "--points", "2", "--vocabulary", "300", "--json", "found.json",
    ]  # fmt: skip
    with serving(by_text) as server:
        monkeypatch.setattr(sys, "argv", ["goldwash", *map(str, words), "--ask", f"{server.url}/v1"])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    names = [variant["variant"] for variant in found["variants"]]
    wanted = ["no filter", "fastText", "perplexity", "top-k", "embedding", "AskLLM"]
    assert names in ([*wanted, "PageRank", "SemDeDup"], [*wanted, "SemDeDup"])
    assert "PageRank" in names or "PageRank was left out" in printed
    most = found["variants"][0]["documents"]
    assert {variant["documents"] for variant in found["variants"][1:]} == {-(-most * 2 // 5)}
