"""The plan before a run, and the summary and advice after it."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from goldwash.pipeline.cli.terminal import Column, Row, notify, say, show_table
from goldwash.text_output import printable

if TYPE_CHECKING:
    from goldwash.pipeline.flow import Options, Step
    from goldwash.pipeline.recipes.recipe import Recipe
    from goldwash.pipeline.stage import Stage
    from goldwash.pipeline.storage.source import Input

SUMMARY = (
    Column("stage / rule"), Column("documents", True), Column("of stage", True, 1), Column("of all", True, 2),
    Column("bytes", True, 3), Column("time", True, 4),
)  # fmt: skip
PLAN = (
    Column("stage"), Column("tasks", True, 2), Column("documents", True), Column("reads", True, 4), Column("CPU time", True),
    Column("longest task", True, 5), Column("memory per task", True, 1), Column("writes", True, 3), Column("state", False, 6),
)  # fmt: skip
STYLES = {"reads": "bold", "dropped": "", "edited": "dim", "keeps": "green"}


def show_notes(stages: "Sequence[Stage]") -> None:
    """Print what a user must know before these stages start, such as that a model is a toy."""
    for stage in stages:
        for line in stage.notes():
            notify(f"note: {line}")


def show_steps(steps: "Sequence[Step]") -> None:
    """Print the summary, its legend, and the damage that was found in the inputs."""
    import shutil
    import sys

    from goldwash.pipeline.inspect import summary
    from goldwash.pipeline.inspect.summary import LEGEND, ledger, loss_lines, losses_in, renamed_columns, size

    losses = losses_in([step.folder for step in steps])
    if counts := ledger(steps, losses.places):
        say(counts)
    found, rows = list(summary.lines(steps)), []
    if sys.stdout.isatty():  # elsewhere somebody may look for a rule
        found = summary.folded(found, shutil.get_terminal_size().lines - 10)
    for line in found:
        documents, bytes_ = f"{line.count.documents:,}", size(line.count.bytes)
        if line.kind == "edited":
            rows.append(Row((f"  ~ {line.name}", f"({documents})", "", "", f"-{bytes_}", ""), STYLES[line.kind]))
            continue
        name = {"reads": f"{line.name} reads", "dropped": f"  - {line.name}", "keeps": "  keeps"}[line.kind]
        rows.append(Row((name, documents, line.of_stage, line.of_all, bytes_, line.time), STYLES[line.kind]))
    show_table(SUMMARY, rows)
    if any(step.report and (step.report.dropped or step.report.edited) for step in steps):
        say(LEGEND)
    for sentence in loss_lines(losses):
        notify(sentence)
    if names := renamed_columns(steps):
        kept = ", ".join(printable(f"input_{name}") for name in names)
        notify(f"note: goldwash writes columns of its own called {', '.join(map(printable, names))}; yours are kept as {kept}")


def show_end(loaded: "Recipe", steps: "Sequence[Step]", folder: str, whole: bool, command: str) -> None:
    """Print where the dataset is, how to ask further, and the notes of the stages that ran."""
    say()
    if whole:
        say(f"the dataset: {folder}/dataset/part-*.parquet")
    say(f"why a page was dropped: {command} explain {shlex.quote(folder)} URL")
    say(f"the report, a page to look at: {command} report {shlex.quote(folder)}")
    show_opt_outs(steps)
    show_alarms(steps)
    for step in steps:
        for line in step.stage.notes():
            say(f"note: {line}")
    if loaded.name == "sample" and whole:
        say(f"on your own crawl: {command} run baseline --input 'crawl/*.warc.gz' --out runs/first")


def show_opt_outs(steps: "Sequence[Step]") -> None:
    """Print what honouring opt-outs cost: a line for each stage whose rules dropped pages for what their owners said."""
    from goldwash.pipeline.inspect.disclosure import ROBOTS
    from goldwash.pipeline.inspect.summary import size
    from goldwash.pipeline.optouts.pages import FLAGS

    for step in steps:
        if step.report is None:
            continue
        lost = [count for rule, count in step.report.dropped.items() if rule.partition(".")[0] in (*FLAGS, ROBOTS)]
        documents, bytes_, read = sum(c.documents for c in lost), sum(c.bytes for c in lost), step.report.read
        if documents:
            say(
                f"opt-outs: {step.stage.name} dropped {documents:,} of {read.documents:,} documents "
                f"({documents / read.documents:.1%}), {size(bytes_)} of {size(read.bytes)} ({bytes_ / max(read.bytes, 1):.1%})"
            )


def show_alarms(steps: "Sequence[Step]") -> None:
    """Print the sources of which a stage took far more than of the others, up to ten."""
    from goldwash.pipeline.by_source import sentences
    from goldwash.pipeline.storage.locations import join
    from goldwash.pipeline.storage.sealed import read_sealed

    told = []
    for step in steps:
        report = read_sealed(join(step.folder, "report.json")) or {}
        told += sentences(step.stage.name, report.get("facts", {}).get("by_source", {}))
    for line in told[:MOST_ALARMS]:
        say(f"alarm: {line}")
    if len(told) > MOST_ALARMS:
        say(f"alarm: {len(told) - MOST_ALARMS:,} more, in report.json of the stages, under facts.by_source.alarms")


MOST_ALARMS = 10


def show_plan(loaded: "Recipe", inputs: "Sequence[Input]", folder: str, until: str | None, options: "Options") -> None:
    """Print what a run would take, stage by stage, and which stages are finished already."""
    from goldwash.pipeline import flow
    from goldwash.pipeline.inspect.estimate import SOURCES, plan
    from goldwash.pipeline.inspect.summary import duration, size

    known = sum(i.bytes for i in inputs)
    unknown = sum(not i.bytes for i in inputs)
    sizes = size(known) + (f" and {unknown:,} of unknown size" if unknown else "")
    say(f"recipe {loaded.name}: {len(inputs):,} inputs, {sizes}; output in {folder}")
    say()
    estimates = plan(loaded, inputs)
    rows = []
    for row, step in zip(estimates, flow.planned(loaded, inputs, folder, until, options), strict=False):
        state = f"finished, will be reused: {step.folder}" if step.reused else f"to do: {step.folder}".removesuffix(": ")
        cells = (
            row.stage, f"{row.tasks:,}", f"{row.documents:,.0f}", size(row.read), duration(row.cpu_seconds),
            duration(row.longest_seconds), size(row.memory), size(row.written), state,
        )  # fmt: skip
        rows.append(Row(cells))
    show_table(PLAN, rows)
    say()
    shown = estimates[: len(rows)]
    say(f"{duration(sum(row.cpu_seconds for row in shown))} of CPU time in all. An estimate:")
    for line in SOURCES.splitlines():
        say(line)
    for row in shown:
        if row.cure:
            say(f"note: {row.cure}")
