"""Opt-outs in a run: columns of the extract stage, off by default; the recipe, and the flags that do the same to any other."""

from pathlib import Path

import pytest

from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.optouts.pages import COLUMNS
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes.recipe import OptOuts, load, stage_alone
from goldwash.pipeline.stage import Stage
from goldwash.pipeline.stages.extract import Extract
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.storage.inputs import find_archives, find_shards
from tests.pipeline.conftest import here, rows
from tests.support.archives import gzipped, page, record

NO = b'<html><head><meta name="robots" content="noai"></head><body><p>word</p></body></html>'
BAD = b'<html><head><meta name="robots"><link rel="license" href="#"></head><body><p>word</p></body></html>'


@pytest.fixture
def crawl(tmp_path: Path) -> str:
    header = record("http://a.example/h", page(1)).replace(
        b"Content-Type: text/html\r\n", b"Content-Type: text/html\r\nX-Robots-Tag: googlebot: none\r\nX-Robots-Tag: noindex\r\n"
    )
    length = len(header.partition(b"\r\n\r\n")[2]) - 4
    header = b"\r\n".join(
        b"Content-Length: %d" % length if line.startswith(b"Content-Length") else line
        for line in header.partition(b"\r\n\r\n")[0].split(b"\r\n")
    ) + header[header.index(b"\r\n\r\n") :]  # fmt: skip
    archive = tmp_path / "a.warc.gz"
    archive.write_bytes(gzipped([record("http://a.example/1", NO), record("http://a.example/2", BAD), header]))
    return str(archive)


def run(stage: Stage, inputs: list[str], out: Path) -> list[dict[str, object]]:
    found = find_archives(inputs) if stage.makes_documents else find_shards(inputs)
    run_stage(stage, found, str(out), here)
    return rows(out)


def test_columns_are_there_when_asked_for(crawl: str, tmp_path: Path) -> None:
    plain = run(Extract(), [crawl], tmp_path / "plain")
    assert not set(COLUMNS) & set(plain[0])
    one, two, three = run(Extract(optouts=True), [crawl], tmp_path / "said")
    assert (one["noai"], one["robots_directives"], one["noindex"]) == (1, "noai", 0)
    assert (two["noai"], two["licence"]) == (0, "")
    assert (three["noindex"], three["robots_directives"]) == (1, "googlebot:none, noindex")
    assert [{k: v for k, v in row.items() if k not in COLUMNS} for row in (one, two, three)] == plain


def test_the_report_counts_what_pages_said(crawl: str, tmp_path: Path) -> None:
    step = run_stage(Extract(optouts=True), find_archives([crawl]), str(tmp_path / "out"), here)
    assert step.report is not None
    notes = {name: count for name, count in step.report.notes.items() if name.startswith("optouts.")}
    assert notes == {
        "optouts.noai": 1, "optouts.noindex": 1, "optouts.malformed.robots": 1, "optouts.malformed.licence": 1,
    }  # fmt: skip


def test_the_respectful_recipe_is_the_baseline_with_the_flag() -> None:
    respectful, flagged, plain = load("respectful"), load("baseline", optouts=OptOuts(of_pages=True)), load("baseline")
    assert respectful.stages == flagged.stages
    assert plain.stages[0].config()["optouts"] is False
    steps = respectful.stage("heuristics").config()["steps"]
    assert [step["name"] for step in steps[:6]] == [
        "noai", "ai_train_denied", "tdm_reservation", "noarchive", "noindex", "unavailable",
    ]  # fmt: skip
    assert steps[6:] == plain.stage("heuristics").config()["steps"]


def test_the_rules_drop_what_was_refused_under_its_name(crawl: str, tmp_path: Path) -> None:
    run(Extract(optouts=True), [crawl], tmp_path / "said")
    steps = load("respectful").stage("heuristics").config()["steps"][:6]
    kept = run(Heuristics.of({"steps": steps}), [str(tmp_path / "said")], tmp_path / "kept")
    assert [row["url"] for row in kept] == ["http://a.example/2"]
    assert {row["url"]: row["dropped_by"] for row in rows(tmp_path / "kept" / "dropped")} == {
        "http://a.example/1": "noai", "http://a.example/h": "noindex",
    }  # fmt: skip


def test_a_table_of_robots_becomes_the_first_early_step() -> None:
    recipe = load("baseline", optouts=OptOuts(robots="hosts"))
    first = recipe.stage("extract").config()["early"][0]
    assert first == {"keep": "robots_disallowed_count", "table": "hosts", "max": 0}
    assert load("gopher", optouts=OptOuts(robots="hosts")).stages


def test_a_recipe_without_urls_refuses_the_table(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("stages: [minhash]")
    with pytest.raises(RecipeError, match="no stage extract or heuristics"):
        load(str(recipe), optouts=OptOuts(robots="hosts"))


def test_a_single_stage_takes_the_flags_as_a_run_does() -> None:
    both = OptOuts(of_pages=True, robots="hosts")
    whole = load("baseline", optouts=both)
    extract, heuristics = (stage_alone(name, "baseline", optouts=both).config() for name in ("extract", "heuristics"))
    assert extract == whole.stage("extract").config()
    rule = {"keep": "robots_disallowed_count", "table": "hosts", "max": 0}
    *steps, counted = whole.stage("heuristics").config()["steps"]
    assert heuristics["steps"] == [rule, *steps]
    assert counted["column"] == "ngram_count"  # for bloom, in a run
    for flag in (OptOuts(of_pages=True), OptOuts(robots="hosts")):
        with pytest.raises(RecipeError, match=r"there is no stage extract or heuristics|no stage heuristics is there"):
            stage_alone("minhash", "baseline", optouts=flag)


def test_a_recipe_that_cannot_drop_what_pages_say_refuses_the_flag(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("stages: [extract, minhash]")
    with pytest.raises(RecipeError, match="no stage heuristics is there to drop"):
        load(str(recipe), optouts=OptOuts(of_pages=True))


def test_the_command_of_one_stage_has_the_flags(crawl: str, tmp_path: Path, cli) -> None:  # type: ignore[no-untyped-def]
    alone = ("--workers", 1, "--opt-outs")
    code, _, told = cli("stage", "extract", "--input", crawl, "--out", tmp_path / "said", *alone, "--set", "early=[]")
    assert code == 0, told
    assert {"noai", "noindex"} <= set(rows(tmp_path / "said")[0])
    code, printed, told = cli("stage", "heuristics", "--input", tmp_path / "said", "--out", tmp_path / "kept", *alone)
    assert code == 0, told
    assert "opt-outs: heuristics dropped 2 of 3 documents (66.7%)" in printed
    dropped = {row["url"]: row["dropped_by"] for row in rows(tmp_path / "kept" / "dropped")}
    assert dropped["http://a.example/1"] == "noai"
    assert dropped["http://a.example/h"] == "noindex"
