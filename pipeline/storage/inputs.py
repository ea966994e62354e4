"""What a run reads: archives or shards, from any way of naming them.

Law: a name is a file, a glob, a folder, a list of paths (``warc.paths``, ``.paths.gz``, ``.txt``), a folder that a stage of
ours has finished, or the same on any file system that fsspec knows; or a crawl of Common Crawl (``CC-MAIN-2024-10``), whose
lists are fetched from `common_crawl`. The order is the names' order, sorted within a glob or folder. Nothing is opened but
lists and reports. A folder without archives, but with HTML files, is one input; so is each folder below it.

A list or crawl may be followed by ``,limit=N`` (its first N), ``,sample=N`` (N of them, drawn by ``,seed=N``, in the list's
order), and a crawl by ``,kind=wet`` (``warc`` by itself).
"""

import gzip
import hashlib
import os
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from goldwash.filters.fetch import file_digest
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.locations import DataError, exists, filesystem, is_local, join, read_json
from goldwash.pipeline.storage.retry import is_transient, with_retries


@dataclass(frozen=True)
class Input:
    """A file that is read: an archive or a shard. ``stamp`` changes with its content (size and time, or a digest)."""

    path: str
    bytes: int
    stamp: str
    rows: int | None = None


def input_at(location: str) -> Input:
    """A file as it is now: its size, and a stamp of its name, size and time; `DataError` where there is none."""
    fs, path = filesystem(location)
    try:
        info = with_retries(lambda: fs.info(path))
    except FileNotFoundError as error:
        raise DataError(f"{location}: no such file") from error
    if info["type"] == "directory" and is_local(location):  # of HTML files: what lies right in it
        found = sorted((f.name, f.stat().st_size, f.stat().st_mtime) for f in os.scandir(path) if f.is_file())
        stamp = hashlib.sha256(repr(found).encode()).hexdigest()
        return Input(location, sum(size for _, size, _ in found), f"{location} {stamp}")
    size = int(info.get("size") or 0)
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return Input(location, size, f"{location} {size} {stamp}")


def check_unchanged(source: Input) -> None:
    """Refuse a file that is not what it was when the work was planned: its digest, where that is known, or size and time.

    A shard in a store is checked by its size alone (its pages have checksums of their own), and a file of which nothing is
    known but its address not at all.
    """
    if source.stamp == source.path:
        return
    now = input_at(source.path)
    if " " in source.stamp:
        same = now.stamp == source.stamp
    else:
        same = now.bytes == source.bytes and (not is_local(source.path) or file_digest(source.path) == source.stamp)
    if not same:
        raise DataError(
            f"{source.path} is not what it was when this work was planned (it had {source.bytes:,} bytes, has {now.bytes:,}, "
            "or the content is another): put the file back, or delete it if a stage of goldwash made it, and run again"
        )


ARCHIVE_ENDINGS = (
    ".warc", ".warc.gz", ".warc.zst", ".warc.lz4", ".arc", ".arc.gz", ".arc.zst", ".arc.lz4", ".warc.wet", ".warc.wet.gz",
    ".wet", ".wet.gz", ".wacz",
)  # fmt: skip
HTML_ENDINGS = (".html", ".htm", ".xhtml")
LIST_ENDINGS = (".paths", ".paths.gz", ".txt")
CRAWL = re.compile(r"CC-(?:MAIN|NEWS)-\d{4}-[\w-]+")
CHOICE = re.compile(r",(limit|sample|seed|kind)=(\w+)")


def common_crawl() -> str:
    """Where Common Crawl's lists and archives lie: ``$GOLDWASH_COMMON_CRAWL``, as ``s3://commoncrawl/``, or its web server."""
    return (os.environ.get("GOLDWASH_COMMON_CRAWL") or "https://data.commoncrawl.org").rstrip("/") + "/"


def find_archives(names: Sequence[str]) -> list[Input]:
    """The archives that these names mean; raises `DataError` where a name means none."""
    return [found for name in names for found in _archives(name)]


def find_shards(names: Sequence[str]) -> list[Input]:
    """The Parquet shards that these names mean; raises `DataError` where a name means none, or an unfinished stage."""
    return [found for name in names for found in _shards(name)]


def stage_shards(folder: str, report: Any) -> list[Input]:
    """The shards of a finished stage, from its report."""
    return [Input(join(folder, f), s["bytes"], s["sha256"], s["rows"]) for f, s in sorted(report["shards"].items())]


def _archives(name: str) -> Iterator[Input]:
    listed, choice = _chosen(name)
    if listed.endswith(LIST_ENDINGS):
        for path in _drawn(_listed(listed), choice):
            yield Input(path, 0, path) if not is_local(path) else input_at(path)
        return
    if choice:
        raise DataError(f"{name}: only of a list of paths, or of a crawl, can some be drawn")
    found = list(_files(name, ARCHIVE_ENDINGS)) or _html(name)
    if not found:
        raise DataError(
            f"{name}: no archive there; expected files ending in {', '.join(ARCHIVE_ENDINGS)}, a list of paths, a crawl as "
            "CC-MAIN-2024-10, or a folder of HTML files"
        )
    yield from found


def _chosen(name: str) -> tuple[str, dict[str, str]]:
    """A name without what it says of how many are wanted, and that; a crawl's name becomes its list's."""
    plain = CHOICE.sub("", name)
    choice = dict(CHOICE.findall(name))
    if CRAWL.fullmatch(plain):
        return f"{common_crawl()}crawl-data/{plain}/{choice.pop('kind', 'warc')}.paths.gz", choice
    return (plain, choice) if name != plain and name.startswith(plain) else (name, {})


def _drawn(paths: list[str], choice: dict[str, str]) -> list[str]:
    """The paths that are wanted, in their order; a `DataError` where a number is none."""
    try:
        numbers = {key: int(value) for key, value in choice.items()}
    except ValueError as error:
        raise DataError(f"expected limit=N, sample=N or seed=N with whole numbers ({error})") from error
    if "sample" in numbers:
        count = min(numbers["sample"], len(paths))
        paths = [paths[i] for i in sorted(random.Random(numbers.get("seed", 0)).sample(range(len(paths)), count))]
    return paths[: numbers.get("limit", len(paths))]


def _html(name: str) -> list[Input]:
    """Folders of HTML files, each an input, or one such file; none elsewhere than on a disk."""
    if not is_local(name):
        return []
    _, path = filesystem(name)
    if os.path.isfile(path):
        return [input_at(path)] if path.lower().endswith(HTML_ENDINGS) else []
    inputs = []
    for folder, folders, files in os.walk(path):
        folders.sort()
        if any(file.lower().endswith(HTML_ENDINGS) for file in files):
            inputs.append(input_at(folder))
    return inputs


def _listed(name: str) -> list[str]:
    """The paths of a list; Common Crawl's relative ones get its address."""
    try:
        with local_copy(name) as path, open(path, "rb") as file:
            data = file.read()
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such list of archives") from error
    except DataError as error:
        raise DataError(f"the list of archives {error}") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{name} is not a list of paths, plain or gzipped ({error})") from error
    paths = [line.strip() for line in text.splitlines() if line.strip()]
    if not paths:
        raise DataError(f"{name} is an empty list: it names no archive")
    return [common_crawl() + p if p.startswith(("crawl-data/", "cc-index/")) else p for p in paths]


def _shards(name: str) -> Iterator[Input]:
    report = read_json(join(name, "report.json")) if not name.endswith(".parquet") else None
    if report is not None and "shards" in report:
        yield from stage_shards(name, report)
        return
    if not name.endswith(".parquet") and exists(join(name, "stage.json")):
        raise DataError(f"{name} holds an unfinished stage: finish it by running it again, then read it")
    found = list(_files(name, (".parquet",)))
    if not found:
        raise DataError(f"{name}: no Parquet shard there; expected .parquet files, a folder of them, or a stage's folder")
    yield from found


def _files(name: str, endings: tuple[str, ...]) -> Iterator[Input]:
    if name.startswith(("http://", "https://")) and name.endswith(endings):
        yield input_at(name)  # a web server knows of no folders
        return
    fs, path = filesystem(name)
    try:
        if any(c in path for c in "*?["):
            paths = sorted(p for p in fs.glob(path) if not fs.isdir(p))
        elif fs.isdir(path):
            paths = sorted(p for p in fs.find(path) if p.endswith(endings) and "/.half-" not in p)
        else:
            paths = [path] if fs.exists(path) else []
    except Exception as error:
        if not isinstance(error, OSError) and not is_transient(error):
            raise
        raise DataError(f"{name} cannot be listed: {error}") from error
    for p in paths:
        yield input_at(fs.unstrip_protocol(p) if not is_local(name) else p)
