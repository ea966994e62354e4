"""The dataset: a run's last shards in one folder, with the recipe and the report.

Invariants: ``dataset/`` holds ``part-*.parquet`` and, under names that Parquet readers pass over, ``_recipe.yaml`` and
``_report.json``, written last. Of an earlier dataset only the files that goldwash wrote are removed.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from goldwash import __version__
from goldwash.pipeline.recipes.recipe import Recipe
from goldwash.pipeline.stage import Stage
from goldwash.pipeline.storage.atomic import write_text
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import check_unchanged
from goldwash.pipeline.storage.locations import filesystem, is_local, join, sizes_in
from goldwash.pipeline.storage.ownership import entries
from goldwash.pipeline.storage.sealed import read_sealed, write_sealed
from goldwash.pipeline.storage.source import Input

DATASET = "dataset"
REPORT, RECIPE = "_report.json", "_recipe.yaml"
UNFINISHED = "_unfinished.json"
"""Written first and removed last: lists goldwash's files in case publishing is killed."""
OLDER = ("report.json", "recipe.yaml")
"""The names that goldwash 0.1 used."""


def publish(recipe: Recipe, shards: Sequence[Input], reports: Sequence[Mapping[str, Any]], out: str) -> None:
    """Put the last stage's shards into ``dataset/``. ``reports``: the stages' ``report.json``.

    Raises `DataError` if a shard has changed since its stage wrote it, or if ``dataset/`` holds files without goldwash's marks.
    """
    folder = join(out, DATASET)
    wanted = {f"part-{n:05d}.parquet": shard for n, shard in enumerate(shards)}
    report = _report(recipe, wanted, reports)
    there = sizes_in(folder)
    if _held(folder) == report and all(there.get(name) == shard.bytes for name, shard in wanted.items()):
        return
    for shard in shards:
        check_unchanged(shard)
    old = _ours(folder)
    write_sealed(join(folder, UNFINISHED), {"files": sorted({*old, *wanted})})
    _remove(folder, old - {UNFINISHED})
    _put([shard.path for shard in shards], [join(folder, name) for name in wanted])
    write_text(join(folder, RECIPE), recipe.resolved())
    write_sealed(join(folder, REPORT), report)
    _remove(folder, {UNFINISHED})


def _report(recipe: Recipe, shards: Mapping[str, Input], reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    facts = {name: {"rows": s.rows, "bytes": s.bytes, "sha256": s.stamp} for name, s in shards.items()}
    stages: list[Stage] = list(recipe.stages)
    funnel = [{"stage": stage.name, **report["report"]} for stage, report in zip(stages, reports, strict=True)]
    losses = {
        key: value
        for report in reports
        for key, value in report["facts"].items()
        if key in ("damage", "damaged_places", "damaged_bytes", "without_records")
    }
    notes = [note for report in reports for note in report.get("notes", ())]
    return {"goldwash": __version__, "recipe": recipe.name, "shards": facts, "funnel": funnel, "losses": losses, "notes": notes}


def _held(folder: str) -> dict[str, Any] | None:
    try:
        return read_sealed(join(folder, REPORT))
    except DataError:
        return None


def _ours(folder: str) -> set[str]:
    """The files of an earlier dataset; `DataError` if the folder holds files but none of goldwash's marks."""
    names = set(entries(folder))
    marks = names & {REPORT, UNFINISHED, OLDER[0]}
    if names and not marks:
        found = ", ".join(sorted(names)[:3])
        raise DataError(f"{folder} holds files that goldwash did not write ({found}): move them, or choose another --out")
    ours = {RECIPE, *(OLDER if OLDER[0] in marks else ())}
    for mark in marks:
        held = read_sealed(join(folder, mark)) or {}
        ours |= {mark, *held.get("shards", ()), *held.get("files", ())}
    return ours & names


def _remove(folder: str, names: set[str]) -> None:
    """Remove files, reports first: without one, nothing takes the folder for a dataset."""
    fs, path = filesystem(folder)
    for name in sorted(names, key=lambda name: name not in (REPORT, OLDER[0])):
        fs.rm_file(f"{path.rstrip('/')}/{name}")


def _put(sources: Sequence[str], targets: Sequence[str]) -> None:
    """Publish shards under other names: by hard links where the disk has them, else by copies; concurrently in a store."""
    if not all(map(is_local, (*sources, *targets))):
        fs, _ = filesystem(targets[0])
        fs.copy([filesystem(source)[1] for source in sources], [filesystem(target)[1] for target in targets])
        return
    os.makedirs(os.path.dirname(filesystem(targets[0])[1]), exist_ok=True)
    for source, target in zip(sources, targets, strict=True):
        path = filesystem(target)[1]
        try:
            os.link(source, path)
        except OSError:
            shutil.copyfile(source, f"{path}.half")
            os.replace(f"{path}.half", path)
