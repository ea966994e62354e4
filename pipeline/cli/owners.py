"""What owners of sites said, and what a publisher says: ``goldwash robots`` and ``goldwash disclose``."""

import shlex
from typing import Annotated

import typer

from goldwash.pipeline.cli import interruption
from goldwash.pipeline.cli.engines import engine_settings, progress
from goldwash.pipeline.cli.options import AllowEmpty, EngineFile, Inputs, On, OtherCode, Out, RayAddress, With, Workers
from goldwash.pipeline.cli.summaries import show_steps
from goldwash.pipeline.cli.terminal import command, notify, say

app = typer.Typer()


@app.command()
def robots(
    input: Inputs,
    out_folder: Out,
    named_only: Annotated[
        bool, typer.Option("--named-only", help="Keep only files that name a crawler of training data, or say ai-train.")
    ] = False,
    workers: Workers = 0,
    on: On = "local",
    engine: EngineFile = None,
    with_: With = [],  # noqa: B006
    ray_address: RayAddress = None,
    allow_empty: AllowEmpty = False,
    other_code: OtherCode = False,
) -> None:
    """Make a table of sites' robots.txt from a crawl's archives, such as CC-MAIN-2024-10,kind=robotstxt (docs/opt-outs.md)."""
    from goldwash.pipeline import flow
    from goldwash.pipeline.stages import STAGES
    from goldwash.pipeline.storage.inputs import find_archives

    settings = engine_settings(on, engine, with_, ray_address, workers)
    settings.check()
    interruption.keeps_work(out_folder)
    inputs, options = find_archives(input), flow.Options(allow_empty, other_code)
    stage = STAGES["robots"].of({"named_only": named_only})
    step = flow.run_stage(stage, inputs, out_folder, settings.start(progress()), notify, input, options)
    show_steps([step])
    say()
    say(f"table: {out_folder}; honour it with: {command()} run RECIPE --robots {shlex.quote(out_folder)} ...")


@app.command()
def disclose(
    run_folder: Annotated[str, typer.Argument(metavar="RUN", help="A finished run.")],
    out_folder: Annotated[str, typer.Option("--out", help="The folder to write; by default RUN/disclosure.")] = "",
) -> None:
    """Write what a publisher needs: domains by bytes, dates, languages, opt-outs, personal data, rules."""
    from goldwash.pipeline.inspect.disclosure import write_disclosure
    from goldwash.pipeline.storage.locations import join
    from goldwash.pipeline.storage.ownership import check_ours

    out = out_folder or join(run_folder, "disclosure")
    check_ours(out, ("disclosure.json",))
    facts = write_disclosure(run_folder, out)
    say(f"{facts['documents']:,} documents of {facts['domains']:,} domains")
    say(f"the page: {out}/disclosure.md; the facts: {out}/disclosure.json; every domain: {out}/domains.csv")
