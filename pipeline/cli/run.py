"""``goldwash run``: a whole recipe, on this machine or a cluster."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from goldwash.pipeline.cli import interruption
from goldwash.pipeline.cli.engines import engine_settings, progress
from goldwash.pipeline.cli.options import (
    AllowEmpty,
    EngineFile,
    HonourOptOuts,
    IdColumn,
    Inputs,
    Keep,
    On,
    OnNull,
    OtherCode,
    Out,
    RayAddress,
    RobotsTable,
    Set,
    TextColumn,
    UrlColumn,
    With,
    Workers,
    reading_of,
)
from goldwash.pipeline.cli.summaries import show_end, show_notes, show_plan, show_steps
from goldwash.pipeline.cli.terminal import command, notify, say
from goldwash.pipeline.engines.workers import start_early
from goldwash.pipeline.recipes import names

if TYPE_CHECKING:
    from goldwash.pipeline.engines.settings import Settings
    from goldwash.pipeline.flow import Options
    from goldwash.pipeline.recipes.recipe import Recipe

app = typer.Typer()


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help=f"A recipe's name ({', '.join(names())}) or the path of a .yaml file.")],
    input: Inputs,
    out_folder: Out,
    workers: Workers = 0,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    skip: Annotated[list[str], typer.Option(help="Leave a stage out. Several may follow.")] = [],  # noqa: B006
    keep: Keep = [],  # noqa: B006
    set: Set = [],  # noqa: B006
    opt_outs: HonourOptOuts = False,
    robots: RobotsTable = "",
    on: On = "local",
    engine: EngineFile = None,
    with_: With = [],  # noqa: B006
    ray_address: RayAddress = None,
    detach: Annotated[bool, typer.Option("--detach", help="On Slurm: submit the jobs and return.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print the plan, and do nothing.")] = False,
    text_column: TextColumn = "text",
    id_column: IdColumn = "id",
    url_column: UrlColumn = "url",
    on_null: OnNull = "error",
    allow_empty: AllowEmpty = False,
    other_code: OtherCode = False,
) -> None:
    """Run a whole recipe on archives or documents, or go on with a run that stopped."""
    if not dry_run:
        start_early(on, workers)
    from goldwash.pipeline import flow
    from goldwash.pipeline.engines.settings import Screen
    from goldwash.pipeline.recipes.recipe import OptOuts, load

    status = f"{command()} status {shlex.quote(out_folder)}"
    interruption.keeps(
        f"Finished work in {out_folder} is kept: give the same command again to go on from there. "
        f"`{status}` says how far it is."
    )
    loaded = flow.fitted(load(recipe, set, skip, keep, notify, OptOuts(opt_outs, robots)), input, notify)
    settings = engine_settings(on, engine, with_, ray_address, workers)
    options = flow.Options(allow_empty, other_code, reading_of(text_column, id_column, url_column, on_null))
    if dry_run:
        _dry_run(loaded, settings, input, out_folder, until, options)
        return
    expected = progress(_expected_seconds(loaded, input, until, options))
    screen = Screen(expected, notify, interruption.keeps)
    show_notes(loaded.until(until))
    steps = settings.walk(flow.Request(loaded, input, out_folder, until, on, options), screen, detach)
    if detach:
        return
    say()
    show_steps(steps)
    show_end(loaded, steps, out_folder, until is None, command())


def _expected_seconds(
    loaded: "Recipe", inputs: Sequence[str], until: str | None, options: "Options"
) -> list[tuple[str, float]]:
    """The stages of a run, and the CPU seconds that each is expected to take."""
    from goldwash.pipeline import flow
    from goldwash.pipeline.inspect.estimate import plan

    rows = plan(loaded, flow.found_inputs(loaded, inputs, options.reading))
    return [(row.stage, row.cpu_seconds) for row in rows][: len(loaded.until(until))]


def _dry_run(
    loaded: "Recipe", settings: "Settings", inputs: Sequence[str], folder: str, until: str | None, options: "Options"
) -> None:
    """Make all checks of a run, then print the plan."""
    from goldwash.pipeline import flow

    found = flow.checked(loaded, inputs, folder, until, options)
    settings.check()
    show_notes(loaded.until(until))
    show_plan(loaded, found, folder, until, options)


@app.command(hidden=True)
def drive(
    run_folder: Annotated[str, typer.Argument(metavar="RUN", help="The run's folder.")],
    number: Annotated[int, typer.Argument(help="The stage's number, from 1.")],
) -> None:
    """Do one stage of a run that was submitted to Slurm; its driver jobs call this."""
    from goldwash.pipeline.engines import slurm_driver

    slurm_driver.drive(run_folder, number, notify)
