"""``goldwash probe``: how much a small model remembers of invented people, with and without the user's junk."""

from typing import TYPE_CHECKING, Annotated

import typer

from goldwash.evidence.cli.answers import Answers, note, write

if TYPE_CHECKING:
    from goldwash.evidence.probe.report import Finding

app = typer.Typer()


@app.command()
def probe(
    junk: Annotated[
        list[str] | None,
        typer.Option("--junk", help="Your junk: Parquet, JSONL or text. Without it, invented people. Several may follow."),
    ] = None,
    people: Annotated[int | None, typer.Option("--people", help="People to remember; 200, with --ratio 100.")] = None,
    exposures: Annotated[
        list[int] | None, typer.Option("--exposures", help="How often each is seen, 30 and 60. Several may follow.")
    ] = None,
    part: Annotated[float, typer.Option("--part", help="The fraction of rows that is junk.")] = 0.875,
    repeat: Annotated[
        list[int] | None,
        typer.Option("--repeat", help="Distinct rows of the junk that repeats, 50 and 1000. Several may follow."),
    ] = None,
    ratios: Annotated[
        list[float] | None,
        typer.Option(
            "--ratio", help="Instead: accuracy by the people's fraction of the rows, at equal rows. Several may follow."
        ),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", help="With --ratio and --copies: rows of every run.")] = 16_000,
    copies: Annotated[
        list[int] | None,
        typer.Option(
            "--copies", help="Instead: loss of fresh rows if a tenth of the rows are this many copies. Several may follow."
        ),
    ] = None,
    skew: Annotated[
        float | None, typer.Option("--skew", help="Instead: people seen by a power law with this exponent, and flattened.")
    ] = None,
    width: Annotated[
        list[int] | None, typer.Option("--width", help="Widths of the model; with --ratio, several may follow.")
    ] = None,
    rate: Annotated[float, typer.Option("--rate", help="The highest learning rate.")] = 0.02,
    seeds: Annotated[int, typer.Option("--seeds", help="Runs of each condition; intervals are over them.")] = 3,
    seed: Annotated[int, typer.Option("--seed", help="The first seed of people, junk and parameters.")] = 0,
    out: Annotated[str | None, typer.Option("--out", help="Write an HTML page with bars to this .html file.")] = None,
    json: Annotated[str | None, typer.Option("--json", help="Write the answers as JSON to this file, or - for stdout.")] = None,
) -> None:
    """Measure how much knowledge junk costs a small model, and whether a tag in front of good data restores it."""
    from goldwash.evidence.errors import EvidenceError
    from goldwash.evidence.probe import copies as copying
    from goldwash.evidence.probe import critical, flattening, knowledge
    from goldwash.evidence.probe.junk import Junk, from_shards
    from goldwash.evidence.probe.report import Plan, page

    if out is not None and not out.endswith(".html"):
        raise EvidenceError(f"--out: expected an .html file, found {out}")
    if not 0 < rate < 1:
        raise EvidenceError(f"--rate: expected a learning rate between 0 and 1, found {rate:g}")
    if seeds < 1 or seed < 0:
        raise EvidenceError(f"expected at least one of --seeds and a --seed of at least 0, found {seeds} and {seed}")
    if bool(ratios) + (skew is not None) + bool(copies) > 1:
        raise EvidenceError("--ratio, --skew and --copies are different experiments: give one of them")
    source = from_shards(junk) if junk else Junk()
    count = people if people is not None else 100 if ratios else 200
    plan = Plan(
        count, tuple(exposures or (30, 60)), part, tuple(repeat or (50, 1000)), source, tuple(width or (32,)), rate,
        tuple(range(seed, seed + seeds)),
    )  # fmt: skip
    answers = Answers(quiet=json == "-")
    if ratios:
        finding = critical.experiment(plan, ratios, rows, note)
    elif copies:
        finding = copying.experiment(plan, copies, rows, note)
    elif skew is not None:
        finding = flattening.experiment(plan, skew, note)
    else:
        finding = knowledge.experiment(plan, note)
    _show(answers, finding)
    if out is not None:
        write(out, page(finding))
    answers.finish(json)


def _show(answers: Answers, finding: "Finding") -> None:
    answers.values["probe"] = finding.rows
    answers.values["advice"] = finding.advice
    answers.values["caution"] = finding.caution
    answers.say(finding.title)
    answers.table(finding.columns, finding.cells)
    answers.say(finding.advice)
    answers.say(finding.caution)
