"""Local copies of remote files, fetched range by range."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from goldwash.pipeline.storage.atomic import anonymous_temp_file
from goldwash.pipeline.storage.locations import DataError, filesystem, is_local
from goldwash.pipeline.storage.retry import with_retries

TRIES = 4
"""How often a transfer is tried, with a pause that doubles from half a second."""


@contextmanager
def local_copy(location: str) -> Iterator[str]:
    """A path on this machine of a file that may lie anywhere; a copy is a `anonymous_temp_file`.

    Raises `DataError` where the file is not there or cannot be fetched.
    """
    fs, path = filesystem(location)
    if is_local(location):
        yield path
        return
    with anonymous_temp_file() as copy:
        for attempt in range(TRIES):
            try:
                fetch(fs, path, copy)
                break
            except FileNotFoundError as error:
                raise DataError(f"{location}: no such file") from error
            except Exception as error:
                if attempt == TRIES - 1:
                    raise DataError(
                        f"{location} could not be fetched ({type(error).__name__}: {error}), {TRIES} times"
                    ) from error
                time.sleep(0.5 * 2**attempt)
        yield copy


RANGE_BYTES = 32 << 20
"""Bytes that are asked for at once."""


def fetch(fs: Any, path: str, copy: str) -> None:
    """Add to a local file what it has not yet of one that lies elsewhere, range by range, so that a broken transfer goes on
    where it broke; in one piece where the server does not say how large the file is, or gives no ranges.
    """
    size = with_retries(lambda: fs.info(path)).get("size")
    have = os.path.getsize(copy) if os.path.exists(copy) else 0
    while size and have < size:
        end = min(have + RANGE_BYTES, size)
        data = with_retries(partial(fs.cat_file, path, start=have, end=end))
        if len(data) != end - have:
            break
        with open(copy, "ab") as file:
            file.write(data)
        have = end
    if not size or have != size:
        fs.get_file(path, copy)
