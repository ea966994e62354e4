"""Hashes that tell rows apart, whatever their length."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from goldwash.filters.jit import kernel
from goldwash.filters.ngrams import hashes, lowered_hashes, short_word_hash, word_hashes
from goldwash.filters.texts import Texts
from tests import reference


def test_no_two_short_rows_share_a_hash() -> None:
    """Lengths are mixed in: "co" and "boo" differed by their length alone once, and shared a hash."""
    letters = "abcdefghijklmnopqrstuvwxyz.-0123"
    rows = ["".join(row) for n in range(4) for row in itertools.product(letters, repeat=n)]
    rows += [letters[:n] + letters[k:m] for n in range(4, 30, 3) for k in range(5) for m in range(k + 1, 30)]
    rows = list(dict.fromkeys(rows))
    texts = Texts.of(rows)
    assert len(np.unique(hashes(texts.utf8, texts.starts, texts.ends))) == len(rows)
    assert len(np.unique(word_hashes(texts.utf8, texts.starts, texts.ends))) == len(rows)


@given(st.lists(st.binary(max_size=20), max_size=8), st.sampled_from([1, 60, 230]))
def test_rows_hashed_together_have_the_hashes_of_each_alone(few: list[bytes], times: int) -> None:
    """Also the first and the last rows of a buffer, before and behind which there are no eight bytes; rows may overlap."""
    rows = few * times
    utf8 = np.frombuffer(b"".join(rows), np.uint8)
    ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
    starts = ends - np.array([len(row) for row in rows], np.int64)
    assert hashes(utf8, starts, ends).tolist() == [reference.row_hash(row) for row in rows]
    assert lowered_hashes(utf8, starts, ends).tolist() == [reference.row_hash(row.lower()) for row in rows]
    overlapping = [(a, b) for a in range(min(len(utf8), 20)) for b in range(a, min(len(utf8), 20) + 1)]
    if overlapping:
        first, last = np.array(overlapping, np.int64).T.copy()
        expected = [reference.row_hash(utf8[a:b].tobytes()) for a, b in overlapping]
        assert hashes(utf8, first, last).tolist() == expected


def test_a_lowered_hash_is_the_hash_of_the_lowered_row() -> None:
    rows = ["", "A", "aB", "XYZ[@`{", "ÄÖÜ ABC", "Hello World, how are YOU today?", "12345678ABCDEFGH"]
    capital, small = Texts.of(rows), Texts.of(["".join(c.lower() if c.isascii() else c for c in row) for row in rows])

    assert lowered_hashes(capital.utf8, capital.starts, capital.ends).tolist() == (
        hashes(small.utf8, small.starts, small.ends).tolist()
    )


@kernel
def short_hashes(eights, sizes):  # type: ignore[no-untyped-def]
    out = np.empty(len(sizes), np.uint64)
    for k in range(len(sizes)):
        out[k] = short_word_hash(eights[k, 0], eights[k, 1], sizes[k])
    return out


@given(st.binary(min_size=16, max_size=16))
def test_the_hash_of_a_short_word_follows_from_its_eights(data: bytes) -> None:
    utf8, sizes = np.frombuffer(data, np.uint8).copy(), np.arange(1, 17)
    found = short_hashes(np.tile(utf8.view(np.uint64), (16, 1)), sizes.astype(np.uint64))
    assert found.tolist() == word_hashes(utf8, np.zeros(16, np.int64), sizes).tolist()
