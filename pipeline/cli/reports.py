"""``goldwash report`` and ``goldwash push``: a run as a page, and a dataset on the Hugging Face Hub."""

import shlex
from typing import Annotated

import typer

from goldwash.pipeline.cli.terminal import command, notify, say
from goldwash.pipeline.parameters import RecipeError

app = typer.Typer()


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="The --out of a run or of a single stage, or RUN:STAGE.")],
    compare: Annotated[bool, typer.Option("--compare", help="Compare two runs: give RUN_A and RUN_B.")] = False,
    out_file: Annotated[
        str | None, typer.Option("--out", help="The file to write; by default RUN/report.html, or comparison.html here.")
    ] = None,
) -> None:
    """Write a run as one HTML page that opens without a network: the funnel, every rule's values, samples, hosts, time."""
    from goldwash.pipeline.reporting.comparison import write_comparison
    from goldwash.pipeline.reporting.page import write_report
    from goldwash.pipeline.storage.ownership import check_file

    if out_file is not None:
        check_file(out_file, (".html",), runs)
    if compare:
        if len(runs) != 2:
            raise RecipeError(f"--compare: expected two runs, found {len(runs)}: give `report --compare RUN_A RUN_B`")
        say(write_comparison(runs[0], runs[1], out_file or "comparison.html"))
        return
    if len(runs) != 1:
        raise RecipeError(f"report: expected one run, found {len(runs)}; to compare two, give `report --compare RUN_A RUN_B`")
    say(write_report(runs[0], out_file))


@app.command()
def push(
    run_folder: Annotated[str, typer.Argument(metavar="RUN", help="The --out of a finished run.")],
    target: Annotated[
        str, typer.Argument(metavar="hf://OWNER/NAME", help="The dataset to write; it is created if there is none.")
    ],
    private: Annotated[bool, typer.Option("--private", help="Make a new dataset private.")] = False,
    branch: Annotated[str | None, typer.Option(help="Write to this branch, which is created if there is none.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="The Hub's address; by default $HF_ENDPOINT, or https://huggingface.co.")
    ] = None,
) -> None:
    """Upload a finished dataset with its card, metadata, recipe and report to the Hugging Face Hub."""
    from goldwash.pipeline.export.hub import pushed

    place = pushed(run_folder, target, private=private, branch=branch, endpoint=endpoint, notify=notify)
    say(place)
    again = f"{command()} push {shlex.quote(run_folder)} {shlex.quote(target)}"
    say(f"the licence is for you to fill in, in the card there; `{again}` then leaves the card as it is")
