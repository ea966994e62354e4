"""People, the meter's limits, junk, and a small run in which knowledge is gained."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'goldwash[proxy]'")

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.probe import experiment, junk, meter, report
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


def test_repeated_junk_repeats() -> None:
    trial = Trial("t", 10, 300, junk=0.9, repeat=True)
    made = experiment.batches(trial, people(10, np.random.default_rng(0)), 100)
    rows = {tuple(row) for _ in range(50) for row in next(made).tolist()}
    assert len(rows) <= experiment.REPEATED + 50 * 11


def test_a_small_run_learns_and_is_repeatable() -> None:
    size = Size(width=16, layers=1, batch=16, rate=2e-2)
    more, fewer = (experiment.run(Trial("t", 24, exposures), size) for exposures in (250, 20))
    assert more.knowledge.per_parameter > 5 * fewer.knowledge.per_parameter
    assert more.knowledge.accuracy > 0.5
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


def test_impossible_trials() -> None:
    for trial in (Trial("t", 1, 10), Trial("t", 10, 0), Trial("t", 10, 10, junk=1.0)):
        with pytest.raises(EvidenceError, match="expected at least 2 people"):
            experiment.run(trial, Size())


def test_advice_follows_the_numbers() -> None:
    assert "remove it; else tag" in report.advice(0.5, 0.01, 0.4, 0.3)
    assert "59% of the loss comes back" in report.advice(0.5, 0.01, 0.01, 0.3)
    assert "junk that repeats costs less (80%" in report.advice(0.5, 0.01, 0.4, 0.3)
    assert "a tag did not bring it back" in report.advice(0.5, 0.1, 0.1, 0.1)
    assert "costs little (96%" in report.advice(0.5, 0.48, 0.5, 0.5)
    assert "learned almost nothing" in report.advice(0.001, 0.0, 0.0, 0.0)


def test_both_experiments_and_the_page() -> None:
    plan = report.Plan(12, (5, 10), 0.5, junk.Junk(), (16,), 0.02, 0)
    told: list[str] = []
    found = report.knowledge(plan, told.append)
    assert [row["name"] for row in found.rows][:2] == ["clean, 5 exposures", "clean, 10 exposures"]
    assert len(found.cells) == len(told) == 5
    page = report.page(found)
    assert page.count("<div") == 5
    assert "http" not in page.replace("http://www.w3.org", "")
    ratios = report.critical(plan, [0.5, 1.0], 240, told.append)
    assert [(row["ratio"], row["count"]) for row in ratios.rows] == [(0.5, 12), (0.5, 3), (1.0, 12), (1.0, 3)]
    with pytest.raises(EvidenceError, match="--ratio"):
        report.critical(plan, [2.0], 240, told.append)
    with pytest.raises(EvidenceError, match="do not hold 12 people"):
        report.critical(plan, [0.01], 240, told.append)
