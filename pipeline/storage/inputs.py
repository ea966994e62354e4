"""Find what a run reads: archives or documents, from any way of naming them.

Invariants:

* A name is a file, a folder or a glob on any file system that fsspec knows (`storage.listing`); a crawl or a list of archives
  (`storage.crawls`); ``cdx:FILE``, the records of an index (`storage.indexes`); a stage's folder, or its address in a run
  (`storage.addresses`); or a dataset of the Hugging Face hub (``hf://datasets/OWNER/NAME``).
* Inputs are in the order of the names. A folder of HTML files is one input, as is each folder below it.
* Nothing is opened but lists, reports and the footers of large Parquet files, which are divided (`storage.division`). A file
  that is named twice is refused.
* An input's ``name`` is unique among the inputs of a run and the same wherever the files are.
"""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from goldwash.credentials import kept_apart, shown
from goldwash.filters.fetch import file_digest
from goldwash.pipeline.storage.addresses import check_not_twice, located
from goldwash.pipeline.storage.crawls import LIST_ENDINGS, archive_location, archives_in, chosen
from goldwash.pipeline.storage.division import divided
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.formats import FORMATS, PACKINGS, format_by_name, format_of, plain_name
from goldwash.pipeline.storage.indexes import index_inputs, is_index, part_at
from goldwash.pipeline.storage.listing import Wanted, files_of, paths_of
from goldwash.pipeline.storage.locations import exists, filesystem, is_local, join, last_part, utf8_name
from goldwash.pipeline.storage.patience import patiently
from goldwash.pipeline.storage.sealed import read_sealed
from goldwash.pipeline.storage.source import PLAIN, Input, Reading
from goldwash.pipeline.storage.verified import changed

ARCHIVE_ENDINGS = (
    ".warc", ".warc.gz", ".warc.zst", ".warc.lz4", ".arc", ".arc.gz", ".arc.zst", ".arc.lz4", ".warc.wet", ".warc.wet.gz",
    ".wet", ".wet.gz", ".wacz",
)  # fmt: skip
WAT_ENDINGS = (".wat", ".wat.gz")
HTML_ENDINGS = (".html", ".htm", ".xhtml")
HUB = "hf://"
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
        return Input(location, sum(size for _, size, _ in found), f"{utf8_name(location)} {stamp}")
    if not stat.S_ISREG(facts.st_mode):
        kind = next((name for test, name in SPECIAL if test(facts.st_mode)), "something else")
        raise DataError(f"{location} is {kind}: expected a file; write its content to a file and name that")
    return Input(location, facts.st_size, f"{utf8_name(location)} {facts.st_size} {facts.st_mtime}")


SPECIAL = (
    (stat.S_ISFIFO, "a FIFO (a named pipe)"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)


def _inputs(name: str, wanted: Wanted) -> Iterator[Input]:
    """The accepted files of a name, as they are now."""
    return (replace(input_at(location), name=own) for location, own in files_of(name, wanted))


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


def find_archives(names: Sequence[str]) -> list[Input]:
    """The archives of these names; raises `DataError` where a name has none."""
    return _distinct(found for name in names for found in _archives(kept_apart(name)))


def find_wats(names: Sequence[str]) -> list[Input]:
    """The WAT files (Common Crawl's metadata) that the names mean: files, globs, folders, lists of paths, or crawls with
    ``kind=wat``; none where a name means something else.
    """
    found = list[Input]()
    for name in names:
        listed, _ = chosen(name)
        if plain_name(listed).endswith(LIST_ENDINGS):
            found += _archives(name)
        elif format_by_name(name) is None:
            found += [file for file in _inputs(name, _is_wat) if _is_wat(file.path)]
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
    plain, choice = chosen(name)
    if choice or plain_name(plain).endswith((*LIST_ENDINGS, *ARCHIVE_ENDINGS, *HTML_ENDINGS)):
        return "archives"
    if name.startswith(HUB) or format_by_name(name) is not None or _is_stage(name):
        return "documents"
    if name.startswith(("http://", "https://")):
        return "archives"
    found = paths_of(name, lambda p: plain_name(p).endswith(ARCHIVE_ENDINGS) or _is_document(p))
    archives = [p for p in found if plain_name(p).endswith(ARCHIVE_ENDINGS)]
    shards = [p for p in found if plain_name(p).endswith(".parquet")]
    if archives and shards:
        raise DataError(
            f"{name} holds archives ({last_part(archives[0])}) and documents that are text already ({last_part(shards[0])}): "
            f"expected one kind; name the files that are meant, as '{name.rstrip('/')}/*.parquet'"
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
                if utf8_name(file) == wanted:
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
    names = [source.name or last_part(source.path) for source in found]
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
    return f"{utf8_name(last_part(above))}/{name}" if name != "." else utf8_name(last_part(above))


# --- archives


def _archives(name: str) -> Iterator[Input]:
    if is_index(name):
        yield from index_inputs(name)
        return
    listed, choice = chosen(name)
    if plain_name(listed).endswith(LIST_ENDINGS):
        for path, own in archives_in(listed, choice):
            yield replace(input_at(path), name=own) if is_local(path) else Input(path, 0, path, name=own)
        return
    if choice:
        raise DataError(f"{name}: limit, sample and seed need a list of paths or a crawl")
    if format_by_name(name) is not None:
        raise DataError(f"{name} holds documents that are text already: expected an archive; leave the stage extract out")
    found = list(_inputs(name, lambda p: plain_name(p).endswith(ARCHIVE_ENDINGS))) or _html(name)
    if not found:
        raise DataError(
            f"{name}: no archive there; expected files ending in {', '.join(ARCHIVE_ENDINGS)}, a list of paths, a crawl as "
            "CC-MAIN-2024-10, or a folder of HTML files"
        )
    yield from (source if is_local(source.path) else replace(source, name=source.path) for source in found)


def _html(name: str) -> list[Input]:
    """Folders of HTML files, each an input, or one such file; on local disks only."""
    if not is_local(name):
        return []
    _, path = filesystem(name)
    if os.path.isfile(path):
        return [replace(input_at(path), name=last_part(path))] if path.lower().endswith(HTML_ENDINGS) else []
    inputs = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(f for f in folders if f[0] not in "._")
        if any(file.lower().endswith(HTML_ENDINGS) for file in files):
            below = os.path.relpath(folder, path)
            inputs.append(replace(input_at(folder), name=utf8_name(below)))
    return inputs


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
    found = list(_inputs(name, _is_document))
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
        kinds.setdefault(format_of(source.path).name, []).append(source)
    if len(kinds) > 1:
        others = [s for s in found if not plain_name(s.path).endswith(".json")]
        if len({format_of(s.path).name for s in others}) == 1:
            return others
        held = ", ".join(f"{kind} ({last_part(sources[0].path)})" for kind, sources in kinds.items())
        raise DataError(f"{name} holds files of several formats: {held}: name those that are meant, as '{name}/*.parquet'")
    return found


SPLITS = ("train", "test", "validation", "valid", "dev", "val")


def _of_hub(name: str) -> Iterator[Input]:
    """The files of a dataset of the hub, or of a path or glob in it; `DataError` where it has several splits."""
    parts = name.removeprefix(HUB).rstrip("/").split("/")
    if parts[0] != "datasets" or len(parts) < 3:
        raise DataError(f"{name}: expected hf://datasets/OWNER/NAME, a folder, a file or a glob in it")
    found = list(_inputs(name, _is_document))
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
