"""Steps: the cleaning rules of a recipe, read strictly and run on texts.

Invariants: steps run in order, each on the documents that the earlier ones left. A document that fails a keep is dropped under
the rule's name, with its value; an edit that empties a text drops the document under the edit's name. The documents that are
left after the last step have every column of `columns_of`, even if there is none. A step is a mapping with one of these keys:

``keep: SIGNAL``        with ``min``, ``max`` (inclusive), ``above``, ``below`` (strict); other keys are the signal's parameters
``keep: column``        the same for a column of the shard or one that an earlier step added, given as ``name: COLUMN``;
                        ``among: [...]`` instead of bounds for strings
``keep: language``      ``among: [en]``, with ``sure: P`` to pass documents labelled with a lower probability than P; also
                        ``keep: language_probability`` with bounds
``keep_lines: SIGNAL``  drops the lines that fail; options ``strip`` and ``empty`` (`filters.edits.KeepLines`)
``edit: EDIT``          changes the text; other keys are the edit's parameters
``cut_words: WAY``      cuts words from here on in this way: ``icu``, ``uax29`` or ``spaces`` (`filters.segmentation`)
``label: language``     adds the columns ``language`` and ``language_probability`` (`classifiers.language`)
``column: SIGNAL``      adds a column with a signal's value at this point, named after the signal or by ``as``
``mark: SIGNAL``        stores a signal's value at this point
``keep_lost: SIGNAL``   bounds the fraction of a marked signal lost since: ``(then - now) / then``, nan where then was 0

``as: NAME`` renames a rule in reports; the default is the name of its signal, column or edit.

``for: [de, fr]`` restricts a step to documents that an earlier ``label: language`` (or a column ``language``) gives one of
these languages; the others pass it. Its rule is called ``NAME.de+fr``. ``for`` and ``keep: language`` take either form of a
language's name, ``de`` or ``deu_Latn``, whichever the model gives (`classifiers.labels`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import goldwash.pipeline.optouts.table  # noqa: F401  (it declares its signal)
from goldwash.classifiers import language
from goldwash.classifiers.labels import matching
from goldwash.filters.edits import KeepLines
from goldwash.filters.segmentation import CUTTERS, SegmentationError, icu
from goldwash.filters.signals import EDITS, SIGNALS, Edit, Keep, Signal, SignalError, Values
from goldwash.filters.texts import Texts
from goldwash.pipeline.parameters import RecipeError, nearest
from goldwash.pipeline.report import Count
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.tables import DOCUMENT

BOUNDS = ("min", "max", "above", "below")
LABELS: dict[str, pa.DataType] = {"language": pa.string(), "language_probability": pa.float64()}
"""The columns that ``label: language`` adds."""
OWN = (*DOCUMENT.names, *LABELS)
"""Columns that ``column`` cannot add."""
MARK = "mark."
"""What the names of marked values begin with, among the columns of `Documents`."""

Trace = Callable[[str, Any, str, bool], None]
"""Called with each rule's name, value, bounds and whether the document passed."""

Drop = tuple[str, npt.NDArray[np.int64], Values, list[str | None]]
"""Documents that a rule drops: its name, their rows in the batch, the rule's values, and further details."""


@dataclass(frozen=True)
class Step:
    """One step of a recipe: its verb, its subject (a string names a column), the rule's name, bounds and options."""

    verb: str
    subject: Signal | Edit | KeepLines | str
    rule: str
    keep: Keep | None = None
    among: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    languages: tuple[str, ...] = ()
    """The languages of the documents that it is for; empty: all."""


def plan_of(steps: Sequence[Any]) -> tuple[Step, ...]:
    """The steps of a recipe's list; a `RecipeError` gives the number of the wrong step and its place."""
    plan = []
    for number, values in enumerate(steps, 1):
        try:
            if not isinstance(values, Mapping):
                raise RecipeError(f"expected a mapping such as {{keep: word_count, min: 50}}, found {values!r}")
            plan.append(step_of(values))
        except RecipeError as error:
            raise RecipeError(f"heuristics, step {number}: {error}", ("steps", number - 1)) from error
    _check_order(plan)
    return tuple(plan)


def _check_order(plan: Sequence[Step]) -> None:
    marked: set[str] = set()
    names: set[str] = set()
    columns: set[str] = set()
    for number, step in enumerate(plan, 1):
        if step.verb == "mark" and isinstance(step.subject, Signal):
            marked.add(step.subject.name)
        if step.verb == "keep_lost" and isinstance(step.subject, Signal) and step.subject.name not in marked:
            raise RecipeError(f"heuristics, step {number}: put `mark: {step.subject.name}` before `keep_lost`")
        if step.verb in ("mark", "label"):
            continue
        if step.verb == "column" and step.rule in OWN:
            raise RecipeError(f"heuristics, step {number}: every document has a column {step.rule!r}; give this one `as: NAME`")
        kind, taken = ("column", columns) if step.verb == "column" else ("rule", names)
        if step.rule in taken:
            raise RecipeError(f"heuristics, step {number}: a second {kind} is called {step.rule!r}; give this one `as: NAME`")
        taken.add(step.rule)


def step_of(values: Mapping[str, Any]) -> Step:
    """A step from a recipe's mapping; a `RecipeError` says what is wrong and suggests the nearest known name."""
    verbs = [verb for verb in VERBS if verb in values]
    if len(verbs) != 1:
        raise RecipeError(f"a step needs exactly one of {', '.join(VERBS)}; found {dict(values)}")
    verb = verbs[0]
    name, rest = str(values[verb]), {k: v for k, v in values.items() if k not in (verb, "as", "for")}
    languages = _languages(verb, values["for"]) if "for" in values else ()
    try:
        step = _MAKERS[verb](name, rest)
    except (SignalError, SegmentationError) as error:
        raise RecipeError(str(error)) from error
    except TypeError as error:
        raise RecipeError(f"{verb} {name}: {error}") from error
    if languages:
        step = replace(step, languages=languages, rule=f"{step.rule}.{'+'.join(languages)}")
    return replace(step, rule=str(values["as"])) if "as" in values else step


def _languages(verb: str, value: Any) -> tuple[str, ...]:
    if verb == "label":
        raise RecipeError("label: `for` restricts a step by a label, so the label itself is for all documents")
    if not isinstance(value, list | tuple) or not value or not all(isinstance(v, str) and v for v in value):
        raise RecipeError(f"for is {value!r}; expected a list of languages, as [de, fr]")
    return tuple(value)


def _keep(name: str, rest: dict[str, Any]) -> Step:
    if name == "column" or name in LABELS:
        return _keep_column(name, rest)
    bounds = _bounds(name, rest)
    signal = _signal(name, rest, (*SIGNALS, *LABELS, "column"))
    return Step("keep", signal, name, Keep(signal, **bounds))


def _keep_column(name: str, rest: dict[str, Any]) -> Step:
    bounds = _bounds(name, rest)
    column = str(rest.pop("name", "")) if name == "column" else name
    if not column:
        raise RecipeError("keep column: give the column's name, as {keep: column, name: language_score, min: 0.65}")
    among, sure = tuple(map(str, rest.pop("among", ()))), rest.pop("sure", 0.0)
    if rest or bool(among) == bool(bounds) or (sure and (not among or column != "language")):
        sure_too = " (with `sure: P` or not)" if column == "language" else ""
        raise RecipeError(f"keep {column}: give either `among: [...]`{sure_too} or bounds, and nothing else")
    if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 <= sure <= 1:
        raise RecipeError(f"keep {column}: sure is {sure!r}; expected a probability")
    keep = None if among else Keep(Signal(column, _from_column), **bounds)
    return Step("keep", column, column, keep, among, (("sure", float(sure)),) if sure else ())


def _keep_lines(name: str, rest: dict[str, Any]) -> Step:
    bounds, options = _bounds(name, rest), {k: rest.pop(k) for k in ("strip", "empty") if k in rest}
    return Step("keep_lines", KeepLines(Keep(_signal(name, rest), **bounds), **options), f"lines.{name}")


def _keep_lost(name: str, rest: dict[str, Any]) -> Step:
    bounds = _bounds(name, rest)
    return Step("keep_lost", _signal(name, rest), f"lost.{name}", Keep(Signal("lost_fraction", _from_column), **bounds))


def _column(name: str, rest: dict[str, Any]) -> Step:
    return Step("column", _signal(name, rest), name)


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


def _cut_words(name: str, rest: dict[str, Any]) -> Step:
    if name not in CUTTERS:
        raise RecipeError(f"words are not cut by {name!r}: {nearest(name, CUTTERS)}")
    if rest:
        raise RecipeError(f"cut_words {name}: give `for: [...]` with it or not, and nothing else; found {rest}")
    if name == "icu":
        icu()
    return Step("cut_words", name, f"cut_words.{name}")


def _signal(name: str, parameters: dict[str, Any], known: Sequence[str] = ()) -> Signal:
    if name not in SIGNALS:
        raise RecipeError(f"no signal is called {name!r}: {nearest(name, known or list(SIGNALS))}")
    return SIGNALS[name].bind(**parameters)


def _bounds(name: str, rest: dict[str, Any]) -> dict[str, float]:
    """The bounds of a step; removes them from its keys."""
    bounds = {k: rest.pop(k) for k in BOUNDS if k in rest}
    for key, value in bounds.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise RecipeError(f"{name}: {key} is {value!r}; expected a number")
    return {key: float(value) for key, value in bounds.items()}


_MAKERS: dict[str, Callable[[str, dict[str, Any]], Step]] = {
    "keep": _keep,
    "keep_lines": _keep_lines,
    "edit": _edit,
    "cut_words": _cut_words,
    "label": _label,
    "column": _column,
    "mark": _mark,
    "keep_lost": _keep_lost,
}

VERBS = tuple(_MAKERS)


def _from_column(texts: Texts) -> Values:
    raise AssertionError("a column's values are looked up, not measured")


def columns_of(plan: Sequence[Step], annotate: bool = False) -> dict[str, pa.DataType]:
    """The columns that steps add: labels, a float64 column per ``column``, and with ``annotate`` one per keep."""
    added: dict[str, pa.DataType] = {}
    for step in plan:
        if step.verb == "label":
            added |= LABELS
        elif step.verb == "column" or (annotate and step.verb in ("keep", "keep_lost") and not isinstance(step.subject, str)):
            if step.rule in added:
                raise RecipeError(f"heuristics: a rule and a column are called {step.rule!r}; give one of them `as: NAME`")
            added[step.rule] = pa.float64()
    return added


def sees_row(step: Step) -> bool:
    """Whether a step needs more of a document than its text, its URL and the columns of earlier steps."""
    if isinstance(step.subject, str):
        return step.verb == "keep" and step.subject not in LABELS
    return isinstance(step.subject, Signal) and step.subject.column == "row"


@dataclass
class Documents:
    """Documents in the course of the steps: those that are left, and the fates of the others.

    ``rows``: int64[N], the row numbers in the batch of the documents that are left. ``table``: the other columns, if any,
    for all rows of the batch.
    """

    texts: Texts
    urls: Texts
    rows: npt.NDArray[np.int64]
    columns: dict[str, Any] = field(default_factory=dict)
    table: pa.Table | None = None
    annotate: bool = False
    annotations: dict[str, Values] = field(default_factory=dict)
    drops: list[Drop] = field(default_factory=list)
    dropped: dict[str, Count] = field(default_factory=dict)
    edited: dict[str, Count] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    """Further counts for the report, such as the addresses that an edit masked."""
    parts: dict[tuple[str, ...], tuple[npt.NDArray[np.int64], Texts]] = field(default_factory=dict)
    """The rows and texts of languages that steps were for, so that the next step finds what was measured."""

    def drop(self, rule: str, passed: npt.NDArray[np.bool_], values: Values) -> None:
        """Drop the documents that did not pass; with ``annotate``, record the values instead."""
        if self.annotate:
            self.annotations[rule] = values
            return
        if passed.all():
            return
        gone = np.flatnonzero(~passed)
        labelled = rule.startswith("language") and "language" in self.columns
        details = self.columns["language"][gone].tolist() if labelled else [None] * len(gone)
        self.drops.append((rule, self.rows[gone], np.asarray(values, np.float64)[gone], details))
        lost = Count(len(gone), int(self.texts.byte_counts[gone].sum()))
        self.dropped[rule] = self.dropped.get(rule, Count()) + lost
        left = np.flatnonzero(passed)
        self.texts, self.urls, self.rows = self.texts.take(left), self.urls.take(left), self.rows[left]
        self.columns = {name: values[left] for name, values in self.columns.items()}

    def edit(self, rule: str, edit: Callable[[Texts], Texts]) -> None:
        """Change the texts; drop the documents whose text is empty afterwards."""
        before = self.texts
        self.texts = edit(before)
        self.parts.clear()
        for name, count in (edit.counted(before) if isinstance(edit, Edit) else {}).items():
            self.notes[f"{rule}.{name}"] = self.notes.get(f"{rule}.{name}", 0) + count
        if self.texts is not before:
            if before.cutters is not None:
                self.texts = self.texts.cut_by(before.cutters)
            resized = self.texts.byte_counts != before.byte_counts
            if resized.any():
                self.edited[rule] = self.edited.get(rule, Count()) + Count(int(resized.sum()), before.bytes - self.texts.bytes)
        sizes = self.texts.byte_counts
        if not self.annotate:
            self.drop(rule, sizes > 0, np.zeros(len(sizes)))

    def cut_words(self, way: str, languages: Sequence[str]) -> None:
        """Cut the words of the documents of some languages (none given: all) in this way from here on."""
        cutters = np.zeros(len(self.texts), np.uint8) if self.texts.cutters is None else self.texts.cutters.copy()
        chosen = matching(self.column("language"), languages) if languages else np.ones(len(cutters), bool)
        if (cutters[chosen] != CUTTERS.index(way)).any():
            self.parts.clear()
            cutters[chosen] = CUTTERS.index(way)
            self.texts = self.texts.cut_by(cutters)

    def part(self, languages: tuple[str, ...], own: npt.NDArray[np.int64]) -> "Documents":
        """The documents at these places, which are those of the languages, with what earlier steps measured of them."""
        rows, texts = self.rows[own], None
        if languages in self.parts:
            held, measured = self.parts[languages]
            places = np.searchsorted(held, rows)
            if (places < len(held)).all() and (held[places] == rows).all():
                texts = measured if len(held) == len(rows) else measured.take(places)
        columns = {name: values[own] for name, values in self.columns.items()}
        texts = self.texts.take(own) if texts is None else texts
        return Documents(texts, self.urls.take(own), rows, columns, self.table, self.annotate)

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of the documents that are left: one that a step added, else the shard's; null numbers are nan."""
        if name in self.columns:
            return np.asarray(self.columns[name])
        if self.table is None or name not in self.table.column_names:
            if name in LABELS:
                raise RecipeError(f"keep {name}: no earlier step makes that column; put `label: language` before it")
            known = ", ".join(self.table.column_names) if self.table is not None else "none"
            raise DataError(f"keep column: there is no column {name!r}; the shard has: {known}")
        values = self.table[name].take(pa.array(self.rows)).combine_chunks()
        kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return np.asarray(pc.fill_null(values.cast(pa.string()), "").to_pylist(), np.str_)
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
            raise DataError(f"keep column, {name}: expected numbers or strings, found {kind}")
        return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)

    def dictionaries(self) -> list[dict[str, Any]]:
        """The remaining documents as dictionaries, with the ``text`` and the columns that they have now."""
        held = self.table.take(pa.array(self.rows)).to_pylist() if self.table is not None else [{} for _ in self.rows]
        added = {name: values.tolist() for name, values in self.columns.items() if not name.startswith(MARK)}
        return [
            {**row, "url": url, "text": text, **{name: values[n] for name, values in added.items()}}
            for n, (row, url, text) in enumerate(zip(held, self.urls, self.texts, strict=True))
        ]


def clean(
    steps: Sequence[Step],
    texts: Texts,
    urls: Texts,
    trace: Trace | None = None,
    annotate: bool = False,
    table: pa.Table | None = None,
) -> Documents:
    """Take documents through the steps. ``trace`` gets each rule's value, bounds and verdict (for a single document)."""
    documents = Documents(texts, urls, np.arange(len(texts)), table=table, annotate=annotate)
    for step in steps:
        if not len(documents.rows):
            break
        before, bytes_before = len(documents.rows), documents.texts.bytes
        value = _take(step, documents)
        if trace and value is not None:
            sure = dict(step.options).get("sure", 0.0)
            words = step.keep.bounds if step.keep else among_in_words(step.rule, step.among, sure)
            trace(step.rule, value[0], words, len(documents.rows) == before)
        elif trace and step.verb in ("edit", "keep_lines"):
            lost = bytes_before - documents.texts.bytes
            trace(step.rule, lost, "bytes removed", len(documents.rows) == before)
    if not len(documents.rows):
        _fill(documents, steps)
    return documents


def _fill(documents: Documents, steps: Sequence[Step]) -> None:
    """Add the columns of all steps where no document is left, whichever step dropped the last one."""
    own = {*LABELS, *(step.rule for step in steps if step.verb == "column")}
    for name, kind in columns_of(steps, documents.annotate).items():
        empty = np.zeros(0, kind.to_pandas_dtype() if kind != pa.string() else np.str_)
        (documents.columns if name in own else documents.annotations)[name] = empty


def among_in_words(name: str, among: Sequence[str], sure: float = 0.0) -> str:
    """A rule over labels, as the trace and the summary show it."""
    return f"{name} among {', '.join(among)}" + (f", or probability below {sure:g}" if sure else "")


def _labelled(step: Step, documents: Documents, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which labels are among those of a step, or not sure enough."""
    passed = matching(values, step.among) if step.subject == "language" else np.isin(values.astype(np.str_), step.among)
    sure = dict(step.options).get("sure")
    return passed | (documents.columns["language_probability"] < sure) if sure else passed


def _take(step: Step, documents: Documents) -> Any:
    """Run one step on the remaining documents; returns the values that a keep tested."""
    if step.verb == "cut_words":
        documents.cut_words(str(step.subject), step.languages)
        return None
    if step.languages:
        return _take_for(step, documents)
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
        return _take_column(step, subject, documents)
    values = _measured(subject, documents)
    if step.verb in ("mark", "column"):
        documents.columns[_place_of(step)] = values
        return None
    if step.verb == "keep_lost":
        then = documents.columns[f"{MARK}{subject.name}"]
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(then > 0, (then - values) / then, np.nan)
    assert step.keep is not None
    documents.drop(step.rule, step.keep.passes(values), values)
    return values


def _place_of(step: Step) -> str:
    """Where a ``mark`` or a ``column`` keeps its values, among the documents' columns."""
    assert isinstance(step.subject, Signal)
    return f"{MARK}{step.subject.name}" if step.verb == "mark" else step.rule


def _take_for(step: Step, documents: Documents) -> Any:
    """Run a step on the documents of its languages; the others pass unchanged."""
    whole = replace(step, languages=())
    chosen = matching(documents.column("language"), step.languages)
    own = np.flatnonzero(chosen)
    part = documents.part(step.languages, own)
    value = _take(whole, part) if len(own) else None
    if documents.annotate:
        for rule, values in part.annotations.items():
            documents.annotations[rule] = _spread(values, own, len(chosen))
        if not len(own) and step.keep is not None and not isinstance(step.subject, str):
            documents.annotations[step.rule] = np.full(len(chosen), np.nan)
    for name in part.columns.keys() - documents.columns.keys():
        documents.columns[name] = _spread(part.columns[name], own, len(chosen))
    if step.verb in ("mark", "column") and not len(own):
        documents.columns.setdefault(_place_of(step), np.full(len(chosen), np.nan))
    _add_counts(documents, part)
    kept = np.isin(documents.rows[own], part.rows)
    if step.verb in ("edit", "keep_lines"):
        documents.parts.clear()
        if kept.any():
            documents.texts = documents.texts.replace(own[kept], _packed(part.texts))
    documents.parts[step.languages] = (part.rows, part.texts)
    if not kept.all():
        left = np.flatnonzero(~chosen | np.isin(documents.rows, part.rows))
        documents.texts, documents.urls = documents.texts.take(left), documents.urls.take(left)
        documents.rows = documents.rows[left]
        documents.columns = {name: values[left] for name, values in documents.columns.items()}
    return value


def _add_counts(documents: Documents, part: Documents) -> None:
    """Add what happened to some documents to what happened to all."""
    documents.drops += part.drops
    for counts, others in ((documents.dropped, part.dropped), (documents.edited, part.edited)):
        for rule, count in others.items():
            counts[rule] = counts.get(rule, Count()) + count
    for name, number in part.notes.items():
        documents.notes[name] = documents.notes.get(name, 0) + number


def _packed(texts: Texts) -> Texts:
    """The texts in a buffer of their own."""
    return Texts.of(texts.to_arrow())


def _spread(values: Any, rows: npt.NDArray[np.int64], size: int) -> Values:
    """Values at some rows, nan at the others."""
    out = np.full(size, np.nan)
    out[rows] = values
    return out


def _take_column(step: Step, name: str, documents: Documents) -> Any:
    values = documents.column(name)
    if step.keep is not None and values.dtype.kind == "U":
        raise DataError(f"keep column, {name}: bounds need numbers, found strings; give `among: [...]`")
    passed = step.keep.passes(values) if step.keep else _labelled(step, documents, values)
    shown = values if values.dtype.kind in "fiu" else documents.columns.get(f"{name}_probability", np.zeros(len(values)))
    documents.drop(step.rule, passed, shown)
    return values


def _measured(signal: Signal, documents: Documents) -> Values:
    if signal.column == "row":
        return signal.of_rows(documents.dictionaries())
    return signal.measure(documents.urls if signal.column == "url" else documents.texts)
