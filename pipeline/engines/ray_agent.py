"""The agent: the process in which Ray's client runs, ``python -m goldwash.pipeline.engines.ray_agent PIPE LIFELINE``.

Invariants: it takes ``(kind, value)`` from `ray.Agent` through a pipe and answers with such pairs; the value of ``refused``
is an error message. A thread asks the head every `ASK_SECONDS` whether it is alive and still the cluster that was joined, and
reports it. Nothing else depends on that thread: if the head hangs it, the driver notices the silence. The agent ends with the
process that started it.
"""

import importlib
import logging
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from goldwash.pipeline.engines.lifeline import die_with
from goldwash.pipeline.engines.ray import AGAIN, Ray
from goldwash.pipeline.engines.work import work_named
from goldwash.pipeline.engines.workers import MEMORY
from goldwash.pipeline.stage import RunError
from goldwash.text_output import printable

ASK_SECONDS = 5.0
"""How often the head is asked."""


class Link:
    """The pipe to the driver, for several threads."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.lock = pipe, threading.Lock()

    def send(self, kind: str, value: Any = None) -> None:
        """Send a message."""
        with self.lock:
            self.pipe.send((kind, value))


def join(settings: Ray, link: Link) -> str:
    """Join the cluster; returns the address of its head. Raises `RunError` if there is none, or if it is of another
    version."""
    engine = importlib.import_module("ray")
    host, _, _ = settings.address.rpartition(":")
    if host:
        cluster_at(settings.address)  # hangs where the head does, in the time that the driver gives it
        link.send("answered")
    # a local cluster of its own: "auto" would join the one that a killed head has left behind
    more = {"include_dashboard": False} if settings.address == "local" else {}
    try:
        engine.init(
            address=settings.address, runtime_env={"env_vars": MEMORY}, log_to_driver=False, logging_level=logging.ERROR,
            configure_logging=False, **more,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        why = " ".join(str(error).split())  # all of it: the second line of Ray's message has the versions
        raise RunError(f"Ray cannot be reached at {settings.address} ({printable(why)})") from error
    return str(engine.get_runtime_context().gcs_address)


def cluster_at(address: str) -> str | None:
    """The id of the cluster that answers at an address; None if none does, or if this version of Ray does not say."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), 1.0).close()
        client = importlib.import_module("ray._raylet").GcsClient(address=address)
        return str(client.cluster_id.hex())
    except Exception:  # no part of Ray's public interface: what it raises, and whether it is there, may change
        return None


def nodes_known() -> str | None:
    """The number of nodes, as a sign of life of the head, by Ray's public interface; None if it does not answer."""
    try:
        return "alive" if importlib.import_module("ray").nodes() else None
    except Exception:  # whatever Ray raises, the head did not answer
        return None


def watch(address: str, link: Link) -> None:
    """Send ``alive`` whenever the head answers, and ``refused`` if it is another one."""
    joined = cluster_at(address)
    while True:
        now = cluster_at(address) if joined else nodes_known()
        if now and joined and now != joined:
            link.send(
                "refused",
                f"another Ray cluster answers at {address} than the one that this run joined: its head was restarted; {AGAIN}",
            )
        elif now:
            link.send("alive")
        time.sleep(ASK_SECONDS)


def serve(link: Link) -> None:
    """Answer messages until the driver leaves."""
    executor: Any = None
    while True:
        kind, value = link.pipe.recv()
        if kind == "join":
            address = join(Ray(**value), link)
            link.send("joined", address)
            threading.Thread(target=watch, args=(address, link), daemon=True, name="watch").start()
        elif kind == "pass":
            from goldwash.pipeline.engines.ray_executor import RayExecutor

            name, tasks, settings = value
            executor = RayExecutor(work_named(name), tasks, Ray(**settings))
            executor.check_nodes()
            link.send("nodes")
        elif kind == "run":
            link.send("ended", executor.run(value))
        else:
            importlib.import_module("ray").shutdown()
            return


def main() -> None:
    """Serve the driver whose pipes these are."""
    pipe, lifeline = (Connection(int(descriptor)) for descriptor in sys.argv[1:3])
    die_with(lifeline)
    link = Link(pipe)
    try:
        try:
            importlib.import_module("ray")
        except ImportError as error:
            raise RunError("Ray is not installed: pip install 'goldwash[ray]'") from error
        link.send("started")
        serve(link)
    except RunError as error:
        link.send("refused", str(error))
    except (EOFError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
