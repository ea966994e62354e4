"""Hosts and phrases of URLs, by hand."""

from pathlib import Path

import pytest

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
    ("http:///path", ""),
    ("http:/example.com", ""),
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
