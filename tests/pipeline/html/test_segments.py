"""Blocks of pages, their features, the forest and the text, each against plain Python (tests/reference.py)."""

import dataclasses
import json
import os
import random
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from goldwash.pipeline.html import main_content as content
from goldwash.pipeline.html.extractors import EXTRACTORS
from goldwash.pipeline.html.segments import (
    A_CELL,
    A_LINE,
    A_PARAGRAPH,
    BEFORE,
    CALLED,
    DEPTH,
    ELEMENT,
    END,
    INSIDE,
    KEYWORDS,
    LEVEL,
    LINKED,
    MOST_BLOCKS,
    NAMES,
    SEEN,
    START,
    TAG,
    WITHIN,
    WORD_TABLE,
    blocks_of,
    packed,
    words_in,
    words_of,
)
from tests import reference


def texts(page: str) -> list[str]:
    """The blocks' texts."""
    text, blocks, _ = blocks_of(page.encode())
    return [text[row[START] : row[END]].tobytes().decode() for row in blocks]


def all_of(page: str, markdown: bool = False, links: bool = False) -> str:
    """The text of all blocks."""
    read = content.Page.of(page.encode(), links)
    return read.shown(np.ones(len(read.blocks), np.bool_), markdown)


def measured(page: bytes) -> tuple[Any, Any, Any]:
    """A page's text, blocks and features."""
    read = content.Page.of(page)
    return read.text, read.blocks, read.measures()


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("", []),
        ("gold", ["gold"]),
        ("  gold \n in\tthe&nbsp; pan\u00a0 ", ["gold in the pan"]),
        ("<p>gold<p>pan", ["gold", "pan"]),
        ("<b>go</b>ld <i>pan</i>", ["gold pan"]),
        ("<DIV CLASS=x>gold</DIV>pan", ["gold", "pan"]),
        ("gold<br>pan", ["gold\npan"]),
        ("gold <br/> pan", ["gold\npan"]),
        ("gold<br> <br>pan", ["gold", "pan"]),
        ("<pre>a  b\n  c </pre>d  e", ["a  b\n  c", "d e"]),
        ("<pre>\n\n  a\n\tb</pre>", ["  a\n\tb"]),
        ("<pre><span class=x>\t</span>a</pre>", ["\ta"]),
        ("<pre>&nbsp; a</pre>", ["  a"]),
        ("<pre><div>a</div><div> b</div><div>\n</div><div>c</div></pre>", ["a\n b\n\nc"]),
        ("<pre><ol><li>a<li>  b</ol></pre>", ["a\n  b"]),
        ("<pre>a<br>  b<br><br>c</pre>", ["a\n  b\n\nc"]),
        ("<pre><table><tr><td>1</td><td>a</td></tr><tr><td>2</td><td>  b</td></tr></table></pre>", ["a\n  b"]),
        ("<pre><table><tr><td>a</td><td>b</td></tr></table></pre>", ["a\tb"]),
        ("<pre><div>1</div><div>2</div></pre>", ["1\n2"]),
        ("<pre>a<h1>b</h1>  c</pre>d", ["a", "b", "  c", "d"]),
        ("<pre>a</pre><pre>b", ["a", "b"]),
        ("a <span class=icon aria-hidden=true>x<span>y</span></span>b", ["a b"]),
        ("a <span aria-hidden=false>x</span>b", ["a xb"]),
        ("a <span aria-hidden=true>" + "x" * 300 + "</span>b", ["a " + "x" * 300 + "b"]),
        ("<h2>gold<a href=#gold>\u00b6</a></h2><h2>pan <a href=#pan>#</a></h2>", ["gold", "pan"]),
        ("<h2>gold<a href=#gold>&para;</a></h2>a <a href=/x>#</a>", ["gold", "a #"]),
        ("<title>t</title><script>if (a<b) '</p>'</script ><style>p{}</style>gold<svg><title>x</title></svg>", ["gold"]),
        ("gold<script>pan", ["gold"]),
        ("gold<select>pan<p>river", ["goldpan", "river"]),
        ("gold<svg/>pan", ["goldpan"]),
        ("<noscript>gold</noscript><textarea>pan</textarea>", ["gold"]),
        ("gold<!-- <p>pan --> river", ["gold river"]),
        ("gold<!-->pan<!--->river", ["goldpanriver"]),
        ("gold<!-- pan", ["gold"]),
        ("gold<!doctype html><?xml p?></>pan", ["goldpan"]),
        ("a < b <3 <", ["a < b <3 <"]),
        ("gold<p title='a>b' x=\"<p>\" y=a/b>pan", ["gold", "pan"]),
        ("gold<a title='x>y'>pan</a>", ["goldpan"]),
        ("gold<p", ["gold"]),
        ("<my-element>gold</my-element>pan<p-x>river", ["goldpanriver"]),
        ("&amp;&lt;p&gt; AT&T", ["&amp;&lt;p&gt; AT&T"]),
        ("<ul><li>a<li>b</ul>", ["a", "b"]),
        ("\u00abgold\u00bb \u00a9", ["\u00abgold\u00bb \u00a9"]),
        ("gold\0pan", ["gold pan"]),
        ("金鍋。川", ["金鍋。川"]),
    ],
)
def test_blocks(page: str, expected: list[str]) -> None:
    assert texts(page) == expected


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<p>a<div>b", ["p", "div"]),
        ("<p>a<p>b</p>c", ["p", "p", "html"]),
        ("<ul><li>a<li>b<ul><li>c</ul>d</ul>e", ["li", "li", "li", "li", "html"]),
        ("<dl><dt>a<dd>b<dt>c</dl>", ["dt", "dd", "dt"]),
        ("<table><tr><td>a<td>b<tr><th>c</table>d", ["td", "td", "th", "html"]),
        ("<div><table><tr><td>a</div>b</table>c", ["td", "td", "div"]),  # nothing is closed across a cell
        ("<section><div><div>a</section>b", ["div", "html"]),
        ("<div>a</span></b></section>b", ["div", "div"]),
        ("<table><tr><td><table><tr><td>a</table>b<td>c</table>", ["td", "td", "td"]),
        ("<div/>a", ["div"]),
        ("<p>a<button>b</button>c<noscript>d</noscript>", ["p", "button", "p"]),
        ("<ul><li><p>a<li><p>b<li><div>c<li>d</ul>", ["p", "p", "div", "li"]),
        ("<table><tr><td><p>a<td><div>b<tr><td><p>c<tbody><tr><td>d</table>e", ["p", "div", "p", "td", "html"]),
        ("<p>a<hr>b", ["p", "html"]),
        ("<h1>a</h2>b", ["h1", "h1"]),
    ],
)
def test_where_elements_end(page: str, expected: list[str]) -> None:
    _, blocks, elements = blocks_of(page.encode())
    assert [NAMES[elements[row[ELEMENT], TAG]] for row in blocks] == expected


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("a<p>b</p>c<div>d</div>e", [0, A_PARAGRAPH, A_PARAGRAPH, A_LINE, A_LINE]),
        ("<table><tr><td>a<td>b<tr><td>c</table>d", [0, A_CELL, A_LINE, A_PARAGRAPH]),
        ("a<br><br>b<div><p>c", [0, A_PARAGRAPH, A_PARAGRAPH]),
        ("<table><td>a<td><p>b", [0, A_PARAGRAPH]),
        ("a<hr>b", [0, A_PARAGRAPH]),
    ],
)
def test_gaps_between_blocks(page: str, expected: list[int]) -> None:
    _, blocks, _ = blocks_of(page.encode())
    assert blocks[:, BEFORE].tolist() == expected


@pytest.mark.parametrize(
    ("page", "levels"),
    [
        ("<ul><li><p>a<li><p>b<li>c</ul>", [3, 3, 2]),
        ("<table><tr><td><p>a<td><p>b<tr><td>c</table>", [4, 4, 3]),
        ("<table><thead><tr><th>a<tbody><tr><td>b</table>", [4, 4]),
        ("<table><tr><td><table><tr><td>a<tr><td>b</table><td>c</table>", [6, 6, 3]),
    ],
)
def test_depth_of_elements(page: str, levels: list[int]) -> None:
    _, blocks, elements = blocks_of(page.encode())
    assert [elements[row[ELEMENT], LEVEL] for row in blocks] == levels


@pytest.mark.parametrize(
    ("page", "linked"),
    [
        ("<a href=/x>gold</a> pan", [4]),
        ("<p><a name='x'/>gold</p>pan", [0, 0]),
        ("<a name=top>gold", [0]),
        ("<table><tr><td><a href=x>a<td>b</table>", [1, 0]),
        ("<a href=x><div>gold</div></a><div>pan</div>", [4, 0]),
        ("<a href=x>it&#8217;s</a>", [4]),
    ],
)
def test_characters_in_links(page: str, linked: list[int]) -> None:
    _, blocks, _ = blocks_of(page.encode())
    assert blocks[:, LINKED].tolist() == linked


def within(page: str) -> list[set[str]]:
    _, blocks, elements = blocks_of(page.encode())
    return [{name for n, name in enumerate(WITHIN) if elements[row[ELEMENT], INSIDE] >> n & 1} for row in blocks]


def test_kinds_of_elements_around_blocks() -> None:
    assert within("<nav><ul><li>a</ul></nav><main><p>b</p><blockquote>c") == [
        {"nav", "ul", "li"}, {"main", "p"}, {"main", "blockquote"},
    ]  # fmt: skip
    assert within("<div hidden>a</div><p style='color: red; Display : NONE'>b</p><p style='display:block'>c</p>d") == [
        {"hidden"}, {"p", "hidden"}, {"p"}, set(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("class=comment", {0}),
        ("class='a mainMenu b'", {12, 1}),
        ('id="post-footer_2"', {14, 2}),
        ("role=navigation", {1}),
        ("CLASS = 'Breadcrumbs'", {34}),
        ("itemprop=articleBody", {13, 15}),
        ("data-class=comment title=menu", set()),
        ("class", set()),
        ("class=", set()),
        ("class='comment", {0}),
        ("class=commentary", set()),
    ],
)
def test_keyword_groups_of_attributes(attribute: str, expected: set[int]) -> None:
    _, _, elements = blocks_of(f"<div {attribute}>a".encode())
    called = int(elements[-1, CALLED]) if len(elements) > 1 else 0
    assert {n for n in range(len(KEYWORDS)) if called >> n & 1} == expected


def test_each_keyword_is_in_one_group() -> None:
    words = [packed(word) for line in KEYWORDS for word in line.split()]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("count", [DEPTH - 2, DEPTH, 100_000])
def test_deeply_nested_pages_are_read_to_the_end(count: int) -> None:
    assert texts("<div>" * count + "<p>gold</p>" + "</div>" * count + "pan") == ["gold", "pan"]
    assert within("<div>" * count + "x" + "</div>" * count + "<nav>pan")[-1] == {"nav"}


def test_pages_with_too_many_blocks_lose_no_text() -> None:
    found = texts("<p>gold" * (MOST_BLOCKS + 9))
    assert len(found) == MOST_BLOCKS
    assert found[-1] == "\n".join(["gold"] * 10)


TEXT = st.text("aZ0.,!;&<>\u00a0 \n é金。，あア한？！．؟۔،।", min_size=0, max_size=12)
LEAF = st.tuples(st.just(""), TEXT)
TAG_NAMES = st.sampled_from(["div", "p", "section", "h1", "h2", "span", "b", "a", "ul", "li", "blockquote", "pre", "nav"])
TREE = st.recursive(LEAF, lambda inner: st.tuples(TAG_NAMES, st.lists(inner, max_size=4)), max_leaves=20)


@given(TREE)
@example(("pre", [("", " a\n\n b "), ("b", [("", " c")])]))
@example(("a", [("div", [("", "a")]), ("", "b")]))
def test_blocks_equal_those_of_a_plain_reader(tree: Any) -> None:
    """The text and all counts, on well-formed pages, by html.parser."""
    page = reference.html_of(tree)
    text, blocks, _ = blocks_of(page.encode())
    found = [(text[row[START] : row[END]].tobytes().decode(), *row[4:11].tolist()) for row in blocks]
    assert found == reference.blocks(page)


@given(st.binary(max_size=400))
@example(b"<")
@example(b"</")
@example(b"<a")
@example(b"<!--")
@example(b"&nbsp")
@example(b"\xc2")
@example(b"<p class")
@example(b"<p class=")
def test_any_bytes_can_be_read(page: bytes) -> None:
    text, blocks, measures = measured(page)
    assert blocks.shape[1] == 14
    assert measures.shape == (len(content.MEASURES), len(blocks))
    assert (blocks[:, START] < blocks[:, END]).all()
    assert len(text) <= len(page) + 1
    assert np.isfinite(measures).all()


FRAGMENTS = (
    *(
        "<p>",
        "<li>",
        "<td",
        "<tr>",
        "<table>",
        "</table>",
        "</p>",
        "<a href=x>",
        "</a>",
        "<ul>",
        "<pre>",
        "<br>",
        "<div class=nav",
    ),
    *(
        ">",
        "<!--",
        "-->",
        "</",
        "<",
        "&",
        "&nbsp",
        "&#160;",
        "&#",
        "&#x",
        "&amp;",
        '"',
        "'",
        "=",
        " ",
        "\n",
        "gold",
        "\u00a0",
        "\u200b",
    ),
    *(
        "\u3002",
        "\u91d1",
        "<script>",
        "</script>",
        "<svg/>",
        "<noscript>",
        "<h1>",
        "</h1>",
        "style=display:none",
        "hidden",
        "<hr/>",
    ),
    *("\xc2", "\xe3"),
    *(
        "<math>",
        "</math>",
        "<mfrac>",
        "<msup>",
        "</mi>",
        "<mi>",
        "<annotation encoding=x-tex>",
        "</annotation>",
        "<math alttext=x>",
    ),
    *("<img class=tex alt='$x|y$'>", "<script type=math/tex>", "<span class=MathJax>", "</span>", "<span class=katex-html>"),
    *("<span aria-hidden=true>", "<div>", "</div>", "</pre>", "<pre class='language-py'>", "<ol start=7>", "<li value=9>", "|"),
    *(
        "<td colspan=3>",
        "<td rowspan=2>",
        "<th>",
        "<dl>",
        "<dt>",
        "<dd>",
        "<blockquote>",
        "</ul>",
        "<div class=comment>",
        "`",
        "<code>",
    ),
)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=60))
def test_any_tags_are_read_within_bounds(fragments: list[str]) -> None:
    """Any sequence of fragments; the test below repeats it in plain Python and with numba's bounds checks."""
    page = "".join(fragments).encode()
    text, blocks, measures = measured(page)
    assert (blocks[:, START] < blocks[:, END]).all()
    assert (blocks[1:, START] >= blocks[:-1, END]).all()
    assert np.isfinite(measures).all()
    assert not any(row[START] < row[END] and text[row[END] - 1] == 32 for row in blocks)
    for markdown in (False, True):
        all_of("".join(fragments), markdown, links=markdown).encode()


def drawn(count: int) -> list[Any]:
    """The text and blocks of random pages made of fragments, some truncated."""
    draw, found = random.Random(1), []
    for _ in range(count):
        page = "".join(draw.choices(FRAGMENTS, k=draw.randrange(60))).encode()
        page = page[: draw.randrange(len(page) + 1)].decode("utf-8", "ignore").encode()
        read = content.Page.of(page, links=True)
        every = np.ones(len(read.blocks), np.bool_)
        found.append([content.content(page), read.shown(every), read.shown(every, markdown=True), read.blocks.tolist()])
    return found


@pytest.mark.parametrize(("setting", "count"), [("NUMBA_DISABLE_JIT", 200), ("NUMBA_BOUNDSCHECK", 3000)])
def test_kernels_agree_with_plain_python_and_stay_within_bounds(setting: str, count: int, tmp_path: Path) -> None:
    program = f"import json; from tests.pipeline.html.test_segments import drawn; print(json.dumps(drawn({count})))"
    environment = {**os.environ, setting: "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr.decode()[-3000:]
    assert json.loads(told.stdout) == drawn(count)


VALUES = st.sampled_from(["", "nav", "nav-bar", "navigation", " " * 8, "b" * 62, "mainMenu", "x"]) | st.sampled_from(
    [first + middle + last for first in ("sidebars", "comments", "postmeta") for last in ("sidebars", "footers!")
     for middle in ("", " nav ", " ads ", " the river bent here and nav ", " the river bent here and ads ")]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(VALUES, max_size=12))
def test_words_of_a_value_are_the_same_when_it_is_remembered(values: list[str]) -> None:
    """Also where values of one length differ only between their first and last eight bytes: they share a place."""
    html = np.frombuffer("".join(values).encode() or b" ", np.uint8)
    seen, at = np.zeros((SEEN, 3), np.int64), 0
    for value in values:
        end = at + len(value)
        assert words_of(html, at, end, *WORD_TABLE, seen) == words_in(html, at, end, *WORD_TABLE), value
        at = end


@given(st.text(max_size=200))
@example("\ud800<p>gold")
@example("<p>&#xD800;&#0;&notit;")
def test_any_characters_become_text(page: str) -> None:
    content.content(page).encode()


# --- features, forest, text

PAGES = [
    "",
    "gold",
    "<nav class=menu><a href=/>Home</a> <a>About</a></nav><h1>Gold</h1><div id=content>"
    + "<p>The river bent here, and so the gold lay in the bend of it, where the water slowed.</p>" * 3
    + "</div><footer>Copyright</footer>",
    "<table><tr><td>1<td>2<tr><td><a>3</a></table><ul class=list><li>x. y!<li>z</ul>",
    "<div class='comment user'><p>a</p></div>" * 7 + "<h2>b</h2>c",
]


@pytest.mark.parametrize("page", PAGES)
def test_features_equal_plain_python(page: str) -> None:
    _, blocks, elements = blocks_of(page.encode())
    assert_measures(blocks, elements, measured(page.encode())[2])


@given(TREE)
def test_features_of_any_tree_equal_plain_python(tree: Any) -> None:
    page = reference.html_of(tree).encode()
    _, blocks, elements = blocks_of(page)
    assert_measures(blocks, elements, measured(page)[2])


def assert_measures(blocks: Any, elements: Any, measures: Any) -> None:
    expected = reference.measures(blocks.tolist(), elements.tolist())
    assert measures.shape[1] == len(expected)
    for found, row in zip(measures.T, expected, strict=True):
        assert len(row) == len(content.MEASURES)
        for name, a, b in zip(content.MEASURES, found.tolist(), row, strict=True):
            assert a == pytest.approx(b, rel=1e-5), name


@pytest.mark.real
def test_features_of_real_pages_equal_plain_python(real: Path) -> None:
    for page in reference_pages(real)[:12]:
        _, blocks, elements = blocks_of(page.encode())
        assert_measures(blocks, elements, measured(page.encode())[2])


def reference_pages(real: Path) -> list[str]:
    from tests.extraction import known_pages

    pages = [known.html for known in known_pages(real)]
    random.Random(1).shuffle(pages)
    return pages


@pytest.mark.real
def test_blocks_contain_the_text_that_turbohtml_finds(real: Path) -> None:
    """The words of all blocks against all visible text by turbohtml, whose parser builds a tree."""
    from tests.extraction import words

    shares = []
    for page in reference_pages(real)[:200]:
        theirs, ours = words(EXTRACTORS["turbohtml_all"](page)), words(all_of(page))
        if theirs.total() > 20:
            shares.append((theirs & ours).total() / theirs.total())
    assert np.median(shares) > 0.99
    assert np.mean(shares) > 0.95


def test_the_forest_equals_the_sum_of_its_trees() -> None:
    told = json.loads(content.MODEL.read_text("utf-8"))
    measures = np.random.default_rng(1).choice([0, 0.2, 1, 3, 30, 31, 200], (len(content.MEASURES), 500)).astype(np.float32)
    _, forest = content.model()
    assert content.odds(measures, *forest) == pytest.approx([reference.odds(told, column) for column in measures.T.tolist()])
    assert len(content.odds(measures[:, :0], *forest)) == 0


def test_a_written_forest_predicts_like_the_fitted_one() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    from tests.content import written

    draw = np.random.default_rng(1)
    measures = draw.integers(0, 40, (3000, len(content.MEASURES))).astype(np.float32)
    right = (measures[:, 0] + measures[:, 5] * (measures[:, 9] > 20) + draw.normal(0, 9, 3000)) > 30
    fitted = ensemble.HistGradientBoostingClassifier(max_iter=9, max_leaf_nodes=12, early_stopping=False).fit(measures, right)
    told = written(fitted)
    assert content.odds(measures.T.copy(), *content.forest(told)) == pytest.approx(fitted.decision_function(measures), abs=1e-3)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<h1>a</h1><p>b &amp; c</p>d", "a\n\nb & c\n\nd"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<ul><li>a<li>b</ul><ol><li>c</ol>", "• a\n• b\n\n1. c"),
        ("<ul><li><img></li></ul><p>gold", "gold"),
        ("<ul><li></ul><ol><li>a</ol><ul><li><p>b</ul>", "1. a\n\n• b"),
        ("<p>a&#" + "1" * 5000 + ";b", "a\ufffdb"),
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a\tb\nc\td"),
        ("<p>a&#160;b&nbsp;c&eacute;", "a b cé"),
        ("", ""),
    ],
)
def test_the_text_of_blocks(page: str, expected: str) -> None:
    assert all_of(page) == expected


@pytest.mark.parametrize(
    ("parts", "kept", "expected"),
    [
        ([0, A_CELL, A_CELL], [1, 0, 1], "a\tc"),
        ([0, A_CELL, A_LINE], [1, 0, 1], "a\nc"),
        ([0, A_LINE, A_CELL], [1, 0, 1], "a\nc"),
        ([0, A_PARAGRAPH, A_LINE], [1, 0, 1], "a\n\nc"),
        ([0, A_LINE, A_PARAGRAPH], [0, 1, 1], "b\n\nc"),
        ([0, A_LINE, A_LINE], [0, 0, 0], ""),
    ],
)
def test_the_widest_gap_across_dropped_blocks_remains(parts: list[int], kept: list[int], expected: str) -> None:
    page = content.Page.of(b"abc")
    blocks = np.zeros((3, 14), np.int64)
    blocks[:, START], blocks[:, END], blocks[:, BEFORE] = range(3), range(1, 4), parts
    spans = np.array([[0, 3, 1, 0]])
    parted = dataclasses.replace(page, text=np.frombuffer(b"abc", np.uint8), blocks=blocks, spans=spans)
    assert parted.shown(np.array(kept, np.bool_)) == expected


def test_content_drops_the_menu_and_keeps_the_article() -> None:
    paragraph = "The river bent here &amp; so the gold lay where the water slowed. They found it in the spring of that year."
    page = (
        "<body><nav class=menu><ul>" + "<li><a href=/x>Home page</a>" * 9 + "</ul></nav><article class=post><h1>How it was</h1>"
        + f"<p>{paragraph}</p>" * 5 + "</article><footer class=footer><a href=/>Terms of use</a> <a href=/>Privacy</a></footer>"
    )  # fmt: skip
    found = content.content(page)
    assert found.count(unescape(paragraph)) == 5
    assert "Home page" not in found
    assert "Privacy" not in found
