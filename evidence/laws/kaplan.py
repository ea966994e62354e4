"""Kaplan et al. 2020, arXiv 2001.08361: the optimum as power laws of compute, the loss, and how much data avoids overfitting.

Invariants: pure. N excludes embeddings. C_min is in PF-days (8.64e19 FLOPs) inside the paper's formulas and in FLOPs here.
The published allocation and the published loss are separate fits; the allocation does not minimise the loss exactly.
"""

from goldwash.evidence.laws.parametric import Allocation
from goldwash.evidence.tables import table

SOURCE = "Kaplan et al. 2020, arXiv 2001.08361"
COUNTS = "without embeddings"
FLOPS = "C_min, the 6 N D of training at small batches; its loss takes the run's N as it is given"


def optimum(compute: float) -> Allocation:
    """Parameters and tokens at ``compute`` FLOPs; their product times 6 is not exactly C, as in the paper.

    >>> best = optimum(5.76e23)
    >>> f"{best.parameters:.3g} {best.tokens:.3g}"
    '8.04e+11 2.16e+11'
    """
    fit = table("kaplan")["optimum"]
    days = compute / fit["flops_per_unit"]
    return Allocation(fit["parameters"] * days ** fit["parameters_exponent"], fit["tokens"] * days ** fit["tokens_exponent"])


def loss(parameters: float, tokens: float) -> float:
    """Nats per token (equation 1.5)."""
    fit = table("kaplan")["loss"]
    size = (fit["N_c"] / parameters) ** (fit["alpha_N"] / fit["alpha_D"])
    return float((size + fit["D_c"] / tokens) ** fit["alpha_D"])


def least_tokens(parameters: float) -> float:
    """Tokens that keep the loss within 2% of unlimited data, as printed: 5e3 N^0.74 (equation 4.4)."""
    fit = table("kaplan")["overfitting"]
    return float(fit["coefficient"] * parameters ** fit["exponent"])


def least_tokens_law(tolerance: float | None = None) -> tuple[float, float]:
    """Coefficient and exponent of `least_tokens` recomputed from the loss.

    >>> coefficient, exponent = least_tokens_law()
    >>> f"{coefficient:.3g} N^{exponent:.3f}"
    '5.52e+03 N^0.738'
    """
    fit, allowed = table("kaplan")["loss"], table("kaplan")["overfitting"]["tolerance"] if tolerance is None else tolerance
    exponent = fit["alpha_N"] / fit["alpha_D"]
    excess = (1 + allowed) ** (1 / fit["alpha_D"]) - 1
    return fit["D_c"] / fit["N_c"] ** exponent / excess, exponent
