"""The Ray engine: its settings, and the watched process that talks to the cluster.

Invariants: Ray's client runs in a process of its own, the agent (`ray_agent`): with a head that is frozen, killed or of
another version, the client hangs, prints C++ traces, or exits. This process then kills the agent and reports what happened.
Every wait has a bound, which its error names. The agent dies with this process, and its tasks with it.
"""

import atexit
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NoReturn

from goldwash.pipeline.engines.progress import Shown, silent
from goldwash.pipeline.engines.settings import Cluster
from goldwash.pipeline.engines.work import Poll, missing_ranks, name_of, nothing, raise_failures, record_pass
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Run, RunError, Work, reports_of
from goldwash.pipeline.storage.states import forget_states
from goldwash.pipeline.storage.tasks import Task
from goldwash.text_output import printable

START_SECONDS = 300.0
"""How long the agent may take to start, on a busy machine or a slow disk."""

ANSWER_SECONDS = 30.0
"""How long an address may take to answer: first the connection, then the head itself."""

JOIN_SECONDS = 120.0
"""How long joining a cluster, or starting a local one, may take."""

NODES_SECONDS = 150.0
"""How long nodes may take to answer the questions before the first task."""

SILENT_SECONDS = 60.0
"""How long the head may be silent during a run. It is asked every `ray_agent.ASK_SECONDS`."""

END_SECONDS = 10.0
"""How long the agent may take to end."""

START = """\
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from goldwash.pipeline.engines.ray_agent import main
main()
"""
"""The agent's program: ``-m`` would put the current folder, where a user's files are, before the packages."""

AGAIN = "finished work is kept, and the same command goes on from there"


@dataclass(frozen=True)
class Ray(Cluster):
    """A Ray cluster: its head's HOST:PORT, ``auto`` for the one that this machine belongs to, ``local`` for one of its
    own."""

    engine: ClassVar[str] = "ray"
    address: str = "auto"

    def check(self) -> None:
        """Fail if no Ray head answers."""
        connect(self)

    def start(self, progress: Shown = silent) -> Run:
        """The engine of these settings."""
        return ray(self, progress)


def ray(settings: Ray, progress: Shown = silent) -> Run:
    """An engine that runs tasks on a Ray cluster and waits for them."""
    connect(settings)

    def run(work: Work, tasks: Sequence[Task]) -> Report:
        ranks = missing_ranks(tasks)
        if ranks:
            forget_states([tasks[rank] for rank in ranks])
            record_pass(work, tasks, "ray", address=settings.address)
            agent = connect(settings)
            agent.begin(work, tasks, settings.of_stage(str(tasks[0].stage["name"])))
            with progress(tasks) as shown:
                agent.run(ranks, shown.poll)
        return reports_of(tasks)

    return run


_agents: dict[str, "Agent"] = {}


def connect(settings: Ray) -> "Agent":
    """The agent that has joined the cluster at this address; a `RunError` if there is none, or if it does not answer."""
    agent = _agents.get(settings.address)
    if agent is None or agent.process.poll() is not None:
        agent = _agents[settings.address] = Agent(settings)
    return agent


@atexit.register
def disconnect() -> None:
    """End all agents of this process."""
    while _agents:
        _agents.popitem()[1].close()


class Agent:
    """The process that talks to a cluster, and its messages."""

    def __init__(self, settings: Ray) -> None:
        _check_address(settings.address)
        self.address = settings.address
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the agent
        self.pipe, theirs = multiprocessing.Pipe()
        lifeline, self.lifeline = multiprocessing.Pipe(duplex=False)
        descriptors = (theirs.fileno(), lifeline.fileno())
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, json.dumps(sys.path), *map(str, descriptors)],
            stdin=subprocess.DEVNULL, stdout=self.printed, stderr=self.printed, pass_fds=descriptors, start_new_session=True,
        )  # fmt: skip
        theirs.close()
        lifeline.close()
        self.heard = time.monotonic()
        self.answered = False
        try:
            self._join(settings)
        except BaseException:
            self.kill()
            raise

    def _join(self, settings: Ray) -> None:
        self._receive("started", START_SECONDS, "starting Ray's client")
        self._send("join", asdict(settings))
        if settings.address not in ("auto", "local"):
            self._receive("answered", ANSWER_SECONDS, f"the Ray head at {self.address}")
        self.address = self._receive("joined", JOIN_SECONDS, f"joining the Ray cluster at {self.address}")
        self.answered, self.heard = True, time.monotonic()

    def begin(self, work: Work, tasks: Sequence[Task], settings: Ray) -> None:
        """Send the agent a pass, and have it ask each node whether it can do the work."""
        self.tasks = dict(enumerate(tasks))
        self._send("pass", (name_of(work), list(tasks), asdict(settings)))
        self._receive("nodes", NODES_SECONDS, f"the nodes of the Ray cluster at {self.address}")

    def run(self, ranks: Sequence[int], poll: Poll = nothing) -> None:
        """Do these tasks of the pass; raises `RunError` if one cannot be finished, or if the cluster is lost."""
        self._send("run", list(ranks))
        failures = self._receive("ended", None, f"the Ray cluster at {self.address}", poll)
        raise_failures(self.tasks, failures)

    def _send(self, kind: str, value: Any) -> None:
        try:
            self.pipe.send((kind, value))
        except (BrokenPipeError, ConnectionResetError):
            self._lost()

    def _receive(self, wanted: str, seconds: float | None, what: str, poll: Poll = nothing) -> Any:
        """The value of the next message of a kind; raises `RunError` if it does not come in time, or never will."""
        until = time.monotonic() + seconds if seconds is not None else None
        while True:
            poll()
            now = time.monotonic()
            if until is not None and now > until:
                self._give_up(f"{what} has not answered for {seconds:.0f} s")
            if self.answered and now - self.heard > SILENT_SECONDS:
                self._give_up(
                    f"the Ray head at {self.address} has not answered for {SILENT_SECONDS:.0f} s: it is frozen or unreachable"
                )
            try:
                if not self.pipe.poll(0.5):
                    continue
                kind, value = self.pipe.recv()
            except (EOFError, ConnectionResetError):
                self._lost()
            if kind == "alive":
                self.heard = time.monotonic()
            elif kind == "refused":
                self.kill()
                raise RunError(value)
            elif kind == wanted:
                return value

    def _give_up(self, why: str) -> NoReturn:
        self.kill()
        raise RunError(f"{why}; see whether it runs (`ray status`), or start it again; {AGAIN}")

    def _lost(self) -> NoReturn:
        """The agent has exited: Ray's client exits when it loses the cluster."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)
        words = _last_words(self._text())
        self.kill()
        how = _how_it_ended(self.process.returncode)
        raise RunError(
            f"the connection to the Ray cluster at {self.address} is lost ({how}; {words}): its head has ended, or cannot be "
            f"reached. Start it again; {AGAIN}"
        )

    def _text(self) -> str:
        self.printed.seek(0)
        return self.printed.read().decode("utf-8", "replace")

    def close(self) -> None:
        """Leave the cluster, in `END_SECONDS` at the most."""
        with suppress(OSError):
            self.pipe.send(("leave", None))
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the agent at once, with the local cluster that it may have started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for thing in (self.pipe, self.lifeline, self.printed):
            thing.close()


def _check_address(address: str) -> None:
    """Refuse a malformed address, or one where nothing listens."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise RunError(f"{printable(address)} is not the address of a Ray head: expected HOST:PORT, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise RunError(
            f"no Ray head answers at {printable(address)} ({error}): start one there (`ray start --head`), or give its address "
            "with --ray-address"
        ) from error


TELLING = r"fail|error|lost|died|exit|terminat|mismatch|unreachable"


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"Ray's client ended with exit code {code}"
    return f"Ray's client was ended by {signal.Signals(-code).name}"


def _last_words(text: str) -> str:
    """The most informative line of the client's output: the last one that is not part of a trace.

    >>> _last_words("[2026 C 1 2] gcs_rpc_client.h:1: Failed to connect to GCS within 60 s\\n*** Trace ***\\n  @ 0x7f abc\\n")
    'Failed to connect to GCS within 60 s'
    """
    lines = [line.strip() for line in text.splitlines()]
    telling = [line for line in lines if line and not re.match(r"(@|\*|/|File |Traceback|\^|PC:|0x|#\d|$)", line)]
    marked = [line for line in telling if re.search(TELLING, line, re.IGNORECASE)]
    last = (marked or telling or ["it printed nothing"])[-1]
    return printable(re.sub(r"^(?:\x1b\[\d+m|\([^)]*\) )*\[[^\]]*\]\s*(?:\([^)]*\)\s*)?(?:[\w./]+:\d+:\s*)?", "", last), 300)
