"""Files that a recipe names, such as models and lists, fetched from where they are published and kept in a cache.

Invariants: only what is named is fetched. A path is the file itself; ``https://``, ``s3://`` and ``hf://OWNER/REPO/FILE`` are
fetched once, checked against a SHA-256 if one is known, and appear in the cache whole or not at all.
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import fsspec

from goldwash.credentials import with_credentials
from goldwash.errors import GoldwashError
from goldwash.filters.cache import in_cache, put
from goldwash.text_output import printable, without_password


class FetchError(GoldwashError, ValueError):
    """A file that is missing, cannot be fetched, or has another digest; the message says which, and the cure."""


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, in hex; read once per process, and again when the file's size or time changes."""
    facts = os.stat(path)
    return _digest(str(path), facts.st_ino, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=256)
def _digest(path: str, *_: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetched(place: str, sha256: str | None = None, version: str = "") -> Path:
    """The local file of a place; raises `FetchError` if it cannot be fetched or has another digest.

    ``version``: for a place whose content changes, the value that changes with it.
    """
    if "://" not in place:
        if not Path(place).is_file():
            raise FetchError(
                f"no file at {printable(place)}: give a path, or a place such as https://... or hf://OWNER/REPO/FILE"
            )
        return Path(place)
    shown = printable(without_password(place))
    kept = in_cache("models", hashlib.sha256(f"{place}{version}".encode()).hexdigest()[:16], _file_name(place))
    if not kept.is_file():
        try:
            with put(kept) as half:
                # aiohttp asks proxies and reads .netrc only if it is told to
                options = {"client_kwargs": {"trust_env": True}} if place.startswith(("http://", "https://")) else {}
                fs, path = fsspec.core.url_to_fs(with_credentials(place), **options)
                fs.get_file(path, str(half))
                _check(half, shown, sha256)
        except FetchError:
            raise
        except Exception as error:
            why = printable(without_password(f"{type(error).__name__}: {error}"))
            raise FetchError(
                f"{shown} could not be fetched ({why}): copy the file here by other means and give its path"
            ) from error
    return kept


def _file_name(place: str) -> str:
    """The last part of a place's path, without a query; at most 100 characters."""
    path = place if place.startswith("hf://") else urlsplit(place).path
    return unquote(path.rsplit("/", 1)[-1])[-100:].replace("/", "_").replace("\0", "_") or "file"


def _check(path: Path, place: str, sha256: str | None) -> None:
    if sha256 and (found := file_digest(path)) != sha256:
        raise FetchError(f"{place} has SHA-256 {found}, expected {sha256}: the file changed or the transfer broke")
