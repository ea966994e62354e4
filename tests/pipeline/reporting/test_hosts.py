"""Hosts, languages and families of copies, counted against plain Python."""

from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.reporting.facts import Run, facts_of
from goldwash.pipeline.reporting.families import families_of
from goldwash.pipeline.reporting.hosts import NO_HOST, host_of, hosts_of, languages_of
from goldwash.pipeline.reporting.parts import chosen, fates
from goldwash.pipeline.reporting.published import STEPS, beside_published, step_of
from tests.pipeline.conftest import rows


@pytest.fixture(scope="module")
def run(sample_run: Path) -> Run:
    return facts_of(str(sample_run))


def host(url: str) -> str:
    return (urlsplit(url).hostname or NO_HOST).removeprefix("www.")


def everything(sample_run: Path) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The documents that were dropped anywhere, and those of the dataset."""
    gone = [row for stage in sorted(sample_run.glob("0*")) for row in rows(stage, "dropped")]
    return gone, rows(sample_run / "dataset")


def test_hosts_are_counted_in_and_out(run: Run, sample_run: Path) -> None:
    gone, kept = everything(sample_run)
    left = Counter(host(str(row["url"])) for row in kept)
    read = left + Counter(host(str(row["url"])) for row in gone)
    found = hosts_of(fates(run, chosen(run)))
    assert (found.count_read, found.count_kept, found.documents_kept) == (len(read), len(left), len(kept))
    assert {h.name: (h.read, h.kept) for h in (*found.read, *found.kept)} == {
        h.name: (read[h.name], left[h.name]) for h in (*found.read, *found.kept)
    }
    assert [h.read for h in found.read] == sorted(read.values(), reverse=True)[: len(found.read)]
    for each in found.read:
        rules = Counter(row["dropped_by"] for row in gone if host(str(row["url"])) == each.name)
        assert each.rule_documents == max(rules.values(), default=0)
        assert rules[each.rule] == each.rule_documents


@given(st.from_regex(r"https?://([a-z]+(:[a-z]*)?@)?[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,4})?([/?#][ -~]*)?", fullmatch=True))
def test_hosts_are_those_of_the_standard_library(url: str) -> None:
    assert host_of(pa.array([url])).to_pylist() == [host(url)]


@pytest.mark.parametrize("url", ["", "mailto:x", "//a.example", "\u202e", "https://", "https:///x", "a b", "javascript:1"])
def test_urls_without_a_host_count_together(url: str) -> None:
    assert host_of(pa.array([url])).to_pylist() == [NO_HOST]


def test_languages_are_those_of_the_rules_and_the_labels(run: Run, sample_run: Path) -> None:
    gone, kept = everything(sample_run)
    dropped = Counter(row["detail"] for row in gone if str(row["dropped_by"]).startswith("language"))
    found = languages_of(fates(run, chosen(run)))
    assert {each.name: each.dropped for each in found if each.dropped} == dropped
    assert {each.name: each.kept for each in found if each.kept} == Counter(row["language"] for row in kept)


def test_families_are_the_copies_that_were_dropped(run: Run, sample_run: Path) -> None:
    (found,) = families_of(run, chosen(run))
    gone = rows(next(sample_run.glob("03-*")), "dropped")
    assert found.copies == len(gone)
    sizes = Counter(1 + n for n in Counter(row["detail"] for row in gone).values())
    assert found.families == sizes.total()
    assert found.largest[0].size == max(sizes)
    assert {(low, high): n for low, high, n in found.sizes} == {
        (low, high): sum(n for size, n in sizes.items() if low <= size <= high) for low, high, _ in found.sizes
    }
    assert sum(n for *_, n in found.sizes) == found.families
    assert not any("text" in row for row in rows(next(sample_run.glob("03-*"))))  # they are in heuristics' shards
    texts = {row["id"]: row["text"] for row in rows(next(sample_run.glob("02-*")))}
    for family in found.largest:
        assert str(texts[family.id]).startswith(family.text[:100])


def test_every_drop_is_in_one_step_of_the_published_funnel(run: Run) -> None:
    steps = beside_published(run)
    total = run.stages[0].read.documents
    assert sum(step.here for step in steps) == pytest.approx(100 * (total - run.ledger.kept) / total)
    published = [step.name for step in steps if step.published is not None]
    assert published == [name for name, percent, _ in STEPS if percent is not None]
    assert sum(percent for _, percent, _ in STEPS if percent) == pytest.approx(98.6)  # figure 4: 1.4% are left


@pytest.mark.parametrize(
    ("stage", "rule", "step"),
    [
        ("extract", "http_status", "no page of text"), ("extract", "url_host_count", "URL"), ("extract", "language", "English"),
        ("extract", "fasttext_word_count", "page length"), ("heuristics", "language_probability", "English"),
        ("heuristics", "top_3gram_character_fraction", "repetition"), ("heuristics", "word_count", "page length"),
        ("heuristics", "lost.fasttext_word_count", "words removed by line rules"),
        ("bloom", "contained_fraction", "duplicates"),
        ("heuristics", "stop_word_count", "other heuristics"), ("heuristics", "url_soft_word_count", "URL"),
        ("mine", "x", "anything else"),
    ],
)  # fmt: skip
def test_rules_are_in_the_step_that_does_the_same(stage: str, rule: str, step: str) -> None:
    assert step_of(stage, rule) == step
