"""A finished stage's markers, in one file per pass: a run of 90,000 shards does not keep 90,000 markers per pass.

Invariants: markers are packed when a stage is finished and unpacked before it runs again, so that tasks and engines only ever
see one file per marker. A packed marker is what its task wrote, with its digest. Whatever is killed on the way loses no marker:
the packed file is whole before single ones go, and goes last when they return.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from goldwash.pipeline.storage.atomic import atomic_write, write_json
from goldwash.pipeline.storage.failures import DataError, in_plain_words
from goldwash.pipeline.storage.locations import filesystem, is_local, join, names_in, read_json, size_of
from goldwash.pipeline.storage.retry import with_retries
from goldwash.pipeline.storage.sealed import read_sealed, unsealed

FOLDER = "tasks"
PACKED = ".jsonl.gz"
TRANSFERS = 16
"""Concurrent requests to a store."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def marker_of(out: str, task: str) -> dict[str, Any] | None:
    """The marker of a task of this name (``keys-00003``) in a stage's folder, packed or not; None if there is none.

    Raises `DataError` where it is broken.
    """
    held = read_sealed(join(out, FOLDER, f"{task}.json"))
    if held is not None:
        return held
    location = join(out, FOLDER, _part(task) + PACKED)
    size = size_of(location)
    line = _lines(location, size).get(task) if size is not None else None
    return unsealed(json.loads(line)["marker"], location) if line else None


def pack_markers(out: str, removed: Sequence[str] = ()) -> None:
    """Move the markers of a finished stage into one file per pass. Broken ones are left where they are.

    ``removed``: folders in ``out`` that are gone. Markers of files in them go too.
    """
    parts: dict[str, list[str]] = {}
    for name in sorted(names_in(join(out, FOLDER))):
        if name.endswith(".json"):
            parts.setdefault(_part(name), []).append(name)
    for part, names in parts.items():
        location = join(out, FOLDER, part + PACKED)
        held = {task: line for task, line in _lines_of(location) if f"{task}.json" not in names}
        held |= {name.removesuffix(".json"): line for name, line in zip(names, _read(out, names), strict=True) if line}
        gone = {task for task, line in held.items() if _is_of(line, removed)}
        names = [name for name in names if name.removesuffix(".json") in held]
        if held.keys() == gone:
            _remove(out, names)
            continue
        with atomic_write(location) as half, open(half, "wb") as file, gzip.GzipFile("", "wb", 6, file, 0) as packed:
            packed.writelines(held[task] for task in sorted(held.keys() - gone))
        _remove(out, names)


def unpack_markers(out: str) -> None:
    """Put each packed marker back into a file of its own, before the stage runs again; existing files win."""
    there = names_in(join(out, FOLDER))
    for packed in sorted(name for name in there if name.endswith(PACKED)):
        lines = [line for task, line in _lines_of(join(out, FOLDER, packed)) if f"{task}.json" not in there]
        _each(out, lines, lambda line: _write(out, json.loads(line)))
        _remove(out, [packed])


def _write(out: str, held: dict[str, Any]) -> None:
    write_json(join(out, FOLDER, f"{held['task']}.json"), held["marker"], indent=None)


def _read(out: str, names: Sequence[str]) -> list[bytes | None]:
    """The line of each marker; None for one that is broken, or that another process has removed."""

    def line(name: str) -> bytes | None:
        with suppress(DataError):
            value = read_json(join(out, FOLDER, name))
            if isinstance(value, dict):
                unsealed(dict(value), name)
                return json.dumps({"task": name.removesuffix(".json"), "marker": value}).encode() + b"\n"
        return None

    return _each(out, names, line)


def _each(out: str, items: Sequence[Item], act: Callable[[Item], Made]) -> list[Made]:
    """`act` on each item, in order; in a store, on several at once."""
    if is_local(out):
        return list(map(act, items))
    with ThreadPoolExecutor(TRANSFERS) as pool:  # a store answers slowly, but many at once
        return list(pool.map(act, items))


def _remove(out: str, names: Sequence[str]) -> None:
    fs, path = filesystem(join(out, FOLDER))
    with in_plain_words(out, writing=True):
        if is_local(out):
            for name in names:
                Path(path, name).unlink(missing_ok=True)
        elif names:
            with_retries(lambda: fs.rm([f"{path}/{name}" for name in names]))


def _is_of(line: bytes, folders: Sequence[str]) -> bool:
    """Whether a marker names a file in one of some folders."""
    return any(file.partition("/")[0] in folders for file in json.loads(line)["marker"].get("files", {}))


def _part(name: str) -> str:
    """The pass of a task or marker: ``keys`` of ``keys-00003.json``."""
    return name.rpartition("-")[0]


def _lines_of(location: str) -> Iterator[tuple[str, bytes]]:
    """Task and line of each packed marker; none where there is no file, or where it is broken: those tasks are done again.

    Raises `StorageError` where the disk or the store does not answer, which says nothing of the file.
    """
    fs, path = filesystem(location)
    try:
        with in_plain_words(location):
            data = with_retries(lambda: fs.cat_file(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    with suppress(gzip.BadGzipFile, zlib.error, EOFError, ValueError, KeyError, TypeError):
        for line in gzip.decompress(data).splitlines(keepends=True):
            yield json.loads(line)["task"], line


@lru_cache(maxsize=8)
def _lines(location: str, size: int | None) -> dict[str, bytes]:
    """The lines of a packed file by task; ``size`` makes another file another entry of the cache."""
    return dict(_lines_of(location))
