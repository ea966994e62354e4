"""Warnings about a classifier that does not work, each with the likely cause and the cure.

Invariants: a warning follows from the scores of held-out examples. A classifier may be warned about and still be written: the
user decides.

What the cures rest on, measured on the sample crawl's 540 examples (2026-11): 5 epochs leave all scores within 0.001 of 0.5 at
``dim`` 16 and 100; 25 epochs, or 5 at ``lr`` 0.5, spread them from 0.02 to 0.99. ``bucket`` made no difference.
"""

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

LEAST_AUC = 0.6
"""An AUC below this is reported as no better than guessing, even if many examples show that it is above 0.5."""

LEAST_SPREAD = 0.02
"""Scores with a smaller standard deviation are reported as equal; trained models have 0.1 and more."""

MEMORISED = 0.9
"""With at least this AUC on its training examples, a classifier has learned them."""


def diagnose(report: Mapping[str, Any], training_auc: Callable[[], float | None]) -> list[str]:
    """Warnings, one sentence or more each; [] for a classifier that works.

    ``report``: `goldwash.classifiers.evaluation.evaluate`'s, with ``settings`` and ``classes`` (training examples per class,
    positive first). ``training_auc`` is called only if the held-out AUC is low.
    """
    positive, negative = (sum(report["histograms"][side]) for side in ("positive", "negative"))
    held = f"{positive:,} positive and {negative:,} negative held-out examples"
    settings, found, chance = report["settings"], report["auc"], chance_auc(positive, negative)
    more = f"give more examples, or a larger held-out share (held_out is {settings['held_out']:g})"
    if found is None or chance >= 1:
        return [f"{held} are too few to say whether the classifier works: {more}"]
    longer = (
        f"more epochs (--set epoch={max(25, 5 * settings['epoch'])}; it had {settings['epoch']}), a higher lr (it had "
        f"{settings['lr']:g}), or more examples"
        if "epoch" in settings
        else f"a lower penalty (--set penalty={settings['penalty'] / 10:g}; it had {settings['penalty']:g}), or more examples"
    )
    low, high = report["scores"]["lowest"], report["scores"]["highest"]
    warnings = []
    if found < LEAST_AUC:
        warnings.append(
            f"the classifier does not tell held-out examples apart: its AUC is {found:.4f}, and guessing gives 0.5. "
            + _cause(training_auc(), longer)
        )
    elif found < chance:
        warnings.append(
            f"{held} are too few to say whether the classifier works: its AUC is {found:.4f}, and guessing gives up to "
            f"{chance:.2f} on so few; {more}"
        )
    if found >= LEAST_AUC and report["scores"]["standard_deviation"] < LEAST_SPREAD:
        warnings.append(
            f"the classifier gives nearly the same score to every held-out example, {low:.4f} to {high:.4f}: it has hardly "
            f"begun to learn. Their order may be right (AUC {found:.4f}), but the scores say nothing. Train it with {longer}"
        )
    if low >= 0.5 or high < 0.5:
        label = "hq" if low >= 0.5 else "cc"
        warnings.append(
            f"every held-out example gets the label {label}, positive or not. {_imbalance(longer, *report['classes'])}"
        )
    return warnings


def chance_auc(positive: int, negative: int) -> float:
    """The AUC that random scores stay below in 39 of 40 cases: 0.5 and two standard deviations of the Mann-Whitney statistic.

    1 if a class is missing, and above 1 where even a perfect order of so few examples may be chance.

    >>> [round(chance_auc(n, n), 2) for n in (0, 2, 4, 100, 10_000)]
    [1, 1.15, 0.93, 0.58, 0.51]
    """
    if not positive or not negative:
        return 1
    return 0.5 + 2 * sqrt((positive + negative + 1) / (12 * positive * negative))


def _cause(training_auc: float | None, longer: str) -> str:
    if training_auc is not None and training_auc >= MEMORISED:
        return (
            f"It does tell its training examples apart (AUC {training_auc:.4f}), so it has memorised them. Give more examples "
            "of more sources, or fewer epochs; check that the two classes are different kinds of text"
        )
    shown = "" if training_auc is None else f" (AUC {training_auc:.4f})"
    return (
        f"Nor does it tell its training examples apart{shown}: it has learned too little, or the two classes are the same kind "
        f"of text. Check the files; train it with {longer}"
    )


def _imbalance(longer: str, positive: int, negative: int) -> str:
    if max(positive, negative) >= 2 * min(positive, negative):
        return (
            f"It was trained on {positive:,} positive and {negative:,} negative examples: use --set balanced=true, or give "
            "more examples of the smaller class"
        )
    return f"Train it with {longer}"
