"""Responses to pages: whether a body is one, its characters, and its title and language.

Invariants:

- A page is decoded, never dropped, unless ``charset="utf-8"`` asks for the reference's strict UTF-8.
- Bytes that are UTF-8 are UTF-8, whatever a header says. All else is decoded as browsers decode it: byte-order mark, HTTP
  header, ``<meta>`` or XML declaration, each by the label and decoder of the WHATWG Encoding Standard (endec: Firefox's
  encoding_rs), a malformed sequence costing one U+FFFD. Unlike browsers, a label under which much of the page is malformed is
  not believed; without a label that fits, the encoding is detected.
- ``<meta>``, ``<title>`` and ``lang`` are read from tags, not from comments, scripts, styles or attribute values.
- The result can be encoded as UTF-8: it has no lone surrogates.
"""

import codecs
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import endec
import numpy as np
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from goldwash.pipeline.html.head import head_spans
from goldwash.pipeline.html.utf8 import BEYOND, ESCAPES, VALID, seen

HTML_TYPES = ("text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml")
VAGUE_TYPES = (
    "", "text/plain", "application/octet-stream", "application/xml", "text/xml", "unknown/unknown", "application/unknown",
    "*/*",
)  # fmt: skip
"""Content types that say nothing: none, an invalid one, what servers send by default, and XML, which a page may be."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"\s*((?!'){_TOKEN}/{_TOKEN})\s*$")  # a quote is a token's character, and begins no type that is in use
_PARAMETER = re.compile(r"""charset\s*=\s*(?:"([^"]*)"?|'([^']*)'?|([^\s;,"']+))""", re.IGNORECASE)
_LIST_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16le", codecs.BOM_UTF16_BE: "utf-16be"}
_FIRST_TAG = re.compile(
    rb"(?:\xef\xbb\xbf)?(?>\s+|<\?xml[^>]*>|<!--.*?-->)*+"
    rb"<(?:!doctype\s+html|html|head|body|title|meta|div|p|table|script|style|h1|a|br|b|font|iframe)[\s/>]",
    re.IGNORECASE | re.DOTALL,
)
"""How HTML begins: the tags of the WHATWG's MIME sniffing standard, section 7.1, after white space, comments and XML's head."""
_FORMATS = (
    b"%PDF-", b"\x89PNG\r\n", b"GIF8", b"\xff\xd8\xff", b"PK\x03\x04", b"\x1f\x8b\x08", b"RIFF", b"OggS", b"ID3", b"wOFF",
    b"wOF2", b"\0\0\0\x18ftyp", b"\0\0\0\x20ftyp", b"7z\xbc\xaf", b"Rar!\x1a", b"{\\rtf", b"SQLite format 3", b"\x7fELF",
)  # fmt: skip
"""How files begin that are no pages, whatever their header says (the same standard, section 6)."""
_LANGUAGE = re.compile(rb"[\t\n\f\r ]*([a-zA-Z0-9-]{1,35})")
_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
"""What ``html.unescape`` replaces."""
_NO_CHARACTER = re.compile(r"&#[0-9]{8,};?")

FIRST = 4096
"""Bytes that tell the format of a payload, and whether it is UTF-16."""
HEAD_BYTES = 1 << 18
"""Bytes within which a page's title and language are looked for."""
MALFORMED = 0.2
"""A label is believed if at most so many sequences per byte that is not ASCII are malformed under it: of a text in another
encoding more than half are, if any."""
SURE = 4
"""A page with so many well-formed sequences of UTF-8 per malformed one is UTF-8, whatever its label: they are no accident."""


class Undecodable(ValueError):
    """Bytes that are not in the encoding that was asked for."""


# --- what the header says


def content_type(headers: Mapping[str, str]) -> str:
    """The media type of a response in lower case, without parameters; "" if there is none, or none that is valid.

    Of several, the last valid one counts (Fetch, section 3.6, "extract a MIME type").

    >>> content_type({"content-type": "text/html; charset=gbk, text/html"})
    'text/html'
    >>> content_type({"content-type": "text/html charset=utf-8"})
    ''
    """
    return _media_type(headers.get("content-type", ""))


@lru_cache(1 << 10)
def _media_type(value: str) -> str:
    found = ""
    for item in _LIST_ITEM.findall(value):
        valid = _TYPE.match(item.partition(";")[0])
        if valid and valid[1] != "*/*":
            found = valid[1].lower()
    return found


def charset_of(headers: Mapping[str, str]) -> str:
    """The last charset that a response's content types name; "" without one."""
    found = _PARAMETER.findall(headers.get("content-type", ""))
    return "".join(found[-1]).strip() if found else ""


def is_page(headers: Mapping[str, str], payload: bytes | memoryview) -> bool:
    """Whether a response is an HTML page: by its type, unless its first bytes say otherwise; by them where it is vague."""
    kind, first = content_type(headers), bytes(payload[:FIRST])
    if kind in HTML_TYPES:
        return not first.startswith(_FORMATS)
    return kind in VAGUE_TYPES and _FIRST_TAG.match(first) is not None


# --- what the page says


def title_and_language(page: bytes | memoryview) -> tuple[str | None, str | None]:
    """The ``<title>`` in one line and the ``lang`` of ``<html>`` in lower case of a page in UTF-8; None for what it lacks.

    >>> title_and_language(b"<!-- <title>Old</title> --><html lang=EN><title>New\\n &amp; true</title>")
    ('New & true', 'en')
    """
    starts = head_spans(np.frombuffer(page, np.uint8), HEAD_BYTES)
    title: str | None = None
    language: str | None = None
    if starts[0] >= 0:
        title = " ".join(unescaped(str(page[starts[0] : starts[1]], "utf-8", "replace")).split())[:1000] or None
    if starts[2] >= 0 and (found := _LANGUAGE.match(bytes(page[starts[2] : starts[3]]))):
        language = found[1].decode().lower()
    return title, language


def unescaped(text: str) -> str:
    """Text with its character references replaced; no-break spaces become spaces."""
    try:
        text = _REFERENCE.sub(_character, text)
    except ValueError:  # Python makes no integer of more than 4,300 digits
        text = html.unescape(_NO_CHARACTER.sub("\ufffd", text))
    return text.replace("\xa0", " ")


def _character(reference: re.Match[str]) -> str:
    return _unescaped(reference[0])


@lru_cache(1 << 12)
def _unescaped(reference: str) -> str:
    """One reference, replaced. Most of a page's are a few: with a cache, twice as fast as ``html.unescape`` of the text."""
    return html.unescape(reference)


# --- its characters


def decoded(payload: bytes | memoryview, headers: Mapping[str, str], charset: str = "detect") -> tuple[str, bytes | memoryview]:
    """A payload's characters, and the same in UTF-8, as `in_utf8` returns it."""
    utf8 = in_utf8(payload, headers, charset)
    return str(utf8, "utf-8"), utf8


def in_utf8(payload: bytes | memoryview, headers: Mapping[str, str], charset: str = "detect") -> bytes | memoryview:
    """A payload in UTF-8: a view of the payload itself where it is that.

    Raises `Undecodable` for ``charset="utf-8"`` if the bytes are not UTF-8.
    """
    if charset == "utf-8":
        if not is_utf8(payload):
            raise Undecodable(_fault(payload))
        return payload
    first = bytes(payload[:FIRST])
    marked = first.startswith(codecs.BOM_UTF8)
    if not _declared_wide(first):
        unmarked = payload[len(codecs.BOM_UTF8) :] if marked else payload
        found = seen(np.frombuffer(unmarked, np.uint8))
        shifts = found & (ESCAPES | BEYOND) == ESCAPES  # ASCII with an escape, as ISO-2022-JP is
        if found & VALID and (marked or not shifts):
            return unmarked
    return _browser_text(bytes(payload), first, headers).removeprefix("\ufeff").encode("utf-8", "replace")


def is_utf8(data: bytes | memoryview) -> bool:
    """Whether bytes are UTF-8; True for none."""
    return bool(seen(np.frombuffer(data, np.uint8)) & VALID)


def _fault(data: bytes | memoryview) -> str:
    """Where and why bytes are not UTF-8."""
    try:
        str(data, "utf-8")
    except UnicodeDecodeError as error:
        return f"byte {error.start}: {error.reason}"
    return ""


def _browser_text(payload: bytes, first: bytes, headers: Mapping[str, str]) -> str:
    """The text of a payload that is not plainly UTF-8."""
    for mark, name in _MARKS.items():
        if payload.startswith(mark):
            return _text(payload[len(mark) :], name)
    if (wide := _wide(first)) and "<" in (text := _text(payload, wide)):
        return text
    others = len(payload.translate(None, _ASCII))
    utf8 = _text(payload, "utf-8")
    bad = utf8.count("\ufffd") - payload.count(b"\xef\xbf\xbd")
    good = len(utf8) - (len(payload) - others) - utf8.count("\ufffd")
    labels: Iterable[str] = _labels(payload, headers)
    if others and good >= SURE * bad:
        labels = list(labels)
        if not any(_fits(payload, label) for label in labels):
            return utf8
    for label in labels:
        try:
            text = _text(payload, label)
        except LookupError:
            continue
        if text == utf8 and others:
            believed = good >= max(1, bad)
        else:
            believed = text.count("\ufffd") <= max(1, MALFORMED * others) and ("<" in text or not label.startswith("utf-16"))
        if believed:
            return text
    return _detected(payload)


def _detected(payload: bytes) -> str:
    """The text of a payload under no label, or none that fits."""
    detected = map_encoding_to_html5(detect_encoding(payload) or "") or "utf-8"
    try:
        return _text(payload, "windows-1252" if detected == "utf-8" else detected)  # as browsers do without a label
    except LookupError:  # a name of the detector's that is none of the standard's
        return _text(payload, "windows-1252")


_ASCII = bytes(range(128))


def _fits(payload: bytes, label: str) -> bool:
    """Whether a payload is in a multi-byte encoding other than UTF-8, without a fault: hardly any text is by chance."""
    try:
        return len(_text(_MULTI_BYTE, label)) < 4 and "\ufffd" not in _text(payload, label)
    except LookupError:
        return False


_MULTI_BYTE = b"\xb0\xa1\xb0\xa1"
"""Four characters in single-byte encodings, two in those of China, Japan and Korea, and in UTF-8 nothing but faults."""


def _text(payload: bytes, label: str) -> str:
    """A payload by the decoder that a label names (`LookupError`: none); malformed sequences become U+FFFD."""
    return endec.decode(payload, label, "replace", bom="ignore")


def _declared_wide(payload: bytes) -> bool:
    return payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or bool(_wide(payload))


def _wide(payload: bytes) -> str:
    """UTF-16 without a mark, told by its first angle bracket or by the zero bytes of its ASCII letters; "" if it is not."""
    if payload[:2] in (b"<\0", b"\0<"):
        return "utf-16le" if payload[1] == 0 else "utf-16be"
    if b"\0" not in payload[:1024]:
        return ""
    zeros = [payload[n:1024:2].count(0) for n in (0, 1)]
    enough = min(len(payload), 1024) // 8
    if max(zeros) <= max(enough, 8, 4 * min(zeros)):
        return ""
    return "utf-16le" if zeros[1] > zeros[0] else "utf-16be"


def _labels(payload: bytes, headers: Mapping[str, str]) -> Iterator[str]:
    """The labels that header and page give, the one that browsers believe first."""
    if name := charset_of(headers):
        yield name
    for name in meta_charsets(payload):
        # "prescan a byte stream to determine its encoding": UTF-16 in ASCII letters cannot be
        lower = name.strip().lower()
        yield "utf-8" if lower.replace("-", "").startswith("utf16") else "windows-1252" if lower == "x-user-defined" else name
    if declared := _XML.match(payload):
        yield declared[1].decode("ascii", "replace")


_XML = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']\s*([^"'\s>]+)""")
_TAG = re.compile(rb"<(?:(!--)|([!?]|/(?![a-zA-Z]))|(/?[a-zA-Z][^\t\n\f\r />]*))")
_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*+(?:>|([^\t\n\f\r />=][^\t\n\f\r />=]*+|=[^\t\n\f\r />=]*+)[\t\n\f\r ]*+"
    rb"""(?:=[\t\n\f\r ]*+(?:"([^"]*+)"|'([^']*+)'|(?!["'>])([^\t\n\f\r >]++))?)?)"""
)
_RAW = {name: re.compile(rb"</" + name + rb"(?=[\t\n\f\r />])", re.IGNORECASE) for name in (
    b"script", b"style", b"title", b"textarea", b"xmp", b"iframe", b"noembed", b"noframes",
)}  # fmt: skip
"""Elements whose content is text, and what ends them."""
_IN_CONTENT = re.compile(
    rb"""charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r ;"'][^\t\n\f\r ;]*))""", re.IGNORECASE
)
"""How a ``content`` names an encoding (HTML, section 2.5.2)."""


def meta_charsets(payload: bytes) -> Iterator[str]:
    """The charsets that the ``<meta>`` tags of a page name, in order (HTML, section 13.2.3.2).

    Unlike the standard's prescan it does not end after 1,024 bytes, as Firefox goes back for a late ``<meta>``, and skips the
    content of scripts, styles and titles, as tokenizers do. Linear in the payload.

    >>> [*meta_charsets(b"<!--<meta charset=a>--><p title='<meta charset=b>'><meta charset=c>")]
    ['c']
    """
    at = 0
    while tag := _TAG.search(payload, at):
        at = tag.end()
        if tag[1] or tag[2]:
            closed = payload.find(b"-->", at - 2) + 3 if tag[1] else payload.find(b">", at) + 1
            at = closed if closed > at - 2 else 0
        else:
            name = tag[3].lower()
            values, at = _attributes(payload, at)
            if name == b"meta" and at > 0 and (charset := _charset(values)):
                yield charset
            if name in _RAW and at > 0:
                ends = _RAW[name].search(payload, at)
                at = ends.start() if ends else 0
        if at <= tag.start():  # not closed
            return


def _attributes(payload: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """The attributes of a tag, the first of each name, and where it ends; 0 where it does not."""
    values: dict[bytes, bytes] = {}
    while found := _ATTRIBUTE.match(payload, at):
        at = found.end()
        if found[1] is None:
            return values, at
        values.setdefault(found[1].lower(), found[2] or found[3] or found[4] or b"")
    return values, 0


def _charset(values: Mapping[bytes, bytes]) -> str:
    """What a meta's attributes name, "" for none."""
    if b"charset" in values:
        return values[b"charset"].decode("ascii", "replace")
    if values.get(b"http-equiv", b"").lower() == b"content-type" and (named := _IN_CONTENT.search(values.get(b"content", b""))):
        return b"".join(part or b"" for part in named.groups()).decode("ascii", "replace")
    return ""
