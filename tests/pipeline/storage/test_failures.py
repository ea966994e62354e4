"""Disks, stores and servers that fail: one sentence with the cure, retried once and not in layers, without passwords."""

import base64
import errno
import http.server
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash import credentials
from goldwash.credentials import all_kept_apart, kept_apart, shown, with_credentials
from goldwash.pipeline.storage import retry
from goldwash.pipeline.storage.atomic import atomic_write, write_json
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError, StorageError, in_plain_words, sentence_of
from goldwash.pipeline.storage.inputs import find_archives, find_shards
from goldwash.pipeline.storage.locations import filesystem, read_json, size_of, sizes_in
from goldwash.pipeline.storage.parquet import ShardWriter
from goldwash.pipeline.storage.retry import exhausted, is_transient, with_retries

# --- disks


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"no space left on device .*bytes free.*run again"),
        (errno.EDQUOT, "quota exceeded.*run again"),
        (errno.EROFS, "read-only file system. Choose another place"),
        (errno.EMFILE, "too many open files.*ulimit"),
        (errno.ENAMETOOLONG, "file name too long"),
        (errno.EACCES, "permission denied"),
    ],
)
def test_errors_of_a_disk_are_one_sentence(tmp_path, monkeypatch, number, message):
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match=rf"(?s)a\.json cannot be written: .*{message}") as caught:
        write_json(str(tmp_path / "a.json"), {})
    assert caught.value.errno == number
    assert isinstance(caught.value, OSError)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_inodes(tmp_path, monkeypatch):
    real = os.statvfs(tmp_path)
    fields = {name: getattr(real, name) for name in dir(real) if name.startswith("f_")}
    monkeypatch.setattr(os, "statvfs", lambda _: type("Disk", (), {**fields, "f_files": 100, "f_favail": 0, "f_bavail": 9})())
    assert "no free inodes" in (sentence_of(str(tmp_path / "a"), OSError(errno.ENOSPC, "full"), True) or "")


def test_a_folder_in_which_nothing_may_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"), atomic_write(str(tmp_path / "file" / "a")):
        pass


def test_an_error_of_the_block_is_not_taken_for_one_of_the_file(tmp_path):
    with pytest.raises(OSError, match="from elsewhere"), atomic_write(str(tmp_path / "a")):
        raise OSError(errno.EIO, "from elsewhere")
    with pytest.raises(ZeroDivisionError), atomic_write(str(tmp_path / "a")):
        raise ZeroDivisionError


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_the_umask_decides_who_may_read_what_is_written(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_json(str(tmp_path / "a.json"), {})
        ShardWriter(str(tmp_path / "a.parquet"), pa.schema([("text", pa.string())])).commit()
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def test_a_system_without_linuxs_own_error_numbers_can_import_it():
    code = (
        "import errno; del errno.EREMOTEIO, errno.EDQUOT; import goldwash.pipeline.storage.batches as p; print(p.BATCH_BYTES)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == str(
        1 << 20
    )


# --- retries


def attempts(error: Exception, monkeypatch: pytest.MonkeyPatch, layers: int = 1) -> int:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked += 1
        raise error

    def layered(depth: int) -> None:
        with_retries(ask if depth == 1 else lambda: layered(depth - 1))

    with pytest.raises(type(error)):
        layered(layers)
    return asked


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_retries_are_not_multiplied_by_layers(monkeypatch, layers):
    assert attempts(ConnectionResetError("gone"), monkeypatch, layers) == retry.ATTEMPTS


def test_what_is_not_transient_is_asked_once(monkeypatch):
    assert attempts(PermissionError("no"), monkeypatch) == 1


def test_an_error_that_was_given_up_is_known_through_its_causes(monkeypatch):
    error = ConnectionResetError("gone")
    attempts(error, monkeypatch)
    told = StorageError("no answer")
    told.__cause__ = error
    assert exhausted(told)
    assert is_transient(told)
    assert not exhausted(ConnectionResetError("another"))


# --- servers


class Guarded(http.server.BaseHTTPRequestHandler):
    """Gives a file to those who know the password, and tells what it was asked."""

    protocol_version = "HTTP/1.1"
    content = b""
    password: str | None = "me:s3cret/@:x"
    status = 0
    asked: list[str]

    def answer(self, body: bool) -> None:
        type(self).asked.append(self.path)
        known = (
            self.password is None
            or self.headers.get("Authorization") == "Basic " + base64.b64encode(self.password.encode()).decode()
        )
        code = self.status or (200 if known else 401)
        data = self.content if code == 200 else b""
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def do_GET(self) -> None:
        self.answer(True)

    def do_HEAD(self) -> None:
        self.answer(False)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv(credentials.VARIABLE, raising=False)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    Guarded.asked, Guarded.status, Guarded.password = [], 0, "me:s3cret/@:x"
    Guarded.content = b'{"text": "gold"}\n'
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as held:
        threading.Thread(target=held.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{held.server_port}"
        held.shutdown()


def test_a_password_is_used_and_kept_nowhere(server, tmp_path):
    name = f"http://me:s3cret%2F%40%3Ax@{server}/a.jsonl"
    (found,) = find_shards([name])
    assert found.path == f"http://{server}/a.jsonl"
    table = pa.concat_tables(read_batches(found))
    assert table.to_pylist() == [{"text": "gold", "id": "a.jsonl#0", "url": ""}]
    kept = json.dumps(found.to_dict()) + str(found.identity()) + str(table.to_pylist())
    (tmp_path / "warc.paths").write_text(f"{name.replace('a.jsonl', 'a.warc.gz')}\n")
    kept += str(find_archives([str(tmp_path / "warc.paths")]))
    assert "s3cret" not in kept


def test_workers_of_this_machine_have_it_and_later_runs_are_told_how_to_give_it(server, monkeypatch):
    find_shards([f"http://me:s3cret%2F%40%3Ax@{server}/a.jsonl"])
    code = f"from goldwash.pipeline.storage.locations import read_text; print(read_text('http://{server}/a.jsonl'))"
    assert "gold" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    monkeypatch.delenv(credentials.VARIABLE)
    with pytest.raises(DataError, match=r"access was refused .*\.netrc, or give the URL as https://USER:PASSWORD@HOST"):
        size_of(f"http://{server}/a.jsonl")


def test_a_refused_password_is_not_in_the_error(server):
    with pytest.raises(DataError) as caught:
        find_shards([f"http://me:wr0ng@{server}/a.jsonl"])
    assert "wr0ng" not in str(caught.value)
    assert "refused" in str(caught.value)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_keeps_failing_is_one_sentence(server, status):
    Guarded.password, Guarded.status = None, status
    with (
        pytest.raises(StorageError, match=rf"{server}/a cannot be read: .*{status}|no answer") as caught,
        local_copy(f"http://{server}/a"),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_a_proxy_is_asked(server, monkeypatch):
    Guarded.password = None
    monkeypatch.setenv("http_proxy", f"http://{server}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    fs, path = filesystem("http://127.0.0.2:9/a.jsonl")
    type(fs).clear_instance_cache()
    fs, path = filesystem("http://127.0.0.2:9/a.jsonl")
    assert fs.cat_file(path) == Guarded.content
    assert any("127.0.0.2" in asked for asked in Guarded.asked)


@pytest.mark.parametrize("location", ["unheard://x/a.parquet", "s9://x/a"])
def test_a_protocol_that_nobody_knows(location):
    with pytest.raises(DataError, match=r"unheard|s9"):
        filesystem(location)


def test_what_is_not_there_has_no_size(tmp_path):
    assert size_of(str(tmp_path / "a")) is None
    assert sizes_in(str(tmp_path / "a")) == {}
    assert read_json(str(tmp_path / "a")) is None


def test_a_truncated_download_of_parquet_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x" * 1000]}), path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"a\.parquet is not a whole Parquet file"):
        list(read_batches(str(path)))


# --- credentials in locations


@pytest.mark.parametrize(
    ("location", "plain"),
    [
        ("https://me:secret@h.example/a", "https://h.example/a"),
        ("https://me:se@cr/et@h.example/a", "https://me:se@cr/et@h.example/a".replace("me:se@", "")),
        ("https://token@h.example:8080/a?x=1#y", "https://h.example:8080/a?x=1#y"),
        ("sftp://me:secret@h.example/a", "sftp://h.example/a"),
        ("https://h.example/a@b/c:d", "https://h.example/a@b/c:d"),
        ("https://h.example/a?X-Amz-Credential=k&X-Amz-Signature=s&part=2", "https://h.example/a?part=2"),
        ("https://h.example/a?sv=2024&sig=s", "https://h.example/a"),
        ("https://h.example/a?download=true", "https://h.example/a?download=true"),
        ("/data/me:secret@host/a", "/data/me:secret@host/a"),
        ("s3://bucket/a", "s3://bucket/a"),
    ],
)
def test_locations_are_shown_without_credentials(location, plain, monkeypatch):
    monkeypatch.delenv(credentials.VARIABLE, raising=False)
    assert shown(location) == plain == kept_apart(location)
    assert shown(plain) == plain
    if plain != location and "?" not in plain:
        assert with_credentials(plain) == location


def test_a_signed_urls_parameters_are_put_back_for_that_url_alone(monkeypatch):
    monkeypatch.delenv(credentials.VARIABLE, raising=False)
    signed = "https://h.example/a.parquet?X-Amz-Credential=k&X-Amz-Signature=s"
    assert with_credentials(kept_apart(signed)) == signed
    assert with_credentials("https://h.example/b.parquet") == "https://h.example/b.parquet"
    assert with_credentials("https://h.example.org/a.parquet") == "https://h.example.org/a.parquet"


def test_words_of_the_command_line(monkeypatch):
    monkeypatch.delenv(credentials.VARIABLE, raising=False)
    assert all_kept_apart("quality.model=https://a:b@h.example/m.bin") == "quality.model=https://h.example/m.bin"
    assert all_kept_apart("[https://a:b@h.example/x, s3://k:s@bucket/y]") == "[https://h.example/x, s3://bucket/y]"
    assert all_kept_apart("a plain word: me@here") == "a plain word: me@here"


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    (tmp_path / "a").write_text("x")
    return tmp_path / "a"


def test_the_names_of_data_are_escaped_in_errors(tmp_path):
    name = str(tmp_path / "a\x1b[31m.jsonl")
    with pytest.raises(DataError) as caught, in_plain_words(name):
        raise OSError(errno.EROFS, "read-only")
    assert "\x1b" not in str(caught.value)
