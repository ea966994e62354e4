"""The mean weight of a text's words and word n-grams: kernels that cut, hash, look up and add.

Invariants: features are those of fastText for the text as one line (``dictionary.cc``, 0.9.2). Words are treated many at
a time, in passes without unpredictable branches, so that hashes become vector instructions and accesses to memory overlap;
weights are added in one order, which neither changes.

An *entry* of the table of words is one number: in its lower half, half of a word's hash (0: empty); in its upper half, the
bits of its weight.
"""

from typing import Any

import numpy as np

from goldwash.classifiers.model_file import Floats
from goldwash.classifiers.ngram_buckets import USUAL_BUCKETS, short_hash
from goldwash.filters.bits import (
    FASTTEXT_SPACES,
    FILE_SEPARATORS,
    LEAD_C2,
    LEAD_E2,
    bit_count,
    block,
    eight,
    first_eight,
    lowest,
)
from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.jit import inline, kernel, matching, prefetch
from goldwash.filters.ngrams import FACTOR, Hashes, mixed

BOUNDS = np.uint64(448)
"""Words are scored together when so many begin and stop. A sum depends on it: it adds the weights of words, then of n-grams."""

AT_ONCE = 288
"""Room for the words that are scored together, at most 257, and for what loops write behind them."""

STEP = np.uint64(32)
"""Loops over words go to a multiple of this, since a loop's rest does not become vector instructions."""

NEXT_LINE, SEPARATORS, LINE_SEPARATOR, PARAGRAPH_SEPARATOR = map(np.int64, (0x85, 0x80, 0xA8, 0xA9))
"""The bytes behind the first one of U+0085, U+2028 and U+2029."""

END, LABEL = np.uint64(0x3E732F3C), np.uint64(0x5F6C6562616C5F5F)
"""The first eight bytes of ``</s>``, and of a label."""

LOW, BASIS, NGRAM = np.uint64(0xFFFFFFFF), np.uint64(2166136261), np.uint64(116049371)


@inline
def _hashed_on(utf8: Bytes, i: Any, end: Any, h: Any) -> Any:
    """fastText's 32-bit hash (FNV-1a over signed chars), continued over the bytes from ``i`` to ``end``."""
    for k in range(i, end):
        h = short_hash(h, np.uint64(utf8[np.uint64(k)])) & LOW
    return h


@inline
def _key(first: Any, tail: Any, h: Any) -> Any:
    """A 64-bit hash of a word: of its first eight bytes, the last eight of one that is longer, and fastText's hash."""
    return mixed(((first * FACTOR) ^ h) + tail * np.uint64(0xFF51AFD7ED558CCD))


@inline
def _slot(key: Any, slots: Any) -> Any:
    """The first slot in which a word may be."""
    return ((key >> np.uint64(32)) * slots) >> np.uint64(32)


@inline
def _half(key: Any) -> Any:
    """The half of a word's hash that its entry holds."""
    return max(key & LOW, np.uint64(1))


@inline
def _ends(utf8: Bytes, start: Any, end: Any) -> Any:
    """The first eight bytes of a word, and the last eight of one that is longer, else 0."""
    return first_eight(utf8, start, end), eight(utf8, end - np.uint64(8)) if end - start > np.uint64(8) else np.uint64(0)


@inline
def _word_key(utf8: Bytes, start: Any, end: Any) -> Any:
    first, tail = _ends(utf8, start, end)
    return _key(first, tail, _hashed_on(utf8, start, end, BASIS))


@kernel
def weight_table(utf8: Bytes, starts: Rows, ends: Rows, weights: Any) -> Any:
    """The table of words and the bits of their weights: ``uint32[slots, 2]``, the halves of entries.

    It is four fifths full, a table of up to a megabyte only a quarter: words that a small model does not know are then found
    missing in few steps.
    """
    slots = max(len(starts) + len(starts) // 4 + 1, min(4 * len(starts), 1 << 17), 16)
    out = np.zeros((slots, 2), np.uint32)
    for row in range(len(starts)):
        key = _word_key(utf8, np.uint64(starts[row]), np.uint64(ends[row]))
        slot = _slot(key, np.uint64(slots))
        while out[slot, 0] != 0:
            slot = slot + np.uint64(1) if slot + np.uint64(1) < np.uint64(slots) else np.uint64(0)
        out[slot, 0], out[slot, 1] = _half(key), weights[row]
    return out


@inline
def _found(entries: Hashes, slot: Any, half: Any) -> Any:
    """The entry of a word; 0 if there is none."""
    last = np.uint64(len(entries))
    while True:
        if slot + np.uint64(8) <= last:  # eight at once: how many there are before it cannot be predicted
            bits = matching(entries, slot, half)
            if bits != np.uint64(0):
                entry = entries[slot + np.uint64(lowest(bits))]
                return entry if entry & LOW == half else np.uint64(0)
            slot += np.uint64(8)
        elif slot < last:
            low = entries[slot] & LOW
            if low == np.uint64(0) or low == half:
                return entries[slot] if low == half else np.uint64(0)
            slot += np.uint64(1)
        else:
            slot = np.uint64(0)


@kernel
def weights_of(utf8: Bytes, starts: Rows, ends: Rows, entries: Hashes) -> Any:
    """The bits of each word's weight: ``uint32[N]``; those of nan for a word that is not in the table."""
    out = np.empty(len(starts), np.uint32)
    for row in range(len(starts)):
        key = _word_key(utf8, np.uint64(starts[row]), np.uint64(ends[row]))
        entry = _found(entries, _slot(key, np.uint64(len(entries))), _half(key))
        out[row] = entry >> np.uint64(32) if entry != np.uint64(0) else np.uint64(0x7FC00000)
    return out


@inline
def _wide_separators(utf8: Bytes, i: Any, last: Any) -> Any:
    """Among 64 bytes, those of line ends beyond ASCII (U+0085, U+2028, U+2029), and those of them in the next 64 bytes."""
    two, three = block(utf8, i, last, LEAD_C2), block(utf8, i, last, LEAD_E2)
    if two | three == np.uint64(0):
        return np.uint64(0), np.uint64(0)
    second, third = i + np.uint64(1), i + np.uint64(2)
    two &= block(utf8, second, last, NEXT_LINE)
    three &= block(utf8, second, last, SEPARATORS)
    three &= block(utf8, third, last, LINE_SEPARATOR) | block(utf8, third, last, PARAGRAPH_SEPARATOR)
    bits = two | (two << np.uint64(1)) | three | (three << np.uint64(1)) | (three << np.uint64(2))
    return bits, (two >> np.uint64(63)) | (three >> np.uint64(63)) | (three >> np.uint64(62))


@inline
def is_label(utf8: Bytes, start: int, end: int) -> Any:
    """Whether a token begins with ``__label__``: fastText does not count it as a word."""
    if end - start < 9 or utf8[start] != 95:
        return False
    prefix = (95, 95, 108, 97, 98, 101, 108, 95, 95)
    for k in range(9):
        if utf8[start + k] != prefix[k]:
            return False
    return True


@inline
def _put_bounds(spaces: Any, outside: Any, i: Any, begins: Hashes, begun: Any, stops: Hashes, stopped: Any) -> Any:
    """Write where words begin and stop in the 64 bytes from ``i``, behind those before; returns how many do in all.

    Most blocks have up to 12 words: the number of steps is hardly ever another, so that it is predicted.
    """
    before = (spaces << np.uint64(1)) | outside
    first, beyond = ~spaces & before, spaces & ~before
    new, old = np.uint64(bit_count(first)), np.uint64(bit_count(beyond))
    for k in range(max(new, old, np.uint64(12))):
        begins[begun + k], stops[stopped + k] = i + np.uint64(lowest(first)), i + np.uint64(lowest(beyond))
        first &= first - np.uint64(1)
        beyond &= beyond - np.uint64(1)
    return begun + new, stopped + old


@inline
def _put_words(
    utf8: Bytes, words: Any, begins: Hashes, stops: Hashes, firsts: Hashes, seconds: Hashes, tails: Hashes, long: Hashes
) -> Any:
    """Write words' `_ends` and their second eight bytes; leave out labels.

    Returns the number of words, of those of more than 16 bytes, which are numbered in ``long``, and whether the last one is a
    literal ``</s>``, which fastText takes for the end. A word's size cannot be predicted: there is no branch on it.
    """
    count, longer, eight_bytes = np.uint64(0), np.uint64(0), np.uint64(8)
    for k in range(words):
        start, stop = begins[k], stops[k]
        size = stop - start
        if start + np.uint64(16) <= np.uint64(len(utf8)):
            few = min(size, eight_bytes)
            first = eight(utf8, start) & (~np.uint64(0) >> (np.uint64(64) - (few << np.uint64(3))))
            second, tail = eight(utf8, start + eight_bytes), eight(utf8, stop - few)
            tail = tail if size > eight_bytes else np.uint64(0)
        else:
            first, tail = _ends(utf8, start, stop)
            second = first_eight(utf8, start + eight_bytes, stop) if size > eight_bytes else np.uint64(0)
        if first == LABEL and is_label(utf8, np.int64(start), np.int64(stop)):
            continue
        begins[count], stops[count] = start, stop
        firsts[count], seconds[count], tails[count] = first, second, tail
        long[longer] = count
        longer += np.uint64(size > np.uint64(16))
        count += np.uint64(1)
        if first == END:
            return count, longer, True
    return count, longer, False


@inline
def _put_hashes(
    utf8: Bytes, count: Any, begins: Hashes, stops: Hashes, firsts: Hashes, seconds: Hashes, long: Hashes, longer: Any, out: Any
) -> Any:
    """Write fastText's hashes of words: of their first 16 bytes many at a time, then on over those of long words."""
    for k in range((count + STEP - np.uint64(1)) & ~(STEP - np.uint64(1))):
        h, size = np.uint32(2166136261), np.uint32(stops[k] - begins[k])
        for part in range(2):
            w = firsts[k] if part == 0 else seconds[k]
            for n in range(8):
                b = np.uint32(np.int32(np.int8(w >> np.uint64(8 * n))))
                longer_hash = np.uint32((h ^ b) * np.uint32(16777619))
                h = longer_hash if np.uint32(8 * part + n) < size else h
        out[k] = h
    for n in range(longer):
        k = long[n]
        out[k] = _hashed_on(utf8, begins[k] + np.uint64(16), stops[k], np.uint64(out[k]))


@inline
def _put_slots(count: Any, firsts: Hashes, tails: Hashes, hashed: Any, slots: Any, halves: Hashes, places: Hashes) -> Any:
    """Write which half of a word's hash to look for, and from which slot on."""
    for k in range((count + STEP - np.uint64(1)) & ~(STEP - np.uint64(1))):
        key = _key(firsts[k], tails[k], np.uint64(hashed[k]))
        halves[k], places[k] = _half(key), _slot(key, slots)


@inline
def _put_weights(count: Any, halves: Hashes, places: Hashes, entries: Hashes, waiting: Hashes, bits: Any) -> Any:
    """Write the bits of words' weights, 0 for a word that the model does not know; returns the number of those that it knows.

    Most words are in their first slot, or it is empty. The others wait.
    """
    known, others = np.uint64(0), np.uint64(0)
    for k in range(count):
        entry = entries[places[k]]
        low = entry & LOW
        here = low == halves[k]
        bits[k] = entry >> np.uint64(32) if here else np.uint64(0)
        known += np.uint64(here)
        waiting[others] = k
        others += np.uint64((not here) and low != np.uint64(0))
    for n in range(others):
        k = waiting[n]
        entry = _found(entries, places[k], halves[k])
        bits[k] = entry >> np.uint64(32)
        known += np.uint64(entry != np.uint64(0))
    return np.int64(known)


@inline
def _signed(h: Any) -> Any:
    """A 32-bit hash as the signed number from which fastText computes word n-grams."""
    return np.uint64(np.int64(np.int32(h)))


@inline
def _bucket(gram: Any, buckets: Any) -> Any:
    """An n-gram's bucket: the usual number is a constant, so that the compiler turns the division into multiplications."""
    usual = np.uint64(USUAL_BUCKETS)
    return gram % usual if buckets == usual else gram % buckets


@inline
def _put_ngrams(hashed: Any, earlier: Any, count: Any, before: Any, weights: Floats, grams: Hashes) -> Any:
    """Write the buckets of the n-grams that end with one of ``count`` words behind ``earlier`` others; returns their number."""
    buckets, n = np.uint64(len(weights)), np.uint64(0)
    if before == np.uint64(1):
        first = np.uint64(1) - earlier
        for k in range(first, count):
            gram = _signed(hashed[k + earlier - np.uint64(1)]) * NGRAM + _signed(hashed[k + earlier])
            grams[k - first] = _bucket(gram, buckets)
            prefetch(weights, grams[k - first])
        return max(count, first) - first
    for k in range(earlier, earlier + count):
        for first in range(k - min(k, before), k):
            gram = _signed(hashed[first])
            for j in range(first + np.uint64(1), k + np.uint64(1)):
                gram = gram * NGRAM + _signed(hashed[j])
            grams[n] = _bucket(gram, buckets)
            prefetch(weights, grams[n])
            n += np.uint64(1)
    return n


@kernel
def mean_weights(utf8: Bytes, starts: Rows, ends: Rows, entries: Hashes, ngram_weights: Floats, longest: int) -> Any:
    """The mean weight of each text's features, as in fastText: known words, ``</s>``, hashed word n-grams: ``float64[N]``.

    0 for a text without a feature. Some hundreds of words at a time are cut, hashed and looked up. Then their weights are
    added, and those of the n-grams that end with them.
    """
    out = np.zeros(len(starts), np.float64)
    before = np.uint64(max(longest - 1, 0)) if len(ngram_weights) > 0 else np.uint64(0)
    begins, stops, long = np.zeros(AT_ONCE, np.uint64), np.zeros(AT_ONCE, np.uint64), np.empty(AT_ONCE, np.uint64)
    firsts, seconds, tails = np.zeros(AT_ONCE, np.uint64), np.zeros(AT_ONCE, np.uint64), np.zeros(AT_ONCE, np.uint64)
    halves, places, bits = np.empty(AT_ONCE, np.uint64), np.empty(AT_ONCE, np.uint64), np.empty(AT_ONCE, np.uint32)
    hashed = np.empty(AT_ONCE + before, np.uint32)
    grams, weights = np.empty(AT_ONCE * max(before, np.uint64(1)), np.uint64), bits.view(np.float32)
    for row in range(len(starts)):
        total, features, earlier = 0.0, np.int64(0), np.uint64(0)
        whole: Any = True
        i, last, outside, spill = np.uint64(starts[row]), np.uint64(ends[row]), np.uint64(1), np.uint64(0)
        begun, stopped = np.uint64(0), np.uint64(0)
        while whole:
            while i < last and begun + stopped < BOUNDS:
                wide, beyond = _wide_separators(utf8, i, last)
                spaces = block(utf8, i, last, FASTTEXT_SPACES) | block(utf8, i, last, FILE_SEPARATORS) | wide | spill
                if i + np.uint64(64) > last:
                    spaces |= ~np.uint64(0) << (last - i)
                begun, stopped = _put_bounds(spaces, outside, i, begins, begun, stops, stopped)
                outside, spill = spaces >> np.uint64(63), beyond
                i += np.uint64(64)
            if i >= last and begun > stopped:
                stops[stopped] = last
                stopped += np.uint64(1)
            count, longer, ended = _put_words(utf8, stopped, begins, stops, firsts, seconds, tails, long)
            whole = i < last and not ended
            if not whole and not ended:
                begins[count], stops[count], firsts[count], tails[count] = 0, 4, END, 0
                count += np.uint64(1)
            new = hashed[earlier:]
            _put_hashes(utf8, count, begins, stops, firsts, seconds, long, longer, new)
            _put_slots(count, firsts, tails, new, np.uint64(len(entries)), halves, places)
            for k in range(count):
                prefetch(entries, places[k])
            features += _put_weights(count, halves, places, entries, long, bits)
            ngrams = _put_ngrams(hashed, earlier, count, before, ngram_weights, grams)
            for k in range(count):
                total += np.float64(weights[k])
            for k in range(ngrams):
                total += np.float64(ngram_weights[grams[k]])
            features += np.int64(ngrams)
            kept = min(earlier + count, before)
            for k in range(kept):
                hashed[k] = hashed[earlier + count - kept + k]
            earlier = kept
            begins[0] = begins[stopped]
            begun, stopped = begun - stopped, np.uint64(0)
        if features > 0:
            out[row] = total / features
    return out
