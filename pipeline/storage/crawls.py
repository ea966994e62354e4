"""Crawls and lists of paths: the archives that they name, and where these are.

Invariants:

* A crawl of Common Crawl (``CC-MAIN-2024-10``) is one of its lists, at `common_crawl`. A list is a file of paths
  (``warc.paths``, ``.paths.gz``, ``.txt``), plain or gzipped, one per line.
* Either may be followed by ``,limit=N`` (its first N) or ``,sample=N`` (N of them, drawn by ``,seed=N``, in the list's order),
  and a crawl by ``,kind=wet`` (default: ``warc``).
* An archive of Common Crawl has the name that its list gives it, wherever it is read from.
"""

import gzip
import os
import random
import re

from goldwash.credentials import kept_apart, shown
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import is_local

LIST_ENDINGS = (".paths", ".paths.gz", ".txt")
CRAWL = re.compile(r"CC-(?:MAIN|NEWS|SUPPLEMENTAL)-\d{4}-[\w-]+")
"""A crawl's name: ``CC-MAIN-2024-10``, ``CC-SUPPLEMENTAL-2026-22``, ``CC-NEWS-2024-03`` (a month)."""
NEWS = re.compile(r"CC-NEWS-(\d{4})-(\d{2})")
"""News is listed by month, in ``crawl-data/CC-NEWS/2024/03``."""
KINDS = ("warc", "wet", "wat", "robotstxt", "non200responses")
"""The lists of archives of a crawl."""
CHOICE = re.compile(r",(limit|sample|seed|kind)=(\w+)")


def common_crawl() -> str:
    """Where Common Crawl's lists and archives are: ``$GOLDWASH_COMMON_CRAWL``, as ``s3://commoncrawl/``, or its web server."""
    return kept_apart((os.environ.get("GOLDWASH_COMMON_CRAWL") or "https://data.commoncrawl.org").rstrip("/") + "/")


def archive_location(archive: str, index: str) -> str:
    """The location of an archive that an index names: at Common Crawl's address, or beside the index."""
    if archive.startswith(("crawl-data/", "cc-index/", "contrib/")):
        return common_crawl() + archive
    if "://" in archive or os.path.isabs(archive):
        return archive
    folder = index.removeprefix("cdx:").rpartition("#")[0].rpartition("/")[0]
    return f"{folder}/{archive}" if folder else archive


def chosen(name: str) -> tuple[str, dict[str, str]]:
    """A name without its options (``,sample=100``), and the options; a crawl's name becomes the address of its list."""
    plain = CHOICE.sub("", name)
    choice = dict(CHOICE.findall(name))
    if CRAWL.fullmatch(plain) and not (is_local(plain) and os.path.exists(plain)):
        kind = choice.pop("kind", "warc")
        if kind not in KINDS:
            raise DataError(f"{name}: kind is {kind!r}; expected {', '.join(KINDS)}")
        news = NEWS.fullmatch(plain)
        folder = f"CC-NEWS/{news[1]}/{news[2]}" if news else plain
        return f"{common_crawl()}crawl-data/{folder}/{kind}.paths.gz", choice
    return (plain, choice) if name != plain and name.startswith(plain) else (name, {})


def archives_in(name: str, choice: dict[str, str]) -> list[tuple[str, str]]:
    """The chosen archives of a list: where each is, and its name ("": as the location says)."""
    return _drawn(_paths(name), choice)


def _drawn(paths: list[tuple[str, str]], choice: dict[str, str]) -> list[tuple[str, str]]:
    """The chosen paths in their order; `DataError` for a value that is not a whole number."""
    try:
        numbers = {key: int(value) for key, value in choice.items()}
    except ValueError as error:
        raise DataError(f"expected limit=N, sample=N or seed=N with whole numbers ({error})") from error
    if "sample" in numbers:
        count = min(numbers["sample"], len(paths))
        paths = [paths[i] for i in sorted(random.Random(numbers.get("seed", 0)).sample(range(len(paths)), count))]
    return paths[: numbers.get("limit", len(paths))]


def _paths(name: str) -> list[tuple[str, str]]:
    """The paths of a list, and their names; Common Crawl's relative ones get its address and keep their names."""
    try:
        with local_copy(name) as path, open(path, "rb") as file:
            data = file.read()
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such list of archives") from error
    except DataError as error:
        raise DataError(f"the list of archives {error}") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{name} is not a list of paths, plain or gzipped ({error})") from error
    if "\0" in text:
        raise DataError(f"{name} is not a list of paths, plain or gzipped (it holds NUL characters)")
    paths = [line.strip() for line in text.splitlines() if line.strip()]
    if not paths:
        raise DataError(f"{name} is an empty list: it names no archive")
    known = common_crawl()
    return [
        (known + p, p) if p.startswith(("crawl-data/", "cc-index/")) else (kept_apart(p), "" if is_local(p) else shown(p))
        for p in paths
    ]
