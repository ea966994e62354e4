"""Which documents belong together: groups of equal keys, and the components that their pairs make.

Law: documents are numbers, in the order of the input. A component's root is the document that survives, the one of the highest
weight and of equals the first, so that the answer depends on the pairs as a set and not on their order. Memory: 20 bytes a
document (parent, weight, size).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.cut import Rows
from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import Hashes

Weights = npt.NDArray[np.float64]


def pairs(keys: Hashes, numbers: Rows) -> tuple[Rows, Rows]:
    """Documents of equal keys as pairs (the first of them, another), sorted: ``int64[M]`` twice.

    ``numbers`` must rise. Memory: 32 bytes a document.
    """
    order = np.argsort(keys, kind="stable")
    one, other = stars(keys[order], numbers[order])
    order = np.lexsort((other, one))
    return one[order], other[order]


@kernel
def stars(keys: Hashes, numbers: Rows) -> Any:
    """Of each run of equal keys the first number beside each other one: ``int64[M]`` twice."""
    one, other = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
    n, first = 0, 0
    for k in range(1, len(keys)):
        if keys[k] != keys[first]:
            first = k
            continue
        one[n], other[n] = numbers[first], numbers[k]
        n += 1
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
