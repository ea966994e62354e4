# ruff: noqa: E501 -- tables

import io
import logging
import random
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.warc.records import Damage, Record, record_at, records
from tests.support.archives import arc, gzipped, page, record, warc

logging.getLogger("warcio").setLevel(logging.ERROR)


def read(data: bytes) -> list[Record | Damage]:
    return list(records(io.BytesIO(data), len(data)))


def kinds(found: list[Record | Damage]) -> dict[str, int]:
    return dict(Counter(f.kind if isinstance(f, Record) else "damage" for f in found))


def urls(found: list[Record | Damage]) -> list[str]:
    return [f.url.removeprefix("http://a.example/") for f in found if isinstance(f, Record) and f.kind == "response"]


ODD = {
    "bad.arc": {"warcinfo": 1, "response": 3},
    "commoncrawl-capture.warc.gz": {"response": 1},
    "example-bad-non-chunked.warc.gz": {"warcinfo": 2, "response": 1, "request": 2, "revisit": 1},
    "example-digest.warc": {"request": 4},
    "example-iana.org-chunked.warc": {"warcinfo": 1, "response": 1, "request": 1},
    "example-resource.warc.gz": {"warcinfo": 2, "resource": 1},
    "example-space-in-target-uri.warc.gz": {"warcinfo": 1, "resource": 1},
    "example-space-in-url.arc": {"warcinfo": 1, "damage": 1},
    "example-trunc.warc": {"warcinfo": 2, "response": 1, "request": 1, "damage": 1},  # two bytes more than it says
    "example-wget-bad-target-uri.warc.gz": {"warcinfo": 1, "request": 1, "response": 1, "metadata": 1, "resource": 2},
    "example-wrong-chunks.warc.gz": {"response": 1, "request": 1},
    "example.arc": {"warcinfo": 1, "response": 1},
    "example.arc.gz": {"warcinfo": 1, "response": 1},
    "example.warc": {"warcinfo": 2, "response": 1, "request": 2, "revisit": 1},
    "example.warc.gz": {"warcinfo": 2, "response": 1, "request": 2, "revisit": 1},
    "post-test.warc.gz": {"response": 3, "request": 3},
    "wget-sample-0000.warc.gz": {"warcinfo": 1, "request": 22, "response": 22, "metadata": 1, "resource": 2},
    "whirlwind.warc": {"warcinfo": 1, "request": 1, "response": 1, "metadata": 1},
    "whirlwind.warc.gz": {"warcinfo": 1, "request": 1, "response": 1, "metadata": 1},
    "whirlwind.warc.wat": {"warcinfo": 1, "metadata": 1},
    "whirlwind.warc.wat.gz": {"warcinfo": 1, "metadata": 1},
    "whirlwind.warc.wet": {"warcinfo": 1, "conversion": 1},
    "whirlwind.warc.wet.gz": {"warcinfo": 1, "conversion": 1},
}
ONE_GZIP_MEMBER = {"example-bad-non-chunked.warc.gz"}
"""Its records have no place of their own in the file."""


@pytest.mark.real
@pytest.mark.parametrize("name", ODD)
def test_odd_archives_give_their_records(real: Path, name: str):
    data = (real / "archives" / name).read_bytes()
    found = read(data)
    assert kinds(found) == ODD[name]
    for each in found:
        assert (
            isinstance(each, Damage) or each.kind != "response" or (each.url and each.id and (each.block or name == "bad.arc"))
        )
    assert [f.id for f in found if isinstance(f, Record) and f.kind == "response"] == [
        f.id for f in read(data) if isinstance(f, Record) and f.kind == "response"
    ]


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(ODD.keys() - ONE_GZIP_MEMBER))
def test_a_range_request_fetches_the_record_again(real: Path, name: str):
    data = (real / "archives" / name).read_bytes()
    held = [f for f in read(data) if isinstance(f, Record)]
    for one, after in zip(held, [*held[1:], None], strict=True):
        assert after is None or one.offset + one.length <= after.offset
        again = record_at(data[one.offset : one.offset + one.length])
        assert again is not None
        assert (again.kind, again.url, again.date, again.block) == (one.kind, one.url, one.date, one.block)
        assert again.id == one.id or one.kind == "warcinfo"


def test_no_file_of_the_folder_is_forgotten(real: Path):
    if not real.is_dir():
        pytest.skip(f"no real pages at {real}")
    assert {p.name for p in (real / "archives").iterdir()} == set(ODD)


# --- archives written here

FIVE = warc(5)
PLAIN, ZIPPED = b"".join(FIVE), gzipped(FIVE)
THREE = arc(3)
ARC = b"".join(THREE)
TEXT = b"This is no archive, though its name says so.\n" * 20


@pytest.mark.parametrize(
    ("data", "pages", "damaged"),
    [
        (PLAIN, ["0", "1", "2", "3", "4"], 0),
        (ZIPPED, ["0", "1", "2", "3", "4"], 0),
        (ARC, ["0", "1", "2"], 0),
        (gzipped(THREE), ["0", "1", "2"], 0),
        (TEXT, [], 1),
        (gzipped([TEXT]), [], 1),
        (b"", [], 1),
        (random.Random(0).randbytes(20_000), [], 1),
        (b"\x1f\x8b" + random.Random(1).randbytes(20_000), [], 1),
        (b"\0" * 5000, [], 1),
        (b"WARC/1.0\r\n", [], 1),
        (ZIPPED[: len(gzipped(FIVE[:3])) + 40], ["0", "1", "2"], 1),
        (ZIPPED[: len(gzipped(FIVE[:3]))], ["0", "1", "2"], 0),
        (PLAIN[: len(b"".join(FIVE[:3])) + 100], ["0", "1", "2"], 1),
        (ARC[:-40], ["0", "1"], 1),
        (gzipped(THREE)[:-40], ["0", "1"], 1),
        (ZIPPED + b"\0" * 512, ["0", "1", "2", "3", "4"], 0),
        (PLAIN + b"\r\n\r\n", ["0", "1", "2", "3", "4"], 0),
    ],
    ids=[
        "plain", "gzip", "arc", "arc.gz", "text", "text.gz", "empty", "random", "random gzip", "zeros", "head alone",
        "truncated gzip", "cut between records", "truncated plain", "truncated arc", "truncated arc.gz", "padded gzip", "padded plain",
    ],
)  # fmt: skip
def test_what_can_be_read_is_read_and_the_rest_is_damage(data, pages, damaged):
    found = read(data)
    assert urls(found) == pages
    assert kinds(found).get("damage", 0) == damaged
    for each in found:
        if isinstance(each, Damage):
            assert 0 <= each.offset <= len(data)
            assert each.reason


def test_a_member_that_breaks_within_its_block_gives_the_record_before_it_once():
    broken = bytearray(gzipped([record("http://a.example/broken", page(5, 60_000))]))
    broken[len(broken) // 2 : len(broken) // 2 + 64] = bytes(64)
    found = read(gzipped(FIVE[:2]) + bytes(broken) + gzipped(FIVE[2:]))
    assert urls(found) == ["0", "1", "2", "3", "4"]
    assert kinds(found)["damage"] == 1


@pytest.mark.parametrize("data", [PLAIN, ZIPPED, gzipped([PLAIN]), ARC], ids=["plain", "gzip", "one member", "arc"])
def test_a_block_that_is_taken_changes_nothing_of_what_follows(data):
    found = []
    for each in records(io.BytesIO(data), len(data)):
        assert isinstance(each, Record)
        found.append((each.kind, each.offset, each.length, each.url, each.block))
        each.block = b""
    assert found == [(r.kind, r.offset, r.length, r.url, r.block) for r in read(data)]


@pytest.mark.parametrize("pack", [b"".join, gzipped], ids=["plain", "gzip"])
def test_a_page_that_is_cut_off_is_never_passed_for_a_whole_one(pack):
    head = pack(FIVE[:2])
    whole = pack(FIVE[:3])
    for cut in range(len(head) + 1, len(whole), 37):
        found = read(whole[:cut])
        held = [f for f in found if isinstance(f, Record)]
        assert [r.block.partition(b"\r\n\r\n")[2] for r in held[:2]] == [page(0), page(1)]
        for record_ in held[2:]:
            assert record_.block.endswith(page(2)), cut
        assert len(held) == 3 or any(isinstance(f, Damage) for f in found), cut


@pytest.mark.parametrize(
    "junk", [b"junk\r\n" * 50, b"\0" * 300, random.Random(2).randbytes(500)], ids=["lines", "zeros", "random"]
)
@pytest.mark.parametrize("pack", [b"".join, gzipped], ids=["plain", "gzip"])
def test_junk_between_records_hides_no_record(pack, junk):
    found = read(pack(FIVE[:2]) + junk + pack(FIVE[2:]))
    assert urls(found) == ["0", "1", "2", "3", "4"]
    assert kinds(found).get("damage", 0) == bool(junk.strip(b"\0")), found


@pytest.mark.parametrize("data", [PLAIN, ZIPPED, ARC], ids=["plain", "gzip", "arc"])
def test_places_are_those_of_the_bytes(data):
    held = [f for f in read(data) if isinstance(f, Record)]
    assert held[0].offset == 0
    assert held[-1].offset + held[-1].length == len(data)
    for one in held:
        again = record_at(data[one.offset : one.offset + one.length])
        assert again is not None
        assert (again.url, again.block) == (one.url, one.block)


# --- zstd with a dictionary

DICTIONARY = zstandard.train_dictionary(2048, warc(100))


def frames(pages: Sequence[bytes]) -> list[bytes]:
    packing = zstandard.ZstdCompressor(dict_data=DICTIONARY)
    return [packing.compress(each) for each in pages]


def headed(content: bytes) -> bytes:
    """The frame that holds a dictionary."""
    return struct.pack("<II", 0x184D2A5D, len(content)) + content


WORDS = headed(DICTIONARY.as_bytes())
HEADS = {"as it is": WORDS, "packed": headed(zstandard.compress(DICTIONARY.as_bytes()))}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_dictionary_at_the_head_unpacks_every_frame_and_is_needed_for_each(head):
    data = head + b"".join(frames(FIVE))
    found = read(data)
    held = [f for f in found if isinstance(f, Record)]
    assert found == held
    assert [r.block for r in held] == [r.block for r in read(PLAIN) if isinstance(r, Record)]
    assert [r.offset for r in held] == [len(head) + len(b"".join(frames(FIVE)[:n])) for n in range(5)]
    assert [r.length for r in held] == [len(f) for f in frames(FIVE)]
    for one in held:
        piece = data[one.offset : one.offset + one.length]
        assert record_at(piece) is None
        again = record_at(head + piece)
        assert again is not None
        assert (again.id, again.block) == (one.id, one.block)


@pytest.mark.parametrize("spoilt", range(5))
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_damage_costs_a_frame_that_needs_the_dictionary_and_no_other(head, spoilt):
    packed = frames(FIVE)
    packed[spoilt] = packed[spoilt][:20] + b"\xff" * 40 + packed[spoilt][60:]
    found = read(head + b"".join(packed))
    assert urls(found) == [str(n) for n in range(5) if n != spoilt]
    assert [f.offset for f in found if isinstance(f, Damage)] == [len(head) + len(b"".join(packed[:spoilt]))]


@pytest.mark.parametrize("junk", [b"junk\r\n" * 50, b"\0" * 300, WORDS], ids=["lines", "zeros", "another head"])
def test_junk_hides_no_frame_that_needs_the_dictionary(junk):
    assert urls(read(WORDS + b"".join(frames(FIVE[:2])) + junk + b"".join(frames(FIVE[2:])))) == ["0", "1", "2", "3", "4"]


def test_a_frame_that_breaks_off_is_damage_with_a_dictionary_too():
    data = WORDS + b"".join(frames(FIVE))
    for cut in (1, 9, 60):
        assert (urls(read(data[:-cut])), kinds(read(data[:-cut])).get("damage")) == (["0", "1", "2", "3"], 1)


def test_one_frame_of_all_records_may_need_a_dictionary():
    data = WORDS + frames([PLAIN])[0]
    held = [f for f in read(data) if isinstance(f, Record)]
    assert [(r.offset, r.length) for r in held] == [(len(WORDS), len(data) - len(WORDS))] * 5
    assert [r.url for r in held] == [f"http://a.example/{n}" for n in range(5)]


@pytest.mark.parametrize(
    "content",
    [DICTIONARY.as_bytes()[:100], zstandard.compress(DICTIONARY.as_bytes())[:100], b"", b"no dictionary"],
    ids=["cut", "cut and packed", "none", "text"],
)
def test_a_dictionary_that_cannot_be_read_costs_what_needs_it(content):
    found = read(headed(content) + b"".join(frames(FIVE[:2])))
    assert found[0] == Damage(0, "the zstd dictionary at its head cannot be read", 8)
    assert urls(found) == []
    assert urls(read(headed(content) + b"".join(map(zstandard.compress, FIVE)))) == ["0", "1", "2", "3", "4"]


def test_a_head_that_is_cut_off_is_damage():
    assert [[type(f) for f in read(WORDS[:cut])] for cut in (4, 6, 8, 100)] == [[Damage], [Damage], [Damage], [Damage, Damage]]
    assert read(WORDS) == []


# ---


def test_ids_of_arc_records_are_the_same_on_each_reading():
    one, other = ([f.id for f in read(ARC) if isinstance(f, Record) and f.kind == "response"] for _ in range(2))
    assert one == other
    assert len(set(one)) == 3


def test_a_response_without_a_status_line_is_read():
    data = record("http://a.example/0", b"<p>no status</p>", status="")
    assert urls(read(data)) == ["0"]


def test_nothing_is_found_in_nothing():
    assert record_at(b"") is None
    assert record_at(TEXT) is None


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.booleans(), st.integers(0, 3))
def test_no_bytes_break_the_reader(junk, zipped, after):
    pack = gzipped if zipped else b"".join
    found = read(pack(FIVE[:after]) + junk)
    assert urls(found)[:after] == [str(n) for n in range(after)]
