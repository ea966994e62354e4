"""``goldwash export``: shards in the formats of other projects."""

from typing import Annotated, Any

import typer

from goldwash.pipeline.cli import interruption
from goldwash.pipeline.cli.engines import engine_settings, progress
from goldwash.pipeline.cli.options import Out, Workers
from goldwash.pipeline.cli.terminal import command, notify, say

app = typer.Typer()


@app.command()
def export(
    shards: Annotated[
        list[str],
        typer.Argument(
            metavar="SHARDS", help="Shards, a folder of them such as RUN/dataset, or RUN:STAGE; for tokens, of tokenize."
        ),
    ],
    out_folder: Out,
    format: Annotated[
        str,
        typer.Option(
            help="Documents: dclm (the schema of DCLM's releases), jsonl (all columns), parquet (all columns; with --by, a "
            "folder per value), text (Parquet for nanochat and TorchTitan). Tokens: openlm, megatron, nanotron, mds, llmc, "
            "nanogpt, olmo."
        ),
    ] = "dclm",
    packing: Annotated[str, typer.Option(help="The compression of documents: zst, gz or none.")] = "zst",
    by: Annotated[str, typer.Option("--by", help="For parquet: a column, such as language; each value has its folder.")] = "",
    workers: Workers = 0,
) -> None:
    """Write shards in the format of another project: documents as JSON lines or text, or tokens."""
    from goldwash.pipeline.export import TOKEN_FORMATS, exporter
    from goldwash.pipeline.parameters import RecipeError
    from goldwash.pipeline.storage.inputs import find_shards
    from goldwash.pipeline.storage.ownership import check_apart, entries

    if by and format != "parquet":
        raise RecipeError(f"--by {by} is for --format parquet, and the format is {format}")
    if format in TOKEN_FORMATS:
        _export_tokens(shards, out_folder, format, workers)
        return
    write = exporter(format, packing)
    check_apart(out_folder, shards, [shard.path for shard in find_shards(shards)])
    interruption.keeps(f"Whole files in {out_folder} are kept: give the same command again.")
    written = set[str]()
    for location in write(shards, out_folder, packing, **({"by": by} if by else {})):
        say(location)
        written.add(location.rpartition("/")[2])
    older = [name for name in entries(out_folder) if name not in written and name.endswith(tuple(map(_ending, written)))]
    if older and not by:
        notify(
            f"warning: {out_folder} holds {len(older):,} files that this export did not write "
            f"({', '.join(sorted(older)[:3])}): if they are of an older export, delete them"
        )


def _ending(name: str) -> str:
    return name[name.find(".") :]


def _export_tokens(names: list[str], out: str, format: str, workers: int) -> None:
    """Token shards in another format: the stage that made them, with its parameters, in the same order."""
    from goldwash.pipeline.cli.tokens import run_tokens
    from goldwash.pipeline.stages import STAGES
    from goldwash.pipeline.storage.addresses import located
    from goldwash.pipeline.storage.failures import DataError
    from goldwash.pipeline.storage.locations import join
    from goldwash.pipeline.storage.sealed import read_sealed
    from goldwash.pipeline.tokenization.plan import files_with_ids

    configs: list[dict[str, Any]] = []
    inputs: list[str] = []
    for name in names:
        folder = located(name)
        report = read_sealed(join(folder, "report.json")) or {}
        inputs += files_with_ids(folder) or [name]
        if "tokenizer" not in report.get("config", {}):
            raise DataError(
                f"{name} holds no token shards: run `{command()} tokenize --input {name} --format {format}` instead"
            )
        configs.append({**report["config"], "formats": [format], "source": ""})
    different = [key for key in configs[0] if any(config[key] != configs[0][key] for config in configs)]
    if different:
        raise DataError(
            f"{names[0]} and the others were tokenised with different {', '.join(different)}: run `{command()} tokenize "
            f"--input {' '.join(names)} --format {format}`, with the parameters that you want"
        )
    made = STAGES["tokenize"].of(configs[0])
    run_tokens(made, inputs, out, engine_settings("local", None, [], None, workers).start(progress()))
