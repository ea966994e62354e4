"""The answers of `goldwash plan` as plain values: a budget under every law, the share to keep, serving.

Invariants: no printing; every answer holds the source of its numbers. C = 6 N D throughout; an exact count for a shape is
reported beside it and changes no allocation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws import kaplan, keep, repetition, serving, uncertainty
from goldwash.evidence.laws.parametric import Allocation, Law, law, third
from goldwash.evidence.laws.shape import Shape
from goldwash.evidence.quantities import short
from goldwash.evidence.tables import table

LAWS = ("epoch", "hoffmann", "muennighoff", "kaplan")
DEFAULT = "epoch"
FITTED = (1.4e18, 1.3e22)  # FLOPs of the smallest and largest run in Hoffmann's figure 4
SMALLEST = 1e3  # parameters and tokens; Kaplan's smallest model has 768
Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Budget:
    """The run to plan, or None if only compute was given, and the compute."""

    run: Allocation | None
    compute: float
    pool: float | None = None
    scale: str | None = None


@dataclass(frozen=True)
class Verdict:
    """One law's answer. `loss` is that of the budget's run, None if only compute was given."""

    law: str
    loss: float | None
    loss_interval: Interval
    optimum: Allocation
    parameters_interval: Interval
    tokens_interval: Interval
    optimum_loss: float
    counts: str
    source: str
    flops: str = "6 N D"
    """What the law counts as C."""


def budget(compute: float | None, parameters: float | None, tokens: float | None, scale: str | None) -> Budget:
    """The budget of two of the three, of compute alone, or of a DCLM scale. Raises `EvidenceError` for contradictions."""
    if scale is not None:
        if any(value is not None for value in (compute, parameters, tokens)):
            raise EvidenceError(
                "--scale sets parameters and tokens; give it alone, or two of --compute, --parameters, --tokens"
            )
        rows = table("scales")
        if scale not in rows:
            raise EvidenceError(f"unknown scale {scale!r}; there are: {', '.join(rows)}")
        row = rows[scale]
        run = Allocation(float(row["parameters"]), 20.0 * row["parameters"] * row["multiplier"])
        return Budget(run, run.compute, float(row["pool"]), scale)
    if compute is not None and parameters is None and tokens is None:
        _possible(law(DEFAULT).optimum(compute), compute)
        return Budget(None, compute)
    run = third(compute, parameters, tokens)
    _possible(run, run.compute)
    return Budget(run, run.compute)


def _possible(run: Allocation, compute: float) -> None:
    if min(run) < SMALLEST:
        raise EvidenceError(
            f"{compute:.3g} FLOPs leave {short(run.parameters)} parameters and {short(run.tokens)} tokens: no model is so "
            "small; check the exponents of the budget"
        )


def parametric(name: str) -> Law:
    """The parametric law of this name. Raises `EvidenceError` for Kaplan, whose loss and allocation are separate fits."""
    if name == "kaplan":
        raise EvidenceError(
            "kaplan has no parametric loss with an optimum of its own; use --law epoch, hoffmann or muennighoff"
        )
    return law(name)


def verdicts(wanted: Budget) -> list[Verdict]:
    """Every law's loss of the run, and its optimum at the same compute."""
    return [_kaplan(wanted) if name == "kaplan" else _verdict(name, wanted) for name in LAWS]


def _verdict(name: str, wanted: Budget) -> Verdict:
    made, replicates = law(name), uncertainty.replicates(name)
    run, best = wanted.run, made.optimum(wanted.compute)
    return Verdict(
        name,
        made.loss(*run) if run else None,
        uncertainty.spread(replicates, lambda one: one.loss(*run)) if run else None,
        best,
        uncertainty.spread(replicates, lambda one: one.optimum(wanted.compute).parameters),
        uncertainty.spread(replicates, lambda one: one.optimum(wanted.compute).tokens),
        made.loss(*best),
        made.counts,
        made.source,
    )


def _kaplan(wanted: Budget) -> Verdict:
    best = kaplan.optimum(wanted.compute)
    loss = kaplan.loss(*wanted.run) if wanted.run else None
    return Verdict("kaplan", loss, None, best, None, None, kaplan.loss(*best), kaplan.COUNTS, kaplan.SOURCE, kaplan.FLOPS)


def outside(compute: float) -> str | None:
    """Why a budget is an extrapolation of every law; None where it is among the runs behind the default one.

    Hoffmann's figure 4, of which the default law is a refit, has runs of 1.4e18 to 1.3e22 FLOPs.
    """
    least, most = FITTED
    if least <= compute <= most:
        return None
    side = "below" if compute < least else "above"
    return f"{compute:.3g} FLOPs are {side} the runs that the laws were fitted to ({least:.2g} to {most:.2g}): extrapolated"


@dataclass(frozen=True)
class Keeping:
    """Which share to keep. `low` and `high` are the best shares if the multiplier is at the ends of its published range."""

    pool: float
    rows: list[keep.Choice]
    best: keep.Choice
    low: keep.Choice
    high: keep.Choice
    crossover: float
    compute_multiplier: float
    source: str
    within: list[float]
    """Shares whose loss is within the interval of the best one's: the law cannot tell them apart."""


def keeping(
    name: str, wanted: Budget, pool: float, multipliers: Sequence[keep.Multiplier], shares: Sequence[float] = keep.SHARES
) -> Keeping:
    """The best share at a budget; ``multipliers`` are the value and, where known, its low and high end."""
    made = parametric(name)
    size = wanted.run.parameters if wanted.run else None
    value, ends = multipliers[0], [*multipliers[1:], multipliers[0], multipliers[0]][:2]
    rows = keep.choices(made, pool, value, wanted.compute, size, shares)
    best = keep.best(rows)
    at_ends = [keep.best(keep.choices(made, pool, end, wanted.compute, size, shares)) for end in ends]
    return Keeping(
        pool, rows, best, at_ends[0], at_ends[1],
        keep.crossover(made, pool, value, shares),
        keep.compute_multiplier(made, pool, value, best.share, wanted.compute),
        value.source,
        _indistinct(name, rows, best),
    )  # fmt: skip


def _indistinct(name: str, rows: Sequence[keep.Choice], best: keep.Choice) -> list[float]:
    """The shares that win under some 5% of the replicates of the law: paired, so that common error cancels."""
    replicates = uncertainty.replicates(name)
    if not replicates:
        return []
    wins: dict[float, int] = {}
    for one in replicates:
        losses = {row.share: repetition.loss(one, *row.run, row.unique, row.quality) for row in rows}
        winner = min(losses, key=lambda share: (losses[share], -share))
        wins[winner] = wins.get(winner, 0) + 1
    return sorted(share for share, count in wins.items() if count >= 0.05 * len(replicates) and share != best.share)


@dataclass(frozen=True)
class Serving:
    """A run against the cheapest run with its loss, for a number of served tokens."""

    served: float
    loss: float
    asked: serving.Served
    best: serving.Served
    parameters_interval: Interval
    source: str = serving.SOURCE


def serve(name: str, wanted: Budget, served: float) -> Serving:
    """The smallest total cost for the quality of the run; without a run, of the optimum at the budget's compute."""
    made = parametric(name)
    run = wanted.run or made.optimum(wanted.compute)
    loss = made.loss(*run)
    found = uncertainty.spread(
        uncertainty.replicates(name), lambda one: serving.cheapest(one, one.loss(*run), served).run.parameters
    )
    return Serving(served, loss, serving.cost(run, served), serving.cheapest(made, loss, served), found)


@dataclass(frozen=True)
class Prices:
    """Prices of compute. The defaults are assumptions, and are printed as such."""

    peak_flops: float = 989e12
    utilisation: float = 0.4
    gpu_hour: float = 2.0
    cpu_hour: float = 0.04

    def gpu_hours(self, flops: float) -> float:
        """Hours of one GPU for this many FLOPs."""
        return flops / (self.peak_flops * self.utilisation) / 3600

    def net(self, multiplier: float, flops: float, cpu_hours: float) -> float:
        """The multiplier net of curation: the cost of training on the raw pool over the cost of training plus curation."""
        training = self.gpu_hours(flops) * self.gpu_hour
        return multiplier * training / (training + cpu_hours * self.cpu_hour)


def exact(shape: Shape, wanted: Budget) -> dict[str, Any]:
    """The shape's parameters, both counts, and its exact FLOPs beside 6 N D."""
    tokens = wanted.run.tokens if wanted.run else math.nan
    parameters = shape.parameters()
    return {
        "parameters_with_embeddings": parameters,
        "parameters_without_embeddings": shape.without_embeddings,
        "flops_per_token": shape.flops_per_token,
        "flops": shape.flops_per_token * tokens,
        "over_6nd": shape.flops_per_token / (6 * parameters),
        "source": "PaLM, arXiv 2204.02311, appendix B",
    }
