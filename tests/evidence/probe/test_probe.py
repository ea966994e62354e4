"""People, the meter's limits, junk, and a small run in which knowledge is gained."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'goldwash[proxy]'")

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.probe import copies, critical, experiment, flattening, junk, knowledge, meter, report
from goldwash.evidence.probe.experiment import Size, Trial
from goldwash.evidence.probe.people import BEGIN, END, FACT_BITS, LENGTH, NAME_BITS, PAD, TAG, WORDS, biographies, people


def test_people_are_distinct_and_seeded() -> None:
    them = people(400, np.random.default_rng(0))
    assert len({tuple(name) for name in them.names.tolist()}) == 400
    assert (people(400, np.random.default_rng(0)).values == them.values).all()


@pytest.mark.parametrize("tag", [False, True])
def test_a_biography_states_every_fact_once(tag: bool) -> None:
    generator = np.random.default_rng(0)
    them = people(60, generator)
    rows, kinds = biographies(them, generator, tag)
    assert rows.shape == kinds.shape == (60, LENGTH)
    for row, kind, name, values in zip(rows, kinds, them.names, them.values, strict=True):
        assert row[kind == 1].tolist() == name.tolist()
        assert sorted(row[kind == 2].tolist()) == sorted(values.tolist())
        assert row[0] == BEGIN
        assert (row[1] == TAG) == tag
        assert row[row != PAD][-1] == END
    assert len({tuple(row) for row in biographies(them[np.zeros(50, np.intp)], generator)[0].tolist()}) > 40  # orders vary


def test_the_meter_at_its_limits() -> None:
    nothing = meter.bits(100, NAME_BITS * math.log(2), FACT_BITS * math.log(2))
    assert nothing == pytest.approx((0, 0), abs=1e-9)
    everything = meter.bits(100, math.log(100), 0.0)
    assert sum(everything) == pytest.approx(meter.most_bits(100))
    assert meter.bits(100, 1e9, 1e9) == (0, 0)


def test_an_untrained_model_knows_nothing() -> None:
    from goldwash.evidence.proxies import gpt

    shape = gpt.Shape(len(WORDS), 16, 1, 2)
    found = meter.measure(gpt.init(shape, 0), shape, people(20, np.random.default_rng(0)), False, 0)
    assert (found.name_bits, found.fact_bits) == (0, 0)
    assert found.accuracy < 0.1


def test_every_person_is_seen_as_often_as_said_and_junk_fills_its_part() -> None:
    trial = Trial("t", 40, 6, junk=0.75)
    them = people(40, np.random.default_rng([0, 0]))
    names = {tuple(name): 0 for name in them.names.tolist()}
    made = experiment.batches(trial, them, 32)
    rows = np.concatenate([next(made) for _ in range(trial.rows // 32)])
    for row in rows:
        if tuple(row[1:4].tolist()) in names:
            names[tuple(row[1:4].tolist())] += 1
    assert trial.rows == 960
    assert sum(names.values()) == 240
    assert set(names.values()) == {6}


def test_repeated_junk_has_as_many_rows_as_asked() -> None:
    for distinct in (7, 50):
        trial = Trial("t", 10, 300, junk=0.9, repeat=distinct)
        them = people(10, np.random.default_rng([0, 0]))
        made = experiment.batches(trial, them, 100)
        names = {tuple(name) for name in them.names.tolist()}
        rows = {tuple(row) for _ in range(30) for row in next(made).tolist() if tuple(row[1:4]) not in names}
        assert len(rows) == distinct


def test_skewed_people_are_seen_by_a_power_law_in_as_many_rows() -> None:
    trial = Trial("t", 40, 10, skew=1.0)
    seen = experiment.frequencies(trial)
    assert seen.sum() == 400
    expected = 400 / np.arange(1, 41) / (1 / np.arange(1, 41)).sum()
    assert seen == pytest.approx(expected, abs=1)
    assert experiment.frequencies(Trial("t", 40, 10)).tolist() == [10] * 40
    them = people(40, np.random.default_rng([0, 0]))
    rows = np.concatenate([batch for _, batch in zip(range(20), experiment.batches(trial, them, 20), strict=False)])
    first = (rows[:, 1:4] == them.names[0]).all(axis=1).sum()
    assert first == seen[0]


def test_a_small_run_learns_and_is_repeatable() -> None:
    size = Size(width=16, layers=1, batch=16, rate=2e-2)
    more, fewer = (experiment.run(Trial("t", 24, exposures), size) for exposures in (250, 20))
    assert more.knowledge.per_parameter > 5 * fewer.knowledge.per_parameter
    assert more.knowledge.accuracy > 0.5
    diluted = experiment.run(Trial("t", 24, 25, junk=0.9), size)  # as many rows as `more`
    assert diluted.knowledge.per_parameter < more.knowledge.per_parameter / 3
    assert experiment.run(Trial("t", 24, 20), size).knowledge == fewer.knowledge


def test_the_users_junk(tmp_path: Path) -> None:
    texts = ["one two three " * 30, "", "four five " * 40]
    pq.write_table(pa.table({"text": texts}), tmp_path / "part-00000.parquet")
    found = junk.from_shards([str(tmp_path)])
    assert found.words is not None
    assert len(found.words) == 170
    assert len(set(found.words.tolist())) == 5
    rows = found.draw(9, np.random.default_rng(0))
    assert rows.shape == (9, LENGTH)
    assert (rows[:, 0] == BEGIN).all()
    assert rows.max() < found.vocabulary


@pytest.mark.parametrize("texts", [[], [""], ["too short"]])
def test_empty_junk_is_refused(tmp_path: Path, texts: list[str]) -> None:
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), tmp_path / "part-00000.parquet")
    with pytest.raises(EvidenceError, match="junk needs at least"):
        junk.from_shards([str(tmp_path)])
    with pytest.raises(EvidenceError, match="--junk"):
        junk.from_shards([str(tmp_path / "nowhere")])
    with pytest.raises(EvidenceError, match="ids of dropped documents, not their texts"):
        junk.from_shards([str(tmp_path / "dropped")])


def test_impossible_trials() -> None:
    for trial in (Trial("t", 1, 10), Trial("t", 10, 0), Trial("t", 10, 10, junk=1.0)):
        with pytest.raises(EvidenceError, match="expected at least 2 people"):
            experiment.run(trial, Size())
    with pytest.raises(EvidenceError, match="at most 1,000,000 people"):
        experiment.run(Trial("t", 1_000_001, 1), Size())


CLEAN, BAD, TAGGED = (0.20, 0.21, 0.205), (0.010, 0.012, 0.011), (0.05, 0.06, 0.055)
REPEATED = {50: (0.2, 0.2, 0.2), 1000: (0.02, 0.02, 0.02)}


def test_advice_follows_the_numbers() -> None:
    said = knowledge.advice(CLEAN, BAD, TAGGED, REPEATED)
    assert "This junk costs 95% [94%, 96%] of the knowledge at equal exposures: remove it." in said
    assert "27% of the knowledge is then left" in said
    assert "98% [92%, 104%] with 50 distinct rows; 10% [9%, 10%] with 1,000 distinct rows" in said
    assert "few enough to be memorised" in said
    assert "not shown to help" in knowledge.advice(CLEAN, BAD, (0.01, 0.013, 0.011), {})
    assert "does no harm here" in knowledge.advice(CLEAN, BAD, TAGGED, {50: CLEAN, 1000: CLEAN})
    assert "does not make this junk harmless" in knowledge.advice(CLEAN, BAD, TAGGED, {50: BAD})
    assert "takes away a part of the harm" in knowledge.advice(CLEAN, BAD, TAGGED, {50: (0.15, 0.16, 0.15)})
    assert "learned almost nothing" in knowledge.advice((0.001,) * 3, (0.0,) * 3, (0.0,) * 3, REPEATED)


def test_advice_claims_no_difference_that_the_seeds_do_not_show() -> None:
    assert "costs nothing that 3 seeds can show" in knowledge.advice(CLEAN, (0.2, 0.205, 0.21), CLEAN, {})
    assert "3 seeds do not settle" in knowledge.advice(CLEAN, (0.02, 0.25, 0.2), CLEAN, {})
    assert "costs little (97%" in knowledge.advice(CLEAN, tuple(0.97 * value for value in CLEAN), CLEAN, {})
    one = knowledge.advice((0.2,), (0.01,), (0.05,), {50: (0.2,)})
    assert "5.0% of the clean knowledge is left, with a tag 25.0%" in one
    assert "remove it" not in one
    assert "One seed: no interval" in report.caution(1)


def test_guessing_is_the_commonest_value_of_each_fact() -> None:
    them = people(25, np.random.default_rng(0))
    expected = np.mean([max(column.tolist().count(value) for value in column) / 25 for column in them.values.T])
    assert meter.guess(them) == pytest.approx(expected)


def outcome(accuracy: float, count: int = 100, ratio: float = 0.1) -> experiment.Outcome:
    known = meter.Knowledge(0.0, 0.0, 1000, accuracy, 0.08)
    return experiment.Outcome(Trial(f"ratio {ratio:g}", count, 10, 1 - ratio), known, 1, 1.0)


def condition(*accuracies: float, count: int = 100, ratio: float = 0.1) -> report.Condition:
    return report.Condition("c", tuple(outcome(accuracy, count, ratio) for accuracy in accuracies))


def test_the_verdict_of_a_ratio_is_that_of_its_worst_seed() -> None:
    assert critical.verdict(condition(0.9, 0.51)) == "learned"
    assert critical.verdict(condition(0.9, 0.5)) == "partly"
    assert critical.verdict(condition(0.12, 0.129)) == "lost"  # guessing gives 0.08
    assert critical.verdict(condition(0.12, 0.131)) == "partly"


def test_the_sentence_of_a_threshold() -> None:
    found = [
        (0.1, condition(0.05)), (0.1, condition(0.1, count=25)), (0.2, condition(0.1)), (0.2, condition(0.9, count=25)),
        (0.4, condition(0.8)), (0.4, condition(1.0, count=25)),
    ]  # fmt: skip
    said = critical.threshold(32, found, 100)
    assert "100 people are learned from a ratio of 0.4 on; at 0.2 nothing is" in said
    assert "a random quarter of them is learned at 0.2" in said
    assert "no ratio up to 0.2 teaches 100 people" in critical.threshold(32, found[:4], 100)
    assert critical.threshold(32, found[4:], 100) == "Width 32: 100 people are learned from a ratio of 0.4 on."


def test_all_experiments_and_the_page() -> None:
    plan = report.Plan(12, (5, 10), 0.5, (3,), junk.Junk(), (16,), 0.02, (0, 5))
    told: list[str] = []
    found = knowledge.experiment(plan, told.append)
    assert [row["name"] for row in found.rows][:2] == ["clean, 5 exposures", "clean, 10 exposures"]
    assert len(found.cells) == 5
    assert len(told) == 10
    assert [seed["seed"] for seed in found.rows[0]["seeds"]] == [0, 5]
    page = report.page(found)
    assert page.count('class="mean"') == page.count('class="interval"') == 5
    assert "http" not in page.replace("http://www.w3.org", "")
    ratios = critical.experiment(plan, [0.5, 1.0], 240, told.append)
    assert [(row["ratio"], row["count"]) for row in ratios.rows] == [(0.5, 12), (0.5, 3), (1.0, 12), (1.0, 3)]
    with pytest.raises(EvidenceError, match="--ratio"):
        critical.experiment(plan, [2.0], 240, told.append)
    with pytest.raises(EvidenceError, match="do not hold 12 people"):
        critical.experiment(plan, [0.01], 240, told.append)
    flat = flattening.experiment(plan, 1.0, told.append)
    assert [(row["count"], row["rows"]) for row in flat.rows] == [(12, 60), (12, 60), (6, 60)]
    assert flat.advice.count("facts") == 3
    peak = copies.experiment(plan, [4], 160, told.append)
    assert [(row["copies"], row["distinct"]) for row in peak.rows] == [(1, 16), (4, 4)]
    assert "copies" in peak.advice
    with pytest.raises(EvidenceError, match="--skew"):
        flattening.experiment(plan, 0.0, told.append)


def test_a_tenth_of_the_rows_are_the_copies_that_were_asked_for() -> None:
    run = copies.Run(20, 800, 3)
    source = junk.Junk()
    rows = np.concatenate([batch for _, batch in zip(range(50), copies.batches(run, source, 16), strict=False)])
    _, counts = np.unique(rows, axis=0, return_counts=True)
    assert (run.distinct, sorted(counts.tolist())) == (4, [1] * 720 + [20] * 4)
    fresh = np.concatenate(
        [batch for _, batch in zip(range(50), copies.batches(copies.Run(1, 800, 3), source, 16), strict=False)]
    )
    assert len(np.unique(fresh, axis=0)) == 800


def test_held_out_text_is_not_trained_on() -> None:
    words = np.arange(1000, dtype=np.int32)
    training, held = copies.split(junk.Junk(words))
    assert training.words is not None
    assert held.words is not None
    assert not set(training.words.tolist()) & set(held.words.tolist())
    assert len(training.words) + len(held.words) == 1000
    with pytest.raises(EvidenceError, match="a tenth of them held out"):
        copies.split(junk.Junk(words[:100]))


def test_the_peak_of_harm_is_claimed_only_where_the_seeds_show_it() -> None:
    losses = {1: [1.0, 1.1, 1.2], 10: [1.01, 1.11, 1.21], 50: [1.05, 1.15, 1.25], 900: [1.02, 1.12, 1.22]}
    assert "50 copies hurt most (+0.0500 [+0.0500, +0.0500]), more than 10 and than 900" in copies.advice(losses)
    assert "largest number tried" in copies.advice({**losses, 900: [1.06, 1.16, 1.26]})
    assert "do not show that both ends" in copies.advice({**losses, 900: [1.09, 1.02, 1.24]})
    assert "No number of copies is shown" in copies.advice({1: [1.0, 1.1, 1.2], 10: [0.9, 1.2, 1.21]})
    assert copies.advice({1: [1.0], 10: [1.1]}).startswith("In this seed 10 copies hurt most")


@pytest.mark.slow
def test_harm_peaks_at_an_intermediate_number_of_copies() -> None:
    """Measured (docs/evidence.md): seed 1 gives 1.912, 1.932 and 1.919; about 20 CPU seconds."""
    few, worst, many = (copies.loss(copies.Run(n, 16_000, 1), junk.Junk(), Size(batch=16)) for n in (1, 100, 1600))
    assert worst > few + 0.005
    assert worst > many + 0.002


@pytest.mark.slow
def test_junk_costs_knowledge_and_a_tag_brings_some_of_it_back() -> None:
    """Measured (docs/evidence.md, there with 200 people and three seeds); about 25 CPU seconds."""
    plan = report.Plan(people=60, exposures=(60,), repeats=(50,), seeds=(0,))
    clean, bad, tagged, repeated = (row["bits_per_parameter"].mean for row in knowledge.experiment(plan, lambda _: None).rows)
    assert clean > 3 * bad
    assert tagged > 1.5 * bad
    assert repeated > 0.8 * clean


@pytest.mark.slow
def test_under_a_critical_ratio_nothing_is_learned_and_fewer_people_are() -> None:
    """Measured (seeds 0 to 2, docs/evidence.md); about 30 CPU seconds. Equal seeds give equal numbers on one machine only."""
    plan = report.Plan(people=100, seeds=(0,))
    found = {(row["ratio"], row["count"]): row for row in critical.experiment(plan, [0.2, 0.6], 16_000, lambda _: None).rows}
    assert found[0.2, 100]["verdict"] == "lost"
    assert found[0.2, 25]["verdict"] == "learned"  # the same rows, each person four times as often
    assert found[0.6, 100]["verdict"] == "learned"
    longer = experiment.run(Trial("t", 100, 48, junk=0.9), Size()).knowledge  # 48,000 rows, of which a tenth are people
    assert longer.accuracy < longer.guess + critical.ABOVE_GUESSING
