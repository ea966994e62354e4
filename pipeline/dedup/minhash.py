"""MinHash signatures (Broder 1997), bit for bit datasketch's ``MinHash(scheme="affine32")``, and what bands make of them.

Invariants:

* A document is the set of its shingles: runs of ``n`` words (UAX 29 words that begin alphanumeric, ASCII case ignored). One
  of fewer words, but at least one, is a single shingle; one without a word has none and is a copy of nothing.
* The hash of a shingle is :func:`shingle_hash`, which datasketch takes as ``hashfunc``.
* Two documents share a band if all its rows agree: a pair of Jaccard similarity ``s`` shares some band with probability
  ``1 - (1 - s ** rows) ** bands`` (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4).
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.cut import Rows
from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import Hashes, lowered_hashes, rolled, run_hashes
from goldwash.filters.texts import Texts

if TYPE_CHECKING:
    import datasketch

Signatures = npt.NDArray[np.uint32]

MOST_BITS = np.uint64(20)
"""Bits of a hash that say into which bucket it is dealt, at the most: 8 MB of counts."""


@cache
def permutations(count: int, seed: int = 1) -> Signatures:
    """datasketch's permutations ``h -> a * h + b``, each ``a`` odd: ``uint32[2, count]``. Drawn once per process (0.2 ms).

    Drawn here as datasketch draws them: importing it, and scipy with it, takes 0.35 CPU-seconds in each worker of each pass.
    """
    draws = np.random.RandomState(seed)
    odd = draws.randint(0, 1 << 31, count, np.uint32) * np.uint32(2) + np.uint32(1)
    return np.array([odd, draws.randint(0, 1 << 32, count, np.uint32)])


def optimal_bands(threshold: float, count: int) -> tuple[int, int]:
    """The bands and rows that datasketch's optimiser chooses for a Jaccard threshold and ``count`` permutations."""
    import datasketch

    lsh = datasketch.MinHashLSH(threshold=threshold, num_perm=count)
    return int(lsh.b), int(lsh.r)


def meeting_probability(similarity: float, bands: int, rows: int) -> float:
    """How probably two documents of this Jaccard similarity meet in a band."""
    return float(1 - (1 - similarity**rows) ** bands)


def as_minhash(signature: Signatures, seed: int = 1) -> "datasketch.MinHash":
    """A signature as datasketch's object, to be put into its indexes or updated with further shingles."""
    import datasketch

    return datasketch.MinHash(
        num_perm=len(signature), seed=seed, scheme="affine32", hashfunc=shingle_hash, hashvalues=signature
    )


def shingle_hash(shingle: bytes) -> int:
    """The 32-bit hash of a shingle, its words separated by single spaces: a ``hashfunc`` for datasketch."""
    words = Texts.of(shingle.decode("utf-8").split(" "))
    parents = np.array([0, len(words)])
    hashes, _ = run_hashes(lowered_hashes(words.utf8, words.starts, words.ends), parents, len(words))
    return int(hashes[0] >> np.uint64(32))


def shingle_hashes(texts: Texts, n: int) -> tuple[Hashes, Rows]:
    """The 64-bit hashes of each text's shingles in their order: ``uint64[M]``, and where each text's are: ``int64[N + 1]``.

    :func:`shingle_hash` is their upper half.
    """
    words = texts.uax29_words
    hashes, parents = run_hashes(lowered_hashes(words.utf8, words.starts, words.ends), words.parents, n)
    return np.asarray(hashes), np.asarray(parents)


def shingle_sets(texts: Texts, n: int) -> tuple[Hashes, Rows]:
    """Each text's shingles as a set, one after the other, as `sorted_sets`: ``uint64[M]``, and their sizes, ``int64[N]``."""
    found, sizes = sorted_sets(*shingle_hashes(texts, n))
    return np.asarray(found), np.asarray(sizes)


@kernel
def sorted_sets(hashes: Hashes, bounds: Rows) -> Any:
    """Each row's hashes, sorted and without repeats, ``uint64[M]``, and how many a row has, ``int64[N]``.

    Rows are ``hashes[bounds[r]:bounds[r + 1]]``. Hashes are dealt into one or two buckets per hash by their first bits, then
    sorted by insertion: 5 ns per hash, where ``ndarray.sort`` takes 16 (2026-11). What is there already is not inserted, so
    that repeats take no longer.
    """
    largest, bits = np.int64(0), np.uint64(1)
    for row in range(len(bounds) - 1):
        largest = max(largest, bounds[row + 1] - bounds[row])
    while (np.int64(1) << np.int64(bits)) < largest and bits < MOST_BITS:
        bits += np.uint64(1)
    ends, dealt = np.empty((np.int64(1) << np.int64(bits)) + 1, np.int64), np.empty(largest, np.uint64)
    out, sizes, n = np.empty(len(hashes), np.uint64), np.zeros(len(bounds) - 1, np.int64), np.uint64(0)
    for row in range(len(bounds) - 1):
        begin, count, first = np.uint64(bounds[row]), np.uint64(bounds[row + 1] - bounds[row]), n
        bits = np.uint64(1)
        while (np.uint64(1) << bits) < count and bits < MOST_BITS:
            bits += np.uint64(1)
        shift, buckets = np.uint64(64) - bits, np.uint64(1) << bits
        for bucket in range(buckets + np.uint64(1)):
            ends[bucket] = 0
        for k in range(count):
            ends[(hashes[begin + k] >> shift) + np.uint64(1)] += 1
        for bucket in range(buckets):
            ends[bucket + np.uint64(1)] += ends[bucket]
        for k in range(count):
            bucket = hashes[begin + k] >> shift
            dealt[ends[bucket]] = hashes[begin + k]
            ends[bucket] += 1
        for k in range(count):
            place = n
            while place > first and out[place - np.uint64(1)] > dealt[k]:
                place -= np.uint64(1)
            if place > first and out[place - np.uint64(1)] == dealt[k]:
                continue
            for later in range(n - place):
                out[n - later] = out[n - later - np.uint64(1)]
            out[place] = dealt[k]
            n += np.uint64(1)
        sizes[row] = n - first
    return out[:n], sizes


def signatures(texts: Texts, n: int, permutations: Signatures) -> tuple[Signatures, Rows]:
    """Each text's signature and how many shingles (repeats too) it has: ``uint32[N, P]``, ``int64[N]``.

    All ones (4294967295) where a text has no shingle, as datasketch has it.
    """
    words = texts.uax29_words
    hashes = lowered_hashes(words.utf8, words.starts, words.ends)
    signed, counts = least(hashes, words.parents, n, permutations[0], permutations[1])
    return np.asarray(signed), np.asarray(counts)


@inline
def _premixed(h: Any) -> Any:
    """datasketch's pre-mix: the finaliser of MurmurHash3, 32 bits, of a hash's upper half."""
    h = h >> np.uint64(32)
    h = ((h ^ (h >> np.uint64(16))) * np.uint64(0x85EBCA6B)) & np.uint64(0xFFFFFFFF)
    h = ((h ^ (h >> np.uint64(13))) * np.uint64(0xC2B2AE35)) & np.uint64(0xFFFFFFFF)
    return h ^ (h >> np.uint64(16))


@kernel
def least(hashes: Hashes, parents: Rows, n: int, a: Signatures, b: Signatures) -> Any:
    """Signatures from the hashes of words: ``uint32[N, P]``, and the shingles of each text: ``int64[N]``.

    Four shingles a step, so that a signature is read and written once for four.
    """
    size = np.uint64(len(a))
    out, counts = np.empty((len(parents) - 1, len(a)), np.uint32), np.zeros(len(parents) - 1, np.int64)
    most = np.int64(0)
    for row in range(len(parents) - 1):
        most = max(most, parents[row + 1] - parents[row])
    grams = np.empty(most + 4, np.uint64)
    for row in range(len(parents) - 1):
        signed = out[row]
        for k in range(size):
            signed[k] = np.uint32(0xFFFFFFFF)
        count = rolled(hashes, parents[row], parents[row + 1] - parents[row], n, grams)
        counts[row] = count
        if count == 0:
            continue
        for k in range(count):
            grams[k] = _premixed(grams[k])
        for k in range(4):  # the last step may take the last shingle again, which changes no minimum
            grams[count + k] = grams[count - 1]
        for step in range(0, count, 4):
            g, h, i, j = grams[step], grams[step + 1], grams[step + 2], grams[step + 3]
            for k in range(size):
                u, v = np.uint32(a[k] * g + b[k]), np.uint32(a[k] * h + b[k])
                w, x = np.uint32(a[k] * i + b[k]), np.uint32(a[k] * j + b[k])
                signed[k] = min(signed[k], min(min(u, v), min(w, x)))
    return out, counts


@inline
def jaccard(one: Hashes, other: Hashes) -> Any:
    """The Jaccard similarity of two sets, each sorted and without repeats; 0 of two empty ones."""
    i = j = both = np.int64(0)
    while i < len(one) and j < len(other):
        if one[i] == other[j]:
            both += 1
            i += 1
            j += 1
        elif one[i] < other[j]:
            i += 1
        else:
            j += 1
    all_ = len(one) + len(other) - both
    return both / all_ if all_ > 0 else 0.0


@kernel
def similarity(one: Hashes, other: Hashes) -> Any:
    """`jaccard` as a kernel of its own."""
    return jaccard(one, other)


@kernel
def judged(sets: Hashes, bounds: Rows, least_similarity: float, most: int, standing: int = 0) -> Any:
    """Of documents, best first, the earlier one that each is a copy of, itself otherwise: ``int64[N]``.

    A copy has at least ``least_similarity`` with the one it is a copy of, which is itself kept. Each is compared with the first
    ``most`` that are kept. The first ``standing`` documents are kept without a comparison. Sets are
    ``sets[bounds[d]:bounds[d + 1]]``, sorted and without repeats.
    """
    out = np.arange(len(bounds) - 1)
    _judge(sets, bounds, 0, len(out), least_similarity, most, standing, np.empty(max(most, standing), np.int64), out)
    return out


@kernel
def judged_each(sets: Hashes, bounds: Rows, components: Rows, least_similarity: float, most: int) -> Any:
    """`judged` of several components, one after the other: documents ``components[c]`` to before ``components[c + 1]``."""
    out, kept = np.arange(len(bounds) - 1), np.empty(most, np.int64)
    for c in range(len(components) - 1):
        _judge(sets, bounds, components[c], components[c + 1], least_similarity, most, 0, kept, out)
    return out


@inline
def _judge(
    sets: Hashes, bounds: Rows, first: int, last: int, least_similarity: float, most: int, standing: int, kept: Rows, out: Rows
) -> Any:
    """`judged` of the documents from ``first`` to before ``last``; ``kept`` is scratch, ``out`` holds their own numbers."""
    n = np.int64(0)
    for d in range(first, last):
        if d < first + standing:
            kept[n] = d
            n += 1
            continue
        own = sets[bounds[d] : bounds[d + 1]]
        for k in range(n):
            other = sets[bounds[kept[k]] : bounds[kept[k] + 1]]
            small, large = min(len(own), len(other)), max(len(own), len(other))
            if small >= least_similarity * large and jaccard(own, other) >= least_similarity:
                out[d] = kept[k]
                break
        if out[d] == d and n < most:
            kept[n] = d
            n += 1
