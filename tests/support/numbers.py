"""Work for the local executor's tests: top-level, so that workers find it; what it does stands in the task."""

import logging
import os
import re
import signal
import sys
import time
from pathlib import Path

import pyarrow as pa

from goldwash.pipeline import threads
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.tasks import Task, TaskOutput

SCHEMA = pa.schema([("n", pa.int64())])


def write_number(task: Task) -> None:
    """Write the task's number, after what ``extra`` asks for."""
    with TaskOutput(task, SCHEMA) as output:
        output.write("kept", pa.table({"n": [task.index] * 100}, schema=SCHEMA))
        output.report += Report(Count(100, 800), Count(100, 800))
        act(task)
    log = Path(task.out) / "done.log"
    with log.open("a") as file:
        file.write(f"{task.index} {os.getpid()}\n")


def tell_worker(task: Task) -> None:
    """Write what a worker holds when it is about to score, and after it."""
    from goldwash.classifiers.word_weights import mean_weights
    from goldwash.pipeline.stages.quality import Quality

    with TaskOutput(task, SCHEMA) as output:
        loaded = len(getattr(mean_weights, "signatures", ["as Python"]))
        Quality().warm_up()
        pool = pa.default_memory_pool().backend_name
        output.facts.update(kernels=loaded, modules=sorted(sys.modules), pool=pool)


def act(task: Task) -> None:  # noqa: C901, PLR0912 - a table of things that happen
    match task.extra.get("act"):
        case "die once":
            once = Path(task.out) / f"died-{task.index}"
            if not once.exists():
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case "die":
            with (Path(task.out) / f"died-{task.index}").open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            raise DataError("the gold is gone")
        case "fault":
            raise KeyError("a fault of ours")
        case "exit":
            raise SystemExit(3)
        case "wait":
            time.sleep(0.3)
        case "wait long":
            time.sleep(3)
        case "no memory":
            raise MemoryError
        case "print":
            print("a title: \x1b[31m")  # noqa: T201
            logging.getLogger("warcio").warning("warcio says \x1b[31m")
            os.write(2, b"by a C library\n")
        case "environment":
            (Path(task.out) / f"environment-{task.index}").write_text(os.environ.get("GOLDWASH_TEST", "none"))
        case "processors":
            (Path(task.out) / f"processors-{task.index}").write_text(str(threads.processors()))
        case "never":
            re.match(r"(a+)+$", "a" * 60 + "b")
        case "eat":
            held = []
            for _ in range(800):
                held.append(bytearray(os.urandom(1 << 20) * 8))
                time.sleep(0.02)
