"""Extraction against floors that a change of ours, or an extractor's new version, must not fall under (docs/extraction.md)."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import recipe as recipes
from pipeline.inputs import find_archives, find_shards
from pipeline.report import Report
from pipeline.run.local import local
from pipeline.stage import Stage
from pipeline.warc.html import ExtractorError, extractor_of, names_of
from tests.extraction import CONSENT, PAIR, Known, digest, known_pages, measured, score

DIGEST = "9156fd6c7321967c"
"""The pages that the floors were measured on."""
FLOORS = {"resiliparse": 0.750, "turbohtml": 0.635, "pair": 0.764}
"""F1 of words, mean over sixteen types of pages; measured 2026-11: 0.753, 0.641, 0.768."""


@pytest.fixture(scope="module")
def pages(request: pytest.FixtureRequest) -> list[Known]:
    return list(known_pages(request.getfixturevalue("real")))


@pytest.mark.real
def test_the_pages_are_those_of_the_floors(pages: list[Known]) -> None:
    assert (len(pages), digest(pages)) == (1532, DIGEST)


@pytest.mark.real
def test_each_extractor_is_as_good_as_it_was(pages: list[Known]) -> None:
    found = {name: measured(pages, extractor_of(PAIR if name == "pair" else name))[0]["mean of types"][0] for name in FLOORS}
    assert {name: round(f1, 3) for name, f1 in found.items() if f1 < FLOORS[name]} == {}
    assert found["pair"] > max(found["resiliparse"], found["turbohtml"])  # why it is baseline.yaml's


def test_the_pair_is_that_of_the_recipe() -> None:
    assert recipes.load("baseline").stage("extract").config()["extractor"] == PAIR
    assert recipes.load("reference").stage("extract").config()["extractor"] == "resiliparse"
    assert recipes.load("reference").stage("extract").config()["early"] == []


def kept(stages: list[Stage], archives: list[Path], out: Path) -> tuple[set[str], Report]:
    """The ids that extract and heuristics keep, and extract's report."""
    import pyarrow.parquet as pq

    extract, heuristics = stages
    report = extract(find_archives([str(path) for path in archives]), str(out / "a"), local(2))
    heuristics(find_shards([str(out / "a")]), str(out / "b"), local(2))
    return {i for p in (out / "b").glob("part-*.parquet") for i in pq.read_table(p, columns=["id"])["id"].to_pylist()}, report


@pytest.mark.real
def test_early_rules_lose_a_page_in_a_thousand_at_the_most(real: Path, tmp_path: Path) -> None:
    archives = sorted((real / "pages").glob("public-*.warc.gz"))
    baseline = recipes.load("baseline")
    heuristics, config = baseline.stage("heuristics"), baseline.stage("extract").config()
    whole, _ = kept([type(baseline.stage("extract")).of({**config, "early": []}), heuristics], archives, tmp_path / "whole")
    early, report = kept([baseline.stage("extract"), heuristics], archives, tmp_path / "early")
    assert len(whole) > 1300
    assert early <= whole
    assert len(whole - early) <= len(whole) / 1000
    assert report.dropped["language"].documents > 900
    assert report.dropped["fasttext_word_count"].documents > 30


# --- the measure itself, and how extractors are named


@pytest.mark.parametrize(
    ("known", "text", "expected"),
    [
        (Known("t", "", "gold in the pan"), "gold in the pan", (1, 1, 1)),
        (Known("t", "", "gold in the pan"), "gold pan menu home", (0.5, 0.5, 0.5)),
        (Known("t", "", "gold"), "", (0, 0, 0)),
        (Known("t", "", "金鍋"), "金", (2 / 3, 1, 0.5)),
        (Known("t", "", None, ("gold in", "pan"), ("menu",)), "Gold\nin the menu", (0.5, 0.5, 0.5)),
    ],
)
def test_scores(known: Known, text: str, expected: tuple[float, float, float]) -> None:
    assert score(known, text) == pytest.approx(expected)


ARTICLE = "<html><body><nav><a href=x>Home</a></nav><article>" + "<p>Gold lies in the bend of the river, it is said.</p>" * 9
FORUM = "<html><body>" + "<div class=post><a href=u>me</a> short words</div>" * 30


def test_a_pair_takes_the_first_where_it_is_ample() -> None:
    pair, first, second = (extractor_of(named) for named in (PAIR, "turbohtml", "resiliparse"))
    assert pair(ARTICLE) == first(ARTICLE)
    assert pair(FORUM) == second(FORUM)
    assert extractor_of({**PAIR, "min_length": 10**6})(ARTICLE) == second(ARTICLE)
    assert extractor_of({**PAIR, "min_share": 1.1})(ARTICLE) == second(ARTICLE)


def test_a_third_is_asked_where_two_disagree() -> None:
    agreed = extractor_of({**CONSENT, "min_agreement": 0.0})
    assert agreed(ARTICLE) == extractor_of("turbohtml")(ARTICLE)
    asked = extractor_of({**CONSENT, "min_agreement": 1.01})
    assert asked(ARTICLE) == extractor_of("trafilatura")(ARTICLE)
    assert names_of(CONSENT) == ["resiliparse", "trafilatura", "turbohtml"]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("turbo", "no extractor is called 'turbo': known: .*turbohtml"),
        ({"first": "turbohtml"}, "no pair of extractors: expected"),
        ({**PAIR, "first": "resiliparse"}, "no pair of extractors"),
        ({**PAIR, "second": "nothing"}, "no extractor is called 'nothing'"),
    ],
)
def test_extractors_that_there_are_not(named: Any, message: str) -> None:
    with pytest.raises(ExtractorError, match=message):
        extractor_of(named)


def test_an_extractor_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(ExtractorError, match=r"pip install 'goldwash\[trafilatura\]'"):
        extractor_of("trafilatura")
