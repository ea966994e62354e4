"""``goldwash train``, ``score`` and ``fold``: quality classifiers of the user's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldwash.pipeline.cli import interruption
from goldwash.pipeline.cli.engines import engine_settings, progress
from goldwash.pipeline.cli.options import Inputs, Out, Workers
from goldwash.pipeline.cli.summaries import show_notes, show_steps
from goldwash.pipeline.cli.terminal import command, notify, say
from goldwash.pipeline.engines.workers import start_early

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    out_folder: Annotated[str, typer.Option("--out", help="The folder for the model and its report.")],
    negative: Annotated[
        list[str],
        typer.Option(
            help="Examples to drop, such as shards of a run of yours; for fasttext and linear only. Several may follow."
        ),
    ] = [],  # noqa: B006
    kind: Annotated[
        str | None,
        typer.Option(
            help="fasttext; linear, on the embedding of --features; ngram, for perplexity:FILE; prior, for prior:FILE; target, "
            "for target:FILE. Without it, fasttext, or linear with --features."
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="The embedding: wordllama, a model2vec folder or hf://OWNER/REPO, fastembed:NAME, sentence-transformers:NAME."
        ),
    ] = None,
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
            "--set",
            help="A setting, such as epoch=10 (fasttext: lr, dim, epoch, word_ngrams, bucket ...; linear: penalty, characters "
            "...; ngram: vocabulary, order). Several may follow.",
        ),
    ] = [],  # noqa: B006
) -> None:
    """Train a quality classifier of your own; the defaults are DCLM's. Or another model to score texts by (--kind)."""
    from goldwash.classifiers.examples import examples
    from goldwash.classifiers.train import cut_off
    from goldwash.pipeline.decontamination.benchmarks import quoting
    from goldwash.pipeline.storage.formats.parquet_rows import with_texts
    from goldwash.pipeline.storage.ownership import check_ours

    chosen = _kind(kind, features, negative)
    settings = _settings(chosen, per_class, seed, set)
    check_ours(out_folder, ("report.json", *cut_off(out_folder)), ("stage.json", "run.json"))
    sides = [
        [e for path in paths for part in sources(path) for e in examples(part, joined=with_texts)]
        for paths in (positive, negative)
    ]
    exclude = quoting(benchmarks) if benchmarks else None
    interruption.keeps(f"{out_folder} holds no half-written model: give the same command again.")
    file, report = _trained(chosen, sides, features, out_folder, settings, exclude)
    card = Path(out_folder) / "MODEL.md"
    if chosen in ("fasttext", "linear"):
        for line in card.read_text("utf-8").split("## Use")[0].splitlines():
            say(line)
    say(f"the report: {out_folder}/report.json{f', {card}' if chosen in ('fasttext', 'linear') else ''}")
    say(f"use it:  {command()} score {file} --input SHARDS --out DIR")
    say(f"or:      {command()} run baseline --set quality.model={file} ...")
    for warning in report["warnings"]:
        notify(f"warning: {warning}.")


WITH_NEGATIVES = ("fasttext", "linear")
WITH_FEATURES = ("linear", "target")
KINDS = ("fasttext", "linear", "ngram", "prior", "target")


def _kind(kind: str | None, features: str | None, negative: "Sequence[str]") -> str:
    """The kind of model to train; refuses options that do not belong to it."""
    from goldwash.pipeline.parameters import RecipeError, nearest

    chosen = kind or ("linear" if features else "fasttext")
    if chosen not in KINDS:
        raise RecipeError(f"--kind {chosen}: no such kind; {nearest(chosen, KINDS)}")
    if (features is not None) != (chosen in WITH_FEATURES):
        cure = "name an embedding, as --features wordllama" if features is None else "leave --features out"
        raise RecipeError(f"--kind {chosen}: {cure}; it is for {' and '.join(WITH_FEATURES)}")
    if bool(negative) != (chosen in WITH_NEGATIVES):
        cure = (
            "give examples to drop, with --negative"
            if not negative
            else "leave --negative out: it learns from good texts alone"
        )
        raise RecipeError(f"--kind {chosen}: {cure}")
    return chosen


def _trained(
    kind: str, sides: "Sequence[Sequence[Any]]", features: str | None, out: str, settings: Any, exclude: Any
) -> tuple[str, dict[str, Any]]:
    """Train; the address of the model, and its report."""
    positive, negative = sides
    if kind == "fasttext":
        from goldwash.classifiers.train import train as train_model

        return f"{out}/model.fold", train_model(positive, negative, out, settings, notify, exclude)
    if kind == "linear":
        from goldwash.classifiers.linear import train_head

        return f"embedding:{out}/model.head", train_head(positive, negative, features or "", out, settings, notify, exclude)
    if kind == "ngram":
        from goldwash.classifiers.perplexity import train_ngram

        return f"perplexity:{out}/model.ngram", train_ngram(positive, out, settings, notify, exclude)
    if kind == "prior":
        from goldwash.classifiers.prior import train_prior

        return f"prior:{out}/model.prior", train_prior(positive, out, notify, exclude)
    from goldwash.classifiers.targets import train_targets

    report = train_targets(positive, features or "", out, notify=notify, exclude=exclude, **settings)
    return f"target:{out}/model.targets", report


def sources(name: str) -> list[str]:
    """The sources that a ``--positive`` or ``--negative`` names: a stage's kept shards, else the name itself."""
    from goldwash.pipeline.storage.addresses import located
    from goldwash.pipeline.storage.inputs import find_shards
    from goldwash.pipeline.storage.locations import exists, is_local, join

    place = located(name)
    if is_local(place) and exists(join(place, "stage.json")):
        return list(dict.fromkeys(shard.path for shard in find_shards([place])))  # a large one may be in parts
    return [place]


def _settings(kind: str, per_class: int | None, seed: int | None, given: "Sequence[str]") -> Any:
    """The settings of a kind: its dataclass, or a dictionary of the few that there are."""
    from goldwash.classifiers.linear import LinearSettings
    from goldwash.classifiers.perplexity import NgramSettings
    from goldwash.classifiers.train import Settings
    from goldwash.pipeline.parameters import RecipeError, nearest
    from goldwash.pipeline.recipes.reading import parsed_setting

    made: Any = {"fasttext": Settings, "linear": LinearSettings, "ngram": NgramSettings}.get(kind)
    fields = list(made.__dataclass_fields__) if made else ["characters"] if kind == "target" else []
    values: dict[str, Any] = {k: v for k, v in (("per_class", per_class), ("seed", seed)) if v is not None}
    values |= dict(map(parsed_setting, given))
    for key in values:
        if key not in fields:
            known = f"{nearest(key, fields)}; there are {', '.join(fields)}" if fields else f"--kind {kind} has none"
            option = f"--{key.replace('_', '-')}" if key in ("per_class", "seed") else f"--set {key}"
            raise RecipeError(f"{option}: no such setting: {known}")
    return made(**values) if made else values


@app.command()
def score(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]MODEL...",
            help="Models: paths, https://, hf://OWNER/REPO/FILE, lid.176.ftz, signal:NAME, or another kind by its prefix: "
            "perplexity, topk, embedding, ask, pagerank, prior, target (docs/classifiers.md). Column names begin with NAME.",
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
    start_early("local", workers, input)
    from goldwash.pipeline import flow
    from goldwash.pipeline.recipes.plugins import packed
    from goldwash.pipeline.stages import STAGES
    from goldwash.pipeline.stages.score import scorers_of
    from goldwash.pipeline.storage.inputs import find_shards

    used = [packed(name, Path.cwd()) for name in use]
    made = STAGES["score"].of({"models": scorers_of(models, label), "use": used})
    interruption.keeps_work(out_folder)
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
    from goldwash.pipeline.storage.ownership import check_file

    if out_file is not None:
        check_file(out_file, (".fold",), [model])
    source = fetched(model)
    place = out_file or str(Path(model if "://" not in model else source.name).with_suffix(".fold"))
    made = folded(source)
    with atomic_write(place) as half:
        save_fold(made, half)
    say(f"{place}: {size(source.stat().st_size)} become {size(Path(place).stat().st_size)}; labels {', '.join(made.labels)}")
