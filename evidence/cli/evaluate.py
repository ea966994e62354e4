"""``goldwash evaluate``: CORE and EXTENDED of result files, noise, decisions between scales, multiple choice."""

from typing import TYPE_CHECKING, Annotated

import typer

from goldwash.evidence.cli.answers import Answers

if TYPE_CHECKING:
    from goldwash.evidence.evaluation.noise import Noise
    from goldwash.evidence.evaluation.results import Result
    from goldwash.evidence.evaluation.tasks import Aggregate

app = typer.Typer()


@app.command()
def evaluate(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[RESULTS...]", help="Result files of models, any format.")
    ] = None,
    equal: Annotated[
        list[str] | None,
        typer.Option(
            "--equal", help="Results of equal runs, to measure the noise. Without it, nanochat's. Several may follow."
        ),
    ] = None,
    half_width: Annotated[
        float, typer.Option("--half-width", help="Print how many runs give a 95% interval of +- this.")
    ] = 0.002,
    decisions: Annotated[
        str | None, typer.Option("--decisions", help="A CSV of models: decision accuracy between scales.")
    ] = None,
    small: Annotated[
        list[str] | None, typer.Option("--small", help="COLUMN=VALUE of the small scale. Several may follow.")
    ] = None,
    large: Annotated[
        list[str] | None, typer.Option("--large", help="COLUMN=VALUE of the large scale. Several may follow.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="The column of datasets.")] = "Dataset",
    score: Annotated[str, typer.Option("--score", help="The column of scores, higher is better.")] = "Core",
    items: Annotated[list[str] | None, typer.Option("--items", help="Multiple-choice task files. Several may follow.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model that answers: a Hugging Face name or folder, or a proxy's .gpt.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the bootstraps.")] = 0,
    json: Annotated[str | None, typer.Option("--json", help="Write the answers as JSON to this file, or - for stdout.")] = None,
) -> None:
    """Compute DCLM's CORE and EXTENDED from result files, and say which differences exceed the noise."""
    from goldwash.evidence.errors import EvidenceError

    answers = Answers(quiet=json == "-")
    if files or equal:
        _aggregates(answers, files or [], equal or [], half_width)
    if decisions:
        _decisions(answers, decisions, (small or [], large or []), by, score, seed)
    if items or model:
        if not items or not model:
            raise EvidenceError("multiple choice needs both --items and --model")
        _choices(answers, items, model, seed)
    if not answers.values:
        raise EvidenceError("nothing to evaluate: give result files, --decisions, or --items and --model")
    answers.finish(json)


def _aggregates(answers: Answers, files: list[str], equal: list[str], half_width: float) -> None:
    from goldwash.evidence.cli.answers import note
    from goldwash.evidence.evaluation import tasks
    from goldwash.evidence.evaluation.results import read_results

    noise = _noise(equal)
    found = [(result, tasks.aggregate(result.accuracies)) for file in files for result in read_results(file)]
    answers.values["noise"] = {"noise": noise, "threshold": noise.threshold(), "runs_for": noise.runs_for(half_width)}
    answers.values["models"] = [
        {"name": r.name, "form": r.form, **vars(a), "reported": r.reported, "notes": r.notes} for r, a in found
    ]
    if found:
        _table(answers, found, noise)
    for result, aggregate in found:
        _report_missing(answers, result, aggregate)
        for text in result.notes:
            note(f"{result.name}: {text}")
    answers.say(
        f"noise: sd {noise.deviation:.4f} over {noise.runs} equal runs, mean {noise.mean:.5f} ({noise.source}); two single "
        f"runs differ significantly beyond {noise.threshold():.4f}; +-{half_width:g} takes {noise.runs_for(half_width)} runs"
    )


def _noise(equal: list[str]) -> "Noise":
    from goldwash.evidence.errors import EvidenceError
    from goldwash.evidence.evaluation import noise, tasks
    from goldwash.evidence.evaluation.results import read_results

    if not equal:
        return noise.published()
    cores = []
    for file in equal:
        for result in read_results(file):
            core = tasks.aggregate(result.accuracies).core
            core = result.reported.get("Core") if core is None else core
            if core is None:
                raise EvidenceError(f"{file}: has no CORE, in which the noise is measured: tasks are missing")
            cores.append(core)
    return noise.measured(cores, "the runs of --equal")


def _table(answers: Answers, found: "list[tuple[Result, Aggregate]]", noise: "Noise") -> None:
    from goldwash.evidence.evaluation.noise import ranks
    from goldwash.evidence.evaluation.tasks import SOURCE

    scored = sorted((pair for pair in found if pair[1].core is not None), key=lambda pair: -(pair[1].core or 0))
    placed = ranks([aggregate.core or 0 for _, aggregate in scored], noise)
    rest = [pair for pair in found if pair[1].core is None]
    rows = [_row(rank, result, aggregate) for rank, (result, aggregate) in zip(map(str, placed), scored, strict=True)]
    rows += [_row("-", result, aggregate) for result, aggregate in rest]
    answers.say(f"centred accuracy over DCLM's 22 tasks of CORE and 53 of EXTENDED ({SOURCE})")
    answers.table(("model", "rank", "CORE", "+- items", "EXTENDED", "file's own CORE", "format"), rows)
    if len(set(placed)) < len(placed):
        answers.say("equal ranks: the difference is inside the noise, and is not ranked")


def _row(rank: str, result: "Result", aggregate: "Aggregate") -> tuple[str, ...]:
    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    own = result.reported.get("Core")
    mark = ""
    if own is not None and aggregate.core is not None:
        mark = " (agrees)" if abs(own - aggregate.core) < 5e-6 else " (DIFFERS)"
    error = None if aggregate.core_error is None else 1.96 * aggregate.core_error
    return (result.name, rank, shown(aggregate.core), shown(error), shown(aggregate.extended), shown(own) + mark, result.form)


def _report_missing(answers: Answers, result: "Result", aggregate: "Aggregate") -> None:
    if aggregate.missing_core:
        partial = (
            ""
            if aggregate.partial is None
            else f" (the mean of those that are there is {aggregate.partial:.4f}; not comparable)"
        )
        answers.say(f"{result.name}: no CORE: missing {', '.join(aggregate.missing_core)}{partial}")
    elif aggregate.missing_extended:
        answers.say(f"{result.name}: no EXTENDED: missing {', '.join(aggregate.missing_extended)}")


def _decisions(answers: Answers, file: str, scales: tuple[list[str], list[str]], by: str, score: str, seed: int) -> None:
    from goldwash.evidence.evaluation import decisions as made

    small, large = (
        made.best_scores(file, made.conditions(given, option), by, score)
        for given, option in zip(scales, ("--small", "--large"), strict=True)
    )
    found = made.agreement(small, large, seed=seed)
    answers.values["decisions"] = {**vars(found), "accuracy": found.accuracy, "source": made.SOURCE}
    low, high = found.interval
    answers.say(
        f"decision accuracy {found.accuracy:.3f} [{low:.2f}, {high:.2f}]: {found.agreeing} of {found.pairs} pairs of "
        f"{found.datasets} datasets are ordered alike at both scales "
        f"(best run of each; {made.SOURCE}; 95% interval by bootstrap over datasets)"
    )


def _choices(answers: Answers, files: list[str], model: str, seed: int) -> None:
    from pathlib import Path

    from goldwash.evidence.evaluation import choices
    from goldwash.evidence.evaluation.huggingface import CausalModel
    from goldwash.evidence.evaluation.proxies import Proxy

    tasks = [(Path(file).stem, choices.read_items(file)) for file in files]
    loaded = Proxy(model) if model.endswith(".gpt") else CausalModel(model)
    found = {name: choices.score(items, loaded, seed=seed) for name, items in tasks}
    answers.values["choices"] = found
    answers.table(
        ("task", "items", "accuracy", "95%", "chance", "bits per byte of the right answer", "95%"),
        [
            (
                name, str(s.items), f"{s.accuracy:.3f}", "[{:.3f}, {:.3f}]".format(*s.accuracy_interval), f"{s.chance:.3f}",
                f"{s.bits_per_byte:.4f}", "[{:.4f}, {:.4f}]".format(*s.bits_interval),
            )
            for name, s in found.items()
        ],
    )  # fmt: skip
    low = [name for name, s in found.items() if not s.above_chance]
    if low:
        answers.say(f"not above chance, compare bits per byte instead: {', '.join(low)}")
