"""Classify transient errors, and retry what failed with one.

Invariants: a server that answers 500, 503 or 429, a broken connection and an I/O error of a shared disk are transient. A
missing file, a refused permission and a wrong name are not, and are raised at once. Retries are not nested: an error that
`with_retries` gave up on is `exhausted`, and no caller above retries it.
"""

import errno
import socket
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

ATTEMPTS = 4
"""Attempts per request, or per task, that fails with transient errors; the pauses are 0.5, 2 and 8 seconds."""

TRANSIENT = {
    number
    for name in (
        "EIO", "ESTALE", "ETIMEDOUT", "ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "EAGAIN", "EBUSY", "EHOSTUNREACH",
        "ENETUNREACH", "ENETDOWN", "EREMOTEIO",
    )
    if (number := getattr(errno, name, None)) is not None
}  # fmt: skip
"""Error numbers of the system; some exist on Linux alone."""

UNKNOWN_HOST = {number for name in ("EAI_NONAME", "EAI_NODATA") if (number := getattr(socket, name, None)) is not None}

CONNECTIONS = ("ClientConnectionError", "ClientPayloadError", "HTTPClientError", "ConnectionError", "TransportError")
"""Names of the connection errors of aiohttp, botocore and httpx: none of these packages need be installed."""

CLIENTS = ("aiohttp", "botocore", "httpx", "huggingface_hub", "gcsfs", "requests", "urllib3")

Answer = TypeVar("Answer")


def is_transient(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, is transient."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in TRANSIENT):
            return True
        if is_unknown_host(error):
            return False
        if type(error).__module__.startswith(CLIENTS):
            status = status_of(error)
            return status >= 500 or status == 429 if status is not None else _is_of_connections(error)
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def status_of(error: BaseException) -> int | None:
    """The HTTP status of a client's error; None where the server did not answer."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:  # httpx and requests; aiohttp
        found = getattr(response, "status_code", None) or getattr(error, "status", None) or getattr(error, "code", None)
    return found if isinstance(found, int) else None


def answer_behind(error: BaseException) -> BaseException:
    """The client's error behind a ``FileNotFoundError`` that does not mean a missing file.

    fsspec's HTTP file system raises one whatever the server answered, 401 and 503 too, and where no server answered.
    """
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or cause is None:
        return error
    status = status_of(cause)
    silent = status is None and (_is_of_connections(cause) or isinstance(cause, TimeoutError))
    return cause if silent or status not in (None, 404, 410) else error


def is_unknown_host(error: BaseException) -> bool:
    """Whether no server has the name in a location: most often a typing error, so it is not asked for again."""
    seen = getattr(error, "os_error", error)  # aiohttp's
    return isinstance(seen, socket.gaierror) and seen.errno in UNKNOWN_HOST


def _is_of_connections(error: BaseException) -> bool:
    return any(kind.__name__ in CONNECTIONS for kind in type(error).__mro__)


def pause(number: int) -> None:
    """Wait after the first failure (0), the second, the third."""
    time.sleep(0.5 * 4**number)


def with_retries(ask: Callable[[], Answer], transient: Callable[[BaseException], bool] = is_transient) -> Answer:
    """The value of a function, which is called again after transient errors, `ATTEMPTS` times in all."""
    for number in range(ATTEMPTS):
        try:
            return ask()
        except Exception as error:
            if exhausted(error) or not transient(error):
                raise
            if number == ATTEMPTS - 1:
                error.goldwash_exhausted = True  # type: ignore[attr-defined]
                raise
            pause(number)
    raise AssertionError("the last attempt returns or raises")


def exhausted(error: BaseException | None) -> bool:
    """Whether `with_retries` gave up on an error, or on an error that caused it."""
    seen = 0
    while error is not None and seen < 10:
        if getattr(error, "goldwash_exhausted", False):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
