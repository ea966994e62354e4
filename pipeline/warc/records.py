"""Bytes to records: the captures in a WARC or ARC stream.

Law: every capture that can be read is given, whatever stands before or after it; what cannot be read is given as a `Damage`
with its offset. FastWARC reads WARC (gzip, zstd, lz4 or plain); what it refuses (ARC among others) warcio reads. A record's
``offset`` and ``length`` are those of its bytes in the file as stored, so that a range request fetches it again.
"""

import hashlib
import io
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from fastwarc.warc import ArchiveIterator
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from warcio.exceptions import ArchiveLoadFailed


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
    last = 0
    try:
        for record in _fastwarc(stream, size):
            yield record
            last = record.offset + record.length
        return
    except OSError as error:
        reason = str(error) or "unreadable"
    read = 0
    for found in _warcio(stream, last, size):
        yield found
        read += isinstance(found, Record)
    if not read:
        yield Damage(last, f"{reason} (warcio reads nothing there either)" if last else f"no WARC or ARC record ({reason})")


def _fastwarc(stream: BinaryIO, size: int) -> Iterator[Record]:
    """FastWARC's records, each given when the next one's offset tells its length."""
    held: dict[str, Any] | None = None
    try:
        for record in ArchiveIterator(stream, parse_http=True, auto_decode="all", max_header_len=1 << 20):
            if held is not None:
                yield Record(length=record.stream_pos - held["offset"], **held)
            held = _values(record)
    except OSError:
        if held is not None:  # it was read whole; what follows it was not
            yield Record(length=max(stream.tell() - held["offset"], 0), **held)
        raise
    if held is not None:
        yield Record(length=size - held["offset"], **held)


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


def _warcio(stream: BinaryIO, offset: int, size: int) -> Iterator[Record | Damage]:
    """warcio's records from an offset on; the damage that ends them."""
    stream.seek(offset)
    iterator = WarcioIterator(stream, arc2warc=True)
    try:
        held: dict[str, Any] | None = None
        for record in iterator:
            values = _warcio_values(record)  # before its offset is asked for: that reads on to the record's end
            values["offset"] = offset + iterator.get_record_offset()
            if held is not None:
                yield Record(length=values["offset"] - held["offset"], **held)
            held = values
        if held is not None:
            yield Record(length=size - held["offset"], **held)
    except (ArchiveLoadFailed, EOFError, OSError, ValueError, AttributeError) as error:
        if held is not None:
            yield Record(length=stream.tell() - held["offset"], **held)
        yield Damage(stream.tell(), f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}")


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
    for record in records(io.BytesIO(data), len(data)):
        return record if isinstance(record, Record) else None
    return None
