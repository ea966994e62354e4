"""How far a run is: a bar on a terminal, plain lines in a log.

Law: what is shown comes from the tasks' markers and from what they tell on the way (`pipeline.storage.states.heartbeat`), so that it can
be shown by anybody who sees the output folder.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from goldwash.pipeline.storage.locations import is_local, join, read_json, sizes_in
from goldwash.pipeline.storage.states import logs_of
from goldwash.pipeline.storage.tasks import Task, finished_markers


class Progress(Protocol):
    """A context that is asked to look from time to time."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    def look(self) -> None:
        """Count, and show it, if the last time is long enough ago."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def look(self) -> None:
        """Nothing."""


def silent(tasks: Sequence[Task]) -> Progress:
    """A `Progress` that shows nothing."""
    return Silent()


class Watched:
    """Counts what tasks have done, when they begin and when they have ended."""

    def __init__(self, tasks: Sequence[Task], console: Console) -> None:
        self.tasks, self.console = list(tasks), console
        self.began = time.monotonic()
        self.finished: dict[int, tuple[int, int]] = {}
        self.ahead = dict(enumerate(self.tasks))
        self.title = f"{tasks[0].stage['name']} ({tasks[0].part})" if tasks[0].part != "part" else tasks[0].stage["name"]
        self.before = (0, 0)
        self.documents = self.bytes = 0

    def __enter__(self) -> Self:
        self._count()
        self.before = (self.documents, self.bytes)
        return self

    def __exit__(self, *_: object) -> None:
        self._count()
        seconds = max(time.monotonic() - self.began, 1e-3)
        done = self.bytes - self.before[1]
        read = (
            f"{self.documents:,} documents  {done / 1e6 / seconds:.1f} MB/s  " if self.documents else ""
        )  # not all passes read
        self.console.print(
            f"{self.title:24s} {len(self.finished)}/{len(self.tasks)} tasks  {read}{seconds:.1f} s", highlight=False
        )

    def look(self) -> None:
        """Nothing between the first and the last line of a log."""

    def _count(self) -> None:
        out, documents, bytes_ = self.tasks[0].out, 0, 0
        there = sizes_in(join(out, "tasks"))
        new = [n for n, task in self.ahead.items() if f"{task.name}.json" in there]
        for n, marker in zip(new, finished_markers([self.tasks[n] for n in new]), strict=True):
            if marker is not None:
                read = marker["report"]["read"]
                self.finished[n] = (read["documents"], read["bytes"])
                del self.ahead[n]
        for file in sizes_in(join(logs_of(self.tasks[0]), "states")) if is_local(out) else ():
            if not file.startswith(".half-"):
                told = read_json(join(logs_of(self.tasks[0]), "states", file)) or {}
                documents += told.get("documents", 0)
                bytes_ += told.get("bytes", 0)
        self.documents = documents + sum(d for d, _ in self.finished.values())
        self.bytes = bytes_ + sum(b for _, b in self.finished.values())


class Bar(Watched):
    """The same with a bar that moves, twice a second, whatever the one who runs the tasks is doing."""

    def __init__(self, tasks: Sequence[Task], console: Console) -> None:
        super().__init__(tasks, console)
        columns: list[Any] = [
            TextColumn("{task.description:24s}"), BarColumn(), TextColumn("{task.completed}/{task.total} tasks"),
            TextColumn("{task.fields[documents]:,} documents {task.fields[rate]:.1f} MB/s"), TimeRemainingColumn(),
        ]  # fmt: skip
        self.bar = RichProgress(*columns, console=console, transient=True)
        self.row = self.bar.add_task(self.title, total=len(tasks), documents=0, rate=0.0)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        super().__enter__()
        self.bar.start()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        self.bar.stop()
        super().__exit__()

    def look(self) -> None:
        """Nothing: a thread looks."""

    def _watch(self) -> None:
        while not self.stop.wait(0.5):
            self._count()
            seconds = max(time.monotonic() - self.began, 1e-3)
            rate = (self.bytes - self.before[1]) / 1e6 / seconds
            self.bar.update(self.row, completed=len(self.finished), documents=self.documents, rate=rate)


def shown(console: Console | None = None) -> Callable[[Sequence[Task]], Progress]:
    """A bar where standard error is a terminal, plain lines elsewhere."""
    console = console or Console(stderr=True)
    kind = Bar if sys.stderr.isatty() else Watched
    return lambda tasks: kind(tasks, console)
