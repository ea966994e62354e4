"""The table of folded characters against Python's own normalisation."""

import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from goldwash.filters.characters import HARD, folds


def normal(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def test_every_character_that_stands_by_itself() -> None:
    table = folds()
    for point in range(sys.maxunicode + 1):
        if table[point] != HARD:
            assert normal(chr(point)) == chr(table[point]), hex(point)


def test_the_usual_scripts_are_not_hard() -> None:
    table = folds()
    for text in ("azAZ09", "éÉñçøÅ", "жЖя", "αΩ", "中文字", "ひらカタ", "한국", "שלום", "عربي"):
        assert all(table[ord(character)] != HARD for character in text), text
    assert all(table[ord(character)] == HARD for character in "ßﬁ\u0301\u1161")


@given(st.text(st.characters(codec="utf-8"), max_size=12))
def test_a_text_of_characters_that_are_not_hard_is_normalised_one_by_one(text: str) -> None:
    table = folds()
    if all(table[ord(character)] != HARD for character in text):
        assert normal(text) == "".join(chr(table[ord(character)]) for character in text)
