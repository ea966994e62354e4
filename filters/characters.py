"""Properties of code points, as tables for the kernels.

Invariants: the tables hold facts only, from the Unicode data of the running Python (``str.isalpha`` and so on, so that a kernel
agrees with a rule in plain Python) and of the ``regex`` package (word-break properties, Unicode Standard Annex 29). Each table
has one row per code point (``[0x110000]``). It is made once per machine, then mapped from disk and shared by workers.
"""

import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

from goldwash.filters.cache import kept_array
from goldwash.filters.jit import cache_folder

Table = npt.NDArray[Any]

# Bits of `classes()`.
ALPHABETIC, ALPHANUMERIC, UPPERCASE, DIGIT, SPACE, DECIMAL, PUNCTUATION, TERMINAL = 1, 2, 4, 8, 16, 32, 64, 128

# Values of `word_breaks()`: the Word_Break property, https://www.unicode.org/reports/tr29/#Word_Boundaries
OTHER, CR, LF, NEWLINE, EXTEND, ZWJ, FORMAT = 0, 1, 2, 3, 4, 5, 6
REGIONAL_INDICATOR, KATAKANA, HEBREW_LETTER, A_LETTER = 7, 8, 9, 10
SINGLE_QUOTE, DOUBLE_QUOTE, MID_NUM_LET, MID_LETTER, MID_NUM = 11, 12, 13, 14, 15
NUMERIC, EXTEND_NUM_LET, W_SEG_SPACE, PICTOGRAPHIC = 16, 17, 18, 19
PICTOGRAPHIC_LETTER = 20  # an A_LETTER that is Extended_Pictographic too, such as U+24C2

_PROPERTIES = {
    "WB=CR": CR, "WB=LF": LF, "WB=Newline": NEWLINE, "WB=Extend": EXTEND, "WB=ZWJ": ZWJ, "WB=Format": FORMAT,
    "WB=Regional_Indicator": REGIONAL_INDICATOR, "WB=Katakana": KATAKANA, "WB=Hebrew_Letter": HEBREW_LETTER,
    "WB=ALetter": A_LETTER, "WB=Single_Quote": SINGLE_QUOTE, "WB=Double_Quote": DOUBLE_QUOTE,
    "WB=MidNumLet": MID_NUM_LET, "WB=MidLetter": MID_LETTER, "WB=MidNum": MID_NUM, "WB=Numeric": NUMERIC,
    "WB=ExtendNumLet": EXTEND_NUM_LET, "WB=WSegSpace": W_SEG_SPACE,
}  # fmt: skip

# Planes 4 to 13 are unassigned, 15 and 16 are for private use: they have no class and no break property.
_ASSIGNED = (range(0xD800), range(0xE000, 0x34000), range(0xE0000, 0xE1000))


def _characters() -> Iterator[str]:
    return (chr(point) for points in _ASSIGNED for point in points)


def _points() -> npt.NDArray[np.int64]:
    return np.concatenate([np.arange(points.start, points.stop) for points in _ASSIGNED])


def _make_classes() -> Table:
    tests: dict[int, Callable[[str], bool]] = {
        ALPHABETIC: str.isalpha,
        ALPHANUMERIC: str.isalnum,
        UPPERCASE: str.isupper,
        DIGIT: str.isdigit,
        SPACE: str.isspace,
        DECIMAL: str.isdecimal,
        PUNCTUATION: lambda character: unicodedata.category(character)[0] == "P",
    }
    points = _points()
    table = np.zeros(0x110000, np.uint8)
    for bit, test in tests.items():
        table[points[np.fromiter(map(test, _characters()), bool, len(points))]] |= bit
    for match in regex.finditer(r"\p{Sentence_Terminal}", "".join(_characters())):
        table[points[match.start()]] |= TERMINAL
    return table


def _make_word_breaks() -> Table:
    text = "".join(_characters())
    points = _points()
    table = np.zeros(0x110000, np.uint8)
    for name, value in _PROPERTIES.items():
        for match in regex.finditer(rf"\p{{{name}}}+", text):
            table[points[match.start() : match.end()]] = value
    for match in regex.finditer(r"\p{Extended_Pictographic}", text):
        point = points[match.start()]
        table[point] = PICTOGRAPHIC_LETTER if table[point] == A_LETTER else PICTOGRAPHIC
    return table


HARD = 0xFFFFFFFF
"""In `folds()`: a character that folds to several characters, or that may combine with the one before it."""


def _make_folds() -> Table:
    points = _points()
    table = np.full(0x110000, HARD, np.uint32)
    for point, character in zip(points.tolist(), _characters(), strict=True):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
        if len(folded) == 1 and not _joins(character) and not _joins(folded):
            table[point] = ord(folded)
    return table


def _joins(character: str) -> bool:
    """Whether a character may combine with the one before it: marks, and the later letters of a Hangul syllable."""
    return unicodedata.category(character)[0] == "M" or "\u1161" <= character <= "\u11ff"


def _kept(name: str, make: Callable[[], Table]) -> Table:
    """The table, mapped from disk; made and written there first if it is missing or damaged."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}-{regex.__version__}"
    return kept_array(cache_folder() / f"{name}-{version}.npy", make)


@cache
def classes() -> Table:
    """Bits per code point, ``uint8[0x110000]``: ALPHABETIC, ALPHANUMERIC, UPPERCASE, DIGIT, SPACE and DECIMAL as in Python's
    ``str`` methods of those names, PUNCTUATION (general category P), TERMINAL (the property Sentence_Terminal)."""
    return _kept("classes", _make_classes)


@cache
def folds() -> Table:
    """The character that each one becomes by NFKC, case folding and NFKC again: ``uint32[0x110000]``; HARD where that is not
    one character, or depends on its neighbours."""
    return _kept("folds", _make_folds)


@cache
def word_breaks() -> Table:
    """The Word_Break property per code point, ``uint8[0x110000]``, with Extended_Pictographic, which rule WB3c needs."""
    return _kept("word_breaks", _make_word_breaks)
