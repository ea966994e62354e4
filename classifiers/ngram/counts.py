"""Counts of n-grams in one hash table, and interpolated Witten-Bell probabilities from them: kernels.

Invariants:

* An n-gram is a path: its row is found from the row of its first n - 1 tokens and its last token. Keys are exact, so two
  n-grams never share a row.
* A document is counted between two ends: the token ``vocab`` precedes it as context and is counted after it. An n-gram never
  spans two documents. Every context is therefore followed by exactly as many tokens as it has occurrences.
* A count of an n-gram implies counts of all its suffixes. So contexts are looked up from short to long until one is missing.

The table, ``uint64[rows, 2]``::

    row 0                    the empty context
    rows 1 to vocab + 1      one token each; the last is the end
    the other rows           longer n-grams, by open addressing: key = row of the first n - 1 tokens << 24 | last token
    column 0                 the key; 0: no n-gram
    column 1                 low 32 bits: occurrences; high 32 bits: distinct tokens that follow

Witten-Bell (Witten and Bell 1991, method C), interpolated as in Chen and Goodman 1998, section 2.6: with C occurrences of a
context and T distinct tokens after it, ``p(w | context) = (count(context w) + T p(w | shorter context)) / (C + T)``. The
shortest distribution is uniform over the ``vocab`` tokens and the end.

One pass per order, not one per token: the lookups of a pass do not depend on each other, so the processor overlaps their cache
misses. 10 million tokens at order 5: see docs/evidence.md.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import FACTOR, mixed

Ids = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Table = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]


@inline
def place(table: Table, first: Any, key: Any) -> Any:
    """The row of a key, or the empty row where it would be. ``first`` is the first row of longer n-grams."""
    rows = np.uint64(len(table)) - first
    row = first + (((mixed(key) >> np.uint64(32)) * rows) >> np.uint64(32))
    while table[row, 0] != np.uint64(0) and table[row, 0] != key:
        row += np.uint64(1)
        if row == np.uint64(len(table)):
            row = first
    return row


@kernel
def stream(ids: Ids, offsets: Rows, end: int) -> Any:
    """Documents between ends, ``int32[*]``, and where each begins and ends, ``int64[documents + 1]``; without empty ones."""
    count = np.int64(0)
    for d in range(len(offsets) - 1):
        count += 1 if offsets[d + 1] > offsets[d] else 0
    out, begins = np.empty(len(ids) + 2 * count, np.int32), np.zeros(count + 1, np.int64)
    at, document = np.int64(0), np.int64(0)
    for d in range(len(offsets) - 1):
        if offsets[d + 1] == offsets[d]:
            continue
        out[at] = end
        at += 1
        for i in range(offsets[d], offsets[d + 1]):
            out[at] = ids[i]
            at += 1
        out[at] = end
        at += 1
        document += 1
        begins[document] = at
    return out, begins


@kernel
def distinct(tokens: Ids, begins: Rows, order: int, words: int) -> Any:
    """About how many n-grams of two and more tokens there are, by linear counting in ``64 * words`` bits per order.

    Whang et al. 1990: of m bits, of which z stay 0, there are about -m ln(z / m) different ones; to 0.1% while m >= n.
    """
    seen = np.empty(words, np.uint64)
    hashed = np.empty(len(tokens), np.uint64)
    for j in range(len(tokens)):
        hashed[j] = np.uint64(tokens[j] + 1)
    mask, total = np.uint64(64 * words - 1), 0.0
    for n in range(2, order + 1):
        seen[:] = 0
        for d in range(len(begins) - 1):
            for j in range(begins[d + 1] - 1, begins[d] + n - 2, -1):  # backwards: the entry before is still of n - 1 tokens
                h = mixed(hashed[j - 1] * FACTOR + np.uint64(tokens[j]))
                hashed[j] = h
                bit = h & mask
                seen[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
        empty: Any = np.int64(0)
        for word in seen:
            free = ~word
            while free != np.uint64(0):
                free &= free - np.uint64(1)
                empty += 1
        total -= 64.0 * words * np.log(max(empty, 1) / (64.0 * words))
    return total


@kernel
def count(tokens: Ids, begins: Rows, order: int, table: Table, end: int, times: int) -> Any:
    """Count a stream's n-grams of up to ``order`` tokens ``times`` times each; how many rows became occupied.

    -1 if the table became nearly full; it is then not usable.
    """
    nodes = np.empty(len(tokens), np.uint64)
    first, weight = np.uint64(end + 2), np.uint64(times)
    follower = np.uint64(1) << np.uint64(32)
    for d in range(len(begins) - 1):
        nodes[begins[d]] = np.uint64(end + 1)
        for j in range(begins[d] + 1, begins[d + 1]):
            row = np.uint64(tokens[j] + 1)
            if table[row, 1] & np.uint64(0xFFFFFFFF) == np.uint64(0):
                table[0, 1] += follower
            table[row, 0] = np.uint64(1)
            table[row, 1] += weight
            table[0, 1] += weight
            nodes[j] = row
    filled, room = np.int64(0), np.int64(0.98 * (len(table) - end - 2))
    for n in range(2, order + 1):
        for d in range(len(begins) - 1):
            for j in range(begins[d + 1] - 1, begins[d] + n - 2, -1):  # backwards, as in `distinct`
                parent = nodes[j - 1]
                key = parent << np.uint64(24) | np.uint64(tokens[j])
                row = place(table, first, key)
                if table[row, 0] == np.uint64(0):
                    filled += 1
                    if filled > room:
                        return -1
                    table[row, 0] = key
                    table[parent, 1] += follower
                table[row, 1] += weight
                nodes[j] = row
    return filled


@kernel
def log2_probabilities(ids: Ids, offsets: Rows, table: Table, end: int, order: int) -> Any:
    """The log2 probability of each token given those before it in its document: ``float64[tokens]``."""
    out = np.empty(len(ids), np.float64)
    contexts = np.zeros(order + 1, np.uint64)  # the rows of the last 0, 1, ... tokens
    first, low, high = np.uint64(end + 2), np.uint64(0xFFFFFFFF), np.uint64(32)
    for d in range(len(offsets) - 1):
        contexts[0], contexts[1] = np.uint64(0), np.uint64(end + 1)
        known: Any = min(order - 1, 1) if table[end + 1, 1] & low != np.uint64(0) else 0  # the longest context that was seen
        for i in range(offsets[d], offsets[d + 1]):
            token = np.uint64(ids[i])
            p = 1.0 / (end + 1.0)
            found: Any = 0
            shorter = np.uint64(0)
            for k in range(known + 1):
                context = contexts[k]
                contexts[k] = shorter
                row = place(table, first, context << np.uint64(24) | token) if k > 0 else token + np.uint64(1)
                occurrences = table[row, 1] & low
                after = np.float64(table[context, 1] >> high)
                p = (np.float64(occurrences) + after * p) / (np.float64(table[context, 1] & low) + after)
                if occurrences != np.uint64(0) and found == k:
                    found = k + 1
                    shorter = row
            if found == known + 1:
                contexts[found] = shorter
            known = min(found, order - 1)
            out[i] = np.log2(p)
    return out


@kernel
def faults(table: Table, end: int) -> Any:
    """What is wrong with a table from a file: occupied rows of no count, and whether no row is empty."""
    wrong, empty = np.int64(0), np.int64(0)
    for row in range(1, len(table)):
        occurrences, after = table[row, 1] & np.uint64(0xFFFFFFFF), table[row, 1] >> np.uint64(32)
        empty += 1 if table[row, 0] == np.uint64(0) and row >= end + 2 else 0
        wrong += 1 if (table[row, 0] != np.uint64(0)) != (occurrences != np.uint64(0)) or after > occurrences else 0
    root = table[0, 1]
    if root >> np.uint64(32) == np.uint64(0) or root >> np.uint64(32) > root & np.uint64(0xFFFFFFFF):
        wrong += 1
    return wrong, empty
