"""WACZ files: the records of the archives in a zip.

Invariants: the records of a stored archive have offsets in the .wacz itself, those of a deflated one the place of the zip's
member, which holds them all. Damage of the zip is yielded, not raised.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from goldwash.pipeline.warc.frames import CHUNK, Part, Raw
from goldwash.pipeline.warc.records import MOST, Damage, Record, records

ENDINGS = (".warc", ".warc.gz", ".arc", ".arc.gz")


def wacz_records(stream: BinaryIO, most: int = MOST) -> Iterator[Record | Damage]:
    """The records of the archives in a .wacz, in the zip's order, with the damage between them."""
    size = stream.seek(0, io.SEEK_END)
    try:
        packed = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        yield Damage(0, f"no .wacz: {error}", size)
        return
    for member in packed.infolist():
        if not member.filename.startswith("archive/") or not member.filename.endswith(ENDINGS):
            continue
        if member.header_offset < 0:
            yield Damage(0, f"{member.filename}: the zip's beginning is lost", member.compress_size)
            continue
        stream.seek(member.header_offset + 26)
        sizes = stream.read(4)
        start = member.header_offset + 30 + int.from_bytes(sizes[:2], "little") + int.from_bytes(sizes[2:], "little")
        if start > size:
            reason = f"{member.filename}: its header in the zip is damaged"
            yield Damage(min(member.header_offset, size), reason, member.compress_size)
            continue
        try:
            yield from _member_records(stream, packed, member, start, size, most)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError, OSError) as error:
            yield Damage(start, f"{member.filename}: {error}", member.compress_size)


def _member_records(
    stream: BinaryIO, packed: zipfile.ZipFile, member: zipfile.ZipInfo, start: int, size: int, most: int
) -> Iterator[Record | Damage]:
    if member.compress_type == zipfile.ZIP_STORED:
        stop = min(start + max(member.file_size, member.compress_size), size)  # equal, unless one of them is damaged
        inner: Any = io.BufferedReader(Part(Raw(stream, size), start, stop), CHUNK)
        for found in records(inner, stop - start, most):
            yield replace(found, offset=start + found.offset)
        return
    with packed.open(member) as unpacked:
        for found in records(unpacked, member.file_size, most):  # type: ignore[arg-type]  # it reads and seeks, and no more
            if isinstance(found, Record):
                yield replace(found, offset=start, length=member.compress_size)
            else:
                yield replace(found, offset=start, bytes=min(found.bytes, member.compress_size))
