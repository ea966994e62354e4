"""Values of rules around their thresholds: histograms, other thresholds, and documents near them.

Invariants: a histogram has at most `BINS` bins and one more per threshold; thresholds are edges of bins. Values that are not
numbers are in no bin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from goldwash.filters.signals import Keep

NEAR = 2
"""Documents on each side of a threshold."""

BINS = 36

LARGEST = 1e300
"""Values beyond it are counted in the outermost bin, so that differences of edges are finite."""

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Near:
    """A document near a threshold: kept by the rule, or dropped by it."""

    id: str
    url: str
    value: float
    kept: bool
    text: str = ""


@dataclass(frozen=True)
class Other:
    """Another bound, and the change in the documents that the stage keeps, in documents of the run.

    ``small``: whether it is near the recipe's own.
    """

    bounds: str
    tighter: bool
    change: float
    small: bool = False


@dataclass(frozen=True)
class Histogram:
    """Counts per bin: ``edges[k]`` to ``edges[k + 1]``. ``logarithmic``: the edges are evenly spaced in the logarithm.

    ``kept``: documents that the stage keeps; ``dropped``: those that this rule dropped; ``others``: those that another rule
    of the stage dropped. Values beyond the outer edges are in the outer bins.
    """

    edges: tuple[float, ...]
    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    others: tuple[int, ...]
    logarithmic: bool = False

    @property
    def counted(self) -> int:
        """All documents in it."""
        return sum(self.kept) + sum(self.dropped) + sum(self.others)


@dataclass(frozen=True)
class Rule:
    """A rule with bounds: what it measured, and how its documents lie around them."""

    stage: str
    name: str
    bounds: str
    limits: tuple[float, ...]
    histogram: Histogram | None
    others: tuple[Other, ...] = ()
    near: tuple[Near, ...] = ()
    unknown: int = 0
    """Documents without a value (nan), which the rule drops."""
    scale: float = 1.0
    basis: str = ""
    """Which documents are counted, in words."""


def histogram_of(values: Values, masks: Mapping[str, Mask], limits: Sequence[float]) -> Histogram | None:
    """A histogram of the known values; None if there is none. ``masks``: which are ``kept``, ``dropped`` and ``others``."""
    known = np.isfinite(values)
    if not known.any():
        return None
    values = np.clip(values, -LARGEST, LARGEST)
    edges, logarithmic = _edges(values[known], limits)
    inside = np.clip(values, edges[0], edges[-1])
    counts = {name: tuple(int(n) for n in np.histogram(inside[mask & known], edges)[0]) for name, mask in masks.items()}
    none = (0,) * (len(edges) - 1)
    return Histogram(
        tuple(map(float, edges)), counts.get("kept", none), counts.get("dropped", none), counts.get("others", none), logarithmic
    )


def _edges(values: Values, limits: Sequence[float]) -> tuple[Values, bool]:
    """The edges of bins. A limit is an edge, so that no bin is on both sides of it."""
    low, high = (float(v) for v in np.quantile(values, (0.005, 0.995)))
    whole = bool((values == np.round(values)).all())
    logarithmic = low >= 0 and high >= 100 and high / max(low, 1.0) >= 30
    near = [x for x in limits if np.isfinite(x) and (not logarithmic or x > 0)]
    for limit in near:  # a limit far beyond all values would squeeze them into one bin
        span = max(high - low, abs(limit) * 0.1, 1e-9)
        if logarithmic or limit - high < 2 * span:
            high = max(high, limit)
        if logarithmic or low - limit < 2 * span:
            low = min(low, limit)
    if high <= low:
        high = low + max(1.0 if whole else max(abs(low), 1.0) * 0.1, abs(low) * 1e-9)
    if logarithmic:
        edges = np.geomspace(max(low, 1.0), high * 1.02, BINS + 1)
    elif whole and high - low <= BINS:
        return np.unique(np.arange(low - 0.5, high + 1.5)), False
    else:
        edges = np.linspace(low, high, BINS + 1)
    for limit in near:
        if edges[0] < limit < edges[-1]:
            edges[1 + int(np.argmin(np.abs(edges[1:-1] - limit)))] = limit
    return np.unique(edges), logarithmic


def limits_of(keep: Keep) -> tuple[float, ...]:
    """The finite bounds of a rule."""
    found = [getattr(keep, name) for name in ("min", "max", "above", "below")]
    return tuple(float(x) for x in found if x is not None and np.isfinite(x))


FACTORS = (0.5, 0.8, 1.25, 2.0)
"""Other thresholds, as multiples of a threshold."""


def changed_bounds(name: str, value: float) -> list[float]:
    """Other values of a bound, two on each side; those of a fraction or probability stay below 1.

    >>> changed_bounds("word_count", 50.0), changed_bounds("language_probability", 0.65)
    ([25.0, 40.0, 62.0, 100.0], [0.325, 0.52, 0.825, 0.912])
    """
    if not value or not np.isfinite(value):
        return []
    unit = name.endswith(("_fraction", "_probability")) and 0 < value <= 1
    found = [rounded(value * factor, value) for factor in FACTORS]
    if unit and value * FACTORS[-1] >= 1:
        found[2:] = [rounded(1 - (1 - value) * factor, value) for factor in (0.5, 0.25)]
    return [x for x in dict.fromkeys(found) if x != value]


def rounded(value: float, like: float) -> float:
    """A bound rounded as another one is: whole numbers stay whole, others get three digits."""
    return float(round(value)) if float(like).is_integer() and abs(like) > 1 else float(f"{value:.3g}")
