"""Heads of records, spelt and broken in every way."""

import gzip
import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.warc.heads import MOST_SIMPLE, _fields, _simple_fields, _simple_names, arc_line
from goldwash.pipeline.warc.records import Damage, Record, records

BODY = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>gold"
FIELDS = [
    b"WARC-Type: response",
    b"WARC-Record-ID: <urn:uuid:%d>",
    b"WARC-Target-URI: http://a.example/%d",
    b"WARC-Date: 2024-01-01T00:00:00Z",
]
SPELLINGS = {"as it is": bytes, "lower": bytes.lower, "upper": bytes.upper, "title": bytes.title, "swapped": bytes.swapcase}
FOLDS = {"none": b": ", "space": b":\n  ", "tab": b":\n\t", "no space": b":", "spaces": b":   "}


def record(n: int, spelling: str = "as it is", fold: str = "none", newline: bytes = b"\r\n") -> bytes:
    lines = [b"WARC/1.0"]
    for each in [*FIELDS, b"Content-Length: %d" % len(BODY)]:
        name, _, value = each.partition(b": ")
        value = value % n if b"%d" in value else value
        lines.append(SPELLINGS[spelling](name) + FOLDS[fold].replace(b"\n", newline) + value)
    return newline.join(lines) + newline * 2 + BODY + newline * 2


def read(data: bytes) -> tuple[list[str], int]:
    found = list(records(io.BytesIO(data), len(data)))
    assert all(f.block == BODY for f in found if isinstance(f, Record))
    return [f.url[-1] for f in found if isinstance(f, Record)], sum(isinstance(f, Damage) for f in found)


PACKS = {
    "plain": b"".join,
    "gzip": lambda r: b"".join(map(gzip.compress, r)),
    "one member": lambda r: gzip.compress(b"".join(r)),
}


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize(("spelling", "fold", "newline"), [*itertools.product(SPELLINGS, FOLDS, [b"\r\n", b"\n"])])
def test_fields_are_read_however_they_are_spelt(pack: str, spelling: str, fold: str, newline: bytes) -> None:
    assert read(PACKS[pack]([record(n, spelling, fold, newline) for n in range(3)])) == (["0", "1", "2"], 0)


@pytest.mark.parametrize("pack", ["plain", "gzip"])
@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_a_head_that_breaks_off_costs_itself_alone(pack: str, newline: bytes) -> None:
    whole = [record(n, newline=newline) for n in range(4)]
    head = whole[1].index(newline * 2) + len(newline)
    for cut in range(1, head):
        urls, damaged = read(PACKS[pack]([whole[0], whole[1][:cut], *whole[2:]]))
        assert (urls, damaged) == (["0", "2", "3"], 1), whole[1][:cut]


def without_length(n: int, newline: bytes) -> bytes:
    """A head that is whole but does not say how long its block is, and has none."""
    return record(n, newline=newline).partition(newline + b"Content-Length")[0] + newline * 2


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
@pytest.mark.parametrize("between", [b"", b"\r\n", b"\n\n", b"some block\r\n\r\n"])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("pack", PACKS)
def test_a_head_without_a_length_costs_itself_alone(pack: str, at: int, between: bytes, newline: bytes) -> None:
    whole = [record(n, newline=newline) for n in (1, 2, 3)]
    pieces = [*whole[:at], without_length(9, newline) + between, *whole[at:]]
    assert read(PACKS[pack](pieces)) == (["1", "2", "3"], 1)


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
@pytest.mark.parametrize("blanks", [b"\n", b"\n\n", b"\r\n", b"\r\n\r\n", b"\n\r\n\n", b" \n \n"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_blank_lines_between_records_cost_no_record(at: int, blanks: bytes, newline: bytes) -> None:
    whole = [record(n, newline=newline) for n in (1, 2, 3)]
    assert read(b"".join([*whole[:at], blanks, *whole[at:]]))[0] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("line", "url", "size"),
    [
        (b"http://a/ 1.2.3.4 20240101000000 text/html 7\n", "http://a/", 7),
        (b"http://a/ 1.2.3.4 20240101000000 text/html; charset=UTF-8 7\r\n", "http://a/", 7),
        (b"http://a/ 1.2.3.4 20240101000000 text/html; a=b; c=d e f 7\n", "http://a/", 7),
        (b"http://a/?q=b c d 1.2.3.4 20240101000000 text/html 7\n", "http://a/?q=b c d", 7),
        (b"http://a/ ::1 20240101000000 no-type 7\n", "http://a/", 7),
        (b"http://a/ 1.2.3.4 20240101000000 text/html 200 abcd - 209 gold.arc 7\n", "http://a/", 7),
        (b"http://a/ 1.2.3.4 20240101000000 text/html; x=y 302 - http://b/ 20090101 a.arc.gz 7\n", "http://a/", 7),
        (b"dns:a.example 1.2.3.4 20240101000000 text/dns 7\n", "dns:a.example", 7),
        (b"http://a/ 1.2.3.4 20240101000000 text/html -1\n", "http://a/", -1),
    ],
)
def test_arc_lines(line: bytes, url: str, size: int) -> None:
    found = arc_line(line + b"rest")
    assert found is not None
    head, end = found
    assert (head.url, head.size, head.date, end) == (url, size, "2024-01-01T00:00:00Z", len(line))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"http://a/\n",
        b"http://a/ 1.2.3.4 2024 text/html 7\n",
        b"Note: the 3 20240101 rest\n"[:10],
        b"http://a/ 1.2.3.4 20240101000000 \n",
    ],
)
def test_what_is_no_arc_line(line: bytes) -> None:
    assert arc_line(line) is None


HEAD_PIECES = st.sampled_from(
    [
        "WARC-Type",
        "warc-type",
        ": ",
        ":",
        " ",
        "\t",
        "\r\n",
        "\n",
        "response",
        "a: b",
        "X-Y",
        "\r",
        "\u2028",
        "X_Y",
        "\x1c",
        "",
        "é",
    ]
)
LINES = st.lists(
    st.tuples(st.sampled_from(["A", "B-c", "X1", "a", " A", "Ä", ""]), st.text(": \t\n\rab", max_size=4)), max_size=5
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(HEAD_PIECES, max_size=12).map("".join) | LINES.map(lambda pairs: "\r\n".join(map(": ".join, pairs))),
    st.sampled_from(["\r\n\r\n", "\n\n", "\r\n\n", ""]),
)
def test_heads_of_the_usual_form_are_read_as_all_others(lines: str, end: str) -> None:
    head = "WARC/1.0\r\n" + lines + end
    assert _simple_fields(head) in (None, _fields(head))


def test_a_head_of_the_usual_form_is_read_without_the_general_loop() -> None:
    assert _simple_fields("WARC/1.0\r\nWARC-Type: response\r\nX: a: b \r\n\r\n") == (
        {"warc-type": "response", "x": "a: b"},
        {"WARC-Type": "response", "X": "a: b"},
    )


def test_a_long_head_is_read_without_remembering_its_names() -> None:
    head = f"WARC/1.0\r\nWARC-Type: response\r\n{'x' * MOST_SIMPLE}: a\r\n\r\n"
    before = _simple_names.cache_info().currsize
    assert _simple_fields(head) is None
    assert _simple_names.cache_info().currsize == before
    assert _fields(head)[0] == {"warc-type": "response", "x" * MOST_SIMPLE: "a"}
