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
        list[str] | None, typer.Option("--junk", help="Your junk: Parquet, JSONL or text. Without it, invented people.")
    ] = None,
    people: Annotated[int, typer.Option("--people", help="People to remember.")] = 500,
    exposures: Annotated[
        list[int] | None, typer.Option("--exposures", help="How often each is seen; several may follow.")
    ] = None,
    part: Annotated[float, typer.Option("--part", help="The fraction of rows that is junk.")] = 0.875,
    ratios: Annotated[
        list[float] | None,
        typer.Option("--ratio", help="Instead: accuracy by the people's fraction of the rows, at equal rows."),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", help="With --ratio: rows of every run.")] = 100_000,
    width: Annotated[
        list[int] | None, typer.Option("--width", help="Widths of the model; with --ratio several may follow.")
    ] = None,
    rate: Annotated[float, typer.Option("--rate", help="The highest learning rate.")] = 0.02,
    seed: Annotated[int, typer.Option("--seed", help="Seed of people, junk and parameters.")] = 0,
    out: Annotated[str | None, typer.Option("--out", help="Write an HTML page with bars to this .html file.")] = None,
    json: Annotated[str | None, typer.Option("--json", help="Write the answers as JSON to this file, or - for stdout.")] = None,
) -> None:
    """Measure how much knowledge junk costs a small model, and whether a tag in front of good data restores it."""
    from goldwash.evidence.errors import EvidenceError
    from goldwash.evidence.probe import report
    from goldwash.evidence.probe.junk import Junk, from_shards

    if out is not None and not out.endswith(".html"):
        raise EvidenceError(f"--out: expected an .html file, found {out}")
    if not 0 < rate < 1:
        raise EvidenceError(f"--rate: expected a learning rate between 0 and 1, found {rate:g}")
    source = from_shards(junk) if junk else Junk()
    answers, widths = Answers(quiet=json == "-"), tuple(width or (32,))
    plan = report.Plan(people, tuple(exposures or (100,)), part, source, widths, rate, seed)
    if ratios:
        finding = report.critical(plan, ratios, rows, note)
    elif len(widths) > 1:
        raise EvidenceError("several --width need --ratio; give one width")
    else:
        finding = report.knowledge(plan, note)
    _show(answers, finding)
    if out is not None:
        write(out, report.page(finding))
    answers.finish(json)


def _show(answers: Answers, finding: "Finding") -> None:
    answers.values["probe"] = finding.rows
    answers.values["advice"] = finding.advice
    answers.say(finding.title)
    answers.table(finding.columns, finding.cells)
    answers.say(finding.advice)
    answers.say(finding.caution)
