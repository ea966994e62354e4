"""What a code point is: tables that the kernels look characters up in.

Law: facts only, made from the Unicode data of the running Python (``str.isalpha`` and its kin, so that a kernel agrees with
what a plain-Python rule would say) and of the ``regex`` package (word-break properties, Unicode Standard Annex 29). Each
table has a row a code point (``[0x110000]``), and is made once a machine, then mapped from disk and shared by workers.
"""

import os
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

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

# Planes 4 to 13 hold nothing, 15 and 16 are for private use: no class and no break property there.
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
"""In `folds()`: a character that has no single one to stand for it, or that may join the one before."""


def _make_folds() -> Table:
    points = _points()
    table = np.full(0x110000, HARD, np.uint32)
    for point, character in zip(points.tolist(), _characters(), strict=True):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
        if len(folded) == 1 and not _joins(character) and not _joins(folded):
            table[point] = ord(folded)
    return table


def _joins(character: str) -> bool:
    """Whether a character may be composed with one before it: marks, and the later letters of a Hangul syllable."""
    return unicodedata.category(character)[0] == "M" or "\u1161" <= character <= "\u11ff"


def _kept(name: str, make: Callable[[], Table]) -> Table:
    """The table, mapped from disk; made and put there first where it is missing."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}-{regex.__version__}"
    file = cache_folder() / f"{name}-{version}.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as half:
            np.save(half, make())
        os.replace(half.name, file)
    return np.asarray(np.load(Path(file), mmap_mode="r"))


@cache
def classes() -> Table:
    """Bits a code point: ALPHABETIC, ALPHANUMERIC, UPPERCASE, DIGIT, SPACE, DECIMAL (as Python's ``str`` methods of those
    names have them), PUNCTUATION (general category P) and TERMINAL (the property Sentence_Terminal)."""
    return _kept("classes", _make_classes)


@cache
def folds() -> Table:
    """The character that each one is in NFKC, case-folded, then NFKC: ``uint32[0x110000]``; HARD where that is not one
    character, or depends on those around it."""
    return _kept("folds", _make_folds)


@cache
def word_breaks() -> Table:
    """The Word_Break property a code point, with Extended_Pictographic folded in (rule WB3c needs it)."""
    return _kept("word_breaks", _make_word_breaks)
