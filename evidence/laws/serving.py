"""Training plus inference: Sardana et al. 2024, arXiv 2401.00448, equation 1.

Invariants: pure; training costs 6 N D, serving 2 N per token; the loss is fixed.
"""

import math
from typing import NamedTuple

from scipy.optimize import minimize_scalar

from goldwash.evidence.laws.parametric import Allocation, Law

SOURCE = "Sardana et al. 2024, arXiv 2401.00448"
FLOPS_PER_SERVED_TOKEN = 2.0


class Served(NamedTuple):
    """A training run, and the FLOPs of training and serving it."""

    run: Allocation
    training: float
    serving: float

    @property
    def total(self) -> float:
        """Training and serving together."""
        return self.training + self.serving


def cost(run: Allocation, served: float) -> Served:
    """The cost of a run with ``served`` tokens of inference."""
    return Served(run, run.compute, FLOPS_PER_SERVED_TOKEN * run.parameters * served)


def cheapest(law: Law, loss: float, served: float) -> Served:
    """The run with this ``loss`` whose training and ``served`` tokens of inference cost the fewest FLOPs.

    >>> from goldwash.evidence.laws.parametric import law
    >>> epoch = law("epoch")
    >>> target = epoch.loss(13e9, epoch.optimal_tokens(13e9))
    >>> best = cheapest(epoch, target, 2e12)
    >>> f"{best.run.parameters:.2g} {best.run.tokens:.3g}"
    '6.1e+09 7.37e+11'
    """
    # Without serving the optimum is the training optimum; serving moves it to smaller models, never to larger ones.
    most = law.optimum(law.compute_for(loss)).parameters
    least = (law.A / (loss - law.E)) ** (1 / law.alpha)  # at this size the loss takes infinite tokens

    def objective(log_parameters: float) -> float:
        parameters = math.exp(log_parameters)
        return math.log(cost(Allocation(parameters, law.tokens_for(parameters, loss)), served).total)

    bounds = (math.log(least) + 1e-9, math.log(most))
    found = minimize_scalar(objective, bounds=bounds, method="bounded", options={"xatol": 1e-10})
    parameters = math.exp(float(found.x))
    return cost(Allocation(parameters, law.tokens_for(parameters, loss)), served)
