"""Which blocks are kept: tables, lists, preformatted text and comment threads as wholes, by the odds of their blocks.

Invariants:

- A container is kept or dropped with all its blocks. Containers are tables of data, lists and definition lists without headings
  inside, and comment threads. The outermost one decides for what is inside it; all other blocks decide for themselves.
- A container is kept if the kept blocks have most of its characters, or a part of them and both neighbours of the container are
  kept (`SHARES`).
- The last ``<h1>`` before the first kept paragraph is kept.
- With ``comments: none``, a thread whose name says that it is comments is dropped. In other threads, only the parts with such a
  name are dropped: one element can hold a short article and the long thread below it.
- Text in ``<noscript>`` is dropped where the page has other text.
- Linear in blocks and elements: each block is decided by one container.

A table of data has no table inside, two rows with two filled cells, and no cell of a layout: one that is longer than
`CELL_CHARACTERS` or has more than `CELL_BLOCKS` blocks. The rules were chosen on the pages that the forest is fitted to
(docs/extraction.md).
"""

from typing import Any

import numpy as np

from goldwash.filters.jit import inline, kernel
from goldwash.pipeline.html.segments import (
    CALLED,
    CELL,
    CHARACTERS,
    DIGITS,
    ELEMENT,
    INSIDE,
    LINES,
    LINKED,
    NAMES,
    PARENT,
    PRE,
    ROW,
    TABLE,
    TAG,
    WITHIN,
)

NOTHING, GRID, LIST, THREAD, LINED = range(5)
"""Kinds of containers. The blocks of a lined table are decided one by one; its rows are lines, as a grid's are."""
CELL_CHARACTERS, CELL_BLOCKS = 600, 8
SHARES = {"table": (0.4, 0.15), "list": (0.5, 0.3), "thread": (0.5, 0.5)}
"""The share of a container's characters in kept blocks from which it is kept: on its own, and between kept neighbours."""
SHARE_TABLE = np.array([(2.0, 2.0), *SHARES.values()])
PARAGRAPH_CHARACTERS = 60
TITLE_GAP = 40
"""A block with more characters, less than a third of them in links, is a paragraph. A title is at most so many before."""
JUDGED, ALL, NONE = range(3)
"""Policies for comment threads: by their odds as wholes, all of them, none."""
COMMENTS = {"judged": JUDGED, "all": ALL, "none": NONE}
LEAST_COMMENTS, THREAD_SHARE = 3, 0.7
"""Comments that make a thread, and their share of the characters in it."""
COMMENT = 1
"""The bit of comments in `KEYWORDS`."""
UL, OL, DL, CAPTION = (NAMES.index(name) for name in ("ul", "ol", "dl", "figcapti"))
H1, ANY_HEADING = 1 << WITHIN.index("h1"), sum(1 << WITHIN.index(name) for name in ("h1", "h2"))
NOSCRIPT, PREFORMATTED = (1 << WITHIN.index(name) for name in ("noscript", "pre"))

FIRST, LAST, STOP, KIND = range(4)
"""An element's span: its first block, the block after its last one, the element after those inside it, its kind."""


@kernel
def spans_of(blocks: Any, elements: Any, does: Any, bits: Any) -> Any:
    """What each element spans, ``int64[E, 4]``: `FIRST`, `LAST` (equal for one without text), `STOP` and `KIND`."""
    count = len(elements)
    spans = np.empty((count, 4), np.int64)
    tables = np.zeros(count, np.bool_)  # whether a table is inside
    heads = np.zeros(count, np.bool_)
    for e in range(count):
        spans[e, FIRST], spans[e, LAST], spans[e, STOP], spans[e, KIND] = len(blocks), 0, e + 1, NOTHING
    for i in range(len(blocks)):
        e = blocks[i, ELEMENT]
        spans[e, FIRST] = min(spans[e, FIRST], i)
        spans[e, LAST] = i + 1
    for e in range(count - 1, 0, -1):
        span, tag = spans[e], elements[e, TAG]
        parent = elements[e, PARENT]
        above = spans[parent]
        above[STOP] = max(above[STOP], span[STOP])
        if span[LAST] > 0:
            above[FIRST] = min(above[FIRST], span[FIRST])
            above[LAST] = max(above[LAST], span[LAST])
        if does[tag] & TABLE and not tables[e] and not elements[e, INSIDE] & PREFORMATTED:
            span[KIND] = GRID  # `table_kind` decides below
        elif (tag == UL or tag == OL or tag == DL) and not tables[e] and not heads[e]:
            span[KIND] = LIST
        tables[parent] = tables[parent] or tables[e] or does[tag] & TABLE != 0
        heads[parent] = heads[parent] or heads[e] or bits[tag] & ANY_HEADING != 0
    for e in range(count):
        if spans[e, KIND] == GRID:
            spans[e, KIND] = table_kind(blocks, elements, spans, e, does)
        spans[e, FIRST] = min(spans[e, FIRST], spans[e, LAST])
    return spans


@inline
def table_kind(blocks: Any, elements: Any, spans: Any, table: int, does: Any) -> int:
    """The kind of a table without tables inside: `GRID` if two rows have two filled cells, and no cell is one of a layout."""
    rows, filled = 0, 0
    for e in range(table + 1, spans[table, STOP]):
        tag = elements[e, TAG]
        if does[tag] & ROW:
            rows += filled >= 2
            filled = 0
        elif does[tag] & CELL:
            characters = 0
            for i in range(spans[e, FIRST], spans[e, LAST]):
                characters += blocks[i, CHARACTERS]
            filled += characters > 0
            if characters > CELL_CHARACTERS or spans[e, LAST] - spans[e, FIRST] > CELL_BLOCKS:
                return NOTHING
        elif does[tag] & PRE and spans[e, LAST] > spans[e, FIRST] and blocks[spans[e, FIRST], LINES] > 0:
            return NOTHING
    return GRID if rows + (filled >= 2) >= 2 else LINED


@inline
def mark_threads(blocks: Any, elements: Any, spans: Any, sizes: Any, characters: Any) -> None:
    """Give elements the kind `THREAD` that hold little but `LEAST_COMMENTS` or more comments.

    ``sizes: int64[E, 2]`` is room for the comments of each element and their characters. ``characters: int64[B + 1]`` are those
    before each block.
    """
    for e in range(1, len(elements)):
        first, last = spans[e, FIRST], spans[e, LAST]
        if elements[e, CALLED] & COMMENT and first < last:
            sizes[elements[e, PARENT], 0] += 1
            sizes[elements[e, PARENT], 1] += characters[last] - characters[first]
    for e in range(1, len(elements)):
        if sizes[e, 0] >= LEAST_COMMENTS:
            inside = characters[spans[e, LAST]] - characters[spans[e, FIRST]]
            if sizes[e, 1] >= THREAD_SHARE * inside:
                spans[e, KIND] = THREAD


@kernel
def chosen(
    blocks: Any, elements: Any, spans: Any, odds: Any, bound: float, shares: Any, does: Any, comments: int, captions: bool
) -> Any:
    """Which blocks are kept, ``bool[B]``: ``comments`` is a policy; without ``captions``, those of figures are dropped."""
    count = len(blocks)
    kept = odds > bound
    characters, held = (
        np.zeros(count + 1, np.int64),
        np.zeros(count + 1, np.int64),
    )  # before each block: all, and in kept blocks
    for i in range(count):
        characters[i + 1] = characters[i] + blocks[i, CHARACTERS]
        held[i + 1] = held[i] + (blocks[i, CHARACTERS] if kept[i] else 0)
    mark_threads(blocks, elements, spans, np.zeros((len(elements), 2), np.int64), characters)
    out = kept.copy()
    e = 1
    while e < len(elements):
        kind, first, last = spans[e, KIND], spans[e, FIRST], spans[e, LAST]
        if comments == NONE:
            named = elements[e, CALLED] & COMMENT != 0
            if kind == THREAD and not named:  # it may hold the article, too: what is named as comments inside it goes
                kind = NOTHING
            elif named and spans[elements[e, PARENT], KIND] == THREAD:
                kind = THREAD
        if kind == NOTHING or kind == LINED or first == last:
            if does[elements[e, TAG]] & PRE and first < last and not kept[first]:
                out[first] = near(kept, first, last)
            e += 1
            continue
        whole = held[last] - held[first] >= shares[kind, 0] * (characters[last] - characters[first])
        if not whole and near(kept, first, last):
            whole = held[last] - held[first] >= shares[kind, 1] * (characters[last] - characters[first])
        if kind == THREAD and comments != JUDGED:
            whole = comments == ALL
        for i in range(first, last):
            out[i] = whole
        e = spans[e, STOP]
    drop_line_numbers(blocks, elements, spans, out, does)
    keep_title(blocks, elements, out)
    drop_unshown(blocks, elements, out, captions)
    return out


@inline
def near(kept: Any, first: int, last: int) -> bool:
    """Whether the blocks before and after a range are kept."""
    return first > 0 and last < len(kept) and kept[first - 1] and kept[last]


@inline
def drop_line_numbers(blocks: Any, elements: Any, spans: Any, kept: Any, does: Any) -> None:
    """Drop line numbers beside code: a cell of nothing but numbers, before one of preformatted text or of as many blocks."""
    for e in range(1, len(elements)):
        first, last, after = spans[e, FIRST], spans[e, LAST], spans[e, STOP]
        if not does[elements[e, TAG]] & CELL or first == last or after >= len(elements):
            continue
        if not does[elements[after, TAG]] & CELL or spans[after, FIRST] == spans[after, LAST]:
            continue
        beside = spans[after, LAST] - spans[after, FIRST]
        code = does[elements[blocks[spans[after, FIRST], ELEMENT], TAG]] & PRE and blocks[spans[after, FIRST], LINES] > 0
        numbers = code or (last - first > 2 and last - first == beside)
        i = first
        while numbers and i < last:
            numbers = blocks[i, DIGITS] == blocks[i, CHARACTERS]
            i += 1
        if numbers:
            for k in range(first, last):
                kept[k] = False


@inline
def keep_title(blocks: Any, elements: Any, kept: Any) -> None:
    """Keep the last ``<h1>`` before the first kept paragraph."""
    title = -1
    for i in range(len(blocks)):
        if elements[blocks[i, ELEMENT], INSIDE] & H1:
            title = i
        elif kept[i] and blocks[i, CHARACTERS] > PARAGRAPH_CHARACTERS and 3 * blocks[i, LINKED] < blocks[i, CHARACTERS]:
            if title >= 0 and i - title <= TITLE_GAP:
                kept[title] = True
            return


@inline
def drop_unshown(blocks: Any, elements: Any, kept: Any, captions: bool) -> None:
    """Drop text in ``<noscript>`` if most of the kept text is elsewhere, and figures' captions if they are not wanted."""
    inside, outside = 0, 0
    for i in range(len(blocks)):
        if kept[i]:
            if elements[blocks[i, ELEMENT], INSIDE] & NOSCRIPT:
                inside += blocks[i, CHARACTERS]
            else:
                outside += blocks[i, CHARACTERS]
    for i in range(len(blocks)):
        e = blocks[i, ELEMENT]
        if inside < outside and elements[e, INSIDE] & NOSCRIPT:
            kept[i] = False
        while not captions and kept[i] and e >= 0:
            if elements[e, TAG] == CAPTION:
                kept[i] = False
            e = elements[e, PARENT]
