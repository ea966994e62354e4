"""Responses to pages: whether a body is one, its characters, and what they say of the page.

Law: a page is decoded rather than dropped, by byte-order mark, HTTP header, ``<meta>``, and detection, in this order, each
believed only if the bytes agree with it; the reference takes strict UTF-8 and drops the rest (``charset="utf-8"``). What comes
out can be written as UTF-8: lone surrogates are replaced.
"""

import codecs
import html
import re
from collections.abc import Mapping

from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5

HTML_TYPES = ("text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml")
VAGUE_TYPES = ("", "text/plain", "application/octet-stream", "application/xml", "text/xml", "unknown/unknown", "*/*")
"""Content types that say nothing: none, what servers send by default, and XML, which a page may be."""

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.-]+)""", re.IGNORECASE)
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
_TITLE = re.compile(r"<title(?:\s[^<>]*)?>(.*?)(?:</title|<(?:meta|link|script|style|body)\b|$)", re.IGNORECASE | re.DOTALL)
_LANGUAGE = re.compile(r"""<html\b[^<>]*?\s(?:xml:)?lang\s*=\s*["']?\s*([a-zA-Z0-9-]{1,35})""", re.IGNORECASE)
_NO_CHARACTER = re.compile(r"&#[0-9]{8,};?")
_HEAD = 1 << 15
"""Characters within which a page's title and language are looked for."""


FIRST = 4096
"""Bytes that tell what a payload is, and in which characters."""


class Undecodable(ValueError):
    """Bytes that are not the characters they are taken for."""


def content_type(headers: Mapping[str, str]) -> str:
    """The media type of a response in small letters, without parameters; "" without one."""
    return headers.get("content-type", "").split(";")[0].strip().lower()


def is_page(headers: Mapping[str, str], payload: bytes | memoryview) -> bool:
    """Whether a response is an HTML page: by its type, unless its first bytes say otherwise; by them where it is vague."""
    kind, first = content_type(headers), bytes(payload[:FIRST])
    if kind in HTML_TYPES:
        return not first.startswith(_FORMATS)
    return kind in VAGUE_TYPES and _FIRST_TAG.match(first) is not None


def title(page: str) -> str | None:
    """A page's ``<title>`` in one line; None without one."""
    found = _TITLE.search(page, 0, _HEAD)
    return " ".join(unescaped(found[1]).split())[:1000] or None if found else None


def unescaped(text: str) -> str:
    """Text without character references; no-break spaces are spaces."""
    try:
        text = html.unescape(text)
    except ValueError:  # Python makes no integer of more than 4,300 digits
        text = html.unescape(_NO_CHARACTER.sub("\ufffd", text))
    return text.replace("\xa0", " ")


def declared_language(page: str) -> str | None:
    """The ``lang`` of a page's ``<html>``, in small letters; None without one."""
    found = _LANGUAGE.search(page, 0, _HEAD)
    return found[1].lower() if found else None


def decoded(payload: bytes | memoryview, headers: Mapping[str, str], charset: str = "detect") -> tuple[str, bytes | memoryview]:
    """A payload's characters, and the same in UTF-8: a part of the payload itself where it is that.

    Raises `Undecodable` for ``charset="utf-8"`` where the bytes are not UTF-8.
    """
    first = bytes(payload[:FIRST])
    try:
        if charset == "utf-8":
            return str(payload, "utf-8"), payload
        if not _declared_wide(first):
            unmarked = payload[len(codecs.BOM_UTF8) :] if first.startswith(codecs.BOM_UTF8) else payload
            return str(unmarked, "utf-8"), unmarked
    except UnicodeDecodeError as error:
        if charset == "utf-8":
            raise Undecodable(f"byte {error.start}: {error.reason}") from error
    payload = bytes(payload)
    for name in _candidates(first, headers):
        try:
            return _clean(codecs.decode(payload, name))
        except (UnicodeDecodeError, LookupError):
            continue
    return _clean(bytes_to_str(payload, detect_encoding(payload) or "utf-8"))


def _declared_wide(payload: bytes) -> bool:
    return payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or bool(_wide(payload))


def _wide(payload: bytes) -> list[str]:
    """UTF-16 without a mark, told by its first angle bracket, or by the zero bytes of its ASCII letters."""
    if payload[:2] in (b"<\0", b"\0<"):
        return ["utf-16-le" if payload[1] == 0 else "utf-16-be"]
    zeros = [payload[n:1024:2].count(0) for n in (0, 1)]
    enough = min(len(payload), 1024) // 8
    if max(zeros) <= max(enough, 8, 4 * min(zeros)):
        return []
    return ["utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"]


def _candidates(payload: bytes, headers: Mapping[str, str]) -> list[str]:
    """Names of encodings that the page itself gives, the surest first."""
    names = [name for mark, name in _MARKS.items() if payload.startswith(mark)] or _wide(payload)
    if match := re.search(r"charset\s*=\s*[\"']?([a-zA-Z0-9_:.-]+)", headers.get("content-type", ""), re.IGNORECASE):
        names.append(match[1])
    if meta := _CHARSET.search(payload):
        names.append(meta[1].decode("ascii"))
    return [mapped for name in names if (mapped := map_encoding_to_html5(name, fallback_utf8=False))]


def _clean(text: str) -> tuple[str, bytes]:
    utf8 = text.removeprefix("\ufeff").encode("utf-8", "replace")
    return utf8.decode("utf-8"), utf8
