"""``goldwash compare``: which dataset teaches more, measured in bits per byte of target texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldwash.evidence.cli.answers import Answers, note, write
from goldwash.evidence.cli.comparing import Comparing, comparing, named
from goldwash.pipeline.cli.options import TextColumn

if TYPE_CHECKING:
    from goldwash.evidence.compare.experiment import Comparison

app = typer.Typer()

Page = Annotated[str | None, typer.Option("--out", help="Write a page with tables and curves to this .html file.")]
Save = Annotated[
    str | None,
    typer.Option("--save", help="Write the models of the first seed to this folder: .ngram for perplexity:, .gpt for topk:."),
]


@app.command()
@comparing
def compare(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="A=PLACE B=PLACE...", help="Datasets: runs, stages, folders or files. Others are compared to the first."
        ),
    ],
    how: Comparing,
    text_column: TextColumn = "text",
    out: Page = None,
    save: Save = None,
) -> None:
    """Compare datasets: train small models on equal samples of each, and measure target texts in bits per byte."""
    from dataclasses import replace

    from goldwash.evidence.compare import experiment, report

    check_page(out)
    settings = how.settings()
    given = [replace(named(text, "dataset"), column=text_column) for text in datasets]
    if save is not None:
        Path(save).mkdir(parents=True, exist_ok=True)
    data = experiment.gather(given, how.asked(), settings, note, how.own_tokenizer())
    found = experiment.compare(data, how.learners(data.tokenizer.vocab), settings, note, save)
    answers = Answers(quiet=how.json == "-")
    answers.values.update(report.values(found))
    show(answers, found, how.kinds)
    if out is not None:
        write(out, report.page(found, "goldwash compare", how.kinds))
    answers.finish(how.json)


def show(answers: Answers, found: "Comparison", kinds: bool) -> None:
    """The tables and sentences of a comparison."""
    from goldwash.evidence.compare import report

    answers.say(report.headline(found))
    for one in report.tables(found, kinds):
        answers.say()
        answers.say(one.title)
        answers.table(one.columns, one.rows)
    answers.say()
    for line in report.sentences(found):
        answers.say(line)


def check_page(out: str | None) -> None:
    """Refuse a page that is no HTML, before anything is trained."""
    from goldwash.evidence.errors import EvidenceError

    if out is not None and not out.endswith(".html"):
        raise EvidenceError(f"--out: expected an .html file, found {out}")
