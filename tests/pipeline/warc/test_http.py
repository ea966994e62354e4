"""Heads and bodies of responses as servers send them."""

import gzip
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.html.decoding import charset_of, content_type, is_page
from goldwash.pipeline.warc.http import HEAD_BYTES, head_of, response

PAGE = b"<html><p>" + b"gold in the pan " * 400
MOST = 1 << 22


def block(*lines: bytes, body: bytes = PAGE) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


OK = b"HTTP/1.1 200 OK"
HTML = b"Content-Type: text/html"


@pytest.mark.parametrize(
    "interim",
    [b"HTTP/1.1 100 Continue", b"HTTP/1.1 102 Processing\r\nX: a", b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload",
     b"HTTP/1.0 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Type: text/plain", b"http/1.1 199 x"],
)  # fmt: skip
@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n\r\n\r\n"])
def test_interim_responses_are_skipped(interim: bytes, end: bytes) -> None:
    found = response(interim + end + block(OK, HTML), MOST)
    assert (found.status, found.headers, found.body) == (200, {"content-type": "text/html"}, PAGE)


def test_an_interim_response_with_nothing_after_it_is_the_response() -> None:
    assert response(b"HTTP/1.1 100 Continue\r\n\r\n" + PAGE, MOST).status == 100


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"HTTP/1.1 200 OK", 200), (b"http/1.1 200 ok", 200), (b"Http/1.0 404", 404), (b"HTTP/2 200", 200),
        (b"HTTP 200 OK", 200),
        (b"HTTP/1.1  200 OK", 200), (b"HTTP/1.1\t301 Moved", 301), (b"ICY 200 OK", 200), (b"HTTP/1.1 200", 200),
        (b"\r\nHTTP/1.1 200 OK", 200), (b"\r\n\r\n\n HTTP/1.1 200 OK", 200), (b"HTTP/1.1 OK", None), (b"HTTP/1.10 200 OK", 200),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_status_lines_that_browsers_accept(first: bytes, status: int | None, newline: bytes) -> None:
    found = response(first + newline + HTML + newline * 2 + PAGE, MOST)
    assert (found.status, found.headers, found.body) == (status, {"content-type": "text/html"}, PAGE)


@pytest.mark.parametrize(
    "byte", [b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", "\x85".encode(), "\u2028".encode(), "\u2029".encode()]
)
def test_a_field_ends_at_cr_lf_or_lf_alone(byte: bytes) -> None:
    found = response(
        block(OK, HTML, b"X-Note: a" + byte + b"Content-Type: application/pdf" + byte + b"Content-Encoding: gzip"), MOST
    )
    assert found.headers.keys() == {"content-type", "x-note"}
    assert (found.headers["content-type"], found.body) == ("text/html", PAGE)


@pytest.mark.parametrize("size", [70_000, 300_000, HEAD_BYTES - 200])
@pytest.mark.parametrize(
    "shape", [lambda n: [b"X-Long: " + b"x" * n], lambda n: [b"X-%d: a value" % k for k in range(n // 40)]]
)
def test_long_heads_are_read(size: int, shape) -> None:
    found = response(block(OK, *shape(size), HTML), MOST)
    assert (found.status, found.headers["content-type"], found.body) == (200, "text/html", PAGE)


def test_a_field_that_is_repeated_a_million_times_takes_linear_time() -> None:
    status, headers, _ = head_of(block(OK, *[b"A: b"] * 150_000))
    assert (status, len(headers["a"])) == (200, 150_000 * 3 - 2)


# --- bodies


@pytest.mark.parametrize(
    "members",
    [[PAGE], [PAGE, b"more"], [b"", PAGE], [b"", b"", PAGE, b""], [PAGE[:1], PAGE[1:50], PAGE[50:]], [b"a" * 200_000, PAGE]],
)
@pytest.mark.parametrize("after", [b"", b"\0" * 64, b"\r\n", b"junk"])
def test_all_members_of_a_gzip_body_are_read(members: list[bytes], after: bytes) -> None:
    body = b"".join(map(gzip.compress, members)) + after
    found = response(block(OK, b"Content-Encoding: gzip", body=body), MOST)
    assert (found.body, found.faults) == (b"".join(members), ())


def test_an_empty_gzip_body_is_an_empty_page() -> None:
    assert response(block(OK, b"Content-Encoding: gzip", body=gzip.compress(b"")), MOST).body == b""


def named(flags: int) -> bytes:
    """A gzip member with the optional parts of its header that flags ask for."""
    deflating = zlib.compressobj(wbits=-15)
    extra = b"\x03\0abc" if flags & 4 else b""
    names = (
        (b"page.html\0" if flags & 8 else b"") + (b"a comment\0" if flags & 16 else b"") + (b"\x12\x34" if flags & 2 else b"")
    )
    packed = deflating.compress(PAGE) + deflating.flush()
    return (
        b"\x1f\x8b\x08"
        + bytes([flags])
        + bytes(6)
        + extra
        + names
        + packed
        + zlib.crc32(PAGE).to_bytes(4, "little")
        + len(PAGE).to_bytes(4, "little")
    )


@pytest.mark.parametrize("flags", range(32))
def test_every_gzip_header_is_read(flags: int) -> None:
    found = response(block(OK, b"Content-Encoding: gzip", body=named(flags)), MOST)
    assert (found.body, found.faults) == (PAGE, ())


@pytest.mark.parametrize(("coding", "pack", "spoil"), [
    (b"gzip", gzip.compress, -5), (b"gzip", gzip.compress, -8), (b"deflate", zlib.compress, -1), (b"x-gzip", gzip.compress, -6),
])  # fmt: skip
@pytest.mark.parametrize("size", [10, 60_000, 200_000])
def test_a_wrong_checksum_is_noted_and_costs_nothing(coding: bytes, pack, spoil: int, size: int) -> None:
    page = random.Random(size).randbytes(size // 2).hex().encode()
    body = bytearray(pack(page))
    body[spoil] ^= 0x55
    found = response(block(OK, b"Content-Encoding: " + coding, body=bytes(body)), MOST)
    assert (found.body, found.faults) == (page, ("bad_checksum",))


@pytest.mark.parametrize(("coding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)])
def test_what_precedes_a_break_is_kept_to_the_byte(coding: bytes, pack) -> None:
    page = random.Random(3).randbytes(100_000).hex().encode()
    body = pack(page)
    cut = response(block(OK, b"Content-Encoding: " + coding, body=body[: len(body) // 2]), MOST).body
    broken = body[: len(body) // 2] + bytes(len(body) - len(body) // 2)
    spoilt = response(block(OK, b"Content-Encoding: " + coding, body=broken), MOST).body
    assert page.startswith(bytes(cut))
    assert len(cut) > 90_000
    assert bytes(spoilt).startswith(bytes(cut)[:-300])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.binary(max_size=30))
def test_gzip_bodies_are_what_the_standard_library_reads(members: list[bytes], after: bytes) -> None:
    body = b"".join(map(gzip.compress, members))
    found = response(block(OK, b"Content-Encoding: gzip", body=body + (b"" if after.startswith(b"\x1f\x8b") else after)), MOST)
    assert found.body == gzip.decompress(body)


# --- what kind of thing it is


@pytest.mark.parametrize(
    ("value", "kind", "charset"),
    [
        ("text/html", "text/html", ""),
        ("text/html; charset=gbk, text/html", "text/html", "gbk"),
        ("text/html, text/html; charset=utf-8", "text/html", "utf-8"),
        ("text/plain, text/html", "text/html", ""),
        ("text/html, */*", "text/html", ""),
        ("text/html,", "text/html", ""),
        ('text/html; x="a,b/c"', "text/html", ""),
        ("text/html charset=utf-8", "", "utf-8"),
        ("text/html:charset=utf-8", "", "utf-8"),
        ('"text/html"', "", ""),
        ("'text/html; charset=utf-8'", "", "utf-8"),
        ("html", "", ""),
        ("text / html", "", ""),
        ("charset=utf-8", "", "utf-8"),
        ('text/html; charset="windows-1251"', "text/html", "windows-1251"),
        ("TEXT/HTML;CHARSET = koi8-r ; a=b", "text/html", "koi8-r"),
        ("application/unknown", "application/unknown", ""),
        ("bad, application/pdf", "application/pdf", ""),
        ("application/pdf, bad", "application/pdf", ""),
    ],
)
def test_content_types_as_fetch_reads_them(value: str, kind: str, charset: str) -> None:
    headers = {"content-type": value}
    assert (content_type(headers), charset_of(headers)) == (kind, charset)
    if kind in ("", "application/unknown"):
        assert is_page(headers, b"<!DOCTYPE html><html>")
        assert not is_page(headers, b"%PDF-1.4")
