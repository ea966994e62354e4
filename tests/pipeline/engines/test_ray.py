"""A Ray cluster that is frozen, killed, silent or of another version: each wait has a bound, and its error is in words."""

import os
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from goldwash.pipeline.engines import ray as module
from goldwash.pipeline.engines.ray import Ray, connect, disconnect, ray
from goldwash.pipeline.stage import RunError, reports_of
from tests.conftest import ROOT
from tests.pipeline.engines.test_local import tasks_in
from tests.support.clusters import NoEngineError, RayCluster, ray_cluster, until
from tests.support.numbers import write_number

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.xdist_group("engines")]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in {**RayCluster.environment, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}.items():
        monkeypatch.setenv(name, value)
    yield
    disconnect()


@pytest.fixture
def head(tmp_path_factory):
    try:
        with ray_cluster(Path(tmp_path_factory.mktemp("ray", numbered=True)), ("head",)) as cluster:
            yield cluster
    except NoEngineError as error:
        pytest.skip(str(error))


def when_tasks_run(out: Path, act) -> threading.Thread:
    """Do something a moment after the first task has started."""

    def later() -> None:
        until(lambda: list(out.rglob("states/part-*.json")), 120, "a task")
        time.sleep(0.5)
        act()

    thread = threading.Thread(target=later)
    thread.start()
    return thread


def test_a_frozen_head_ends_a_driver_in_words_at_connect_and_late(head, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_SECONDS", 8.0)
    monkeypatch.setattr(module, "SILENT_SECONDS", 12.0)
    settings, out = Ray(address=head.address, memory_gb=0.2), tmp_path / "a"
    tasks = tasks_in(out, 3, **{f"t{n}": "wait long" for n in range(3)})
    run = ray(settings)
    freezing = when_tasks_run(out, lambda: head.signal("head", signal.SIGSTOP))
    began = time.monotonic()
    with pytest.raises(
        RunError, match=r"the Ray head at .* has not answered for 12 s: it is frozen or unreachable; .*goes on from there"
    ):
        run(write_number, tasks)
    freezing.join()
    assert time.monotonic() - began < 100
    with pytest.raises(RunError, match=r"the Ray head at .* has not answered for 8 s.*goes on from there"):
        connect(settings)
    head.kill("head")
    until(lambda: not head.listens(), 60, "the end of the head's server")
    monkeypatch.undo()
    with pytest.raises(RunError, match=r"no Ray head answers at .*ray start --head.*--ray-address"):
        connect(settings)


def test_a_head_that_is_killed_ends_a_driver_in_words_and_a_new_one_finishes_the_run(head, tmp_path, monkeypatch):
    settings, out = Ray(address=head.address, memory_gb=0.2), tmp_path / "a"
    tasks = tasks_in(out, 3, **{f"t{n}": "wait long" for n in range(3)})
    run = ray(settings)
    killing = when_tasks_run(out, lambda: head.kill("head"))
    with pytest.raises(
        RunError, match=r"(the connection to the Ray cluster at .* is lost|has not answered for).*goes on from there"
    ) as caught:
        run(write_number, tasks)
    killing.join()
    assert "\n" not in str(caught.value)
    assert "StackTrace" not in str(caught.value)
    head.start("head")
    until(lambda: head.started("head"), 180, "Ray's head")
    ray(settings)(write_number, tasks)
    assert reports_of(tasks).read.documents == 300


def test_a_port_that_is_silent_is_given_up_after_a_bound(monkeypatch):
    pytest.importorskip("ray", reason="ray is not installed: make engines")
    monkeypatch.setattr(module, "ANSWER_SECONDS", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RunError, match=rf"the Ray head at {address} has not answered for 3 s"):
            connect(Ray(address=address))


# --- Ray stood in for by a module of its name

FAKE = """
def is_initialized(): return False
def init(**words):
    {act}
def shutdown(): pass
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes a module ``ray`` whose `init` does something."""

    def make(act: str) -> None:
        (tmp_path / "fake" / "ray").mkdir(parents=True)
        (tmp_path / "fake" / "ray" / "__init__.py").write_text(FAKE.format(act=act))
        monkeypatch.syspath_prepend(str(tmp_path / "fake"))

    return make


def test_all_of_rays_message_of_two_versions_is_told(fake):
    fake('raise RuntimeError("Version mismatch: The cluster:\\n    Ray: 2.50.0\\nThis process:\\n    Ray: 2.54.0\\n")')
    with pytest.raises(RunError, match=r"Ray cannot be reached at auto \(Version mismatch: .*Ray: 2\.50\.0 .*Ray: 2\.54\.0\)"):
        connect(Ray())


def test_a_client_that_hangs_at_connect_is_ended(fake, monkeypatch):
    monkeypatch.setattr(module, "JOIN_SECONDS", 2.0)
    fake("import time; time.sleep(600)")
    with pytest.raises(RunError, match=r"joining the Ray cluster at auto has not answered for 2 s"):
        connect(Ray())


@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("import os; os.abort()", r"Ray's client was ended by SIGABRT"),
        (
            "import os; os.write(2, b'[1] x.cc:1: GCS \\x1b[31mdied\\n    @ 0x1 trace\\n'); os._exit(1)",
            r"exit code 1; GCS \\x1b\[31mdied",
        ),
        ("raise SystemExit(7)", r"exit code 7; it printed nothing"),
    ],
)
def test_a_client_that_ends_its_process_is_told_in_words(fake, act, why):
    fake(act)
    with pytest.raises(RunError, match=rf"the connection to the Ray cluster at auto is lost \(.*{why}.*Start it again"):
        connect(Ray())


def test_a_machine_without_ray_has_the_cure(tmp_path, monkeypatch):
    (tmp_path / "ray.py").write_text("raise ImportError('no ray')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RunError, match=r"Ray is not installed: pip install 'goldwash\[ray\]'"):
        connect(Ray())


def test_files_of_the_current_folder_do_not_take_the_place_of_packages(tmp_path, monkeypatch, fake):
    fake('raise RuntimeError("reached")')
    (tmp_path / "json.py").write_text("raise ImportError('the wrong json')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="reached"):
        connect(Ray())


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_agent_ends_with_its_driver(fake, tmp_path):
    import subprocess

    fake("import time; time.sleep(600)")
    code = "import sys; sys.path[:0] = sys.argv[1:]\nfrom goldwash.pipeline.engines.ray import Ray, connect\nconnect(Ray())"
    words = [sys.executable, "-c", code, str(tmp_path / "fake"), str(ROOT / "src")]
    driver = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children")
    until(lambda: children.read_text().split(), 120, "the agent")
    (agent,) = map(int, children.read_text().split())
    until(lambda: b"ray_agent" in Path(f"/proc/{agent}/cmdline").read_bytes(), 120, "the agent")
    until(lambda: ignores_interrupts(agent), 120, "the agent's lifeline")
    time.sleep(0.5)  # `die_with` ignores interrupts first, then asks the kernel
    driver.kill()
    driver.wait()
    until(
        lambda: not Path(f"/proc/{agent}").exists() or "Z" in Path(f"/proc/{agent}/stat").read_text().split()[2], 60, "its end"
    )


def ignores_interrupts(pid: int) -> bool:
    """Whether a process ignores SIGINT, as the first line of `lifeline.die_with` makes it."""
    ignored = re.search(r"SigIgn:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
    return ignored is not None and bool(int(ignored[1], 16) >> (signal.SIGINT - 1) & 1)
