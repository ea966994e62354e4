"""The Slurm engine: its settings with what starts it.

Invariants: a pass is a job array (`slurm_array`); a whole run is an unattended chain of driver jobs (`slurm_driver`).
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from goldwash.pipeline.engines import slurm_driver
from goldwash.pipeline.engines.progress import Shown, silent
from goldwash.pipeline.engines.settings import Screen
from goldwash.pipeline.engines.slurm_array import SlurmExecutor
from goldwash.pipeline.engines.slurm_settings import SlurmSettings, check_cluster
from goldwash.pipeline.engines.work import missing_ranks
from goldwash.pipeline.flow import Request, Step
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, Work, reports_of
from goldwash.pipeline.storage.tasks import Task


@dataclass(frozen=True)
class Slurm(SlurmSettings):
    """A Slurm cluster."""

    def start(self, progress: Shown = silent) -> Run:
        """The engine of these settings."""
        return slurm(self, progress)

    def check(self) -> None:
        """Fail if Slurm cannot be reached, or has no such partition."""
        check_cluster(self)

    @classmethod
    def queued(cls, run: str) -> list[str]:
        """The driver jobs of a run that wait or run; none where Slurm's commands are not installed."""
        return slurm_driver.waiting(run) if shutil.which("squeue") else []

    def walk(self, request: Request, screen: Screen, detach: bool = False) -> Sequence[Step]:
        """Submit a run's driver jobs, and follow them unless ``detach``."""
        return slurm_driver.walk(self, request, screen, detach)


def slurm(settings: SlurmSettings, progress: Shown = silent) -> Run:
    """An engine that runs tasks as job arrays and waits for them."""
    check_cluster(settings)

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        ranks = missing_ranks(tasks)
        if ranks:
            with progress(tasks) as shown:
                executor = SlurmExecutor(work, dict(enumerate(tasks)), settings.of_stage(str(tasks[0].stage["name"])))
                executor.run(ranks, shown.poll)
        return reports_of(tasks)

    return run
