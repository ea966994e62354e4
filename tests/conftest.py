"""What all tests share: no network, fixed seeds, the folder of real pages, the sample crawl and a run of it."""

import ipaddress
import os
import random
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from filelock import FileLock

from goldwash.filters.signals import EDITS, SIGNALS
from goldwash.pipeline.sample.crawl import write_sample
from tests.support.processes import goldwash

ROOT = Path(__file__).resolve().parent.parent
collect_ignore = ["fuzz.py"]  # atheris is no dependency

hypothesis.settings.register_profile("here", deadline=None, max_examples=60, print_blob=True)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("here"), derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def real_folder() -> Path:
    """The folder of real pages, there or not."""
    return Path(os.environ.get("GOLDWASH_REAL") or ROOT.parent / "shared" / "data")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not real_folder().is_dir():
        skip = pytest.mark.skip(reason=f"no real pages at {real_folder()}: set GOLDWASH_REAL")
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real pages; the test skips where it is absent. Mark such a test `real`."""
    if not real_folder().is_dir():
        pytest.skip(f"no real pages at {real_folder()}: set GOLDWASH_REAL")
    return real_folder()


class NetworkTouched(RuntimeError):
    """A test that tried to leave this machine."""


def is_loopback(address: Any) -> bool:
    """Whether a socket address stays on this machine: a Unix socket, or a loopback host."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets reach loopback and nothing else, names of other hosts are not looked up."""

    def isolated(name: str) -> Any:
        plain = getattr(socket.socket, name)

        def reach(self: socket.socket, address: Any, *rest: Any) -> Any:
            if not is_loopback(address):
                raise NetworkTouched(f"a test wanted to reach {address}")
            return plain(self, address, *rest)

        return reach

    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not is_loopback((name,)):
            raise NetworkTouched(f"a test wanted to look up {name}")
        return look_up(host, *rest, **named)

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, isolated(name))
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries draw from it


@pytest.fixture(autouse=True)
def declarations_end_with_their_test() -> Iterator[None]:
    """Signals, edits and ``use:`` modules of one test are unknown to the next; those of goldwash stay."""
    registries: tuple[dict[str, Any], ...] = (SIGNALS.here, EDITS.here)
    before, modules = [set(registry) for registry in registries], set(sys.modules)
    yield
    for registry, names in zip(registries, before, strict=True):
        for name in [name for name in registry if name not in names]:
            if not registry[name].function.__module__.startswith("goldwash."):
                del registry[name]
    for name in [name for name in sys.modules.keys() - modules if name.startswith("goldwash_use_")]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """A folder that is made once, whatever the number of xdist's workers."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def made(name: str, make: Callable[[Path], object]) -> Path:
        with FileLock(root / f"{name}.lock"):
            if not (root / f"{name}.made").exists():
                make(root / name)
                (root / f"{name}.made").touch()
        return root / name

    return made


@pytest.fixture(scope="session")
def sample(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The sample crawl's folder."""
    return once("sample", write_sample)


@pytest.fixture(scope="session")
def sample_run(once: Callable[[str, Callable[[Path], object]], Path], sample: Path) -> Path:
    """A folder whose ``run`` is the sample recipe's, made by two workers."""

    def make(folder: Path) -> None:
        folder.mkdir()
        done = goldwash("run", "sample", "--input", sample / "crawl", "--out", "run", "--workers", "2", cwd=folder, timeout=400)
        (folder / "printed.txt").write_text(done.stdout)

    return once("sample-run", make) / "run"
