"""A run while it is under way: each stage, how far it is, its speed, the time left, and the drops by rule so far.

Invariants: everything is read from the run's folder, as `pipeline.inspect.status` reads it, so that a run on a cluster can be
watched from anywhere that sees the folder. Markers are read once each. Speeds and times left are estimates; the rest are facts.
Names from data are escaped. The board is at most as high and as wide as the terminal.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from goldwash.pipeline.inspect.status import PassStatus, StageStatus, State, folders, overall, stage_in, status
from goldwash.pipeline.inspect.summary import share
from goldwash.pipeline.report import Report
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join, names_in, read_json
from goldwash.text_output import printable

PASSES = {
    "keys": "hashing documents",
    "pairs": "finding candidate pairs",
    "components": "joining pairs into clusters",
    "sets": "collecting the texts of clusters",
    "judged": "comparing copies",
    "count": "counting",
    "group": "filling Bloom filters",
    "scores": "scoring",
    "ties": "ranking equal scores",
    "merged": "merging results",
    "vectors": "embedding documents",
    "centroids": "finding cluster centres",
    "assigned": "assigning documents to clusters",
    "near": "comparing neighbours",
    "edges": "finding quantiles",
    "tally": "counting buckets",
    "draw": "drawing documents",
    "spread": "shuffling",
    "whole": "shuffling in memory",
    "look": "reading schemas",
    "chosen": "counting tokens",
    "packed": "packing sequences",
    "about": "writing indexes",
    "part": "writing shards",
}
"""Titles of passes. A plug-in's pass is shown by its name."""


def pass_title(part: str) -> str:
    """A pass in words; a number at its end does not count.

    >>> pass_title("spread2"), pass_title("my_pass")
    ('shuffling', 'my_pass')
    """
    return PASSES.get(part.rstrip("0123456789"), printable(part))


DROPS = 8
"""Rules that are named, those that drop most first."""

MARKS = {"finished": "✓", "under way": "▶", "failed": "✗", "stopped": "■", "waiting": " "}
PLAIN_MARKS = {"finished": "+", "under way": ">", "failed": "!", "stopped": "#", "waiting": " "}
STYLES = {"finished": "green", "under way": "bold", "failed": "bold red", "stopped": "yellow", "waiting": "dim"}

WIDE = 100
"""Columns of a terminal from which on speed and running tasks are shown."""


@dataclass(frozen=True)
class Row:
    """A stage: its state, its pass under way, tasks, and documents; ``left``: seconds, None where that is unknown."""

    name: str
    state: State
    part: str = ""
    done: int = 0
    tasks: int = 0
    running: int = 0
    failed: int = 0
    read: int = 0
    kept: int | None = None
    fraction: float = 0.0
    bytes_per_second: float = 0.0
    left: float | None = None
    queue: str = ""

    def words(self) -> str:
        """The row in a line of text."""
        if self.state == "finished":
            return f"{self.name}: {self.read:,} read, {self.kept or 0:,} kept"
        if not self.tasks:
            return f"{self.name}: {self.state}"
        return f"{self.name}: {', '.join([self.state, *self.details(wide=True)])}"

    def details(self, wide: bool) -> list[str]:
        """What is known of the pass under way."""
        found = [f"{pass_title(self.part)} {self.done:,}/{self.tasks:,} tasks"]
        found += [f"{self.running:,} running"] if self.running and wide else []
        found += [f"{self.failed:,} failed"] if self.failed else []
        found += [f"{self.read:,} documents"] if self.read else []
        found += [f"{self.bytes_per_second / 1e6:.1f} MB/s"] if self.bytes_per_second and wide else []
        found += [f"{in_words(self.left)} left"] if self.left is not None else []
        return found + ([self.queue] if self.queue and self.done < self.tasks else [])


@dataclass(frozen=True)
class View:
    """A run at one moment. ``drops``: documents by rule, over all stages."""

    state: State
    rows: tuple[Row, ...]
    drops: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


def in_words(seconds: float) -> str:
    """A time left, rounded to the precision of the estimate.

    >>> in_words(20), in_words(400), in_words(9000), in_words(200_000)
    ('under a minute', '7 min', '2 h 30 min', '2 days 8 h')
    """
    minutes = round(seconds / 60)
    if seconds < 60:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} day{'s' if hours >= 48 else ''} {hours % 24} h"


# --- looking


@dataclass
class _Seen:
    """What the markers and states of one pass said so far."""

    markers: set[str] = field(default_factory=set)
    report: Report = field(default_factory=Report)
    """The sum of those markers' reports."""
    first: tuple[float, int, float] | None = None
    """When it was first looked at, the bytes read by then, and how far it was."""


class Watch:
    """Looks at a run again and again; keeps what it has read of markers that never change.

    ``states``: the stages' states, as `pipeline.inspect.status.status` finds them, or an engine that knows more.
    """

    def __init__(
        self, run: str, states: Callable[[str], Sequence[StageStatus]] = status, clock: Callable[[], float] = time.time
    ) -> None:
        self.run, self.states, self.clock = run, states, clock
        self._seen: dict[tuple[str, str], _Seen] = {}

    def look(self) -> View:
        """The run now. A `DataError` where the folder is neither a run nor a stage."""
        found = self.states(self.run)
        places = folders(self.run)
        rows, drops = [], Counter[str]()
        failures = []
        for number, stage in enumerate(found):
            folder = places[number] if number < len(places) else ""
            row, report = self._row(stage, folder)
            rows.append(row)
            drops.update({printable(rule, 80): count.documents for rule, count in report.dropped.items()})
            failures += [f"{stage.name}, {each.task}: {each.why}" for each in stage.failures]
        return View(overall(found), tuple(rows), dict(drops), tuple(failures))

    def _row(self, stage: StageStatus, folder: str) -> tuple[Row, Report]:
        name = printable(stage.name, 60)
        if stage.report is not None:
            read, kept = stage.report.read.documents, stage.report.kept.documents
            return Row(name, stage.state, read=read, kept=kept, fraction=1.0), stage.report
        if not stage.passes or not folder:
            return Row(name, stage.state), Report()
        now = stage.passes[-1]
        report = self._markers(folder, now.part)
        return self._under_way(stage, now, folder, report), report

    def _markers(self, folder: str, part: str) -> Report:
        """The sum of the finished tasks' reports of a pass; a marker that is broken is passed over."""
        seen = self._seen.setdefault((folder, part), _Seen())
        there = {name for name in names_in(join(folder, "tasks")) if name.startswith(f"{part}-")}
        if not seen.markers <= there:  # the stage was begun anew
            seen.markers, seen.report = set(), Report()
        for name in there - seen.markers:
            try:
                seen.report += Report.from_dict(read_json(join(folder, "tasks", name))["report"])
            except (DataError, KeyError, TypeError):
                continue
            seen.markers.add(name)
        return seen.report

    def _under_way(self, stage: StageStatus, now: PassStatus, folder: str, report: Report) -> Row:
        documents, bytes_, part = report.read.documents, report.read.bytes, float(now.done)
        for state in _states(folder, now.part):
            documents += int(state.get("documents", 0))
            bytes_ += int(state.get("bytes", 0))
            part += min(0.99, float(state.get("fraction", 0.0)))
        fraction = min(1.0, part / now.tasks) if now.tasks else 0.0
        rate, left = self._speed(folder, now.part, bytes_, fraction)
        return Row(
            printable(stage.name, 60), stage.state, now.part, now.done, now.tasks, now.running, now.failed, documents, None,
            fraction, rate, left if stage.state == "under way" else None, printable(now.queue, 200),
        )  # fmt: skip

    def _speed(self, folder: str, part: str, bytes_: int, fraction: float) -> tuple[float, float | None]:
        """Bytes per second and seconds left, since this process first looked: work of an earlier attempt took no time now."""
        seen, now = self._seen.setdefault((folder, part), _Seen()), self.clock()
        if seen.first is None:
            seen.first = (now, bytes_, fraction)
        began, had, was = seen.first
        spent = now - began
        if spent <= 0 or fraction <= was:
            return 0.0, None
        return max(0.0, (bytes_ - had) / spent), spent * (1 - fraction) / (fraction - was)


def _states(folder: str, part: str) -> Iterator[dict[str, Any]]:
    """The states of tasks that are under way."""
    place = join(folder, "logs", part, "states")
    done = names_in(join(folder, "tasks"))
    for name in names_in(place):
        if name.endswith(".json") and name not in done:
            try:
                held = read_json(join(place, name))
            except DataError:
                continue
            if isinstance(held, dict) and not held.get("why"):
                yield held


def run_rows(run: str) -> tuple[list[Row], Counter[str]]:
    """The stages of a run as rows, from their reports alone, and the drops by rule; ``[]`` where the folder is no run."""
    held, rows, drops = read_json(join(run, "run.json")), list[Row](), Counter[str]()
    if not isinstance(held, dict) or stage_in(run) is not None:
        return rows, drops
    for number, name in enumerate(held.get("order") or ()):
        done = held["stages"][number] if number < len(held["stages"]) else None
        report = read_json(join(run, str(done), "report.json")) if done else None
        if report is None:
            rows.append(Row(printable(name, 60), "under way" if done else "waiting"))
            continue
        counts = Report.from_dict(report["report"])
        drops.update({printable(rule, 80): count.documents for rule, count in counts.dropped.items()})
        rows.append(Row(printable(name, 60), "finished", read=counts.read.documents, kept=counts.kept.documents, fraction=1.0))
    return rows, drops


# --- drawing


def drawn(view: View, width: int, height: int, unicode: bool = True) -> RenderableType:
    """The board of a run for a terminal of this size."""
    rows = _fitting(view.rows, max(3, height - 4))
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True, width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(10, width // 4))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(10, width - width // 4 - 8))
    for row in rows:
        mark = (MARKS if unicode else PLAIN_MARKS)[row.state]
        table.add_row(Text(mark, STYLES[row.state]), Text(row.name, STYLES[row.state]), _detail(row, width))
    return Group(table, *drop_lines(view.drops, width), *(Text(line, "red") for line in view.failures[:2]))


def _fitting(rows: Sequence[Row], most: int) -> Sequence[Row]:
    """As many rows as fit, those around the stage under way."""
    if len(rows) <= most:
        return rows
    here = next((n for n, row in enumerate(rows) if row.state != "finished"), len(rows) - 1)
    first = max(0, min(here - most // 2, len(rows) - most))
    return rows[first : first + most]


def _detail(row: Row, width: int) -> RenderableType:
    if row.state == "finished":
        return Text(f"{row.read:,} read, {row.kept or 0:,} kept ({share(row.kept or 0, row.read)})", "dim")
    if not row.tasks:
        return Text("" if row.state == "waiting" else row.state, STYLES[row.state])
    text = Text(f"{row.fraction:4.0%}  " + ", ".join(row.details(wide=width >= WIDE)))
    if width < WIDE:
        return text
    line = Table.grid(padding=(0, 2))
    line.add_column(width=20)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_row(ProgressBar(total=1.0, completed=row.fraction, width=20), text)
    return line


def drop_lines(drops: Mapping[str, int], width: int) -> list[Text]:
    """The drops by rule so far in one line; none if nothing was dropped."""
    if not any(drops.values()):
        return []
    most = sorted(drops.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{rule} {count:,}" for rule, count in most[:DROPS] if count]
    rest = sum(count for _, count in most[DROPS:])
    line = "dropped so far: " + " · ".join([*words, *([f"others {rest:,}"] if rest else [])])
    return [Text(line, "dim", no_wrap=True, overflow="ellipsis")]


def plain_lines(view: View) -> list[str]:
    """The view for a log: a line for the stage under way, or for the end of the run."""
    here = next((row for row in view.rows if row.state not in ("finished", "waiting")), None)
    if here is None and view.state == "finished":
        last = view.rows[-1] if view.rows else None
        return [f"finished: {last.kept or 0:,} documents kept" if last else "finished"]
    line = [here.words() if here else f"waiting for {next((r.name for r in view.rows if r.state == 'waiting'), 'a stage')}"]
    return line + [f"  {line.plain}" for line in drop_lines(view.drops, 10_000)]
