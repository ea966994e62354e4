"""How well a classifier separates held-out examples, and which words decide its scores.

Invariants: every figure is computed on examples that the model has not seen. "Positive" is the class to keep.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.examples import Example
from goldwash.classifiers.fasttext import Folded
from goldwash.filters.texts import Texts

BINS = 10
"""Bins of the calibration table."""
SHOWN_WORDS = 25
"""How many words are listed on each side."""
LEAST_OF_SOURCE = 10

Scores = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


class Scoring(Protocol):
    """What `evaluate` needs of a classifier."""

    def probability(self, texts: Texts, label: str) -> Scores:
        """The probability of a label: ``float64[N]``."""
        ...


def evaluate(model: Scoring, held: Sequence[tuple[bool, Example]], label: str, fraction: float) -> dict[str, Any]:
    """The report on held-out examples: (positive or not, example). A figure is None if it needs a class that is missing.

    ``at_fraction``: precision and recall if the best ``fraction`` of these examples were kept. ``at_negative_fraction``: the
    share of positives that score at least as high as the best ``fraction`` of the negatives, which resemble a crawl.
    ``length_alone``: the AUC of the number of bytes and of newlines by themselves (0.5: length says nothing), the rank
    correlation of bytes and score, and the model's AUC among texts of similar length. ``source_alone``: see `source_alone`.
    ``words``: see `influential_words`; empty for a model that does not score words.
    """
    texts = Texts.of([example.text for _, example in held])
    truth = np.array([positive for positive, _ in held], bool)
    scores = model.probability(texts, label)
    sizes = texts.byte_counts.astype(np.float64)
    lines = np.array([example.text.count("\n") for _, example in held], np.float64)
    return {
        "auc": auc(scores, truth),
        "scores": _spread(scores),
        "accuracy": float(((scores >= 0.5) == truth).mean()) if len(held) else None,
        "at_fraction": at_fraction(scores, truth, fraction),
        "at_negative_fraction": at_negative_fraction(scores, truth, fraction),
        "calibration": calibration(scores, truth),
        "histograms": {name: histogram(scores[mask]) for name, mask in (("positive", truth), ("negative", ~truth))},
        "length_alone": {
            "auc_of_bytes": auc(sizes, truth),
            "auc_of_newlines": auc(lines, truth),
            "rank_correlation_of_bytes_and_score": rank_correlation(sizes, scores),
            "auc_at_like_length": auc_at_like_length(scores, truth, sizes),
        },
        "mean_score_by_source": _by_source(held, scores, np.mean),
        "deviation_by_source": _by_source(held, scores, np.std),
        "source_alone": source_alone(scores, truth, [example.source for _, example in held]),
        "words": influential_words(model, texts, label) if isinstance(model, Folded) else {"towards": [], "away": []},
    }


def auc(scores: Any, truth: Any) -> float | None:
    """The probability that a positive scores above a negative; ties count half. None if a class is missing.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    positive, negative = scores[truth], np.sort(scores[~truth])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, "left")
    upto = np.searchsorted(negative, positive, "right")
    return float((below + upto).sum() / 2 / len(positive) / len(negative))


def auc_at_like_length(scores: Scores, truth: Truth, sizes: Scores) -> float | None:
    """The AUC over pairs of texts whose sizes are within the same half octave; None without such a pair.

    >>> scores, truth = np.array([0.9, 0.1, 0.2, 0.8]), np.array([True, False, True, False])
    >>> auc_at_like_length(scores, truth, np.array([8.0, 9.0, 99.0, 98.0]))
    0.5
    """
    place = np.floor(2 * np.log2(np.maximum(sizes, 1))).astype(np.int64)
    won, pairs = 0.0, 0
    for b in np.unique(place):
        here = place == b
        found = auc(scores[here], truth[here])
        if found is not None:
            count = int(truth[here].sum()) * int((~truth[here]).sum())
            won, pairs = won + found * count, pairs + count
    return won / pairs if pairs else None


def at_fraction(scores: Scores, truth: Truth, fraction: float) -> dict[str, float] | None:
    """Threshold, precision and recall if the best ``fraction`` of all examples is kept; None without positives.

    >>> at_fraction(np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, False, True, False]), 0.5)
    {'fraction': 0.5, 'threshold': 0.8, 'precision': 0.5, 'recall': 0.5}
    """
    if not truth.any():
        return None
    count = max(1, round(fraction * len(scores)))
    best = np.argsort(-scores, kind="stable")[:count]
    hits = int(truth[best].sum())
    return {
        "fraction": fraction,
        "threshold": float(scores[best[-1]]),
        "precision": hits / count,
        "recall": hits / int(truth.sum()),
    }


def at_negative_fraction(scores: Scores, truth: Truth, fraction: float) -> dict[str, float] | None:
    """The lowest score of the best ``fraction`` of the negatives, and the share of positives that reach it.

    None if a class is missing.
    """
    negative = np.sort(scores[~truth])[::-1]
    if not len(negative) or not truth.any():
        return None
    threshold = float(negative[max(1, round(fraction * len(negative))) - 1])
    return {"fraction": fraction, "threshold": threshold, "recall": float((scores[truth] >= threshold).mean())}


def calibration(scores: Scores, truth: Truth) -> list[dict[str, float]]:
    """For each tenth of the scale that has examples: their number, mean score, and share of positives; [] for no examples."""
    place = np.clip((scores * BINS).astype(np.int64), 0, BINS - 1)
    bins = [(b, place == b) for b in range(BINS) if (place == b).any()]
    return [
        {
            "from": b / BINS,
            "to": (b + 1) / BINS,
            "examples": int(mask.sum()),
            "mean_score": float(scores[mask].mean()),
            "positive_share": float(truth[mask].mean()),
        }
        for b, mask in bins
    ]


def histogram(scores: Scores) -> list[int]:
    """The number of examples in each twentieth of the scale: 20 counts."""
    return [int(n) for n in np.histogram(np.clip(scores, 0, 1), 20, (0, 1))[0]]


def rank_correlation(one: Scores, other: Scores) -> float | None:
    """Spearman's rank correlation, equal values at their mean rank; None if either input is constant.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))
    0.5
    """
    ranks = [_ranks(values) for values in (one, other)]
    if len(one) < 2 or any(r.std() == 0 for r in ranks):
        return None
    return round(float(np.corrcoef(ranks[0], ranks[1])[0, 1]), 12)


def _ranks(values: Scores) -> Scores:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], np.float64)


def influential_words(model: Folded, texts: Texts, label: str) -> dict[str, list[list[Any]]]:
    """The words that contribute most towards the label and away from it, each with its mean contribution to a text's logit.

    In one text, a word contributes its weight times its occurrences, divided by the number of words. Bigrams are left out.
    At most `SHOWN_WORDS` per side; none for no texts.
    """
    shares: dict[str, float] = {}
    for text in texts:
        words = text.split()
        for word in words:
            shares[word] = shares.get(word, 0.0) + 1 / len(words)
    known = list(shares)
    weights = model.word_weights(Texts.of(known)) * (1 if model.labels[1] == label else -1)
    contributions = {
        w: float(x) * shares[w] / max(len(texts), 1) for w, x in zip(known, weights, strict=True) if not np.isnan(x)
    }
    ranked = sorted(contributions.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "towards": [[w, p] for w, p in ranked[:SHOWN_WORDS] if p > 0],
        "away": [[w, p] for w, p in ranked[::-1][:SHOWN_WORDS] if p < 0],
    }


def _spread(scores: Scores) -> dict[str, float | None]:
    if not len(scores):
        return dict.fromkeys(("lowest", "highest", "standard_deviation"))
    return {"lowest": float(scores.min()), "highest": float(scores.max()), "standard_deviation": float(scores.std())}


def source_alone(scores: Scores, truth: Truth, sources: Sequence[str]) -> dict[str, float | None]:
    """Whether a classifier ranks sources rather than texts.

    ``auc``: how well an example's source alone predicts its class, by the source's share of positives (0.5: not at all).
    ``auc_within``: the classifier's AUC over pairs of one source; None if no source has both classes. ``deviation`` and
    ``deviation_within``: the standard deviation of scores, and of their distances from the means of their sources; None for
    no examples. Sources of fewer than `LEAST_OF_SOURCE` examples count as one.

    >>> found = source_alone(np.array([0.9] * 10 + [0.1] * 10), np.array([True] * 10 + [False] * 10), ["a"] * 10 + ["b"] * 10)
    >>> found["auc"], found["auc_within"], round(found["deviation"], 2), found["deviation_within"]
    (1.0, None, 0.4, 0.0)
    """
    names, places, counts = np.unique(np.array(sources, np.str_), return_inverse=True, return_counts=True)
    group = np.where(counts[places] >= LEAST_OF_SOURCE, places, len(names))
    shares, means = np.zeros(len(scores)), np.zeros(len(scores))
    won, pairs = 0.0, 0
    for g in np.unique(group):
        here = group == g
        shares[here], means[here] = truth[here].mean(), scores[here].mean()
        found = auc(scores[here], truth[here])
        if found is not None:
            count = int(truth[here].sum()) * int((~truth[here]).sum())
            won, pairs = won + found * count, pairs + count
    return {
        "auc": auc(shares, truth),
        "auc_within": won / pairs if pairs else None,
        "deviation": float(scores.std()) if len(scores) else None,
        "deviation_within": float(np.sqrt(((scores - means) ** 2).mean())) if len(scores) else None,
    }


def _by_source(held: Sequence[tuple[bool, Example]], scores: Scores, figure: Callable[[list[float]], Any]) -> dict[str, float]:
    by_source: dict[str, list[float]] = {}
    for (positive, example), score in zip(held, scores, strict=True):
        by_source.setdefault(f"{'positive' if positive else 'negative'}: {example.source}", []).append(float(score))
    return {source: float(figure(values)) for source, values in sorted(by_source.items())}
