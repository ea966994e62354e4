"""The page of a run, as a file: its numbers are the run's, whatever state the run is in and whatever its documents hold."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from goldwash.pipeline import flow
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.report import Count
from goldwash.pipeline.reporting import page as pages
from goldwash.pipeline.reporting.facts import Run, Stage, facts_of
from goldwash.pipeline.reporting.page import MOST_BYTES, anchor, excerpt, page, short, write_report
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import read_json
from tests.pipeline.conftest import here, shard
from tests.support.hostile import HOSTILE, documents

RECIPE = """
stages:
  - heuristics:
      steps:
        - {keep: word_count, min: 3}
        - {keep: mean_word_length, max: 40}
"""


PLUG_IN = '''
from goldwash.filters import per_text

@per_text
def vowels_here(text: str) -> float:
    """The letter a."""
    return float(text.count("a"))
'''


class Reader(HTMLParser):
    """The text of a page by element id, its elements, and the targets of its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.append(name)
            if name == "id":
                self.ids.append(value or "")
            if tag == "a" and name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def sample_page(sample_run: Path) -> str:
    return page(facts_of(str(sample_run)))


def test_the_first_line_says_where_every_document_went(sample_page: str, sample_run: Path) -> None:
    funnel = read_json(f"{sample_run}/dataset/_report.json")["funnel"]
    read, kept = funnel[0]["read"]["documents"], funnel[-1]["kept"]["documents"]
    dropped = sum(c["documents"] for stage in funnel for c in stage["dropped"].values())
    assert read == kept + dropped
    assert f"{read:,} read = {kept:,} kept + {dropped:,} dropped + 0 damaged" in Reader(sample_page).text


def test_every_rule_of_every_stage_is_in_the_funnel(sample_page: str, sample_run: Path) -> None:
    text = Reader(sample_page).text.replace("_ ", "_")
    for stage in read_json(f"{sample_run}/dataset/_report.json")["funnel"]:
        for rule, count in stage["dropped"].items():
            assert re.search(rf"{re.escape(rule)} −{count['documents']:,} ", text), rule


def test_links_have_targets_and_ids_are_unique(sample_page: str) -> None:
    read = Reader(sample_page)
    assert {link[1:] for link in read.links} <= set(read.ids)
    assert all(link.startswith("#") for link in read.links)
    doubled = {i for i in read.ids if read.ids.count(i) > 1}
    assert doubled == set()


def test_nothing_is_loaded_and_one_script_may_run(sample_page: str) -> None:
    read = Reader(sample_page)
    assert read.tags.count("script") == 1
    assert not {"img", "iframe", "link", "object", "form"} & set(read.tags)
    assert not {"src", "onclick", "onload", "onerror"} & set(read.attributes)
    assert "default-src 'none'" in sample_page
    assert not re.search(r"https?://(?!www\.w3\.org)[^\s\"<]*\.(js|css|woff)", sample_page)


def test_the_same_run_gives_the_same_bytes_within_the_limit(sample_page: str, sample_run: Path) -> None:
    assert page(facts_of(str(sample_run))) == sample_page
    assert len(sample_page.encode()) < 1_000_000


def test_a_page_that_would_be_too_large_has_fewer_charts(sample_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_BYTES", 200_000)
    made = page(facts_of(str(sample_run)))
    assert len(made.encode()) <= 200_000
    assert "near_copy" in made


def test_tokens_are_told_as_counted_where_a_tokenizer_was_named(sample_run: Path, tmp_path: Path) -> None:
    shutil.copytree(sample_run, tmp_path / "run")
    assert "<li>tokens <b>about" in page(facts_of(str(tmp_path / "run")))
    file = tmp_path / "run" / "dataset" / "_report.json"
    report = json.loads(file.read_text())
    file.write_text(json.dumps({**report, "tokens": {"count": 12345, "tokenizer": "<b>mine", "sha256": ""}}))
    assert "<li>tokens <b>12,345 of &lt;b&gt;mine</b>" in page(facts_of(str(tmp_path / "run")))


def test_a_single_stage_has_a_page(sample_run: Path, tmp_path: Path) -> None:
    made = write_report(f"{sample_run}:heuristics", str(tmp_path / "one.html"))
    text = Reader(Path(made).read_text()).text
    assert "kept by 01-heuristics" in text
    assert "extract" not in text.split("Versions, parameters")[0]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run"):
        write_report(str(tmp_path))


# --- runs that are not whole


def ran(folder: Path, texts: list[str], recipe: str = RECIPE, **more: Any) -> Path:
    """A run of a small recipe over one shard."""
    (folder / "recipe.yaml").write_text(recipe)
    shard(folder / "in" / "a.parquet", texts, **more)
    flow.run_recipe(load(str(folder / "recipe.yaml")), [str(folder / "in")], str(folder / "run"), here)
    return folder / "run"


def test_a_run_half_done_shows_what_is_done(sample_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(sample_run, run)
    for stage in sorted(run.glob("0[456]-*")):
        (stage / "report.json").unlink()
    facts = facts_of(str(run))
    assert [stage.finished for stage in facts.stages] == [True, True, True, False, False, False]
    assert facts.ledger.adds_up
    text = Reader(page(facts)).text
    assert "This run is not finished" in text
    assert "kept by 03-minhash" in text
    assert "kept by 04-bloom" not in text


def test_a_run_that_has_only_begun_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"recipe": "x", "order": ["extract", "quality"], "stages": [], "input": []}')
    text = Reader(page(facts_of(str(tmp_path)))).text
    assert "0 read = 0 kept + 0 dropped + 0 damaged" in text
    assert "No stage is finished yet" in text


def test_a_run_of_an_older_version_has_a_page(tmp_path: Path) -> None:
    """Version 0.1 wrote no digests, no bytes, no facts, no notes, no code and other names of fingerprints."""
    run = ran(tmp_path, ["one two three four", "short", ""])
    for file in run.glob("0*/report.json"):
        held = json.loads(file.read_text())
        report = {k: held["report"][k]["documents"] for k in ("read", "kept")}
        report["dropped"] = {rule: count["documents"] for rule, count in held["report"]["dropped"].items()}
        old = {"stage": held["stage"], "config": held["config"], "identity": held["fingerprint"], "report": report}
        file.write_text(json.dumps({**old, "shards": list(held["shards"])}))
    held = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({"recipe": "x", "stages": held["stages"]}))
    text = Reader(page(facts_of(str(run)))).text
    assert "3 read = 1 kept + 2 dropped + 0 damaged" in text


def test_a_run_that_read_nothing_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    shard(tmp_path / "in" / "a.parquet", [])
    options = flow.Options(allow_empty=True)
    recipe, out = load(str(tmp_path / "recipe.yaml")), str(tmp_path / "run")
    flow.run_recipe(recipe, [str(tmp_path / "in")], out, here, options=options)
    assert "0 read = 0 kept + 0 dropped + 0 damaged" in Reader(page(facts_of(out))).text


def test_numbers_that_do_not_add_up_are_shown_as_such(tmp_path: Path) -> None:
    run = Run(
        str(tmp_path), "x", "finished", (Stage(1, "a", "", "finished", Count(10), Count(3), {"r": Count(5)}, {}, {"x": 1}),)
    )
    assert not run.ledger.adds_up
    text = Reader(page(run)).text
    assert "These numbers do not add up" in text
    assert "2 documents are not accounted for" in text


def test_a_shard_that_is_gone_is_named(sample_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(sample_run, run)
    next(run.glob("01-*/dropped/part-00000.parquet")).unlink()
    next(run.glob("03-*/part-00001.parquet")).write_bytes(b"no parquet")
    text = Reader(page(facts_of(str(run)))).text
    assert "shards could not be read" in text
    assert "684 read" in text


def test_a_plug_in_is_measured_after_its_file_has_gone(tmp_path: Path) -> None:
    """A run holds the source of its plug-ins; one whose module is not installed here costs its values alone."""
    plug_in = tmp_path / "mine.py"
    plug_in.write_text(PLUG_IN)
    recipe = f"use: [{plug_in}]\nstages:\n  - heuristics:\n      steps:\n        - {{keep: vowels_here, min: 1}}\n"
    run = ran(tmp_path, ["a a", "b"], recipe)
    plug_in.unlink()
    assert "all 2 documents that the stage read" in Reader(page(facts_of(str(run)))).text
    file = next(run.glob("0*/report.json"))
    held = json.loads(file.read_text())
    file.write_text(json.dumps({**held, "config": {**held["config"], "use": ["no_such_module_anywhere"]}}))
    text = Reader(page(facts_of(str(run)))).text
    assert "could not be measured again" in text
    assert "2 read = 1 kept + 1 dropped" in text


# --- hostile content


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("hostile")
    texts, ids, urls = documents()
    return page(facts_of(str(ran(folder, texts, id=pa.array(ids), url=pa.array(urls)))))


def test_hostile_documents_are_text_and_nothing_else(hostile_page: str) -> None:
    read = Reader(hostile_page)
    assert read.tags.count("script") == 1
    assert not {"img", "iframe", "object", "marquee", "b-hostile", "base"} & set(read.tags)
    assert not {name for name in read.attributes if name.startswith("on")}
    assert all(re.fullmatch(r"#[A-Za-z0-9._-]+", link) for link in read.links)
    for mark in HOSTILE:
        assert mark not in hostile_page, ascii(mark)


def test_documents_of_10_mb_are_cut(hostile_page: str) -> None:
    assert len(hostile_page.encode()) < MOST_BYTES
    assert max(map(len, Reader(hostile_page).words)) < 100_000


@pytest.mark.parametrize("text", ["\x1b[31mred", "\u202egnp.exe", "\x00", "\ud800", "a\u200bb", "\u2066x\u2069"])
def test_marks_are_written_out(text: str) -> None:
    for shown in (excerpt(text), short(text, 100)):
        assert shown.isprintable()
        assert shown.encode()


def test_cut_texts_say_that_they_are_cut() -> None:
    assert short("x" * 50, 10) == "xxxxxxxxxx…"
    assert short("x" * 10, 10) == "x" * 10
    assert len(excerpt("word " * 10_000)) < 400


@pytest.mark.parametrize("name", ["a b", 'x" onmouseover="y', "ü", "é", "<a>", "", "a" * 300])
def test_anchors_are_plain_and_tell_names_apart(name: str) -> None:
    assert re.fullmatch(r"host-[A-Za-z0-9._-]*", anchor("host", name))
    assert anchor("host", name) != anchor("host", name + "x")
