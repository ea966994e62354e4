"""Files that goldwash makes or fetches once and keeps: machine code, tables, lists, models.

Invariants:

- A file appears whole or not at all, with the permissions that the umask grants, so that a cache can be shared.
- `cache_home` can be written. A file that is in the configured cache already is used even where that cache is read-only.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def _configured() -> Path | None:
    """``$GOLDWASH_CACHE``, or ``~/.cache/goldwash``; None without a home folder."""
    if named := os.environ.get("GOLDWASH_CACHE"):
        return Path(named)
    try:
        return Path.home() / ".cache" / "goldwash"
    except RuntimeError:
        return None


@cache
def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _personal() -> Path:
    """A folder of this user in the machine's temporary folder; another user's folder of that name is not trusted."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"goldwash-cache-{user}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
    found = os.lstat(folder) if folder.is_dir() and not folder.is_symlink() else None
    if found is None or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        return Path(tempfile.mkdtemp(prefix="goldwash-cache-"))
    return folder


@cache
def _home(configured: Path | None) -> Path:
    return configured if configured is not None and _writable(configured) else _personal()


def cache_home() -> Path:
    """The cache that this process writes: ``$GOLDWASH_CACHE``, else ``~/.cache/goldwash``, else a temporary folder.

    The temporary folder is this user's own; it is used where the other two cannot be written.
    """
    return _home(_configured())


def in_cache(*parts: str) -> Path:
    """The path of a cached file: in the configured cache if the file is there, else in `cache_home`, there or not."""
    configured = _configured()
    if configured is not None and os.access(found := configured.joinpath(*parts), os.R_OK):
        return found
    return cache_home().joinpath(*parts)


@contextmanager
def put(place: Path) -> Iterator[Path]:
    """A temporary path beside ``place``; the file written there replaces ``place`` when the block ends without an error.

    Folders are made as needed. The file's permissions are those that ``open`` would give it.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".half-", dir=place.parent)
    os.close(handle)
    half = Path(name)
    try:
        half.unlink()  # mkstemp makes files that their owner alone can read
        os.close(os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        mode = half.stat().st_mode
        yield half
        os.chmod(half, mode)  # whoever wrote it may have put another file there
        os.replace(half, place)
    finally:
        half.unlink(missing_ok=True)


def kept_array(place: Path, make: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """An array that is made once, written to ``place`` and mapped from there, so that processes share it; read-only.

    A file that is cut off or empty (a crash, a full disk) is made again. Where the file cannot be written, the array stays in
    memory.
    """
    with suppress(OSError, ValueError, EOFError):
        return np.asarray(np.load(place, mmap_mode="r"))
    array = make()
    with suppress(OSError):
        with put(place) as half, half.open("wb") as out:
            np.save(out, array)
            out.flush()
            os.fsync(out.fileno())
        return np.asarray(np.load(place, mmap_mode="r"))
    array.flags.writeable = False
    return array
