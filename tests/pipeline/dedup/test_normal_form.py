# ruff: noqa: E501 -- tables
"""Normal forms of texts and URLs: tables, pieces against the whole, and other libraries' parsers."""

import unicodedata
from hashlib import blake2b
from urllib.parse import urljoin

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup import normal_form
from goldwash.pipeline.dedup.normal_form import TRACKING, normal_text, normal_url, pieces, text_key, text_keys, url_key
from tests.support.strategies import HOSTILE_BATTERY


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a  b", " a\tb\n", True),
        ("STRASSE", "straße", True),
        ("Cafe\u0301", "CAF\u00c9", True),
        ("\u212b", "\u00e5", True),
        ("a\u00a0b\u2003c", "A b C", True),
        ("", " \n\u3000", True),
        ("\ufb01", "fi", True),
        ("a b", "ab", False),
        ("caf\u00e9", "cafe", False),
        ("a.", "a", False),
        ("x\u00b2", "x2", False),
    ],
)
def test_texts_that_are_the_same(one, other, same):
    assert (normal_text(one) == normal_text(other)) is same


SPACED = [
    "",
    " ",
    "a",
    " a ",
    "a\n\n b\tc",
    "a\u2003\u2003b " * 50,
    " \u0301x \u0301",
    "e \u0301",
    "x" * 63 + "  " + "y" * 70,
    "\u3000" * 30,
]


@given(
    st.lists(
        st.text(st.sampled_from("aÄ\u0301ßİ\u1100\u1161\ufb01中 \n\u00a0\u2000\u3000") | st.characters(codec="utf-8")),
        max_size=8,
    )
)
def test_keys_of_texts_together_are_those_of_each_text(found):
    texts = [*found, *SPACED, *HOSTILE_BATTERY]
    assert text_keys(Texts.of(texts)) == list(map(text_key, texts))
    assert text_keys(Texts.of([])) == []


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65])
@pytest.mark.parametrize("word", ["Z", "É", "ẞA", "ΑΣ", "İI", "中", "J\u030c"])
def test_words_are_folded_one_by_one_wherever_they_begin(size, word):
    texts = [f"{'A' * size}{word}{'B' * size}", f"{'A' * size} {word} {'B' * size}", f"{word}{' C' * size}", word * size]
    assert text_keys(Texts.of(texts)) == list(map(text_key, texts))


def test_a_long_text_has_the_same_key_together_with_others(monkeypatch):
    monkeypatch.setattr(normal_form, "PIECE", 20)
    texts = [f"{n}  É  \n" * n for n in range(20)]
    assert text_keys(Texts.of(texts)) == list(map(text_key, texts))


def test_nothing_composes_across_white_space_and_nothing_folds_to_it():
    """What makes squeezing white space first the same as squeezing it last: over all of Unicode."""
    every = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    spaces = {c for c in every if c.isspace()}
    assert {c for c in every if any(map(str.isspace, unicodedata.normalize("NFC", c).casefold()))} == spaces
    assert all(unicodedata.combining(c) == 0 for c in spaces)
    pairs = (unicodedata.decomposition(c).split() for c in every)
    parts = {chr(int(part, 16)) for pair in pairs if len(pair) == 2 and "<" not in pair[0] for part in pair}
    assert not parts & spaces


SAME = [
    ("http://a.example", "https://www.a.example/", "HTTPS://WWW.A.Example:443/#x", "//a.example", "http://a.example:80", "http://a.example./", "http://u:p@a.example/", "http://a.example/?", " http://a.example/ "),
    ("http://a.example/b/c", "http://a.example/b/c/", "http://a.example/%62/c", "http://a.example/b/c?#", "http://a.example/b/c?utm_source=x&fbclid=1", "http://a.example/b/c?UTM_Medium=y", "http://a.example/b/c?&"),
    ("http://a.example/?a=1&b=2", "http://a.example/?b=2&a=1", "http://a.example/?b=2&gclid=x&a=1", "http://a.example?a=1&b=%32"),
    ("http://a.example/?q", "http://a.example/?q="),
    ("http://a.example/x y", "http://a.example/x%20y"),
    ("http://a.example/?q=x+y", "http://a.example/?q=x%20y"),
    ("http://a.example/caf\u00e9", "http://a.example/caf%C3%A9", "http://a.example/caf%c3%a9"),
    ("http://b\u00fccher.example/", "http://B\u00dcCHER.example"),
    ("http://[::1]/", "http://[::1]:80"),
]  # fmt: skip
OTHERS = [
    "http://b.example", "http://a.example:8080/", "http://a.example:443/", "http://a.example/B/c", "http://a.example/b//c", "http://a.example/b",
    "http://a.example/?a=1", "http://a.example/?a=1&a=1", "http://a.example/?a=2&b=1", "http://a.example/?b=2&a=1&c=", "http://a.example/?utm=1",
    "http://a.example/caf%E9", "http://a.example/caf%E8", "http://a.example/?q=%E9", "http://a.example/?q=%E8", "http://a.example/?q=%EF%BF%BD",
    "http://[::1]:8080/", "http://[::1:8080]/", "http://sub.a.example/", "http://www.www.a.example/", "http://www./",
    "http://a.example/b%3Fc", "http://a.example/b?c", "http://a.example/b%23c", "http://a.example/100%25", "http://a.example/100%2525",
    "http://a.example:99999/", "http://a.example:x/", "http://[::1/", "http://a\u2100b.example/", "http:", "http://", "mailto:a@a.example", "nothing at all", "%", "dns:a.example",
]  # fmt: skip
"""URLs of which no two are the same."""


@pytest.mark.parametrize("urls", SAME, ids=lambda urls: urls[0])
def test_urls_that_are_the_same(urls):
    assert {normal_url(url) for url in urls} == {normal_url(urls[0])}


def test_urls_that_are_not_the_same():
    normal = [normal_url(url) for url in [*OTHERS, *(urls[0] for urls in SAME)]]
    assert sorted(url for url in set(normal) if normal.count(url) > 1) == []
    assert "" not in normal


@given(st.text() | st.lists(st.sampled_from(["http:", "/", "//", "a", "[", "]", ":", "@", "%", "%E9", "?", "&", "=", "#", "www.", "\u2100", "\0", " "]), max_size=12).map("".join))  # fmt: skip
def test_any_url_has_a_key(url):
    assert isinstance(normal_url(url).encode("utf-8", "surrogatepass"), bytes)


# --- what one page is not two for, and two pages not one

K22_SAME = [
    ("http://b\u00fccher.example/", "http://xn--bcher-kva.example/", "http://B\u00dcCHER.example", "http://bu\u0308cher.example", "http://www.b\u00fccher\u3002example./"),
    ("http://\u4f8b\u3048.example/\u4e00", "http://xn--r8jz45g.example/%E4%B8%80", "http://\u4f8b\u3048\uff0eexample/%e4%b8%80"),
    ("http://a.example/b/c", "http://a.example/x/../b/./c", "http://a.example/x/%2e%2E/b/%2e/c", "http://a.example/../b/c", "http:\\\\a.example\\b\\c", "http://a.exam\nple/b/c", "http://a.example/b/c#section"),
    ("http://a.example/wiki/AC%2FDC", "http://a.example/wiki/AC%2fDC", "https://www.a.example/wiki/AC%2fDC/"),
    ("http://a.example/Foo_(bar)", "http://a.example/Foo_%28bar%29"),
    ("http://a.example/AT&T", "http://a.example/AT%26T"),
    ("http://a.example/?via=c&via=d&b=1", "http://a.example/?b=1&via=c&via=d", "http://a.example/?via=c&b=1&via=d"),
    ("http://a.example/?q=1", *(f"http://a.example/?q=1&{name}=7" for name in sorted(TRACKING)), "http://a.example/?utm%5Fsource=x&q=1", "http://a.example/?UTM_x=1&q=1"),
    ("http://127.0.0.1/", "http://0x7f.1/", "http://127.1", "http://2130706433"),
    ("http://[2001:db8::1]/", "http://[2001:DB8:0:0::1]:80/"),
    ("http://a.example/#!/r\u00edo", "http://a.example/#!/r%C3%ADo", "https://www.a.example/#!/r%c3%ado"),
    ("http://a.example/", "http://a.example/#!", "http://a.example/#/", "http://a.example/#"),
]  # fmt: skip
K22_OTHERS = [
    "http://a.example/#!/river", "http://a.example/#!/hill", "http://a.example/#!river", "http://a.example/#/river", "http://a.example/x#!/river",
    "http://a.example/wiki/AC/DC", "http://a.example/wiki/AC%5CDC", "http://a.example/wiki/AC%252FDC",
    "http://a.example/?via=d&via=c&b=1", "http://a.example/?via=c&b=1", "http://a.example/?q=a%26b=c", "http://a.example/?q=a&b=c", "http://a.example/?q=a%3Db", "http://a.example/?q%3Da=b",
    "http://a.example/?q=1%2B1", "http://a.example/?q=1+1", "http://a.example/?gclidx=1", "http://a.example/?xgclid=1", "http://a.example/?ref=1", "http://a.example/?refsrc=1", "http://a.example/?pk_id=1", "http://a.example/?utmost=1",
    "http://stra\u00dfe.example/", "http://strasse.example/", "http://xn--.example/", "ftp://a.example/b/c", "http://a.example/b;c", "http://a.example/b%00c", "http://a.example/b%20c", "http://a.example/%E9", "http://a.example/%C3%A9",
    "http://a.example:8080/b/c", "http://a.example:443/b/c", "http://www2.a.example/b/c",
]  # fmt: skip


@pytest.mark.parametrize("urls", K22_SAME, ids=lambda urls: urls[0])
def test_one_page_has_one_normal_form(urls):
    assert {url: normal_url(url) for url in urls if normal_url(url) != normal_url(urls[0])} == {}


def test_different_pages_have_different_normal_forms():
    normal = [normal_url(url) for url in [*K22_OTHERS, *(urls[0] for urls in K22_SAME)]]
    assert sorted(url for url in set(normal) if normal.count(url) > 1) == []


SEGMENTS = st.lists(st.sampled_from(["", ".", "..", "a", "b.c", "..d"]), min_size=1, max_size=7).map("/".join)


@given(SEGMENTS)
def test_dot_segments_are_resolved_as_by_the_standard_library(path):
    expected = (
        urljoin("http://a.example/", f"http://a.example/{path}")
        if "//" in f"/{path}"
        else urljoin("http://a.example/", f"/{path}")
    )
    if "//" not in f"/{path}":  # urljoin drops empty segments, which the URL Standard keeps
        assert normal_url(f"http://a.example/{path}") == expected.removeprefix("http://").rstrip("/")


LABELS = st.text(st.characters(categories=["Ll", "Lo"], max_codepoint=0xFFFF), min_size=1, max_size=8)


@given(LABELS)
def test_hosts_are_encoded_as_by_the_idna_package(label):
    try:
        expected = idna.encode(label, uts46=True, transitional=False).decode()
    except idna.IDNAError:  # IDNA 2008 forbids more than the URL Standard
        return
    assert normal_url(f"http://{label}.example/") == f"{expected}.example"


@given(st.text(max_size=12).map(lambda rest: f"http://a.example/{rest}"))
def test_a_normal_form_is_its_own_normal_form(url):
    normal = normal_url(url)
    assert normal_url(f"http://{normal}") == normal


def test_no_url_has_no_key():
    assert [url_key(url) for url in ("", " ", None)] == [None] * 3


# --- pieces


@given(
    st.lists(
        st.sampled_from([*HOSTILE_BATTERY, " a", "\na", " \u0301", " \u0300b", "\ufb01 x", "\u0130 1", "  ", "Z"]), max_size=12
    ).map("".join),
    st.integers(1, 9),
)
def test_the_key_of_a_text_does_not_depend_on_its_pieces(text, size):
    assert "".join(pieces(text, size)) == text
    normal = normal_text(text).encode("utf-8", "surrogatepass")
    expected = blake2b(normal, digest_size=16).digest() if normal else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normal_form, "PIECE", size)
        assert text_key(text) == expected


def test_pieces_are_short_where_there_is_white_space():
    text = "one two\n" * 1000
    assert max(map(len, pieces(text, 100))) <= 110
    assert unicodedata.is_normalized("NFC", "".join(pieces(text, 100)))
