"""Repeated data: Muennighoff et al. 2023, arXiv 2305.16264, equations 5 and 6.

A token seen for the r-th time is worth exp(-r / R_D) of a fresh one; parameters beyond the optimum for the unique tokens decay
likewise, with R_N. Invariants: pure; without repeats, and with no more parameters than the optimum for its tokens, the loss is
that of the law.
"""

import math

import numpy as np
from scipy.optimize import minimize_scalar

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws.parametric import FLOPS_PER_PARAMETER_TOKEN, Allocation, Law
from goldwash.evidence.quantities import short
from goldwash.evidence.tables import table

SOURCE = "Muennighoff et al. 2023, arXiv 2305.16264"


def effective(unique: float, used: float, half_life: float) -> float:
    """The value in fresh units of ``used`` units, ``unique`` of them distinct: U + U R* (1 - exp(-R / R*)), R = used / U - 1.

    Returns ``used`` where nothing repeats. The most that repeats can give is U (1 + R*).
    """
    repeats = max(used / unique - 1, 0)
    return min(unique, used) + unique * half_life * -math.expm1(-repeats / half_life)


def effective_tokens(unique: float, tokens: float) -> float:
    """The value of ``tokens`` of training in fresh tokens.

    >>> f"{effective_tokens(1e9, 4e9):.3g} of 4e9"
    '3.73e+09 of 4e9'
    """
    return effective(unique, tokens, table("laws")["muennighoff"]["tokens_half_life"])


def loss(law: Law, parameters: float, tokens: float, unique: float, quality: float = 1.0) -> float:
    """The loss of ``law`` on ``tokens`` of which ``unique`` are distinct; each token is worth ``quality`` of the law's data.

    Raises `EvidenceError` where more tokens are unique than are used.
    """
    if unique > tokens * (1 + 1e-12):
        raise EvidenceError(f"expected at most {short(tokens)} unique tokens, the tokens of the run; found {short(unique)}")
    fit = table("laws")["muennighoff"]
    unique_parameters = min(parameters, law.optimal_parameters(quality * unique))
    return law.loss(
        effective(unique_parameters, parameters, fit["parameters_half_life"]),
        quality * effective(unique, tokens, fit["tokens_half_life"]),
    )


def optimum(law: Law, compute: float, pool: float, quality: float = 1.0) -> Allocation:
    """The allocation with the least loss at ``compute`` FLOPs where only ``pool`` distinct tokens exist."""

    def objective(log_parameters: float) -> float:
        parameters = math.exp(log_parameters)
        tokens = compute / (FLOPS_PER_PARAMETER_TOKEN * parameters)
        return loss(law, parameters, tokens, min(pool, tokens), quality)

    # The objective has a kink where repeats begin: find the basin on a grid, then refine.
    centre = math.log(law.optimum(compute * quality).parameters)
    grid = np.linspace(centre - 12, centre + 12, 241)
    best = grid[int(np.argmin([objective(float(x)) for x in grid]))]
    found = minimize_scalar(objective, bounds=(best - 0.1, best + 0.1), method="bounded", options={"xatol": 1e-9})
    parameters = math.exp(float(found.x))
    return Allocation(parameters, compute / (FLOPS_PER_PARAMETER_TOKEN * parameters))
