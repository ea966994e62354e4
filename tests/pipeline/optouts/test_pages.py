"""What hand-made pages say of themselves, in every form, and what is none of it."""

from typing import Any

import pytest

from goldwash.pipeline.optouts.licences import licence_of
from goldwash.pipeline.optouts.pages import FLAGS, PageOptOuts, date_of, of_page, signals_of

URL, DATE = "https://site.example/a/page.html", "2026-11-29T12:00:00Z"


def said(html: str = "", **headers: str) -> PageOptOuts:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return of_page(named, html.encode(), URL, DATE)


def flags(page: PageOptOuts) -> set[str]:
    return {name for name in FLAGS if getattr(page, name)}


def head(tags: str, body: str = "") -> str:
    return f"<!doctype html><html><head><title>t</title>{tags}</head><body>{body}</body></html>"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("noai", {"noai"}),
        ("NOAI, NoImageAI", {"noai"}),
        ("noml", {"noai"}),
        ("noindex", {"noindex"}),
        ("none", {"noindex"}),
        ("noarchive, nofollow", {"noarchive"}),
        ("nocache", {"noarchive"}),
        ("noindex;noarchive", {"noindex", "noarchive"}),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST", {"unavailable"}),
        ("unavailable_after: Wednesday, 25-Jun-10 15:00:00 GMT, noindex", {"unavailable", "noindex"}),
        ("unavailable_after: 2099-01-01", set()),
        ("GPTBot: noindex", {"noindex"}),
        ("ccbot: noai, noarchive", {"noai", "noarchive"}),
        ("googlebot: noindex, noarchive", set()),
        ("googlebot: noindex\nnoai", {"noai"}),
        ("googlebot: unavailable_after: 2010-01-01", set()),
        ("index, follow, max-snippet:-1, max-image-preview:large", set()),
        ("all", set()),
        ("noimageai, nosnippet, notranslate", set()),
        ("noaix, indexnoindex", set()),
        ("", set()),
    ],
)
def test_headers_and_meta_tags_say_the_same(header: str, expected: set[str]) -> None:
    assert flags(said(x_robots_tag=header)) == expected
    assert flags(said(head("".join(f'<meta name="robots" content="{line}">' for line in header.split("\n"))))) == expected


@pytest.mark.parametrize(
    "tag",
    [
        "<meta name=robots content=noai>",
        "<META NAME='Robots' CONTENT='NoAI'/>",
        '<meta content="noai" name="robots">',
        '<meta\n name = "robots"\n content = "index,\n noai"\n>',
        '<meta property="robots" content="noai">',
        '<meta http-equiv="X-Robots-Tag" content="noai">',
        '<meta name="CCBot" content="noai">',
        '<meta name="description" content="a > b"><meta name="robots" content="&#110;oai">',
    ],
)
def test_forms_of_a_meta_tag(tag: str) -> None:
    assert flags(said(head(tag))) == {"noai"}


@pytest.mark.parametrize(
    "html",
    [
        head('<!-- <meta name="robots" content="noai"> -->'),
        head('<script>var x = \'<meta name="robots" content="noai">\'</script>'),
        head('<meta name="description" content=\'<meta name="robots" content="noai">\'>'),
        head('<meta name="googlebot" content="noai">'),
        head('<meta name="robots-x" content="noai">'),
        head("", '<meta name="robots" content="noai">'),
        "a text about robots and noai",
        "",
    ],
)
def test_what_is_no_tag_says_nothing(html: str) -> None:
    assert flags(said(html)) == set()


@pytest.mark.parametrize(
    "tag", ['<meta name="robots">', '<meta name="robots" content="">', '<meta name="robots" content="!?">']
)
def test_malformed_robots_tags_are_counted(tag: str) -> None:
    page = said(head(tag))
    assert flags(page) == set()
    assert page.malformed == ["robots"]


def test_directives_are_recorded_with_their_robot() -> None:
    page = said(x_robots_tag="noindex, googlebot: nofollow, max-snippet: 5\nGPTBot: noarchive")
    assert page.robots_directives == "googlebot:max-snippet:5, googlebot:nofollow, gptbot:noarchive, noindex"


@pytest.mark.parametrize(
    ("header", "meta", "reserved", "malformed"),
    [
        ("1", None, 1, []), ("0", None, 0, []), (None, "1", 1, []), ("0", "1", 1, []), ("yes", None, 0, ["tdm_reservation"]),
        (None, None, 0, []), (" 1 ", None, 1, []),
    ],
)  # fmt: skip
def test_tdm_reservation(header: str | None, meta: str | None, reserved: int, malformed: list[str]) -> None:
    html = head(f'<meta name="tdm-reservation" content="{meta}">' if meta else "")
    page = said(html, **({"tdm_reservation": header} if header else {}))
    assert (page.tdm_reservation, page.malformed) == (reserved, malformed)


def test_tdm_policy_is_an_address() -> None:
    assert (
        said(head('<meta name="tdm-policy" content="/policies/tdm.json">')).tdm_policy
        == "https://site.example/policies/tdm.json"
    )
    assert said(tdm_policy="https://provider.com/p.json").tdm_policy == "https://provider.com/p.json"


def test_content_signals() -> None:
    page = said(content_signal="search=yes, ai-input=no, AI-Train = no")
    assert (page.content_signal, page.ai_train_denied) == ("ai-input=no, ai-train=no, search=yes", 1)
    assert said(content_signal="ai-train=yes").ai_train_denied == 0
    assert said(content_signal="nothing").malformed == ["content_signal"]
    assert signals_of("ai-train=yes, ai-train=no") == {"ai-train": "no"}


CC = "https://creativecommons.org/licenses/by-sa/4.0/"


@pytest.mark.parametrize(
    ("html", "headers", "licence"),
    [
        (head(f'<link rel="license" href="{CC}">'), {}, "CC-BY-SA-4.0"),
        (head("", f'<footer><a rel="license" href="{CC}">CC</a></footer>'), {}, "CC-BY-SA-4.0"),
        (head("", f"<a class=x href='{CC}' rel='license noopener'>CC</a>"), {}, "CC-BY-SA-4.0"),
        (head("", '<a href="http://creativecommons.org/licenses/by-nc-nd/3.0/us/deed.en">CC</a>'), {}, "CC-BY-NC-ND-3.0-US"),
        (head("", "<a href=//creativecommons.org/publicdomain/zero/1.0/>CC0</a>"), {}, "CC0-1.0"),
        (head("", '<a href="https://creativecommons.org/publicdomain/mark/1.0/">PD</a>'), {}, "CC-PDM-1.0"),
        (head('<link rel="license" href="/terms">'), {}, "https://site.example/terms"),
        ("", {"link": f'<https://a.org/x>; rel=next, <{CC}>; rel="license"; title="a"'}, "CC-BY-SA-4.0"),
        # to nowhere
        (head('<link rel="license" href="">'), {}, ""),
        (head("", '<a rel="license" href="#">l</a>'), {}, ""),
        (head("", '<a rel="license" href="javascript:void(0)">l</a>'), {}, ""),
        (head("", '<a rel="license" href="http://[">l</a>'), {}, ""),
        (head("", '<a rel="license">l</a>'), {}, ""),
        # no marks of this page
        (head("", f'<!-- <a rel="license" href="{CC}">CC</a> -->'), {}, ""),
        (head("", f'<script>\'<a rel="license" href="{CC}">\'</script>'), {}, ""),
        (head("", '<a href="https://creativecommons.org/">CC</a> on licenses'), {}, ""),
        (head("", f'<a href="{CC}">one</a><a href="https://creativecommons.org/licenses/by/4.0/">two</a> licenses'), {}, ""),
        (head("", f"<p>{CC} is a license"), {}, ""),
    ],
)
def test_licences(html: str, headers: dict[str, Any], licence: str) -> None:
    assert said(html, **headers).licence == licence


def test_a_licence_to_nowhere_is_counted() -> None:
    assert said(head("", '<a rel="license" href="#">l</a>')).malformed == ["licence"]
    assert licence_of("mailto:a@b.com", URL) == ""


@pytest.mark.parametrize("text", ["", "soon", "99 Foo 2020", "2020-13-45", "0001-01-01T00:00:00+23:59", "\0"])
def test_what_is_no_date(text: str) -> None:
    assert date_of(text) is None or text.startswith("0001")


def test_a_page_that_says_nothing_has_the_defaults() -> None:
    assert said(head("", "<p>text")) == PageOptOuts()
