"""An index of word sequences, and the kernel that finds them in texts.

Invariants:

* Texts and needles are compared as sequences of normal words: UAX 29 words that begin alphanumeric, in NFKC, casefolded.
  Punctuation and white space do not count, so that a sentence wrapped over lines or set in capitals is found. UAX 29 cuts
  Chinese, Japanese and Thai, which have no spaces, into single characters: a word is a character there.
* The hash of a needle's first words (up to eight) is looked up at every word of a text. A match is confirmed by the hash of all
  the needle's words, which prefix sums give in constant time. Time is linear in the words, whatever the number of needles.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.filters import ngrams
from goldwash.filters.bits import eight, first_eight
from goldwash.filters.characters import HARD, folds
from goldwash.filters.cut import Bytes, Rows, code_point
from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import FACTOR, Hashes, mixed, table_size, word_hash_and_length
from goldwash.filters.texts import Texts

ANCHOR = 8


@dataclass(frozen=True, eq=False)
class Index:
    """Needles by the hash of their first words: an open-addressing table of chains.

    ``keys: uint64[slots]``; ``heads: int32[slots]`` the first needle + 1 of a slot's chain (0: empty slot); ``following:
    int32[K]`` the next needle + 1; ``lengths: int32[K]`` in words; ``full: uint64[K]`` hashes of all their words; ``widths:
    int64[*]`` the lengths of anchors that occur. ``marks: uint64[*]``: a bitmap of the hashes of each needle's first words
    (four at most; the counts that occur are ``marked: int64[*]``). It fits into a near cache and rejects nearly every word of
    a text.
    """

    keys: Hashes
    heads: Any
    following: Any
    lengths: Any
    full: Hashes
    widths: Rows
    marks: Hashes
    marked: Rows

    @property
    def bytes(self) -> int:
        """Memory of the index, in bytes."""
        arrays = (self.keys, self.heads, self.following, self.lengths, self.full, self.marks)
        return int(sum(array.nbytes for array in arrays))


def normal_words(texts: Texts) -> Hashes:
    """A hash of each normal word, rows as in ``texts.uax29_words``: ``uint64[words]``."""
    words = texts.uax29_words
    hashed, plain = word_hashes(words.utf8, words.starts, words.ends, folds())
    hard = np.flatnonzero(~plain)
    if len(hard):
        _, firsts, which = np.unique(hashed[hard], return_index=True, return_inverse=True)
        rows = hard[firsts]
        raw = (words.utf8[a:b].tobytes() for a, b in zip(words.starts[rows], words.ends[rows], strict=True))
        hashed[hard] = np.fromiter(map(_normal_hash, raw), np.uint64, len(rows))[which]
    return np.asarray(hashed)


@lru_cache(maxsize=1 << 18)
def _normal_hash(raw: bytes) -> np.uint64:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", raw.decode()).casefold())
    data = np.frombuffer(text.encode(), np.uint8)
    return np.uint64(ngrams.word_hashes(data, np.array([0]), np.array([len(data)]))[0])


@kernel
def word_hashes(utf8: Bytes, starts: Rows, ends: Rows, folds: Any) -> Any:
    """A hash of each normal word, ``uint64[N]``, and whether it is one, ``bool[N]``: False where a character cannot be
    normalised on its own; the hash is then that of the raw word.
    """
    out, plain = np.empty(len(starts), np.uint64), np.empty(len(starts), np.bool_)
    longest = np.int64(0)
    for row in range(len(starts)):
        longest = max(longest, ends[row] - starts[row])
    normal = np.empty(4 * longest + 16, np.uint8)
    for row in range(len(starts)):
        begin, end = starts[row], ends[row]
        i, last = np.uint64(begin), np.uint64(end)
        bits = first_eight(utf8, i, last)
        if last - i > np.uint64(8):
            while i + np.uint64(16) < last:
                i += np.uint64(8)
                bits |= eight(utf8, i)
            bits |= eight(utf8, last - np.uint64(8))
        plain[row] = True
        if bits & np.uint64(0x8080808080808080) == np.uint64(0):
            out[row], _ = word_hash_and_length(utf8, begin, end, True)
            continue
        n = np.int64(0)
        while begin < end:
            point, begin = code_point(utf8, begin)
            fold = np.int64(folds[point])
            if fold == HARD:
                plain[row] = False
                break
            n = _encoded(fold, normal, n)
        if plain[row]:
            out[row], _ = word_hash_and_length(normal, np.int64(0), n, False)
        else:
            out[row], _ = word_hash_and_length(utf8, starts[row], end, False)
    return out, plain


@inline
def _encoded(point: int, out: Bytes, n: int) -> Any:
    """Write a character's UTF-8 at ``n``; returns the end."""
    if point < 0x80:
        out[n] = point
        return n + 1
    if point < 0x800:
        out[n], out[n + 1] = 0xC0 | (point >> 6), 0x80 | (point & 0x3F)
        return n + 2
    if point < 0x10000:
        out[n], out[n + 1], out[n + 2] = 0xE0 | (point >> 12), 0x80 | ((point >> 6) & 0x3F), 0x80 | (point & 0x3F)
        return n + 3
    out[n], out[n + 1] = 0xF0 | (point >> 18), 0x80 | ((point >> 12) & 0x3F)
    out[n + 2], out[n + 3] = 0x80 | ((point >> 6) & 0x3F), 0x80 | (point & 0x3F)
    return n + 4


def index_of(needles: Sequence[str]) -> Index:
    """An index of needles; one without a word is never found."""
    texts = Texts.of(list(needles))
    parents = texts.uax29_words.parents
    return index_of_runs(normal_words(texts), parents[:-1], parents[1:])


def index_of_runs(words: Hashes, firsts: Rows, lasts: Rows) -> Index:
    """An index of needles that are runs of words, given by their hashes: needle ``k`` is ``words[firsts[k]:lasts[k]]``."""
    lengths, full, anchors = needle_hashes(words, firsts, lasts, ANCHOR)
    keys, heads, following = chained(anchors, lengths, int(table_size(len(firsts))))
    widths = np.unique(np.minimum(lengths[lengths > 0], ANCHOR)).astype(np.int64)
    marks, marked = marked_beginnings(words, firsts, lasts)
    arrays = (keys, heads, following, lengths, full, widths, marks, marked)
    for array in arrays:
        array.flags.writeable = False
    return Index(*arrays)


@kernel
def needle_hashes(words: Hashes, firsts: Rows, lasts: Rows, anchor: int) -> Any:
    """For each needle: its number of words, the hash of all of them, and the hash of its first ``anchor`` words."""
    count = len(firsts)
    lengths, full, anchors = np.empty(count, np.int32), np.empty(count, np.uint64), np.empty(count, np.uint64)
    for p in range(count):
        h, first = np.uint64(0), np.uint64(0)
        for word in range(firsts[p], lasts[p]):
            h = h * FACTOR + words[word]
            if word - firsts[p] < anchor:
                first = h
        lengths[p], full[p] = lasts[p] - firsts[p], h
        anchors[p] = mixed(first + np.uint64(min(lengths[p], anchor)))
    return lengths, full, anchors


MARKED = 4


@kernel
def marked_beginnings(words: Hashes, firsts: Rows, lasts: Rows) -> Any:
    """`Index.marks` and `Index.marked`; the bitmap has at least 32 bits per needle."""
    size = np.int64(1024)
    while size < 32 * len(firsts):
        size *= 2
    marks, numbers = np.zeros(size // 64, np.uint64), np.zeros(MARKED + 1, np.bool_)
    for p in range(len(firsts)):
        n = min(lasts[p] - firsts[p], MARKED)
        if n == 0:
            continue
        h = np.uint64(0)
        for word in range(firsts[p], firsts[p] + n):
            h = h * FACTOR + words[word]
        bit = mixed(h) & np.uint64(size - 1)
        marks[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
        numbers[n] = True
    return marks, np.flatnonzero(numbers)


@kernel
def chained(anchors: Hashes, lengths: Any, size: int) -> Any:
    """The table of an `Index`: ``keys``, ``heads``, ``following``; chains are in the order of the needles."""
    keys, heads = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    following = np.zeros(len(anchors), np.int32)
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
    """Every match of a needle: text, first word (a row of ``texts.uax29_words``) and needle; ``int64[hits]`` each."""
    words, parents = normal_words(texts), texts.uax29_words.parents
    room = 1024
    while True:
        out = np.empty((room, 3), np.int64)
        hits = probe(
            words,
            parents,
            index.keys,
            index.heads,
            index.following,
            index.lengths,
            index.full,
            index.widths,
            index.marks,
            index.marked,
            ANCHOR,
            out,
        )
        if hits <= room:
            return out[:hits, 0], out[:hits, 1], out[:hits, 2]
        room = hits


@kernel
def probe(
    words: Hashes, parents: Rows, keys: Hashes, heads: Any, following: Any, lengths: Any, full: Hashes, widths: Rows,
    marks: Hashes, marked: Rows, anchor: int, out: npt.NDArray[np.int64],
) -> Any:  # fmt: skip
    """The number of matches; as many as fit are written to ``out: int64[room, 3]``."""
    hits = np.int64(0)
    size, mask = len(keys), np.uint64(64 * len(marks) - 1)
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
            begins = False
            for n in marked:
                if k + n <= count:
                    bit = mixed(sums[k + n] - sums[k] * powers[n]) & mask
                    begins |= (marks[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1) != np.uint64(0)
            if not begins:
                continue
            for width in widths:
                if k + width > count:
                    break
                h = mixed(sums[k + width] - sums[k] * powers[width] + np.uint64(width))
                slot = np.int64(h & np.uint64(size - 1))
                while heads[slot] != 0 and keys[slot] != h:
                    slot = (slot + 1) & (size - 1)
                needle = np.int64(heads[slot]) - 1
                while needle >= 0:
                    length = np.int64(lengths[needle])
                    if min(length, anchor) == width and k + length <= count:
                        if sums[k + length] - sums[k] * powers[length] == full[needle]:
                            if hits < len(out):
                                out[hits, 0], out[hits, 1], out[hits, 2] = p, first + k, needle
                            hits += 1
                    needle = np.int64(following[needle]) - 1
    return hits
