"""Addresses of a run's stages: ``RUN:quality``, ``RUN:05-quality`` and ``RUN:dataset`` as names of inputs.

Invariants:

* ``run.json`` says which folder is the current one of each stage. A folder's name holds a fingerprint and changes with the
  parameters, so that ``RUN/05-quality-*`` may match folders of older parameters too; an address does not.
* A path that exists is never taken for an address.
* Two folders of one run, of one stage or of two, would count documents twice. They are refused, and the error names them.
"""

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import exists, is_local, join, read_json

RUN = "run.json"
STAGE = re.compile(r"(?:(?P<number>\d+)-)?(?P<name>[A-Za-z_]\w*)(?:#(?P<nth>\d+))?")
FOLDER = re.compile(r"(?P<number>\d{2,})-(?P<name>[A-Za-z_]\w*)-(?P<fingerprint>[0-9a-f]{8})")
"""The name of a stage's folder in a run."""


def located(name: str) -> str:
    """The folder that a name means: of ``RUN:STAGE``, the stage's folder; any other name unchanged.

    Raises `DataError` where RUN is a run but has no such stage, or has not begun or finished it.
    """
    run, colon, asked = name.rpartition(":")
    if not colon or not run or run.endswith(":") or not STAGE.fullmatch(asked) or (is_local(name) and os.path.exists(name)):
        return name
    held = read_json(join(run, RUN))
    if held is None:
        if is_local(run) and exists(run) and exists(join(run, "recipe.yaml")):
            raise DataError(f"{name}: {run} has no {RUN}, so it is not a goldwash run")
        return name
    return join(run, _folder(name, run, asked, dict(held)))


def _folder(name: str, run: str, asked: str, held: dict[str, Any]) -> str:
    if asked == "dataset":
        if not exists(join(run, "dataset", "_report.json")):
            raise DataError(f"{name}: {run} has no dataset yet: let the run finish")
        return "dataset"
    folders = [str(folder) for folder in held["stages"]]
    found = [folder for folder in folders if _means(asked, folder, folders)]
    known = ", ".join(f"{run}:{choice}" for choice in choices(folders))
    if len(found) == 1:
        if not exists(join(run, found[0], "report.json")):
            raise DataError(f"{name}: that stage is not finished: give the same `goldwash run` again")
        return found[0]
    if found:
        raise DataError(f"{name}: this run has {len(found)} stages of that name: give one of {known}")
    waiting = [stage for stage in held.get("order", ()) if stage == asked]
    why = "that stage has not begun: give the same `goldwash run` again" if waiting else "this run has no such stage"
    raise DataError(f"{name}: {why}; there are {known or 'no finished stages yet'}")


def _means(asked: str, folder: str, folders: Sequence[str]) -> bool:
    word, this = STAGE.fullmatch(asked), FOLDER.fullmatch(folder)
    if not word or not this or word["name"] != this["name"]:
        return False
    same = [other for other in folders if _name(other) == this["name"]]
    if word["nth"] and same.index(folder) + 1 != int(word["nth"]):
        return False
    return not word["number"] or int(word["number"]) == int(this["number"])


def _name(folder: str) -> str:
    found = FOLDER.fullmatch(folder)
    return found["name"] if found else folder


def choices(folders: Sequence[str]) -> list[str]:
    """The addresses of a run's stages: names, or numbers with names where a name is there twice."""
    names = [_name(folder) for folder in folders]
    return [name if names.count(name) == 1 else folder.rpartition("-")[0] for name, folder in zip(names, folders, strict=True)]


def check_not_twice(files: Iterable[str]) -> None:
    """Refuse files that lie in more than one stage of one run: their documents would be counted several times."""
    seen: dict[str, dict[str, None]] = {}
    for file in files:
        for run, folder in _stages_above(file):
            seen.setdefault(run, {})[folder] = None
    for run, folders in seen.items():
        if len(folders) > 1:
            _refuse(run, sorted(folders))


def _stages_above(file: str) -> Iterable[tuple[str, str]]:
    parts = file.replace("\\", "/").split("/")
    for n in range(len(parts) - 1, -1, -1):
        if FOLDER.fullmatch(parts[n]) or (parts[n] == "dataset" and n == len(parts) - 2):
            yield "/".join(parts[:n]) or (file[:1] if file[:1] == "/" else "."), parts[n]
            return


def _refuse(run: str, folders: list[str]) -> None:
    held = read_json(join(run, RUN)) or {"stages": []}
    current = [str(folder) for folder in held["stages"]]
    if not held["stages"] and not any(FOLDER.fullmatch(folder) for folder in folders):
        return
    names = [_name(folder) for folder in folders]
    told = ", ".join(f"{f} ({'current' if f in current or f == 'dataset' else 'of other parameters'})" for f in folders)
    if len(set(names)) < len(names):
        cure = f"give {run}:{names[0]}, which is the current one; `goldwash clean {run}` removes the others"
    else:
        cure = f"give one of them, such as {run}:{names[-1]}"
    raise DataError(f"{run}: these inputs are {len(folders)} stages of one run, so documents would count twice: {told}; {cure}")
