"""What a run reads: archives or shards, from any way of naming them.

Law: a name is a file, a glob, a folder, a list of paths (``warc.paths``, ``.paths.gz``, ``.txt``), a folder that a stage of
ours has finished, or the same on any file system that fsspec knows. The order is the names' order, sorted within a glob or
folder. Nothing is opened but lists and reports.
"""

import gzip
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.shards import DataError, Input, exists, filesystem, input_at, is_local, join, read_json

ARCHIVE_ENDINGS = (
    ".warc", ".warc.gz", ".warc.zst", ".warc.lz4", ".arc", ".arc.gz", ".warc.wet", ".warc.wet.gz", ".wet", ".wet.gz", ".wacz",
)  # fmt: skip
HTML_ENDINGS = (".html", ".htm", ".xhtml")
LIST_ENDINGS = (".paths", ".paths.gz", ".txt")
COMMON_CRAWL = "https://data.commoncrawl.org/"
"""Where the paths of Common Crawl's lists lie."""


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
    if name.endswith(LIST_ENDINGS):
        for path in _listed(name):
            yield Input(path, 0, path) if not is_local(path) else input_at(path)
        return
    found = list(_files(name, ARCHIVE_ENDINGS))
    if not found:
        raise DataError(f"{name}: no archive there; expected files ending in {', '.join(ARCHIVE_ENDINGS)}, or a list of paths")
    yield from found


def _listed(name: str) -> list[str]:
    """The paths of a list; Common Crawl's relative ones get its address."""
    fs, path = filesystem(name)
    try:
        with fs.open(path, "rb") as file:
            data = file.read()
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{name}: no such list of archives") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{name} is not a list of paths, plain or gzipped ({error})") from error
    paths = [line.strip() for line in text.splitlines() if line.strip()]
    if not paths:
        raise DataError(f"{name} is an empty list: it names no archive")
    return [COMMON_CRAWL + p if p.startswith(("crawl-data/", "cc-index/")) else p for p in paths]


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
    fs, path = filesystem(name)
    try:
        if any(c in path for c in "*?["):
            paths = sorted(p for p in fs.glob(path) if not fs.isdir(p))
        elif fs.isdir(path):
            paths = sorted(p for p in fs.find(path) if p.endswith(endings) and "/.half-" not in p)
        else:
            paths = [path] if fs.exists(path) else []
    except OSError as error:
        raise DataError(f"{name} cannot be listed: {error}") from error
    for p in paths:
        yield input_at(fs.unstrip_protocol(p) if not is_local(name) else p)
