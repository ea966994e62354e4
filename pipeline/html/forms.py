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
from goldwash.filters.jit import bare, inline
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
    NO,
    ONE,
    PARENT,
    PRE,
    SOURCE,
    START,
    TAG,
    YES,
    ZERO,
    reference,
)
from goldwash.pipeline.html.visible_text import name_at, tag_end

MOST_COLUMNS, INDENTS = 64, 8
"""Columns that ``colspan`` and ``rowspan`` may fill, and levels of lists and quotations that are indented."""
ROW_BYTES = 64 * MOST_COLUMNS
"""Bytes of a row besides its text, at most."""
TAB, NEWLINE, SPACE, HASH, HYPHEN, FULL_STOP, COLON, PIPE = (ord(character) for character in "\t\n #-.:|")
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


def places_of(html: Bytes, elements: Any, spans: Any, does: Any, levels: Any) -> Any:
    """What the form needs to know of each element: ``int64[E, 9]``."""
    out = np.zeros((len(elements), 9), np.int64)
    fill_places(html, elements, spans, does, levels, np.zeros(len(elements), np.int64), out)
    return out


@bare
def fill_places(html: Bytes, elements: Any, spans: Any, does: Any, levels: Any, counts: Any, out: Any) -> None:
    """Fill what `places_of` returns. ``counts: int64[E]`` are zeros: the items of each list that have been seen."""
    out[0, ITEM_OF], out[0, CODE], out[0, TABLE_OF], out[0, CELL_OF], out[0, TOP] = -1, -1, -1, -1, -1
    for e in range(1, len(elements)):
        tag, parent = elements[e, TAG], elements[e, PARENT]
        row, do = out[e], does[tag]
        for column in range(len(row)):
            row[column] = out[parent, column]
        if tag == UL or tag == OL:
            row[LISTED] += 1
            row[ITEM_OF] = -1
            row[TOP] = e if row[TOP] < 0 else row[TOP]
            if tag == OL:
                counts[e] = number_at(html, elements[e, SOURCE], BEGIN, ONE) - 1
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


@bare
def number_at(html: Bytes, source: int, name: Bytes, otherwise: int) -> int:
    """A number in an attribute of the tag at ``source``, at most six digits; ``otherwise`` without one."""
    end = tag_end(html, source + 1, len(html))
    at, stop = attribute(html, name_at(html, source + 1, end)[1], end, name)
    value, digits = ZERO, 0
    while 0 <= at < stop and digits < 6 and 48 <= html[at] <= 57:
        value = value * 10 + html[at] - 48
        digits += 1
        at += 1
    return value if digits else otherwise


@bare
def put_number(out: Bytes, n: int, value: int) -> int:
    """Write a number: where the text ends then."""
    size = 1
    while size < 18 and value >= 10**size:
        size += 1
    for k in range(n + size - 1, n - 1, -1):
        out[k] = 48 + value % 10
        value //= 10
    return n + size


@bare
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


@bare
def link_bytes(html: Bytes, links: Any, at: int, end: int) -> int:
    """Bytes that the addresses of the links in a piece of text need at most."""
    more = 0
    k = first_link(links, at)
    while k < len(links) and links[k, LINK_START] < end:
        source = links[k, LINK_SOURCE]
        more += 3 * (tag_end(html, source + 1, len(html)) - source) + 4
        k += 1
    return more


@bare
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
def copied(out: Bytes, n: int, text: Bytes, at: int, end: int) -> int:
    """Write a piece of text unchanged: where it ends then. The indices are unsigned so that it is one move."""
    for k in range(np.uint64(end - at)):
        out[np.uint64(n) + k] = text[np.uint64(at) + k]
    return n + end - at


@bare
def put_text(
    out: Bytes, n: int, text: Bytes, at: int, end: int, html: Bytes, links: Any, one_line: bool, pipes: bool,
    quoted: int, listed: int,
) -> int:  # fmt: skip
    """Write a block: where the text ends then.

    ``one_line``: line breaks become spaces. ``pipes``: escape them. Further lines begin as ``quoted`` and ``listed`` say.
    """
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
            n = put_prefix(out, n + 1, quoted, listed, quoted > 0 or listed > 0)
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


@bare
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


@bare
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


@bare
def put_fence(out: Bytes, n: int, text: Bytes, at: int, end: int) -> int:
    """Write a fence for code, longer than any run of backticks in it."""
    longest, length = 2, 0
    for k in range(at, end):
        length = length + 1 if text[k] == 96 else 0
        longest = max(longest, length)
    for k in range(n, n + longest + 1):
        out[k] = 96
    return n + longest + 1


@bare
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


@bare
def put_cell(
    out: Bytes, n: int, text: Bytes, blocks: Any, span: Any, kept: Any, html: Bytes, links: Any, markdown: bool
) -> int:  # fmt: skip
    """Write the kept blocks of a cell with a space between them: where the text ends then."""
    begun, one_line = n, YES
    for i in range(span[FIRST], span[LAST]):
        if kept[i]:
            if n > begun:
                out[n] = 32
                n += 1
            n = put_text(out, n, text, blocks[i, START], blocks[i, END], html, links, one_line, markdown, ZERO, ZERO)
    return n


@inline
def put_two(out: Bytes, n: int, first: int, second: int) -> Any:
    """Write two ASCII characters: where the text ends then."""
    out[n] = first
    out[n + 1] = second
    return n + 2


@bare
def row_end(elements: Any, spans: Any, e: int, stop: int, does: Any) -> int:
    """The element after the row that begins with the cell ``e``: the cells of a row have one parent."""
    row = elements[e, PARENT]
    while e < stop and does[elements[e, TAG]] & CELL and elements[e, PARENT] == row:
        e = spans[e, STOP]
    return e


@bare
def row_bytes(blocks: Any, spans: Any, e: int, stop: int, kept: Any, html: Bytes, links: Any) -> int:
    """Bytes that the row of cells from ``e`` to ``stop`` needs at most; 0 if it has no kept block."""
    need, full = ROW_BYTES, False
    while e < stop:
        for i in range(spans[e, FIRST], spans[e, LAST]):
            need += 2 * (blocks[i, END] - blocks[i, START]) + 8
            if len(links):
                need += link_bytes(html, links, blocks[i, START], blocks[i, END])
            full = full or kept[i]
        need += 8
        e = spans[e, STOP]
    return need if full else 0


@bare
def put_row(
    out: Bytes, n: int, text: Bytes, blocks: Any, elements: Any, spans: Any, e: int, stop: int, kept: Any, html: Bytes,
    links: Any, markdown: bool, held: Any,
) -> Any:  # fmt: skip
    """Write the row of cells from ``e`` to ``stop``: where the text ends then, and how many columns it has.

    ``held: int64[MOST_COLUMNS + 1]``: the rows for which a cell above still fills each column.
    """
    column, tabs = 0, 0
    while e < stop:
        if markdown:
            while column < MOST_COLUMNS and held[column] > 0:
                held[column] -= 1
                n = put_two(out, n, PIPE, SPACE)
                column += 1
            n = put_two(out, n, PIPE, SPACE)
        full = filled(spans[e], kept)
        if full and not markdown:
            for _ in range(tabs):
                out[n] = TAB
                n += 1
            tabs = 0
        if full:
            n = put_cell(out, n, text, blocks, spans[e], kept, html, links, markdown)
        if markdown:
            if out[n - 1] != SPACE:
                out[n] = SPACE
                n += 1
            high = max(1, number_at(html, elements[e, SOURCE], ROWSPAN, ONE))
            wide = min(MOST_COLUMNS, max(1, number_at(html, elements[e, SOURCE], COLSPAN, ONE)))
            if column < MOST_COLUMNS:
                held[column] = high - 1
            column += 1
            while wide > 1 and column < MOST_COLUMNS:
                n = put_two(out, n, PIPE, SPACE)
                held[column] = high - 1
                column += 1
                wide -= 1
        tabs += 1
        e = spans[e, STOP]
    while markdown and column < MOST_COLUMNS and held[column] > 0:
        held[column] -= 1
        n = put_two(out, n, PIPE, SPACE)
        column += 1
    if markdown:
        out[n] = PIPE
        n += 1
    return n, column


@bare
def put_table(
    out: Bytes, n: int, text: Bytes, blocks: Any, elements: Any, spans: Any, table: int, kept: Any, html: Bytes, links: Any,
    does: Any, markdown: bool, quoted: int, listed: int, held: Any,
) -> Any:  # fmt: skip
    """Write the rows of a table that have kept blocks: where the text ends then; -1 if there is no room."""
    held[:] = 0
    rows, begun = 0, n
    e, stop = table + 1, spans[table, STOP]
    while e < stop:
        if not does[elements[e, TAG]] & CELL:
            e += 1
            continue
        after = row_end(elements, spans, e, stop, does)
        need = row_bytes(blocks, spans, e, after, kept, html, links)
        if n + need > len(out):
            return -1
        if need == 0:
            for column in range(len(held)):
                held[column] = max(0, held[column] - 1)
            e = after
            continue
        if n > begun:
            out[n] = NEWLINE
            n += 1
        if markdown:
            n = put_prefix(out, n, quoted, listed, markdown)
        n, columns = put_row(out, n, text, blocks, elements, spans, e, after, kept, html, links, markdown, held)
        if markdown and rows == 0:
            if n + 6 * columns + 64 > len(out):
                return -1
            out[n] = NEWLINE
            n = put_prefix(out, n + 1, quoted, listed, markdown)
            for _ in range(columns):
                n = put_two(out, n, PIPE, SPACE)
                n = put_two(out, n, HYPHEN, HYPHEN)
                n = put_two(out, n, HYPHEN, SPACE)
            out[n] = PIPE
            n += 1
        rows += 1
        e = after
    return n


def written(
    html: Bytes, text: Bytes, blocks: Any, elements: Any, links: Any, spans: Any, places: Any, kept: Any, does: Any,
    markdown: bool,
) -> Any:  # fmt: skip
    """The text of the kept blocks, ``uint8[bytes]``."""
    size = len(text) + len(text) // 4 + 2 * ROW_BYTES
    while True:
        out = np.empty(size, np.uint8)
        room = np.zeros(len(elements), np.bool_), np.empty(MOST_COLUMNS + 1, np.int64)
        end = write_blocks(html, text, blocks, elements, links, spans, places, kept, does, markdown, *room, out)
        if end >= 0:
            return out[:end]
        size *= 2


@bare
def write_blocks(
    html: Bytes, text: Bytes, blocks: Any, elements: Any, links: Any, spans: Any, places: Any, kept: Any, does: Any,
    markdown: bool, begun: Any, held: Any, out: Bytes,
) -> Any:  # fmt: skip
    """Write the text of the kept blocks: where it ends; -1 if there is no room.

    ``begun: bool[E]`` are zeros: items whose first block, and tables whose rows, have been written. ``held`` is room for
    `put_table`.
    """
    n, before, i, top = ZERO, ZERO, 0, -ONE
    while i < len(blocks):
        gap = blocks[i, BEFORE]
        if before == 0:
            before = gap
        elif before != gap:
            before = A_PARAGRAPH if before == A_PARAGRAPH or gap == A_PARAGRAPH else A_LINE
        if not kept[i]:
            i += 1
            continue
        e = blocks[i, ELEMENT]
        place, item = places[e], places[e, ITEM_OF]
        start, end = blocks[i, START], blocks[i, END]
        table, rows = place[TABLE_OF], place[CELL_OF] >= 0
        if rows and begun[table]:  # its rows are written
            before = ZERO
            i += 1
            continue
        marked = item >= 0 and not begun[item] and (place[NUMBER] > 0 or blocks[i, BULLET])
        if marked and top == place[TOP] and before == A_PARAGRAPH:
            before = A_LINE
        need = 3 * (end - start) + 128 + 49 * (blocks[i, LINES] + 2)  # of a code block of backticks each fence is longer
        if len(links):
            need += link_bytes(html, links, start, end)
        if n + need > len(out):
            return -1
        if n:
            if before == A_CELL and not rows:
                out[n] = TAB
                n += 1
            else:
                out[n] = NEWLINE
                n += 1
                if before == A_PARAGRAPH or rows:
                    out[n] = NEWLINE
                    n += 1
        before = ZERO
        quoted, listed = (place[QUOTED], place[LISTED]) if markdown else (ZERO, ZERO)
        i += 1
        if rows:
            n = put_table(
                out, n, text, blocks, elements, spans, table, kept, html, links, does, markdown, quoted, listed, held
            )  # fmt: skip
            if n < 0:
                return n
            begun[table], top = True, -ONE
            continue
        n = put_prefix(out, n, quoted, place[LISTED] - 1 if marked else listed, markdown)
        if marked:
            n = put_mark(out, n, place[NUMBER], markdown)
        if item >= 0:
            begun[item] = True
        top = place[TOP]
        fenced = markdown and place[CODE] >= 0 and blocks[i - 1, LINES] > 0
        if not (fenced or (markdown and (place[LEVEL_OF] or elements[e, TAG] == DD)) or quoted or listed or len(links)):
            n = copied(out, n, text, start, end)
            continue
        one_line, pipes = NO, NO
        if fenced:
            n = put_fence(out, n, text, start, end)
            n = put_language(html, elements, place[CODE], out, n)
            out[n] = NEWLINE
            n = put_prefix(out, n + 1, quoted, listed, markdown)
        elif place[LEVEL_OF]:
            one_line, quoted, listed = YES, ZERO, ZERO
            for _ in range(place[LEVEL_OF]):
                out[n] = HASH
                n += 1
            out[n] = SPACE
            n += 1
        elif elements[e, TAG] == DD:
            n = put_two(out, n, COLON, SPACE)
        n = put_text(
            out, n, text, start, end, html, links[: 0 if fenced else len(links)], one_line, pipes, quoted, listed
        )  # fmt: skip
        if fenced:
            out[n] = NEWLINE
            n = put_prefix(out, n + 1, quoted, listed, markdown)
            n = put_fence(out, n, text, start, end)
    return n


@bare
def put_mark(out: Bytes, n: int, number: int, markdown: bool) -> Any:
    """Write the mark of a list item, its number or a bullet: where the text ends then."""
    if number > 0:
        n = put_number(out, n, number)
        return put_two(out, n, FULL_STOP, SPACE)
    if markdown:
        return put_two(out, n, HYPHEN, SPACE)
    n = put_two(out, n, 0xE2, 0x80)
    return put_two(out, n, 0xA2, SPACE)
