"""Signals of URLs: bans by host, by substring and by word.

Invariants: each signal counts the distinct entries of a list that match the URL; 0 for an empty URL. A `Keep` with ``max: 0``
is a ban. ASCII case is ignored. `filters.lists` describes lists and how they are named.

An entry matches a host that equals it or is a subdomain of it (``a.b.com`` matches ``b.com``), whatever the port, the user or a
``www.``. Hosts are compared in the normal form of the URL Standard; a URL that the standard refuses is read leniently. The
reference compares the whole authority with every "www" deleted, so that ``www.b.com`` becomes ``.b.com`` and passes
(2406.11794's code); ``exact: true`` repeats that.
"""

from typing import Any

import numpy as np

from goldwash.filters import characters as c
from goldwash.filters.cut import Bytes, Rows, code_point
from goldwash.filters.jit import inline, kernel
from goldwash.filters.lines import word_character
from goldwash.filters.lists import BASE, beginning, host_table, in_table, phrase_table, url_host
from goldwash.filters.ngrams import Hashes, row_hash
from goldwash.filters.signals import Values, signal
from goldwash.filters.texts import Texts


@signal(column="url")
def url_host_count(urls: Texts, hosts: str | tuple[str, ...], exact: bool = False) -> Values:
    """Entries of a host list that match the URL's host; ``exact``: 1 if the authority without every "www" is an entry."""
    table = host_table(hosts)
    if exact:
        starts, ends = authorities(urls.utf8, urls.starts, urls.ends)
        plain = Texts.of(
            [urls.utf8[a:b].tobytes().decode().lower().replace("www", "") for a, b in zip(starts, ends, strict=True)]
        )
        return np.asarray(listed_hosts(plain.utf8, plain.starts, plain.ends, table, False))
    found = url_hosts(urls)
    return np.asarray(listed_hosts(found.utf8, found.starts, found.ends, table, True))


@signal(column="url")
def url_substring_count(urls: Texts, phrases: str | tuple[str, ...], ignoring: str = "") -> Values:
    """Entries of a list that occur anywhere in the URL, after the characters ``ignoring`` are removed from it."""
    return _phrases(urls, phrases, ignoring, whole_words=False)


@signal(column="url")
def url_word_count(urls: Texts, phrases: str | tuple[str, ...], ignoring: str = "") -> Values:
    """Entries of a list that occur in the URL between word boundaries (``re``'s ``\\b``: ``_`` is part of a word)."""
    return _phrases(urls, phrases, ignoring, whole_words=True)


def url_hosts(urls: Texts) -> Texts:
    """The host of each URL in normal form, without its last dot, but not always in lower case; empty if there is none.

    The kernel reads nearly all URLs. The unusual ones (`unusual`) go through a parser of the URL Standard.
    """

    def make(urls: Texts) -> Texts:
        firsts, lasts = authorities(urls.utf8, urls.starts, urls.ends)
        starts, ends = bare_hosts(urls.utf8, firsts, lasts)
        rows = np.arange(len(urls) + 1)
        hosts = Texts(urls.utf8, starts, ends, rows)
        others = np.flatnonzero(unusual(urls.utf8, urls.starts, urls.ends, firsts, lasts, starts, ends))
        if len(others):
            plain = hosts.replace(others, Texts.of([_standard_host(urls[row], hosts[row]) for row in others]))
            hosts = Texts(plain.utf8, plain.starts, plain.ends, rows)
        return hosts

    hosts = urls.remember("hosts", make)
    assert isinstance(hosts, Texts)
    return hosts


def _standard_host(url: str, lenient: str) -> str:
    host = url_host(url)
    return (lenient if host is None else host).lower().strip(". ")


def _phrases(urls: Texts, phrases: str | tuple[str, ...], ignoring: str, whole_words: bool) -> Values:
    keys, index, lengths, begins = phrase_table(phrases)
    ignored = np.zeros(128, np.uint8)
    ignored[[ord(character) for character in ignoring]] = 1
    table = (keys, index, lengths, begins, ignored)
    return np.asarray(phrase_counts(urls.utf8, urls.starts, urls.ends, *table, c.classes(), whole_words))


@inline
def _in_scheme(b: int, later: bool) -> Any:
    """Whether a byte may be part of a scheme: a letter, or unless it is the first byte a digit, plus, hyphen or dot."""
    return 97 <= b | 32 <= 122 or (later and (48 <= b <= 57 or b == 43 or b == 45 or b == 46))


@kernel
def authorities(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """The bytes between ``//`` and the next ``/``, ``?`` or ``#``: ``(starts, ends)``; empty if no ``//`` begins the URL.

    A scheme may come first: a letter, then letters, digits, ``+``, ``-`` or ``.``, then a colon (RFC 3986, section 3).
    """
    out_starts, out_ends = np.empty_like(starts), np.empty_like(ends)
    for row in range(len(starts)):
        end = ends[row]
        i = starts[row]
        while i < end and _in_scheme(utf8[i], i > starts[row]):
            i += 1
        i = i + 1 if i < end and i > starts[row] and utf8[i] == 58 else starts[row]
        i = i + 2 if i + 1 < end and utf8[i] == 47 and utf8[i + 1] == 47 else end
        out_starts[row] = i
        while i < end and utf8[i] != 47 and utf8[i] != 63 and utf8[i] != 35:
            i += 1
        out_ends[row] = i
    return out_starts, out_ends


@kernel
def bare_hosts(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Authorities without the user, the port, and spaces and dots at their ends: ``(starts, ends)``."""
    out_starts, out_ends = np.empty_like(starts), np.empty_like(ends)
    for row in range(len(starts)):
        a, z = starts[row], ends[row]
        for i in range(a, z):
            if utf8[i] == 64:
                a = i + 1
        digits = z
        while digits > a and 48 <= utf8[digits - 1] <= 57:
            digits -= 1
        if digits > a and utf8[digits - 1] == 58:
            z = digits - 1
        while z > a and (utf8[z - 1] == 46 or utf8[z - 1] == 32):
            z -= 1
        while a < z and (utf8[a] == 46 or utf8[a] == 32):
            a += 1
        out_starts[row], out_ends[row] = a, z
    return out_starts, out_ends


@kernel
def unusual(utf8: Bytes, starts: Rows, ends: Rows, firsts: Rows, lasts: Rows, host_starts: Rows, host_ends: Rows) -> Any:
    """URLs whose host the kernels cannot read as the URL Standard does: ``bool[N]``.

    Those without an authority or a host, with a control character or space at an end, with a control character, backslash,
    percent sign, bracket or byte above 127 in the authority, and with a last label that begins with a digit (an IPv4 address).
    """
    out = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        a, z = starts[row], ends[row]
        if a == z:
            continue
        out[row] = host_starts[row] == host_ends[row] or utf8[a] <= 32 or utf8[z - 1] <= 32
        for i in range(firsts[row], lasts[row]):
            b = utf8[i]
            out[row] |= b < 32 or b == 127 or b >= 128 or b == 92 or b == 37 or b == 91
        label = host_ends[row]
        while label > host_starts[row] and utf8[label - 1] != 46:
            label -= 1
        out[row] |= label < host_ends[row] and 48 <= utf8[label] <= 57
    return out


@kernel
def listed_hosts(utf8: Bytes, starts: Rows, ends: Rows, table: Hashes, domains: bool) -> Any:
    """How many names of each host (itself, and with ``domains`` each parent domain) a table holds: ``int64[N]``."""
    out = np.zeros(len(starts), np.int64)
    for row in range(len(starts)):
        i = starts[row]
        while i < ends[row]:
            out[row] += in_table(table, row_hash(utf8, i, ends[row], True))
            if not domains:
                break
            while i < ends[row] and utf8[i] != 46:
                i += 1
            i += 1
    return out


@kernel
def phrase_counts(
    utf8: Bytes,
    starts: Rows,
    ends: Rows,
    keys: Hashes,
    index: Rows,
    lengths: Rows,
    begins: Any,
    ignored: Bytes,
    classes: Bytes,
    whole: bool,
) -> Any:
    """Distinct phrases of a `filters.lists.phrase_table` in each row, anywhere or as whole words: ``int64[N]``."""
    out = np.zeros(len(starts), np.int64)
    longest = np.int64(0)
    for row in range(len(starts)):
        longest = max(longest, ends[row] - starts[row])
    text, inside = np.zeros(longest + 2, np.uint8), np.zeros(longest + 2, np.bool_)
    seen = np.full(len(index) + 1, -1, np.int64)
    for row in range(len(starts)):
        end = np.int64(0)
        for i in range(starts[row], ends[row]):
            b = utf8[i]
            if b < 128 and ignored[b]:
                continue
            text[end] = b + 32 if 65 <= b <= 90 else b
            end += 1
        text[end] = text[end + 1] = 0
        i = 0
        while i < end:  # which bytes belong to a word character; there is none before the first and after the last
            point, after = code_point(text, i)
            word = word_character(point, classes)
            while i < after:
                inside[i + 1] = word
                i += 1
        inside[end + 1] = False
        for i in range(end):
            tried = np.int64(begins[beginning(np.uint64(text[i]), np.uint64(text[i + 1]), np.uint64(text[i + 2]))])
            if tried == 0 or (whole and inside[i] == inside[i + 1]):
                continue
            h, done = np.uint64(0), i
            for k in range(tried):
                length = lengths[k]
                if i + length > end:
                    break
                while done < i + length:
                    h = h * BASE + np.uint64(text[done]) + np.uint64(1)
                    done += 1
                slot = np.int64((h >> np.uint64(32)) & np.uint64(len(index) - 1))
                while index[slot] != 0 and keys[slot] != h:
                    slot = (slot + 1) & (len(index) - 1)
                if (
                    index[slot] != 0
                    and seen[index[slot]] != row
                    and (not whole or inside[i + length] != inside[i + length + 1])
                ):
                    seen[index[slot]] = row
                    out[row] += 1
    return out
