"""``goldwash stage``: one stage alone, on the user's own shards."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

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
from goldwash.pipeline.cli.summaries import show_alarms, show_notes, show_opt_outs, show_steps
from goldwash.pipeline.cli.terminal import command, notify, say
from goldwash.pipeline.engines.workers import start_early
from goldwash.pipeline.stages import CLASSES, STAGES

if TYPE_CHECKING:
    from goldwash.pipeline.recipes.recipe import OptOuts
    from goldwash.pipeline.stage import Stage

app = typer.Typer()


class StageCommand(TyperCommand):
    """The command, whose help shows the parameters of the stage that is named beside ``--help``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remember the stage's name: ``--help`` is answered before arguments are read."""
        ctx.meta["stage"] = next((word for word in args if not word.startswith("-")), None)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the stage's parameters: name, kind, default and meaning."""
        super().format_epilog(ctx, formatter)
        name = ctx.meta["stage"]
        if name is None or name not in STAGES:
            return
        from goldwash.pipeline.inspect.parameters import parameters_of

        with formatter.section(f"Parameters of {name} (--set PARAMETER=VALUE)"):
            formatter.write_dl(
                [(p.name, f"{p.meaning} [{p.kind}; default: {p.default}]".strip()) for p in parameters_of(STAGES[name])]
            )


@app.command(cls=StageCommand)
def stage(
    name: Annotated[
        str,
        typer.Argument(help=f"One of: {', '.join(CLASSES)}. `goldwash stage NAME --help` shows its parameters."),
    ],
    input: Inputs,
    out_folder: Out,
    recipe: Annotated[
        str, typer.Option("--recipe", help="The recipe that the stage's parameters come from: a name or a path.")
    ] = "baseline",
    workers: Workers = 0,
    keep: Keep = [],  # noqa: B006
    set: Set = [],  # noqa: B006
    opt_outs: HonourOptOuts = False,
    robots: RobotsTable = "",
    on: On = "local",
    engine: EngineFile = None,
    with_: With = [],  # noqa: B006
    ray_address: RayAddress = None,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="heuristics: write each rule's value as a column and drop nothing.")
    ] = False,
    text_column: TextColumn = "text",
    id_column: IdColumn = "id",
    url_column: UrlColumn = "url",
    on_null: OnNull = "error",
    allow_empty: AllowEmpty = False,
    other_code: OtherCode = False,
) -> None:
    """Run one stage alone on your own shards, with a recipe's parameters."""
    start_early(on, workers, input)
    from goldwash.pipeline import flow
    from goldwash.pipeline.recipes.recipe import OptOuts
    from goldwash.pipeline.storage.inputs import find_archives, find_shards

    annotated = ["annotate=true"] if annotate else []
    made = one_stage(name, recipe, [*set, *annotated], keep, OptOuts(opt_outs, robots))
    options = flow.Options(allow_empty, other_code, reading_of(text_column, id_column, url_column, on_null))
    inputs = find_archives(input) if made.makes_documents else find_shards(input, options.reading)
    settings = engine_settings(on, engine, with_, ray_address, workers)
    settings.check()
    interruption.keeps_work(out_folder)
    show_notes([made])
    step = flow.run_stage(made, inputs, out_folder, settings.start(progress()), notify, input, options)
    show_steps([step])
    say()
    say(f"kept:    {out_folder}/part-*.parquet")
    say(f"dropped: {out_folder}/dropped/part-*.parquet")
    say(f"why a document was dropped: {command()} explain {shlex.quote(out_folder)} ID")
    show_opt_outs([step])
    show_alarms([step])


def one_stage(name: str, recipe: str, settings: list[str], keeps: list[str], optouts: "OptOuts | None" = None) -> "Stage":
    """The stage of a recipe, or with default parameters where the recipe has none; settings and bounds applied."""
    from goldwash.pipeline.recipes.recipe import OptOuts, stage_alone

    return stage_alone(name, recipe, settings, keeps, notify, optouts or OptOuts())
