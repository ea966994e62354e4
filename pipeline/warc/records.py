"""Bytes to records: the captures in a WARC or ARC stream.

Law: every capture that can be read whole is given, whatever stands before or after it; what cannot be read is given as a
`Damage` with its offset, and reading goes on at the next place where a record seems to begin. FastWARC reads WARC (gzip, zstd,
lz4 or plain); what it refuses (ARC among others) warcio reads. A record's ``offset`` and ``length`` are those of its bytes in
the file as stored, so that a range request fetches it again (but of a file that is one gzip member).
"""

import hashlib
import io
import re
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from fastwarc.warc import ArchiveIterator
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from warcio.exceptions import ArchiveLoadFailed

CHUNK = 1 << 20
"""Bytes that are looked at once; no record's head is longer."""

GZIP = b"\x1f\x8b\x08"
OTHER_MAGIC = (b"\x28\xb5\x2f\xfd", b"\x5d\x2a\x4d\x18", b"\x04\x22\x4d\x18")
"""A zstd frame, the skippable frame that holds a dictionary for one, an lz4 frame."""
WARC_HEAD = re.compile(rb"WARC/.*?\r?\n\r?\n", re.DOTALL)
ARC_LINE = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.-]*:[^\n]{1,8192} \d{8,20} \S+ (?P<length>\S+)\r?\n")
SIGNS = re.compile(
    rb"WARC/\d\.\d|\x1f\x8b\x08|\x28\xb5\x2f\xfd|\x5d\x2a\x4d\x18|\x04\x22\x4d\x18|^" + ARC_LINE.pattern, re.MULTILINE
)


@dataclass(frozen=True)
class Record:
    """One record: its kind (``response``, ``request`` ...), where it lies, its headers, and for a response its payload."""

    kind: str
    offset: int
    length: int
    id: str
    url: str
    date: str
    payload: bytes = b""
    status: int | None = None
    http_headers: Mapping[str, str] = field(default_factory=dict)
    """Names in small letters."""


@dataclass(frozen=True)
class Damage:
    """A place in an archive that could not be read, and why."""

    offset: int
    reason: str


def records(stream: BinaryIO, size: int) -> Iterator[Record | Damage]:
    """The records of a seekable archive of ``size`` bytes, in order, with the damage between them."""
    at = 0
    while at < size:
        start = _next_start(stream, at, size)
        if start > at and not (at and _blank(stream, at, start)):
            yield Damage(at, f"{start - at:,} bytes that are no WARC or ARC record")
        if start == size:
            return
        at, reason = start, "no record can be read here"
        for found in _readable(stream, start, size):
            if isinstance(found, Record):
                yield found
                at = max(at, found.offset + found.length)
            else:
                reason = found.reason
        if at == start:
            at = _next_start(stream, start + 1, size, inside=True)
            yield Damage(start, reason)
    if size == 0:
        yield Damage(0, "the file is empty")


def _readable(stream: BinaryIO, start: int, size: int) -> Iterator[Record | Damage]:
    """The records from a start up to the first place that cannot be read, by the library that can."""
    read = False
    for record in _fastwarc(stream, start, size):
        read = True
        yield record
    if not read:
        yield from _warcio(stream, start, size)


def _fastwarc(stream: BinaryIO, start: int, size: int) -> Iterator[Record]:
    """FastWARC's records, each given when the next one's offset tells its length."""
    held: dict[str, Any] | None = None
    stream.seek(start)
    try:
        for record in ArchiveIterator(stream, parse_http=True, auto_decode="all", max_header_len=1 << 20):
            if held is not None:
                yield Record(length=record.stream_pos - held["offset"], **held)
            held = _values(record)
    except OSError:
        pass  # it was so after the last record: where the next one begins is for `records` to find
    yield from _last(stream, held, size)


def _last(stream: BinaryIO, held: dict[str, Any] | None, size: int) -> Iterator[Record]:
    """The record that no other follows, if it is whole: both libraries give a truncated one without a word."""
    if held is not None and (end := _end(stream, held["offset"], size)) is not None:
        yield Record(length=end - held["offset"], **held)


def _end(stream: BinaryIO, offset: int, size: int) -> int | None:
    """Where the record at an offset ends, its closing newlines included; None where the archive ends before it does."""
    stream.seek(min(offset, size))
    head = stream.read(CHUNK)
    if not head or head.startswith(OTHER_MAGIC):  # one gzip member holds several records, or zstd, lz4
        return size
    if head.startswith(GZIP):
        inflating, at = zlib.decompressobj(31), offset + len(head)
        inflating.decompress(head)
        while not inflating.eof and (more := stream.read(CHUNK)):
            inflating.decompress(more)
            at += len(more)
        return at - len(inflating.unused_data) if inflating.eof else None
    if arc := ARC_LINE.match(head):
        end = offset + arc.end() + (int(arc["length"]) if arc["length"].isdigit() else 0)  # -1: not known
    else:
        warc = WARC_HEAD.match(head)
        named = re.search(rb"^content-length:[ \t]*(\d+)", warc[0], re.IGNORECASE | re.MULTILINE) if warc else None
        if warc is None or named is None:
            return None
        end = offset + warc.end() + int(named[1])
    if end > size:
        return None
    stream.seek(end)
    after = stream.read(8)
    return end + len(after) - len(after.lstrip(b"\r\n"))


def _next_start(stream: BinaryIO, at: int, size: int, inside: bool = False) -> int:
    """The first offset from ``at`` on where a record seems to begin; ``size`` where none does.

    ``inside``: ``at`` is within a line, so that the rest of one is not taken for an ARC record's first.
    """
    for window in range(at, size, CHUNK):
        stream.seek(window)
        data = stream.read(2 * CHUNK)
        for sign in SIGNS.finditer(data):
            place = window + sign.start()
            if sign.start() >= CHUNK:
                break
            if sign["length"] and sign.start() == 0 and (inside or window > at):
                continue
            if _opens(data[sign.start() : sign.start() + CHUNK], place == at):
                return place
    return size


def _opens(data: bytes, first: bool) -> bool:
    """Whether a record begins with these bytes."""
    if data.startswith(OTHER_MAGIC):
        return first
    if data.startswith(GZIP):
        try:
            data = zlib.decompressobj(31).decompress(data, 1 << 14)
        except zlib.error:
            return False
        data = data.lstrip(b"\r\n")
    return data.startswith(b"WARC/") or ARC_LINE.match(data) is not None


def _blank(stream: BinaryIO, start: int, end: int) -> bool:
    stream.seek(start)
    return end - start <= CHUNK and not stream.read(end - start).strip(b"\0\r\n\t ")


def _values(record: Any) -> dict[str, Any]:
    headers = record.headers
    values: dict[str, Any] = {
        "kind": str(record.record_type).rpartition(".")[2],
        "offset": record.stream_pos,
        "id": headers.get("WARC-Record-ID", "").strip("<>"),
        "url": headers.get("WARC-Target-URI", "").strip("<>"),
        "date": headers.get("WARC-Date", ""),
    }
    if values["kind"] == "response":
        values["payload"] = record.reader.read()
        if record.http_headers is not None:
            values["status"] = record.http_headers.status_code
            values["http_headers"] = {name.lower(): value for name, value in record.http_headers.items()}
    return values


def _warcio(stream: BinaryIO, start: int, size: int) -> Iterator[Record | Damage]:
    """warcio's records from an offset on; the damage that ends them."""
    stream.seek(start)
    iterator = WarcioIterator(stream, arc2warc=True)
    held: dict[str, Any] | None = None
    try:
        for record in iterator:
            values = _warcio_values(record)  # before its offset is asked for: that reads on to the record's end
            values["offset"] = iterator.get_record_offset()
            if held is not None:
                yield Record(length=values["offset"] - held["offset"], **held)
            held = values
    except (ArchiveLoadFailed, EOFError, OSError, ValueError, AttributeError, zlib.error) as error:
        yield Damage(start, f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}")
    yield from _last(stream, held, size)


def _warcio_values(record: Any) -> dict[str, Any]:
    headers = record.rec_headers
    values: dict[str, Any] = {
        "kind": record.rec_type or "unknown",
        "id": (headers.get_header("WARC-Record-ID") or "").strip("<>"),
        "url": (headers.get_header("WARC-Target-URI") or "").strip("<>"),
        "date": headers.get_header("WARC-Date") or "",
    }
    if values["kind"] == "response":
        values["payload"] = record.content_stream().read()
        if not headers.total_len:  # an ARC record's headers are made up by warcio, not read
            values["id"] = _arc_id(values)
        if record.http_headers is not None:
            code = record.http_headers.get_statuscode()
            values["status"] = int(code) if code and code.isdigit() else None
            values["http_headers"] = {name.lower(): value for name, value in record.http_headers.headers}
    return values


def _arc_id(values: Mapping[str, Any]) -> str:
    """An id for an ARC record, which has none; warcio draws one at random, another on each reading."""
    digest = hashlib.sha1(values["payload"], usedforsecurity=False).hexdigest()
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{values['date']} {values['url']} {digest}").urn


def record_at(data: bytes) -> Record | None:
    """The first record in the bytes of a range request; None where there is none."""
    first = next(records(io.BytesIO(data), len(data)), None)
    return first if isinstance(first, Record) else None
