"""Archives that lie elsewhere, from a server on this machine."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.inputs import find_archives
from pipeline.run.local import local
from pipeline.sample import write_sample
from pipeline.shards import DataError
from pipeline.stages.extract import Extract


class Quiet(http.server.SimpleHTTPRequestHandler):
    failures = 0

    def do_GET(self) -> None:
        if type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
            return
        super().do_GET()

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


def test_common_crawls_own_paths_get_its_address(tmp_path: Path) -> None:
    paths = tmp_path / "warc.paths"
    paths.write_text("crawl-data/CC-MAIN-2024-10/segments/1/warc/CC-MAIN-1.warc.gz\n")
    assert find_archives([str(paths)])[0].path == (
        "https://data.commoncrawl.org/crawl-data/CC-MAIN-2024-10/segments/1/warc/CC-MAIN-1.warc.gz"
    )


def test_a_server_that_fails_twice_is_asked_again(server: str, tmp_path: Path) -> None:
    found = find_archives([f"{server}/crawl/sample-00001.warc.gz"])
    Quiet.failures = 2
    assert Extract()(found, str(tmp_path / "out"), local(1)).read.documents > 100
    assert Quiet.failures == 0


def test_an_archive_that_is_not_on_the_server(server: str) -> None:
    with pytest.raises(DataError, match=r"no archive there|no such file"):
        find_archives([f"{server}/crawl/nothing.warc.gz"])
