"""A store that speaks S3 (moto's), on this machine, that fails when it is told to."""

import hashlib
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

BUCKET = "gold"


@dataclass
class Faults:
    """Which requests are answered 500 or 503: those that are meant, the first ones and then every k-th."""

    first: int = 0
    every: int = 0
    meant: Callable[[str, str], bool] = lambda method, path: True
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    seen: int = 0
    failed: int = 0

    def status(self, method: str, path: str) -> int | None:
        """The status that this request is answered with, if it is to fail."""
        if not self.meant(method, path):
            return None
        self.seen += 1
        if self.seen > self.first and not (self.every and self.seen % self.every == 0):
            return None
        self.failed += 1
        return self.draw.choice((500, 503))


class Store:
    """The server's application, what it was asked, and its bucket."""

    def __init__(self, application: Any) -> None:
        self.application, self.lock = application, threading.Lock()
        self.asked: list[tuple[str, str]] = []
        self.faults = Faults()

    def __call__(self, environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environment["REQUEST_METHOD"], environment["PATH_INFO"]
        with self.lock:
            self.asked.append((method, path))
            status = self.faults.status(method, path)
        if status is None:
            answer: Iterable[bytes] = self.application(environment, start)
            return answer
        environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
        code = {500: "InternalError", 503: "SlowDown"}[status]
        body = f"<Error><Code>{code}</Code><Message>a fault of the test's</Message></Error>".encode()
        start(f"{status} {code}", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    @property
    def fs(self) -> Any:
        """Its file system."""
        import s3fs

        return s3fs.S3FileSystem(use_listings_cache=False)

    @contextmanager
    def failing(self, **how: Any) -> Iterator[Faults]:
        """For a while, requests fail."""
        self.faults = Faults(**how)
        try:
            yield self.faults
        finally:
            self.faults, held = Faults(), self.faults
            assert held.failed, "no request has failed"

    def digests(self, folder: str) -> dict[str, str]:
        """Every object below a folder."""
        found = self.fs.find(folder)
        return {path.removeprefix(f"{folder}/"): hashlib.sha256(self.fs.cat_file(path)).hexdigest() for path in found}


@contextmanager
def served() -> Iterator[tuple[Store, str]]:
    """A store with an empty bucket, and its address; skips where moto or s3fs is not installed."""
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'goldwash[s3]'")
    server = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None: ...

    store = Store(server.DomainDispatcherApplication(server.create_backend_app))
    http = make_server("127.0.0.1", 0, store, threaded=True, request_handler=Quiet)  # type: ignore[arg-type]
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield store, f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
