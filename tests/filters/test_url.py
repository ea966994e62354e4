"""Hosts and phrases of URLs, by hand."""

from pathlib import Path

import ada_url
import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldwash.filters.texts import Texts
from goldwash.filters.url import url_host_count, url_hosts, url_substring_count, url_word_count

HOSTS = [
    ("http://example.com", "example.com"),
    ("https://example.com/a?b#c", "example.com"),
    ("http://example.com:8080/", "example.com"),
    ("http://example.com:/", "example.com"),
    ("http://user:pa@ss@example.com:80/@x", "example.com"),
    ("http://Example.COM./", "Example.COM"),
    ("http://example.com?x=//other.com", "example.com"),
    ("http://example.com#//other.com", "example.com"),
    ("//example.com/a", "example.com"),
    ("http:// example.com /", "example.com"),
    ("http://bücher.de/x", "xn--bcher-kva.de"),
    ("http://BÜCHER.de:80/x", "xn--bcher-kva.de"),
    ("http://[2001:db8::1]:8080/", "[2001:db8::1]"),
    ("http://[::1]/", "[::1]"),
    ("http://[", "["),
    ("http://", ""),
    ("http:///path", "path"),
    ("http:/example.com", "example.com"),
    ("http:\\\\gold.example\\a", "gold.example"),
    ("http://gold.example\\a", "gold.example"),
    ("http://other.example\\@gold.example/a", "other.example"),
    ("http://gold.example/\\@other.example", "gold.example"),
    ("http://g%6Fld.example/", "gold.example"),
    ("http://straße.example/a", "xn--strae-oqa.example"),
    ("http://faß.ΒΌΛΟΣ.example/", "xn--fa-hia.xn--nxasmq6b.example"),
    ("http://[2001:0DB8:0:0::1]/", "[2001:db8::1]"),
    ("http://me@[2001:db8::1]:80/", "[2001:db8::1]"),
    ("http://0x7f.1/", "127.0.0.1"),
    ("http://2130706433/", "127.0.0.1"),
    (" http://example.com/ ", "example.com"),
    ("ht\ntp://exa\tmple.com/", "example.com"),
    ("http://exa\tmple.com/", "example.com"),
    ("http://a b.com/", "a b.com"),
    ("http://example.com:x/", "example.com:x"),
    ("example.com/x", ""),
    ("mailto:a@example.com", ""),
    ("", ""),
    ("/", ""),
    ("http://.", ""),
    ("http://:80", ""),
]


@pytest.mark.parametrize(("url", "host"), HOSTS)
def test_host(url: str, host: str) -> None:
    assert list(url_hosts(Texts.of([url]))) == [host]


LABELS = st.text(st.sampled_from("aZ09-_éßς中%.:@[]\\\\/?#\t www"), max_size=8)
URLS = st.builds(
    "".join, st.lists(st.one_of(st.sampled_from(["http", "//", "://", "https:", "ftp://", "www.", ".com", "xn--"]), LABELS))
)


@given(urls=st.lists(URLS, max_size=5))
@example(urls=[url for url, _ in HOSTS])
@example(urls=["http://1.2.3", "http://a.1b/", "http://a./", "http://A.B..", "//:@a", "http://a\x7f.com", "wss:\\\\a.b"])
def test_hosts_are_those_of_the_standard(urls: list[str]) -> None:
    """The kernel's host is the parser's, for every URL that the parser accepts."""
    for url, host in zip(urls, url_hosts(Texts.of(urls)), strict=True):
        try:
            expected = ada_url.URL(f"http:{url}" if url.startswith("//") else url).hostname
        except ValueError:
            continue
        assert host.lower() == expected.lower().strip(". "), url


@pytest.mark.parametrize("label", ["ß", "ς", "ü", "Ü", "中文", "ﬁ", "Å", "½", "عربي", "☕", "e\u0301", "א"])
def test_international_labels_agree_with_the_idna_package(label: str) -> None:
    """The package's UTS 46 mapping and Python's punycode, without IDNA 2008's checks, which the URL Standard omits."""
    mapped = idna.uts46_remap(label, std3_rules=False, transitional=False)
    expected = mapped if mapped.isascii() else f"xn--{mapped.encode('punycode').decode()}"
    assert list(url_hosts(Texts.of([f"http://{label}.example/"]))) == [f"{expected}.example"]


def test_hosts_of_a_batch_that_was_taken() -> None:
    urls = Texts.of([url for url, _ in HOSTS])
    assert list(url_hosts(urls)) == [host for _, host in HOSTS]


@pytest.mark.parametrize("url", ["example.com/a//other.com/b", "mailto:a?x=//other.com", "data:text/html,//other.com"])
def test_two_slashes_in_a_path_begin_no_host(url: str) -> None:
    assert list(url_hosts(Texts.of([url]))) == [""]


LISTED = "example.com\nsub.other.org\nbücher.de\n10.0.0.1\n"


@pytest.fixture
def listed(tmp_path: Path) -> str:
    file = tmp_path / "hosts"
    file.write_text(LISTED)
    return str(file)


@pytest.mark.parametrize(
    ("url", "under", "exact"),
    [
        ("http://example.com/", 1, 1),
        ("http://EXAMPLE.com/", 1, 1),
        ("http://www.example.com/", 1, 0),  # the reference's fault: "www" goes and the dot stays
        ("http://wwwexample.com/", 0, 1),
        ("http://a.b.example.com/", 1, 0),
        ("http://notexample.com/", 0, 0),
        ("http://example.com.evil.net/", 0, 0),
        ("http://example.com:80/", 1, 0),
        ("http://me@example.com/", 1, 0),
        ("http://example.com@evil.net/", 0, 0),
        ("http://other.org/", 0, 0),
        ("http://sub.other.org/", 1, 1),
        ("http://www.bücher.de/", 1, 0),
        ("http://xn--bcher-kva.de/", 1, 1),
        ("http://10.0.0.1/", 1, 1),
        ("http://110.0.0.1/", 0, 0),
        ("http://com/", 0, 0),
        ("http://[/", 0, 0),
        ("", 0, 0),
    ],
)
def test_listed_hosts(url: str, under: int, exact: int, listed: str) -> None:
    urls = Texts.of([url])
    counts = [url_host_count.bind(hosts=listed, exact=e)(urls)[0] for e in (False, True)]
    assert counts == [under, exact]


@pytest.mark.parametrize(
    ("entry", "met", "missed"),
    [
        ("straße.example", "http://xn--strae-oqa.example/a", "http://strasse.example/a"),
        ("[2001:db8::1]", "http://[2001:db8:0::1]:80/a", "http://[2001:db8::2]/a"),
        ("2001:db8::1", "https://u@[2001:DB8::1]/", "http://[2001:db8::11]/a"),
        ("gold.example", "http://gold.example\\a", "http://other.example\\@gold.example/a"),
        ("gold.example", "http://a.g%6fld.example/", "http://gold.example.net/"),
        ("10.0.0.1", "http://0xa.1/", "http://110.0.0.1/"),
        ("bücher.de", "http://www.BÜCHER.de./", "http://bucher.de/"),
    ],
)
def test_lists_and_urls_have_one_form(entry: str, met: str, missed: str, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(f"{entry}\n", "utf-8")
    for hosts in (str(tmp_path / "hosts"), (entry,)):
        assert url_host_count.bind(hosts=hosts)(Texts.of([met, missed])).tolist() == [1, 0]


def test_an_entry_and_one_above_it_both_count(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("example.com\na.example.com\n")
    assert url_host_count.bind(hosts=str(file))(Texts.of(["http://b.a.example.com"])).tolist() == [2]


def test_an_empty_list(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("# nothing yet\n")
    assert url_host_count.bind(hosts=str(file))(Texts.of(["http://a.com", ""])).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("http://x.com/ass", 1),
        ("http://x.com/ass/ass", 1),  # distinct ones are counted
        ("http://x.com/ass-hardcore", 2),
        ("http://x.com/ASS", 1),
        ("http://x.com/_ass", 0),  # an underscore is part of a word
        ("http://x.com/ass_photos", 0),
        ("http://x.com/glass", 0),
        ("http://x.com/assess", 0),
        ("ass", 1),
        ("http://x.com/éass", 0),
        ("http://x.com/%ass.", 1),
        ("", 0),
    ],
)
def test_words_between_boundaries(url: str, count: int) -> None:
    assert url_word_count.bind(phrases=("ass", "hardcore"))(Texts.of([url])).tolist() == [count]


@pytest.mark.parametrize(
    ("url", "ignoring", "count"),
    [
        ("http://big-black.com", "", 0),
        ("http://big-black.com", "-.", 1),
        ("http://bigblack.com/xxx", "", 2),
        ("http://bigblackxxxsite.com", "", 2),
        ("http://b.i.g.b-lack.com", "-.", 1),
        ("BIGBLACK", "", 1),
        ("bigblackbigblack", "", 1),
        ("", "-.", 0),
    ],
)
def test_substrings(url: str, ignoring: str, count: int) -> None:
    assert url_substring_count.bind(phrases=["bigblack", "xxx"], ignoring=ignoring)(Texts.of([url])).tolist() == [count]


def test_phrases_of_a_file_are_those_of_a_tuple(tmp_path: Path) -> None:
    file = tmp_path / "phrases"
    file.write_text("Two Words\nx # comment\n")
    urls = Texts.of(["two words", "x y", "two  words x"])
    assert url_word_count.bind(phrases=str(file))(urls).tolist() == [1, 1, 1]
    assert url_word_count.bind(phrases=("two words", "x"))(urls).tolist() == [1, 1, 1]


def test_a_phrase_that_begins_with_a_sign() -> None:
    # \b before a sign needs a word character before it, as in re
    assert url_word_count.bind(phrases=["+18"])(Texts.of(["a+18", "/+18", "a+180"])).tolist() == [1, 0, 0]


LETTERS = st.sampled_from("abé")


@given(
    st.lists(st.text(LETTERS, max_size=9), max_size=5),
    st.lists(st.text(LETTERS, min_size=1, max_size=4), min_size=1, max_size=5, unique=True),
)
def test_phrases_of_one_and_of_two_bytes_are_found_whatever_follows(urls: list[str], phrases: list[str]) -> None:
    found = url_substring_count.bind(phrases=tuple(phrases))(Texts.of(urls))
    assert found.tolist() == [sum(phrase in url for phrase in phrases) for url in urls]
