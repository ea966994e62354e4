"""The model card: the report's figures, and nothing from data that Markdown would interpret."""

import json
from typing import Any

import pytest

from goldwash.classifiers.evaluation import evaluate
from goldwash.classifiers.examples import Example
from goldwash.classifiers.model_card import model_card
from goldwash.classifiers.train import Settings, train
from tests.classifiers.test_evaluation import made_up


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    positive = [Example(f"gold of the river {k % 7} {k}", "book", "books.jsonl") for k in range(60)]
    negative = [Example(f"mud buy now of the {k % 7}\n{k}", "crawl", "crawl.parquet") for k in range(50)]
    negative += [Example(f"gold of the river {k % 7} {-k}", "crawl", "crawl.parquet") for k in range(1, 9)]
    settings = Settings(dim=4, bucket=100, epoch=10, lr=0.5, held_out=0.3, fraction=0.2)
    return train(positive, negative, tmp_path_factory.mktemp("card"), settings)


def test_the_card_has_the_reports_figures(report: dict[str, Any]) -> None:
    lines = model_card(report).splitlines()
    assert f"## On {report['held_out']} held-out examples" in lines
    for name, value in (
        ("AUC", report["auc"]),
        ("accuracy at 0.5", report["accuracy"]),
        ("precision, best 20% of the held-out examples", report["at_fraction"]["precision"]),
        ("recall, best 20% of the held-out examples", report["at_fraction"]["recall"]),
        ("recall if 20% of the negatives are kept", report["at_negative_fraction"]["recall"]),
        ("AUC of the number of bytes alone", report["length_alone"]["auc_of_bytes"]),
        ("AUC of the number of newlines alone", report["length_alone"]["auc_of_newlines"]),
        ("rank correlation of bytes and score", report["length_alone"]["rank_correlation_of_bytes_and_score"]),
        ("AUC of the source alone", report["source_alone"]["auc"]),
        ("standard deviation of scores", report["source_alone"]["deviation"]),
        ("standard deviation of scores within sources", report["source_alone"]["deviation_within"]),
    ):
        assert f"| {name} | {value:.4f} |" in lines
    for source, count in report["sources"].items():
        assert f"| `{source}` | {count} |" in lines
    for source, mean in report["mean_score_by_source"].items():
        assert f"| `{source}` | {mean:.3f} |" in lines
    for source, deviation in report["deviation_by_source"].items():
        assert f"| `{source}` | {deviation:.3f} |" in lines
    for b in report["calibration"]:
        assert any(line.startswith(f"| {b['from']:.1f} to {b['to']:.1f} | {b['examples']} |") for line in lines)
    words = "\n".join(lines)
    for side in ("towards", "away"):
        for word, _ in report["words"][side]:
            assert f"`{word}`" in words
    assert f"near copies of training examples: {report['left_out']['near_copies_of_learned']};" in words
    assert "dim 4" in words
    assert "seed 0" in words


def test_the_card_of_a_report_without_figures(report: dict[str, Any]) -> None:
    nothing = {**report, **evaluate(made_up(), [], "hq", 0.1), "held_out": 0}
    card = model_card(json.loads(json.dumps(nothing)))
    assert "| AUC | - |" in card
    assert "## On 0 held-out examples" in card
    assert "nan" not in card.lower()


def test_names_and_words_from_data_are_shown_as_code(report: dict[str, Any]) -> None:
    hostile = "a|b`<img src=x>[c](http://d)\x1b[2J\u202e"
    changed = {
        **report,
        "sources": {hostile: 3},
        "mean_score_by_source": {hostile: 0.5},
        "words": {"towards": [[hostile, 1]], "away": []},
    }
    card = model_card(changed)
    shown = "``a\\u007cb`<img src=x>[c](http://d)\\x1b[2J\\u202e``"
    assert f"| {shown} | 3 |" in card
    assert f"| {shown} | 0.500 |" in card
    assert f"Towards `hq`: {shown}." in card
    assert "Away from `hq`: none." in card
    assert "\x1b" not in card
    assert "\u202e" not in card


def test_warnings_are_at_the_top(report: dict[str, Any]) -> None:
    assert "Warning" not in model_card(report)
    card = model_card({**report, "warnings": ["it does not work", "nor does this"]})
    head = card.split("## Training data")[0]
    assert "**Warning:** it does not work.\n\n**Warning:** nor does this.\n" in head
