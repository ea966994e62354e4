"""Rules around their thresholds: values measured again agree with the run, other thresholds with a run of them."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldwash.pipeline import flow
from goldwash.pipeline.recipes.recipe import load
from goldwash.pipeline.reporting import annotated, parts
from goldwash.pipeline.reporting.annotated import heuristics_rules
from goldwash.pipeline.reporting.facts import Run, facts_of
from goldwash.pipeline.reporting.parts import chosen, fates, spaced
from goldwash.pipeline.reporting.scores import bloom_rules, early_rules, quality_rules
from goldwash.pipeline.reporting.values import BINS, changed_bounds, histogram_of
from tests.pipeline.conftest import here, rows, shard


@pytest.fixture(scope="module")
def run(sample_run: Path) -> Run:
    return facts_of(str(sample_run))


def test_values_measured_again_drop_what_the_run_dropped(run: Run) -> None:
    """By rule, to the document: the page's histograms are those of the run's own decisions."""
    found, notes = heuristics_rules(run, chosen(run))
    assert notes == []
    stage = run.stages[1]
    dropped = {rule.name: sum(rule.histogram.dropped) + rule.unknown for rule in found if rule.histogram}
    counts = {rule: count.documents for rule, count in stage.dropped.items()}
    edits = {"language", "remove_urls", "squeeze_newlines"}  # no bounds
    assert {r: n for r, n in dropped.items() if n} == {r: n for r, n in counts.items() if r not in edits}
    for rule in found:
        assert rule.histogram is not None
        assert sum(rule.histogram.kept) == stage.kept.documents
        assert rule.histogram.counted + rule.unknown == stage.read.documents
        assert rule.scale == 1.0


def test_documents_near_a_threshold_are_on_the_side_that_is_said(run: Run, sample_run: Path) -> None:
    folder = next(sample_run.glob("02-*"))
    kept = {row["id"] for row in rows(folder)}
    gone = {row["id"]: row for row in rows(folder, "dropped")}
    found, _ = heuristics_rules(run, chosen(run))
    shown = [(rule, near) for rule in found for near in rule.near]
    assert len(shown) > 40
    for rule, near in shown:
        assert near.text
        assert (near.id in kept) == near.kept
        if not near.kept:
            assert gone[near.id]["dropped_by"] == rule.name
            assert gone[near.id]["value"] == near.value


@pytest.mark.parametrize(("rule", "bound"), [("fasttext_word_count", "min"), ("repeated_line_fraction", "max")])
def test_another_threshold_keeps_what_a_run_with_it_keeps(
    run: Run, sample_run: Path, tmp_path: Path, rule: str, bound: str
) -> None:
    found, _ = heuristics_rules(run, chosen(run))
    others = next(each.others for each in found if each.name == rule)
    asked = [other for other in others if other.bounds.startswith(bound)][:2]
    assert asked
    for number, other in enumerate(asked):
        settings = [f"{rule}.{bound}={other.bounds.split()[1]}"]
        recipe = load("sample", [], ["extract", "minhash", "bloom", "quality", "decontaminate"], settings)
        steps = flow.run_recipe(
            recipe, [str(sample_run / run.stages[0].folder.rsplit("/", 1)[1])], str(tmp_path / str(number)), here
        )
        assert steps[0].report is not None
        assert steps[0].report.kept.documents - run.stages[1].kept.documents == other.change


def test_scores_are_the_stages_own(run: Run, sample_run: Path) -> None:
    found = chosen(run)
    table = fates(run, found)
    (rule,) = quality_rules(run, found, table)
    stage = run.stages[4]
    assert rule.histogram is not None
    assert sum(rule.histogram.kept) == stage.kept.documents
    assert sum(rule.histogram.dropped) == stage.dropped_total.documents
    kept = pq.read_table(next(sample_run.glob("05-*")) / "part-00001.parquet")["quality_probability"].to_pylist()
    assert min(kept) >= rule.limits[0]
    assert [near.kept for near in rule.near] == [False, False, True, True]
    assert all(near.text for near in rule.near)
    (bloom,) = bloom_rules(run, found, table)
    assert bloom.histogram is not None
    assert sum(bloom.histogram.dropped) == run.stages[3].dropped["contained_fraction"].documents
    for early in early_rules(run, table):
        assert early.histogram is None or sum(early.histogram.dropped) == run.stages[0].dropped[early.name].documents


def test_a_large_run_is_sampled_and_scaled(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotated, "MOST_SAMPLED", 100)
    found, _ = heuristics_rules(run, chosen(run))
    rule = found[0]
    assert rule.histogram is not None
    assert 50 <= rule.histogram.counted <= 120
    assert rule.scale == pytest.approx(run.stages[1].read.documents / (rule.histogram.counted + rule.unknown))
    assert "a sample of" in rule.basis


def test_long_texts_are_left_out_of_the_sample(tmp_path: Path) -> None:
    shard(tmp_path / "in" / "a.parquet", ["a b c", "x" * 3_000_000, "d e f"])
    (tmp_path / "r.yaml").write_text("stages:\n  - heuristics:\n      steps:\n        - {keep: word_count, min: 2}\n")
    flow.run_recipe(load(str(tmp_path / "r.yaml")), [str(tmp_path / "in")], str(tmp_path / "run"), here)
    run = facts_of(str(tmp_path / "run"))
    found, _ = heuristics_rules(run, chosen(run))
    assert found[0].histogram is not None
    assert found[0].histogram.counted == 2


# --- parts


def test_parts_are_spaced_and_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chosen(run)
    assert whole.whole
    assert whole.documents == run.stages[0].read.documents
    monkeypatch.setattr(parts, "MOST_DOCUMENTS", 200)
    some = chosen(run)
    assert not some.whole
    assert some.documents <= 200 or len(some.numbers) == 1
    table = fates(run, some)
    assert table.num_rows == some.documents  # every document of a part is followed through all stages


@given(st.lists(st.integers(), max_size=200, unique=True), st.integers(1, 70))
def test_spaced_values_are_distinct_and_in_order(values: list[int], most: int) -> None:
    found = spaced(values, most)
    assert len(found) == min(len(values), most)
    assert [v for v in values if v in set(found)] == found


# --- histograms


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.integers(0, 10**6).map(float), min_size=1, max_size=200),
    st.lists(st.floats(-1e6, 1e6), max_size=2),
)
@example([1.7976931330646228e308], [])
@example([-1.7976931348623157e308, 1.7976931348623157e308], [0.0])
@example([5e-324, 0.0], [])
def test_every_known_value_is_in_one_bin(values: list[float], limits: list[float]) -> None:
    array = np.array(values)
    passed = np.arange(len(array)) % 2 == 0
    found = histogram_of(array, {"kept": passed, "dropped": ~passed}, limits)
    known = int(np.isfinite(array).sum())
    if found is None:
        assert known == 0
        return
    assert found.counted == known
    assert len(found.kept) == len(found.dropped) == len(found.edges) - 1 <= BINS + 2
    assert list(found.edges) == sorted(set(found.edges))


def test_a_threshold_is_an_edge() -> None:
    values = np.linspace(0, 1, 1000)
    for limit in (0.111, 0.5, 0.987):
        passed = values <= limit
        found = histogram_of(values, {"kept": passed, "dropped": ~passed}, [limit])
        assert found is not None
        assert limit in found.edges
        mixed = [k for k, (a, b) in enumerate(zip(found.kept, found.dropped, strict=True)) if a and b]
        assert len(mixed) <= 1  # a value equal to the threshold is in the bin above


@pytest.mark.parametrize("name", ["word_count", "some_fraction", "quality_probability"])
@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 0.9, 1.0, 50.0, float("inf")])
def test_other_bounds_are_on_both_sides_and_in_range(name: str, value: float) -> None:
    found = changed_bounds(name, value)
    if value in (0.0, float("inf")):
        assert found == []
        return
    assert any(other < value for other in found)
    if value < 1 or name == "word_count":
        assert any(other > value for other in found)
    if name != "word_count" and value <= 1:
        assert all(0 < other <= 1 for other in found)
