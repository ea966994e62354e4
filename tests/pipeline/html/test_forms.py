"""The text's two forms: tables, lists, code and formulas in plain text, and in Markdown as an independent parser reads it."""

import os
import subprocess
import sys
from html import unescape
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from goldwash.pipeline.html.main_content import Content, Page
from tests import reference
from tests.pipeline.html.test_segments import TREE


def whole(page: str, markdown: bool = False, links: bool = False, dollars: bool = False) -> str:
    """The text of all blocks but line numbers and text that is not shown."""
    read = Page.of(page.encode(), links, dollars)
    return read.shown(read.kept(np.ones(len(read.blocks)), 0.0), markdown)


# --- plain text


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<tr><td>a<td>b<tr><td>c<td>d", "a\tb\nc\td"),
        ("<tr><td><td>b<td>c<tr><td>d<td><td>f", "\tb\tc\nd\t\tf"),
        ("<tr><td>a<td>b<td><td><tr><td>c", "a\tb\nc"),
        ("<tr><td>a<br>b<td>c<tr><td>d<td>e", "a b\tc\nd\te"),
        ("<tr><td><p>a<p>b<td><div>c</div>d<tr><td>e<td>f", "a b\tc d\ne\tf"),
        ("<tr><td><ul><li>a<li>b</ul><td>c<tr><td>d<td>e", "a b\tc\nd\te"),
        ("<tr><td><td><tr><td>a<td>b<tr><td>c<td>d", "a\tb\nc\td"),
        ("<tr><td>a<td>b", "a\tb"),
        ("<tr><td>a<td><td>c", "a\t\tc"),
        ("<caption>t</caption><tr><td>a<td>b<tr><td>c<td>d", "t\n\na\tb\nc\td"),
        ("<thead><tr><th>a<th>b<tbody><tr><td>c<td>d<tfoot><tr><td>e<td>f", "a\tb\nc\td\ne\tf"),
        ("<tr><td>a<td>" + "x" * 700 + "<tr><td>b<td>c", "a\t" + "x" * 700 + "\nb\tc"),
        ("<tr>x<td>a<td>b<tr><td>c<td>d", "x\n\na\tb\nc\td"),
    ],
)
def test_rows_of_tables(page: str, expected: str) -> None:
    assert whole(f"<table>{page}</table>") == expected
    assert whole(f"<p>1<table>{page}</table><p>2") == f"1\n\n{expected}\n\n2"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("<ol start=9><li>a<li>b<li value=3>c<li>d</ol>", "9. a\n10. b\n3. c\n4. d"),
        ("<ol start=-2 type=a><li>a</ol>", "1. a"),
        ("<ul><li>a<ul><li>b<ol><li>c</ol></ul><li>d</ul>", "• a\n  • b\n    1. c\n• d"),
        ("<ul><li><p>a</p><li><p>b</p></ul>", "• a\n• b"),
        ("<ul><li>a</ul><ul><li>b</ul>", "• a\n\n• b"),
        ("<ul><li>a<p>b</p><li>c</ul>", "• a\n\nb\n• c"),
        ("<dl><dt>a<dd>b<dt>c<dd>d</dl>", "a\nb\nc\nd"),
    ],
)
def test_lists(page: str, expected: str) -> None:
    assert whole(page) == expected


@pytest.mark.parametrize(
    "page",
    [
        "<pre>  a = 1\n    b\n\n  c</pre>",
        "<pre><code>  a = 1\n    b\n\n  c\n</code></pre>",
        "<pre><span>  a = 1</span>\n<span>    b</span>\n\n<span>  c</span></pre>",
        "<pre><div>  a = 1</div><div>    b</div><div>\n</div><div>  c</div></pre>",
        "<pre>  a = 1<br>    b<br><br>  c</pre>",
        "<pre><table><tr><td>1<td>  a = 1<tr><td>2<td>    b<tr><td>3<td>\n<tr><td>4<td>  c</table></pre>",
        "<table><tr><td><pre>1\n2\n3\n4</pre><td><pre>  a = 1\n    b\n\n  c</pre></table>",
        "<table><tr><td class=gutter><div>1</div><div>2</div><td><pre>  a = 1\n    b\n\n  c</pre></table>",
    ],
)
def test_code_keeps_lines_and_indents(page: str) -> None:
    assert whole(f"<p>x{page}<p>y") == "x\n\n  a = 1\n    b\n\n  c\n\ny"
    assert whole(page, markdown=True) == "```\n  a = 1\n    b\n\n  c\n```"


# --- formulas

TEX = "E=mc^2"
MATHML = f'<math><semantics><mi>E</mi><annotation encoding="application/x-tex">{TEX}</annotation></semantics></math>'


@pytest.mark.parametrize(
    "page",
    [
        MATHML,
        f"<math alttext='{TEX}'><mi>E</mi></math>",
        f'<script type="math/tex">{TEX}</script>',
        f"<img class=latex alt='{TEX}'>",
        f"<img alt='{TEX}' class='wp-image tex' src=x.png>",
        f"<img class=latex alt='$latex {TEX}$'>",
        f"<img src='https://latex.codecogs.com/x' alt='{TEX}'>",
        f"<img src='//s0.wp.com/latex.php?latex=E' alt='{TEX}'>",
        f'<span class="katex"><span class="katex-mathml">{MATHML}</span>'
        '<span class="katex-html" aria-hidden="true"><span class="base"><span>E</span>=mc2</span></span></span>',
        '<span class="MathJax_Preview">E</span><span class="MathJax" id=m><span>E=mc2</span></span>'
        f'<script type="math/tex">{TEX}</script>',
        f'<span class="MathJax"><span>E=mc2</span><span class="MJX_Assistive_MathML">{MATHML}</span></span>'
        f'<script type="math/tex">{TEX}</script>',
        f'<span class="MathJax"><span>E=mc2</span><span class="MJX_Assistive_MathML">{MATHML}</span></span>',
        f"<mjx-container><mjx-math aria-hidden=true></mjx-math><mjx-assistive-mml>{MATHML}</mjx-assistive-mml></mjx-container>",
        '<span class="mwe-math-element"><span class="mwe-math-mathml-inline" style="display: none;">'
        f'<math alttext="{{\\displaystyle {TEX}}}"><semantics><annotation encoding="application/x-tex">{{\\displaystyle {TEX}}}'
        "</annotation></semantics></math></span>"
        f"<img class='mwe-math-fallback-image-inline' alt='{{\\displaystyle {TEX}}}'></span>",
    ],
)
def test_a_formula_is_in_the_text_once(page: str) -> None:
    assert whole(f"<p>a {page} b") == rf"a \({TEX}\) b"
    assert whole(f"<p>a {page} b", dollars=True) == f"a ${TEX}$ b"
    assert whole(f"<p>{page}</p>{page}") == rf"\({TEX}\)" + "\n\n" + rf"\({TEX}\)"


@pytest.mark.parametrize(
    "page", [f'<script type="math/tex; mode=display">{TEX}</script>', MATHML.replace("<math", "<math display=block")]
)
def test_a_displayed_formula(page: str) -> None:
    assert whole(page) == rf"\[{TEX}\]"
    assert whole(page, dollars=True) == f"$${TEX}$$"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<msup><mi>x</mi><mn>2</mn></msup>", "x^2"),
        ("<msup><mi>x</mi><mrow><mi>i</mi><mo>+</mo><mn>1</mn></mrow></msup>", "x^(i+1)"),
        ("<msubsup><mi>a</mi><mi>i</mi><mn>10</mn></msubsup>", "a_i^10"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac>", "(a+b)/2"),
        ("<msqrt><mi>x</mi></msqrt><mo>&#x2062;</mo>", "√x⁢"),
        ("<msqrt><mi>x</mi><mi>y</mi></msqrt>", "√(xy)"),
        ("<mfenced><mi>a</mi><mi>b</mi></mfenced>", "(a,b)"),
        (
            "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd>3</mtd><mtd>4</mtd></mtr></mtable>",
            "1 2 3 4",
        ),
        ("<mi>x</mi><mo>=</mo><mtext>a b</mtext>", "x=a b"),
    ],
)
def test_mathml_without_tex_is_readable(page: str, expected: str) -> None:
    assert whole(f"<p>a <math>{page}</math> b") == f"a {expected} b"


@pytest.mark.parametrize(
    "page",
    [
        "<img class=photo alt='a text'>",
        "<img alt=x>",
        "<script type=text/javascript>x</script>",
        "<math></math>",
        "<img class=latex>",
    ],
)
def test_what_is_no_formula(page: str) -> None:
    assert whole(f"<p>a {page}b") == "a b"


def test_two_equal_formulas_beside_each_other_are_two() -> None:
    assert whole("<p><img class=latex alt=x> <img class=latex alt=x> and <img class=latex alt=y><img class=latex alt=z>") == (
        r"\(x\) \(x\) and \(y\)\(z\)"
    )


# --- Markdown

MARKDOWN = MarkdownIt("commonmark").enable("table")


def tokens(text: str) -> list[Any]:
    return MARKDOWN.parse(text)


def cells(text: str) -> list[list[str]]:
    """The rows of a Markdown table."""
    rows: list[list[str]] = []
    inside = False
    for token in tokens(text):
        if token.type == "tr_open":
            rows.append([])
        inside = token.type in ("td_open", "th_open") or (inside and token.type == "inline")
        if inside and token.type == "inline":
            rows[-1].append("".join(child.content for child in token.children or []))
    return rows


CELL = st.text("ab|\\`*_ \n&1", max_size=6).map(lambda text: " ".join(text.split()))


@given(
    st.integers(2, 4).flatmap(lambda n: st.lists(st.lists(CELL.filter(bool), min_size=n, max_size=n), min_size=2, max_size=5))
)
@example([["|", "a|b"], ["c", "\\"]])
def test_tables_have_their_cells(table: list[list[str]]) -> None:
    plain = [[" ".join("".join(c for c in cell if c not in "`*_\\").split()) or "x" for cell in row] for row in table]
    escaped = [[cell.replace("&", "&amp;") for cell in row] for row in plain]
    page = "<table>" + "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) for row in escaped) + "</table>"
    found = whole(page, markdown=True)
    assert [[unescape(cell) for cell in row] for row in cells(found)] == [[unescape(cell) for cell in row] for row in plain]


def test_spans_of_cells_are_empty_cells() -> None:
    page = "<table><tr><th colspan=2>a<th>b<tr><td rowspan=2>c<td>d<td>e<tr><td>f<td>g</table>"
    assert cells(whole(page, markdown=True)) == [["a", "", "b"], ["c", "d", "e"], ["", "f", "g"]]


def test_a_pipe_that_is_a_reference_is_escaped() -> None:
    assert cells(whole("<table><tr><td>a&#124;b<td>c<tr><td>d<td>e&#x7c;</table>", markdown=True)) == [
        ["a|b", "c"],
        ["d", "e|"],
    ]


@pytest.mark.parametrize(
    ("page", "language"),
    [
        ("<pre class=language-python>", "python"),
        ("<pre><code class='hljs language-c++'>", "c++"),
        ("<div class='highlight-source-rust'><pre>", "rust"),
        ("<div class='highlight-python notranslate'><div class=highlight><pre>", "python"),
        ("<div class='highlight-default notranslate'><div class=highlight><pre>", ""),
        ("<pre class='brush: js; toolbar: false'>", "js"),
        ("<pre class='sourceCode haskell'>", "haskell"),
        ("<pre data-language=SQL>", "sql"),
        ("<pre class=wide>", ""),
    ],
)
def test_fenced_code_names_its_language(page: str, language: str) -> None:
    (fence,) = (token for token in tokens(whole(f"{page}  a\n b</pre>", markdown=True)) if token.type == "fence")
    assert (fence.info, fence.content) == (language, "  a\n b\n")


def test_a_fence_is_longer_than_the_backticks_inside() -> None:
    (fence,) = (token for token in tokens(whole("<pre>```\na\n````</pre>", markdown=True)) if token.type == "fence")
    assert fence.content == "```\na\n````\n"


@pytest.mark.parametrize("length", [1, 100, 1000, 6000, 200_000])
def test_code_of_nothing_but_backticks_has_room_for_its_fences(length: int) -> None:
    """Each of the three is as long as the page: the output was once written beyond its end."""
    fence, code = "`" * max(length + 1, 3), "`" * length + "\na"
    assert whole(f"<pre>{code}</pre>", markdown=True) == f"{fence}\n{code}\n{fence}"


def test_room_for_fences_without_the_jit_which_checks_bounds() -> None:
    script = """
import numpy as np
from goldwash.pipeline.html.main_content import Page
read = Page.of(b"<pre>" + b"`" * 3000 + b"\\na</pre>", False, False)
print(len(read.shown(read.kept(np.ones(len(read.blocks)), 0.0), True)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 3002 + 2 * 3001 + 2


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["ul", "ol"])
def test_nested_lists_have_their_depth(depth: int, name: str) -> None:
    page = f"<{name}><li>a" * depth + "<pre>x\n  y</pre>"
    kind = "bullet_list_open" if name == "ul" else "ordered_list_open"
    found = tokens(whole(page, markdown=True))
    assert sum(token.type == kind for token in found) == depth
    assert [token.content for token in found if token.type == "fence"] == ["x\n  y\n"]


@pytest.mark.parametrize("level", range(1, 7))
def test_headings(level: int) -> None:
    assert whole(f"<h{level}>a<br>b</h{level}><p>c", markdown=True) == "#" * level + " a b\n\nc"


def test_links_quotations_and_definitions() -> None:
    page = "<p><a href=/x>a <b>b</b> </a>c <a href='y (z)'>d</a><blockquote><p>e<br>f</blockquote><dl><dt>g<dd>h</dl><a href=q>"
    assert whole(page, markdown=True) == "a b c d\n\n> e\n> f\n\ng\n: h"
    assert whole(page, markdown=True, links=True).split("\n")[0] == "[a b](/x) c [d](y%20%28z%29)"
    assert whole(page) == "a b c d\n\ne\nf\n\ng\nh"


@given(TREE)
def test_both_forms_have_the_words_of_all_blocks(tree: Any) -> None:
    page = reference.html_of(tree)
    expected = "".join("".join(text.split()) for text, *_ in reference.blocks(page))
    for markdown in (False, True):
        read = Page.of(page.encode())
        found = read.shown(np.ones(len(read.blocks), np.bool_), markdown)
        marks = set("•#>-`") if markdown else {"•"}
        kept = "".join(c for c in found if not c.isspace() and c not in marks)
        assert kept == "".join(c for c in unescape(expected).replace("\u00a0", "") if not c.isspace() and c not in marks)


# --- bad input: linear time, and no more text than the page has

BAD = {
    "a million cells": "<table>" + ("<tr>" + "<td>1" * 100) * 10_000,
    "one row of cells": "<table><tr>" + "<td rowspan=100000 colspan=1000>1" * 60_000 + "<tr><td>2" * 60_000,
    "deep lists": "<ul><li>a" * 10_000,
    "deep numbered lists with code": "<ol><li>a" * 500 + "<pre>" + "\n" * 1_000_000 + "x",
    "a long formula": "<p>a<math><annotation encoding=tex>" + "x+" * 1_000_000 + "</annotation></math>b",
    "deep MathML": "<p>a<math>" + "<msup><mi>x</mi>" * 50_000 + "</math>b",
    "unclosed MathML": "<math><mi>x" * 100_000,
    "unclosed annotations": "<math><annotation>" * 100_000 + "</math>",
    "rendered formulas in each other": "<span class=MathJax>" * 50_000 + "x",
    "rendered formulas": "<span class=MathJax>x</span>" * 50_000,
    "unclosed code": "<pre>" + "<div> a</div>\n" * 100_000,
    "unclosed tables": "<table><tr><td>a" * 50_000,
    "a layout": "<table><tr><td>" + "<p>gold in the river, and more of it." * 50_000 + "</table>",
    "comments in comments": "<div class=comment>a" * 10_000,
    "hidden spans": "<span aria-hidden=true>" * 100_000,
    "links": "<a href=x>a" * 200_000,
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pages_are_read_in_linear_time(name: str) -> None:
    page = BAD[name].encode()
    for options in ({}, {"form": "markdown", "addresses": True}, {"comments": "all", "fallback": "best"}):
        found = Content(**options)(page)  # type: ignore[arg-type]
        assert len(found) < 50 * len(page)
    assert len(whole(BAD[name])) <= 2 * len(page) + 100


ARTICLE = "The river bent here and slowed, and the gold that it carried lay on the inner bank under the gravel. " * 3
COMMENT = "<{0} class='comment depth-1'><p>I was there in August, and found nothing at all in the pan but sand.</p></{0}>"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<div id=content>", "</div>"),
        ("<div class=post><div class=entry>", "</div></div>"),
        ("<article>", "</article>"),
        ("<div id=content><h1>Where the gold lies</h1>", "<div id=respond>Say something</div></div>"),
    ],
)
@pytest.mark.parametrize(
    ("begin", "end", "tag"),
    [
        ("<h3 id=comments>40 comments</h3><ol class=commentlist>", "</ol><div id=respond>Leave a reply</div>", "li"),
        ("<p class=comments>40</p><div id=comments>", "</div><p class=comments-closed>They are closed.</p>", "div"),
        ("", "", "div"),
    ],
)
def test_without_comments_an_article_stays_that_shares_an_element_with_its_thread(before, after, begin, end, tag):
    page = f"<body>{before}<p>{ARTICLE}</p>{begin}{COMMENT.format(tag) * 40}{end}{after}"
    read = Page.of(page.encode())
    kept = read.kept(np.ones(len(read.blocks)), 0.0, "none")
    assert "slowed" in read.shown(kept)
    assert "August" not in read.shown(kept)
    for comments in ("judged", "all"):
        assert read.shown(read.kept(np.ones(len(read.blocks)), 0.0, comments)).count("August") == 40


LIMITED = {
    "<div>" * 500: [],
    "<div>" * 600: ["depth"],
    "<ul><li>a" * 10_000: ["depth"],
    "<p>a</p>" * 140_000: ["elements", "blocks"],
    "a<hr>" * 65_536: [],
    "a<hr>" * 65_537: ["blocks"],
    "<a href=x>a</a>" * 65_536: [],
    "<a href=x>a</a>" * 65_537: ["links"],
    "<span class=MathJax>" * 50_000 + "x": ["rendered_formulas"],
}


@pytest.mark.parametrize("page", LIMITED, ids=lambda page: f"{page[:12]}, {len(page)} bytes")
def test_limits_that_a_page_reaches_are_told(page: str) -> None:
    """Text over a limit is not lost."""
    assert Content(form="markdown", addresses=True, fallback="best").read(page)[1] == LIMITED[page]
    assert Content(fallback="best").read(page)[1] == [name for name in LIMITED[page] if name != "links"]
    assert Page.of(page.encode()).text.tobytes().count(b"a") == page.count("a<") + page.endswith("a")


@pytest.mark.parametrize("page", ["<table dir=rtl><tr><td>א<td>ב<tr><td>ג<td>ד</table>"])
def test_tables_from_right_to_left_keep_the_order_of_the_page(page: str) -> None:
    assert whole(page) == "א\tב\nג\tד"
