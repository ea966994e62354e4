"""How well a classifier tells held-out examples apart, and what it goes by: the report, and the model card made of it.

Law: every figure is counted on examples that the model has not seen. "Positive" is the class that shall be kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.examples import Example
from goldwash.classifiers.fasttext import Folded
from goldwash.filters.texts import Texts

BINS = 10
SHOWN_WORDS = 25

Scores = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


def judged(model: Folded, held: Sequence[tuple[bool, Example]], label: str, fraction: float) -> dict[str, Any]:
    """The report on held-out examples, of which each is positive or not; figures are None where a class is missing.

    ``at_fraction``: precision and recall if the best ``fraction`` of these examples were kept; ``at_negative_fraction``: the
    share of the positives above the score that keeps ``fraction`` of the negatives, which are what a crawl looks like.
    ``length_alone``: the AUC of a text's bytes and newlines by themselves (0.5: they tell nothing), the rank correlation of
    bytes and score, and the model's AUC among texts of like length. ``words``: those that pull most, by their mean share of a
    text's logit.
    """
    texts = Texts.of([example.text for _, example in held])
    truth = np.array([positive for positive, _ in held], bool)
    scores = model.probability(texts, label)
    sizes = texts.byte_counts.astype(np.float64)
    lines = np.array([example.text.count("\n") for _, example in held], np.float64)
    return {
        "auc": auc(scores, truth),
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
        "mean_score_by_source": _by_source(held, scores),
        "words": pulling_words(model, texts, label),
    }


def auc(scores: Any, truth: Any) -> float | None:
    """The chance that a positive is scored above a negative, ties half; None where a class is missing.

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
    """The AUC among texts whose sizes lie in the same half octave, over all such pairs; None where there is no pair.

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
    """Threshold, precision and recall where the best ``fraction`` of all is kept; None without examples or positives.

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
    """The threshold that the best ``fraction`` of the negatives reach, and the share of the positives that reach it."""
    negative = np.sort(scores[~truth])[::-1]
    if not len(negative) or not truth.any():
        return None
    threshold = float(negative[max(1, round(fraction * len(negative))) - 1])
    return {"fraction": fraction, "threshold": threshold, "recall": float((scores[truth] >= threshold).mean())}


def calibration(scores: Scores, truth: Truth) -> list[dict[str, float]]:
    """Of each tenth of the scale that has examples: how many, their mean score, and the share that is positive."""
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
    """Examples in each twentieth of the scale: 20 counts."""
    return [int(n) for n in np.histogram(np.clip(scores, 0, 1), 20, (0, 1))[0]]


def rank_correlation(one: Scores, other: Scores) -> float | None:
    """Spearman's, with equal values at their mean rank; None where one of them does not vary.

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


def pulling_words(model: Folded, texts: Texts, label: str) -> dict[str, list[list[Any]]]:
    """The words that pull most towards the label and away from it, with their mean share of a text's logit.

    A word's share of one text's logit is its weight times its occurrences over the text's words; bigrams are left out.
    """
    shares: dict[str, float] = {}
    for text in texts:
        words = text.split()
        for word in words:
            shares[word] = shares.get(word, 0.0) + 1 / len(words)
    known = list(shares)
    weights = model.word_weights(Texts.of(known)) * (1 if model.labels[1] == label else -1)
    pulls = {w: float(x) * shares[w] / max(len(texts), 1) for w, x in zip(known, weights, strict=True) if not np.isnan(x)}
    ranked = sorted(pulls.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "towards": [[w, p] for w, p in ranked[:SHOWN_WORDS] if p > 0],
        "away": [[w, p] for w, p in ranked[::-1][:SHOWN_WORDS] if p < 0],
    }


def _by_source(held: Sequence[tuple[bool, Example]], scores: Scores) -> dict[str, float]:
    by_source: dict[str, list[float]] = {}
    for (positive, example), score in zip(held, scores, strict=True):
        by_source.setdefault(f"{'positive' if positive else 'negative'}: {example.source}", []).append(float(score))
    return {source: float(np.mean(values)) for source, values in sorted(by_source.items())}


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def card(report: Mapping[str, Any]) -> str:
    """The model card, Markdown."""
    settings, length = report["settings"], report["length_alone"]
    top, web = report["at_fraction"] or {}, report["at_negative_fraction"] or {}
    rows = [
        ("AUC", report["auc"]),
        ("accuracy at 0.5", report["accuracy"]),
        (f"precision, best {settings['fraction']:.0%} of the held-out examples", top.get("precision")),
        (f"recall, best {settings['fraction']:.0%} of the held-out examples", top.get("recall")),
        (f"recall where {settings['fraction']:.0%} of the negatives are kept", web.get("recall")),
        ("AUC of a text's bytes alone", length["auc_of_bytes"]),
        ("AUC of a text's newlines alone", length["auc_of_newlines"]),
        ("AUC among texts of like length", length["auc_at_like_length"]),
        ("rank correlation of bytes and score", length["rank_correlation_of_bytes_and_score"]),
    ]
    parts = [
        "# Model card",
        "A fastText classifier of text quality, trained by goldwash after DCLM-Baseline's (arXiv 2406.11794, section 4.4). The "
        "score is the probability of the label `hq`.",
        "## Learned from",
        "\n".join(["| source | examples |", "|---|---:|", *(f"| {s} | {n:,} |" for s, n in report["sources"].items())]),
        f"Left out of what was held out as near copies of what was learned: {report['left_out']['near_copies_of_learned']:,}; "
        f"excluded as quoting a benchmark: {report['left_out']['excluded']:,}. Settings: "
        + ", ".join(f"{k} {v}" for k, v in settings.items())
        + ".",
        f"## On {report['held_out']:,} held-out examples",
        "\n".join(["| | |", "|---|---:|", *(f"| {name} | {_shown(value)} |" for name, value in rows)]),
        "\n".join(
            [
                "| score | examples | mean score | positive |",
                "|---|---:|---:|---:|",
                *(
                    f"| {b['from']:.1f} to {b['to']:.1f} | {b['examples']:,} | {b['mean_score']:.3f} "
                    f"| {b['positive_share']:.3f} |"
                    for b in report["calibration"]
                ),
            ]
        ),
        "\n".join(
            [
                "| source | mean score |",
                "|---|---:|",
                *(f"| {s} | {m:.3f} |" for s, m in report["mean_score_by_source"].items()),
            ]
        ),
        "## What it goes by",
        "Towards: " + ", ".join(f"`{w}`" for w, _ in report["words"]["towards"]) + ".",
        "Away: " + ", ".join(f"`{w}`" for w, _ in report["words"]["away"]) + ".",
        "## Use",
        "`goldwash score model.fold --input SHARDS --out DIR`, or `--set quality.model=model.fold` in a recipe; "
        "`model.bin` is read by any fastText (a text is one line: its lines joined by spaces).",
        "Scores mean nothing across models: keep a fraction, not a threshold of another model. The classifier knows the "
        "languages and kinds of text that it learned from, and those alone.",
    ]
    return "\n\n".join(parts) + "\n"
