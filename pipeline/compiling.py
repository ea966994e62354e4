"""Compile the kernels of a recipe's stages at once, in processes of their own, before its first stage.

Invariants: two processes must not write numba's cache at once (`filters.jit`). So each process compiles into a folder of its
own. It gets all kernels that the others have compiled before each stage, or part of one (`Stage.warm_ups`). Then its files move
into the shared folder, unless that has the same function already. `compile_kernels` runs last and compiles what is missing, so
a process that fails costs time and nothing else.
"""

import gc
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from goldwash.filters.jit import INTERPRETED, compiling, is_compiled
from goldwash.pipeline.engines.lifeline import die_with
from goldwash.pipeline.stage import Stage, compile_kernels, stage_from, stage_values
from goldwash.pipeline.storage.machine import available_memory, processors

MOST_PROCESSES = 4
"""Beyond this the longest part, reading pages, decides the time."""

PROCESS_BYTES = 800_000_000
"""Memory of a process that compiles, at the most: 650 MB for reading pages (2026-11), and more with the parts after it."""

ENDINGS = (".nbi", ".nbc")
"""Of numba's files: a module's indexes, and the machine code."""

START = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from goldwash.pipeline.compiling import compile_parts
compile_parts(int(sys.argv[2]), int(sys.argv[3]))"""


def compile_together(stages: Sequence[Stage], notify: Callable[[str], None] = lambda _: None, processes: int = 0) -> None:
    """Compile the kernels of these stages in ``processes`` processes (0: as many as the machine has processors and memory for).

    Does nothing for fewer than two parts or processes, and where ``NUMBA_CACHE_DIR`` names numba's cache.
    """
    processes = processes or most_processes()
    if INTERPRETED or "NUMBA_CACHE_DIR" in os.environ or processes < 2 or _part_count(_missing(stages)) < 2:
        return
    with compiling() as shared:
        missing = _missing(stages)  # another process may have compiled them while this one waited
        if _part_count(missing) < 2:
            return
        for left in shared.glob("parts-*"):  # of a process that was killed; nobody else compiles now
            shutil.rmtree(left, ignore_errors=True)
        notify(f"compiling kernels for {', '.join(stage.name for stage in missing)}, once on this machine (up to a minute)")
        parts = [(stage, part) for stage in missing for part in range(len(stage.warm_ups()))]
        with tempfile.TemporaryDirectory(prefix="parts-", dir=shared) as folder, ExitStack() as ends:
            pool, compilers = ends.enter_context(ThreadPoolExecutor(processes)), _Compilers(shared, Path(folder))
            ends.callback(compilers.close)  # ends the processes, if this one stops early, before the pool waits for them
            running = {pool.submit(compilers.compile, *part): part for part in parts}
            ends.callback(pool.shutdown, wait=False, cancel_futures=True)
            for count, done in enumerate(as_completed(running), 1):
                stage, part = running[done]
                what = stage.name if len(stage.warm_ups()) == 1 else f"part {part + 1} of {stage.name}"
                what = f"compiled {what}" if done.result() else f"{what} is compiled last, since its process failed"
                notify(f"{what} ({count} of {len(parts)})")
    for stage in missing:
        compile_kernels(stage)  # what two stages share in different forms, and what a process failed to compile


def most_processes() -> int:
    """How many processes may compile side by side: one per processor, at most `MOST_PROCESSES`, within the memory at hand."""
    memory = available_memory()
    return min(processors(), MOST_PROCESSES, MOST_PROCESSES if memory is None else memory // PROCESS_BYTES)


def _missing(stages: Sequence[Stage]) -> list[Stage]:
    return [
        stage
        for stage in stages
        if type(stage).warm_up is not Stage.warm_up and not is_compiled(stage.name, stage.fingerprint(()))
    ]


def _part_count(stages: Sequence[Stage]) -> int:
    return sum(len(stage.warm_ups()) for stage in stages)


class _Compilers:
    """Processes that compile: each takes one part of a stage after the other."""

    def __init__(self, shared: Path, folder: Path) -> None:
        self.shared, self.folder = shared, folder
        self.processes: list[_Process] = []
        self.idle: list[_Process] = []
        self.closed, self.lock = False, threading.Lock()

    def compile(self, stage: Stage, part: int) -> bool:
        """Compile a part of a stage; whether that succeeded."""
        with self.lock:
            if self.closed:
                return False
            try:
                process = self.idle.pop() if self.idle else self._started()
            except OSError:  # no room, or no memory for another process
                return False
            copy_kernels(self.shared, process.folder)
        succeeded = process.compile(stage, part)
        with self.lock:
            move_kernels(process.folder, self.shared)
            if succeeded:
                self.idle.append(process)
        return succeeded

    def _started(self) -> "_Process":
        self.processes.append(_Process(self.folder / str(len(self.processes))))
        return self.processes[-1]

    def close(self) -> None:
        """End all processes, also those at work."""
        with self.lock:
            self.closed = True
            for process in self.processes:
                process.close()


class _Process:
    """A process of its own, with ``folder`` as numba's folder. It ends when a part fails."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)  # it exists, if the last process could not be started
        self.folder = folder
        lifeline, self.held = multiprocessing.Pipe(duplex=False)  # one each: the kernel signals one reader of a pipe
        self.work, theirs = multiprocessing.Pipe()
        numbers = [theirs.fileno(), lifeline.fileno()]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, json.dumps(sys.path), *map(str, numbers)],
            env={**os.environ, "NUMBA_CACHE_DIR": str(folder)}, pass_fds=numbers,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        lifeline.close()

    def compile(self, stage: Stage, part: int) -> bool:
        """Send it a part of a stage, and wait until that is compiled."""
        try:
            self.work.send((json.dumps(stage_values(stage)), part))
            return bool(self.work.recv())
        except (EOFError, OSError):
            return False

    def close(self) -> None:
        """End it."""
        self.held.close()
        self.work.close()
        self.process.wait()


def compile_parts(work: int, lifeline: int) -> None:
    """Compile the parts of stages that arrive. Runs in a process of `compile_together`, and dies with its parent."""
    held = Connection(lifeline, writable=False)  # closed, if nothing refers to it
    die_with(held)
    gc.disable()  # as `compiling` does
    parts = Connection(work)
    with suppress(EOFError):
        while True:
            values, part = parts.recv()
            stage_from(json.loads(values)).warm_ups()[part]()
            parts.send(True)
    gc.freeze()  # else Python visits all objects once more at its end: a second


def copy_kernels(shared: Path, folder: Path) -> None:
    """Copy numba's files into a process's folder, so that it does not compile again what others have compiled.

    Processes make tables there meanwhile, under temporary names. What cannot be copied is left out: numba compiles it again.
    """

    def others(within: str, names: Sequence[str]) -> list[str]:
        return [
            name
            for name in names
            if name.startswith("parts-") or not (name.endswith(ENDINGS) or os.path.isdir(f"{within}/{name}"))
        ]

    with suppress(OSError):
        shutil.copytree(shared, folder, ignore=others, dirs_exist_ok=True)


def move_kernels(folder: Path, shared: Path) -> None:
    """Move numba's files into a folder of the same layout; a function that it has already stays as it is.

    An index (``.nbi``) is moved after the machine code (``.nbc``) that it names, so that a reader finds all of it.
    """
    for index in sorted(folder.rglob("*.nbi")):
        to = shared / index.relative_to(folder)
        if to.exists():
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        for code in index.parent.glob(f"{index.stem}.*.nbc"):
            os.replace(code, to.parent / code.name)
        os.replace(index, to)
