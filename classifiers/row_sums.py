"""Sums of a model's rows: kernels that find the row of a word, and add rows in the order in which fastText adds them.

Invariants: the last row of all is zero, and stands for no row. Rows of n-grams are added four at a time, so that a sum does not
wait for the one before; the groups of four depend on the word alone, not on how its rows were gathered.
"""

from typing import Any

import numpy as np

from goldwash.classifiers.model_file import Floats
from goldwash.classifiers.ngram_buckets import row_of
from goldwash.filters.bits import either
from goldwash.filters.cut import Rows
from goldwash.filters.jit import inline
from goldwash.filters.ngrams import Hashes


@inline
def put_row(rows: Floats, row: Any, values: Floats) -> Any:
    """Write values to a row."""
    place = np.uint64(row)
    for d in range(np.uint64(len(values))):
        rows[place, d] = values[d]


@inline
def move_row(rows: Floats, source: Any, target: Any) -> Any:
    """Copy a row to another."""
    for d in range(np.uint64(rows.shape[1])):
        rows[target, d] = rows[source, d]


@inline
def clear_row(values: Floats) -> Any:
    """Set values to zero."""
    for d in range(np.uint64(len(values))):
        values[d] = 0


@inline
def _four_rows(rows: Floats, found: Any, k: Any, end: Any) -> Any:
    """The four numbers from ``found[k]``, with that of the last row, which is zero, in place of those from ``end``.

    All four numbers are read, also behind the last one. How many n-grams of a word have a row cannot be predicted: with
    branches language took 1.04 times as long (2026-11).
    """
    nothing, left = np.uint64(rows.shape[0] - 1), end - k
    one, two, three, sign = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(63)
    a = either((np.uint64(0) - left) >> sign, np.uint64(found[k]), nothing)
    b = either((one - left) >> sign, np.uint64(found[k + one]), nothing)
    c = either((two - left) >> sign, np.uint64(found[k + two]), nothing)
    e = either((three - left) >> sign, np.uint64(found[k + three]), nothing)
    return a, b, c, e


@inline
def _add_rows(total: Floats, rows: Floats, found: Any, first: Any, end: Any) -> Any:
    """Add the rows ``found[first:end]``."""
    for k in range(first, end, np.uint64(4)):
        a, b, c, e = _four_rows(rows, found, k, end)
        for d in range(np.uint64(16)) if len(total) == 16 else range(np.uint64(len(total))):
            total[d] += (rows[a, d] + rows[b, d]) + (rows[c, d] + rows[e, d])


@inline
def add_buckets(total: Floats, rows: Floats, present: Hashes, firsts: Any, found: Rows, held: Any) -> Any:
    """Add the rows of the first buckets of ``found``; returns their number."""
    for k in range(held):
        found[k] = row_of(found[k], present, firsts)
    _add_rows(total, rows, found, np.uint64(0), np.uint64(held))
    return held


@inline
def put_sum(sums: Floats, target: Any, rows: Floats, own: Any, found: Any, first: Any, beyond: Any) -> Any:
    """Write a word's vector: its own row, and then those of its n-grams, four at a time.

    Most words have up to four, so that the first four need no branch.
    """
    a, b, c, e = _four_rows(rows, found, first, beyond)
    for d in range(np.uint64(16)) if rows.shape[1] == 16 else range(np.uint64(rows.shape[1])):
        sums[target, d] = (np.float32(0) + rows[own, d]) + ((rows[a, d] + rows[b, d]) + (rows[c, d] + rows[e, d]))
    if first + np.uint64(4) < beyond:
        _add_rows(sums[target], rows, found, first + np.uint64(4), beyond)


@inline
def may_be_known(h: Any, sieve: Hashes) -> Any:
    """1 if the model may have a word of this hash, 0 if it has none. Looking for each word's row is an unpredictable branch.

    Other bits of the hash choose the slot of a word's row.
    """
    place = (h >> np.uint64(20)) & np.uint64((len(sieve) << 6) - 1)
    return np.int64((sieve[place >> np.uint64(6)] >> (place & np.uint64(63))) & np.uint64(1))


@inline
def own_row(h: Any, keys: Hashes, ids: Rows, nothing: int) -> Any:
    """The row of a known word; ``nothing`` for any other."""
    key = max(h, np.uint64(1))
    slot = key & np.uint64(len(keys) - 1)
    while keys[slot] != key and keys[slot] != np.uint64(0):
        slot = (slot + np.uint64(1)) & np.uint64(len(keys) - 1)
    return np.int64(ids[slot]) if keys[slot] == key else nothing


@inline
def add_word(h: Any, keys: Hashes, ids: Rows, rows: Floats, total: Floats) -> Any:
    """Add a known word's own row; returns the number of rows added."""
    nothing = rows.shape[0] - 1
    own = np.uint64(own_row(h, keys, ids, nothing))
    for d in range(np.uint64(len(total))):
        total[d] += rows[own, d]
    return np.int64(own < np.uint64(nothing))
