"""Files that appear complete or not at all.

Invariants: on a disk a file is written under a temporary name (``.half-*``) and renamed; in an object store it is written to an
`anonymous_temp_file` and uploaded in one piece. The umask decides who may read it. A full, read-only or broken disk is a
`StorageError` of one sentence.
"""

import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from goldwash.pipeline.storage.failures import in_plain_words
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.retry import with_retries

HALF = ".half-"
"""How the name of a temporary file begins."""


@contextmanager
def atomic_write(location: str, sync: bool = True) -> Iterator[str]:
    """A local temporary path. Its content appears at the location when the block ends without an error, and only then.

    ``sync=False``: for hints, and for files that are read once and removed. The disk is not waited for, so that after a crash
    of the machine such a file can have other bytes; its reader verifies it.
    """
    if not is_local(location):
        with anonymous_temp_file() as half:
            with in_plain_words(location, writing=True, disk_only=True):
                yield half
            with in_plain_words(location, writing=True):
                fs, path = filesystem(location)
                with_retries(lambda: fs.put_file(half, path))
        return
    path = filesystem(location)[1]
    folder = os.path.dirname(path)
    half = os.path.join(folder, f"{HALF}{os.getpid()}-{secrets.token_hex(6)}")
    with in_plain_words(location, writing=True):
        try:
            _create(half)
        except FileNotFoundError:
            os.makedirs(folder or ".", exist_ok=True)
            _create(half)
    try:
        with in_plain_words(location, writing=True, disk_only=True):
            yield half
        with in_plain_words(location, writing=True):
            if sync:
                with open(half, "rb") as file:
                    os.fsync(file.fileno())
            os.replace(half, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(half)
        raise


def _create(half: str) -> None:
    os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


DESCRIPTORS = "/proc/self/fd"
"""Where Linux shows a process its open files, those without a name too."""


@contextmanager
def anonymous_temp_file() -> Iterator[str]:
    """The path of an empty file in the machine's temporary folder, which is removed at the end of the block.

    On Linux it has no name and also goes with the process, however that ends; only this process and its forks can open it.
    """
    if os.path.isdir(DESCRIPTORS):
        with tempfile.TemporaryFile() as file:
            yield f"{DESCRIPTORS}/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(prefix="goldwash-") as named:
            yield named.name


def clear_halves(folder: str, below: bool = True) -> None:
    """Remove the temporary files of killed writers from a folder and, with ``below``, from those in it.

    Call it only when nobody writes there any more.
    """
    if is_local(folder):
        for path, folders, names in os.walk(filesystem(folder)[1]):  # a third of the time of Path.rglob
            for name in names:
                if name.startswith(HALF):
                    Path(path, name).unlink(missing_ok=True)
            if not below:
                folders.clear()


def write_json(location: str, value: Any, sync: bool = True, indent: int | None = 1) -> None:
    """Write a JSON file, whole; ``sync``: as for `atomic_write`.

    ``indent=None``: for files that only programs read. With an indent, json has no encoder in C and takes four times as long.
    """
    with atomic_write(location, sync) as half:
        try:
            data = json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:  # a file's name whose bytes are not UTF-8
            data = json.dumps(value, indent=indent).encode("ascii")
        Path(half).write_bytes(data + b"\n")


def write_text(location: str, text: str) -> None:
    """Write a text file, whole."""
    with atomic_write(location) as half:
        Path(half).write_text(text, "utf-8")
