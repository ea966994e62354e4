"""Stages in memory decide what the command line decides."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import goldwash
from goldwash.pipeline.interface.memory import settings_of
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes import recipe as recipes
from goldwash.pipeline.stage import Stage
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.failures import DataError
from tests.pipeline.conftest import rows


def extracted(run: Path) -> pa.Table:
    """The documents of the sample crawl."""
    (folder,) = run.glob("01-extract-*")
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("part-*.parquet"))])


@pytest.mark.parametrize("name", ["heuristics", "minhash", "exact", "bloom"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_table_meets_what_shards_meet_on_the_command_line(name, workers, cli, sample_run, tmp_path) -> None:
    (folder,) = sample_run.glob("01-extract-*")
    code, _, error = cli("stage", name, "--input", folder, "--out", tmp_path / "out", "--recipe", "sample", "--workers", 1)
    assert code == 0, error
    result = goldwash.apply(name, extracted(sample_run), recipe="sample", workers=workers)
    expected = rows(tmp_path / "out")
    assert result.kept["id"].to_pylist() == [row["id"] for row in expected]
    assert result.kept["text"].to_pylist() == [row["text"] for row in expected]
    assert set(result.kept.column_names) == set(expected[0])
    gone = rows(tmp_path / "out", "dropped")
    assert gone
    assert {(r["id"], r["dropped_by"], r["value"]) for r in result.dropped.to_pylist()} == {
        (r["id"], r["dropped_by"], r["value"]) for r in gone
    }
    report = json.loads((tmp_path / "out" / "report.json").read_text())["report"]
    assert result.report.to_dict() == report


def test_every_stage_that_reads_documents_takes_texts(sample_run, model) -> None:
    texts = extracted(sample_run)["text"].to_pylist()[:40]
    parameters = {
        "score": {"models": {"quality": str(model)}},
        "decontaminate": {"benchmarks": "sample"},
        "mix": {"bytes": "all"},
    }
    for name, kind in STAGES.items():
        if not kind.makes_documents:
            result = goldwash.apply(name, texts, recipe="sample", **parameters.get(name, {}))
            assert isinstance(result.kept, list), name
            assert len(result.kept) + len(result.dropped) == len(texts) == result.report.read.documents, name
            assert sorted([*result.rows.tolist(), *result.dropped["row"].to_pylist()]) == list(range(len(texts))), name


def test_scores_become_columns_of_a_frame(model) -> None:
    data = pd.DataFrame({"text": ["gold in the pan", "click here"], "worth": [1, 2]}, index=["a", "b"])
    result = goldwash.apply("score", data, recipe=None, models={"mine": str(model), "size": "signal:character_count"})
    assert result.kept.columns.tolist() == ["text", "worth", "mine_probability", "size"]
    assert result.kept.index.tolist() == ["a", "b"]
    assert result.kept["size"].tolist() == [15, 10]
    assert isinstance(result.dropped, pd.DataFrame)


def test_a_stage_keeps_the_best_by_a_column_of_the_callers() -> None:
    text = "the pan and the river give the gold that the miner has sought for all his life"
    table = pa.table({"text": [text, text, "another text"], "worth": [1.0, 3.0, 2.0]})
    result = goldwash.apply("exact", table, recipe=None, keep="best", score="worth")
    assert result.rows.tolist() == [1, 2]
    assert result.kept["copy_count"].to_pylist() == [2, 1]


def test_a_stage_that_is_made_before() -> None:
    made = goldwash.stage("heuristics", recipe=None, steps=[{"keep": "word_count", "min": 2}])
    assert isinstance(made, Stage)
    assert goldwash.apply(made, ("a b", "c")).kept == ("a b",)
    assert repr(goldwash.apply(made, ["a b", "c"])) == "<Applied: 1 of 2 documents kept; dropped by word_count 1>"


def test_a_signal_of_ones_own() -> None:
    from goldwash.filters.signals import SIGNALS

    @goldwash.per_text
    def exclamations(text: str) -> float:
        """Exclamation marks."""
        return text.count("!")

    try:
        assert goldwash.measure(["hi!!", ""], exclamations)["exclamations"].tolist() == [2, 0]
        assert goldwash.apply("heuristics", ["hi!!", "so"], recipe=None, steps=[{"keep": "exclamations", "max": 0}]).kept == [
            "so"
        ]
    finally:
        del SIGNALS["exclamations"]


def test_no_documents_are_none_afterwards() -> None:
    for name in ("heuristics", "exact", "minhash"):
        result = goldwash.apply(name, pa.table({"text": pa.array([], pa.string())}), recipe="gopher")
        assert result.kept.num_rows == len(result.rows) == len(result.dropped) == 0


def test_nothing_is_left_on_the_disk(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    goldwash.apply("exact", ["a", "a"])
    with pytest.raises(DataError, match="no column 'worth'"):
        goldwash.apply("exact", ["a", "a"], keep="best", score="worth")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: goldwash.apply("heuristic", ["a"]), RecipeError, "no stage is called 'heuristic': did you mean 'heuristics'"),
        (lambda: goldwash.apply("extract", ["a"]), RecipeError, "stage extract reads archives, not documents"),
        (lambda: goldwash.apply(3, ["a"]), TypeError, r"expected a stage, or the name of one \(extract, .*\); found int"),
        (
            lambda: goldwash.apply(goldwash.stage("exact"), ["a"], by=["url"]),
            TypeError,
            "by: give parameters with a stage's name",
        ),
        (lambda: goldwash.stage("minhash", band=3), RecipeError, "no parameter 'band': did you mean 'bands'"),
        (
            lambda: goldwash.stage("minhash", recipe="bassline"),
            RecipeError,
            "no recipe is called 'bassline': did you mean 'baseline'",
        ),
        (lambda: goldwash.apply("exact", "a text"), TypeError, "put one text into a list"),
        (lambda: goldwash.recipe("baseline", {"quality.fractions": 1}), RecipeError, "did you mean 'fraction'"),
    ],
)
def test_errors_name_what_was_expected(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()


def test_parameters_are_those_of_the_recipe() -> None:
    whole = recipes.load("baseline").stage("heuristics").config()
    assert whole["steps"].pop()["column"] == "ngram_count"  # for bloom, in a run
    assert goldwash.stage("heuristics").config() == whole
    assert goldwash.stage("heuristics", goldwash.recipe("gopher")) == recipes.load("gopher").stage("heuristics")
    assert goldwash.stage("exact", "gopher") == STAGES["exact"]()


def test_settings_are_words_of_the_command_line() -> None:
    assert settings_of(["a.b=1"]) == ["a.b=1"]
    changes = settings_of({"quality.fraction": 0.2, "decontaminate": {"benchmarks": ["sample"]}, "minhash.check": None})
    loaded = recipes.load("baseline", changes)
    assert loaded.stage("quality").config()["fraction"] == 0.2
    assert loaded.stage("decontaminate").config()["benchmarks"] == ["sample"]
    assert loaded.stage("minhash").config()["check"] is None


def test_rows_are_those_of_what_was_given() -> None:
    texts = np.array(["a b", "c", "d e"])
    result = goldwash.apply("heuristics", texts, recipe=None, steps=[{"keep": "word_count", "min": 2}])
    assert texts[result.rows].tolist() == result.kept.tolist() == ["a b", "d e"]
