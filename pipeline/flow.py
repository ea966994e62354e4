"""A recipe's stages, one after the other, from archives to a dataset.

Law: each stage's folder is named by its place, its name and its identity, so that a changed parameter redoes only what comes
after it, and a folder that is finished is not done again. ``run.json`` says which folders are this run's; ``dataset/`` holds
the last stage's shards and what made them.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import __version__
from pipeline.inputs import find_archives, find_shards, stage_shards
from pipeline.recipe import Recipe
from pipeline.report import Report
from pipeline.shards import DataError, Input, filesystem, is_local, join, read_json, write_json, write_text
from pipeline.stage import Run, Stage, claim, compile_kernels, done

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """A stage of a run: its folder and, once it is finished, its report."""

    stage: Stage
    folder: str
    report: Report | None
    reused: bool
    seconds: float = 0.0


def run_stage(stage: Stage, inputs: Sequence[Input], out: str, run: Run, tell: Tell = lambda _: None) -> Step:
    """One stage into a folder; what is finished there is not done again."""
    began = time.monotonic()
    held = done(stage, inputs, out)
    if held is not None:
        return Step(stage, out, Report.from_dict(held["report"]), True)
    claim(stage, inputs, out)
    compile_kernels(stage, tell)
    report = stage(inputs, out, run)
    return Step(stage, out, report, False, time.monotonic() - began)


def found_inputs(recipe: Recipe, names: Sequence[str]) -> list[Input]:
    """The files that a recipe's first stage reads; a `DataError` where there is none."""
    inputs = find_archives(names) if recipe.stages[0].makes_documents else find_shards(names)
    if not inputs:
        raise DataError("there is no input: give --input with archives, a folder, a glob or a list of paths")
    return inputs


def folder_of(out: str, number: int, stage: Stage, inputs: Sequence[Input]) -> str:
    """Where a run keeps a stage's output."""
    return join(out, f"{number:02d}-{stage.name}-{stage.identity(inputs)[:8]}")


def planned(recipe: Recipe, names: Sequence[str], out: str, until: str | None = None) -> list[Step]:
    """What a run would do: the steps whose folders are known, those that are finished with their reports.

    What comes after a stage that is not finished depends on its output; its folder is "".
    """
    inputs: Sequence[Input] | None = found_inputs(recipe, names)
    steps = []
    for number, stage in enumerate(_upto(recipe, until), 1):
        if inputs is None:
            steps.append(Step(stage, "", None, False))
            continue
        folder = folder_of(out, number, stage, inputs)
        held = done(stage, inputs, folder)
        steps.append(Step(stage, folder, Report.from_dict(held["report"]) if held else None, held is not None))
        inputs = stage_shards(folder, held) if held else None
    return steps


def run_recipe(
    recipe: Recipe, names: Sequence[str], out: str, run: Run, until: str | None = None, tell: Tell = lambda _: None
) -> list[Step]:
    """Every stage in order (up to ``until``), then the dataset."""
    stages = _upto(recipe, until)
    inputs: Sequence[Input] = found_inputs(recipe, names)
    for stage in stages:
        stage.prepare()
    write_text(join(out, "recipe.yaml"), recipe.resolved())
    steps: list[Step] = []
    for number, stage in enumerate(stages, 1):
        folder = folder_of(out, number, stage, inputs)
        steps.append(run_stage(stage, inputs, folder, run, tell))
        _remember(out, recipe, names, steps)
        inputs = stage_shards(folder, read_json(join(folder, "report.json")))
        if sum(i.rows or 0 for i in inputs) == 0:
            tell(f"no document is left after {stage.name}: see {folder}/report.json for what dropped them")
    if until is None:
        publish(recipe, inputs, steps, out)
    return steps


def _upto(recipe: Recipe, until: str | None) -> list[Stage]:
    if until is None:
        return list(recipe.stages)
    last = recipe.stages.index(recipe.stage(until))
    return list(recipe.stages[: last + 1])


def _remember(out: str, recipe: Recipe, names: Sequence[str], steps: Sequence[Step]) -> None:
    folders = [step.folder.removeprefix(out.rstrip("/") + "/") for step in steps]
    write_json(join(out, "run.json"), {"goldwash": __version__, "recipe": recipe.name, "input": list(names), "stages": folders})


def publish(recipe: Recipe, shards: Sequence[Input], steps: Sequence[Step], out: str) -> None:
    """Put the last stage's shards into ``dataset/``, with the recipe and the funnel; ``report.json`` comes last."""
    folder = join(out, "dataset")
    wanted = {f"part-{n:05d}.parquet": shard for n, shard in enumerate(shards)}
    facts = {name: {"rows": s.rows, "bytes": s.bytes, "sha256": s.stamp} for name, s in wanted.items()}
    funnel = [{"stage": step.stage.name, **(step.report or Report()).to_dict()} for step in steps]
    report = {"goldwash": __version__, "recipe": recipe.name, "shards": facts, "funnel": funnel}
    if read_json(join(folder, "report.json")) == report and all(_there(join(folder, n), s) for n, s in wanted.items()):
        return
    fs, path = filesystem(folder)
    if fs.exists(path):
        fs.rm(path, recursive=True)
    for name, shard in wanted.items():
        _put(shard.path, join(folder, name))
    write_text(join(folder, "recipe.yaml"), recipe.resolved())
    write_json(join(folder, "report.json"), report)


def _there(location: str, shard: Input) -> bool:
    fs, path = filesystem(location)
    return bool(fs.exists(path) and fs.size(path) == shard.bytes)


def _put(source: str, target: str) -> None:
    """The same bytes under another name: a link where the disk can, a copy elsewhere."""
    fs, path = filesystem(target)
    if not is_local(source) or not is_local(target):
        _, there = filesystem(source)
        fs.copy(there, path)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, f"{path}.half")
        os.replace(f"{path}.half", path)


def run_folders(out: str) -> list[tuple[str, dict[str, Any]]]:
    """The folders of a run's finished stages and their reports; a `DataError` where there is no run."""
    held = read_json(join(out, "run.json"))
    if held is None:
        raise DataError(f"{out} is no run: it has no run.json; give the --out of `goldwash run`")
    found = [(join(out, folder), read_json(join(out, folder, "report.json"))) for folder in held["stages"]]
    return [(folder, report) for folder, report in found if report is not None]
