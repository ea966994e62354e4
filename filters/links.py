"""URLs in texts: found as the reference's patterns find them, and removed.

Invariants: the spans are those that the regular expressions of `remove_urls` match from left to right (`tests/reference.py`
has the expressions). The kernels search for dots beside letters or digits, since nearly every word could begin a URL.
"""

from functools import cache
from typing import Any

import numpy as np

from goldwash.filters import characters as c
from goldwash.filters.bits import COLON, DIGITS, DOMAIN_BEGINNINGS, FULL_STOP, SLASH, SMALL_W, block, lowest
from goldwash.filters.cut import Bytes, Rows, code_point, code_point_before, room_for
from goldwash.filters.domains import public_suffixes
from goldwash.filters.edits import without_spans
from goldwash.filters.jit import inline, kernel
from goldwash.filters.lines import word_character
from goldwash.filters.lists import entries, hash_table, in_table
from goldwash.filters.ngrams import Hashes, hashes, row_hash
from goldwash.filters.signals import edit
from goldwash.filters.texts import Texts


@edit
def remove_urls(texts: Texts, bare_hosts: bool = True, only_after_tld: bool = False, tlds: str | tuple[str, ...] = ()) -> Texts:
    """Remove URLs and IPv4 addresses, with up to ten white-space characters before each.

    A URL is 1 to 256 of ``[-a-zA-Z0-9@:%._+~#=]``, a dot, a top-level domain in lower case, a word boundary and any URL
    characters that follow, with an optional ``http://``, ``https://`` or ``ftp://`` before it. If ``bare_hosts`` is false, the
    scheme or ``www.`` is required, and the scheme for addresses, so that ``main.py``, ``asp.net``, e-mail addresses and version
    numbers stay.

    ``only_after_tld``: URLs (not addresses) are removed only from texts that begin with the letters of a top-level domain. This
    repeats a fault of the reference, which matches its pattern where it should search. ``tlds``: a list; by default, those of
    tldextract's snapshot of the Public Suffix List and the withdrawn ones that the reference has.
    """
    known = tuple(tlds) if isinstance(tlds, tuple) and tlds else entries(tlds) if isinstance(tlds, str) else top_level_domains()
    table, longest = tld_table(known)
    may_have = np.ones(len(texts), bool) if bare_hosts else url_beginnings(texts.utf8, texts.starts, texts.ends)
    active = may_have & _begins_with_tld(texts, known, table, longest) if only_after_tld else may_have
    kinds, classes = _url_characters(), c.classes()
    spans = url_spans(texts.utf8, texts.starts, texts.ends, active, kinds, classes, table, longest, bare_hosts)
    texts = without_spans(texts, *spans)
    spans = address_spans(texts.utf8, texts.starts, texts.ends, may_have, kinds, classes, bare_hosts)
    return without_spans(texts, *spans)


WITHDRAWN = [
    "an", "bl", "bq", "eh", "mf", "um", "tp", "abarth", "active", "adac", "afamilycompany", "aigo", "alfaromeo",
    "bananarepublic", "blanco", "bnl", "boots", "budapest", "bugatti", "cadillac", "cancerresearch", "caseih", "cartier",
    "cbs", "ceb", "chloe", "chrysler", "cityeats", "comcast", "connectors", "cookingchannel", "csc", "dabur", "doosan",
    "dodge", "doha", "duck", "duns", "dwg", "epost", "esurance", "etisalat", "everbank", "fiat", "foodnetwork",
    "frontdoor", "fujixerox", "gcc", "glade", "goodhands", "gree", "guardian", "hgtv", "honeywell", "hoteles", "htc",
    "iinet", "innovation", "intel", "iselect", "iveco", "jcp", "jlc", "kerrylogistics", "kinder", "ladbrokes", "lancia",
    "lancome", "liaison", "linde", "lipsy", "lixil", "loft", "lupin", "maserati", "mcd", "mcdonalds", "metlife", "meo",
    "mobily", "montblanc", "mopar", "movistar", "mtpc", "mutual", "mutuelle", "nadex", "nationwide", "natura",
    "newholland", "northwesternmutual", "off", "oldnavy", "onyourside", "orientexpress", "pamperedchef", "panerai",
    "passagens", "piaget", "qvc", "raid", "rightathome", "rmit", "rocher", "sapo", "sca", "scor", "scjohnson", "ses",
    "shaw", "shriram", "showtime", "skolkovo", "spiegel", "spreadbetting", "srt", "starhub", "statoil", "swiftcover",
    "symantec", "telecity", "telefonica", "theguardian", "tiffany", "travelchannel", "uconnect", "vista", "vistaprint",
    "vons", "volkswagen", "vuelos", "warman", "xfinity", "xperia", "zippo",
]  # fmt: skip
"""Domains once delegated or reserved (IANA root database) that the reference's list of 2023 still has."""


@cache
def top_level_domains() -> tuple[str, ...]:
    """Top-level domains in lower case: those of the Public Suffix List, and those withdrawn since 2014."""
    return tuple(sorted({suffix.rsplit(".", 1)[-1] for suffix in public_suffixes()} | set(WITHDRAWN)))


@cache
def tld_table(tlds: tuple[str, ...]) -> tuple[Hashes, int]:
    """A table of top-level domains (`filters.lists.in_table`), and the bytes of the longest."""
    listed = Texts.of(tlds)
    table = hash_table(hashes(listed.utf8, listed.starts, listed.ends))
    table.flags.writeable = False
    return table, int(listed.byte_counts.max(initial=0))


def _begins_with_tld(texts: Texts, tlds: tuple[str, ...], table: Hashes, longest: int) -> Any:
    """Whether each text begins with a top-level domain, ignoring case: ``bool[N]``."""
    begins, known = tld_beginnings(texts.utf8, texts.starts, texts.ends, table, longest), frozenset(tlds)
    pairs = _first_two(tlds)
    for row in np.flatnonzero(begins == UNSURE):
        first, last = texts.starts[row], min(texts.ends[row], texts.starts[row] + 4 * longest)
        begin = texts.utf8[first:last].tobytes().decode("utf-8", "ignore").lower()
        begins[row] = (begin[:2] in pairs or begin[:1] in pairs) and any(begin[:size] in known for size in range(longest + 1))
    return begins == 1


@cache
def _first_two(tlds: tuple[str, ...]) -> frozenset[str]:
    """The first two characters of each, or its only one: most texts beyond ASCII begin otherwise."""
    return frozenset(tld[:2] for tld in tlds)


UNSURE = np.int64(2)


@kernel
def tld_beginnings(utf8: Bytes, starts: Rows, ends: Rows, tlds: Hashes, longest: int) -> Any:
    """1 for a row that begins with a top-level domain, ignoring ASCII case, 0 for one that does not: ``int64[N]``.

    `UNSURE` where that depends on a character beyond ASCII, which may have a lower case of its own.
    """
    out = np.zeros(len(starts), np.int64)
    for row in range(len(starts)):
        i = starts[row]
        while i < ends[row] and i - starts[row] < longest and out[row] == 0:
            if utf8[i] >= 0x80:
                out[row] = UNSURE
            elif in_table(tlds, row_hash(utf8, starts[row], i + 1, True)):
                out[row] = 1
            i += 1
    return out


@cache
def _url_characters() -> Bytes:
    """Bit 1: allowed before a URL's last dot. Bit 2: allowed after its domain."""
    table = np.zeros(128, np.uint8)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    table[[ord(x) for x in letters + "-@:%._+~#="]] |= 1
    table[[ord(x) for x in letters + "-()@:%_+.~#?&/="]] |= 2
    table.flags.writeable = False
    return table


@inline
def _domain_end(utf8: Bytes, dot: int, end: int, classes: Bytes, tlds: Hashes, longest: int) -> Any:
    """The index after the longest top-level domain that follows a dot and ends at a word boundary; -1 if there is none."""
    best: Any = -1
    i: Any = dot + 1
    if i >= end or (utf8[i] < 0x80 and not 97 <= utf8[i] <= 122):
        return best
    inside = False  # whether the character before i is a word character
    while i <= end and i - dot - 1 <= longest:
        point, after = code_point(utf8, i) if i < end else (32, i + 1)
        word = word_character(point, classes)
        if i > dot + 1 and word != inside and in_table(tlds, row_hash(utf8, dot + 1, i, False)):
            best = i
        if not word and not (i < end and (point == 45 or point >= 0x80)):  # only hyphens and marks continue a domain
            break
        inside = word
        i = after
    return best


@inline
def _spaces_before(utf8: Bytes, i: int, floor: int, classes: Bytes) -> Any:
    """The start of up to ten white-space characters that end at byte ``i``."""
    for _ in range(10):
        if i <= floor:
            break
        point, before = code_point_before(utf8, i)
        if not classes[point] & c.SPACE:
            break
        i = before
    return i


@inline
def _scheme_before(utf8: Bytes, i: int, floor: int) -> Any:
    """The start of ``http://``, ``https://`` or ``ftp://`` that ends at byte ``i``; ``i`` if there is none."""
    if i - floor < 6 or utf8[i - 1] != 47 or utf8[i - 2] != 47 or utf8[i - 3] != 58:
        return i
    e = i - 3
    if utf8[e - 1] == 112 and utf8[e - 2] == 116 and utf8[e - 3] == 102:  # ftp
        return e - 3
    s = e - 1 if utf8[e - 1] == 115 else e
    if s - floor >= 4 and utf8[s - 1] == 112 and utf8[s - 2] == 116 and utf8[s - 3] == 116 and utf8[s - 4] == 104:
        return s - 4
    return i


@kernel
def url_beginnings(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Whether each row has ``://`` or ``www.``: ``bool[N]``. A URL with a scheme or "www." has one of them.

    The search is for two equal bytes, slashes or w's, side by side.
    """
    out = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        first, last = starts[row], ends[row]
        i, stop = np.uint64(first), np.uint64(last)
        slash_before, w_before = np.uint64(0), np.uint64(0)
        while i < stop and not out[row]:
            slashes, ws = block(utf8, i, stop, SLASH), block(utf8, i, stop, SMALL_W)
            pairs = (slashes & ((slashes << np.uint64(1)) | slash_before)) | (ws & ((ws << np.uint64(1)) | w_before))
            slash_before, w_before = slashes >> np.uint64(63), ws >> np.uint64(63)
            while pairs != np.uint64(0):
                at = np.int64(i) + lowest(pairs)  # the second of two
                pairs &= pairs - np.uint64(1)
                if utf8[at] == SLASH:
                    out[row] |= at - 2 >= first and utf8[at - 2] == COLON
                else:
                    out[row] |= at + 2 < last and utf8[at + 1] == SMALL_W and utf8[at + 2] == FULL_STOP
            i += np.uint64(64)
    return out


@inline
def _next_host_dot(utf8: Bytes, start: int, end: int) -> Any:
    """The first dot from ``start`` before a byte that may begin a top-level domain; ``end`` if there is none."""
    i, last = np.uint64(start), np.uint64(end)
    while i < last:
        found = block(utf8, i, last, FULL_STOP) & block(utf8, min(i + np.uint64(1), last), last, DOMAIN_BEGINNINGS)
        if found != np.uint64(0):
            return np.int64(i) + lowest(found)
        i += np.uint64(64)
    return np.int64(end)


@inline
def _next_quad_dot(utf8: Bytes, start: int, end: int) -> Any:
    """The first dot between two digits, both from ``start``; ``end`` if there is none."""
    i, last, digit_before = np.uint64(start), np.uint64(end), np.uint64(0)
    while i < last:
        digits = block(utf8, i, last, DIGITS)
        found = block(utf8, i, last, FULL_STOP) & ((digits << np.uint64(1)) | digit_before)
        digit_before = digits >> np.uint64(63)
        while found != np.uint64(0):
            dot = np.int64(i) + lowest(found)
            found &= found - np.uint64(1)
            if dot + 1 < end and 48 <= utf8[dot + 1] <= 57:
                return dot
        i += np.uint64(64)
    return np.int64(end)


@kernel
def url_spans(
    utf8: Bytes, starts: Rows, ends: Rows, active: Bytes, kinds: Bytes, classes: Bytes, tlds: Hashes, longest: int, bare: bool
) -> Any:
    """The matches of `remove_urls`'s pattern in active texts, from left to right: ``(rows, starts, ends)``.

    The search is for dots, since nearly every word could begin a URL.
    """
    room = room_for(starts, ends, 4, 0)
    rows, span_starts, span_ends = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    n = np.int64(0)
    for row in range(len(starts)):
        if not active[row]:
            continue
        floor = starts[row]
        end = ends[row]
        i = _next_host_dot(utf8, floor, end)
        while i < end:
            if _domain_end(utf8, i, end, classes, tlds, longest) < 0:
                i = _next_host_dot(utf8, i + 1, end)
                continue
            run = i
            while run > floor and utf8[run - 1] < 0x80 and kinds[utf8[run - 1]] & 1:
                run -= 1
            if run == i:
                i = _next_host_dot(utf8, i + 1, end)
                continue
            first = max(run, i - 256)
            scheme = _scheme_before(utf8, first, floor) if first == run else first
            run_end = i
            while run_end < end and utf8[run_end] < 0x80 and kinds[utf8[run_end]] & 1:
                run_end += 1
            www = first + 4 < end and utf8[first] == 119 and utf8[first + 1] == 119 and utf8[first + 2] == 119
            if not bare and scheme == first and not (www and utf8[first + 3] == 46):
                i = _next_host_dot(utf8, run_end, end)
                continue
            stop = np.int64(-1)
            dot = min(run_end, first + 257)
            while stop < 0:
                dot -= 1
                if utf8[dot] == 46:
                    stop = _domain_end(utf8, dot, end, classes, tlds, longest)
            while stop < end and utf8[stop] < 0x80 and kinds[utf8[stop]] & 2:
                stop += 1
            rows[n], span_starts[n], span_ends[n] = row, _spaces_before(utf8, scheme, floor, classes), stop
            n += 1
            floor = stop
            i = _next_host_dot(utf8, stop, end)
    return rows[:n], span_starts[:n], span_ends[:n]


@inline
def _quad_end(utf8: Bytes, i: int, end: int) -> Any:
    """The index after the last group's first digit if a dotted quad begins at byte ``i``; else -1."""
    for group in range(4):
        digits = 0
        while i + digits < end and digits < 4 and 48 <= utf8[i + digits] <= 57:
            digits += 1
        if digits == 0:
            return -1
        if group == 3:
            return i + 1
        if digits == 4 or (digits == 3 and utf8[i] > 50) or i + digits >= end or utf8[i + digits] != 46:
            return -1
        i += digits + 1
    return -1


@kernel
def address_spans(utf8: Bytes, starts: Rows, ends: Rows, active: Bytes, kinds: Bytes, classes: Bytes, bare: bool) -> Any:
    """IPv4 addresses in active texts, with the URL characters after them and an optional scheme and spaces before.

    Returns ``(rows, starts, ends)``. A group is one or two digits, or three up to 299; the address begins at a word boundary.
    """
    room = room_for(starts, ends, 7, 0)
    rows, span_starts, span_ends = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    n = np.int64(0)
    for row in range(len(starts)):
        floor, end = starts[row], ends[row]
        if not active[row]:
            continue
        i = _next_quad_dot(utf8, floor, end)
        while i < end:
            digits = i
            while digits > floor and 48 <= utf8[digits - 1] <= 57:
                digits -= 1
            i = _next_quad_dot(utf8, i + 1, end)
            if digits > floor and _word_before(utf8, digits, classes):
                continue
            stop = _quad_end(utf8, digits, end)
            first = _scheme_before(utf8, digits, floor)
            if first > floor and first < digits and _word_before(utf8, first, classes):
                first = digits
            if stop < 0 or (first == digits and not bare):
                continue
            while stop < end and utf8[stop] < 0x80 and kinds[utf8[stop]] & 2:
                stop += 1
            rows[n], span_starts[n], span_ends[n] = row, _spaces_before(utf8, first, floor, classes), stop
            n += 1
            floor = stop
            i = _next_quad_dot(utf8, stop, end)
    return rows[:n], span_starts[:n], span_ends[:n]


@inline
def _word_before(utf8: Bytes, i: int, classes: Bytes) -> Any:
    return word_character(code_point_before(utf8, i)[0], classes)
