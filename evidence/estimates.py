"""A mean over seeds with its 95% interval by Student's t.

Invariants: the interval says where the mean over further seeds of the same experiment is to be expected. It says nothing about
other data, sizes or settings. One seed has no interval: its ends are nan, and no difference is reported.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from goldwash.evidence.errors import EvidenceError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """``values`` by seed, their mean, and the ends of its interval (nan for one seed)."""

    values: tuple[float, ...]
    mean: float
    low: float
    high: float

    def above(self, bound: float) -> bool:
        """Whether the whole interval is above ``bound``; False without an interval."""
        return self.low > bound

    def below(self, bound: float) -> bool:
        """Whether the whole interval is below ``bound``; False without an interval."""
        return self.high < bound

    def within(self, least: float, most: float) -> "Estimate":
        """The same, with an interval that is cut at the bounds of its quantity; nan stays."""
        low, high = (end if math.isnan(end) else min(max(end, least), most) for end in (self.low, self.high))
        return Estimate(self.values, self.mean, low, high)

    def shown(self, form: str = ".4f") -> str:
        """The mean and the interval.

        >>> estimate([0.25, 0.5]).shown(".0%"), estimate([0.25]).shown(".0%")
        ('38% [-121%, 196%]', '25%')
        """
        mean = format(self.mean, form)
        return mean if math.isnan(self.low) else f"{mean} [{format(self.low, form)}, {format(self.high, form)}]"


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent seeds. Raises `EvidenceError` for no values."""
    count = len(values)
    if count == 0:
        raise EvidenceError("expected at least one seed, found none")
    mean = float(np.mean(values))
    if count == 1:
        return Estimate(tuple(map(float, values)), mean, math.nan, math.nan)
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1) * np.std(values, ddof=1) / math.sqrt(count))
    return Estimate(tuple(map(float, values)), mean, mean - half, mean + half)
