"""A sample of a corpus's texts, to train a tokenizer on.

Invariants: documents come from all over the input, chosen by a hash of the seed, the file and the row: equal inputs and seeds
give the same documents, in the input's order. Texts are read twice, and one batch is held.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import texts_of
from goldwash.pipeline.tokenization.permutation import uniform

FIRST = 100
"""Texts on which a new tokenizer is tried."""


@dataclass(frozen=True)
class Sample:
    """The documents of ``shards`` whose number (`uniform`) is below ``fraction``."""

    shards: Sequence[Input]
    fraction: float
    seed: int
    documents: int
    bytes: int

    def texts(self) -> Iterator[str]:
        """The texts, read again."""
        for shard, source in enumerate(self.shards):
            row = 0
            for table in read_batches(source):
                numbers = uniform(self.seed, "tokenizer", shard, np.arange(row, row + table.num_rows))
                row += table.num_rows
                yield from table["text"].take(np.flatnonzero(numbers < self.fraction)).to_pylist()

    def first(self) -> Iterator[str]:
        """The first texts."""
        for n, text in enumerate(self.texts()):
            if n >= FIRST:
                return
            yield text


def sample(shards: Sequence[Input], most_bytes: int, seed: int) -> Sample:
    """About ``most_bytes`` of texts, or all where there is less; a `DataError` where there is no text.

    The fraction is that of the bytes, so that the sample may have somewhat more or less.
    """
    documents = bytes_ = 0
    for source in shards:
        for table in read_batches(source):
            texts = texts_of(table, "text", source.path)
            documents, bytes_ = documents + len(texts), bytes_ + texts.bytes
    if not bytes_:
        raise DataError("there is no text to train a tokenizer on: the input has no document, or only empty ones")
    fraction = min(1.0, most_bytes / bytes_)
    chosen = Sample(shards, fraction, seed, documents, bytes_)
    if fraction == 1:
        return chosen
    sizes = [len(text.encode()) for text in chosen.texts()]
    if not sum(sizes):
        raise DataError(f"a sample of {most_bytes:,} bytes has no document: give more --megabytes")
    return Sample(shards, fraction, seed, len(sizes), sum(sizes))
