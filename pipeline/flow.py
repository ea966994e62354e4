"""A recipe's stages, one after the other, from archives to a dataset.

Law: each stage's folder is named by its place, its name and its fingerprint, so that a changed parameter redoes only what comes
after it, and a folder that is finished is not done again. ``run.json`` says which folders are this run's; ``dataset/`` holds
the last stage's shards and what made them.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from goldwash import __version__
from goldwash.pipeline.recipes.recipe import Recipe, unresolved
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, Stage, claim, compile_kernels, done
from goldwash.pipeline.storage.atomic import write_json, write_text
from goldwash.pipeline.storage.inputs import Input, find_archives, find_shards, stage_shards
from goldwash.pipeline.storage.locations import DataError, filesystem, is_local, join, read_json, read_text, sizes_in

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """A stage of a run: its folder and, once it is finished, its report."""

    stage: Stage
    folder: str
    report: Report | None
    reused: bool
    seconds: float = 0.0


def run_stage(stage: Stage, inputs: Sequence[Input], out: str, run: Run, notify: Notify = lambda _: None) -> Step:
    """One stage into a folder; what is finished there is not done again."""
    began = time.monotonic()
    held = done(stage, inputs, out)
    if held is not None:
        return Step(stage, out, Report.from_dict(held["report"]), True)
    claim(stage, inputs, out)
    compile_kernels(stage, notify)
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
    return join(out, f"{number:02d}-{stage.name}-{stage.fingerprint(inputs)[:8]}")


def planned(recipe: Recipe, found: Sequence[Input], out: str, until: str | None = None) -> list[Step]:
    """What a run would do: the steps whose folders are known, those that are finished with their reports.

    What comes after a stage that is not finished depends on its output; its folder is "".
    """
    inputs: Sequence[Input] | None = found
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


@dataclass(frozen=True)
class Flow:
    """A run that has begun: all that its folder says of it, so that another process can go on with it."""

    recipe: Recipe
    out: str
    inputs: Sequence[Input]
    """What the first stage reads."""
    whole: bool = True
    """Whether the last of its stages makes the dataset."""

    def inputs_of(self, number: int) -> Sequence[Input]:
        """What a stage reads (they are numbered from 1); a `DataError` where the one before it is not finished."""
        if number == 1:
            return self.inputs
        folders = held_run(self.out)["stages"]
        if len(folders) < number - 1:
            raise DataError(
                f"{join(self.out, RUN)}, stages: expected {number - 1} at the least, found {len(folders)}: "
                f"{self.recipe.stages[len(folders)].name} has not begun; give the same `goldwash run` again"
            )
        folder = join(self.out, folders[number - 2])
        report = read_json(join(folder, "report.json"))
        if report is None:
            raise DataError(f"{folder} is not finished: run again")
        return stage_shards(folder, report)

    def step(self, number: int, run: Run, notify: Notify = lambda _: None) -> Step:
        """Do a stage, and write down which folder is its."""
        stage, inputs = self.recipe.stages[number - 1], self.inputs_of(number)
        folder = folder_of(self.out, number, stage, inputs)
        held = held_run(self.out)
        earlier = [name for name in held["stages"][: number - 1]]
        write_json(join(self.out, RUN), {**held, "stages": [*earlier, folder.removeprefix(self.out.rstrip("/") + "/")]})
        step = run_stage(stage, inputs, folder, run, notify)
        if step.report is not None and not step.report.kept.documents:
            notify(f"no document is left after {stage.name}: see {folder}/report.json for what dropped them")
        return step

    def walk(self, run: Run, notify: Notify = lambda _: None) -> list[Step]:
        """Do every stage in order, and make the dataset."""
        steps = [self.step(number, run, notify) for number in range(1, len(self.recipe.stages) + 1)]
        self.end()
        return steps

    def end(self) -> None:
        """Make the dataset of the last stage's shards, unless the run was to stop before."""
        if self.whole:
            publish(self.recipe, self.inputs_of(len(self.recipe.stages) + 1), self.reports(), self.out)

    def reports(self) -> list[Report]:
        """The reports of the stages, all of them finished."""
        return [Report.from_dict(report["report"]) for _, report in run_folders(self.out)]


RUN, INPUTS = "run.json", "inputs.json"


def begin(recipe: Recipe, names: Sequence[str], out: str, until: str | None = None, on: str = "local") -> Flow:
    """Find what is read, refuse what cannot be had, and write down what the run is."""
    inputs = found_inputs(recipe, names)
    stages = _upto(recipe, until)
    for stage in stages:
        stage.preflight()
    write_text(join(out, "recipe.yaml"), recipe.resolved())
    write_json(join(out, INPUTS), [i.to_dict() for i in inputs])
    facts = {"goldwash": __version__, "recipe": recipe.name, "input": list(names), "on": on, "until": until}
    write_json(join(out, RUN), {**facts, "order": [stage.name for stage in stages], "stages": []})
    return Flow(replace(recipe, stages=tuple(stages)), out, inputs, until is None)


def resumed(out: str) -> Flow:
    """The run of a folder, for a process that goes on with it."""
    held = held_run(out)
    recipe = unresolved(held["recipe"], read_text(join(out, "recipe.yaml")))
    inputs = [Input(**i) for i in read_json(join(out, INPUTS))]
    return Flow(replace(recipe, stages=tuple(_upto(recipe, held["until"]))), out, inputs, held["until"] is None)


def run_recipe(
    recipe: Recipe, names: Sequence[str], out: str, run: Run, until: str | None = None, notify: Notify = lambda _: None
) -> list[Step]:
    """Every stage in order (up to ``until``), then the dataset."""
    return begin(recipe, names, out, until).walk(run, notify)


def _upto(recipe: Recipe, until: str | None) -> list[Stage]:
    if until is None:
        return list(recipe.stages)
    last = recipe.stages.index(recipe.stage(until))
    return list(recipe.stages[: last + 1])


def held_run(out: str) -> dict[str, Any]:
    """What a folder says of its run; a `DataError` where it holds none."""
    held = read_json(join(out, RUN))
    if held is None:
        raise DataError(f"{out} is no run: it has no {RUN}; give the --out of `goldwash run`")
    return dict(held)


def publish(recipe: Recipe, shards: Sequence[Input], reports: Sequence[Report], out: str) -> None:
    """Put the last stage's shards into ``dataset/``, with the recipe and the funnel; ``report.json`` comes last."""
    folder = join(out, "dataset")
    wanted = {f"part-{n:05d}.parquet": shard for n, shard in enumerate(shards)}
    facts = {name: {"rows": s.rows, "bytes": s.bytes, "sha256": s.stamp} for name, s in wanted.items()}
    funnel = [{"stage": stage.name, **report.to_dict()} for stage, report in zip(recipe.stages, reports, strict=True)]
    report = {"goldwash": __version__, "recipe": recipe.name, "shards": facts, "funnel": funnel}
    there = sizes_in(folder)
    if read_json(join(folder, "report.json")) == report and all(there.get(n) == s.bytes for n, s in wanted.items()):
        return
    fs, path = filesystem(folder)
    if fs.exists(path):
        fs.rm(path, recursive=True)
    _put([shard.path for shard in shards], [join(folder, name) for name in wanted])
    write_text(join(folder, "recipe.yaml"), recipe.resolved())
    write_json(join(folder, "report.json"), report)


def _put(sources: Sequence[str], targets: Sequence[str]) -> None:
    """The same bytes under other names: links where the disk can, copies elsewhere, in a store many at once."""
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


def run_folders(out: str) -> list[tuple[str, dict[str, Any]]]:
    """The folders of a run's finished stages and their reports; a `DataError` where there is no run."""
    found = [(join(out, folder), read_json(join(out, folder, "report.json"))) for folder in held_run(out)["stages"]]
    return [(folder, report) for folder, report in found if report is not None]
