"""Copies in part of the data: why an intermediate number of copies hurts most.

The experiment of arXiv 2606.24998 in its simplest form: linear regression on a fixed budget of samples, part of which is
R copies each of budget x part / R distinct samples. Few copies cost little, since they are nearly fresh. Very many copies of
very few samples span only a few directions, so they cost little too. In between, many directions are overfitted.
Invariants: equal seeds give equal numbers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from goldwash.evidence.errors import EvidenceError

SOURCE = "linear regression after arXiv 2606.24998"
COPIES = (1, 2, 5, 10, 25, 50, 100, 200)


class Harm(NamedTuple):
    """Excess error at a number of copies: the mean over seeds and its standard error."""

    copies: int
    excess: float
    error: float


def excess_error(width: int, copies: int, budget: int, part: float, generator: np.random.Generator) -> float:
    """|w' - w|^2 of least squares, with unit noise, where ``part`` of ``budget`` samples are ``copies`` of each other."""
    repeated = max(round(budget * part / copies), 1)
    fresh = budget - repeated * copies
    inputs = generator.standard_normal((fresh + repeated, width))
    noise = generator.standard_normal(fresh + repeated)
    weights = np.concatenate([np.ones(fresh), np.full(repeated, float(copies))])
    # The truth may be 0: the error of least squares does not depend on it.
    estimate = np.linalg.solve(inputs.T @ (weights[:, None] * inputs), inputs.T @ (weights * noise))
    return float(estimate @ estimate)


def harm(width: int, copies: Sequence[int] = COPIES, budget: int = 2000, part: float = 0.1, seeds: int = 20) -> list[Harm]:
    """Excess error for each number of copies. Raises `EvidenceError` for a width at or above the distinct samples."""
    if not 0 < part < 1 or min(copies) < 1 or max(copies) > budget * part:
        raise EvidenceError(
            f"repeats: expected a part between 0 and 1 and 1 to {budget * part:g} copies, found {part:g}, {copies}"
        )
    if width >= budget * (1 - part):
        raise EvidenceError(f"repeats: expected fewer than {budget * (1 - part):g} features, found {width}")
    rows = []
    for count in copies:
        with threadpool_limits(1, user_api="blas"):  # as in `fit`: 13 against 0.7 CPU seconds on busy cores
            errors = [excess_error(width, count, budget, part, np.random.default_rng([seed, count])) for seed in range(seeds)]
        rows.append(Harm(count, float(np.mean(errors)), float(np.std(errors, ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0))
    return rows


def peak(rows: Sequence[Harm]) -> Harm:
    """The most harmful number of copies."""
    return max(rows, key=lambda row: row.excess)
