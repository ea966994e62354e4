r"""Formulas in a page: where their TeX is, and MathML without TeX as readable text.

Invariants:

- TeX comes from an ``annotation`` or the ``alttext`` of MathML, from a script of type ``math/tex`` (MathJax), or from the
  ``alt`` of an image whose class or address names TeX (WordPress, MediaWiki, QuickLaTeX, CodeCogs). It is written between
  delimiters, in one line, without the wrapper ``{\displaystyle ...}`` and without the delimiters that it had.
- What KaTeX and MathJax rendered from it is left out: `rendering_end` finds the end of such a span.
- MathML without TeX is written as x^2, a_(i+1), (a+b)/2, √(x): the text of its tokens, and marks for their places.
- Time is linear: an element's end is searched within `FAR` bytes, and where spans are nested the caller counts the bytes.
- No formula is longer in the text than in the page.
"""

from typing import Any

import numpy as np

from goldwash.filters.bits import find
from goldwash.filters.cut import Bytes
from goldwash.filters.jit import bare, inline
from goldwash.pipeline.html.visible_text import closing, name_at, tag_end

FAR = 1 << 16
"""Bytes within which a rendered formula must end."""
DEEP = 48
"""Nested elements of MathML whose places are marked; the text of deeper ones is written without marks."""


def code_of(name: str) -> np.uint64:
    """A name as `name_at` returns it."""
    return np.uint64(int.from_bytes(bytes(letter | 32 for letter in name.encode()[:8])))


def letters(text: str) -> Any:
    """ASCII text as ``uint8[bytes]``."""
    return np.frombuffer(text.encode(), np.uint8)


ANNOTATION, MATH_TAG, SPAN_TAG, SCRIPT_TAG = (code_of(name) for name in ("annotation", "math", "span", "script"))
MFRAC, MSQRT, MROOT, MSUP, MSUB, MSUBSUP, MUNDER, MOVER, MUNDEROVER, MTR, MTD, MSPACE, MFENCED = (
    code_of(name)
    for name in (
        "mfrac",
        "msqrt",
        "mroot",
        "msup",
        "msub",
        "msubsup",
        "munder",
        "mover",
        "munderover",
        "mtr",
        "mtd",
        "mspace",
        "mfenced",
    )
)
"""``mundero`` is not ``munder``: names are compared by eight letters."""
ALT, ALTTEXT, CLASS, ENCODING, KIND, SOURCE_OF, SHOWN_AS = (
    letters(name) for name in ("alt", "alttext", "class", "encoding", "type", "src", "display")
)
TEX, LATEX, MATHS, MATH_NAME, BLOCK, MODE, MATHJAX, MJX, KATEX = (
    letters(word) for word in ("tex", "latex", "math/", "math", "block", "display", "mathjax", "mjx-", "katex-html")
)
MWE, CODECOGS, CHART, RENDER = (letters(word) for word in ("mwe-math", "codecogs", "cht=tx", "math/render"))
DISPLAYSTYLE, TEXTSTYLE, DOLLAR_LATEX = (letters(word) for word in ("{\\displaystyle", "{\\textstyle", "$latex"))


@bare
def is_at(html: Bytes, at: int, end: int, word: Bytes) -> bool:
    """Whether a word in lower case is at a place, in any case."""
    if at + len(word) > end:
        return False
    for k in range(len(word)):
        c = html[at + k]
        if (c | 32 if 65 <= c <= 90 else c) != word[k]:
            return False
    return True


@bare
def place_of(html: Bytes, at: int, end: int, word: Bytes) -> int:
    """Where a word in lower case begins, in any case; -1 if it is not there."""
    first = word[0]
    while at + len(word) <= end:
        c = html[at]
        if (c == first or c | 32 == first) and is_at(html, at, end, word):
            return at
        at += 1
    return -1


@bare
def attribute(html: Bytes, at: int, end: int, name: Bytes) -> Any:
    """Where the value of a tag's attribute begins and ends, the tag's name ending at ``at``; -1, -1 without one."""
    while at < end and html[at] != 62:
        while at < end and (html[at] <= 32 or html[at] == 47):
            at += 1
        start = at
        while at < end and html[at] > 32 and html[at] != 61 and html[at] != 62 and html[at] != 47:
            at += 1
        stop = at
        while at < end and html[at] <= 32:
            at += 1
        first, last = at, at
        if at < end and html[at] == 61:
            at += 1
            while at < end and html[at] <= 32:
                at += 1
            quote = html[at] if at < end and (html[at] == 34 or html[at] == 39) else 0
            at += quote > 0
            first = at
            while at < end and (html[at] != quote if quote else html[at] > 32 and html[at] != 62):
                at += 1
            last = at
            at += quote > 0 and at < end
        elif stop == start:
            at += 1
        if stop - start == len(name) and is_at(html, start, stop, name):
            return first, last
    return -1, -1


@bare
def says(html: Bytes, at: int, end: int, name: Bytes, word: Bytes) -> Any:
    """Whether the value of a tag's attribute contains a word."""
    first, last = attribute(html, at, end, name)
    return first >= 0 and place_of(html, first, last, word) >= 0


@bare
def tex_of(html: Bytes, after: int, at: int, stop: int) -> Any:
    """Where the TeX of a ``<math>`` begins and ends (-1, -1): its name ends at ``after``, its content is ``at`` to ``stop``."""
    i = at
    while i < stop:
        i = find(html, i, stop, 60)
        if i + 11 < stop and html[i + 1] | 32 == 97:
            code, name_end = name_at(html, i + 1, stop)
            if code == ANNOTATION and not (name_end < stop and html[name_end] == 45):  # annotation-xml is MathML
                inside = tag_end(html, name_end, stop)
                if says(html, name_end, inside, ENCODING, TEX):
                    last = find(html, inside, stop, 60)
                    return inside, min(last, stop)
        i += 1
    return attribute(html, after, at, ALTTEXT)


@bare
def formula_image(html: Bytes, at: int, end: int) -> Any:
    """Where the TeX of an image begins and ends, the tag's name ending at ``at``; -1, -1 if the image is not a formula."""
    likely = False
    i = at
    while i + 2 < end and not likely:  # tex, math, cht=tx
        if html[i] | 32 == 116:
            c, d = html[i + 1] | 32, html[i + 2] | 32
            likely = (c == 101 and d == 120) or (c == 104 and html[i - 1] | 32 == 97) or (html[i + 1] == 61 and d == 116)
        i += 1
    if not likely:
        return -1, -1
    first, last = attribute(html, at, end, CLASS)
    found = first >= 0 and place_of(html, first, last, MWE) >= 0
    i = first
    while not found and 0 <= i < last:  # latex, tex, ql-img-inline-formula, math
        start = i
        while i < last and html[i] > 32:
            i += 1
        size = i - start
        found = (
            (size == 3 and is_at(html, start, i, TEX))
            or (size >= 5 and is_at(html, start, i, LATEX))
            or (size == 4 and is_at(html, start, i, MATH_NAME))
        )
        i += 1
    first, last = attribute(html, at, end, SOURCE_OF)
    if not found and first >= 0:
        found = place_of(html, first, last, CODECOGS) >= 0 or place_of(html, first, last, CHART) >= 0
        found = found or place_of(html, first, last, RENDER) >= 0 or place_of(html, first, last, LATEX) >= 0
    if not found:
        return -1, -1
    return attribute(html, at, end, ALT)


@bare
def script_formula(html: Bytes, at: int, end: int) -> Any:
    """Whether a script's tag, its name ending at ``at``, says that it holds TeX."""
    first, last = attribute(html, at, end, KIND)
    if first < 0 or not is_at(html, first, last, MATHS):
        return False
    return is_at(html, first + 5, last, TEX) or is_at(html, first + 5, last, LATEX)


@bare
def on_its_own(html: Bytes, at: int, end: int) -> Any:
    """Whether the tag of a script or of MathML says that the formula is on a line of its own."""
    return says(html, at, end, KIND, MODE) or says(html, at, end, SHOWN_AS, BLOCK)


@bare
def span_end(html: Bytes, at: int, end: int) -> Any:
    """Where the span that begins before ``at`` ends, after its closing tag; -1 if that is more than `FAR` bytes away."""
    end = min(end, at + FAR)
    depth = 1
    while at + 6 < end:
        at = find(html, at, end, 60)
        if at + 6 < end:
            shut = html[at + 1] == 47
            if name_at(html, at + (2 if shut else 1), end)[0] == SPAN_TAG:
                depth += -1 if shut else 1
                if depth == 0:
                    return tag_end(html, at, end)
        at += 1
    return -1


@inline
def renders(html: Bytes, at: int, end: int) -> int:
    """What a span's tag says, its name ending at ``at``: 1 rendered by KaTeX, 2 by MathJax, 3 not shown to readers; else 0."""
    i = at
    while i + 6 < end:
        c = html[i] | 32
        if c == 107 and is_at(html, i, end, KATEX):
            return 1
        if c == 109 and (is_at(html, i, end, MATHJAX) or is_at(html, i, end, MJX)):
            return 2
        if c == 45 and html[i - 1] | 32 == 97 and html[i + 1] | 32 == 104 and html[i + 2] | 32 == 105:  # aria-hidden
            i += 7
            while i < end and (html[i] == 61 or html[i] == 34 or html[i] == 39):
                i += 1
            return 3 if i < end and html[i] | 32 == 116 else 0
        i += 1
    return 0


@bare
def source_follows(html: Bytes, at: int, end: int) -> Any:
    """Whether a script with TeX comes next, after closing tags and other rendered spans; and where the search ended."""
    end = min(end, at + FAR)
    while at + 8 < end:
        if html[at] <= 32:
            at += 1
        elif html[at] != 60:
            return False, at
        elif html[at + 1] == 47:
            at = tag_end(html, at + 2, end)
        else:
            code, after = name_at(html, at + 1, end)
            if code == SCRIPT_TAG:
                return script_formula(html, after, tag_end(html, after, end)), at
            inside = tag_end(html, after, end)
            if code != SPAN_TAG or renders(html, after, inside) != 2:
                return False, at
            past = span_end(html, inside, end)
            if past < 0:
                return False, end
            at = past
    return False, at


@bare
def math_in(html: Bytes, at: int, end: int) -> int:
    """Where a ``<math>`` begins; -1 if there is none."""
    while at + 5 < end:
        at = find(html, at, end, 60)
        if at + 5 < end and html[at + 1] | 32 == 109 and name_at(html, at + 1, end)[0] == MATH_TAG:
            return at
        at += 1
    return -1


@bare
def stripped(html: Bytes, at: int, end: int) -> Any:
    r"""TeX without space, ``{\displaystyle }`` and delimiters around it: its begin, its end, whether it is displayed."""
    display = False
    for _ in range(4):
        while at < end and html[at] <= 32:
            at += 1
        while end > at and html[end - 1] <= 32:
            end -= 1
        wrapped = end - at >= 2 and html[end - 1] == 125
        if wrapped and is_at(html, at, end, DISPLAYSTYLE):
            at, end = at + len(DISPLAYSTYLE), end - 1
        elif wrapped and is_at(html, at, end, TEXTSTYLE):
            at, end = at + len(TEXTSTYLE), end - 1
        elif end - at >= 8 and html[end - 1] == 36 and is_at(html, at, end, DOLLAR_LATEX):
            at, end = at + len(DOLLAR_LATEX), end - 1
        elif end - at >= 5 and html[at] == 36 and html[at + 1] == 36 and html[end - 1] == 36 and html[end - 2] == 36:
            at, end, display = at + 2, end - 2, True
        elif end - at >= 3 and html[at] == 36 and html[end - 1] == 36:
            at, end = at + 1, end - 1
        elif end - at >= 5 and html[at] == 92 and html[end - 2] == 92 and html[at + 1] == 40 and html[end - 1] == 41:
            at, end = at + 2, end - 2
        elif end - at >= 5 and html[at] == 92 and html[end - 2] == 92 and html[at + 1] == 91 and html[end - 1] == 93:
            at, end, display = at + 2, end - 2, True
        else:
            break
    return at, end, display


@bare
def write_tex(out: Bytes, n: int, html: Bytes, at: int, end: int, display: bool, dollars: bool) -> int:
    """Write TeX between delimiters, in one line: where the text ends then. Nothing is written for empty TeX."""
    at, end, shown = stripped(html, at, end)
    display = display or shown
    if at >= end:
        return n
    if dollars:
        out[n] = 36
        out[n + 1] = 36
        n += 2 if display else 1
    else:
        out[n] = 92
        out[n + 1] = 91 if display else 40
        n += 2
    blank = False
    while at < end:
        c = html[at]
        if c > 32:
            out[n] = c
            n += 1
        elif not blank:
            out[n] = 32
            n += 1
        blank = c <= 32
        at += 1
    if dollars:
        out[n] = 36
        out[n + 1] = 36
        return n + (2 if display else 1)
    out[n] = 92
    out[n + 1] = 93 if display else 41
    return n + 2


@bare
def mark_before(kind: Any, child: int) -> int:
    """The mark between an element's children: before the ``child``-th, from 0."""
    if child == 1:
        if kind == MFRAC:
            return 47  # /
        if kind == MSUP or kind == MOVER:
            return 94  # ^
        if kind == MSUB or kind == MUNDER or kind == MSUBSUP or kind == MUNDEROVER:
            return 95  # _
        if kind == MTR:
            return 32
    if child == 2 and (kind == MSUBSUP or kind == MUNDEROVER):
        return 94
    return 32 if child > 0 and kind == MTR else 44 if child > 0 and kind == MFENCED else 0


@bare
def grouped(kind: Any) -> Any:
    """Whether an element's children are written in brackets if they have more than one character."""
    return (
        kind == MFRAC
        or kind == MSUP
        or kind == MSUB
        or kind == MSUBSUP
        or kind == MOVER
        or kind == MUNDER
        or kind == MUNDEROVER
    )


@bare
def bracketed(out: Bytes, start: int, n: int) -> int:
    """Put what has been written since ``start`` in brackets, if it is more than a number or one character."""
    characters, plain = 0, True
    for k in range(start, n):
        characters += out[k] & 192 != 128
        plain = plain and (48 <= out[k] <= 57 or out[k] == 46)
    if characters < 2 or plain or (out[start] == 38 and out[n - 1] == 59 and characters < 10):  # one reference
        return n
    for k in range(n, start, -1):
        out[k] = out[k - 1]
    out[start] = 40
    out[n + 1] = 41
    return n + 2


@bare
def write_math(out: Bytes, n: int, html: Bytes, at: int, stop: int, kinds: Any, children: Any, starts: Any) -> int:
    """Write MathML, its content in ``at`` to ``stop``, as readable text: where the text ends then.

    ``kinds: uint64[DEEP]``, ``children`` and ``starts: int64[DEEP]`` are room for the open elements.
    """
    depth, over, begun = 0, 0, n
    while at < stop:
        c = html[at]
        if c == 60:
            shut = at + 1 < stop and html[at + 1] == 47
            code, after = name_at(html, at + (2 if shut else 1), stop)
            end = tag_end(html, after, stop)
            single = not shut and end - 2 > at and html[end - 2] == 47
            if code == ANNOTATION and not shut and not single:
                past = closing(html, end, stop, code)
                at = tag_end(html, past, stop) if past >= 0 else stop
                continue
            at = end
            if not shut:
                if depth > 0 and over == 0:
                    mark = mark_before(kinds[depth - 1], children[depth - 1])
                    if mark and n > begun:
                        out[n] = mark
                        n += 1
                    children[depth - 1] += 1
                if code == MSPACE or (code == MTR and n > begun):
                    out[n] = 32
                    n += 1
                if not single:
                    if depth < len(kinds) and over == 0:
                        if code == MFENCED:
                            out[n] = 40
                            n += 1
                        if code == MSQRT or code == MROOT:
                            out[n] = 0xE2
                            out[n + 1] = 0x88
                            out[n + 2] = 0x9A
                            n += 3
                        kinds[depth], children[depth], starts[depth] = code, 0, n
                        depth += 1
                    else:
                        over += 1
            elif over:
                over -= 1
            elif depth > 0:
                depth -= 1
                kind, start = kinds[depth], starts[depth]
                if kind == MFENCED:
                    out[n] = 41
                    n += 1
                if n > start and (kind == MSQRT or kind == MROOT or (depth > 0 and grouped(kinds[depth - 1]))):
                    n = bracketed(out, start, n)
            continue
        if c > 32 and not (c == 0xE2 and at + 2 < stop and html[at + 1] == 0x81 and 0xA1 <= html[at + 2] <= 0xA4):
            out[n] = c
            n += 1
            at += 1
        elif c > 32:
            at += 3  # invisible operators
        else:
            while at < stop and html[at] <= 32:
                at += 1
            if n > begun and at < stop and html[at] != 60 and html[at - 1] <= 32 and out[n - 1] != 32:
                out[n] = 32
                n += 1
    while n > begun and out[n - 1] == 32:
        n -= 1
    return n
