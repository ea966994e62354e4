import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uniseg.wordbreak import words

from filters.texts import Texts
from pipeline.dedup.overlap import found, index_of


def normal_words(text: str) -> list[str]:
    kept = (word for word in words(text) if word[0].isalnum())
    return [unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold()) for word in kept]


def twin(texts: list[str], needles: list[str]) -> set[tuple[int, int, int]]:
    """Every place of every needle, by looking everywhere."""
    hits, row = set(), 0
    for t, text in enumerate(texts):
        hay = normal_words(text)
        for n, needle in enumerate(map(normal_words, needles)):
            hits |= {(t, row + k, n) for k in range(len(hay)) if needle and hay[k : k + len(needle)] == needle}
        row += len(hay)
    return hits


def ours(texts: list[str], needles: list[str]) -> list[tuple[int, int, int]]:
    return list(zip(*(column.tolist() for column in found(Texts.of(texts), index_of(needles))), strict=True))


WORDS = st.sampled_from(["a", "A", "b", "B.", "c,", "é", "É", "ß", "SS", "ﬁ", "fi", "--", "3.5", "金", "石头", "don't"])
TEXTS = st.lists(st.lists(WORDS, max_size=14).map(" ".join), max_size=5)
NEEDLES = st.lists(st.lists(WORDS, max_size=11).map(" ".join), max_size=6)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(TEXTS, NEEDLES)
def test_what_is_found_is_what_is_there(texts, needles):
    hits = ours(texts, needles)
    assert len(hits) == len(set(hits))
    assert set(hits) == twin(texts, needles)


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 40])
def test_needles_of_every_length_are_found_at_either_end(length):
    needle = " ".join(f"w{n}" for n in range(length))
    assert ours([f"{needle} x", f"x {needle}", needle, f"x {needle[:-1]}"], [needle]) == [
        (0, 0, 0),
        (1, length + 2, 0),
        (2, 2 * length + 2, 0),
    ]


def test_more_hits_than_there_is_room_for():
    assert len(ours(["a " * 3000], ["a", "a a"])) == 3000 + 2999


def test_needles_without_a_word_are_never_found():
    assert ours(["", "?! --", "a"], ["", "--", "?!"]) == []
    assert ours(["a"], []) == []
    assert ours([], ["a"]) == []
