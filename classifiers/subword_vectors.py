"""The vectors of texts by a model with character n-grams: kernels that cut, hash, look up and add.

Invariants: a text's vector is the mean of the rows of its words and their n-grams, as fastText adds them up (``dictionary.cc``,
0.9.2). The vectors of words are cached, since web text repeats its words; caching and gathering never change a bit of a result.
Words are treated many at a time, in passes without unpredictable branches, so that accesses to memory overlap.
"""

from typing import Any

import numpy as np

from goldwash.classifiers.model_file import Floats
from goldwash.classifiers.ngram_buckets import (
    LINE,
    SPARE,
    bucket_of,
    close_ascii_word,
    close_wide_word,
    is_present,
    put_ascii_grams,
    put_wide_grams,
    row_of,
    short_hash,
)
from goldwash.classifiers.row_sums import add_buckets, add_word, clear_row, may_be_known, move_row, own_row, put_row, put_sum
from goldwash.classifiers.word_weights import is_label
from goldwash.filters.bits import BEYOND_ASCII, FASTTEXT_SPACES, block, eight, either, first_eight, put_edges
from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.jit import copy_block, inline, kernel, prefetch
from goldwash.filters.ngrams import Hashes, short_word_hash, word_hash_and_length
from goldwash.filters.texts import copied

KEPT_WORDS = 1 << 15
"""Words whose vectors are cached: 2 MB at 16 dimensions. From 2^14 to 2^18 the speed on real pages is the same (2026-11)."""

AT_ONCE = 224
"""Words that are looked up together (`text_vectors`); below 256, since a byte of a cached word's key numbers them."""

LONGEST = np.int64(510)
"""Bytes of the longest word, with ``<`` and ``>``, that is gathered with others."""

OVERLAP = np.int64(64)
"""Bytes of a longer word that two lines share, since an n-gram has up to 16."""

FLUSHED = 56
"""A word's rows are added when there are more than these, so that sums do not depend on how they are gathered."""


@inline
def _add_ngrams(
    word: Bytes, size: int, present: Hashes, firsts: Any, buckets: int, rows: Floats, minn: int, maxn: int,
    found: Rows, total: Floats,
) -> Any:  # fmt: skip
    """Add the rows of a word's character n-grams (``word`` has ``<`` and ``>`` around it); returns their number.

    Whether the model has an n-gram cannot be predicted: buckets are gathered without a branch and their rows added afterwards.
    """
    features, held, i = np.int64(0), np.int64(0), np.int64(0)
    while i < size:
        h, j, n = np.uint64(2166136261), i, 1
        while j < size and n <= maxn:
            h = short_hash(h, np.uint64(word[j]))
            j += 1
            while j < size and (word[j] & 0xC0) == 0x80:
                h = short_hash(h, np.uint64(word[j]))
                j += 1
            if n >= minn and (n > 1 or (i > 0 and j < size)):
                found[held] = np.int64(bucket_of(h, buckets))
                held += is_present(found[held], present)
            n += 1
        if held > FLUSHED:
            features += add_buckets(total, rows, present, firsts, found, held)
            held = np.int64(0)
        i += 1
        while i < size and (word[i] & 0xC0) == 0x80:
            i += 1
    return features + add_buckets(total, rows, present, firsts, found, held)


@inline
def _add_line_by_line(
    word: Bytes, size: int, present: Hashes, firsts: Any, buckets: int, rows: Floats, line: Bytes, signed: Any, char_ends: Any,
    grams: Any, found: Rows, total: Floats,
) -> Any:  # fmt: skip
    """`_add_ngrams` for n-grams of 2 to 4 characters, those of a line hashed together: for long words.

    A text without spaces, as Chinese without its newlines, is one word: a tenth of the bytes of 30 MB (2026-11).
    """
    features, held, at = np.int64(0), np.int64(0), np.int64(0)
    while at < size:
        used: Any = min(size - at, LINE)
        copied(word, at, at + used, line, np.int64(0))
        put_wide_grams(line, used, buckets, signed, char_ends, grams)
        if at + used == size:
            close_wide_word(line, used, buckets, grams)
        else:
            used -= OVERLAP
        for i in range(np.uint64(used)):
            for n in range(np.uint64(3)):
                gram = np.uint64(grams[n * np.uint64(LINE) + i])
                found[held] = gram
                held += is_present(gram, present)
            if held > FLUSHED:
                features += add_buckets(total, rows, present, firsts, found, held)
                held = np.int64(0)
        at += used
    return features + add_buckets(total, rows, present, firsts, found, held)


@inline
def _put_word(utf8: Bytes, begin: int, size: int, line: Bytes, at: int) -> Any:
    """Write a word in ``<`` and ``>`` to ``line[at:]``; returns whether it is ASCII."""
    first, target = np.uint64(begin), np.uint64(at)
    line[target] = 60
    target += np.uint64(1)
    if size <= 64 and first + np.uint64(64) <= np.uint64(len(utf8)):
        copy_block(utf8, first, line, target)
    else:
        for k in range(np.uint64(size)):
            line[target + k] = utf8[first + k]
    line[target + np.uint64(size)] = 62
    i, last, beyond = first, first + np.uint64(size), np.uint64(0)
    while i < last:
        beyond |= block(utf8, i, last, BEYOND_ASCII)
        i += np.uint64(64)
    return beyond == np.uint64(0)


@inline
def _put_wide_words(
    line: Bytes, places: Rows, wide: Rows, others: int, buckets: int, grams: Any, wide_line: Bytes, signed: Any, char_ends: Any,
    wide_grams: Any,
) -> Any:  # fmt: skip
    """Write the buckets of the n-grams of those words of a line that are not ASCII: hashed together, in a line of their own."""
    used: Any = np.int64(0)
    for k in range(others):
        used = copied(line, places[wide[k]], places[wide[k] + 1], wide_line, used)
    put_wide_grams(wide_line, used, buckets, signed, char_ends, wide_grams)
    begin = np.int64(0)
    for k in range(others):
        first, size = places[wide[k]], places[wide[k] + 1] - places[wide[k]]
        close_wide_word(wide_line, begin + size, buckets, wide_grams)
        for n in range(3):
            for i in range(np.uint64(size)):
                grams[np.uint64(n * LINE + first) + i] = wide_grams[np.uint64(n * LINE + begin) + i]
        begin += size


@inline
def _put_present_rows(grams: Any, used: int, present: Hashes, firsts: Any, before: Any, found: Any, rows: Floats) -> Any:
    """Write the rows of the n-grams of a line that have one to ``found``, and how many come before each place to ``before``."""
    held = np.uint64(0)
    for i in range(np.uint64(used)):
        before[i] = held
        for n in range(np.uint64(3)):
            gram = np.uint64(grams[n * np.uint64(LINE) + i])
            found[held] = gram
            held += np.uint64(is_present(gram, present))
    before[np.uint64(used)] = held
    for k in range(held):
        row = row_of(found[k], present, firsts)
        prefetch(rows, np.uint64(row))
        found[k] = row


@inline
def _put_eights(utf8: Bytes, edges: Rows, words: int, eights: Any, long: Rows) -> Any:
    """Write to ``eights`` the eight bytes from each word's start, the eight behind them, and its size.

    Returns the number of words of more than 16 bytes, which are numbered in ``long``. A word's size cannot be predicted: there
    is no branch on it, unless the buffer ends there.
    """
    longer, one, two, most = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(8)
    for k in range(np.uint64(words)):
        start, stop = np.uint64(edges[k << one]), np.uint64(edges[(k << one) + one])
        size = stop - start
        if start + np.uint64(16) <= np.uint64(len(utf8)):
            eights[np.uint64(0), k], eights[one, k] = eight(utf8, start), eight(utf8, start + most)
        else:
            eights[np.uint64(0), k] = first_eight(utf8, start, stop)
            eights[one, k] = first_eight(utf8, start + most, stop) if size > most else np.uint64(0)
        eights[two, k] = size
        long[longer] = np.int64(k)
        longer += (np.uint64(16) - size) >> np.uint64(63)
    return longer


@inline
def _hash_words(utf8: Bytes, edges: Rows, words: int, eights: Any, long: Rows, hashed: Hashes, end_hash: Any) -> Any:
    """Write the hashes of words between edges to ``hashed``; returns how many come before a literal ``</s>``."""
    longer, ends = _put_eights(utf8, edges, words, eights, long), np.uint64(0)
    for k in range((np.uint64(words) + np.uint64(31)) & ~np.uint64(31)):  # a loop's rest does not become vector instructions
        hashed[k] = short_word_hash(eights[np.uint64(0), k], eights[np.uint64(1), k], eights[np.uint64(2), k])
        ends += np.uint64(hashed[k] == end_hash)
    for k in range(longer):
        place = np.uint64(long[k]) << np.uint64(1)
        hashed[long[k]], _ = word_hash_and_length(utf8, edges[place], edges[place + np.uint64(1)], False)
    if ends != np.uint64(0):
        for k in range(np.uint64(words)):
            if hashed[k] == end_hash:
                return np.int64(k)
    return words


@inline
def _look_up(hashed: Hashes, words: int, kept: Hashes, where: Rows, missed: Rows) -> Any:
    """The slots of words' vectors: those cached, and for each other word a fresh one behind them; returns the others' number.

    ``missed[k]`` is the word of the k-th fresh slot. Its key is entered at once with ``k + 1`` in its lowest byte, so that the
    word is found if it comes again. Whether a word is cached cannot be predicted: there is no condition of which the compiler
    would make a branch.
    """
    fresh = np.uint64(0)
    for k in range(np.uint64(words)):
        h = hashed[k]
        slot = (h >> np.uint64(40)) & np.uint64(len(kept) - 1)
        held = kept[slot]
        new = (((held ^ h) >> np.uint64(8)) + np.uint64((1 << 56) - 1)) >> np.uint64(56)  # 1 if the words differ
        waiting = held & np.uint64(255)
        at = slot if waiting == np.uint64(0) else np.uint64(len(kept)) + waiting - np.uint64(1)
        kept[slot] = either(new, (h & ~np.uint64(255)) | (fresh + np.uint64(1)), held)
        where[k] = np.int64(either(new, np.uint64(len(kept)) + fresh, at))
        missed[fresh] = np.int64(k)
        fresh += new
    return np.int64(fresh)


@inline
def _add_words(total: Floats, sums: Floats, counts: Any, where: Rows, words: int) -> Any:
    """Add words' vectors in their order; returns the number of their features. The last vector of all is zero.

    Eight vectors are loaded for one load and store of the total, which would otherwise take longer than the additions.
    """
    features = np.int64(0)
    for k in range(np.uint64(8)):
        where[np.uint64(words) + k] = len(sums) - 1
    for k in range(np.uint64(0), np.uint64(words), np.uint64(8)):
        for j in range(np.uint64(8)):
            features += np.int64(counts[np.uint64(where[k + j])])
        a, b = np.uint64(where[k]), np.uint64(where[k + np.uint64(1)])
        c, e = np.uint64(where[k + np.uint64(2)]), np.uint64(where[k + np.uint64(3)])
        f, g = np.uint64(where[k + np.uint64(4)]), np.uint64(where[k + np.uint64(5)])
        p, q = np.uint64(where[k + np.uint64(6)]), np.uint64(where[k + np.uint64(7)])
        for d in range(np.uint64(16)) if len(total) == 16 else range(np.uint64(len(total))):
            half = (((total[d] + sums[a, d]) + sums[b, d]) + sums[c, d]) + sums[e, d]
            total[d] = (((half + sums[f, d]) + sums[g, d]) + sums[p, d]) + sums[q, d]
    return features


@inline
def _gather(
    utf8: Bytes, edges: Rows, missed: Rows, hashed: Hashes, done: int, new: int, keys: Hashes, ids: Rows, sieve: Hashes,
    present: Hashes, firsts: Any, buckets: int, rows: Floats, plain: bool,
    line: Bytes, places: Rows, own: Rows, known: Rows, wide: Rows, wide_line: Bytes, signed: Any, char_ends: Any,
    wide_grams: Any, grams: Any, before: Any, found: Any,
) -> Any:  # fmt: skip
    """Find the rows of as many of the words ``missed[done:new]`` as a line holds; returns the first that is left.

    Word ``k`` has the line's bytes from ``places[k]`` to before ``places[k + 1]``, none if it cannot be gathered. ``own[k]`` is
    its own row; those of its n-grams are in ``found``, between the numbers that ``before`` has for these two places.
    """
    used, end, others, nothing = np.int64(0), np.int64(done), np.int64(0), rows.shape[0] - 1
    maybe = np.uint64(0)
    while end < new:
        begin, stop = edges[2 * missed[end]], edges[2 * missed[end] + 1]
        size = stop - begin + 2
        places[end], own[end] = used, nothing
        if plain and size <= LONGEST and not is_label(utf8, begin, stop):
            if used + size > LINE:
                break
            if not _put_word(utf8, begin, stop - begin, line, used):
                wide[others] = end
                others += 1
            known[maybe] = end
            maybe += np.uint64(may_be_known(hashed[missed[end]], sieve))
            used += size
        end += 1
    places[end] = used
    for k in range(maybe):
        word = known[k]
        own[word] = own_row(hashed[missed[word]], keys, ids, nothing)
        prefetch(rows, np.uint64(own[word]))
    put_ascii_grams(line, used, buckets, grams)
    for k in range(done, end):
        if places[k + 1] > places[k]:
            close_ascii_word(places[k + 1], buckets, grams)
    if others > 0:
        _put_wide_words(line, places, wide, others, buckets, grams, wide_line, signed, char_ends, wide_grams)
    _put_present_rows(grams, used, present, firsts, before, found, rows)
    return end


@kernel
def text_vectors(
    utf8: Bytes, starts: Rows, ends: Rows, keys: Hashes, ids: Rows, sieve: Hashes, present: Hashes, firsts: Any, buckets: int,
    rows: Floats, minn: int, maxn: int, kept: Hashes, kept_counts: Any, kept_sums: Floats,
) -> Any:  # fmt: skip
    """The mean of each text's feature rows, newlines as spaces: ``float32[N, dim]``; nan for a text without a feature.

    Words are cut, hashed, looked up in the cache and added, `AT_ONCE` at a time, so that memory accesses overlap. The vectors
    of words that are not cached are made in between, behind those that are, and move to their slots at the end. Sums are in
    the order of the text.
    """
    dim = rows.shape[1]
    out = np.empty((len(starts), dim), np.float32)
    longest = np.int64(16)
    for row in range(len(starts)):
        longest = max(longest, ends[row] - starts[row])
    word, line = np.empty(longest + 66, np.uint8), np.zeros(LINE + SPARE, np.uint8)
    fresh, total = np.empty(dim, np.float32), np.empty(dim, np.float32)
    end_hash, _ = word_hash_and_length(np.array([60, 47, 115, 62], np.uint8), 0, 4, False)
    plain = minn == 2 and maxn == 4
    edges, some = np.empty(2 * AT_ONCE + 64, np.int64), np.empty(80, np.uint32)
    places, own, wide = np.empty(AT_ONCE + 1, np.int64), np.empty(AT_ONCE, np.int64), np.empty(AT_ONCE, np.int64)
    known, wide_line = np.empty(AT_ONCE + 1, np.int64), np.zeros(LINE + SPARE, np.uint8)
    signed, char_ends = np.empty(LINE + SPARE, np.uint32), np.empty(LINE + SPARE, np.uint32)
    wide_grams = np.empty(3 * LINE, np.uint32)
    grams, before, found = np.empty(3 * LINE, np.uint32), np.empty(LINE + 1, np.uint32), np.empty(3 * LINE + 4, np.uint32)
    eights = np.zeros((3, AT_ONCE + 32), np.uint64)
    hashed, where, missed = (
        np.empty(AT_ONCE + 32, np.uint64),
        np.empty(AT_ONCE + 32, np.int64),
        np.empty(AT_ONCE + 33, np.int64),
    )
    for row in range(len(starts)):
        total[:] = 0
        features, n = np.int64(0), np.int64(0)
        whole: Any = True
        i, last, outside = np.uint64(starts[row]), np.uint64(ends[row]), np.uint64(1)
        while whole:
            while i < last and n < 2 * AT_ONCE - 64:  # where words begin and end
                spaces = block(utf8, i, last, FASTTEXT_SPACES)
                if i + np.uint64(64) > last:
                    spaces |= ~np.uint64(0) << (last - i)
                n = put_edges(spaces, outside, i, edges, n)
                outside = spaces >> np.uint64(63)
                i += np.uint64(64)
            if i >= last and n & 1:
                edges[n] = ends[row]
                n += 1
            words = _hash_words(utf8, edges, n >> 1, eights, missed, hashed, end_hash)
            whole = i < last and words == n >> 1  # fastText takes a literal </s> for the end of the line
            new = _look_up(hashed, words, kept, where, missed)
            done: Any = np.int64(0)
            while done < new:  # the vectors of the others
                end = _gather(
                    utf8, edges, missed, hashed, done, new, keys, ids, sieve, present, firsts, buckets, rows, plain,
                    line, places, own, known, wide, wide_line, signed, char_ends, wide_grams,
                    grams, before, found,
                )  # fmt: skip
                for k in range(done, end):
                    first, beyond = np.uint64(before[places[k]]), np.uint64(before[places[k + 1]])
                    if places[k + 1] > places[k] and beyond - first <= np.uint64(FLUSHED):
                        kept_counts[len(kept) + k] = np.int64(beyond - first) + (own[k] < rows.shape[0] - 1)
                        put_sum(kept_sums, np.uint64(len(kept) + k), rows, np.uint64(own[k]), found, first, beyond)
                        continue
                    begin, stop = edges[2 * missed[k]], edges[2 * missed[k] + 1]
                    clear_row(fresh)
                    count = np.int64(0)
                    if not is_label(utf8, begin, stop):
                        count += add_word(hashed[missed[k]], keys, ids, rows, fresh)
                        _put_word(utf8, begin, stop - begin, word, np.int64(0))
                        size = stop - begin + 2
                        if plain:
                            count += _add_line_by_line(
                                word, size, present, firsts, buckets, rows,
                                wide_line, signed, char_ends, wide_grams, some, fresh,
                            )  # fmt: skip
                        else:
                            count += _add_ngrams(word, size, present, firsts, buckets, rows, minn, maxn, some, fresh)
                    kept_counts[len(kept) + k] = count
                    put_row(kept_sums, len(kept) + k, fresh)
                done = end
            features += _add_words(total, kept_sums, kept_counts, where, words)
            for k in range(new):
                slot = np.int64(hashed[missed[k]] >> np.uint64(40)) & (len(kept) - 1)
                if kept[slot] & np.uint64(255) == np.uint64(k + 1):
                    kept[slot] &= ~np.uint64(255)
                    kept_counts[slot] = kept_counts[len(kept) + k]
                    move_row(kept_sums, np.uint64(len(kept) + k), np.uint64(slot))
            if n > 0:
                edges[0] = edges[n - 1]
            n &= 1
        features += add_word(end_hash, keys, ids, rows, total)  # the line ends with </s>, which has a row but no n-grams
        for d in range(dim):
            out[row, d] = total[d] / np.float32(features) if features > 0 else np.float32(np.nan)
    return out
