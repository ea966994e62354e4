"""Means of weights have the bits of a sum in plain Python; tables find every word, however full they are."""

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldwash.classifiers.model_file import Floats
from goldwash.classifiers.word_weights import _half, _slot, _word_key, mean_weights, weight_table, weights_of
from goldwash.filters.jit import INTERPRETED
from goldwash.filters.ngrams import Hashes
from goldwash.filters.texts import Texts
from tests import reference
from tests.support.battery import LONG, alone
from tests.support.strategies import HOSTILE_BATTERY, TEXTS

BY_LENGTH = [
    *("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"[:n] for n in range(1, 41)), *("é" * n for n in range(1, 13)),
    *("中" * n for n in range(1, 9)), "🚀" * 5, "the", "word", "x" * 300,
]  # fmt: skip
"""Words of every length from 1 byte to 40, at the edges of which characters of two, three and four bytes lie."""

ODD = ["</s>", "</s", "__label__", "__label__x", "__label_", "unseen", "\u00a0", "é</s>", "</s></s>"]
GAPS = [" ", "  ", "\n", "\x1c", "\x85", "\u2028", "\u2029", "\0", "\x1f", ""]
PIECES = st.tuples(st.sampled_from([*BY_LENGTH, *ODD]), st.sampled_from(GAPS)).map("".join)


@cache
def model(buckets: int) -> tuple[dict[bytes, float], Hashes, Floats]:
    """Made-up weights of every second word, of ``</s>`` and of n-grams; sums of such numbers are rounded at every step."""
    known = Texts.of([*BY_LENGTH[::2], "</s>"])
    drawn = np.random.default_rng(buckets)
    weights = (drawn.normal(size=len(known)) * 10 ** drawn.uniform(-9, 9, len(known))).astype(np.float32)
    table = weight_table(known.utf8, known.starts, known.ends, weights.view(np.uint32))
    ngrams = (drawn.normal(size=buckets) * 10 ** drawn.uniform(-9, 9, buckets)).astype(np.float32)
    for array in (table, ngrams):
        array.flags.writeable = False
    return {word.encode(): float(w) for word, w in zip(known, weights, strict=True)}, table.reshape(-1).view(np.uint64), ngrams


def assert_means(texts: list[str], buckets: int, longest: int) -> None:
    words, entries, ngrams = model(buckets)
    expected = [reference.mean_weight(text, words, ngrams.astype(np.float64), longest) for text in texts]
    together = Texts.of(texts)
    assert mean_weights(together.utf8, together.starts, together.ends, entries, ngrams, longest).tolist() == expected
    for text, mean in zip(texts, expected, strict=True):
        row = alone(text)
        assert mean_weights(row.utf8, row.starts, row.ends, entries, ngrams, longest).tolist() == [mean], ascii(text)


SEPARATED = [f"{'x' * n}{gap}abc" for n in [*range(55, 70), *range(120, 132)] for gap in GAPS]
CROWDED = [f"{word} " * n for word in ("a", "ab", "abcdefghi", "é") for n in (1, 31, 32, 33, 222, 223, 224, 225, 256, 448, 500)]
LABELLED = ["__label__x " * 300 + "ab cd", "ab __label__x cd " * 100, "__label__x", "ab </s> cd " * 3, "a " * 224 + "</s> b"]


@pytest.mark.parametrize(("buckets", "longest"), [(97, 1), (97, 2), (97, 3), (97, 6), (0, 2), (2_000_000, 2), (2_000_000, 3)])
@given(texts=st.lists(st.lists(PIECES, max_size=400).map("".join), max_size=2) | TEXTS)
@example(texts=[*HOSTILE_BATTERY, *LONG])
@example(texts=SEPARATED)
@example(texts=CROWDED)
@example(texts=LABELLED)
@example(texts=[" ".join(BY_LENGTH), "\u2028".join(BY_LENGTH), *(word + " " for word in BY_LENGTH)])
def test_means_have_the_bits_of_a_plain_sum(buckets: int, longest: int, texts: list[str]) -> None:
    assert_means(texts, buckets, longest)


@pytest.mark.skipif(INTERPRETED, reason="minutes without the compiler")
@pytest.mark.parametrize("count", [1, 4, 5, 3000, 40_000, 150_000])
def test_every_word_is_found(count: int) -> None:
    words = Texts.of([f"{n:x}" * (1 + n % 4) for n in range(count)])
    weights = np.random.default_rng(count).normal(size=count).astype(np.float32)
    table = weight_table(words.utf8, words.starts, words.ends, weights.view(np.uint32))
    entries = table.reshape(-1).view(np.uint64)
    assert len(entries) >= 1.25 * count
    np.testing.assert_array_equal(weights_of(words.utf8, words.starts, words.ends, entries).view(np.float32), weights)
    others = Texts.of([f"·{n}" for n in range(count)])
    assert np.isnan(weights_of(others.utf8, others.starts, others.ends, entries).view(np.float32)).all()


@pytest.mark.parametrize("slots", [2, 7, 8, 9, 16, 17, 40])
def test_words_are_found_in_a_table_with_one_empty_slot(slots: int) -> None:
    """A search passes over all words, and goes on at the table's start."""
    words = Texts.of([f"word{n}" for n in range(slots - 1)])
    entries = np.zeros(slots, np.uint64)
    for row, (start, end) in enumerate(zip(words.starts, words.ends, strict=True)):
        key = np.uint64(_word_key(words.utf8, np.uint64(start), np.uint64(end)))
        slot = int(_slot(key, np.uint64(slots)))
        while entries[slot]:
            slot = (slot + 1) % slots
        entries[slot] = (row + 1) << 32 | int(_half(key))
    assert weights_of(words.utf8, words.starts, words.ends, entries).tolist() == list(range(1, slots))
    others = Texts.of([f"other{n}" for n in range(50)])
    assert set(weights_of(others.utf8, others.starts, others.ends, entries).tolist()) == {0x7FC00000}
