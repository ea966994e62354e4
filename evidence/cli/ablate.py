"""``goldwash ablate``: variants of a recipe, run and compared."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldwash.evidence.cli.answers import Answers, note, write
from goldwash.evidence.cli.compare import check_page, show
from goldwash.evidence.cli.comparing import Comparing, comparing
from goldwash.pipeline.cli.options import (
    AllowEmpty,
    EngineFile,
    Inputs,
    Keep,
    On,
    OtherCode,
    Out,
    RayAddress,
    Set,
    With,
    Workers,
)
from goldwash.pipeline.recipes import names

if TYPE_CHECKING:
    from goldwash.evidence.ablate.filters import Learned
    from goldwash.evidence.ablate.runs import Made
    from goldwash.evidence.compare.experiment import Comparison
    from goldwash.evidence.compare.report import Table

app = typer.Typer()

Good = Annotated[
    list[str],
    typer.Option("--good", help="filters: good texts that the filters learn from, as for train. Several may follow."),
]
Web = Annotated[
    list[str],
    typer.Option("--web", help="filters: texts of the web, to tell them from. Several may follow."),
]


@app.command()
@comparing
def ablate(
    recipe: Annotated[str, typer.Argument(help=f"A recipe's name ({', '.join(names())}) or the path of a .yaml file.")],
    input: Inputs,
    how: Comparing,
    out_folder: Out,
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            help="What varies: STAGE.PARAMETER=V1,V2 or RULE.BOUND=V1,V2 or STAGE=in,out. Several may follow; the first values "
            "are those to which others are compared. Without it, the recipe filters compares DCLM's seven filters.",
        ),
    ] = [],  # noqa: B006
    good: Good = [],  # noqa: B006
    web: Web = [],  # noqa: B006
    ask: Annotated[str | None, typer.Option("--ask", help="filters: a server for AskLLM, as http://HOST:PORT/v1.")] = None,
    ranks: Annotated[str | None, typer.Option("--ranks", help="filters: a file of ranks for PageRank.")] = None,
    features: Annotated[str, typer.Option("--features", help="filters: the embedding of the linear classifier.")] = "wordllama",
    benchmarks: Annotated[
        list[str],
        typer.Option("--benchmarks", help="filters: benchmarks whose questions must not be learned. Several may follow."),
    ] = [],  # noqa: B006
    one_at_a_time: Annotated[
        bool, typer.Option("--one-at-a-time", help="Change one thing at a time instead of running every combination.")
    ] = False,
    workers: Workers = 0,
    skip: Annotated[list[str], typer.Option(help="Leave a stage out of every variant. Several may follow.")] = [],  # noqa: B006
    keep: Keep = [],  # noqa: B006
    set: Set = [],  # noqa: B006
    on: On = "local",
    engine: EngineFile = None,
    with_: With = [],  # noqa: B006
    ray_address: RayAddress = None,
    allow_empty: AllowEmpty = False,
    other_code: OtherCode = False,
    page: Annotated[str | None, typer.Option("--page", help="Write a page with tables and curves to this .html file.")] = None,
) -> None:
    """Run variants of a recipe, sharing what they have in common, and compare what their datasets teach."""
    from goldwash.evidence.ablate import filters, runs
    from goldwash.evidence.ablate.variants import Base, variants_of
    from goldwash.evidence.compare import documents, experiment, report
    from goldwash.pipeline import flow
    from goldwash.pipeline.cli import interruption
    from goldwash.pipeline.cli.engines import engine_settings, progress
    from goldwash.pipeline.engines.settings import Screen
    from goldwash.pipeline.storage.atomic import write_json
    from goldwash.pipeline.storage.locations import join

    check_page(page)
    settings, asked, made_tokenizer = how.settings(), how.asked(), how.own_tokenizer()
    how.learners(how.vocabulary)  # faults are said before the variants are run
    for target in asked:
        documents.read_target(target)
    base = Base(recipe, set, skip, keep)
    variants = variants_of(base, vary, one_at_a_time, note) if vary or recipe != filters.NAME else []
    place = runs.Place(
        input, out_folder, on, engine_settings(on, engine, with_, ray_address, workers), flow.Options(allow_empty, other_code)
    )
    screen, left_out = Screen(progress(), note, interruption.keeps), list[str]()
    variants = runs.fitted(variants, place, note)
    interruption.keeps(f"Finished work in {shlex.quote(out_folder)} is kept: give the same command again to go on from there.")
    if variants:
        made = runs.run(variants, place, screen)
    else:
        given = filters.Given(ask, ranks, features, _exclude(benchmarks))
        made, left_out = filters.run_filters(base, _learned(good, web), given, place, screen)
    datasets = [documents.Named(one.variant.name, (one.folder,)) for one in made]
    data = experiment.gather(datasets, asked, settings, note, made_tokenizer)
    found = experiment.compare(data, how.learners(data.tokenizer.vocab), settings, note)
    answers = Answers(quiet=how.json == "-")
    answers.values.update(variants=[one.values() for one in made], left_out=left_out, **report.values(found))
    whole = table_of(made, found)
    answers.say(whole.title)
    answers.table(whole.columns, whole.rows)
    for line in left_out:
        answers.say(line)
    answers.say()
    show(answers, found, how.kinds)
    write_json(join(out_folder, "ablation.json"), _plain(answers.values))
    if page is not None:
        write(page, report.page(found, "goldwash ablate", how.kinds, [whole]))
    answers.finish(how.json)


def _learned(good: "Sequence[str]", web: "Sequence[str]") -> "Learned":
    """The texts that filters learn from, as `goldwash train` reads them."""
    from goldwash.classifiers.examples import examples
    from goldwash.evidence.ablate.filters import Learned
    from goldwash.pipeline.cli.classifiers import sources
    from goldwash.pipeline.storage.formats.parquet_rows import with_texts

    sides = [
        [e for path in paths for part in sources(path) for e in examples(part, joined=with_texts)] for paths in (good, web)
    ]
    return Learned(*sides)


def _exclude(benchmarks: "Sequence[str]") -> Any:
    from goldwash.pipeline.decontamination.benchmarks import quoting

    return quoting(benchmarks) if benchmarks else None


def _plain(values: dict[str, Any]) -> Any:
    from goldwash.evidence.cli.answers import plain

    return plain(values)


def table_of(made: "Sequence[Made]", found: "Comparison") -> "Table":
    """One table of an ablation: what each variant made and cost, and what it teaches by the first learner, over all targets."""
    from goldwash.evidence.compare.report import Table, difference_cells, mean_multiplier
    from goldwash.evidence.quantities import short

    result, rows = found.measured[0], []
    for n, one in enumerate(made):
        seconds = f"{'' if one.spent.measured else '~'}{one.spent.seconds:,.1f}"
        apart = found.mean_difference(result, 0, n) if n else None
        rows.append(
            (
                one.variant.name, f"{one.kept.documents:,}", short(one.kept.bytes), seconds, f"{one.shared} of {one.stages}",
                f"{found.mean_level(result, n):.4f}", *difference_cells(apart), mean_multiplier(found, result, n),
            )
        )  # fmt: skip
    several = ", mean of targets" if len(found.data.targets) > 1 else ""
    columns = (
        "variant", "documents", "bytes", "CPU-seconds", "stages shared", "bits per byte", "difference", "verdict", "multiplier",
    )  # fmt: skip
    estimated = "" if all(one.spent.measured for one in made) else "; ~: estimated from measured rates"
    return Table(f"variants, by {result.learner.name}{several}{estimated}", columns, rows)
