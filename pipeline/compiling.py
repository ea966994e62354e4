"""Compile the kernels of a recipe's stages at once, in processes of their own, before its first stage.

Invariants: two processes must not write numba's cache at once (`filters.jit`). So each process compiles one stage into a folder
of its own, which begins with all kernels compiled so far; afterwards its files move into the shared folder, unless that has the
same function already. `compile_kernels` runs last and compiles what is missing, so a process that fails costs time and nothing
else.
"""

import gc
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from goldwash.filters.jit import INTERPRETED, compiling, is_compiled
from goldwash.pipeline.engines.lifeline import die_with
from goldwash.pipeline.stage import Stage, compile_kernels, stage_from, stage_values
from goldwash.pipeline.storage.machine import processors

MOST_PROCESSES = 4
"""Beyond this the longest stage, extract, decides the time; each process takes 300 MB."""

ENDINGS = (".nbi", ".nbc")
"""Of numba's files: a module's indexes, and the machine code."""

START = """import json, sys
sys.path[:] = json.loads(sys.argv[1])
from goldwash.pipeline.compiling import compile_one
compile_one(sys.argv[2], int(sys.argv[3]))"""


def compile_together(stages: Sequence[Stage], notify: Callable[[str], None] = lambda _: None, processes: int = 0) -> None:
    """Compile the kernels of these stages in ``processes`` processes (0: one per processor, at most `MOST_PROCESSES`).

    Does nothing for fewer than two stages or processes, and where ``NUMBA_CACHE_DIR`` names numba's cache.
    """
    processes = processes or min(processors(), MOST_PROCESSES)
    if INTERPRETED or "NUMBA_CACHE_DIR" in os.environ or processes < 2 or len(_missing(stages)) < 2:
        return
    with compiling() as shared:
        missing = _missing(stages)  # another process may have compiled them while this one waited
        if len(missing) < 2:
            return
        for left in shared.glob("parts-*"):  # of a process that was killed; nobody else compiles now
            shutil.rmtree(left, ignore_errors=True)
        notify(f"compiling kernels for {', '.join(stage.name for stage in missing)}, once on this machine (up to a minute)")
        with tempfile.TemporaryDirectory(prefix="parts-", dir=shared) as parts, ExitStack() as ends:
            pool, running = ends.enter_context(ThreadPoolExecutor(processes)), {}
            for n, stage in enumerate(missing):
                lifeline, held = multiprocessing.Pipe(duplex=False)  # one each: the kernel signals one reader of a pipe
                ends.callback(lifeline.close)
                ends.callback(held.close)  # ends the process, if this one stops early, before the pool waits for it
                part = Path(parts) / str(n)
                running[pool.submit(_in_process, stage, part, shared, lifeline)] = stage, part
            ends.callback(pool.shutdown, wait=False, cancel_futures=True)
            for count, done in enumerate(as_completed(running), 1):
                stage, part = running[done]
                move_kernels(part, shared)
                if done.result():
                    notify(f"compiled {stage.name} ({count} of {len(missing)})")
                else:
                    notify(f"{stage.name} is compiled last, since its process failed ({count} of {len(missing)})")
    for stage in missing:
        compile_kernels(stage)  # what two stages share in different forms, and what a process failed to compile


def _missing(stages: Sequence[Stage]) -> list[Stage]:
    return [
        stage
        for stage in stages
        if type(stage).warm_up is not Stage.warm_up and not is_compiled(stage.name, stage.fingerprint(()))
    ]


def _in_process(stage: Stage, part: Path, shared: Path, lifeline: Connection) -> bool:
    """Compile a stage in a process of its own, with ``part`` as numba's folder; whether it succeeded."""
    copy_kernels(shared, part)
    command = [sys.executable, "-P", "-c", START, json.dumps(sys.path), json.dumps(stage_values(stage)), str(lifeline.fileno())]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(part)}
    done = subprocess.run(
        command, env=environment, pass_fds=[lifeline.fileno()], check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode == 0


def compile_one(values: str, lifeline: int) -> None:
    """Compile the stage with these values, as JSON. Runs in a process of `compile_together`, and dies with its parent."""
    die_with(Connection(lifeline, writable=False))
    gc.disable()  # as `compiling` does
    stage_from(json.loads(values)).warm_up()


def copy_kernels(shared: Path, part: Path) -> None:
    """Copy numba's files into a new folder, so that a stage does not compile again what it shares with an earlier one.

    Others write there meanwhile: threads move files in, processes make tables under temporary names. What cannot be copied is
    left out, and numba compiles it again.
    """

    def others(folder: str, names: Sequence[str]) -> list[str]:
        return [
            name
            for name in names
            if name.startswith("parts-") or not (name.endswith(ENDINGS) or os.path.isdir(f"{folder}/{name}"))
        ]

    with suppress(OSError):
        shutil.copytree(shared, part, ignore=others)


def move_kernels(part: Path, shared: Path) -> None:
    """Move numba's files into a folder of the same layout; a function that it has already stays as it is.

    An index (``.nbi``) is moved after the machine code (``.nbc``) that it names, so that a reader finds all of it.
    """
    for index in sorted(part.rglob("*.nbi")):
        to = shared / index.relative_to(part)
        if to.exists():
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        for code in index.parent.glob(f"{index.stem}.*.nbc"):
            os.replace(code, to.parent / code.name)
        os.replace(index, to)
    shutil.rmtree(part, ignore_errors=True)
