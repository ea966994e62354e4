"""A page's visible text by a light look: a pass over its bytes, without a tree.

Law: what a page shows is in it, and little else: markup, comments, scripts and styles are left out, a tag or a run of white
space is one space, a character reference an apostrophe (``&nbsp;`` a space). It is there to be measured, so that pages that
cannot be kept need not be parsed; what an extractor finds in a page is nearly always a part of it. Bytes are UTF-8, or the
bytes of another charset as they are.
"""

from typing import Any

import numpy as np

from goldwash.filters.cut import Bytes, Rows
from goldwash.filters.jit import inline, kernel
from goldwash.filters.texts import Texts

SKIPPED = ("script", "style", "svg", "template")
"""Elements whose content is not shown."""


@inline
def name_at(html: Bytes, at: int, end: int) -> Any:
    """A tag's name as a number, eight letters at the most in small letters; and where it ends."""
    code = np.uint64(0)
    while at < end and html[at] > 47 and html[at] != 62:  # > ends it, and / or a space
        if code < np.uint64(1) << np.uint64(56):
            code = code << np.uint64(8) | np.uint64(html[at] | 32)
        at += 1
    return code, at


@inline
def tag_end(html: Bytes, at: int, end: int) -> Any:
    """After the > that ends a tag: one in a quoted value does not; ``end`` where there is none."""
    quote = 0
    before = 0
    while at < end:
        c = html[at]
        if quote:
            if c == quote:
                quote = 0
        elif c == 62:
            return at + 1
        elif (c == 34 or c == 39) and before == 61:
            quote = c
        if c > 32:
            before = c
        at += 1
    return end


@inline
def found(html: Bytes, at: int, end: int, a: int, b: int, c: int) -> Any:
    """After the first place where these three bytes stand; ``end`` where they do not."""
    while at + 2 < end:
        if html[at] == a and html[at + 1] == b and html[at + 2] == c:
            return at + 3
        at += 1
    return end


@inline
def closed(html: Bytes, at: int, end: int, name: Any) -> Any:
    """After the closing tag of an element; ``end`` where it is not closed."""
    while at + 2 < end:
        if html[at] == 60 and html[at + 1] == 47:
            code, after = name_at(html, at + 2, end)
            if code == name:
                return tag_end(html, after, end)
        at += 1
    return end


@kernel
def visible_rows(html: Bytes, starts: Rows, ends: Rows, skipped: Any, most: int) -> Any:
    """The pages' visible texts one after the other, and their offsets: ``uint8[bytes]``, ``int64[N + 1]``."""
    size = 0
    for row in range(len(starts)):
        size += ends[row] - starts[row] + 1
    out = np.empty(size, np.uint8)
    offsets = np.zeros(len(starts) + 1, np.int64)
    n = 0
    for row in range(len(starts)):
        at, end = starts[row], ends[row]
        blank = True
        full = n + most
        while at < end and (n < full or html[at] & 192 == 128):  # never within a character
            c = html[at]
            if c == 60 and at + 1 < end and 97 <= html[at + 1] | 32 <= 122:  # < and a letter
                code, at = name_at(html, at + 1, end)
                at = tag_end(html, at, end)
                for k in range(len(skipped)):
                    if code == skipped[k]:
                        at = closed(html, at, end, code)
                        break
            elif c == 60 and at + 1 < end and (html[at + 1] == 33 or html[at + 1] == 47 or html[at + 1] == 63):  # <! </ <?
                if at + 3 < end and html[at + 1] == 33 and html[at + 2] == 45 and html[at + 3] == 45:
                    at = found(html, at + 2, end, 45, 45, 62)
                else:
                    at = tag_end(html, at + 1, end)
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
        offsets[row + 1] = n
    return out[:n], offsets


def visible(pages: Texts, most: int = 1 << 40) -> Texts:
    """The visible texts of pages, of each the first ``most`` bytes or so; "" for an empty page.

    >>> [*visible(Texts.of(['<title>Gold</title><p class="a>b">in the<br>pan<script>if (a<b)</script> &amp; more', ""]))]
    ["Gold in the pan ' more", '']
    """
    codes = [int.from_bytes(name.encode()) for name in SKIPPED]
    utf8, offsets = visible_rows(pages.utf8, pages.starts, pages.ends, np.array(codes, np.uint64), most)
    return Texts(utf8, offsets[:-1], offsets[1:])
