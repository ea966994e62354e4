"""Cutting texts: kernels that find lines, paragraphs and words in UTF-8.

Invariants: a kernel takes ``utf8: uint8[bytes]`` and the rows ``starts, ends: int64[N]`` of texts in it (valid UTF-8, checked
by `filters.texts.Texts`) and returns the pieces as ``(starts, ends, parents)``: ``int64[M]``, ``int64[M]`` and ``int64[N +
1]``. The pieces of text ``i`` are rows ``parents[i]`` to ``parents[i + 1]``. No bytes are copied. Time is linear in the
bytes.

"Word" has three meanings in this field, each with its own name here:

=================  ==========================================================================================
whitespace words   ``str.split()``: cut at Unicode white space. Gopher's rules, C4's, DCLM's word lengths
fasttext words     cut at the seven ASCII characters that fastText cuts at; kept if they begin alphanumeric. DCLM's lengths
uax29 words        Unicode Standard Annex 29 word boundaries, https://www.unicode.org/reports/tr29/. DCLM's repetition
                   counts those that begin alphanumeric (`uax29_words`), its Bloom filter all but white space (`uax29_tokens`)
=================  ==========================================================================================
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters import characters as c
from goldwash.filters.bits import (
    APOSTROPHE,
    ASCII_ALPHANUMERICS,
    ASCII_LETTERS,
    ASCII_SPACES,
    BEYOND_ASCII,
    FASTTEXT_SPACES,
    LEADS,
    MIDDLE_MARKS,
    NEWLINES,
    UNDERSCORE,
    bit_count,
    block,
    lowest,
)
from goldwash.filters.jit import inline, kernel

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]
Cut = tuple[Rows, Rows, Rows]

ALNUM, SPACE = c.ALPHANUMERIC, c.SPACE
NEWLINE, RETURN = 10, 13


@inline
def code_point(utf8: Bytes, i: int) -> Any:
    """The code point at byte ``i``, and the index of the byte after it."""
    b = np.int64(utf8[i])
    if b < 0x80:
        return b, i + 1
    if b < 0xE0:
        return ((b & 0x1F) << 6) | (np.int64(utf8[i + 1]) & 0x3F), i + 2
    if b < 0xF0:
        return ((b & 0x0F) << 12) | ((np.int64(utf8[i + 1]) & 0x3F) << 6) | (np.int64(utf8[i + 2]) & 0x3F), i + 3
    high = ((b & 0x07) << 18) | ((np.int64(utf8[i + 1]) & 0x3F) << 12)
    return high | ((np.int64(utf8[i + 2]) & 0x3F) << 6) | (np.int64(utf8[i + 3]) & 0x3F), i + 4


@inline
def code_point_before(utf8: Bytes, i: int) -> Any:
    """The code point that ends before byte ``i``, and the index of its first byte."""
    j = i - 1
    while (utf8[j] & 0xC0) == 0x80:
        j -= 1
    return code_point(utf8, j)[0], j


@inline
def stripped(utf8: Bytes, start: int, end: int, classes: Bytes) -> Any:
    """The start and end of a row after ``str.strip()``."""
    while start < end:
        point, after = code_point(utf8, start)
        if not classes[point] & SPACE:
            break
        start = after
    while end > start:
        point, before = code_point_before(utf8, end)
        if not classes[point] & SPACE:
            break
        end = before
    return start, end


@kernel
def strip(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes) -> Any:
    """The rows after ``str.strip()``: ``(starts, ends)``."""
    new_starts, new_ends = np.empty_like(starts), np.empty_like(ends)
    for row in range(len(starts)):
        new_starts[row], new_ends[row] = stripped(utf8, starts[row], ends[row], classes)
    return new_starts, new_ends


@inline
def room_for(starts: Rows, ends: Rows, smallest: int, per_row: int) -> Any:
    """The most pieces of at least ``smallest`` bytes that rows can have. Memory that is never touched costs nothing."""
    bytes_ = np.int64(0)
    for row in range(len(starts)):
        bytes_ += ends[row] - starts[row]
    return bytes_ // smallest + per_row * len(starts) + 1


@kernel
def lines(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Rows between line ends, ``re.split("\\r?\\n", text)``: an empty text is one empty line."""
    room = room_for(starts, ends, 1, 1)
    line_starts, line_ends = np.empty(room, np.int64), np.empty(room, np.int64)
    parents = np.zeros(len(starts) + 1, np.int64)
    n = 0
    for row in range(len(starts)):
        line_starts[n] = starts[row]
        i, last = np.uint64(starts[row]), np.uint64(ends[row])
        while i < last:
            found = block(utf8, i, last, NEWLINES)
            while found != np.uint64(0):
                newline = np.int64(i) + lowest(found)
                found &= found - np.uint64(1)
                line_ends[n] = newline - (newline > line_starts[n] and utf8[newline - 1] == RETURN)
                n += 1
                line_starts[n] = newline + 1
            i += np.uint64(64)
        line_ends[n] = ends[row]
        n += 1
        parents[row + 1] = n
    return line_starts[:n], line_ends[:n], parents


@inline
def put_segments(
    utf8: Bytes, start: int, end: int, classes: Bytes, newlines: int, out_starts: Rows, out_ends: Rows, n: int
) -> Any:
    """Write the `stripped_segments` of one row to ``out_starts[n:]`` and ``out_ends[n:]``; returns the next ``n``."""
    begin = start
    i, last = np.uint64(start), np.uint64(end)
    while i < last:
        found = block(utf8, i, last, NEWLINES)
        while found != np.uint64(0):
            newline = np.int64(i) + lowest(found)
            found &= found - np.uint64(1)
            if newline < begin:
                continue
            after = newline + 1
            if newlines == 2:
                after += after + 1 < end and utf8[after] == RETURN
                if after >= end or utf8[after] != NEWLINE:
                    continue
                after += 1
            a, b = stripped(utf8, begin, newline, classes)
            if b > a:
                out_starts[n], out_ends[n] = a, b
                n += 1
            begin = after
        i += np.uint64(64)
    a, b = stripped(utf8, begin, end, classes)
    if b > a:
        out_starts[n], out_ends[n] = a, b
        n += 1
    return n


@kernel
def stripped_segments(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes, newlines: int) -> Any:
    """Rows between runs of ``newlines`` line ends (1: lines, 2: paragraphs), stripped, without empty ones.

    As ``re.split("\\n\\r?\\n", text)`` for paragraphs: three newlines are a separator of two and one that is stripped.
    """
    room = room_for(starts, ends, 1, 1)
    out_starts, out_ends = np.empty(room, np.int64), np.empty(room, np.int64)
    parents = np.zeros(len(starts) + 1, np.int64)
    n = np.int64(0)
    for row in range(len(starts)):
        n = put_segments(utf8, starts[row], ends[row], classes, newlines, out_starts, out_ends, n)
        parents[row + 1] = n
    return out_starts[:n], out_ends[:n], parents


@inline
def spaces_and_letters(utf8: Bytes, i: Any, last: Any, spill: Any, classes: Bytes) -> Any:
    """White space and letters among the 64 bytes from ``i``, before ``last``.

    Returns the bytes of white space, those in the next 64, the number of white-space characters, and the first bytes of
    letters. ``spill``: the second result for the 64 bytes before. What is beyond ``last`` is white space.
    """
    spaces, letters = block(utf8, i, last, ASCII_SPACES), block(utf8, i, last, ASCII_LETTERS)
    count = bit_count(spaces)
    spaces |= spill
    spill = np.uint64(0)
    leads = block(utf8, i, last, LEADS)
    while leads != np.uint64(0):
        k = np.uint64(lowest(leads))
        leads &= leads - np.uint64(1)
        point, after = code_point(utf8, np.int64(i + k))
        letters |= np.uint64((classes[point] & c.ALPHABETIC) != 0) << k
        if classes[point] & SPACE:
            wide = (np.uint64(1) << (np.uint64(after) - i - k)) - np.uint64(1)
            spaces |= wide << k
            count += 1
            beyond = after - np.int64(i) - 64
            if beyond > 0:
                spill = (np.uint64(1) << np.uint64(beyond)) - np.uint64(1)
    if i + np.uint64(64) > last:
        spaces |= ~np.uint64(0) << (last - i)
    return spaces, spill, count, letters


@inline
def white_space(utf8: Bytes, i: Any, last: Any, spill: Any, classes: Bytes) -> Any:
    """`spaces_and_letters` without the letters."""
    spaces, spill, count, _ = spaces_and_letters(utf8, i, last, spill, classes)
    return spaces, spill, count


@kernel
def whitespace_words(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes) -> Any:
    """Words as ``str.split()`` cuts them: at Unicode white space, without empty ones."""
    pieces = np.empty((2, room_for(starts, ends, 2, 1) + 1), np.int64)
    parents = np.zeros(len(starts) + 1, np.int64)
    n = 0
    for row in range(len(starts)):
        i, last = np.uint64(starts[row]), np.uint64(ends[row])
        outside, spill = np.uint64(1), np.uint64(0)
        m = 2 * n
        while i < last:
            spaces, spill, _ = white_space(utf8, i, last, spill, classes)
            edges = spaces ^ ((spaces << np.uint64(1)) | outside)
            outside = spaces >> np.uint64(63)
            while edges != np.uint64(0):
                pieces[m & 1, m >> 1] = np.int64(i) + lowest(edges)
                edges &= edges - np.uint64(1)
                m += 1
            i += np.uint64(64)
        pieces[1, m >> 1] = ends[row]  # counts only where a word ends with the text
        n = (m + 1) >> 1
        parents[row + 1] = n
    return pieces[0][:n], pieces[1][:n], parents


@inline
def fasttext_space(b: int) -> Any:
    """Whether fastText cuts at this byte: space, newline, return, tab, vertical tab, form feed, NUL."""
    return b == 32 or (9 <= b <= 13) or b == 0


@kernel
def fasttext_word_count(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes) -> Any:
    """Number of words as fastText cuts them (``Dictionary::readWord``) that begin alphanumeric: ``int64[N]``."""
    counts = np.zeros(len(starts), np.int64)
    for row in range(len(starts)):
        count, outside = np.int64(0), np.uint64(1)
        i, last = np.uint64(starts[row]), np.uint64(ends[row])
        while i < last:
            spaces = block(utf8, i, last, FASTTEXT_SPACES)
            begins = ~spaces & ((spaces << np.uint64(1)) | outside)
            outside = spaces >> np.uint64(63)
            count += bit_count(begins & block(utf8, i, last, ASCII_ALPHANUMERICS))
            wide = begins & block(utf8, i, last, LEADS)
            while wide != np.uint64(0):
                point, _ = code_point(utf8, np.int64(i) + lowest(wide))
                wide &= wide - np.uint64(1)
                count += (classes[point] & ALNUM) != 0
            i += np.uint64(64)
        counts[row] = count
    return counts


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


@inline
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


@inline
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
def uax29(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes, breaks: Bytes, words_only: bool) -> Any:
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
