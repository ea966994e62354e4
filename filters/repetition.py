"""Signals of repetition within one text.

Invariants: "repeated" counts every occurrence of what occurs more than once, including the first (DCLM's reading of Gopher);
"duplicate" counts only the occurrences after the first (Gopher's table A1, datatrove, Dolma). Lines and paragraphs are
stripped and compared whole; their characters are the code points of these segments. n-grams are of UAX 29 words (or of
the words of another cutter than spaces) and case-sensitive; their characters are those of the words, without spaces.
"""

import numpy as np

from goldwash.filters.ngrams import hashes_and_lengths, ngram_shares, occurrences, repeated_share
from goldwash.filters.segmentation import SPACES, UAX29
from goldwash.filters.signals import Signal, Values, signal
from goldwash.filters.texts import Texts

LONGEST = 10


@signal
def repeated_line_fraction(texts: Texts) -> Values:
    """Fraction of lines that occur more than once; nan without lines (DCLM keeps up to 0.3)."""
    return _segments(texts.stripped_lines, by_character=False, beyond_first=False)


@signal
def repeated_paragraph_fraction(texts: Texts) -> Values:
    """Fraction of paragraphs that occur more than once; nan without paragraphs (DCLM keeps up to 0.3)."""
    return _segments(texts.paragraphs, by_character=False, beyond_first=False)


@signal
def repeated_line_character_fraction(texts: Texts) -> Values:
    """Fraction of characters in lines that occur more than once; nan without lines (DCLM keeps up to 0.2)."""
    return _segments(texts.stripped_lines, by_character=True, beyond_first=False)


@signal
def repeated_paragraph_character_fraction(texts: Texts) -> Values:
    """Fraction of characters in paragraphs that occur more than once; nan without any (DCLM keeps up to 0.2)."""
    return _segments(texts.paragraphs, by_character=True, beyond_first=False)


@signal
def duplicate_line_fraction(texts: Texts) -> Values:
    """Fraction of lines that occurred earlier; nan without lines (Gopher keeps up to 0.3: 2112.11446, A1)."""
    return _segments(texts.stripped_lines, by_character=False, beyond_first=True)


@signal
def duplicate_paragraph_fraction(texts: Texts) -> Values:
    """Fraction of paragraphs that occurred earlier; nan without paragraphs (Gopher keeps up to 0.3: 2112.11446, A1)."""
    return _segments(texts.paragraphs, by_character=False, beyond_first=True)


@signal
def duplicate_line_character_fraction(texts: Texts) -> Values:
    """Fraction of characters in lines that occurred earlier; nan without lines (Gopher keeps up to 0.2: 2112.11446, A1)."""
    return _segments(texts.stripped_lines, by_character=True, beyond_first=True)


@signal
def duplicate_paragraph_character_fraction(texts: Texts) -> Values:
    """Fraction of characters in paragraphs that occurred earlier; nan without any (Gopher keeps up to 0.2: 2112.11446, A1)."""
    return _segments(texts.paragraphs, by_character=True, beyond_first=True)


def _segments(segments: Texts, by_character: bool, beyond_first: bool) -> Values:
    def make(segments: Texts) -> Values:
        found, lengths = hashes_and_lengths(segments.utf8, segments.starts, segments.ends)
        return np.stack([*occurrences(found, segments.parents), lengths], axis=1)

    total, copy, lengths = np.ascontiguousarray(segments.remember("occurrences", make).T)
    weights = lengths if by_character else np.ones(len(segments), np.int64)
    return np.asarray(repeated_share(total, copy, weights, segments.parents, beyond_first))


def _cut_words(texts: Texts) -> Texts:
    """The UAX 29 words of texts that are cut at spaces, and the others' own words."""
    assert texts.cutters is not None
    if (texts.cutters != SPACES).all():
        return texts.words
    return texts.cut_by(np.where(texts.cutters == SPACES, UAX29, texts.cutters).astype(np.uint8)).words


def _ngrams(texts: Texts, beyond_first: bool) -> Values:
    """Fractions for all n at once: ``float64[N, 2, LONGEST + 1]``, of the top n-gram and of covered words."""

    def make(texts: Texts) -> Values:
        words = texts.uax29_words if texts.cutters is None else _cut_words(texts)
        word_hashes, lengths = hashes_and_lengths(words.utf8, words.starts, words.ends)
        return np.stack(ngram_shares(word_hashes, lengths, words.parents, LONGEST, beyond_first), axis=1)

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
