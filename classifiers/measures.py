"""Model-based measures as scorers: one number per text, from a model that a word names.

Invariants:

- `KINDS` is the only list. A kind loads a `Measure` from its address and knows nothing of columns, stages or workers.
- The column is called by the name that the recipe gives, else ``KIND_WHAT``, as ``perplexity_log_probability``. Its type is
  float32. A text that cannot be measured has null, and `quality` never keeps it.
- More is better for every kind, so that `quality` keeps the top fraction of any.

===========================  =========================================================================================
``perplexity:FILE``          mean log probability per token, of an n-gram model or a KenLM file (`classifiers.perplexity`)
``topk:MODEL#k=10``          mean log probability of a language model's k likeliest tokens (`classifiers.topk`)
``embedding:FILE``           probability by a linear head on an embedding (`classifiers.linear`)
``ask:URL#model=NAME``       probability of "yes" by an OpenAI-compatible server (`classifiers.ask`)
``pagerank:FILE``            PageRank of the host or the domain (`classifiers.ranks`)
``prior:FILE``               nearness to the usual mean and deviation of log unigram probabilities (`classifiers.prior`)
``target:FILE``              similarity to the nearest target text (`classifiers.targets`)
===========================  =========================================================================================

They are six of the seven filters that DCLM compared (arXiv 2406.11794, section 4.4, table 4), and two newer ones. The seventh,
SemDeDup, compares documents with each other, and is a stage.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.classifiers.model_file import ModelError
from goldwash.filters.texts import Texts

Numbers = npt.NDArray[np.float64]


class Measure(Protocol):
    """A model that gives each text a number."""

    def measure(self, texts: Texts, table: pa.Table) -> Numbers:
        """The numbers: ``float64[N]``, nan for a text that cannot be measured. ``table`` has all columns of the batch."""
        ...

    def versions(self) -> dict[str, str]:
        """What decides the numbers besides the address: digests of files, versions of packages."""
        ...

    @property
    def file_name(self) -> str | None:
        """A name for the file that `save` writes; None if workers need no file."""
        ...

    def save(self, path: str) -> None:
        """Write the file that workers open."""
        ...


Loader = Callable[[str, str | None], Measure]
"""Loads the measure of an address and a label. Modules are imported when a kind is first used: some need much."""


def _perplexity(address: str, label: str | None) -> Measure:
    from goldwash.classifiers.perplexity import perplexity

    return perplexity(address, label)


def _topk(address: str, label: str | None) -> Measure:
    from goldwash.classifiers.topk import topk

    return topk(address, label)


def _embedding(address: str, label: str | None) -> Measure:
    from goldwash.classifiers.linear import measure

    return measure(address, label)


def _ask(address: str, label: str | None) -> Measure:
    from goldwash.classifiers.ask import ask

    return ask(address, label)


def _pagerank(address: str, label: str | None) -> Measure:
    from goldwash.classifiers.ranks import ranks

    return ranks(address, label)


def _prior(address: str, label: str | None) -> Measure:
    from goldwash.classifiers.prior import prior

    return prior(address, label)


def _target(address: str, label: str | None) -> Measure:
    from goldwash.classifiers.targets import targets

    return targets(address, label)


KINDS: dict[str, tuple[Loader, str]] = {
    "perplexity": (_perplexity, "log_probability"),
    "topk": (_topk, "log_probability"),
    "embedding": (_embedding, "probability"),
    "ask": (_ask, "probability"),
    "pagerank": (_pagerank, "value"),
    "prior": (_prior, "likeness"),
    "target": (_target, "similarity"),
}
"""For each prefix, its loader and the end of its column's name."""

WHOLE = ("ask",)
"""Kinds whose file holds the settings behind ``#``, too."""


@dataclass(frozen=True)
class MeasureScorer:
    """A `Measure` as a scorer. It is loaded when it is first needed."""

    kind: str
    place: str
    name: str | None = None
    label: str | None = None

    @cached_property
    def loaded(self) -> Measure:
        """The measure; `ModelError` if its model is missing, broken, or has no such label."""
        return KINDS[self.kind][0](self.place, self.label)

    @property
    def score(self) -> str:
        """See `classifiers.scorers.Scorer`."""
        return self.name or f"{self.kind}_{KINDS[self.kind][1]}"

    @property
    def fields(self) -> dict[str, pa.DataType | None]:
        """See `classifiers.scorers.Scorer`."""
        return {self.score: pa.float32()}

    def columns(self, texts: Texts, table: pa.Table) -> dict[str, pa.Array]:
        """See `classifiers.scorers.Scorer`; null where there is no number."""
        if not len(texts):
            return {self.score: pa.array([], pa.float32())}
        values = self.loaded.measure(texts, table)
        if values.shape != (len(texts),):
            raise ModelError(f"{self.kind}: gave numbers of shape {values.shape} for {len(texts)} texts")
        with np.errstate(over="ignore"):
            return {self.score: pa.array(values.astype(np.float32), mask=np.isnan(values))}

    @property
    def file_name(self) -> str | None:
        """See `classifiers.scorers.Scorer`."""
        return self.loaded.file_name

    def save(self, path: str) -> None:
        """See `classifiers.scorers.Scorer`."""
        self.loaded.save(path)

    def word(self, path: str) -> str:
        """See `classifiers.scorers.Scorer`; the settings behind ``#`` stay, unless the file holds them."""
        if self.loaded.file_name is None:
            return f"{self.kind}:{self.place}"
        return f"{self.kind}:{path}" + ("" if self.kind in WHOLE else "".join(self.place.partition("#")[1:]))

    def ranking(self) -> "MeasureScorer":
        """See `classifiers.scorers.Scorer`; the model is loaded, so that an error comes before the first pass."""
        _ = self.loaded
        return self

    def versions(self) -> dict[str, str]:
        """See `classifiers.scorers.Scorer`."""
        return {f"{self.score}: {key}": value for key, value in self.loaded.versions().items()}
