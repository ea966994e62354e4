"""The Slurm engine's settings, checked before anything is submitted.

Invariants: paths and values never reach a shell unquoted; the few that Slurm cannot take are refused by name.
"""

import dataclasses
import os
import re
import shlex
import shutil
import sys
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from goldwash.pipeline.engines import slurm_commands as commands
from goldwash.pipeline.engines.settings import Cluster, settings_of
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stage import RunError
from goldwash.pipeline.storage.locations import filesystem, is_local, join
from goldwash.text_output import printable

if TYPE_CHECKING:
    pass

OURS = ("array", "dependency", "job-name", "parsable", "wrap", "wait", "test-only", "output", "error", "open-mode")
"""Options of sbatch that goldwash sets; a user's own would break the chain of jobs."""


@dataclass(frozen=True)
class SlurmSettings(Cluster, ABC):
    """A Slurm cluster. ``environment`` is a shell command that puts goldwash's Python first on the path."""

    engine: ClassVar[str] = "slurm"
    partition: str = ""
    """One partition, or several separated by commas: Slurm takes the one that starts first."""
    time: str = "24:00:00"
    array: int = 1000
    """The most elements of a job array. More tasks than that share elements; a cluster that allows fewer gets fewer."""
    environment: str = ""
    account: str = ""
    qos: str = ""
    sbatch: Mapping[str, Any] = field(default_factory=dict)
    """Further options of sbatch, as {constraint: icelake}; ``""`` for one without a value."""
    driver_memory_gb: float = 4.0
    """Memory of the driver jobs."""
    poll_seconds: float = 5.0
    late_seconds: float = 60.0
    """How long a shared disk may take to show what another machine has written."""
    controller_seconds: float = 1800.0
    """How long a driver, and a command that follows a run, wait for a controller that does not answer."""

    def __post_init__(self) -> None:
        for option, value in {"partition": self.partition, "time": self.time, **self.options()}.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", option) or option in OURS:
                why = "goldwash sets it" if option in OURS else "expected the long name of an option, without dashes"
                raise RecipeError(f"slurm settings, sbatch: {printable(option)!r} cannot be given: {why}")
            if re.search(r"[\x00-\x1f\x7f]", value):
                raise RecipeError(
                    f"slurm settings: {option} is {printable(value)!r}; control characters cannot be given to sbatch"
                )
        if self.array < 1 or self.poll_seconds <= 0:
            raise RecipeError(f"slurm settings: array is {self.array}, poll_seconds {self.poll_seconds}; expected more than 0")

    @property
    def clusters(self) -> str:
        """The cluster that jobs are for; "" is this machine's."""
        return str(self.sbatch.get("clusters") or self.sbatch.get("cluster") or "")

    def options(self) -> dict[str, str]:
        """The account, the quality of service and the further options of sbatch, as text."""
        plain = {
            key: "" if value in (None, "", True) else str(value) for key, value in self.sbatch.items() if value is not False
        }
        named = {"account": self.account, "qos": self.qos}
        return {**{key: value for key, value in named.items() if value}, **plain}


def check_cluster(settings: SlurmSettings) -> None:
    """Refuse a cluster that cannot work: no sbatch here, no answer, no such partition."""
    if shutil.which("sbatch") is None:
        raise RunError("sbatch is not on the path: run goldwash where Slurm's commands are (a login node), or give --on local")
    if not settings.partition:
        raise RunError("no partition is named: give --with partition=NAME, or a file of settings; `sinfo` lists them")
    if settings.clusters:
        return  # another cluster's partitions, which its controller checks
    known = commands.partitions()
    for name in settings.partition.split(","):
        if name not in known:
            raise RunError(f"Slurm has no partition {printable(name)!r}: there are {printable(', '.join(sorted(known)))}")


def check_path(location: str) -> None:
    """Refuse a folder that Slurm cannot name: it has no escape for a line break, and takes a backslash for one."""
    path = whole(location)
    if found := re.search(r"[\x00-\x1f\x7f\\]", path):
        raise RunError(
            f"{printable(path)} has {printable(found[0])!r} in its name, which cannot be given to Slurm in the path of a log: "
            "choose another --out"
        )


def python_of(settings: SlurmSettings) -> str:
    """Python as a job's script calls it: the environment's, or the one that runs here."""
    return "python" if settings.environment else shlex.quote(sys.executable)


def slurm_logs(out: str) -> str:
    """Where Slurm writes the output of jobs; it can write to a disk only."""
    return join(filesystem(out)[1], "logs", "slurm") if is_local(out) else join("goldwash-slurm-logs", out.rpartition("://")[2])


def whole(location: str) -> str:
    """A location that does not depend on the current folder."""
    return os.path.abspath(filesystem(location)[1]) if is_local(location) else location


def settings_from(values: Mapping[str, Any]) -> SlurmSettings:
    """The settings that were written as plain values into a run's folder, read as strictly as any."""
    stages = values.get("stages") or {}
    found = settings_of("slurm", given={key: value for key, value in values.items() if key != "stages"})
    assert isinstance(found, SlurmSettings)
    return dataclasses.replace(found, stages=stages)
