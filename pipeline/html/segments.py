"""A page's HTML to blocks: the pieces of its text between block-level tags, and the elements that contain them.

Invariants:

- One pass over the bytes with a stack of open elements, without a tree. Time is linear in the page's length.
- All text that a page can show is in a block, including text that is hidden until a script runs. The contents of scripts,
  styles, drawings, media, text fields and lists of options are not, nor are short ``aria-hidden`` spans (icons, separators)
  and the link on a heading that points to itself ("¶").
- White space is collapsed; in ``<pre>`` it is kept, from the indent of a block's first line to its last character. ``<br>`` is
  a new line, and two of them start a new block.
- Preformatted text is one block: lines, items and rows inside it begin a new line, and a cell of line numbers is left out.
- A formula is in the text once, as TeX between delimiters (`pipeline.html.formulas`), however often the page has it.
- Character references are kept, except those for white space.
- Elements end as in HTML: a paragraph at a tag that it cannot contain; an item, cell or row where the next one begins. Nothing
  is closed across the table that it is in.
- A page that is nested deeper than `DEPTH`, or has more than `MOST_BLOCKS` blocks, is still read to its end. Text after the
  last possible block is appended to it.
"""

from typing import Any

import numpy as np

from goldwash.filters.bits import eight
from goldwash.filters.cut import Bytes
from goldwash.filters.jit import bare, inline
from goldwash.pipeline.html.formulas import (
    DEEP,
    FAR,
    MATH_TAG,
    formula_image,
    math_in,
    on_its_own,
    renders,
    script_formula,
    source_follows,
    span_end,
    tex_of,
    write_math,
    write_tex,
)
from goldwash.pipeline.html.visible_text import byte_at, closing, comment_end, name_at, tag_end

ZERO: Any = np.int64(0)
ONE: Any = np.int64(1)
YES: Any = np.bool_(True)
NO: Any = np.bool_(False)
"""Values that are not literals: numba compiles a piece of a kernel once for each literal, and once for other values."""
DEPTH = 512
"""Open elements that are tracked."""
MOST_BLOCKS, MOST_ELEMENTS = 1 << 16, 1 << 17

SKIP, VOID, PARAGRAPH, LINE, CELL, ROW, PRE, ITEM, LINK, BREAK, TABLE, INLINE, LOOSE, STAYS, MATH, IMAGE, SPAN = (
    1 << n for n in range(17)
)
"""Effects of a tag, as bits: its content is skipped; it has none (void); it begins a paragraph, line, cell or row; it is
preformatted text, a list item, a link, a line break or a table; it does not close a paragraph (inline); a new list item
closes the previous one across it (loose); in preformatted text it begins a line, not a block (stays); it is MathML, an image
or a span, and may hold a formula."""
WITHIN = (
    "article", "main", "nav", "header", "footer", "aside", "form", "table", "ul", "ol", "li", "dl", "dt", "blockquote",
    "figure", "pre", "p", "h1", "h2", "h4", "section", "td", "th", "button", "address", "details", "noscript", "hidden",
)  # fmt: skip
"""Kinds of elements that a block can be inside, one bit each. `TAGS` says which tag is of which kind."""


def _tags() -> dict[str, tuple[int, str]]:
    """Tag names, cut to eight letters: their effects and their name in `WITHIN`, "" for none."""
    skipped = "script style svg template select textarea iframe canvas video audio object title"
    paragraphs = "article main nav header footer aside form ul ol dl figure h1 h2 h4 section details"
    tags = {name: (SKIP, "") for name in skipped.split()} | {name: (PARAGRAPH, name) for name in paragraphs.split()}
    tags |= {name: (PARAGRAPH, "") for name in ("body", "html", "head", "center", "hgroup", "noframes")}
    tags |= {name: (PARAGRAPH | PRE, "pre") for name in ("pre", "xmp", "listing")}
    like = {"h3": "h2", "h5": "h4", "h6": "h4", "menu": "ul", "dir": "ul", "blockquo": "blockquote", "figcapti": "figure"}
    like |= {"fieldset": "form", "dialog": "button", "search": "button", "caption": "table"}
    tags |= {name: (PARAGRAPH, other) for name, other in like.items()}
    lines = {"option": "button", "legend": "form", "summary": "details"}
    tags |= {name: (LINE, other) for name, other in lines.items()}
    tags |= {"div": (LINE | LOOSE, ""), "button": (LINE | INLINE, "button"), "noscript": (INLINE, "noscript")}
    tags |= {"p": (PARAGRAPH | LOOSE, "p"), "address": (PARAGRAPH | LOOSE, "address")}
    tags |= {"li": (LINE | ITEM, "li"), "dt": (LINE | ITEM, "dt"), "dd": (LINE | ITEM, "dt")}
    tags |= {"table": (PARAGRAPH | TABLE, "table"), "td": (CELL, "td"), "th": (CELL, "th")}
    tags |= {name: (ROW, "table") for name in ("tr", "thead", "tbody", "tfoot", "colgroup")}
    tags |= {"a": (LINK, ""), "br": (BREAK, ""), "hr": (PARAGRAPH | VOID, "")}
    stay = "div p ul ol li dl dt dd table tr thead tbody tfoot colgroup td th button center"
    tags |= {name: (tags[name][0] | STAYS, tags[name][1]) for name in stay.split()}
    return tags | {"math": (MATH, ""), "img": (IMAGE, ""), "span": (SPAN, "")}


TAGS = _tags()
NAMES = list(TAGS)
KEYWORDS = (
    "comment comments disqus commentlist respond discussion",
    "nav navbar navigation menu submenu topnav navi tabs tab toolbar",
    "footer foot bottom copyright colophon legal disclaimer",
    "header masthead top banner logo brand head",
    "sidebar side aside rail widget widgets secondary complementary sidebars col",
    "share sharing social facebook twitter follow addthis sns socials sharedaddy",
    "related recommended similar also more further suggest suggested readmore",
    "popular trending latest recent mostread most newest hot rank",
    "ad ads advert advertisement sponsor sponsored promo promotion outbrain taboola adsense dfp promoted",
    "meta date time byline info published timestamp posted updated postmeta data",
    "tag tags category categories topics keywords labels cat",
    "content contents container page wrapper wrap inner",
    "main primary maincontent center middle",
    "article story articlebody storybody",
    "post entry entrycontent postcontent blog",
    "body text copy richtext paragraph para rte prose",
    "list listing item items card cards grid teaser results result tile row",
    "modal popup overlay cookie cookies consent gdpr dialog notice alert",
    "newsletter subscribe subscription signup email login register account paywall",
    "form search input field filter sort filters",
    "caption image images photo gallery media figure picture thumb thumbnail img slideshow carousel slider",
    "title headline heading subtitle",
    "summary lead intro excerpt deck standfirst description desc lede abstract dek",
    "message topic thread forum reply replies quote posts bbs",
    "user avatar profile member signature username",
    "hidden hide invisible print noprint skip accessibility screenreader visually",
    "price cart product products buy shop sku basket checkout order",
    "review reviews rating ratings stars score",
    "ingredients instructions recipe directions method steps nutrition",
    "docs toc documentation markdown code highlight section sect",
    "bio author authors about writer contributor staff",
    "faq question answer accordion answers",
    "pager pagination paging next prev previous paginate",
    "footnotes references bibliography cite citation notes",
    "breadcrumb crumb crumbs crumbtrail path",
    "embed player video audio tweet",
    "links link blogroll archive archives calendar",
    "location address contact map phone hours",
    "button btn cta action actions download",
    "event events schedule",
)
"""Words in class, id, role and itemprop attributes, in groups of one bit each: authors' names for parts of a page."""

CLASSES, STYLE, UNSHOWN, UNREAD = 1, 2, 3, 4
"""Kinds of attributes: words that name the element, its style, a mark that it is not shown, or not read out if it is true."""
ATTRIBUTES = {"class": CLASSES, "id": CLASSES, "role": CLASSES, "itemprop": CLASSES, "style": STYLE, "hidden": UNSHOWN}
ATTRIBUTES |= {"aria-hidden": UNREAD}
SEEN_BITS = 7
SEEN = 1 << SEEN_BITS
"""Values of attributes whose words are remembered: most of a page's are among them."""
SLOT_BITS = 10
"""A table of names has ``2 ** SLOT_BITS`` slots."""


def packed(name: str) -> int:
    """A name as a number, as `name_at` returns it: its first eight letters in lower case."""
    return int.from_bytes(bytes(letter | 32 for letter in name.encode()[:8]))


def table(names: dict[str, int]) -> Any:
    """A hash table (open addressing) of names: keys ``uint64[1024]``, 0 in empty slots, and numbers ``int64[1024]``."""
    keys, numbers = np.zeros(1 << SLOT_BITS, np.uint64), np.zeros(1 << SLOT_BITS, np.int64)
    for name, number in names.items():
        code = packed(name)
        at = (code * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 64 - SLOT_BITS
        while keys[at] not in (0, code):
            at = (at + 1) % (1 << SLOT_BITS)
        keys[at], numbers[at] = code, number
    return keys, numbers


TAG_TABLE = table({name: n for n, name in enumerate(NAMES)})
ATTRIBUTE_TABLE = table(ATTRIBUTES)
WORD_TABLE = table({word: n for n, line in enumerate(KEYWORDS) for word in line.split()})
DOES = np.array([does for does, _ in TAGS.values()], np.int64)
BITS = np.array([1 << WITHIN.index(bit) if bit else 0 for _, bit in TAGS.values()], np.int64)
TABLES = (*TAG_TABLE, DOES, BITS, *ATTRIBUTE_TABLE, *WORD_TABLE)
HIDDEN = 1 << WITHIN.index("hidden")
HEADINGS = sum(1 << WITHIN.index(name) for name in ("h1", "h2", "h4"))
HTML, P, UL, TR, SVG, SCRIPT, MATHML, ENDLESS = (
    *(NAMES.index(name) for name in ("html", "p", "ul", "tr", "svg", "script", "math")), 2,
)  # fmt: skip
"""Tags by number. The first `ENDLESS` of `NAMES` hide everything that follows if they are not closed."""

START, END, ELEMENT, BEFORE, WORDS, CHARACTERS, LINKED, STOPS, COMMAS, DIGITS, CAPITALS, BULLET, LINES, LINKS = range(14)
"""A block's columns: start and end in the text; element; the gap before it; counts of words (each ideograph or kana is one, and
each other run between spaces), characters (a reference is one; an ideograph, kana or hangul syllable is two, since it says as
much as several letters), characters in links, full stops, commas, digits and words that begin with a capital; whether it begins
an item of a bulleted list; counts of line breaks inside it and of links."""
A_LINE, A_PARAGRAPH, A_CELL = 1, 2, 3
"""The gap between two blocks; 0 before the first block."""
PARENT, TAG, INSIDE, CALLED, LEVEL, SOURCE = range(6)
"""An element's columns: its parent's row (-1 for the page itself), its tag, its `WITHIN` and `KEYWORDS` bits, its depth, where
its tag begins in the page (-1 for the page itself)."""
LINK_START, LINK_END, LINK_SOURCE = range(3)
"""A link's columns: where its text begins and ends, where its tag begins in the page."""
MOST_LINKS = 1 << 16
LIMITS = ("depth", "elements", "blocks", "links", "rendered_formulas")
"""Limits that a page can reach, one bit each: `DEPTH`, `MOST_ELEMENTS`, `MOST_BLOCKS`, `MOST_LINKS`, and the bytes in which the
ends of rendered formulas are searched. What is over them is read, but not told apart."""
TOO_DEEP, MANY_ELEMENTS, MANY_BLOCKS, MANY_LINKS, MANY_FORMULAS = (1 << n for n in range(len(LIMITS)))
NEAR_SPAN = 256
"""Bytes within which an ``aria-hidden`` span must end to be left out: icons and separators, not what a page is about."""


FIELD_BITS, RUN = 12, 4000
"""The counts of a run are packed into one number, `FIELD_BITS` each. A run has `RUN` bytes at most, so none overflows."""
FIELD = (1 << FIELD_BITS) - 1


def _counts() -> Any:
    """The packed counts of each byte, from the lowest bits: characters, full stops, commas, digits, characters without spaces.

    A syllable or ideograph of East Asia (first byte E3 to ED) counts as two characters.
    """
    counts = np.array([0 if byte & 192 == 128 else 2 if 0xE3 <= byte <= 0xED else 1 for byte in range(256)], np.int64)
    for n, those in enumerate((b".!?", b",", b"0123456789", range(0xE3, 0xEA)), 1):
        counts[list(those)] |= 1 << n * FIELD_BITS
    return counts


COUNTS = _counts()
ENDS = np.array([byte <= 32 or byte in b"<&\xc2" for byte in range(256)])
"""Bytes that may end a run of text: space, a tag, a character reference, a no-break space."""


@inline
def marks(html: Bytes, at: int, end: int) -> Any:
    """Whether a full stop and whether a comma of another script than Latin begins at ``at``, at a byte of D8 or more.

    Full stops are U+3002, U+FF01, U+FF0E, U+FF1F, U+061F, U+06D4, U+0964 and U+0965; commas U+3001, U+FF0C and U+060C.
    """
    a = html[at]
    b = html[at + 1] if at + 1 < end else np.uint8(0)
    c = html[at + 2] if at + 2 < end else np.uint8(0)
    if a == 0xE3:
        return b == 0x80 and c == 0x82, b == 0x80 and c == 0x81
    if a == 0xEF:
        return b == 0xBC and (c == 0x81 or c == 0x8E or c == 0x9F), b == 0xBC and c == 0x8C
    if a == 0xE0:
        return b == 0xA5 and (c == 0xA4 or c == 0xA5), False
    return (a == 0xD8 and b == 0x9F) or (a == 0xDB and b == 0x94), a == 0xD8 and b == 0x8C


@inline
def looked_up(keys: Any, numbers: Any, code: Any) -> Any:
    """The number of a name in a `table`; -1 if it is not there."""
    if code == np.uint64(0):
        return -1
    at = (code * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - SLOT_BITS)
    while keys[at] != np.uint64(0):
        if keys[at] == code:
            return numbers[at]
        at = (at + np.uint64(1)) & np.uint64((1 << SLOT_BITS) - 1)
    return -1


@bare
def words_in(html: Bytes, at: int, end: int, keys: Any, numbers: Any) -> Any:
    """The `KEYWORDS` groups of the words in an attribute's value, as bits. mainMenu and main-menu are two words each."""
    mask = np.int64(0)
    code = np.uint64(0)
    length = 0
    small = False
    while at <= end:
        c = html[np.uint64(at)] if at < end else np.uint8(32)
        letter = 97 <= c | 32 <= 122
        if length and (not letter or (c < 97 and small)):
            group = looked_up(keys, numbers, code)
            if group >= 0:
                mask |= np.int64(1) << group
            code = np.uint64(0)
            length = 0
        if letter:
            if length < 8:
                code = code << np.uint64(8) | np.uint64(c | 32)
            length += 1
            small = bool(c >= 97)
        at += 1
    return mask


@inline
def words_of(html: Bytes, at: int, end: int, keys: Any, numbers: Any, seen: Any) -> Any:
    """`words_in`, or what is known of an equal value before. ``seen: int64[SEEN, 3]``: values' places, lengths and words."""
    size = end - at
    if size < 8:
        return words_in(html, at, end, keys, numbers)
    first, last = eight(html, np.uint64(at)), eight(html, np.uint64(end - 8))
    key = (first * np.uint64(0x9E3779B97F4A7C15) ^ last) * np.uint64(0xBF58476D1CE4E5B9)
    row = seen[np.int64(key >> np.uint64(64 - SEEN_BITS))]
    if row[1] != size or not same(html, at, row[0], size):
        row[0], row[1], row[2] = at, size, words_in(html, at, end, keys, numbers)
    return row[2]


@bare
def unshown(html: Bytes, at: int, end: int) -> bool:
    """Whether a style has ``display: none``. Only dis...y and non are compared, in any case."""
    while at + 11 < end:
        if (
            html[at] | 32 == 100 and html[at + 1] | 32 == 105 and html[at + 2] | 32 == 115 and html[at + 6] | 32 == 121
        ):  # dis...y
            at += 7
            while at < end and (html[at] <= 32 or html[at] == 58):
                at += 1
            return at + 4 <= end and html[at] | 32 == 110 and html[at + 1] | 32 == 111 and html[at + 2] | 32 == 110
        at += 1
    return False


@inline
def attributes(html: Bytes, at: int, end: int, names: Any, kinds: Any, keys: Any, groups: Any, seen: Any) -> Any:
    """Read the attributes of a tag whose name ends at ``at``: where the tag ends, its `KEYWORDS` bits, whether it is hidden."""
    mask = np.int64(0)
    hidden = False
    while at < end:
        c = html[np.uint64(at)]
        if c == 62:
            return at + 1, mask, hidden
        if c <= 32 or c == 47:
            at += 1
            continue
        code = np.uint64(0)
        length = 0
        while c > 32 and c != 61 and c != 62 and c != 47:
            if length < 8:
                code = code << np.uint64(8) | np.uint64(c | 32)
            length += 1
            at += 1
            if at == end:
                break
            c = html[np.uint64(at)]
        kind = looked_up(names, kinds, code)
        while at < end and html[np.uint64(at)] <= 32:
            at += 1
        start = at
        stop = at
        if at < end and html[np.uint64(at)] == 61:
            at += 1
            while at < end and html[np.uint64(at)] <= 32:
                at += 1
            start = at
            if at < end and (html[at] == 34 or html[at] == 39):
                start = at + 1
                stop = byte_at(html, start, end, html[at])
                at = stop + 1 if stop < end else end
            else:
                while at < end and html[np.uint64(at)] > 32 and html[np.uint64(at)] != 62:
                    at += 1
                stop = at
        if kind == CLASSES:
            mask |= words_of(html, start, stop, keys, groups, seen)
        elif kind == STYLE:
            hidden = hidden or unshown(html, start, stop)
        elif kind == UNSHOWN:
            hidden = True
        elif kind == UNREAD:
            hidden = hidden or (start < stop and html[start] | 32 == 116)
    return end, mask, hidden


@inline
def parted(before: int, does: int) -> int:
    """The gap between two blocks after one more tag between them."""
    if does & CELL:
        return A_CELL if before == 0 else before
    if does & PARAGRAPH:
        return A_PARAGRAPH
    return A_LINE if before == 0 or before == A_CELL else before


@inline
def has_href(html: Bytes, at: int, end: int) -> bool:
    """Whether a tag has an ``href``."""
    i, last = np.uint64(at), np.uint64(max(0, end - 4))
    while i < last:
        h, r, e, f = html[i], html[i + np.uint64(1)], html[i + np.uint64(2)], html[i + np.uint64(3)]
        if h | 32 == 104 and r | 32 == 114 and e | 32 == 101 and f | 32 == 102:
            return True
        i += np.uint64(1)
    return False


@bare
def reference(html: Bytes, at: int, end: int) -> Any:
    """A character reference at an ampersand: its code point (0 if it is named, except ``&nbsp;``) and its length in bytes.

    The length is 0 if there is no reference.
    """
    i = at + 1
    value = 0
    if i < end and html[i] == 35:
        i += 1
        base = 10
        if i < end and html[i] | 32 == 120:
            base = 16
            i += 1
        start = i
        while i < end and i < start + 7:
            c = html[i] | 32
            digit = html[i] - 48 if 48 <= html[i] <= 57 else (c - 87 if base == 16 and 97 <= c <= 102 else -1)
            if digit < 0:
                break
            value = value * base + digit
            i += 1
        if i == start:
            return 0, 0
        return value, i - at + (1 if i < end and html[i] == 59 else 0)
    while i < end and i < at + 12 and (97 <= html[i] | 32 <= 122 or 48 <= html[i] <= 57):
        i += 1
    if at + 4 < end and html[at + 1] == 110 and html[at + 2] == 98 and html[at + 3] == 115 and html[at + 4] == 112:
        return 160, 6 if at + 5 < end and html[at + 5] == 59 else 5
    return 0, i - at + 1 if i < end and html[i] == 59 and i > at + 1 else 0


@inline
def blank_at(html: Bytes, at: int, end: int, value: int, length: int, first: bool) -> int:
    """The length in bytes of the white space character at ``at``; 0 if there is none.

    ``value`` and ``length`` come from `reference`. ``first``: no block is open. Zero-width and ideographic spaces are white
    space then, so that they do not open a block.
    """
    c = html[at]
    if c <= 32:
        return 1
    if c == 38:
        white = (
            value == 32
            or value == 160
            or 9 <= value <= 13
            or (first and (value == 0x200B or value == 0x3000 or value == 0xFEFF))
        )
        return length if white else 0
    if c == 194:
        return 2 if at + 1 < end and html[at + 1] == 160 else 0
    if first and at + 2 < end:
        d, e = html[at + 1], html[at + 2]
        if (
            (c == 0xE2 and d == 0x80 and e == 0x8B)
            or (c == 0xE3 and d == 0x80 and e == 0x80)
            or (c == 0xEF and d == 0xBB and e == 0xBF)
        ):
            return 3
    return 0


@inline
def left_open(elements: Any, stack: Any, depth: int, tag: int, does: Any, bits: Any) -> int:
    """How many elements stay open when a tag begins: those that cannot contain it are closed."""
    do = does[tag]
    if do & (CELL | ROW):
        k = depth - 1
        while k > 0:
            other = elements[stack[k], TAG]
            if does[other] & TABLE or (does[other] & ROW and (do & CELL or (tag == TR and other != TR))):
                return k + 1
            k -= 1
        return depth
    if do & (PARAGRAPH | LINE) and not do & INLINE and elements[stack[depth - 1], TAG] == P:
        depth -= 1
    k = depth - 1
    while do & ITEM and k > 0:
        other = elements[stack[k], TAG]
        if does[other] & ITEM and bits[other] == bits[tag]:
            return k
        if not does[other] & LOOSE:
            break
        k -= 1
    return depth


@inline
def ended(elements: Any, stack: Any, depth: int, tag: int, does: Any) -> int:
    """How many elements stay open after a closing tag. It closes nothing outside of its cell or table."""
    k = depth - 1
    while k > 0:
        other = elements[stack[k], TAG]
        if other == tag:
            return k
        if does[other] & TABLE or (does[other] & CELL and not does[tag] & (CELL | ROW | TABLE)):
            return depth
        k -= 1
    return depth


@bare
def points_to_itself(html: Bytes, at: int, end: int, heading: bool) -> int:
    """Where the content of a link ends if it is only a mark of a heading's own address ("¶"; "#" in a heading); else ``at``."""
    if at + 4 < end and html[at] == 0xC2 and html[at + 1] == 0xB6 and html[at + 2] == 60 and html[at + 3] == 47:
        return at + 2
    if at + 8 < end and html[at] == 38 and html[at + 1] == 112 and html[at + 5] == 59 and html[at + 6] == 60:  # &para;
        return at + 6
    if at + 5 < end and html[at] == 0xEF and html[at + 1] == 0x83 and html[at + 2] == 0x81 and html[at + 3] == 60:
        return at + 3
    if heading and at + 3 < end and html[at] == 35 and html[at + 1] == 60 and html[at + 2] == 47:
        return at + 1
    return at


@bare
def only_digits(text: Bytes, at: int, end: int) -> bool:
    """Whether text is a line number: digits and spaces, or nothing."""
    while at < end:
        if not (48 <= text[at] <= 57 or text[at] <= 32):
            return False
        at += 1
    return True


@bare
def same(text: Bytes, a: int, b: int, length: int) -> bool:
    """Whether two pieces of text are equal. Of eight bytes or more, eight are compared at once."""
    i, j, size, step = np.uint64(a), np.uint64(b), np.uint64(length), np.uint64(8)
    if size < step:
        for k in range(size):
            if text[i + k] != text[j + k]:
                return False
        return True
    for k in range(np.uint64(0), size - step, step):
        if eight(text, i + k) != eight(text, j + k):
            return False
    return bool(eight(text, i + size - step) == eight(text, j + size - step))


@bare
def read_blocks(
    html: Bytes, tags: Any, numbers: Any, does: Any, bits: Any, names: Any, kinds: Any, keys: Any, groups: Any,
    out: Bytes, blocks: Any, elements: Any, links: Any, stack: Any, unclosed: Any, seen: Any, math_kinds: Any,
    math_places: Any, dollars: bool,
) -> Any:  # fmt: skip
    """Fill the text, blocks, elements (parents first) and links: how many there are of each, and which `LIMITS` were reached.

    No more rows are written than there is room for; if ``links`` has none, none are noted. ``dollars``: formulas are in $, not
    in ``\\( \\)``. ``stack`` and ``unclosed`` are zeros: the rows of open elements, and tags that are known not to be closed.
    ``seen: int64[SEEN, 3]`` are zeros (`words_of`). ``math_kinds: uint64[DEEP]`` and ``math_places: int64[2, DEEP]`` are room
    for `write_math`.
    """
    end = len(html)
    with_links = len(links) > 0
    elements[0, :] = 0
    elements[0, PARENT], elements[0, TAG], elements[0, SOURCE] = -1, HTML, -1
    math_children, math_starts = math_places[0], math_places[1]
    made, depth, over, linked = ONE, ONE, ZERO, ZERO
    link, pre = ZERO, ZERO  # the depth at which a link or preformatted text was opened
    n, b = ZERO, -ONE
    open_, word, blank = False, False, True  # whether a block is open, a word is open, a space was just written
    before, bullet, lines = ZERO, ZERO, ZERO
    # in preformatted text: spaces before a block, where its line begins, a line number's place
    indent, line_at, gutter = ZERO, ZERO, -ONE
    shown_at, shown_end, shown_by = ZERO, -ONE, ZERO  # the last formula in the text, and the tag that it came from
    limits = ZERO
    looked = ZERO  # bytes in which the ends of rendered formulas were searched
    at = ZERO
    while at < end:
        c = html[np.uint64(at)]
        if c <= 32 and not pre:  # a run of white space
            if open_ and not blank:
                out[n] = 32
                n += 1
                blank = True
            word = False
            at += 1
            while at < end and html[np.uint64(at)] <= 32:
                at += 1
            continue
        d = html[np.uint64(at + 1)] if c == 60 and at + 1 < end else np.uint8(0)
        shut = d == 47 and at + 2 < end and 97 <= html[at + 2] | 32 <= 122
        formula, formula_end, formula_tag, on_own_line, past = -1, -1, 0, False, 0
        if shut or 97 <= d | 32 <= 122:  # a tag
            source = at
            code, after = name_at(html, at + (2 if shut else 1), end)
            own = after < end and html[after] == 45  # my-element is a custom element
            tag = -1 if own else looked_up(tags, numbers, code)
            do = does[tag] if tag >= 0 else 0
            if shut or do & (SKIP | LINK | BREAK | MATH | IMAGE | SPAN) or do == 0:
                at = tag_end(html, after, end)
                called, hidden = 0, False
            else:
                at, called, hidden = attributes(html, after, end, names, kinds, keys, groups, seen)
            if do & SPAN:
                kind = renders(html, after, at) if not shut and at - after > 10 else 0
                if kind == 3:
                    stop = span_end(html, at, min(end, at + NEAR_SPAN))
                    at = stop if stop >= 0 else at
                elif kind and looked >= 8 * end + FAR:
                    limits |= MANY_FORMULAS
                elif kind:
                    stop = span_end(html, at, end)
                    looked += stop - at if stop >= 0 else FAR
                    if stop >= 0 and kind == 1 and shown_end >= 0 and shown_end >= n - 1:
                        at = stop
                    elif stop >= 0 and kind == 2:
                        follows, reached = source_follows(html, stop, end)
                        looked += max(0, reached - stop)
                        if follows:
                            at = stop
                        else:
                            inner = math_in(html, at, stop)
                            if inner >= 0:
                                tag, past, after = MATHML, stop, inner + 5
                                at = tag_end(html, after, stop)
                if past == 0:
                    continue
            if do & MATH or past:
                if shut or html[at - 2] == 47 or unclosed[MATHML]:
                    continue
                stop = closing(html, at, past if past else end, MATH_TAG)
                if stop < 0:
                    unclosed[MATHML] = not past
                    at = past if past else at
                    continue
                formula, formula_end = tex_of(html, after, at, stop)
                on_own_line, formula_tag = on_its_own(html, after, at), tag
                if formula < 0:
                    formula, formula_end, formula_tag = at, stop, -1
                at = past if past else tag_end(html, stop, end)
            elif do & IMAGE:
                formula, formula_end = formula_image(html, after, at) if not shut else (-1, -1)
                formula_tag = tag
            elif do & SKIP:
                if not (shut or unclosed[tag] or (tag == SVG and html[at - 2] == 47)):
                    stop = closing(html, at, end, code)
                    unclosed[tag] = stop < 0
                    if stop >= 0 and tag == SCRIPT and script_formula(html, after, at):
                        formula, formula_end, formula_tag = at, stop, tag
                        on_own_line = on_its_own(html, after, at)
                    if stop >= 0 or tag < ENDLESS:
                        at = stop if stop >= 0 else end
            elif do & LINK:
                if with_links and link and linked < len(links):
                    links[linked, LINK_END] = n
                    linked += 1
                link = depth if not shut and has_href(html, after, at) else 0
                if link and open_:
                    blocks[b, LINKS] += 1
                if link and with_links and linked < len(links):
                    links[linked, LINK_START], links[linked, LINK_SOURCE] = n, source
                elif link and with_links:
                    limits |= MANY_LINKS
                if link:
                    at = points_to_itself(html, at, end, bits[elements[stack[depth - 1], TAG]] & HEADINGS != 0)
            elif do & BREAK:
                if pre and open_:
                    out[n] = 10
                    n += 1
                    line_at, word, blank = n, False, True
                    blocks[b, LINES] += 1
                else:
                    indent = 0
                    lines += 1
                    if lines == 2:
                        open_, before = False, A_PARAGRAPH
            elif do:
                was = depth
                if shut:
                    depth = ended(elements, stack, depth, tag, does) if over == 0 else depth
                    over = max(0, over - 1)
                else:
                    depth = left_open(elements, stack, depth, tag, does, bits)
                if do & (PARAGRAPH | LINE | CELL | ROW):
                    if pre and pre <= depth and do & STAYS and open_:
                        if n == line_at:
                            pass
                        elif do & CELL:
                            if only_digits(out, line_at, n):
                                gutter = line_at
                            elif not shut:
                                out[n] = 9
                                n += 1
                        elif was != depth or not shut:
                            out[n] = 10
                            n += 1
                            line_at = n
                            blocks[b, LINES] += 1
                        word, blank = False, True
                    else:
                        open_, before = False, parted(before, do)
                        indent = 0
                if with_links and link > depth and linked < len(links):
                    links[linked, LINK_END] = n
                    linked += 1
                pre = 0 if pre > depth else pre
                link = 0 if link > depth else link
                bullet = 0 if bullet > depth else bullet
                if not shut and not do & VOID:
                    if depth >= DEPTH or made >= len(elements):
                        limits |= TOO_DEEP if depth >= DEPTH else MANY_ELEMENTS
                        over += 1
                        continue
                    parent = stack[depth - 1]
                    element = elements[made]
                    element[PARENT] = parent
                    element[TAG] = tag
                    element[INSIDE] = elements[parent, INSIDE] | bits[tag] | (HIDDEN if hidden else 0)
                    element[CALLED] = called
                    element[LEVEL] = depth
                    element[SOURCE] = source
                    stack[depth] = made
                    made += 1
                    depth += 1
                    if do & PRE and not pre:
                        pre, indent = depth, 0
                    if do & ITEM:
                        bullet = depth if elements[parent, TAG] == UL else 0
            if formula >= formula_end:
                continue
        elif d == 33 or d == 47 or d == 63:  # <! </ <?
            if at + 3 < end and d == 33 and html[at + 2] == 45 and html[at + 3] == 45:
                at = comment_end(html, at + 3, end)
            else:
                while at < end and html[np.uint64(at)] != 62:
                    at += 1
                at += 1
            continue
        else:
            value, length = reference(html, at, end) if c == 38 else (0, 0)
            step = blank_at(html, at, end, value, length, not open_)
            if step:
                if pre:
                    if not (c == 13 and at + 1 < end and html[at + 1] == 10):
                        if gutter >= 0:
                            n, gutter = gutter, -1
                        line = c == 13 or c == 10
                        out[n + indent] = 10 if line else 9 if c == 9 else 32
                        if open_:
                            n += 1
                            blank = True
                            if line:
                                line_at = n
                                blocks[b, LINES] += 1
                        else:
                            indent = 0 if line else indent + 1
                elif open_ and not blank:
                    out[n] = 32
                    n += 1
                    blank = True
                word = False
                at += step
                continue
        if not open_:
            word, open_ = False, True
            if b + 1 < len(blocks):
                b += 1
                blocks[b, :] = 0
                blocks[b, START] = n
                blocks[b, ELEMENT] = stack[depth - 1]
                blocks[b, BEFORE] = before if b else 0
                blocks[b, BULLET] = bullet > 0
                blocks[b, LINKS] = 1 if link else 0
                line_at, gutter = n, -1
                n += indent
                before, bullet, lines = 0, 0, 0
            else:
                lines, gutter = 1, -1
                limits |= MANY_BLOCKS
            indent = 0
        if lines:
            n -= 1 if blank else 0
            out[n] = 10
            n += 1
            blocks[b, LINES] += 1
            lines = 0
            word = False
        if gutter >= 0:
            n, gutter = gutter, -1
        row = blocks[b]
        if formula >= 0:
            adjoins = shown_end > row[START] and shown_end >= n - (1 if blank else 0)
            size = shown_end - shown_at
            if formula_tag < 0:
                after = write_math(out, n, html, formula, formula_end, math_kinds, math_children, math_starts)
            else:
                after = write_tex(out, n, html, formula, formula_end, on_own_line, dollars)
            again = adjoins and (
                shown_by != formula_tag or (shown_end == n and after - n == size and same(out, shown_at, n, size))
            )
            if after > n and not again:
                for k in range(n, after):
                    row[CHARACTERS] += out[k] > 32 and out[k] & 192 != 128
                    row[LINKED] += 1 if link and out[k] > 32 and out[k] & 192 != 128 else 0
                row[WORDS] += 1
                shown_at, shown_end, shown_by = n, after, formula_tag
                n = after
                row[END] = n
                word, blank = True, False
            elif row[END] == 0:  # nothing was written: the block is not begun
                n = row[START]
                b -= 1
                open_ = False
            continue
        if length:  # one character
            for _ in range(length):
                out[n] = html[at]
                n += 1
                at += 1
            row[END] = n
            row[CHARACTERS] += 1
            row[LINKED] += 1 if link else 0
            row[WORDS] += 0 if word else 1
            word, blank = True, False
            continue
        stop = min(end, at + RUN)
        counts, words = ZERO, ZERO
        while True:  # words with single spaces between them
            row[CAPITALS] += 65 <= c <= 90 and not word
            begun = counts
            while True:  # a run of text; its first byte may be any
                counts += COUNTS[c]
                if c >= 0xD8:
                    stop_mark, comma_mark = marks(html, at, end)
                    row[STOPS] += stop_mark
                    row[COMMAS] += comma_mark
                out[np.uint64(n)] = c
                n += 1
                at += 1
                if at == stop:
                    break
                c = html[np.uint64(at)]
                if ENDS[c]:
                    break
            run = counts - begun
            others = run & FIELD > 2 * (run >> 4 * FIELD_BITS)
            words += others and not word
            word = word or others
            if c != 32 or pre or at + 1 >= stop or ENDS[html[np.uint64(at + 1)]]:
                break
            out[np.uint64(n)] = 32
            n += 1
            at += 1
            c = html[np.uint64(at)]
            word = False
        characters, unspaced = counts & FIELD, counts >> 4 * FIELD_BITS
        row[END] = n
        row[CHARACTERS] += characters
        row[LINKED] += characters if link else 0
        row[STOPS] += counts >> FIELD_BITS & FIELD
        row[COMMAS] += counts >> 2 * FIELD_BITS & FIELD
        row[DIGITS] += counts >> 3 * FIELD_BITS & FIELD
        row[WORDS] += unspaced + words
        blank = False
    if with_links and link and linked < len(links):
        links[linked, LINK_END] = n
        linked += 1
    return n, b + 1, made, linked, limits


def read(html: bytes | memoryview, with_links: bool = False, dollars: bool = False) -> tuple[Any, Any, Any, Any, int]:
    """A page's text ``uint8[bytes]``, blocks ``int64[B, 14]``, elements ``int64[E, 6]``, links ``int64[L, 3]`` and `LIMITS`.

    An empty page has no blocks. ``with_links``: note where links are; without it, L is 0.
    """
    page = np.frombuffer(html, np.uint8)
    size = len(page)
    text = np.empty(size + 1, np.uint8)
    blocks = np.empty((min(MOST_BLOCKS, size + 1), 14), np.int64)
    elements = np.empty((min(MOST_ELEMENTS, size // 3 + 2), 6), np.int64)
    links = np.empty((min(MOST_LINKS, size // 8 + 1) if with_links else 0, 3), np.int64)
    math = np.empty(DEEP, np.uint64), np.empty((2, DEEP), np.int64)
    room = np.zeros(DEPTH, np.int64), np.zeros(len(NAMES), np.bool_), np.zeros((SEEN, 3), np.int64), *math
    bytes_, count, made, linked, limits = read_blocks(page, *TABLES, text, blocks, elements, links, *room, dollars)
    return text[:bytes_], blocks[:count], elements[:made], links[:linked], limits


def blocks_of(html: bytes | memoryview) -> tuple[Any, Any, Any]:
    """A page's text, blocks and elements."""
    return read(html)[:3]
