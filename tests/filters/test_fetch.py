"""Models from elsewhere: fetched once, checked, whole or not at all. "Elsewhere" is this machine."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from goldwash.filters.fetch import FetchError, fetched
from tests.conftest import ROOT

CONTENT = b"a model\n" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Shelf(BaseHTTPRequestHandler):
    """A web server with one model, at /model.bin and where the Hugging Face hub has it."""

    asked: list[str]

    def do_GET(self) -> None:
        self.answer(True)

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(True)

    def answer(self, with_body: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        status, body, kind = 404, b"nothing here", "text/plain"
        described = {"type": "file", "path": "m.bin", "size": len(CONTENT), "oid": "b" * 40}
        if self.path == "/model.bin" or self.path.endswith("/m.bin"):
            status, body, kind = 200, CONTENT, "application/octet-stream"
        elif "/paths-info/" in self.path or "/tree/" in self.path:
            status, body, kind = 200, json.dumps([described]).encode(), "application/json"
        elif self.path.startswith("/api/models/owner/repo"):
            info = {"id": "owner/repo", "modelId": "owner/repo", "sha": COMMIT, "private": False, "tags": [], "siblings": []}
            status, body, kind = 200, json.dumps(info).encode(), "application/json"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        self.send_header("ETag", f'"{"b" * 40}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[str]:
    Shelf.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOLDWASH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_path_is_that_file(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "m.bin").write_bytes(CONTENT)
    assert fetched(str(tmp_path / "m.bin")) == tmp_path / "m.bin"
    assert files(cache) == []


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(FetchError, match=r"no file at nowhere.bin: give a path, or a place such as https"):
        fetched("nowhere.bin")


@pytest.mark.parametrize("digest", [None, DIGEST])
def test_over_http(shelf: str, cache: Path, digest: str | None) -> None:
    path = fetched(f"{shelf}/model.bin", digest)
    assert path.read_bytes() == CONTENT
    assert path.name == "model.bin"
    assert files(cache) == [path]


def test_the_second_time_nothing_is_asked(shelf: str) -> None:
    first = fetched(f"{shelf}/model.bin")
    asked = len(Shelf.asked)
    assert asked > 0
    assert fetched(f"{shelf}/model.bin") == first
    assert len(Shelf.asked) == asked


def test_a_wrong_digest_leaves_nothing(shelf: str, cache: Path) -> None:
    with pytest.raises(FetchError, match=f"has SHA-256 {DIGEST}, expected {'0' * 64}"):
        fetched(f"{shelf}/model.bin", "0" * 64)
    assert files(cache) == []
    assert fetched(f"{shelf}/model.bin", DIGEST).read_bytes() == CONTENT


def test_a_place_that_has_nothing_leaves_nothing(shelf: str, cache: Path) -> None:
    with pytest.raises(FetchError, match=r"other.bin could not be fetched .*copy the file here by other means"):
        fetched(f"{shelf}/other.bin")
    assert files(cache) == []


@pytest.mark.parametrize("place", ["nosuch://x/y.bin", "memory://nothing/y.bin"])
def test_places_that_cannot_be(place: str, cache: Path) -> None:
    with pytest.raises(FetchError, match="could not be fetched"):
        fetched(place)
    assert files(cache) == []


def test_two_places_of_one_name_are_two_files() -> None:
    memory = fsspec.filesystem("memory")
    for folder, content in (("a", b"1"), ("b", b"2")):
        memory.pipe(f"/{folder}/m.bin", content)
    assert [fetched(f"memory://{folder}/m.bin").read_bytes() for folder in "ab"] == [b"1", b"2"]


def test_the_network_is_out_of_reach() -> None:
    with pytest.raises(FetchError, match="could not be fetched"):
        fetched("http://192.0.2.1/model.bin")


def test_from_the_hub(shelf: str, cache: Path, tmp_path: Path) -> None:
    """In a process of its own: the hub's address is read when its library is imported."""
    program = "import sys; from goldwash.filters.fetch import fetched; print(fetched(sys.argv[1]))"
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GOLDWASH_CACHE": str(cache),
        "PYTHONPATH": str(ROOT / "src"), "HF_ENDPOINT": shelf, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    told = subprocess.run(
        [sys.executable, "-c", program, "hf://owner/repo/m.bin"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert told.returncode == 0, (told.stderr.decode()[-1500:], Shelf.asked)
    assert Path(told.stdout.decode().strip()).read_bytes() == CONTENT
    assert any("/m.bin" in line for line in Shelf.asked)
