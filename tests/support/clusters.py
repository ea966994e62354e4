"""Slurm and Ray, stood up for real on this machine: two nodes each, no root and no configuration of the machine's."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

SLURM_CONF = """\
ClusterName=goldwash
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
SlurmdParameters=config_overrides
MailProg=/bin/true
KillWait=2
MinJobAge=300
MaxArraySize=9
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=16000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=16000 State=UNKNOWN
PartitionName=gold Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


class NoEngineError(Exception):
    """An engine that is not installed; the message says how to have it."""


def until(true: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait for something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{what} did not come in {seconds} s")


def free_ports(count: int) -> list[int]:
    """Ports that nobody has."""
    held = [socket.socket() for _ in range(count)]
    try:
        for s in held:
            s.bind(("127.0.0.1", 0))
        return [int(s.getsockname()[1]) for s in held]
    finally:
        for s in held:
            s.close()


@dataclass
class SlurmCluster:
    """A controller and two nodes."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self, name: str) -> None:
        """Start ``slurmctld``, or a node by its name."""
        words = ["slurmctld", "-D"] if name == "slurmctld" else ["slurmd", "-D", "-N", name]
        with (self.folder / f"{name}.out").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                words, env={**os.environ, **self.environment}, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """kill -9."""
        self.processes[name].kill()
        self.processes[name].wait()

    def ask(self, *words: str) -> str:
        return subprocess.run(
            words, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60, check=False
        ).stdout

    def idle(self) -> bool:
        return self.ask("sinfo", "-h", "-N", "-o", "%T").split() == ["idle", "idle"]


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """Two Slurm nodes of four processors; `NoEngineError` where Slurm is not installed."""
    if not all(shutil.which(name) for name in ("slurmctld", "slurmd", "sbatch")):
        raise NoEngineError("Slurm is not installed: make engines (or: apt-get install slurmctld slurmd slurm-client)")
    for place in ("state", "spool/n1", "spool/n2"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    host = socket.gethostname().split(".")[0]
    text = SLURM_CONF.format(host=host, user=getpass.getuser(), folder=folder, ports=free_ports(3))
    (folder / "slurm.conf").write_text(text)
    cluster = SlurmCluster(folder)
    try:
        for name in ("slurmctld", "n1", "n2"):
            cluster.start(name)
        until(cluster.idle, 30, "Slurm")
        yield cluster
    finally:
        cluster.ask("scancel", "--user", getpass.getuser(), "--signal=KILL", "--full")
        for process in cluster.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in cluster.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        for pid in with_variable("SLURM_CONF", cluster.environment["SLURM_CONF"]):  # steps that outlive their daemon
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def with_variable(name: str, value: str) -> list[int]:
    """The processes, other than this one, whose environment has a variable with this value."""
    found, wanted = [], f"{name}={value}".encode()
    for place in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in place.read_bytes().split(b"\0") and int(place.parent.name) != os.getpid():
                found.append(int(place.parent.name))
    return found


def _descendants(parent: int) -> list[int]:
    """The processes below one, however their groups are."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            pid, _, rest = place.read_text().partition(" (")
            children.setdefault(int(rest.rpartition(") ")[2].split()[1]), []).append(int(pid))
    found, ahead = [], [parent]
    while ahead:
        ahead += (below := children.get(ahead.pop(), []))
        found += below
    return found


@dataclass
class RayCluster:
    """A head and a second node, each a process group of its own."""

    folder: Path
    port: int
    short: str
    """A folder for sockets, whose names may have 107 bytes."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)

    environment: ClassVar[dict[str, str]] = {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        """Start the ``head``, or a ``node``."""
        ray = str(Path(sys.executable).with_name("ray"))
        shared = [
            "--num-cpus=2",
            "--disable-usage-stats",
            "--block",
            f"--object-store-memory={100 << 20}",
            "--memory",
            str(8 << 30),
        ]
        head = [
            "--head",
            f"--port={self.port}",
            "--include-dashboard=false",
            f"--temp-dir={self.short}",
            "--node-ip-address=127.0.0.1",
        ]
        node = [f"--address={self.address}", "--node-ip-address=127.0.0.1"]
        with (self.folder / f"{name}.out").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [ray, "start", *(head if name == "head" else node), *shared],
                env={**os.environ, **self.environment, **self.more}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """kill -9 of the node with all that runs on it."""
        process = self.processes.pop(name)
        below = _descendants(process.pid)
        for pid in (process.pid, *below):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def signal(self, name: str, number: int) -> None:
        """Send a signal to all processes of a node, as SIGSTOP, which freezes it."""
        os.killpg(self.processes[name].pid, number)
        for pid in _descendants(self.processes[name].pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def started(self, name: str) -> bool:
        """Whether a node says that it is ready; raises where it has ended."""
        if self.processes[name].poll() is not None:
            raise RuntimeError(f"ray start of {name} ended with {self.processes[name].returncode}: {self.folder}/{name}.out")
        text = (self.folder / f"{name}.out").read_text(errors="replace")
        return "Ray runtime started" in text

    def listens(self) -> bool:
        """Whether anything accepts connections at the head's address."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def nodes(self) -> int:
        """Nodes that are alive, as another process sees them."""
        code = (
            "import ray,sys\n"
            f"ray.init(address='{self.address}', log_to_driver=False, logging_level=50)\n"
            "print(sum(n['Alive'] for n in ray.nodes()))"
        )
        try:
            done = subprocess.run(
                [sys.executable, "-c", code], env={**os.environ, **self.environment}, capture_output=True, text=True,
                timeout=40, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return 0
        return int(done.stdout.strip() or 0) if done.returncode == 0 else 0


@contextmanager
def ray_cluster(folder: Path, names: Sequence[str] = ("head", "node"), **more: str) -> Iterator[RayCluster]:
    """Ray nodes of two processors, with ``more`` in their environment; `NoEngineError` where Ray is not installed."""
    if not Path(sys.executable).with_name("ray").exists():
        raise NoEngineError("Ray is not installed: make engines (or: pip install 'goldwash[ray]')")
    folder.mkdir(parents=True, exist_ok=True)
    port = next(p for p in free_ports(20) if not 10002 <= p <= 19999)  # Ray's workers have those
    cluster = RayCluster(folder, port, tempfile.mkdtemp(prefix="ray-"), more=more)
    try:
        for name in names:
            cluster.start(name)
            until(lambda name=name: cluster.started(name), 180, f"Ray's {name}")  # type: ignore[misc]
        yield cluster
    finally:
        for name in list(cluster.processes):
            cluster.kill(name)
        shutil.rmtree(cluster.short, ignore_errors=True)
