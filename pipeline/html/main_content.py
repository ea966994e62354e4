"""Blocks to the page's main content: features of each block, a small forest that separates text from boilerplate, the text.

Invariants:

- A block is kept if its log odds are over the model's bound. The text is the kept blocks in the page's order: an empty line
  between paragraphs, "• " before items of bulleted lists, a tab between the cells of a row.
- No feature depends on the meaning of a word in the text, so the model works in any language.

The features are length, link density and full stops of the block, its neighbours (Kohlschütter, Fankhauser and Nejdl, WSDM
2010, https://doi.org/10.1145/1718487.1718542) and the elements around it; the class names of those elements (Peters and Lecocq,
WWW 2013, https://doi.org/10.1145/2487788.2487828); the distance from the element that has most of the paragraphs (Readability);
and totals over all blocks of the page with the same markup. The forest is gradient-boosted trees (Friedman, Annals of
Statistics 2001). `tests.content` fits it to pages whose text is known; docs/extraction.md gives its scores on unseen sites.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from resiliparse.extract.html2text import extract_plain_text

from goldwash.filters.bits import lowest
from goldwash.filters.jit import LANES, conjunction, inline, kernel
from goldwash.filters.ngrams import table_size
from goldwash.pipeline.html.containers import COMMENTS, SHARE_TABLE, chosen, spans_of
from goldwash.pipeline.html.forms import HEADING_LEVELS, places_of, written
from goldwash.pipeline.html.references import replaced
from goldwash.pipeline.html.segments import (
    BEFORE,
    BITS,
    BULLET,
    CALLED,
    CAPITALS,
    CHARACTERS,
    COMMAS,
    DIGITS,
    DOES,
    ELEMENT,
    INSIDE,
    KEYWORDS,
    LEVEL,
    LIMITS,
    LINES,
    LINKED,
    LINKS,
    PARENT,
    STOPS,
    TAG,
    WITHIN,
    WORDS,
    P,
    read,
)

MODEL = Path(__file__).with_name("main_content.json")
HELD = ("characters", "link share", "stop share", "blocks")
"""Features of an element, everything inside it included."""
LIKE = ("count", "characters", "mean characters", "link share")
"""Features of a group of like blocks: their elements have the same tag and `KEYWORDS`, and so have the elements' parents."""
SIBLINGS = 3
"""Elements whose like siblings are counted: a block's own, and those above it."""
REPEATED = ("siblings", "characters", "link share", "share of the page", "levels to")
"""Features of the element above a block, or its own, that has the most siblings like it: a card in a list of results."""
NEAR = (-2, -1, 1, 2)
"""Neighbours with features of their own."""
AROUND = 4
"""Blocks before and after that are summed into one feature."""
ANCESTORS = 4
BEST = 1.5
"""Log odds below those of a page's best block from which blocks are kept as a fallback."""
FAR = 31.0
"""Distance to something that does not exist."""
MEASURES = (
    *("words", "characters", "link share", "stops a word", "commas a word", "digit share"),
    *("capitals a word", "characters a word"),
    *("before", "bullet", "lines", "links", "own tag"),
    *(f"within {name}" for name in WITHIN),
    *(f"levels to {words.split()[0]}" for words in KEYWORDS),
    *(f"{what} of ancestor {n}" for n in range(ANCESTORS) for what in HELD),
    *("levels above the best", "levels below that"),
    *(f"{what} of {n:+}" for n in NEAR for what in ("characters", "link share", "stops", "one parent")),
    *("characters around", "link share around"),
    *("page characters", "page link share", "page blocks", "characters before", "share before", "blocks before", "level"),
    *("share of the best", "blocks since heading", "after h1", "up to h1"),
    *(f"{what} of like blocks" for what in LIKE),
    *(f"siblings like ancestor {n}" for n in range(SIBLINGS)),
    *(f"{what} of the most repeated" for what in REPEATED),
    *("page paragraph share", "page headings", "page prices", "page articles"),
)
"""A block's features, by row; -1 for neighbours that do not exist."""
HEADING, TITLE = sum(1 << WITHIN.index(name) for name in ("h1", "h2", "h4")), 1 << WITHIN.index("h1")
ARTICLE, PRICE = 1 << WITHIN.index("article"), 1 << next(n for n, words in enumerate(KEYWORDS) if words.startswith("price"))
PARAGRAPH_CHARACTERS = 60
"""A block with more characters, less than a third of them in links, counts as a paragraph."""
SHARED = 3
"""Levels of elements that a paragraph's size is added to, halved at each level."""

CHARS_IN, LINKED_IN, STOPS_IN, BLOCKS_IN, SCORE, ABOVE = range(6)
"""An element's columns: totals of what is in it; its score from paragraphs; its level above the best element, -1 if it is not
above it."""


@inline
def share(a: Any, b: Any) -> Any:
    """``a / b``; 0 if ``b`` is 0."""
    return np.float64(a) / np.float64(b) if b > 0 else 0.0


@kernel
def sum_elements(blocks: Any, elements: Any) -> Any:
    """Totals of each element, those of its children included: ``int64[E, 6]``."""
    sums = np.zeros((len(elements), 6), np.int64)
    for row in blocks:
        e = row[ELEMENT]
        sums[e, CHARS_IN] += row[CHARACTERS]
        sums[e, LINKED_IN] += row[LINKED]
        sums[e, STOPS_IN] += row[STOPS] + row[COMMAS]
        sums[e, BLOCKS_IN] += 1
        size = row[CHARACTERS]
        if size > PARAGRAPH_CHARACTERS and 3 * row[LINKED] < size:
            for n in range(SHARED):
                if n or elements[e, TAG] != P:
                    sums[e, SCORE] += size
                    size //= 2
                e = elements[e, PARENT]
                if e < 0:
                    break
    best = 0
    for e in range(len(elements) - 1, -1, -1):
        if e:
            for column in range(SCORE):
                sums[elements[e, PARENT], column] += sums[e, column]
        sums[e, ABOVE] = -1
        if sums[e, SCORE] >= sums[best, SCORE]:
            best = e
    level = 0
    while best >= 0:
        sums[best, ABOVE] = level
        level += 1
        best = elements[best, PARENT]
    return sums


@kernel
def like_blocks(blocks: Any, elements: Any) -> Any:
    """Each block's group of like blocks, ``int64[B]``, and per group its blocks, characters and characters in links."""
    count = len(blocks)
    size = table_size(count)
    keys = np.zeros(size, np.uint64)
    sums = np.zeros((size, 3), np.int64)
    group = np.empty(count, np.int64)
    for i in range(count):
        e = blocks[i, ELEMENT]
        parent = max(0, elements[e, PARENT])
        key = np.uint64(1)
        for column in (TAG, CALLED):
            for element in (e, parent):
                key = (key ^ np.uint64(elements[element, column] + 1)) * np.uint64(0x9E3779B97F4A7C15)
                key ^= key >> np.uint64(29)
        at = slot(keys, key)
        sums[at, 0] += 1
        sums[at, 1] += blocks[i, CHARACTERS]
        sums[at, 2] += blocks[i, LINKED]
        group[i] = at
    return group, sums


@inline
def slot(keys: Any, key: Any) -> Any:
    """The place of a key in an open-addressing table of a power of two slots, where it is put if it is new; 0 is no key."""
    key |= np.uint64(1)
    at = np.int64(key >> np.uint64(40)) & (len(keys) - 1)
    while keys[at] != np.uint64(0) and keys[at] != key:
        at = (at + 1) & (len(keys) - 1)
    keys[at] = key
    return at


@kernel
def like_siblings(elements: Any, sums: Any) -> Any:
    """How many siblings with text, of its tag and `KEYWORDS`, each element has, with itself: ``int64[E]``; 1 without text."""
    count = len(elements)
    size = table_size(count)
    keys = np.zeros(size, np.uint64)
    counts = np.zeros(size, np.int64)
    out = np.ones(count, np.int64)
    for e in range(1, count):
        if sums[e, BLOCKS_IN] == 0:
            continue
        key = np.uint64(elements[e, PARENT] + 1) * np.uint64(0x9E3779B97F4A7C15)
        for column in (TAG, CALLED):
            key = (key ^ key >> np.uint64(29) ^ np.uint64(elements[e, column] + 1)) * np.uint64(0xBF58476D1CE4E5B9)
        at = slot(keys, key)
        counts[at] += 1
        out[e] = at
    for e in range(1, count):
        if sums[e, BLOCKS_IN] > 0:
            out[e] = counts[out[e]]
    return out


@kernel
def measure_blocks(blocks: Any, elements: Any, sums: Any, group: Any, like: Any, bits: Any, measures: int) -> Any:
    """The features (`MEASURES`) of a page's blocks: ``float32[measures, B]``."""
    out = np.empty((measures, len(blocks)), np.float32)
    measure_within(blocks, elements, np.empty(len(blocks), np.int64), out)
    measure_called(blocks, elements, np.empty((2, len(elements)), np.int64), out)
    places = np.empty((2, len(elements)), np.int64)
    measure_others(blocks, elements, sums, group, like, bits, places, out)
    measure_near(blocks, elements, np.empty(len(blocks), np.int64), out)
    measure_repeated(blocks, elements, sums, like_siblings(elements, sums), bits, places[0], out)
    return out


WITHIN_AT = 13
CALLED_AT = WITHIN_AT + len(WITHIN)
ANCESTORS_AT = CALLED_AT + len(KEYWORDS)
NEAR_AT = MEASURES.index(f"characters of {NEAR[0]:+}")
REPEATED_AT = MEASURES.index("siblings like ancestor 0")
"""Rows of `MEASURES` at which groups of features begin."""


@inline
def measure_within(blocks: Any, elements: Any, inside: Any, out: Any) -> None:
    """Write which kinds of elements each block is within, one row at a time. ``inside: int64[B]`` is room."""
    for i in range(len(blocks)):
        inside[i] = elements[blocks[i, ELEMENT], INSIDE]
    for bit in range(len(WITHIN)):
        row = out[WITHIN_AT + bit]
        for i in range(len(blocks)):
            row[i] = inside[i] >> bit & 1


@inline
def measure_called(blocks: Any, elements: Any, called: Any, out: Any) -> None:
    """Write how many levels above each block the nearest element of each group of names is.

    ``called: int64[2, E]`` is room for the nearest named element above each element, and for the names of it and all above.
    """
    above, names = called[0], called[1]
    above[0], names[0] = -1, elements[0, CALLED]
    for e in range(1, len(elements)):
        parent = elements[e, PARENT]
        above[e] = parent if elements[parent, CALLED] else above[parent]
        names[e] = names[parent] | elements[e, CALLED]
    for word in range(len(KEYWORDS)):
        row = out[CALLED_AT + word]
        for i in range(len(blocks)):
            row[i] = FAR
    for i in range(len(blocks)):
        e = blocks[i, ELEMENT]
        a, missing = e, names[e]
        while missing:
            new = elements[a, CALLED] & missing
            missing &= ~new
            level = min(elements[e, LEVEL] - elements[a, LEVEL], 15)
            while new:
                out[CALLED_AT + lowest(np.uint64(new)), i] = level
                new &= new - 1
            a = above[a]


@inline
def measure_others(
    blocks: Any, elements: Any, sums: Any, group: Any, like: Any, bits: Any, places: Any, out: Any
) -> None:  # fmt: skip
    """Write all other features. ``places: int64[2, E]`` is room for elements' distances from the best one: up, then down."""
    count = len(blocks)
    total, total_linked = sums[0, CHARS_IN], sums[0, LINKED_IN]
    best, title = 0, -1
    up, down = places[0], places[1]
    for e in range(len(elements)):
        if sums[e, ABOVE] == 0:
            best = e
        if sums[e, ABOVE] >= 0:
            up[e], down[e] = sums[e, ABOVE], 0
        else:
            up[e], down[e] = up[elements[e, PARENT]], down[elements[e, PARENT]] + 1
    for i in range(count):
        if bits[elements[blocks[i, ELEMENT], TAG]] == TITLE:
            title = i
    passed, since, seen = 0, int(FAR), False
    for i in range(count):
        f = out[:, i]
        row = blocks[i]
        e = row[ELEMENT]
        f[0] = row[WORDS]
        f[1] = row[CHARACTERS]
        f[2] = share(row[LINKED], row[CHARACTERS])
        f[3] = share(row[STOPS], row[WORDS])
        f[4] = share(row[COMMAS], row[WORDS])
        f[5] = share(row[DIGITS], row[CHARACTERS])
        f[6] = share(row[CAPITALS], row[WORDS])
        f[7] = share(row[CHARACTERS], row[WORDS])
        f[8] = row[BEFORE]
        f[9] = row[BULLET]
        f[10] = row[LINES]
        f[11] = row[LINKS]
        own = bits[elements[e, TAG]]
        f[12] = lowest(np.uint64(own)) if own else -1
        k = ANCESTORS_AT
        a = e
        for _ in range(ANCESTORS):
            f[k] = sums[a, CHARS_IN]
            f[k + 1] = share(sums[a, LINKED_IN], sums[a, CHARS_IN])
            f[k + 2] = share(sums[a, STOPS_IN], sums[a, CHARS_IN])
            f[k + 3] = sums[a, BLOCKS_IN]
            k += 4
            a = max(0, elements[a, PARENT])
        f[k] = up[e]
        f[k + 1] = down[e]
        k += 2
        k += 4 * len(NEAR)  # `measure_near` writes these
        near, linked = -row[CHARACTERS], -row[LINKED]
        for j in range(max(0, i - AROUND), min(count, i + AROUND + 1)):
            near += blocks[j, CHARACTERS]
            linked += blocks[j, LINKED]
        f[k] = near
        f[k + 1] = share(linked, near)
        f[k + 2] = total
        f[k + 3] = share(total_linked, total)
        f[k + 4] = count
        f[k + 5] = passed
        f[k + 6] = share(passed, total)
        f[k + 7] = share(i, count)
        f[k + 8] = elements[e, LEVEL]
        f[k + 9] = share(sums[best, CHARS_IN], total)
        since = 0 if own & HEADING else min(since + 1, int(FAR))
        seen = seen or own == TITLE
        f[k + 10] = since
        f[k + 11] = seen
        f[k + 12] = i <= title
        k += 13
        f[k] = like[group[i], 0]
        f[k + 1] = like[group[i], 1]
        f[k + 2] = share(like[group[i], 1], like[group[i], 0])
        f[k + 3] = share(like[group[i], 2], like[group[i], 1])
        passed += row[CHARACTERS]


@inline
def measure_near(blocks: Any, elements: Any, parents: Any, out: Any) -> None:
    """Write the features of the neighbours, a row at a time, from the blocks' own. ``parents: int64[B]`` is room."""
    count = len(blocks)
    for i in range(count):
        parents[i] = elements[blocks[i, ELEMENT], PARENT]
    k = NEAR_AT
    for step in NEAR:
        first, last = min(max(0, -step), count), max(0, min(count, count - step))
        for row in range(k, k + 4):
            out[row, :first] = -1
            out[row, last:] = -1
        for i in range(first, last):
            j = i + step
            out[k, i] = out[1, j]
            out[k + 1, i] = out[2, j]
            out[k + 2, i] = blocks[j, STOPS]
            out[k + 3, i] = parents[j] == parents[i]
        k += 4


@inline
def measure_repeated(blocks: Any, elements: Any, sums: Any, alike: Any, bits: Any, most: Any, out: Any) -> None:
    """Write the features of repeated elements and those of the page's kind. ``most: int64[E]`` is room."""
    total = sums[0, CHARS_IN]
    most[0] = 0
    articles = 0
    for e in range(1, len(elements)):
        above = most[elements[e, PARENT]]
        most[e] = e if alike[e] >= alike[above] else above
        articles += bits[elements[e, TAG]] == ARTICLE
    paragraphs, headings, prices = 0, 0, 0
    for i in range(len(blocks)):
        e, size = blocks[i, ELEMENT], blocks[i, CHARACTERS]
        paragraphs += size if size > PARAGRAPH_CHARACTERS and 3 * blocks[i, LINKED] < size else 0
        headings += bits[elements[e, TAG]] & HEADING != 0
        prices += (elements[e, CALLED] | elements[max(0, elements[e, PARENT]), CALLED]) & PRICE != 0
    for i in range(len(blocks)):
        f = out[:, i]
        e = blocks[i, ELEMENT]
        a, k = e, REPEATED_AT
        for _ in range(SIBLINGS):
            f[k] = alike[a]
            a = max(0, elements[a, PARENT])
            k += 1
        a = most[e]
        f[k] = alike[a]
        f[k + 1] = sums[a, CHARS_IN]
        f[k + 2] = share(sums[a, LINKED_IN], sums[a, CHARS_IN])
        f[k + 3] = share(sums[max(0, elements[a, PARENT]), CHARS_IN], total)
        f[k + 4] = elements[e, LEVEL] - elements[a, LEVEL]
        f[k + 5] = share(paragraphs, total)
        f[k + 6] = headings
        f[k + 7] = prices
        f[k + 8] = articles


@kernel
def odds(
    measured: Any, firsts: Any, column: Any, bound: Any, leaves: Any, value_firsts: Any, values: Any, start: float
) -> Any:  # fmt: skip
    """The log odds of each block, ``float64[B]``: the sum of its trees' values."""
    count = measured.shape[1]
    out = np.full(count, start, np.float64)
    tile = np.zeros((len(measured), LANES), np.float32)
    left = np.empty(LANES, np.uint32)
    for at in range(0, count, LANES):
        size = min(LANES, count - at)
        add_odds(measured, at, size, tile, left, firsts, column, bound, leaves, value_firsts, values, out)
    return out


@inline
def add_odds(
    measured: Any, at: int, size: int, tile: Any, left: Any, firsts: Any, column: Any, bound: Any, leaves: Any,
    value_firsts: Any, values: Any, out: Any,
) -> None:  # fmt: skip
    """Add the trees' values of ``size`` blocks. ``tile: float32[measures, LANES]`` and ``left: uint32[LANES]`` are room.

    ``leaves[node]`` is a mask of the leaves that can still be reached if the node's feature is over its bound. The block's leaf
    is the lowest bit in the conjunction of a tree's masks (QuickScorer: Lucchese et al., SIGIR 2015,
    https://doi.org/10.1145/2766462.2767733). No branch depends on a block, so a tree's nodes are tested for `LANES` blocks at
    once: more than twelve times as fast as walking from node to node (2026-11).
    """
    for row in range(len(measured)):
        for i in range(size):
            tile[row, i] = measured[row, np.uint64(at + i)]  # unsigned: no test for an index from the end, so one move
    for tree in range(len(firsts) - 1):
        conjunction(tile, 0, column, bound, leaves, firsts[tree], firsts[tree + 1], left)
        first = value_firsts[tree]
        for i in range(size):
            out[np.uint64(at + i)] += values[np.uint64(first + lowest(np.uint64(left[i])))]


@kernel
def page_odds(
    blocks: Any, elements: Any, bits: Any, measures: int, firsts: Any, column: Any, bound: Any, leaves: Any, value_firsts: Any,
    values: Any, start: float,
) -> Any:  # fmt: skip
    """The log odds of a page's blocks, ``float64[B]``: features and forest by one call instead of four."""
    sums = sum_elements(blocks, elements)
    group, like = like_blocks(blocks, elements)
    measured = measure_blocks(blocks, elements, sums, group, like, bits, measures)
    return odds(measured, firsts, column, bound, leaves, value_firsts, values, start)


@cache
def model() -> tuple[float, tuple[Any, ...]]:
    """The bound on the log odds, and the forest."""
    told = json.loads(MODEL.read_text("utf-8"))
    return told["bound"], forest(told)


def forest(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arguments of `odds` from trees of nodes ``[measure, bound, row below, row above]`` and leaves ``[null, value]``."""
    columns = {name: n for n, name in enumerate(MEASURES)}
    nodes: list[tuple[int, float, int]] = []
    values: list[float] = []
    firsts = [0]

    def walk(tree: Sequence[Sequence[Any]], at: int, leaf: int) -> int:
        name, value, *ways = tree[at]
        if not ways:
            values.append(value)
            return leaf + 1
        mine = len(nodes)
        nodes.append((columns[name], value, 0))
        middle = walk(tree, ways[0], leaf)
        nodes[mine] = (columns[name], value, 0xFFFFFFFF ^ ((1 << middle) - (1 << leaf)))
        return walk(tree, ways[1], middle)

    value_firsts = []
    for tree in told["trees"]:
        value_firsts.append(len(values))
        walk(tree, 0, 0)
        firsts.append(len(nodes))
    column, bound, leaves = zip(*nodes, strict=True)
    arrays = np.array(column), np.array(bound, np.float32), np.array(leaves, np.uint32)
    return np.array(firsts), *arrays, np.array(value_firsts), np.array(values), told["start"]


def model_id() -> str:
    """The extractor's version: twelve digits of a hash of the model and of the code that uses it."""
    code = ("segments.py", "formulas.py", "containers.py", "forms.py", "main_content.py", "references.py", "visible_text.py")
    files = (MODEL, *(MODEL.with_name(name) for name in code))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


@dataclass(frozen=True)
class Page:
    """A page as it was read: its bytes in UTF-8, and what `segments.read` and `containers.spans_of` found in them.

    ``limits``: those of `segments.LIMITS` that it reached, as bits.
    """

    html: Any
    text: Any
    blocks: Any
    elements: Any
    links: Any
    spans: Any
    limits: int = 0

    @classmethod
    def of(cls, html: bytes | memoryview, links: bool = False, dollars: bool = False) -> "Page":
        """Read a page; ``links``: note where links are; ``dollars``: write formulas between dollars."""
        text, blocks, elements, found, limits = read(html, links, dollars)
        spans = spans_of(blocks, elements, DOES, BITS)
        return cls(np.frombuffer(html, np.uint8), text, blocks, elements, found, spans, limits)

    def measures(self) -> Any:
        """The features (`MEASURES`) of the blocks, ``float32[measures, B]``."""
        sums = sum_elements(self.blocks, self.elements)
        groups = like_blocks(self.blocks, self.elements)
        return measure_blocks(self.blocks, self.elements, sums, *groups, BITS, len(MEASURES))

    def odds(self, trees: tuple[Any, ...]) -> Any:
        """The blocks' log odds by a `forest`, ``float64[B]``."""
        return page_odds(self.blocks, self.elements, BITS, len(MEASURES), *trees)

    def kept(self, odds: Any, bound: float, comments: str = "judged", captions: bool = True) -> Any:
        """Which blocks are kept, ``bool[B]``, given their log odds."""
        policy = COMMENTS[comments]
        return chosen(self.blocks, self.elements, self.spans, odds, bound, SHARE_TABLE, DOES, policy, captions)

    def utf8(self, kept: Any, markdown: bool = False) -> bytes:
        """The text of the kept blocks in UTF-8, with character references replaced."""
        places = places_of(self.html, self.elements, self.spans, DOES, HEADING_LEVELS)
        links = self.links if markdown else self.links[:0]
        found = written(self.html, self.text, self.blocks, self.elements, links, self.spans, places, kept, DOES, markdown)
        plain: bytes = found.tobytes()
        return replaced(found) if b"&" in plain else plain

    def shown(self, kept: Any, markdown: bool = False) -> str:
        """The same as characters."""
        return self.utf8(kept, markdown).decode()


@dataclass(frozen=True)
class Content:
    """An extractor of main content: a function from a page's HTML, characters or bytes in UTF-8, to its text.

    >>> text = "The river bent here &amp; slowed, and gold lay there. Nobody had looked for it before, in the bend."
    >>> Content(fallback="best")(f"<nav><a href=/>Home</a> <a href=/a>About</a></nav><article><p>{text}")
    'The river bent here & slowed, and gold lay there. Nobody had looked for it before, in the bend.'
    """

    form: Literal["plain", "markdown"] = "plain"
    """The text's form (`pipeline.html.forms`)."""
    addresses: bool = False
    """Write links as ``[text](address)``, only in Markdown."""
    formulas: Literal["brackets", "dollars"] = "brackets"
    r"""Delimiters of TeX: ``\( \)`` and ``\[ \]``, or ``$`` and ``$$``."""
    comments: Literal["judged", "all", "none"] = "judged"
    """Comment threads: each as a whole as the model judges it, all of them, or none."""
    captions: bool = True
    """Keep captions of figures that the model takes for content."""
    fallback: Literal["none", "best", "resiliparse"] = "none"
    """What a page gets in which no block is content: nothing, its best blocks, or resiliparse's text."""

    def __call__(self, html: str | bytes | memoryview) -> str:
        """The main content of a page; "" if there is none."""
        return self.read(html)[0]

    def read(self, html: str | bytes | memoryview) -> tuple[str, list[str]]:
        """The main content of a page, "" if there is none, and the `segments.LIMITS` that the page reached.

        >>> Content().read("<div>" * 600 + "<p>The river bent here and slowed, and gold lay there.")[1]
        ['depth']
        """
        utf8, limits = self.utf8(html.encode("utf-8", "replace") if isinstance(html, str) else html)
        return utf8.decode(), limits

    def utf8(self, html: bytes | memoryview) -> tuple[bytes, list[str]]:
        """The main content of a page in UTF-8, as UTF-8, and the limits: `read` without decoding."""
        markdown = self.form == "markdown"
        page = Page.of(html, self.addresses and markdown, self.formulas == "dollars")
        limits = [name for n, name in enumerate(LIMITS) if page.limits >> n & 1] if page.limits else []
        bound, trees = model()
        found = page.odds(trees)
        kept = page.kept(found, bound, self.comments, self.captions)
        if self.fallback != "none" and len(found) and not np.count_nonzero(kept):
            if self.fallback == "resiliparse":
                text = str(extract_plain_text(bytes(html).decode("utf-8", "replace"), main_content=True))
                return text.encode("utf-8", "replace"), limits
            kept = page.kept(found, float(found.max()) - BEST, self.comments, self.captions)
        return page.utf8(kept, markdown), limits


A_PAGE = (
    "<article>" + 3 * "<p>The river bent here &amp; slowed, and gold lay there. Nobody had looked for it before, in the bend."
)
"""A page with main content, from which a text is made by all kernels."""
content = Content()
"""The extractor ``blocks`` with its default options."""
