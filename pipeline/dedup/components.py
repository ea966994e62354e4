"""Which documents belong together: groups of equal keys, and the components that their pairs make.

Invariants: documents are numbers, in the order of the input. A component's root is its first document. Its survivor is the one
of the highest weight, of equals the first. The result depends on the pairs as a set, not on their order. Memory: 4 bytes per
document for the roots. Weights come in the order of the documents and are not held: survivors are elected for a range of roots
at a time, in 20 bytes per root.
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
def _root(parents: Any, d: int) -> Any:
    while parents[d] != d:
        parents[d] = parents[parents[d]]
        d = parents[d]
    return d


def roots(documents: int) -> npt.NDArray[Any]:
    """Each document its own root: ``uint32[N]``, or ``int64[N]`` where 32 bits are too few."""
    return np.arange(documents, dtype=np.uint32 if documents < 1 << 32 else np.int64)


@kernel
def link(parents: Any, one: Rows, other: Rows) -> None:
    """Join the components of pairs, in place; a component's root is its first document."""
    for k in range(len(one)):
        a, b = _root(parents, one[k]), _root(parents, other[k])
        if a < b:
            parents[b] = a
        elif b < a:
            parents[a] = b


@kernel
def settle(parents: Any) -> None:
    """Make each document's parent its root, in place."""
    for d in range(len(parents)):
        parents[d] = parents[parents[d]]  # roots come first, and are settled


@kernel
def elect(parents: Any, first: int, weights: Weights, low: int, best: Weights, survivors: Rows, sizes: Any) -> None:
    """Find the survivor of each component: the first of its documents with the highest weight. Works on one range at a time.

    ``parents`` and ``weights``: the roots and weights of the documents from number ``first`` on. ``best``, ``survivors`` and
    ``sizes``: for the component whose root is document ``low + k``, at ``k``: the highest weight so far, the document that has
    it, and the number of documents so far. They are updated in place; ``sizes`` must start as zeros.
    """
    for k in range(len(parents)):
        r = np.int64(parents[k]) - low
        if 0 <= r < len(sizes):
            if sizes[r] == 0 or weights[k] > best[r]:
                best[r], survivors[r] = weights[k], first + k
            sizes[r] += 1


@kernel
def members(parents: Any, low: int, sizes: Any) -> Any:
    """Positions of the documents in components of two or more whose root is ``low`` or later: ``int64[M]``, ascending."""
    found, n = np.empty(len(parents), np.int64), 0
    for k in range(len(parents)):
        r = np.int64(parents[k]) - low
        if 0 <= r < len(sizes) and sizes[r] > 1:
            found[n] = k
            n += 1
    return found[:n].copy()
