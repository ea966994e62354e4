"""Archives that lie elsewhere, from a server on this machine."""

import functools
import gzip
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from fsspec.implementations.http import HTTPFileSystem

from goldwash.pipeline.engines.local import local
from goldwash.pipeline.sample.crawl import write_sample
from goldwash.pipeline.stages.extract import Extract
from goldwash.pipeline.storage import downloads
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives, path_of
from tests.pipeline.conftest import rows


class Quiet(http.server.SimpleHTTPRequestHandler):
    failures = 0
    ranges = False
    asked: ClassVar[list[tuple[int, int]]] = []

    def do_GET(self) -> None:
        if type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not asked or not type(self).ranges:
            super().do_GET()
            return
        start, last = int(asked[1]), int(asked[2])
        type(self).asked.append((start, last + 1))
        data = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last + 1 - start))
        self.end_headers()
        self.wfile.write(data[start : last + 1])

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    write_sample(tmp_path / "sample")
    handler = functools.partial(Quiet, directory=str(tmp_path / "sample"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def extracted(names: list[str], out: Path) -> tuple[int, int]:
    report = Extract()(find_archives(names), str(out), local(1))
    return report.read.documents, report.kept.bytes


def test_an_archive_over_http_gives_what_it_gives_on_disk(server: str, tmp_path: Path) -> None:
    here = extracted([str(tmp_path / "sample/crawl/sample-00000.warc.gz")], tmp_path / "a")
    there = extracted([f"{server}/crawl/sample-00000.warc.gz"], tmp_path / "b")
    assert here == there
    assert here[0] > 100


def test_a_list_of_paths_is_not_opened_until_it_is_read(server: str, tmp_path: Path) -> None:
    paths = tmp_path / "warc.paths"
    paths.write_text("".join(f"{server}/crawl/sample-{n:05d}.warc.gz\n" for n in range(90_000)))
    found = find_archives([str(paths)])
    assert len(found) == 90_000
    assert found[3].path == f"{server}/crawl/sample-00003.warc.gz"


def test_a_server_that_fails_twice_is_asked_again(server: str, tmp_path: Path) -> None:
    found = find_archives([f"{server}/crawl/sample-00001.warc.gz"])
    Quiet.failures = 2
    assert Extract()(found, str(tmp_path / "out"), local(1)).read.documents > 100
    assert Quiet.failures == 0


def test_a_transfer_goes_on_where_it_broke(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "RANGE_BYTES", 10_000)
    monkeypatch.setattr(Quiet, "ranges", True)
    monkeypatch.setattr(Quiet, "asked", [])
    whole = (tmp_path / "sample/crawl/sample-00002.warc.gz").read_bytes()
    given: list[int] = []
    cat_file = HTTPFileSystem._cat_file

    async def cut(self: HTTPFileSystem, *words: object, **named: object) -> bytes:
        given.append(1)
        if len(given) in (2, 4):
            raise OSError("the connection is gone")
        return bytes(await cat_file(self, *words, **named))

    monkeypatch.setattr(HTTPFileSystem, "_cat_file", cut)
    HTTPFileSystem.clear_instance_cache()
    with downloads.local_copy(f"{server}/crawl/sample-00002.warc.gz") as path:
        assert Path(path).read_bytes() == whole
    starts = [start for start, _ in Quiet.asked]
    assert starts == list(range(0, len(whole), 10_000))  # nothing is fetched twice


@pytest.fixture
def crawl(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of a crawl on a stand-in for Common Crawl's server."""
    paths = [f"crawl-data/CC-MAIN-2024-10/segments/{n}/warc/CC-MAIN-{n:05d}.warc.gz" for n in range(40)]
    folder = tmp_path / "sample" / "crawl-data" / "CC-MAIN-2024-10"
    folder.mkdir(parents=True)
    (folder / "warc.paths.gz").write_bytes(gzip.compress("\n".join(paths).encode()))
    (folder / "wet.paths.gz").write_bytes(gzip.compress(b"crawl-data/CC-MAIN-2024-10/a.warc.wet.gz\n"))
    monkeypatch.setenv("GOLDWASH_COMMON_CRAWL", server)
    return [f"{server}/{path}" for path in paths]


def test_a_crawl_by_its_name(crawl: list[str], server: str) -> None:
    def found(name: str) -> list[str]:
        return [i.path for i in find_archives([name])]

    assert found("CC-MAIN-2024-10") == crawl
    assert found("CC-MAIN-2024-10,limit=3") == crawl[:3]
    drawn = found("CC-MAIN-2024-10,sample=5,seed=1")
    assert drawn == found("CC-MAIN-2024-10,seed=1,sample=5")
    assert drawn == sorted(drawn, key=crawl.index)
    assert len(set(drawn)) == 5
    assert drawn != found("CC-MAIN-2024-10,sample=5,seed=2")
    assert found("CC-MAIN-2024-10,kind=wet") == [f"{server}/crawl-data/CC-MAIN-2024-10/a.warc.wet.gz"]
    assert found(f"{server}/crawl-data/CC-MAIN-2024-10/warc.paths.gz,limit=1") == crawl[:1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CC-MAIN-2031-01", "the list of archives .*no such file"),
        ("CC-MAIN-2024-10,sample=few", "whole numbers"),
        ("{server}/crawl/sample-00000.warc.gz,limit=2", "need a list of paths or a crawl"),
    ],
)
def test_a_crawl_that_there_is_not(crawl: list[str], server: str, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_archives([name.format(server=server)])


def test_a_folder_of_html_files(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "more").mkdir(parents=True)
    text = "gold in the pan of the river " * 5
    for name in ("b.html", "a.HTM", "more/c.html", "notes.txt"):
        (site / name).write_text(f"<title>{name}</title><p>{text}")
    inputs = find_archives([str(site)])
    assert [i.path for i in inputs] == [str(site), str(site / "more")]
    report = Extract()(inputs, str(tmp_path / "out"), local(1))
    assert report.kept.documents == 3
    kept = rows(tmp_path / "out")
    assert [(r["url"], r["title"]) for r in kept] == [
        ("file:///a.HTM", "a.HTM"),
        ("file:///b.html", "b.html"),
        ("file:///c.html", "more/c.html"),
    ]
    for row in kept:
        assert row["archive"] in ("a.HTM", "b.html", "more/c.html")
        assert Path(path_of(inputs, row["archive"])).read_bytes()[row["offset"] :][: row["length"]].startswith(b"<title>")
    before = inputs[0].stamp
    (site / "b.html").write_text("other")
    assert find_archives([str(site)])[0].stamp != before


def test_an_archive_that_is_not_on_the_server(server: str) -> None:
    with pytest.raises(DataError, match=r"no archive there|no such file"):
        find_archives([f"{server}/crawl/nothing.warc.gz"])
