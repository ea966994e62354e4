"""Training: the same bytes twice, examples of every shape, and a report that is right."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.fasttext import Folded, ModelError, Whole, load
from classifiers.judge import auc
from classifiers.quality import better_label, scores
from classifiers.sources import Example, TrainingError, examples
from classifiers.train import Settings, train
from filters.texts import Texts

SMALL = Settings(dim=4, bucket=100, epoch=10, lr=0.5, held_out=0.2)
POSITIVE = [Example(f"gold wäsche {k} of the river __label__cc shines", f"book{k % 2}") for k in range(40)]
NEGATIVE = [Example(f"mud {k} buy now\nclick here … {k % 7}", "crawl") for k in range(40)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(POSITIVE, NEGATIVE, folder, SMALL)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_two_trainings_are_equal(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    again = train(POSITIVE, NEGATIVE, tmp_path, SMALL)
    assert again == trained[1]
    assert contents(tmp_path) == contents(trained[0])
    assert set(contents(tmp_path)) == {"model.bin", "model.fold", "report.json", "MODEL.md"}


def test_order_and_repeats_of_examples_do_not_matter(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    train([*POSITIVE[::-1], *POSITIVE[5:9]], NEGATIVE[::-1], tmp_path, SMALL)
    assert contents(tmp_path) == contents(trained[0])


@pytest.mark.parametrize("change", [{"seed": 1}, {"dim": 3}, {"word_ngrams": 1}, {"per_class": 20}])
def test_every_setting_matters(trained: tuple[Path, dict[str, Any]], tmp_path: Path, change: dict[str, int]) -> None:
    train(POSITIVE, NEGATIVE, tmp_path, Settings(**(vars(SMALL) | change)))
    assert contents(tmp_path)["model.bin"] != contents(trained[0])["model.bin"]


def test_report(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, report = trained
    assert json.loads((folder / "report.json").read_text()) == report
    assert (report["learned"], report["held_out"]) == (64, 16)
    assert report["auc"] == 1
    assert report["accuracy"] == 1
    means = report["mean_score_by_source"]
    assert set(means) == {"positive: book0", "positive: book1", "negative: crawl"}
    assert means["negative: crawl"] < 0.5 < means["positive: book0"]


def test_the_model_and_its_fold_score_alike(trained: tuple[Path, dict[str, Any]]) -> None:
    texts = Texts.of(["gold wäsche", "mud mud", ""])
    by_bin, by_fold = (scores(texts, trained[0] / name) for name in ("model.bin", "model.fold"))
    np.testing.assert_array_equal(by_bin, by_fold)
    assert by_fold.dtype == np.float32
    assert by_fold[0] > 0.5 > by_fold[1]


def test_nothing_held_out(tmp_path: Path) -> None:
    report = train(POSITIVE[:5], NEGATIVE[:5], tmp_path, Settings(dim=2, bucket=10, held_out=0))
    assert (report["held_out"], report["auc"], report["accuracy"]) == (0, None, None)


@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        ([], NEGATIVE, "there is no positive example"),
        (POSITIVE, [], "there is no negative example"),
        ([Example(" \n", "x")], NEGATIVE, "there is no positive example"),
        (POSITIVE, POSITIVE[::-1], "are the same texts"),
    ],
)
def test_nothing_to_learn(positive: list[Example], negative: list[Example], message: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=message):
        train(positive, negative, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()


ROWS: list[tuple[list[dict[str, Any]], list[tuple[str, str]]]] = [
    ([{"text": "a"}, {"text": " "}, {"text": "b", "source": "s"}], [("a", "FILE"), ("b", "s")]),
    ([{"question": "q?", "answer": "x"}], [("q?\n\nx", "FILE")]),
    ([{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "x"}]}], [("q x", "FILE")]),
]


@pytest.mark.parametrize(("rows", "found"), ROWS)
@pytest.mark.parametrize("kind", [".parquet", ".jsonl", ".json"])
def test_examples(rows: list[dict[str, Any]], found: list[tuple[str, str]], kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"x{kind}"
    if kind == ".parquet":
        pq.write_table(pa.table({key: [row.get(key) for row in rows] for key in rows[-1]}), file)
    else:
        file.write_text("\n".join(map(json.dumps, rows)) + "\n" if kind == ".jsonl" else json.dumps(rows))
    assert [(e.text, e.source) for e in examples(file)] == [(text, source.replace("FILE", file.name)) for text, source in found]


def test_examples_of_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("one\n\n two\n")
    assert [e.text.strip() for e in examples(tmp_path / "x.txt")] == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", '{"body": "a", "title": "b"}', "rows with body, title; expected `text`"),
        ("x.jsonl", '{"text": ', "x.jsonl cannot be read"),
        ("x.json", "[", "x.json cannot be read"),
        ("x.parquet", "no parquet", "x.parquet cannot be read"),
        ("x.csv", "text\na", "are read from .parquet, .jsonl"),
    ],
)
def test_examples_that_cannot_be_read(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TrainingError, match=message):
        list(examples(tmp_path / name))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no examples at"):
        list(examples(tmp_path / "nothing.jsonl"))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=20))
def test_auc(pairs: list[tuple[int, bool]]) -> None:
    values, truth = np.array([v for v, _ in pairs], float), np.array([t for _, t in pairs], bool)
    duels = [(a > b) + (a == b) / 2 for a, b in product(values[truth], values[~truth])]
    found = auc(values, truth)
    assert (found is None) == (not duels)
    assert not duels or found == pytest.approx(sum(duels) / len(duels))


@pytest.mark.parametrize(
    ("labels", "asked", "better"),
    [(("cc", "hq"), None, "hq"), (("0", "1"), None, "1"), (("a", "b"), "a", "a"), (("hq", "x"), "x", "x")],
)
def test_better_label(labels: tuple[str, ...], asked: str | None, better: str) -> None:
    assert better_label(Whole(labels, None), asked) == better


@pytest.mark.parametrize(
    ("asked", "message"), [(None, "say which label is the better one"), ("zz", "no label 'zz'; it has: a, b")]
)
def test_no_better_label(asked: str | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        better_label(Whole(("a", "b"), None), asked)


def test_a_trained_model_is_folded(trained: tuple[Path, dict[str, Any]]) -> None:
    assert isinstance(load(trained[0] / "model.bin"), Folded)
