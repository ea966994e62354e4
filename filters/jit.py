"""How kernels are compiled: the one place that knows numba.

Law: every compiled function of the project is declared with :func:`kernel`, takes arrays and scalars only, one dtype an
argument, and so compiles once. Machine code is kept on disk, in a folder named by a digest of the kernels' sources and of where
they lie: numba watches only the file that a kernel stands in, not the files of the kernels it calls, so that after a change to
``cut.py`` a cache shared by name would go on running the old code; and it finds nothing for the same file in another place.

One process compiles while the others wait (:func:`warm_up`): numba's disk cache is safe to read by many, not to write
(numba issues 4807 and 10128).

``NUMBA_DISABLE_JIT=1`` runs every kernel as plain Python (slow; a debugger steps through it, coverage sees it).
"""

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any

import numba
import numba.core.config as settings
import numpy as np
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent


def _digest(root: Path) -> str:
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version} {root}".encode())
    for room in ("filters", "classifiers", "pipeline/dedup", "pipeline/decontamination", "pipeline/html"):
        for file in sorted((root / room).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def cache_home() -> Path:
    """Where what is made or fetched once a machine is kept: ``$GOLDWASH_CACHE``, or ``~/.cache/goldwash``."""
    return Path(os.environ.get("GOLDWASH_CACHE") or Path.home() / ".cache" / "goldwash")


@cache
def cache_folder() -> Path:
    """Where these sources' machine code and character tables are kept."""
    return cache_home() / f"kernels-{_digest(ROOT)}"


if "NUMBA_CACHE_DIR" not in os.environ:
    setattr(settings, "CACHE_DIR", str(cache_folder()))  # noqa: B010


INTERPRETED = bool(getattr(settings, "DISABLE_JIT"))  # noqa: B009  (numba declares its settings at run time)
"""Whether kernels run as plain Python."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop over arrays: no Python objects, no GIL, C division, kept on disk."""
    if INTERPRETED:
        return _plain(function)
    compiled: Callable[..., Any] = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    return compiled


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a part of kernels, which takes arrays, allocates none, and is called from other kernels alone.

    numba counts references to the arrays that a function gets, with atomic instructions at each call, even where the code is
    put inline: UAX 29 words were cut at 100 MB/s with parts that were kernels, and at 285 without the counting (2026-11).
    """
    if INTERPRETED:
        return _plain(function)
    options: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "forceinline": True, "_nrt": False}
    compiled: Callable[..., Any] = numba.njit(**options)(function)
    return compiled


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel as Python: 64-bit hashes wrap round silently, as they do in machine code."""

    @wraps(function)
    def run(*args: Any) -> Any:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return function(*args)

    return run


def warm_up(name: str, fingerprint: str, act: Callable[[], object], notify: Callable[[str], None] = lambda _: None) -> None:
    """Run ``act`` once a machine and ``fingerprint``, so that what it compiles is on disk before workers need it.

    Processes that come at the same time wait for the first one. ``tell`` is called with a line for the user when there is
    something to compile.
    """
    if INTERPRETED:
        return
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"{name}-{fingerprint}.compiled"
    with FileLock(folder / "compiling.lock"):
        if done.exists():
            return
        notify(f"compiling what {name} needs, once on this machine (up to half a minute)")
        act()
        done.touch()
