"""The options that several commands share."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from goldwash.pipeline.storage.source import Reading

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
HonourOptOuts = Annotated[
    bool, typer.Option("--opt-outs", help="Honour what pages say about indexing and training, as the recipe `respectful` does.")
]
RobotsTable = Annotated[
    str, typer.Option("--robots", help="Honour robots.txt: the table that `goldwash robots` wrote (docs/opt-outs.md).")
]
OtherCode = Annotated[
    bool, typer.Option("--other-code", help="Reuse finished stages that another version of goldwash made, with a note.")
]
TextColumn = Annotated[
    str, typer.Option("--text-column", help="For documents: the column that holds the text; a.b is a field in an object.")
]
IdColumn = Annotated[str, typer.Option("--id-column", help="For documents: the column that holds the id.")]
UrlColumn = Annotated[str, typer.Option("--url-column", help="For documents: the column that holds the URL.")]
OnNull = Annotated[
    str, typer.Option("--on-null", help="For a document whose text is null: error (stop), drop, or empty (use an empty text).")
]
AllowEmpty = Annotated[
    bool, typer.Option("--allow-empty", help="Go on when an input has bytes but yields no document, instead of stopping.")
]


def reading_of(text: str, id_: str, url: str, on_null: str) -> "Reading":
    """How documents are read; a `RecipeError` for an unknown --on-null."""
    from goldwash.pipeline.parameters import RecipeError
    from goldwash.pipeline.storage.source import Reading

    if on_null not in ("error", "drop", "empty"):
        raise RecipeError(f"--on-null {on_null}: expected error, drop or empty")
    return Reading(text, id_, url, on_null)  # type: ignore[arg-type]  # checked above
