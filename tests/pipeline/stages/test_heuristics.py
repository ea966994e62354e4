"""The loop of the heuristics stage: who is dropped by which rule, and what is measured of whom."""

import math
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.filters.signals import SIGNALS, per_row, per_text
from goldwash.filters.texts import Texts
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.flow import run_stage
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.steps import Documents, clean, step_of
from goldwash.pipeline.storage.inputs import find_shards
from tests.pipeline.conftest import rows, shard


def cleaned(steps: list[dict[str, Any]], texts: list[str], urls: list[str] | None = None) -> Documents:
    return clean([step_of(step) for step in steps], Texts.of(texts), Texts.of(urls or [""] * len(texts)))


def dropped(documents: Documents) -> list[tuple[str, list[int], list[float]]]:
    return [(rule, rows.tolist(), values.tolist()) for rule, rows, values, _ in documents.drops]


def test_only_what_is_left_is_measured() -> None:
    seen: list[str] = []

    @per_text
    def watched(text: str) -> float:
        """Characters; 0 for an empty text."""
        seen.append(text)
        return len(text)

    steps = [
        {"keep": "word_count", "min": 2},
        {"keep": "watched", "max": 5},
        {"keep": "digit_fraction", "max": 0},
    ]
    try:
        documents = cleaned(steps, ["a b c", "a", "a b", "abcdefghij b c", "1 2 3"])
    finally:
        SIGNALS.pop("watched")
    assert dropped(documents) == [("word_count", [1], [1]), ("watched", [3], [14.0]), ("digit_fraction", [4], [0.6])]
    assert seen == ["a b c", "a b", "abcdefghij b c", "1 2 3"]
    assert documents.rows.tolist() == [0, 2]


def test_rules_of_both_columns() -> None:
    steps = [{"keep": "word_count", "min": 2}, {"keep": "url_word_count", "phrases": ["bad"], "max": 0}]
    documents = cleaned(steps, ["a", "a b", "a b"], ["x", "http://bad/", "http://good/"])
    assert [rows for _, rows, _ in dropped(documents)] == [[0], [1]]


def test_an_edit_that_empties_a_text_drops_it_under_its_name() -> None:
    documents = cleaned([{"edit": "remove_urls"}, {"keep": "word_count", "min": 1}], ["http://a.com/b", "a b", ""])
    assert [(rule, rows) for rule, rows, _ in dropped(documents)] == [("remove_urls", [0, 2])]
    assert list(documents.texts) == ["a b"]


def test_masked_personal_data_is_counted_by_kind() -> None:
    steps = [{"edit": "mask_personal_data", "kinds": ["email", "phone"]}, {"keep": "word_count", "min": 2}]
    documents = cleaned(steps, ["Call (212) 555-0187 or a@b.com", "c@d.com", "8.8.8.8 is here"])
    assert documents.notes == {"mask_personal_data.email": 2, "mask_personal_data.phone": 1}
    assert list(documents.texts) == ["Call <phone> or email@example.com", "8.8.8.8 is here"]


def test_a_column_has_a_signal_of_the_text_at_its_place(tmp_path):
    steps = [
        {"column": "word_count", "as": "before"},
        {"keep_lines": "word_count", "min": 2},
        {"column": "word_count"},
        {"keep": "column", "name": "word_count", "max": 4},
        {"label": "language"},
        {"column": "character_count", "as": "of_de", "for": ["de"]},
    ]
    shard(tmp_path / "in" / "0.parquet", ["one\ntwo words", "a b c d e", "one"], word_count=[7, 8, 9])
    run_stage(Heuristics.of({"steps": steps}), find_shards([str(tmp_path / "in")]), str(tmp_path / "out"), local(1))
    (row,) = rows(tmp_path / "out")
    assert (row["before"], row["word_count"], row["input_word_count"], row["text"]) == (3.0, 2.0, 7, "two words")
    assert math.isnan(row["of_de"])
    schema = pq.read_schema(tmp_path / "out" / "part-00000.parquet")
    for name in ("before", "word_count", "of_de"):
        assert schema.field(name).type == pa.float64()
    none = Heuristics.of({"steps": [*steps, {"keep": "word_count", "as": "many", "min": 99}]})
    run_stage(none, find_shards([str(tmp_path / "in")]), str(tmp_path / "none"), local(1))
    assert pq.read_schema(tmp_path / "none" / "part-00000.parquet").equals(schema)


def test_a_column_and_a_rule_of_one_name_are_told_apart() -> None:
    steps = [{"column": "word_count"}, {"keep": "word_count", "min": 2}]
    assert list(Heuristics.of({"steps": steps}).columns()) == ["word_count"]
    with pytest.raises(RecipeError, match="a rule and a column are called 'word_count'"):
        Heuristics.of({"steps": steps, "annotate": True}).columns()


def test_a_rule_of_whole_rows_sees_added_columns() -> None:
    @per_row
    def per_word(row: Any) -> float:
        """Characters per word."""
        return len(row["text"]) / row["words"]

    try:
        steps = [{"column": "word_count", "as": "words"}, {"keep": "per_word", "max": 2}]
        documents = cleaned(steps, ["a b", "abc def"])
    finally:
        SIGNALS.pop("per_word")
    assert dropped(documents) == [("per_word", [1], [3.5])]


def test_what_is_measured_lasts_until_a_text_may_change() -> None:
    counted, again = {"column": "word_count"}, {"column": "word_count", "as": "again"}
    measured = {
        "counted": [counted],
        "kept": [counted, {"keep": "word_count", "min": 1}],
        "edited": [counted, {"edit": "squeeze_newlines"}, again],
        "lines": [counted, {"keep_lines": "word_count", "min": 1}],
        "some": [{**counted, "for": ["de"]}],
        "again": [{**counted, "as": "url_words"}],
        "again for some": [{**counted, "as": "url_words", "for": ["de"]}],
    }
    found = {
        name: list(Heuristics.of({"steps": steps}).measured({"url_words": SIGNALS["word_count"]}))
        for name, steps in measured.items()
    }
    assert found == {
        "counted": ["url_words", "word_count"],
        "kept": ["url_words", "word_count"],
        "edited": ["again"],
        "lines": [],
        "some": ["url_words"],
        "again": ["url_words"],
        "again for some": [],
    }


def test_a_keep_on_a_column_of_the_shard_runs_as_a_stage(tmp_path):
    """Kernels are compiled before a shard is open, so that its columns are not known then."""
    from goldwash.pipeline.flow import run_stage
    from goldwash.pipeline.stages.heuristics import Heuristics
    from tests.pipeline.conftest import here, rows, shard

    source = shard(tmp_path / "in" / "a.parquet", ["one", "two", "three"], worth=[0.1, 0.9, None])
    stage = Heuristics.of({"steps": [{"keep": "column", "name": "worth", "min": 0.5}]})
    run_stage(stage, [source], str(tmp_path / "out"), here)
    assert [row["text"] for row in rows(tmp_path / "out")] == ["two"]


def test_dropped_documents_are_in_the_order_of_the_shard_whatever_the_batches(tmp_path, monkeypatch):
    from goldwash.pipeline.stages import heuristics
    from tests.pipeline.conftest import here, rows, shard

    texts = ["one two", "1 2", "one", "x" * 99, "1 2", "two", "three four", "y" * 99]
    steps = [{"keep": "word_count", "min": 2}, {"keep": "digit_fraction", "max": 0}]
    stage = heuristics.Heuristics.of({"steps": steps, "max_text_bytes": 50})
    source = shard(tmp_path / "in" / "a.parquet", texts)
    for size in (1, 10, 1 << 20):
        monkeypatch.setattr(heuristics, "BATCH_BYTES", size)
        stage([source], str(tmp_path / str(size)), here)
        gone = [(row["id"], row["dropped_by"], row["value"]) for row in rows(tmp_path / str(size) / "dropped")]
        rules = ["digit_fraction", "word_count", "too_large", "digit_fraction", "word_count", "too_large"]
        assert [rule for _, rule, _ in gone] == rules
        assert [value for *_, value in gone] == [2 / 3, 1, 99, 2 / 3, 1, 99]
        assert [id_ for id_, *_ in gone] == sorted(id_ for id_, *_ in gone)
