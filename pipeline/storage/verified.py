"""Open files whose SHA-256 is known, and refuse them if their bytes differ.

Invariants: a file with a known digest is verified as a whole before a byte of it is used, once per process as long as its size
and its time stay the same. A remote file is fetched once, and the bytes that were verified are the bytes that are read.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from goldwash.filters.fetch import file_digest
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.markers import marker_of
from goldwash.pipeline.storage.source import Input


@contextmanager
def opened_file(source: Input) -> Iterator[Any]:
    """A file opened for reading bytes, verified where its digest is known.

    Raises `DataError` where the content differs; ``FileNotFoundError`` where there is no file.
    """
    if source.sha256 is None:
        fs, path = filesystem(source.path)
        with fs.open(path, "rb") as file:
            yield file
        return
    with local_copy(source.path) as path:
        with in_plain_words(source.path):
            found = file_digest(path) if is_local(source.path) else _digest(path)
        if found != source.sha256:
            raise changed(source, os.path.getsize(path))
        with open(path, "rb") as file:
            yield file


@contextmanager
def verified(location: str, facts: Any) -> Iterator[Any]:
    """A file that a task wrote, opened for reading, verified against the ``bytes`` and ``sha256`` that its marker has of it."""
    with opened_file(Input(location, int(facts["bytes"]), str(facts["sha256"]))) as file:
        yield file


@contextmanager
def opened_output(location: str, partly: bool = False) -> Iterator[Any]:
    """A Parquet file that an earlier pass of this stage wrote, opened for reading, verified against its task's marker.

    ``partly``: for readers of a few columns or row groups. The size and the footer are verified here, the reader verifies the
    checksum of each page that it reads (``page_checksum_verification=True``), and no other byte is read.

    Raises `DataError` where the content differs; ``FileNotFoundError`` where there is no file, or no marker of it.
    """
    folder, _, file = location.rpartition("/")
    out, _, below = folder.rpartition("/")
    marker = marker_of(out, file.removesuffix(".parquet")) or {"files": {}}
    facts = marker["files"].get(f"{below}/{file}")
    if facts is None:
        raise FileNotFoundError(location)
    source = Input(location, int(facts["bytes"]), str(facts["sha256"]))
    if not partly or "footer" not in facts:
        with opened_file(source) as opened:
            yield opened
        return
    fs, path = filesystem(location)
    with fs.open(path, "rb") as opened:
        size, footer = footer_of(opened)
        if (size, footer) != (source.bytes, facts["footer"]):
            raise changed(source, size)
        yield opened


def footer_of(file: Any) -> tuple[int, str]:
    """The size of an opened Parquet file, and the SHA-256 of its footer, which says where every page is."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(8)[:4], "little")
    file.seek(max(0, size - 8 - length))
    digest = hashlib.sha256(file.read()).hexdigest()
    file.seek(0)
    return size, digest


def changed(source: Input, size: int, ours: bool = False) -> DataError:
    """The error for a file whose content has changed.

    A file that goldwash wrote (``ours``, or any file with a known SHA-256) is renamed to ``NAME.broken``, so that the next run
    makes it again.
    """
    found = f"{source.path} is not what it was when this work was planned (it had {source.bytes:,} bytes, has {size:,}, or the "
    if (ours or source.sha256 is not None) and is_local(source.path):
        path = filesystem(source.path)[1]
        with suppress(OSError):
            os.replace(path, f"{path}.broken")
            return DataError(
                f"{found}content differs). It is set aside as {source.path}.broken: run again to have it made again"
            )
    return DataError(f"{found}content differs): put the file back, or delete it if a stage of goldwash made it, and run again")


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
