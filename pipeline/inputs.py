"""What a run reads: archives or shards, from any way of naming them.

Law: a name is a file, a glob, a folder, a list of paths (``warc.paths``, ``.paths.gz``, ``.txt``), a folder that a stage of
ours has finished, or the same on any file system that fsspec knows; or a crawl of Common Crawl (``CC-MAIN-2024-10``), whose
lists are fetched from `common_crawl`. The order is the names' order, sorted within a glob or folder. Nothing is opened but
lists and reports. A folder without archives, but with HTML files, is one input; so is each folder below it.

A list or crawl may be followed by ``,limit=N`` (its first N), ``,sample=N`` (N of them, drawn by ``,seed=N``, in the list's
order), and a crawl by ``,kind=wet`` (``warc`` by itself).
"""

import gzip
import os
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.patience import may_pass
from pipeline.shards import DataError, Input, exists, filesystem, input_at, is_local, join, local_copy, read_json

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
        if not isinstance(error, OSError) and not may_pass(error):
            raise
        raise DataError(f"{name} cannot be listed: {error}") from error
    for p in paths:
        yield input_at(fs.unstrip_protocol(p) if not is_local(name) else p)
