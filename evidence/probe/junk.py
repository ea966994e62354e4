"""Junk: rows of ids that teach nothing about the people.

Without the user's shards, it is biographies of people who never appear again (as in arXiv 2404.05405). With shards, it is
their text: words, hashed to `BUCKETS` ids beyond those of the biographies, cut into rows of the same length.
Invariants: equal seeds give equal rows; a row is full, begins with `BEGIN` and has no tag.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldwash.classifiers.examples import TrainingError, examples
from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.probe.people import BEGIN, LENGTH, WORDS, biographies, people
from goldwash.pipeline.storage.addresses import located
from goldwash.pipeline.storage.formats.parquet_rows import with_texts

Ids = NDArray[np.int32]
BUCKETS = 512
MOST_WORDS = 20_000_000
DROPPED = "dropped"  # a stage's folder of ids, rules and values


@dataclass(frozen=True)
class Junk:
    """A source of rows. ``words`` int32[words] are ids of the user's text, None for invented people."""

    words: Ids | None = None

    @property
    def vocabulary(self) -> int:
        """How many ids the model needs."""
        return len(WORDS) + (BUCKETS if self.words is not None else 0)

    @property
    def rows(self) -> int | None:
        """How many distinct rows there are; None for no end."""
        return None if self.words is None else len(self.words) // (LENGTH - 1)

    def draw(self, count: int, generator: np.random.Generator) -> Ids:
        """Fresh rows, int32[count, LENGTH]; a user's text begins at any word, so that rows overlap rather than repeat."""
        if self.words is None:
            return biographies(people(count, generator), generator)[0]
        starts = generator.integers(len(self.words) - LENGTH + 2, size=count)
        made = np.empty((count, LENGTH), np.int32)
        made[:, 0] = BEGIN
        made[:, 1:] = self.words[starts[:, None] + np.arange(LENGTH - 1)]
        return made


def from_texts(texts: Sequence[str], place: str) -> Junk:
    """Junk from texts. Raises `EvidenceError` where they hold less than one row of words."""
    ids: list[int] = []
    for text in texts:
        ids += [len(WORDS) + zlib.crc32(word.encode("utf-8", "surrogatepass")) % BUCKETS for word in text.split()]
        if len(ids) >= MOST_WORDS:
            break
    if len(ids) < LENGTH:
        raise EvidenceError(
            f"{place}: junk needs at least {LENGTH} words, found {len(ids)} in {len(texts)} documents; give other "
            "shards, or none for invented people"
        )
    return Junk(np.array(ids[:MOST_WORDS], np.int32))


def from_shards(names: Sequence[str]) -> Junk:
    """Junk from Parquet, JSONL, JSON or text files, folders of them, or ``RUN:STAGE``.

    Raises `EvidenceError` where they hold too little, and for a stage's ``dropped/``, which has ids and no texts.
    """
    for name in names:
        if Path(name).name == DROPPED:
            raise EvidenceError(
                f"--junk: {name} holds the ids of dropped documents, not their texts; give the shards that the stage read, "
                "such as RUN:extract, or write the texts to a file"
            )
    found, words = [], 0
    try:
        for example in (one for name in names for one in examples(located(name), joined=with_texts)):
            found.append(example.text)
            words += example.text.count(" ")
            if words >= MOST_WORDS:
                break
    except TrainingError as error:
        raise EvidenceError(f"--junk: {error}") from None
    return from_texts(found, ", ".join(names))
