"""``goldwash status``, ``explain``, ``near``, ``what-if`` and ``clean``: questions about a run or a stage's folder."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldwash.pipeline.cli.options import Keep
from goldwash.pipeline.cli.terminal import Column, Row, command, notify, say, show_table
from goldwash.text_output import printable

if TYPE_CHECKING:
    from goldwash.pipeline.inspect.live import View

app = typer.Typer()

Folder = Annotated[str, typer.Argument(metavar="RUN", help="The --out of a run or of a single stage, or RUN:STAGE.")]


@app.command()
def status(
    run_folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it until the run ends.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="With --watch: seconds between two looks.")] = 2.0,
) -> None:
    """Show where a run is, what failed and why; exit code 1 if it failed or stopped."""
    from goldwash.pipeline.engines.slurm_driver import in_words, without_drivers
    from goldwash.pipeline.inspect.status import folders, overall
    from goldwash.pipeline.inspect.status import status as status_of
    from goldwash.pipeline.inspect.summary import loss_lines, losses_in

    if watch:
        _watch(run_folder, every)
    found = without_drivers(run_folder, status_of(run_folder))
    for made in found:
        say(in_words(made))
        for failure in made.failures:
            where = f" (on {failure.host})" if failure.host else ""
            say(f"  {failure.task} failed{where}: {failure.why}")
            for line in failure.log:
                say(f"    | {line}")
    for line in loss_lines(losses_in(folders(run_folder))):
        say(line)
    state = overall(found)
    if state in ("failed", "stopped"):
        say(f"{state}: finished work is kept; give the same command again to go on from there")
        raise typer.Exit(1)


PLAIN_SECONDS = 60.0
"""Where there is no terminal: seconds between two lines of a stage that goes on."""


def _watch(run: str, every: float) -> None:
    """Show a run until it ends: a board on a terminal, else a line per change."""
    import time

    from goldwash.pipeline.engines.slurm_driver import without_drivers
    from goldwash.pipeline.inspect.live import Watch
    from goldwash.pipeline.inspect.status import status as status_of

    watching = Watch(run, lambda place: without_drivers(place, status_of(place)))
    view = watching.look()
    with _board() as show:
        show(view)
        while view.state not in ("finished", "failed", "stopped"):
            time.sleep(every)
            view = watching.look()
            show(view)


@contextmanager
def _board() -> "Iterator[Callable[[View], None]]":
    """Shows a view: on a terminal in place of the last one, else as lines, where something has changed."""
    import sys
    import time

    from goldwash.pipeline.inspect.live import drawn, plain_lines

    if sys.stdout.isatty():
        from rich.console import Console
        from rich.live import Live

        console = Console(file=sys.stdout, markup=False, emoji=False, highlight=False)
        with Live(console=console, transient=True, auto_refresh=False) as live:
            unicode = console.encoding.lower().startswith("utf")
            yield lambda view: live.update(drawn(view, console.width, console.height, unicode), refresh=True)
        return
    shown: dict[str, Any] = {"key": None, "at": 0.0}

    def lines(view: "View") -> None:
        key = [(row.name, row.state, row.part, row.failed) for row in view.rows]
        if key != shown["key"] or time.monotonic() - shown["at"] >= PLAIN_SECONDS:
            shown.update(key=key, at=time.monotonic())
            for line in plain_lines(view):
                say(line)
            sys.stdout.flush()

    yield lines


@app.command()
def explain(
    run_folder: Folder,
    page: Annotated[str, typer.Argument(metavar="URL_OR_ID", help="The page's URL or its id (WARC-Record-ID).")],
) -> None:
    """Show why a page was kept or dropped: each stage that it went through, and each rule's value beside its threshold."""
    from goldwash.pipeline.inspect.explain import explained

    for document, passages in explained(run_folder, page):
        if page not in (document["id"], document["url"]):
            notify(f"understood {printable(page, 200)} as {printable(document['url'], 200)}")
        say(f"{printable(document['url'])}  {printable(document['id'])}")
        for passage in passages:
            verdict = "kept" if passage.verdict == "kept" else f"dropped by {printable(passage.verdict)}"
            value = f" (value {passage.value:.6g})" if passage.value is not None else ""
            detail = f" [{printable(passage.detail)}]" if passage.detail else ""
            say(f"{passage.stage}: {verdict}{value}{detail}")
            for rule, measured, bounds, passed in passage.rules:
                say(f"  {'ok ' if passed else 'NO '} {printable(rule):42s} {_shown(measured):>12s}   {printable(bounds)}")


def _shown(measured: Any) -> str:
    number = isinstance(measured, int | float) or (hasattr(measured, "dtype") and measured.dtype.kind in "fiu")
    return f"{measured:.6g}" if number else printable(measured)


@app.command()
def near(
    run_folder: Annotated[
        str, typer.Argument(metavar="RUN", help="The --out of a run with a minhash stage, that stage's folder, or RUN:STAGE.")
    ],
    asked: Annotated[
        str, typer.Argument(metavar="ID_URL_FILE_OR_TEXT", help="A document's id or URL, a text file, or a text.")
    ],
    count: Annotated[int, typer.Option(min=1, help="How many neighbours to show.")] = 10,
    text: Annotated[bool, typer.Option("--text", help="Take the argument as the text itself, whatever it looks like.")] = False,
) -> None:
    """Show the documents nearest to a document or text: estimated and counted Jaccard similarity, and shared bands."""
    from goldwash.pipeline.inspect.neighbours import near as nearest_documents

    found = nearest_documents(run_folder, asked, count, as_text=text, notify=notify)
    if not found:
        say("no document shares a shingle with it, judging by the signatures")
        return
    columns = (Column("estimated", True), Column("counted", True), Column("bands", True), Column("document"))
    rows = []
    for n in found:
        counted = "-" if n.counted is None else f"{n.counted:.3f}"
        rows.append(Row((f"{n.estimated:.3f}", counted, str(n.bands), f"{printable(n.url)}  {printable(n.id)}")))
    show_table(columns, rows)


@app.command("what-if")
def what_if(
    input: Annotated[
        list[str],
        typer.Argument(
            metavar="SHARDS", help="A folder that `stage heuristics --annotate` wrote, scored shards, or RUN:STAGE."
        ),
    ],
    keep: Keep = [],  # noqa: B006
    fraction: Annotated[list[float], typer.Option(help="A top fraction of a score, such as 0.05. Several may follow.")] = [],  # noqa: B006
    column: Annotated[str, typer.Option(help="With --fraction: the score's column.")] = "quality_probability",
    by: Annotated[str, typer.Option(help="With --fraction: documents, bytes, or a column such as token_count.")] = "documents",
) -> None:
    """Count the documents that other bounds, or other fractions of a score, would keep; no text is read again."""
    from goldwash.pipeline.inspect.summary import share
    from goldwash.pipeline.inspect.what_if import what_if as answer
    from goldwash.pipeline.parameters import RecipeError

    if fraction and keep:
        raise RecipeError("give --keep or --fraction, not both")
    if fraction:
        _show_fractions(input, fraction, column, by)
        return
    answered = answer(input, keep)
    columns = (
        Column("rule"),
        Column("bounds"),
        Column("fail it", True),
        Column("dropped by it", True, 1),
        Column("left", True),
    )
    rows, left = [], answered.documents
    for rule in answered.rules:
        left -= rule.dropped
        cells = (rule.name, rule.bounds, f"{rule.failing:,}", f"{rule.dropped:,}", f"{left:,}")
        rows.append(Row(cells, "bold" if rule.changed else ""))
    show_table(columns, rows)
    before = f" (with the recipe's own bounds: {answered.kept_before:,})" if answered.kept_before is not None else ""
    say()
    say(f"kept: {answered.kept:,} of {answered.documents:,}, {share(answered.kept, answered.documents)}{before}")


def _show_fractions(names: Sequence[str], fractions: Sequence[float], column: str, by: str) -> None:
    from goldwash.pipeline.inspect.summary import share, size
    from goldwash.pipeline.inspect.what_if import top_fractions

    answer = top_fractions(names, fractions, column, by)
    titles = ("fraction", "threshold", "documents", "of all", "bytes", "of all")
    rows = [
        Row(
            (
                f"{top.fraction:g}", f"{top.threshold:.9g}", f"{top.documents:,}", share(top.documents, answer.documents),
                size(top.bytes), share(top.bytes, answer.bytes),
            )
        )
        for top in answer.tops
    ]  # fmt: skip
    show_table([Column(title, True) for title in titles], rows)
    say()
    say(f"of {answer.documents:,} documents, {size(answer.bytes)}, by {by}")


@app.command()
def clean(
    run_folder: Annotated[str, typer.Argument(metavar="RUN", help="The --out of a run.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove the folders that are listed.")] = False,
) -> None:
    """List the stage folders that a run no longer refers to (of older parameters), and with --yes remove them."""
    from goldwash.pipeline.inspect.cleaning import remove, unused
    from goldwash.pipeline.inspect.summary import size

    found = unused(run_folder)
    for folder in found.folders:
        say(f"{folder.location}  {size(folder.bytes)}")
    if not found.folders:
        say(f"{run_folder}: nothing to remove: the run refers to each of its stage folders")
        return
    total = size(sum(folder.bytes for folder in found.folders))
    if found.waiting:
        say(f"note: the run is not finished; a folder of a later stage ({', '.join(found.waiting)}) may be reused by it")
    if yes:
        remove(run_folder, found)
        say(f"removed {len(found.folders)} folders, {total}")
    else:
        say(f"{len(found.folders)} folders, {total}. To remove them: {command()} clean {shlex.quote(run_folder)} --yes")
