"""Heads on embeddings: against scikit-learn, their files, and embeddings of another dimension."""

import json
from pathlib import Path

import numpy as np
import pytest

from goldwash.classifiers.examples import Example, TrainingError
from goldwash.classifiers.linear import Head, LinearSettings, fit, head, measure, probabilities, train_head
from goldwash.classifiers.model_file import ModelError
from goldwash.filters.texts import Texts
from tests.support.embeddings import write_embedding

WORDS = {"gold": [1.0, 0.1], "river": [0.9, -0.2], "mud": [-1.0, 0.3], "junk": [-0.8, -0.1], "and": [0.0, 1.0]}
POSITIVE = [Example(f"gold river {'and ' * (n % 5)} n{n}", f"book{n % 2}") for n in range(40)]
NEGATIVE = [Example(f"mud junk {'and ' * (n % 4)} n{n}", "crawl") for n in range(40)]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> str:
    return str(write_embedding(tmp_path_factory.mktemp("embedding"), WORDS))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, place) -> Path:
    folder = tmp_path_factory.mktemp("head")
    report = train_head(POSITIVE, NEGATIVE, place, folder, LinearSettings(held_out=0.2))
    assert report["auc"] == 1.0
    return folder


def test_the_weights_are_those_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    random = np.random.RandomState(0)
    x = random.standard_normal((300, 6)).astype(np.float32)
    truth = x @ np.array([1, -2, 0.5, 0, 0, 3]) + random.standard_normal(300) > 0.3
    penalty = 1e-3
    weights, bias = fit(x, truth, penalty)
    theirs = LogisticRegression(C=1 / (2 * penalty * len(x)), tol=1e-9, max_iter=10_000).fit(x.astype(np.float64), truth)
    np.testing.assert_allclose(weights, theirs.coef_[0], rtol=1e-3, atol=1e-4)
    assert bias == pytest.approx(theirs.intercept_[0], abs=1e-3)


def test_probabilities_do_not_overflow():
    found = probabilities(np.array([-1e4, -1.0, 0.0, 1.0, 1e4]))
    np.testing.assert_allclose(found, [0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1], atol=1e-15)


def test_a_head_separates_and_is_read_again(trained, place):
    made = head(trained / "model.head")
    texts = Texts.of(["gold river", "mud", "", "unknown", "and"])
    found = measure(str(trained / "model.head"), None).measure(texts, None)
    assert found[0] > 0.9
    assert found[1] < 0.1
    assert np.isnan(found[2:4]).all()
    np.testing.assert_array_equal(found[:2], made.probability(texts)[:2])
    np.testing.assert_allclose(measure(str(trained / "model.head"), "cc").measure(texts, None)[:2], 1 - found[:2], atol=1e-12)
    again = trained / "again.head"
    made.save(again)
    assert again.read_bytes() == (trained / "model.head").read_bytes()
    again.unlink()


def test_equal_trainings_give_equal_bytes(trained, place, tmp_path):
    train_head(POSITIVE[::-1], [*NEGATIVE, *NEGATIVE[:3]], place, tmp_path, LinearSettings(held_out=0.2))
    for name in ("model.head", "report.json", "MODEL.md"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_the_card_says_what_it_is(trained, place):
    card = (trained / "MODEL.md").read_text()
    assert f"Logistic regression on 2 numbers of the embedding `{place}`" in card.replace("\\", "")
    assert "quality.model=embedding:model.head" in card
    assert "fastText" not in card
    report = json.loads((trained / "report.json").read_text())
    assert (report["features"], report["dimension"], report["settings"]["penalty"]) == (place, 2, 1e-4)


def test_classes_that_are_alike_are_warned_about(place, tmp_path):
    texts = [Example(f"gold mud and n{n}", "all") for n in range(200)]
    report = train_head(texts[::2], texts[1::2], place, tmp_path, LinearSettings(held_out=0.3))
    assert any("does not tell held-out examples apart" in warning and "penalty" in warning for warning in report["warnings"])


def test_an_embedding_of_another_dimension(trained, tmp_path):
    other = write_embedding(tmp_path / "other", {"gold": [1.0, 2.0, 3.0]})
    facts = json.loads((trained / "model.head").read_text())
    (tmp_path / "wrong.head").write_text(json.dumps({**facts, "features": str(other)}))
    with pytest.raises(ModelError, match=r"trained on 2 numbers per text, and the embedding .* has 3: .* train another head"):
        measure(str(tmp_path / "wrong.head"), None)


@pytest.mark.parametrize(
    "change",
    [
        {"goldwash": "something else"}, {"weights": [1.0]}, {"weights": [1.0, float("nan")]}, {"weights": "x"}, {"bias": None},
        {"dimension": 3}, {"bias": float("inf")},
    ],
)  # fmt: skip
def test_a_broken_head(trained, tmp_path, change):
    facts = json.loads((trained / "model.head").read_text())
    (tmp_path / "a.head").write_text(json.dumps({**facts, **change}))
    with pytest.raises(ModelError, match=r"is not a whole head .*train it again"):
        head(tmp_path / "a.head")


def test_a_file_that_is_no_head(tmp_path):
    (tmp_path / "a.head").write_bytes(b"\x00\x01")
    with pytest.raises(ModelError, match="is not a head: expected the JSON"):
        head(tmp_path / "a.head")
    with pytest.raises(ModelError, match=r"no head at .*goldwash train --features wordllama"):
        head(tmp_path / "none.head")


def test_an_unknown_label(trained):
    with pytest.raises(ModelError, match="has no label 'good'; it has: hq, cc"):
        measure(str(trained / "model.head"), "good")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalty": 0}, "penalty is 0; expected a number above 0"), ({"penalty": "x"}, "penalty is 'x'"),
        ({"characters": 0}, "characters is 0; expected a whole number of 1 or more"), ({"seed": 1.5}, "seed is 1.5"),
        ({"held_out": 1.0}, "held_out is 1.0"), ({"fraction": 0}, "fraction is 0"), ({"balanced": 1}, "balanced is 1"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(change, message):
    with pytest.raises(TrainingError, match=message):
        LinearSettings(**change)


def test_heads_of_classes_without_examples(place, tmp_path):
    with pytest.raises(TrainingError, match="there is no negative example"):
        train_head(POSITIVE, [], place, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert Head(place, np.zeros(2), 0.0).probability(Texts.of([])).shape == (0,)


def test_a_head_is_used_from_any_folder(tmp_path, monkeypatch):
    write_embedding(tmp_path / "embedding", WORDS)
    monkeypatch.chdir(tmp_path)
    train_head(POSITIVE, NEGATIVE, "embedding", "out")
    monkeypatch.chdir("/")
    assert measure(str(tmp_path / "out" / "model.head"), None).measure(Texts.of(["gold"]), None)[0] > 0.5
