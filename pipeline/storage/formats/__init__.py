"""Readers of documents: a file per format, and one table of them.

Invariants: a format is known by the ending of the name, behind which a URL may have a query (``.parquet?download=true``) and a
text file its packing (``.gz``, ``.zst``, ``.bz2``, ``.xz``); a file of another ending by its first bytes. A reader gives all
rows of a file in their order, in tables bounded by bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import pyarrow as pa

from goldwash.credentials import shown
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.formats import delimited, json_lines, parquet_rows
from goldwash.pipeline.storage.locations import filesystem
from goldwash.pipeline.storage.source import Input


class Rows(Protocol):
    """An opened file."""

    schema: pa.Schema
    """The file's columns."""
    first_row: int
    """The number of the first row that is read, counted from the file's beginning."""

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows in order, in tables bounded by bytes; with at least these columns, if they are named."""
        ...


@dataclass(frozen=True)
class Format:
    """One kind of file: its name, the endings of its names, and the function that opens it."""

    name: str
    endings: tuple[str, ...]
    opened: Callable[[Input], AbstractContextManager[Rows]]
    packed: bool = True
    """Whether a packing may follow the ending."""


FORMATS = (
    Format("Parquet", (".parquet", ".pq"), parquet_rows.opened, packed=False),
    Format("JSON lines", (".jsonl", ".ndjson", ".json"), json_lines.opened),
    Format("CSV", (".csv", ".tsv"), delimited.opened),
)
PACKINGS = ("", ".gz", ".zst", ".bz2", ".xz")


def plain_name(location: str) -> str:
    """The last part of a location, in small letters, without the query of a URL.

    >>> plain_name("https://a.example/x/Quiz.parquet?download=true")
    'quiz.parquet'
    """
    path = urlsplit(location).path if "://" in location else location
    return path.rstrip("/").rsplit("/", 1)[-1].lower()


def format_by_name(location: str) -> Format | None:
    """The format that a name's ending says; None for any other ending.

    >>> format_by_name("c4-train.00000-of-01024.json.gz").name
    'JSON lines'
    """
    name = plain_name(location)
    for kind in FORMATS:
        if name.endswith(
            tuple(ending + packing for ending in kind.endings for packing in (PACKINGS if kind.packed else ("",)))
        ):
            return kind
    return None


def format_of(location: str) -> Format:
    """The format of a file, by its name or its first bytes; `DataError` for one that is none of them."""
    found = format_by_name(location)
    if found is not None:
        return found
    try:
        with in_plain_words(location):
            fs, path = filesystem(location)
            with fs.open(path, "rb") as file:
                first = bytes(file.read(4))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise DataError(f"{location}: no such file") from error
    if first == b"PAR1":
        return FORMATS[0]
    if first.lstrip(b"\xef\xbb\xbf").lstrip()[:1] == b"{" or first.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return FORMATS[1]
    endings = ", ".join(ending for kind in FORMATS for ending in kind.endings)
    raise DataError(f"{shown(location)}: expected a file of documents ({endings}; all but Parquet also .gz or .zst)")
