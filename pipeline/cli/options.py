"""The options that several commands share."""

from typing import Annotated

import typer

Inputs = Annotated[
    list[str],
    typer.Option(
        "--input",
        help="What to read: files, a glob, a folder, a list such as warc.paths, RUN:STAGE, s3:// or https://. "
        "Several may follow.",
    ),
]
Out = Annotated[
    str, typer.Option("--out", help="The folder to write. The same command given again goes on where the last one stopped.")
]
Workers = Annotated[
    int,
    typer.Option("--workers", min=0, help="Processes; on a cluster, tasks at once. 0: one per core; on a cluster, no limit."),
]
On = Annotated[str, typer.Option("--on", help="The engine: local, slurm or ray.")]
EngineFile = Annotated[str | None, typer.Option("--engine", help="A YAML file of engine settings (docs/clusters.md).")]
With = Annotated[
    list[str],
    typer.Option("--with", help="An engine setting, such as partition=cpu or bloom.memory_gb=200. Several may follow."),
]
RayAddress = Annotated[str | None, typer.Option("--ray-address", help="The Ray head's HOST:PORT, as --with address= sets it.")]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="A parameter's value: STAGE.PARAMETER=VALUE for a recipe, PARAMETER=VALUE for one stage. Several may follow.",
    ),
]
Keep = Annotated[
    list[str],
    typer.Option(
        "--keep", help="A rule's bound, as fasttext_word_count.min=20: min, max, above, below or among. Several may follow."
    ),
]
AllowEmpty = Annotated[
    bool, typer.Option("--allow-empty", help="Go on when an input has bytes but yields no document, instead of stopping.")
]
OtherCode = Annotated[
    bool, typer.Option("--other-code", help="Reuse finished stages that another version of goldwash made, and say so.")
]
