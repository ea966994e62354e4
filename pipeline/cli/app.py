"""The command line, and nothing else: it reads words, calls the pipeline, and prints what came of it."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from goldwash import __version__
from goldwash.classifiers.examples import TrainingError
from goldwash.classifiers.fasttext import ModelError
from goldwash.classifiers.train import Settings
from goldwash.filters.fetch import FetchError
from goldwash.filters.lists import ListError
from goldwash.filters.signal import EDITS, SIGNALS, SignalError
from goldwash.pipeline import flow
from goldwash.pipeline.engines.progress import shown
from goldwash.pipeline.engines.settings import Screen, settings_class, settings_of
from goldwash.pipeline.engines.settings import Settings as EngineSettings
from goldwash.pipeline.inspect import summary as funnel
from goldwash.pipeline.recipes import recipe as recipes
from goldwash.pipeline.report import ReportError
from goldwash.pipeline.stage import RecipeError, RunError
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.locations import DataError

HELP = """Wash the gold out of a crawl: from Common Crawl archives to a training set, the DCLM way.

\b
goldwash run baseline --input 'crawl/*.warc.gz' --out runs/first     the whole recipe
goldwash stage heuristics --input shards/ --out cleaned/             one stage on your own shards
goldwash train --positive good.jsonl --negative web.parquet --out model/   a quality classifier of your own
goldwash explain runs/first https://example.com/                     why a page was kept or dropped
"""

app = typer.Typer(
    name="goldwash",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, soft_wrap=True)

Inputs = Annotated[
    list[str],
    typer.Option(
        "--input", help="Archives or shards: files, a glob, a folder, a warc.paths list, s3:// or https://; several may follow."
    ),
]
Out = Annotated[str, typer.Option("--out", help="The folder that is written; a rerun goes on where the last one stopped.")]
Workers = Annotated[
    int,
    typer.Option("--workers", min=0, help="Processes (on a cluster: tasks at once); 0 is one a core, on a cluster no limit."),
]
On = Annotated[str, typer.Option("--on", help="The engine: local, slurm or ray.")]
EngineFile = Annotated[str | None, typer.Option("--engine", help="A YAML file of the engine's settings (docs/clusters.md).")]
With = Annotated[
    list[str],
    typer.Option("--with", help="A setting of the engine, as partition=cpu or bloom.memory_gb=200; several may follow."),
]
RayAddress = Annotated[str | None, typer.Option("--ray-address", help="The Ray head's HOST:PORT; the same as --with address=.")]
Set = Annotated[list[str], typer.Option("--set", help="A parameter's value; for a whole recipe STAGE.PARAMETER=VALUE.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="Whose parameters: a recipe's name or path.")]


def _version(asked: bool) -> None:
    if asked:
        out.print(f"goldwash {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def main_options(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback where something fails.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Options of every command."""


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help=f"A recipe's name ({', '.join(recipes.names())}) or the path of a .yaml file.")],
    input: Inputs,
    out_folder: Out,
    workers: Workers = 0,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    skip: Annotated[list[str], typer.Option(help="Leave a stage out.")] = [],  # noqa: B006
    set: Set = [],  # noqa: B006
    on: On = "local",
    engine: EngineFile = None,
    with_: With = [],  # noqa: B006
    ray_address: RayAddress = None,
    detach: Annotated[bool, typer.Option("--detach", help="On Slurm: submit, and do not wait.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and do nothing.")] = False,
) -> None:
    """Run a whole recipe on archives, or go on with a run that stopped."""
    loaded, settings = recipes.load(recipe, set, skip), _settings(on, engine, with_, ray_address, workers)
    if dry_run:
        _print_plan(loaded, input, out_folder, until)
        return
    screen = Screen(shown(err, _planned_seconds(loaded, input, until)), _notify)
    steps = settings.walk(lambda: flow.begin(loaded, input, out_folder, until, on), out_folder, screen, detach)
    if detach:
        return
    out.print()
    funnel.show(steps, out)
    _print_end(loaded, out_folder, until)


def _planned_seconds(loaded: recipes.Recipe, names: Sequence[str], until: str | None) -> list[tuple[str, float]]:
    """The stages of a run, and the CPU seconds that each is expected to take."""
    from goldwash.pipeline.inspect.estimate import plan

    rows = [(row.stage, row.cpu_seconds) for row in plan(loaded, flow.found_inputs(loaded, names))]
    return rows[: [name for name, _ in rows].index(until) + 1] if until in dict(rows) else rows


@app.command(hidden=True)
def drive(
    run_folder: Annotated[str, typer.Argument(metavar="RUN", help="The run's folder.")],
    number: Annotated[int, typer.Argument(help="The stage's number, from 1.")],
) -> None:
    """Do one stage of a run that was submitted to Slurm; its driver jobs call this."""
    from goldwash.pipeline.engines import slurm_driver

    slurm_driver.drive(run_folder, number, _notify)


@app.command()
def status(run_folder: Annotated[str, typer.Argument(metavar="RUN", help="The --out of a run.")]) -> None:
    """Tell where a run is, what failed and why; exit code 1 where it failed or stopped."""
    from goldwash.pipeline.engines.slurm_driver import in_words
    from goldwash.pipeline.inspect.status import overall
    from goldwash.pipeline.inspect.status import status as told

    stages_ = told(run_folder)
    for made in stages_:
        out.print(in_words(made), highlight=False, markup=False)
        for failure in made.failures:
            where = f" (on {failure.host})" if failure.host else ""
            out.print(f"  {failure.task} failed{where}: {failure.why}", highlight=False, markup=False)
            for line in failure.log:
                out.print(f"    | {line}", highlight=False, markup=False)
    state = overall(stages_)
    if state in ("failed", "stopped"):
        out.print(f"{state}: what is finished is kept; the same `goldwash run` goes on from there", highlight=False)
        raise typer.Exit(1)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(STAGES)}.")],
    input: Inputs,
    out_folder: Out,
    recipe: RecipeName = "baseline",
    workers: Workers = 0,
    set: Set = [],  # noqa: B006
    on: On = "local",
    engine: EngineFile = None,
    with_: With = [],  # noqa: B006
    ray_address: RayAddress = None,
    annotate: Annotated[bool, typer.Option("--annotate", help="heuristics: write values as columns, drop nothing.")] = False,
) -> None:
    """Run one stage alone on your own shards, with a recipe's parameters."""
    from goldwash.pipeline.storage.inputs import find_archives, find_shards

    made = _one_stage(name, recipe, [*set, *(["annotate=true"] if annotate else [])])
    inputs = find_archives(input) if made.makes_documents else find_shards(input)
    engine_run = _settings(on, engine, with_, ray_address, workers).start(shown(err))
    step = flow.run_stage(made, inputs, out_folder, engine_run, _notify)
    funnel.show([step], out)
    out.print(f"\nkept:    {out_folder}/part-*.parquet\ndropped: {out_folder}/dropped/part-*.parquet", highlight=False)


@app.command()
def train(
    positive: Annotated[
        list[str],
        typer.Option(
            help="Sources of examples to keep: files or folders of .parquet, .jsonl[.zst], .json, .txt; FILE::COLUMN; "
            "hf://OWNER/REPO/FILE; eli5:FOLDER of Reddit dumps. Several may follow."
        ),
    ],
    negative: Annotated[list[str], typer.Option(help="Sources of examples to drop, such as shards of a run of yours.")],
    out_folder: Annotated[str, typer.Option("--out", help="The folder for model.bin, model.fold, report.json, MODEL.md.")],
    benchmarks: Annotated[
        list[str], typer.Option(help="Benchmarks whose questions must not be learned: names or files, as for decontaminate.")
    ] = [],  # noqa: B006
    per_class: Annotated[int, typer.Option(min=1, help="Examples of each kind, at the most.")] = Settings.per_class,
    seed: Annotated[int, typer.Option(help="What the sample and the split depend on.")] = Settings.seed,
    set: Annotated[
        list[str], typer.Option("--set", help="A fastText setting, as epoch=10 (lr, dim, epoch, word_ngrams, bucket ...).")
    ] = [],  # noqa: B006
) -> None:
    """Train a quality classifier of your own; the defaults are DCLM's."""
    from goldwash.classifiers.examples import examples
    from goldwash.classifiers.train import train as trained
    from goldwash.pipeline.decontamination.benchmarks import quoting

    values: dict[str, Any] = {"per_class": per_class, "seed": seed, **dict(map(recipes.parsed_setting, set))}
    for key in values:
        if key not in Settings.__dataclass_fields__:
            raise RecipeError(f"--set {key}: no such setting; there are {', '.join(Settings.__dataclass_fields__)}")
        kind = type(Settings.__dataclass_fields__[key].default)
        if not isinstance(values[key], kind if kind is not float else int | float) or isinstance(values[key], bool) != (
            kind is bool
        ):
            expected = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
            raise RecipeError(f"--set {key}: {values[key]!r} is not {expected}")
    sides = [[e for path in paths for e in examples(path)] for paths in (positive, negative)]
    exclude = quoting(benchmarks) if benchmarks else None
    trained(sides[0], sides[1], out_folder, Settings(**values), _notify, exclude)
    out.print((Path(out_folder) / "MODEL.md").read_text("utf-8").split("## Use")[0], highlight=False, markup=False)
    out.print(f"the report: {out_folder}/report.json, {out_folder}/MODEL.md", highlight=False)
    out.print(f"use it:  goldwash score {out_folder}/model.fold --input SHARDS --out DIR", highlight=False)
    out.print(f"or:      goldwash run baseline --set quality.model={out_folder}/model.fold ...", highlight=False)


@app.command()
def score(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]MODEL...",
            help="Models: paths, https://, hf://OWNER/REPO/FILE, lid.176.ftz, or signal:NAME; NAME begins the columns' names.",
        ),
    ],
    input: Inputs,
    out_folder: Out,
    label: Annotated[
        str | None, typer.Option(help="The label whose probability is the score (hq, if the model has it).")
    ] = None,
    use: Annotated[list[str], typer.Option(help="A .py file that declares your own signals.")] = [],  # noqa: B006
    workers: Workers = 0,
) -> None:
    """Add classifiers' scores and labels to shards as columns, in one pass over the text."""
    from goldwash.pipeline.recipes.plugins import packed
    from goldwash.pipeline.stages.score import scorers_of
    from goldwash.pipeline.storage.inputs import find_shards

    used = [packed(name, Path.cwd()) for name in use]
    made = STAGES["score"].of({"models": scorers_of(models, label), "use": used})
    step = flow.run_stage(
        made, find_shards(input), out_folder, settings_of("local", given={"workers": workers}).start(shown(err)), _notify
    )
    funnel.show([step], out)


@app.command()
def fold(
    model: Annotated[str, typer.Argument(help="A two-label fastText .bin: a path, https:// or hf://OWNER/REPO/FILE.")],
    out_file: Annotated[str | None, typer.Option("--out", help="The file to write; without it, beside the model.")] = None,
) -> None:
    """Fold a classifier: the same scores from a fiftieth of the memory."""
    from goldwash.classifiers.fasttext import fold as folded
    from goldwash.classifiers.fasttext import save_fold
    from goldwash.filters.fetch import fetched
    from goldwash.pipeline.storage.atomic import atomic_write

    source = fetched(model)
    place = out_file or str(Path(model if "://" not in model else source.name).with_suffix(".fold"))
    made = folded(source)
    with atomic_write(place) as half:
        save_fold(made, half)
    sizes = f"{funnel.size(source.stat().st_size)} become {funnel.size(Path(place).stat().st_size)}"
    out.print(f"{place}: {sizes}; labels {', '.join(made.labels)}", highlight=False)


@app.command("what-if")
def what_if(
    input: Annotated[list[str], typer.Argument(metavar="SHARDS", help="Shards that `stage heuristics --annotate` wrote.")],
    keep: Annotated[list[str], typer.Option("--keep", help="A bound, as word_count.min=100; min, max, above or below.")] = [],  # noqa: B006
    fraction: Annotated[list[float], typer.Option(help="A top fraction of a score, as 0.05; several may follow.")] = [],  # noqa: B006
    column: Annotated[str, typer.Option(help="With --fraction: the score's column.")] = "quality_probability",
    by: Annotated[str, typer.Option(help="With --fraction: documents, bytes, or a column such as token_count.")] = "documents",
) -> None:
    """Tell what other bounds, or other fractions of a score, would keep, without reading a text again."""
    if fraction and keep:
        raise RecipeError("give --keep or --fraction, not both")
    if fraction:
        _print_fractions(input, fraction, column, by)
        return
    from goldwash.pipeline.inspect.what_if import what_if as answer

    answered = answer(input, keep)
    table = Table(box=None, pad_edge=False)
    for title in ("rule", "bounds", "fail it", "dropped by it", "left"):
        table.add_column(title, justify="left" if title in ("rule", "bounds") else "right")
    left = answered.documents
    for rule in answered.rules:
        left -= rule.dropped
        changed = "[bold]" if rule.changed else ""
        table.add_row(f"{changed}{rule.name}", rule.bounds, f"{rule.failing:,}", f"{rule.dropped:,}", f"{left:,}")
    out.print(table, highlight=False)
    before = f" (with the recipe's own bounds: {answered.kept_before:,})" if answered.kept_before is not None else ""
    share = funnel.share(answered.kept, answered.documents)
    out.print(f"\nkept: {answered.kept:,} of {answered.documents:,}, {share}{before}", highlight=False)


def _print_fractions(names: Sequence[str], fractions: Sequence[float], column: str, by: str) -> None:
    from goldwash.pipeline.inspect.what_if import top_fractions

    table = Table(box=None, pad_edge=False)
    for title in ("fraction", "threshold", "documents", "of all", "bytes", "of all"):
        table.add_column(title, justify="right")
    answer = top_fractions(names, fractions, column, by)
    for top in answer.tops:
        table.add_row(
            f"{top.fraction:g}", f"{top.threshold:.9g}", f"{top.documents:,}", funnel.share(top.documents, answer.documents),
            funnel.size(top.bytes), funnel.share(top.bytes, answer.bytes),
        )  # fmt: skip
    out.print(table, highlight=False)
    out.print(f"\nof {answer.documents:,} documents, {funnel.size(answer.bytes)}, by {by}", highlight=False)


@app.command()
def explain(
    run_folder: Annotated[str, typer.Argument(metavar="RUN", help="The --out of a run.")],
    page: Annotated[str, typer.Argument(metavar="URL_OR_ID", help="The page's whole URL, or its WARC-Record-ID.")],
) -> None:
    """Say why a page was kept or dropped: every stage that it met, each rule's value beside its threshold."""
    from goldwash.pipeline.inspect.explain import explained

    for document, passages in explained(run_folder, page):
        out.print(f"[bold]{document['url']}[/bold]  {document['id']}", highlight=False)
        for passage in passages:
            verdict = "kept" if passage.verdict == "kept" else f"[red]dropped by {passage.verdict}[/red]"
            value = f" (value {passage.value:.6g})" if passage.value is not None else ""
            detail = f" [{passage.detail}]" if passage.detail else ""
            out.print(f"{passage.stage}: {verdict}{value}" + detail.replace("[", r"\["), highlight=False)
            for rule, measured, bounds, passed in passage.rules:
                shown = (
                    f"{measured:.6g}"
                    if isinstance(measured, int | float) or (hasattr(measured, "dtype") and measured.dtype.kind in "fiu")
                    else str(measured)
                )
                out.print(f"  {'ok ' if passed else 'NO '} {rule:42s} {shown:>12s}   {bounds}", highlight=False, markup=False)


@app.command()
def near(
    run_folder: Annotated[str, typer.Argument(metavar="RUN", help="The --out of a run with a minhash stage, or that stage's.")],
    id_or_text: Annotated[str, typer.Argument(help="A document's id, a text file, or the text itself.")],
    count: Annotated[int, typer.Option(min=1, help="How many neighbours to show.")] = 10,
) -> None:
    """Show the documents nearest to one: estimated and counted Jaccard similarity, and the bands that they share."""
    from goldwash.pipeline.inspect.neighbours import near as nearest_documents

    table = Table(box=None, pad_edge=False)
    for title in ("estimated", "counted", "bands"):
        table.add_column(title, justify="right")
    table.add_column("document")
    found = nearest_documents(run_folder, id_or_text, count)
    for n in found:
        counted = "-" if n.counted is None else f"{n.counted:.3f}"
        table.add_row(f"{n.estimated:.3f}", counted, str(n.bands), f"{n.url}  {n.id}".replace("[", r"\["))
    out.print(table if found else "no document shares a shingle with it, as far as signatures tell", highlight=False)


@app.command()
def export(
    shards: Annotated[list[str], typer.Argument(metavar="SHARDS", help="Shards, or a folder of them, as RUN/dataset.")],
    out_folder: Out,
    format: Annotated[str, typer.Option(help="The schema: dclm, that of DCLM's releases.")] = "dclm",
    packing: Annotated[str, typer.Option(help="zst or gz.")] = "zst",
) -> None:
    """Write shards as JSON lines in the schema of another project."""
    from goldwash.pipeline.export.dclm import export_dclm

    if format != "dclm" or packing not in ("zst", "gz"):
        raise RecipeError(f"expected --format dclm and --packing zst or gz; found {format} and {packing}")
    for location in export_dclm(shards, out_folder, packing):  # type: ignore[arg-type]
        out.print(location, highlight=False, markup=False)


@app.command()
def sample(out_folder: Annotated[str, typer.Argument(metavar="OUT", help="The folder for the sample crawl.")]) -> None:
    """Write the built-in sample crawl: archives, classifier examples, benchmark questions, and each page's expected fate."""
    from goldwash.pipeline.sample.crawl import write_sample

    write_sample(Path(out_folder))
    out.print(f"the sample crawl is in {out_folder}/crawl; each page's fate in {out_folder}/fates.jsonl", highlight=False)


@app.command()
def signals() -> None:
    """List the signals and edits that a recipe can use."""
    for title, table in (("signals", SIGNALS), ("edits", EDITS)):
        out.print(f"[bold]{title}[/bold]")
        for name, declared in sorted(table.items()):
            out.print(f"  {name:44s} {declared.summary}", highlight=False, markup=False)


@app.command()
def stages() -> None:
    """List the stages."""
    for name, kind in STAGES.items():
        out.print(f"  {name:16s} {kind.summary()}", highlight=False, markup=False)


def _one_stage(name: str, recipe: str, settings: Sequence[str]) -> Any:
    if name not in STAGES:
        raise RecipeError(f"no stage is called {name!r}: there are {', '.join(STAGES)}")
    loaded = recipes.load(recipe)
    config = loaded.stage(name).config() if name in [s.name for s in loaded.stages] else {}
    return STAGES[name].of({**config, **dict(map(recipes.parsed_setting, settings))})


def _settings(on: str, file: str | None, given: Sequence[str], ray_address: str | None, workers: int) -> EngineSettings:
    """The engine's settings, from the file and the options."""
    values = dict(map(recipes.parsed_setting, given))
    if ray_address is not None:
        values["address"] = ray_address
    if workers:
        values[settings_class(on).workers_key] = workers
    return settings_of(on, file, values, list(STAGES))


def _log_to_stderr() -> None:
    """What stages have to say while they run, such as the memory that they are about to take."""
    told = logging.getLogger("goldwash")
    told.setLevel(logging.INFO)
    told.propagate = False
    told.handlers = [logging.StreamHandler(sys.stderr)]


def _notify(line: str) -> None:
    err.print(line, highlight=False, markup=False)


def _print_plan(loaded: recipes.Recipe, names: Sequence[str], folder: str, until: str | None) -> None:
    from goldwash.pipeline.inspect.estimate import SOURCES, plan

    inputs = flow.found_inputs(loaded, names)
    known = sum(i.bytes for i in inputs)
    unknown = sum(not i.bytes for i in inputs)
    sizes = funnel.size(known) + (f" and {unknown:,} of unknown size" if unknown else "")
    out.print(f"recipe {loaded.name}: {len(inputs):,} inputs, {sizes}; output in {folder}\n", highlight=False)
    table = Table(box=None, pad_edge=False)
    for title in ("stage", "tasks", "documents", "reads", "CPU time", "longest task", "memory a task", "writes", "state"):
        table.add_column(title, justify="left" if title in ("stage", "state") else "right")
    rows = plan(loaded, inputs)
    for row, step in zip(rows, flow.planned(loaded, inputs, folder, until), strict=False):
        state = (
            f"finished, will be reused: {step.folder}" if step.reused else f"to do: {step.folder}" if step.folder else "to do"
        )
        table.add_row(
            row.stage, f"{row.tasks:,}", f"{row.documents:,.0f}", funnel.size(row.read), funnel.duration(row.cpu_seconds),
            funnel.duration(row.longest_seconds), funnel.size(row.memory), funnel.size(row.written), state,
        )  # fmt: skip
    out.print(table, highlight=False)
    total = funnel.duration(sum(row.cpu_seconds for row in rows))
    out.print(f"\nin all {total} of CPU time. An estimate:\n{SOURCES}", highlight=False)
    for row in rows:
        if row.cure:
            out.print(f"note: {row.cure}", highlight=False)


def _print_end(loaded: recipes.Recipe, folder: str, until: str | None) -> None:
    if until is None:
        out.print(f"\nthe dataset: {folder}/dataset/part-*.parquet", highlight=False)
    out.print(f"why a page is gone: goldwash explain {folder} URL", highlight=False)
    for made in loaded.stages:
        if made.name == "quality" and made.config()["model"] == "sample":
            out.print(
                "note: quality was scored by the little built-in classifier. For DCLM's own: --set quality.model="
                "hf://mlfoundations/fasttext-oh-eli5/openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train.bin", highlight=False,
            )  # fmt: skip
        if made.name == "decontaminate" and "sample" in made.config()["benchmarks"]:
            out.print(
                "note: only the built-in questions were looked for. For MMLU: --set decontaminate.benchmarks=mmlu, or a folder "
                "of its files", highlight=False,
            )  # fmt: skip
    if loaded.name == "sample":
        out.print("on your own crawl: make baseline INPUT='crawl/*.warc.gz' OUT=runs/first", highlight=False)


SEVERAL = ("--input", "--positive", "--negative", "--benchmarks", "--set", "--keep", "--skip", "--fraction", "--use", "--with")


def spread(words: Sequence[str]) -> list[str]:
    """``--input A B`` as ``--input A --input B``, so that a shell's glob may stand there.

    >>> spread(["run", "baseline", "--input", "a", "b", "--out", "c"])
    ['run', 'baseline', '--input', 'a', '--input', 'b', '--out', 'c']
    """
    spreading, given, out_ = "", 0, list[str]()
    for word in words:
        if word in SEVERAL:
            spreading, given = word, 0
        elif word.startswith("-"):
            spreading = ""
        elif spreading:
            given += 1
            if given > 1:
                out_.append(spreading)
        out_.append(word)
    return out_


KNOWN = (DataError, RecipeError, RunError, ModelError, TrainingError, FetchError, ListError, SignalError, ReportError)


def main() -> None:
    """Run the command line; exit code 0 for success, 1 for what went wrong, 2 for words that were not understood."""
    logging.getLogger("warcio").setLevel(logging.ERROR)
    _log_to_stderr()
    words = spread(sys.argv[1:])
    debug = "--debug" in words or bool(os.environ.get("GOLDWASH_DEBUG"))
    words = ["--debug", *[w for w in words if w != "--debug"]] if "--debug" in words else words
    try:
        app(words, standalone_mode=True)
    except KeyboardInterrupt:
        err.print("interrupted; what is finished is kept, the same command goes on from there", highlight=False)
        sys.exit(130)
    except (*KNOWN, OSError) as error:
        if debug:
            raise
        text = f"{error}" if isinstance(error, KNOWN) else f"{type(error).__name__}: {error}"
        err.print(f"goldwash: {text}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
