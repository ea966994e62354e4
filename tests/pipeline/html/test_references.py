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


def test_every_name_of_html_is_replaced() -> None:
    for name in html.entities.html5:
        assert replaced(array(f"a &{name} b")) == python(f"a &{name} b"), name


@pytest.mark.parametrize(
    ("text", "known"), [("&amp; &eacute; &#233; &#xe9 AT & T", True), ("AT&T", False), ("&amp", False), ("&#150;", False)]
)
def test_only_a_text_of_ordinary_references_is_left_to_the_kernel(text: str, known: bool) -> None:
    assert (replace(array(text), *NAMES, np.empty(100, np.uint8)) >= 0) == known
