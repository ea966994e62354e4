"""The normal form of a text and of a URL: `exact` treats two of them as the same if their normal forms are equal.

Invariants:

* Texts: NFC, case-folded, runs of white space become one space, none at the ends. An empty result has no key.
* A long text is digested piece by piece, which bounds memory; the digest does not depend on the pieces.
* White space is neither made nor removed by NFC and case folding, and neither looks across it: it can be squeezed before them
  (`text_keys`) or after them (`text_key`), and words can be folded one by one. Of an ASCII word only capitals change.
* URLs are parsed by the WHATWG rules (ada): host in lower-case Punycode (UTS 46), default port, dot segments, backslashes.
  Then `normal_url` removes the parts that do not identify the page; its docstring lists the rules. Two URLs that differ in any
  other way stay different.

Sources: the URL Standard (https://url.spec.whatwg.org/), RFC 3986 section 6.2.2 (escapes), UTS 46 (hosts).
"""

import re
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import numpy as np
from ada_url import URL

from goldwash.filters import characters
from goldwash.filters.bits import eight, lowest
from goldwash.filters.cut import Bytes, Rows, white_space
from goldwash.filters.jit import inline, kernel
from goldwash.filters.texts import Texts, copied

TRACKING = frozenset(
    {
        "_ga",
        "_gac",
        "_gl",
        "_hsenc",
        "_hsmi",
        "_openstat",
        "dclid",
        "epik",
        "fb_action_ids",
        "fb_action_types",
        "fb_source",
        "fbclid",
        "gad_campaignid",
        "gad_source",
        "gbraid",
        "gclid",
        "gclsrc",
        "hsa_acc",
        "hsa_ad",
        "hsa_cam",
        "hsa_grp",
        "hsa_kw",
        "hsa_la",
        "hsa_mt",
        "hsa_net",
        "hsa_ol",
        "hsa_src",
        "hsa_tgt",
        "hsa_ver",
        "igsh",
        "igshid",
        "li_fat_id",
        "mc_cid",
        "mc_eid",
        "mkt_tok",
        "msclkid",
        "mtm_campaign",
        "mtm_cid",
        "mtm_content",
        "mtm_group",
        "mtm_keyword",
        "mtm_kwd",
        "mtm_medium",
        "mtm_placement",
        "mtm_source",
        "oly_anon_id",
        "oly_enc_id",
        "pk_campaign",
        "pk_cid",
        "pk_content",
        "pk_keyword",
        "pk_kwd",
        "pk_medium",
        "pk_source",
        "ref_src",
        "s_kwcid",
        "srsltid",
        "ttclid",
        "twclid",
        "vero_conv",
        "vero_id",
        "wbraid",
        "wickedid",
        "yclid",
        "ysclid",
    }
)
"""Query parameters that identify a visitor, a click or a campaign, by their whole name in lower case."""

TRACKING_FAMILY = "utm_"
"""The prefix of Google Analytics' parameters, whose names a site may choose."""

PIECE = 1 << 20
"""Characters of a text that are normalised at once."""

KEY_BYTES = 16
SPACE = 32
BEYOND_ASCII = np.uint64(0x8080808080808080)

_CUT = re.compile(r"[ \n](?=[A-Za-z0-9])")
_SLASH = re.compile("%2f", re.IGNORECASE)
_SAFE = "!$&'()*,:;=@+-._~"
"""Characters of a path segment that mean the same whether they are escaped or not."""


def normal_text(text: str) -> str:
    """A text in its normal form.

    >>> normal_text("  Cafe\\u0301 \\n AU  lait ")
    'café au lait'
    """
    return " ".join(_folded(text).split())


def _folded(text: str) -> str:
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).casefold()


def text_key(text: str) -> bytes | None:
    """The BLAKE2b digest of a text's normal form, 16 bytes; None if that is empty."""
    if len(text) <= PIECE:
        return _digest(normal_text(text))
    digest, empty = blake2b(digest_size=KEY_BYTES), True
    for piece in pieces(text, PIECE):
        if normal := normal_text(piece):
            digest.update(("" if empty else " ").encode() + normal.encode("utf-8", "surrogatepass"))
            empty = False
    return None if empty else digest.digest()


def text_keys(texts: Texts) -> list[bytes | None]:
    """`text_key` of each text.

    Kernels squeeze white space and fold ASCII words; Python folds the others, which are few bytes of most texts: a third of the
    time of ``str.split``, ``join`` and ``casefold``.
    """
    utf8, offsets = squeezed(texts.utf8, texts.starts, texts.ends, characters.classes())
    starts, ends = lowered(utf8, offsets)
    if len(starts):
        utf8, offsets = with_words(utf8, offsets, starts, ends, _folded_words(spaced(utf8, starts, ends)))
    view = memoryview(utf8)
    return [blake2b(view[a:b], digest_size=KEY_BYTES).digest() if a < b else None for a, b in pairwise(offsets.tolist())]


def _folded_words(words: Bytes) -> Bytes:
    """Words with a space behind each, folded; `PIECE` bytes and a word of them are held as strings at once."""
    data, out, begin = words.tobytes(), list[bytes](), 0
    while begin < len(data):
        end = data.find(b" ", begin + PIECE) + 1 or len(data)
        out.append(_folded(str(data[begin:end], "utf-8")).encode())
        begin = end
    return np.frombuffer(b"".join(out), np.uint8)


@kernel
def lowered(utf8: Bytes, offsets: Rows) -> Any:
    """Put the ASCII words of squeezed texts in lower case, in place; returns the other words: ``int64[M]`` twice."""
    room = len(utf8) // 2 + len(offsets)
    starts, ends, n = np.empty(room, np.int64), np.empty(room, np.int64), np.int64(0)
    for row in range(len(offsets) - 1):
        i, last = np.uint64(offsets[row]), np.uint64(offsets[row + 1])
        while i < last:
            odd = i  # the next byte beyond ASCII
            while odd + np.uint64(8) <= last and (eight(utf8, odd) & BEYOND_ASCII) == np.uint64(0):
                odd += np.uint64(8)
            while odd < last and utf8[odd] < 0x80:
                odd += np.uint64(1)
            begin = odd
            while odd < last and begin > i and utf8[begin - np.uint64(1)] != SPACE:
                begin -= np.uint64(1)
            for k in range(i, begin):
                utf8[k] += np.uint8(32) if 65 <= utf8[k] <= 90 else np.uint8(0)
            if odd == last:
                break
            while odd < last and utf8[odd] != SPACE:
                odd += np.uint64(1)
            starts[n], ends[n] = begin, odd
            n += 1
            i = odd
    return starts[:n], ends[:n]


@kernel
def spaced(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Words with a space behind each: ``uint8[bytes]``."""
    room = np.int64(0)
    for word in range(len(starts)):
        room += ends[word] - starts[word] + 1
    out, n = np.empty(room, np.uint8), np.int64(0)
    for word in range(len(starts)):
        n = _with_space(utf8, starts[word], ends[word], out, n)
    return out


@kernel
def with_words(utf8: Bytes, offsets: Rows, starts: Rows, ends: Rows, words: Bytes) -> Any:
    """Texts with words replaced by ``words``, a space behind each: ``uint8[bytes]``, ``int64[N + 1]``."""
    out, new = np.empty(len(utf8) + len(words), np.uint8), np.zeros(len(offsets), np.int64)
    n, word, at = np.int64(0), np.int64(0), np.int64(0)
    for row in range(len(offsets) - 1):
        i = offsets[row]
        while word < len(starts) and starts[word] < offsets[row + 1]:
            n = copied(utf8, i, starts[word], out, n)
            end = at
            while words[end] != SPACE:
                end += 1
            n = copied(words, at, end, out, n)
            i, at = ends[word], end + 1
            word += 1
        n = copied(utf8, i, offsets[row + 1], out, n)
        new[row + 1] = n
    return out[:n], new


@kernel
def squeezed(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes) -> Any:
    """Each text with one space for each run of white space, and none at its ends: ``uint8[bytes]``, ``int64[N + 1]``.

    Words with a single space between them are copied together.
    """
    offsets, room = np.zeros(len(starts) + 1, np.int64), np.int64(0)
    for row in range(len(starts)):
        room += ends[row] - starts[row]
    out = np.empty(room, np.uint8)
    n = np.int64(0)
    for row in range(len(starts)):
        i, last = np.uint64(starts[row]), np.uint64(ends[row])
        outside, spill = np.uint64(1), np.uint64(0)
        begin = end = np.int64(-1)  # what is not copied yet; no word so far
        while i < last:
            spaces, spill, _ = white_space(utf8, i, last, spill, classes)
            edges = spaces ^ ((spaces << np.uint64(1)) | outside)
            while edges != np.uint64(0):
                at = np.int64(i) + lowest(edges)
                edges &= edges - np.uint64(1)
                if outside == np.uint64(0):
                    end = at
                elif begin < 0:
                    begin = at
                elif at > end + 1 or utf8[end] != SPACE:
                    n = _with_space(utf8, begin, end, out, n)
                    begin = at
                outside ^= np.uint64(1)
            i += np.uint64(64)
        if outside == np.uint64(0):
            end = ends[row]
        if begin >= 0:
            n = copied(utf8, begin, end, out, n)
        offsets[row + 1] = n
    return out[:n], offsets


@inline
def _with_space(utf8: Bytes, start: int, end: int, out: Bytes, at: int) -> Any:
    at = copied(utf8, start, end, out, at)
    out[at] = SPACE
    return at + 1


def url_key(url: str | None) -> bytes | None:
    """The BLAKE2b digest of a URL's normal form, 16 bytes; None for an empty or missing URL."""
    return _digest(normal_url(url))


def _digest(value: str) -> bytes | None:
    return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest() if value else None


def pieces(text: str, size: int) -> Iterator[str]:
    """A text cut where neither NFC nor case folding looks across: behind white space and before an ASCII letter or digit.

    A piece is longer than ``size`` if there is no such place.
    """
    begin = 0
    while begin < len(text):
        found = _CUT.search(text, begin + size)
        end = found.end() if found else len(text)
        yield text[begin:end]
        begin = end


def normal_url(url: str | None) -> str:
    """A URL in its normal form; one that is no absolute URL with a host stays as it is, stripped; ``''`` for None.

    Beyond parsing: ``http`` and ``https`` are one; "www.", user and password, a dot behind the host, slashes at the end of
    the path and an empty query are removed. Escapes in a path are decoded, except ``%2F`` and characters that a URL cannot hold
    or that would end the path. Query parameters are sorted by name; those of one name keep their order; `TRACKING` ones go.
    A fragment is removed unless it is a route of a client-side application (``#!`` or ``#/``).

    >>> normal_url("HTTPS://www.Example.com:443/a%7Eb/./c/?utm_source=x&b=2&a=1#top")
    'example.com/a~b/c?a=1&b=2'
    >>> normal_url("http://b\\u00fccher.example/wiki/AC%2fDC#!/r\\u00edo")
    'xn--bcher-kva.example/wiki/AC%2FDC#!/r%C3%ADo'
    """
    url = (url or "").strip()
    try:
        parsed = URL(f"http:{url}" if url.startswith("//") else url)
        host = parsed.hostname.removeprefix("www.").rstrip(".")
    except ValueError:  # no URL, or characters that have no UTF-8
        return url
    if not host:
        return url
    scheme = "" if parsed.protocol in ("http:", "https:") else f"{parsed.protocol}//"
    port = f":{parsed.port}" if parsed.port else ""
    path = "%2F".join(_unescaped(part, f"/{_SAFE}") for part in _SLASH.split(parsed.pathname)).rstrip("/")
    return scheme + host + port + path + _query(parsed.search) + _route(parsed.hash)


def _unescaped(part: str, safe: str) -> str:
    """Decode escapes of letters, digits and ``safe``; write all others in capitals. Bytes need not be UTF-8."""
    return quote_from_bytes(unquote_to_bytes(part), safe)


def _query(search: str) -> str:
    pairs = [tuple(_field(part) for part in pair.split("=", 1)) for pair in search.removeprefix("?").split("&") if pair]
    kept = sorted((pair for pair in pairs if not _tracks(pair[0].lower())), key=lambda pair: pair[0])
    return "?" + "&".join(f"{pair[0]}={pair[1] if len(pair) > 1 else ''}" for pair in kept) if kept else ""


def _field(part: str) -> str:
    return quote_from_bytes(unquote_to_bytes(part.replace("+", " ")), "-._~").replace("%20", "+")


def _tracks(name: str) -> bool:
    return name in TRACKING or name.startswith(TRACKING_FAMILY)


def _route(fragment: str) -> str:
    return f"#{_unescaped(fragment[1:], '/?' + _SAFE)}" if fragment.startswith(("#!", "#/")) and len(fragment) > 2 else ""
