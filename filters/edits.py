"""Edits: texts in, texts out.

Law: an edit gives as many texts as it gets, a text that nothing changes keeps its bytes' place, and where nothing changes at
all the same `Texts` comes back with all that was measured of it. Whether an emptied text is dropped is its caller's affair.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from filters import characters as c
from filters.cut import NEWLINE, Bytes, Rows, code_point, code_point_before, room_for, strip
from filters.jit import kernel, part
from filters.lines import word_character
from filters.lists import entries, hash_table, in_table
from filters.ngrams import Hashes, hashes, row_hash
from filters.phrases import containing
from filters.signal import Keep, edit
from filters.texts import Texts, copied


@dataclass(frozen=True)
class KeepLines:
    """Leaves out the lines that a `Keep` does not pass; empty lines stay, unless ``empty`` is False.

    ``strip``: the text's ends are stripped of white space afterwards.
    """

    keep: Keep
    strip: bool = True
    empty: bool = True

    @property
    def name(self) -> str:
        """``lines.`` and the signal's name: what it is called in reports."""
        return f"lines.{self.keep.signal.name}"

    def __call__(self, texts: Texts) -> Texts:
        """The texts without the lines that do not pass."""
        lines = texts.lines
        passed = self.keep.passes(self.keep.signal.measure(lines))
        if self.empty:
            passed |= lines.starts == lines.ends
        if not passed.all():
            texts = without_lines(texts, passed)
        return stripped(texts) if self.strip else texts


@edit
def squeeze_newlines(texts: Texts, max: int = 2) -> Texts:
    """Runs of more than ``max`` newlines become ``max`` (RefinedWeb, 2306.01116, G.2); a line of spaces ends a run."""
    rows, utf8, starts, ends = squeezed(texts.utf8, texts.starts, texts.ends, max)
    return texts.replace(rows, Texts(utf8, starts, ends))


@edit
def remove_urls(texts: Texts, bare_hosts: bool = True, only_after_tld: bool = False, tlds: str | tuple[str, ...] = ()) -> Texts:
    """URLs and IPv4 addresses taken out, with up to ten white-space characters before each.

    A URL is 1 to 256 of ``[-a-zA-Z0-9@:%._+~#=]``, a dot, a top-level domain in small letters, a word boundary and what URL
    characters follow; perhaps with ``http://``, ``https://`` or ``ftp://`` before it. With ``bare_hosts`` false it needs that
    or ``www.``, and addresses need the scheme, so that ``main.py``, ``asp.net``, e-mail and version numbers stay.

    ``only_after_tld``: URLs (not addresses) are looked for only where the text itself begins with the letters of a top-level
    domain; a fault of the reference (its pattern is matched where it should be searched). ``tlds``: a list; without one,
    those of tldextract's snapshot of the Public Suffix List and the withdrawn ones that the reference has.
    """
    known = tuple(tlds) if isinstance(tlds, tuple) and tlds else entries(tlds) if isinstance(tlds, str) else top_level_domains()
    table, longest = _tld_table(known)
    active = _begins_with_tld(texts, known) if only_after_tld else np.ones(len(texts), bool)
    kinds, classes = _url_characters(), c.classes()
    spans = url_spans(texts.utf8, texts.starts, texts.ends, active, kinds, classes, table, longest, bare_hosts)
    texts = without_spans(texts, *spans)
    spans = address_spans(texts.utf8, texts.starts, texts.ends, kinds, classes, bare_hosts)
    return without_spans(texts, *spans)


@edit
def remove_citations(texts: Texts) -> Texts:
    """Wikipedia's marks taken out: ``[1]``, ``[]``, ``[edit]``, ``[citation needed]`` (C4's code)."""
    rows = np.flatnonzero(containing(texts.utf8, texts.starts, texts.ends, np.frombuffer(b"[", np.uint8).copy()))
    found = [(int(row), match) for row in rows for match in _CITATION.finditer(bytes(_row(texts, row)))]
    owners = np.array([row for row, _ in found], np.int64)
    firsts = np.array([texts.starts[row] + match.start() for row, match in found], np.int64)
    lasts = np.array([texts.starts[row] + match.end() for row, match in found], np.int64)
    return without_spans(texts, owners, firsts, lasts)


_CITATION = re.compile(rb"\[\d*\]|\[edit\]|\[citation needed\]")


def _row(texts: Texts, row: Any) -> Bytes:
    return texts.utf8[texts.starts[row] : texts.ends[row]]


@edit
def delete_phrase(
    texts: Texts, phrase: str, position: str = "anywhere", max_words: int = 10, dot_is_any_character: bool = False
) -> Texts:
    """A phrase taken out of short lines, with one white-space character at its side; a line left blank goes with it.

    Case is ignored. ``position``: ``anywhere``, ``prefix`` or ``suffix`` of a line of up to ``max_words`` white-space words
    (RefinedWeb, 2306.01116, G.2). ``dot_is_any_character``: each ``.`` of the phrase stands for any character, as in the
    reference, which forgets to escape them. The text's ends are stripped.
    """
    pattern = phrase_pattern(phrase, position, dot_is_any_character)
    literal = max(phrase.split("."), key=len) if dot_is_any_character else phrase
    lines = texts.lines
    if literal.isascii():
        needle = np.frombuffer(literal.lower().encode(), np.uint8).copy()
        found = np.flatnonzero(containing(lines.utf8, lines.starts, lines.ends, needle))
    else:  # the pattern knows every script's capitals
        found = np.arange(len(lines))
    if len(found):
        left_out = np.ones(len(lines), bool)
        changed, new = [], []
        for line in found:
            text = lines[line]
            if len(text.split()) <= max_words and (after := pattern.sub("", text)) != text:
                if after and not after.isspace():
                    changed.append(line)
                    new.append(after)
                else:
                    left_out[line] = False
        lines_after = lines.replace(np.array(changed, np.int64), Texts.of(new))
        touched = np.union1d(np.array(changed, np.int64), np.flatnonzero(~left_out))
        if len(touched):
            rows = np.unique(np.searchsorted(lines.parents, touched, side="right") - 1)
            _, utf8, starts, ends = rejoined(
                lines_after.utf8, lines_after.starts, lines_after.ends, lines.parents, left_out, rows, True
            )
            texts = texts.replace(rows, Texts(utf8, starts, ends))
    return stripped(texts)


def phrase_pattern(phrase: str, position: str, dot_is_any_character: bool) -> re.Pattern[str]:
    """The regular expression of `delete_phrase`."""
    body = re.escape(phrase)
    if dot_is_any_character:
        body = body.replace(r"\.", ".")
    forms = {"anywhere": rf"\s?(?:{body})", "prefix": rf"^(?:{body})\s?", "suffix": rf"\s?(?:{body})$"}
    if position not in forms:
        raise ValueError(f"delete_phrase: position is {position!r}; give one of: {', '.join(forms)}")
    return re.compile(forms[position], re.IGNORECASE)


def stripped(texts: Texts) -> Texts:
    """The texts without white space at their ends; the same object where there is none."""
    starts, ends = strip(texts.utf8, texts.starts, texts.ends, c.classes())
    if np.array_equal(starts, texts.starts) and np.array_equal(ends, texts.ends):
        return texts
    return Texts(texts.utf8, starts, ends)


def without_lines(texts: Texts, passed: Any) -> Texts:
    """The texts with only the lines (rows of ``texts.lines``) that passed."""
    lines = texts.lines
    every = np.arange(len(texts))
    rows, utf8, starts, ends = rejoined(lines.utf8, lines.starts, lines.ends, lines.parents, passed, every, False)
    return texts.replace(rows, Texts(utf8, starts, ends))


def without_spans(texts: Texts, rows: Rows, span_starts: Rows, span_ends: Rows) -> Texts:
    """The texts without some byte ranges, which are in order and do not overlap: of row ``rows[k]``, ``span_starts[k]`` on."""
    return texts.replace(*_cut_out(texts, rows, span_starts, span_ends))


def _cut_out(texts: Texts, rows: Rows, span_starts: Rows, span_ends: Rows) -> tuple[Rows, Texts]:
    changed, utf8, starts, ends = cut_out(texts.utf8, texts.starts, texts.ends, rows, span_starts, span_ends)
    return changed, Texts(utf8, starts, ends)


WITHDRAWN = [
    "an",
    "bl",
    "bq",
    "eh",
    "mf",
    "um",
    "tp",
    "abarth",
    "active",
    "adac",
    "afamilycompany",
    "aigo",
    "alfaromeo",
    "bananarepublic",
    "blanco",
    "bnl",
    "boots",
    "budapest",
    "bugatti",
    "cadillac",
    "cancerresearch",
    "caseih",
    "cartier",
    "cbs",
    "ceb",
    "chloe",
    "chrysler",
    "cityeats",
    "comcast",
    "connectors",
    "cookingchannel",
    "csc",
    "dabur",
    "doosan",
    "dodge",
    "doha",
    "duck",
    "duns",
    "dwg",
    "epost",
    "esurance",
    "etisalat",
    "everbank",
    "fiat",
    "foodnetwork",
    "frontdoor",
    "fujixerox",
    "gcc",
    "glade",
    "goodhands",
    "gree",
    "guardian",
    "hgtv",
    "honeywell",
    "hoteles",
    "htc",
    "iinet",
    "innovation",
    "intel",
    "iselect",
    "iveco",
    "jcp",
    "jlc",
    "kerrylogistics",
    "kinder",
    "ladbrokes",
    "lancia",
    "lancome",
    "liaison",
    "linde",
    "lipsy",
    "lixil",
    "loft",
    "lupin",
    "maserati",
    "mcd",
    "mcdonalds",
    "metlife",
    "meo",
    "mobily",
    "montblanc",
    "mopar",
    "movistar",
    "mtpc",
    "mutual",
    "mutuelle",
    "nadex",
    "nationwide",
    "natura",
    "newholland",
    "northwesternmutual",
    "off",
    "oldnavy",
    "onyourside",
    "orientexpress",
    "pamperedchef",
    "panerai",
    "passagens",
    "piaget",
    "qvc",
    "raid",
    "rightathome",
    "rmit",
    "rocher",
    "sapo",
    "sca",
    "scor",
    "scjohnson",
    "ses",
    "shaw",
    "shriram",
    "showtime",
    "skolkovo",
    "spiegel",
    "spreadbetting",
    "srt",
    "starhub",
    "statoil",
    "swiftcover",
    "symantec",
    "telecity",
    "telefonica",
    "theguardian",
    "tiffany",
    "travelchannel",
    "uconnect",
    "vista",
    "vistaprint",
    "vons",
    "volkswagen",
    "vuelos",
    "warman",
    "xfinity",
    "xperia",
    "zippo",
]
"""Delegations that the root zone once had or reserved (IANA root database), and that the reference's list of 2023 still has."""


@cache
def top_level_domains() -> tuple[str, ...]:
    """Top-level domains, lowered: those of the Public Suffix List and those withdrawn since 2014."""
    import tldextract

    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None).tlds
    return tuple(sorted({suffix.rsplit(".", 1)[-1] for suffix in suffixes} | set(WITHDRAWN)))


@cache
def _tld_table(tlds: tuple[str, ...]) -> tuple[Hashes, int]:
    listed = Texts.of(tlds)
    table = hash_table(hashes(listed.utf8, listed.starts, listed.ends))
    table.flags.writeable = False
    return table, int(listed.byte_counts.max(initial=0))


def _begins_with_tld(texts: Texts, tlds: tuple[str, ...]) -> Any:
    known, longest = set(tlds), max(map(len, tlds), default=0)

    def begins(row: int) -> bool:
        a, b = texts.starts[row], min(texts.ends[row], texts.starts[row] + 4 * longest)
        head = texts.utf8[a:b].tobytes().decode("utf-8", "ignore").lower()
        return any(head[:n] in known for n in range(1, longest + 1))

    return np.fromiter(map(begins, range(len(texts))), bool, len(texts))


@cache
def _url_characters() -> Bytes:
    """Bit 1: may stand before a URL's last dot; bit 2: may follow its domain."""
    table = np.zeros(128, np.uint8)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    table[[ord(x) for x in letters + "-@:%._+~#="]] |= 1
    table[[ord(x) for x in letters + "-()@:%_+.~#?&/="]] |= 2
    table.flags.writeable = False
    return table


@kernel
def rejoined(utf8: Bytes, starts: Rows, ends: Rows, parents: Rows, passed: Bytes, rows: Rows, all_: bool) -> Any:
    """Of these parents those that lose a line, or all, joined again from passed lines: ``(rows, utf8, starts, ends)``."""
    room = np.int64(0)
    for row in rows:
        for line in range(parents[row], parents[row + 1]):
            room += ends[line] - starts[line] + 1
    out = np.empty(room, np.uint8)
    out_rows, out_starts, out_ends = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    n, k = np.int64(0), np.int64(0)
    for row in rows:
        whole = True
        for line in range(parents[row], parents[row + 1]):
            whole &= passed[line] != 0
        if whole and not all_:
            continue
        out_rows[k], out_starts[k] = row, n
        first = True
        for line in range(parents[row], parents[row + 1]):
            if passed[line]:
                if not first:
                    out[n] = NEWLINE
                    n += 1
                first = False
                n = copied(utf8, starts[line], ends[line], out, n)
        out_ends[k] = n
        k += 1
    return out_rows[:k], out[:n], out_starts[:k], out_ends[:k]


@kernel
def squeezed(utf8: Bytes, starts: Rows, ends: Rows, most: int) -> Any:
    """Texts with a run of more than ``most`` newlines, the runs cut to ``most``: ``(rows, utf8, starts, ends)``."""
    rows, room = np.empty(len(starts), np.int64), np.int64(0)
    k = np.int64(0)
    for row in range(len(starts)):
        run = np.int64(0)
        for i in range(starts[row], ends[row]):
            run = run + 1 if utf8[i] == NEWLINE else np.int64(0)
            if run > most:
                rows[k] = row
                k += 1
                room += ends[row] - starts[row]
                break
    out, out_starts, out_ends = np.empty(room, np.uint8), np.empty(k, np.int64), np.empty(k, np.int64)
    n = np.int64(0)
    for j in range(k):
        run = np.int64(0)
        out_starts[j] = n
        for i in range(starts[rows[j]], ends[rows[j]]):
            run = run + 1 if utf8[i] == NEWLINE else np.int64(0)
            if run <= most:
                out[n] = utf8[i]
                n += 1
        out_ends[j] = n
    return rows[:k], out[:n], out_starts, out_ends


@part
def _domain_end(utf8: Bytes, dot: int, end: int, classes: Bytes, tlds: Hashes, longest: int) -> Any:
    """The byte after the longest top-level domain that follows a dot and ends at a word boundary; -1 without one."""
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
        if not word and not (i < end and (point == 45 or point >= 0x80)):  # only hyphens and marks go on inside a domain
            break
        inside = word
        i = after
    return best


@part
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


@part
def _scheme_before(utf8: Bytes, i: int, floor: int) -> Any:
    """The start of ``http://``, ``https://`` or ``ftp://`` that ends at byte ``i``; ``i`` without one."""
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
def url_spans(
    utf8: Bytes, starts: Rows, ends: Rows, active: Bytes, kinds: Bytes, classes: Bytes, tlds: Hashes, longest: int, bare: bool
) -> Any:
    """What the pattern of `remove_urls` matches in active texts, left to right: ``(rows, starts, ends)`` of the matches.

    The search is for dots, since nearly every word could begin a URL.
    """
    room = room_for(starts, ends, 4, 0)
    rows, span_starts, span_ends = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    n = np.int64(0)
    for row in range(len(starts)):
        if not active[row]:
            continue
        floor = i = starts[row]
        end = ends[row]
        while i < end:
            if utf8[i] != 46 or _domain_end(utf8, i, end, classes, tlds, longest) < 0:
                i += 1
                continue
            run = i
            while run > floor and utf8[run - 1] < 0x80 and kinds[utf8[run - 1]] & 1:
                run -= 1
            if run == i:
                i += 1
                continue
            first = max(run, i - 256)
            scheme = _scheme_before(utf8, first, floor) if first == run else first
            run_end = i
            while run_end < end and utf8[run_end] < 0x80 and kinds[utf8[run_end]] & 1:
                run_end += 1
            www = first + 4 < end and utf8[first] == 119 and utf8[first + 1] == 119 and utf8[first + 2] == 119
            if not bare and scheme == first and not (www and utf8[first + 3] == 46):
                i = run_end
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
            floor = i = stop
    return rows[:n], span_starts[:n], span_ends[:n]


@part
def _quad_end(utf8: Bytes, i: int, end: int) -> Any:
    """The byte after the last group's first digit, if a dotted quad begins at byte ``i``; -1 else."""
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
def address_spans(utf8: Bytes, starts: Rows, ends: Rows, kinds: Bytes, classes: Bytes, bare: bool) -> Any:
    """IPv4 addresses with what URL characters follow, perhaps a scheme and spaces before: ``(rows, starts, ends)``.

    A group is one or two digits, or three of which the first is at most 2; a word boundary stands before it all.
    """
    room = room_for(starts, ends, 7, 0)
    rows, span_starts, span_ends = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    n = np.int64(0)
    for row in range(len(starts)):
        floor = starts[row]
        i, end = floor, ends[row]
        while i < end:
            if not 48 <= utf8[i] <= 57:
                i += 1
                continue
            digits = i
            while i < end and 48 <= utf8[i] <= 57:
                i += 1
            if i >= end or utf8[i] != 46 or (digits > floor and _word_before(utf8, digits, classes)):
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
            i = stop
    return rows[:n], span_starts[:n], span_ends[:n]


@part
def _word_before(utf8: Bytes, i: int, classes: Bytes) -> Any:
    return word_character(code_point_before(utf8, i)[0], classes)


@kernel
def cut_out(utf8: Bytes, starts: Rows, ends: Rows, rows: Rows, span_starts: Rows, span_ends: Rows) -> Any:
    """The rows that have a span, without their spans: ``(rows, utf8, starts, ends)``."""
    changed, room, k = np.empty(len(rows), np.int64), np.int64(0), np.int64(0)
    for span in range(len(rows)):
        if span == 0 or rows[span] != rows[span - 1]:
            changed[k] = rows[span]
            room += ends[rows[span]] - starts[rows[span]]
            k += 1
    out, out_starts, out_ends = np.empty(room, np.uint8), np.empty(k, np.int64), np.empty(k, np.int64)
    n, next_ = np.int64(0), np.int64(0)
    for j in range(k):
        out_starts[j] = n
        at = starts[changed[j]]
        while next_ < len(rows) and rows[next_] == changed[j]:
            n = copied(utf8, at, span_starts[next_], out, n)
            at = span_ends[next_]
            next_ += 1
        n = copied(utf8, at, ends[changed[j]], out, n)
        out_ends[j] = n
    return changed[:k], out[:n], out_starts, out_ends
