"""The buckets of a word's character n-grams, as fastText hashes them: kernels that hash many words at once.

Invariants: words stand in a line, each in ``<`` and ``>``, one after another. ``grams`` has the buckets of the n-grams that
begin at each byte of a line, those of 2 characters first, then of 3 and of 4, `LINE` of each; the number of buckets, which is
no bucket, stands where no n-gram begins or where it would end beyond its word. Loops over bytes become vector instructions.
"""

from typing import Any

import numpy as np

from goldwash.filters.bits import bit_count
from goldwash.filters.cut import Bytes
from goldwash.filters.jit import bare, inline
from goldwash.filters.ngrams import Hashes

LINE = np.int64(2048)
"""Bytes of the words, each in ``<`` and ``>``, whose n-grams are gathered together."""

SPARE = 128
"""Bytes of a line beyond those of its words: kernels read and write past the end."""

USUAL_BUCKETS = 2_000_000


@inline
def short_hash(h: Any, b: Any) -> Any:
    """One byte more in fastText's 32-bit hash (FNV-1a over signed chars); the lower half of the result is that hash."""
    wide = b | np.uint64(0xFFFFFF00) if b >= np.uint64(128) else b
    return (h ^ wide) * np.uint64(16777619)


@inline
def bucket_of(h: Any, buckets: int) -> Any:
    """An n-gram's bucket: the usual number is a constant, so that the compiler turns the division into a multiplication."""
    h = h & np.uint64(0xFFFFFFFF)
    return h % np.uint64(USUAL_BUCKETS) if buckets == USUAL_BUCKETS else h % np.uint64(buckets)


@inline
def _divide(used: Any, buckets: int, grams: Any) -> Any:
    """Replace the hashes of a line by their buckets."""
    for n in range(3):
        first = np.uint64(n * LINE)
        if buckets == USUAL_BUCKETS:
            for i in range(first, first + used):  # the quotient is exact for 32 bits
                h = np.uint64(grams[i])
                grams[i] = h - (((h >> np.uint64(7)) * np.uint64(35184373)) >> np.uint64(39)) * np.uint64(2_000_000)
        else:
            for i in range(first, first + used):
                grams[i] = np.uint64(grams[i]) % np.uint64(buckets)


@inline
def put_ascii_grams(line: Bytes, used: int, buckets: int, grams: Any) -> Any:
    """Write the buckets of the n-grams of 2, 3 and 4 bytes that begin at each place of a line, also across words.

    The hashes of each length follow from those of one byte less.
    """
    last, three, four = np.uint64(used), np.uint64(LINE), np.uint64(2 * LINE)
    for i in range(last):
        h = ((np.uint64(2166136261) ^ np.uint64(line[i])) * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
        grams[i] = ((h ^ np.uint64(line[i + np.uint64(1)])) * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
    for i in range(last):
        h = np.uint64(grams[i]) ^ np.uint64(line[i + np.uint64(2)])
        grams[three + i] = (h * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
    for i in range(last):
        h = np.uint64(grams[three + i]) ^ np.uint64(line[i + np.uint64(3)])
        grams[four + i] = (h * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
    _divide(last, buckets, grams)


@inline
def close_ascii_word(end: int, buckets: int, grams: Any) -> Any:
    """Replace the n-grams that begin in an ASCII word and end beyond it by ``buckets``."""
    for n in range(3):
        for back in range(1, n + 2):
            grams[np.uint64(n * LINE + end - back)] = buckets


@inline
def _put_wide_hashes(last: Any, longest: Any, signed: Any, ends: Any, grams: Any) -> Any:
    """Write the hashes of the n-grams at each place: of ``longest`` bytes, and as they are where a character ends."""
    three, four = np.uint64(LINE), np.uint64(2 * LINE)
    for i in range(last):
        h, ended = np.uint32(2166136261), np.uint32(0)
        a, b, c = np.uint32(0), np.uint32(0), np.uint32(0)
        for s in range(longest):
            h = np.uint32((h ^ signed[i + s]) * np.uint32(16777619))
            a = h if ended == 1 else a
            b = h if ended == 2 else b
            c = h if ended == 3 else c
            ended = np.uint32(ended + ends[i + s])
        grams[i], grams[three + i], grams[four + i] = a, b, c


@bare
def put_wide_grams(line: Bytes, used: int, buckets: int, signed: Any, ends: Any, grams: Any) -> Any:
    """`put_ascii_grams` for words of characters of up to four bytes. ``signed``, ``ends``: scratch.

    At each place 16 bytes are hashed, as many as four characters have, or 8 if none of them has more than two; the hash is
    taken where the second, third and fourth character end. The places are rounded up, since a loop's rest is not vectorised.
    """
    last, largest = (np.uint64(used) + np.uint64(31)) & ~np.uint64(31), np.uint8(0)
    line[np.uint64(used)] = 60
    for i in range(last):  # bytes of an earlier line may be among them
        largest = max(largest, line[i])
    if largest < 0x80:  # a line of a long word
        put_ascii_grams(line, used, buckets, grams)
        return
    for i in range(last + np.uint64(32)):
        signed[i] = np.uint32(line[i]) | (np.uint32(0xFFFFFF00) if line[i] >= 128 else np.uint32(0))
        ends[i] = np.uint32((line[i + np.uint64(1)] & 0xC0) != 0x80)
    if largest < 0xE0:
        _put_wide_hashes(last, np.uint64(8), signed, ends, grams)
    else:
        _put_wide_hashes(last, np.uint64(16), signed, ends, grams)
    _divide(last, buckets, grams)
    for n in range(3):
        first = np.uint64(n * LINE)
        for i in range(last):
            grams[first + i] = np.uint32(buckets) if (line[i] & 0xC0) == 0x80 else grams[first + i]


@inline
def close_wide_word(line: Bytes, end: int, buckets: int, grams: Any) -> Any:
    """`close_ascii_word` for a word of characters of up to four bytes."""
    at = end
    for left in range(3):  # the characters behind the one at ``at``
        at -= 1
        while (line[at] & 0xC0) == 0x80:
            at -= 1
        for n in range(left, 3):
            grams[np.uint64(n * LINE + at)] = buckets


@inline
def is_present(bucket: Any, present: Hashes) -> Any:
    """1 if a bucket has a row, else 0."""
    return np.int64((present[np.uint64(bucket) >> np.uint64(6)] >> (np.uint64(bucket) & np.uint64(63))) & np.uint64(1))


@inline
def row_of(bucket: Any, present: Hashes, firsts: Any) -> Any:
    """The row of a bucket that has one."""
    place = np.uint64(bucket)
    below = (np.uint64(1) << (place & np.uint64(63))) - np.uint64(1)
    return np.int64(firsts[place >> np.uint64(6)]) + bit_count(present[place >> np.uint64(6)] & below)
