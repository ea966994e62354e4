"""Which documents belong together: groups of equal keys, and the components that their pairs make.

Invariants: documents are numbers, in the order of the input. A component's root is the document that survives: the one of the
highest weight, of equals the first. The result depends on the pairs as a set, not on their order. Memory: 20 bytes per document
(parent, weight, size).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.cut import Rows
from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import Hashes

Weights = npt.NDArray[np.float64]


def pairs(keys: Hashes, numbers: Rows, more: Hashes | None = None) -> tuple[Rows, Rows]:
    """Documents of equal keys as pairs (the first of them, another), sorted: ``int64[M]`` twice.

    ``more``: further 64 bits of each key, which must be equal too. ``numbers`` must rise. Memory: 50 bytes per document.
    """
    order = np.argsort(keys, kind="stable")
    one, other = stars(keys, keys if more is None else more, numbers, order)
    order = np.lexsort((other, one))
    return one[order], other[order]


@kernel
def stars(keys: Hashes, more: Hashes, numbers: Rows, order: Rows) -> Any:
    """Pairs of the first number of each run of equal keys and each other one: ``int64[M]`` twice.

    ``order`` sorts the keys. Within a run, documents of other further bits are paired among themselves.
    """
    count, first = 0, 0
    for k in range(1, len(order)):
        if keys[order[k]] == keys[order[k - 1]]:
            count += 1
    one, other = np.empty(count, np.int64), np.empty(count, np.int64)
    n = 0
    for k in range(1, len(order)):
        if keys[order[k]] != keys[order[first]]:
            first = k
            continue
        for j in range(first, k):  # ends at the first of the run unless 64 bits collide
            if more[order[j]] == more[order[k]]:
                one[n], other[n] = numbers[order[j]], numbers[order[k]]
                n += 1
                break
    return one[:n], other[:n]


@inline
def _root(parents: Rows, d: int) -> Any:
    while parents[d] != d:
        parents[d] = parents[parents[d]]
        d = parents[d]
    return d


@kernel
def link(parents: Rows, weights: Weights, one: Rows, other: Rows) -> None:
    """Join the components of pairs, in place; the better root stays root."""
    for k in range(len(one)):
        a, b = _root(parents, one[k]), _root(parents, other[k])
        if a == b:
            continue
        if weights[b] > weights[a] or (weights[b] == weights[a] and b < a):
            a, b = b, a
        parents[b] = a


@kernel
def settle(parents: Rows) -> Any:
    """Make each document's parent its root, in place; the documents of each root: ``int32[N]`` (0: not a root)."""
    sizes = np.zeros(len(parents), np.int32)
    for d in range(len(parents)):
        parents[d] = _root(parents, d)
        sizes[parents[d]] += 1
    return sizes
