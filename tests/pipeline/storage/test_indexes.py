"""Records by index: from a server on this machine, in Common Crawl's formats; what is fetched, and what is not there."""

import gzip
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goldwash.pipeline.flow import Options, run_stage
from goldwash.pipeline.stages.extract import Extract
from goldwash.pipeline.storage import indexes
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import check_unchanged, find_archives, kind_of, path_of
from tests.pipeline.conftest import here, rows
from tests.support.archives import gzipped, page, record

FOLDER = "crawl-data/CC-MAIN-2024-10/segments/1/warc"


class Ranges(http.server.SimpleHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, int, int]]] = []
    deaf: ClassVar[bool] = False

    def do_GET(self) -> None:
        file = Path(self.translate_path(self.path))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not file.is_file() or not wanted or type(self).deaf:
            super().do_GET()
            return
        data = file.read_bytes()
        first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
        type(self).asked.append((file.name, first, last + 1))
        if first >= len(data):
            self.send_error(416)
            return
        self.send_response(206)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def crawl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """A server with two archives of ten pages, and a row of the columnar index per page."""
    found = []
    (tmp_path / "www" / FOLDER).mkdir(parents=True)
    for name in ("a", "b"):
        at = 0
        with open(tmp_path / "www" / FOLDER / f"{name}.warc.gz", "wb") as file:
            for n in range(10):
                url = f"http://{name}.example/{n}"
                data = gzipped([record(url, page(n + 100 * (name == "b")))])
                place = {"warc_filename": f"{FOLDER}/{name}.warc.gz", "warc_record_offset": at, "warc_record_length": len(data)}
                found.append({"url": url, **place})
                file.write(data)
                at += len(data)
    Ranges.asked, Ranges.deaf = [], False
    handler = lambda *args: Ranges(*args, directory=str(tmp_path / "www"))  # noqa: E731
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        monkeypatch.setenv("GOLDWASH_COMMON_CRAWL", f"http://127.0.0.1:{httpd.server_port}")
        yield found
        httpd.shutdown()


def parquet(path: Path, found: list[dict[str, Any]]) -> str:
    pq.write_table(pa.Table.from_pylist(found), path)
    return f"cdx:{path}"


def extracted(name: str, out: Path) -> list[dict[str, Any]]:
    run_stage(Extract(), find_archives([name]), str(out), here)
    return rows(out)


def test_only_the_wanted_records_are_fetched_and_documents_say_where_from(
    crawl: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "GAP_BYTES", crawl[0]["warc_record_length"] + 50)
    wanted = [crawl[17], crawl[2], crawl[3], crawl[5], crawl[9], crawl[3]]
    kept = extracted(parquet(tmp_path / "q.parquet", wanted), tmp_path / "out")
    assert [row["url"] for row in kept] == [
        f"http://{x}.example/{n}" for x, n in (("a", 2), ("a", 3), ("a", 5), ("a", 9), ("b", 7))
    ]
    for row in kept:
        place = next(place for place in crawl if place["url"] == row["url"])
        assert (row["archive"], row["offset"], row["length"]) == (
            place["warc_filename"], place["warc_record_offset"], place["warc_record_length"],
        )  # fmt: skip
    fetched = [(name, a, b) for name, a, b in Ranges.asked if b - a > 1]
    assert fetched == [
        ("a.warc.gz", crawl[2]["warc_record_offset"], crawl[6]["warc_record_offset"]),  # 2, 3 and 5 in one request
        ("a.warc.gz", crawl[9]["warc_record_offset"], crawl[9]["warc_record_offset"] + crawl[9]["warc_record_length"]),
        ("b.warc.gz", crawl[17]["warc_record_offset"], crawl[18]["warc_record_offset"]),
    ]


def test_all_records_by_index_are_the_archives(crawl: list[dict[str, Any]], tmp_path: Path) -> None:
    by_index = extracted(parquet(tmp_path / "q.parquet", crawl), tmp_path / "out")
    run_stage(Extract(), find_archives([str(tmp_path / "www" / FOLDER)]), str(tmp_path / "whole"), here)
    whole = rows(tmp_path / "whole")
    assert [{**row, "archive": ""} for row in by_index] == [{**row, "archive": ""} for row in whole]


def test_the_cdx_servers_json_and_cdxj(crawl: list[dict[str, Any]], tmp_path: Path) -> None:
    lines = [
        json.dumps({"urlkey": "example,a)/0", "filename": row["warc_filename"], "offset": str(row["warc_record_offset"]),
                    "length": str(row["warc_record_length"])})
        for row in crawl[:3]
    ]  # fmt: skip
    (tmp_path / "q.jsonl").write_text("\n".join(lines) + "\n\n")
    (tmp_path / "q.cdxj.gz").write_bytes(gzip.compress("\n".join(f"example,a)/0 20240101 {line}" for line in lines).encode()))
    expected = [row["url"] for row in crawl[:3]]
    assert [row["url"] for row in extracted(f"cdx:{tmp_path}/q.jsonl", tmp_path / "a")] == expected
    assert [row["url"] for row in extracted(f"cdx:{tmp_path}/q.cdxj.gz", tmp_path / "b")] == expected


def test_a_server_that_serves_no_ranges(crawl: list[dict[str, Any]], tmp_path: Path) -> None:
    Ranges.deaf = True
    kept = extracted(parquet(tmp_path / "q.parquet", crawl[4:6]), tmp_path / "out")
    assert [row["url"] for row in kept] == ["http://a.example/4", "http://a.example/5"]


def test_records_that_are_not_there_are_counted_with_their_place(crawl: list[dict[str, Any]], tmp_path: Path) -> None:
    last = crawl[9]["warc_record_offset"] + crawl[9]["warc_record_length"]
    wrong = [
        crawl[0],
        {**crawl[1], "warc_filename": f"{FOLDER}/none.warc.gz"},
        {**crawl[2], "warc_record_offset": last + 5_000_000},
        {**crawl[9], "warc_record_length": crawl[9]["warc_record_length"] + 1000},
        {**crawl[13], "warc_record_offset": crawl[13]["warc_record_offset"] + 7},
    ]
    step = run_stage(Extract(), find_archives([parquet(tmp_path / "q.parquet", wrong)]), str(tmp_path / "out"), here)
    assert [row["url"] for row in rows(tmp_path / "out")] == ["http://a.example/0"]
    damage = {(row["url"].rpartition("/")[2], int(row["value"])) for row in rows(tmp_path / "out" / "dropped")}
    inside = crawl[13]["warc_record_offset"] + 7  # the first bytes there, found by reading on
    assert {place for place in damage if place[0] != "b.warc.gz"} == {
        ("none.warc.gz", crawl[1]["warc_record_offset"]), ("a.warc.gz", last + 5_000_000),
        ("a.warc.gz", crawl[9]["warc_record_offset"]),
    }  # fmt: skip
    assert [inside <= offset < inside + 20 for name, offset in damage if name == "b.warc.gz"] == [True]
    assert step.report is not None
    assert step.report.notes["damaged_places"] == 4


@pytest.mark.parametrize("count", [1, 3])
def test_an_index_none_of_whose_records_is_there(crawl: list[dict[str, Any]], tmp_path: Path, count: int) -> None:
    wrong = [{**row, "warc_filename": f"{FOLDER}/none.warc.gz"} for row in crawl[:count]]
    inputs = find_archives([parquet(tmp_path / "q.parquet", wrong)])
    step = run_stage(Extract(), inputs, str(tmp_path / "out"), here, options=Options(allow_empty=True))
    assert step.report is not None
    assert step.report.notes["damaged_places"] == count
    assert {row["dropped_by"] for row in rows(tmp_path / "out" / "dropped")} == {"damage"}
    with pytest.raises(DataError, match=r"no record could be read from cdx:.*--allow-empty"):
        run_stage(Extract(), inputs, str(tmp_path / "strict"), here)


def test_parts_depend_on_the_index_alone(crawl: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "PART_BYTES", 3 * crawl[0]["warc_record_length"])
    name = parquet(tmp_path / "q.parquet", crawl)
    parts = find_archives([name])
    assert len(parts) > 5
    assert [part.path for part in parts] == [part.path for part in find_archives([name])]
    for part in parts:
        check_unchanged(part)
    assert path_of(parts, f"{FOLDER}/a.warc.gz").endswith(f"/{FOLDER}/a.warc.gz")
    parquet(tmp_path / "q.parquet", crawl[1:])
    with pytest.raises(DataError, match="is not what it was"):
        check_unchanged(parts[0])


def test_archives_beside_the_index(crawl: list[dict[str, Any]], tmp_path: Path) -> None:
    near = [{**row, "warc_filename": row["warc_filename"].rpartition("/")[2]} for row in crawl[:2]]
    kept = extracted(parquet(tmp_path / "www" / FOLDER / "q.parquet", near), tmp_path / "out")
    assert [row["archive"] for row in kept] == ["a.warc.gz", "a.warc.gz"]
    assert kind_of([f"cdx:{tmp_path}/q.parquet"]) == "archives"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not json at all", "is not an index: expected Parquet, JSON lines or CDXJ .*line 1"),
        (b'{"url": "x"}\n', "has no column warc_filename or filename"),
        (b'{"filename": "a", "offset": "x", "length": "1"}\n', "expected whole numbers"),
        (b'{"filename": "a", "offset": -1, "length": 1}\n', "-1 is no place"),
        (b'{"filename": "a", "offset": null, "length": 1}\n', "row 0: offset is null"),
        (b"", "names no record"),
    ],
)
def test_bad_indexes(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        find_archives([f"cdx:{tmp_path}/q.jsonl"])


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such"):
        find_archives([f"cdx:{tmp_path}/none.parquet"])


GOOD = '{"filename": "a.warc.gz", "offset": "0", "length": "10"}\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(GOOD.encode() * 50, mtime=0)[:-12], "Compressed file ended"),
        (b"\x1f\x8b\x08\x00" + b"x" * 50, "while decompressing"),
        (b'{"message": "No Captures found for: a.example"}', 'line 1 has no column .*: {"message": "No Captures found'),
        (GOOD.encode() + b'{"filename": "a", "offset": 1.5, "length": 7}', "expected whole numbers .*1.5"),
        (b'{"filename": "a", "offset": [1], "length": 7}', "expected whole numbers"),
        (b"PAR1 and no footer", "is not an index"),
    ],
)
def test_a_broken_index_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "query").write_bytes(content)
    with pytest.raises(DataError, match=rf"^{tmp_path}/query.*{said}"):
        indexes.read_index(f"{tmp_path}/query")


def test_numbers_may_be_written_as_strings_and_as_numbers_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "query").write_text('{"filename": "b", "offset": 5, "length": 7.0}\n' + GOOD)
    found = indexes.read_index(f"{tmp_path}/query")
    assert found.names == ("a.warc.gz", "b")
    assert (found.offsets.tolist(), found.lengths.tolist()) == ([0, 5], [10, 7])


def test_half_a_number_in_parquet_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"filename": ["a"], "offset": [1.5], "length": [7]}), tmp_path / "query")
    with pytest.raises(DataError, match=r"expected whole numbers .*1\.5 is not whole"):
        indexes.read_index(f"{tmp_path}/query")
