"""A stand-in for the Hugging Face Hub on loopback: the calls of an upload, with the files in memory.

It answers what `huggingface_hub` asks for when it makes a repository, lists it, uploads large files (Git LFS) and commits. Each
request is recorded. Requests without the token `TOKEN` are refused, as the Hub does.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_stand_in"


LICENCES = {"unknown", "other", "odc-by", "apache-2.0", "mit"}


def card_errors(text: str) -> list[dict[str, str]]:
    """What the Hub would find wrong in a card's header, as far as goldwash's cards have it."""
    header = yaml.safe_load(text.split("---\n")[1])
    wrong = []
    if header.get("license") not in LICENCES:
        wrong.append({"message": "license"})
    if not all(isinstance(config.get("data_files"), list) for config in header.get("configs") or [{}]):
        wrong.append({"message": "configs"})
    if not isinstance(header.get("size_categories"), str | list):
        wrong.append({"message": "size_categories"})
    return wrong


@dataclass
class Hub:
    """The repository: ``files`` by name, ``large`` objects by digest, ``commits``: the operations of each."""

    files: dict[str, bytes] = field(default_factory=dict)
    lfs: dict[str, str] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    commits: list[list[tuple[str, str]]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)
    endpoint: str = ""
    failing: str = ""
    """Requests whose path contains this are answered 503."""

    def commit(self, lines: list[dict[str, Any]]) -> None:
        """Apply a commit: lines of the Hub's NDJSON."""
        done = []
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
                self.lfs.pop(value["path"], None)
            elif line["key"] == "lfsFile":
                self.files[value["path"]] = self.large[value["oid"]]
                self.lfs[value["path"]] = value["oid"]
            elif line["key"] == "deletedFile":
                del self.files[value["path"]]
                self.lfs.pop(value["path"], None)
            done.append((line["key"], value.get("path", "")))
        self.commits.append(done)

    def tree(self) -> list[dict[str, Any]]:
        """The files, as the Hub lists them."""
        found = []
        for path, data in sorted(self.files.items()):
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            if path in self.lfs:
                entry["lfs"] = {"oid": self.lfs[path], "size": len(data), "pointerSize": 130}
            found.append(entry)
        return found


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, value: Any, code: int = 200, **headers: str) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _any(self) -> None:
        hub, body, path = self.hub, self._body(), unquote(urlsplit(self.path).path)
        hub.requests.append(f"{self.command} {path}")
        if hub.failing and hub.failing in path:
            self._answer({"error": "away"}, 503)
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}" and not path.startswith("/store/"):
            self._answer({"error": "Invalid username or password."}, 401, X_Error_Message="Invalid username or password.")
        else:
            self._route(path, body)

    def _route(self, path: str, body: bytes) -> None:
        hub = self.hub
        if path == "/api/repos/create":
            hub.made.append(json.loads(body))
            self._answer({"url": f"{hub.endpoint}/datasets/{hub.made[-1].get('organization', 'me')}/{hub.made[-1]['name']}"})
        elif path == "/api/validate-yaml":
            self._answer({"errors": card_errors(json.loads(body)["content"]), "warnings": []})
        elif "/branch/" in path:
            self._answer({})
        elif "/tree/" in path:
            self._answer(hub.tree())
        elif "/resolve/" in path:
            self._file(path.split("/resolve/")[1].split("/", 1)[1])
        elif path.startswith("/store/"):
            digest = path.removeprefix("/store/")
            assert hashlib.sha256(body).hexdigest() == digest
            hub.large[digest] = body
            self._answer({})
        else:
            self._upload_call(path, body)

    def _file(self, name: str) -> None:
        if name not in self.hub.files:
            self._answer({"error": f"no {name}"}, 404, X_Error_Code="EntryNotFound")
            return
        data = self.hub.files[name]
        self._answer(data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit="0" * 40)

    def _upload_call(self, path: str, body: bytes) -> None:
        hub = self.hub
        if "/preupload/" in path:
            asked = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(".parquet") else "regular"} for f in asked]
            self._answer({"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [self._upload(each) for each in json.loads(body)["objects"]]
            self._answer({"transfer": "basic", "objects": objects})
        elif "/commit/" in path:
            hub.commit([json.loads(line) for line in body.splitlines() if line.strip()])
            number, url = f"{len(hub.commits):040x}", hub.endpoint + path.split("/commit/")[0].removeprefix("/api")
            self._answer({"success": True, "commitOid": number, "commitUrl": f"{url}/commit/{number}", "hookOutput": ""})
        else:
            self._answer({"error": f"no {path}"}, 404, X_Error_Code="EntryNotFound")

    def _upload(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["oid"] in self.hub.large:
            return asked
        return {**asked, "actions": {"upload": {"href": f"{self.hub.endpoint}/store/{asked['oid']}", "header": {}}}}

    do_GET = do_POST = do_PUT = do_HEAD = _any


@contextmanager
def stand_in() -> Iterator[Hub]:
    """A hub that listens while the block runs."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
