"""``python -m tests.faults``: kill the processes of a run at random moments, on every engine, and check that nothing is lost.

Invariants: a run that was disturbed and then finished has the bytes of one that was not. A campaign is a seed, an engine and
a number of kills (``kill -9``). A kill hits, by chance, a worker in the middle of a task, the process that drives, or a part
of the engine; after it the run is waited for, and begun again if it does not go on by itself. A folder gets a few kills, then
it is finished and compared, file by file, with the undisturbed one.

Input are odd and old pages of the real ones (`INPUT`), or the sample crawl where they are absent.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldwash.pipeline.sample.crawl import write_sample
from tests.conftest import real_folder
from tests.support.clusters import RayCluster, SlurmCluster, ray_cluster, slurm_cluster, until

INPUT = (
    "pages/public-webkb-000.warc.gz",
    "pages/synthetic-000.warc.gz",
    "archives/wget-sample-0000.warc.gz",
    "archives/example.arc.gz",
    "archives/example-trunc.warc",
    "archives/whirlwind.warc.wet.gz",
)
KILLS_A_RUN = 4
PATIENCE = 600.0
"""Seconds after which a run that does nothing more is a failure of this test."""

NOT_COMPARED = ("run.json", "inputs.json", "engine.json")
"""What says where a run lies and how it is done, not what it makes."""


def digests(run: Path) -> dict[str, str]:
    """Every file that a run makes, but for logs, by SHA-256."""
    return {
        str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(run.rglob("*"))
        if p.is_file() and "logs" not in p.parts and p.name not in NOT_COMPARED
    }


def words_for(out: Path, what: Sequence[str], *more: str) -> list[str]:
    """The command of a run; ``what``: its recipe, inputs and options."""
    return [sys.executable, "-m", "goldwash", "run", *what, "--out", str(out), *more]


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def workers(out: Path) -> list[int]:
    """The processes that are in the middle of a task, as they say themselves."""
    found = []
    for file in out.glob("*/logs/*/states/*.json"):
        with suppress(FileNotFoundError, ValueError):
            state = json.loads(file.read_text())
            if "why" not in state and alive(state.get("pid", -1)):
                found.append(int(state["pid"]))
    return sorted(set(found))


def processes(*words: str) -> list[int]:
    """Processes whose command line has all of these words."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            line = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if all(word in line for word in words) and alive(int(place.parent.name)):
                found.append(int(place.parent.name))
    return sorted(found)


def strike(pid: int) -> bool:
    """kill -9; whether there was something to kill."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Engine:
    """What is killed on an engine, and how a run is begun on it."""

    name: str
    options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    kills: dict[str, Callable[[Path, random.Random], bool]] = field(default_factory=dict)

    def begin(self, out: Path, what: Sequence[str]) -> subprocess.Popen[bytes]:
        """Begin a run, or go on with it."""
        environment = {**os.environ, **self.environment}
        with out.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(
                words_for(out, what, *self.options), env=environment, stdout=log, stderr=log, start_new_session=True
            )


def kill_worker(out: Path, chance: random.Random) -> bool:
    """Kill one that is in the middle of a task."""
    found = workers(out)
    return bool(found) and strike(chance.choice(found))


def kill_driver(out: Path, chance: random.Random) -> bool:
    """Kill the process that was begun by hand."""
    found = processes("goldwash run", str(out))
    return bool(found) and strike(found[0])


def local_engine() -> Engine:
    """This machine, two workers."""
    return Engine("local", ("--workers", "2"), {}, {"worker": kill_worker, "driver": kill_driver})


def slurm_engine(cluster: SlurmCluster) -> Engine:
    """A cluster of two nodes; a node's daemon that is killed comes back after a moment."""

    def kill_driver_job(out: Path, chance: random.Random) -> bool:
        found = processes("goldwash drive", str(out))
        return bool(found) and strike(chance.choice(found))

    def kill_daemon(out: Path, chance: random.Random) -> bool:
        node = chance.choice(["n1", "n2"])
        cluster.kill(node)
        time.sleep(chance.uniform(0, 3))
        cluster.start(node)
        return True

    options = (
        "--on",
        "slurm",
        "--with",
        "partition=gold",
        "poll_seconds=0.5",
        "memory_gb=1",
        "driver_memory_gb=1",
        "late_seconds=5",
        "array=3",
    )
    kills = {"worker": kill_worker, "driver job": kill_driver_job, "slurmd": kill_daemon, "driver": kill_driver}
    return Engine("slurm", options, cluster.environment, kills)


def ray_engine(cluster: RayCluster) -> Engine:
    """A cluster of two nodes; what is killed of it comes back at once."""

    def kill_node(out: Path, chance: random.Random) -> bool:
        cluster.kill("node")
        cluster.start("node")
        return True

    def kill_head(out: Path, chance: random.Random) -> bool:
        for name in ("head", "node"):
            cluster.kill(name)
        for name in ("head", "node"):
            cluster.start(name)
            until(lambda name=name: cluster.started(name), 180, f"Ray's {name}")  # type: ignore[misc]
        return True

    options = ("--on", "ray", "--ray-address", cluster.address, "--with", "memory_gb=1")
    kills = {"worker": kill_worker, "driver": kill_driver, "node": kill_node, "head": kill_head}
    return Engine("ray", options, cluster.environment, kills)


@dataclass
class Outcome:
    """What a campaign came to."""

    engine: str
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    begun: int = 0
    different: list[str] = field(default_factory=list)


class LossError(AssertionError):
    """A disturbed run that is not the undisturbed one."""


def campaign(
    engine: Engine, what: Sequence[str], reference: dict[str, str], folder: Path, seed: int, kills: int, only: str = ""
) -> Outcome:
    """Kill so many times, and compare; raises `LossError` where a run ends otherwise than the undisturbed one."""
    chance, outcome = random.Random(seed), Outcome(engine.name, seed)
    kinds = sorted(kind for kind in engine.kills if not only or kind == only)
    while sum(outcome.kills.values()) < kills:
        out = folder / f"{engine.name}-{seed}-{outcome.runs}"
        outcome.runs += 1
        _disturbed(engine, what, out, chance, kinds, outcome, min(kills, sum(outcome.kills.values()) + KILLS_A_RUN))
        found = digests(out)
        outcome.different += sorted(k for k in found.keys() | reference.keys() if found.get(k) != reference.get(k))
        if outcome.different:
            raise LossError(f"{out} differs from the undisturbed run in {outcome.different[:5]}; seed {seed}")
        shutil.rmtree(out)
    return outcome


def _disturbed(
    engine: Engine, what: Sequence[str], out: Path, chance: random.Random, kinds: Sequence[str], outcome: Outcome, most: int
) -> None:
    """One run to its end, with kills on the way."""
    finished = out / "dataset" / "_report.json"
    began = time.monotonic()
    while True:
        process = engine.begin(out, what)
        outcome.begun += 1
        while process.poll() is None and sum(outcome.kills.values()) < most:
            kind = chance.choice(kinds)
            wait = chance.uniform(0.3, 4.0)
            moment = time.monotonic() + wait
            while process.poll() is None and time.monotonic() < moment:
                time.sleep(0.02)
            while process.poll() is None and not engine.kills[kind](out, chance):
                time.sleep(0.01)  # until there is one to kill: most tasks are short
            if process.poll() is None or kind == "driver":
                outcome.kills[kind] += 1
                sys.stderr.write(f"{engine.name}: kill {sum(outcome.kills.values())}, {kind}, after {wait:.1f} s\n")
        while process.poll() is None:
            if time.monotonic() - began > PATIENCE:
                os.killpg(process.pid, signal.SIGKILL)
                raise LossError(f"{out} is not finished after {PATIENCE} s; see {out.with_suffix('.log')}")
            time.sleep(0.1)
        if finished.exists() and process.returncode == 0:
            return
        if time.monotonic() - began > PATIENCE:
            raise LossError(f"{out} does not come to its end; see {out.with_suffix('.log')}")


def inputs_for(folder: Path) -> list[str]:
    """What is read: real pages, or the sample crawl."""
    real = real_folder()
    if real.is_dir():
        return [str(p) for pattern in INPUT for p in sorted(real.glob(pattern))]
    write_sample(folder / "sample")
    return [str(folder / "sample" / "crawl")]


def undisturbed(folder: Path, what: Sequence[str]) -> dict[str, str]:
    """The run that nothing happens to, by one worker."""
    out = folder / "undisturbed"
    subprocess.run(words_for(out, what, "--workers", "1"), check=True, capture_output=True)
    return digests(out)


def engines(folder: Path, names: Sequence[str]) -> Iterator[Engine]:
    """The engines, each stood up when its turn comes."""
    for name in names:
        if name == "local":
            yield local_engine()
        elif name == "slurm":
            with slurm_cluster(folder / "slurm") as nodes:
                yield slurm_engine(nodes)
        else:
            with ray_cluster(folder / "ray") as nodes_:
                yield ray_engine(nodes_)


def main() -> None:
    """A campaign on each engine, and a table of what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20, help="on each engine")
    parser.add_argument("--engines", nargs="+", default=["local", "slurm", "ray"])
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="goldwash-faults-"))
    what = ["sample", "--input", *inputs_for(folder)]
    reference = undisturbed(folder, what)
    rows: list[Any] = []
    for engine in engines(folder, given.engines):
        began = time.monotonic()
        outcome = campaign(engine, what, reference, folder, given.seed, given.kills)
        killed = ", ".join(f"{n} {kind}" for kind, n in sorted(outcome.kills.items()))
        rows.append(
            (
                engine.name,
                sum(outcome.kills.values()),
                killed,
                outcome.runs,
                outcome.begun,
                len(reference),
                len(outcome.different),
            )
        )
        sys.stderr.write(f"{engine.name}: {time.monotonic() - began:.0f} s\n")
    sys.stdout.write(
        "| engine | kills | of | runs | begun | files compared, a run | different |\n|---|---:|---|---:|---:|---:|---:|\n"
    )
    for row in rows:
        sys.stdout.write("| " + " | ".join(map(str, row)) + " |\n")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
