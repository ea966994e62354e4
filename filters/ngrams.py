"""Repetition: kernels over hashes of rows.

Invariants: rows are compared by 64-bit hashes of their bytes. Two different rows of one document share a hash once in about
1e13 documents of a thousand words. Tables are sized by the document at hand, so that time is linear in the words whatever
they are.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters.bits import CONTINUATIONS, bit_count, block, eight, first_eight, four
from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.jit import inline, kernel
from goldwash.filters.uax29 import put_uax29_words

Hashes = npt.NDArray[np.uint64]

SEED = np.uint64(0x9E3779B97F4A7C15)
FACTOR = np.uint64(0xD6E8FEB86659FD93)

TOGETHER = 224
"""Rows that are hashed together."""

MARKS = np.int64(4)
"""Half of the places per n-gram, at the least, of the table that says which may occur twice (`_repeats`)."""


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


@inline
def _short_row_hash(begin: Any, end: Any, size: Any, lowered: bool) -> Any:
    """The `row_hash` of a row of 1 to 16 bytes, from the eight bytes at its start and the eight before its end."""
    one, most, half = np.uint64(1), np.uint64(8), np.uint64(32)
    if lowered:
        begin, end = _lowered(begin), _lowered(end)
    middle = (begin >> ((size >> one) << np.uint64(3))) & np.uint64(255)
    few = (begin & np.uint64(255)) | (middle << most) | ((end >> np.uint64(56)) << np.uint64(16))
    some = (begin & np.uint64(0xFFFFFFFF)) | ((end >> half) << half)
    h = SEED ^ (size * FACTOR)
    longer = (h ^ begin) * FACTOR
    longer ^= longer >> np.uint64(29)
    w = end if size > most else some if size >= np.uint64(4) else few
    return mixed(((longer if size > most else h) ^ w) * FACTOR)


@inline
def _hash_rows(utf8: Bytes, starts: Rows, ends: Rows, lowered: bool, scratch: Hashes, out: Hashes) -> None:
    """Write the `row_hash` of each row to ``out``; ``scratch``: 5 rows of 32 more than `TOGETHER`.

    Rows of up to 16 bytes are hashed together by vector instructions: how long a word is cannot be predicted. Without that,
    the hashes of tokens take 1.7 to 2.2 times as long (2026-12).
    """
    least, sixteen, together = np.uint64(8), np.uint64(16), np.uint64(TOGETHER)
    begins, tails, sizes, others, hashed = scratch
    for first in range(np.uint64(0), np.uint64(len(starts)), together):
        count, left = min(together, np.uint64(len(starts)) - first), np.uint64(0)
        for k in range(count):
            start, end = np.uint64(starts[first + k]), np.uint64(ends[first + k])
            sizes[k] = end - start
            others[left] = k
            if start + least <= np.uint64(len(utf8)) and end >= least:
                begins[k], tails[k] = eight(utf8, start), eight(utf8, end - least)
                left += np.uint64(end - start - np.uint64(1) >= sixteen)
            else:
                left += np.uint64(1)
        for k in range((count + np.uint64(31)) & ~np.uint64(31)):  # a loop's rest does not become vector instructions
            hashed[k] = _short_row_hash(begins[k], tails[k], sizes[k], lowered)
        for k in range(count):
            out[first + k] = hashed[k]
        for n in range(left):
            row = first + others[n]
            out[row] = row_hash(utf8, starts[row], ends[row], lowered)


@kernel
def hashes(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """A hash of each row's bytes: ``uint64[N]``."""
    out = np.empty(len(starts), np.uint64)
    _hash_rows(utf8, starts, ends, False, np.zeros((5, TOGETHER + 32), np.uint64), out)
    return out


@kernel
def lowered_hashes(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """A hash of each row's bytes, with ASCII letters in lower case: ``uint64[N]``."""
    out = np.empty(len(starts), np.uint64)
    _hash_rows(utf8, starts, ends, True, np.zeros((5, TOGETHER + 32), np.uint64), out)
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
    h, begin, end = np.uint64(0), np.uint64(first), np.uint64(first + n)
    for row in range(begin, end):
        h = h * FACTOR + hashes[row]
    out[0] = mixed(h)
    for k in range(np.uint64(count - n)):
        h = (h - hashes[begin + k] * lead) * FACTOR + hashes[end + k]
        out[k + np.uint64(1)] = mixed(h)
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
    """Number of code points of one row: the bytes that do not continue one."""
    i, last = np.uint64(start), np.uint64(end)
    count = np.int64(last - i)
    while i < last:
        count -= bit_count(block(utf8, i, last, CONTINUATIONS))
        i += np.uint64(64)
    return count


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
def slot_of(table: Hashes, counts: Rows, size: int, h: Any) -> Any:
    """The slot of a hash in a table whose empty slots have count 0, unsigned; linear probing."""
    last = np.uint64(size - 1)
    slot = h & last
    while counts[slot] != 0 and table[slot] != h:
        slot = (slot + np.uint64(1)) & last
    return slot


@inline
def largest(parents: Rows) -> Any:
    """The largest number of rows of a parent."""
    most = np.int64(0)
    for p in range(len(parents) - 1):
        most = max(most, parents[p + 1] - parents[p])
    return most


@inline
def word_hash_and_length(utf8: Bytes, start: int, end: int, lowered: bool) -> Any:
    """A hash of a word's bytes and its number of code points; ``lowered``: with ASCII letters in lower case.

    The first eight bytes are read as one number of which those that are too many are masked. `row_hash` branches on the length,
    which cannot be predicted: with it, hashes and lengths of words took twice as long (2026-11).
    """
    first, last = np.uint64(start), np.uint64(end)
    size = last - first
    w = first_eight(utf8, first, last)
    length = np.int64(size) - _continued(w)
    h = ((_lowered(w) if lowered else w) ^ (size * SEED)) * FACTOR
    if size > np.uint64(8):
        first += np.uint64(8)
        while first < last:
            w = first_eight(utf8, first, last)
            length -= _continued(w)
            w = _lowered(w) if lowered else w
            h = ((h ^ (h >> np.uint64(29))) + w) * FACTOR
            first += np.uint64(8)
    return mixed(h), length


@inline
def short_word_hash(first: Any, second: Any, size: Any) -> Any:
    """The hash by `word_hash_and_length` of a word of 1 to 16 bytes, from the eight bytes at its start and the next eight.

    Bytes behind the word's end are ignored. A loop over words becomes vector instructions.
    """
    most, bits = np.uint64(8), np.uint64(3)
    first &= ~np.uint64(0) >> ((most - min(size, most)) << bits)
    second &= ~np.uint64(0) >> ((np.uint64(16) - min(max(size, np.uint64(9)), np.uint64(16))) << bits)
    h = (first ^ (size * SEED)) * FACTOR
    longer = ((h ^ (h >> np.uint64(29))) + second) * FACTOR
    return mixed(longer if size > most else h)


@kernel
def word_hashes(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """The hashes of rows by `word_hash_and_length`: ``uint64[N]``."""
    out = np.empty(len(starts), np.uint64)
    for row in range(len(starts)):
        out[row], _ = word_hash_and_length(utf8, starts[row], ends[row], False)
    return out


@inline
def _continued(w: Any) -> Any:
    """How many of eight bytes continue a code point."""
    return bit_count(w & ~(w << np.uint64(1)) & np.uint64(0x8080808080808080))


@inline
def _repeats(places: Rows, grams: Hashes, count: int, marks: Bytes) -> Any:
    """Reduce n-grams and their places to those that may occur twice; returns their number.

    ``marks`` is a table of how often a hash's lower bits occur, up to twice. That is faster than the exact count, which is then
    needed for a third of the n-grams at n = 2.
    """
    last = np.uint64(table_size(MARKS * count) - 1)
    marks[: np.int64(last) + 1] = 0
    for k in range(np.uint64(count)):
        place = grams[k] & last
        marks[place] = min(marks[place] + 1, 2)
    left = np.uint64(0)
    for k in range(np.uint64(count)):
        places[left], grams[left] = places[k], grams[k]
        left += np.uint64(marks[grams[k] & last] > 1)
    return np.int64(left)


@inline
def _put_shares(
    word_hashes: Hashes, sums: Rows, words: int, longest: int, beyond_first: bool,
    table: Hashes, counts: Rows, marks: Bytes, places: Rows, grams: Hashes, slots: Rows, top: Any, covered: Any,
) -> Any:  # fmt: skip
    """`ngram_shares` of one parent with this number of words, into zeroed ``top`` and ``covered``.

    ``sums``: the characters of the words before each word, and of all. What follows ``beyond_first`` is scratch. An n-gram's
    hash is a polynomial of its words' hashes, whose bits are mixed already.
    """
    all_ = sums[words]
    n_places: Any = words
    for n in range(2, longest + 1):
        left = np.uint64(0)  # positions where this n-gram could occur twice
        if n == 2:
            left = np.uint64(max(words - 1, 0))
            for k in range(left):
                places[k] = np.int64(k)
                grams[k] = word_hashes[k] * FACTOR + word_hashes[k + np.uint64(1)]
        else:
            for k in range(np.uint64(max(n_places - 1, 0))):
                following = places[k + np.uint64(1)] == places[k] + 1
                places[left] = places[k]
                grams[left] = grams[k] * FACTOR + word_hashes[np.uint64(places[k] + n - 1)]
                left += np.uint64(following)
        n_places = _repeats(places, grams, np.int64(left), marks)
        if n_places == 0:
            break
        size = table_size(n_places)
        counts[:size] = 0
        for k in range(np.uint64(n_places)):
            slot = slot_of(table, counts, size, grams[k])
            slots[k], table[slot] = np.int64(slot), grams[k]
            counts[slot] += 1
        most, most_length, until, cover, kept = np.int64(1), np.int64(0), np.int64(0), np.int64(0), np.uint64(0)
        for k in range(np.uint64(n_places)):
            slot, place = np.uint64(slots[k]), places[k]
            count = counts[slot]
            if count == 1:
                continue
            seen = count < 0  # a negative count: its first occurrence has been passed
            count = abs(count)
            counts[slot] = -count
            end = sums[np.uint64(place + n)]
            if count >= most:
                length = end - sums[np.uint64(place)]
                most_length = length if count > most else max(length, most_length)
                most = count
            if seen or not beyond_first:
                cover += end - sums[np.uint64(max(until, place))]
                until = place + n
            places[kept], grams[kept] = place, grams[k]
            kept += np.uint64(1)
        n_places = np.int64(kept)
        if all_ > 0:
            top[n] = most * most_length / all_
            covered[n] = cover / all_
        if n_places == 0:
            break


@kernel
def ngram_shares(
    utf8: Bytes, starts: Rows, ends: Rows, parents: Rows, classes: Bytes, breaks: Bytes, cut: bool, longest: int,
    beyond_first: bool,
) -> Any:  # fmt: skip
    """Fractions of a parent's word characters in repeated word n-grams: two ``float64[P, longest + 1]``, column n for n-grams.

    Rows are words, or with ``cut`` texts, whose words `uax29.put_uax29_words` finds. ``top``: characters of the most frequent
    n-gram times its count (of equally frequent ones, the longest). ``covered``: characters of words inside any n-gram that
    occurs more than once, each word counted once; with ``beyond_first``, only occurrences after an n-gram's first.

    An n-gram can occur twice only where both its (n-1)-grams do, so each n visits only the positions that the previous n left:
    a tenth of the words at n = 3, with the same counts. A parent with fewer than n words, or without repeats, gets 0.
    """
    top, covered = np.zeros((len(parents) - 1, longest + 1)), np.zeros((len(parents) - 1, longest + 1))
    most = largest(parents)
    if cut:
        most = np.int64(0)
        for row in range(len(starts)):
            most = max(most, ends[row] - starts[row])
    firsts, lasts = np.empty(most, np.int64), np.empty(most, np.int64)
    room = np.int64(0)
    table, counts, marks = np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.uint8)
    word_hashes, sums = np.empty(room, np.uint64), np.zeros(room + 1, np.int64)
    places, grams, slots = np.empty(room, np.int64), np.empty(room, np.uint64), np.empty(room, np.int64)
    for p in range(len(parents) - 1):
        words = np.int64(0)
        for row in range(parents[p], parents[p + 1]):
            if cut:
                words = put_uax29_words(utf8, starts[row], ends[row], classes, breaks, firsts, lasts, words)
            else:
                firsts[words], lasts[words] = starts[row], ends[row]
                words += 1
        if words > room:
            room = 2 * words
            size = table_size(room)
            table, counts, marks = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(MARKS * size, np.uint8)
            word_hashes, sums = np.empty(room, np.uint64), np.empty(room + 1, np.int64)
            sums[0] = 0
            places, grams, slots = np.empty(room, np.int64), np.empty(room, np.uint64), np.empty(room, np.int64)
        for word in range(words):
            word_hashes[word], length = word_hash_and_length(utf8, firsts[word], lasts[word], False)
            sums[word + 1] = sums[word] + length
        _put_shares(
            word_hashes, sums, words, longest, beyond_first, table, counts, marks, places, grams, slots, top[p], covered[p]
        )
    return top, covered
