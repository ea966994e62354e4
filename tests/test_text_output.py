"""Nothing that comes from data reaches a terminal, Markdown or HTML as a command, a link or markup."""

import ast
import re
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash import text_output
from goldwash.text_output import html_text, markdown, markdown_code, printable, printable_lines, without_password

CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
ANY = st.text(st.characters(exclude_categories=()))


def test_only_the_standard_library_is_imported() -> None:
    tree = ast.parse(Path(text_output.__file__).read_text("utf-8"))
    roots = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert roots <= sys.stdlib_module_names


def test_every_control_and_format_character_is_escaped() -> None:
    """The list in the module against Unicode's own categories, as this Python knows them."""
    unsafe = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) in CATEGORIES]
    assert len(unsafe) > 2000  # most are surrogates
    for character in unsafe:
        assert character not in printable(f"a{character}b"), hex(ord(character))


@given(ANY)
def test_what_is_shown_is_one_line_that_utf8_can_write(text: str) -> None:
    shown = printable(text, limit=100)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(c) in CATEGORIES for c in shown)


@pytest.mark.parametrize(
    "text", ["Übermut 漢字 עברית العربية हिन्दी 👍🏽 ❤️", "https://a.example/?filter[b]=1&c=%20", "a\\b", ""]
)
def test_letters_of_every_script_stay(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\nc\td\x7f", r"a\rb\nc\td\x7f"),
        ("exe\u202egpj", r"exe\u202egpj"),
        ("a\u2066b\u2069\u200b\ufeff", r"a\u2066b\u2069\u200b\ufeff"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("\u3164", r"\u3164"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_long_text_is_cut_and_its_length_told() -> None:
    assert printable("x" * 1001) == "x" * 1000 + "… (1,001 characters)"
    assert printable("x" * 1000) == "x" * 1000
    assert len(printable("\x1b" * 10**6, 50)) < 250


def test_a_further_line_of_a_message_cannot_pose_as_a_line_of_ours() -> None:
    assert printable_lines("no file a\ngoldwash: all is well\x1b[A") == "no file a\n  goldwash: all is well\\x1b[A"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@h.example/a", "https://***@h.example/a"),
        ("s3://key@h.example/a, ftp://a:b@c@d/", "s3://***@h.example/a, ftp://***@d/"),
        ("https://h.example/@me?a=b@c", "https://h.example/@me?a=b@c"),
        ("mail me@h.example", "mail me@h.example"),
    ],
)
def test_passwords_are_not_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown


class Reader(HTMLParser):
    """The text of an HTML fragment, and each tag and attribute that is in it."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags = "", list[str]()
        self.feed(source)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(f"{tag} {attrs}")


@given(st.one_of(ANY, st.text("<>&\"'`=/ab \n"), st.just("--><img src=x onerror=alert(1)>")))
def test_html_is_text_alone(text: str) -> None:
    read = Reader(f'<p title="{html_text(text)}">{html_text(text)}</p>')
    assert read.tags == [f"p {[('title', printable(text))]}"]
    assert read.text == printable(text)


@given(st.one_of(ANY, st.text("`|ab [](<>!\\")))
def test_a_code_span_has_one_fence_that_the_text_does_not_hold(text: str) -> None:
    span = markdown_code(text)
    fence = re.findall("^`+", span)[0]
    inner = span[len(fence) : -len(fence)]
    assert fence
    assert span.endswith(fence)
    assert fence not in re.findall("`+", inner)
    assert "|" not in span
    assert "\n" not in span


@pytest.mark.parametrize(
    "text",
    [
        "[a](javascript:alert(1))",
        "![a](http://b/c.png)",
        "<img src=x>",
        "**b**",
        "a | b",
        "www.a.example",
        "https://a.example",
        "# a",
        "1. a",
        "$x$",
        ":tada:",
    ],
)
def test_markdown_leaves_no_active_character(text: str) -> None:
    shown = markdown(text)
    for n, character in enumerate(shown):
        if character in "[]()*_`|#!.:$":
            assert shown[n - 1] == "\\", shown
    assert "<" not in shown
