"""Texts of like meaning: k-means on embeddings, and the nearest earlier vector within a cluster.

Invariants:

- Vectors are int8, and so are centroids. Products of up to `EXACT` numbers are then whole numbers below 2 to the 24th, which
  float32 holds exactly in whatever order a matrix product adds them. Lengths, means and cosines follow from whole numbers with
  correctly rounded operations. All results are therefore the same on every machine, with any number of threads: scikit-learn's
  and FAISS's k-means are not.
- Rounding to int8 moves a cosine by about 1e-4 (256 numbers); equal vectors stay equal.
- Equal cosines are decided by the lower number: of the cluster, or of the vector.

Source: SemDeDup, arXiv 2303.09540.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

EXACT = 1040
"""Numbers of a vector whose products float32 adds exactly: 1040 * 127 * 127 < 2 ** 24. Longer ones are added in float64."""
LARGEST = 127
CELLS = 1 << 22
"""Products that are held at once."""

Vectors = npt.NDArray[np.int8]
Numbers = npt.NDArray[np.int64]
Cosines = npt.NDArray[np.float64]


def quantised(vectors: npt.NDArray[Any]) -> Vectors:
    """Vectors with their largest number at 127: ``int8[N, d]``; zeros stay zeros."""
    values = np.asarray(vectors, np.float64)
    most = np.abs(values).max(axis=1, initial=0.0)
    return np.rint(values * (LARGEST / np.where(most > 0, most, 1.0))[:, None]).astype(np.int8)


def squared_lengths(vectors: Vectors) -> Numbers:
    """The sum of each vector's squares: ``int64[N]``."""
    return np.asarray(np.einsum("nd,nd->n", vectors, vectors, dtype=np.int64))


def products(one: Vectors, other: Vectors) -> npt.NDArray[Any]:
    """The products of all pairs, exact whole numbers as floats: ``[N, M]``."""
    kind: Any = np.float32 if one.shape[1] <= EXACT else np.float64
    return np.asarray(one.astype(kind) @ other.astype(kind).T)


def cosines(one: Vectors, other: Vectors, squares: Numbers, others: Numbers) -> Cosines:
    """The cosines of all pairs: ``float64[N, M]``; 0 with a vector of zeros. The squared lengths are given."""
    lengths = np.sqrt((squares[:, None] * others[None, :]).astype(np.float64))  # below 2 to the 53rd
    return np.asarray(products(one, other).astype(np.float64) / np.where(lengths > 0, lengths, 1.0))


def nearest(vectors: Vectors, centroids: Vectors) -> tuple[Numbers, Cosines]:
    """The centroid of the largest cosine with each vector, and that cosine: ``int64[N]``, ``float64[N]``.

    ``centroids`` has at least one row.
    """
    found, value = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float64)
    own, theirs = squared_lengths(vectors), squared_lengths(centroids)
    step = max(1, CELLS // len(centroids))
    for k in range(0, len(vectors), step):
        some = cosines(vectors[k : k + step], centroids, own[k : k + step], theirs)
        found[k : k + step] = some.argmax(axis=1)
        value[k : k + step] = some.max(axis=1)
    return found, value


def k_means(vectors: Vectors, clusters: int, seed: int, rounds: int) -> Vectors:
    """Centroids: ``int8[K, d]``, K the least of ``clusters`` and the different vectors; none for no vectors.

    They begin at different vectors that the seed chooses, and move ``rounds`` times to the direction of their vectors' sum, or
    until no vector changes its cluster. A centroid without a vector stays where it is.
    """
    unique = np.unique(vectors, axis=0)
    chosen = np.random.RandomState(seed).permutation(len(unique))[:clusters]
    centroids, before = unique[np.sort(chosen)], np.zeros(0, np.int64)
    for _ in range(rounds if len(centroids) > 1 else 0):
        here, _ = nearest(vectors, centroids)
        if np.array_equal(here, before):
            break
        order = np.argsort(here, kind="stable")
        kept, first = np.unique(here[order], return_index=True)
        sums = np.add.reduceat(vectors[order].astype(np.int64), first, axis=0)
        moved = quantised(sums)
        filled = moved.any(axis=1)  # opposite vectors cancel out
        centroids[kept[filled]], before = moved[filled], here
    return centroids


def nearest_earlier(vectors: Vectors) -> tuple[Cosines, Numbers]:
    """For each vector, the largest cosine with one before it, and that one's place: ``float64[N]``, ``int64[N]``.

    -1 and -1 for the first. Memory: `CELLS` products at once.
    """
    value, place = np.full(len(vectors), -1.0), np.full(len(vectors), -1, np.int64)
    squares = squared_lengths(vectors)
    step = max(1, CELLS // max(1, len(vectors)))
    for k in range(0, len(vectors), step):
        end = min(k + step, len(vectors))
        found = cosines(vectors[k:end], vectors[:end], squares[k:end], squares[:end])
        found[np.arange(end)[None, :] >= np.arange(k, end)[:, None]] = -1.0
        value[k:end] = found.max(axis=1)
        place[k:end] = np.where(value[k:end] > -1.0, found.argmax(axis=1), -1)
    return value, place
