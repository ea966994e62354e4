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
    format: Annotated[str, typer.Option(help="dclm, the schema of DCLM's releases, or jsonl, all columns.")] = "dclm",
    packing: Annotated[str, typer.Option(help="The compression: zst, gz or none.")] = "zst",
) -> None:
    """Write shards as JSON lines, with all columns or in the schema of another project."""
    from goldwash.pipeline.export import exporter

    write = exporter(format, packing)
    interruption.keeps(f"Whole files in {out_folder} are kept: give the same command again.")
    for location in write(shards, out_folder, packing):
        say(location)
