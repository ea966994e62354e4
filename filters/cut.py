"""Cutting texts: kernels that find lines, paragraphs and words between spaces in UTF-8.

Invariants: a kernel takes ``utf8: uint8[bytes]`` and the rows ``starts, ends: int64[N]`` of texts in it (valid UTF-8, checked
by `filters.texts.Texts`) and returns the pieces as ``(starts, ends, parents)``: ``int64[M]``, ``int64[M]`` and ``int64[N +
1]``. The pieces of text ``i`` are rows ``parents[i]`` to ``parents[i + 1]``. No bytes are copied. Time is linear in the
bytes.

"Word" has three meanings in this field, each with its own name here:

=================  ==========================================================================================
whitespace words   ``str.split()``: cut at Unicode white space. Gopher's rules, C4's, DCLM's word lengths
fasttext words     cut at the seven ASCII characters that fastText cuts at; kept if they begin alphanumeric. DCLM's lengths
uax29 words        Unicode Standard Annex 29 word boundaries (`filters.uax29`). DCLM's repetition counts those that begin
                   alphanumeric (`Texts.uax29_words`), its Bloom filter all but white space (`Texts.uax29_tokens`)
=================  ==========================================================================================
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters import characters as c
from goldwash.filters.bits import (
    ASCII_ALPHANUMERICS,
    ASCII_LETTERS,
    ASCII_SPACES,
    FASTTEXT_SPACES,
    LEADS,
    NEWLINES,
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
