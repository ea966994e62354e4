"""score: add scores and labels to every document, as columns, in one pass over the text.

Invariants: nothing is dropped and no text changes. ``models`` names a scorer for each column::

    models:
      quality: model.fold                          # two labels: quality_probability, of the better one
      language: lid.176.ftz                        # others: language and language_probability, of the likeliest label
      toxicity: {model: toxic.bin, label: toxic}   # one label: toxicity_probability
      mine: signal:my_score                        # a signal, perhaps your own (in a file under `use`): mine
      edu: column:score                            # a column of numbers that the documents have: edu

`goldwash.classifiers.scorers` lists the kinds of scorers. Probabilities are ``float32``, labels are strings ("" if a model
gives none), other columns have the type of their signal or column.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from goldwash.classifiers.model_file import ModelError
from goldwash.classifiers.scorers import Scorer, named_errors, scorer
from goldwash.filters.signals import SIGNALS, Signal, SignalError
from goldwash.filters.texts import Texts
from goldwash.pipeline.failing import scored
from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.recipes.plugins import load_custom
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, finish, stage_of, tasks_for
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import DOCUMENT, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput

TRIED = pa.table({"text": ["a text to begin with", ""], "url": ["http://a.example/", ""]})


@dataclass(frozen=True)
class Score(Stage):
    """Add the scores and labels of classifiers, signals and columns to every document; drop nothing."""

    name: ClassVar[str] = "score"
    models: Mapping[str, Any] = field(default_factory=dict)
    """A scorer for each column's name: a model, ``signal:NAME`` or ``column:NAME``."""
    use: tuple[Any, ...] = ()
    """The user's own files or modules that declare signals."""

    def __post_init__(self) -> None:
        load_custom(self.use)
        if not self.models:
            raise RecipeError("stage score: give models, as `models: {quality: model.fold}`", ("models",))
        _ = self.scorers

    @cached_property
    def scorers(self) -> tuple[Scorer, ...]:
        """The scorers, in the order of the recipe."""
        return tuple(_scorer(name, value) for name, value in self.models.items())

    def versions(self) -> dict[str, str]:
        """Digests of the models, and versions of the plug-ins that declare signals."""
        return {key: value for made in self.scorers for key, value in made.versions().items()}

    def cost(self, load: Load) -> Cost:
        """Measured with one folded model; each further one takes as much again."""
        return Cost(50.0 / max(len(self.models), 1))

    def preflight(self) -> None:
        """Fetch the models; refuse a model without the label that is asked of it, and two columns of one name."""
        self.versions()
        names = [name for made in self.scorers for name in made.fields]
        for name in names:
            if names.count(name) > 1:
                raise RecipeError(f"stage score: two models make the column {name}: give one another name", ("models",))

    def measured(self, before: Mapping[str, Signal]) -> Mapping[str, Signal]:
        """See `Stage`: texts stay as they are, and columns that it does not write itself."""
        return {name: signal for name, signal in before.items() if name not in self.models}

    def warm_up(self) -> None:
        """Compile the kernels."""
        for made in self.scorers:
            with suppress(SignalError):  # a column that only the documents have
                made.columns(Texts.of(TRIED["text"]), TRIED)

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """One task per shard."""
        tasks = tasks_for(self, inputs, out)
        run(score_shard, tasks)
        return finish(self, inputs, out, tasks)


def _scorer(name: str, value: Any) -> Scorer:
    values = {"model": value} if isinstance(value, str) else value
    if not isinstance(values, Mapping) or "model" not in values or set(values) - {"model", "label"}:
        raise RecipeError(
            f"stage score: models.{name} is {value!r}; expected a place, or {{model: PLACE, label: LABEL}}", ("models",)
        )
    if name in DOCUMENT.names:
        raise RecipeError(f"stage score: models.{name} would replace the documents' own {name}: give another name", ("models",))
    label, word = values.get("label"), str(values["model"])
    if word.startswith("signal:") and (known := word.removeprefix("signal:")) not in SIGNALS:
        raise RecipeError(f"stage score: no signal is called {known!r}: {nearest(known, list(SIGNALS))}", ("models",))
    try:
        return scorer(word, name, None if label is None else str(label))
    except SignalError as error:
        raise RecipeError(f"stage score: models.{name}: {error}", ("models",)) from error


def score_shard(task: Task) -> None:
    """One shard in, one shard out."""
    stage = stage_of(task, Score)
    location, schema = task.inputs[0], schema_of(task.source)
    empty = schema.empty_table()
    kinds: dict[str, pa.DataType] = {}
    for made in stage.scorers:
        with named_errors(location):
            columns = made.columns(Texts.of([]), empty) if None in made.fields.values() else {}
        kinds |= {name: kind if kind is not None else columns[name].type for name, kind in made.fields.items()}
    with TaskOutput(task, with_fields(schema, **kinds), dropped=False) as output:
        for table, texts in output.batches(task.source):
            out = table
            for made in stage.scorers:
                columns = scored(made, texts, table, location)
                for name, column in columns.items():
                    out = with_column(out, name, column)
            output.write("kept", out)
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
