"""What deserves a look is found, and found first when it is grave."""

from dataclasses import replace

import pytest

from goldwash.pipeline.inspect.summary import Losses
from goldwash.pipeline.report import Count
from goldwash.pipeline.reporting.facts import Run, Stage
from goldwash.pipeline.reporting.families import Families, Family
from goldwash.pipeline.reporting.hosts import Host, Hosts
from goldwash.pipeline.reporting.values import Other, Rule
from goldwash.pipeline.reporting.worries import worries_of

CLEAN = {"parameters": {"action": "drop"}, "items": [], "benchmarks": {"mmlu": {"items": 100}}}


def run(read: int = 100_000, kept: int = 50_000, rule: str = "quality_probability", **more: object) -> Run:
    stage = Stage(1, "quality", "", "finished", Count(read), Count(kept), {rule: Count(read - kept)}, {}, {"notes": []})
    return Run("run", "x", "finished", (stage,), {"input": []}, **more)  # type: ignore[arg-type]


NO_HOSTS = Hosts()


def titles(
    found: Run,
    rules: tuple[Rule, ...] = (),
    hosts: Hosts = NO_HOSTS,
    families: tuple[Families, ...] = (),
    dirty: object = CLEAN,
) -> list[str]:
    return [worry.title for worry in worries_of(found, rules, hosts, families, dirty)]


def test_a_sound_run_has_none() -> None:
    assert titles(run()) == []


def test_documents_that_are_missing_come_first() -> None:
    stage = replace(run().stages[0], kept=Count(49_000))
    assert titles(replace(run(), stages=(stage,), losses=Losses(places=3)))[0] == "1,000 documents are not accounted for"


def test_a_stage_that_read_other_documents_is_named() -> None:
    one = replace(run().stages[0], dropped={"r": Count(50_000)})
    other = Stage(2, "bloom", "", "finished", Count(49_999), Count(49_999), {}, {}, {"notes": []})
    assert any(
        "02-bloom read 49,999 documents, but 01-quality kept 50,000" in t for t in titles(replace(run(), stages=(one, other)))
    )


@pytest.mark.parametrize(("kept", "title"), [(0, "no document is left"), (10, "only 10 documents are left")])
def test_a_small_dataset_is_named(kept: int, title: str) -> None:
    assert title in titles(run(kept=kept))


def test_damage_and_unread_files_are_named() -> None:
    found = titles(run(losses=Losses((), 2, 500, ("a.warc.gz",))))
    assert found[:2] == ["1 input file with bytes and no record", "2 damaged places in the input"]


def test_notes_of_stages_are_worries() -> None:
    stage = replace(run().stages[0], held={"notes": ["the classifier is a toy: train one"]})
    assert titles(replace(run(), stages=(stage,))) == ["the classifier is a toy"]


def test_one_rule_that_takes_much_is_named() -> None:
    stage = replace(run().stages[0], name="heuristics")
    assert any(
        "one rule, word_count, drops 50.0%" in t
        for t in titles(replace(run(rule="word_count"), stages=(replace(stage, dropped={"word_count": Count(50_000)}),)))
    )


def test_a_host_that_lost_all_and_one_that_dominates_are_named() -> None:
    lost, big = Host("a.example", 500, 1, "word_count", 400), Host("b.example", 9_000, 9_000)
    found = titles(run(), hosts=Hosts((big,), (big,), (lost,), 100, 50, 1, 50_000))
    assert found == ["a.example lost 99.8% of its 500 documents", "b.example alone makes up 18.0% of the dataset's documents"]


def test_a_large_family_is_named() -> None:
    family = Families("01-quality", (), (Family("i", "u", 5_000, ""),), 1, 4_999)
    assert "one family of copies has 5,000 documents" in titles(run(), families=(family,))


def test_a_threshold_with_many_documents_around_it_is_named() -> None:
    steep = Rule(
        "01-quality", "r", "", (1.0,), None, (Other("max 1.2", False, 20_000.0, True), Other("max 2", False, 40_000.0))
    )
    flat = Rule("01-quality", "q", "", (1.0,), None, (Other("max 1.2", False, 10.0, True),))
    assert titles(run(), (flat, steep)) == ["r decides on many documents near its threshold"]


def test_contamination_is_named_or_its_absence() -> None:
    assert titles(run(), dirty=None) == ["nothing was decontaminated"]
    dirty = {**CLEAN, "items": [{"status": "dirty"}] * 5 + [{"status": "partly"}] * 50}
    assert titles(run(), dirty=dirty) == ["5 of 100 benchmark items are in the crawl nearly word for word"]
