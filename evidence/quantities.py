"""Numbers with suffixes: ``7B`` parameters, ``2T`` tokens, ``1.2e21`` FLOPs (`goldwash.pipeline.mixing.quantities`).

Invariants: every quantity is finite and positive; an error names the option that it was given to.
"""

import math

from goldwash.evidence.errors import EvidenceError
from goldwash.pipeline.mixing import quantities
from goldwash.pipeline.mixing.quantities import short

__all__ = ["positive", "quantity", "short"]


def quantity(text: str, name: str) -> float:
    """A positive number with an optional suffix. Raises `EvidenceError`, which names the option.

    >>> quantity("7B", "parameters"), quantity("1.5e21", "compute"), quantity("2T", "tokens")
    (7000000000.0, 1.5e+21, 2000000000000.0)
    """
    try:
        return quantities.quantity(text)
    except ValueError as error:
        raise EvidenceError(f"{name}: {error}") from error


def positive(value: float, name: str) -> float:
    """The value itself. Raises `EvidenceError` if it is not finite or not above zero."""
    if not math.isfinite(value) or value <= 0:
        raise EvidenceError(f"{name}: expected a finite number above zero, found {value:g}")
    return value
