"""An n-gram model: trained on tokens or texts, asked for log-probabilities, saved and loaded.

Invariants: equal tokens in equal order give equal models and equal files. After any context, the probabilities of all tokens
and of the document's end sum to 1 (interpolated Witten-Bell, `classifiers.ngram.counts`). A file is hostile until `load` has
checked its header against its size, its checksum, and that its table can be searched. A loaded table is mapped, so that
processes share it.
"""

import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.ngram.counts import Floats, Ids, Rows, Table, count, distinct, faults, log2_probabilities, stream
from goldwash.classifiers.ngram.tokenizer import VOCABULARY, ByteTokenizer
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

ORDER = 5
LONGEST_ORDER = 16
LARGEST_VOCABULARY = (1 << 24) - 2
"""A row's key has 24 bits for its last token, and the end is a token."""
MOST_TOKENS = (1 << 32) - 1
"""Occurrences are counted in 32 bits."""
LOAD = 0.72
"""The part of the table that is occupied at the end."""
MAGIC, VERSION = b"GWNGRAM\n", 1
HEADER = struct.Struct("<8sIIIIQQII")
"""Magic, version, order, vocabulary, 0, rows, bytes of the tokenizer, CRC-32 of the tokenizer and of the table."""
ALIGNED = 64


def _frozen(values: npt.ArrayLike, dtype: type) -> npt.NDArray[Any]:
    """A read-only, contiguous array, so that each kernel sees one type."""
    view: npt.NDArray[Any] = np.ascontiguousarray(values, dtype).view(np.ndarray)
    view.flags.writeable = False
    return view


def _tokens(ids: npt.ArrayLike, offsets: npt.ArrayLike, vocab: int) -> tuple[Ids, Rows]:
    """Checked tokens of documents; `ModelError` says what is wrong with them."""
    given, bounds = np.asarray(ids), _frozen(offsets, np.int64)
    if (
        given.ndim != 1
        or bounds.ndim != 1
        or not len(bounds)
        or bounds[0] != 0
        or bounds[-1] != len(given)
        or (np.diff(bounds) < 0).any()
    ):
        raise ModelError(
            f"expected offsets that rise from 0 to {given.size} tokens, found {bounds[:3].tolist()} ... {bounds[-1:].tolist()}"
        )
    if len(given) and (given.min() < 0 or given.max() >= vocab):
        raise ModelError(
            f"expected ids from 0 to {vocab - 1}, found {given.min()} to {given.max()}: these are tokens of another tokenizer"
        )
    return _frozen(given, np.int32), bounds


class Counter:
    """Counts of n-grams that grow: for a model after each part of its data.

    ``ids``, ``offsets``: all the documents that will be added, which decide the table's size. Raises `ModelError` for ids
    outside of the vocabulary, an order or a vocabulary out of range, and documents without a token.
    """

    def __init__(self, ids: npt.ArrayLike, offsets: npt.ArrayLike, vocab: int, order: int = ORDER) -> None:
        if not 1 <= order <= LONGEST_ORDER:
            raise ModelError(f"expected an order from 1 to {LONGEST_ORDER}, found {order}")
        if not 1 <= vocab <= LARGEST_VOCABULARY:
            raise ModelError(f"expected a vocabulary of 1 to {LARGEST_VOCABULARY:,} tokens, found {vocab:,}")
        self.vocab, self.order, self.tokens = vocab, order, 0
        whole, begins = stream(*_tokens(ids, offsets, vocab), vocab)
        if not len(whole):
            raise ModelError("a model needs at least one token, and every document is empty: give other texts")
        words = 1 << max(len(whole).bit_length() - 6, 10)
        expected = distinct(whole, begins, order, words)
        self.table: Table = np.zeros((vocab + 2 + int(expected / LOAD) + 64, 2), np.uint64)

    def add(self, ids: npt.ArrayLike, offsets: npt.ArrayLike, times: int = 1) -> None:
        """Count documents, as if each were there ``times`` times.

        Raises `ModelError` where the counts would pass 32 bits, or where these are other documents than the table was made for.
        """
        tokens, begins = stream(*_tokens(ids, offsets, self.vocab), self.vocab)
        self.tokens += len(tokens) * times
        if times < 1 or self.tokens > MOST_TOKENS:
            raise ModelError(f"an n-gram model counts 1 to {MOST_TOKENS:,} tokens, found {self.tokens:,}: give fewer texts")
        if count(tokens, begins, self.order, self.table, self.vocab, times) < 0:
            raise ModelError("the table is full: add only documents that it was made for")

    def model(self, tokenizer: ByteTokenizer | None = None) -> "NgramModel":
        """The model of what was added so far. It shares the table: it changes with the next `add`."""
        if not self.table[0, 1]:
            raise ModelError("a model needs at least one token: add documents first")
        return NgramModel(_frozen(self.table, np.uint64), self.vocab, self.order, tokenizer)


@dataclass(frozen=True, eq=False)
class NgramModel:
    """A trained model. ``table: uint64[rows, 2]`` is that of `classifiers.ngram.counts`; ``order``: the longest n-gram."""

    table: Table
    vocab: int
    order: int = ORDER
    tokenizer: ByteTokenizer | None = None

    @staticmethod
    def train(ids: npt.ArrayLike, offsets: npt.ArrayLike, vocab: int, order: int = ORDER) -> "NgramModel":
        """A model of documents: ids ``int[tokens]`` below ``vocab``, offsets ``int[documents + 1]``.

        Raises `ModelError` as `Counter` does.
        """
        counter = Counter(ids, offsets, vocab, order)
        counter.add(ids, offsets)
        return counter.model()

    @staticmethod
    def of_texts(
        texts: Iterable[str], vocabulary: int = VOCABULARY, order: int = ORDER, tokenizer: ByteTokenizer | None = None
    ) -> "NgramModel":
        """A model of texts, with a tokenizer trained on them if none is given. All tokens are held at once, in 4 bytes each."""
        first, second = tee(texts) if tokenizer is None else (iter(()), iter(texts))
        made = tokenizer or ByteTokenizer.train(first, vocabulary)
        ids, sizes = list[Ids](), list[Rows]()
        for batch in _texts(second):
            found, bounds = made.encode(batch)
            ids.append(found)
            sizes.append(np.diff(bounds))
        whole = np.concatenate([np.zeros(0, np.int32), *ids])
        offsets = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *sizes]))]).astype(np.int64)
        counter = Counter(whole, offsets, made.vocab, order)
        counter.add(whole, offsets)
        return counter.model(made)

    @property
    def bytes(self) -> int:
        """Memory that the table takes."""
        return int(self.table.nbytes)

    def log2_probability(self, ids: npt.ArrayLike, offsets: npt.ArrayLike) -> Floats:
        """The log2 probability of each token given those before it in its document: ``float64[tokens]``, finite, below 0.

        Raises `ModelError` for ids outside of the vocabulary.
        """
        return np.asarray(log2_probabilities(*_tokens(ids, offsets, self.vocab), self.table, self.vocab, self.order))

    def encode(self, texts: Texts) -> tuple[Ids, Rows]:
        """Texts as tokens of the model's own tokenizer; `ModelError` if it has none."""
        if self.tokenizer is None:
            raise ModelError("this n-gram model has no tokenizer: train it on texts, or encode the texts yourself")
        return self.tokenizer.encode(texts)

    def bits(self, texts: Texts) -> Floats:
        """Bits of each text, ``float64[N]``; 0 for an empty one. Over its bytes, they are its bits per byte."""
        ids, offsets = self.encode(texts)
        sums = np.concatenate([[0.0], np.cumsum(-self.log2_probability(ids, offsets))])
        return np.asarray(sums[offsets[1:]] - sums[offsets[:-1]])

    def save(self, path: str | Path) -> None:
        """Write the model: equal bytes for equal models; a file appears whole or not at all."""
        words = self.tokenizer.definition.encode() if self.tokenizer else b""
        table = np.ascontiguousarray(self.table, "<u8")
        sums = zlib.crc32(words), zlib.crc32(table.data)
        head = HEADER.pack(MAGIC, VERSION, self.order, self.vocab, 0, len(table), len(words), *sums) + words
        half = Path(f"{path}.half")
        with half.open("wb") as file:
            file.write(head + bytes(-len(head) % ALIGNED))
            table.tofile(file)
        os.replace(half, path)

    @staticmethod
    def load(path: str | Path) -> "NgramModel":
        """The model in a file, mapped; `ModelError` says what is wrong with it."""
        try:
            return _loaded(Path(path))
        except OSError as error:
            raise ModelError(
                f"no n-gram model at {printable(path)} ({error.strerror or error}): give the path of one"
            ) from error


def is_ngram_file(path: str | Path) -> bool:
    """Whether a file begins as an n-gram model of goldwash's does."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _loaded(path: Path) -> NgramModel:
    shown, size = printable(path), path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEADER.size)
        if head[: len(MAGIC)] != MAGIC:
            raise ModelError(f"{shown} is not an n-gram model of goldwash: it begins with {head[:8]!r}; expected {MAGIC!r}")
        if len(head) < HEADER.size:
            raise ModelError(f"{shown} is truncated at byte {size}: copy it again, or train it again")
        _, version, order, vocab, _, rows, words, *sums = HEADER.unpack(head)
        begins = -(-(HEADER.size + words) // ALIGNED) * ALIGNED
        fault = _fault(version, order, vocab, rows, size - begins)
        if fault:
            raise ModelError(f"{shown} is not a whole n-gram model: {fault}; copy it again, or train it again")
        text = file.read(words)
    table = np.memmap(path, "<u8", "r", begins, (rows, 2))
    if zlib.crc32(text) != sums[0] or zlib.crc32(table.data) != sums[1]:
        raise ModelError(f"{shown} is damaged: its checksum is another; copy it again, or train it again")
    frozen = _frozen(table, np.uint64)
    wrong, empty = faults(frozen, vocab)
    if wrong or not empty:
        raise ModelError(f"{shown} is not a whole n-gram model: {wrong} rows are impossible, {empty} are empty; train it again")
    tokenizer = ByteTokenizer(text.decode("utf-8", "replace"), f"the tokenizer of {shown}") if words else None
    if tokenizer is not None and tokenizer.vocab != vocab:
        raise ModelError(f"{shown}: its tokenizer has {tokenizer.vocab} tokens, its counts {vocab}: train it again")
    return NgramModel(frozen, vocab, order, tokenizer)


def _fault(version: int, order: int, vocab: int, rows: int, left: int) -> str:
    """What is wrong with a header, in words; "" for nothing. ``left``: bytes of the file after the tokenizer."""
    if version != VERSION:
        return f"it has the version {version}; this goldwash reads {VERSION}"
    if not 1 <= order <= LONGEST_ORDER:
        return f"it has the order {order}; expected 1 to {LONGEST_ORDER}"
    if not 1 <= vocab <= LARGEST_VOCABULARY:
        return f"it has a vocabulary of {vocab}; expected 1 to {LARGEST_VOCABULARY}"
    if left != rows * 16 or rows < vocab + 3:
        return f"it has {rows} rows for {vocab} tokens in {left} bytes"
    return ""


def _texts(texts: Iterable[str], at_once: int = 1 << 24) -> Iterable[Texts]:
    held, size = list[str](), 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= at_once:
            yield Texts.of(held)
            held, size = [], 0
    if held:
        yield Texts.of(held)
