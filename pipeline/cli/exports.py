"""``goldwash export``: shards in the formats of other projects."""

from typing import Annotated

import typer

from goldwash.pipeline.cli import interruption
from goldwash.pipeline.cli.options import Out
from goldwash.pipeline.cli.terminal import say

app = typer.Typer()


@app.command()
def export(
    shards: Annotated[
        list[str], typer.Argument(metavar="SHARDS", help="Shards, a folder of them such as RUN/dataset, or RUN:STAGE.")
    ],
    out_folder: Out,
    format: Annotated[str, typer.Option(help="The schema: dclm, that of DCLM's releases.")] = "dclm",
    packing: Annotated[str, typer.Option(help="The compression: zst or gz.")] = "zst",
) -> None:
    """Write shards as JSON lines in the schema of another project."""
    from goldwash.pipeline.export.dclm import export_dclm
    from goldwash.pipeline.stage import RecipeError

    if format != "dclm" or packing not in ("zst", "gz"):
        raise RecipeError(f"expected --format dclm and --packing zst or gz; found {format} and {packing}")
    interruption.keeps(f"Whole files in {out_folder} are kept: give the same command again.")
    for location in export_dclm(shards, out_folder, packing):  # type: ignore[arg-type]
        say(location)
