"""Models with character n-grams, scored by kernels: fastText's lid.176, GlotLID and their like.

Invariants: the likeliest label and its probability are fastText's own, to 1e-5 (``tests/classifiers`` checks it). The features
of a word are its own row, if the model knows it, and the rows of its character n-grams; the vector of a text is the mean of all
features. Web text repeats its words, so word vectors are cached in a direct-mapped table; caching never changes a result.
The rows of a model that is not quantised are mapped from its file, so that workers share one copy (GlotLID has 1.7 GB of them).
fastText's own code for this is in ``dictionary.cc`` and ``loss.cc`` (0.9.2).
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.fasttext import PREFIX, Native, Probabilities, is_label, native, word_table
from goldwash.classifiers.model_file import HIERARCHICAL, SOFTMAX, SUPERVISED, Floats, Reader
from goldwash.filters.bits import BEYOND_ASCII, FASTTEXT_SPACES, NEWLINES, bit_count, block, lowest, put_edges
from goldwash.filters.cut import Bytes, Rows, room_for
from goldwash.filters.jit import inline, kernel
from goldwash.filters.ngrams import Hashes, word_hash_and_length, word_hashes
from goldwash.filters.texts import Texts, copied

KEPT_WORDS = 1 << 15
"""Words whose vectors are cached: 2 MB at 16 dimensions. From 2^14 to 2^18 the speed on real pages is the same (2026-11)."""

LONGEST_PLAIN = 64
"""Bytes of the longest ASCII word, with ``<`` and ``>``, whose n-grams are gathered with those of other words."""

FLUSHED = 56
"""A word's rows are added when there are more than these, so that sums do not depend on how they are gathered."""

AT_ONCE = 224
"""Words that are looked up together (`text_vectors`); below 256, since a byte of a cached word's key numbers them."""

USUAL_BUCKETS = 2_000_000


@dataclass(frozen=True, eq=False)
class Subwords:
    """A supervised model with character n-grams and no word n-grams, and with hierarchical or plain softmax.

    ``keys: uint64[slots]``, ``ids: int32[slots]``: the rows of known words. ``present: uint64[*]``: a bit for each n-gram
    bucket that has a row (pruning removes 98 of 100). ``firsts: int32[*]``: per 64 buckets, the row of the first. An n-gram's
    row follows from both, which fit into a near cache; a table of rows by bucket would not. ``rows: float32[*, dim]``: of the
    words, then of the buckets in order, then one of zeros. ``output: float32[labels, dim]``: one row per inner node.
    ``children: int64[2 * labels - 1, 2]``: the Huffman tree (-1: a leaf). ``memory``: the cached words' keys, numbers of
    features and vectors, which scoring changes.
    """

    labels: tuple[str, ...]
    keys: Hashes
    ids: npt.NDArray[np.int32]
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
    memory: tuple[Any, Any, Any] = field(repr=False)

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
        features = (self.keys, self.ids, self.present, self.firsts, self.buckets, self.rows, self.minn, self.maxn)
        return np.asarray(text_vectors(texts.utf8, texts.starts, texts.ends, *features, *self.memory))


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
    keys, ids = word_table(word_hashes(words.utf8, words.starts, words.ends), np.arange(len(words), dtype=np.int32))
    buckets = head.arguments["bucket"]
    bucket_rows = _bucket_rows(head.pruned, pruned, buckets)
    held = np.flatnonzero(bucket_rows >= 0)
    if quantised:
        wanted = np.concatenate([np.arange(len(words)), len(words) + bucket_rows[held]])
        rows = in_lines(np.concatenate([head.unpacked_rows(begins, wanted), np.zeros((1, head.arguments["dim"]), np.float32)]))
    else:
        rows = _mapped_rows(head, begins)
    padded = np.zeros(-(-buckets // 64) * 64, np.uint8)
    padded[held] = 1
    present = np.packbits(padded, bitorder="little").view(np.uint64)
    before = np.cumsum(padded.reshape(-1, 64).sum(axis=1, dtype=np.int64))
    firsts = (np.concatenate([[0], before[:-1]]) + len(words)).astype(np.int32)
    labels = tuple(entry.removeprefix(PREFIX) for entry, kind, _ in entries if kind == 1)
    slots = KEPT_WORDS + AT_ONCE + 1
    sums = in_lines(np.zeros((slots, rows.shape[1]), np.float32))
    memory = (np.zeros(KEPT_WORDS, np.uint64), np.zeros(slots, np.int32), sums)
    tree = huffman_tree(np.array(counts, np.int64)) if head.arguments["loss"] == HIERARCHICAL else None
    for array in (keys, ids, present, firsts, rows, output, *(() if tree is None else (tree,))):
        array.flags.writeable = False
    sizes = (head.arguments["minn"], head.arguments["maxn"])
    return Subwords(labels, keys, ids, present, firsts, buckets, rows, output, tree, *sizes, memory)


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


def huffman_tree(counts: Rows) -> Rows:
    """The children of each node, leaves (labels) first, in the tree that fastText builds: ``int64[2L - 1, 2]``."""
    labels = len(counts)
    weights = np.full(2 * labels - 1, 10**15, np.int64)
    weights[:labels] = counts
    children = np.full((2 * labels - 1, 2), -1, np.int64)
    leaf, node = labels - 1, labels
    for inner in range(labels, 2 * labels - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[inner, side], leaf = leaf, leaf - 1
            else:
                children[inner, side], node = node, node + 1
        weights[inner] = weights[children[inner]].sum()
    return children


@kernel
def without_newlines(utf8: Bytes, starts: Rows, ends: Rows) -> Any:
    """Texts as one line each, newlines deleted: ``(utf8, starts, ends)``."""
    out = np.empty(room_for(starts, ends, 1, 0), np.uint8)
    out_starts, out_ends = np.empty_like(starts), np.empty_like(ends)
    n: Any = 0
    for row in range(len(starts)):
        out_starts[row] = n
        line = starts[row]
        i, last = np.uint64(line), np.uint64(ends[row])
        while i < last:
            found = block(utf8, i, last, NEWLINES)
            while found != np.uint64(0):
                newline = np.int64(i) + lowest(found)
                found &= found - np.uint64(1)
                n = copied(utf8, line, newline, out, n)
                line = newline + 1
            i += np.uint64(64)
        n = copied(utf8, line, ends[row], out, n)
        out_ends[row] = n
    return out, out_starts, out_ends


@inline
def short_hash(h: Any, b: Any) -> Any:
    """One byte more in fastText's 32-bit hash (FNV-1a over signed chars); the lower half of the result is that hash."""
    wide = b | np.uint64(0xFFFFFF00) if b >= np.uint64(128) else b
    return (h ^ wide) * np.uint64(16777619)


@inline
def _bucket(h: Any, buckets: int) -> Any:
    """An n-gram's bucket: the usual number is a constant, so that the compiler turns the division into a multiplication."""
    h = h & np.uint64(0xFFFFFFFF)
    return h % np.uint64(USUAL_BUCKETS) if buckets == USUAL_BUCKETS else h % np.uint64(buckets)


@inline
def _is_present(bucket: Any, present: Hashes) -> Any:
    """1 if a bucket has a row, else 0."""
    return np.int64((present[np.uint64(bucket) >> np.uint64(6)] >> (np.uint64(bucket) & np.uint64(63))) & np.uint64(1))


@inline
def _row_of(bucket: Any, present: Hashes, firsts: Any) -> Any:
    """The row of a bucket that has one."""
    place = np.uint64(bucket)
    below = (np.uint64(1) << (place & np.uint64(63))) - np.uint64(1)
    return np.int64(firsts[place >> np.uint64(6)]) + bit_count(present[place >> np.uint64(6)] & below)


@inline
def _add(total: Floats, rows: Floats, row: Any) -> Any:
    """Add a row; the 16 dimensions of lid.176 are one vector instruction if the compiler knows the number."""
    place = np.uint64(row)
    if len(total) == 16:
        for d in range(np.uint64(16)):
            total[d] += rows[place, d]
    else:
        for d in range(np.uint64(len(total))):
            total[d] += rows[place, d]


@inline
def _put(rows: Floats, row: Any, values: Floats) -> Any:
    place = np.uint64(row)
    for d in range(np.uint64(len(values))):
        rows[place, d] = values[d]


@inline
def _move(rows: Floats, source: Any, target: Any) -> Any:
    for d in range(np.uint64(rows.shape[1])):
        rows[target, d] = rows[source, d]


@inline
def _clear(values: Floats) -> Any:
    for d in range(np.uint64(len(values))):
        values[d] = 0


@inline
def _add_rows(total: Floats, rows: Floats, found: Rows, first: int, end: int) -> Any:
    """Add the rows ``found[first:end]``, four at a time, so that a sum does not wait for the one before.

    The last row of all is zero, and fills up the last four.
    """
    nothing = rows.shape[0] - 1
    for k in range(first, end, 4):
        a, b = np.uint64(found[k]), np.uint64(found[k + 1] if k + 1 < end else nothing)
        c, e = np.uint64(found[k + 2] if k + 2 < end else nothing), np.uint64(found[k + 3] if k + 3 < end else nothing)
        if len(total) == 16:
            for d in range(np.uint64(16)):
                total[d] += (rows[a, d] + rows[b, d]) + (rows[c, d] + rows[e, d])
        else:
            for d in range(np.uint64(len(total))):
                total[d] += (rows[a, d] + rows[b, d]) + (rows[c, d] + rows[e, d])


@inline
def _next_hash(h: Any, word: Bytes, i: Any) -> Any:
    """`short_hash` with an ASCII byte."""
    return (h ^ np.uint64(word[i])) * np.uint64(16777619)


@inline
def _put_ascii_grams(word: Bytes, size: int, buckets: int, grams: Rows, n: int) -> Any:
    """Write the buckets of an ASCII word's n-grams of 2 to 4 characters to ``grams[n:]``; returns the next ``n``."""
    end, at = np.uint64(size), np.uint64(n)
    for i in range(np.uint64(0), end - np.uint64(3)):
        h = _next_hash(_next_hash(np.uint64(2166136261), word, i), word, i + np.uint64(1))
        grams[at] = np.int64(_bucket(h, buckets))
        h = _next_hash(h, word, i + np.uint64(2))
        grams[at + np.uint64(1)] = np.int64(_bucket(h, buckets))
        grams[at + np.uint64(2)] = np.int64(_bucket(_next_hash(h, word, i + np.uint64(3)), buckets))
        at += np.uint64(3)
    h = _next_hash(_next_hash(np.uint64(2166136261), word, end - np.uint64(3)), word, end - np.uint64(2))
    grams[at] = np.int64(_bucket(h, buckets))
    grams[at + np.uint64(1)] = np.int64(_bucket(_next_hash(h, word, end - np.uint64(1)), buckets))
    h = _next_hash(_next_hash(np.uint64(2166136261), word, end - np.uint64(2)), word, end - np.uint64(1))
    grams[at + np.uint64(2)] = np.int64(_bucket(h, buckets))
    return np.int64(at) + 3


@inline
def _put_present_rows(grams: Rows, n: int, present: Hashes, firsts: Any, before: Rows, found: Rows) -> Any:
    """Write the rows of the first ``n`` buckets that have one to ``found``, and how many come before each to ``before``."""
    held = np.uint64(0)
    for k in range(np.uint64(n)):
        before[k] = np.int64(held)
        found[held] = grams[k]
        held += np.uint64(_is_present(grams[k], present))
    before[n] = np.int64(held)
    for k in range(held):
        found[k] = _row_of(found[k], present, firsts)


@inline
def _add_buckets(total: Floats, rows: Floats, present: Hashes, firsts: Any, found: Rows, held: Any) -> Any:
    """Add the rows of the first buckets of ``found``; returns their number."""
    for k in range(held):
        found[k] = _row_of(found[k], present, firsts)
    _add_rows(total, rows, found, 0, held)
    return held


@inline
def _add_ngrams(
    word: Bytes, size: int, present: Hashes, firsts: Any, buckets: int, rows: Floats, minn: int, maxn: int,
    found: Rows, total: Floats,
) -> Any:  # fmt: skip
    """Add the rows of a word's character n-grams (``word`` has ``<`` and ``>`` around it); returns their number.

    Whether the model has an n-gram cannot be predicted: buckets are gathered without a branch and their rows added afterwards.
    """
    features, held, i = np.int64(0), np.int64(0), np.int64(0)
    while i < size:
        h, j, n = np.uint64(2166136261), i, 1
        while j < size and n <= maxn:
            h = short_hash(h, np.uint64(word[j]))
            j += 1
            while j < size and (word[j] & 0xC0) == 0x80:
                h = short_hash(h, np.uint64(word[j]))
                j += 1
            if n >= minn and (n > 1 or (i > 0 and j < size)):
                found[held] = np.int64(_bucket(h, buckets))
                held += _is_present(found[held], present)
            n += 1
        if held > FLUSHED:
            features += _add_buckets(total, rows, present, firsts, found, held)
            held = np.int64(0)
        i += 1
        while i < size and (word[i] & 0xC0) == 0x80:
            i += 1
    return features + _add_buckets(total, rows, present, firsts, found, held)


@inline
def _add_word(h: Any, keys: Hashes, ids: Rows, rows: Floats, total: Floats) -> Any:
    """Add a known word's own row; returns the number of rows added."""
    key = max(h, np.uint64(1))
    slot = np.int64(key & np.uint64(len(keys) - 1))
    while keys[slot] != 0:
        if keys[slot] == key:
            _add(total, rows, np.int64(ids[slot]))
            return 1
        slot = (slot + 1) & (len(keys) - 1)
    return 0


@inline
def _bracketed(utf8: Bytes, begin: int, size: int, word: Bytes) -> Any:
    """Put a word's bytes and ``>`` into ``word``, which begins with ``<``; returns whether all are ASCII."""
    first = np.uint64(begin)
    if size <= 16 and first + np.uint64(16) <= np.uint64(len(utf8)):
        for k in range(np.uint64(16)):  # a copy of constant size is one instruction
            word[k + np.uint64(1)] = utf8[first + k]
    else:
        for k in range(np.uint64(size)):
            word[k + np.uint64(1)] = utf8[first + k]
    word[np.uint64(size) + np.uint64(1)] = 62
    i, last, beyond = first, first + np.uint64(size), np.uint64(0)
    while i < last:
        beyond |= block(utf8, i, last, BEYOND_ASCII)
        i += np.uint64(64)
    return beyond == np.uint64(0)


@inline
def _hash_words(utf8: Bytes, edges: Rows, words: int, hashed: Hashes, end_hash: Any) -> Any:
    """Write the hashes of words between edges to ``hashed``; returns how many come before a literal ``</s>``."""
    for k in range(np.uint64(words)):
        place = k << np.uint64(1)
        hashed[k], _ = word_hash_and_length(utf8, edges[place], edges[place + np.uint64(1)], False)
        if hashed[k] == end_hash:
            return np.int64(k)
    return words


@inline
def _look_up(hashed: Hashes, words: int, kept: Hashes, where: Rows, missed: Rows) -> Any:
    """The slots of words' vectors: those cached, and for each other word a fresh one behind them; returns the others' number.

    ``missed[k]`` is the word of the k-th fresh slot. Its key is entered at once with ``k + 1`` in its lowest byte, so that the
    word is found if it comes again. There is no branch: whether a word is cached cannot be predicted.
    """
    fresh = np.uint64(0)
    for k in range(np.uint64(words)):
        h = hashed[k]
        slot = (h >> np.uint64(40)) & np.uint64(len(kept) - 1)
        held = kept[slot]
        known = (held ^ h) >> np.uint64(8) == np.uint64(0)
        waiting = held & np.uint64(255)
        new = np.uint64(len(kept)) + fresh
        at = (slot if waiting == np.uint64(0) else np.uint64(len(kept)) + waiting - np.uint64(1)) if known else new
        kept[slot] = held if known else (h & ~np.uint64(255)) | (fresh + np.uint64(1))
        where[k] = np.int64(at)
        missed[fresh] = np.int64(k)
        fresh += np.uint64(not known)
    return np.int64(fresh)


@inline
def _add_words(total: Floats, sums: Floats, counts: Any, where: Rows, words: int) -> Any:
    """Add words' vectors in their order; returns the number of their features. The last vector of all is zero.

    Eight vectors are loaded for one load and store of the total, which would otherwise take longer than the additions.
    """
    features = np.int64(0)
    for k in range(np.uint64(8)):
        where[np.uint64(words) + k] = len(sums) - 1
    for k in range(np.uint64(0), np.uint64(words), np.uint64(8)):
        for j in range(np.uint64(8)):
            features += np.int64(counts[np.uint64(where[k + j])])
        a, b = np.uint64(where[k]), np.uint64(where[k + np.uint64(1)])
        c, e = np.uint64(where[k + np.uint64(2)]), np.uint64(where[k + np.uint64(3)])
        f, g = np.uint64(where[k + np.uint64(4)]), np.uint64(where[k + np.uint64(5)])
        p, q = np.uint64(where[k + np.uint64(6)]), np.uint64(where[k + np.uint64(7)])
        for d in range(np.uint64(16)) if len(total) == 16 else range(np.uint64(len(total))):
            half = (((total[d] + sums[a, d]) + sums[b, d]) + sums[c, d]) + sums[e, d]
            total[d] = (((half + sums[f, d]) + sums[g, d]) + sums[p, d]) + sums[q, d]
    return features


@kernel
def text_vectors(
    utf8: Bytes, starts: Rows, ends: Rows, keys: Hashes, ids: Rows, present: Hashes, firsts: Any, buckets: int,
    rows: Floats, minn: int, maxn: int, kept: Hashes, kept_counts: Any, kept_sums: Floats,
) -> Any:  # fmt: skip
    """The mean of each text's feature rows, newlines as spaces: ``float32[N, dim]``; nan for a text without a feature.

    Words are cut, hashed, looked up in the cache and added, `AT_ONCE` at a time, so that memory accesses overlap. The vectors
    of words that are not cached are made in between, behind those that are, and move to their slots at the end. Sums are in
    the order of the text.
    """
    dim = rows.shape[1]
    out = np.empty((len(starts), dim), np.float32)
    longest = np.int64(16)
    for row in range(len(starts)):
        longest = max(longest, ends[row] - starts[row])
    word = np.empty(longest + 2, np.uint8)
    word[0] = 60
    fresh, total = np.empty(dim, np.float32), np.empty(dim, np.float32)
    end_hash, _ = word_hash_and_length(np.array([60, 47, 115, 62], np.uint8), 0, 4, False)
    plain = minn == 2 and maxn == 4
    edges, bounds, some = np.empty(2 * AT_ONCE + 64, np.int64), np.empty((2, AT_ONCE), np.int64), np.empty(80, np.int64)
    grams, before, found = np.empty(2048, np.int64), np.empty(2049, np.int64), np.empty(2049, np.int64)
    hashed, where, missed = (
        np.empty(AT_ONCE + 32, np.uint64),
        np.empty(AT_ONCE + 32, np.int64),
        np.empty(AT_ONCE + 33, np.int64),
    )
    for row in range(len(starts)):
        total[:] = 0
        features, n = np.int64(0), np.int64(0)
        whole: Any = True
        i, last, outside = np.uint64(starts[row]), np.uint64(ends[row]), np.uint64(1)
        while whole:
            while i < last and n < 2 * AT_ONCE - 64:  # where words begin and end
                spaces = block(utf8, i, last, FASTTEXT_SPACES)
                if i + np.uint64(64) > last:
                    spaces |= ~np.uint64(0) << (last - i)
                n = put_edges(spaces, outside, i, edges, n)
                outside = spaces >> np.uint64(63)
                i += np.uint64(64)
            if i >= last and n & 1:
                edges[n] = ends[row]
                n += 1
            words = _hash_words(utf8, edges, n >> 1, hashed, end_hash)
            whole = i < last and words == n >> 1  # fastText takes a literal </s> for the end of the line
            new = _look_up(hashed, words, kept, where, missed)
            done: Any = np.int64(0)
            while done < new:  # the vectors of the others
                used, end = np.int64(0), done
                while end < new and used + 3 * LONGEST_PLAIN <= len(grams):
                    begin, stop = edges[2 * missed[end]], edges[2 * missed[end] + 1]
                    bounds[0, end] = used
                    if plain and stop - begin <= LONGEST_PLAIN - 2 and _bracketed(utf8, begin, stop - begin, word):
                        used = _put_ascii_grams(word, stop - begin + 2, buckets, grams, used)
                    bounds[1, end] = used
                    end += 1
                _put_present_rows(grams, used, present, firsts, before, found)
                for k in range(done, end):
                    begin, stop = edges[2 * missed[k]], edges[2 * missed[k] + 1]
                    _clear(fresh)
                    count = np.int64(0)
                    if not is_label(utf8, begin, stop):
                        count += _add_word(hashed[missed[k]], keys, ids, rows, fresh)
                        first, beyond = before[bounds[0, k]], before[bounds[1, k]]
                        if bounds[1, k] > bounds[0, k] and beyond - first <= FLUSHED:
                            _add_rows(fresh, rows, found, first, beyond)
                            count += beyond - first
                        else:
                            _bracketed(utf8, begin, stop - begin, word)
                            count += _add_ngrams(
                                word, stop - begin + 2, present, firsts, buckets, rows, minn, maxn, some, fresh
                            )
                    kept_counts[len(kept) + k] = count
                    _put(kept_sums, len(kept) + k, fresh)
                done = end
            features += _add_words(total, kept_sums, kept_counts, where, words)
            for k in range(new):
                slot = np.int64(hashed[missed[k]] >> np.uint64(40)) & (len(kept) - 1)
                if kept[slot] & np.uint64(255) == np.uint64(k + 1):
                    kept[slot] &= ~np.uint64(255)
                    kept_counts[slot] = kept_counts[len(kept) + k]
                    _move(kept_sums, np.uint64(len(kept) + k), np.uint64(slot))
            if n > 0:
                edges[0] = edges[n - 1]
            n &= 1
        features += _add_word(end_hash, keys, ids, rows, total)  # the line ends with </s>, which has a row but no n-grams
        for d in range(dim):
            out[row, d] = total[d] / np.float32(features) if features > 0 else np.float32(np.nan)
    return out


@kernel
def huffman_best(vectors: Floats, output: Floats, children: Rows) -> Any:
    """The leaf of the highest probability, and that probability: ``int64[N]``, ``float64[N]``; -1 and 0 for a vector of nan.

    Branches that can no longer win are skipped. The right child is the one whose probability is fastText's sigmoid.
    """
    nodes = len(children)
    labels = (nodes + 1) // 2
    best, scores = np.full(len(vectors), -1, np.int64), np.zeros(len(vectors), np.float64)
    stack, stack_scores = np.empty(nodes, np.int64), np.empty(nodes, np.float64)
    for row in range(len(vectors)):
        if np.isnan(vectors[row, 0]):
            continue
        highest = -np.inf
        stack[0], stack_scores[0], top = nodes - 1, 0.0, 1
        while top > 0:
            top -= 1
            node, score = stack[top], stack_scores[top]
            if score < highest:
                continue
            if children[node, 0] < 0:
                if score > highest:
                    highest, best[row] = score, node
                continue
            f = np.float32(0)
            for d in range(vectors.shape[1]):
                f += vectors[row, d] * output[node - labels, d]
            right = 1.0 / (1.0 + np.exp(-f))
            left_score, right_score = score + np.log(1.0 - right + 1e-5), score + np.log(right + 1e-5)
            first, second = (0, 1) if left_score < right_score else (1, 0)  # the likelier one is visited first
            stack[top], stack_scores[top] = children[node, first], min(left_score, right_score)
            stack[top + 1], stack_scores[top + 1] = children[node, second], max(left_score, right_score)
            top += 2
        scores[row] = np.exp(highest)
    return best, scores


LANES = 16
"""Partial sums of a dot product: they are one or two vectors, and their order does not depend on the processor."""


@kernel
def softmax_best(vectors: Floats, output: Floats) -> Any:
    """The label of the highest probability, and that probability: ``int64[N]``, ``float64[N]``; -1 and 0 for a vector of nan.

    fastText adds 1e-5 to each probability.
    """
    labels, dim = output.shape
    best, scores = np.full(len(vectors), -1, np.int64), np.zeros(len(vectors), np.float64)
    logits, sums = np.empty(labels, np.float32), np.empty(LANES, np.float32)
    whole = dim - dim % LANES
    for row in range(len(vectors)):
        if np.isnan(vectors[row, 0]):
            continue
        highest = np.float32(-np.inf)
        for label in range(labels):
            sums[:] = 0
            for d in range(np.uint64(0), np.uint64(whole), np.uint64(LANES)):
                for k in range(np.uint64(LANES)):
                    sums[k] += vectors[row, d + k] * output[label, d + k]
            f = np.float32(0)
            for k in range(LANES):
                f += sums[k]
            for d in range(whole, dim):
                f += vectors[row, d] * output[label, d]
            logits[label] = f
            if f > highest:
                highest, best[row] = f, label
        total = 0.0
        for label in range(labels):
            total += np.exp(np.float64(logits[label] - highest))
        scores[row] = 1.0 / total + 1e-5
    return best, scores
