"""Manners and patience with servers of the public web, and with stores that ask for less.

Invariants:

- At most `Manners.at_once` requests to a host run at a time, and at most `Manners.per_second` begin per second, over all
  processes of a machine that share its cache (lock files in ``hosts/HOST``; a process that dies frees its place). Hosts of this
  machine itself and buckets of stores (``s3://``) are free of both, unless the settings are given: S3 serves 5,500 requests per
  second and prefix, and asks for less by ``SlowDown``.
- 403, 429, 500, 502, 503, 504 and broken connections are waited out, with pauses that grow, differ at random, and honour
  ``Retry-After``, until `Manners.seconds` have passed since the first failure. A pause holds for every process of the machine,
  also of a bucket.
  Of stores with credentials (``s3://``), 403 is a refusal and final. 401, 404, 410 and others are final, and so is a host that
  does not exist.
- The first pause of a request is one line in the log. An error that was waited for is `retry.exhausted`, and says how long.

Common Crawl's server answers 403 or 503 for minutes to clients that hurry (commoncrawl/cc-downloader issue 29,
huggingface/datatrove issue 302).
"""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from goldwash.errors import GoldwashError
from goldwash.filters.cache import cache_home
from goldwash.pipeline.storage.retry import answer_behind, exhausted, is_transient, status_of
from goldwash.text_output import printable

log = logging.getLogger("goldwash")
Answer = TypeVar("Answer")

WAITED = (403, 429, 500, 502, 503, 504)
SHORTEST, LONGEST = 1.0, 120.0
"""Seconds of the first pause, and of the longest without a ``Retry-After``."""


class Clock:
    """Time as patience sees it; tests put their own in its place."""

    def time(self) -> float:
        """Seconds, the same for all processes of a machine."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def jitter(self) -> float:
        """A factor from 0.5 to 1.5, so that clients that failed together do not return together."""
        return 0.5 + random.random()


CLOCK = Clock()


@dataclass(frozen=True)
class Manners:
    """Settings, from the environment of each process."""

    at_once: int = 4
    """Requests to a host at a time (``GOLDWASH_REQUESTS_AT_ONCE``)."""
    per_second: float = 8.0
    """Requests to a host that begin per second (``GOLDWASH_REQUESTS_PER_SECOND``)."""
    seconds: float = 3600.0
    """How long failures are waited out (``GOLDWASH_PATIENCE``)."""

    @staticmethod
    def here() -> "Manners":
        """The settings of this process; `SettingError` for a variable that is not a number, or too small."""
        return Manners(
            int(_setting("GOLDWASH_REQUESTS_AT_ONCE", Manners.at_once, 1)),
            _setting("GOLDWASH_REQUESTS_PER_SECOND", Manners.per_second, 1e-3),
            _setting("GOLDWASH_PATIENCE", Manners.seconds, 0),
        )


class SettingError(GoldwashError, ValueError):
    """An environment variable that is not a number, or too small."""


def _setting(name: str, default: float, least: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else float(default)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise SettingError(f"{name} is {printable(text)!r}: expected a number of at least {least:g}; correct or unset it")
    return value


def user_agent() -> str:
    """What requests say of themselves: goldwash, its version, and ``$GOLDWASH_USER_AGENT``, an address to write to."""
    try:
        own = f"goldwash/{version('goldwash')}"
    except PackageNotFoundError:
        own = "goldwash"
    more = " ".join(os.environ.get("GOLDWASH_USER_AGENT", "").split())
    return f"{own} ({more})" if more else own


def patiently(location: str, ask: Callable[[], Answer], transient: Callable[[BaseException], bool] = is_transient) -> Answer:
    """The answer to a request of a location: within the host's caps, and asked again while it fails (`Manners`).

    ``transient``: which errors are worth another request, besides the statuses of `WAITED`.
    """
    manners, host = Manners.here(), _host(location)
    began, number = -1.0, 0
    while True:
        try:
            with _within_caps(host, location, manners):
                return ask()
        except Exception as caught:
            if exhausted(caught) or not _is_waited_for(location, caught, transient):
                raise
            now = CLOCK.time()
            began = now if began < 0 else began
            left = began + manners.seconds - now
            if left <= 0:
                for error in (caught, answer_behind(caught)):
                    error.goldwash_exhausted, error.goldwash_waited = True, now - began  # type: ignore[attr-defined]
                raise
            pause = min(left, max(_retry_after(caught, now), min(LONGEST, SHORTEST * 2**number) * CLOCK.jitter()))
            if number == 0:
                log.warning(
                    "%s: %s; waiting and asking again for up to %.0f min (GOLDWASH_PATIENCE=SECONDS)",
                    host or printable(location), _said(caught), manners.seconds / 60,
                )  # fmt: skip
            number += 1
            _pause(host, location, now + pause)


def _is_waited_for(location: str, error: BaseException, transient: Callable[[BaseException], bool]) -> bool:
    error = answer_behind(error)
    status = status_of(error)
    if status == 403:
        return location.startswith(("http://", "https://"))
    if isinstance(error, FileNotFoundError | PermissionError):
        return False
    return status in WAITED or (status is None and transient(error))


def _said(error: BaseException) -> str:
    error = answer_behind(error)
    status = status_of(error)
    return f"the server answered {status}" if status else f"no answer ({type(error).__name__})"


def _retry_after(error: BaseException, now: float) -> float:
    """The seconds that a server asked for: a number or a date (RFC 9110, section 10.2.3); 0 where it asked for none."""
    error = answer_behind(error)
    headers = getattr(error, "headers", None) or getattr(getattr(error, "response", None), "headers", None) or {}
    if isinstance(response := getattr(error, "response", None), dict):  # botocore
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        text = str(headers.get("Retry-After") or headers.get("retry-after") or "").strip()
    except AttributeError:
        return 0.0
    if text.isdigit():
        return float(min(int(text), 10**6))
    with suppress(ValueError, TypeError, IndexError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - now) if text else 0.0
    return 0.0


# --- caps, shared by the processes of a machine


def _host(location: str) -> str:
    try:
        return (urlsplit(location).netloc.rpartition("@")[2] or "").lower() if "://" in location else ""
    except ValueError:
        return ""


def _is_public(host: str, location: str) -> bool:
    """Whether a location is on a web server other than this machine's own."""
    own = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    here = own in ("localhost", "[::1]") or own.startswith("127.")
    return location.startswith(("http://", "https://")) and not here


def _is_capped(host: str, location: str) -> bool:
    given = "GOLDWASH_REQUESTS_AT_ONCE" in os.environ or "GOLDWASH_REQUESTS_PER_SECOND" in os.environ
    return bool(host) and (given or _is_public(host, location))


def _shares_pauses(host: str, location: str) -> bool:
    """Whether a pause of one process holds for the others: of capped hosts, and of buckets."""
    return bool(host) and (_is_capped(host, location) or not location.startswith(("http://", "https://")))


def _folder(host: str) -> Path:
    folder = cache_home() / "hosts" / "".join(c if c.isalnum() or c in ".-" else "_" for c in host)[:100]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _within_caps(host: str, location: str, manners: Manners) -> Iterator[None]:
    if not _is_capped(host, location):
        if _shares_pauses(host, location):
            _wait_for_pause(_folder(host))
        yield
        return
    folder = _folder(host)
    with _place(folder, manners.at_once):
        _take_turn(folder, 1 / manners.per_second)
        yield


@contextmanager
def _place(folder: Path, places: int) -> Iterator[None]:
    """One of the places of a host, waited for."""
    while True:
        for n in range(places):
            lock = FileLock(folder / f"{n}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield
            finally:
                lock.release()
            return
        CLOCK.sleep(0.05 * CLOCK.jitter())


def _take_turn(folder: Path, interval: float) -> None:
    """Wait for the host's next turn, and move it on by an interval."""
    with FileLock(folder / "turn.lock"):
        now = CLOCK.time()
        turn = max(now, _turn(folder))
        (folder / "turn").write_text(repr(turn + interval))
    if turn > now:
        CLOCK.sleep(turn - now)


def _wait_for_pause(folder: Path) -> None:
    """Wait while another process's pause lasts; take no turn."""
    left = _turn(folder) - CLOCK.time()
    if left > 0:
        CLOCK.sleep(left)


def _turn(folder: Path) -> float:
    """The time before which no request begins; one more than a day ahead is of a wrong clock, and ignored."""
    try:
        turn = float((folder / "turn").read_text())
    except (OSError, ValueError):
        return 0.0
    return turn if turn < CLOCK.time() + 86_400 else 0.0


def _pause(host: str, location: str, until: float) -> None:
    """Wait until a time; other processes of the machine that ask the host wait too."""
    if _shares_pauses(host, location):
        folder = _folder(host)
        with FileLock(folder / "turn.lock"):
            (folder / "turn").write_text(repr(max(until, _turn(folder))))
    CLOCK.sleep(max(0.0, until - CLOCK.time()))
