"""UAX 29: every rule of the annex, over all triples of sample characters, against `uniseg` and the rules said one by one."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldwash.filters.texts import Texts
from tests import reference

# One character of each Word_Break class whose class is the same in the Unicode data of uniseg and regex; as the official
# WordBreakTest.txt has it, with letters that are pictographs too.
SAMPLES = {
    "CR": "\r", "LF": "\n", "Newline": "\x0b", "Extend": "\u0300", "ZWJ": "\u200d", "Format": "\u00ad",
    "Regional_Indicator": "🇦", "Katakana": "〱", "Hebrew_Letter": "א", "ALetter": "A", "Single_Quote": "'",
    "Double_Quote": '"', "MidNumLet": ".", "MidLetter": ":", "MidNum": ",", "Numeric": "0", "ExtendNumLet": "_",
    "WSegSpace": " ", "Other": "⌚", "pictographic letter": "Ⓜ", "plain other": "中", "symbol": "\u0001",
}  # fmt: skip

# (rule, text, pieces): by hand from https://www.unicode.org/reports/tr29/#Word_Boundary_Rules
RULES = [
    ("WB1, WB2", "", []),
    ("WB1, WB2", "a", ["a"]),
    ("WB3", "\r\n", ["\r\n"]),
    ("WB3", "\n\r", ["\n", "\r"]),
    ("WB3a", "\n\u0308a", ["\n", "\u0308", "a"]),
    ("WB3a", "\x85\u0308\u0308a", ["\x85", "\u0308\u0308", "a"]),
    ("WB3b", "a\u0308\n", ["a\u0308", "\n"]),
    ("WB3c", "👩\u200d🚀", ["👩\u200d🚀"]),
    ("WB3c", "a\u200d❤", ["a\u200d❤"]),
    ("WB3c", "\u200d\u0308❤", ["\u200d\u0308", "❤"]),
    ("WB3c", "1\u200dⓂx", ["1\u200dⓂx"]),
    ("WB3d", "a  \u3000b", ["a", "  \u3000", "b"]),
    ("WB3d", " \u0308 ", [" \u0308", " "]),
    ("WB3d", "\u00a0\u00a0", ["\u00a0", "\u00a0"]),
    ("WB4", "a\u0308\u00adb", ["a\u0308\u00adb"]),
    ("WB4", "!\u0308!", ["!\u0308", "!"]),
    ("WB5", "abcאé", ["abcאé"]),
    ("WB6, WB7", "can't o:k a.b", ["can't", " ", "o:k", " ", "a.b"]),
    ("WB6, WB7", "a' a. a..b", ["a", "'", " ", "a", ".", " ", "a", ".", ".", "b"]),
    ("WB6, WB7", "a\u0308:\u0308b", ["a\u0308:\u0308b"]),
    ("WB6", "a:\nb", ["a", ":", "\n", "b"]),
    ("WB6", "a,b", ["a", ",", "b"]),
    ("WB7a", "א'", ["א'"]),
    ("WB7a", "א\u0308'!", ["א\u0308'", "!"]),
    ("WB7b, WB7c", 'א"ב', ['א"ב']),
    ("WB7b, WB7c", 'א"b', ["א", '"', "b"]),
    ("WB7b, WB7c", 'a"ב', ["a", '"', "ב"]),
    ("WB8", "1234", ["1234"]),
    ("WB9", "a1", ["a1"]),
    ("WB10", "1a", ["1a"]),
    ("WB11, WB12", "1,000.5'0", ["1,000.5'0"]),
    ("WB11, WB12", "1, 2:3 .5", ["1", ",", " ", "2", ":", "3", " ", ".", "5"]),
    ("WB11", "a.1", ["a", ".", "1"]),
    ("WB11, WB12", "1,\u0308\u200d2", ["1,\u0308\u200d2"]),
    ("WB13", "カタ〱", ["カタ〱"]),
    ("WB13", "カa", ["カ", "a"]),
    ("WB13a, WB13b", "a_1_カ_א__", ["a_1_カ_א__"]),
    ("WB15", "🇦🇧🇨", ["🇦🇧", "🇨"]),
    ("WB15", "🇦\u0308🇧\u200d🇨🇩", ["🇦\u0308🇧\u200d", "🇨🇩"]),
    ("WB16", "a🇦🇧🇨🇩b", ["a", "🇦🇧", "🇨🇩", "b"]),
    ("WB999", "中文!?", ["中", "文", "!", "?"]),
]


def tokens(text: str) -> list[str]:
    return list(Texts.of([text]).uax29_tokens)


@pytest.mark.parametrize(("rule", "text", "pieces"), RULES)
def test_rule(rule: str, text: str, pieces: list[str]) -> None:
    assert reference.rule_pieces(text) == pieces
    assert tokens(text) == [piece for piece in pieces if not piece.isspace()]


@pytest.mark.parametrize("name", [name for name in SAMPLES if name in reference.WORD_BREAKS])
def test_a_sample_is_of_its_class(name: str) -> None:
    assert reference.word_break(SAMPLES[name]) == name


def kernel_agrees(texts: list[str]) -> None:
    column = Texts.of(texts)
    tokens, words = list(column.uax29_tokens), list(column.uax29_words)
    begins, beginnings = column.uax29_tokens.parents.tolist(), column.uax29_words.parents.tolist()
    for row, text in enumerate(texts):
        pieces = reference.rule_pieces(text)
        assert pieces == list(reference.uax29_pieces(text)), text
        assert tokens[begins[row] : begins[row + 1]] == [piece for piece in pieces if not piece.isspace()], ascii(text)
        assert words[beginnings[row] : beginnings[row + 1]] == [piece for piece in pieces if piece[0].isalnum()], ascii(text)


def test_all_pairs_with_and_without_a_mark_between() -> None:
    kernel_agrees([a + mark + b for a, b in product(SAMPLES.values(), repeat=2) for mark in ("", "\u0308", "\u200d")])


def test_all_triples() -> None:
    kernel_agrees(["".join(triple) for triple in product(SAMPLES.values(), repeat=3)])


def test_runs_of_every_length_beside_every_class() -> None:
    """ASCII letters and digits are read 64 bytes at a time."""
    runs = [
        (run * 4)[:size]
        for size in (1, 2, 3, 8, 15, 16, 17, 61, 62, 63, 64, 65, 66)
        for run in ("abcdefghijklmnopqrs", "1234567890123456789", "Zz09" * 5, "9" + "a" * 18)
    ]
    beside = ["", *SAMPLES.values()]
    kernel_agrees([run + after for run in runs for after in beside])
    kernel_agrees([before + run + mid + "1a" for run in runs for before in ("\u00e9", "_", ".") for mid in ".,:'_\u00e9"])


def test_all_mid_characters_between_marked_neighbours() -> None:
    outer = [SAMPLES[name] for name in ("ALetter", "Hebrew_Letter", "Numeric", "Katakana", "ExtendNumLet")]
    mids = [SAMPLES[name] for name in ("Single_Quote", "Double_Quote", "MidNumLet", "MidLetter", "MidNum", "ZWJ")]
    kernel_agrees(
        [a + x + mid + y + b for a, b, mid, x, y in product(outer, outer, mids, ("", "\u0300"), ("", "\u00ad\u0300"))]
    )


def test_every_class_at_the_border_of_a_block() -> None:
    for size in range(61, 65):
        for fill in ("a", ". "):
            filler = (fill * size)[:size]
            kernel_agrees([filler + a + b + "x" for a, b in product(SAMPLES.values(), repeat=2)])


@given(texts=st.lists(st.text(st.sampled_from("".join(SAMPLES.values())), max_size=30), max_size=8))
def test_long_mixtures(texts: list[str]) -> None:
    kernel_agrees(texts)


PROSE = st.lists(
    st.sampled_from([*"abz09 ", *SAMPLES.values(), "can't", " the ", "3.14", "\u2014", "\u201c", "\u2019"]), max_size=150
)


@given(texts=st.lists(PROSE.map("".join), max_size=4))
def test_prose_with_a_few_of_each_class(texts: list[str]) -> None:
    kernel_agrees(texts)
