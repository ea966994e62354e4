"""Files that a recipe names, models and lists, from where they are published, kept in a cache.

Law: nothing is fetched but what is named. A path is that file; ``https://``, ``s3://`` and ``hf://OWNER/REPO/FILE`` are
fetched once, checked against a SHA-256 where one is known, and appear in the cache whole or not at all.
"""

import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path

import fsspec

from goldwash.filters.jit import cache_home


class FetchError(ValueError):
    """A file that cannot be had, or that is another one; the message says which and what to do."""


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, in hex; read once a process, and again when the file's size or time changes."""
    facts = os.stat(path)
    return _digest(str(path), facts.st_ino, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=256)
def _digest(path: str, *_: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetched(place: str, sha256: str | None = None, version: str = "") -> Path:
    """The local file of a place; raises `FetchError` where it cannot be had or has another digest.

    ``version``: of a place whose content changes, what it changes with.
    """
    if "://" not in place:
        if not Path(place).is_file():
            raise FetchError(f"no file at {place}: give a path, or a place such as https://... or hf://OWNER/REPO/FILE")
        return Path(place)
    kept = cache_home() / "models" / hashlib.sha256(f"{place}{version}".encode()).hexdigest()[:16] / place.rsplit("/", 1)[-1]
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, half = tempfile.mkstemp(dir=kept.parent)
        os.close(handle)
        try:
            fs, path = fsspec.core.url_to_fs(place)
            fs.get_file(path, half)
            _check(half, place, sha256)
            os.replace(half, kept)
        except FetchError:
            raise
        except Exception as error:
            raise FetchError(
                f"{place} could not be fetched ({type(error).__name__}: {error}): copy the file here by other means and give "
                "its path"
            ) from error
        finally:
            Path(half).unlink(missing_ok=True)
    return kept


def _check(path: str, place: str, sha256: str | None) -> None:
    if sha256 and (found := file_digest(path)) != sha256:
        raise FetchError(f"{place} has SHA-256 {found}, expected {sha256}: the file changed or the transfer broke")
