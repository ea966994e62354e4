"""The figures of a report, computed again in plain Python."""

import json
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st

from goldwash.classifiers.evaluation import (
    at_fraction,
    at_negative_fraction,
    auc,
    auc_at_like_length,
    calibration,
    evaluate,
    histogram,
    influential_words,
    rank_correlation,
    source_alone,
)
from goldwash.classifiers.examples import Example
from goldwash.classifiers.fasttext import Folded
from goldwash.classifiers.word_weights import weight_table
from goldwash.filters.texts import Texts

SCORES = st.sampled_from([0.0, 0.05, 0.1, 0.5, 0.95, 1.0, 1.00001, -0.00001]) | st.floats(0, 1, width=32)
PAIRS = st.lists(st.tuples(SCORES, st.booleans()), max_size=30)
FRACTIONS = st.sampled_from([0.01, 0.1, 0.25, 0.5, 1.0])


def columns(pairs: list[tuple[float, bool]]) -> tuple[Any, Any]:
    return np.array([s for s, _ in pairs], np.float64), np.array([t for _, t in pairs], bool)


@given(PAIRS)
def test_auc_is_the_share_of_pairs_that_the_positive_wins(pairs: list[tuple[float, bool]]) -> None:
    scores, truth = columns(pairs)
    pairs_won = [(a > b) + (a == b) / 2 for a, b in product(scores[truth], scores[~truth])]
    found = auc(scores, truth)
    assert (found is None) == (not pairs_won)
    assert found is None or found == pytest.approx(sum(pairs_won) / len(pairs_won))


@given(PAIRS, FRACTIONS)
def test_at_fraction_keeps_the_best(pairs: list[tuple[float, bool]], fraction: float) -> None:
    found = at_fraction(*columns(pairs), fraction)
    if not any(positive for _, positive in pairs):
        assert found is None
        return
    count = max(1, round(fraction * len(pairs)))
    best = sorted(pairs, key=lambda pair: -pair[0])[:count]
    hits = sum(positive for _, positive in best)
    assert found == {
        "fraction": fraction,
        "threshold": best[-1][0],
        "precision": hits / count,
        "recall": hits / sum(positive for _, positive in pairs),
    }


@given(PAIRS, FRACTIONS)
def test_at_negative_fraction_keeps_the_best_negatives(pairs: list[tuple[float, bool]], fraction: float) -> None:
    found = at_negative_fraction(*columns(pairs), fraction)
    positive, negative = ([s for s, truth in pairs if truth is side] for side in (True, False))
    if not positive or not negative:
        assert found is None
        return
    threshold = sorted(negative, reverse=True)[max(1, round(fraction * len(negative))) - 1]
    recall = sum(s >= threshold for s in positive) / len(positive)
    assert found == {"fraction": fraction, "threshold": threshold, "recall": pytest.approx(recall)}


@given(PAIRS)
def test_calibration_counts_each_example_in_its_tenth(pairs: list[tuple[float, bool]]) -> None:
    found = calibration(*columns(pairs))
    assert sum(b["examples"] for b in found) == len(pairs)
    for b in found:
        inside = [(s, t) for s, t in pairs if min(max(int(s * 10), 0), 9) == round(b["from"] * 10)]
        assert b["to"] - b["from"] == pytest.approx(0.1)
        assert b["examples"] == len(inside) > 0
        assert b["mean_score"] == pytest.approx(sum(s for s, _ in inside) / len(inside))
        assert b["positive_share"] == pytest.approx(sum(t for _, t in inside) / len(inside))


@given(st.lists(SCORES, max_size=30))
@example([0.0, 0.049, 0.05, 0.999, 1.0, 1.00001, -0.00001])
def test_a_histogram_has_twenty_counts(scores: list[float]) -> None:
    found = histogram(np.array(scores, np.float64))
    edges, clipped = np.linspace(0, 1, 21), [min(max(score, 0.0), 1.0) for score in scores]
    assert found == [sum(a <= s < b or s == b == 1 for s in clipped) for a, b in pairwise(edges)]


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-5, 5, width=16)), max_size=20))
@example([(k, float(k * k)) for k in range(9)])
def test_rank_correlation_is_spearmans(pairs: list[tuple[int, float]]) -> None:
    one, other = (np.array([pair[k] for pair in pairs], np.float64) for k in (0, 1))
    found = rank_correlation(one, other)
    if len(set(one)) < 2 or len(set(other)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(scipy.stats.spearmanr(one, other).statistic, abs=1e-9)


def made_up(labels: tuple[str, str] = ("cc", "hq")) -> Folded:
    """A model with known weights towards its second label and away from it."""
    pulls = {"gold": 4.0, "river": 1.0, "the": 0.0, "mud": -4.0, "buy": -1.0, "</s>": 0.5}
    words = Texts.of(pulls)
    weights = np.array(list(pulls.values()), np.float32).view(np.uint32)
    return Folded(labels, weight_table(words.utf8, words.starts, words.ends, weights), np.zeros(10, np.float32), 1)


TEXTS = ["gold gold mud", "the river unknown", "mud buy\nthe mud", "the", ""]


@pytest.mark.parametrize(("label", "sign"), [("hq", 1), ("cc", -1)])
def test_influential_words_are_the_planted_ones_by_their_contribution(label: str, sign: int) -> None:
    found = influential_words(made_up(), Texts.of(TEXTS), label)
    sides = [("gold", 4 * 2 / 3 / 5), ("river", 1 / 3 / 5)], [("mud", -4 * (1 / 3 + 1 / 2) / 5), ("buy", -1 / 4 / 5)]
    towards, away = sides if sign > 0 else sides[::-1]
    for name, expected in (("towards", towards), ("away", away)):
        assert [word for word, _ in found[name]] == [word for word, _ in expected]
        np.testing.assert_allclose([pull for _, pull in found[name]], [sign * pull for _, pull in expected], rtol=1e-6)


def test_the_25_most_influential_words_of_each_side_are_listed() -> None:
    known = [f"w{k}" for k in range(100)]
    words, weights = Texts.of(known), np.linspace(-1, 1, 100).astype(np.float32).view(np.uint32)
    model = Folded(("cc", "hq"), weight_table(words.utf8, words.starts, words.ends, weights), np.zeros(1, np.float32), 1)
    found = influential_words(model, Texts.of([" ".join(known)]), "hq")
    assert [w for w, _ in found["towards"]] == [f"w{k}" for k in range(99, 74, -1)]
    assert [w for w, _ in found["away"]] == [f"w{k}" for k in range(25)]


def test_no_texts_have_no_influential_words() -> None:
    assert influential_words(made_up(), Texts.of([]), "hq") == {"towards": [], "away": []}


HELD = [
    (True, Example("gold river", "book")),
    (True, Example("gold the gold the\nriver the", "book")),
    (True, Example("the unknown", "forum")),
    (False, Example("mud", "crawl")),
    (False, Example("buy mud\nbuy\nmud\nthe", "crawl")),
    (False, Example("the gold", "crawl")),
]


def test_a_report_has_the_figures_of_the_held_out_examples() -> None:
    report = evaluate(made_up(), HELD, "hq", 0.5)
    texts = Texts.of([e.text for _, e in HELD])
    scores, truth = made_up().probability(texts, "hq"), np.array([positive for positive, _ in HELD])
    assert report["auc"] == auc(scores, truth) == pytest.approx(7 / 9)
    assert report["accuracy"] == pytest.approx(np.mean([True, True, True, True, True, False]))
    assert report["at_fraction"] == at_fraction(scores, truth, 0.5)
    assert report["at_negative_fraction"] == at_negative_fraction(scores, truth, 0.5)
    assert report["calibration"] == calibration(scores, truth)
    assert report["histograms"] == {"positive": histogram(scores[:3]), "negative": histogram(scores[3:])}
    sizes, lines = (np.array([f(e.text) for _, e in HELD], float) for f in (len, lambda text: text.count("\n")))
    assert report["length_alone"] == {
        "auc_of_bytes": auc(sizes, truth),
        "auc_of_newlines": auc(lines, truth),
        "rank_correlation_of_bytes_and_score": pytest.approx(scipy.stats.spearmanr(sizes, scores).statistic),
        "auc_at_like_length": auc_at_like_length(scores, truth, sizes),
    }
    means = report["mean_score_by_source"]
    assert list(means) == ["negative: crawl", "positive: book", "positive: forum"]
    assert means["positive: book"] == pytest.approx(scores[:2].mean())
    assert report["scores"] == {
        "lowest": scores.min(),
        "highest": scores.max(),
        "standard_deviation": pytest.approx(np.sqrt(np.mean((scores - scores.mean()) ** 2))),
    }
    json.dumps(report)


def test_evaluation_by_the_other_label() -> None:
    turned = [(not positive, e) for positive, e in HELD]
    assert evaluate(made_up(), turned, "cc", 0.5)["auc"] == pytest.approx(evaluate(made_up(), HELD, "hq", 0.5)["auc"])
    assert evaluate(made_up(("hq", "cc")), turned, "cc", 0.5)["auc"] == evaluate(made_up(), turned, "hq", 0.5)["auc"]


@pytest.mark.parametrize("side", [True, False])
def test_figures_that_need_a_missing_class_are_none(side: bool) -> None:
    report = evaluate(made_up(), [pair for pair in HELD if pair[0] is side], "hq", 0.5)
    assert report["auc"] is None
    assert report["length_alone"]["auc_of_bytes"] is None
    assert report["at_negative_fraction"] is None
    assert (report["at_fraction"] is None) == (not side)
    assert report["histograms"]["negative" if side else "positive"] == [0] * 20
    assert sum(b["examples"] for b in report["calibration"]) == 3
    json.dumps(report)


def test_a_report_without_held_out_examples() -> None:
    report = evaluate(made_up(), [], "hq", 0.1)
    assert report["auc"] is None
    assert report["accuracy"] is None
    assert set(report["scores"].values()) == {None}
    assert report["calibration"] == []
    assert report["mean_score_by_source"] == {}
    json.dumps(report)


def test_the_auc_of_length_alone_shows_a_length_artefact() -> None:
    held = [(k % 2 == 0, Example("the " * (k % 2 * 50 + k), "x")) for k in range(1, 21)]
    assert evaluate(made_up(), held, "hq", 0.1)["length_alone"]["auc_of_bytes"] == 0


def test_the_auc_at_similar_length_counts_pairs_of_similar_length() -> None:
    rng = np.random.default_rng(1)
    scores, truth, sizes = rng.random(80).round(1), rng.random(80) < 0.4, 2 ** rng.integers(3, 7, 80).astype(float)
    pairs = [(a, b) for a in np.flatnonzero(truth) for b in np.flatnonzero(~truth) if sizes[a] == sizes[b]]
    won = [(scores[a] > scores[b]) + 0.5 * (scores[a] == scores[b]) for a, b in pairs]
    assert auc_at_like_length(scores, truth, sizes) == pytest.approx(np.mean(won))
    assert auc_at_like_length(sizes, truth, sizes) == pytest.approx(0.5)
    assert auc_at_like_length(scores[:2], np.array([True, False]), np.array([1.0, 1000.0])) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.sampled_from("abc")), min_size=1, max_size=60))
def test_the_source_alone_in_plain_python(rows: list[tuple[float, bool, str]]) -> None:
    scores, truth = columns([(score, positive) for score, positive, _ in rows])
    found = source_alone(scores, truth, [source for _, _, source in rows])
    sizes = {name: sum(source == name for _, _, source in rows) for name in "abc"}
    groups = [source if sizes[source] >= 10 else "" for _, _, source in rows]
    members = {g: [n for n in range(len(rows)) if groups[n] == g] for g in set(groups)}
    share = [np.mean([truth[m] for m in members[g]]) for g in groups]
    pairs = [(a, b) for a in range(len(rows)) for b in range(len(rows)) if truth[a] and not truth[b]]

    def won(values: Any, chosen: list[tuple[int, int]]) -> Any:
        wins = [(values[a] > values[b]) + (values[a] == values[b]) / 2 for a, b in chosen]
        return pytest.approx(np.mean(wins)) if wins else None

    assert found["auc"] == won(share, pairs)
    assert found["auc_within"] == won(scores, [(a, b) for a, b in pairs if groups[a] == groups[b]])
    distances = [scores[n] - np.mean([scores[m] for m in members[groups[n]]]) for n in range(len(rows))]
    assert found["deviation"] == pytest.approx(np.std(scores), abs=1e-9)
    assert found["deviation_within"] == pytest.approx(np.sqrt(np.mean(np.square(distances))), abs=1e-9)


def test_a_classifier_that_ranks_sources_is_seen() -> None:
    """Two sources, of which one is nearly all positive; scores follow the source or the text."""
    rng = np.random.default_rng(0)
    sources = ["good"] * 100 + ["bad"] * 100
    truth = np.array([n < 90 for n in range(100)] + [n < 10 for n in range(100)])
    of_source = np.array([0.8] * 100 + [0.2] * 100) + rng.normal(0, 0.01, 200)
    of_text = np.where(truth, 0.8, 0.2) + rng.normal(0, 0.01, 200)
    one, other = source_alone(of_source, truth, sources), source_alone(of_text, truth, sources)
    assert one["auc"] == other["auc"] == pytest.approx(0.9)
    assert one["auc_within"] == pytest.approx(0.5, abs=0.15)
    assert other["auc_within"] == pytest.approx(1.0)
    assert one["deviation_within"] == pytest.approx(0.01, abs=0.005)
    assert other["deviation_within"] == pytest.approx(0.18, abs=0.02)
