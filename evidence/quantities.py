"""Numbers with suffixes: ``7B`` parameters, ``2T`` tokens, ``1.2e21`` FLOPs.

Invariants: suffixes are powers of 1000 (K, M, B or G, T, P, E); every quantity is finite and positive.
"""

import math
import re

from goldwash.evidence.errors import EvidenceError

SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_NUMBER = re.compile(r"([+-]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-zA-Z]?)")


def quantity(text: str, name: str) -> float:
    """A positive number with an optional suffix. Raises `EvidenceError`, which names the option.

    >>> quantity("7B", "parameters"), quantity("1.5e21", "compute"), quantity("2T", "tokens")
    (7000000000.0, 1.5e+21, 2000000000000.0)
    """
    match = _NUMBER.fullmatch(text.strip())
    suffix = match[2].lower() if match else ""
    if match is None or suffix not in SUFFIXES:
        raise EvidenceError(f"{name}: expected a number such as 7B, 138_000_000_000 or 1.2e21, found {text!r}")
    return positive(float(match[1].replace(",", "").replace("_", "")) * SUFFIXES[suffix], name)


def positive(value: float, name: str) -> float:
    """The value itself. Raises `EvidenceError` if it is not finite or not above zero."""
    if not math.isfinite(value) or value <= 0:
        raise EvidenceError(f"{name}: expected a finite number above zero, found {value:g}")
    return value


def short(value: float) -> str:
    """A number for people, three digits.

    >>> short(6.889e9), short(1.378e11), short(5.76e23), short(412), short(999.99e9)
    ('6.89B', '138B', '5.76e+23', '412', '1T')
    """
    if not math.isfinite(value):
        return str(value)
    value = float(f"{value:.3g}")  # first, so that 999.99 billion is a trillion
    for suffix, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if scale <= abs(value) < 1e15:
            return f"{value / scale:.3g}{suffix}"
    return f"{value:.3g}"
