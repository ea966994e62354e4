"""Errors of disks, stores and servers as one sentence: what failed, where, and the cure.

Invariants: a `StorageError` is a `DataError` and an ``OSError``, and carries the original error as its cause and its number, so
that `retry.is_transient` judges both alike. No message holds credentials.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from goldwash.credentials import shown
from goldwash.errors import GoldwashError
from goldwash.pipeline.storage.retry import answer_behind, is_transient, is_unknown_host, status_of
from goldwash.text_output import printable, without_password


class DataError(GoldwashError):
    """Input that cannot be used; the message says what was expected, what was found, where, and the cure."""


class StorageError(DataError, OSError):
    """A request to a disk, a store or a server that failed."""


@contextmanager
def in_plain_words(location: str, writing: bool = False, disk_only: bool = False) -> Iterator[None]:
    """Raise the errors of file systems as a `StorageError` about this location.

    ``disk_only``: only those of a full or read-only disk, for a block that also uses other files.

    ``FileNotFoundError``, ``IsADirectoryError`` and ``NotADirectoryError`` pass unchanged: their meaning depends on the caller.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as caught:
        error = answer_behind(caught)
        if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
            raise
        if disk_only and not is_of_disk(error):
            raise
        sentence = sentence_of(location, error, writing)
        if sentence is None:
            raise
        told = StorageError(sentence)
        told.errno = error.errno if isinstance(error, OSError) else None
        raise told from error


def sentence_of(location: str, error: BaseException, writing: bool = False) -> str | None:
    """The sentence for an error of a disk, a store or a server; None for any other error."""
    place, act = printable(shown(location)), "written" if writing else "read"
    if type(error).__name__ in NO_CREDENTIALS:
        return f"{place} cannot be {act}: no credentials. {_credentials_of(location)}"
    status = status_of(error)
    waited = getattr(error, "goldwash_waited", 0)
    if waited and location.startswith(("http://", "https://")) and status in (403, 429, 500, 502, 503, 504):
        return (
            f"{place} cannot be {act}: the server answered {status} for {waited / 60:.0f} min ({_first_line(error)}). Run "
            f"again later: finished work is kept. Ask less at once with {SLOWER}, wait longer with GOLDWASH_PATIENCE=SECONDS, "
            "or use another address (GOLDWASH_COMMON_CRAWL=s3://commoncrawl/)"
        )
    if status in (401, 403, 407) or (isinstance(error, PermissionError) and "://" in location):
        return f"{place} cannot be {act}: access was refused ({_first_line(error)}). {_credentials_of(location)}"
    if is_of_disk(error) and isinstance(error, OSError):
        return f"{place} cannot be {act}: {_disk(location, error.errno or 0)}"
    if isinstance(error, PermissionError):
        return f"{place} cannot be {act}: permission denied. Give this user access, or name another place"
    if is_transient(error):
        long = f" for {waited / 60:.0f} min (GOLDWASH_PATIENCE=SECONDS)" if waited else ""
        return f"{place} cannot be {act}: no answer{long} ({_first_line(error)}). {_reach(location)}"
    if is_unknown_host(error):
        return f"{place} cannot be {act}: there is no such host ({_first_line(error)}). Check the address"
    if isinstance(error, OSError) or type(error).__module__.startswith(
        ("botocore", "aiohttp", "httpx", "huggingface_hub", "gcsfs")
    ):
        return f"{place} cannot be {act}: {_first_line(error)}"
    return None


SLOWER = "GOLDWASH_REQUESTS_AT_ONCE=1"

NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "DefaultCredentialsError",
                  "TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError", "ProfileNotFound")  # fmt: skip
"""Errors of botocore and google-auth."""

CREDENTIALS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or log in (FSSPEC_S3_ANON=true: public buckets)",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
    "gcs": "Set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
    "hf": "Set HF_TOKEN, or run `hf auth login`, and accept the dataset's conditions on its page",
    "https": "Put user and password into ~/.netrc, or give the URL as https://USER:PASSWORD@HOST/... once more: goldwash uses "
    "a URL's password and never keeps it, so that a rerun and other machines do not have it",
}
CREDENTIALS["http"] = CREDENTIALS["https"]


def _credentials_of(location: str) -> str:
    return CREDENTIALS.get(location.partition("://")[0], "Give the credentials in the way that its fsspec package documents")


def _reach(location: str) -> str:
    scheme = location.partition("://")[0] if "://" in location else ""
    if scheme == "s3" and (endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")):
        return f"Check AWS_ENDPOINT_URL ({shown(endpoint)}) and the network, then run again"
    return "Check the network, and the proxy if there is one, then run again" if scheme else "Run again when the disk answers"


def _first_line(error: BaseException) -> str:
    """The first line of an error that says anything, without credentials; the cause's where the error is empty."""
    seen: BaseException | None = error
    while seen is not None:
        for line in without_password(str(seen)).splitlines():
            if line.strip():
                return f"{type(seen).__name__}: {printable(line.strip(), 300)}"
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


DISK = {
    number
    for name in ("ENOSPC", "EDQUOT", "EROFS", "ENAMETOOLONG", "EMFILE", "ENFILE", "EFBIG", "ELOOP")
    if (number := getattr(errno, name, None)) is not None
}


def is_of_disk(error: BaseException) -> bool:
    """Whether an error is of a disk that is full or read-only, or of a limit on files."""
    return isinstance(error, OSError) and error.errno in DISK


def _disk(location: str, number: int) -> str:
    """What is wrong with a disk, and the cure."""
    if number == errno.ENOSPC:
        return f"{_space_left(location)}. Free some space and run again: finished work is kept"
    names = {
        "EDQUOT": "disk quota exceeded. Free some space and run again: finished work is kept",
        "EROFS": "read-only file system. Choose another place",
        "ENAMETOOLONG": "file name too long. Choose a shorter path",
        "EMFILE": "too many open files in this process. Raise the limit (ulimit -n)",
        "ENFILE": "too many open files on this machine",
        "EFBIG": "the file is too large for this file system",
        "ELOOP": "too many symbolic links",
    }
    return next(text for name, text in names.items() if getattr(errno, name, None) == number)


def _space_left(location: str) -> str:
    """No space, or no inodes; with what is left, where the system says it."""
    folder = os.path.dirname(os.path.abspath(location.removeprefix("file://")))
    with suppress(OSError, AttributeError, ValueError):
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        disk = os.statvfs(folder)
        if disk.f_files and not disk.f_favail and disk.f_bavail:
            return "no space left on device: it has no free inodes (each file takes one)"
        return f"no space left on device ({disk.f_bavail * disk.f_frsize:,} bytes free)"
    return "no space left on device"
