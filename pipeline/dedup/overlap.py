"""Where texts quote known sentences: an index of word sequences, and the walk that probes it.

Law: texts and needles are compared as sequences of normal words: UAX 29 words that begin alphanumeric, in NFKC, casefolded;
punctuation and white space do not count, so that a sentence wrapped over lines or set in capitals is found. Chinese,
Japanese and Thai have no spaces, and UAX 29 gives their characters one by one: a word is a character there.

A needle is found by the hash of its first (up to eight) words, looked up at every word, and confirmed by the hash of all of its
words, which follows from prefix sums in constant time. Time is linear in the words, whatever the number of needles.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from filters.cut import Bytes, Rows
from filters.jit import kernel
from filters.ngrams import FACTOR, Hashes, mixed, row_hash, table_size
from filters.texts import Texts

ANCHOR = 8


@dataclass(frozen=True, eq=False)
class Index:
    """Needles by the hash of their first words: an open-addressing table of chains.

    ``keys: uint64[slots]``; ``heads: int64[slots]`` the first needle + 1 of a slot's chain (0: empty slot); ``following:
    int64[K]`` the next needle + 1; ``lengths: int64[K]`` in words; ``full: uint64[K]`` hashes of all their words; ``widths:
    int64[*]`` the anchors' lengths that occur.
    """

    keys: Hashes
    heads: Rows
    following: Rows
    lengths: Rows
    full: Hashes
    widths: Rows

    @property
    def bytes(self) -> int:
        """Memory that the index takes."""
        arrays = (self.keys, self.heads, self.following, self.lengths, self.full)
        return int(sum(array.nbytes for array in arrays))


def normal_words(texts: Texts) -> Hashes:
    """A hash of each normal word, rows as in ``texts.uax29_words``: ``uint64[words]``."""
    words = texts.uax29_words
    hashed, plain = ascii_word_hashes(words.utf8, words.starts, words.ends)
    foreign = np.flatnonzero(~plain)
    if len(foreign):
        _, firsts, which = np.unique(hashed[foreign], return_index=True, return_inverse=True)
        rows = foreign[firsts]
        raw = (words.utf8[a:b].tobytes() for a, b in zip(words.starts[rows], words.ends[rows], strict=True))
        hashed[foreign] = np.fromiter(map(_normal_hash, raw), np.uint64, len(rows))[which]
    return np.asarray(hashed)


@lru_cache(maxsize=1 << 18)
def _normal_hash(raw: bytes) -> np.uint64:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", raw.decode()).casefold())
    one = Texts.of([text])
    return np.uint64(ascii_word_hashes(one.utf8, one.starts, one.ends)[0][0])


@kernel
def ascii_word_hashes(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """A hash of each word with ASCII capitals made small, and whether it is ASCII: ``uint64[N]``, ``bool[N]``."""
    out, plain = np.empty(len(starts), np.uint64), np.empty(len(starts), np.bool_)
    for row in range(len(starts)):
        bits = np.uint8(0)
        for i in range(starts[row], ends[row]):
            bits |= utf8[i]
        plain[row] = bits < 128
        out[row] = row_hash(utf8, starts[row], ends[row], True)
    return out, plain


def index_of(needles: Sequence[str]) -> Index:
    """An index of needles; one without a word is never found."""
    texts = Texts.of(list(needles))
    parents = texts.uax29_words.parents
    lengths, full, anchors = needle_hashes(normal_words(texts), parents, ANCHOR)
    size = int(table_size(len(needles)))
    keys, heads, following = chained(anchors, lengths, size)
    widths = np.unique(np.minimum(lengths[lengths > 0], ANCHOR))
    arrays = (keys, heads, following, lengths, full, widths)
    for array in arrays:
        array.flags.writeable = False
    return Index(*arrays)


@kernel
def needle_hashes(words: Hashes, parents: Rows, anchor: int) -> Any:
    """Of each needle its words, the hash of all of them, and the hash of its first ``anchor``."""
    count = len(parents) - 1
    lengths, full, anchors = np.empty(count, np.int64), np.empty(count, np.uint64), np.empty(count, np.uint64)
    for p in range(count):
        h, first = np.uint64(0), np.uint64(0)
        for word in range(parents[p], parents[p + 1]):
            h = h * FACTOR + words[word]
            if word - parents[p] < anchor:
                first = h
        lengths[p], full[p] = parents[p + 1] - parents[p], h
        anchors[p] = mixed(first + np.uint64(min(lengths[p], anchor)))
    return lengths, full, anchors


@kernel
def chained(anchors: Hashes, lengths: Rows, size: int) -> Any:
    """The table of an `Index`: ``keys``, ``heads``, ``following``; chains in the order of the needles."""
    keys, heads = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    following = np.zeros(len(anchors), np.int64)
    for needle in range(len(anchors) - 1, -1, -1):
        if lengths[needle] == 0:
            continue
        slot = np.int64(anchors[needle] & np.uint64(size - 1))
        while heads[slot] != 0 and keys[slot] != anchors[needle]:
            slot = (slot + 1) & (size - 1)
        keys[slot] = anchors[needle]
        following[needle] = heads[slot]
        heads[slot] = needle + 1
    return keys, heads, following


def found(texts: Texts, index: Index) -> tuple[Rows, Rows, Rows]:
    """Every place where a needle stands: text, first word (a row of ``texts.uax29_words``) and needle: ``int64[hits]`` each."""
    words, parents = normal_words(texts), texts.uax29_words.parents
    room = 1024
    while True:
        out = np.empty((room, 3), np.int64)
        hits = probe(
            words, parents, index.keys, index.heads, index.following, index.lengths, index.full, index.widths, ANCHOR, out
        )
        if hits <= room:
            return out[:hits, 0], out[:hits, 1], out[:hits, 2]
        room = hits


@kernel
def probe(
    words: Hashes, parents: Rows, keys: Hashes, heads: Rows, following: Rows, lengths: Rows, full: Hashes, widths: Rows,
    anchor: int, out: npt.NDArray[np.int64],
) -> Any:  # fmt: skip
    """How many hits there are; as many as fit go into ``out: int64[room, 3]``."""
    hits = np.int64(0)
    size = len(keys)
    longest = np.int64(0)
    for p in range(len(parents) - 1):
        longest = max(longest, parents[p + 1] - parents[p])
    sums, powers = np.zeros(longest + 1, np.uint64), np.ones(longest + 1, np.uint64)
    for k in range(longest):
        powers[k + 1] = powers[k] * FACTOR
    for p in range(len(parents) - 1):
        first, count = parents[p], parents[p + 1] - parents[p]
        for k in range(count):
            sums[k + 1] = sums[k] * FACTOR + words[first + k]
        for k in range(count):
            for width in widths:
                if k + width > count:
                    break
                h = mixed(sums[k + width] - sums[k] * powers[width] + np.uint64(width))
                slot = np.int64(h & np.uint64(size - 1))
                while heads[slot] != 0 and keys[slot] != h:
                    slot = (slot + 1) & (size - 1)
                needle = heads[slot] - 1
                while needle >= 0:
                    length = lengths[needle]
                    if min(length, anchor) == width and k + length <= count:
                        if sums[k + length] - sums[k] * powers[length] == full[needle]:
                            if hits < len(out):
                                out[hits, 0], out[hits, 1], out[hits, 2] = p, first + k, needle
                            hits += 1
                    needle = following[needle] - 1
    return hits
