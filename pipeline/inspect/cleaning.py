"""Folders of a run that the run no longer refers to: outputs of older parameters.

Invariants: only folders with a stage's name and fingerprint and a ``stage.json`` are ever listed; nothing is removed that was
not listed; nothing is removed while a driver works on the run (`storage.locks`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from goldwash.pipeline.flow import held_run
from goldwash.pipeline.storage.addresses import FOLDER
from goldwash.pipeline.storage.locations import exists, filesystem, join
from goldwash.pipeline.storage.locks import run_lock


@dataclass(frozen=True)
class Unused:
    """A folder, and the bytes of the files in it."""

    location: str
    bytes: int


@dataclass(frozen=True)
class Found:
    """The folders that no stage of the run refers to, and the run's stages that have not begun."""

    folders: Sequence[Unused]
    waiting: Sequence[str]


def unused(run: str) -> Found:
    """The stage folders in a run's folder that ``run.json`` does not name; a `DataError` where there is no run."""
    held = held_run(run)
    current = {str(folder) for folder in held["stages"]}
    fs, path = filesystem(run)
    names = sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False))
    folders = []
    for name in names:
        if FOLDER.fullmatch(name) and name not in current and exists(join(run, name, "stage.json")):
            place = f"{path.rstrip('/')}/{name}"
            if not fs.isdir(place):
                continue
            folders.append(Unused(join(run, name), int(sum(fs.du(place, total=False).values()))))
    return Found(folders, list(held.get("order", ()))[len(current) :])


def remove(run: str, found: Found) -> None:
    """Remove the folders that `unused` found; a `LockError` while a driver works on the run."""
    with run_lock(run):
        for folder in found.folders:
            fs, path = filesystem(folder.location)
            fs.rm(path, recursive=True)
