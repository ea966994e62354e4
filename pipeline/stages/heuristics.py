"""heuristics: clean documents by signals, keeps and edits, in the recipe's order.

Invariants: one shard in, one shard out. `pipeline.steps` says what a step is and runs it. Before the first step, a text of more
than ``max_text_bytes`` bytes is dropped under ``too_large``: it would take a worker's memory many times over.

``annotate: true`` drops nothing and leaves every text as it is: each keep's value becomes a column of the rule's name, measured
at its place among the edits (as RedPajama-V2 does, arXiv 2411.12372). `pipeline.inspect.what_if` answers from such columns.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import regex

from goldwash.classifiers import language
from goldwash.classifiers.labels import has_script
from goldwash.filters.edits import KeepLines
from goldwash.filters.fetch import file_digest
from goldwash.filters.lists import ListError, located
from goldwash.filters.segmentation import icu_version
from goldwash.filters.signals import PROVIDERS, Edit, Signal
from goldwash.filters.texts import Texts
from goldwash.pipeline.failing import naming_document
from goldwash.pipeline.optouts.table import table_digest
from goldwash.pipeline.recipes.fineweb2 import expanded
from goldwash.pipeline.recipes.plugins import load_custom
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, finish, stage_of, tasks_for
from goldwash.pipeline.steps import Documents, Drop, Step, clean, columns_of, plan_of, sees_row
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import dropped_table, is_input, texts_of, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput

TOO_LARGE = "too_large"

BATCH_BYTES = 4 << 20
"""Bytes of text per batch. Each of some thirty steps takes 0.1 ms per batch whatever its size: with batches of 1 MB, of which
kernels find more in the cache, the stage takes 7 to 10% more (2026-11)."""


@dataclass(frozen=True)
class Heuristics(Stage):
    """Clean documents by signals, keeps and edits, in the recipe's order."""

    name: ClassVar[str] = "heuristics"
    steps: tuple[Any, ...] = ()
    """The steps, in order (`pipeline.steps`)."""
    use: tuple[Any, ...] = ()
    """The user's own files or modules that declare signals and edits."""
    annotate: bool = False
    """Write every rule's value as a column; drop nothing and change no text."""
    max_text_bytes: int = 100_000_000
    """Drop longer texts as ``too_large``."""

    def __post_init__(self) -> None:
        _ = self.plan

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """See `Stage`; settings of FineWeb2 become steps, so that no worker reads their files."""
        return super().of({**config, "steps": expanded(config["steps"])} if "steps" in config else config)

    @classmethod
    def alone(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """See `Stage`: a single stage counts no n-grams for a stage bloom after it."""
        steps = config.get("steps")
        if not isinstance(steps, list | tuple):
            return super().alone(config)
        kept = [step for step in steps if not (isinstance(step, Mapping) and step.get("column") == "ngram_count")]
        return super().alone({**config, "steps": kept})

    @cached_property
    def plan(self) -> tuple[Step, ...]:
        """The steps, read strictly; a `RecipeError` says which step is wrong."""
        load_custom(self.use)
        return plan_of(self.steps)

    def versions(self) -> dict[str, str]:
        """The Unicode data's version, digests of the lists and models that the steps name, and versions of plug-ins."""
        return self._found

    @cached_property
    def _found(self) -> dict[str, str]:
        found = {"unicode": unicodedata.unidata_version, "regex": str(regex.__version__)}
        for step in self.plan:
            options = dict(step.options)
            if step.verb == "label":
                found[f"model {options['model']}"] = file_digest(language.located(options["model"]))
                if options["model"] not in language.PUBLISHED:  # `keep: language` may have to read the labels of others
                    found["langcodes"] = version("langcodes")
            if step.verb == "cut_words" and step.subject == "icu":
                found["icu4py"] = icu_version()
            if step.languages or any(map(has_script, step.among)):
                found["langcodes"] = version("langcodes")
            found |= _provider(step)
            parameters = step.subject.parameters if isinstance(step.subject, Signal | Edit) else ()
            for key, value in parameters:
                if key in ("hosts", "phrases", "tlds") and isinstance(value, str):
                    found[f"list {value}"] = file_digest(located(value.partition("::")[0]))
                if key == "table":
                    found |= {f"table {value}": table_digest(value), "protego": version("protego")}
            if _function_of(step).startswith(KNOWING_DOMAINS):
                found["tldextract"] = version("tldextract")
        return found

    def columns(self) -> dict[str, pa.DataType]:
        """The columns that the steps add."""
        return columns_of(self.plan, self.annotate)

    def measured(self, before: Mapping[str, Signal]) -> Mapping[str, Signal]:
        """See `Stage`: the columns added after the last step that may change a text."""
        found = dict(before)
        for step in self.plan:
            if step.verb in ("edit", "keep_lines"):
                found.clear()
            elif step.verb == "column":
                found.pop(step.rule, None)
                if not step.languages and isinstance(step.subject, Signal):
                    found[step.rule] = step.subject
        return found

    def cost(self, load: Load) -> Cost:
        """Measured with baseline.yaml; the share that is kept is DCLM's (2406.11794, figure 4)."""
        return Cost(megabytes_per_second=66.0, kept_fraction=0.199)

    def warm_up(self) -> None:
        """Compile the kernels that the steps need."""
        sentence = "A page of http://example.com/a.html has 3 lines.\n\n\n- It has 2 likes ...\n3 likes\nSign-in\n"
        plan = [step for step in self.plan if not sees_row(step)]  # a shard's columns are not known yet, and need no kernels
        texts = Texts.of([sentence * 3, "x"])
        clean(plan, texts, Texts.of(["https://www.example.com/", ""])).texts.to_arrow()
        _ = texts.lines, texts.take(np.array([0])).lines  # documents that a rule keeps take their lines along
        rehearse_steps(plan)

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """One task a shard."""
        tasks = tasks_for(self, inputs, out)
        run(clean_shard, tasks)
        return finish(self, inputs, out, tasks)

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """Each rule's value for this document beside its bounds, up to the one that drops it."""
        lines: list[tuple[str, Any, str, bool]] = []
        texts, urls = Texts.of([document["text"]]), Texts.of([document.get("url") or ""])
        clean(self.plan, texts, urls, lambda *line: lines.append(line), table=pa.Table.from_pylist([dict(document)]))
        return lines


KNOWING_DOMAINS = ("goldwash.filters.links.", "goldwash.filters.personal_data.")
"""The modules that use tldextract's list of top-level domains."""


def _function_of(step: Step) -> str:
    """The module and name of the function of a step's signal or edit; "" for a column."""
    subject = step.subject.keep.signal if isinstance(step.subject, KeepLines) else step.subject
    return f"{subject.function.__module__}.{subject.name}" if isinstance(subject, Signal | Edit) else ""


def _provider(step: Step) -> dict[str, str]:
    """The package and version of the plug-in that declares a step's signal or edit; empty for goldwash's and the user's own."""
    subject = step.subject.keep.signal if isinstance(step.subject, KeepLines) else step.subject
    if not isinstance(subject, Signal | Edit) or subject.name not in PROVIDERS:
        return {}
    return {f"{type(subject).__name__.lower()} {subject.name}": PROVIDERS[subject.name]}


def rehearse_steps(plan: Sequence[Step]) -> None:
    """Run each step alone on two texts, so that one that the last dropped is compiled too."""
    texts = Texts.of(["The first line of a text, http://a.example.com/b it says. \n\n\n3 likes\nRead more now", "Two\nlines"])
    urls = Texts.of(["https://a.example.com/x", "http://b.example.org:80/y"])
    for step in plan:
        if step.verb in ("keep", "mark", "column") and isinstance(step.subject, Signal):
            step.subject.measure(urls if step.subject.column == "url" else texts)
        elif isinstance(step.subject, Edit | KeepLines):
            step.subject(texts)


def clean_shard(task: Task) -> None:
    """One shard in, one shard out."""
    stage = stage_of(task, Heuristics)
    location = task.inputs[0]
    schema = with_fields(schema_of(task.source), **stage.columns())
    with TaskOutput(task, schema) as output:
        for table, texts in output.batches(task.source, batch_bytes=BATCH_BYTES):
            kept, drops, report = (annotated if stage.annotate else cleaned)(stage, table, texts, location)
            for gone in drops:
                output.write("dropped", gone)
            output.write("kept", kept)
            output.report += report


Outcome = tuple[pa.Table, list[pa.Table], Report]
"""The kept documents, the dropped ones, and the report."""


def cleaned(stage: Heuristics, table: pa.Table, texts: Texts, location: str) -> Outcome:
    """A table's documents after the steps: the kept ones with their new text and columns."""
    small = np.flatnonzero(texts.byte_counts <= stage.max_text_bytes)
    large = np.flatnonzero(texts.byte_counts > stage.max_text_bytes)
    read, sizes = Count(len(texts), texts.bytes), texts.byte_counts[large]
    whole = table
    if len(large):
        table, texts = table.take(small), texts.take(small)
    documents = _run(stage, table, texts, location)
    kept = _with_texts(table, documents.rows, documents.texts)
    for name, kind in stage.columns().items():
        kept = with_column(kept, name, _column_of(documents, name, kind))
    drops = [(rule, small[rows], values, details) for rule, rows, values, details in documents.drops]
    dropped = dict(documents.dropped)
    if len(large):
        drops.append((TOO_LARGE, large, sizes, [None] * len(large)))
        dropped[TOO_LARGE] = Count(len(large), int(sizes.sum()))
    report = Report(read, Count(len(documents.rows), documents.texts.bytes), dropped, documents.edited, documents.notes)
    return kept, _dropped(whole, drops), report


def _with_texts(table: pa.Table, rows: npt.NDArray[np.int64], texts: Texts) -> pa.Table:
    """Some rows of a table with other texts; their own are not copied first."""
    place = table.column_names.index("text")
    if is_input(table.schema.field(place)):
        return with_column(table.take(rows), "text", texts.to_arrow())
    return table.remove_column(place).take(rows).add_column(place, "text", texts.to_arrow())


def annotated(stage: Heuristics, table: pa.Table, texts: Texts, location: str) -> Outcome:
    """A table with every rule's value as a column; nothing is dropped and no text changes."""
    documents = _run(stage, table, texts, location)
    for name, kind in stage.columns().items():
        table = with_column(table, name, _column_of(documents, name, kind))
    read = Count(len(texts), texts.bytes)
    return table, [], Report(read, read)


def _column_of(documents: Documents, name: str, kind: pa.DataType) -> pa.Array:
    """A column that the steps added."""
    values = documents.columns[name] if name in documents.columns else documents.annotations[name]
    return pa.array(values if kind == pa.string() else np.asarray(values, np.float64), kind)


def _run(stage: Heuristics, table: pa.Table, texts: Texts, location: str) -> Documents:
    urls = texts_of(table, "url", location)

    def alone(row: int) -> None:
        one = np.array([row])
        clean(stage.plan, texts.take(one), urls.take(one), annotate=stage.annotate, table=table.take(one))

    try:
        with naming_document(table["id"], alone):
            return clean(stage.plan, texts, urls, annotate=stage.annotate, table=table)
    except ListError as error:
        raise DataError(str(error)) from error
    except DataError as error:
        raise DataError(f"{location}: {error}") from error


def _dropped(table: pa.Table, drops: Sequence[Drop]) -> list[pa.Table]:
    """One table of all dropped documents, in their order: a table per rule took 0.1 ms each. Empty if there are none."""
    if not drops:
        return []
    rows, values = (np.concatenate([drop[part] for drop in drops]) for part in (1, 2))
    order = np.argsort(rows)
    rules = [rule for rule, gone, _, _ in drops for _ in gone]
    details = [detail for _, _, _, some in drops for detail in some]
    rules, details = [rules[n] for n in order], [details[n] for n in order]
    rows, values = rows[order], values[order]
    return [dropped_table(table["id"].take(rows), table["url"].take(rows), rules, values, details)]
