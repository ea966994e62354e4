"""Equal, paired samples: which documents each model is trained on.

Invariants: a document's place in the order of a seed follows from the seed and its text. Datasets that share documents
therefore share samples as far as they can (paired), and copies of a text stay together: a sample repeats as much as its dataset
does. All samples of a budget have exactly that many tokens; the last document is cut. Documents of more than `PIECE` tokens are
drawn in pieces, so that one huge document cannot be a whole sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldwash.classifiers.ngram.counts import Ids, Rows
from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
from goldwash.evidence.compare.documents import Store
from goldwash.filters.texts import Texts

Hashes = NDArray[np.uint64]
PIECE = 1 << 14
"""Tokens of a document that are drawn as one."""


@dataclass(frozen=True)
class Tokens:
    """Documents as tokens: ids ``int32[tokens]``, offsets ``int64[documents + 1]``."""

    ids: Ids
    offsets: Rows

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, tokens: int) -> "Tokens":
        """The first tokens; the last document is cut."""
        bounds = self.offsets[self.offsets < tokens]
        return Tokens(self.ids[:tokens], np.append(bounds, min(tokens, len(self.ids))).astype(np.int64))

    def between(self, begin: int, end: int) -> "Tokens":
        """The tokens from ``begin`` to before ``end``; documents are cut at both."""
        inner = self.offsets[(self.offsets > begin) & (self.offsets < end)]
        return Tokens(self.ids[begin:end], np.concatenate([[begin], inner, [end]]).astype(np.int64) - begin)


@dataclass(frozen=True)
class Pieces:
    """The store's texts in pieces of at most `PIECE` tokens.

    ``firsts: int64[texts + 1]``: the first piece of each text; ``starts``, ``ends: int64[pieces]``: places in ``ids``;
    ``keys: uint64[pieces]``: hashes of text and piece.
    """

    ids: Ids
    firsts: Rows
    starts: Rows
    ends: Rows
    keys: Hashes

    def of(self, rows: Rows) -> Rows:
        """The pieces of these texts, in order: ``int64[*]``."""
        counts = self.firsts[rows + 1] - self.firsts[rows]
        shifts = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(np.repeat(self.firsts[rows], counts) + shifts, np.int64)

    def tokens(self, pieces: Rows) -> int:
        """How many tokens these pieces have."""
        return int((self.ends[pieces] - self.starts[pieces]).sum())


def mixed(values: Hashes) -> Hashes:
    """The finaliser of MurmurHash3, for arrays."""
    h = values.astype(np.uint64)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray(h ^ (h >> np.uint64(33)))


def pieces_of(store: Store, tokenizer: ByteTokenizer) -> Pieces:
    """Encode the store's texts, and cut them into pieces."""
    ids, offsets = tokenizer.encode(Texts.of(store.texts))
    sizes = np.diff(offsets)
    counts = np.maximum(-(-sizes // PIECE), 1)
    firsts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    text = np.repeat(np.arange(len(sizes)), counts)
    number = np.arange(len(text)) - firsts[text]
    starts = offsets[text] + number * PIECE
    ends = np.minimum(starts + PIECE, offsets[text + 1])
    keys = mixed(np.array(store.hashes, np.uint64)[text] + number.astype(np.uint64))
    return Pieces(ids, firsts, starts, ends, keys)


def order(pieces: Pieces, chosen: Rows, seed: int) -> Rows:
    """Pieces in the order of a seed; copies are neighbours."""
    salt = mixed(np.array([seed + 1], np.uint64) * np.uint64(0x9E3779B97F4A7C15))[0]
    return np.asarray(chosen[np.argsort(mixed(pieces.keys[chosen] ^ salt), kind="stable")])


def sample(pieces: Pieces, chosen: Rows, seed: int, tokens: int) -> Tokens:
    """The first ``tokens`` tokens of the pieces in the order of a seed."""
    drawn = order(pieces, chosen, seed)
    sizes = pieces.ends[drawn] - pieces.starts[drawn]
    drawn = drawn[: int(np.searchsorted(np.cumsum(sizes), tokens)) + 1]
    ids = np.concatenate([pieces.ids[a:b] for a, b in zip(pieces.starts[drawn], pieces.ends[drawn], strict=True)])
    offsets = np.concatenate([[0], np.cumsum(pieces.ends[drawn] - pieces.starts[drawn])]).astype(np.int64)
    return Tokens(ids, offsets).cut(tokens)


def budgets(most: int, points: int) -> list[int]:
    """Budgets that double up to ``most``.

    >>> budgets(1000, 3)
    [250, 500, 1000]
    """
    return [max(most >> n, 1) for n in reversed(range(points))]


def tokenizer_of(stores: Sequence[Sequence[str]], vocabulary: int) -> ByteTokenizer:
    """A tokenizer trained on equal parts of each dataset's texts, so that it favours none."""
    from goldwash.classifiers.ngram.tokenizer import TRAINED_ON

    share = TRAINED_ON // len(stores)
    texts = list[str]()
    for store in stores:
        left = share
        for text in store:
            if left <= 0:
                break
            texts.append(text[:left])
            left -= len(texts[-1].encode())
    return ByteTokenizer.train(texts, vocabulary)
