import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uniseg.wordbreak import words

from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.index import MARKED, found, index_of
from goldwash.pipeline.decontamination.index import normal_words as hashed_words


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


WIDE = st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "Pc"]), min_size=1, max_size=4)
HARD = st.sampled_from(
    ["İ", "ΑΣ", "ας", "e\u0301", "é", "\u1e9b\u0323", "①", "1", "ﾊﾟ", "パ", "가", "\u1100\u1161", "ﷺ", "K", "Å", "ŉ"]
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.one_of(WIDE, HARD), max_size=30))
def test_words_are_the_same_if_their_normal_forms_are(texts):
    every = Texts.of(texts)
    hashes = hashed_words(every)
    words = [w for text in texts for w in normal_words(text)]
    assert len(hashes) == len(words)
    assert np.array_equal(hashes[:, None] == hashes, np.array(words)[:, None] == np.array(words) if words else np.zeros((0, 0)))


@pytest.mark.parametrize("count", [1, 31, 33, 5000])
def test_marks_let_every_needle_through(count):
    needles = [" ".join(f"w{n}x{k}" for k in range(1 + n % 11)) for n in range(count)]
    index = index_of(needles)
    assert set(index.marked.tolist()) == set(range(1, min(MARKED, count) + 1))
    hits = ours(["? ".join(needles)], needles)
    assert [needle for _, _, needle in hits] == list(range(count))
    assert index.bytes >= 8 * len(index.marks)


def test_a_needle_that_is_another_one_or_its_beginning():
    needles = ["a b c d e f g h i", "a b c d e f g h", "a b c d", "a b c d", "A, b", "a"]
    assert {needle for _, first, needle in ours(["a b c d e f g h i"], needles) if first == 0} == set(range(6))
