"""Intervals of differences in bits per byte, over seeds and over target documents; and the compute multiplier.

Invariants: a difference of two datasets is taken seed by seed and document by document (paired), so that what is common to both
cancels. Its 95% interval is Student's t with the sum of two variances and the fewer degrees of freedom of the two, which is
conservative: with Welch and Satterthwaite's, a spread of five seeds that is small by chance made the interval too short.

* over seeds: the spread s of the samples' differences gives s^2 / S for the mean of S. Samples of one dataset overlap: if each
  has a fraction f of it, s^2 is too small by 1 - f, and the part f that all samples share is common to the mean. Hence
  s^2 / S + s^2 f / (1 - f), which is the uncertainty about the source of the dataset, not about this file of it.
* over documents: the ratio estimator of sum(bits) / sum(bytes) (Cochran 1977, section 6.4), by the residuals of each document.

An interval that contains 0 ranks nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from goldwash.evidence.curves.compare import envelope

Floats = NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard errors over seeds and over documents; nan where there is one seed or one document."""

    mean: float
    over_seeds: float
    over_documents: float
    seeds: int
    documents: float

    @property
    def half_width(self) -> float:
        """Half of the 95% interval, from what is known of both errors; infinite if neither is known."""
        parts = [(self.over_seeds**2, self.seeds - 1), (self.over_documents**2, self.documents - 1)]
        known = [(variance, freedom) for variance, freedom in parts if not math.isnan(variance)]
        total = sum(variance for variance, _ in known)
        if not known:
            return math.inf
        if total == 0:
            return 0.0
        freedom = min(freedom for _, freedom in known)
        return float(student.ppf(0.5 + LEVEL / 2, freedom)) * math.sqrt(total)

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half_width

    @property
    def verdict(self) -> int:
        """-1: below 0; 1: above 0; 0: the interval contains 0, so nothing is said."""
        return 0 if self.low <= 0 <= self.high else int(math.copysign(1, self.mean))


def seed_error(values: Floats, overlap: float) -> float:
    """The standard error of the mean of one value per seed; ``overlap``: the fraction of the dataset in each sample."""
    if len(values) < 2:
        return math.nan
    spread = float(values.var(ddof=1))
    return math.sqrt(spread / len(values) + spread * overlap / (1 - overlap))


def document_error(bits: Floats, sizes: Floats) -> float:
    """The standard error of sum(bits) / sum(sizes) over documents, ``float64[documents]`` each."""
    count, total = len(bits), float(sizes.sum())
    if count < 2:
        return math.nan
    left = bits - bits.sum() / total * sizes
    return math.sqrt(count / (count - 1) * float(left @ left)) / total


def ratio(bits: Floats, sizes: Floats, overlap: float) -> Estimate:
    """Bits per byte, or a difference of them: ``bits: float64[seeds, documents]``, ``sizes: float64[documents]`` in bytes."""
    values = bits.sum(axis=1) / sizes.sum()
    errors = seed_error(values, overlap), document_error(bits.mean(axis=0), sizes)
    return Estimate(float(values.mean()), *errors, len(values), float(len(sizes)))


def mean_of(parts: Sequence[tuple[Floats, Floats]], overlap: float) -> Estimate:
    """The mean of `ratio` over targets, each with equal weight; targets have no document in common."""
    values = np.mean([bits.sum(axis=1) / sizes.sum() for bits, sizes in parts], axis=0)
    errors = [(document_error(bits.mean(axis=0), sizes) / len(parts), len(sizes)) for bits, sizes in parts]
    variance = sum(error**2 for error, _ in errors)
    freedom = sum(error**4 / (count - 1) for error, count in errors if count > 1)
    documents = variance**2 / freedom + 1 if freedom else float(max(count for _, count in errors))
    return Estimate(float(values.mean()), seed_error(values, overlap), math.sqrt(variance), len(values), documents)


@dataclass(frozen=True)
class Multiplier:
    """How many tokens of the first dataset one token of another is worth: above 1, the other teaches more.

    ``bound``: "" for a value between measured points; "at least" or "at most" where one curve is beyond the other's end.
    """

    value: float
    bound: str = ""

    @property
    def tokens_for_one(self) -> float:
        """How many tokens of the other do what one token of the first does."""
        return 1 / self.value


def multiplier(budgets: Sequence[int], first: Floats, other: Floats) -> Multiplier:
    """From two curves of bits per byte over the same rising budgets, both as running best, linear in log tokens.

    The dataset that is better at the end is asked where it passed the other's last value.
    """
    one, two = envelope(first), envelope(other)
    if one[-1] == two[-1]:
        return Multiplier(1.0)
    better, target = (two, one[-1]) if two[-1] < one[-1] else (one, two[-1])
    if better[0] <= target:
        value, bound = budgets[-1] / budgets[0], "at least"
    else:
        value, bound = budgets[-1] / _reached(budgets, better, float(target)), ""
    if better is two:
        return Multiplier(value, bound)
    return Multiplier(1 / value, "at most" if bound else "")


def _reached(budgets: Sequence[int], best: Floats, target: float) -> float:
    """The tokens at which a falling curve first reaches a value that lies between its ends."""
    i = int(np.argmax(best <= target))
    part = (best[i - 1] - target) / (best[i - 1] - best[i])
    return math.exp(math.log(budgets[i - 1]) + part * (math.log(budgets[i]) - math.log(budgets[i - 1])))
