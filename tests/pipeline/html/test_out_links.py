"""Links of pages: against the standard library's parser and URL rules, and odd pages."""

from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.pipeline.html.out_links import out_links, resolved

URL = "https://a.example/x/page.html"


class Anchors(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        href = dict(attrs).get("href")
        if tag in ("a", "area") and href:
            self.found.append(href)


WORD = st.sampled_from(["one", "b/c", "../up", "/root", "?q=1", "//other.example/z", "http://far.example/", "d#part", "e.html"])


@given(st.lists(WORD, max_size=8))
def test_links_are_those_of_the_standard_library(links):
    html = "<html><body>" + "".join(f"<p><a class=x href='{link}'>text</a>" for link in links)
    parser = Anchors()
    parser.feed(html)
    wanted = list(dict.fromkeys(urldefrag(urljoin(URL, link))[0] for link in parser.found))
    assert out_links(html, URL) == wanted
    assert out_links(html.encode(), URL) == wanted


@pytest.mark.parametrize(
    ("html", "wanted"),
    [
        ("", []),
        ("<p>no link", []),
        ("<a>x</a><a href>y</a><a href=''>z</a>", []),
        ("<a href='mailto:me'>a</a><a href='javascript:x()'>b</a><a href='ftp://a/'>c</a>", []),
        ("<a href='http://[broken'>a</a><a href='b'>b</a>", ["https://a.example/x/b"]),
        ("<!-- <a href=no> --><script>'<a href=no>'</script><a href=yes>", ["https://a.example/x/yes"]),
        ("<base href='https://b.example/y/'><a href=c>", ["https://b.example/y/c"]),
        ("<base target=x><base href='/z/'><a href=c>", ["https://a.example/z/c"]),
        ("<base href='javascript:x'><a href=c>", ["https://a.example/x/c"]),
        ("<a href='  b\n'>", ["https://a.example/x/b"]),
        ("<A HREF=HTTPS://EXAMPLE.com/A>", ["https://example.com/A"]),
        ("<a href='ä?ö'>", ["https://a.example/x/%C3%A4?%C3%B6"]),
        ("<map><area href=c></map><noscript><a href=d></noscript>", ["https://a.example/x/c", "https://a.example/x/d"]),
        ("<a href='#top'>", ["https://a.example/x/page.html"]),
    ],
)
def test_odd_pages(html, wanted):
    assert out_links(html, URL) == wanted


@pytest.mark.parametrize("url", ["", "nonsense", "file:///a.html", "dns:a.example"])
def test_a_page_without_a_url_of_its_own_has_absolute_links_alone(url):
    assert resolved(["b", "https://c.example"], url) == ["https://c.example/"]


def test_bytes_that_are_not_utf8():
    assert out_links(b"<a href='\xff'><a href=b>", URL)[-1] == "https://a.example/x/b"
