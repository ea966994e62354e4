"""Records to pages: a payload's characters.

Law: a page is decoded rather than dropped, by byte-order mark, HTTP header, ``<meta>``, and detection, in this order, each
believed only if the bytes agree with it; the reference takes strict UTF-8 and drops the rest (``charset="utf-8"``). What comes
out can be written as UTF-8: lone surrogates are replaced.
"""

import codecs
import re
from collections.abc import Mapping

from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5

HTML_TYPES = ("text/html", "application/xhtml+xml", "")
"""Content types of pages; none at all is looked at too."""

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.-]+)""", re.IGNORECASE)
_MARKUP = re.compile(rb"<(?:!doctype|html|head|body|title|meta|div|p|table|script|h1|a)\b", re.IGNORECASE)


class Undecodable(ValueError):
    """Bytes that are not the characters they are taken for."""


def content_type(headers: Mapping[str, str]) -> str:
    """The media type of a response in small letters, without parameters; "" without one."""
    return headers.get("content-type", "").split(";")[0].strip().lower()


def is_page(headers: Mapping[str, str], payload: bytes) -> bool:
    """Whether a response is an HTML page: by its type, and where that says nothing by its first bytes."""
    kind = content_type(headers)
    if kind not in HTML_TYPES:
        return False
    return kind != "" or _MARKUP.search(payload[:2048]) is not None


def decoded(payload: bytes, headers: Mapping[str, str], charset: str = "detect") -> str:
    """A payload's characters; raises `Undecodable` for ``charset="utf-8"`` where the bytes are not UTF-8."""
    try:
        if charset == "utf-8" or not _declared_wide(payload):
            return payload.decode("utf-8-sig" if charset != "utf-8" else "utf-8")
    except UnicodeDecodeError as error:
        if charset == "utf-8":
            raise Undecodable(f"byte {error.start}: {error.reason}") from error
    for name in _candidates(payload, headers):
        try:
            return _clean(codecs.decode(payload, name))
        except (UnicodeDecodeError, LookupError):
            continue
    return _clean(bytes_to_str(payload, detect_encoding(payload) or "utf-8"))


def _declared_wide(payload: bytes) -> bool:
    return payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in payload[:4]


def _candidates(payload: bytes, headers: Mapping[str, str]) -> list[str]:
    """Names of encodings that the page itself gives, the surest first."""
    names = [name for mark, name in _MARKS.items() if payload.startswith(mark)]
    if match := re.search(r"charset\s*=\s*[\"']?([a-zA-Z0-9_:.-]+)", headers.get("content-type", ""), re.IGNORECASE):
        names.append(match[1])
    if meta := _CHARSET.search(payload[:4096]):
        names.append(meta[1].decode("ascii"))
    return [mapped for name in names if (mapped := map_encoding_to_html5(name, fallback_utf8=False))]


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").removeprefix("\ufeff")
