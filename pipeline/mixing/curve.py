"""OLMo 3's quality-aware upsampling: how often to repeat each quality bucket of a source.

Invariants: buckets are in rising quality. On the share of the source's tokens, 0 to 1, the buckets that end at or below
``discard`` are dropped; a kept bucket is repeated as often as the mean, over its own share, of

    C * x^p * e^(lambda * x)        x: the share of tokens between the first kept bucket and here

C makes the total the target. Of the curves whose largest bucket is at most ``cap``, the steepest is taken: the largest p of the
grid for which lambda = its least value fits, and with it the largest lambda that fits. Where no curve of the grid fits, all
kept buckets are repeated equally (p = lambda = 0).

The rule was inferred from the published table (allenai/dolma3, 387 buckets): it gives 22 of 24 topics to 1e-9; the two that hit
the cap differ by up to 6.3% in a bucket.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-9
"""Relative error that is allowed where shares are compared with the discarded one, or repeats with the cap."""


class CurveError(ValueError):
    """A target that no curve reaches, or bounds that cannot be; the message says what was expected and found."""


@dataclass(frozen=True)
class Curve:
    """The bounds of the curves that are tried. The defaults are those of OLMo 3's published mixture."""

    discard: float = 0.4
    """The share of the source's tokens, from the lowest quality, that is dropped (whole buckets)."""
    cap: float = 7.0
    """The most repeats of a bucket."""
    power: tuple[float, float] = (0.01, 2.0)
    """The least and the largest p."""
    powers: int = 20
    """How many values of p are tried, evenly spaced."""
    rate: tuple[float, float] = (0.0, 0.2)
    """The least and the largest lambda."""

    def __post_init__(self) -> None:
        if not 0 <= self.discard < 1:
            raise CurveError(f"discard is {self.discard:g}; expected at least 0 and less than 1")
        if not (np.isfinite(self.cap) and self.cap > 0):
            raise CurveError(f"cap is {self.cap:g}; expected a number above 0")
        if not 0 <= self.power[0] <= self.power[1] <= 100:
            raise CurveError(f"power is {list(self.power)}; expected two numbers from 0 to 100, the smaller first")
        if not 0 <= self.rate[0] <= self.rate[1] <= 20:
            raise CurveError(f"rate is {list(self.rate)}; expected two numbers from 0 to 20, the smaller first")
        if self.powers < 1:
            raise CurveError(f"powers is {self.powers}; expected 1 or more")


@dataclass(frozen=True)
class Solved:
    """A curve that reaches a target: C, p, lambda, the share at which it begins, and the repeats: ``float64[buckets]``."""

    scale: float
    power: float
    rate: float
    begin: float
    repeats: Floats


def solve(curve: Curve, sizes: Floats, target: float) -> Solved:
    """The steepest curve that takes ``target`` from buckets of these sizes (``float64[buckets]``, rising quality).

    Raises `CurveError` where the kept buckets, each repeated ``cap`` times, do not hold the target.
    """
    total = float(sizes.sum())
    if not total > 0:
        raise CurveError("there is nothing in any of its buckets")
    ends = np.cumsum(sizes) / total
    first = int(np.searchsorted(ends, curve.discard + TOLERANCE, side="right"))
    begin = float(ends[first - 1]) if first else 0.0
    room = curve.cap * float(sizes[first:].sum())
    if target > room * (1 + TOLERANCE):
        raise CurveError(
            f"{target:,.0f} are wanted, but with the lowest {curve.discard:g} discarded and at most {curve.cap:g} repeats "
            f"there are {room:,.0f}: lower its weight or the total, discard less, or raise the cap"
        )
    edges = np.concatenate([[0.0], np.maximum(ends - begin, 0.0)])
    edges[-1] = 1.0 - begin  # the sum of shares is 1 but for the last digit
    kept = np.arange(len(sizes)) >= first

    def repeats(power: float, rate: float) -> tuple[float, Floats]:
        areas = np.where(kept, np.diff(_integral(edges, power, rate)), 0.0)
        scale = target / total / float(areas.sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(sizes > 0, scale * areas * total / sizes, 0.0)
        return scale, mean

    from scipy.optimize import brentq  # here: it takes 0.4 s to import, and most mixtures have no curve

    def excess(power: float, rate: float) -> float:
        return float(repeats(power, rate)[1].max()) - curve.cap

    least, most = curve.rate
    limit = curve.cap * TOLERANCE
    for power in np.linspace(*curve.power, curve.powers)[::-1].tolist():
        if excess(power, most) <= limit:
            return Solved(*_named(repeats(power, most), power, most, begin))
        if excess(power, least) <= 0:
            rate = float(brentq(lambda rate, power=power: excess(power, rate), least, most, xtol=1e-15))
            return Solved(*_named(repeats(power, rate), power, rate, begin))
    flat = target / float(sizes[first:].sum())
    return Solved(flat, 0.0, 0.0, begin, np.where(kept & (sizes > 0), flat, 0.0))


def _named(found: tuple[float, Floats], power: float, rate: float, begin: float) -> tuple[float, float, float, float, Floats]:
    return found[0], power, rate, begin, found[1]


def _integral(x: Floats, power: float, rate: float) -> Floats:
    """The integral of t^power e^(rate t) from 0 to each x >= 0: the series in rate, whose terms are all positive."""
    total, term = np.zeros_like(x), x ** (power + 1)
    for k in range(int(60 + 8 * rate)):
        total += term / (power + k + 1)
        term = term * (rate * x / (k + 1))
    return total
