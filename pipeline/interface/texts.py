"""Measure, score, compare and check texts in memory.

Invariants: every number comes from the signals, scorers and stages that recipes use. A signal or score depends on its text
alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from goldwash.classifiers import language
from goldwash.classifiers.fasttext import ModelError
from goldwash.classifiers.loader import load
from goldwash.classifiers.quality import scores
from goldwash.filters.signals import SIGNALS, Signal
from goldwash.filters.texts import Texts
from goldwash.pipeline.interface.frames import Frame, Rows
from goldwash.pipeline.interface.memory import Applied, Data, apply, stage
from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.storage.batches import BATCH_BYTES
from goldwash.pipeline.storage.failures import DataError

COPY = re.compile(r"copy of (?:(\d+):)?(\d+)")
"""The detail of a dropped copy, which names the kept document: ``copy of SHARD:ROW``, or ``copy of ID``."""


def signals() -> dict[str, str]:
    """Every signal that can be measured: its name and a summary.

    >>> signals()["character_count"]
    'Code points; 0 for an empty text.'
    """
    return {name: SIGNALS[name].summary for name in sorted(SIGNALS)}


def measure(data: Any, *wanted: str | Signal, text: str = "text", url: str = "url") -> dict[str, npt.NDArray[Any]]:
    """Measure signals of texts: ``{name: array[N]}``, each ``int64[N]`` or ``float64[N]``; nan where a signal is undefined.

    ``data`` is what `apply` accepts. A signal is a name, or a signal with its parameters bound. Signals of URLs measure the
    column ``url``; of plain strings, the strings themselves. Raises `RecipeError` for an unknown signal, with the nearest name.

    >>> {name: values.tolist() for name, values in measure(["one two", ""], "word_count", "character_count").items()}
    {'word_count': [2, 0], 'character_count': [7, 0]}
    """
    if not wanted:
        raise TypeError("give at least one signal, as measure(texts, 'word_count'); goldwash.signals() lists them")
    bound = [_signal(each) for each in wanted]
    if len({each.name for each in bound}) < len(bound):
        raise TypeError("two of the signals have the same name: measure them one after the other")
    frame = Frame.of(data, text, url)
    plain = frame.source.column_names == [text]
    rows = {"text": frame.texts, "url": frame.texts if plain else frame.urls}
    made: dict[str, list[npt.NDArray[Any]]] = {each.name: [] for each in bound}
    for each in bound:
        if each.column == "row":
            made[each.name].append(each.of_rows(frame.table.to_pylist()))
    for column in ("text", "url"):
        asked = [each for each in bound if each.column == column]
        texts = rows[column]
        if asked and texts is None:
            raise DataError(f"{asked[0].name} measures URLs, and there is no column {url!r}: name the URLs' column with url=")
        for some in batches(texts) if asked and texts is not None else ():
            for each in asked:
                made[each.name].append(each.measure(some))
    return {name: np.concatenate(parts) for name, parts in made.items()}


def _signal(wanted: str | Signal) -> Signal:
    if isinstance(wanted, Signal):
        return wanted
    if not isinstance(wanted, str):
        raise TypeError(f"expected a signal, or the name of one; found {type(wanted).__name__}")
    if wanted not in SIGNALS:
        raise RecipeError(f"no signal is called {wanted!r}: {nearest(wanted, list(SIGNALS))}")
    return SIGNALS[wanted].bind()


def batches(texts: Texts) -> list[Texts]:
    """Texts in batches of about `BATCH_BYTES`, which stay in a core's cache; one empty batch for no texts."""
    ends = np.cumsum(texts.byte_counts)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique([0, *np.searchsorted(ends, np.arange(BATCH_BYTES, total, BATCH_BYTES)).tolist(), len(texts)])
    edges = cuts.tolist() if len(cuts) > 1 else [0, len(texts)]
    return [texts.take(np.arange(a, b)) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class Classifier:
    """A classifier: a fastText model, a fold of one, or a language model, on disk or fetched."""

    place: str
    label: str | None = None

    @cached_property
    def path(self) -> Any:
        """The model's file."""
        return language.located(self.place)

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's labels, without fastText's prefix."""
        return tuple(load(self.path).labels)

    def __call__(self, data: Any, *, label: str | None = None, text: str = "text") -> npt.NDArray[np.float32]:
        """The probability of a label for each text: ``float32[N]``; of the better of two labels if none is named."""
        texts = Frame.of(data, text).texts
        return np.concatenate([scores(some, self.path, label or self.label) for some in batches(texts)])

    def likeliest(self, data: Any, *, text: str = "text") -> tuple[list[str], npt.NDArray[np.float64]]:
        """Each text's likeliest label and its probability: N strings, ``float64[N]``; "" and 0 where there is none."""
        found = [language.likeliest(some, self.place) for some in batches(Frame.of(data, text).texts)]
        return [str(label) for labels, _ in found for label in labels], np.concatenate([p for _, p in found])


def classifier(place: str, label: str | None = None) -> Classifier:
    """Load a classifier: ``.bin``, ``.ftz`` or ``.fold``, by path, ``https://``, ``hf://OWNER/REPO/FILE``, or ``lid.176.ftz``.

    Raises `FetchError` where there is no such file, and `ModelError` where it is no model or has no such label.
    """
    made = Classifier(str(place), label)
    if label is not None and label not in made.labels:
        raise ModelError(f"{place} has no label {label!r}; it has: {', '.join(made.labels)}")
    _ = made.labels
    return made


@dataclass(frozen=True)
class NearDuplicates:
    """Which texts are nearly the same. ``copy_of: int64[N]``: the row that is kept for each text; a kept text's own row."""

    copy_of: Rows

    @property
    def kept(self) -> Rows:
        """The rows that are kept: ``int64[K]``."""
        return np.flatnonzero(self.copy_of == np.arange(len(self.copy_of)))

    @property
    def groups(self) -> list[list[int]]:
        """The rows of each group of two or more, the kept one first; in the order of the kept rows."""
        found: dict[int, list[int]] = {}
        for row, kept in enumerate(self.copy_of.tolist()):
            if row != kept:
                found.setdefault(kept, [kept]).append(row)
        return [found[kept] for kept in sorted(found)]


def near_duplicates(
    data: Any, *, recipe: str | None = "baseline", text: str = "text", url: str = "url", workers: int = 1, **parameters: Any
) -> NearDuplicates:
    """Find texts that are nearly the same, with the stage ``minhash`` and a recipe's parameters.

    In ``baseline`` a text goes if its counted Jaccard similarity, over 5-word shingles, with a longer text that stays is at
    least 0.7. Parameters change that, as ``check=0.8``, ``bands=..., rows=...`` or ``keep="first"``.

    >>> gold = "the pan and the river give the gold that the miner has sought for all his life"
    >>> near_duplicates([gold, "something else altogether is said in this text", gold + "!"]).groups
    [[2, 0]]
    """
    frame = Frame.of(data, text, url)
    made = stage("minhash", recipe, **parameters)
    result = apply(made, frame.table, workers=workers)
    copy_of = np.arange(len(frame.texts))
    starts = np.linspace(0, len(copy_of), min(max(1, workers), max(len(copy_of), 1)) + 1).astype(np.int64)
    for row, detail in zip(result.dropped["row"].to_pylist(), result.dropped["detail"].to_pylist(), strict=True):
        found = COPY.match(detail or "")
        if found is None:
            raise DataError(f"stage minhash dropped row {row} and says {detail!r}: expected 'copy of ...'")
        shard, place = found.groups()
        copy_of[row] = int(place) + (int(starts[int(shard)]) if shard is not None else 0)
    return NearDuplicates(copy_of)


def decontaminate(
    data: Data,
    benchmarks: str | Sequence[str] = ("mmlu",),
    *,
    recipe: str | None = "baseline",
    text: str = "text",
    url: str = "url",
    workers: int = 1,
    **parameters: Any,
) -> Applied[Data]:
    """Drop the documents that quote benchmark questions, with the stage ``decontaminate`` and a recipe's parameters.

    ``benchmarks``: names or files, as in a recipe. `Applied.hits` tells which items each document quotes.
    ``action="annotate"`` drops nothing, ``action="delete"`` cuts the quoted strings out.

    >>> result = decontaminate(["A text that quotes nothing."], "sample")
    >>> len(result.kept), result.hits.num_rows
    (1, 0)
    """
    names = benchmarks if isinstance(benchmarks, str) else tuple(map(str, benchmarks))
    made = stage("decontaminate", recipe, **{**parameters, "benchmarks": names})
    return apply(made, data, text=text, url=url, workers=workers)
