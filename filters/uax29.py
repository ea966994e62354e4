"""Words of Unicode Standard Annex 29: kernels that cut UTF-8 at its word boundaries (https://www.unicode.org/reports/tr29/).

Invariants: as in `filters.cut`. A piece is what is between two boundaries, and belongs to one row. A word is a piece that
begins alphanumeric; a token is a piece that is not white space alone. Runs of ASCII letters and digits, most of a text, are cut
64 bytes at a time by their bits. The annex's rules, by their names ("WB4"), decide where something beside a run may join it.
"""

from typing import Any

import numpy as np

from goldwash.filters import characters as c
from goldwash.filters.bits import (
    APOSTROPHE,
    ASCII_ALPHANUMERICS,
    ASCII_SPACES,
    BEYOND_ASCII,
    MIDDLE_MARKS,
    UNDERSCORE,
    block,
    lowest,
)
from goldwash.filters.cut import ALNUM, Bytes, Rows, code_point, room_for, stripped
from goldwash.filters.jit import bare, inline, kernel


@inline
def _ignored(b: int) -> Any:
    """WB4: whether a character is skipped when its neighbours are compared."""
    return b == c.EXTEND or b == c.FORMAT or b == c.ZWJ


@inline
def _letter(b: int) -> Any:
    return b == c.A_LETTER or b == c.HEBREW_LETTER or b == c.PICTOGRAPHIC_LETTER


@inline
def _after_ignored(utf8: Bytes, i: int, end: int, breaks: Bytes) -> Any:
    """The break property of the next character that is not skipped; OTHER at the end."""
    while i < end:
        point, i = code_point(utf8, i)
        b = np.int64(breaks[point])
        if not _ignored(b):
            return b
    return np.int64(c.OTHER)


@inline
def _joined(before: int, last: int, b: int, utf8: Bytes, after: int, end: int, breaks: Bytes) -> Any:
    """WB5 to WB13b: whether ``last`` (preceded by ``before``) and ``b`` join; ``after`` is the index after ``b``."""
    if _letter(b):
        if _letter(last) or last == c.NUMERIC or last == c.EXTEND_NUM_LET:  # WB5, WB10, WB13b
            return True
        if _letter(before) and (last == c.MID_LETTER or last == c.MID_NUM_LET or last == c.SINGLE_QUOTE):  # WB7
            return True
        return b == c.HEBREW_LETTER and last == c.DOUBLE_QUOTE and before == c.HEBREW_LETTER  # WB7c
    if b == c.NUMERIC:
        if last == c.NUMERIC or _letter(last) or last == c.EXTEND_NUM_LET:  # WB8, WB9, WB13b
            return True
        mid = last == c.MID_NUM or last == c.MID_NUM_LET or last == c.SINGLE_QUOTE
        return mid and before == c.NUMERIC  # WB11
    if b == c.EXTEND_NUM_LET:  # WB13a
        return _letter(last) or last == c.NUMERIC or last == c.KATAKANA or last == c.EXTEND_NUM_LET
    if b == c.KATAKANA:  # WB13, WB13b
        return last == c.KATAKANA or last == c.EXTEND_NUM_LET
    if _letter(last):
        if b == c.SINGLE_QUOTE and last == c.HEBREW_LETTER:  # WB7a
            return True
        if b == c.MID_LETTER or b == c.MID_NUM_LET or b == c.SINGLE_QUOTE:  # WB6
            return _letter(_after_ignored(utf8, after, end, breaks))
        if b == c.DOUBLE_QUOTE and last == c.HEBREW_LETTER:  # WB7b
            return _after_ignored(utf8, after, end, breaks) == c.HEBREW_LETTER
        return False
    if last == c.NUMERIC and (b == c.MID_NUM or b == c.MID_NUM_LET or b == c.SINGLE_QUOTE):  # WB12
        return _after_ignored(utf8, after, end, breaks) == c.NUMERIC
    return False


@bare
def _word_end(utf8: Bytes, i: int, end: int, breaks: Bytes) -> Any:
    """The end of a UAX 29 piece. ``i``: its first character, or an ASCII letter or digit before which it has nothing else."""
    point, i = code_point(utf8, i)
    raw = np.int64(breaks[point])  # the character just before
    last, before = raw, np.int64(c.OTHER)  # the last two that are not skipped
    indicators = 1 if raw == c.REGIONAL_INDICATOR else 0
    while i < end:
        b = np.int64(utf8[i])
        if b < 0x80:
            after = i + 1
        else:
            b, after = code_point(utf8, i)
        b = np.int64(breaks[b])
        if (b == c.A_LETTER and last == c.A_LETTER and raw == c.A_LETTER) or (raw == c.CR and b == c.LF):  # WB5, WB3
            pass
        elif raw == c.CR or raw == c.LF or raw == c.NEWLINE or b == c.CR or b == c.LF or b == c.NEWLINE:  # WB3a, WB3b
            return i
        elif (raw == c.ZWJ and (b == c.PICTOGRAPHIC or b == c.PICTOGRAPHIC_LETTER)) or (
            raw == c.W_SEG_SPACE and b == c.W_SEG_SPACE
        ):  # WB3c
            pass
        elif _ignored(b):  # WB4
            raw = b
            i = after
            continue
        elif last == c.REGIONAL_INDICATOR and b == c.REGIONAL_INDICATOR and indicators % 2 == 1:  # WB15, WB16
            indicators += 1
        elif not _joined(before, last, b, utf8, after, end, breaks):  # WB999
            return i
        before, last, raw = last, b, b
        i = after
    return end


@inline
def _begin(utf8: Bytes, at: int, least: int, b: int) -> Any:
    """Where the piece of a character beyond ASCII begins; ``b``: its break property, ``least``: the boundary before it.

    It may belong to the ASCII character just before (WB4), which is then no letter or digit, or continue spaces (WB3d).
    """
    first = at
    if first > least and (_ignored(b) or (b == c.W_SEG_SPACE and utf8[first - 1] == 32)):
        first -= 1
        while utf8[first] == 32 and first > least and utf8[first - 1] == 32:
            first -= 1
    return first


@inline
def ascii_pieces(utf8: Bytes, i: Any, last: Any, inside: Any) -> Any:
    """The ASCII letters and digits among the 64 bytes from ``i``, the ASCII marks, and the bytes that are unsure.

    A run of ASCII letters and digits is a UAX 29 piece, and so is each ASCII mark, unless something beside it may join: what
    is unsure, that is a character beyond ASCII, an underscore, or a mark between two such runs ("can't", "3.14").
    ``inside``: 1 if the byte before the block is a letter or digit.
    """
    runs: Any = block(utf8, i, last, ASCII_ALPHANUMERICS)
    wide = block(utf8, i, last, BEYOND_ASCII)
    after = min(i + np.uint64(1), last)
    joined = block(utf8, after, last, ASCII_ALPHANUMERICS) | block(utf8, after, last, BEYOND_ASCII)
    mids = block(utf8, i, last, MIDDLE_MARKS) | block(utf8, i, last, APOSTROPHE)
    unsure = wide | block(utf8, i, last, UNDERSCORE) | (mids & joined & ((runs << np.uint64(1)) | inside))
    marks = ~(runs | block(utf8, i, last, ASCII_SPACES))
    if i + np.uint64(64) > last:
        marks &= (np.uint64(1) << (last - i)) - np.uint64(1)
    return runs, marks, unsure


@bare
def put_uax29_pieces(
    utf8: Bytes, start: int, end: int, classes: Bytes, breaks: Bytes, words_only: bool, out_starts: Rows, out_ends: Rows, n: int
) -> Any:
    """Write a row's UAX 29 words, or all its pieces other than white space, to ``out_starts[n:]`` and ``out_ends[n:]``.

    Returns the next ``n``. Up to the first byte that is unsure (`ascii_pieces`), 64 bytes are cut by their bits. There, pieces
    are cut by the rules as long as they begin beyond ASCII, and the bits are read again from there. ``i`` is always a boundary,
    inside a run, or behind a mark or a space.
    """
    i, last = np.uint64(start), np.uint64(end)
    inside, marked = np.uint64(0), np.uint64(0)  # 1 if the byte before belongs to a run, or is a mark
    least, none, begun, marks = start, n, n, np.uint64(0)
    while i < last:
        runs, others, unsure = ascii_pieces(utf8, i, last, inside)
        before = ~unsure & (unsure - np.uint64(1))  # the bits below the first that is unsure; all if none is
        if not words_only:
            marks = before & others
        runs &= before
        edges, ended = (runs << np.uint64(1)) | inside, (marks << np.uint64(1)) | marked
        begins = (runs & ~edges) | marks
        ends = (edges & ~runs & before) | (ended & (unsure ^ (unsure - np.uint64(1))))
        while begins != np.uint64(0):
            out_starts[np.uint64(begun)] = np.int64(i) + lowest(begins)
            begins &= begins - np.uint64(1)
            begun += 1
        while ends != np.uint64(0):
            out_ends[np.uint64(n)] = np.int64(i) + lowest(ends)
            ends &= ends - np.uint64(1)
            n += 1
        inside, marked = runs >> np.uint64(63), marks >> np.uint64(63)
        if unsure == np.uint64(0):
            i += np.uint64(64)
            continue
        inside, marked = np.uint64(0), np.uint64(0)
        first = np.int64(i) + lowest(unsure)
        point, stop = code_point(utf8, first)
        lone = breaks[point] == c.OTHER and (stop == end or utf8[stop] < 0x80)  # a quotation mark, a dash, an ideograph
        if begun > n:  # inside a run
            out_ends[n] = first if lone else _word_end(utf8, first - 1, end, breaks)
            n += 1
            least = out_ends[n - 1]
            i = np.uint64(least)
            if not lone:
                continue
        elif not lone:
            at = first
            first = _begin(utf8, at, least, np.int64(breaks[point]))
            if first < at:
                point = np.int64(utf8[first])
                n -= n > none and out_ends[n - 1] == at  # the mark alone
            stop = _word_end(utf8, first, end, breaks)
        while True:
            kept = (classes[point] & ALNUM) != 0
            if not (kept or words_only):
                a, b = stripped(utf8, first, stop, classes)
                kept = a < b
            if kept:
                out_starts[n], out_ends[n] = first, stop
                n += 1
            first = stop + (stop + 1 < end and utf8[stop] == 32)
            if first >= end or utf8[first] < 0x80:
                break
            point, _ = code_point(utf8, first)
            if first > stop and (_ignored(np.int64(breaks[point])) or breaks[point] == c.W_SEG_SPACE):
                break
            stop = _word_end(utf8, first, end, breaks)
        begun, least, i = n, stop, np.uint64(stop)
    if begun > n:
        out_ends[n] = end
        n += 1
    return n


@inline
def put_uax29_words(
    utf8: Bytes, start: int, end: int, classes: Bytes, breaks: Bytes, out_starts: Rows, out_ends: Rows, n: int
) -> Any:
    """Write the UAX 29 words of a row to ``out_starts[n:]`` and ``out_ends[n:]``; returns the next ``n``."""
    return put_uax29_pieces(utf8, start, end, classes, breaks, True, out_starts, out_ends, n)


@kernel
def uax29_pieces(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes, breaks: Bytes, words_only: bool) -> Any:
    """Pieces between word boundaries that begin alphanumeric (``words_only``), or all that are not white space."""
    room = room_for(starts, ends, 1, 0)
    out_starts, out_ends = np.empty(room, np.int64), np.empty(room, np.int64)
    parents = np.zeros(len(starts) + 1, np.int64)
    n = np.int64(0)
    for row in range(len(starts)):
        if words_only:
            n = put_uax29_words(utf8, starts[row], ends[row], classes, breaks, out_starts, out_ends, n)
        else:
            n = put_uax29_pieces(utf8, starts[row], ends[row], classes, breaks, False, out_starts, out_ends, n)
        parents[row + 1] = n
    return out_starts[:n], out_ends[:n], parents
