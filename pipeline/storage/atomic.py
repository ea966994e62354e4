"""Files that appear complete or not at all.

Invariants: on a disk a file is written under a temporary name and renamed; in an object store it is written to an
`anonymous_temp_file` and uploaded in one piece.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.retry import with_retries


@contextmanager
def atomic_write(location: str) -> Iterator[str]:
    """A local temporary path; what is written there appears at the location when the block ends well, and never else."""
    fs, path = filesystem(location)
    if not is_local(location):
        with anonymous_temp_file() as half:
            yield half
            with_retries(lambda: fs.put_file(half, path))
        return
    folder = os.path.dirname(path)
    os.makedirs(folder or ".", exist_ok=True)
    handle, half = tempfile.mkstemp(prefix=".half-", dir=folder)
    os.close(handle)
    try:
        yield half
        os.chmod(half, 0o644)
        with open(half, "rb") as file:
            os.fsync(file.fileno())
        os.replace(half, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(half)


DESCRIPTORS = "/proc/self/fd"
"""Where Linux shows a process the files that it has open, those without a name too."""


@contextmanager
def anonymous_temp_file() -> Iterator[str]:
    """The path of an empty file in the machine's temporary folder; it is gone with the block, and on Linux with the process,
    however that ends. Only this process and those that it forks can open it.
    """
    if os.path.isdir(DESCRIPTORS):
        with tempfile.TemporaryFile() as file:
            yield f"{DESCRIPTORS}/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(prefix="goldwash-") as named:
            yield named.name


def clear_halves(folder: str) -> None:
    """Remove the temporary files of writers that were killed, once nobody writes here any more."""
    if is_local(folder):
        for half in Path(filesystem(folder)[1]).rglob(".half-*"):
            half.unlink(missing_ok=True)


def write_json(location: str, value: Any) -> None:
    """Write a JSON file, whole."""
    with atomic_write(location) as half:
        Path(half).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")


def write_text(location: str, text: str) -> None:
    """Write a text file, whole."""
    with atomic_write(location) as half:
        Path(half).write_text(text, "utf-8")
