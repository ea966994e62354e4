"""Progress of a run: a board on a terminal, one line per minute where output goes to a file.

Invariants: numbers come from the tasks' markers and states (`pipeline.storage.states`), so that anybody who sees the output
folder can show them (`pipeline.inspect.live` does, from another process). While tasks run, folders are listed by name, and
only markers that are new are read. A task counts by the bytes of its inputs, and by how far it has read them. Times left are
estimates: of a pass from its own speed, of the run from the costs that its stages declare and the speed so far.
"""

import collections
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress

from goldwash.pipeline.inspect.live import Row, View, drawn, drop_lines, in_words, pass_title, run_rows
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import is_local, join, names_in, read_json
from goldwash.pipeline.storage.states import logs_of
from goldwash.pipeline.storage.tasks import Task, finished_markers
from goldwash.text_output import printable

BAR_SECONDS, LINE_SECONDS = 0.5, 60.0
"""Seconds between moves of a bar, and between lines."""

MOST_ROWS = 14
"""The lowest terminal, in lines, on which the stages of a run are listed."""

COUNTING_SHARE = 0.05
"""Largest share of a processor that counting may take; large folders are counted less often."""

TEXT_RATIO = 4.0
"""Bytes of text or HTML per byte of a compressed input, until finished tasks give a better figure."""

ASKED_AGAIN = "Meanwhile tasks that read from it ask again, for up to GOLDWASH_PATIENCE seconds (3600 by default)"
"""Of a store that does not answer: tasks' own logs are uploaded at their end, so the driver says it."""

NARROW, WIDE = 70, 110
"""Terminal widths in columns: the narrowest with a bar, and the narrowest with documents and the run's time left."""


class Progress:
    """A context around a pass; this one shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def poll(self) -> None:
        """Called by the engine from time to time."""


Shown = Callable[[Sequence[Task]], Progress]
"""Makes the progress of a pass."""


def silent(tasks: Sequence[Task]) -> Progress:
    """A `Progress` that shows nothing."""
    return Progress()


@dataclass
class Course:
    """A run's stages with the seconds that each is expected to take, in order, and the seconds used so far.

    Only the ratios of these seconds count: the machine's speed is learned on the way.
    """

    stages: Sequence[tuple[str, float]] = ()
    began: float = field(default_factory=time.monotonic)

    def title(self, stage: str, part: str) -> str:
        """As ``stage 2 of 6, minhash: comparing copies``."""
        names = [name for name, _ in self.stages]
        place = f"stage {names.index(stage) + 1} of {len(names)}, " if stage in names and len(names) > 1 else ""
        passes = f": {pass_title(part)}" if part != "part" else ""
        return f"{place}{printable(stage)}{passes}"

    def seconds_left(self, stage: str, spent: float, left: float) -> float | None:
        """Seconds left for the run, given those that this pass has taken and has left; None where that is unknown."""
        names = [name for name, _ in self.stages]
        if stage not in names:
            return None
        here = names.index(stage)
        later = sum(seconds for _, seconds in self.stages[here + 1 :])
        expected = self.stages[here][1]
        return left + later * ((spent + left) / expected) if expected > 0 else None


@dataclass(frozen=True)
class Count:
    """How far a pass is."""

    tasks: int = 0
    documents: int = 0
    bytes: int = 0
    fraction: float = 0.0


class Counter:
    """Counts a pass's tasks, from markers and states."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = list(tasks)
        self.weights = [max(1, sum(source.bytes for source in task.sources)) for task in tasks]
        self.ahead = {f"{task.name}.json": n for n, task in enumerate(tasks)}
        self.finished: dict[int, tuple[int, int]] = {}
        self.dropped = collections.Counter[str]()

    def count(self) -> Count:
        """How far the pass is now."""
        first = self.tasks[0]
        there = names_in(join(first.out, "tasks"))
        new = [n for name, n in self.ahead.items() if name in there]
        for n, marker in zip(new, finished_markers([self.tasks[n] for n in new]), strict=True):
            if marker is not None:
                read = marker["report"]["read"]
                self.finished[n] = (read["documents"], read["bytes"])
                counts = marker["report"]["dropped"].items()
                self.dropped.update({printable(rule, 80): count["documents"] for rule, count in counts})
                del self.ahead[f"{self.tasks[n].name}.json"]
        documents, bytes_ = (sum(pair[k] for pair in self.finished.values()) for k in (0, 1))
        weight = float(sum(self.weights[n] for n in self.finished))
        ratio = bytes_ / weight if bytes_ else TEXT_RATIO
        for n, state in self._states():
            documents += state.get("documents", 0)
            bytes_ += state.get("bytes", 0)
            weight += self.weights[n] * self._fraction(n, state, ratio)
        return Count(len(self.finished), documents, bytes_, weight / sum(self.weights))

    def _states(self) -> list[tuple[int, dict[str, Any]]]:
        """The numbers and states of tasks that have started and are not done."""
        if not is_local(self.tasks[0].out):
            return []
        folder, found = join(logs_of(self.tasks[0]), "states"), []
        for name in names_in(folder) & self.ahead.keys():
            try:
                found.append((self.ahead[name], read_json(join(folder, name)) or {}))
            except DataError:
                continue
        return found

    def _fraction(self, number: int, state: dict[str, Any], ratio: float) -> float:
        """How much of its inputs a task has read."""
        if "fraction" in state:
            return float(min(1.0, max(0.0, state["fraction"])))
        sources = self.tasks[number].sources
        rows = [source.rows for source in sources]
        if sources and all(rows):
            return float(min(0.99, state.get("documents", 0) / sum(r or 0 for r in rows)))
        return float(min(0.99, state.get("bytes", 0) / (self.weights[number] * ratio))) if sources else 0.0


class Lines(Progress):
    """One line per minute, and one at the end of the pass."""

    seconds = LINE_SECONDS

    def __init__(self, tasks: Sequence[Task], console: Console, course: Course | None = None) -> None:
        self.tasks, self.console, self.course = list(tasks), console, course or Course()
        self.counter = Counter(tasks)
        self.title = self.course.title(str(tasks[0].stage["name"]), tasks[0].part)
        self.began = time.monotonic()
        self.before = self.now = Count()
        self.away = False
        """Whether the output's disk or store did not answer when it was last counted; the first time is one line."""
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True, name="progress")

    def __enter__(self) -> Self:
        self.before = self.now = self.counter.count()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        self.now = self.counter.count()
        seconds = time.monotonic() - self.began
        self._print(f"{self.title:24s} {self._tasks()}{self._read()}  {seconds:.1f} s")

    def _watch(self) -> None:
        pause = self.seconds
        while not self.stop.wait(pause):
            began = time.monotonic()
            try:
                self.now = self.counter.count()
            except OSError as error:  # a disk or store that is away for a moment; the engine notices if it stays so
                if not self.away:
                    asked = "" if is_local(self.tasks[0].out) else f". {ASKED_AGAIN}"
                    self._print(f"{self.title}: {printable(str(error), 600)}{asked}")
                self.away = True
                continue
            finally:
                pause = max(self.seconds, (time.monotonic() - began) / COUNTING_SHARE)
            self.away = False
            self._show()

    def _show(self) -> None:
        self._print(
            ", ".join([self.title, f"{self.now.fraction:.0%}", self._tasks().strip() + self._read(), *self._left(run=True)])
        )

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _tasks(self) -> str:
        return f"{self.now.tasks}/{len(self.tasks)} tasks"

    def _read(self) -> str:
        """Documents and speed; "" for a pass that reads no documents."""
        seconds = max(time.monotonic() - self.began, 1e-3)
        rate = (self.now.bytes - self.before.bytes) / 1e6 / seconds
        return f"  {self.now.documents:,} documents  {rate:.1f} MB/s" if self.now.documents else ""

    def _left(self, run: bool) -> list[str]:
        """The time left for this pass and for the run, in words."""
        spent, made = time.monotonic() - self.began, self.now.fraction - self.before.fraction
        if made <= 0 or self.now.fraction >= 1:
            return []
        left = spent * (1 - self.now.fraction) / made
        whole = self.course.seconds_left(str(self.tasks[0].stage["name"]), spent, left) if run else None
        return [f"{in_words(left)} left"] + ([f"the run: {in_words(whole)}"] if whole is not None else [])


class Bar(Lines):
    """A board that moves twice a second, whatever the driver is doing: the run's stages, a bar for the pass, and the drops by
    rule so far. The line at the end of the pass stays."""

    seconds = BAR_SECONDS

    def __init__(self, tasks: Sequence[Task], console: Console, course: Course | None = None) -> None:
        super().__init__(tasks, console, course)
        bar = [BarColumn(bar_width=None if console.width < WIDE else 40)] if console.width >= NARROW else []
        text = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[said]}", markup=False)
        self.bar = RichProgress(text[0], *bar, text[1], console=console, expand=console.width < WIDE)
        self.row = self.bar.add_task(self._short(), total=1.0, said="")
        self.rows, self.drops = run_rows(tasks[0].out.rstrip("/").rpartition("/")[0] or ".")
        self.live = Live(console=console, transient=True, get_renderable=self._board, refresh_per_second=1 / BAR_SECONDS)

    def __enter__(self) -> Self:
        super().__enter__()
        self._show()
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        self.live.stop()
        super().__exit__()

    def _board(self) -> RenderableType:
        """The stages, where the terminal is high enough for them, the pass, and the drops so far."""
        size, drops = self.console.size, self.drops + self.counter.dropped
        stages = [drawn(View("under way", tuple(self._rows())), size.width, size.height, _unicode(self.console))]
        return Group(*(stages if self.rows and size.height > MOST_ROWS else []), self.bar, *drop_lines(drops, size.width))

    def _rows(self) -> list[Row]:
        """The run's stages; the line of the one under way is the bar below."""
        return [row if row.state != "under way" else Row(row.name, "under way") for row in self.rows]

    def _short(self) -> str:
        """The title, as long as the terminal has room for it."""
        most = max(10, self.console.width // 2)
        return self.title if len(self.title) <= most else self.title[: most - 1] + "…"

    def _show(self) -> None:
        wide = self.console.width >= WIDE
        words = [
            f"{self.now.fraction:4.0%}",
            *([self._tasks() + self._read()] if self.console.width >= NARROW and wide else []),
        ]
        self.bar.update(self.row, completed=self.now.fraction, said="  ".join([*words, *self._left(run=wide)]))


def _unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")


def shown(console: Console | None = None, stages: Sequence[tuple[str, float]] = ()) -> Shown:
    """A board where standard error is a terminal, plain lines elsewhere.

    ``stages``: the stages of the run, in order, with the CPU seconds that each is expected to take.
    """
    console = console or Console(stderr=True)
    kind, course = Bar if sys.stderr.isatty() else Lines, Course(stages)
    return lambda tasks: kind(tasks, console, course)
