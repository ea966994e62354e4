"""Find what a run reads: archives or documents, from any way of naming them.

Invariants:

* A name is a file, a glob, a folder, a list of paths (``warc.paths``, ``.paths.gz``, ``.txt``), a stage's folder, or one of
  these on any file system that fsspec knows; a crawl of Common Crawl (``CC-MAIN-2024-10``), whose lists are fetched from
  `common_crawl`; or a dataset of the Hugging Face hub (``hf://datasets/OWNER/NAME``). An existing file wins over a glob.
* ``cdx:FILE`` names the records of an index (`storage.indexes`).
* Inputs are in the order of the names, and sorted within a glob or folder. Names of files and folders that begin with ``_`` or
  ``.`` are not data, and a folder of HTML files is one input, as is each folder below it.
* Nothing is opened but lists, reports and the footers of large Parquet files. A file that is named twice is refused.
* An input's ``name`` is unique among the inputs of a run and the same wherever the files are.

A list or crawl may be followed by ``,limit=N`` (its first N), ``,sample=N`` (N of them, drawn by ``,seed=N``, in the list's
order), and a crawl by ``,kind=wet`` (default: ``warc``).
"""

import gzip
import hashlib
import os
import random
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from goldwash.credentials import kept_apart, shown
from goldwash.filters.fetch import file_digest
from goldwash.pipeline.storage.addresses import check_not_twice, located
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.formats import FORMATS, PACKINGS, Format, format_by_name, format_of, plain_name
from goldwash.pipeline.storage.indexes import index_inputs, is_index, part_at
from goldwash.pipeline.storage.locations import exists, filesystem, is_local, join
from goldwash.pipeline.storage.patience import patiently
from goldwash.pipeline.storage.retry import with_retries
from goldwash.pipeline.storage.sealed import read_sealed
from goldwash.pipeline.storage.source import PLAIN, Input, Reading
from goldwash.pipeline.storage.verified import changed

ARCHIVE_ENDINGS = (
    ".warc", ".warc.gz", ".warc.zst", ".warc.lz4", ".arc", ".arc.gz", ".arc.zst", ".arc.lz4", ".warc.wet", ".warc.wet.gz",
    ".wet", ".wet.gz", ".wacz",
)  # fmt: skip
WAT_ENDINGS = (".wat", ".wat.gz")
HTML_ENDINGS = (".html", ".htm", ".xhtml")
LIST_ENDINGS = (".paths", ".paths.gz", ".txt")
CRAWL = re.compile(r"CC-(?:MAIN|NEWS|SUPPLEMENTAL)-\d{4}-[\w-]+")
"""A crawl's name: ``CC-MAIN-2024-10``, ``CC-SUPPLEMENTAL-2026-22``, ``CC-NEWS-2024-03`` (a month)."""
NEWS = re.compile(r"CC-NEWS-(\d{4})-(\d{2})")
"""News is listed by month, in ``crawl-data/CC-NEWS/2024/03``."""
KINDS = ("warc", "wet", "wat", "robotstxt", "non200responses")
"""The lists of archives of a crawl."""
CHOICE = re.compile(r",(limit|sample|seed|kind)=(\w+)")
HUB = "hf://"
SPLIT_BYTES = 256 << 20
"""Larger Parquet files are read by several tasks, each of a range of row groups."""
NOT_DOCUMENTS = {
    "report.json", "stage.json", "run.json", "inputs.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json",
    "state.json", "config.json", "counts.json", "boilerplate.json",
}  # fmt: skip
"""Files that are not documents although their endings are: goldwash's own, and those of the hub's library."""

Kind = Literal["archives", "documents"]


def input_at(location: str) -> Input:
    """A file as it is now: its size, and a stamp of its name, size and time.

    Raises `DataError` where there is no file, or something that is not a regular file, such as a FIFO.
    """
    if is_index(location):
        return part_at(location)
    try:
        with in_plain_words(location):
            fs, path = filesystem(location)
            if is_local(location):
                return _local_input(location, path)
            info = patiently(location, lambda: fs.info(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{shown(location)}: no such file") from error
    place, size = shown(location), int(info.get("size") or 0)
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return Input(place, size, f"{place} {size} {stamp}")


def _local_input(location: str, path: str) -> Input:
    facts = os.stat(path)
    if stat.S_ISDIR(facts.st_mode):  # of HTML files: those right in it
        found = sorted((f.name, f.stat().st_size, f.stat().st_mtime) for f in os.scandir(path) if f.is_file())
        stamp = hashlib.sha256(repr(found).encode("utf-8", "backslashreplace")).hexdigest()
        return Input(location, sum(size for _, size, _ in found), f"{_printable(location)} {stamp}")
    if not stat.S_ISREG(facts.st_mode):
        kind = next((name for test, name in SPECIAL if test(facts.st_mode)), "something else")
        raise DataError(f"{location} is {kind}: expected a file; write its content to a file and name that")
    return Input(location, facts.st_size, f"{_printable(location)} {facts.st_size} {facts.st_mtime}")


SPECIAL = (
    (stat.S_ISFIFO, "a FIFO (a named pipe)"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)


def _printable(name: str) -> str:
    """A name that is valid UTF-8: bytes of another encoding are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def check_unchanged(source: Input) -> None:
    """Refuse a file that has changed since the work was planned: by its digest where that is known, else by size and time.

    A file of which only the address is known is not checked. A shard in a store is checked by its size here, and by its digest
    when it is read (`verified.opened_file`).
    """
    if source.stamp == source.path:
        return
    now = input_at(source.path)
    if source.sha256 is None:
        same = now.stamp == source.stamp
    else:
        path = filesystem(source.path)[1]
        same = now.bytes == source.bytes and (not is_local(source.path) or file_digest(path) == source.sha256)
    if not same:
        raise changed(source, now.bytes)


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


def find_archives(names: Sequence[str]) -> list[Input]:
    """The archives of these names; raises `DataError` where a name has none."""
    return _distinct(found for name in names for found in _archives(kept_apart(name)))


def find_wats(names: Sequence[str]) -> list[Input]:
    """The WAT files (Common Crawl's metadata) that the names mean: files, globs, folders, lists of paths, or crawls with
    ``kind=wat``; none where a name means something else.
    """
    found = list[Input]()
    for name in names:
        listed, _ = _chosen(name)
        if plain_name(listed).endswith(LIST_ENDINGS):
            found += _archives(name)
        elif format_by_name(name) is None:
            found += [file for file in _files(name, _is_wat) if _is_wat(file.path)]
    return _distinct(found)


def _is_wat(path: str) -> bool:
    return plain_name(path).endswith(WAT_ENDINGS)


def find_shards(names: Sequence[str], reading: Reading = PLAIN) -> list[Input]:
    """The files of documents of these names: shards of a stage, Parquet, JSON lines, CSV, datasets of the hub.

    Raises `DataError` where a name has none, an unfinished stage, or two formats. Large Parquet files are divided (`divided`).
    """
    found = _distinct(found for name in names for found in _shards(located(kept_apart(name))))
    check_not_twice(source.path for source in found)
    if reading != PLAIN:
        found = [replace(source, reading=reading) for source in found]
    return [part for source in found for part in divided(source)]


def kind_of(names: Sequence[str]) -> Kind:
    """Whether names mean archives or documents that are text already; `DataError` where they mean both, or neither."""
    kinds: dict[Kind, str] = {}
    for name in names:
        kinds.setdefault(_kind_of(located(kept_apart(name))), shown(name))
    if len(kinds) == 2:
        raise DataError(
            f"{kinds['archives']} holds archives and {kinds['documents']} documents that are text already: expected one kind; "
            "give each its own run"
        )
    return next(iter(kinds), "archives")


def _kind_of(name: str) -> Kind:
    if is_index(name):
        return "archives"
    plain, choice = _chosen(name)
    if choice or plain_name(plain).endswith((*LIST_ENDINGS, *ARCHIVE_ENDINGS, *HTML_ENDINGS)):
        return "archives"
    if name.startswith(HUB) or format_by_name(name) is not None or _is_stage(name):
        return "documents"
    if name.startswith(("http://", "https://")):
        return "archives"
    found = _list(name, lambda p: plain_name(p).endswith(ARCHIVE_ENDINGS) or _is_document(p))
    archives = [p for p in found if plain_name(p).endswith(ARCHIVE_ENDINGS)]
    shards = [p for p in found if plain_name(p).endswith(".parquet")]
    if archives and shards:
        raise DataError(
            f"{name} holds archives ({_last(archives[0])}) and documents that are text already ({_last(shards[0])}): expected "
            f"one kind; name the files that are meant, as '{name.rstrip('/')}/*.parquet'"
        )
    if found and not archives and len(found) == 1 and format_by_name(found[0]) is None:
        return "archives"
    return "documents" if found and not archives else "archives"


def stage_shards(folder: str, report: Any) -> list[Input]:
    """The shards of a finished stage, from its report."""
    return [Input(join(folder, f), s["bytes"], s["sha256"], s["rows"], f) for f, s in sorted(report["shards"].items())]


def path_of(inputs: Iterable[Input], archive: str) -> str:
    """The location of the archive that a document's column ``archive`` names; `DataError` where no input has this name.

    A page of a folder of HTML files is named with its folder.
    """
    for source in inputs:
        if is_index(source.path):
            return archive_location(archive, source.path)
        if source.name == archive:
            return source.path
        below = "" if source.name == "." else source.name + "/"
        if is_local(source.path) and os.path.isdir(source.path) and archive.startswith(below):
            wanted = archive.removeprefix(below)
            for file in os.listdir(source.path):
                if _printable(file) == wanted:
                    return os.path.join(source.path, file)
    raise DataError(f"{archive}: the run read no archive of this name")


# --- names: unique in a run, and the same wherever the files are


def _distinct(inputs: Iterable[Input]) -> list[Input]:
    """Inputs with names that are unique; `DataError` where a file is there twice."""
    found = list(inputs)
    seen: set[str] = set()
    for source in found:
        place = os.path.realpath(filesystem(source.path)[1]) if is_local(source.path) else source.path
        if place in seen:
            raise DataError(
                f"{source.path} is named twice, and its documents would count twice: name it once (globs and folders must not "
                "overlap)"
            )
        seen.add(place)
    names = [source.name or _last(source.path) for source in found]
    depth = 0
    while len(set(names)) < len(names) and depth < 64:
        depth += 1
        taken = Counter(names)
        names = [_longer(source, name) if taken[name] > 1 else name for source, name in zip(found, names, strict=True)]
    return [source if source.name == name else replace(source, name=name) for source, name in zip(found, names, strict=True)]


def _longer(source: Input, name: str) -> str:
    """A name with one more folder before it."""
    path = os.path.abspath(filesystem(source.path)[1]) if is_local(source.path) else source.path
    above = path[: len(path) - len(name)].rstrip("/") if name != "." and path.endswith(name) else path
    return f"{_printable(_last(above))}/{name}" if name != "." else _printable(_last(above))


def _last(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _below(base: str, path: str) -> str:
    """A path relative to a folder."""
    return _printable(path[len(base) :].lstrip("/")) if path.startswith(base) and path != base else _printable(_last(path))


# --- archives


def _archives(name: str) -> Iterator[Input]:
    if is_index(name):
        yield from index_inputs(name)
        return
    listed, choice = _chosen(name)
    if plain_name(listed).endswith(LIST_ENDINGS):
        for path, own in _drawn(_listed(listed), choice):
            yield replace(input_at(path), name=own) if is_local(path) else Input(path, 0, path, name=own)
        return
    if choice:
        raise DataError(f"{name}: limit, sample and seed need a list of paths or a crawl")
    if format_by_name(name) is not None:
        raise DataError(f"{name} holds documents that are text already: expected an archive; leave the stage extract out")
    found = list(_files(name, lambda p: plain_name(p).endswith(ARCHIVE_ENDINGS))) or _html(name)
    if not found:
        raise DataError(
            f"{name}: no archive there; expected files ending in {', '.join(ARCHIVE_ENDINGS)}, a list of paths, a crawl as "
            "CC-MAIN-2024-10, or a folder of HTML files"
        )
    yield from (source if is_local(source.path) else replace(source, name=source.path) for source in found)


def _chosen(name: str) -> tuple[str, dict[str, str]]:
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


def _html(name: str) -> list[Input]:
    """Folders of HTML files, each an input, or one such file; on local disks only."""
    if not is_local(name):
        return []
    _, path = filesystem(name)
    if os.path.isfile(path):
        return [replace(input_at(path), name=_last(path))] if path.lower().endswith(HTML_ENDINGS) else []
    inputs = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(f for f in folders if f[0] not in "._")
        if any(file.lower().endswith(HTML_ENDINGS) for file in files):
            below = os.path.relpath(folder, path)
            inputs.append(replace(input_at(folder), name=_printable(below)))
    return inputs


def _listed(name: str) -> list[tuple[str, str]]:
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


# --- documents


def _shards(name: str) -> Iterator[Input]:
    if name.startswith(HUB):
        yield from _of_hub(name)
        return
    kind = format_by_name(name)
    if plain_name(name).endswith(ARCHIVE_ENDINGS):
        raise DataError(f"{name} is an archive: expected documents; extract its text first, with `goldwash stage extract`")
    if kind is None:
        report = shard_report(name)
        if report is not None:
            yield from stage_shards(name, report)
            return
        if exists(join(name, "stage.json")):
            raise DataError(f"{name} holds an unfinished stage: finish it by running it again, then read it")
        if exists(join(name, "run.json")):
            raise DataError(
                f"{name} is a run, of several stages: name its dataset, {name}:dataset, or a stage, as {name}:quality"
            )
    found = list(_files(name, _is_document))
    _refuse_stages(name, found)
    if not found:
        raise DataError(f"{name}: no documents there; expected {_ENDINGS} files, a folder of them, or a stage's folder")
    yield from _of_one_format(name, found)


def _refuse_stages(name: str, found: list[Input]) -> None:
    """Refuse a folder above a stage's: it holds that stage's logs and dropped documents too."""
    folders = {source.path.rpartition("/")[0] for source in found}
    for stage in sorted({path.rpartition("/dropped")[0] for path in folders if path.endswith("/dropped")}):
        if exists(join(stage, "stage.json")):
            raise DataError(
                f"{name} holds the folder of a stage, with the documents that it dropped: name that folder, {stage}"
            )


def _is_stage(name: str) -> bool:
    return exists(join(name, "stage.json")) or shard_report(name) is not None


def shard_report(folder: str) -> dict[str, Any] | None:
    """The report of a stage's or a dataset's folder, which lists its shards; None where there is none."""
    for name in ("report.json", "_report.json"):
        report = read_sealed(join(folder, name))
        if report is not None and "shards" in report:
            return report
    return None


def _is_document(path: str) -> bool:
    return format_by_name(path) is not None and plain_name(path) not in NOT_DOCUMENTS


_ENDINGS = ", ".join(ending for kind in FORMATS for ending in kind.endings) + f" (also {', '.join(PACKINGS[1:3])})"


def _of_one_format(name: str, found: list[Input]) -> list[Input]:
    """The inputs of a name, all of one format; ``.json`` files beside others describe them and are left out."""
    kinds: dict[str, list[Input]] = {}
    for source in found:
        kinds.setdefault(_format(source).name, []).append(source)
    if len(kinds) > 1:
        others = [s for s in found if not plain_name(s.path).endswith(".json")]
        if len({_format(s).name for s in others}) == 1:
            return others
        held = ", ".join(f"{kind} ({_last(sources[0].path)})" for kind, sources in kinds.items())
        raise DataError(f"{name} holds files of several formats: {held}: name those that are meant, as '{name}/*.parquet'")
    return found


def _format(source: Input) -> Format:
    return format_of(source.path)


SPLITS = ("train", "test", "validation", "valid", "dev", "val")


def _of_hub(name: str) -> Iterator[Input]:
    """The files of a dataset of the hub, or of a path or glob in it; `DataError` where it has several splits."""
    parts = name.removeprefix(HUB).rstrip("/").split("/")
    if parts[0] != "datasets" or len(parts) < 3:
        raise DataError(f"{name}: expected hf://datasets/OWNER/NAME, a folder, a file or a glob in it")
    found = list(_files(name, _is_document))
    if not found:
        raise DataError(f"{name}: no documents there; expected {_ENDINGS} files in the dataset")
    splits = {split: source.path for source in found for split in SPLITS if _has_split(source.path, split)}
    if len(parts) == 3 and len(splits) > 1:
        examples = ", ".join(sorted(splits.values()))
        raise DataError(
            f"{name} has the splits {', '.join(sorted(splits))}: name the files that are meant, as one of {examples}"
        )
    yield from _of_one_format(name, found)


def _has_split(path: str, split: str) -> bool:
    """Whether a path names a split, as the hub's files do: ``data/train-00000-of-00001.parquet``, ``test/a.jsonl``."""
    return any(re.match(rf"{split}([-_.]|$)", part.lower()) for part in path.split("/")[5:])


def divided(source: Input) -> list[Input]:
    """A large Parquet file as ranges of its row groups, each of about `SPLIT_BYTES`; any other file as it is.

    The ranges depend on the file alone, so that the tasks, and their output, do not depend on the number of workers.
    """
    if source.bytes <= SPLIT_BYTES or _format(source).name != "Parquet":
        return [source]
    try:
        with in_plain_words(source.path):
            fs, path = filesystem(source.path)
            with fs.open(path, "rb") as file:
                metadata = pq.read_metadata(file)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{source.path} is not a whole Parquet file ({error}): write it again") from error
    parts = min(-(-source.bytes // SPLIT_BYTES), metadata.num_row_groups)
    if parts <= 1:
        return [source]
    sizes = [metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups)]
    total, reached, edges = sum(sizes), 0, [0]
    for n, size in enumerate(sizes, 1):
        reached += size
        if reached * parts >= total * len(edges) and n < len(sizes):
            edges.append(n)
    edges.append(len(sizes))
    ranges = [(a, b) for a, b in pairwise(edges) if b > a]
    rows = [sum(metadata.row_group(n).num_rows for n in range(a, b)) for a, b in ranges]
    shares = [source.bytes * sum(sizes[a:b]) // max(total, 1) for a, b in ranges]
    return [
        replace(source, bytes=share if source.sha256 is None else source.bytes, rows=count, groups=(a, b))
        for (a, b), count, share in zip(ranges, rows, shares, strict=True)
    ]


# --- files


def _files(name: str, wanted: Any) -> Iterator[Input]:
    """The accepted files of a name, each with its path below the folder that was named."""
    if name.startswith(("http://", "https://")):
        if wanted(name):
            yield replace(input_at(name), name=_printable(_last(name.partition("?")[0])))  # a web server has no folders
        return
    for path in _list(name, wanted):
        fs, base = filesystem(name)
        location = path if is_local(name) else shown(fs.unstrip_protocol(path))
        yield replace(input_at(location), name=_below(_base(base, fs), path))


def _base(path: str, fs: Any) -> str:
    """The folder to which names of files are relative: the one that was named, or the part before a wildcard."""
    path = path.rstrip("/")
    if any(c in path for c in "*?["):
        fixed = re.split(r"[*?\[]", path, maxsplit=1)[0]
        if not fs.exists(path):
            return fixed.rpartition("/")[0]
    return path


def _list(name: str, wanted: Any) -> list[str]:
    """The paths of a name on its file system, sorted: an existing file, the accepted files of a folder, or those of a glob."""
    with in_plain_words(name):
        fs, path = filesystem(name)
        try:
            return with_retries(lambda: _listing(fs, path, is_local(name), wanted))
        except (FileNotFoundError, NotADirectoryError):
            return []


def _listing(fs: Any, path: str, local: bool, wanted: Any) -> list[str]:
    if local:
        if os.path.isdir(path):
            return sorted(_walk(path, wanted))
        if os.path.lexists(path):
            return [path]
    elif fs.isdir(path):
        return sorted(p for p in fs.find(path) if wanted(p) and not _is_hidden(p[len(path) :]))
    elif fs.exists(path):
        return [path]
    if any(c in path for c in "*?["):
        base = re.split(r"[*?\[]", path, maxsplit=1)[0].rpartition("/")[0]
        matched = [p for p in fs.glob(path) if not _is_hidden(p[len(base) :])]
        folders = [p for p in matched if fs.isdir(p)]
        if "**" not in path:  # which matches the files of these folders, too
            _refuse_folders(fs, path, folders, wanted)
        return sorted(set(matched) - set(folders))
    return []


def _refuse_folders(fs: Any, glob: str, folders: Sequence[str], wanted: Any) -> None:
    """Refuse a glob that matches a folder with accepted files, which would be left out; a stage's own folders are."""
    for folder in folders:
        held = next((p for p in fs.find(folder) if wanted(p) and not _is_hidden(p[len(folder) :])), None)
        if held is not None and not fs.exists(folder.rpartition("/")[0] + "/stage.json"):
            raise DataError(
                f"{glob} matches the folder {folder}, which holds {held[len(folder) + 1 :]}: name the folder itself, or match "
                f"the files, as {glob.rstrip('/')}/*{_ending(held)}"
            )


def _ending(path: str) -> str:
    """The endings of a file's name.

    >>> _ending("a.b/part-0.jsonl.gz"), _ending("a.b/part")
    ('.jsonl.gz', '')
    """
    name = path.rpartition("/")[2]
    return name[name.index(".") :] if "." in name[1:] else ""


def _walk(folder: str, wanted: Any) -> Iterator[str]:
    """The accepted files below a folder on a disk; links to folders are followed, but not in a circle."""
    seen = set[str]()
    for here, folders, files in os.walk(folder, followlinks=True):
        place = os.path.realpath(here)
        if place in seen:
            folders[:] = []
            continue
        seen.add(place)
        folders[:] = [f for f in folders if f[0] not in "._"]
        yield from (os.path.join(here, file) for file in files if file[0] not in "._" and wanted(file))


def _is_hidden(below: str) -> bool:
    """Whether a part of a path below the folder that was named begins with ``_`` or ``.``.

    >>> _is_hidden("/.snapshot/hourly.0/a.parquet"), _is_hidden("/b/a_.parquet")
    (True, False)
    """
    return any(part[:1] in ("_", ".") for part in below.split("/") if part)
