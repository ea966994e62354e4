"""Where tags end, 64 bytes at a time, against byte by byte; and how a page's visible text is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.html.visible_text import tag_end, visible
from tests import reference

PIECES = st.sampled_from(
    [
        "=",
        '"',
        "'",
        ">",
        " ",
        "\n",
        "\0",
        "a",
        "/",
        "\u00e9",
        "= ",
        '="',
        "='",
        "       ",
        "abcdefgh",
        "\u00bd",
        "b" * 57,
        " " * 63,
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join), st.integers(0, 9), st.sampled_from([0, 1, 9, 63, 64, 65, 130]))
def test_tags_end_where_they_end_byte_by_byte(tag: str, before: int, after: int) -> None:
    """Also if other bytes follow in the buffer."""
    page = b"x" * before + tag.encode()
    whole = np.frombuffer(page + b"\"'>" * after, np.uint8)
    for at in {0, before, min(before + 1, len(page))}:
        assert tag_end(whole, at, len(page)) == reference.tag_end(page, at)


@pytest.mark.parametrize("size", [0, 1, 7, 8, *range(54, 66), *range(118, 130)])
@pytest.mark.parametrize(
    ("tag", "end"), [(">", 1), (' a=">">', 7), (" a= '>' >", 9), (' ">', 3), ("=\"a'>'", -1), (" a", -1), ("", -1)]
)
def test_tags_at_the_borders_of_64_bytes(size: int, tag: str, end: int) -> None:
    for follows in (b"", b"x" * 64):  # the last bytes of a page are read one by one
        page = np.frombuffer(b"b" * size + tag.encode() + follows, np.uint8)
        assert tag_end(page, 0, size + len(tag)) == size + (end if end >= 0 else len(tag))


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6, 7, 30])
def test_a_text_is_cut_between_characters_and_does_not_touch_the_next(most: int) -> None:
    pages = [b"", "<p>g\u00f6ld \U0001f30d\u20ac".encode(), b"<b>x</b>", b"", "<i>\u20ac&amp;\u20ac".encode(), b"<p>the last"]
    texts = ["", "g\u00f6ld \U0001f30d\u20ac", "x ", "", "\u20ac'\u20ac", "the last"]

    def cut(text: str) -> str:
        found = text.encode()[:most].decode("utf-8", "ignore")
        return text[: len(found) + (len(found.encode()) < min(most, len(text.encode())))]

    assert [*visible(pages, most)] == [cut(text) for text in texts]


def test_bytes_that_are_no_text_do_not_leave_their_place() -> None:
    """A page that is not UTF-8 has no more room than another."""
    found = visible([b"<p>" + b"\x80" * 100, b"<p>gold"], 4)
    assert [found.utf8[a:b].tobytes() for a, b in zip(found.starts, found.ends, strict=True)] == [b"\x80" * 7, b"gold"]
