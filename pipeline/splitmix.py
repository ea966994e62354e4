"""SplitMix64: hashes of whole numbers, for draws and shuffles.

Invariants: `hashed` is a bijection of 64-bit numbers; `fractions` keeps the 53 bits that a float64 holds exactly.

Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
"""

import numpy as np
import numpy.typing as npt

STEP = np.uint64(0x9E3779B97F4A7C15)
"""The distance between the generator's states."""

Words = npt.NDArray[np.uint64]


def hashed(states: Words) -> Words:
    """What the generator gives after each state: ``uint64[N]``.

    >>> int(hashed(np.array([1234567], np.uint64))[0])
    6457827717110365317
    """
    z = states + STEP
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)


def fractions(hashes: Words) -> npt.NDArray[np.float64]:
    """Hashes as numbers in [0, 1): ``float64[N]``."""
    return np.asarray((hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53, np.float64)
