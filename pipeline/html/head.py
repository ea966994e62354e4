"""A page's title and language, found in one pass over its tags, without a tree.

Invariants: comments, declarations, attribute values and the contents of scripts, styles, drawings and text fields are no tags.
Linear in the bytes that are looked at. Bytes are UTF-8.
"""

from typing import Any

import numpy as np

from goldwash.filters.bits import LESS_THAN, block, find, lowest
from goldwash.filters.cut import Bytes
from goldwash.filters.jit import inline, kernel
from goldwash.pipeline.html.visible_text import closing, comment_end, name_at, tag_end

RAW = ("svg", "math", "template", "script", "style", "textarea", "xmp", "iframe", "noembed", "noframes")
"""Elements whose content holds no title of the page. Not closed, the first three end at once, the others never."""
_SHORT = 3
_CODES = np.array([int.from_bytes(name.encode()[:8]) for name in RAW], np.uint64)
_TITLE, _HTML, _SVG, _MATH = (int.from_bytes(name.encode()) for name in ("title", "html", "svg", "math"))
_CUT = np.array([int.from_bytes(name.encode()) for name in ("meta", "link", "script", "style", "body")], np.uint64)
"""Tags that end a title which is not closed."""
_LANG = np.frombuffer(b"lang", np.uint8)
_SMALL_H, _CAPITAL_H, _SMALL_T, _CAPITAL_T = map(np.int64, b"hHtT")


@inline
def _next(html: Bytes, at: int, end: int, small: Any, capital: Any, name: Any) -> Any:
    """The first place from ``at`` where a tag of a name may begin, in a comment or a value or not; ``end`` if there is none."""
    i, last = np.uint64(at), np.uint64(end)
    while i < last:
        after = i + np.uint64(1)
        found = block(html, i, last, LESS_THAN) & (block(html, after, last, small) | block(html, after, last, capital))
        while found != np.uint64(0):
            place = np.int64(i) + lowest(found)
            if name_at(html, place + 1, end)[0] == np.uint64(name):
                return place
            found &= found - np.uint64(1)
        i += np.uint64(64)
    return np.int64(end)


@kernel
def _spans(html: Bytes, most: int, raw: Any, cut: Any, lang: Bytes) -> Any:
    spans = np.full(4, -1, np.int64)
    at, end, unclosed = 0, min(len(html), most), 0
    title, root = np.int64(-1), np.int64(-1)  # where the next tags may be: half of the pages name no language
    while at + 1 < end:
        if spans[0] < 0 and title < at:
            title = _next(html, at, end, _SMALL_T, _CAPITAL_T, _TITLE)
        if spans[2] < 0 and root < at:
            root = _next(html, at, end, _SMALL_H, _CAPITAL_H, _HTML)
        if (spans[0] >= 0 or title == end) and (spans[2] >= 0 or root == end):
            break
        at = find(html, at, end, 60)
        if at + 1 >= end:
            break
        c = html[at + 1]
        if c == 33 and at + 3 < end and html[at + 2] == 45 and html[at + 3] == 45:
            at = comment_end(html, at + 3, end)
        elif c == 33 or c == 63 or (c == 47 and at + 2 < end and not 97 <= html[at + 2] | 32 <= 122):
            at = find(html, at, end, 62) + 1
        elif c == 47:
            at = tag_end(html, at + 2, end)
        elif 97 <= c | 32 <= 122:
            code, after = name_at(html, at + 1, end)
            own = after < end and html[after] == 45
            at = tag_end(html, after, end)
            if own:
                continue
            if code == np.uint64(_HTML) and spans[2] < 0:
                _language(html, after, at, lang, spans)
            elif code == np.uint64(_TITLE) and spans[0] < 0:
                stop = closing(html, at, end, code)
                spans[0], spans[1] = at, stop if stop >= 0 else _cut_off(html, at, end, cut)
                at = spans[1]
            else:
                drawing = code == np.uint64(_SVG) or code == np.uint64(_MATH)
                if drawing and html[at - 2] == 47:  # it closes itself
                    continue
                for k in range(len(raw)):
                    if code == raw[k]:
                        if not unclosed >> k & 1:
                            stop = closing(html, at, end, code)
                            unclosed |= (1 if stop < 0 else 0) << k
                            at = stop if stop >= 0 else at if k < _SHORT else end
                        break
        else:
            at += 1
    return spans[0], spans[1], spans[2], spans[3]


@kernel
def _language(html: Bytes, at: int, end: int, lang: Bytes, spans: Any) -> None:
    """Find the value of the first ``lang`` or ``xml:lang`` of a tag."""
    while at < end:
        while at < end and (html[at] <= 32 or html[at] == 47):
            at += 1
        start = at
        while at < end and html[at] > 32 and html[at] != 61 and html[at] != 62 and html[at] != 47:
            at += 1
        name_end = at
        while at < end and html[at] <= 32:
            at += 1
        if at >= end or html[at] == 62:
            return
        if html[at] != 61:
            at += at == start  # a byte that begins nothing
            continue
        at += 1
        while at < end and html[at] <= 32:
            at += 1
        quote = html[at] if at < end and (html[at] == 34 or html[at] == 39) else 0
        at += quote > 0
        first = at
        while at < end and (html[at] != quote if quote else html[at] > 32 and html[at] != 62):
            at += 1
        size = name_end - start
        named = size == 4 or (size == 8 and html[start] | 32 == 120 and html[start + 3] == 58)
        for k in range(4):
            named = named and html[name_end - 4 + k] | 32 == lang[k]
        if named and at > first:
            spans[2], spans[3] = first, at
            return
        at += quote > 0


@kernel
def _cut_off(html: Bytes, at: int, end: int, cut: Any) -> int:
    """Where a title that is not closed ends: at the first tag that cannot be in one."""
    while at + 1 < end:
        at = find(html, at, end, 60)
        if at + 1 < end and 97 <= html[at + 1] | 32 <= 122:
            code, _ = name_at(html, at + 1, end)
            for k in range(len(cut)):
                if code == cut[k]:
                    return at
        at += 1
    return end


def head_spans(html: Any, most: int) -> tuple[int, int, int, int]:
    """Where a page's title and language begin and end within its first ``most`` bytes, ``html: uint8[bytes]``; -1 for none."""
    found: tuple[int, int, int, int] = _spans(html, most, _CODES, _CUT, _LANG)
    return found
