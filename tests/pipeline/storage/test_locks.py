"""One driver per folder: on a disk, from another machine, and in a store."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pytest

from goldwash.pipeline.storage import locks
from goldwash.pipeline.storage.locks import LOCK, LockError, owner_of, run_lock

HOLDER = """
import sys, time
from goldwash.pipeline.storage.locks import run_lock
with run_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def lock_of(folder: Path, **facts: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    held = {"token": "x", "host": "elsewhere", "process": 1, "since": 0, "refreshed": time.time(), "command": "goldwash run"}
    (folder / LOCK).write_text(json.dumps({**held, **facts}))
    return folder / LOCK


def test_a_second_driver_is_told_who_holds_the_folder(holder, tmp_path):
    with (
        pytest.raises(LockError, match=rf"run is in use: process {holder.pid} on .* has worked on it since 20\d\d-"),
        run_lock(str(tmp_path / "run")),
    ):
        pass
    assert owner_of(str(tmp_path / "run"))["process"] == holder.pid


def test_the_lock_of_a_killed_driver_is_taken_over(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert owner_of(str(tmp_path / "run")) is None
    with run_lock(str(tmp_path / "run")):
        assert owner_of(str(tmp_path / "run"))["process"] == os.getpid()
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_reused_process_number_is_not_the_owner(tmp_path):
    import socket

    lock_of(tmp_path, host=socket.gethostname(), process=os.getpid(), process_started="1")
    if not Path("/proc/self/stat").exists():
        pytest.skip("without /proc a process's start cannot be known")
    assert owner_of(str(tmp_path)) is None


@pytest.mark.parametrize(("age", "dead"), [(0, False), (locks.STALE_SECONDS / 2, False), (locks.STALE_SECONDS + 1, True)])
def test_another_machines_lock_is_dead_once_it_is_stale(tmp_path, age, dead):
    lock_of(tmp_path, refreshed=time.time() - age)
    assert (owner_of(str(tmp_path)) is None) == dead
    if dead:
        with run_lock(str(tmp_path)):
            pass
    else:
        with pytest.raises(LockError, match="process 1 on elsewhere"), run_lock(str(tmp_path)):
            pass


def test_the_owner_refreshes_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "REFRESH_SECONDS", 0.02)
    with run_lock(str(tmp_path)):
        first = json.loads((tmp_path / LOCK).read_text())
        deadline = time.monotonic() + 20
        while json.loads((tmp_path / LOCK).read_text())["refreshed"] == first["refreshed"] and time.monotonic() < deadline:
            time.sleep(0.01)
        again = json.loads((tmp_path / LOCK).read_text())
    assert again["refreshed"] > first["refreshed"]
    assert again["token"] == first["token"]


def test_a_lock_that_was_taken_over_is_not_removed_by_its_old_owner(tmp_path):
    with run_lock(str(tmp_path)):
        lock_of(tmp_path, token="theirs")
    assert json.loads((tmp_path / LOCK).read_text())["token"] == "theirs"


def test_a_broken_lock_is_replaced_once_nobody_can_be_writing_it(tmp_path, monkeypatch):
    (tmp_path / LOCK).write_text("{")
    with pytest.raises(LockError, match="run again"), run_lock(str(tmp_path)):
        pass
    os.utime(tmp_path / LOCK, (0, 0))
    with run_lock(str(tmp_path)):
        pass


def test_a_store_is_locked_too():
    folder = "memory://locked/run"
    with run_lock(folder):
        assert owner_of(folder)["process"] == os.getpid()
        with pytest.raises(LockError, match="locked/run is in use"), run_lock(folder):
            pass
    assert not fsspec.filesystem("memory").exists(f"/locked/run/{LOCK}")
