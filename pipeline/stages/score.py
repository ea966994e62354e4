"""score: add classifiers' scores and labels to every document, as columns, in one pass over the text.

Law: nothing is dropped and no text changes. ``models`` says what each column is made by::

    models:
      quality: model.fold                          # two labels: quality_probability, of the better one
      language: lid.176.ftz                        # others: language and language_probability, the likeliest label's
      toxicity: {model: toxic.bin, label: toxic}   # one label's probability: toxicity_probability
      mine: signal:my_score                        # a signal, perhaps your own (named under `use`): mine

Models are named by path, ``https://``, ``s3://`` or ``hf://OWNER/REPO/FILE``. Probabilities are ``float32``, a signal's column
is of its own kind, labels are strings ("" where a model gives none).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from goldwash.classifiers import language
from goldwash.classifiers.fasttext import ModelError, load
from goldwash.classifiers.quality import BETTER, scores
from goldwash.filters.fetch import file_digest
from goldwash.filters.signals import SIGNALS, Signal
from goldwash.filters.texts import Texts
from goldwash.pipeline.recipes.plugins import load_custom
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Cost, Load, RecipeError, Run, Stage, finish, nearest, stage_of, tasks_for
from goldwash.pipeline.storage.inputs import Input
from goldwash.pipeline.storage.parquet import DOCUMENT, schema_of, texts_of, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput

SIGNAL = "signal:"

TRIED = Texts.of(["a text to begin with", ""])


@dataclass(frozen=True)
class Scorer:
    """What makes a name's columns: a signal, or a model and perhaps one of its labels."""

    name: str
    place: str
    label: str | None = None

    @property
    def signal(self) -> Signal | None:
        """The signal, where it is one."""
        return SIGNALS[self.place.removeprefix(SIGNAL)].bind() if self.place.startswith(SIGNAL) else None

    def columns(self, texts: Texts, urls: Texts) -> dict[str, pa.Array]:
        """The columns' values."""
        if (signal := self.signal) is not None:
            return {self.name: pa.array(np.asarray(signal.measure(urls if signal.column == "url" else texts)))}
        path = language.located(self.place)
        if self.label is not None or _has_better(str(path)):
            return {f"{self.name}_probability": pa.array(scores(texts, path, self.label))}
        labels, probabilities = language.likeliest(texts, self.place)
        return {
            self.name: pa.array(labels.astype(object), pa.string()),
            f"{self.name}_probability": pa.array(np.asarray(probabilities, np.float32)),
        }


def _has_better(path: str) -> bool:
    """Whether a model has two labels, of which one is known to be the better."""
    labels = load(path).labels
    return len(labels) == 2 and any(label in labels for label in BETTER)


@dataclass(frozen=True)
class Score(Stage):
    """Add classifiers' scores and labels to every document, as columns; drop nothing."""

    name: ClassVar[str] = "score"
    models: Mapping[str, Any] = field(default_factory=dict)
    use: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        load_custom(self.use)
        if not self.models:
            raise RecipeError("stage score: give models, as `models: {quality: model.fold}`", ("models",))
        for scorer in self.scorers:
            known = scorer.place.removeprefix(SIGNAL)
            if scorer.place.startswith(SIGNAL) and known not in SIGNALS:
                raise RecipeError(f"stage score: no signal is called {known!r}: {nearest(known, list(SIGNALS))}", ("models",))

    @property
    def scorers(self) -> list[Scorer]:
        """What makes columns, in the order of the recipe."""
        made = []
        for name, value in self.models.items():
            values = {"model": value} if isinstance(value, str) else value
            if not isinstance(values, Mapping) or "model" not in values or set(values) - {"model", "label"}:
                raise RecipeError(
                    f"stage score: models.{name} is {value!r}; expected a place, or {{model: PLACE, label: LABEL}}", ("models",)
                )
            if name in DOCUMENT.names:
                raise RecipeError(
                    f"stage score: models.{name} would replace the documents' own {name}: give another name", ("models",)
                )
            label = values.get("label")
            made.append(Scorer(name, str(values["model"]), None if label is None else str(label)))
        return made

    def versions(self) -> dict[str, str]:
        """The models' digests."""
        models = [s for s in self.scorers if not s.place.startswith(SIGNAL)]
        return {f"model {s.name}": file_digest(language.located(s.place)) for s in models}

    def cost(self, load: Load) -> Cost:
        """Measured with one folded model; each further one takes as much again."""
        return Cost(50.0 / max(len(self.models), 1))

    def warm_up(self) -> None:
        """Compile the kernels, and refuse a model that does not have the label that is asked of it."""
        for scorer in self.scorers:
            scorer.columns(TRIED, TRIED)

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """One task a shard."""
        tasks = tasks_for(self, inputs, out)
        run(score_shard, tasks)
        return finish(self, inputs, out, tasks)


def score_shard(task: Task) -> None:
    """One shard in, one shard out."""
    stage = stage_of(task, Score)
    location = task.inputs[0]
    kinds = {name: column.type for s in stage.scorers for name, column in s.columns(TRIED, TRIED).items()}
    with TaskOutput(task, with_fields(schema_of(task.source), **kinds), dropped=False) as output:
        for table, texts in output.batches(task.source):
            urls = texts_of(table, "url", location)
            for scorer in stage.scorers:
                for name, column in scorer.columns(texts, urls).items():
                    table = with_column(table, name, column)
            output.write("kept", table)
            output.count(texts)


def scorers_of(words: Sequence[str], label: str | None) -> dict[str, Any]:
    """``models`` from the command line's ``[NAME=]PLACE`` words; the only one without a name is called quality."""
    made: dict[str, Any] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not equals or "/" in name or "?" in word.partition("://")[0]:
            name, place = "quality", word
        if name in made:
            raise ModelError(f"two models are called {name}: name them, as NAME={place}")
        made[name] = {"model": place, "label": label} if label else place
    return made
