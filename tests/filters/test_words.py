"""Signals of words: what counts as a word, and counts that are those of plain Python."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.filters import words
from goldwash.filters.texts import Texts
from goldwash.filters.words import distinct_stop_word_count, fasttext_word_count, stop_word_count, word_count


@pytest.mark.parametrize(
    ("text", "whitespace", "fasttext", "uax29"),
    [
        ("don't stop", 2, 2, 2),
        ("“Hello” (world)", 2, 0, 2),  # fastText keeps punctuation at a word's front, and DCLM counts no such word
        ("$5 #tag — …", 4, 0, 2),
        ("3.14 half-life", 2, 2, 3),
        ("a\u00a0b\u2003c", 3, 1, 3),
        ("中文字", 1, 1, 3),
        ("a\0b", 1, 2, 2),
        ("", 0, 0, 0),
    ],
)
def test_three_notions_of_a_word(text: str, whitespace: int, fasttext: int, uax29: int) -> None:
    texts = Texts.of([text])
    counts = word_count(texts)[0], fasttext_word_count(texts)[0], len(texts.uax29_words)
    assert counts == (whitespace, fasttext, uax29)


SPACED = st.sampled_from(
    [*"aZ9ßÉ٣Ⅷ.", " ", "\n", "\x1c", "\u00a0", "\u1680", "\u2003", "\u3000", "\U0001d7ce", "z" * 61, "中" * 21]
)


@given(st.lists(st.lists(SPACED, max_size=90).map("".join), max_size=6))
def test_counts_of_words_and_characters_are_those_of_python_also_across_blocks(texts: list[str]) -> None:
    column = Texts.of(texts)
    assert words.word_count(column).tolist() == [len(text.split()) for text in texts]
    assert words._word_counts(column)[:, 1].tolist() == [sum(map(len, text.split())) for text in texts]
    for measure, kind in ((words.uppercase_fraction, str.isupper), (words.digit_fraction, str.isdigit)):
        assert measure(column).tolist() == [sum(map(kind, text)) / max(len(text), 1) for text in texts]


LISTED = ("The", "of", "größe", "that", "", "aaaaaaaaaaaaaaaaaaa", "x")


@given(
    st.lists(st.lists(st.sampled_from([*LISTED, "THAT", "then", "dhat", "OF", "og", "grösse", "GRÖSSE", "X", "9"])), max_size=6)
)
def test_listed_words_are_found_by_their_letters(texts: list[list[str]]) -> None:
    column = Texts.of([" ".join(text) for text in texts])
    wanted = [word.lower() for word in LISTED if word]
    found = [[word.encode().lower().decode() for word in text] for text in texts]
    assert stop_word_count.bind(words=LISTED)(column).tolist() == [sum(word in wanted for word in text) for text in found]
    assert distinct_stop_word_count.bind(words=LISTED)(column).tolist() == [len(set(text) & set(wanted)) for text in found]


@pytest.mark.parametrize("size", [1, 40, 700])
def test_words_of_long_lists_are_told_apart(size: int) -> None:
    """Words share slots of the table, and some of the last ones go on at its beginning."""
    listed = tuple(f"w{n}" for n in range(size))
    text = " ".join(["w0", *(f"W{n} v{n} w{n + size}" for n in range(size))])
    measured = [s.bind(words=listed)(Texts.of([text, "w0", "v0"])) for s in (stop_word_count, distinct_stop_word_count)]
    assert [values.tolist() for values in measured] == [[size + 1, 1, 0], [size, 1, 0]]
