"""Locations: paths and URLs that fsspec understands, and what is at them.

Invariants: nothing is written here. A location is a local path or any URL that fsspec knows (``s3://``, ``https://``, ``hf://``).
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import fsspec

from goldwash.pipeline.storage.retry import with_retries


class DataError(Exception):
    """Input that cannot be used; the message says what was expected, what came, where, and the cure."""


def filesystem(location: str) -> tuple[Any, str]:
    """The fsspec file system of a location, and the location's path in it."""
    # a cached listing of a store does not know what another machine has put there since
    options: dict[str, Any] = {} if is_local(location) else {"use_listings_cache": False}
    try:
        fs, path = fsspec.core.url_to_fs(location, **options)
    except (ImportError, ValueError) as error:
        raise DataError(f"{location}: {error}") from error
    return fs, path


def is_local(location: str) -> bool:
    """Whether a location lies on a disk of this machine (or one mounted on it)."""
    return "://" not in location or location.startswith("file://")


def join(folder: str, *parts: str) -> str:
    """A location below a folder."""
    return "/".join([folder.rstrip("/"), *parts])


def exists(location: str) -> bool:
    """Whether something lies at a location."""
    fs, path = filesystem(location)
    return bool(fs.exists(path))


def read_json(location: str) -> Any:
    """A JSON file's value; None where there is no file; `DataError` where it is broken."""
    fs, path = filesystem(location)

    def content() -> Any:
        with fs.open(path, "rb") as file:
            return json.load(file)

    try:
        return with_retries(content)
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise DataError(f"{location} is not whole JSON ({error}): delete it and run again") from error


def read_text(location: str) -> str:
    """A text file's content."""
    fs, path = filesystem(location)
    with fs.open(path, "rb") as file:
        return str(file.read(), "utf-8")


def size_of(location: str) -> int | None:
    """A file's size in bytes; None where there is none."""
    fs, path = filesystem(location)
    try:
        return int(with_retries(lambda: fs.size(path)))
    except FileNotFoundError:
        return None


def sizes_in(folder: str) -> dict[str, int]:
    """The files right in a folder and their sizes in bytes; none where there is no folder."""
    fs, path = filesystem(folder)
    try:
        if is_local(folder):
            return dict(_entries(path))
        found = with_retries(lambda: fs.ls(path, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {entry["name"].rsplit("/", 1)[-1]: int(entry["size"] or 0) for entry in found if entry["type"] == "file"}


def _entries(folder: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another task's half, renamed or removed meanwhile
                if entry.is_file():
                    yield entry.name, entry.stat().st_size
