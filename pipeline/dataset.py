"""The dataset: a run's last documents in one folder, in shards of a sane size, with the recipe and the report.

Invariants: ``dataset/`` holds ``part-*.parquet`` and, under names that Parquet readers pass over, the recipe, the dataset's
card, its Croissant metadata, ``.huggingface.yaml``, which tells `datasets.load_dataset` which files are documents, and the
report, written last. Of an earlier dataset only the files that goldwash wrote are removed. Equal runs have equal files.

The last stage's shards are linked where they are near the wanted size (`pack.near`). Others, such as one small file per
archive, are packed by the stage pack with the parameters of the recipe's ``dataset``, in a folder ``pack-*`` that goes once its
shards are published. Shards whose columns cannot be joined in one schema are linked as they are, with a note.

With ``dataset: {tokenizer: ...}`` documents get ``token_count``, and the card and the report the sum.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from goldwash import __version__
from goldwash.pipeline.mixing.schemas import SchemaError
from goldwash.pipeline.recipes.recipe import Recipe
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, Stage, Work, claim, done, reports_of
from goldwash.pipeline.storage.atomic import atomic_write, write_json, write_text
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import check_unchanged, stage_shards
from goldwash.pipeline.storage.locations import filesystem, is_local, join, sizes_in
from goldwash.pipeline.storage.ownership import entries
from goldwash.pipeline.storage.sealed import read_sealed, write_sealed
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tasks import Task, finished

if TYPE_CHECKING:
    from goldwash.pipeline.stages.pack import Pack

DATASET = "dataset"
REPORT, RECIPE = "_report.json", "_recipe.yaml"
CARD, CROISSANT, HUB = "_README.md", "_croissant.json", ".huggingface.yaml"
PATTERN = "part-[0-9]*.parquet"
UNFINISHED = "_unfinished.json"
"""Written first and removed last: lists goldwash's files in case publishing is killed."""
PACK = "pack-"
"""The beginning of the name of a folder in which shards are packed."""
OLDER = ("report.json", "recipe.yaml")
"""The names that goldwash 0.1 used."""


def check_packing(recipe: Recipe) -> None:
    """Fail before the first stage if the dataset cannot be packed, for example because its tokenizer cannot be loaded."""
    from goldwash.pipeline.stages.pack import Pack

    Pack.of(recipe.packing).preflight()


def publish(
    recipe: Recipe, shards: Sequence[Input], reports: Sequence[Mapping[str, Any]], out: str, run: Run | None = None
) -> None:
    """Put the last stage's documents into ``dataset/``. ``reports``: the stages' ``report.json``.

    ``run`` does the packing; None does it in this process. Raises `DataError` if a shard has changed since its stage wrote it,
    or if ``dataset/`` holds files without goldwash's marks.
    """
    from goldwash.pipeline.stages.pack import Pack  # here: workers of other stages do not import it

    folder, pack = join(out, DATASET), Pack.of(recipe.packing)
    made = _Packed()
    if _to_pack(pack, shards):
        fingerprint = pack.fingerprint(shards)
        if _is_packed(folder, fingerprint, recipe, reports):
            _forget_packs(out)
            return
        _ours(folder)
        try:
            shards, tokens = _packed(pack, shards, join(out, f"{PACK}{fingerprint[:8]}"), run or _here)
            made = _Packed(fingerprint, tokens)
        except SchemaError as error:
            made = _Packed(note=f"the dataset's shards are as the last stage left them: {error}")
    _link(recipe, shards, reports, folder, made)
    _forget_packs(out)


@dataclass(frozen=True)
class _Packed:
    """What packing says for the dataset's report: its fingerprint, the tokens that it counted, and why it was not done."""

    fingerprint: str = ""
    tokens: Mapping[str, Any] | None = None
    note: str = ""


def _link(recipe: Recipe, shards: Sequence[Input], reports: Sequence[Mapping[str, Any]], folder: str, packed: _Packed) -> None:
    wanted = {f"part-{n:05d}.parquet": shard for n, shard in enumerate(shards)}
    facts = {name: {"rows": s.rows, "bytes": s.bytes, "sha256": s.stamp} for name, s in wanted.items()}
    report = _report(recipe, facts, reports, packed)
    there = sizes_in(folder)
    if _held(folder) == report and CARD in there and all(there.get(name) == shard.bytes for name, shard in wanted.items()):
        return
    for shard in shards:
        check_unchanged(shard)
    old = _ours(folder)
    write_sealed(join(folder, UNFINISHED), {"files": sorted({*old, *wanted})})
    _remove(folder, old - {UNFINISHED})
    _put([shard.path for shard in shards], [join(folder, name) for name in wanted])
    write_text(join(folder, RECIPE), recipe.resolved())
    _describe(recipe, report, _schema(shards), folder)
    write_sealed(join(folder, REPORT), report)
    _remove(folder, {UNFINISHED})


def _to_pack(pack: "Pack", shards: Sequence[Input]) -> bool:
    """Whether shards are documents that are to be packed: for their size, or for another order or other pages."""
    from goldwash.pipeline.stages.pack import near

    wanted = pack != type(pack).of({"shard_bytes": pack.shard_bytes}) or not near([s.bytes for s in shards], pack.shard_bytes)
    return wanted and _schema(shards) is not None


def _packed(pack: "Pack", shards: Sequence[Input], folder: str, run: Run) -> tuple[list[Input], dict[str, Any] | None]:
    """The shards of the stage pack, run in a folder of its own, and the tokens that it counted; None without a tokenizer."""
    from goldwash.pipeline.stages.pack import TOKENS

    report = done(pack, shards, folder)
    if report is None:
        claim(pack, shards, folder)
        pack(shards, folder, run)
        report = read_sealed(join(folder, "report.json"))
        assert report is not None
    if pack.loaded is None:
        return stage_shards(folder, report), None
    tokens = {"tokenizer": pack.tokenizer, "sha256": pack.loaded.digest, "count": report["report"]["notes"].get(TOKENS, 0)}
    return stage_shards(folder, report), tokens


def _is_packed(folder: str, fingerprint: str, recipe: Recipe, reports: Sequence[Mapping[str, Any]]) -> bool:
    """Whether ``dataset/`` holds these shards, packed, and the report of this run."""
    held = _held(folder)
    if held is None or held.get("packed") != fingerprint or UNFINISHED in entries(folder):
        return False
    there = sizes_in(folder)
    whole = CARD in there and all(there.get(name) == facts["bytes"] for name, facts in held["shards"].items())
    return whole and held == _report(recipe, held["shards"], reports, _Packed(fingerprint, held.get("tokens")))


def _forget_packs(out: str) -> None:
    """Remove the folders in which shards were packed: what they hold is published."""
    fs, path = filesystem(out)
    for name in entries(out):
        if re.fullmatch(f"{PACK}[0-9a-f]{{8}}", name):
            with suppress(FileNotFoundError):
                fs.rm(f"{path.rstrip('/')}/{name}", recursive=True)


def _here(work: Work, tasks: Sequence[Task]) -> Report:
    """A `Run` in this process."""
    for task in tasks:
        if finished(task) is None:
            for source in task.sources:
                check_unchanged(source)
            work(task)
    return reports_of(tasks)


def _report(recipe: Recipe, shards: Mapping[str, Any], reports: Sequence[Mapping[str, Any]], packed: _Packed) -> dict[str, Any]:
    stages: list[Stage] = list(recipe.stages)
    funnel = [{"stage": stage.name, **report["report"]} for stage, report in zip(stages, reports, strict=True)]
    losses = {
        key: value
        for report in reports
        for key, value in report["facts"].items()
        if key in ("damage", "damaged_places", "damaged_bytes", "without_records")
    }
    notes = [note for report in reports for note in report.get("notes", ())] + ([packed.note] if packed.note else [])
    found = {
        "goldwash": __version__,
        "recipe": recipe.name,
        "shards": dict(shards),
        "funnel": funnel,
        "losses": losses,
        "notes": notes,
        **({"packed": packed.fingerprint} if packed.fingerprint else {}),
        **({"tokens": dict(packed.tokens)} if packed.tokens else {}),
    }
    alarms = [
        {"stage": stage.name, **alarm}
        for stage, report in zip(stages, reports, strict=True)
        for alarm in report["facts"].get("by_source", {}).get("alarms", ())
    ]
    found |= {"alarms": alarms} if alarms else {}
    searched = [_decontamination(report) for report in reports if report.get("stage") == "decontaminate"]
    return {**found, "decontamination": searched[-1]} if searched else found


def _decontamination(report: Mapping[str, Any]) -> dict[str, Any]:
    """What was searched for, and how many documents were found."""
    config, counts = report["config"], report["report"]
    found = {**counts["dropped"], **counts["edited"]}
    documents = sum(found[rule]["documents"] for rule in ("benchmark_item_count", "benchmark_strings") if rule in found)
    return {
        "benchmarks": config.get("benchmarks"), "rule": config.get("rule"), "action": config.get("action"),
        "items": report["facts"].get("items", 0), "documents": documents,
    }  # fmt: skip


def _schema(shards: Sequence[Input]) -> pa.Schema | None:
    """The columns of the documents; None where the last stage made no documents."""
    if not shards or not all(shard.path.endswith(".parquet") for shard in shards):
        return None
    try:
        return schema_of(shards[0])
    except DataError:  # no text; a broken shard is noticed when it is packed or linked
        return None


def _describe(recipe: Recipe, report: Mapping[str, Any], schema: pa.Schema | None, folder: str) -> None:
    """Write the card, the Croissant metadata and the file for `datasets.load_dataset`."""
    from goldwash.pipeline.export.card import Dataset, card  # huggingface_hub takes half a second to import
    from goldwash.pipeline.export.croissant import metadata

    described = Dataset(recipe.name, report, recipe.resolved(), schema, PATTERN)
    write_text(join(folder, CARD), card(described))
    if schema is not None:
        facts = f"{described.documents} documents made by goldwash {__version__} with the recipe {recipe.name}."
        write_json(join(folder, CROISSANT), metadata(recipe.name, facts, __version__, report["shards"], schema))
    write_text(join(folder, HUB), f'configs:\n- config_name: default\n  data_files: "{PATTERN}"\n')


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
    ours = {RECIPE, CARD, CROISSANT, HUB, *(OLDER if OLDER[0] in marks else ())}
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
            with atomic_write(path) as half:
                shutil.copyfile(source, half)
