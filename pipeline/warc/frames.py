"""Archive bytes to unpacked bytes: gzip members, zstd and lz4 frames.

Invariants:

- `Raw` reads a file by offset, through one buffer; what it reads is charged to a budget only where a place is read again.
- A frame yields its unpacked bytes a piece at a time, ``b""`` at its end. Then either ``end`` is where it ends in the file, or
  ``broken`` says why it cannot be read further; ``fed`` is how far the file was read for it.
- What a call unpacks before an error is kept: a broken gzip member is inflated once more in small steps.
"""

import io
import re
import zlib
from typing import Any, BinaryIO, cast

from fastwarc.stream_io import Lz4Reader
from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor, IsalError
from zstandard import DICT_TYPE_FULLDICT, ZstdCompressionDict, ZstdDecompressor, ZstdError

CHUNK = 1 << 20
"""Bytes that are read from a file at once."""
FIRST_FEED, FEED = 1 << 13, 1 << 16
"""Packed bytes that are given to a decompressor at first, and later: gzip copies those that follow its member."""
PIECE = 1 << 18
"""Unpacked bytes that are taken from it at once."""
SMALL_PIECE = 1 << 9

GZIP, ZSTD, SKIPPABLE, LZ4 = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x5d\x2a\x4d\x18", b"\x04\x22\x4d\x18"
"""How frames begin. The skippable one holds a dictionary for those of zstd (IIPC's warc-zstd 1.0)."""
MAGICS = (GZIP, ZSTD, LZ4, SKIPPABLE)
DICTIONARY_BYTES = 1 << 24
"""A larger dictionary is not read."""
PROBE = 1 << 10
"""Packed bytes within which a gzip member shows its first line; a block of zstd's has at most 128 KiB, one of lz4's 4 MiB."""
PROBES = {ZSTD: 1 << 18, LZ4: (1 << 22) + (1 << 10)}


class Budget:
    """Bytes that may be read again while looking for records, so that the time is linear in the archive's bytes."""

    def __init__(self, size: int) -> None:
        self.left = 8 * size + (1 << 26)

    def spend(self, bytes_: int) -> bool:
        """Take some; whether there were enough."""
        self.left -= bytes_
        return self.left >= 0


class Raw:
    """A seekable file of ``size`` bytes, read by offset."""

    def __init__(self, stream: BinaryIO, size: int, dictionary: bytes = b"") -> None:
        self.stream, self.size = stream, size
        self.buffer, self.start, self.budget = b"", 0, Budget(size)
        self.zstd = ZstdDecompressor(dict_data=_dictionary_of(dictionary)) if dictionary else ZstdDecompressor()

    def read(self, offset: int, count: int) -> bytes:
        """At most ``count`` bytes at an offset, ``b""`` only at the end of the file."""
        at = offset - self.start
        if not 0 <= at < len(self.buffer):
            self.stream.seek(offset)
            self.buffer, self.start, at = self.stream.read(min(CHUNK, max(0, self.size - offset))), offset, 0
            if not self.buffer:  # a zip may declare more bytes than it has: reading would go on for ever
                self.size = min(self.size, offset)
        return self.buffer[at : at + count]

    def far(self, offset: int, count: int) -> bytes:
        """A few bytes at an offset, which does not move the buffer."""
        self.stream.seek(offset)
        return self.stream.read(count)

    def all(self, offset: int, count: int) -> bytes:
        """``count`` bytes at an offset, or all that are left."""
        data = self.read(offset, count)
        while len(data) < count and (more := self.read(offset + len(data), count - len(data))):
            data += more
        return data

    def packed(self, offset: int) -> bool:
        """Whether a frame seems to begin at an offset."""
        return self.all(offset, 4).startswith(MAGICS)

    def frame(self, offset: int) -> "Frame":
        """The frame at an offset."""
        magic = self.all(offset, 4)
        if magic == SKIPPABLE:
            return Dictionary(self, offset)
        return Gzip(self, offset) if magic.startswith(GZIP) else Stepped(self, offset, magic)

    def opening(self, offset: int) -> bytes:
        """The first bytes of what the frame at an offset unpacks to; ``b""`` if it is none."""
        magic = self.all(offset, 4)
        if magic == SKIPPABLE:  # the dictionary of an archive that was appended to another
            length = int.from_bytes(self.all(offset + 4, 4), "little")
            return b"WARC/1.0\r\nA:" if length <= DICTIONARY_BYTES and self.far(offset + 8 + length, 4) == ZSTD else b""
        try:
            if magic.startswith(GZIP):
                return zlib.decompressobj(31).decompress(self.all(offset, PROBE), PROBE)
            if not (_is_zstd if magic == ZSTD else _is_lz4)(self.all(offset, 18)):
                return b""
            part = Part(self, offset, min(self.size, offset + PROBES[magic]))
            if not self.budget.spend(PROBE):
                return b""
            try:
                return bytes(self._unpacker(magic, part).read(PROBE))
            finally:
                self.budget.spend(part.place)
        except (zlib.error, ZstdError, OSError):
            return b""

    def _unpacker(self, magic: bytes, part: "Part") -> Any:
        return self.zstd.stream_reader(cast(BinaryIO, part), read_across_frames=False) if magic == ZSTD else Lz4Reader(part)


class Frame:
    """One gzip member, zstd or lz4 frame."""

    def __init__(self, raw: Raw, offset: int) -> None:
        self.raw, self.offset, self.fed = raw, offset, offset
        self.end: int | None = None
        self.known_end: int | None = None
        """Where it ends, where that is known before it is unpacked."""
        self.broken = ""

    def read(self, most: int = PIECE) -> bytes:
        """The next unpacked bytes; ``most``: how many a gzip member may yield."""
        raise NotImplementedError


class Gzip(Frame):
    """A gzip member (RFC 1952), inflated by ISA-L: twice as fast as zlib (2026-11)."""

    def __init__(self, raw: Raw, offset: int) -> None:
        super().__init__(raw, offset)
        self.inflating = IgzipDecompressor(flag=DECOMP_GZIP)
        self.given, self.careful = 0, False

    def read(self, most: int = PIECE) -> bytes:
        """The next unpacked bytes."""
        while self.end is None and not self.broken:
            fed = b""
            if self.inflating.needs_input:
                fed = self.raw.read(self.fed, self._wanted(most))
                self.fed += len(fed)
                if not fed:
                    self.broken = "the gzip member breaks off"
                    return b""
            try:
                data: bytes = self.inflating.decompress(fed, SMALL_PIECE if self.careful else most)
            except IsalError as error:  # type: ignore[misc]  # its stub declares an instance
                if self.careful:
                    self.broken = f"the gzip member is broken: {str(error).lower()}"
                    return b""
                self._again()
                continue
            if self.inflating.eof:
                self.end = self.fed - len(self.inflating.unused_data)
            if data:
                self.given += len(data)
                return data
        return b""

    def _wanted(self, most: int) -> int:
        """Packed bytes that may unpack to ``most``, by the ratio so far: those after the member are copied in vain."""
        return min(FEED, FIRST_FEED // 8 + most * (self.fed - self.offset) // self.given) if self.given else FIRST_FEED

    def _again(self) -> None:
        """Inflate once more up to where the error came, from there on in small steps: a failing call loses its output."""
        self.inflating = IgzipDecompressor(flag=DECOMP_GZIP)
        self.fed, skip, self.careful = self.offset, self.given, True
        while skip > 0:
            fed = b""
            if self.inflating.needs_input:
                fed = self.raw.read(self.fed, FEED)
                self.fed += len(fed)
            skip -= len(self.inflating.decompress(fed, min(skip, PIECE)))


class Stepped(Frame):
    """A zstd or lz4 frame; its end is known from the headers of its blocks, which are stepped over."""

    def __init__(self, raw: Raw, offset: int, magic: bytes) -> None:
        super().__init__(raw, offset)
        self.kind = "zstd" if magic == ZSTD else "lz4"
        self.known_end = _end(raw, offset, magic)
        self.part = Part(raw, offset, self.known_end or raw.size)
        self.reader = raw._unpacker(magic, self.part)

    def read(self, most: int = PIECE) -> bytes:
        """The next unpacked bytes."""
        if self.end is not None or self.broken:
            return b""
        try:
            data = bytes(self.reader.read(PIECE >> 3))  # what is unpacked in the same call as what is broken is lost
        except (ZstdError, OSError) as error:
            self.broken = f"the {self.kind} frame is broken: {error}"
            data = b""
        self.fed = self.offset + self.part.place
        if not data and not self.broken:
            self.end = self.known_end
            self.broken = "" if self.end else f"the {self.kind} frame breaks off"
        return data


class Dictionary(Frame):
    """A skippable frame: the dictionary of the zstd frames that follow, as at the head of an archive."""

    def __init__(self, raw: Raw, offset: int) -> None:
        super().__init__(raw, offset)
        length = int.from_bytes(raw.all(offset + 4, 4), "little")
        self.fed = offset + 8
        if offset + 8 + length > raw.size:
            self.broken = "the zstd dictionary breaks off"
            return
        self.end = offset + 8 + length
        if content := usable_dictionary(raw.all(offset + 8, length) if length <= DICTIONARY_BYTES else b""):
            raw.zstd = ZstdDecompressor(dict_data=_dictionary_of(content))

    def read(self, most: int = PIECE) -> bytes:
        """Nothing."""
        return b""


def _is_zstd(head: bytes) -> bool:
    """Whether a frame's header and its first block's are possible (RFC 8878, sections 3.1.1.1 and 3.1.1.2)."""
    kind = head[4] if len(head) > 4 else 8
    at = 5 + (1 - (kind >> 5 & 1)) + (0, 1, 2, 4)[kind & 3] + (kind >> 5 & 1, 2, 4, 8)[kind >> 6]
    block = int.from_bytes(head[at : at + 3], "little")
    return not kind & 8 and block >> 1 & 3 != 3 and block >> 3 <= 1 << 17


def _is_lz4(head: bytes) -> bool:
    """Whether a frame's descriptor is possible: its version, and the bits that are reserved."""
    return len(head) > 6 and head[4] >> 6 == 1 and not head[4] & 2 and not head[5] & 0x8F


def _end(raw: Raw, offset: int, magic: bytes) -> int | None:
    """Where a zstd or lz4 frame ends; None if it is cut off."""
    try:
        end = (_zstd_end if magic == ZSTD else _lz4_end)(raw, offset + 4)
    except IndexError:
        return None
    return end if end <= raw.size else None


def _zstd_end(raw: Raw, at: int) -> int:
    """RFC 8878, section 3.1.1; ``at``: after the magic."""
    kind = raw.read(at, 1)[0]
    single = kind >> 5 & 1
    at += 1 + (1 - single) + (0, 1, 2, 4)[kind & 3] + (single, 2, 4, 8)[kind >> 6]
    last = False
    while not last:
        head = int.from_bytes(raw.all(at, 3) or [][0], "little")
        last = bool(head & 1)
        at += 3 + (1 if head >> 1 & 3 == 1 else head >> 3)
    return at + (4 if kind & 4 else 0)


def _lz4_end(raw: Raw, at: int) -> int:
    """The LZ4 frame format, 1.6; ``at``: after the magic."""
    kind = raw.read(at, 1)[0]
    at += 2 + (8 if kind & 8 else 0) + (4 if kind & 1 else 0) + 1
    while block := int.from_bytes(raw.all(at, 4) or [][0], "little") & 0x7FFF_FFFF:
        at += 4 + block + (4 if kind & 16 else 0)
    return at + 4 + (4 if kind & 4 else 0)


# --- dictionaries of zstd archives


def dictionary_at_head(stream: BinaryIO) -> tuple[bytes, int]:
    """The dictionary in an archive's first frame, itself packed or not, and where that frame ends.

    ``(b"", place)``, with the place where it would begin, if it cannot be used; ``(b"", 0)`` if there is none.
    """
    stream.seek(0)
    head = stream.read(8)
    if not head.startswith(SKIPPABLE):
        return b"", 0
    length = int.from_bytes(head[4:], "little")
    data = usable_dictionary(stream.read(length) if length <= DICTIONARY_BYTES else b"")
    return (data, len(head) + length) if data else (b"", len(head))


def usable_dictionary(data: bytes) -> bytes:
    """A dictionary, unpacked if it is packed; ``b""`` if it cannot be used."""
    try:
        if data.startswith(ZSTD):
            data = ZstdDecompressor().stream_reader(data).read(DICTIONARY_BYTES)
        ZstdDecompressor(dict_data=_dictionary_of(data)).decompressobj()
    except (OSError, ZstdError):
        return b""
    return data


def _dictionary_of(data: bytes) -> ZstdCompressionDict:
    return ZstdCompressionDict(data, dict_type=DICT_TYPE_FULLDICT)


# --- files within files


class Part(io.RawIOBase):
    """The bytes of a file from one offset to another, as a file."""

    def __init__(self, raw: Raw, start: int, end: int) -> None:
        self.raw, self.offset, self.size, self.place = raw, start, max(0, end - start), 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place in the part."""
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the part."""
        self.place = offset + (0, self.place, self.size)[whence]
        return self.place

    def readinto(self, buffer: Any) -> int:
        """Read on, never beyond the part."""
        data = self.raw.read(self.offset + self.place, max(0, min(len(buffer), self.size - self.place)))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


BLANKS = re.compile(rb"[\0\r\n\t ]*+")
"""What may stand between records."""
