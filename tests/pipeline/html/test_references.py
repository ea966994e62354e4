# ruff: noqa: E501 -- tables
"""Character references as Python's ``html.unescape`` replaces them."""

import html

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.html.references import NAMES, replace, replaced

PIECES = st.sampled_from(
    ["&", "&amp;", "&lt", "&lt;", "&nbsp;", "\xa0", "&#160;", "&#39;", "&#39", "&#x2019;", "&#X1F600;", "&#128512;", "&#0;", "&#150;",
     "&#xD800;", "&#xFDD0;", "&#xFFFE;", "&#x1FFFE;", "&#x110000;", "&#12345678;", "&#;", "&#x;", "&;", "&Mu;", "&notit;", "&NotEqualTilde;",
     "&acE;", "&hellip;", "&Aacute", "&unknown;", "a&b", "é", "\u65e5", "\U0001f600", "\xc2", "x" * 7, "y" * 8, "z" * 9, " ", ";", "#"]
)  # fmt: skip


def array(text: str) -> np.ndarray:
    return np.array(bytearray(text.encode()), np.uint8)


def python(text: str) -> bytes:
    return html.unescape(text).replace("\xa0", " ").encode("utf-8", "replace")


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES | st.text("&#;xX0129aAmp<\n", max_size=6), max_size=10).map("".join))
def test_references_are_replaced_as_python_replaces_them(text: str) -> None:
    assert replaced(array(text)) == python(text)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 63, 64, 65])
@pytest.mark.parametrize("reference", ["&amp;", "\xa0", "&#8212;", "&", "&amp", "&#"])
def test_references_at_the_borders_of_eight_bytes(size: int, reference: str) -> None:
    text = "a" * size + reference + "b" * (64 - size if size < 64 else 0)
    assert replaced(array(text)) == python(text)


@pytest.mark.parametrize("tail", ["", ";", " ", "x", "&", "&amp;", "\xa0", "\u00e9", "#", "=", "\n"])
def test_every_name_of_html_is_replaced_whatever_follows(tail: str) -> None:
    for n, name in enumerate(html.entities.html5):
        text = f"{'a' * (n % 9)}&{name}{tail}"
        assert replaced(array(text)) == python(text), text


POINTS = [
    *range(0x181), 0x7FF, 0x800, *range(0xD7F0, 0xD810), *range(0xDFF0, 0xE010), *range(0xFDC0, 0xFE00), *range(0xFFF0, 0x10010),
    *(plane << 16 | low for plane in range(1, 18) for low in (0, 1, 0xFFFD, 0xFFFE, 0xFFFF)), 9_999_999, 10_000_000, 1 << 32, 1 << 64,
]  # fmt: skip


@pytest.mark.parametrize("form", ["&#{:d}", "&#{:d};", "&#x{:x}", "&#X{:X};", "&#000{:d};", "&#x0000000{:x}g", "&#{:d}a"])
def test_every_kind_of_number_is_replaced(form: str) -> None:
    for point in POINTS:
        assert replaced(array(form.format(point))) == python(form.format(point)), form.format(point)


def test_no_reference_that_the_kernel_knows_is_shorter_than_its_character() -> None:
    """Hence a text has room for itself. `nGt;` and `nLt;` of HTML are shorter: they are two characters, which it does not know."""
    known, points = NAMES
    names = {
        int(code).to_bytes(8, "little").rstrip(b"\0"): chr(point) for code, point in zip(known, points, strict=True) if code
    }
    assert len(names) > 1500
    assert all(len(b"&;" + name) >= len(character.encode()) for name, character in names.items())
    for first in (0x80, 0x800, 0x10000):  # the least number of each length in UTF-8
        assert min(len(f"&#{first}"), len(f"&#x{first:x}")) >= len(chr(first).encode())


@pytest.mark.parametrize(
    ("text", "known"), [("&amp; &eacute; &#233; &#xe9 AT & T", True), ("AT&T", False), ("&amp", False), ("&#150;", False)]
)
def test_only_a_text_of_ordinary_references_is_left_to_the_kernel(text: str, known: bool) -> None:
    assert (replace(array(text), *NAMES, np.empty(100, np.uint8)) >= 0) == known
