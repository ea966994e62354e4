"""Fitting L(N, D) = E + A / N^alpha + B / D^beta to runs.

The objective is Hoffmann's (arXiv 2203.15556, equation 3): the Huber loss (delta 1e-3) of log L, with log-sum-exp over the
three terms, minimised by L-BFGS from a grid of starting points. Two numerical choices differ from the paper and leave the
minimum where it is: log N and log D are centred, which makes a and alpha nearly independent, and only the starting points with
the least objective are followed. Objectives are summed, not averaged: Besiroglu et al. 2024 (arXiv 2404.10102) showed that the
average made the optimiser of the original paper stop early.

Invariants: equal runs and seeds give equal results; a fit that did not converge raises.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize
from scipy.special import huber
from threadpoolctl import threadpool_limits

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws.parametric import Law

Floats = NDArray[np.float64]

DELTA = 1e-3
FEWEST = 5
ENOUGH = 32  # below it, exponents and allocations are not identified: Epoch's bootstrap of 240 runs has 6% on alpha
FOLLOWED = 24
POLISHED = 3
RESTARTS = 20
LBFGS = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 20}
NAMES = ("A", "B", "E", "alpha", "beta")
GRID = ((0, 5, 10, 15, 20, 25), (0, 5, 10, 15, 20, 25), (-1, -0.5, 0, 0.5, 1), (0, 0.5, 1, 1.5, 2), (0, 0.5, 1, 1.5, 2))


@dataclass(frozen=True)
class Runs:
    """Training runs: parameters, tokens and final losses, float64[runs] each, all positive."""

    parameters: Floats
    tokens: Floats
    losses: Floats

    def __len__(self) -> int:
        return len(self.losses)

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Runs":
        return Runs(self.parameters[rows], self.tokens[rows], self.losses[rows])


@dataclass(frozen=True)
class Fit:
    """A fitted law. `replicates` are the laws of the bootstrap, float64[replicates, 5] in the order of `NAMES`."""

    law: Law
    objective: float
    replicates: Floats
    failed: int

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors by bootstrap; empty without replicates."""
        if len(self.replicates) < 2:
            return {}
        return dict(zip(NAMES, self.replicates.std(axis=0, ddof=1).tolist(), strict=True))


def residuals(law: Law, runs: Runs) -> Floats:
    """log(predicted) - log(observed), float64[runs]."""
    predicted = law.E + law.A * runs.parameters**-law.alpha + law.B * runs.tokens**-law.beta
    return np.asarray(np.log(predicted) - np.log(runs.losses))


class _Objective:
    """Value and gradient at (a', b', e, alpha, beta), where a' = log A - alpha mean(log N), and b' likewise."""

    def __init__(self, runs: Runs) -> None:
        log_n, log_d = np.log(runs.parameters), np.log(runs.tokens)
        self.shift = (float(log_n.mean()), float(log_d.mean()))
        self.n, self.d, self.target = log_n - self.shift[0], log_d - self.shift[1], np.log(runs.losses)

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        terms = np.stack([x[0] - x[3] * self.n, x[1] - x[4] * self.d, np.full_like(self.n, x[2])])
        top = terms.max(axis=0)
        weights = np.exp(terms - top)
        total = weights.sum(axis=0)
        residual = top + np.log(total) - self.target
        pull = np.clip(residual, -DELTA, DELTA) * (weights / total)
        gradient = np.array([*pull.sum(axis=1), -(pull[0] @ self.n), -(pull[1] @ self.d)])
        return float(huber(DELTA, residual).sum()), gradient

    def start(self, point: Sequence[float]) -> Floats:
        a, b, e, alpha, beta = point
        return np.array([a - alpha * self.shift[0], b - beta * self.shift[1], e, alpha, beta])

    def once(self, x: Floats) -> OptimizeResult:
        """L-BFGS from a point."""
        scale = 1 / DELTA**2  # scales the objective to about 1, the scale of L-BFGS's tolerances

        def scaled(y: Floats) -> tuple[float, Floats]:
            value, gradient = self(y)
            return scale * value, scale * gradient

        return cast(OptimizeResult, minimize(scaled, x, jac=True, method="L-BFGS-B", options=LBFGS))

    def minimise(self, x: Floats) -> OptimizeResult:
        """L-BFGS, begun again from where it stopped until that gains nothing: its line search fails at the kinks of the Huber
        loss's second derivative although the point is not yet a minimum (12% of the replicates of Hoffmann's figure)."""
        result = self.once(x)
        for _ in range(RESTARTS):
            again = self.once(result.x)
            gain, result = float(result.fun - again.fun), again
            result.success = bool(np.isfinite(again.fun))
            if gain <= 1e-9 * abs(float(again.fun)):
                return result
        result.success = False
        return result

    def natural(self, x: Floats) -> Floats:
        """The point as A, B, E, alpha, beta."""
        return np.array([np.exp(x[0] + x[3] * self.shift[0]), np.exp(x[1] + x[4] * self.shift[1]), np.exp(x[2]), x[3], x[4]])


def fit(runs: Runs, bootstrap: int = 200, seed: int = 0) -> Fit:
    """Fit a law, with ``bootstrap`` refits on runs drawn with replacement.

    A replicate starts from the fit of all runs. Replicates that do not converge are left out and counted in ``failed``.
    Raises `EvidenceError` for fewer than five runs, for runs that do not vary, where no start converges, and where the best fit
    has an exponent of 0 or less.
    """
    _check(runs)
    # Threads gain nothing on vectors of hundreds, and wait for each other where cores are busy: 5.8 against 0.35 CPU seconds.
    with threadpool_limits(1, user_api="blas"):
        return _fit(runs, bootstrap, seed)


def _fit(runs: Runs, bootstrap: int, seed: int) -> Fit:
    objective = _Objective(runs)
    starts = sorted((objective.start(p) for p in itertools.product(*GRID)), key=lambda x: objective(x)[0])[:FOLLOWED]
    reached = sorted(map(objective.once, starts), key=lambda result: float(result.fun))[:POLISHED]
    found = [result for result in (objective.minimise(near.x) for near in reached) if _converged(result)]
    if not found:
        raise EvidenceError(
            f"the fit did not converge from any of {FOLLOWED} starting points on {len(runs)} runs: the losses may not fall "
            "with parameters and tokens. Check the columns, drop runs that diverged, or add runs of other sizes"
        )
    best = min(found, key=lambda result: float(result.fun))
    values = objective.natural(best.x)
    for name, of in (("alpha", "parameters"), ("beta", "tokens")):
        if not values[NAMES.index(name)] > 0:
            raise EvidenceError(
                f"the best fit of {len(runs)} runs has {name} {values[NAMES.index(name)]:.3g}: under it the loss rises with "
                f"{of}, so no law of this form describes the runs. Check the columns, and leave out runs that diverged or "
                "whose schedule had not ended"
            )
    source = f"fitted to {len(runs)} runs, Huber loss of log L"
    made = Law.of("fitted", values, source, "as counted in the runs")
    replicates, failed = _bootstrap(runs, best.x, objective, bootstrap, seed)
    return Fit(made, float(best.fun) * DELTA**2, replicates, failed)


def _converged(result: OptimizeResult) -> bool:
    return bool(result.success)


def _bootstrap(runs: Runs, x: Floats, all_runs: _Objective, count: int, seed: int) -> tuple[Floats, int]:
    generator, kept, failed = np.random.default_rng(seed), [], 0
    values = all_runs.natural(x)
    point = (np.log(values[0]), np.log(values[1]), x[2], x[3], x[4])
    for _ in range(count):
        objective = _Objective(runs[generator.integers(len(runs), size=len(runs))])
        result = objective.minimise(objective.start(point))
        if _converged(result) and (result.x[3:] > 0).all():
            kept.append(objective.natural(result.x))
        else:
            failed += 1
    return np.array(kept).reshape(-1, len(NAMES)), failed


def _check(runs: Runs) -> None:
    if len(runs) < FEWEST:
        raise EvidenceError(f"expected at least {FEWEST} runs for five coefficients, found {len(runs)}")
    for name, values in (("parameters", runs.parameters), ("tokens", runs.tokens), ("loss", runs.losses)):
        wrong = ~(np.isfinite(values) & (values > 0))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise EvidenceError(f"run {row + 1}: expected {name} above zero, found {values[row]:g}")
        if name != "loss" and len(np.unique(values)) < 2:
            raise EvidenceError(
                f"expected runs of several {name}, all {len(runs)} have {values[0]:g}: its exponent cannot be fitted. "
                f"Add runs with other {name}"
            )


def laws(fitted: Fit) -> list[Law]:
    """The bootstrap's replicates as laws."""
    return [Law.of("replicate", row, fitted.law.source, fitted.law.counts) for row in fitted.replicates]


def interval(values: Sequence[float] | Floats, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of a bootstrap; nan, nan of nothing."""
    if len(values) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(np.asarray(values, np.float64), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
