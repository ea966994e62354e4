"""Models with character n-grams, scored by kernels: fastText's lid.176, GlotLID and their like.

Invariants: the likeliest label and its probability are fastText's own, to 1e-5 (``tests/classifiers`` checks it). The features
of a word are its own row, if the model knows it, and the rows of its character n-grams; the vector of a text is the mean of all
features (`classifiers.subword_vectors`). The rows of a model that is not quantised are mapped from its file, so that workers
share one copy (GlotLID has 1.7 GB of them).
fastText's own code for this is in ``dictionary.cc`` and ``loss.cc`` (0.9.2).
"""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.fasttext import PREFIX, Native, Probabilities, native, word_table
from goldwash.classifiers.model_file import HIERARCHICAL, SOFTMAX, SUPERVISED, Floats, Reader
from goldwash.classifiers.softmax import huffman_best, huffman_tree, softmax_best
from goldwash.classifiers.subword_vectors import AT_ONCE, KEPT_WORDS, text_vectors
from goldwash.filters.bits import NEWLINES, block, lowest
from goldwash.filters.cut import Bytes, Rows, room_for
from goldwash.filters.jit import copy_block, inline, kernel
from goldwash.filters.ngrams import Hashes, word_hashes
from goldwash.filters.texts import Texts


class WordMemory(threading.local):
    """The cached words' keys, numbers of features and vectors, which scoring changes: each thread has its own.

    Kernels run without the GIL: with one memory for all, threads got each other's words.
    """

    def __init__(self, words: int, dim: int) -> None:
        slots = words + AT_ONCE + 1
        sums = in_lines(np.zeros((slots, dim), np.float32))
        self.arrays = (np.zeros(words, np.uint64), np.zeros(slots, np.int32), sums)


@dataclass(frozen=True, eq=False)
class Subwords:
    """A supervised model with character n-grams and no word n-grams, and with hierarchical or plain softmax.

    ``keys: uint64[slots]``, ``ids: int32[slots]``: the rows of known words; ``sieve: uint64[slots // 8]``: a bit for each of
    them, since few of the words whose vectors are not cached are known. ``present: uint64[*]``: a bit for each n-gram bucket
    that has a row (pruning removes 98 of 100), and at least one more, which is 0. ``firsts: int32[*]``: per 64 buckets,
    the row of the first. An n-gram's row follows from both, which fit into a near cache; a table of rows by bucket would not.
    ``rows: float32[*, dim]``: of the words, then of the buckets in order, then one of zeros. ``output: float32[labels, dim]``:
    one row per inner node.
    ``children: int64[2 * labels - 1, 2]``: the Huffman tree (-1: a leaf).
    """

    labels: tuple[str, ...]
    keys: Hashes
    ids: npt.NDArray[np.int32]
    sieve: Hashes
    present: Hashes
    firsts: npt.NDArray[np.int32]
    buckets: int
    rows: Floats
    output: Floats
    """Of plain softmax, one row per label."""
    children: Rows | None
    """None for plain softmax."""
    minn: int
    maxn: int
    memory: WordMemory = field(repr=False)

    def likeliest(self, texts: Texts, newline: str = " ") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The index of each text's likeliest label and its probability: ``int64[N]``, ``float64[N]``.

        -1 and 0 for a text without a feature. ``newline`` replaces each newline: "" or " ".
        """
        vectors = self.vectors(Texts(*without_newlines(texts.utf8, texts.starts, texts.ends)) if newline == "" else texts)
        if self.children is None:
            best, scores = softmax_best(vectors, self.output)
        else:
            best, scores = huffman_best(vectors, self.output, self.children)
        return np.asarray(best), np.asarray(scores)

    def vectors(self, texts: Texts) -> Floats:
        """The mean of each text's feature rows, newlines as spaces: ``float32[N, dim]``; nan for a text without a feature."""
        features = (self.keys, self.ids, self.sieve, self.present, self.firsts, self.buckets, self.rows, self.minn, self.maxn)
        return np.asarray(text_vectors(texts.utf8, texts.starts, texts.ends, *features, *self.memory.arrays))


def can_read(head: Reader) -> bool:
    """Whether a model is of this kind: supervised, a softmax, character n-grams of up to 8, no word n-grams."""
    a = head.arguments
    kind = a["model"] == SUPERVISED and a["loss"] in (HIERARCHICAL, SOFTMAX)
    return bool(kind and a["word_ngrams"] <= 1 and 0 < a["minn"] <= a["maxn"] <= 8 and head.labels > 1)


@dataclass(frozen=True, eq=False)
class SubwordModel(Native):
    """A model whose likeliest labels the kernels find; fastText computes probabilities of other labels."""

    kernels: Subwords

    def likeliest(self, texts: Texts, newline: str = " ") -> tuple[npt.NDArray[np.str_], Probabilities]:
        """See `goldwash.classifiers.fasttext.Model`."""
        best, probabilities = self.kernels.likeliest(texts, newline)
        return np.array([*self.labels, ""])[best], probabilities


@dataclass(frozen=True)
class Later:
    """A model that fastText loads when it is first asked: the labels need no second copy of the rows."""

    path: str

    @cached_property
    def f(self) -> Any:
        """fastText's own object."""
        return native(self.path).native.f


def subword_model(path: str) -> SubwordModel | None:
    """The model in a file; None for other kinds of models, and for a quantised output, which the kernels do not read."""
    with Reader(path) as head:
        kernels = read(head) if can_read(head) else None
    return None if kernels is None else SubwordModel(kernels.labels, Later(path), path, kernels)


def read(head: Reader) -> Subwords | None:
    """The kernels' tables of a model whose head has been read; None if the output is quantised.

    `ModelError` names the first thing in the file that is wrong.
    """
    entries = head.entries()
    pruned = head.pruned_buckets()
    quantised, begins = head.input()
    if not quantised:
        head.check_dense_input(begins)
    output = head.output()
    if output is None:
        return None
    words = Texts.of([entry for entry, kind, _ in entries if kind == 0])
    counts = [count for _, kind, count in entries if kind == 1]
    hashed = word_hashes(words.utf8, words.starts, words.ends)
    keys, ids = word_table(hashed, np.arange(len(words), dtype=np.int32))
    sieve = word_sieve(hashed, len(keys))
    buckets = head.arguments["bucket"]
    bucket_rows = _bucket_rows(head.pruned, pruned, buckets)
    held = np.flatnonzero(bucket_rows >= 0)
    if quantised:
        wanted = np.concatenate([np.arange(len(words)), len(words) + bucket_rows[held]])
        rows = in_lines(np.concatenate([head.unpacked_rows(begins, wanted), np.zeros((1, head.arguments["dim"]), np.float32)]))
    else:
        rows = _mapped_rows(head, begins)
    padded = np.zeros((buckets // 64 + 1) * 64, np.uint8)
    padded[held] = 1
    present = np.packbits(padded, bitorder="little").view(np.uint64)
    before = np.cumsum(padded.reshape(-1, 64).sum(axis=1, dtype=np.int64))
    firsts = (np.concatenate([[0], before[:-1]]) + len(words)).astype(np.int32)
    labels = tuple(entry.removeprefix(PREFIX) for entry, kind, _ in entries if kind == 1)
    memory = WordMemory(KEPT_WORDS, rows.shape[1])
    tree = huffman_tree(np.array(counts, np.int64)) if head.arguments["loss"] == HIERARCHICAL else None
    for array in (keys, ids, sieve, present, firsts, rows, output, *(() if tree is None else (tree,))):
        array.flags.writeable = False
    sizes = (head.arguments["minn"], head.arguments["maxn"])
    return Subwords(labels, keys, ids, sieve, present, firsts, buckets, rows, output, tree, *sizes, memory)


def word_sieve(hashed: Hashes, slots: int) -> Hashes:
    """A bit for each known word (`subword_vectors.may_be_known`), of eight per slot: ``uint64[slots // 8]``."""
    sieve = np.zeros(slots // 8, np.uint64)
    place = (hashed >> np.uint64(20)) & np.uint64(slots * 8 - 1)
    np.bitwise_or.at(sieve, place >> np.uint64(6), np.uint64(1) << (place & np.uint64(63)))
    return sieve


def _bucket_rows(pruning: int, pruned: npt.NDArray[np.int32], buckets: int) -> Rows:
    """The row of each n-gram bucket, after the rows of the words; -1 if it was pruned: ``int64[bucket]``."""
    if pruning < 0:
        return np.arange(buckets)
    rows = np.full(buckets, -1, np.int64)
    rows[pruned[:, 0]] = pruned[:, 1]
    return rows


def _mapped_rows(head: Reader, begins: int) -> Floats:
    """The input matrix, mapped from the file, and the row of zeros that the kernels need after it.

    That row is written over the beginning of the output matrix, in a private copy of its page; the file stays as it is.
    """
    rows = np.memmap(head.path, "<f4", "c", begins, (head.rows + 1, head.arguments["dim"]))
    rows[-1] = 0
    return np.asarray(rows)


def in_lines(rows: Floats) -> Floats:
    """The same rows, aligned to a cache line: a row of 16 is then one memory access, not two."""
    room = np.empty(rows.nbytes + 64, np.uint8)
    first = -room.ctypes.data % 64
    out = room[first : first + rows.nbytes].view(np.float32).reshape(rows.shape)
    out[:] = rows
    return out


@kernel
def without_newlines(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Texts as one line each, newlines deleted: ``(utf8, starts, ends)``."""
    out = np.empty(room_for(starts, ends, 1, 0) + 64, np.uint8)
    out_starts, out_ends = np.empty_like(starts), np.empty_like(ends)
    n = np.uint64(0)
    for row in range(len(starts)):
        out_starts[row] = np.int64(n)
        i, last = np.uint64(starts[row]), np.uint64(ends[row])
        while i < last:
            found, after = block(utf8, i, last, NEWLINES), min(i + np.uint64(64), last)
            while found != np.uint64(0):
                newline = np.uint64(np.int64(i) + lowest(found))
                found = (found >> (newline - i)) >> np.uint64(1)
                n = _copied_block(utf8, i, newline, out, n)
                i = newline + np.uint64(1)
            n = _copied_block(utf8, i, after, out, n)
            i = after
        out_ends[row] = np.int64(n)
    return out, out_starts, out_ends


@inline
def _copied_block(utf8: Bytes, start: Any, end: Any, out: Bytes, at: Any) -> Any:
    """Copy up to 64 bytes; returns the place after them. All 64 are written if they are there: the size is then a constant."""
    if start + np.uint64(64) <= np.uint64(len(utf8)):
        copy_block(utf8, start, out, at)
    else:
        for k in range(end - start):
            out[at + k] = utf8[start + k]
    return at + (end - start)
