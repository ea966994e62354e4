"""Scorers: whatever makes numbers or labels of documents, behind one protocol.

Invariants:

- A scorer is named in one word, and the registry `PREFIXES` alone knows what the beginning of the word means::

    signal:NAME     a signal of goldwash's or of the user's own
    column:NAME     a column of numbers that the documents already have
    KIND:ADDRESS    a measure by a model: perplexity, topk, embedding, ask, pagerank, prior, target (`classifiers.measures`)
    anything else   the file of a model: a path, ``https://``, ``s3://``, ``hf://OWNER/REPO/FILE``, ``lid.176.ftz``

- A package adds a kind through an entry point in the group ``goldwash.scorers``: its name is the prefix without the colon, and
  it loads a function ``(name, place, label) -> Scorer``.
- ``columns`` of an empty batch returns empty columns of the same types.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from goldwash.classifiers import language
from goldwash.classifiers.fasttext import Model, ModelError
from goldwash.classifiers.loader import load
from goldwash.classifiers.measures import KINDS, MeasureScorer
from goldwash.classifiers.quality import BETTER, better_label
from goldwash.filters.fetch import file_digest
from goldwash.filters.signals import PROVIDERS, SIGNALS, Signal, SignalError
from goldwash.filters.texts import Texts
from goldwash.text_output import printable

GROUP = "goldwash.scorers"
"""The group of entry points that plug-ins use."""


class Scorer(Protocol):
    """Makes columns of documents."""

    @property
    def fields(self) -> dict[str, pa.DataType | None]:
        """The columns that it makes, by name; the type is None where it is that of a column of the documents."""
        ...

    @property
    def score(self) -> str:
        """The column by which documents are ranked."""
        ...

    def columns(self, texts: Texts, table: pa.Table) -> dict[str, pa.Array]:
        """The columns of a batch: ``texts`` are its texts, ``table`` has all its columns (``url`` among them)."""
        ...

    @property
    def file_name(self) -> str | None:
        """A name for the file that `save` writes; None if it needs no file."""
        ...

    def save(self, path: str) -> None:
        """Write the file that workers open."""
        ...

    def word(self, path: str) -> str:
        """The word that names this scorer with its file at ``path``."""
        ...

    def ranking(self) -> "Scorer":
        """The scorer with one column of numbers, by which documents can be ranked."""
        ...

    def versions(self) -> dict[str, str]:
        """What decides its numbers besides its name: digests of models, versions of plug-ins."""
        ...


@dataclass(frozen=True)
class SignalScorer:
    """A signal as a scorer: one column, called by the scorer's name."""

    name: str
    signal: Signal
    file_name: None = None

    @cached_property
    def fields(self) -> dict[str, pa.DataType | None]:
        """See `Scorer`; the type is that of two texts' values, since a signal of the user's may not take an empty batch."""
        if self.signal.column == "row":
            return {self.name: pa.float64()}
        return {self.name: pa.from_numpy_dtype(self.signal.measure(Texts.of(["a text to begin with", ""])).dtype)}

    @property
    def score(self) -> str:
        """See `Scorer`."""
        return self.name

    def columns(self, texts: Texts, table: pa.Table) -> dict[str, pa.Array]:
        """See `Scorer`; a signal of rows sees every column, with this text."""
        if not len(texts):
            return {self.name: pa.array([], self.fields[self.name])}
        if self.signal.column == "row":
            values = self.signal.of_rows(
                table.set_column(table.column_names.index("text"), "text", texts.to_arrow()).to_pylist()
            )
        elif self.signal.column == "url":
            values = self.signal.measure(_strings(table, "url", len(texts)))
        else:
            values = self.signal.measure(texts)
        return {self.name: pa.array(np.asarray(values))}

    def save(self, path: str) -> None:
        """See `Scorer`."""

    def word(self, path: str) -> str:
        """See `Scorer`."""
        return f"signal:{self.signal.name}"

    def ranking(self) -> "SignalScorer":
        """See `Scorer`."""
        return self

    def versions(self) -> dict[str, str]:
        """See `Scorer`."""
        provider = PROVIDERS.get(self.signal.name)
        return {f"signal {self.signal.name}": provider} if provider else {}


def _strings(table: pa.Table, column: str, rows: int) -> Texts:
    """A column of strings, null as ""; N empty strings if there is none."""
    if column not in table.column_names:
        return Texts.of([""] * rows)
    return Texts.of(table[column].cast(pa.large_string()).fill_null(""))


@dataclass(frozen=True)
class ColumnScorer:
    """A column that the documents already have; it must hold numbers. Null counts as "no score"."""

    name: str
    column: str
    file_name: None = None

    @property
    def fields(self) -> dict[str, pa.DataType | None]:
        """See `Scorer`."""
        return {self.name: None}

    @property
    def score(self) -> str:
        """See `Scorer`."""
        return self.name

    def columns(self, texts: Texts, table: pa.Table) -> dict[str, pa.Array]:
        """See `Scorer`; `SignalError` if there is no such column, or if it does not hold numbers."""
        if self.column not in table.column_names:
            raise SignalError(f"there is no column {self.column!r}; there are: {', '.join(map(printable, table.column_names))}")
        found = table[self.column].combine_chunks()
        if pa.types.is_null(found.type):
            found = found.cast(pa.float64())
        kind = found.type
        if pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
            found = found.cast(pa.uint8() if pa.types.is_boolean(kind) else pa.float64())
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise SignalError(f"column {self.column!r} holds {kind}: a score must be a number; cast it first")
        return {self.name: found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found}

    def save(self, path: str) -> None:
        """See `Scorer`."""

    def word(self, path: str) -> str:
        """See `Scorer`."""
        return f"column:{self.column}"

    def ranking(self) -> "ColumnScorer":
        """See `Scorer`."""
        return self

    def versions(self) -> dict[str, str]:
        """See `Scorer`."""
        return {}


@dataclass(frozen=True)
class ModelScorer:
    """A classifier: NAME_probability of one label, or NAME and NAME_probability of the likeliest label."""

    name: str
    place: str
    label: str | None = None

    @cached_property
    def _path(self) -> Path:
        return language.located(self.place)

    @property
    def _loaded(self) -> Model:
        return load(self._path)

    @cached_property
    def _one_label(self) -> bool:
        labels = self._loaded.labels
        if self.label is not None:
            better_label(self._loaded, self.label)
        return self.label is not None or (len(labels) == 2 and any(label in labels for label in BETTER))

    @property
    def fields(self) -> dict[str, pa.DataType | None]:
        """See `Scorer`."""
        probability: dict[str, pa.DataType | None] = {self.score: pa.float32()}
        return probability if self._one_label else {self.name: pa.string(), **probability}

    @property
    def score(self) -> str:
        """See `Scorer`."""
        return f"{self.name}_probability"

    def columns(self, texts: Texts, table: pa.Table) -> dict[str, pa.Array]:
        """See `Scorer`: probabilities are ``float32``, labels strings ("" if the model gives none)."""
        if self._one_label:
            wanted = better_label(self._loaded, self.label)
            return {self.score: pa.array(self._loaded.probability(texts, wanted).astype(np.float32))}
        labels, probabilities = language.likeliest(texts, self.place)
        return {
            self.name: pa.array(labels.astype(object), pa.string()),
            self.score: pa.array(np.asarray(probabilities, np.float32)),
        }

    @property
    def file_name(self) -> str:
        """See `Scorer`."""
        return self._loaded.file_name

    def save(self, path: str) -> None:
        """See `Scorer`: the fold of a model that can be folded, else the model as it is."""
        self._loaded.save(path)

    def word(self, path: str) -> str:
        """See `Scorer`."""
        return path

    def ranking(self) -> "ModelScorer":
        """See `Scorer`: the probability of the better label; `ModelError` if the model does not say which one that is."""
        return replace(self, label=better_label(self._loaded, self.label))

    def versions(self) -> dict[str, str]:
        """See `Scorer`."""
        return {f"model {self.name}": file_digest(self._path)}


Maker = Callable[[str, str, str | None], Scorer]


def _signal(name: str, place: str, label: str | None) -> Scorer:
    if place not in SIGNALS:
        raise SignalError(f"no signal is called {place!r}: see `goldwash signals`")
    return SignalScorer(name, SIGNALS[place].bind())


def _column(name: str, place: str, label: str | None) -> Scorer:
    return ColumnScorer(name, place)


PREFIXES: dict[str, Maker] = {"signal": _signal, "column": _column}
"""What makes the scorer of a word that begins with the prefix and a colon: ``(name, rest, label) -> Scorer``."""


def scorer(word: str, name: str | None = None, label: str | None = None) -> Scorer:
    """The scorer that a word names; without a name, columns are called after the signal or column, or ``quality``.

    Raises `SignalError` for an unknown signal, and `ModelError` for a kind that fails to load. A model is not opened before it
    is needed.
    """
    prefix, colon, rest = word.partition(":")
    if prefix in KINDS and colon:
        if not rest:
            raise SignalError(f"{prefix}: names no model: write {prefix}:ADDRESS")
        return MeasureScorer(prefix, rest, name, label)
    if colon and rest and not rest.startswith("//"):
        make = PREFIXES.get(prefix) or _plugin(prefix)
        if make is not None:
            return make(name or rest, rest, label)
    return ModelScorer(name or "quality", word, label)


def _plugin(prefix: str) -> Maker | None:
    """The maker that an installed package offers for a prefix; None if no package does."""
    for entry in entry_points(group=GROUP, name=prefix):
        try:
            PREFIXES[prefix] = entry.load()
        except Exception as error:
            package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
            raise ModelError(
                f"scorer {prefix}: of {package} ({entry.value}) failed: {type(error).__name__}: {error}; mend it, or "
                "uninstall the package"
            ) from error
        return PREFIXES[prefix]
    return None


@contextmanager
def named_errors(where: str) -> Iterator[None]:
    """Errors of a scorer begin with the name of the file in which they happened."""
    try:
        yield
    except SignalError as error:
        raise SignalError(f"{printable(where)}: {error}") from error
    except ModelError as error:
        raise ModelError(f"{printable(where)}: {error}") from error
