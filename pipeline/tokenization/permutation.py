"""The position of each row in the shuffled order, computed and not stored.

Invariants: `positions` is a bijection of ``[0, count)`` that depends on the count and the seed alone. Each row's position is
computed without the others, so that no task holds the permutation and no task waits for another.

A Feistel network of eight rounds permutes the next power of four; a position outside the range is permuted again until it is
inside ("cycle walking", Black and Rogaway 2002). Its round function is SplitMix64 (`pipeline.splitmix`). Up to `SMALL` rows,
where a network has too few bits to mix, the positions are the ranks of hashes.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from goldwash.pipeline import splitmix

Numbers = npt.NDArray[np.int64]

ROUNDS = 8
SMALL = 4096


def positions(rows: Numbers, count: int, seed: int) -> Numbers:
    """The new positions of rows: ``int64[N]``, all different, below ``count``.

    ``rows``: ``int64[N]``, row numbers below ``count``.

    >>> sorted(positions(np.arange(5), 5, 0).tolist())
    [0, 1, 2, 3, 4]
    """
    keys = _keys(seed, count)
    if count <= SMALL:
        ranks = np.empty(count, np.int64)
        ranks[np.argsort(splitmix.hashed(np.arange(count, dtype=np.uint64) ^ keys[0]), kind="stable")] = np.arange(count)
        return ranks[rows]
    half = -(-(count - 1).bit_length() // 2)
    found = rows.astype(np.uint64)
    ahead = np.arange(len(found))
    while len(ahead):
        found[ahead] = _permuted(found[ahead], half, keys)
        ahead = ahead[found[ahead] >= count]
    return found.astype(np.int64)


def uniform(seed: int, purpose: str, shard: int, rows: Numbers) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each row of a shard: ``float64[N]``; equal arguments give equal numbers."""
    key = np.uint64(_number(f"{purpose} {seed} {shard}"))
    return splitmix.fractions(splitmix.hashed(rows.astype(np.uint64) ^ key))


def _permuted(values: npt.NDArray[np.uint64], half: int, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for key in keys:
        left, right = right, left ^ (splitmix.hashed(right ^ key) & mask)
    return (left << bits) | right


def _keys(seed: int, count: int) -> npt.NDArray[np.uint64]:
    return np.array([_number(f"round {seed} {count} {n}") for n in range(ROUNDS)], np.uint64)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
