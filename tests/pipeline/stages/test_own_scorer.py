"""A scorer of one's own: TF-IDF and logistic regression by scikit-learn, a batched signal in a file of one's own.

The file is all that it takes. The model lies beside it as a pickle, is loaded once a process, and scores a batch at a time.
"""

import joblib
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from goldwash.classifiers.examples import examples
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.inputs import find_shards
from tests.pipeline.conftest import here, rows, shard

OWN = '''
"""How likely a text is a good one, by a model that scikit-learn trained."""

from functools import cache

import joblib

from goldwash.filters.signals import signal

PLACE = {place!r}


@cache
def model():
    with open(PLACE + ".loads", "a") as file:  # for the test, which counts
        file.write("x")
    return joblib.load(PLACE)


@signal
def sklearn_score(texts):
    """The probability of the good class."""
    return model().predict_proba(list(texts))[:, 1]
'''

RECIPE = """
use: [my_scorer.py]
stages:
  - heuristics:
      steps:
        - {keep: sklearn_score, min: 0.5}
"""


@pytest.fixture
def own(tmp_path, sample, monkeypatch):
    """A folder with a model, the file that declares the signal, and two shards: their texts and the model's scores."""
    monkeypatch.chdir(tmp_path)
    sides = [[e.text for e in examples(sample / "classifier" / f"{side}.jsonl")] for side in ("negative", "positive")]
    made = make_pipeline(TfidfVectorizer(max_features=500), LogisticRegression())
    made.fit([*sides[0], *sides[1]], [0] * len(sides[0]) + [1] * len(sides[1]))
    joblib.dump(made, tmp_path / "model.joblib")
    (tmp_path / "my_scorer.py").write_text(OWN.format(place=str(tmp_path / "model.joblib")))
    texts = [*sides[0][:20], *sides[1][:20], "", "gold wäsche 🚀"]
    for n in range(2):
        shard(tmp_path / "in" / f"{n}.parquet", texts[n::2])
    return [*texts[0::2], *texts[1::2]], made.predict_proba([*texts[0::2], *texts[1::2]])[:, 1]


def loads(tmp_path) -> int:
    return len((tmp_path / "model.joblib.loads").read_text())


def test_it_scores_shards_as_a_column(cli, own, tmp_path):
    texts, expected = own
    words = ["score", "mine=signal:sklearn_score", "--use", "my_scorer.py", "--input", "in", "--out"]
    code, _, error = cli(*words, "one", "--workers", "1")
    assert code == 0, error
    found = rows(tmp_path / "one")
    assert [row["text"] for row in found] == texts
    np.testing.assert_allclose([row["mine"] for row in found], expected)
    assert 0 < loads(tmp_path) <= 2  # here, and in the worker
    assert cli(*words, "two", "--workers", "2")[0] == 0
    assert rows(tmp_path / "two") == found
    assert loads(tmp_path) <= 5


def test_it_filters_in_a_recipe_with_two_workers(cli, own, tmp_path):
    texts, expected = own
    (tmp_path / "mine.yaml").write_text(RECIPE)
    words = ["stage", "heuristics", "--recipe", "mine.yaml", "--input", "in", "--out", "cleaned", "--workers", "2"]
    code, _, error = cli(*words)
    assert code == 0, error
    good = expected >= 0.5
    assert 10 < good.sum() < 30
    assert [row["text"] for row in rows(tmp_path / "cleaned")] == [text for text, kept in zip(texts, good, strict=True) if kept]
    dropped = rows(tmp_path / "cleaned", "dropped")
    assert {row["dropped_by"] for row in dropped} == {"sklearn_score"}
    np.testing.assert_allclose([row["value"] for row in dropped], expected[~good])


def test_it_scores_beside_a_classifier_of_fasttexts(own, tmp_path, model):
    _, expected = own
    use = [{"file": "my_scorer.py", "source": (tmp_path / "my_scorer.py").read_text()}]
    stage = STAGES["score"].of({"models": {"quality": str(model), "mine": "signal:sklearn_score"}, "use": use})
    stage(find_shards(["in"]), str(tmp_path / "out"), here)
    found = rows(tmp_path / "out")
    np.testing.assert_allclose([row["mine"] for row in found], expected)
    assert np.corrcoef([row["quality_probability"] for row in found], expected)[0, 1] > 0.5
    assert loads(tmp_path) == 1


def test_a_scorer_that_fails_says_so_in_one_line(cli, own, tmp_path):
    (tmp_path / "model.joblib").unlink()
    words = ["score", "mine=signal:sklearn_score", "--use", "my_scorer.py", "--input", "in", "--out", "out"]
    code, printed, error = cli(*words, "--workers", "1")
    assert code == 1
    assert "model.joblib" in error
    assert "Traceback" not in printed + error


def test_a_file_that_cannot_be_imported_says_so(cli, own, tmp_path):
    (tmp_path / "my_scorer.py").write_text("import a_module_that_nobody_has\n")
    code, _, error = cli("score", "mine=signal:sklearn_score", "--use", "my_scorer.py", "--input", "in", "--out", "out")
    assert code == 1
    assert "use: my_scorer.py failed: ModuleNotFoundError: No module named 'a_module_that_nobody_has'" in error
