"""Pages and archives that would break a reader: each is counted with its reason, and what stands beside it is kept."""

import gc
import gzip
import io
import json
import os
import pickle
import platform
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import brotli
import numpy as np
import pyarrow as pa
import pytest
import zstandard
from fastwarc.stream_io import Lz4Writer
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.engines import isolation as guard
from goldwash.pipeline.engines.isolation import READING, TOGETHER, IsolationError, isolated, not_isolated
from goldwash.pipeline.engines.local import local
from goldwash.pipeline.html.visible_text import visible
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stages.extract import Extract, text_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import find_archives
from goldwash.pipeline.warc.http import TooLarge, response, unpacked
from goldwash.pipeline.warc.records import Damage, Record, record_at, records
from goldwash.pipeline.warc.wacz import wacz_records
from tests.pipeline.conftest import rows
from tests.support.archives import arc, gzipped, page, record, warc

HTML = b"<html><p>" + b"gold in the pan " * 400
ZEROS = bytes(50_000_000)


def http(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Type: text/html", *headers]) + b"\r\n\r\n" + body


def raw_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


PACKED = {
    "gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress,
}  # fmt: skip


@pytest.mark.parametrize("coding", PACKED)
def test_bodies_are_unpacked(coding):
    body = PACKED[coding](HTML)
    assert response(http(body, b"Content-Encoding: " + coding.encode()), 1 << 20).body == HTML
    assert unpacked(HTML, coding, 1 << 20) == HTML  # called packed, and not
    long = random.Random(0).randbytes(400_000)
    cut = unpacked(PACKED[coding](long)[:-1000], coding, 1 << 20)
    assert len(cut) > 100_000
    assert long.startswith(cut)


@pytest.mark.parametrize(
    ("block", "status", "body"),
    [
        (http(raw_deflate(HTML), b"Content-Encoding: deflate"), 200, HTML),
        (http(gzip.compress(zlib.compress(HTML)), b"Content-Encoding: deflate, gzip"), 200, HTML),
        (http(b"5\r\n<p>go\r\n2;x=y\r\nld\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"), 200, b"<p>gold"),
        (http(b"<p>gold", b"Transfer-Encoding: chunked"), 200, b"<p>gold"),  # called chunked, and not
        (http(b"5\r\n<p>go\r\nff\r\nld", b"Transfer-Encoding: chunked"), 200, b"<p>gold"),  # cut off
        (http(b"3\r\n<p>\r\n<p>gold", b"Transfer-Encoding: chunked"), 200, b"<p><p>gold"),  # breaks off
        (http(b"<p>gold", b"X-Folded: a", b" b"), 200, b"<p>gold"),
        (b"<p>gold: x\r\n\r\n<p>", None, b"<p>gold: x\r\n\r\n<p>"),  # no headers
        (b"Content-Type: text/html\r\n\r\n<p>", None, b"<p>"),  # no status line
        (b"HTTP/1.0 404 Not Found\n\n<p>", 404, b"<p>"),
        (b"HTTP/1.0 200 OK\nno name\n folded\n\n<p>", 200, b"<p>"),  # found by tests/fuzz.py
        (b"HTTP/1.1 200 OK", 200, b""),
        (b"", None, b""),
    ],
)
def test_responses_as_servers_send_them(block, status, body):
    found = response(block, 1 << 20)
    assert (found.status, found.body) == (status, body)


@pytest.mark.parametrize("coding", PACKED)
def test_a_bomb_is_not_unpacked(coding):
    bomb = PACKED[coding](ZEROS)
    with pytest.raises(TooLarge, match=r"more than 1,000,000 bytes|50,000,000"):
        unpacked(bomb, coding, 1_000_000)
    block = http(bomb, b"Content-Encoding: " + coding.encode())
    assert text_of(Extract(), Record("response", 0, 1, "i", "u", "d", block, len(block)))[1] == "too_large"


def extracted(
    tmp_path: Path, data: bytes, name: str = "a.warc.gz", **parameters: object
) -> tuple[list[str], list[tuple[str, str]]]:
    """The URLs of what is kept, and URL and rule of what is dropped."""
    (tmp_path / name).write_bytes(data)
    Extract.of(parameters)(find_archives([str(tmp_path / name)]), str(tmp_path / "out"), local(1))
    kept, dropped = rows(tmp_path / "out"), rows(tmp_path / "out", "dropped")
    return [str(r["url"])[-1] for r in kept], [(str(r["url"])[-1], str(r["dropped_by"])) for r in dropped]


def test_a_page_of_500_mb_takes_no_memory(tmp_path):
    huge = record("http://a.example/1", b"<p>" + bytes(500_000_000))
    data = gzipped([warc(1)[0], huge, record("http://a.example/2", page(2))])
    del huge
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert extracted(tmp_path, data) == (["0", "2"], [("1", "too_large")])
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # a forked child has this process's memory, too
    assert after - max(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) < 200_000


PAGES = {
    "nested": b"<div>" * 100_000 + b"gold",
    "nested tables": b"<table><tr><td>" * 30_000 + b"gold",
    "attributes": b"<p " + b" ".join(b"a%d=1" % n for n in range(1_000_000)) + b">gold",
    "zeros": b"<p>go\0ld\0</p>" * 1000,
    "surrogates": b"<p>gold \xed\xa0\x80 &#xD800; &#xDFFF; &#x110000;</p>",
    "unclosed": b"<!--" * 200_000 + b"<p>gold",
    "one tag": b"<" * 2_000_000,
    "wide": "<p>gold in the pan</p>".encode("utf-16-le"),
}


@pytest.mark.parametrize("extractor", ["blocks", "turbohtml", "resiliparse"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_hard_to_read_costs_itself_at_the_most(tmp_path, name, extractor):
    data = gzipped([warc(1)[0], record("http://a.example/1", PAGES[name]), record("http://a.example/2", page(2))])
    kept, dropped = extracted(tmp_path, data, extractor=extractor, max_page_seconds=3.0)
    assert [url for url in kept if url != "1"] == ["0", "2"]
    assert ("1" in kept) != bool(dropped)
    assert {rule for _, rule in dropped} <= {"time_limit", "no_text"}


# --- the guard


def work_for_ever():
    while True:
        pass


HOW = {3: work_for_ever, 4: lambda: time.sleep(2), 7: lambda: time.sleep(60), 5: lambda: os.kill(os.getpid(), signal.SIGKILL)}


def test_an_item_that_hangs_or_kills_costs_itself(monkeypatch):
    monkeypatch.setattr(guard, "POLL_SECONDS", 0.05)
    found = dict(each for each in isolated(whole, 0.5))
    # 4 has only waited: on a machine that is busy, or was asleep, the same pages are late as on any other
    assert found == {n: {3: "time_limit", 5: "crash", 7: "time_limit"}.get(n, "") for n in range(10)}


def whole(again, begin):
    """Ten items, of which those in ``HOW`` do something."""
    for n in range(again.token or 0, 10):
        reason = again.skip.get(n, "")
        if not reason:
            begin(n)
            HOW.get(n, lambda: None)()
            begin(READING)
        yield n + 1, (n, reason)


def test_a_process_that_is_killed_from_outside_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "POLL_SECONDS", 0.05)
    flag = tmp_path / "killed"

    def make(again, begin):
        for n in range(again.token or 0, 5):
            begin(n)
            if n == 2 and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            begin(READING)
            yield n + 1, (n, again.skip.get(n, ""))

    assert list(isolated(make, 5)) == [(n, "") for n in range(5)]


def test_values_arrive_as_they_were_sent():
    made = [
        pa.table({"a": ["x" * n] * n, "b": [None] * n}).slice(1) if n else pa.table({"a": pa.array([], pa.string())})
        for n in (0, 1, 2, 63, 300, 3000)
    ]
    made += [np.arange(n) for n in (0, 511, 512, 513, 300_000)]
    found = list(isolated(lambda again, begin: iter(enumerate(made)), 5))
    assert [each.equals(other) for each, other in zip(found, made, strict=True) if isinstance(other, pa.Table)] == [True] * 6
    assert [np.array_equal(each, other) for each, other in zip(found[6:], made[6:], strict=True)] == [True] * 5


def test_a_value_that_breaks_off_is_none():
    ours, theirs = guard.Pipe(duplex=False)
    theirs.send_bytes(pickle.dumps((pickle.dumps(None), [100])))
    os.write(theirs.fileno(), bytes(99))
    theirs.close()
    with pytest.raises(EOFError):
        guard._received(ours)


def test_an_error_is_raised_here_and_endless_dying_is_one():
    def wrong(again, begin):
        yield 0, 1
        raise ValueError("no gold")

    def dying(again, begin):
        os.kill(os.getpid(), signal.SIGKILL)
        yield 0, 1

    with pytest.raises(ValueError, match="no gold"):
        list(isolated(wrong, 5))
    with pytest.raises(IsolationError, match="killed 3 times"):
        list(isolated(dying, 5))
    assert list(not_isolated(lambda again, begin: iter([(0, 1), (0, 2)]))) == [1, 2]


class Unsendable(Exception):
    """It holds what cannot be pickled."""

    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()


class Unreadable(Exception):
    """It can be pickled, and not be made again."""

    def __init__(self, message, more):
        super().__init__(message)


@pytest.mark.parametrize(
    ("error", "told"), [(Unsendable("ours"), "Unsendable: ours"), (Unreadable("ours", 1), "Unreadable: ours")]
)
def test_a_fault_of_ours_that_cannot_be_sent_is_raised_and_is_no_crash(error, told):
    def wrong(again, begin):
        begin(0)
        raise error
        yield

    with pytest.raises(IsolationError, match=told) as raised:
        list(isolated(wrong, 5))
    assert "in wrong" in str(raised.value.__cause__)


def test_an_error_brings_its_traceback():
    def wrong(again, begin):
        begin(0)
        raise ValueError("ours")
        yield

    with pytest.raises(ValueError, match="ours") as raised:
        list(isolated(wrong, 5))
    assert "in wrong" in str(raised.value.__cause__)


def test_a_value_that_cannot_be_sent_is_an_error():
    with pytest.raises(Exception, match="pickle"):
        list(isolated(lambda again, begin: iter([(0, lambda: None)]), 5))


def test_looking_for_the_next_item_is_bounded(monkeypatch):
    monkeypatch.setattr(guard, "POLL_SECONDS", 0.05)

    def make(again, begin):
        for n in range(again.token or 0, 3):
            begin(n)
            begin(READING)
            yield n + 1, n
        if again.stop is None:
            work_for_ever()
        yield 9, f"stopped after {again.stop}"

    assert list(isolated(make, 0.2)) == [0, 1, 2, "stopped after 2"]


def test_work_on_many_at_once_is_bounded_and_then_done_one_by_one(monkeypatch):
    monkeypatch.setattr(guard, "POLL_SECONDS", 0.05)

    def make(again, begin):
        if not again.singly:
            begin(TOGETHER)
            work_for_ever()
        for n in range(3):
            if n not in again.skip:
                begin(n)
                if n == 1:
                    work_for_ever()
                begin(READING)
        yield 1, dict(again.skip)

    assert list(isolated(make, 0.2)) == [{1: "time_limit"}]


ORPHAN = """
import os, sys, time
from goldwash.pipeline.engines import isolation
isolation.KERNEL_WATCHES = sys.argv[1] == "kernel"
def make(again, begin):
    begin(0)
    yield 1, os.getpid()
    while True:
        pass
for process in isolation.isolated(make, 600):
    print(process, flush=True)
"""


@pytest.mark.parametrize("how", ["kernel", "pipe"])
def test_a_process_does_not_outlive_the_one_that_started_it(how):
    if how == "kernel" and not guard.KERNEL_WATCHES:
        pytest.skip("not on Linux")
    starter = subprocess.Popen([sys.executable, "-c", ORPHAN, how], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    process = int(starter.stdout.readline())
    assert alive(process)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    end = time.monotonic() + 60
    while alive(process) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(process)


def alive(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_the_reading_process_asks_the_kernel_once_for_what_pages_take():
    """Blocks of 40 MB have 10,240 pages of 4 KiB, of which few are a fault again."""

    def make(again, begin):
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            [b"x" * (1 << 20) for _ in range(40)]
            yield 0, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert list(isolated(make, 5))[-1] < 1000


@pytest.mark.skipif(sys.platform != "linux", reason="counts Linux's page faults")
def test_a_collection_in_the_reading_process_copies_no_pages_of_the_parent():
    """The collector writes to each object that it visits. 200,000 dictionaries and lists take 60 MB, 15,000 pages of 4 KiB."""
    held = [{n: [n]} for n in range(200_000)]
    gc.collect()  # empties Python's lists of free tuples, up to 38,000 by now: the first collection after a fork writes to them

    def make(again, begin):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        gc.collect()
        yield 0, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert list(isolated(make, 5))[-1] < 2000
    assert len(held) == 200_000


def test_a_killed_reader_gives_the_same_bytes(tmp_path, monkeypatch):
    data = gzipped([record(f"http://a.example/{n % 10}", page(n, 4000)) for n in range(300)])
    extracted(tmp_path, data)
    (tmp_path / "out").rename(tmp_path / "first")
    flag, plain = tmp_path / "killed", Extract.extract.func

    def once(self):
        extract = plain(self)

        def killing(html):
            if "word200x1 " in html and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return extract(html)

        return killing

    monkeypatch.setattr(Extract, "extract", property(once))
    extracted(tmp_path, data)
    assert flag.exists()
    assert (tmp_path / "out/part-00000.parquet").read_bytes() == (tmp_path / "first/part-00000.parquet").read_bytes()


# --- archives of every kind


def lz4(data: bytes) -> bytes:
    file = io.BytesIO()
    writer = Lz4Writer(file)
    writer.write(data)
    writer.close()
    return file.getvalue()


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def wacz(data: bytes, how: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as packed:
        packed.writestr("datapackage.json", "{}")
        packed.writestr("archive/data.warc.gz", data)
        packed.writestr("pages/pages.jsonl", "{}")
    return file.getvalue()


FOUR = [record(f"http://a.example/{n}", page(n)) for n in range(4)]
KINDS = {
    "a.warc": b"".join(FOUR), "a.warc.gz": gzipped(FOUR), "b.warc.gz": gzip.compress(b"".join(FOUR)),
    "a.warc.zst": b"".join(map(zst, FOUR)), "b.warc.zst": zst(b"".join(FOUR)),
    "a.warc.lz4": b"".join(map(lz4, FOUR)), "b.warc.lz4": lz4(b"".join(FOUR)),
    "a.arc": b"".join(arc(4)), "a.arc.gz": gzipped(arc(4)), "b.arc.gz": gzip.compress(b"".join(arc(4))),
    "a.arc.zst": b"".join(map(zst, arc(4))), "b.arc.zst": zst(b"".join(arc(4))),
    "a.arc.lz4": b"".join(map(lz4, arc(4))), "b.arc.lz4": lz4(b"".join(arc(4))),
    "a.wacz": wacz(gzipped(FOUR), zipfile.ZIP_STORED), "b.wacz": wacz(gzipped(FOUR), zipfile.ZIP_DEFLATED),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_archive_and_each_record_fetched_again(tmp_path, name):
    assert extracted(tmp_path, KINDS[name], name) == (["0", "1", "2", "3"], [])
    for row in rows(tmp_path / "out"):
        piece = KINDS[name][row["offset"] : row["offset"] + row["length"]]
        piece = zlib.decompress(piece, -15) if name == "b.wacz" else piece
        again = record_at(piece, row["id"])
        assert again is not None
        assert text_of(Extract(), again)[0] == row["text"]


@pytest.mark.parametrize("pack", [b"".join, gzipped, lambda r: b"".join(map(zst, r)), lambda r: b"".join(map(lz4, r))])
@pytest.mark.parametrize("lie", [-300, -50, -5, 5, 50, 400, 1000, 100_000, 10**15])
def test_a_length_that_lies_costs_its_record_at_the_most(pack, lie):
    said = FOUR[1].index(b"Content-Length: ") + 16
    length = int(FOUR[1][said : FOUR[1].index(b"\r", said)])
    lying = FOUR[1].replace(b"Content-Length: %d" % length, b"Content-Length: %d" % (length + lie), 1)
    data = pack([FOUR[0], lying, *FOUR[2:]])
    found = list(records(io.BytesIO(data), len(data)))
    held = {r.url[-1]: r for r in found if isinstance(r, Record)}
    assert {"0", "2", "3"} <= set(held)
    assert all(held[n].block.endswith(page(int(n))) for n in ("0", "2", "3"))
    assert any(isinstance(f, Damage) for f in found)


@pytest.mark.parametrize("name", ["b.arc.gz", "b.arc.zst", "b.arc.lz4", "b.warc.gz", "b.warc.zst", "b.warc.lz4"])
def test_a_member_that_breaks_off_gives_what_is_whole_and_damage(name):
    """Found by tests/fuzz.py."""
    for cut in (1, 9, 100, 300):
        data = KINDS[name][:-cut]
        found = list(records(io.BytesIO(data), len(data)))
        whole = sum(isinstance(f, Record) and f.kind == "response" for f in found)
        assert whole == 4 or any(isinstance(f, Damage) for f in found), cut  # the member's checksum alone may be cut off


def noisy_arc(count: int, size: int = 100_000) -> bytes:
    """An ARC of captures that pack badly."""
    out = arc(0)
    for n in range(count):
        body = b"HTTP/1.1 200 OK\r\n\r\n" + random.Random(n).randbytes(size)
        out.append(b"http://a.example/%d 1.2.3.4 20140401000000 text/html %d\n%s\n" % (n, len(body), body))
    return b"".join(out)


@pytest.mark.parametrize("pack", [gzip.compress, zst, lz4])
def test_an_arc_packed_as_one_gives_what_stands_before_its_damage_and_after_it(pack):
    one = pack(noisy_arc(100))
    broken = one[: len(one) * 3 // 4]
    data = broken + pack(b"".join(arc(3)))
    found = list(records(io.BytesIO(data), len(data)))
    captures = [f for f in found if isinstance(f, Record) and f.kind == "response"]
    first, after = captures[:-3], captures[-3:]
    assert 30 <= len(first) <= 75  # a block of lz4's has four megabytes
    for n, one_of in enumerate(first[:-1]):  # the last one may have ended in bytes of what follows
        assert one_of.block.endswith(random.Random(n).randbytes(100_000))
        assert (one_of.offset, one_of.length) == (0, len(data))  # where a broken frame ends is not known
    assert [r.block.endswith(page(n)) for n, r in enumerate(after)] == [True] * 3
    assert {(r.offset, r.length) for r in after} == {(len(broken), len(data) - len(broken))}
    assert [f.offset for f in found if isinstance(f, Damage)] == [0]


@pytest.mark.parametrize("pack", [gzip.compress, zst, lz4])
def test_an_arc_packed_as_one_is_not_held_as_one(pack):
    data = pack(noisy_arc(300))
    tracemalloc.start()
    try:
        assert sum(isinstance(f, Record) for f in records(io.BytesIO(data), len(data))) == 301
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.wacz", "b.wacz"])
@pytest.mark.parametrize("field", [26, 28])  # the lengths of a member's name and of its extra field
def test_a_header_that_points_beyond_the_zip_is_damage(name, field):
    data = bytearray(KINDS[name])
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        (member,) = [m for m in packed.infolist() if m.filename.startswith("archive/")]
    data[member.header_offset + field : member.header_offset + field + 2] = b"\xff\xff"
    (found,) = wacz_records(io.BytesIO(data))
    assert isinstance(found, Damage)
    assert found.reason == f"{member.filename}: its header in the zip is damaged"
    assert (found.offset, found.bytes) == (member.header_offset, member.compress_size)


@pytest.mark.parametrize("field", [20, 24])  # the sizes in the zip's directory
def test_a_stored_archive_is_read_although_one_of_its_sizes_is_lost(field):
    data = bytearray(KINDS["a.wacz"])
    place = data.index(b"PK\x01\x02")
    while b"archive/" not in data[place + 46 : place + 54]:
        place = data.index(b"PK\x01\x02", place + 1)
    data[place + field : place + field + 4] = bytes(4)
    assert [f.id for f in wacz_records(io.BytesIO(data))] == [f.id for f in wacz_records(io.BytesIO(KINDS["a.wacz"]))]


def test_a_zip_that_is_no_wacz():
    for data in (b"PK\x03\x04 nonsense", b"", wacz(gzipped(FOUR), zipfile.ZIP_STORED)[:-30]):
        assert [type(f) for f in wacz_records(io.BytesIO(data))] == [Damage]


def test_a_wet_is_text_as_it_is(tmp_path):
    text = "Größe\n\n  gold & <b>\n".encode()
    wet = [
        record("http://a.example/1", text, "conversion", content_type="text/plain"),
        record("http://a.example/2", b"", "conversion"),
    ]
    assert extracted(tmp_path, gzipped(wet), "a.warc.wet.gz") == (["1"], [("2", "no_text")])
    assert [r["text"] for r in rows(tmp_path / "out")] == [text.decode()]


# --- whatever the bytes

CUT = st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.booleans())


@settings(max_examples=150, deadline=None)
@given(CUT)
def test_bytes_that_are_changed_or_lost_break_no_reader(how):
    name, place, other, cut = how
    data = KINDS[name]
    place %= len(data)
    data = data[:place] + other + data[place + (len(other) if not cut else 100) :]
    read = wacz_records(io.BytesIO(data)) if name.endswith(".wacz") else records(io.BytesIO(data), len(data))
    for found in read:
        if isinstance(found, Record):
            text, reason = text_of(Extract(), found) if found.kind == "response" else ("", "other")
            assert bool(text) != bool(reason)
        else:
            assert found.reason
            assert 0 <= found.offset <= len(data)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"<p>", b"<script>", b"</script", b"<!--", b"-->", b"<a b='", b">", b"&", b";", b"&nbsp;", b"\xff", b" x"]
        )
        | st.binary(max_size=4)
    ).map(b"".join)
)
def test_the_light_look_takes_any_bytes(data):
    seen = visible([data])
    assert 0 <= seen.bytes <= len(data)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(["gzip", "deflate", "br", "zstd", "fingerprint", "", "deflate, gzip"]),
    st.booleans(),
)
def test_any_bytes_are_a_response(data, coding, chunked):
    headers = [b"Content-Encoding: " + coding.encode()] + ([b"Transfer-Encoding: chunked"] if chunked else [])
    for block in (data, http(data, *headers)):
        assert isinstance(response(block, 1 << 20).body, bytes | memoryview)


# --- what a task says of its archive, and parameters


def facts_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text())["facts"] for path in sorted((folder / "tasks").glob("part-*.json"))]


@pytest.mark.parametrize(
    ("data", "kept", "reason"),
    [
        (gzipped(FOUR)[:-200], 3, "the gzip member breaks off"),
        (gzipped(FOUR[:2]) + b"junk\r\n" * 50 + gzipped(FOUR[2:]), 4, "no WARC or ARC record"),
        (b"This is no archive.\n" * 50, 0, "no WARC or ARC record"),
        (random.Random(1).randbytes(3000), 0, "no WARC or ARC record"),
        (bytes(3000), 0, "blank bytes"),
        (b"", 0, "the file is empty"),
    ],
    ids=["cut off", "junk within", "text", "random", "zeros", "empty"],
)
def test_damage_is_told_with_its_archive_place_and_bytes(tmp_path, data, kept, reason):
    urls, _ = extracted(tmp_path, data)
    (facts,) = facts_of(tmp_path / "out")
    assert (len(urls), facts["records"], facts["bytes"]) == (kept, kept, len(data))
    (place,) = facts["damage"]
    assert place["archive"].endswith("a.warc.gz")
    assert reason in place["reason"]
    assert 0 <= place["offset"] <= place["offset"] + place["bytes"] <= len(data)
    assert place["bytes"] > 0 or not data
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["facts"]["damaged_bytes"] == place["bytes"]


def test_limits_that_pages_reach_are_counted(tmp_path):
    deep, many = b"<div>" * 600 + page(4), b"<p>a</p>" * 70_000
    pages = [*FOUR, record("http://a.example/4", deep), record("http://a.example/5", deep), record("http://a.example/6", many)]
    kept, _ = extracted(tmp_path, gzipped(pages), extractor="blocks", fallback="best")
    assert kept == ["0", "1", "2", "3", "4", "5", "6"]
    notes = json.loads((tmp_path / "out" / "report.json").read_text())["report"]["notes"]
    limits = {name: count for name, count in notes.items() if name.startswith("limits.")}
    assert limits == {"limits.depth": 2, "limits.blocks": 1}


def test_an_archive_without_damage_says_none(tmp_path):
    extracted(tmp_path, gzipped(FOUR))
    assert facts_of(tmp_path / "out")[0]["damage"] == []


def test_places_beyond_the_first_thousand_are_told_together(tmp_path, monkeypatch):
    monkeypatch.setattr("goldwash.pipeline.stages.extract.MOST_PLACES", 2)
    extracted(tmp_path, b"junk\r\n".join([b"", *FOUR, b""]), "a.warc")
    places = facts_of(tmp_path / "out")[0]["damage"]
    assert [place["bytes"] for place in places] == [6, 6, 18]
    assert places[-1]["reason"] == "3 further places"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_large_archive_is_split_and_gives_the_same_documents(tmp_path, workers):
    data = gzipped([record(f"http://a.example/{n}", page(n, 50 + n % 7 * 30)) for n in range(60)])
    (tmp_path / "a.warc.gz").write_bytes(data)
    inputs = find_archives([str(tmp_path / "a.warc.gz")])
    whole, split = Extract(), Extract(split_bytes=len(data) // 2)
    whole(inputs, str(tmp_path / "whole"), local(1))
    split(inputs, str(tmp_path / "split"), local(workers))
    assert len(split.ranges(inputs[0])) in (32, 33)  # half of an odd size is less than half
    assert len(list((tmp_path / "split").glob("part-*.parquet"))) == len(split.ranges(inputs[0]))
    assert rows(tmp_path / "split") == rows(tmp_path / "whole")
    facts = facts_of(tmp_path / "split")
    assert sum(each["records"] for each in facts) == 60
    assert sum(each["bytes"] for each in facts) == len(data)


def test_ranges_that_do_not_adjoin_are_refused(tmp_path):
    inner = gzipped(FOUR)
    outer = gzip.compress(record("http://a.example/inner.warc.gz", inner), compresslevel=0, mtime=0)
    (tmp_path / "a.warc.gz").write_bytes(gzipped(FOUR[:1]) + outer + gzipped(FOUR))
    size = (tmp_path / "a.warc.gz").stat().st_size
    with pytest.raises(DataError, match="seems to hold another archive"):
        Extract(split_bytes=size - 1)(find_archives([str(tmp_path / "a.warc.gz")]), str(tmp_path / "out"), local(1))


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"min_status": 500, "max_status": 200}, "no page can have both"), ({"min_status": -1}, "min_status is -1"),
        ({"max_page_bytes": 0}, "max_page_bytes is 0"), ({"max_page_bytes": -1}, "max_page_bytes is -1"),
        ({"max_page_seconds": 0}, "max_page_seconds"), ({"max_page_seconds": -3.0}, "max_page_seconds"),
        ({"max_page_seconds": float("nan")}, "max_page_seconds"), ({"max_page_seconds": float("inf")}, "max_page_seconds"),
        ({"split_bytes": 1}, "split_bytes is 1"),
    ],
)  # fmt: skip
def test_numbers_are_checked(parameters, match):
    with pytest.raises(RecipeError, match=match):
        Extract.of(parameters)


CUSTOM = """
from goldwash.filters import per_text

@per_text
def exclamations_of_bytes(text: str) -> float:
    return text.count("!")
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_of_the_users_works_in_early_rules(tmp_path, workers):
    loud = record("http://a.example/9", page(9).replace(b"word9x1 ", b"gold! gold! gold! "))
    for name in ("a.warc.gz", "b.warc.gz"):
        (tmp_path / name).write_bytes(gzipped([*FOUR, loud]))
    use = [{"file": "mine.py", "source": CUSTOM}]
    stage = Extract.of({"early": [{"keep": "exclamations_of_bytes", "max": 2}], "use": use})
    inputs = find_archives([str(tmp_path / "?.warc.gz")])
    stage(inputs, str(tmp_path / "out"), local(workers))
    assert [r["url"][-1] for r in rows(tmp_path / "out")] == ["0", "1", "2", "3"] * 2
    edited = Extract.of(
        {"early": [{"keep": "exclamations_of_bytes", "max": 2}], "use": [{**use[0], "source": CUSTOM + "\n# x"}]}
    )
    assert edited.fingerprint(inputs) != stage.fingerprint(inputs)


def test_a_signal_that_hangs_on_a_page_costs_that_page(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "POLL_SECONDS", 0.05)
    source = CUSTOM.replace("exclamations_of_bytes", "hangs_on_bytes").replace(
        'return text.count("!")', "\n    while 'hang' in text:\n        pass\n    return 1"
    )
    bad = record("http://a.example/9", page(9).replace(b"word9x1 ", b"hang "))
    stage = {"early": [{"keep": "hangs_on_bytes", "min": 1}], "use": [{"file": "mine.py", "source": source}]}
    kept, dropped = extracted(tmp_path, gzipped([*FOUR[:2], bad, *FOUR[2:]]), **stage, max_page_seconds=0.3)
    assert (kept, dropped) == (["0", "1", "2", "3"], [("9", "time_limit")])
