"""heuristics: clean documents by signals, keeps and edits, in the recipe's order.

Law: steps run one after the other on what the earlier ones left. What fails a keep is dropped with the rule's name and its
value; an edit that empties a text drops it under the edit's name. A step is a mapping with one of these keys:

``keep: SIGNAL``      with ``min``, ``max`` (inclusive), ``above``, ``below`` (strict); further keys are the signal's parameters
``keep: COLUMN``      the same on a column that an earlier ``label`` or ``mark`` made; ``among: [..]`` for labels, with which
                      ``sure: P`` lets those pass that are less probable
``keep_lines: SIGNAL``  drops the lines that do not pass; ``strip``, ``empty`` as `filters.edits.KeepLines` has them
``edit: EDIT``        changes the text; further keys are its parameters
``label: language``   the likeliest language, as columns ``language`` and ``language_probability`` (`classifiers.language`)
``mark: SIGNAL``      remembers a signal's value now
``keep_lost: SIGNAL`` bounds the share that a marked signal has lost since: ``(then - now) / then``, nan where then was 0

``as: NAME`` gives a rule its name in reports; by itself it is the signal's or the edit's.

``annotate: true`` drops nothing and leaves every text as it is: each keep's value becomes a column of the rule's name, measured
where it stands among the edits (RedPajama-V2's way, arXiv 2411.12372). `pipeline.inspect.what_if` tells from such columns what other
bounds would keep.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import regex
import tldextract

from goldwash.classifiers import language
from goldwash.filters.edits import KeepLines
from goldwash.filters.fetch import file_digest
from goldwash.filters.lists import ListError, located
from goldwash.filters.signal import EDITS, SIGNALS, Edit, Keep, Signal, SignalError, Values
from goldwash.filters.texts import Texts
from goldwash.pipeline.engines.work import beat
from goldwash.pipeline.recipes.plugins import load_custom
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import RecipeError, Run, Stage, finish, nearest, stage_of, tasks_for
from goldwash.pipeline.storage.inputs import Input
from goldwash.pipeline.storage.locations import DataError
from goldwash.pipeline.storage.parquet import dropped_table, read_batches, schema_of, texts_of, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput

BOUNDS = ("min", "max", "above", "below")
LABELS = ("language", "language_probability")
Trace = Callable[[str, Any, str, bool], None]


@dataclass(frozen=True)
class Step:
    """One step of the recipe: a verb, what it works on, the rule's name, and its options."""

    verb: str
    subject: Signal | Edit | KeepLines | str
    rule: str
    keep: Keep | None = None
    among: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()


def step_of(values: Mapping[str, Any]) -> Step:
    """A step of the recipe's mapping; a `RecipeError` names what is wrong and the nearest right name."""
    verbs = [verb for verb in VERBS if verb in values]
    if len(verbs) != 1:
        raise RecipeError(f"a step needs exactly one of {', '.join(VERBS)}; found {dict(values)}")
    verb = verbs[0]
    name, rest = str(values[verb]), {k: v for k, v in values.items() if k not in (verb, "as")}
    try:
        step = _MAKERS[verb](name, rest)
    except SignalError as error:
        raise RecipeError(str(error)) from error
    except TypeError as error:
        raise RecipeError(f"{verb} {name}: {error}") from error
    return replace(step, rule=str(values["as"])) if "as" in values else step


def _keep(name: str, rest: dict[str, Any]) -> Step:
    bounds = _bounds(name, rest)
    if name in LABELS:
        among, sure = tuple(map(str, rest.pop("among", ()))), rest.pop("sure", 0.0)
        if rest or bool(among) == bool(bounds) or (sure and not among):
            raise RecipeError(f"keep {name}: give either `among: [...]` (with `sure: P` or not) or bounds, and nothing else")
        if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 <= sure <= 1:
            raise RecipeError(f"keep {name}: sure is {sure!r}; expected a probability")
        keep = None if among else Keep(Signal(name, _from_column), **bounds)
        return Step("keep", name, name, keep, among, (("sure", float(sure)),) if sure else ())
    signal = _signal(name, rest, (*SIGNALS, *LABELS))
    return Step("keep", signal, name, Keep(signal, **bounds))


def _keep_lines(name: str, rest: dict[str, Any]) -> Step:
    bounds, options = _bounds(name, rest), {k: rest.pop(k) for k in ("strip", "empty") if k in rest}
    return Step("keep_lines", KeepLines(Keep(_signal(name, rest), **bounds), **options), f"lines.{name}")


def _keep_lost(name: str, rest: dict[str, Any]) -> Step:
    bounds = _bounds(name, rest)
    return Step("keep_lost", _signal(name, rest), f"lost.{name}", Keep(Signal("lost_fraction", _from_column), **bounds))


def _mark(name: str, rest: dict[str, Any]) -> Step:
    return Step("mark", _signal(name, rest), name)


def _edit(name: str, rest: dict[str, Any]) -> Step:
    if name not in EDITS:
        raise RecipeError(f"no edit is called {name!r}: {nearest(name, list(EDITS))}")
    return Step("edit", EDITS[name].bind(**rest), name)


def _label(name: str, rest: dict[str, Any]) -> Step:
    if name != "language":
        raise RecipeError(f"no labeller is called {name!r}: known: language")
    known = {"model": language.DEFAULT, "newlines": " "}
    for key in rest:
        if key not in known:
            raise RecipeError(f"label language has no parameter {key!r}: {nearest(key, list(known))}")
    return Step("label", name, name, options=tuple(sorted({**known, **rest}.items())))


def _signal(name: str, parameters: dict[str, Any], known: Sequence[str] = ()) -> Signal:
    if name not in SIGNALS:
        raise RecipeError(f"no signal is called {name!r}: {nearest(name, known or list(SIGNALS))}")
    return SIGNALS[name].bind(**parameters)


def _bounds(name: str, rest: dict[str, Any]) -> dict[str, float]:
    """The bounds of a step, taken out of its keys."""
    bounds = {k: rest.pop(k) for k in BOUNDS if k in rest}
    for key, value in bounds.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RecipeError(f"{name}: {key} is {value!r}; expected a number")
    return {key: float(value) for key, value in bounds.items()}


_MAKERS: dict[str, Callable[[str, dict[str, Any]], Step]] = {
    "keep": _keep,
    "keep_lines": _keep_lines,
    "edit": _edit,
    "label": _label,
    "mark": _mark,
    "keep_lost": _keep_lost,
}

VERBS = tuple(_MAKERS)


def _from_column(texts: Texts) -> Values:
    raise AssertionError("a column's values are looked up, not measured")


@dataclass
class Documents:
    """Documents on their way through the steps: those that are left, and what became of the others."""

    texts: Texts
    urls: Texts
    rows: npt.NDArray[np.int64]
    columns: dict[str, Any] = field(default_factory=dict)
    annotate: bool = False
    annotations: dict[str, Values] = field(default_factory=dict)
    drops: list[tuple[str, npt.NDArray[np.int64], Values, list[str | None]]] = field(default_factory=list)
    dropped: dict[str, Count] = field(default_factory=dict)
    edited: dict[str, Count] = field(default_factory=dict)

    def drop(self, rule: str, passed: npt.NDArray[np.bool_], values: Values) -> None:
        """Take out the documents that did not pass; where documents are annotated, write down what was measured instead."""
        if self.annotate:
            self.annotations[rule] = values
            return
        if passed.all():
            return
        gone = np.flatnonzero(~passed)
        details = [self._detail(rule, row) for row in gone]
        self.drops.append((rule, self.rows[gone], np.asarray(values, np.float64)[gone], details))
        lost = Count(len(gone), int(self.texts.byte_counts[gone].sum()))
        self.dropped[rule] = self.dropped.get(rule, Count()) + lost
        left = np.flatnonzero(passed)
        self.texts, self.urls, self.rows = self.texts.take(left), self.urls.take(left), self.rows[left]
        self.columns = {name: values[left] for name, values in self.columns.items()}

    def _detail(self, rule: str, row: Any) -> str | None:
        return str(self.columns["language"][row]) if rule.startswith("language") and "language" in self.columns else None

    def edit(self, rule: str, edit: Callable[[Texts], Texts]) -> None:
        """Change the texts; those that are empty afterwards are dropped."""
        before = self.texts
        self.texts = edit(before)
        if self.texts is not before:
            resized = self.texts.byte_counts != before.byte_counts
            if resized.any():
                self.edited[rule] = self.edited.get(rule, Count()) + Count(int(resized.sum()), before.bytes - self.texts.bytes)
        sizes = self.texts.byte_counts
        if not self.annotate:
            self.drop(rule, sizes > 0, np.zeros(len(sizes)))


def clean(steps: Sequence[Step], texts: Texts, urls: Texts, trace: Trace | None = None, annotate: bool = False) -> Documents:
    """Take documents through the steps; ``trace`` is told each rule's value, bounds and verdict (for a single document)."""
    documents = Documents(texts, urls, np.arange(len(texts)), annotate=annotate)
    for step in steps:
        if not len(documents.rows):
            break
        before, bytes_before = len(documents.rows), documents.texts.bytes
        value = _take(step, documents)
        if trace and value is not None:
            trace(step.rule, value[0], step.keep.bounds if step.keep else _among(step), len(documents.rows) == before)
        elif trace and step.verb in ("edit", "keep_lines"):
            lost = bytes_before - documents.texts.bytes
            trace(step.rule, lost, "bytes taken away", len(documents.rows) == before)
    return documents


def _among(step: Step) -> str:
    sure = dict(step.options).get("sure")
    return f"{step.subject} among {', '.join(step.among)}" + (f", or not sure of {sure:g}" if sure else "")


def _named(step: Step, documents: Documents) -> npt.NDArray[np.bool_]:
    """Whose label is among those of a step, or not sure enough."""
    passed = np.isin(documents.columns[str(step.subject)], step.among)
    sure = dict(step.options).get("sure")
    return passed | (documents.columns["language_probability"] < sure) if sure else passed


def _take(step: Step, documents: Documents) -> Any:
    """One step on the documents that are left; for a keep, the values that it looked at."""
    subject = step.subject
    if step.verb == "label":
        options = dict(step.options)
        labels, probabilities = language.likeliest(documents.texts, options["model"], options["newlines"])
        documents.columns |= {"language": labels, "language_probability": probabilities}
        return None
    if isinstance(subject, KeepLines | Edit):
        documents.edit(step.rule, subject)
        return None
    if isinstance(subject, str):
        if subject not in documents.columns:
            raise RecipeError(f"keep {subject}: no earlier step makes that column; put `label: language` before it")
        values = documents.columns[subject]
        passed = _named(step, documents) if step.among else step.keep.passes(values)  # type: ignore[union-attr]
        shown = values if values.dtype.kind in "fiu" else documents.columns.get(f"{subject}_probability", np.zeros(len(values)))
        documents.drop(step.rule, passed, shown)
        return values
    assert isinstance(subject, Signal)
    values = subject.measure(documents.urls if subject.column == "url" else documents.texts)
    if step.verb == "mark":
        documents.columns[f"mark.{subject.name}"] = values
        return None
    if step.verb == "keep_lost":
        then = documents.columns[f"mark.{subject.name}"]
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(then > 0, (then - values) / then, np.nan)
    assert step.keep is not None
    documents.drop(step.rule, step.keep.passes(values), values)
    return values


@dataclass(frozen=True)
class Heuristics(Stage):
    """Clean documents by signals, keeps and edits, in the recipe's order."""

    name: ClassVar[str] = "heuristics"
    steps: tuple[Any, ...] = ()
    use: tuple[Any, ...] = ()
    annotate: bool = False

    def __post_init__(self) -> None:
        _ = self.plan

    @cached_property
    def plan(self) -> tuple[Step, ...]:
        """The steps, read strictly; a `RecipeError` says which step is wrong."""
        load_custom(self.use)
        plan = []
        for number, values in enumerate(self.steps, 1):
            try:
                if not isinstance(values, Mapping):
                    raise RecipeError(f"expected a mapping such as {{keep: word_count, min: 50}}, found {values!r}")
                plan.append(step_of(values))
            except RecipeError as error:
                raise RecipeError(f"heuristics, step {number}: {error}", ("steps", number - 1)) from error
        _check_order(plan)
        return tuple(plan)

    def versions(self) -> dict[str, str]:
        """The Unicode data's version, and digests of the lists and models that the steps name."""
        return self._found

    @cached_property
    def _found(self) -> dict[str, str]:
        found = {"unicode": unicodedata.unidata_version, "regex": str(regex.__version__)}
        for step in self.plan:
            options = dict(step.options)
            if step.verb == "label":
                found[f"model {options['model']}"] = file_digest(language.located(options["model"]))
            parameters = step.subject.parameters if isinstance(step.subject, Signal | Edit) else ()
            for key, value in parameters:
                if key in ("hosts", "phrases", "tlds") and isinstance(value, str):
                    found[f"list {value}"] = file_digest(located(value.partition("::")[0]))
            if isinstance(step.subject, Edit) and step.subject.name == "remove_urls":
                found["tldextract"] = tldextract.__version__
        return found

    def columns(self) -> dict[str, pa.DataType]:
        """The columns that the steps add."""
        added: dict[str, pa.DataType] = {}
        for step in self.plan:
            if step.verb == "label":
                added |= {"language": pa.string(), "language_probability": pa.float64()}
            elif self.annotate and step.verb in ("keep", "keep_lost") and step.rule not in LABELS:
                added[step.rule] = pa.float64()
        return added

    def warm_up(self) -> None:
        """Compile the kernels that the steps need."""
        sentence = "A page of http://example.com/a.html has 3 lines.\n\n\n- It has 2 likes ...\n3 likes\nSign-in\n"
        clean([s for s in self.plan], Texts.of([sentence * 3, "x"]), Texts.of(["https://www.example.com/", ""]))
        rehearse_steps(self.plan)

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """One task a shard."""
        tasks = tasks_for(self, inputs, out)
        run(clean_shard, tasks)
        return finish(self, inputs, out, tasks)

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """Each rule's value for this document beside its bounds, up to the one that drops it."""
        told: list[tuple[str, Any, str, bool]] = []
        texts, urls = Texts.of([document["text"]]), Texts.of([document.get("url") or ""])
        clean(self.plan, texts, urls, lambda *line: told.append(line))
        return told


def rehearse_steps(plan: Sequence[Step]) -> None:
    """Run each step alone on two texts, so that one that the last dropped is compiled too."""
    texts = Texts.of(["The first line of a text, http://a.example.com/b it says. \n\n\n3 likes\nRead more now", "Two\nlines"])
    urls = Texts.of(["https://a.example.com/x", "http://b.example.org:80/y"])
    for step in plan:
        if step.verb in ("keep", "mark") and isinstance(step.subject, Signal):
            step.subject.measure(urls if step.subject.column == "url" else texts)
        elif isinstance(step.subject, Edit | KeepLines):
            step.subject(texts)


def _check_order(plan: Sequence[Step]) -> None:
    marked: set[str] = set()
    names: set[str] = set()
    for number, step in enumerate(plan, 1):
        if step.verb == "mark" and isinstance(step.subject, Signal):
            marked.add(step.subject.name)
        if step.verb == "keep_lost" and isinstance(step.subject, Signal) and step.subject.name not in marked:
            raise RecipeError(f"heuristics, step {number}: put `mark: {step.subject.name}` before `keep_lost`")
        if step.verb in ("mark", "label"):
            continue
        if step.rule in names:
            raise RecipeError(f"heuristics, step {number}: a second rule is called {step.rule!r}; give this one `as: NAME`")
        names.add(step.rule)


def clean_shard(task: Task) -> None:
    """One shard in, one shard out."""
    stage = stage_of(task, Heuristics)
    location = task.inputs[0]
    schema = with_fields(schema_of(location), **stage.columns())
    with TaskOutput(task, schema) as output:
        for table in read_batches(location):
            if stage.annotate:
                kept, drops, report = annotated_table(stage, table, location)
            else:
                kept, drops, report = clean_table(stage.plan, table, location)
            for gone in drops:
                output.write("dropped", gone)
            output.write("kept", kept)
            output.report += report
            beat(task, output.report.read.documents, output.report.read.bytes)


def clean_table(plan: Sequence[Step], table: pa.Table, location: str) -> tuple[pa.Table, list[pa.Table], Report]:
    """A table's documents through the steps: the kept ones with their new text and columns, the dropped ones, the report."""
    texts, urls = texts_of(table, "text", location), texts_of(table, "url", location)
    try:
        documents = clean(plan, texts, urls)
    except ListError as error:
        raise DataError(str(error)) from error
    kept = with_column(table.take(documents.rows), "text", documents.texts.to_arrow())
    for name in LABELS:
        if name in documents.columns:
            kept = with_column(kept, name, pa.array(documents.columns[name]))
    report = Report(
        Count(len(texts), texts.bytes),
        Count(len(documents.rows), documents.texts.bytes),
        documents.dropped,
        documents.edited,
    )
    return kept, list(_dropped(table, documents)), report


def annotated_table(stage: Heuristics, table: pa.Table, location: str) -> tuple[pa.Table, list[pa.Table], Report]:
    """A table with what every rule measures as columns; nothing is dropped and no text changes."""
    texts, urls = texts_of(table, "text", location), texts_of(table, "url", location)
    documents = clean(stage.plan, texts, urls, annotate=True)
    for name, kind in stage.columns().items():
        values = documents.columns[name] if name in LABELS else np.asarray(documents.annotations[name], np.float64)
        table = with_column(table, name, pa.array(values, kind))
    read = Count(len(texts), texts.bytes)
    return table, [], Report(read, read)


def _dropped(table: pa.Table, documents: Documents) -> Iterator[pa.Table]:
    for rule, rows, values, details in documents.drops:
        yield dropped_table(table["id"].take(rows), table["url"].take(rows), rule, values, details)
