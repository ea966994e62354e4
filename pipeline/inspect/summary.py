"""A run in a table: what went into each stage, what came out, and which rule dropped how much."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from goldwash.pipeline.flow import Step
from goldwash.pipeline.report import Count, Report


def share(part: int, whole: int) -> str:
    """A percentage for people; "-" of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def size(bytes_: float) -> str:
    """Bytes for people, in powers of ten."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(bytes_) >= scale:
            return f"{bytes_ / scale:.1f} {unit}"
    return f"{bytes_:.0f} B"


def duration(seconds: float) -> str:
    """A time for people."""
    for unit, scale in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * scale:
            return f"{seconds / scale:,.0f} {unit}" if seconds >= 20 * scale else f"{seconds / scale:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"


def show(steps: Sequence[Step], console: Console) -> None:
    """Print the funnel: a row a stage, and under it a row a rule, the greediest first."""
    table = Table(box=None, pad_edge=False)
    table.add_column("stage / rule")
    for title in ("documents", "of stage", "of all", "bytes", "time"):
        table.add_column(title, justify="right")
    first = next((step.report.read.documents for step in steps if step.report), 0)
    for step in steps:
        _rows(table, step, first)
    console.print(table, highlight=False)


def _rows(table: Table, step: Step, first: int) -> None:
    report = step.report or Report()
    time = "reused" if step.reused else f"{step.seconds:.1f} s" if step.seconds else ""
    _row(table, f"[bold]{step.stage.name}[/bold] reads", report.read, report.read.documents, first, time)
    for rule, count in sorted(report.dropped.items(), key=lambda item: (-item[1].documents, item[0])):
        _row(table, f"  - {rule}", count, report.read.documents, first, "")
    for rule, count in sorted(report.edited.items()):
        table.add_row(f"  ~ {rule}", f"({count.documents:,})", "", "", f"-{size(count.bytes)}", "", style="dim")
    _row(table, "  [green]keeps[/green]", report.kept, report.read.documents, first, "")


def _row(table: Table, name: str, count: Count, stage: int, first: int, time: str) -> None:
    cells = (f"{count.documents:,}", share(count.documents, stage), share(count.documents, first), size(count.bytes), time)
    table.add_row(name, *cells)
