"""The pure parts of `tests.bench.growth`: what a copy is, slopes, what a dump costs."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from goldwash.pipeline.storage.tasks import Task
from goldwash.pipeline.warc.http import Response, response
from goldwash.pipeline.warc.records import Record, records
from tests.bench.growth import (
    AROUND,
    IN_COMPONENTS,
    STAGES,
    Cost,
    Measured,
    Rate,
    Reading,
    Shape,
    Share,
    cost,
    growth,
    on_disk,
    quoted,
    rates_of,
    supposing,
    timed,
    told_of,
)
from tests.bench.growth_crawl import CUT, EVERY, NEAR, NEARLY, PIECES, SIZES, copied, copy_archive, edited

PAGE = (
    b'<html><script>if (later > never) { letters }</script><body class="content"><h1>Apples Under Stars</h1>'
    b"<p>Seven little apples stood under seven stars; the stars were BRIGHT &mdash; caf\xc3\xa9s too.</p></body></html>"
)


def member(kind: str, html: bytes, number: int) -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + html
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:0-{number}>\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
    head += f"WARC-Target-URI: http://example.com/{number}\r\nContent-Type: application/http; msgtype={kind}\r\n"
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def responses(path: Path) -> list[Record]:
    with path.open("rb") as stream:
        return [r for r in records(stream, path.stat().st_size) if isinstance(r, Record)]


def page_of(record: Record) -> Response:
    return response(record.block, 10_000)


def test_a_copy_changes_long_words_of_text_and_nothing_else() -> None:
    copy = copied(PAGE, 1)
    assert copy != PAGE
    assert copied(PAGE, 1) == copy != copied(PAGE, 2)
    script, text = copy.split(b"</script>")
    assert script == PAGE.split(b"</script>")[0]
    assert b'class="content"' in text
    assert b" the " in text
    assert b"&mdash; caf\xc3\xa9s too" in text
    assert sorted(set(copy.lower().split())) != sorted(set(PAGE.lower().split()))


def test_a_word_gives_way_to_the_same_one_throughout_in_its_case() -> None:
    words = [b"river", b"stone", b"cloud", b"ember", b"maple"]
    chance = random.Random(3)
    drawn = [chance.choice(words) for _ in range(200)]
    copy = copied(b"<p>" + b" ".join(drawn) + b" River STONE<", 1)[3:-1].split()
    pairs = set(zip(drawn, copy, strict=False))
    assert len(pairs) == len({new for _, new in pairs}) == len(words)
    assert copy[-2:] == [dict(pairs)[b"river"].capitalize(), dict(pairs)[b"stone"].upper()]


def test_near_copies_stay_near_copies() -> None:
    words = [f"word{chr(97 + a)}{chr(97 + b)}".encode() for a in range(20) for b in range(20)]
    one, other = b"<p>" + b" ".join(words) + b"<", b"<p>" + b" ".join([*words, b"another"]) + b"<"
    differing = sum(a != b for a, b in zip(copied(one, 5).split(), copied(other, 5).split(), strict=False))
    assert differing <= 3


def test_a_copied_archive_has_new_ids_hosts_and_text_and_copy_0_is_as_it_was(tmp_path: Path) -> None:
    archive = tmp_path / "a.warc"
    archive.write_bytes(b"".join(member("response" if n % 2 else "request", PAGE, n) for n in range(10)))
    for number in (0, 1):
        copy_archive(archive, number, tmp_path / f"{number}.warc.gz")
    copy_archive(archive, 0, tmp_path / "few.warc.gz", step=2)
    first = [r for r in responses(archive) if r.kind == "response"]
    same, new, few = (responses(tmp_path / f"{name}.warc.gz") for name in ("0", "1", "few"))
    assert [(r.id, r.url, r.date, page_of(r)) for r in same] == [(r.id, r.url, r.date, page_of(r)) for r in first]
    assert [r.url for r in new] == [f"http://copy1.example.com/{n}" for n in (1, 3, 5, 7, 9)]
    assert {page_of(r).body for r in new} == {copied(PAGE, 1)}
    assert len({r.id for r in [*same, *new]}) == 10
    assert [r.url for r in few] == [r.url for r in first[::2]]


def test_an_edited_page_is_a_near_copy(tmp_path: Path) -> None:
    words = [f"word{chr(97 + a)}{chr(97 + b)}".encode() for a in range(20) for b in range(20)]
    page = b'<p class="longer names">' + b" the ".join(words) + b"<"
    changed = [(a, b) for a, b in zip(page.split(), edited(page).split(), strict=True) if a != b]
    assert len(changed) == len(words) // EVERY
    assert all(b == a + a[-2:] for a, b in changed[:-1])
    (tmp_path / "a.warc").write_bytes(b"".join(member("response", page, n) for n in range(2 * NEARLY)))
    for near in (False, True):
        copy_archive(tmp_path / "a.warc", 1, tmp_path / f"{near}.warc.gz", NEARLY, near)
    one, other = responses(tmp_path / "False.warc.gz"), responses(tmp_path / "True.warc.gz")
    assert [page_of(r).body for r in other] == [edited(bytes(page_of(r).body)) for r in one]
    assert len({r.id for r in one + other} | {r.url for r in one + other}) == 8


def test_what_near_copies_cost_is_measured_on_near_copies() -> None:
    def minhash(size: int, sets: float, judged: float) -> Measured:
        seconds = {AROUND: 1.0, "keys": 1.0, "sets": sets, "judged": judged, "part": 1.0}
        return made("minhash", abs(size), seconds=seconds, facts={"in_components": 1000 * IN_COMPONENTS / 2 * abs(size)})

    found = {**FOUND, ("minhash", 0): minhash(0, 0.5, 0.25), ("minhash", CUT): minhash(0, 0.5, 0.25)}
    found |= {("minhash", SIZES[-1]): minhash(4, 1.5, 0.3), ("minhash", NEAR): replace(minhash(4, 2.5, 1.25), size=NEAR)}
    rates = supposing(found, rates_of(found))
    assert rates["minhash.sets"].seconds == pytest.approx(
        250 + 2 * 250
    )  # reading, and twice what half as many near copies cost
    assert rates["minhash.judged"].seconds == pytest.approx(2 * 250)


def test_time_is_told_by_pass() -> None:
    task = Task({}, (), "", 0, "", part="keys")
    seconds: dict[str, float] = {}
    run = timed(lambda workers: lambda work, tasks: work(tasks[0]), seconds, 1)
    assert [run(lambda task: task.part, [task]) for _ in range(2)] == ["keys", "keys"]
    assert list(seconds) == ["keys"]


def test_what_a_stage_leaves_is_told_apart(tmp_path: Path) -> None:
    files = {"part-00000.parquet": 5, "dropped/part-00000.parquet": 7, "keys/keys-00000.parquet": 11, "model/model.bin": 13}
    files |= {"report.json": 1, "tasks/part-00000.json": 2, "logs/part/logs/task_00000.log": 3}
    for name, size in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    assert on_disk(tmp_path) == (5, 7, {"keys": 11, "model": 13}, 6)


def made(stage: str, size: int, **given: Any) -> Measured:
    """So many thousand documents of 1,000 bytes: a second each thousand, after two; 100 bytes of keys each, after 50."""
    documents = 1000 * size
    values: dict[str, Any] = {
        "stage": stage,
        "size": size,
        "seconds": {AROUND: 1.0, "keys": 2.0 + size, "part": float(size)},
        "peak": 300_000_000 + size,
        "documents": documents,
        "bytes": 1000 * documents,
        "kept": documents // 2,
        "kept_bytes": 500 * documents,
        "shards": 250 * documents,
        "dropped": 10 * documents,
        "passing": {"keys": 50 + 100 * documents},
        "notes": 9,
        "facts": {},
    }
    return Measured(**(values | given))


def in_pieces(stage: str) -> Measured:
    """A few documents in several archives: 0.11 seconds more per pass."""
    few = made(stage, 0)
    return replace(few, size=CUT, seconds={name: seconds + 0.01 * (PIECES - 1) for name, seconds in few.seconds.items()})


FOUND = {(stage, size): made(stage, size) if size != CUT else in_pieces(stage) for stage in STAGES for size in (CUT, *SIZES)}
FOUND["minhash", NEAR] = replace(FOUND["minhash", SIZES[-1]], size=NEAR)


def test_slopes_leave_out_what_there_is_to_pay_at_first() -> None:
    rates = rates_of(FOUND)
    assert rates["minhash.keys"] == Rate(1000.0, pytest.approx(0.01), 100.0, memory=300_000_004)
    assert rates["minhash.part"] == Rate(1000.0, pytest.approx(0.01), 0.0, 0.5, 20.0, 300_000_004)
    assert quoted(FOUND)["minhash"] == {
        "mb_per_cpu_second": 0.5,
        "output_bytes_per_text_byte": 0.5,
        "temporary_bytes_per_document": 100.0,
        "peak_memory_mb": 300,
    }


def test_growth_is_1_where_it_is_linear_and_more_where_it_is_not() -> None:
    few, one, most = (made("bloom", size) for size in (0, 1, 4))
    assert growth(few, one, most, lambda m: m.cpu) == pytest.approx(1.0)
    assert growth(few, one, most, lambda m: m.size**2) == pytest.approx(4.0)
    assert growth(few, one, most, lambda m: 7) == 0.0


def test_a_dump_costs_what_round_numbers_say() -> None:
    rates = {
        "extract.part": Rate(seconds=3.6, archive=0.36, shards=0.5, dropped=10, memory=100),
        "minhash.judged": Rate(seconds=0, passing=8, memory=100),
    }
    shares = {"extract": Share(1.0, 100_000, 0.5, 1000), "minhash": Share(0.5, 1000, 0.25, 1000)}
    shapes = {"minhash.judged": Shape(at_once=2, memory=50, opened=3_600_000, reread=1e12)}
    rows = cost(rates, shares, shapes, Reading(opened=0.001, byte=7.2e-9), archives_=100, pages=1_000_000, cores=4)
    hours = [[getattr(row, name) for name in ("cpu", "cpu_reread", "wall")] for row in rows]
    assert hours == [pytest.approx([0.11, 0, 0.0275]), pytest.approx([3, 3, 1.5])]
    assert [replace(row, cpu=0, cpu_reread=0, wall=0) for row in rows] == [
        Cost("extract.part", 1e6, 1e11, 0, 0, 0, 100, 0, 0, 250e6 + 5e6),
        Cost("minhash.judged", 5e5, 5e8, 0, 0, 0, 150, 1e12, 3.6e6, 4e6),
    ]


def test_the_section_has_a_row_a_stage_and_size_and_rates_that_can_be_read() -> None:
    folders = ("keys", "pairs", "components", "sets", "judged")
    found = FOUND | {
        ("minhash", size): made("minhash", size, seconds={AROUND: 1.0, **dict.fromkeys([*folders, "part"], size)},
            passing=dict.fromkeys(folders, 100 * max(size, 0)),
            facts={"in_components": size, "size_in_components": 9, "pairs": 7})
        for size in (CUT, *SIZES, NEAR)
    }  # fmt: skip
    filter_ = {"largest_filter_bytes": 1000}
    found |= {("bloom", s): made("bloom", s, seconds={AROUND: 1, "count": s, "group": s}, facts=filter_) for s in (CUT, *SIZES)}
    found |= {("quality", s): made("quality", s, seconds={AROUND: 1, "scores": s, "part": s}) for s in (CUT, *SIZES)}
    told = told_of(found, {1: 500_000_000, 4: 500_000_000}, Reading(0.001, 1e-9))
    assert told.startswith("\n## How the stages grow\n")
    assert all(f"| {stage}, {size}x |" in told for stage in STAGES for size in SIZES[1:])
    rates = json.loads(told.split("for a plan: `")[1].split("`")[0])
    assert list(rates) == list(STAGES)
