"""L(N, D) = E + A / N^alpha + B / D^beta: its optimum at a compute budget, and its inverses.

Invariants: pure; C = 6 N D. Source of the form: Hoffmann et al. 2022, arXiv 2203.15556, section 3.3.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.quantities import short
from goldwash.evidence.tables import table

FLOPS_PER_PARAMETER_TOKEN = 6.0


class Allocation(NamedTuple):
    """Parameters and tokens of one training run."""

    parameters: float
    tokens: float

    @property
    def compute(self) -> float:
        """Training FLOPs, 6 N D."""
        return FLOPS_PER_PARAMETER_TOKEN * self.parameters * self.tokens


@dataclass(frozen=True)
class Law:
    """One parametric law. `errors` are the published standard errors, empty where none were published."""

    name: str
    A: float
    B: float
    E: float
    alpha: float
    beta: float
    source: str
    counts: str
    errors: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(name: str, coefficients: Iterable[float], source: str, counts: str) -> "Law":
        """From A, B, E, alpha and beta in this order."""
        A, B, E, alpha, beta = map(float, coefficients)
        return Law(name, A, B, E, alpha, beta, source, counts)

    def loss(self, parameters: float, tokens: float) -> float:
        """Nats per token."""
        return float(self.E + self.A * parameters**-self.alpha + self.B * tokens**-self.beta)

    def optimum(self, compute: float) -> Allocation:
        """The allocation with the least loss at ``compute`` FLOPs (Hoffmann, equation 4).

        >>> best = law("epoch").optimum(5.76e23)
        >>> f"{best.parameters:.2g} parameters, {best.tokens:.3g} tokens"
        '7.2e+10 parameters, 1.33e+12 tokens'
        """
        scale = (self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta))
        units = compute / FLOPS_PER_PARAMETER_TOKEN
        parameters = scale * units ** (self.beta / (self.alpha + self.beta))
        return Allocation(parameters, units / parameters)

    def optimal_tokens(self, parameters: float) -> float:
        """The tokens D for which ``parameters`` is the optimum at compute 6 N D."""
        marginal = self.beta * self.B * parameters**self.alpha / (self.alpha * self.A)
        return float(marginal ** (1 / self.beta))

    def optimal_parameters(self, tokens: float) -> float:
        """The parameters N for which ``tokens`` is the optimum at compute 6 N D."""
        marginal = self.alpha * self.A * tokens**self.beta / (self.beta * self.B)
        return float(marginal ** (1 / self.alpha))

    def tokens_for(self, parameters: float, loss: float) -> float:
        """Tokens that bring ``parameters`` to ``loss``; infinite where no number of tokens does."""
        rest = loss - self.E - self.A * parameters**-self.alpha
        return float((self.B / rest) ** (1 / self.beta)) if rest > 0 else math.inf

    def parameters_for(self, tokens: float, loss: float) -> float:
        """Parameters that reach ``loss`` on ``tokens``; infinite where no size does."""
        rest = loss - self.E - self.B * tokens**-self.beta
        return float((self.A / rest) ** (1 / self.alpha)) if rest > 0 else math.inf

    def compute_for(self, loss: float) -> float:
        """The least training FLOPs that reach ``loss``. Raises `EvidenceError` for a loss at or below E."""
        if loss <= self.E:
            raise EvidenceError(
                f"loss {loss:g} cannot be reached under {self.name}: the irreducible loss is {self.E:g}; ask for a higher loss"
            )
        one = self.loss(*self.optimum(1.0)) - self.E
        return float((one / (loss - self.E)) ** ((self.alpha + self.beta) / (self.alpha * self.beta)))


def law(name: str) -> Law:
    """The published law of this name. Raises `EvidenceError` for an unknown one."""
    laws = table("laws")
    if name not in laws:
        raise EvidenceError(f"unknown law {name!r}; there are: {', '.join([*laws, 'kaplan'])}")
    row: Mapping[str, Any] = laws[name]
    A, B, E = (row[k] if k in row else math.exp(row[k.lower()]) for k in ("A", "B", "E"))
    return Law(name, A, B, E, row["alpha"], row["beta"], row["source"], row["parameters"], row.get("errors", {}))


def third(compute: float | None, parameters: float | None, tokens: float | None) -> Allocation:
    """Parameters and tokens from two of the three; C = 6 N D. Raises `EvidenceError` where all three are given and disagree.

    >>> third(6e21, 1e9, None)
    Allocation(parameters=1000000000.0, tokens=1000000000000.0)
    """
    if parameters is not None and tokens is not None:
        run = Allocation(parameters, tokens)
        if compute is not None and not math.isclose(run.compute, compute, rel_tol=0.01):
            raise EvidenceError(
                f"compute, parameters and tokens contradict each other: 6 x {short(parameters)} x {short(tokens)} = "
                f"{run.compute:.3g} FLOPs, found {compute:.3g}; give two of the three"
            )
        return run
    if compute is not None and parameters is not None:
        return Allocation(parameters, compute / (FLOPS_PER_PARAMETER_TOKEN * parameters))
    if compute is not None and tokens is not None:
        return Allocation(compute / (FLOPS_PER_PARAMETER_TOKEN * tokens), tokens)
    raise EvidenceError("expected two of compute, parameters and tokens, or compute alone for the optimum, or a scale")
