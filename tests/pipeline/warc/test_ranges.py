"""Ranges of an archive that adjoin: together they hold what one pass over it does."""

import gzip
import io
import random
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.warc.records import Damage, Record, Seams, records
from tests.support.archives import arc, page, record, warc

SEVEN = [record(f"http://a.example/{n}", page(n, 20 + 40 * n)) for n in range(7)]


def members(pages: list[bytes]) -> bytes:
    return b"".join(gzip.compress(each, mtime=0) for each in pages)


ARCHIVES = {
    "plain": b"".join(SEVEN),
    "gzip": members(SEVEN),
    "zstd": b"".join(map(zstandard.compress, SEVEN)),
    "arc": b"".join(arc(7)),
    "arc.gz": members(arc(7)),
    "two a member": members([SEVEN[0] + SEVEN[1], SEVEN[2] + SEVEN[3], b"".join(SEVEN[4:])]),
    "one member": gzip.compress(b"".join(SEVEN)),
    "blocks": members([b"".join(SEVEN)[at : at + 700] for at in range(0, len(b"".join(SEVEN)), 700)]),
    "empty members": members([b"", SEVEN[0], b"", b"\r\n", *SEVEN[1:]]),
    "damage": members(SEVEN[:2]) + random.Random(1).randbytes(900) + members(SEVEN[2:]),
    "a broken member": members(SEVEN[:3]) + members(SEVEN[3:4])[:-60] + members(SEVEN[4:]),
    "plain damage": b"".join(SEVEN[:3]) + b"junk\r\n" * 99 + b"".join(SEVEN[3:]),
    "padded": members(SEVEN[:4]) + bytes(500) + members(SEVEN[4:]),
}


def read(data: bytes, start: int = 0, end: int | None = None) -> tuple[list[tuple[object, ...]], Seams, int]:
    """The records of a range, where its reading began and ended, the bytes of damage."""
    seams = Seams()
    found = list(records(io.BytesIO(data), len(data), start=start, end=end, seams=seams))
    held = [(r.kind, r.offset, r.length, r.id, r.url, r.date, r.block) for r in found if isinstance(r, Record)]
    return held, seams, sum(d.bytes for d in found if isinstance(d, Damage))


@pytest.mark.parametrize("name", ARCHIVES)
@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.02, 1), max_size=5))
def test_ranges_hold_each_record_once_and_in_order(name: str, cuts: list[float]) -> None:
    data = ARCHIVES[name]
    whole, _, lost = read(data)
    places = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    ranges = [read(data, start, end) for start, end in pairwise(places)]
    assert [each for held, _, _ in ranges for each in held] == whole
    assert all(a.stop == b.first for (_, a, _), (_, b, _) in pairwise(ranges))
    assert sum(damage for _, _, damage in ranges) == lost


def test_an_archive_in_a_record_is_found_out() -> None:
    """A range that begins within a captured archive takes its records for the archive's own, and its seam says so."""
    inner = members(warc(3))
    outer = record("http://a.example/inner.warc.gz", inner, content_type="application/gzip")
    data = members([SEVEN[0]]) + zlib_stored(outer) + members(SEVEN[1:])
    start = data.index(inner) + 10
    _, before, _ = read(data, 0, start)
    held, after, _ = read(data, start)
    assert before.stop != after.first
    assert [url for _, _, _, _, url, *_ in held][:2] != ["http://a.example/1", "http://a.example/2"] or len(held) > 6


def zlib_stored(data: bytes) -> bytes:
    """A gzip member that holds its bytes as they are, as packers do with what is packed already."""
    return gzip.compress(data, compresslevel=0, mtime=0)
