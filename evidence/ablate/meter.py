"""CPU-seconds of stages: measured where the work is done by processes of this machine, else estimated.

Invariants: a measured value is the CPU time of this process and of all its descendants, ended ones too, from the beginning of a
pass to its end. It is kept beside the run, so that a stage that is reused keeps its value. An estimate is the
bytes that the stage read over its measured rate (`Stage.cost`, docs/benchmarks.md), and is marked.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldwash.pipeline.engines.local import Local
from goldwash.pipeline.engines.progress import Shown, silent
from goldwash.pipeline.inspect.estimate import PAGE_HTML_BYTES
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Load, Run, Stage, Work
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.locations import join, read_json
from goldwash.pipeline.storage.tasks import Task

BOOK = "ablation-seconds.json"


def cpu_seconds() -> float | None:
    """CPU time of this process and of its descendants, ended ones included; None where ``/proc`` does not say it."""
    try:
        facts = {int(p.name): _stat(p) for p in Path("/proc").iterdir() if p.name.isdecimal()}
        ticks = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    family, ahead = set[int](), {os.getpid()}
    while ahead:
        family |= ahead
        ahead = {pid for pid, (parent, _) in facts.items() if parent in ahead and pid not in family}
    return sum(facts[pid][1] for pid in family if pid in facts) / ticks if os.getpid() in facts else None


def _stat(process: Path) -> tuple[int, int]:
    """A process's parent, and the ticks that it and its ended children used (proc(5)); (0, 0) for one that has just ended."""
    try:
        fields = (process / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return 0, 0
    return int(fields[1]), sum(int(value) for value in fields[11:15])


@dataclass
class Book:
    """CPU-seconds by stage folder, kept in the run's folder."""

    out: str
    seconds: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def of(out: str) -> "Book":
        """The book of a run's folder; empty where there is none."""
        held = read_json(join(out, BOOK)) or {}
        return Book(out, {str(key): float(value) for key, value in held.items() if isinstance(value, int | float)})

    def add(self, folder: str, seconds: float) -> None:
        """Add to a folder's seconds, and write the book."""
        name = folder.rstrip("/").rpartition("/")[2]
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 2)
        write_json(join(self.out, BOOK), self.seconds)

    def of_stages(self, stages: Sequence[Stage], folders: Sequence[str], reports: Sequence[Mapping[str, Any]]) -> "Spent":
        """The CPU-seconds of a variant's stages."""
        total, measured = 0.0, True
        for stage, folder, report in zip(stages, folders, reports, strict=True):
            known = self.seconds.get(folder.rstrip("/").rpartition("/")[2])
            measured = measured and known is not None
            total += estimated(stage, Report.from_dict(report["report"])) if known is None else known
        return Spent(total, measured)


@dataclass(frozen=True)
class Spent:
    """CPU-seconds, and whether all of them were measured."""

    seconds: float
    measured: bool


def estimated(stage: Stage, report: Report) -> float:
    """A stage's CPU-seconds from what it read."""
    read = report.read
    size = read.documents * PAGE_HTML_BYTES if stage.makes_documents else read.bytes
    return size / 1e6 / stage.cost(Load(read.documents, read.bytes, 1)).megabytes_per_second


@dataclass(frozen=True)
class Metered(Local):
    """The local engine, which writes the CPU-seconds of each stage into a book."""

    book: Book | None = None

    def start(self, progress: Shown = silent) -> Run:
        """The engine of these settings."""
        run, book = super().start(progress), self.book

        def metered(work: Work, tasks: Sequence[Task]) -> Report:
            before = cpu_seconds()
            try:
                return run(work, tasks)
            finally:
                after = cpu_seconds()
                if book is not None and tasks and before is not None and after is not None:
                    book.add(tasks[0].out, max(after - before, 0.0))

        return metered
