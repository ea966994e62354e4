"""Warnings: classifiers that work have none, the others have one with the cause and the cure."""

from dataclasses import asdict
from itertools import product
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.classifiers.diagnosis import chance_auc, diagnose
from goldwash.classifiers.evaluation import auc, histogram
from goldwash.classifiers.train import Settings


def report(positive: Any, negative: Any, classes: tuple[int, int] = (900, 900), **settings: Any) -> dict[str, Any]:
    """A report of held-out examples with these scores."""
    up, down = np.array(positive, float), np.array(negative, float)
    scores = np.concatenate([up, down])
    known = bool(len(scores))
    return {
        "auc": auc(scores, np.arange(len(scores)) < len(up)),
        "scores": {
            "lowest": float(scores.min()) if known else None,
            "highest": float(scores.max()) if known else None,
            "standard_deviation": float(scores.std()) if known else None,
        },
        "histograms": {"positive": histogram(up), "negative": histogram(down)},
        "classes": list(classes),
        "settings": asdict(Settings(**settings)),
    }


def uncalled() -> float | None:
    raise AssertionError("the training examples need not be scored")


GOOD = np.linspace(0.3, 0.99, 100), np.linspace(0.01, 0.7, 100)
ALIKE = np.linspace(0.01, 0.99, 100), np.linspace(0.01, 0.99, 101)


def test_a_classifier_that_works_has_no_warning() -> None:
    assert diagnose(report(*GOOD), uncalled) == []
    assert diagnose(report(GOOD[0][:9] + 0.4, GOOD[1]), uncalled) == []  # unequal classes


def test_guessing_after_learning_the_training_examples_is_memorising() -> None:
    (warning,) = diagnose(report(*ALIKE), lambda: 0.98)
    assert "its AUC is 0.5000, and guessing gives 0.5" in warning
    assert "training examples apart (AUC 0.9800), so it has memorised them. Give more examples of more sources" in warning
    assert "epoch=" not in warning


@pytest.mark.parametrize("learned", [0.55, 0.5, None])
def test_guessing_on_the_training_examples_too_is_learning_too_little(learned: float | None) -> None:
    (warning,) = diagnose(report(*ALIKE, epoch=5, lr=0.05), lambda: learned)
    assert "Nor does it tell its training examples apart" in warning
    assert "more epochs (--set epoch=25; it had 5), a higher lr (it had 0.05), or more examples" in warning


def test_worse_than_guessing_is_warned_about_as_well() -> None:
    (warning,) = diagnose(report(*GOOD[::-1]), lambda: 0.99)
    assert "does not tell held-out examples apart" in warning


@pytest.mark.parametrize("score", [0.5, 0.2, 0.97])
def test_equal_scores_are_guessing_and_one_label(score: float) -> None:
    warnings = diagnose(report([score] * 50, [score] * 50), lambda: 0.5)
    assert "its AUC is 0.5000" in warnings[0]
    assert f"every held-out example gets the label {'hq' if score >= 0.5 else 'cc'}" in warnings[1]


def test_scores_that_hardly_differ() -> None:
    (warning,) = diagnose(report(0.5 + GOOD[0] / 1000, 0.4995 + GOOD[1] / 1000, epoch=10), uncalled)
    assert "nearly the same score to every held-out example, 0.4995 to 0.5010" in warning
    assert "--set epoch=50; it had 10" in warning


@pytest.mark.parametrize(
    ("classes", "cure"),
    [
        ((900, 900), "Train it with more epochs"),
        ((900, 90), "trained on 900 positive and 90 negative examples: use --set balanced"),
    ],
)
def test_one_label_for_all(classes: tuple[int, int], cure: str) -> None:
    (warning,) = diagnose(report(GOOD[0] / 2 + 0.5, GOOD[1] / 2 + 0.5, classes), uncalled)
    assert "every held-out example gets the label hq, positive or not" in warning
    assert cure in warning


@pytest.mark.parametrize(("positive", "negative"), [(0, 0), (0, 40), (40, 0), (1, 1), (2, 2), (3, 3), (1, 30)])
def test_too_few_held_out_examples_to_say(positive: int, negative: int) -> None:
    (warning,) = diagnose(report([0.9] * positive, [0.1] * negative, held_out=0.2), uncalled)
    assert warning.startswith(f"{positive} positive and {negative} negative held-out examples are too few to say")
    assert "held_out is 0.2" in warning


def test_a_good_order_of_few_examples_may_be_chance() -> None:
    (warning,) = diagnose(report([0.9, 0.4, 0.8, 0.9], [0.1, 0.2, 0.5, 0.85]), uncalled)
    assert "too few to say whether the classifier works: its AUC is 0.8125, and guessing gives up to 0.93" in warning


@given(st.integers(1, 4), st.integers(1, 4))
def test_the_bound_of_chance_has_the_deviation_of_every_order(positive: int, negative: int) -> None:
    values = np.arange(positive + negative, dtype=float)
    found = [
        auc(values, np.array(truth)) for truth in product([True, False], repeat=positive + negative) if sum(truth) == positive
    ]
    assert chance_auc(positive, negative) == pytest.approx(0.5 + 2 * sqrt(np.var(found)))
