# ruff: noqa: E501 -- tables

import codecs

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.html.decoding import Undecodable, content_type, decoded, in_utf8, is_page, is_utf8, title_and_language
from goldwash.pipeline.html.extractors import EXTRACTORS, OF_UTF8
from goldwash.pipeline.html.head import head_spans
from goldwash.pipeline.html.utf8 import seen
from goldwash.pipeline.stages.extract import Extract, text_of
from goldwash.pipeline.warc.records import Record
from tests import reference

RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 4
JAPANESE = "いろはにほへと散りぬるを我が世誰ぞ常ならむ有為の奥山今日越えて。" * 4
GERMAN = "Größe “quoted” – naïve café "
HTML = "text/html"


def response(payload: bytes, headers: dict[str, str], status: int | None = 200) -> Record:
    """A record of this response."""
    lines = [f"HTTP/1.1 {status} X"] if status is not None else []
    head = "\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers.items())]).encode() + b"\r\n\r\n"
    block = head + payload if lines or headers else payload
    return Record("response", 0, len(block), "i", "u", "d", block, len(block))


def header(charset: str) -> dict[str, str]:
    return {"content-type": f"{HTML}; charset={charset}"}


def meta(charset: str, text: str, name: str | None = None) -> bytes:
    return f'<html><head><meta charset="{name or charset}"></head><body>{text}</body></html>'.encode(charset)


@pytest.mark.parametrize(
    ("payload", "headers", "holds"),
    [
        (GERMAN.encode(), {}, GERMAN),
        (GERMAN.encode(), header("utf-8"), GERMAN),
        (GERMAN.encode(), header("iso-8859-1"), GERMAN),  # a header that lies: the bytes are UTF-8
        (codecs.BOM_UTF8 + GERMAN.encode(), {}, GERMAN),
        (codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"), {}, GERMAN),
        (codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be"), {}, GERMAN),
        (codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"), header("utf-8"), GERMAN),
        (GERMAN.encode("cp1252"), header("windows-1252"), GERMAN),
        (GERMAN.encode("cp1252"), header("iso-8859-1"), GERMAN),  # HTML: latin-1 is windows-1252
        (GERMAN.encode("cp1252"), header('"windows-1252"'), GERMAN),
        (meta("cp1252", GERMAN, "windows-1252"), {}, GERMAN),
        (RUSSIAN.encode("cp1251"), header("windows-1251"), RUSSIAN),
        (RUSSIAN.encode("koi8-r"), header("KOI8-R"), RUSSIAN),
        (meta("cp1251", RUSSIAN, "windows-1251"), {}, RUSSIAN),
        (RUSSIAN.encode("cp1251"), {}, "французских"),  # detected
        (JAPANESE.encode("shift_jis"), header("Shift_JIS"), JAPANESE),
        (meta("euc_jp", JAPANESE, "euc-jp"), {}, JAPANESE),
        (meta("shift_jis", JAPANESE, "x-sjis"), header("utf-8"), JAPANESE),  # the header is not believed, meta is
        (RUSSIAN.encode("cp1251"), header("no-such-charset"), "французских"),
        (b"", {}, ""),
        (("<html><p>" + GERMAN).encode("utf-16-le"), {}, GERMAN),  # no mark, no header
        (("<html><p>" + RUSSIAN).encode("utf-16-be"), {}, RUSSIAN),
        (b"<p>" + b"a\0b c " * 9, {}, "a\0b"),  # a zero here and there is no UTF-16
        (b"plain ASCII", header("utf-16"), "plain ASCII"),
    ],
)
def test_a_page_is_decoded_by_mark_header_meta_or_detection(payload, headers, holds):
    text, utf8 = decoded(payload, headers)
    assert text.encode() == utf8
    assert holds in text
    assert not text.startswith("\ufeff")


@pytest.mark.parametrize(
    "payload",
    [GERMAN.encode("cp1252"), b"\xff\xfea\0", b"\xed\xa0\x80", b"\xc0\x80", b"ok \xf0\x9f", b"\xf8\x88\x80\x80\x80"],
)
def test_strict_utf8_refuses_everything_else(payload):
    with pytest.raises(Undecodable, match=r"byte \d+: "):
        decoded(payload, {}, "utf-8")


@pytest.mark.parametrize(
    ("payload", "page"),
    [(b" " * 4000 + b"hello", False), (b"<!-- -->" * 400 + b"x", False), (b"<?xml?>" + b"\n" * 3000 + b"<rss>", False),
     (b" \n<!-- a -->\n" * 9 + b"<html>", True)],
)  # fmt: skip
def test_what_comes_before_a_tag_is_looked_at_once(payload, page):
    assert is_page({}, payload) is page  # with a pattern that goes back, 40 spaces took hours


def test_a_number_too_large_for_a_character_costs_itself():
    assert title_and_language(b"<title>a &#" + b"1" * 5000 + b"; b</title>")[0] == "a \ufffd b"
    page = b"<title>&#" + b"1" * 5000 + b"</title><p>gold"
    assert text_of(Extract(), response(page, header("utf-8"))) == ("gold", "")


def test_strict_utf8_takes_utf8_as_it_is():
    assert decoded("\ufeffGröße".encode(), {}, "utf-8") == ("\ufeffGröße", "\ufeffGröße".encode())


@pytest.mark.parametrize(
    "payload", [b"a \xed\xa0\x80 b", codecs.BOM_UTF16_LE + b"\x00\xd8a\0", codecs.BOM_UTF16_BE + b"\xdc\x00\0a", b"a\xff\0b"]
)
def test_what_comes_out_is_always_utf8(payload):
    text, utf8 = decoded(payload, {})
    assert text.encode("utf-8") == utf8


def python_decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


PIECES = st.sampled_from([
    b"gold ", "\u00e9".encode(), "\u65e5".encode(), "\U0001f600".encode(), b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8", b"\xe6\x97",
    b"\x80", b"\xef\xbf\xbf", b"\xed\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\0", b"a" * 63, b"b" * 64, b"c" * 65,
    b"\xe0\x9f\xbf", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\xf5\x80\x80\x80", b"\xc1\xbf", b"\x1b",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=3), max_size=8).map(b"".join))
def test_bytes_are_utf8_if_python_decodes_them(data):
    assert is_utf8(data) is python_decodes(data)
    assert is_utf8(memoryview(b"\xff" + data + b"\xff")[1:-1]) is python_decodes(data)
    assert seen(np.frombuffer(data, np.uint8)) == reference.utf8_seen(data)


@pytest.mark.parametrize("character", ["\u00e9", "\u0800", "\ud7ff", "\U00010000", "\U0010ffff"])
def test_characters_are_whole_where_blocks_of_64_bytes_meet(character):
    whole = character.encode()
    for before in range(58, 70):
        for after in (0, 1, 63, 64):
            data = b"a" * before + whole + b"b" * after
            assert is_utf8(data)
            for n in range(len(whole)):
                assert not is_utf8(data[: before + n] + data[before + n + 1 :])
                assert not is_utf8(data[: before + n] + b"\xff" + data[before + n :])
        assert is_utf8(b"a" * before + 70 * whole)
        assert not is_utf8(b"a" * before + 70 * whole + whole[:-1])


TAGS = st.sampled_from([
    b"<html>", b"<html lang=a>", b"<HTML LANG='b'>", b"<html-x lang=c>", b"<htmlx lang=d>", b"</html>", b"<html", b"<title>", b"<Title >",
    b"</title>", b"<!--", b"-->", b"<script>", b"</script>", b"<p title='<html lang=e>'>", b"x", b"y" * 62, b"z" * 64, b"<h1>", b"<tt>",
])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(TAGS, max_size=12).map(b"".join), st.sampled_from([b"<html ", b"<title "]))
def test_a_search_that_ends_early_has_seen_what_there_is(page, more):
    """A tag after the page keeps the search from ending before it."""

    def spans(data):
        found = [min(place, len(page)) for place in head_spans(np.frombuffer(data, np.uint8), len(data))]
        return [place for n in (0, 2) for place in (found[n : n + 2] if found[n] < len(page) else [-1, -1])]

    assert spans(page) == spans(page + more + b">")


@pytest.mark.parametrize("head", [b"", b"X: \xe9\r\n", b"X: \x1b\r\n"])
@pytest.mark.parametrize(
    "payload", [b"<p>gold", "<p>ゴールド".encode(), "<p>\x1b[0m é".encode(), "<p>ゴールド".encode("iso-2022-jp")]
)
def test_what_precedes_a_page_in_its_block_does_not_decide_how_it_is_decoded(head, payload):
    headers = header("iso-2022-jp")
    assert bytes(in_utf8(memoryview(head + payload)[len(head) :], headers)) == decoded(payload, headers)[1]


def test_a_page_in_utf8_is_not_copied():
    view = memoryview(b"HEAD<p>gold \xc3\xa9")[4:]
    assert in_utf8(view, {}) is view


def test_a_charset_that_only_the_page_names_is_found_without_one_in_the_header():
    assert decoded(meta("cp1251", RUSSIAN, "windows-1251"), {})[0].count(RUSSIAN) == 1
    assert decoded(meta("cp1251", RUSSIAN, "windows-1251"), header("no-such-charset"))[0].count(RUSSIAN) == 1


@pytest.mark.parametrize(
    ("kind", "payload", "page"),
    [
        ("text/html", b"", True), ("TEXT/HTML; charset=utf-8", b"x", True), ("application/xhtml+xml", b"x", True),
        ("text/html ;charset=x", b"x", True),
        ("text/plain", b"a <html>", False), ("text/plain", b"<html>", True), ("text/plain", b"<h2>", False), ("application/pdf", b"%PDF", False), ("image/png", b"\x89PNG", False),
        ("application/json", b"{}", False),
        ("", b"<!DOCTYPE html><p>x", True), ("", b"\n\n <HTML lang=en>", True), ("", b"%PDF-1.4", False), ("", b"", False),
        ("", b"<rss>", False), ("text/html", b"%PDF-1.4 ...", False), ("text/html", b"\x89PNG\r\n\x1a\n", False), ("application/xml", b"<?xml version='1.0'?>\n<!-- x --><!DOCTYPE html PUBLIC>", True),
        ("application/octet-stream", b" \xef\xbb\xbf<html>", False), ("application/octet-stream", b"\xef\xbb\xbf<html>", True), ("application/vnd.wap.xhtml+xml", b"x", True), (None, b"<html>", True), (None, b"hello", False),
    ],
)  # fmt: skip
def test_what_is_a_page(kind, payload, page):
    assert is_page({} if kind is None else {"content-type": kind}, payload) is page


def test_content_types():
    assert content_type({"content-type": " Text/HTML ; charset=x"}) == "text/html"
    assert content_type({}) == ""


# --- bytes to text, whatever the bytes

SNIPPETS = st.sampled_from(
    [b"<p>", b"</p>", b"<", b"<!--", b"<![CDATA[", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"&#xD800;", b"&#0;", b"&#x110000;", b"<table><tr>",
     b"<script>", b"<title>", b'<meta charset="', b"utf-7", b"utf-16", b"hz-gb-2312", b'">', b"\xed\xa0\x80", b"gold ", b"<svg><math>"]
)  # fmt: skip
BYTES = st.lists(SNIPPETS | st.binary(max_size=12), max_size=25).map(b"".join)
CHARSETS = st.sampled_from(
    ["", "utf-8", "utf-16", "utf-7", "hz", "iso-2022-jp", "x-user-defined", "punycode", "rot13", "zlib", "hex", "base64"]
)


@settings(max_examples=200, deadline=None)
@given(BYTES, CHARSETS, st.sampled_from(["utf-8", "detect"]))
def test_bytes_become_text_or_are_undecodable(payload, name, charset):
    try:
        html, utf8 = decoded(payload, header(name) if name else {}, charset)
    except Undecodable:
        assert charset == "utf-8"
        return
    assert html.encode("utf-8") == utf8
    for extractor in EXTRACTORS.values():
        assert isinstance(extractor(html), str), extractor
    for extractor in EXTRACTORS.values():
        if isinstance(extractor, OF_UTF8):
            assert extractor(utf8) == extractor(html)


@settings(max_examples=100, deadline=None)
@given(BYTES, CHARSETS, st.sampled_from(["utf-8", "detect"]), st.integers(100, 599) | st.none())
def test_each_page_has_a_text_or_a_reason(payload, name, charset, status):
    text, reason = text_of(Extract(charset=charset), response(payload, header(name), status))
    text.encode("utf-8")
    assert bool(text) != bool(reason)
    assert reason in ("", "http_status", "not_html", "undecodable", "extraction_error", "no_text")


@pytest.mark.parametrize(
    ("parameters", "status", "kind", "payload", "reason"),
    [
        ({}, 404, HTML, b"<p>gone</p>", "http_status"), ({}, 199, HTML, b"<p>x</p>", "http_status"), ({}, 200, HTML, b"<p>x</p>", ""),
        ({}, 299, HTML, b"<p>x</p>", ""), ({}, 300, HTML, b"<p>x</p>", "http_status"), ({}, None, HTML, b"<p>x</p>", ""),
        ({"max_status": 999}, 404, HTML, b"<p>gone</p>", ""),
        ({}, 200, "text/plain", b"gold", "not_html"), ({"html_only": False}, 200, "text/plain", b"gold", ""),
        ({"charset": "utf-8"}, 200, HTML, b"<p>\xff</p>", "undecodable"), ({}, 200, HTML, b"<p>caf\xe9</p>", ""),
        ({}, 200, HTML, b"<p></p>", "no_text"), ({"keep_empty": True}, 200, HTML, b"<p></p>", ""),
    ],
)  # fmt: skip
def test_why_a_page_has_no_text(parameters, status, kind, payload, reason):
    assert text_of(Extract(**parameters), response(payload, {"content-type": kind}, status))[1] == reason
