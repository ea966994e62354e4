"""Numbers with suffixes: ``8.2B`` tokens, ``256M`` bytes, ``1.2e21`` FLOPs.

Invariants: suffixes are powers of 1000 (k, M, B or G, T, P, E); every quantity is finite and positive.
"""

import math
import re

SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_NUMBER = re.compile(r"([+-]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-zA-Z]?)")


def quantity(value: str | float) -> float:
    """A positive number, or a text of one with an optional suffix. Raises `ValueError` for any other value.

    >>> quantity("7B"), quantity("1.5e21"), quantity(3)
    (7000000000.0, 1.5e+21, 3.0)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected a number such as 7B, 138_000_000_000 or 1.2e21, found {value!r}")
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value.strip())
        suffix = match[2].lower() if match else ""
        if match is None or suffix not in SUFFIXES:
            raise ValueError(f"expected a number such as 7B, 138_000_000_000 or 1.2e21, found {value!r}")
        value = float(match[1].replace(",", "").replace("_", "")) * SUFFIXES[suffix]
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"expected a finite number above zero, found {value:g}")
    return float(value)


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
