"""Signals of phrases and sentences.

Invariants: a phrase matches literally, ignoring ASCII case, also inside words. Sentences end at line ends and at sentence marks
(Unicode's Sentence_Terminal, then any closing quotes or brackets, then white space), and contain a letter or digit.
Abbreviations end sentences, unlike in the models of nltk and spaCy.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters import characters as c
from goldwash.filters.bits import block, lowest
from goldwash.filters.cut import NEWLINE, Bytes, Rows, code_point
from goldwash.filters.jit import inline, kernel
from goldwash.filters.signals import Values, signal
from goldwash.filters.texts import Texts


@signal
def phrase_count(texts: Texts, phrases: tuple[str, ...]) -> Values:
    """Number of these phrases that occur in the text, each counted once; 0 for an empty text (C4's "lorem ipsum", "{" ...)."""
    counts = np.zeros(len(texts), np.int64)
    for phrase in dict.fromkeys(phrase.lower() for phrase in phrases):
        counts += having(texts, phrase.encode())
    return counts


def having(texts: Texts, needle: bytes) -> npt.NDArray[np.bool_]:
    """Which texts contain a lower-case needle, ignoring ASCII case: ``bool[N]``. An empty needle is in every text."""
    rarest = sorted(range(len(needle)), key=lambda k: FREQUENT.find(needle[k]) % 256, reverse=True)[:2] or [0]
    searched = np.frombuffer(needle, np.uint8).copy()
    return np.asarray(containing(texts.utf8, texts.starts, texts.ends, searched, rarest[0], rarest[-1]))


FREQUENT = b" etaoinsrhldcumfpgwybvk"
"""The commonest bytes of English, in order. A needle is looked for by its two rarest bytes, the hyphen and g of "sign-in"."""


@signal
def sentence_count(texts: Texts) -> Values:
    """Sentences; 0 for an empty text. C4 keeps 3 and more (1910.10683, section 2.2)."""
    return np.asarray(sentence_counts(texts.utf8, texts.starts, texts.ends, c.classes()))


@inline
def _stands(utf8: Bytes, i: int, needle: Bytes) -> Any:
    """Whether a lower-case needle is at byte ``i``, ignoring ASCII case."""
    for k in range(len(needle)):
        b = utf8[i + k]
        if 65 <= b <= 90:
            b += 32
        if b != needle[k]:
            return False
    return True


@inline
def _either_case(utf8: Bytes, i: Any, last: Any, small: int) -> Any:
    """`block` of a byte, and of the capital if it is a small letter."""
    found = block(utf8, i, last, small)
    return found | block(utf8, i, last, small - 32) if 97 <= small <= 122 else found


@kernel
def containing(utf8: Bytes, starts: Rows, ends: Rows, needle: Bytes, place: int, other: int) -> Any:
    """Whether rows contain a lower-case needle, ignoring ASCII case: ``bool[N]``. An empty needle is in every row.

    ``place``, ``other``: the indices of the bytes of the needle that are looked for first.
    """
    out = np.zeros(len(starts), np.bool_)
    size = len(needle)
    for row in range(len(starts)):
        if size == 0:
            out[row] = True
            continue
        i, last = np.uint64(starts[row]), np.uint64(max(starts[row], ends[row] - size + 1))
        a, b = np.uint64(place), np.uint64(other)
        while i < last and not out[row]:
            found = _either_case(utf8, i + a, last + a, np.int64(needle[a])) & _either_case(
                utf8, i + b, last + b, np.int64(needle[b])
            )
            while found != np.uint64(0) and not out[row]:
                out[row] = _stands(utf8, np.int64(i) + lowest(found), needle)
                found &= found - np.uint64(1)
            i += np.uint64(64)
    return out


@inline
def _closes(point: int) -> Any:
    """Whether a quote or bracket may come between a sentence mark and the space after it."""
    return point == 34 or point == 39 or point == 41 or point == 93 or point == 0x2019 or point == 0x201D or point == 0xBB


@kernel
def sentence_counts(utf8: Bytes, starts: Rows, ends: Rows, classes: Bytes) -> Any:
    """Number of sentences of each row: ``int64[N]``."""
    out = np.zeros(len(starts), np.int64)
    for row in range(len(starts)):
        count, words, ended = np.int64(0), False, False
        i, end = starts[row], ends[row]
        while i < end:
            point, i = code_point(utf8, i)
            kind = classes[point]
            if point == NEWLINE or (ended and (kind & c.SPACE) != 0):
                count += words
                words, ended = False, False
            elif (kind & c.TERMINAL) != 0:
                ended = True
            elif not (ended and _closes(point)):
                ended = False
                words |= (kind & c.ALPHANUMERIC) != 0
        out[row] = count + words
    return out
