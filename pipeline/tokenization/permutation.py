"""The position of each row in the shuffled order, computed and not stored.

Invariants: `positions` is a bijection of ``[0, count)`` that depends on the count and the seed alone. Any range of rows can be
asked for by itself, so that no task holds the permutation and none waits for another.

A Feistel network of eight rounds permutes the next power of four; a position outside the range is permuted again until it is
inside ("cycle walking", Black and Rogaway 2002). Its round function is splitmix64 (Steele, Lea and Flood 2014). Up to `SMALL`
rows, where a network has too few bits to mix, the positions are the ranks of hashes."""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

ROUNDS = 8
SMALL = 4096


def positions(rows: Numbers, count: int, seed: int) -> Numbers:
    """Where rows come to be: ``int64[N]``, all different, below ``count``.

    ``rows``: ``int64[N]``, row numbers below ``count``.

    >>> sorted(positions(np.arange(5), 5, 0).tolist())
    [0, 1, 2, 3, 4]
    """
    keys = _keys(seed, count)
    if count <= SMALL:
        ranks = np.empty(count, np.int64)
        ranks[np.argsort(_mixed(np.arange(count, dtype=np.uint64) ^ keys[0]), kind="stable")] = np.arange(count)
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
    return (_mixed(rows.astype(np.uint64) ^ key) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def _permuted(values: npt.NDArray[np.uint64], half: int, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    return (left << bits) | right


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The output function of splitmix64."""
    mixed: Any = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)


def _keys(seed: int, count: int) -> npt.NDArray[np.uint64]:
    return np.array([_number(f"round {seed} {count} {n}") for n in range(ROUNDS)], np.uint64)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
