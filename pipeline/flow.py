"""A run: a recipe's stages, one after the other, from archives or documents to a dataset.

Invariants: a stage's folder is named by its position, its name and its fingerprint, so that a changed parameter redoes only
its stage and what follows, and a finished stage is not redone. ``run.json`` names the folders of the current run and the run's
own fingerprint: a driver that finds another one there stops. One driver works on a folder at a time (`storage.locks`).
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from goldwash import __version__
from goldwash.credentials import kept_apart
from goldwash.filters.signals import Signal
from goldwash.pipeline.compiling import compile_together
from goldwash.pipeline.dataset import DATASET, check_packing, publish
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes.recipe import Recipe, unresolved
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, RunError, Stage, claim, compile_kernels, done, tidy
from goldwash.pipeline.storage.atomic import clear_halves, write_json, write_text
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives, find_shards, kind_of, stage_shards
from goldwash.pipeline.storage.locations import join, read_json, read_text
from goldwash.pipeline.storage.locks import run_lock
from goldwash.pipeline.storage.markers import unpack_markers
from goldwash.pipeline.storage.ownership import check_apart, check_ours, entries
from goldwash.pipeline.storage.sealed import read_sealed
from goldwash.pipeline.storage.source import PLAIN, Input, Reading

Notify = Callable[[str], None]
RUN, INPUTS, RECIPE = "run.json", "inputs.json", "recipe.yaml"


def _silent(_: str) -> None:
    pass


@dataclass(frozen=True)
class Step:
    """A stage of a run: its folder and, once it is finished, its report."""

    stage: Stage
    folder: str
    report: Report | None
    reused: bool
    seconds: float = 0.0


@dataclass(frozen=True)
class Options:
    """Options of a run."""

    allow_empty: bool = False
    """Go on although an input has bytes but no record, or nothing could be read at all."""
    any_code: bool = False
    """Reuse finished stages that another version of goldwash's code made."""
    reading: Reading = PLAIN
    """Which columns of documents hold the text, the id and the URL, and what becomes of a null text."""

    def __post_init__(self) -> None:
        if isinstance(self.reading, Mapping):
            object.__setattr__(self, "reading", Reading(**self.reading))


def run_stage(
    stage: Stage,
    inputs: Sequence[Input],
    out: str,
    run: Run,
    notify: Notify = _silent,
    names: Sequence[str] = (),
    options: Options = Options(),
) -> Step:
    """Run one stage alone, into a folder of its own; finished tasks are not redone.

    ``names``: the inputs as the user gave them. Raises `DataError` where the folder is not goldwash's, holds another stage's
    output, or is not apart from the inputs; `LockError` where another driver works on it.
    """
    check_apart(out, names, [source.path for source in inputs])
    check_ours(out, ("stage.json",))
    with run_lock(out):
        step = _run_stage(stage, inputs, out, run, notify, options)
        _check_read(step, read_sealed(join(out, "report.json")) or {}, options)
        return step


def _run_stage(stage: Stage, inputs: Sequence[Input], out: str, run: Run, notify: Notify, options: Options) -> Step:
    began = time.monotonic()
    held = done(stage, inputs, out, options.any_code)
    if held is not None:
        if held["fingerprint"] != stage.fingerprint(inputs):
            notify(f"{stage.name}: reused from {out}, although other code of goldwash made it ({held.get('code')})")
        tidy(stage, out)  # a driver that was killed between the report and here left it
        return Step(stage, out, Report.from_dict(held["report"]), True)
    claim(stage, inputs, out)
    compile_together([stage], notify)
    compile_kernels(stage, notify)
    unpack_markers(out)
    report = stage(inputs, out, run)
    tidy(stage, out)
    return Step(stage, out, report, False, time.monotonic() - began)


def _check_read(step: Step, report: dict[str, Any], options: Options) -> None:
    """Refuse to go on if a non-empty input gave no record: half a download must not pass as a small crawl."""
    if options.allow_empty or step.report is None:
        return
    unread = report.get("facts", {}).get("without_records", [])
    go_on = "check the files, or go on without them by --allow-empty"
    if unread:
        more = f" and {len(unread) - 3:,} more" if len(unread) > 3 else ""
        raise DataError(f"no record could be read from {', '.join(unread[:3])}{more}: {go_on}")
    if not step.report.read.documents:
        raise DataError(f"stage {step.stage.name} found no document in its input: {go_on}")


def fitted(recipe: Recipe, names: Sequence[str], notify: Notify = _silent) -> Recipe:
    """The recipe for these inputs: for documents that are text already, without the stages that make documents.

    Its first stage and its last one that gives documents write whole documents (`Stage.whole`), and each stage knows what
    earlier ones have measured (`Stage.fitted`).
    """
    return replace(recipe, stages=_whole_at_ends(_told_what_is_measured(_for_kind(recipe, names, notify))))


def _told_what_is_measured(stages: Sequence[Stage]) -> Sequence[Stage]:
    measured, told = dict[str, Signal](), list[Stage]()
    for stage in stages:
        told.append(stage.fitted(measured))
        measured = dict(stage.measured(measured))
    return told


def _whole_at_ends(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    last = max((n for n, stage in enumerate(stages) if stage.gives_documents), default=0)
    return tuple(stage.whole() if n in (0, last) else stage for n, stage in enumerate(stages))


def _for_kind(recipe: Recipe, names: Sequence[str], notify: Notify) -> Sequence[Stage]:
    if not recipe.stages[0].makes_documents or kind_of(names) == "archives":
        return recipe.stages
    left = tuple(stage for stage in recipe.stages if not stage.makes_documents)
    if not left:
        raise RecipeError(f"recipe {recipe.name} has no stage for documents: its input must be archives")
    skipped = ", ".join(stage.name for stage in recipe.stages if stage.makes_documents)
    notify(f"the input is text already: {skipped} is left out")
    return left


def found_inputs(recipe: Recipe, names: Sequence[str], reading: Reading = PLAIN) -> list[Input]:
    """The files that a recipe's first stage reads; a `DataError` where there is none."""
    if recipe.stages[0].makes_documents and reading != PLAIN:
        raise DataError("--text-column, --id-column, --url-column and --on-null are for documents, and the input is archives")
    inputs = find_archives(names) if recipe.stages[0].makes_documents else find_shards(names, reading)
    if not inputs:
        raise DataError("there is no input: give --input with archives, a folder, a glob or a list of paths")
    return inputs


def folder_of(out: str, number: int, stage: Stage, inputs: Sequence[Input], options: Options = Options()) -> str:
    """The folder of a stage's output in a run; with ``any_code``, one that other code finished, if there is one."""
    start = f"{number:02d}-{stage.name}-"
    folder = join(out, start + stage.fingerprint(inputs)[:8])
    if options.any_code and done(stage, inputs, folder) is None:
        for name in sorted(entries(out)):
            if name.startswith(start) and done(stage, inputs, join(out, name), any_code=True) is not None:
                return join(out, name)
    return folder


def planned(
    recipe: Recipe, found: Sequence[Input], out: str, until: str | None = None, options: Options = Options()
) -> list[Step]:
    """What a run would do: the steps whose folders are known, with their reports where they are finished.

    What comes after an unfinished stage depends on its output; its folder is "".
    """
    inputs: Sequence[Input] | None = found
    steps = []
    for number, stage in enumerate(_upto(recipe, until), 1):
        if inputs is None:
            steps.append(Step(stage, "", None, False))
            continue
        folder = folder_of(out, number, stage, inputs, options)
        held = done(stage, inputs, folder, options.any_code)
        steps.append(Step(stage, folder, Report.from_dict(held["report"]) if held else None, held is not None))
        inputs = stage_shards(folder, held) if held else None
    return steps


@dataclass(frozen=True)
class Flow:
    """A run that has begun, as recorded in its folder, so that another process can continue it."""

    recipe: Recipe
    out: str
    inputs: Sequence[Input]
    """What the first stage reads."""
    fingerprint: str
    whole: bool = True
    """Whether the last of its stages makes the dataset."""
    options: Options = Options()

    def inputs_of(self, number: int) -> Sequence[Input]:
        """The inputs of a stage (numbered from 1); a `DataError` if the stage before it is not finished."""
        if number == 1:
            return self.inputs
        folders = self._held()["stages"]
        if len(folders) < number - 1:
            raise DataError(
                f"{join(self.out, RUN)}, stages: expected at least {number - 1}, found {len(folders)}: "
                f"{self.recipe.stages[len(folders)].name} has not begun; give the same `goldwash run` again"
            )
        folder = join(self.out, folders[number - 2])
        report = read_sealed(join(folder, "report.json"))
        if report is None:
            raise DataError(f"{folder} is not finished: run again")
        return stage_shards(folder, report)

    def _held(self) -> dict[str, Any]:
        """``run.json``, if it is still this run's; a `RunError` where another run has begun in the folder since."""
        held = held_run(self.out)
        if held.get("fingerprint") != self.fingerprint:
            raise RunError(
                f"{self.out} was taken over by another run (recipe {held.get('recipe')}, fingerprint "
                f"{held.get('fingerprint')}; this one is {self.recipe.name}, {self.fingerprint}): give each run its own --out"
            )
        return held

    def step(self, number: int, run: Run, notify: Notify = _silent) -> Step:
        """Run one stage, in a driver of its own; holds the run's lock."""
        with run_lock(self.out):
            return self._step(number, run, notify)

    def _step(self, number: int, run: Run, notify: Notify) -> Step:
        stage, inputs = self.recipe.stages[number - 1], self.inputs_of(number)
        folder = folder_of(self.out, number, stage, inputs, self.options)
        held = self._held()
        earlier = held["stages"][: number - 1]
        write_json(join(self.out, RUN), {**held, "stages": [*earlier, folder.removeprefix(self.out.rstrip("/") + "/")]})
        step = _run_stage(stage, inputs, folder, run, notify, self.options)
        if number == 1:
            _check_read(step, read_sealed(join(folder, "report.json")) or {}, self.options)
        if step.report is not None and not step.report.kept.documents:
            notify(f"no document is left after {stage.name}: {folder}/report.json says which rules dropped them")
        return step

    def walk(self, run: Run, notify: Notify = _silent) -> list[Step]:
        """Run every stage in order, and make the dataset; holds the run's lock."""
        with run_lock(self.out):
            return self._walk(run, notify)

    def _walk(self, run: Run, notify: Notify) -> list[Step]:
        compile_together(self.recipe.stages[len(run_folders(self.out)) :], notify)
        steps = [self._step(number, run, notify) for number in range(1, len(self.recipe.stages) + 1)]
        self.end(run)
        return steps

    def end(self, run: Run | None = None) -> None:
        """Make the dataset from the last stage's shards, unless the run was to stop before it; ``run`` packs them."""
        if self.whole:
            reports = [report for _, report in run_folders(self.out)]
            last = max((n for n, stage in enumerate(self.recipe.stages, 1) if stage.gives_documents), default=0)
            if last:  # a run that only tokenises has no documents of its own
                publish(self.recipe, self.inputs_of(last + 1), reports, self.out, run)
        for folder in (self.out, join(self.out, DATASET)):  # a stage clears its own folder
            clear_halves(folder, below=False)

    def reports(self) -> list[Report]:
        """The reports of the stages, all of them finished."""
        return [Report.from_dict(report["report"]) for _, report in run_folders(self.out)]


@dataclass(frozen=True)
class Request:
    """A run as the user requests it."""

    recipe: Recipe
    names: Sequence[str]
    out: str
    until: str | None = None
    on: str = "local"
    options: Options = Options()

    def begin(self) -> Flow:
        """Begin it, or go on with it (`begin`)."""
        return begin(self.recipe, self.names, self.out, self.until, self.on, self.options)

    def queued(self) -> Flow:
        """The folder's run, whose jobs are queued; a `RunError` where that is another one than this (`same_run`)."""
        return same_run(self.recipe, self.names, self.out, self.until)


def begin(
    recipe: Recipe,
    names: Sequence[str],
    out: str,
    until: str | None = None,
    on: str = "local",
    options: Options = Options(),
) -> Flow:
    """Find the inputs, fail early on anything that is missing, and record the run in its folder."""
    checked(recipe, names, out, until, options)
    with run_lock(out):
        return _begin(recipe, names, out, until, on, options)


def checked(
    recipe: Recipe, names: Sequence[str], out: str, until: str | None = None, options: Options = Options()
) -> list[Input]:
    """The inputs of a run, after all early checks: of inputs, output folder, models and benchmarks."""
    inputs = found_inputs(recipe, names, options.reading)
    check_apart(out, names, [source.path for source in inputs])
    check_ours(out, (RUN, INPUTS, RECIPE))
    for stage in _upto(recipe, until):
        stage.preflight()
    if until is None:
        check_packing(recipe)
    return inputs


def _begin(recipe: Recipe, names: Sequence[str], out: str, until: str | None, on: str, options: Options) -> Flow:
    inputs = found_inputs(recipe, names, options.reading)
    stages = _upto(recipe, until)
    fingerprint = run_fingerprint(recipe, inputs, until)
    facts: dict[str, Any] = {"goldwash": __version__, "recipe": recipe.name, "on": on, "until": until}
    facts["input"] = [kept_apart(name) for name in names]
    facts |= {"fingerprint": fingerprint, "options": asdict(options)}
    write_json(join(out, RUN), {**facts, "order": [stage.name for stage in stages], "stages": []})
    write_text(join(out, RECIPE), recipe.resolved())
    write_json(join(out, INPUTS), [i.to_dict() for i in inputs])
    return Flow(replace(recipe, stages=tuple(stages)), out, inputs, fingerprint, until is None, options)


def run_fingerprint(recipe: Recipe, inputs: Sequence[Input], until: str | None) -> str:
    """A hash of a run's recipe, inputs and last stage."""
    facts = {"recipe": recipe.resolved(), "inputs": [(i.path, i.identity()) for i in inputs], "until": until}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def resumed(out: str) -> Flow:
    """The run recorded in a folder, for a process that continues it."""
    held = held_run(out)
    recipe = unresolved(held["recipe"], read_text(join(out, RECIPE)))
    inputs = [Input(**i) for i in read_json(join(out, INPUTS))]
    stages = tuple(_upto(recipe, held["until"]))
    options = Options(**held.get("options", {}))
    return Flow(replace(recipe, stages=stages), out, inputs, held.get("fingerprint", ""), held["until"] is None, options)


def same_run(recipe: Recipe, names: Sequence[str], out: str, until: str | None = None) -> Flow:
    """The run recorded in a folder, if it is the requested one; a `RunError` if the folder holds another one.

    For an engine whose earlier submission of the folder's run is still queued.
    """
    flow = resumed(out)
    wanted = run_fingerprint(recipe, found_inputs(recipe, names, flow.options.reading), until)
    if wanted != flow.fingerprint:
        raise RunError(
            f"{out} has a run of recipe {flow.recipe.name} in the queue (fingerprint {flow.fingerprint}); the requested "
            f"one has other parameters or inputs ({wanted}): give it another --out, or cancel the queued one first"
        )
    return flow


def run_recipe(
    recipe: Recipe,
    names: Sequence[str],
    out: str,
    run: Run,
    until: str | None = None,
    notify: Notify = _silent,
    on: str = "local",
    options: Options = Options(),
) -> list[Step]:
    """Every stage in order (up to ``until``), then the dataset, under one lock."""
    recipe = fitted(recipe, names, notify)
    checked(recipe, names, out, until, options)
    with run_lock(out):
        return _begin(recipe, names, out, until, on, options)._walk(run, notify)


def _upto(recipe: Recipe, until: str | None) -> list[Stage]:
    if until is None:
        return list(recipe.stages)
    return list(recipe.stages[: recipe.number(until) + 1])


def held_run(out: str) -> dict[str, Any]:
    """The contents of a folder's ``run.json``; a `DataError` where there is none."""
    held = read_json(join(out, RUN))
    if held is None:
        raise DataError(f"{out} is not a run: it has no {RUN}; give the --out of `goldwash run`")
    return dict(held)


def run_folders(out: str) -> list[tuple[str, dict[str, Any]]]:
    """The folders of a run's finished stages and their reports; a `DataError` where there is no run."""
    found = [(join(out, folder), read_sealed(join(out, folder, "report.json"))) for folder in held_run(out)["stages"]]
    return [(folder, report) for folder, report in found if report is not None]
