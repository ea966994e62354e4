"""No orphans: workers end with their driver, however that ends."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.clusters import until

DRIVER = """
import sys
from pathlib import Path
from goldwash.pipeline.engines.local import local
from tests.pipeline.engines.test_local import tasks_in
from tests.support.numbers import write_number
if __name__ == "__main__":
    tasks = tasks_in(Path(sys.argv[1]), 4, **{f"t{n}": sys.argv[2] for n in range(4)})
    local(2)(write_number, tasks)
"""


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def workers(out: Path) -> list[int]:
    """The processes that are in the middle of a task."""
    found = []
    for file in out.glob("logs/*/states/part-*.json"):
        with suppress(OSError, ValueError):
            found.append(int(json.loads(file.read_text())["pid"]))
    return sorted({pid for pid in found if alive(pid)})


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("act", ["wait long", "never"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_driver(tmp_path, act, number):
    """``never`` is a task that holds the interpreter, so that no thread of its process runs."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    driver = subprocess.Popen(
        [sys.executable, script, tmp_path / "out", act], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        until(lambda: len(workers(tmp_path / "out")) == 2, 120, "two workers")
        at_work = workers(tmp_path / "out")
        driver.send_signal(number)
        driver.wait(30)
        until(lambda: not any(map(alive, at_work)), 30, "the end of the workers")
        time.sleep(0.2)
        assert workers(tmp_path / "out") == []
    finally:
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)


INTERRUPTED = """
import os, signal, sys, time
from multiprocessing import forkserver
from pathlib import Path
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.engines.workers import fork_context
from tests.pipeline.engines.test_local import tasks_in
from tests.support.numbers import write_number
if __name__ == "__main__":
    fork_context()
    server = forkserver._forkserver._forkserver_pid
    for _ in range(20):
        os.kill(server, signal.SIGINT)
        time.sleep(0.02)
    local(2)(write_number, tasks_in(Path(sys.argv[1]), 2))
    print(forkserver._forkserver._forkserver_pid == server, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_ctrl_c_does_not_reach_the_fork_server_while_it_loads(tmp_path):
    """A terminal sends it to all processes: the server printed a traceback into what the driver says."""
    script = tmp_path / "driver.py"
    script.write_text(INTERRUPTED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, script, tmp_path / "out"], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout, done.stderr) == ("True set()\n", "")


def test_a_process_that_imports_what_the_server_preloads_keeps_ctrl_c():
    code = (
        "import signal, goldwash.pipeline.engines.preload; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
