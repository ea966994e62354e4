"""``goldwash train``, ``score`` and ``fold``: quality classifiers of the user's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldwash.pipeline.cli import interruption
from goldwash.pipeline.cli.engines import engine_settings, progress
from goldwash.pipeline.cli.options import Inputs, Out, Workers
from goldwash.pipeline.cli.summaries import show_notes, show_steps
from goldwash.pipeline.cli.terminal import command, notify, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goldwash.classifiers.train import Settings

app = typer.Typer()


@app.command()
def train(
    positive: Annotated[
        list[str],
        typer.Option(
            help="Examples to keep: files or folders of .parquet, .jsonl[.zst], .json, .txt; a stage's folder; RUN:STAGE; "
            "FILE::COLUMN; hf://OWNER/REPO/FILE; eli5:FOLDER of Reddit dumps. Several may follow."
        ),
    ],
    negative: Annotated[
        list[str], typer.Option(help="Examples to drop, such as shards of a run of yours. Several may follow.")
    ],
    out_folder: Annotated[str, typer.Option("--out", help="The folder for model.bin, model.fold, report.json and MODEL.md.")],
    benchmarks: Annotated[
        list[str],
        typer.Option(
            help="Benchmarks whose questions must not be learned: names or files, as for decontaminate. Several may follow."
        ),
    ] = [],  # noqa: B006
    per_class: Annotated[
        int | None, typer.Option(min=1, help="The largest number of examples per class. Without it, DCLM's: 200,000.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The random seed of the sample and the split. Without it, 0.")] = None,
    set: Annotated[
        list[str],
        typer.Option(
            "--set", help="A fastText setting, such as epoch=10 (lr, dim, epoch, word_ngrams, bucket ...). Several may follow."
        ),
    ] = [],  # noqa: B006
) -> None:
    """Train a quality classifier of your own; the defaults are DCLM's."""
    from goldwash.classifiers.examples import examples
    from goldwash.classifiers.train import train as train_model
    from goldwash.pipeline.decontamination.benchmarks import quoting

    settings = _settings(per_class, seed, set)
    sides = [[e for path in paths for part in sources(path) for e in examples(part)] for paths in (positive, negative)]
    exclude = quoting(benchmarks) if benchmarks else None
    interruption.keeps(f"{out_folder} holds no half-written model: give the same command again.")
    report = train_model(sides[0], sides[1], out_folder, settings, notify, exclude)
    for line in (Path(out_folder) / "MODEL.md").read_text("utf-8").split("## Use")[0].splitlines():
        say(line)
    say(f"the report: {out_folder}/report.json, {out_folder}/MODEL.md")
    say(f"use it:  {command()} score {out_folder}/model.fold --input SHARDS --out DIR")
    say(f"or:      {command()} run baseline --set quality.model={out_folder}/model.fold ...")
    for warning in report["warnings"]:
        notify(f"warning: {warning}.")


def sources(name: str) -> list[str]:
    """The sources that a ``--positive`` or ``--negative`` names: a stage's kept shards, else the name itself."""
    from goldwash.pipeline.storage.addresses import located
    from goldwash.pipeline.storage.inputs import find_shards
    from goldwash.pipeline.storage.locations import exists, is_local, join

    place = located(name)
    if is_local(place) and exists(join(place, "stage.json")):
        return list(dict.fromkeys(shard.path for shard in find_shards([place])))  # a large one may be in parts
    return [place]


def _settings(per_class: int | None, seed: int | None, given: "Sequence[str]") -> "Settings":
    from goldwash.classifiers.train import Settings
    from goldwash.pipeline.parameters import RecipeError, nearest
    from goldwash.pipeline.recipes.reading import parsed_setting

    values: dict[str, Any] = {k: v for k, v in (("per_class", per_class), ("seed", seed)) if v is not None}
    values |= dict(map(parsed_setting, given))
    fields = Settings.__dataclass_fields__
    for key in values:
        if key not in fields:
            raise RecipeError(f"--set {key}: no such setting: {nearest(key, list(fields))}; there are {', '.join(fields)}")
    return Settings(**values)


@app.command()
def score(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]MODEL...",
            help="Models: paths, https://, hf://OWNER/REPO/FILE, lid.176.ftz, or signal:NAME. Column names begin with NAME.",
        ),
    ],
    input: Inputs,
    out_folder: Out,
    label: Annotated[
        str | None, typer.Option(help="The label whose probability is the score. Without it, hq if the model has that label.")
    ] = None,
    use: Annotated[list[str], typer.Option(help="A .py file that declares your own signals. Several may follow.")] = [],  # noqa: B006
    workers: Workers = 0,
) -> None:
    """Add classifiers' scores and labels to shards as columns, in one pass over the text."""
    from goldwash.pipeline import flow
    from goldwash.pipeline.recipes.plugins import packed
    from goldwash.pipeline.stages import STAGES
    from goldwash.pipeline.stages.score import scorers_of
    from goldwash.pipeline.storage.inputs import find_shards

    used = [packed(name, Path.cwd()) for name in use]
    made = STAGES["score"].of({"models": scorers_of(models, label), "use": used})
    interruption.keeps(f"Finished work in {out_folder} is kept: give the same command again to go on from there.")
    show_notes([made])
    run = engine_settings("local", None, [], None, workers).start(progress())
    step = flow.run_stage(made, find_shards(input), out_folder, run, notify, input)
    show_steps([step])


@app.command()
def fold(
    model: Annotated[str, typer.Argument(help="A two-label fastText .bin: a path, https:// or hf://OWNER/REPO/FILE.")],
    out_file: Annotated[str | None, typer.Option("--out", help="The file to write; without it, beside the model.")] = None,
) -> None:
    """Fold a classifier to one number per feature: the same scores from a fiftieth of the memory."""
    from goldwash.classifiers.fasttext import fold as folded
    from goldwash.classifiers.fasttext import save_fold
    from goldwash.filters.fetch import fetched
    from goldwash.pipeline.inspect.summary import size
    from goldwash.pipeline.storage.atomic import atomic_write

    source = fetched(model)
    place = out_file or str(Path(model if "://" not in model else source.name).with_suffix(".fold"))
    made = folded(source)
    with atomic_write(place) as half:
        save_fold(made, half)
    say(f"{place}: {size(source.stat().st_size)} become {size(Path(place).stat().st_size)}; labels {', '.join(made.labels)}")
