"""Which share of a pool to keep: a stricter filter teaches more per token, and repeats sooner.

A filter keeps ``share`` of ``pool`` tokens. Each token that it keeps is worth q(share) raw ones. The kept tokens are repeated
as often as the budget asks (Muennighoff's decay), and the model has the best size for its share.
Invariants: pure; q(1) = 1; q is log-linear between the points that were measured, and constant below the least of them, which
is marked as an extrapolation.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws import repetition
from goldwash.evidence.laws.parametric import FLOPS_PER_PARAMETER_TOKEN, Allocation, Law
from goldwash.evidence.tables import table

SHARES = (1.0, 0.5, 0.3, 0.2, 0.15, 0.1, 0.05, 0.03, 0.02, 0.01)
LEAST_COMPUTE = 1e15  # lower end of the search for the crossover, in FLOPs
SAME_LOSS = 1e-7  # nats per token
WARN_REPEATS = 4.0  # Muennighoff et al. 2023: up to 4 epochs cost next to nothing
WARN_MIXTURE_REPEATS = 20.0  # arXiv 2605.12715: 15 to 20 repeats of a source inside a mixture


@dataclass(frozen=True)
class Multiplier:
    """The value of a token of each share in raw tokens: points (share, q), including share 1."""

    points: tuple[tuple[float, float], ...]
    source: str

    @staticmethod
    def of(points: Iterable[tuple[float, float]], source: str) -> "Multiplier":
        """From measured points; (1, 1) is added. Raises `EvidenceError` for a share outside (0, 1) or a value of 0 or less."""
        kept = dict(points)
        for share, value in kept.items():
            if not 0 < share <= 1 or not math.isfinite(value) or value <= 0 or (share == 1 and value != 1):
                raise EvidenceError(
                    f"--multiplier: expected SHARE=VALUE, a share between 0 and 1 and a value above 0; "
                    f"found {share:g}={value:g}"
                )
        return Multiplier(tuple(sorted({**kept, 1.0: 1.0}.items())), source)

    def __call__(self, share: float) -> float:
        """q at ``share``, interpolated in log share and log q."""
        shares, values = zip(*self.points, strict=True)
        return float(np.exp(np.interp(math.log(share), np.log(shares), np.log(values))))

    def measured(self, share: float) -> bool:
        """Whether ``share`` is not below the least share that was measured."""
        return share >= self.points[0][0] * (1 - 1e-9)


def published(name: str, bound: str = "value") -> Multiplier:
    """A multiplier of `tables/multipliers.yaml`; ``bound`` is value, low or high. Raises `EvidenceError` for unknown names."""
    rows = table("multipliers")
    if name not in rows:
        raise EvidenceError(f"unknown filter {name!r}; there are: {', '.join(rows)}, or give --multiplier SHARE=VALUE")
    row = rows[name]
    return Multiplier.of([(row["share"], row[bound])] if row["share"] < 1 else [], row["source"])


@dataclass(frozen=True)
class Choice:
    """One share at one budget. `run` is the allocation to train; `effective` is in raw fresh tokens."""

    share: float
    quality: float
    measured: bool
    run: Allocation
    unique: float
    epochs: float
    effective: float
    loss: float


def choice(law: Law, pool: float, share: float, quality: Multiplier, compute: float, parameters: float | None) -> Choice:
    """A share at a compute budget, with the given size or, for None, the best size."""
    value, kept = quality(share), share * pool
    if parameters is None:
        run = repetition.optimum(law, compute, kept, value)
    else:
        run = Allocation(parameters, compute / (FLOPS_PER_PARAMETER_TOKEN * parameters))
    unique = min(kept, run.tokens)
    return Choice(
        share, value, quality.measured(share), run, unique, run.tokens / unique,
        value * repetition.effective_tokens(unique, run.tokens),
        repetition.loss(law, *run, unique, value),
    )  # fmt: skip


def choices(
    law: Law, pool: float, quality: Multiplier, compute: float, parameters: float | None = None,
    shares: Sequence[float] = SHARES,
) -> list[Choice]:  # fmt: skip
    """Every share at a budget, the largest share first."""
    return [choice(law, pool, share, quality, compute, parameters) for share in sorted(set(shares), reverse=True)]


def best(rows: Sequence[Choice]) -> Choice:
    """The choice with the least loss; of those that differ by less than the optimiser's error, the largest share."""
    least = min(row.loss for row in rows)
    return max((row for row in rows if row.loss < least + SAME_LOSS), key=lambda row: row.share)


def compute_multiplier(law: Law, pool: float, quality: Multiplier, share: float, compute: float) -> float:
    """How much more compute the raw pool needs for the loss of ``share`` at ``compute``; infinite where it never gets there.

    Both sides repeat what they must.
    """
    target = choice(law, pool, share, quality, compute, None).loss

    def raw(scale: float) -> float:
        return choice(law, pool, 1.0, quality, compute * scale, None).loss - target

    low, high = 1e-3, 1e6
    if raw(high) > 0:
        return math.inf
    while high / low > 1 + 1e-6:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if raw(middle) > 0 else (low, middle)
    return math.sqrt(low * high)


def crossover(law: Law, pool: float, quality: Multiplier, shares: Sequence[float] = SHARES) -> float:
    """The compute beyond which the whole pool beats every stricter share, in FLOPs; nan if filtering never wins.

    Source of the question: "bitter lesson" of data filtering, arXiv 2605.19407.
    """

    def filter_wins(log_compute: float) -> bool:
        return best(choices(law, pool, quality, 10**log_compute, None, shares)).share < 1

    grid = np.arange(math.log10(LEAST_COMPUTE), 34.01, 0.5)
    wins = [filter_wins(float(x)) for x in grid]
    if not any(wins):
        return math.nan
    last = max(i for i, won in enumerate(wins) if won)
    if last == len(grid) - 1:
        return math.inf
    low, high = float(grid[last]), float(grid[last + 1])
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if filter_wins(middle) else (low, middle)
    return float(10**high)
