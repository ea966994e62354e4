"""Signals of lines: how a text's lines begin and end, and whether a line is a counter.

Invariants: fractions are of non-empty, stripped lines (DCLM, Gopher). `counter_line_count` measures a text that is one line,
for `filters.edits.KeepLines`.
"""

from functools import cache
from typing import Any

import numpy as np

from goldwash.filters import characters as c
from goldwash.filters.cut import Bytes, Rows, code_point, code_point_before
from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import Hashes, character_counts, hashes, row_hash
from goldwash.filters.segments import BULLETS, ELLIPSES, LINES, SEGMENTS, fraction
from goldwash.filters.signals import SignalError, Values, signal
from goldwash.filters.texts import Texts

COUNTER_NOUNS = (
    "likes", "shares", "comments", "retweets", "reposts", "quotes", "bookmarks", "upvotes", "downvotes", "downloads", "views",
    "followers",
)  # fmt: skip
"""The nouns that social sites count; DCLM's list."""


@signal
def bullet_line_fraction(texts: Texts) -> Values:
    """Fraction of lines that begin with ``●``, ``•``, ``*`` or ``-``; 0 without lines. Gopher: up to 0.9 (2112.11446, A1)."""
    return fraction(texts, LINES, BULLETS, SEGMENTS, 0.0)


@signal
def ellipsis_line_fraction(texts: Texts) -> Values:
    """Fraction of lines that end with ``...``, ``. . .`` or ``…``; 0 without lines. Gopher keeps up to 0.3 (2112.11446, A1)."""
    return fraction(texts, LINES, ELLIPSES, SEGMENTS, 0.0)


@signal
def terminal_line_fraction(texts: Texts, marks: str = "") -> Values:
    """Fraction of lines that end with a sentence mark; nan without lines. FineWeb: 0.12 and more (2406.17557, section 3.4).

    ``marks``: the characters that count; by default, all of Unicode's Sentence_Terminal. C4's are ``.!?"`` (1910.10683).
    """
    lines = texts.stripped_lines
    wanted = np.array(sorted(map(ord, marks)), np.int64)
    return np.asarray(marked_end_fractions(lines.utf8, lines.starts, lines.ends, lines.parents, c.classes(), wanted))


@signal
def short_line_fraction(texts: Texts, length: int = 30) -> Values:
    """Fraction of lines of up to ``length`` characters; nan without lines. FineWeb: up to 0.67 (2406.17557, section 3.4)."""
    lines = texts.stripped_lines
    counts = character_counts(lines.utf8, lines.starts, lines.ends)
    return np.asarray(small_fractions(counts, lines.parents, length))


@signal
def counter_line_count(texts: Texts, nouns: tuple[str, ...] = COUNTER_NOUNS) -> Values:
    """1 if the text is a counter, such as "3 likes" or "1.2K views"; else 0 (RefinedWeb, 2306.01116, G.2).

    A counter is a number (digits, commas and dots), an optional K, M or B, white space, and a plural noun of the list, with any
    non-word characters around it. Case is ignored.
    """
    return np.asarray(counters(texts.utf8, texts.starts, texts.ends, c.classes(), _hashed(tuple(nouns))))


@cache
def _hashed(nouns: tuple[str, ...]) -> Hashes:
    """The hashes of nouns in lower case; `SignalError` for one with other characters than ASCII letters."""
    for noun in nouns:
        if not (noun.isascii() and noun.isalpha()):
            raise SignalError(
                f"counter_line_count: the noun {noun!r} has other characters than ASCII letters, which cannot be matched"
            )
    listed = Texts.of([noun.lower() for noun in nouns])
    wanted = np.asarray(hashes(listed.utf8, listed.starts, listed.ends))
    wanted.flags.writeable = False
    return wanted


@kernel
def marked_end_fractions(utf8: Bytes, starts: Rows, ends: Rows, parents: Rows, classes: Bytes, marks: Rows) -> Any:
    """Fraction of a parent's lines that end with one of these code points (none given: Sentence_Terminal): ``float64[P]``."""
    out = np.full(len(parents) - 1, np.nan)
    for p in range(len(parents) - 1):
        count = np.int64(0)
        for line in range(parents[p], parents[p + 1]):
            last = code_point_before(utf8, ends[line])[0]
            marked = len(marks) == 0 and (classes[last] & c.TERMINAL) != 0
            for mark in marks:
                marked |= mark == last
            count += marked
        if parents[p + 1] > parents[p]:
            out[p] = count / (parents[p + 1] - parents[p])
    return out


@kernel
def small_fractions(values: Rows, parents: Rows, most: int) -> Any:
    """Fraction of a parent's rows whose value is at most ``most``: ``float64[P]``, nan without rows."""
    out = np.full(len(parents) - 1, np.nan)
    for p in range(len(parents) - 1):
        count = np.int64(0)
        for row in range(parents[p], parents[p + 1]):
            count += values[row] <= most
        if parents[p + 1] > parents[p]:
            out[p] = count / (parents[p + 1] - parents[p])
    return out


@inline
def word_character(point: int, classes: Bytes) -> Any:
    """Whether ``re``'s ``\\w`` matches: alphanumeric or underscore."""
    return (classes[point] & c.ALPHANUMERIC) != 0 or point == 95


@kernel
def counters(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes, nouns: Hashes) -> Any:
    """1 for each row that is a counter of one of these (hashed) nouns: ``int64[N]``."""
    out = np.zeros(len(starts), np.int64)
    for row in range(len(starts)):
        i, end = starts[row], ends[row]
        point, after = np.int64(0), i
        while i < end:  # \W*
            point, after = code_point(utf8, i)
            if word_character(point, classes):
                break
            i = after
        if i == end or not classes[point] & c.DECIMAL:
            continue
        while i < end:  # \d[,.\d]*
            point, after = code_point(utf8, i)
            if not (classes[point] & c.DECIMAL or point == 44 or point == 46):
                break
            i = after
        if i < end and (utf8[i] | 32 == 107 or utf8[i] | 32 == 109 or utf8[i] | 32 == 98):  # [kmb]?
            i += 1
        space = i
        while i < end:  # \s+
            point, after = code_point(utf8, i)
            if not classes[point] & c.SPACE:
                break
            i = after
        if i == space or i == end:
            continue
        noun = i
        while i < end and (97 <= utf8[i] | 32 <= 122):
            i += 1
        h = row_hash(utf8, noun, i, True)
        for k in range(len(nouns)):
            if nouns[k] == h:
                out[row] = 1
        while i < end:  # \W*
            point, i = code_point(utf8, i)
            if word_character(point, classes):
                out[row] = 0
    return out
