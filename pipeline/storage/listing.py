"""Listing: the files that a name means on its file system.

Invariants:

* A name is a file, a folder or a glob. One that is there is no glob.
* Files of a folder or a glob are sorted. Names of files and folders that begin with ``_`` or ``.`` are not data, unless they
  were named themselves.
* A glob leaves no folder out: it is refused if it matches one that holds accepted files.
* Nothing is opened.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from goldwash.credentials import shown
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.locations import filesystem, is_local, last_part, utf8_name
from goldwash.pipeline.storage.retry import with_retries

Wanted = Callable[[str], bool]
"""Whether a file of this path is accepted."""


def files_of(name: str, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """The accepted files of a name: the location of each, and its path below the folder that was named."""
    if name.startswith(("http://", "https://")):
        if wanted(name):
            yield name, utf8_name(last_part(name.partition("?")[0]))  # a web server has no folders
        return
    for path in paths_of(name, wanted):
        fs, base = filesystem(name)
        location = path if is_local(name) else shown(fs.unstrip_protocol(path))
        yield location, _below(_base(base, fs), path)


def paths_of(name: str, wanted: Wanted) -> list[str]:
    """The paths of a name on its file system, sorted: an existing file, the accepted files of a folder, or those of a glob."""
    with in_plain_words(name):
        fs, path = filesystem(name)
        try:
            return with_retries(lambda: _listing(fs, path, is_local(name), wanted))
        except (FileNotFoundError, NotADirectoryError):
            return []


def _base(path: str, fs: Any) -> str:
    """The folder to which names of files are relative: the one that was named, or the part before a wildcard."""
    path = path.rstrip("/")
    if any(c in path for c in "*?["):
        fixed = re.split(r"[*?\[]", path, maxsplit=1)[0]
        if not fs.exists(path):
            return fixed.rpartition("/")[0]
    return path


def _below(base: str, path: str) -> str:
    """A path relative to a folder."""
    return utf8_name(path[len(base) :].lstrip("/")) if path.startswith(base) and path != base else utf8_name(last_part(path))


def _listing(fs: Any, path: str, local: bool, wanted: Wanted) -> list[str]:
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


def _refuse_folders(fs: Any, glob: str, folders: Sequence[str], wanted: Wanted) -> None:
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


def _walk(folder: str, wanted: Wanted) -> Iterator[str]:
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
