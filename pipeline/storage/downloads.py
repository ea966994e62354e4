"""Local copies of remote files, fetched range by range."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from goldwash.pipeline.storage.atomic import anonymous_temp_file
from goldwash.pipeline.storage.failures import NO_CREDENTIALS, DataError, in_plain_words, is_of_disk
from goldwash.pipeline.storage.locations import filesystem, is_local
from goldwash.pipeline.storage.patience import patiently
from goldwash.pipeline.storage.retry import answer_behind, is_unknown_host, status_of


@contextmanager
def local_copy(location: str) -> Iterator[str]:
    """A path on this machine with the content of a location; a remote file is copied to an `anonymous_temp_file`.

    Raises `DataError` where there is no such file, or it cannot be fetched.
    """
    if is_local(location):
        yield filesystem(location)[1]
        return
    with anonymous_temp_file() as copy:
        try:
            with in_plain_words(location):
                fetch(*filesystem(location), copy, location)
        except FileNotFoundError as error:
            raise DataError(f"{location}: no such file") from error
        yield copy


RANGE_BYTES = 32 << 20
"""Bytes per request."""


def fetch(fs: Any, path: str, copy: str, location: str = "") -> None:
    """Append to a local file the part of a remote one that it does not have yet, range by range.

    Only a failed range is requested again, with patience (`storage.patience`). A server that reports no size, or serves no
    ranges, sends the file in one piece.
    """
    location = location or str(fs.unstrip_protocol(path))

    def ask(request: Callable[[], Any]) -> Any:
        return patiently(location, request, worth_another_request)

    size = ask(lambda: fs.info(path)).get("size")
    have = os.path.getsize(copy) if os.path.exists(copy) else 0
    while size and have < size:
        end = min(have + RANGE_BYTES, size)
        data = ask(partial(fs.cat_file, path, start=have, end=end))
        if len(data) != end - have:
            break
        with open(copy, "ab") as file:
            file.write(data)
        have = end
    if not size or have != size:
        ask(lambda: fs.get_file(path, copy))


def worth_another_request(error: BaseException) -> bool:
    """Whether to try again: after any error that is not final, since clients wrap broken connections in many kinds of errors.

    Final are refusals, missing credentials, a full disk on this side, and a host that does not exist.
    """
    error = answer_behind(error)
    refused = isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotImplementedError)
    final = refused or is_of_disk(error) or is_unknown_host(error) or type(error).__name__ in NO_CREDENTIALS
    status = status_of(error)
    return not final and (status is None or status >= 500 or status == 429)
