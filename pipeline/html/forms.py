r"""The text of the kept blocks, in one of two forms.

Invariants:

- ``plain``: an empty line between paragraphs; "• " or a number before list items, two spaces per level of nesting; the cells of
  a row in one line, a tab between them, also where a cell is empty (but none after the last filled cell).
- ``markdown``: the same with headings (#), fenced code with its language where the page says one, tables with pipes, lists with
  four spaces per level, quotations (>), and links if they are wanted. There is no emphasis, and nothing is escaped but pipes in
  tables.
- A row is one line: a line break or a paragraph in a cell becomes a space. Preformatted text keeps its lines and indents.
- Between two kept blocks is the widest gap of what was dropped between them.
- Linear in the text: at most `MOST_COLUMNS` columns of a table are filled by spans, at most `INDENTS` levels are indented.
"""

from typing import Any

import numpy as np

from goldwash.filters.cut import Bytes
from goldwash.filters.jit import inline, kernel
from goldwash.pipeline.html.containers import FIRST, GRID, KIND, LAST, LINED, STOP
from goldwash.pipeline.html.formulas import attribute, code_of, is_at, letters
from goldwash.pipeline.html.segments import (
    A_CELL,
    A_LINE,
    A_PARAGRAPH,
    BEFORE,
    BULLET,
    CELL,
    ELEMENT,
    END,
    ITEM,
    LINES,
    LINK_END,
    LINK_SOURCE,
    LINK_START,
    NAMES,
    PARENT,
    PRE,
    SOURCE,
    START,
    TAG,
    reference,
)
from goldwash.pipeline.html.visible_text import name_at, tag_end

MOST_COLUMNS, INDENTS = 64, 8
"""Columns that ``colspan`` and ``rowspan`` may fill, and levels of lists and quotations that are indented."""
OL, UL, LI, DD, QUOTE = (NAMES.index(name) for name in ("ol", "ul", "li", "dd", "blockquo"))
HEADING_LEVELS = np.array([int(name[1]) if len(name) == 2 and name[0] == "h" and name[1].isdigit() else 0 for name in NAMES])
COLSPAN, ROWSPAN, BEGIN, VALUE, HREF, CLASS, LANGUAGE, LANG = (
    letters(name) for name in ("colspan", "rowspan", "start", "value", "href", "class", "data-language", "data-lang")
)
P0, P1, P2, P3, P4, P5, P6 = (
    letters(word)
    for word in ("language-", "lang-", "highlight-source-", "highlight-text-", "highlight-", "brush:", "sourcecode")
)
"""What comes before the name of a language in a class (HTML's own, prettify, GitHub, Sphinx, SyntaxHighlighter, Pandoc)."""
DEFAULT, NO_LANGUAGE, CODE_TAG = letters("default"), letters("none"), code_of("code")

LISTED, ITEM_OF, NUMBER, QUOTED, CODE, TABLE_OF, CELL_OF, TOP, LEVEL_OF = range(9)
"""What the form needs to know of an element: how deep its lists are nested; its item, and the item's number (0: bulleted, -1:
in a definition list); how deep it is quoted; its ``<pre>``; the table whose rows are lines, and its cell; the outermost list;
its level as a heading (0: none). -1 for none."""


@kernel
def places_of(html: Bytes, elements: Any, spans: Any, does: Any, levels: Any) -> Any:
    """What the form needs to know of each element: ``int64[E, 9]``."""
    out = np.zeros((len(elements), 9), np.int64)
    for column in (ITEM_OF, CODE, TABLE_OF, CELL_OF, TOP):
        out[0, column] = -1
    counts = np.zeros(len(elements), np.int64)
    for e in range(1, len(elements)):
        tag, parent = elements[e, TAG], elements[e, PARENT]
        row, do = out[e], does[tag]
        row[:] = out[parent]
        if tag == UL or tag == OL:
            row[LISTED] += 1
            row[ITEM_OF] = -1
            row[TOP] = e if row[TOP] < 0 else row[TOP]
            if tag == OL:
                counts[e] = number_at(html, elements[e, SOURCE], BEGIN, 1) - 1
        elif do & ITEM:
            row[ITEM_OF], row[NUMBER] = e, 0 if tag == LI else -1
            if tag == LI and elements[parent, TAG] == OL:
                counts[parent] = number_at(html, elements[e, SOURCE], VALUE, counts[parent] + 1)
                row[NUMBER] = counts[parent]
        elif do & PRE and row[CODE] < 0:
            row[CODE] = e
        elif tag == QUOTE:
            row[QUOTED] += 1
        elif levels[tag]:
            row[LEVEL_OF] = levels[tag]
        if spans[e, KIND] == GRID or spans[e, KIND] == LINED:
            row[TABLE_OF], row[CELL_OF] = e, -1
        elif do & CELL and row[TABLE_OF] >= 0 and row[CELL_OF] < 0:
            row[CELL_OF] = e
    return out


@inline
def number_at(html: Bytes, source: int, name: Bytes, otherwise: int) -> int:
    """A number in an attribute of the tag at ``source``, at most six digits; ``otherwise`` without one."""
    end = tag_end(html, source + 1, len(html))
    at, stop = attribute(html, name_at(html, source + 1, end)[1], end, name)
    value, digits = 0, 0
    while 0 <= at < stop and digits < 6 and 48 <= html[at] <= 57:
        value = value * 10 + html[at] - 48
        digits += 1
        at += 1
    return value if digits else otherwise


@kernel
def grown(out: Bytes, n: int, more: int) -> Bytes:
    """The output with room for ``more`` bytes, at least twice as long."""
    new = np.empty(max(2 * len(out), n + more), np.uint8)
    new[:n] = out[:n]
    return new


@inline
def put_number(out: Bytes, n: int, value: int) -> int:
    """Write a number: where the text ends then."""
    size = 1
    while size < 18 and value >= 10**size:
        size += 1
    for k in range(n + size - 1, n - 1, -1):
        out[k] = 48 + value % 10
        value //= 10
    return n + size


@inline
def put_prefix(out: Bytes, n: int, quoted: int, listed: int, markdown: bool) -> int:
    """Write what comes before a line: marks of quotations, the indent of a list."""
    if markdown:
        for _ in range(min(quoted, INDENTS)):
            out[n] = 62
            out[n + 1] = 32
            n += 2
    for _ in range(min(listed, INDENTS) * (4 if markdown else 2)):
        out[n] = 32
        n += 1
    return n


@inline
def first_link(links: Any, at: int) -> int:
    """The first link whose text begins at ``at`` or later."""
    low, high = 0, len(links)
    while low < high:
        middle = (low + high) // 2
        if links[middle, LINK_START] < at:
            low = middle + 1
        else:
            high = middle
    return low


@inline
def link_bytes(html: Bytes, links: Any, at: int, end: int) -> int:
    """Bytes that the addresses of the links in a piece of text need at most."""
    more = 0
    k = first_link(links, at)
    while k < len(links) and links[k, LINK_START] < end:
        source = links[k, LINK_SOURCE]
        more += 3 * (tag_end(html, source + 1, len(html)) - source) + 4
        k += 1
    return more


@inline
def put_address(out: Bytes, n: int, html: Bytes, source: int) -> int:
    """Write the address of the link whose tag is at ``source``, after its text: where the text ends then."""
    end = tag_end(html, source + 1, len(html))
    at, stop = attribute(html, name_at(html, source + 1, end)[1], end, HREF)
    while at < stop and html[at] <= 32:
        at += 1
    while at < stop and html[stop - 1] <= 32:
        stop -= 1
    out[n] = 93
    out[n + 1] = 40
    n += 2
    while 0 <= at < stop:
        c = html[at]
        if c <= 32 or c == 40 or c == 41 or c == 60 or c == 62:
            high, low = c >> 4, c & 15
            out[n] = 37
            out[n + 1] = 48 + high
            out[n + 2] = 48 + low if low < 10 else 55 + low
            n += 3
        else:
            out[n] = c
            n += 1
        at += 1
    out[n] = 41
    return n + 1


@inline
def put_text(
    out: Bytes, n: int, text: Bytes, at: int, end: int, html: Bytes, links: Any, one_line: bool, pipes: bool,
    quoted: int, listed: int,
) -> int:  # fmt: skip
    """Write a block: where the text ends then.

    ``one_line``: line breaks become spaces. ``pipes``: escape them. Further lines begin as ``quoted`` and ``listed`` say.
    """
    if not (one_line or pipes or quoted or listed or len(links)):
        for k in range(end - at):  # a copy of bytes, many at once
            out[n + k] = text[at + k]
        return n + end - at
    k = first_link(links, at) if len(links) else 0
    close = -1
    while at <= end:
        if close >= 0 and at >= close:
            n = put_address(out, n, html, links[k, LINK_SOURCE])
            k += 1
            close = -1
        if at == end:
            break
        if close < 0:
            while k < len(links) and links[k, LINK_START] <= at:
                stop = min(links[k, LINK_END], end)
                while stop > at and text[stop - 1] <= 32:
                    stop -= 1
                if links[k, LINK_START] == at and stop > at:
                    out[n] = 91
                    n += 1
                    close = stop
                    break
                k += 1
        c = text[at]
        if c == 10 and not one_line:
            out[n] = 10
            n = put_prefix(out, n + 1, quoted, listed, True) if quoted or listed else n + 1
        elif (c == 10 or c == 9) and one_line:
            if n and out[n - 1] != 32:
                out[n] = 32
                n += 1
        elif pipes and c == 124:
            out[n] = 92
            out[n + 1] = 124
            n += 2
        elif pipes and c == 38 and reference(text, at, end)[0] == 124:
            out[n] = 92
            out[n + 1] = 38
            n += 2
        else:
            out[n] = c
            n += 1
        at += 1
    return n


@inline
def language_at(html: Bytes, source: int, out: Bytes, n: int) -> int:
    """Write the language of code that the tag at ``source`` names: where the text ends then."""
    if source < 0:
        return n
    end = tag_end(html, source + 1, len(html))
    after = name_at(html, source + 1, end)[1]
    at, stop = attribute(html, after, end, LANGUAGE)
    if at < 0:
        at, stop = attribute(html, after, end, LANG)
    if at < 0:
        first, last = attribute(html, after, end, CLASS)
        while 0 <= first < last and at < 0:
            word = first
            while first < last and html[first] > 32:
                first += 1
            size = prefix_size(html, word, last)
            if size:
                at, stop = word + size, first
                while at < last and html[at] == 32:  # brush: python
                    at += 1
                if at > first:
                    stop = at
                    while stop < last and html[stop] > 32:
                        stop += 1
            first += 1
    begun = n
    while 0 <= at < stop and n - begun < 20:
        c = html[at]
        if not (48 <= c <= 57 or 97 <= c | 32 <= 122 or c == 43 or c == 35 or c == 45 or c == 46 or c == 95):
            break
        out[n] = c | 32 if 65 <= c <= 90 else c
        n += 1
        at += 1
    return n


@inline
def prefix_size(html: Bytes, at: int, end: int) -> int:
    """The length of the prefix that says that the rest of a class is a language; 0 if there is none."""
    for number in range(7):
        prefix = P0
        if number == 1:
            prefix = P1
        elif number == 2:
            prefix = P2
        elif number == 3:
            prefix = P3
        elif number == 4:
            prefix = P4
        elif number == 5:
            prefix = P5
        elif number == 6:
            prefix = P6
        if at + len(prefix) < end and is_at(html, at, end, prefix):
            return len(prefix)
    return 0


@inline
def put_fence(out: Bytes, n: int, text: Bytes, at: int, end: int) -> int:
    """Write a fence for code, longer than any run of backticks in it."""
    longest, length = 2, 0
    for k in range(at, end):
        length = length + 1 if text[k] == 96 else 0
        longest = max(longest, length)
    for k in range(n, n + longest + 1):
        out[k] = 96
    return n + longest + 1


@inline
def put_language(html: Bytes, elements: Any, pre: int, out: Bytes, n: int) -> int:
    """Write the language of a ``<pre>``, named on the element, on a ``<code>`` at its start, or on two elements around it."""
    begun = n
    source = elements[pre, SOURCE]
    n = language_at(html, source, out, n)
    if n == begun and source >= 0:
        at = tag_end(html, source + 1, len(html))
        while at < len(html) and html[at] <= 32:
            at += 1
        if at + 1 < len(html) and html[at] == 60 and name_at(html, at + 1, len(html))[0] == CODE_TAG:
            n = language_at(html, at, out, n)
    e = elements[pre, PARENT]
    for _ in range(2):
        if n == begun and e >= 0:
            n = language_at(html, elements[e, SOURCE], out, n)
            e = elements[e, PARENT]
    if (n - begun == 7 and is_at(out, begun, n, DEFAULT)) or (n - begun == 4 and is_at(out, begun, n, NO_LANGUAGE)):
        return begun
    return n


@inline
def filled(span: Any, kept: Any) -> bool:
    """Whether a cell has a kept block."""
    for i in range(span[FIRST], span[LAST]):
        if kept[i]:
            return True
    return False


@inline
def put_cell(
    out: Bytes, n: int, text: Bytes, blocks: Any, span: Any, kept: Any, html: Bytes, links: Any, markdown: bool
) -> int:  # fmt: skip
    """Write the kept blocks of a cell with a space between them."""
    begun = n
    for i in range(span[FIRST], span[LAST]):
        if kept[i]:
            if n > begun:
                out[n] = 32
                n += 1
            n = put_text(out, n, text, blocks[i, START], blocks[i, END], html, links, True, markdown, 0, 0)
    return n


@inline
def span_of(html: Bytes, source: int, most: int) -> Any:
    """The columns and rows that a cell spans: at least 1, at most ``most`` columns."""
    return min(most, max(1, number_at(html, source, COLSPAN, 1))), max(1, number_at(html, source, ROWSPAN, 1))


@kernel
def put_table(
    out: Bytes, n: int, text: Bytes, blocks: Any, elements: Any, spans: Any, table: int, kept: Any, html: Bytes, links: Any,
    does: Any, markdown: bool, quoted: int, listed: int,
) -> Any:  # fmt: skip
    """Write the rows of a table that have kept blocks: the output and where the text ends then."""
    held = np.zeros(MOST_COLUMNS + 1, np.int64)  # rows for which a cell above still fills each column
    columns, rows, begun = 0, 0, n
    e, stop = table + 1, spans[table, STOP]
    while e < stop:
        if not does[elements[e, TAG]] & CELL:
            e += 1
            continue
        row = elements[e, PARENT]  # the cells of a row have one parent
        need, full, count, k = 64 * MOST_COLUMNS, False, 0, e
        while k < stop and does[elements[k, TAG]] & CELL and elements[k, PARENT] == row:
            for i in range(spans[k, FIRST], spans[k, LAST]):
                need += (
                    2 * (blocks[i, END] - blocks[i, START])
                    + 8
                    + (link_bytes(html, links, blocks[i, START], blocks[i, END]) if len(links) else 0)
                )
            full = full or filled(spans[k], kept)
            need += 8
            count += 1
            k = spans[k, STOP]
        if not full:
            if markdown:
                for column in range(len(held)):
                    held[column] = max(0, held[column] - 1)
            e = k
            continue
        if n + need > len(out):
            out = grown(out, n, need)
        if n > begun:
            out[n] = 10
            n += 1
        n = put_prefix(out, n, quoted, listed, markdown) if markdown else n
        column, tabs = 0, 0
        while e < k:
            if markdown:
                while column < MOST_COLUMNS and held[column] > 0:
                    held[column] -= 1
                    out[n] = 124
                    out[n + 1] = 32
                    n += 2
                    column += 1
                out[n] = 124
                out[n + 1] = 32
                n = put_cell(out, n + 2, text, blocks, spans[e], kept, html, links, True)
                if out[n - 1] != 32:
                    out[n] = 32
                    n += 1
                wide, high = span_of(html, elements[e, SOURCE], MOST_COLUMNS)
                if column < MOST_COLUMNS:
                    held[column] = high - 1
                column += 1
                while wide > 1 and column < MOST_COLUMNS:
                    out[n] = 124
                    out[n + 1] = 32
                    n += 2
                    held[column] = high - 1
                    column += 1
                    wide -= 1
            elif filled(spans[e], kept):
                for _ in range(tabs):
                    out[n] = 9
                    n += 1
                n = put_cell(out, n, text, blocks, spans[e], kept, html, links, False)
                tabs = 0
            tabs += 1
            e = spans[e, STOP]
        if markdown:
            while column < MOST_COLUMNS and held[column] > 0:
                held[column] -= 1
                out[n] = 124
                out[n + 1] = 32
                n += 2
                column += 1
            out[n] = 124
            n += 1
            if rows == 0:
                columns = column
                if n + 5 * columns + 64 > len(out):
                    out = grown(out, n, 5 * columns + 64)
                out[n] = 10
                n = put_prefix(out, n + 1, quoted, listed, True)
                for _ in range(columns):
                    for c in (124, 32, 45, 45, 45, 32):
                        out[n] = c
                        n += 1
                out[n] = 124
                n += 1
        rows += 1
    return out, n


@kernel
def written(
    html: Bytes, text: Bytes, blocks: Any, elements: Any, links: Any, spans: Any, places: Any, kept: Any, does: Any,
    markdown: bool,
) -> Any:  # fmt: skip
    """The text of the kept blocks, ``uint8[bytes]``."""
    out = np.empty(len(text) + len(text) // 4 + 256, np.uint8)
    begun = np.zeros(len(elements), np.bool_)  # items whose first block, and tables whose rows, have been written
    n, before, i, top = 0, 0, 0, -1
    while i < len(blocks):
        gap = blocks[i, BEFORE]
        if before == 0:
            before = gap
        elif before != gap:
            before = A_PARAGRAPH if A_PARAGRAPH in (before, gap) else A_LINE
        if not kept[i]:
            i += 1
            continue
        e = blocks[i, ELEMENT]
        place, item = places[e], places[e, ITEM_OF]
        start, end = blocks[i, START], blocks[i, END]
        table, rows = place[TABLE_OF], place[CELL_OF] >= 0
        if rows and begun[table]:  # its rows are written
            before = 0
            i += 1
            continue
        marked = item >= 0 and not begun[item] and (place[NUMBER] > 0 or blocks[i, BULLET])
        if marked and top == place[TOP] and before == A_PARAGRAPH:
            before = A_LINE
        need = 2 * (end - start) + 128 + 49 * (blocks[i, LINES] + 2)
        if len(links):
            need += link_bytes(html, links, start, end)
        if n + need > len(out):
            out = grown(out, n, need)
        if n:
            if before == A_CELL and not rows:
                out[n] = 9
                n += 1
            else:
                out[n] = 10
                n += 1
                if before == A_PARAGRAPH or rows:
                    out[n] = 10
                    n += 1
        before = 0
        quoted, listed = (place[QUOTED], place[LISTED]) if markdown else (0, 0)
        if rows:
            out, n = put_table(
                out, n, text, blocks, elements, spans, table, kept, html, links, does, markdown, quoted, listed
            )  # fmt: skip
            begun[table], top = True, -1
            i += 1
            continue
        if marked:
            n = put_prefix(out, n, quoted, place[LISTED] - 1, markdown)
            if place[NUMBER] > 0:
                n = put_number(out, n, place[NUMBER])
                out[n] = 46
                out[n + 1] = 32
                n += 2
            elif markdown:
                out[n] = 45
                out[n + 1] = 32
                n += 2
            else:
                for c in (0xE2, 0x80, 0xA2, 0x20):
                    out[n] = c
                    n += 1
        else:
            n = put_prefix(out, n, quoted, listed, markdown)
        if item >= 0:
            begun[item] = True
        top = place[TOP]
        if markdown and place[CODE] >= 0 and blocks[i, LINES] > 0:
            n = put_fence(out, n, text, start, end)
            n = put_language(html, elements, place[CODE], out, n)
            out[n] = 10
            n = put_prefix(out, n + 1, quoted, listed, True)
            n = put_text(out, n, text, start, end, html, links[:0], False, False, quoted, listed)
            out[n] = 10
            n = put_prefix(out, n + 1, quoted, listed, True)
            n = put_fence(out, n, text, start, end)
        elif markdown and place[LEVEL_OF]:
            for _ in range(place[LEVEL_OF]):
                out[n] = 35
                n += 1
            out[n] = 32
            n = put_text(out, n + 1, text, start, end, html, links, True, False, 0, 0)
        else:
            if markdown and elements[e, TAG] == DD:
                out[n] = 58
                out[n + 1] = 32
                n += 2
            n = put_text(out, n, text, start, end, html, links, False, False, quoted, listed)
        i += 1
    return out[:n]
