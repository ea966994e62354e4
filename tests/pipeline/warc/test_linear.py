"""Archives that would cost more time than they have bytes: what is read and how many places are told stays linear."""

import gzip
import io
import struct
import zipfile

import pytest
import zstandard

from goldwash.pipeline.warc.frames import Budget
from goldwash.pipeline.warc.records import Damage, Record, records
from goldwash.pipeline.warc.wacz import wacz_records
from tests.support.archives import warc


class Counted(io.BytesIO):
    """A file that counts the bytes that are read."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


HEAD = b"WARC/1.0\r\nA: b\r\n"
STORED = b"\x1f\x8b\x08" + bytes(7) + b"\0" + struct.pack("<HH", 65535, 0) + HEAD
"""A gzip member that breaks after 64 kB, and begins as a record."""
FLOODS = {
    "WARC/": b"WARC/", "versions": b"WARC/1.0", "lines": b"WARC/1.0\r\n", "heads": HEAD, "glued": b"WARC/1.0\nA:",
    "empty heads": HEAD + b"\r\n", "lies": b"WARC/1.0\r\nContent-Length: 40000\r\n\r\n",
    "huge lies": b"WARC/1.0\nContent-Length: 99999999\n\n",
    "gzip": b"\x1f\x8b\x08", "gzip heads": b"\x1f\x8b\x08" + bytes(8), "stored": STORED, "zstd": b"\x28\xb5\x2f\xfd",
    "zstd heads": b"\x28\xb5\x2f\xfd\0\x58\0\0\0", "broken zstd": zstandard.compress(HEAD * 3)[:-5], "lz4": b"\x04\x22\x4d\x18",
    "lz4 heads": b"\x04\x22\x4d\x18\x60\x70\x73\xff\xff\0\0", "dictionaries": b"\x5d\x2a\x4d\x18" + struct.pack("<I", 4),
    "long dictionaries": b"\x5d\x2a\x4d\x18" + struct.pack("<I", 40_000),
    "arc": b"http://a/ 1.2.3.4 20200101000000 text/html 40000\n",
    "arc without lengths": b"http://a/ 1.2.3.4 20200101000000 text/html -1\n", "colons": b"http: 1 20200101000000 ",
    "empty members": gzip.compress(b"", mtime=0), "newlines": gzip.compress(b"\r\n", mtime=0), "zeros": bytes(8),
    "fields": b"X-A: some value\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", FLOODS)
def test_what_is_read_grows_with_the_archive_and_not_faster(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "__init__", lambda self, size: setattr(self, "left", 8 * size))  # without the constant part
    for count in (500, 4000):
        data = FLOODS[name] * count
        stream = Counted(data)
        found = list(records(stream, len(data), 1 << 20))
        assert stream.bytes_read <= 24 * len(data) + (1 << 21)
        damage = [f for f in found if isinstance(f, Damage)]
        assert sum(f.bytes for f in damage) <= len(data)
        assert len(damage) <= 2


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.parametrize("pack", [b"".join, lambda r: b"".join(map(gzip.compress, r))], ids=["plain", "gzip"])
def test_records_after_a_flood_are_read(name: str, pack) -> None:
    data = FLOODS[name] * 300 + b"\r\n" + pack(warc(3))
    found = list(records(io.BytesIO(data), len(data), 1 << 20))
    held = [f.url for f in found if isinstance(f, Record) and f.url.startswith("http://a.example/")]
    assert held[-2:] == ["http://a.example/1", "http://a.example/2"]  # a lie may have taken in the first


def test_distinct_fields_without_an_end_are_bounded() -> None:
    data = b"".join(b"WARC/1.0\nA%d:" % n for n in range(10_000)) + b"x\n\n"
    stream = Counted(data)
    found = list(records(stream, len(data)))
    assert stream.bytes_read < 10 * len(data)
    assert sum(f.bytes for f in found if isinstance(f, Damage)) == len(data)


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_of_zeros_is_unpacked_once(how: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as packed:
        packed.writestr("archive/a.warc.gz", bytes(30_000_000))
    unpacked, plain = [0], zipfile.ZipExtFile.read

    def counted(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        data = plain(self, n)
        unpacked[0] += len(data)
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    found = list(wacz_records(file))
    assert [type(f) for f in found] == [Damage]
    assert unpacked[0] <= 31_000_000


def test_fifty_megabytes_of_fields_are_read_once() -> None:
    for end in (b"", b"\r\nhello\r\n\r\n"):
        data = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 5\r\n" + b"X-A: some value here\r\n" * 2_400_000 + end
        stream = Counted(data)
        assert [type(f) for f in records(stream, len(data))] == [Damage]
        assert stream.bytes_read < 2 * len(data)
