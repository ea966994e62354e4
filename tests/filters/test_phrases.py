"""Phrases that texts contain, against Python's own search."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldwash.filters.phrases import having
from goldwash.filters.texts import Texts

NEEDLES = ["", "i", "items in cart", "sign-in", "read more", "..", "größe", "ende", "aab"]


def lowered(text: str) -> str:
    """A text with ASCII letters, and no others, in lower case."""
    return text.encode().lower().decode()


@pytest.mark.parametrize("needle", NEEDLES)
@given(
    st.lists(st.lists(st.sampled_from([*"IteMs- CaRdsEn.gaAbBö\n", "x" * 70, *NEEDLES, "SIGN-IN", "Read More"])).map("".join))
)
@example(["sign-i", "n", "-in", "", "sign-in"])
def test_texts_that_have_a_needle(needle: str, texts: list[str]) -> None:
    found = having(Texts.of(texts), needle.encode())
    assert found.tolist() == [needle in lowered(text) for text in texts]
