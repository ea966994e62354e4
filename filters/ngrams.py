"""Repetition: kernels over hashes of rows.

Invariants: rows are compared by 64-bit hashes of their bytes. Two different rows of one document share a hash once in about
1e13 documents of a thousand words. Tables are sized by the document at hand, so that time is linear in the words whatever
they are.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.bits import bit_count, eight, first_eight, four
from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.jit import inline, kernel

Hashes = npt.NDArray[np.uint64]

SEED = np.uint64(0x9E3779B97F4A7C15)
FACTOR = np.uint64(0xD6E8FEB86659FD93)


@inline
def mixed(h: Any) -> Any:
    """The finaliser of MurmurHash3: each bit of the result depends on every bit of the 64-bit input."""
    h = np.uint64(h)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(33))


@inline
def _lowered(w: Any) -> Any:
    """Eight bytes with ASCII letters in lower case."""
    low = w & np.uint64(0x7F7F7F7F7F7F7F7F)
    from_a = low + np.uint64(0x3F3F3F3F3F3F3F3F)  # bit 7 of a byte: at least "A"
    beyond_z = low + np.uint64(0x2525252525252525)  # bit 7 of a byte: beyond "Z"
    capital = (from_a ^ beyond_z) & ~w & np.uint64(0x8080808080808080)
    return w | (capital >> np.uint64(2))


@inline
def row_hash(utf8: Bytes, start: int, end: int, lowered: bool) -> Any:
    """A hash of one row's bytes; ``lowered``: with ASCII letters in lower case.

    Reads eight bytes per step, the last eight possibly twice, with few branches, since most rows are short words.
    """
    size, first = np.uint64(end - start), np.uint64(start)
    last = first + size
    h = SEED ^ (size * FACTOR)  # without the factor, "co" and "boo" would share a hash
    if size > np.uint64(8):
        i = first
        while i + np.uint64(8) < last:
            w = eight(utf8, i)
            h = (h ^ (_lowered(w) if lowered else w)) * FACTOR
            h ^= h >> np.uint64(29)
            i += np.uint64(8)
        w = eight(utf8, last - np.uint64(8))
    elif size >= np.uint64(4):
        w = four(utf8, first) | (four(utf8, last - np.uint64(4)) << np.uint64(32))
    elif size > np.uint64(0):
        w = np.uint64(utf8[first]) | (np.uint64(utf8[first + (size >> np.uint64(1))]) << np.uint64(8))
        w |= np.uint64(utf8[last - np.uint64(1)]) << np.uint64(16)
    else:
        w = np.uint64(0)
    return mixed((h ^ (_lowered(w) if lowered else w)) * FACTOR)


@kernel
def hashes(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """A hash of each row's bytes: ``uint64[N]``."""
    out = np.empty(len(starts), np.uint64)
    for row in range(len(starts)):
        out[row] = row_hash(utf8, starts[row], ends[row], False)
    return out


@kernel
def lowered_hashes(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """A hash of each row's bytes, with ASCII letters in lower case: ``uint64[N]``."""
    out = np.empty(len(starts), np.uint64)
    for row in range(len(starts)):
        out[row] = row_hash(utf8, starts[row], ends[row], True)
    return out


@inline
def rolled(hashes: Hashes, first: int, count: int, n: int, out: Hashes) -> Any:
    """Write the hashes of runs of ``n`` among ``count`` rows to ``out`` (one run if there are fewer); returns their number."""
    n = min(n, count)
    if n == 0:
        return 0
    lead = np.uint64(1)
    for _ in range(n - 1):
        lead *= FACTOR
    h = np.uint64(0)
    for row in range(first, first + n):
        h = h * FACTOR + hashes[row]
    out[0] = mixed(h)
    for k in range(1, count - n + 1):
        h = (h - hashes[first + k - 1] * lead) * FACTOR + hashes[first + k + n - 1]
        out[k] = mixed(h)
    return count - n + 1


@kernel
def run_hashes(hashes: Hashes, parents: Rows, n: int) -> Any:
    """Hashes of each parent's runs of ``n`` rows (`rolled`), ``uint64[M]``, and their offsets, ``int64[P + 1]``."""
    bounds = np.zeros(len(parents), np.int64)
    for p in range(len(parents) - 1):
        rows = parents[p + 1] - parents[p]
        bounds[p + 1] = bounds[p] + (max(rows - n, 0) + 1 if rows > 0 else 0)
    out = np.empty(bounds[-1], np.uint64)
    for p in range(len(parents) - 1):
        rolled(hashes, parents[p], parents[p + 1] - parents[p], n, out[bounds[p] :])
    return out, bounds


@inline
def row_length(utf8: Bytes, start: int, end: int) -> Any:
    """Number of code points of one row: the bytes that do not continue one.

    The last bytes of a row, or all of a short one, are counted as eight of which those that are too many are masked: words are
    short, and a loop whose number of steps cannot be predicted took two thirds of `hashes_and_lengths` (2026-11).
    """
    size, first = np.uint64(end - start), np.uint64(start)
    last = first + size
    count = np.int64(0)
    while first + np.uint64(8) < last:
        count += _begun(eight(utf8, first))
        first += np.uint64(8)
    if first < last:
        count += _begun_in(first_eight(utf8, first, last), last - first)
    return count


@inline
def _begun_in(w: Any, size: Any) -> Any:
    """How many of the first ``size`` of eight bytes, the others zero, begin a code point."""
    return _begun(w) - np.int64(np.uint64(8) - size)


@inline
def _begun(w: Any) -> Any:
    """How many of eight bytes begin a code point."""
    return bit_count((~w | (w << np.uint64(1))) & np.uint64(0x8080808080808080))


@kernel
def hashes_and_lengths(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """A hash of each row's bytes, ``uint64[N]``, and its number of code points, ``int64[N]``."""
    out, lengths = np.empty(len(starts), np.uint64), np.empty(len(starts), np.int64)
    for row in range(len(starts)):
        out[row] = row_hash(utf8, starts[row], ends[row], False)
        lengths[row] = row_length(utf8, starts[row], ends[row])
    return out, lengths


@kernel
def character_counts(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Number of code points of each row: ``int64[N]``."""
    out = np.empty(len(starts), np.int64)
    for row in range(len(starts)):
        out[row] = row_length(utf8, starts[row], ends[row])
    return out


@inline
def table_size(rows: int) -> Any:
    """Slots of an open-addressing table that is at most half full; a power of two."""
    size = np.int64(16)
    while size < 2 * rows:
        size *= 2
    return size


@inline
def slot_of(table: Hashes, counts: Rows, size: int, h: int) -> Any:
    """The slot of a hash in a table whose empty slots have count 0; linear probing."""
    slot = np.int64(np.uint64(h) & np.uint64(size - 1))
    while counts[slot] != 0 and table[slot] != h:
        slot += 1
        if slot == size:
            slot = np.int64(0)
    return slot


@inline
def largest(parents: Rows) -> Any:
    """The largest number of rows of a parent."""
    most = np.int64(0)
    for p in range(len(parents) - 1):
        most = max(most, parents[p + 1] - parents[p])
    return most


@kernel
def occurrences(row_hashes: Hashes, parents: Rows) -> Any:
    """How often each row occurs in its parent, and which occurrence it is (0: the first): ``int64[M]``, ``int64[M]``."""
    size = table_size(largest(parents))
    table, counts = np.empty(size, np.uint64), np.zeros(size, np.int64)
    total, copy = np.empty(len(row_hashes), np.int64), np.empty(len(row_hashes), np.int64)
    for p in range(len(parents) - 1):
        size = table_size(parents[p + 1] - parents[p])
        counts[:size] = 0
        for row in range(parents[p], parents[p + 1]):
            slot = slot_of(table, counts, size, row_hashes[row])
            table[slot] = row_hashes[row]
            copy[row] = counts[slot]
            counts[slot] += 1
        for row in range(parents[p], parents[p + 1]):
            total[row] = counts[slot_of(table, counts, size, row_hashes[row])]
    return total, copy


@kernel
def repeated_share(total: Rows, copy: Rows, weights: Rows, parents: Rows, beyond_first: bool) -> Any:
    """Fraction of a parent's weight in rows that occur more than once: ``float64[P]``, nan for a parent without weight.

    Every occurrence counts, or with ``beyond_first`` only those after the first.
    """
    out = np.empty(len(parents) - 1, np.float64)
    for p in range(len(parents) - 1):
        repeated, all_ = np.int64(0), np.int64(0)
        for row in range(parents[p], parents[p + 1]):
            all_ += weights[row]
            if total[row] > 1 and (copy[row] > 0 or not beyond_first):
                repeated += weights[row]
        out[p] = repeated / all_ if all_ > 0 else np.nan
    return out


@kernel
def ngram_shares(word_hashes: Hashes, lengths: Rows, parents: Rows, longest: int, beyond_first: bool) -> Any:
    """Fractions of a parent's word characters in repeated word n-grams: two ``float64[P, longest + 1]``, column n for n-grams.

    ``top``: characters of the most frequent n-gram times its count (of equally frequent ones, the longest).
    ``covered``: characters of words inside any n-gram that occurs more than once, each word counted once; with
    ``beyond_first``, only occurrences after an n-gram's first.

    An n-gram can occur twice only where both its (n-1)-grams do, so each n visits only the positions that the previous n left:
    a tenth of the words at n = 3, with the same counts. A parent with fewer than n words, or without repeats, gets 0.
    """
    rows = largest(parents)
    size = table_size(rows)
    table, counts = np.empty(size, np.uint64), np.zeros(size, np.int64)
    places, grams, slots = np.empty(rows, np.int64), np.empty(rows, np.uint64), np.empty(rows, np.int64)
    top = np.zeros((len(parents) - 1, longest + 1))
    covered = np.zeros((len(parents) - 1, longest + 1))
    for p in range(len(parents) - 1):
        first, last = parents[p], parents[p + 1]
        all_ = np.int64(0)
        for word in range(first, last):
            all_ += lengths[word]
            places[word - first], grams[word - first] = word, word_hashes[word]
        n_places = last - first
        for n in range(2, longest + 1):
            left = np.int64(0)  # positions where this n-gram could occur twice
            for k in range(n_places - 1):
                if n == 2 or places[k + 1] == places[k] + 1:
                    places[left] = places[k]
                    grams[left] = mixed(grams[k] * FACTOR + word_hashes[places[k] + n - 1])
                    left += 1
            n_places = left
            if n_places == 0:
                break
            size = table_size(n_places)
            counts[:size] = 0
            for k in range(n_places):
                slots[k] = slot_of(table, counts, size, grams[k])
                table[slots[k]] = grams[k]
                counts[slots[k]] += 1
            most, most_length, until, cover, left = np.int64(1), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
            for k in range(n_places):
                count = counts[slots[k]]
                if count == 1:
                    continue
                seen = count < 0  # a negative count: its first occurrence has been passed
                count = abs(count)
                counts[slots[k]] = -count
                if count >= most:
                    length = np.int64(0)
                    for word in range(places[k], places[k] + n):
                        length += lengths[word]
                    most_length = length if count > most else max(length, most_length)
                    most = count
                if seen or not beyond_first:
                    for word in range(max(until, places[k]), places[k] + n):
                        cover += lengths[word]
                    until = places[k] + n
                places[left], grams[left] = places[k], grams[k]
                left += 1
            n_places = left
            if all_ > 0:
                top[p, n] = most * most_length / all_
                covered[p, n] = cover / all_
            if n_places == 0:
                break
    return top, covered
