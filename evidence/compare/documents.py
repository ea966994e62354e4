"""The documents of datasets and targets, read once, and the target texts that a dataset contains.

Invariants: a text that several datasets hold is kept and encoded once (`Store`). Of a dataset too large for memory a part is
kept, chosen by a hash of each text, so that the parts of two datasets hold the same documents. Contamination is looked for in
every document that is read, not only in those kept. Empty documents and blank target texts are counted and left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldwash.classifiers.examples import TrainingError, examples
from goldwash.evidence.errors import EvidenceError
from goldwash.filters.ngrams import FACTOR, hashes
from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.benchmarks import PUBLISHED, SAMPLE, Item, items_of
from goldwash.pipeline.decontamination.matching import Rule, needles_of, quotes_of
from goldwash.pipeline.sample.crawl import positives
from goldwash.pipeline.storage.batches import read_batches
from goldwash.pipeline.storage.formats.parquet_rows import with_texts
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import exists, join
from goldwash.pipeline.storage.source import Reading
from goldwash.text_output import printable

Notify = Callable[[str], None]
Bools = NDArray[np.bool_]
LINES = (".txt", ".txt.gz", ".txt.zst")
"""Files of one text per line."""
BATCH = 4 << 20
OVERLAP = 0.5
"""A target text is contaminated if a dataset holds this fraction of its words, in runs of 13."""
RULE = Rule("ngram", min_words=8, ngram=13)


@dataclass(frozen=True)
class Named:
    """What the user named: datasets as NAME=PLACE, targets as PLACE or NAME=PLACE."""

    name: str
    places: tuple[str, ...]
    column: str = "text"
    """The column of a dataset's files that holds the text."""


@dataclass
class Store:
    """Distinct texts, in the order in which they were met."""

    texts: list[str] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)

    def number(self, value: int, text: str) -> int:
        """The number of a text in the store, by its hash; it is added if it is new."""
        found = self.numbers.setdefault(value, len(self.texts))
        if found == len(self.texts):
            self.texts.append(text)
            self.hashes.append(value)
        return found


@dataclass(frozen=True)
class Dataset:
    """A dataset as it was read. ``rows: int64[kept]``: numbers in the `Store`, copies included.

    ``documents``, ``bytes`` and ``empty`` count everything that was read; ``part`` is the fraction of texts that was kept.
    """

    name: str
    rows: NDArray[np.int64]
    documents: int
    bytes: int
    empty: int
    part: float


@dataclass(frozen=True)
class Target:
    """A target's texts that no dataset holds, and how many were left out because one does."""

    name: str
    texts: tuple[str, ...]
    contaminated: int = 0
    left_out: int = 0
    """Texts that were blank or copies of another."""


def text_batches(place: str, column: str = "text") -> Iterator[Texts]:
    """The texts of a place: a run (its dataset), a stage, Parquet, JSON lines, CSV, or a file of one text per line.

    Raises `DataError` where there is none.
    """
    if place.endswith(LINES) or "::" in place:
        yield from _examples(place)
        return
    named = f"{place}:dataset" if exists(join(place, "run.json")) else place
    for source in find_shards([named], Reading(text=column)):
        for table in read_batches(source, BATCH):
            yield Texts.of(table["text"])


def _examples(place: str) -> Iterator[Texts]:
    held, size = list[str](), 0
    try:
        for example in examples(place, blank=True, joined=with_texts):
            held.append(example.text.removesuffix("\n") if example.text.strip() else "")
            size += len(example.text)
            if size >= BATCH:
                yield Texts.of(held)
                held, size = [], 0
    except TrainingError as error:
        raise EvidenceError(str(error)) from None
    if held:
        yield Texts.of(held)


def read_dataset(named: Named, store: Store, most_bytes: int, found: "Contamination | None" = None) -> Dataset:
    """Read a dataset, keeping about ``most_bytes`` of its texts in the store.

    Raises `EvidenceError` where no document has text.
    """
    kept: list[tuple[int, int]] = []  # hash, number
    documents = size = empty = held = 0
    part = 1.0
    for place in named.places:
        for texts in text_batches(place, named.column):
            documents, size = documents + len(texts), size + texts.bytes
            empty += int((texts.byte_counts == 0).sum())
            if found is not None:
                found.look(texts, named.name)
            values = hashes(texts.utf8, texts.starts, texts.ends)
            for row in np.flatnonzero((texts.byte_counts > 0) & _within(values, part)).tolist():
                kept.append((int(values[row]), store.number(int(values[row]), texts[row])))
                held += int(texts.byte_counts[row])
            while held > most_bytes:
                part /= 2
                kept, held = _thinned(kept, store, part)
    if not kept:
        raise EvidenceError(
            f"{named.name}: no document with text in {', '.join(map(printable, named.places))} ({documents} read)"
        )
    return Dataset(named.name, np.array([number for _, number in kept], np.int64), documents, size, empty, part)


def _within(values: NDArray[np.uint64], part: float) -> Bools:
    """Whether a text is in the part that is kept: by other bits of its hash than sampling uses."""
    if part >= 1:
        return np.ones(len(values), np.bool_)
    return np.asarray((values * FACTOR) >> np.uint64(32) < np.uint64(part * 2**32))


def _thinned(kept: list[tuple[int, int]], store: Store, part: float) -> tuple[list[tuple[int, int]], int]:
    left = _within(np.array([value for value, _ in kept], np.uint64), part)
    out = [one for one, stays in zip(kept, left.tolist(), strict=True) if stays]
    return out, sum(len(store.texts[number].encode()) for _, number in out)


def read_target(named: Named) -> Target:
    """The texts of a target: ``sample``, a benchmark that is known by name, or what `classifiers.examples` reads.

    Of a benchmark's question the text is the question and its options, a line each. Raises `EvidenceError` where there is none.
    """
    found = [text for place in named.places for text in _target_texts(place)]
    texts = tuple(dict.fromkeys(text for text in found if text.strip()))
    if not texts:
        raise EvidenceError(f"target {named.name}: no text in {', '.join(map(printable, named.places))}; give a file of texts")
    return Target(named.name, texts, left_out=len(found) - len(texts))


def _target_texts(place: str) -> Iterable[str]:
    if place == SAMPLE:
        return [_sample_text(row) for row in positives(1)]
    if place in PUBLISHED and not Path(place).exists():
        return ["\n".join((item.question, *item.options)) for item in items_of(place)]
    if exists(join(place, "run.json")) or place.endswith((".csv", ".tsv")):
        return (text for texts in text_batches(place) for text in texts)
    try:
        return [example.text.removesuffix("\n") for example in examples(place, blank=True, joined=with_texts)]
    except TrainingError as error:
        raise EvidenceError(f"target: {error}") from None


def _sample_text(row: dict[str, object]) -> str:
    if "question" in row:
        return f"{row['question']}\n\n{row['answer']}"
    turns = row["conversations"]
    assert isinstance(turns, list)
    return "\n\n".join(str(turn["value"]) for turn in turns)


class Contamination:
    """Which words of which target texts the datasets hold."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = targets
        items = [Item(target.name, "", n, text, ()) for target in targets for n, text in enumerate(target.texts)]
        self.needles = needles_of(items, RULE)
        self.words: list[dict[str, Bools]] = [{} for _ in items]

    def look(self, texts: Texts, dataset: str) -> None:
        """Mark the words of targets that these texts of a dataset hold."""
        for quotes in quotes_of(texts, self.needles).values():
            for quote in quotes:
                mask = self.words[quote.item].setdefault(dataset, np.zeros(int(self.needles.sizes[quote.item]), np.bool_))
                for begin, end in quote.words:
                    mask[begin:end] = True

    def clean(self, overlap: float = OVERLAP) -> tuple[list[Target], dict[str, dict[str, int]]]:
        """The targets without contaminated texts; and of each target how many texts each dataset contaminates.

        Raises `EvidenceError` where nothing of a target is left.
        """
        out, told, at = list[Target](), dict[str, dict[str, int]](), 0
        for target in self.targets:
            left, counts = list[str](), dict[str, int]()
            for text in target.texts:
                holding = [name for name, mask in self.words[at].items() if mask.mean() >= overlap]
                for name in holding:
                    counts[name] = counts.get(name, 0) + 1
                if not holding:
                    left.append(text)
                at += 1
            if not left:
                where = ", ".join(f"{printable(name)} ({count})" for name, count in counts.items())
                raise EvidenceError(
                    f"target {target.name}: all of its {len(target.texts)} texts are in the datasets: {where}; give texts that "
                    "no dataset holds, or remove them from the datasets with `goldwash stage decontaminate`"
                )
            out.append(replace(target, texts=tuple(left), contaminated=len(target.texts) - len(left)))
            told[target.name] = counts
        return out, told
