"""Text files, plain or packed, as one stream of bytes; a file that was cut off is an error.

Invariants: the packing is known by the first bytes, not by the name: servers unpack ``.gz`` files on their way. Several members
or frames are one stream.
"""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import zstandard

from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.locations import is_local
from goldwash.pipeline.storage.source import Input

BUFFER = 1 << 20
WINDOW = 1 << 31
"""The largest window of a zstd frame: what ``zstd --long=31`` writes."""

BROKEN = (EOFError, OSError, zstandard.ZstdError, lzma.LZMAError)


class Unpacked(io.RawIOBase):
    """The frames of a zstd stream as one stream; unlike zstandard's own reader, it notices a file that ends within a frame."""

    def __init__(self, packed: Any) -> None:
        self._file = packed
        self._frame: Any = None
        self._packed, self._ready = b"", memoryview(b"")

    def readable(self) -> bool:  # noqa: D102  (as `io.RawIOBase` has it)
        return True

    def readinto(self, into: Any) -> int:  # noqa: D102
        while not self._ready:
            packed = self._packed or self._file.read(1 << 16)
            if not packed:
                if self._frame is not None:
                    raise EOFError("it ends within a frame")
                return 0
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()
            self._ready = memoryview(self._frame.decompress(packed))
            self._packed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        count = min(len(into), len(self._ready))
        into[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def unpacked(file: Any) -> Any:
    """The unpacked content of an opened file that can seek: a buffered stream of bytes."""
    first = file.read(6)
    file.seek(0)
    if first.startswith(b"\x1f\x8b"):
        return io.BufferedReader(gzip.GzipFile(fileobj=file, mode="rb"), BUFFER)
    if first.startswith(b"\x28\xb5\x2f\xfd") or (first[1:4] == b"\x2a\x4d\x18" and 0x50 <= first[0] <= 0x5F):
        return io.BufferedReader(Unpacked(file), BUFFER)
    if first.startswith(b"BZh"):
        return io.BufferedReader(bz2.BZ2File(file), BUFFER)
    if first.startswith(b"\xfd7zXZ\x00"):
        return io.BufferedReader(lzma.LZMAFile(file), BUFFER)
    return file


@contextmanager
def text_stream(source: Input) -> Iterator[Any]:
    """The unpacked bytes of a text file that may be anywhere, from behind a byte-order mark on.

    Raises `DataError` where the file is missing, is cut off or broken, or is in UTF-16 or UTF-32.
    """
    try:
        with in_plain_words(source.path), open(_here(source), "rb", buffering=BUFFER) as file:
            try:
                stream = unpacked(file)
                _skip_mark(stream, source.path)
                yield stream
            except BROKEN as error:
                if isinstance(error, DataError | PermissionError):
                    raise
                raise DataError(
                    f"{source.path} is cut off or broken ({type(error).__name__}: {error}): copy or download it again"
                ) from error
    except FileNotFoundError as error:
        raise DataError(f"{source.path}: no such file") from error


def _skip_mark(stream: Any, location: str) -> None:
    first = stream.peek(4)[:4]
    if first.startswith(b"\xef\xbb\xbf"):
        stream.read(3)
    elif first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{location} is in UTF-16 or UTF-32: expected UTF-8; convert it with `iconv -f UTF-16 -t UTF-8`")


class _Fetched:
    """The copy of the remote text file that was read last: its columns and then its rows are read from one copy."""

    def __init__(self) -> None:
        self._key: Any = None
        self._stack = ExitStack()
        self._path = ""

    def path(self, source: Input) -> str:
        key = (source.path, source.stamp)
        if key != self._key:
            self._stack.close()
            self._key = None
            self._path = self._stack.enter_context(local_copy(source.path))
            self._key = key
        return self._path


_FETCHED = _Fetched()


def _here(source: Input) -> str:
    """A path on this machine of a text file."""
    if is_local(source.path):
        with local_copy(source.path) as path:
            return path
    return _FETCHED.path(source)
