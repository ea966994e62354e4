"""Which documents of a bucket are taken, how often, and where in the output: functions of their numbers and the seed alone.

Invariants: a document with number n in its source has two hashes, u and v, uniform in [0, 1). Taken at a rate r, with m copies
in the crawl (m = 1 without rehydration), it is taken once for each whole k >= 1 with (k - u) / m <= r: floor(r m + u) times, on
average r m. The number of times never falls when r rises, so that a larger total holds the smaller one's documents.

Its c copies are at the places (e + v) / c of the output, e = 0 to c - 1: each epoch in its own c-th of the output, 1 / c apart.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from goldwash.pipeline import splitmix

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PLACE_BITS = 40
"""A place in the output is a whole number below 2 to this power: 10^12 places."""


def stream(seed: int, source: str, purpose: str) -> np.uint64:
    """The state in which a sequence of hashes begins."""
    digest = hashlib.blake2b(f"{seed}\0{purpose}\0{source}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def mixed(start: np.uint64, numbers: Numbers) -> npt.NDArray[np.uint64]:
    """A hash of each number, ``uint64[N]``, different for different numbers: SplitMix64's sequence from ``start``."""
    return splitmix.hashed(start + numbers.astype(np.uint64) * splitmix.STEP)


@dataclass(frozen=True)
class Draw:
    """The hashes of a source's documents."""

    seed: int
    source: str

    def chance(self, numbers: Numbers) -> Floats:
        """u of each document: ``float64[N]`` in [0, 1)."""
        return splitmix.fractions(mixed(stream(self.seed, self.source, "draw"), numbers))

    def places(self, numbers: Numbers, epochs: Numbers, copies: Numbers) -> Numbers:
        """The place of each copy in the output: ``int64[N]`` below 2 to `PLACE_BITS`.

        ``copies``: how many its document has; ``epochs``: which of them it is, from 0.
        """
        v = mixed(stream(self.seed, self.source, "place"), numbers) >> np.uint64(64 - PLACE_BITS)
        return np.asarray(((epochs.astype(np.uint64) << np.uint64(PLACE_BITS)) + v) // copies.astype(np.uint64), np.int64)


def copies(rates: Floats, times: Numbers, chance: Floats) -> Numbers:
    """How often each document is taken: ``int64[N]``. ``rates``, ``times`` (m) and ``chance`` (u) of each document."""
    m = times.astype(np.float64)
    count = np.floor(rates * m + chance)
    count += (count + 1 - chance) / m <= rates  # rounding: the comparison with `events` decides
    count -= (count > 0) & ((count - chance) / m > rates)
    return np.asarray(np.maximum(count, 0), np.int64)


def events(below: Numbers, above: Numbers, times: Numbers, chance: Floats) -> tuple[Numbers, Floats]:
    """The rates at which documents are taken once more, between ``below`` times and ``above`` times.

    Returns the rows of the documents, ``int64[M]``, and the rates, ``float64[M]``.
    """
    more = np.maximum(above - below, 0)
    rows = np.repeat(np.arange(len(more)), more)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(more) - more, more) + 1
    return rows, (below[rows] + nth - chance[rows]) / times[rows].astype(np.float64)


def rate_for(target: float, below: int, rates: Floats, weights: Numbers) -> float | None:
    """The rate that takes the amount nearest to the target; None if the target is outside the given events.

    ``below``: the amount taken before the first event. ``rates``, ``weights``: of the events, in any order.
    """
    order = np.argsort(rates, kind="stable")
    rates, reached = rates[order], below + np.cumsum(weights[order])
    last = np.flatnonzero(np.diff(rates, append=np.inf) > 0)  # of events at the same rate
    rates, reached = rates[last], reached[last]
    if not len(rates) or below > target or reached[-1] < target:
        return None
    n = int(np.searchsorted(reached, target))
    before = int(reached[n - 1]) if n else below
    if n and target - before <= int(reached[n]) - target:
        return float(rates[n - 1])
    if not n and target - before <= int(reached[0]) - target:
        return float(np.nextafter(rates[0], -np.inf))
    return float(rates[n])
