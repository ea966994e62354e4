"""Signals of words and characters.

Invariants: each signal names the kind of word that it counts (`filters.cut`). For a text without words, a fraction is nan if
the papers drop such a text, and 0 if they keep it. Texts whose words are not cut at spaces (the step ``cut_words``
of a recipe, `filters.segmentation`) are measured by those words.
"""

from functools import cache
from typing import Any

import numpy as np

from goldwash.filters import characters as c
from goldwash.filters.bits import (
    CAPITALS,
    CONTINUATIONS,
    DIGITS,
    FULL_STOP,
    HASH_SIGN,
    LEAD_E2,
    LEADS,
    bit_count,
    block,
    lowest,
)
from goldwash.filters.cut import Bytes, Rows, code_point, spaces_and_letters, white_space
from goldwash.filters.cut import fasttext_word_count as count_fasttext_words
from goldwash.filters.jit import bare, inline, kernel
from goldwash.filters.ngrams import Hashes, character_counts, table_size, word_hash_and_length, word_hashes
from goldwash.filters.segmentation import SPACES
from goldwash.filters.signals import Values, signal
from goldwash.filters.texts import Texts

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher's English stop words (arXiv 2112.11446, section A.1.1)."""


@signal
def fasttext_word_count(texts: Texts) -> Values:
    """fastText words that begin alphanumeric; 0 for an empty text. DCLM's page length (2406.11794)."""
    counts = np.asarray(count_fasttext_words(texts.utf8, texts.starts, texts.ends, c.classes()))
    return counts if texts.cutters is None else np.where(texts.cutters != SPACES, word_count(texts), counts)


@signal
def word_count(texts: Texts) -> Values:
    """White-space words; 0 for an empty text. Gopher's document length (2112.11446, A1)."""
    return _word_counts(texts)[:, 0]


@signal
def character_count(texts: Texts) -> Values:
    """Code points; 0 for an empty text."""
    return np.asarray(character_counts(texts.utf8, texts.starts, texts.ends))


@signal
def longest_word_length(texts: Texts) -> Values:
    """Characters in the longest white-space word; 0 for a text without words. C4's code drops lines with words over 1,000."""
    words = texts.words
    return np.asarray(largest_of(character_counts(words.utf8, words.starts, words.ends), words.parents))


@signal
def newline_word_ratio(texts: Texts) -> Values:
    """Newlines per white-space word; nan for a text without words. FineWeb keeps up to 0.3 (2406.17557, section 3.4)."""
    return _ratio(np.diff(texts.lines.parents) - 1, word_count(texts))


@signal
def mean_word_length(texts: Texts) -> Values:
    """Characters per white-space word; nan for a text without words. Gopher keeps 3 to 10 (2112.11446, A1)."""
    return _ratio(_word_counts(texts)[:, 1], word_count(texts))


@signal
def symbol_word_ratio(texts: Texts) -> Values:
    """Hash signs and ellipses (``...``, ``. . .``, ``…``) per white-space word; nan for a text without words (DCLM)."""
    hash_signs, ellipses = _symbols(texts)
    return _ratio(hash_signs + ellipses, word_count(texts))


@signal
def hash_word_ratio(texts: Texts) -> Values:
    """Hash signs per white-space word; nan for a text without words. Gopher: up to 0.1 (2112.11446, A1)."""
    return _ratio(_symbols(texts)[0], word_count(texts))


@signal
def ellipsis_word_ratio(texts: Texts) -> Values:
    """Ellipses per white-space word; nan for a text without words. Gopher: up to 0.1 (2112.11446, A1)."""
    return _ratio(_symbols(texts)[1], word_count(texts))


@signal
def nonalphabetic_word_fraction(texts: Texts) -> Values:
    """Fraction of white-space words without a letter; nan for a text without words. Gopher keeps up to 0.2 (2112.11446, A1)."""
    return _ratio(_word_counts(texts)[:, 2], word_count(texts))


@signal
def stop_word_count(texts: Texts, words: tuple[str, ...] = STOP_WORDS) -> Values:
    """White-space words that are stop words, including repeats, ignoring ASCII case; 0 for an empty text.

    The whole word must match: "The," is not a stop word. DCLM counts repeats; Gopher requires two distinct stop words.
    """
    return _stop_words(texts, tuple(words))[:, 0]


@signal
def distinct_stop_word_count(texts: Texts, words: tuple[str, ...] = STOP_WORDS) -> Values:
    """Distinct stop words among the white-space words, ignoring ASCII case; 0 for an empty text (Gopher, 2112.11446, A1)."""
    return _stop_words(texts, tuple(words))[:, 1]


@signal
def uppercase_fraction(texts: Texts) -> Values:
    """Fraction of characters that are upper case (``str.isupper``); 0 for an empty text. RefinedWeb (2306.01116, G.2)."""
    return _class_fraction(texts, c.UPPERCASE, CAPITALS)


@signal
def digit_fraction(texts: Texts) -> Values:
    """Fraction of characters that are digits (``str.isdigit``); 0 for an empty text. RefinedWeb (2306.01116, G.2)."""
    return _class_fraction(texts, c.DIGIT, DIGITS)


def _ratio(above: Values, below: Values) -> Values:
    """``above / below``; nan where ``below`` is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def _word_counts(texts: Texts) -> Values:
    """Words, their characters, and words without a letter: ``int64[N, 3]``."""

    def make(texts: Texts) -> Values:
        if texts.cutters is None:
            return np.asarray(word_counts(texts.utf8, texts.starts, texts.ends, c.classes()))
        pieces = texts.words
        sums = np.zeros((len(pieces) + 1, 3), np.int64)
        np.cumsum(word_counts(pieces.utf8, pieces.starts, pieces.ends, c.classes()), axis=0, out=sums[1:])
        return np.diff(sums[pieces.parents], axis=0)

    return np.asarray(texts.remember("word_counts", make))


def _symbols(texts: Texts) -> tuple[Values, Values]:
    counts = texts.remember("symbols", lambda t: symbol_counts(t.utf8, t.starts, t.ends))
    return counts[:, 0], counts[:, 1]


def _class_fraction(texts: Texts, bit: int, kind: Any) -> Values:
    return np.asarray(class_fractions(texts.utf8, texts.starts, texts.ends, c.classes(), bit, kind))


def _stop_words(texts: Texts, words: tuple[str, ...]) -> Values:
    def make(texts: Texts) -> Values:
        rows = texts.whole if texts.cutters is None else texts.words
        return np.asarray(matching_word_counts(rows.utf8, rows.starts, rows.ends, rows.parents, c.classes(), *_sought(words)))

    return np.asarray(texts.remember(("stop_words", words), make))


@cache
def _sought(words: tuple[str, ...]) -> tuple[Hashes, int, Any]:
    """A table of words in lower case, the bytes of the longest, and their sieve, for `matching_word_counts`."""
    listed = Texts.of(list(dict.fromkeys(word.lower() for word in words if word)))
    sieve = np.uint64(0)
    for word in listed:
        sieve |= np.uint64(1) << sieve_bit(word.encode()[0], len(word.encode()))
    keys = np.zeros(table_size(4 * len(listed)), np.uint64)
    for h in word_hashes(listed.utf8, listed.starts, listed.ends).tolist():
        slot = max(h, 1) & (len(keys) - 1)
        while keys[slot]:
            slot = (slot + 1) & (len(keys) - 1)
        keys[slot] = max(h, 1)
    keys.flags.writeable = False
    return keys, int(listed.byte_counts.max(initial=0)), sieve


@kernel
def largest_of(values: Rows, parents: Rows) -> Any:
    """The largest value among each parent's rows: ``int64[P]``, 0 for a parent without rows."""
    out = np.zeros(len(parents) - 1, np.int64)
    for p in range(len(parents) - 1):
        for row in range(parents[p], parents[p + 1]):
            out[p] = max(out[p], values[row])
    return out


@kernel
def word_counts(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes) -> Any:
    """White-space words, code points that are not white space, words without a letter: ``int64[N, 3]``. No word is cut out.

    A word without a letter is a run of other bytes from its beginning to a space. Adding 1 at a word's beginning to the bits
    of such bytes carries to the first byte after the run, also into the next 64: a letter or a space.
    """
    out = np.zeros((len(starts), 3), np.int64)
    for row in range(len(starts)):
        i, last = np.uint64(starts[row]), np.uint64(ends[row])
        outside, spill, carried = np.uint64(1), np.uint64(0), np.uint64(0)
        words, others, letterless = np.int64(0), np.int64(0), np.int64(0)
        while i < last:
            spaces, spill, here, letters = spaces_and_letters(utf8, i, last, spill, classes)
            begins = ~spaces & ((spaces << np.uint64(1)) | outside)
            words += bit_count(begins)
            others += here + bit_count(block(utf8, i, last, CONTINUATIONS))
            marks = ~(spaces | letters)
            reached = marks + (begins & marks) + carried
            letterless += bit_count(reached & ~marks & spaces)
            carried = np.uint64(reached < marks)
            outside = spaces >> np.uint64(63)
            i += np.uint64(64)
        out[row, 0], out[row, 1] = words, ends[row] - starts[row] - others
        out[row, 2] = letterless + np.int64(carried)
    return out


@kernel
def class_fractions(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes, bit: int, kind: int) -> Any:
    """Fraction of code points that are in a class: ``float64[N]``, 0 for an empty row.

    ``kind``: the kind of `filters.bits.block` that has the class's ASCII characters.
    """
    out = np.zeros(len(starts), np.float64)
    for row in range(len(starts)):
        count, points = np.int64(0), ends[row] - starts[row]
        i, last = np.uint64(starts[row]), np.uint64(ends[row])
        while i < last:
            count += bit_count(block(utf8, i, last, kind))
            wide = block(utf8, i, last, LEADS)
            points -= bit_count(block(utf8, i, last, CONTINUATIONS))
            while wide != np.uint64(0):
                point, _ = code_point(utf8, np.int64(i) + lowest(wide))
                count += (classes[point] & bit) != 0
                wide &= wide - np.uint64(1)
            i += np.uint64(64)
        if ends[row] > starts[row]:
            out[row] = count / points
    return out


@kernel
def symbol_counts(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Hash signs and ellipses (of the three kinds, without overlap): ``int64[N, 2]``."""
    out = np.zeros((len(starts), 2), np.int64)
    for row in range(len(starts)):
        dots_from = spaced_from = starts[row]
        first, last = np.uint64(starts[row]), np.uint64(ends[row])
        while first < last:
            out[row, 0] += bit_count(block(utf8, first, last, HASH_SIGN))
            rest = block(utf8, first, last, FULL_STOP) & block(utf8, min(first + np.uint64(2), last), last, FULL_STOP)
            rest |= block(utf8, first, last, LEAD_E2)
            while rest != np.uint64(0):
                i = np.int64(first) + lowest(rest)
                rest &= rest - np.uint64(1)
                if utf8[i] == 46:
                    if i >= dots_from and utf8[i + 1] == 46:
                        out[row, 1] += 1
                        dots_from = i + 3
                    elif i >= spaced_from and i + 4 < ends[row]:
                        if utf8[i + 1] == 32 and utf8[i + 3] == 32 and utf8[i + 4] == 46:
                            out[row, 1] += 1
                            spaced_from = i + 5
                elif utf8[i + 1] == 0x80 and utf8[i + 2] == 0xA6:
                    out[row, 1] += 1
            first += np.uint64(64)
    return out


@inline
def sieve_bit(first: Any, size: Any) -> Any:
    """A number below 64 of a word, by its first byte, ignoring ASCII case, and whether its length is odd."""
    return np.uint64(first) & np.uint64(31) | ((np.uint64(size) & np.uint64(1)) << np.uint64(5))


@inline
def _short_words(begins: Any, spaces: Any, following: Any, longest: int) -> Any:
    """The beginnings, among ``begins``, of words of up to ``longest`` bytes; of all if that is 63 or more.

    ``spaces``, ``following``: the white space of this block and the next.
    """
    if longest >= 63:
        return begins
    ended = np.uint64(0)
    for size in range(np.uint64(1), np.uint64(longest) + np.uint64(1)):
        ended |= (spaces >> size) | (following << (np.uint64(64) - size))
    return begins & ended


@bare
def _word_size(utf8: Bytes, start: int, end: int, classes: Bytes) -> Any:
    """Bytes of the white-space word that begins at ``start``."""
    i = start
    while i < end:
        point, after = code_point(utf8, i)
        if classes[point] & c.SPACE:
            break
        i = after
    return i - start


@kernel
def matching_word_counts(
    utf8: Bytes, starts: Rows, ends: Rows, parents: Rows, classes: Bytes, keys: Hashes, longest: int, sieve: Any
) -> Any:  # fmt: skip
    """White-space words of rows whose lower-case hash is in a table, all and distinct, per parent: ``int64[P, 2]``.

    ``keys``: the table, open-addressing; 0 is an empty slot, and the hash 0 is stored as 1. Only words of up to ``longest``
    bytes are cut out. ``sieve``: the bits (`sieve_bit`) of the words in the table; other words are not hashed.
    """
    out = np.zeros((len(parents) - 1, 2), np.int64)
    seen, places, sizes = np.zeros(len(keys), np.int64), np.empty(65, np.int64), np.empty(65, np.int64)
    for p in range(len(parents) - 1):
        for row in range(parents[p], parents[p + 1]):
            i, last, outside = np.uint64(starts[row]), np.uint64(ends[row]), np.uint64(1)
            following, spill, _ = white_space(utf8, i, last, np.uint64(0), classes)
            while i < last:
                spaces, after = following, min(i + np.uint64(64), last)
                following, spill, _ = white_space(utf8, after, last, spill, classes)
                begins = _short_words(~spaces & ((spaces << np.uint64(1)) | outside), spaces, following, longest)
                outside = spaces >> np.uint64(63)
                n = np.uint64(0)
                while begins != np.uint64(0):  # whether a word passes the sieve cannot be predicted
                    k = np.uint64(lowest(begins))
                    begins &= begins - np.uint64(1)
                    size = np.uint64(lowest((spaces >> k) | ((following << (np.uint64(63) - k)) << np.uint64(1))))
                    if size == np.uint64(64):
                        size = np.uint64(_word_size(utf8, np.int64(i + k), ends[row], classes))
                    places[n], sizes[n] = np.int64(i + k), np.int64(size)
                    n += (sieve >> sieve_bit(utf8[i + k], size)) & np.uint64(size <= np.uint64(longest))
                for candidate in range(n):
                    begin = places[candidate]
                    h, _ = word_hash_and_length(utf8, begin, begin + sizes[candidate], True)
                    h = max(h, np.uint64(1))
                    slot = h & np.uint64(len(keys) - 1)
                    while keys[slot] != np.uint64(0) and keys[slot] != h:
                        slot = (slot + np.uint64(1)) & np.uint64(len(keys) - 1)
                    known = np.int64(keys[slot] != np.uint64(0))
                    out[p, 0] += known
                    out[p, 1] += known & np.int64(seen[slot] != p + 1)
                    seen[slot] = p + 1
                i += np.uint64(64)
    return out
