"""Curves on one axis (tokens, FLOPs, seconds or money): where they cross; is a smaller model, trained longer, the better deal?

Invariants: values are compared on the running best (the least value so far), interpolated linearly in log x, and only where
both curves have data. A training loss is noisy, and its lowest value is a lucky batch: it is first averaged over the last 1% of
the records. Curves of different tokenizers are compared in bits per byte or not at all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldwash.evidence.curves.logs import Curve
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws.parametric import FLOPS_PER_PARAMETER_TOKEN

Floats = NDArray[np.float64]
SMOOTHED = 100
AXES = ("tokens", "flops", "seconds", "money")


@dataclass(frozen=True)
class Axis:
    """What x is. ``price`` is money per hour of the whole machine, for ``money``."""

    kind: str = "tokens"
    price: float | None = None


@dataclass(frozen=True)
class Crossing:
    """From ``at`` on, ``winner`` is the better of the two."""

    winner: str
    loser: str
    at: float


def on_axis(curve: Curve, axis: Axis) -> tuple[Floats, Floats]:
    """x and the values, float64[records] each, where x is above zero. Raises `EvidenceError` where the log does not hold x."""
    if axis.kind not in AXES:
        raise EvidenceError(f"unknown axis {axis.kind!r}; there are: {', '.join(AXES)}")
    values = smooth(_values(curve)) if curve.metric == "loss" else _values(curve)
    x = _x(curve, axis)
    keep = x > 0
    if not keep.any():
        raise EvidenceError(f"{curve.name}: no record has {axis.kind} above zero")
    return x[keep], values[keep]


def _x(curve: Curve, axis: Axis) -> Floats:
    tokens = np.array([record.tokens for record in curve.records])
    if axis.kind == "tokens":
        return tokens
    if axis.kind == "flops":
        stated = [record.flops for record in curve.records]
        if all(value is not None for value in stated):
            return np.array(stated, np.float64)
        if curve.parameters is None:
            raise EvidenceError(f"{curve.name}: the log holds neither FLOPs nor parameters; give --parameters NAME=N")
        return np.asarray(FLOPS_PER_PARAMETER_TOKEN * curve.parameters * tokens)
    seconds = [record.seconds for record in curve.records]
    if any(value is None for value in seconds):
        raise EvidenceError(f"{curve.name}: the log holds no seconds; choose another --axis")
    if axis.kind == "seconds":
        return np.array(seconds, np.float64)
    if axis.price is None or axis.price <= 0:
        raise EvidenceError("--axis money needs --price, the price of an hour of the machine, above zero")
    return np.array(seconds, np.float64) / 3600 * axis.price


def _values(curve: Curve) -> Floats:
    return np.array([record.value for record in curve.records])


def smooth(values: Floats) -> Floats:
    """The mean of the last 1% of the records up to each one; the values themselves below 200 records."""
    window = max(len(values) // SMOOTHED, 1)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - window, 0)
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins))


def envelope(values: Floats) -> Floats:
    """The running best: the least value so far."""
    return np.asarray(np.minimum.accumulate(values))


def at(x: Floats, values: Floats, where: Floats) -> Floats:
    """The running best at ``where``, linear in log x; nan outside of the data."""
    return np.asarray(np.interp(np.log(where), np.log(x), envelope(values), left=np.nan, right=np.nan))


def crossings(first: Curve, second: Curve, axis: Axis) -> tuple[str | None, list[Crossing]]:
    """The better of two curves where both begin, and where the lead changes. None and nothing where they do not overlap."""
    (x1, y1), (x2, y2) = on_axis(first, axis), on_axis(second, axis)
    low, high = max(x1[0], x2[0]), min(x1[-1], x2[-1])
    if low >= high:
        return None, []
    grid = np.unique(np.concatenate([[low, high], x1[(x1 > low) & (x1 < high)], x2[(x2 > low) & (x2 < high)]]))
    gap = at(x1, y1, grid) - at(x2, y2, grid)
    names, found, leader = (first.name, second.name), [], 0.0
    begin: str | None = None
    for i, value in enumerate(gap):
        sign = float(np.sign(value))
        if sign and sign != leader:
            winner, loser = names if sign < 0 else names[::-1]
            if leader:
                found.append(Crossing(winner, loser, _zero(grid, gap, i)))
            else:
                begin = winner
            leader = sign
    return begin, found


def _zero(grid: Floats, gap: Floats, i: int) -> float:
    """Where the gap passes zero before ``grid[i]``, linear in log x."""
    j = i - 1
    while j > 0 and gap[j] == 0:
        j -= 1
    part = gap[j] / (gap[j] - gap[i])
    return float(math.exp(math.log(grid[j]) + part * (math.log(grid[i]) - math.log(grid[j]))))


def check(curves: Sequence[Curve]) -> None:
    """Raise `EvidenceError` where curves cannot be compared: several metrics, or losses per token of several tokenizers."""
    metrics = sorted({curve.metric for curve in curves})
    if len(metrics) > 1:
        raise EvidenceError(
            f"the logs hold different metrics ({', '.join(metrics)}); give --metric with one that all of them have"
        )
    tokenizers = sorted({curve.tokenizer for curve in curves if curve.tokenizer})
    if metrics[0] != "bpb" and len(tokenizers) > 1:
        raise EvidenceError(
            f"runs of {len(tokenizers)} tokenizers ({', '.join(tokenizers[:4])}): losses per token cannot be compared; log "
            "bits per byte in all of them and give --metric bpb"
        )


def doubt(curves: Sequence[Curve]) -> str | None:
    """What nobody said about the tokenizers of losses per token; None where all are known, or one curve, or bits per byte."""
    unknown = [curve.name for curve in curves if not curve.tokenizer]
    if len(curves) < 2 or curves[0].metric == "bpb" or not unknown:
        return None
    return (
        f"no tokenizer is named in {', '.join(unknown[:4])}: losses per token are compared as if all runs had the same; give "
        "--tokenizer LOG=NAME, or log bits per byte"
    )


@dataclass(frozen=True)
class Deal:
    """A smaller model against a larger one at the larger one's final value.

    ``reached`` is the x at which the smaller reaches it, None where its log ends before; ``ratio`` is that over the larger's x;
    ``cheaper_to_serve`` is the larger's parameters over the smaller's.
    """

    smaller: str
    larger: str
    target: float
    larger_x: float
    reached: float | None
    ratio: float | None
    cheaper_to_serve: float


def deals(curves: Sequence[Curve], axis: Axis) -> list[Deal]:
    """Every pair of different sizes, where sizes are known: does the smaller model, trained longer, reach the larger one?"""
    sized = sorted((curve for curve in curves if curve.parameters), key=lambda curve: curve.parameters or 0)
    pairs = [(small, large) for i, small in enumerate(sized) for large in sized[i + 1 :]]
    return [_deal(small, large, axis) for small, large in pairs if (small.parameters or 0) < (large.parameters or 0)]


def _deal(small: Curve, large: Curve, axis: Axis) -> Deal:
    x, y = on_axis(small, axis)
    big_x, big_y = on_axis(large, axis)
    best = envelope(big_y)
    target = float(best[-1])
    larger_x = float(big_x[int(np.argmax(best <= target))])
    below = envelope(y) <= target
    reached = _when(x, envelope(y), int(np.argmax(below)), target) if below.any() else None
    sizes = (large.parameters or math.nan) / (small.parameters or math.nan)
    return Deal(small.name, large.name, target, larger_x, reached, reached / larger_x if reached else None, sizes)


def _when(x: Floats, best: Floats, i: int, target: float) -> float:
    if i == 0 or best[i - 1] == best[i]:
        return float(x[i])
    part = (best[i - 1] - target) / (best[i - 1] - best[i])
    return float(math.exp(math.log(x[i - 1]) + part * (math.log(x[i]) - math.log(x[i - 1]))))
