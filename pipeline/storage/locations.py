"""Locations: paths and URLs that fsspec understands, and reading them.

Invariants: nothing is written here. A location is a local path or any URL that fsspec knows (``s3://``, ``https://``,
``hf://``). A location that is kept, logged or shown has no credentials (`goldwash.credentials`); `filesystem` puts them back.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import fsspec

from goldwash.credentials import shown, with_credentials
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.patience import user_agent
from goldwash.pipeline.storage.retry import with_retries

OPTIONS: dict[str, dict[str, Any]] = {
    "http": {"client_kwargs": {"trust_env": True}},
    "https": {"client_kwargs": {"trust_env": True}},
    "gs": {"session_kwargs": {"trust_env": True}},
    "gcs": {"session_kwargs": {"trust_env": True}},
}
"""Options of fsspec's file systems: by default aiohttp ignores ``http_proxy`` and ``.netrc``."""


def filesystem(location: str) -> tuple[Any, str]:
    """The fsspec file system of a location, and the location's path in it.

    Raises `DataError` where no installed package knows the protocol.
    """
    if ":" not in location:  # a path: fsspec takes 30 microseconds to find that out, 800 times in a run of minhash
        return _disk(), (location.rstrip("/") or "/") if location.startswith("/") else _disk()._strip_protocol(location)
    options: dict[str, Any] = {}
    if not is_local(location):
        # a cached listing of a store misses what another machine has written since
        scheme = location.partition("://")[0]
        options = {"use_listings_cache": False, **OPTIONS.get(scheme, {})}
        if scheme in ("http", "https"):
            options["client_kwargs"] = {**options["client_kwargs"], "headers": {"User-Agent": user_agent()}}
    try:
        fs, path = fsspec.core.url_to_fs(with_credentials(location), **options)
    except ImportError as error:
        scheme = location.partition("://")[0]
        cure = "pip install 'goldwash[s3]'" if scheme in ("s3", "s3a") else "install the package that it names"
        raise DataError(f"{shown(location)} cannot be read: {error}. Cure: {cure}") from error
    except ValueError as error:
        raise DataError(f"{shown(location)}: {error}") from error
    return fs, path


@cache
def _disk() -> Any:
    return fsspec.filesystem("file")


def is_local(location: str) -> bool:
    """Whether a location is on a disk of this machine, or on one mounted there."""
    return "://" not in location or location.startswith("file://")


def join(folder: str, *parts: str) -> str:
    """A location below a folder."""
    return "/".join([folder.rstrip("/"), *parts])


def last_part(location: str) -> str:
    """The last part of a location: the name of a file or folder."""
    return location.rstrip("/").rsplit("/", 1)[-1]


def utf8_name(name: str) -> str:
    """A name that is valid UTF-8: bytes of another encoding are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def exists(location: str) -> bool:
    """Whether there is a file or a folder at a location."""
    with in_plain_words(location):
        fs, path = filesystem(location)
        return bool(with_retries(lambda: fs.exists(path)))


def read_json(location: str) -> Any:
    """A JSON file's value; None where there is no file; `DataError` where it is broken."""

    def content() -> Any:
        with _opened(location) as file:
            return json.load(file)

    try:
        with in_plain_words(location):
            return with_retries(content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{location} is not whole JSON ({error}): delete it and run again") from error


def read_text(location: str) -> str:
    """A text file's content."""

    def content() -> str:
        with _opened(location) as file:
            return str(file.read(), "utf-8")

    with in_plain_words(location):
        return with_retries(content)


def _opened(location: str) -> Any:
    """A file opened for reading bytes."""
    fs, path = filesystem(location)
    return open(path, "rb") if is_local(location) else fs.open(path, "rb")


def size_of(location: str) -> int | None:
    """A file's size in bytes; None where there is none."""
    try:
        with in_plain_words(location):
            fs, path = filesystem(location)
            if is_local(location):
                return os.path.getsize(path)
            return int(with_retries(lambda: fs.size(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None


def sizes_in(folder: str) -> dict[str, int]:
    """A folder's direct files and their sizes in bytes; empty where there is no folder."""
    try:
        with in_plain_words(folder):
            fs, path = filesystem(folder)
            if is_local(folder):
                return dict(_entries(path))
            found = with_retries(lambda: fs.ls(path, detail=True))
            if [entry["name"].strip("/") for entry in found if entry["type"] == "file"] == [path.strip("/")]:
                return {}  # a store lists a file as itself
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {entry["name"].rsplit("/", 1)[-1]: int(entry["size"] or 0) for entry in found if entry["type"] == "file"}


def _entries(folder: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another task's temporary file, renamed or removed meanwhile
                if entry.is_file():
                    yield entry.name, entry.stat().st_size


def names_in(folder: str) -> set[str]:
    """The names of a folder's direct entries, without their sizes; empty if there is no such folder."""
    with in_plain_words(folder):
        fs, path = filesystem(folder)
        try:
            if is_local(folder):
                return set(os.listdir(path))
            return {name.rstrip("/").rsplit("/", 1)[-1] for name in with_retries(lambda: fs.ls(path, detail=False))}
        except (FileNotFoundError, NotADirectoryError):
            return set()
