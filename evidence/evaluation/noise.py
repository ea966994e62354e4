"""How much equal runs differ, and which differences are significant.

Invariants: a difference is called real only if two equal runs differ by that much in less than 5% of cases; the standard
deviation is that of the sample (n - 1); Student's t where it was measured, so that few runs widen the threshold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.tables import table

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Noise:
    """Mean and standard deviation over ``runs`` equal runs; ``runs`` is 0 where the deviation was simply given."""

    mean: float
    deviation: float
    runs: int
    source: str

    def threshold(self, one: int = 1, other: int = 1) -> float:
        """The difference between means of ``one`` and ``other`` equal runs that chance exceeds in 5% of cases only."""
        quantile = t.ppf((1 + CONFIDENCE) / 2, self.runs - 1) if self.runs > 1 else norm.ppf((1 + CONFIDENCE) / 2)
        return float(quantile * self.deviation * math.sqrt(1 / one + 1 / other))

    def runs_for(self, half_width: float) -> int:
        """How many runs bring the 95% interval of the mean to +- ``half_width`` (normal), to the nearest whole number.

        >>> published().runs_for(0.002)
        26
        """
        if half_width <= 0:
            raise EvidenceError(f"expected a half width above zero, found {half_width:g}")
        return max(round(float(norm.ppf((1 + CONFIDENCE) / 2) * self.deviation / half_width) ** 2), 1)


def measured(values: Sequence[float], source: str) -> Noise:
    """The noise of equal runs. Raises `EvidenceError` for fewer than two."""
    if len(values) < 2:
        raise EvidenceError(f"noise needs at least two equal runs, found {len(values)}")
    return Noise(float(np.mean(values)), float(np.std(values, ddof=1)), len(values), source)


def published() -> Noise:
    """nanochat's seven equal runs."""
    row = table("noise")["nanochat"]
    return measured(row["runs"], row["source"])


def ranks(scores: Sequence[float], noise: Noise) -> list[int]:
    """Ranks from 1; scores whose difference to the best of their group is inside the noise share its rank.

    >>> ranks([0.30, 0.299, 0.25], Noise(0, 0.005, 0, ""))
    [1, 1, 3]
    """
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    found, top, threshold = [0] * len(scores), 0, noise.threshold()
    for place, i in enumerate(order):
        if place == 0 or scores[order[top]] - scores[i] > threshold:
            top = place
        found[i] = top + 1
    return found
