"""Which errors may be gone a moment later, and asking again.

Law: a store that answers 500, 503 or 429, a connection that broke and an I/O error of a shared disk may pass; what is not
there, may not be read or is no such thing stays so, and is told at once.
"""

import errno
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

ATTEMPTS = 4
"""How often is asked, or a task begun, that meets errors that may pass; between: half a second, two, eight."""

PASSING = {
    errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EAGAIN,
    errno.EBUSY, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EREMOTEIO,
}  # fmt: skip

CONNECTIONS = ("ClientConnectionError", "ClientPayloadError", "HTTPClientError", "ConnectionError")
"""Names of the errors of aiohttp and botocore that tell of a connection: neither package need be installed."""

Answer = TypeVar("Answer")


def is_transient(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, is of a kind that may be gone a moment later."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in PASSING):
            return True
        if type(error).__module__.startswith(("aiohttp", "botocore")):
            status = _status_of(error)
            return status >= 500 or status == 429 if status is not None else _is_of_connections(error)
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def _status_of(error: BaseException) -> int | None:
    """The HTTP status of an answer; None where there was none."""
    response = getattr(error, "response", None)  # botocore's
    if isinstance(response, Mapping):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(error, "status", None)  # aiohttp's
    return found if isinstance(found, int) else None


def _is_of_connections(error: BaseException) -> bool:
    """Whether one of these packages' errors, without an answer, tells of a connection and not of what was asked."""
    return any(kind.__name__ in CONNECTIONS for kind in type(error).__mro__)


def pause(number: int) -> None:
    """Wait, after the first time (0), the second, the third."""
    time.sleep(0.5 * 4**number)


def with_retries(ask: Callable[[], Answer]) -> Answer:
    """What a function gives, asked again after errors that may pass."""
    for number in range(ATTEMPTS - 1):
        try:
            return ask()
        except Exception as error:
            if not is_transient(error):
                raise
            pause(number)
    return ask()
