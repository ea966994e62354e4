"""Where tags end, eight bytes at a time, against byte by byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldwash.pipeline.html.visible_text import tag_end
from tests import reference

PIECES = st.sampled_from(
    ["=", '"', "'", ">", " ", "\n", "\0", "a", "/", "\u00e9", "= ", '="', "='", "       ", "abcdefgh", "\u00bd"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join), st.integers(0, 9), st.integers(0, 9))
def test_tags_end_where_they_end_byte_by_byte(tag: str, before: int, after: int) -> None:
    """Also if other bytes follow in the buffer."""
    page = b"x" * before + tag.encode()
    whole = np.frombuffer(page + b"\"'>" * after, np.uint8)
    for at in {0, before, min(before + 1, len(page))}:
        assert tag_end(whole, at, len(page)) == reference.tag_end(page, at)


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 9, 15, 16, 17])
@pytest.mark.parametrize(
    ("tag", "end"), [(">", 1), (' a=">">', 7), (" a= '>' >", 9), (' ">', 3), ("=\"a'>'", -1), (" a", -1), ("", -1)]
)
def test_tags_at_the_borders_of_eight_bytes(size: int, tag: str, end: int) -> None:
    page = np.frombuffer(b"b" * size + tag.encode(), np.uint8)
    assert tag_end(page, 0, len(page)) == (size + end if end >= 0 else len(page))
