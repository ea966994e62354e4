"""Records to responses: the status, headers and body of a block, with transfer and content codings undone.

Invariants:

- A header is believed only if the bytes agree: a body that is labelled chunked or compressed and is not is returned as it is,
  and a body that breaks off yields what came before the break.
- Nothing inflates to more than ``most`` bytes: a larger body raises `TooLarge`.
- Heads are read as browsers read them: interim responses (1xx) and blank lines before the status line are skipped, a field ends
  at CRLF or LF alone, and repeated fields are joined by a comma (RFC 9110, sections 5.3 and 15.2), those of `SEPARATE` by a
  newline.
- A block that begins with neither a status line nor fields is a body without headers.
- A wrong checksum costs nothing: the text is kept and `Response.faults` names the checksum.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import brotli
import zstandard

STATUS = re.compile(rb"(?>[ \t]*\r?\n)*+[ \t]*(?:HTTP(?:/\d+(?:\.\d+)?)?|ICY)[ \t]+(\d{3})(?!\d)", re.IGNORECASE)
"""A status line, after blank lines. Browsers also accept small letters, a missing version and Shoutcast's ``ICY``."""
STATUS_LESS = re.compile(rb"(?>[ \t]*\r?\n)*+HTTP/\d[^\r\n]*(?=\r?\n)", re.IGNORECASE)
"""A status line without a status."""
HEADER = re.compile(rb"[!-9;-~]+[ \t]*:")
HEAD_END = re.compile(rb"\r?\n[ \t]*\r?\n")
CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
HEAD_BYTES = 1 << 20
"""A head longer than this has no headers. Chrome and Firefox stop at 256 and 384 kB."""
STEP = 1 << 16
"""Bytes that are unpacked per call, and fed per call."""
FINE_STEP = 512
"""The same for a body that is broken, so that little of what precedes the break is lost."""
INTERIM = range(100, 200)


class TooLarge(ValueError):
    """A body that has, or would unpack to, more bytes than allowed."""


@dataclass(frozen=True)
class Response:
    """A response: status (None: no status line), headers (names in lower case) and unpacked body."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | memoryview = b""
    """A view of the block, not a copy, where no coding had to be undone."""
    faults: tuple[str, ...] = ()
    """What was wrong with the body and cost none of it: ``bad_checksum``."""


def head_of(block: bytes) -> tuple[int | None, dict[str, str], int]:
    """The final status and headers of a block, and the offset of its body; ``(None, {}, 0)`` for a block without a head."""
    status, headers, start = _head(block, 0)
    while status in INTERIM and STATUS.match(block, start):
        status, headers, start = _head(block, start)
    return status, headers, start


def _head(block: bytes, at: int) -> tuple[int | None, dict[str, str], int]:
    status = STATUS.match(block, at)
    first = status or STATUS_LESS.match(block, at)
    if first is None and not HEADER.match(block, at):
        return None, {}, at
    code = int(status[1]) if status else None
    start = first.end() if first else at
    end = HEAD_END.search(block, start, at + HEAD_BYTES)
    if end is None:
        return (code, {}, len(block)) if first else (None, {}, at)
    lines = block[start : end.start()].decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    headers = _fields(lines[1:] if first else lines)
    if first is None and "content-type" not in headers:
        return None, {}, at  # a colon in prose is no header
    return code, headers, end.end()


SEPARATE = ("x-robots-tag",)
"""Fields whose repetitions are joined by newlines: a robot's name at the beginning of one does not reach into the next."""


def _fields(lines: list[str]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t") and name:  # a folded line
            values[name][-1] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
        if colon:
            values.setdefault(name, []).append(value.strip())
    return {name: _joined(name, found) if len(found) > 1 else found[0] for name, found in values.items()}


def _joined(name: str, values: list[str]) -> str:
    return ("\n" if name in SEPARATE else ", ").join(values)


def response(block: bytes, most: int) -> Response:
    """The response in a block; raises `TooLarge` for a body of more than ``most`` bytes."""
    status, headers, start = head_of(block)
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    codings = [coding.strip() for coding in headers.get("content-encoding", "").lower().split(",") if coding.strip()]
    body: bytes | memoryview = memoryview(block)[start:]
    faults: list[str] = []
    if chunked or codings:
        body = _unchunked(block[start:]) if chunked else block[start:]
        for coding in reversed(codings):
            body = unpacked(body, coding, most, faults)
    if len(body) > most:
        raise TooLarge(f"{len(body):,} bytes; at most {most:,} are allowed")
    return Response(status, headers, body, tuple(faults))


def _unchunked(body: bytes) -> bytes:
    """A chunked body joined, with what follows the last whole chunk as it is; unchanged if it does not begin with a chunk."""
    pieces, at = [], 0
    while size := CHUNK_SIZE.match(body, at):
        length = int(size[1], 16)
        pieces.append(body[size.end() : size.end() + length])
        at = size.end() + length
        if length == 0 or at >= len(body):
            return b"".join(pieces)
        at += 2 if body.startswith(b"\r\n", at) else 1 if body.startswith(b"\n", at) else 0
    return b"".join(pieces) + body[at:] if pieces else body


def unpacked(body: bytes, coding: str, most: int, faults: list[str] | None = None) -> bytes:
    """A body with one content coding undone; unchanged if the coding is unknown or the bytes are not in it.

    ``faults``: gets ``bad_checksum`` if the body unpacks to something else than its checksum says.
    """
    unpack = CODINGS.get(coding)
    if unpack is None or not body:
        return body
    faults = [] if faults is None else faults
    try:
        found = unpack(body, most, faults)
    except (zlib.error, brotli.error, zstandard.ZstdError):
        return body
    return body if found is None else found


def inflated(body: bytes, at: int, most: int, before: int = 0) -> tuple[bytes, int]:
    """Raw deflate data that begins at ``at``: what it unpacks to, and where it ends; -1 if it is cut off or broken.

    Raises `zlib.error` if nothing can be unpacked, `TooLarge` if there are more than ``most`` bytes with those ``before``.
    """
    try:
        return _inflated(body, at, most, before, STEP)
    except zlib.error:
        return _inflated(body, at, most, before, FINE_STEP)


def _inflated(body: bytes, at: int, most: int, size: int, step: int) -> tuple[bytes, int]:
    inflating, pieces = zlib.decompressobj(-15), list[bytes]()
    view = memoryview(body)
    while not inflating.eof:
        if not inflating.unconsumed_tail and at >= len(body):
            return b"".join(pieces), -1
        fed = inflating.unconsumed_tail or view[at : at + STEP]
        at += 0 if inflating.unconsumed_tail else len(fed)
        spare = inflating.copy() if step == FINE_STEP else None
        try:
            pieces.append(inflating.decompress(fed, step))
        except zlib.error:
            if spare is None:
                raise
            pieces.append(_last_bytes(spare, bytes(fed)))
            if not any(pieces):
                raise
            return b"".join(pieces), -1
        size += len(pieces[-1])
        _check(size, most)
    return b"".join(pieces), at - len(inflating.unused_data)


def _last_bytes(inflating: "zlib._Decompress", fed: bytes) -> bytes:
    """What precedes a break, byte by byte: a call that fails loses what it had unpacked."""
    found = bytearray()
    try:
        while len(found) < FINE_STEP:
            found += inflating.decompress(fed, 1)
            fed = inflating.unconsumed_tail
    except zlib.error:
        pass
    return bytes(found)


GZIP_HEAD = re.compile(rb"\x1f\x8b\x08(?P<flags>[\x00-\x1f]).{6}", re.DOTALL)
"""RFC 1952, section 2.3: magic, method, flags without the reserved ones, time and system."""


def _gzip_head(body: bytes, at: int) -> int:
    """Where the deflate data of the gzip member at ``at`` begins; -1 where none does."""
    head = GZIP_HEAD.match(body, at)
    if head is None:
        return -1
    flags, at = head["flags"][0], head.end()
    if flags & 4:
        at += 2 + int.from_bytes(body[at : at + 2], "little")
    for flag in (8, 16):  # a file's name, a comment
        if flags & flag:
            at = body.find(b"\0", at) + 1 or len(body)
    return at + 2 if flags & 2 else at


def _gzip(body: bytes, most: int, faults: list[str]) -> bytes | None:
    """All members of a gzip file (RFC 1952, section 2.2); what follows the last one is ignored, as browsers do."""
    pieces, size = list[bytes](), 0
    start = _gzip_head(body, 0)
    if start < 0:
        return None
    while start >= 0:
        try:
            piece, end = inflated(body, start, most, size)
        except zlib.error:
            if not pieces:
                raise
            break
        pieces.append(piece)
        size += len(piece)
        if end < 0:
            break
        if body[end : end + 4] != zlib.crc32(piece).to_bytes(4, "little"):
            faults.append("bad_checksum")
        start = _gzip_head(body, end + 8)
    return b"".join(pieces)


def _deflate(body: bytes, most: int, faults: list[str]) -> bytes:
    """zlib's format, as RFC 9110 says, or raw deflate, as servers send."""
    if body[0] & 15 == 8 and len(body) > 1 and int.from_bytes(body[:2]) % 31 == 0 and not body[1] & 32:
        try:
            found, end = inflated(body, 2, most)
        except zlib.error:
            pass
        else:
            if end >= 0 and body[end : end + 4] != zlib.adler32(found).to_bytes(4):
                faults.append("bad_checksum")
            return found
    return inflated(body, 0, most)[0]


def _brotli(body: bytes, most: int, _: list[str]) -> bytes:
    unpacking, pieces, size, at = brotli.Decompressor(), list[bytes](), 0, 0
    while not unpacking.is_finished():
        more = body[at : at + STEP] if unpacking.can_accept_more_data() else b""
        at += len(more)
        try:
            piece = unpacking.process(more, output_buffer_limit=STEP)
        except brotli.error:
            if not size:
                raise
            break
        if not piece and not more:
            break  # cut off
        pieces.append(piece)
        size += len(piece)
        _check(size, most)
    return b"".join(pieces)


def _zstd(body: bytes, most: int, _: list[str]) -> bytes:
    pieces, size = list[bytes](), 0
    with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
        while True:
            try:
                piece = reader.read(STEP)
            except zstandard.ZstdError:
                if not size:
                    raise
                break
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            _check(size, most)
    return b"".join(pieces)


def _check(size: int, most: int) -> None:
    if size > most:
        raise TooLarge(f"it unpacks to more than {most:,} bytes")


CODINGS: dict[str, Callable[[bytes, int, list[str]], bytes | None]] = {
    "gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd,
}  # fmt: skip
"""Content codings by name; None means that the bytes are not in the coding."""
