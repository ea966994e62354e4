"""Encodings, titles and early looks, held against what browsers do: Node's decoders, html5lib's rules, the block reader."""

import json
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.html.decoding import decoded, meta_charsets, title_and_language
from goldwash.pipeline.html.segments import END, START, blocks_of
from goldwash.pipeline.html.visible_text import visible

LABELS = {
    "shift_jis": "山の鉱夫たちは①㈱", "euc-jp": "山の鉱夫たちは春に", "euc-kr": "광부들은 봄에 왔다",
    "big5": "礦工們在春天來了", "gbk": "矿工们在春天",
    "gb18030": "矿工们在春天", "windows-1251": "Старатели пришли", "koi8-r": "Старатели пришли",
    "iso-8859-2": "Wczoraj w Łodzi śnieg",
    "windows-874": "คนงานเหมือง", "iso-2022-jp": "山の鉱夫たちは", "windows-1255": "הכורים באו", "utf-8": "Größe “quoted” naïve",
}  # fmt: skip
PYTHON = {"windows-874": "cp874", "euc-kr": "cp949", "shift_jis": "cp932"}


def page(label: str, text: str) -> bytes:
    body = f"<p>{text}</p>" * 6
    return f'<html><head><meta charset="{label}"></head><body>{body}</body></html>'.encode(PYTHON.get(label, label))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, whose TextDecoder is the judge")
def test_whole_pages_are_decoded_as_node_decodes_them() -> None:
    script = (
        "const pages = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(pages.map(([l, h]) => new TextDecoder(l).decode(Buffer.from(h, 'hex')))))"
    )
    pages = {label: page(label, text) for label, text in LABELS.items()}
    asked = json.dumps([[label, data.hex()] for label, data in pages.items()])
    told = json.loads(subprocess.run(["node", "-e", script], input=asked, capture_output=True, text=True, check=True).stdout)
    assert [decoded(data, {})[0] for data in pages.values()] == told


@pytest.mark.parametrize("label", [label for label in LABELS if label != "iso-2022-jp"])
@pytest.mark.parametrize("byte", [b"\xff", b"\x80", b"\xfe"])
@pytest.mark.parametrize("how", ["header", "meta", "http-equiv"])
def test_a_stray_byte_costs_itself_at_the_most(label: str, byte: bytes, how: str) -> None:
    text = LABELS[label]
    data = (f"<p>{text}</p>" * 6).encode(PYTHON.get(label, label))
    tag = {
        "meta": f'<meta charset="{label}">',
        "http-equiv": f'<meta http-equiv="Content-Type" content="text/html; charset={label}">',
    }
    data = tag.get(how, "").encode() + data + b"<p>" + byte + b"</p>" + data
    found, _ = decoded(data, {"content-type": f"text/html; charset={label}"} if how == "header" else {})
    assert found.count(f"<p>{text}</p>") >= 11
    assert found.count("\ufffd") <= 1


@pytest.mark.parametrize(
    ("head", "charsets"),
    [
        (b"<meta charset=a><meta charset=b>", ["a", "b"]),
        (b"<!-- <meta charset=a> --><meta charset='b'>", ["b"]),
        (b"<script>'<meta charset=a>'</script><meta charset=b>", ["b"]),
        (b"<style><meta charset=a></style><title><meta charset=x></title><meta charset=b>", ["b"]),
        (b"<p title='<meta charset=a>'><meta charset=b>", ["b"]),
        (b"<meta name=description content='text/html; charset=a'>", []),
        (b"<META HTTP-EQUIV=content-type CONTENT='text/html; charset=a'>", ["a"]),
        (b"<meta content='text/html;charset = \"a\"' http-equiv=Content-Type />", ["a"]),
        (b"<!doctype html><?php x ?></ ><meta/charset=a>", ["a"]),
        (b"<metadata charset=a><meta data-charset=b>", []),
        (b"<!-- <meta charset=a>", []),
        (b" " * 100_000 + b"<meta charset=a>", ["a"]),
        (b"<meta charset=a", []),
    ],
)
def test_charsets_are_found_in_tags_alone(head: bytes, charsets: list[str]) -> None:
    assert list(meta_charsets(head)) == charsets


@pytest.mark.parametrize(
    ("html", "title", "language"),
    [
        ("<html lang=en><title>A</title>", "A", "en"),
        ("<!--<title>B</title>--><script>'<title>C</title>'</script><title>A</title>", "A", None),
        ("<svg><title>B</title></svg><title>A</title>", "A", None),
        ("<svg/><title>A</title>", "A", None),
        ("<!-- a --!><title>A</title>", "A", None),
        ("<title x='>' y=\">\">A</title>", "A", None),
        ("<title>How to use <script> tags</title>", "How to use <script> tags", None),
        ("<title>A<body>text", "A", None),
        ("<meta content='<title>B</title>'><title>A</title>", "A", None),
        ("<!--[if IE]><html lang=de><![endif]--><html class=x xml:lang='FR-ca'>", None, "fr-ca"),
        ("<html data-lang=de lang=en>", None, "en"),
        ("<title></title><title>A</title>", None, None),
        ("<textarea><title>B</title></textarea><title>A</title>", "A", None),
        ("x" * 100_000 + "<title>A</title>", "A", None),
        ("", None, None),
    ],
)
def test_title_and_language_are_found_in_tags_alone(html: str, title: str | None, language: str | None) -> None:
    assert title_and_language(html.encode()) == (title, language)


PIECES = st.sampled_from(
    ["<p>", "</p>", "<svg>", "<svg/>", "</svg>", "<svg-icon>", "<a href='>'>", "</a>", "<!--", "-->", "--!>",
     "<!-->", "<!--->", "<!x>",
     "<script>", "</script>", "<style>", "</style>", "<template>", "</template>", "</ x>", "<b a=\">\">",
     " gold ", " pan ", "river", "<", ">"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_what_the_block_reader_shows_early_rules_see(html: str) -> None:
    data = html.encode()
    text, blocks, _ = blocks_of(data)
    seen = visible([data])[0].replace(" ", "")
    shown = b"".join(bytes(text[block[START] : block[END]]) for block in blocks).decode()
    letters = iter(seen)
    assert all(any(letter == other for other in letters) for letter in "".join(shown.split())), (shown, seen)
