"""Bytes to records: the captures in a WARC or ARC stream.

Law: every capture that can be read whole is given, whatever stands before or after it; what cannot be read is given as a
`Damage` with its offset, and reading goes on at the next place where a record seems to begin. FastWARC reads WARC (gzip, zstd,
lz4 or plain); what it refuses (ARC among others) warcio reads. A record's ``offset`` and ``length`` are those of its bytes in
the file as stored, so that a range request fetches it again; in a file that is one gzip member they are the file's, in which
`record_at` finds it by its id. A record whose length lies would swallow what follows: it is damage, and reading goes on inside
of it. A dictionary at the head of a zstd archive (IIPC's warc-zstd 1.0) counts for all of its frames. No more than ``most``
bytes of a block are held.
"""

import hashlib
import io
import re
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, BinaryIO, cast

from fastwarc.stream_io import GzipReader, Lz4Reader, ZstdReader
from fastwarc.warc import ArchiveIterator
from warcio.archiveiterator import ArchiveIterator as WarcioIterator
from warcio.exceptions import ArchiveLoadFailed
from zstandard import DICT_TYPE_FULLDICT, ZstdCompressionDict, ZstdDecompressor, ZstdError

CHUNK = 1 << 20
"""Bytes that are looked at once; no record's head is longer."""

GZIP, ZSTD, SKIPPABLE, LZ4 = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x5d\x2a\x4d\x18", b"\x04\x22\x4d\x18"
"""How compressed records begin; the skippable frame holds a dictionary for zstd's."""
DICTIONARY_BYTES = 1 << 24
"""Bytes of a dictionary, at the most."""
READERS = {GZIP: GzipReader, ZSTD: ZstdReader, LZ4: Lz4Reader}
WARC_HEAD = re.compile(rb"WARC/.*?\r?\n\r?\n", re.DOTALL)
ARC_LINE = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.-]*:[^\n]{1,8192} \d{8,20} \S+ (?P<length>\S+)\r?\n")
SIGNS = re.compile(rb"WARC/\d\.\d|\x1f\x8b\x08|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|^" + ARC_LINE.pattern, re.MULTILINE)
MOST = 1 << 28
"""Bytes of a block that are held at the most, unless another number is given: FastWARC sets them aside on a record's word."""
HTTP_LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*(\d{1,12})\r\n", re.IGNORECASE)
LOOK = 8192
"""Bytes that tell what begins there."""
SWALLOWED = b"\r\n\r\nWARC/1."
"""What stands in a block that goes on into the next record."""


@dataclass(slots=True)
class Record:
    """One record: its kind (``response``, ``conversion`` ...), where it lies, its headers, and its block.

    Whoever is given one may take the block from it: what is read on holds the record, and would hold the block.
    """

    kind: str
    offset: int
    length: int
    id: str
    url: str
    date: str
    block: bytes = b""
    """What follows the record's headers: of a response, HTTP headers and body. At most ``most`` bytes of it."""
    size: int = 0
    """Bytes of the whole block, as the record says."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The record's own; empty for ARC."""


@dataclass(frozen=True)
class Damage:
    """A place in an archive that could not be read, and why."""

    offset: int
    reason: str


def records(stream: BinaryIO, size: int, most: int = MOST) -> Iterator[Record | Damage]:
    """The records of a seekable archive of ``size`` bytes, in order, with the damage between them."""
    dictionary, at = _dictionary(stream)
    if dictionary:
        stream = cast(BinaryIO, Shared(stream, size, dictionary))
    elif at:
        yield Damage(0, "the zstd dictionary at its head cannot be read")
    while at < size:
        start = _next_start(stream, at, size)
        if start > at and not (at and _blank(stream, at, start)):
            yield Damage(at, f"{start - at:,} bytes that are no WARC or ARC record")
        if start == size:
            return
        at, damage = start, None
        for found in _readable(stream, start, size, most):
            if isinstance(found, Record):
                yield found
                at = max(at, found.offset + found.length)
            else:
                damage = found
        if damage or at == start:
            damage = damage or Damage(start, "no record can be read here")
            yield damage
            after = max(at, damage.offset + 1) if _packed(stream, damage.offset) else damage.offset + 1
            at = at if at == size else _next_start(stream, after, size, inside=True)
    if size == 0:
        yield Damage(0, "the file is empty")


def _dictionary(stream: BinaryIO) -> tuple[bytes, int]:
    """The dictionary in an archive's first frame, itself packed or not, and where that frame ends.

    Empty, and where it would begin, where it cannot be used; empty and 0 where there is none.
    """
    stream.seek(0)
    head = stream.read(8)
    if not head.startswith(SKIPPABLE):
        return b"", 0
    length = int.from_bytes(head[4:], "little")
    data = stream.read(length) if length <= DICTIONARY_BYTES else b""
    try:
        if data.startswith(ZSTD):
            data = ZstdReader(io.BytesIO(data)).read(DICTIONARY_BYTES)
        ZstdDecompressor(dict_data=ZstdCompressionDict(data, dict_type=DICT_TYPE_FULLDICT)).decompressobj()
    except (OSError, ZstdError):
        return b"", len(head)
    return data, len(head) + length


def _reader(magic: bytes, packed: Any, archive: Any) -> Any:
    """What unpacks a member or frame of an archive that begins with these bytes; None where nothing packs it."""
    kind = next((reader for sign, reader in READERS.items() if magic.startswith(sign)), None)
    if kind is ZstdReader and isinstance(archive, Shared):
        return ZstdReader(packed, dictionary=archive.dictionary)
    return kind(packed) if kind else None


def _readable(stream: BinaryIO, start: int, size: int, most: int) -> Iterator[Record | Damage]:
    """The records from a start up to the first place that cannot be read, by the library that can."""
    read, together = False, _together(stream, start, size)
    for found in _fastwarc(stream, start, size, most, together):
        read = True
        yield found
    if not read:
        yield from _warcio(stream, start, size, most, together)


def _fastwarc(stream: BinaryIO, start: int, size: int, most: int, together: bool) -> Iterator[Record | Damage]:
    """FastWARC's records, each given when the next one's offset tells its length."""
    held: Record | None = None
    sure = True
    stream.seek(start)
    magic = stream.read(4)
    stream.seek(start)
    unpacked = _reader(magic, stream, stream) if isinstance(stream, Shared) else None
    lost = unpacked is not None  # of a reader's first record FastWARC gives the next one's place
    try:
        for record in ArchiveIterator(unpacked or stream, parse_http=False, max_header_len=CHUNK):
            if held is not None:
                if _swallows(held.block) and not together and not _honest(stream, held.offset, size, strict=True):
                    sure = False
                    break
                held.length = record.stream_pos - held.offset
                yield _moved(held, start, size - start) if together else held
                held = None
            held = _record(record, most)
            held.offset, lost = start if lost else held.offset, False
    except OSError:
        sure = False  # what follows the last record is none: that one's length may lie
    if held is None:
        return
    if len(held.block) < min(held.size, most):
        offset = start if together else held.offset
        yield Damage(offset, f"the record says {held.size:,} bytes, and has {len(held.block):,}")
    elif together:
        yield from _last_of_one(stream, replace(held, offset=start, length=size - start), size)
    else:
        yield from _last(stream, held, size)
        if not sure and not _honest(stream, held.offset, size):
            yield Damage(held.offset, f"the record says {held.size:,} bytes, and no record ends there")


def _swallows(block: bytes) -> bool:
    """Whether another record seems to stand within a block; not, where HTTP's length agrees with the record's."""
    said, head = HTTP_LENGTH.search(block, 0, LOOK), block.find(b"\r\n\r\n", 0, LOOK)
    if said and said.end() <= head + 2 and int(said[1]) == len(block) - head - 4:
        return False
    return block.rfind(SWALLOWED) >= 0  # from behind: at 3.9 GB/s, where `in` and `find` do 1.7 (2026-11)


def _last_of_one(stream: BinaryIO, held: Record, size: int) -> Iterator[Record | Damage]:
    """The last record of a gzip member or frame that holds several."""
    cut = _member_end(stream, held.offset, size) is None
    if held.size or not cut:
        yield held
    if cut:
        yield Damage(held.offset, "what holds these records breaks off")


def _moved(found: Record | Damage, offset: int, length: int) -> Record | Damage:
    """The same within a part of the file that is packed as one."""
    if isinstance(found, Damage):
        return replace(found, offset=offset)
    return replace(found, offset=offset, length=length)


def _last(stream: BinaryIO, held: Record, size: int) -> Iterator[Record | Damage]:
    """The record that no other follows, if it is whole: both libraries give a truncated one without a word."""
    end = _end(stream, held.offset, size)
    if end is None:
        yield Damage(held.offset, "the archive ends within this record")
    elif _swallows(held.block) and not _honest(stream, held.offset, size, strict=True):
        return  # another record stands within
    else:
        held.length = end - held.offset
        yield held


def _together(stream: BinaryIO, start: int, size: int) -> bool:
    """Whether a gzip member, zstd or lz4 frame holds more than one record."""
    after = _after(stream, start, size) if _packed(stream, start) else None
    return after is not None and _begins(after.lstrip(b"\r\n"))


def _honest(stream: BinaryIO, offset: int, size: int, strict: bool = False) -> bool:
    """Whether a record ends where it says; the stream is left where it was.

    ``strict``: with its two newlines. A plain file's record that takes in the next one to its very end cannot be told from one
    that holds an archive, and is believed.
    """
    place = stream.tell()
    after = _after(stream, offset, size)
    stream.seek(place)
    if after is None or strict:
        return after is not None and after[:4] in (b"", b"\r\n\r\n")
    return after[:4] in (b"", b"\r\n\r\n") or _begins(after.lstrip(b"\r\n"))


def _begins(data: bytes) -> bool:
    """Whether a WARC or ARC record begins with these bytes, not compressed."""
    return data.startswith(b"WARC/") or ARC_LINE.match(data) is not None


def _after(stream: BinaryIO, offset: int, size: int) -> bytes | None:
    """What follows the record at an offset, within its gzip member or frame if it has one: the first of it.

    None where the record is not whole, or says not how long it is.
    """
    unpacked = _unpacked(stream, offset, size)
    try:
        head = unpacked.read(CHUNK)
        length = _length(head)
        while length is not None and length > len(head):
            length -= len(head)
            head = unpacked.read(CHUNK)
            length = length if head else None
        if length is None:
            return None
        past = bytes(head[length : length + LOOK])
        return past if len(past) == LOOK else past + bytes(unpacked.read(LOOK - len(past)))
    except OSError:
        return None


def _unpacked(stream: BinaryIO, offset: int, size: int) -> Any:
    """The record at an offset as a file that can be read, without what packs it."""
    stream.seek(min(offset, size))
    magic = stream.read(4)
    if not magic.startswith(tuple(READERS)):
        stream.seek(min(offset, size))
        return stream
    return _reader(magic, Part(stream, offset, (_member_end(stream, offset, size) or size) - offset), stream)


def _length(head: bytes) -> int | None:
    """Bytes of a record, its head included, as that says."""
    if arc := ARC_LINE.match(head):
        return arc.end() + int(arc["length"]) if arc["length"].isdigit() else None
    warc = WARC_HEAD.match(head)
    named = re.search(rb"^content-length:[ \t]*(\d+)", warc[0], re.IGNORECASE | re.MULTILINE) if warc else None
    return warc.end() + int(named[1]) if warc and named else None


def _end(stream: BinaryIO, offset: int, size: int) -> int | None:
    """Where the record at an offset ends, its closing newlines included; None where the archive ends before it does."""
    stream.seek(min(offset, size))
    head = stream.read(CHUNK)
    if not head:
        return size
    if head.startswith(tuple(READERS)):
        return _member_end(stream, offset, size)
    length = _length(head)
    if length is None:
        arc = ARC_LINE.match(head)
        return offset + arc.end() if arc else None  # -1: not known
    if offset + length > size:
        return None
    stream.seek(offset + length)
    after = stream.read(8)
    return offset + length + len(after) - len(after.lstrip(b"\r\n"))


def _member_end(stream: BinaryIO, offset: int, size: int) -> int | None:
    """Where the gzip member, zstd or lz4 frame at an offset ends; None where it is broken or cut off."""
    stream.seek(offset)
    magic = stream.read(4)
    try:
        if magic.startswith(GZIP):
            return _gzip_end(stream, offset)
        end = (_zstd_end if magic == ZSTD else _lz4_end)(stream)
    except (zlib.error, IndexError):
        return None
    return end if end <= size else None


def _gzip_end(stream: BinaryIO, offset: int) -> int | None:
    inflating = zlib.decompressobj(31)
    stream.seek(offset)
    while not inflating.eof:
        data = inflating.unconsumed_tail or stream.read(CHUNK)
        if not data:
            return None
        inflating.decompress(data, CHUNK)  # bounded: a megabyte of zeros is a kilobyte of gzip
    return stream.tell() - len(inflating.unused_data)


def _zstd_end(stream: BinaryIO) -> int:
    """The end of a zstd frame whose magic has been read (RFC 8878, section 3.1.1); its blocks are stepped over."""
    kind = stream.read(1)[0]
    single = kind >> 5 & 1
    stream.read((1 - single) + (0, 1, 2, 4)[kind & 3] + (single, 2, 4, 8)[kind >> 6])
    last = False
    while not last:
        head = int.from_bytes(stream.read(3) or [][0], "little")
        last = bool(head & 1)
        stream.seek(1 if head >> 1 & 3 == 1 else head >> 3, io.SEEK_CUR)
    return stream.tell() + (4 if kind & 4 else 0)


def _lz4_end(stream: BinaryIO) -> int:
    """The end of an lz4 frame whose magic has been read (lz4's frame format 1.6); its blocks are stepped over."""
    kind = stream.read(2)[0]
    stream.read((8 if kind & 8 else 0) + (4 if kind & 1 else 0) + 1)
    while block := int.from_bytes(stream.read(4) or [][0], "little") & 0x7FFF_FFFF:
        stream.seek(block + (4 if kind & 16 else 0), io.SEEK_CUR)
    return stream.tell() + (4 if kind & 4 else 0)


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
            if _opens(stream, place, size, data[sign.start() : sign.start() + CHUNK], place == at):
                return place
    return size


def _next_packed(stream: BinaryIO, at: int, size: int) -> int:
    """The same of what is packed: in a broken member that has been read, records may stand as they are."""
    while (place := _next_start(stream, at, size, inside=True)) < size:
        if _packed(stream, place):
            break
        at = place + 1
    return place


def _packed(stream: BinaryIO, place: int) -> bool:
    """Whether a gzip member, zstd or lz4 frame seems to begin there."""
    stream.seek(place)
    return stream.read(4).startswith(tuple(READERS))


def _opens(stream: BinaryIO, place: int, size: int, data: bytes, first: bool) -> bool:
    """Whether a record begins at a place, with these bytes."""
    try:
        if data.startswith(GZIP):
            data = zlib.decompressobj(31).decompress(data, 1 << 14)
        elif data.startswith((ZSTD, LZ4)):
            data = _unpacked(stream, place, size).read(1 << 14)  # of all that follows: a block of lz4 may have four megabytes
    except zlib.error:
        return False
    except OSError:
        return data.startswith(ZSTD) and first  # it may need a dictionary: the damage says so
    return _begins(data.lstrip(b"\r\n"))


def _blank(stream: BinaryIO, start: int, end: int) -> bool:
    stream.seek(start)
    return end - start <= CHUNK and not stream.read(end - start).strip(b"\0\r\n\t ")


def _record(record: Any, most: int) -> Record:
    """FastWARC's record as ours; its length is not known yet."""
    headers = record.headers
    return Record(
        str(record.record_type).rpartition(".")[2],
        record.stream_pos,
        0,
        headers.get("WARC-Record-ID", "").strip("<>"),
        headers.get("WARC-Target-URI", "").strip("<>"),
        headers.get("WARC-Date", ""),
        record.reader.read(min(record.content_length, most)),
        record.content_length,
        headers.to_dict(),
    )


def _warcio(stream: BinaryIO, start: int, size: int, most: int, together: bool) -> Iterator[Record | Damage]:
    """warcio's records from an offset on; the damage that ends them."""
    stream.seek(start)
    if together or stream.read(4) in (ZSTD, LZ4):  # which warcio refuses
        yield from _warcio_unpacked(stream, start, size, most)
        return
    stream.seek(start)
    iterator = WarcioIterator(stream, arc2warc=True, no_record_parse=True)
    held: Record | None = None
    damage: list[Damage] = []
    try:
        for record in iterator:
            found = _warcio_record(record, most)  # before its offset is asked for: that reads on to the record's end
            found.offset = iterator.get_record_offset()
            if held is not None:
                held.length = found.offset - held.offset
                yield held
            held = found
    except (ArchiveLoadFailed, EOFError, OSError, ValueError, AttributeError, zlib.error) as error:
        damage = [Damage(start, f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}")]
    yield from _last(stream, held, size) if held is not None else damage


def _warcio_unpacked(stream: BinaryIO, start: int, size: int, most: int) -> Iterator[Record | Damage]:
    """The records of one gzip member, zstd or lz4 frame, up to where it breaks off."""
    end = _member_end(stream, start, size)
    unpacked = Unpacked(stream, start, size)
    length = unpacked.seek(0, io.SEEK_END)
    whole = end is not None and not unpacked.broken
    after = end if end and whole else _next_packed(stream, start + 1, size)
    for found in _warcio(cast(BinaryIO, io.BufferedReader(unpacked, LOOK)), 0, length, most, False):
        yield _moved(found, start, after - start)
    if not whole:
        yield Damage(start, f"{unpacked.broken or 'what holds these records breaks off'}, after {length:,} bytes unpacked")


def _warcio_record(record: Any, most: int) -> Record:
    """warcio's record as ours; where it lies is not known yet."""
    headers = record.rec_headers
    id, url, date = (headers.get_header(name) or "" for name in ("WARC-Record-ID", "WARC-Target-URI", "WARC-Date"))
    block = record.raw_stream.read(most)
    found = Record(record.rec_type or "unknown", 0, 0, id.strip("<>"), url.strip("<>"), date, block)
    found.size = max(len(block), record.length or 0)
    if headers.total_len:
        found.headers = dict(headers.headers)
    else:  # an ARC record's headers are made up by warcio, not read
        found.id = arc_id(found.date, found.url, block)
    return found


def arc_id(date: str, url: str, block: bytes) -> str:
    """An id for a capture that has none, made of what it is; warcio draws one at random, another on each reading."""
    digest = hashlib.sha1(block, usedforsecurity=False).hexdigest()
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{date} {url} {digest}").urn


def record_at(data: bytes, id: str = "") -> Record | None:
    """The first record in the bytes of a range request, or the one of an id; None where there is none.

    A record of a zstd archive that has a dictionary is none without it: the archive's first frame must stand before its bytes.
    That one begins with 5D 2A 4D 18 and has eight bytes more than its next four say, the lowest first.
    """
    for found in records(io.BytesIO(data), len(data)):
        if not id or (isinstance(found, Record) and found.id == id):
            return found if isinstance(found, Record) else None
    return None


class Inner(io.RawIOBase):
    """A file within a file."""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True


class Part(Inner):
    """A part of a file as a file."""

    def __init__(self, stream: BinaryIO, offset: int, size: int) -> None:
        self.stream, self.offset, self.size, self.place = stream, offset, size, 0

    def tell(self) -> int:
        """Where it stands, from its own beginning."""
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        self.place = offset + (0, self.place, self.size)[whence]
        return self.place

    def readinto(self, buffer: Any) -> int:
        """Bytes of the part, never those after it."""
        self.stream.seek(self.offset + self.place)
        data = self.stream.read(max(0, min(len(buffer), self.size - self.place)))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


class Unpacked(Inner):
    """A gzip member, zstd or lz4 frame as the file that it holds, up to where it breaks off; to go back is to begin anew."""

    def __init__(self, stream: BinaryIO, offset: int, size: int) -> None:
        self.begun: Callable[[], Any] = partial(_unpacked, stream, offset, size)
        self.reader, self.place, self.wanted = self.begun(), 0, 0
        self.broken = ""
        """Why it breaks off."""

    def tell(self) -> int:
        """Where it stands in what is unpacked."""
        return self.wanted

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there; to know where the end is, all is unpacked and nothing held."""
        if whence == io.SEEK_END:
            while self._piece(LOOK):
                pass
        self.wanted = offset + (0, self.wanted, self.place)[whence]
        return self.wanted

    def readinto(self, buffer: Any) -> int:
        """Bytes from there on."""
        if self.wanted < self.place:
            self.reader, self.place = self.begun(), 0
        while self.place < self.wanted and self._piece(min(LOOK, self.wanted - self.place)):
            pass
        data = self._piece(min(LOOK, len(buffer))) if self.place == self.wanted else b""
        buffer[: len(data)] = data
        self.wanted = self.place
        return len(data)

    def _piece(self, most: int) -> bytes:
        """The next bytes, a few: what is unpacked in the same call as what is broken is lost."""
        try:
            data = bytes(self.reader.read(most))
        except OSError as error:
            self.broken, data = str(error), b""
        self.place += len(data)
        return data


class Shared(Part):
    """An archive whose zstd frames share the dictionary at its head."""

    def __init__(self, stream: BinaryIO, size: int, dictionary: bytes) -> None:
        super().__init__(stream, 0, size)
        self.dictionary = dictionary


def wacz_records(stream: BinaryIO, most: int = MOST) -> Iterator[Record | Damage]:
    """The records of the archives in a .wacz (a zip): a stored one's lie at offsets of the .wacz itself, a deflated one's at
    its member's, which holds them all.
    """
    try:
        packed = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        yield Damage(0, f"no .wacz: {error}")
        return
    for member in packed.infolist():
        if not member.filename.startswith("archive/") or not member.filename.endswith((".warc", ".warc.gz", ".arc", ".arc.gz")):
            continue
        if member.header_offset < 0:
            yield Damage(0, f"{member.filename}: the zip's beginning is lost")
            continue
        stream.seek(member.header_offset + 26)
        sizes = stream.read(4)
        start = member.header_offset + 30 + int.from_bytes(sizes[:2], "little") + int.from_bytes(sizes[2:], "little")
        try:
            if member.compress_type == zipfile.ZIP_STORED:
                size = max(0, min(member.file_size, stream.seek(0, io.SEEK_END) - start))
                inner: Any = io.BufferedReader(Part(stream, start, size), CHUNK)
                for found in records(inner, size, most):
                    yield replace(found, offset=start + found.offset)
            else:
                for found in records(packed.open(member), member.file_size, most):  # type: ignore[arg-type]
                    yield _moved(found, start, member.compress_size)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
            yield Damage(start, f"{member.filename}: {error}")
