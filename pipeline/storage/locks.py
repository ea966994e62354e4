"""Run locks: one driver per folder, on a disk, a shared disk or a store.

Invariants: a lock is a small file that names its owner: host, process, start time, command. It is created in one step that
fails if the file exists, and its owner refreshes it every `REFRESH_SECONDS`. A lock is dead if its process is gone (same
host) or if it was not refreshed for `STALE_SECONDS` (another host); whoever finds a dead lock takes it over. A driver that
finds that its own lock now names somebody else raises `LockError` at its next step.
"""

import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import filesystem, is_local, join, read_json

LOCK = ".goldwash-lock"
REFRESH_SECONDS = 20.0
STALE_SECONDS = 180.0
"""Longer than any pause of a live driver: machines' clocks differ, and stores answer late."""
SETTLE_SECONDS = 2.0
"""How long to wait until a rival's lock becomes visible, in a store without exclusive creation."""


class LockError(DataError):
    """The folder belongs to another driver."""


@contextmanager
def run_lock(folder: str) -> Iterator[None]:
    """Hold a folder's lock for the block. Raises `LockError` that names the owner if another driver holds it."""
    place = join(folder, LOCK)
    lock = _Lock(place)
    lock.take()
    stop = threading.Event()
    keeper = threading.Thread(target=lock.keep, args=(stop,), daemon=True, name="goldwash-lock")
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join(REFRESH_SECONDS)
        lock.release()


def owner_of(folder: str) -> dict[str, Any] | None:
    """Who holds a folder's lock (host, process, started, command); None if nobody does, or the owner is dead."""
    held = _read(join(folder, LOCK))
    return None if held is None or _is_dead(held) else held


class _Lock:
    def __init__(self, place: str) -> None:
        self.place, self.token = place, secrets.token_hex(8)
        self.fs, self.path = filesystem(place)

    def _content(self) -> bytes:
        facts = {
            "token": self.token,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "process_started": _started(os.getpid()),
            "since": getattr(self, "since", None) or time.time(),
            "refreshed": time.time(),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:500],
        }
        self.since = facts["since"]
        return json.dumps(facts).encode()

    def take(self) -> None:
        for _ in range(3):
            if self._create():
                return
            held = _read(self.place)
            if held is None:  # released meanwhile, or half written by an owner that died
                if self._broken():
                    self._remove()
                continue
            if not _is_dead(held):
                raise LockError(_who(self.place, held))
            self._remove()
        raise LockError(f"{self.place}: other drivers are trying to take this folder's lock; run again")

    def _create(self) -> bool:
        if is_local(self.place):
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            try:
                handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            except FileExistsError:
                return False
            with os.fdopen(handle, "wb") as file:
                file.write(self._content())
            return True
        if self.fs.exists(self.path):
            return False
        try:
            self.fs.pipe_file(self.path, self._content(), mode="create")
        except FileExistsError:
            return False
        except (TypeError, NotImplementedError, ValueError):  # a store that cannot create exclusively
            self.fs.pipe_file(self.path, self._content())
            time.sleep(SETTLE_SECONDS)
        held = _read(self.place)
        return held is not None and held.get("token") == self.token

    def _broken(self) -> bool:
        """Whether the lock file has held no valid lock for a while."""
        if not is_local(self.place):
            return bool(self.fs.exists(self.path))
        try:
            return time.time() - os.stat(self.path).st_mtime > REFRESH_SECONDS
        except FileNotFoundError:
            return False

    def _remove(self) -> None:
        with suppress(FileNotFoundError):
            self.fs.rm_file(self.path)

    def keep(self, stop: threading.Event) -> None:
        """Refresh the lock until told to stop."""
        while not stop.wait(REFRESH_SECONDS):
            with suppress(OSError):  # a full disk: the run's own writes report it
                if not self._ours():
                    return
                self._write()

    def _write(self) -> None:
        if is_local(self.place):
            half = f"{self.path}.{self.token}"
            Path(half).write_bytes(self._content())
            os.replace(half, self.path)
        else:
            self.fs.pipe_file(self.path, self._content())

    def _ours(self) -> bool:
        held = _read(self.place)
        return held is not None and held.get("token") == self.token

    def release(self) -> None:
        with suppress(OSError):
            if self._ours():
                self._remove()


def _read(place: str) -> dict[str, Any] | None:
    try:
        held = read_json(place)
    except DataError:
        return None
    return held if isinstance(held, dict) and "host" in held else None


def _is_dead(held: dict[str, Any]) -> bool:
    if held["host"] == socket.gethostname():
        process = int(held.get("process") or 0)
        return not _lives(process) or _started(process) != held.get("process_started")
    return time.time() - float(held.get("refreshed") or 0) > STALE_SECONDS


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(process: int) -> str | None:
    """When a process started, so that a reused process number is not taken for the owner; None where it cannot be known."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def _who(place: str, held: dict[str, Any]) -> str:
    since = datetime.fromtimestamp(float(held.get("since") or 0), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"{place.removesuffix('/' + LOCK)} is in use: process {held.get('process')} on {held['host']} has worked on it since "
        f"{since} ({held.get('command')}). Wait for it, or stop it and run again; the lock of a dead process is taken over "
        f"(from another machine after {STALE_SECONDS:.0f} s)"
    )
