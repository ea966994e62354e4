"""Signals of repetition within one text.

Invariants: "repeated" counts every occurrence of what occurs more than once, including the first (DCLM's reading of Gopher);
"duplicate" counts only the occurrences after the first (Gopher's table A1, datatrove, Dolma). Lines and paragraphs are
stripped and compared whole; their characters are the code points of these segments. n-grams are of UAX 29 words (or of
the words of another cutter than spaces) and case-sensitive; their characters are those of the words, without spaces.
"""

import numpy as np

from goldwash.filters import characters as c
from goldwash.filters.ngrams import ngram_shares
from goldwash.filters.segmentation import SPACES, UAX29
from goldwash.filters.segments import (
    CHARACTERS,
    DUPLICATE_CHARACTERS,
    DUPLICATE_SEGMENTS,
    LINES,
    PARAGRAPHS,
    REPEATED_CHARACTERS,
    REPEATED_SEGMENTS,
    SEGMENTS,
    fraction,
)
from goldwash.filters.signals import Signal, Values, signal
from goldwash.filters.texts import Texts

LONGEST = 10


@signal
def repeated_line_fraction(texts: Texts) -> Values:
    """Fraction of lines that occur more than once; nan without lines (DCLM keeps up to 0.3)."""
    return fraction(texts, LINES, REPEATED_SEGMENTS, SEGMENTS, np.nan)


@signal
def repeated_paragraph_fraction(texts: Texts) -> Values:
    """Fraction of paragraphs that occur more than once; nan without paragraphs (DCLM keeps up to 0.3)."""
    return fraction(texts, PARAGRAPHS, REPEATED_SEGMENTS, SEGMENTS, np.nan)


@signal
def repeated_line_character_fraction(texts: Texts) -> Values:
    """Fraction of characters in lines that occur more than once; nan without lines (DCLM keeps up to 0.2)."""
    return fraction(texts, LINES, REPEATED_CHARACTERS, CHARACTERS, np.nan)


@signal
def repeated_paragraph_character_fraction(texts: Texts) -> Values:
    """Fraction of characters in paragraphs that occur more than once; nan without any (DCLM keeps up to 0.2)."""
    return fraction(texts, PARAGRAPHS, REPEATED_CHARACTERS, CHARACTERS, np.nan)


@signal
def duplicate_line_fraction(texts: Texts) -> Values:
    """Fraction of lines that occurred earlier; nan without lines (Gopher keeps up to 0.3: 2112.11446, A1)."""
    return fraction(texts, LINES, DUPLICATE_SEGMENTS, SEGMENTS, np.nan)


@signal
def duplicate_paragraph_fraction(texts: Texts) -> Values:
    """Fraction of paragraphs that occurred earlier; nan without paragraphs (Gopher keeps up to 0.3: 2112.11446, A1)."""
    return fraction(texts, PARAGRAPHS, DUPLICATE_SEGMENTS, SEGMENTS, np.nan)


@signal
def duplicate_line_character_fraction(texts: Texts) -> Values:
    """Fraction of characters in lines that occurred earlier; nan without lines (Gopher keeps up to 0.2: 2112.11446, A1)."""
    return fraction(texts, LINES, DUPLICATE_CHARACTERS, CHARACTERS, np.nan)


@signal
def duplicate_paragraph_character_fraction(texts: Texts) -> Values:
    """Fraction of characters in paragraphs that occurred earlier; nan without any (Gopher keeps up to 0.2: 2112.11446, A1)."""
    return fraction(texts, PARAGRAPHS, DUPLICATE_CHARACTERS, CHARACTERS, np.nan)


def _cut_words(texts: Texts) -> Texts:
    """The UAX 29 words of texts that are cut at spaces, and the others' own words."""
    assert texts.cutters is not None
    if (texts.cutters != SPACES).all():
        return texts.words
    return texts.cut_by(np.where(texts.cutters == SPACES, UAX29, texts.cutters).astype(np.uint8)).words


def _ngrams(texts: Texts, beyond_first: bool) -> Values:
    """Fractions for all n at once: ``float64[N, 2, LONGEST + 1]``, of the top n-gram and of covered words."""

    def make(texts: Texts) -> Values:
        cut = texts.cutters is None
        rows = texts.whole if cut else _cut_words(texts)
        tables = (c.classes(), c.word_breaks())
        shares = ngram_shares(rows.utf8, rows.starts, rows.ends, rows.parents, *tables, cut, LONGEST, beyond_first)
        return np.stack(shares, axis=1)

    return np.asarray(texts.remember(("ngram_shares", beyond_first), make))


def _top(n: int) -> Signal:
    def measure(texts: Texts) -> Values:
        return _ngrams(texts, beyond_first=False)[:, 0, n]

    measure.__doc__ = f"Word characters in the most frequent {n}-gram, times its count; 0 without repeats (Gopher, table A1)."
    return signal(name=f"top_{n}gram_character_fraction")(measure)


def _repeated(n: int) -> Signal:
    def measure(texts: Texts) -> Values:
        return _ngrams(texts, beyond_first=False)[:, 1, n]

    measure.__doc__ = f"Word characters in {n}-grams that occur more than once, each word once (DCLM); 0 without."
    return signal(name=f"repeated_{n}gram_character_fraction")(measure)


def _duplicate(n: int) -> Signal:
    def measure(texts: Texts) -> Values:
        return _ngrams(texts, beyond_first=True)[:, 1, n]

    measure.__doc__ = f"Word characters in {n}-grams that occurred earlier, each word once (Gopher, table A1); 0 without."
    return signal(name=f"duplicate_{n}gram_character_fraction")(measure)


TOP = {n: _top(n) for n in range(2, 5)}
REPEATED = {n: _repeated(n) for n in range(5, LONGEST + 1)}
DUPLICATE = {n: _duplicate(n) for n in range(5, LONGEST + 1)}
