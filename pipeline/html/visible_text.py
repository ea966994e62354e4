"""A page's visible text for early rules: one pass over its bytes, without a tree.

Invariants:

- Comments, scripts, styles and drawings end where `pipeline.html.segments` ends them, so all text of the block reader is here
  too, and little else.
- A tag or a run of white space becomes one space, a character reference an apostrophe (``&nbsp;`` a space).
- The text is measured, not kept: a page that fails wide bounds here need not be parsed.
- Bytes are UTF-8; bytes of another charset are copied unchanged. Time is linear in the page's length.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from goldwash.filters.bits import APOSTROPHE, GREATER_THAN, block, eight, find, lowest
from goldwash.filters.cut import Bytes
from goldwash.filters.jit import bare, inline, kernel
from goldwash.filters.texts import Texts

SKIPPED = ("script", "style", "svg", "template")
"""Elements whose content is not shown. The first two hide everything that follows if they are not closed; the others do not."""
DOUBLE_QUOTE = np.int64(34)
CODES = np.array([int.from_bytes(name.encode()) for name in SKIPPED], np.uint64)
ENDLESS, SVG = 2, SKIPPED.index("svg")


@inline
def name_at(html: Bytes, at: int, end: int) -> Any:
    """A tag's name as a number (its first eight letters, in lower case), and where it ends."""
    code = np.uint64(0)
    while at < end:
        c = html[np.uint64(at)]
        if c <= 47 or c == 62:  # ended by >, / or a space
            break
        if code < np.uint64(1) << np.uint64(56):
            code = code << np.uint64(8) | np.uint64(c | 32)
        at += 1
    return code, at


@inline
def byte_at(html: Bytes, at: int, end: int, byte: Any) -> Any:
    """The position of the first such byte; ``end`` if there is none. Best if near; `filters.bits.find` is for far ones."""
    i, last = np.uint64(at), np.uint64(end)
    pattern = np.uint64(byte) * np.uint64(0x0101010101010101)
    while i + np.uint64(8) <= last:
        x = eight(html, i) ^ pattern
        x = (x - np.uint64(0x0101010101010101)) & ~x & np.uint64(0x8080808080808080)  # its lowest bit is that of the first zero
        if x != np.uint64(0):
            return np.int64(i) + (lowest(x) >> 3)
        i += np.uint64(8)
    while i < last and html[i] != byte:
        i += np.uint64(1)
    return np.int64(i)


@inline
def tag_end(html: Bytes, at: int, end: int) -> Any:
    """The position after the ``>`` that ends a tag, ignoring those in quoted values; ``end`` if there is none.

    A quote begins a value only after ``=``, possibly with white space between.
    """
    if at < end and html[at] == 62:  # without attributes
        return at + 1
    return attributes_end(html, at, end)


@bare
def attributes_end(html: Bytes, at: int, end: int) -> Any:
    """`tag_end` of a tag with attributes, 64 bytes at a time."""
    i, last = np.uint64(at), np.uint64(end)
    while i < last:
        doubles, singles = block(html, i, last, DOUBLE_QUOTE), block(html, i, last, APOSTROPHE)
        marks = block(html, i, last, GREATER_THAN) | doubles | singles
        after = i + np.uint64(64)
        while marks != np.uint64(0):
            k = np.uint64(lowest(marks))
            c = html[i + k]
            if c == 62:
                return np.int64(i + k) + 1
            before = np.int64(i + k) - 1
            while before >= at and html[before] <= 32:
                before -= 1
            marks &= marks - np.uint64(1)
            if before >= at and html[before] == 61:
                ends = marks & (doubles if c == 34 else singles)
                if ends == np.uint64(0):
                    after = np.uint64(find(html, np.int64(after), end, np.int64(c))) + np.uint64(1)
                    break
                marks &= ~(ends ^ (ends - np.uint64(1)))
        i = after
    return end


@inline
def closing(html: Bytes, at: int, end: int, name: Any) -> int:
    """Where the closing tag of an element begins; -1 if it is not closed."""
    while at + 2 < end:
        at = find(html, at, end, 60)
        if at + 2 < end and html[at + 1] == 47 and name_at(html, at + 2, end)[0] == name:
            return at
        at += 1
    return -1


@inline
def comment_end(html: Bytes, at: int, end: int) -> int:
    """The position after the ``-->`` or ``--!>`` of a comment, searched from its second hyphen; ``end`` if there is none."""
    while at < end:
        at = find(html, at, end, 62) + 1
        last = at - 3 if at <= end and html[at - 2] == 33 else at - 2
        if at <= end and html[last] == 45 and html[last - 1] == 45:
            return at
    return end


@kernel
def visible_text(html: Any, skipped: Any, most: int, out: Bytes, n: int) -> Any:
    """Write the first ``most`` bytes of a page's visible text to ``out[n:]``, the last character whole: where it ends then."""
    at, end = 0, len(html)
    blank = True
    unclosed = 0
    full = n + most
    while at < end and (n < full or (html[at] & 192 == 128 and n < full + 3)):  # never within a character
        c = html[at]
        d = html[at + 1] if c == 60 and at + 1 < end else 0
        shut = d == 47 and at + 2 < end and 97 <= html[at + 2] | 32 <= 122
        if shut or 97 <= d | 32 <= 122:  # a tag
            code, at = name_at(html, at + (2 if shut else 1), end)
            own = at < end and html[at] == 45  # svg-icon is a custom element
            at = tag_end(html, at, end)
            if shut or own:
                code = np.uint64(0)
            for k in range(len(skipped)):
                if code == skipped[k]:
                    if not (unclosed >> k & 1 or (k == SVG and html[at - 2] == 47)):
                        stop = closing(html, at, end, code)
                        unclosed |= (1 if stop < 0 else 0) << k
                        at = stop if stop >= 0 else end if k < ENDLESS else at
                    break
        elif d == 33 or d == 47 or d == 63:  # <! </ <?
            if at + 3 < end and d == 33 and html[at + 2] == 45 and html[at + 3] == 45:
                at = comment_end(html, at + 3, end)
            else:
                at = min(end, find(html, at, end, 62) + 1)
        elif c == 38:  # &
            stop = min(end, at + 10)
            after = at + 1
            while after < stop and html[after] > 34 and html[after] != 59 and html[after] != 60 and html[after] != 38:
                after += 1
            reference = after < stop and html[after] == 59
            space = reference and after - at == 5 and html[at + 1] == 110 and html[at + 2] == 98
            if not (space and blank):
                out[n] = 32 if space else (39 if reference else 38)
                n += 1
            blank = space
            at = after + 1 if reference else at + 1
            continue
        elif c > 32:
            out[n] = c
            n += 1
            at += 1
            blank = False
            continue
        else:
            at += 1
        if not blank:
            out[n] = 32
            n += 1
            blank = True
    return n


def visible(pages: Sequence[bytes | memoryview], most: int = 1 << 40) -> Texts:
    """The visible texts of pages in UTF-8, each cut after ``most`` bytes or a few more; "" for an empty page.

    >>> [*visible([b'<title>Gold</title><p class="a>b">in the<br>pan<script>if (a<b)</script> &amp; more', b""])]
    ["Gold in the pan ' more", '']
    """
    offsets = np.zeros(len(pages) + 1, np.int64)
    out = np.empty(sum(min(len(page), most) + 4 for page in pages), np.uint8)  # a page's last character may have four bytes
    for row, page in enumerate(pages):
        offsets[row + 1] = visible_text(np.frombuffer(page, np.uint8), CODES, most, out, offsets[row])
    return Texts(out[: offsets[-1]], offsets[:-1], offsets[1:])
