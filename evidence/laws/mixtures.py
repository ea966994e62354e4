"""Mixtures of sources: which to train proxies on, and which to choose from their results.

The design is D-optimal: from a pool of candidate mixtures it takes those that maximise log det of the information of the
regression that will be fitted (Bayesian, with a weak prior, so that fewer runs than features are allowed). Fedorov's exchange.
The fit is Olmix's log-linear law for each metric, metric = c + exp(k + t . weights) (arXiv 2602.12237), and its proposal is the
convex minimum of the mean prediction plus a KL term towards the natural distribution, under a cap on repeats.
Invariants: a mixture is float64[sources], not negative, with sum 1; equal seeds give equal designs.
Files: Olmix's ``ratios.csv`` and ``metrics.csv`` (`goldwash.pipeline.mixing.olmix`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from goldwash.evidence.errors import EvidenceError
from goldwash.pipeline.mixing.olmix import metrics_csv, ratios_csv, read_ratios, read_table
from goldwash.pipeline.storage.failures import DataError

__all__ = [
    "LogLinear", "Swarm", "candidates", "caps", "design", "features", "fit_log_linear", "information", "metrics_csv",
    "natural_mixture", "propose", "ratios_csv", "read_swarm",
]  # fmt: skip

Floats = NDArray[np.float64]
PRIOR = 1e-3  # of the design: weak against one run, enough to invert
RIDGE = 1e-4


def features(mixtures: Floats) -> Floats:
    """float64[mixtures, sources + sources (sources - 1) / 2]: the weights and their products, Scheffé's quadratic form."""
    rows, columns = np.triu_indices(mixtures.shape[1], 1)
    return np.hstack([mixtures, mixtures[:, rows] * mixtures[:, columns]])


def candidates(natural: Floats, count: int, seed: int) -> Floats:
    """Candidate mixtures: each source alone, halves of two, the natural mixture, and Dirichlet draws around it and uniform."""
    size, generator = len(natural), np.random.default_rng(seed)
    pairs = [(np.eye(size)[i] + np.eye(size)[j]) / 2 for i in range(size) for j in range(i)]
    around = generator.dirichlet(np.maximum(natural * size, 0.05), count // 2)
    uniform = generator.dirichlet(np.ones(size), count - count // 2)
    return np.vstack([np.eye(size), *(p[None] for p in pairs), natural[None], around, uniform])


def information(mixtures: Floats) -> float:
    """log det of the design's information matrix; what `design` maximises."""
    x = features(mixtures)
    return float(np.linalg.slogdet(x.T @ x + PRIOR * np.eye(x.shape[1]))[1])


def design(natural: Floats, runs: int, seed: int = 0, count: int = 1000, most: Floats | None = None) -> Floats:
    """``runs`` mixtures, float64[runs, sources], the natural one first. ``most`` caps each source's weight (repeats).

    Raises `EvidenceError` for fewer than two sources or runs, or where the bounds leave no candidate.
    """
    if len(natural) < 2 or runs < 2:
        raise EvidenceError(f"expected at least two sources and two runs, found {len(natural)} and {runs}")
    pool = candidates(natural, count, seed)
    if most is not None:
        pool = pool[(pool <= most + 1e-12).all(axis=1)]
        if len(pool) < runs:
            raise EvidenceError("the caps on repeats leave too few mixtures; allow more repeats or a smaller budget")
    x = features(pool)
    start = int(np.argmin(np.abs(pool - natural).sum(axis=1)))
    chosen = [start]
    inverse = np.linalg.inv(PRIOR * np.eye(x.shape[1]) + np.outer(x[start], x[start])).astype(np.float64)
    while len(chosen) < runs:
        gains = np.einsum("ij,jk,ik->i", x, inverse, x)
        chosen.append(int(np.argmax(gains)))
        inverse = _updated(inverse, x[chosen[-1]], 1.0)
    return pool[_exchange(x, inverse, chosen)]


def _updated(inverse: Floats, row: Floats, sign: float) -> Floats:
    """Sherman-Morrison: the inverse after a row enters (1) or leaves (-1)."""
    column = inverse @ row
    return np.asarray(inverse - sign * np.outer(column, column) / (1 + sign * row @ column))


def _exchange(x: Floats, inverse: Floats, chosen: list[int]) -> list[int]:
    """Swap one run at a time while that raises the determinant; the first (natural) stays."""
    for _ in range(20):
        improved = False
        for place in range(1, len(chosen)):
            without = _updated(inverse, x[chosen[place]], -1.0)
            gains = np.einsum("ij,jk,ik->i", x, without, x)
            best = int(np.argmax(gains))
            if gains[best] > gains[chosen[place]] * (1 + 1e-9):
                chosen[place], improved = best, True
            inverse = _updated(without, x[chosen[place]], 1.0)
        if not improved:
            break
    return chosen


@dataclass(frozen=True)
class Swarm:
    """Runs of a swarm: mixtures float64[runs, sources] and metrics float64[runs, metrics], lower is better."""

    runs: tuple[str, ...]
    sources: tuple[str, ...]
    metrics: tuple[str, ...]
    mixtures: Floats
    values: Floats


def read_swarm(ratios: str, metrics: str) -> Swarm:
    """Join the texts of the two files. Raises `EvidenceError` for missing ids or columns, or weights that do not sum to 1."""
    with _as_evidence():
        mixtures = read_ratios(ratios)
        names, values = read_table(metrics, "metrics.csv")
    lost = sorted(set(mixtures) ^ set(values))
    if lost:
        raise EvidenceError(f"ratios.csv and metrics.csv must name the same runs; only in one of them: {', '.join(lost[:5])}")
    runs = tuple(mixtures)
    weights = np.array([list(mixtures[run].values()) for run in runs])
    return Swarm(runs, tuple(mixtures[runs[0]]), names, weights, np.array([list(values[run].values()) for run in runs]))


@contextmanager
def _as_evidence() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise EvidenceError(str(error)) from error


@dataclass(frozen=True)
class LogLinear:
    """metric = floor + exp(weights . slopes), for each metric: floor float64[metrics], slopes float64[metrics, sources]."""

    floor: Floats
    slopes: Floats

    def predict(self, mixtures: Floats) -> Floats:
        """float64[mixtures, metrics]."""
        return np.asarray(self.floor + np.exp(mixtures @ self.slopes.T))


def fit_log_linear(swarm: Swarm) -> LogLinear:
    """Least squares for each metric, with a weak ridge towards equal slopes.

    The weights sum to 1, so the slopes hold the constant too.
    """
    floors, slopes = [], []
    for column in swarm.values.T:
        lowest = float(column.min())

        def residual(x: Floats, column: Floats = column, lowest: float = lowest) -> float:
            floor = lowest * (1 - 1 / (1 + np.exp(-x[0])))  # between 0 and the lowest observation
            spread = x[1:] - x[1:].mean()
            error = floor + np.exp(swarm.mixtures @ x[1:]) - column
            return float(error @ error / len(column) + RIDGE * float(column.var() + 1e-12) * (spread @ spread))

        starts = [
            np.concatenate([[z], np.full(swarm.mixtures.shape[1], np.log(max(column.mean() / 2, 1e-9)))]) for z in (-1, 1, 3)
        ]
        found = min((minimize(residual, x, method="L-BFGS-B") for x in starts), key=lambda r: float(r.fun))
        floors.append(lowest * (1 - 1 / (1 + np.exp(-found.x[0]))))
        slopes.append(found.x[1:])
    return LogLinear(np.array(floors), np.array(slopes))


def propose(law: LogLinear, natural: Floats, most: Floats, kl: float = 0.1) -> Floats:
    """The mixture, float64[sources], with the least mean prediction + ``kl`` x KL(mixture || natural), at most ``most``.

    The objective is convex. Raises `EvidenceError` where the caps do not leave a whole mixture.
    """
    if most.sum() < 1 - 1e-9:
        raise EvidenceError(
            f"the sources hold only {most.sum():.3g} of the budget within the cap on repeats; "
            "allow more repeats, or a smaller budget"
        )

    def objective(w: Floats) -> tuple[float, Floats]:
        safe = np.maximum(w, 1e-12)
        parts = np.exp(law.slopes @ w)
        value = float((law.floor + parts).mean() + kl * (safe * np.log(safe / natural)).sum())
        return value, np.asarray(law.slopes.T @ parts / len(parts) + kl * (np.log(safe / natural) + 1))

    start = np.minimum(natural, most)
    room = most - start
    start = start + room * ((1 - start.sum()) / room.sum() if room.sum() > 0 else 0)
    found = minimize(
        objective, start, jac=True, method="SLSQP", bounds=[(0, float(min(m, 1))) for m in most],
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like}, options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    if not found.success:
        raise EvidenceError(f"the proposal did not converge ({found.message}); check that the metrics vary between runs")
    weights = np.clip(found.x, 0, most)
    return np.asarray(weights / weights.sum()) if abs(weights.sum() - 1) > 1e-9 else weights


def caps(tokens: Floats, budget: float, repeats: float) -> Floats:
    """The largest weight of each source: repeats x tokens / budget."""
    return np.minimum(repeats * tokens / budget, 1.0)


def natural_mixture(sources: Mapping[str, float]) -> tuple[tuple[str, ...], Floats, Floats]:
    """Names, tokens and natural weights of sources given as tokens."""
    tokens = np.array(list(sources.values()), np.float64)
    return tuple(sources), tokens, tokens / tokens.sum()
