"""Records to responses: a block's status, headers and body, the body as the server's page was before it was sent.

Law: what a header says of the body is believed only if the bytes agree: a body that is called chunked or compressed and is not
is taken as it stands, and one that breaks off gives what came before. Nothing inflates to more than ``most`` bytes: what would
is `TooLarge`. A block that does not begin with a status line is a body without headers.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import brotli
import zstandard

STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})")
HEADER = re.compile(rb"[!-9;-~]+[ \t]*:")
HEAD_END = re.compile(rb"\r?\n[ \t]*\r?\n")
CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
HEAD_BYTES = 1 << 16
"""Bytes within which the head of a response ends."""
STEP = 1 << 16
"""Bytes that are unpacked at once."""


class TooLarge(ValueError):
    """A body that has, or would unpack to, more bytes than are allowed."""


@dataclass(frozen=True)
class Response:
    """A response: its status (None: no status line), headers (names in small letters) and unpacked body."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | memoryview = b""
    """Where nothing had to be undone, a part of the block: it is not copied."""


def head_of(block: bytes) -> tuple[int | None, dict[str, str], int]:
    """The status and headers that a block begins with, and where its body begins; None, {} and 0 where it has none."""
    status = STATUS.match(block)
    if status is None and not HEADER.match(block):
        return None, {}, 0
    end = HEAD_END.search(block, 0, HEAD_BYTES)
    if end is None:
        return (int(status[1]), {}, len(block)) if status else (None, {}, 0)
    lines = block[: end.start()].decode("utf-8", "replace").splitlines()
    headers: dict[str, str] = {}
    name = ""
    for line in lines[1 if status else 0 :]:
        if line[:1] in (" ", "\t") and name:  # a folded line
            headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
        if colon:
            headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    if status is None and "content-type" not in headers:
        return None, {}, 0  # words and a colon: no headers
    return int(status[1]) if status else None, headers, end.end()


def response(block: bytes, most: int) -> Response:
    """A block as a response; raises `TooLarge` for a body of more than ``most`` bytes."""
    status, headers, start = head_of(block)
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    codings = [coding.strip() for coding in headers.get("content-encoding", "").lower().split(",") if coding]
    body: bytes | memoryview = memoryview(block)[start:]
    if chunked or codings:
        body = _unchunked(block[start:]) if chunked else block[start:]
        for coding in reversed(codings):
            body = unpacked(body, coding, most)
    if len(body) > most:
        raise TooLarge(f"{len(body):,} bytes; at most {most:,} are allowed")
    return Response(status, headers, body)


def _unchunked(body: bytes) -> bytes:
    """A chunked body put together; as it is where it does not begin with a chunk; up to where its chunks break."""
    pieces, at = [], 0
    while size := CHUNK_SIZE.match(body, at):
        length = int(size[1], 16)
        pieces.append(body[size.end() : size.end() + length])
        at = size.end() + length
        if length == 0 or at >= len(body):
            return b"".join(pieces)
        at += 2 if body.startswith(b"\r\n", at) else 1 if body.startswith(b"\n", at) else 0
    return b"".join(pieces) + body[at:] if pieces else body


def unpacked(body: bytes, coding: str, most: int) -> bytes:
    """A body without a content coding; as it is where the coding is not known, or the bytes are not in it."""
    unpack = CODINGS.get(coding)
    if unpack is None or not body:
        return body
    try:
        return unpack(body, most) or body
    except (zlib.error, brotli.error, zstandard.ZstdError):
        return body


def _inflated(body: bytes, most: int, wbits: int) -> bytes:
    inflating, pieces, size = zlib.decompressobj(wbits), list[bytes](), 0
    data = body
    while data and not inflating.eof:
        try:
            pieces.append(inflating.decompress(data, STEP))
        except zlib.error:
            if not size:
                raise
            break  # what came before it is kept
        size += len(pieces[-1])
        _check(size, most)
        data = inflating.unconsumed_tail
    return b"".join(pieces)


def _gzip(body: bytes, most: int) -> bytes:
    return _inflated(body, most, 31) if body.startswith(b"\x1f\x8b") else b""


def _deflate(body: bytes, most: int) -> bytes:
    """Zlib's format, as RFC 9110 has it, or raw deflate, as servers do."""
    try:
        return _inflated(body, most, 15)
    except zlib.error:
        return _inflated(body, most, -15)


def _brotli(body: bytes, most: int) -> bytes:
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


def _zstd(body: bytes, most: int) -> bytes:
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


CODINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd,
}  # fmt: skip
