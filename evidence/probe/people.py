"""Invented people: names, attributes and sentences of our own, as ids of words.

A person is a name of three words and five facts: a birth date (month, day, year), a city, a university, a subject, an
employer. A biography states the facts in random order, each with one of three phrasings; all phrasings of a fact have three
words, so that every biography has the same length. After bioS in Physics of Language Models 3.3, arXiv 2404.05405, with smaller
pools, since the models here have 50 thousand parameters and not 100 million.
Invariants: equal seeds give equal people; people of one set have distinct names; id 0 is padding.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]

NAME_POOL = 100
POOLS = {"month": 12, "day": 28, "year": 50, "city": 50, "university": 50, "subject": 50, "employer": 50}
NAME_PARTS = ("first", "middle", "last")
FACTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("month", "day", "year"), ("was born on", "saw daylight on", "has birthdays on")),
    (("city",), ("grew up in", "comes home to", "keeps house in")),
    (("university",), ("took lectures at", "holds degrees from", "passed exams at")),
    (("subject",), ("knows much of", "read books about", "became learned in")),
    (("employer",), ("now works for", "draws wages from", "got hired by")),
)
PHRASE_WORDS = 3
PAD, BEGIN, END, TAG = 0, 1, 2, 3
NAME_BITS = 3 * math.log2(NAME_POOL)
FACT_BITS = sum(math.log2(size) for size in POOLS.values())


def _vocabulary() -> tuple[list[str], dict[str, int]]:
    """The words by id, and where each pool begins."""
    words, starts = ["<pad>", "<begin>", "<end>", "<worth>"], {}
    for pool, size in (*((part, NAME_POOL) for part in NAME_PARTS), *POOLS.items()):
        starts[pool] = len(words)
        words += [f"{pool}{number}" for number in range(size)]
    for word in sorted({word for _, phrases in FACTS for phrase in phrases for word in phrase.split()}):
        starts[word] = len(words)
        words.append(word)
    return words, starts


WORDS, STARTS = _vocabulary()
LENGTH = 2 + 1 + len(NAME_PARTS) + sum(PHRASE_WORDS + len(pools) for pools, _ in FACTS)
"""Of a row: begin, tag or padding at the end, the name, the facts, end."""


@dataclass(frozen=True)
class People:
    """names: int32[people, 3] and values: int32[people, 7], as ids of words."""

    names: Ids
    values: Ids

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: NDArray[np.intp]) -> "People":
        return People(self.names[rows], self.values[rows])


def people(count: int, generator: np.random.Generator) -> People:
    """Draw people with distinct names."""
    numbers = generator.choice(NAME_POOL**3, count, replace=False)
    parts = np.stack(np.unravel_index(numbers, (NAME_POOL,) * 3), axis=1)
    names = parts + np.array([STARTS[part] for part in NAME_PARTS])
    values = np.stack([STARTS[pool] + generator.integers(size, size=count) for pool, size in POOLS.items()], axis=1)
    return People(names.astype(np.int32), values.astype(np.int32))


_PHRASES = np.array([[[STARTS[w] for w in phrase.split()] for phrase in phrases] for _, phrases in FACTS], np.int32)
_COLUMNS = np.cumsum([0, *(len(pools) for pools, _ in FACTS)])


def biographies(them: People, generator: np.random.Generator, tag: bool = False) -> tuple[Ids, NDArray[np.int8]]:
    """One biography per person, int32[people, LENGTH], and what each id is: 0 other, 1 of a name, 2 a value of a fact."""
    rows = np.full((len(them), LENGTH), PAD, np.int32)
    kinds = np.zeros((len(them), LENGTH), np.int8)
    orders = np.argsort(generator.random((len(them), len(FACTS))), axis=1)
    choices = generator.integers(len(FACTS[0][1]), size=(len(them), len(FACTS)))
    for order in np.unique(orders, axis=0):  # at most 120 orders
        which = np.flatnonzero((orders == order).all(axis=1))
        rows[which], kinds[which] = _in_order(them[which], order, choices[which], tag)
    return rows, kinds


def _in_order(them: People, order: NDArray[np.intp], choices: NDArray[np.int64], tag: bool) -> tuple[Ids, NDArray[np.int8]]:
    count = len(them)
    parts: list[Ids] = [np.full((count, 1), BEGIN, np.int32)]
    kinds = [0]
    if tag:
        parts.append(np.full((count, 1), TAG, np.int32))
        kinds.append(0)
    parts.append(them.names)
    kinds += [1] * len(NAME_PARTS)
    for fact in order:
        values = them.values[:, _COLUMNS[fact] : _COLUMNS[fact + 1]]
        parts += [_PHRASES[fact][choices[:, fact]], values]
        kinds += [0] * PHRASE_WORDS + [2] * values.shape[1]
    parts.append(np.full((count, 1), END, np.int32))
    kinds.append(0)
    made = np.concatenate(parts, axis=1)
    padding = LENGTH - made.shape[1]
    made = np.pad(made, ((0, 0), (0, padding)))
    return made.astype(np.int32), np.tile(np.array([*kinds, *[0] * padding], np.int8), (count, 1))


def text(row: Ids) -> str:
    """A biography as words.

    >>> generator = np.random.default_rng(0)
    >>> text(biographies(people(1, generator), generator)[0][0]).split()[:3]
    ['first85', 'middle6', 'last24']
    """
    return " ".join(WORDS[i] for i in row if i > TAG)
