"""The heads of records: the grammar of WARC's fields and of ARC's line.

Invariants: pure; a head is parsed from bytes that hold all of it. Field names are case-insensitive and values may be folded
(WARC 1.1, section 4); lines may end in LF alone. An ARC line is read from both ends, since URLs and media types hold spaces;
version 1 has five fields, version 2 ten (https://archive.org/web/researcher/ArcFileFormat.php).
"""

import hashlib
import re
import uuid
from dataclasses import dataclass, field
from functools import lru_cache

from warcio.timeutils import timestamp_to_iso_date

VERSION = re.compile(rb"WARC/\d+\.\d+[ \t]*\r?\n")
START = re.compile(rb"WARC/\d+\.\d+[ \t]*\r?\n[!-9;-~]+[ \t]*:")
"""A version and the name of the first field."""
ARC_BYTES = 1 << 14
"""A longer line is no ARC's."""
_SCHEME = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.-]{0,20}:.")
_IP_AND_DATE = re.compile(rb" [0-9A-Za-z.:%_-]+ ((?:19|20)\d{6,18}) ")
SIGN = re.compile(rb"WARC/\d|^[a-zA-Z][a-zA-Z0-9+.-]{1,20}:(?=[^\r\n]{1,8192} \d{8,20} )", re.MULTILINE)
KINDS = {"warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"}
NO_LENGTH = -1
MOST_SIMPLE = 1 << 12
"""Characters of a head that `_simple_fields` reads. It remembers the names of 256 heads: long ones, of anyone's archive, would
take memory."""


@dataclass
class Head:
    """What a record's head says. ``size``: bytes of its block, `NO_LENGTH` if it says none."""

    kind: str
    size: int
    id: str = ""
    url: str = ""
    date: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    arc: bool = False
    lines: bytes = b"\r\n"
    """How its lines end."""


class BrokenHead(ValueError):
    """A head that breaks off; ``at``: the bytes of it before the next record's head."""

    def __init__(self, at: int) -> None:
        super().__init__(f"after {at} bytes")
        self.at = at


def begins(data: bytes | bytearray, at: int = 0) -> bool:
    """Whether a record's head begins at a place in unpacked bytes."""
    return START.match(data, at) is not None or arc_line(data, at) is not None


def warc_head(data: bytes) -> Head:
    """The head in ``data``, from its version to its empty line; raises `BrokenHead` if another head begins within it.

    Of a repeated field the first value counts; ``headers`` joins them by commas.

    >>> warc_head(b"WARC/1.0\\nwarc-type: response\\nContent-length: 3\\nWARC-Target-URI:\\n http://a/\\n\\n").url
    'http://a/'
    """
    text = _checked(data).decode("utf-8", "replace")
    values, headers = _simple_fields(text) or _fields(text)
    kind, length = values.get("warc-type", "").lower(), values.get("content-length", "")
    return Head(
        kind if kind in KINDS else "unknown",
        int(length) if length.isascii() and length.isdigit() and len(length) < 19 else NO_LENGTH,
        values.get("warc-record-id", "").strip("<>"),
        values.get("warc-target-uri", "").strip("<>"),
        values.get("warc-date", ""),
        headers,
        lines=b"\n" if data.endswith(b"\n\n") else b"\r\n",
    )


Fields = tuple[dict[str, str], dict[str, str]]
"""The first value of each name in lower case, and all values of each name as it is spelt."""


def _simple_fields(text: str) -> Fields | None:
    """The fields of a head as nearly all are: no line is folded, no name repeated, each line ends in CRLF; None for another.

    A third of the time of `_fields` (2026-11).
    """
    if len(text) > MOST_SIMPLE or not text.endswith("\r\n\r\n"):
        return None
    lines = text.split("\r\n")
    if text.count("\n") != len(lines) - 1:
        return None
    try:
        names, said = zip(*[line.split(": ", 1) for line in lines[1:-2]], strict=True)
    except ValueError:  # not two, or none
        return None
    lower = _simple_names(names)
    if lower is None:
        return None
    found = [value.strip() for value in said]
    return dict(zip(lower, found, strict=True)), dict(zip(names, found, strict=True))


@lru_cache(1 << 8)
def _simple_names(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """The names of a head in lower case, nearly always the same in an archive; None if one is repeated or no plain word."""
    lower = tuple(map(str.lower, names))
    joined = "".join(lower).replace("-", "")
    return lower if len({*lower}) == len(lower) and joined.isascii() and joined.isalnum() else None


def _fields(text: str) -> Fields:
    values: dict[str, str] = {}
    headers: dict[str, str] = {}
    name, spelt, first = "", "", False
    for line in text.split("\n")[1:]:
        if line[:1] in (" ", "\t") and name:
            headers[spelt] = f"{headers[spelt]} {line.strip()}".strip()
            if first:
                values[name] = headers[spelt]
            continue
        spelt, colon, value = line.partition(":")
        if not colon:
            name = ""
            continue
        spelt, value = spelt.strip(), value.strip()
        name = spelt.lower()
        headers[spelt] = f"{headers[spelt]},{value}" if spelt in headers else value
        if first := name not in values:
            values[name] = value
    return values, headers


def _checked(data: bytes) -> bytes:
    """The same bytes; raises `BrokenHead` if another head begins in them.

    That is at a version in a line that is not a field, or at a version after which an earlier field name is repeated.
    """
    inner = _INNER_VERSION.search(data, 5) if data.find(b"WARC/", 5) >= 0 else None
    for _ in range(INNER_VERSIONS):
        if inner is None:
            break
        line = data.rfind(b"\n", 0, inner.start()) + 1
        before = {name.lower() for name in _NAMES.findall(data, 0, inner.start())}
        after = _NAMES.search(data, inner.end() - 1)
        if b":" not in data[line : inner.start()] or (after and after[1].lower() in before):
            raise BrokenHead(inner.start())
        inner = _INNER_VERSION.search(data, inner.end())
    return data


INNER_VERSIONS = 16
"""More versions in a head are not looked at."""
_INNER_VERSION = re.compile(rb"WARC/\d+\.\d+[ \t]*\r?\n")
_NAMES = re.compile(rb"\n([!-9;-~]+)[ \t]*:")


def arc_line(data: bytes | bytearray, at: int = 0) -> "tuple[Head, int] | None":
    """The head in the ARC line at a place, and where the line ends; None if it is none. What is not UTF-8 is Latin-1.

    >>> head, end = arc_line(b"http://a/ b 1.2.3.4 20240101000000 text/html; charset=x 767\\n")
    >>> head.url, head.date, head.size
    ('http://a/ b', '2024-01-01T00:00:00Z', 767)
    """
    end = data.find(b"\n", at, at + ARC_BYTES) + 1
    if end == 0 or not _SCHEME.match(data, at, end):
        return None
    line = bytes(data[at:end]).rstrip()
    found = _IP_AND_DATE.search(line)
    length = line.rpartition(b" ")[2]
    if found is None or len(line) - len(length) < found.end() or len(length) > 20:
        return None
    url = _text(line[: found.start()])
    kind = "warcinfo" if url.startswith("filedesc://") else "response"
    size = int(length) if length.isdigit() and len(length) < 19 else NO_LENGTH
    date = timestamp_to_iso_date(found[1].decode())
    return Head(kind, size, "", "" if kind == "warcinfo" else url, date, arc=True, lines=b"\n"), end


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def arc_id(date: str, url: str, block: bytes) -> str:
    """The id of a capture that has none: a hash of it, so that every reading gives the same."""
    digest = hashlib.sha1(block, usedforsecurity=False).hexdigest()
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{date} {url} {digest}").urn
