"""bloom: remove lines and documents that occurred in earlier documents.

Invariants:

* The first pass counts each shard's n-grams, or adds up a column in which ``heuristics`` counted them. The second takes each
  group's shards, in the order of the input, through one filter that is sized from those counts. Where a task may use several
  processors, cutting, filtering and writing are three steps side by side (`pipeline.threads`).
* Shard ``i`` belongs to group ``i % groups``: what is dropped depends on the input and the parameters alone.
* A kept document's losses are in its columns ``ngram_count``, ``contained_ngram_count`` and ``removed_line_count``.

Rules: ``contained_fraction`` (more than ``threshold`` of its n-grams occurred before), ``no_line_left``, ``too_large``.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldwash.filters.edits import stripped
from goldwash.filters.ngrams import Hashes
from goldwash.filters.signals import Signal
from goldwash.filters.texts import Texts
from goldwash.pipeline.dedup.bloom import (
    LEAST_RATE,
    MOST_BLOCKS,
    Outcome,
    Pass,
    Sizing,
    Tokens,
    ngram_count,
    run_pass,
    sizing,
    tokens_of,
)
from goldwash.pipeline.large_texts import MAX_TEXT_BYTES, Sifted, without_large
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, Tasks, finish, markers_of, stage_of, tasks_for
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats import format_of
from goldwash.pipeline.storage.machine import available_memory
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import DROPPED, dropped_table, is_input, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.threads import ahead

log = logging.getLogger("goldwash")

COLUMNS = {"ngram_count": pa.int64(), "contained_ngram_count": pa.int64(), "removed_line_count": pa.int64()}

WORD_BYTES = 6.0
LARGE_TASK = 64e9
"""Bytes of memory that an ordinary machine does not have for one task."""

AHEAD = 4 << 20
"""Bytes of text that are read, and then filtered, before their turn. More is no faster (2026-11)."""


@dataclass(frozen=True)
class Bloom(Stage):
    """Remove lines and documents that occurred in earlier documents, with a Bloom filter of n-grams."""

    name: ClassVar[str] = "bloom"
    mode: Literal["both", "lines", "documents"] = "both"
    """``lines``: remove repeated lines. ``documents``: drop repeated documents. ``both``: do both."""
    min_n: int = 13
    """Tokens of the shortest line that is looked up; one of fewer than ``max_n`` tokens is a single n-gram."""
    max_n: int = 13
    """Tokens per n-gram."""
    threshold: float = 0.8
    """Remove what has more than this fraction of its n-grams in earlier documents."""
    false_positive_rate: float = 0.01
    """The filter's rate of false positives when it is full; it decides the filter's size."""
    groups: int = 1
    """Split the shards into groups that are deduplicated separately, each with a filter of its own."""
    short_documents: bool = False
    """Look up a document whose lines are all shorter than ``min_n`` as a whole, instead of never dropping it."""
    max_text_bytes: int = MAX_TEXT_BYTES
    """Drop longer texts as ``too_large``."""
    count_column: str | None = None
    """The column with each document's number of n-grams, which ``{column: ngram_count}`` of ``heuristics`` adds: then texts are
    read once. None: count them, as a run also does where that step has other parameters, or texts have changed since."""
    of_run: ClassVar[tuple[str, ...]] = ("count_column",)

    def __post_init__(self) -> None:
        sound = {
            "groups": (self.groups >= 1, "1 or more"),
            "min_n": (1 <= self.min_n <= self.max_n, f"1 to max_n, which is {self.max_n}"),
            "max_text_bytes": (self.max_text_bytes >= 1, "1 or more"),
            "threshold": (0 <= self.threshold <= 1, "0 to 1"),
            "false_positive_rate": (LEAST_RATE <= self.false_positive_rate < 1, f"{LEAST_RATE} or more and less than 1"),
        }
        for name, (right, expected) in sound.items():
            if not right:
                raise RecipeError(f"stage bloom: {name} is {getattr(self, name)}; expected {expected}")

    @property
    def parameters(self) -> Pass:
        """The parameters of a pass."""
        return Pass(self.mode, self.min_n, self.max_n, self.threshold, self.short_documents)

    def fitted(self, measured: Mapping[str, Signal]) -> "Bloom":
        """See `Stage`."""
        found = measured.get(self.count_column or "")
        return self if found is not None and found.same(self.parameters.counts) else replace(self, count_column=None)

    def cost(self, load: Load) -> Cost:
        """Measured; a filter takes 9.6 bits per n-gram at 1% false positives, and a word has 6 bytes."""
        groups = min(load.inputs, self.groups)
        memory = 1.2 * load.text_bytes / WORD_BYTES / groups
        advice = f"a task of bloom takes {memory / 1e9:,.0f} GB: --set bloom.groups={ceil(memory * groups / LARGE_TASK)}"
        rate = 70.0 if self.count_column is None else 84.0
        return Cost(rate, memory=memory, tasks=groups, advice=advice if memory > LARGE_TASK else "")

    def warm_up(self) -> None:
        """Compile the kernels."""
        words = " ".join(f"word{n}" for n in range(20))
        table = pa.table({"id": ["a", "b", "c"], "url": [""] * 3, "text": [f"{words}\n{words}", f"{words}\nshort", "short"]})
        texts = Texts.of(table["text"].to_pylist())
        size = sizing(max(ngram_count(texts, self.parameters), 1), 0.01)
        tokens = tokens_of(texts, self.parameters)
        _divided(table, texts, run_pass(texts, tokens, size.empty(), size.bits_per_ngram, self.parameters))

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """Count by shard, then filter by group."""
        counting = tasks_for(self, inputs, out, "count")
        run(count_shard, counting)
        counts = [int(marker["facts"]["ngrams"]) for marker in markers_of(counting)]
        made = Tasks(self, inputs, out)
        tasks = [self._group(made, counts, group) for group in range(min(self.groups, len(inputs)))]
        sizes = [Sizing(**task.extra["sizing"]) for task in tasks]
        largest = max((s.bytes for s in sizes), default=0)
        log.info(
            f"bloom: {sum(counts):,} n-grams in {len(tasks)} group{'s' * (len(tasks) != 1)}; "
            f"a worker takes {largest / 1e6:,.2f} MB for its filter"
        )
        run(filter_group, tasks)
        facts = {"ngrams": sum(counts), "groups": len(tasks), "largest_filter_bytes": largest}
        return finish(self, inputs, out, tasks, facts)

    def _group(self, tasks: Tasks, counts: Sequence[int], group: int) -> Task:
        members = range(group, len(counts), self.groups)
        ngrams = sum(counts[i] for i in members)
        size, sources = sizing(max(1, ngrams), self.false_positive_rate), [tasks.inputs[i] for i in members]
        if size.blocks > MOST_BLOCKS:
            need = -(-size.blocks * self.groups // MOST_BLOCKS)
            raise RecipeError(
                f"stage bloom: a filter for {ngrams:,} n-grams takes {size.bytes / 1e9:,.0f} GB; expected at most "
                f"{MOST_BLOCKS * 64 / 1e9:,.0f} GB: give groups={need} or more",
                ("groups",),
            )
        facts: dict[str, Any] = {"sizing": vars(size), "shards": list(members), "ngrams": ngrams, "all_shards": len(counts)}
        return tasks.one("group", group, sources=sources, memory=size.bytes, **facts)

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """The document's share of n-grams seen before, and the lines that it lost."""
        total = document.get("ngram_count")
        if total is None:
            share = document.get("contained_fraction")
            return [] if share is None else [("contained_fraction", share, f"contained_fraction <= {self.threshold:g}", False)]
        share = document["contained_ngram_count"] / total if total else 0.0
        return [
            ("contained_fraction", share, f"contained_fraction <= {self.threshold:g}", share <= self.threshold),
            ("removed_line_count", document["removed_line_count"], "lines taken out", True),
        ]


def _check_memory(size: Sizing, ngrams: int, shards: int, groups: int) -> None:
    """Refuse a filter that does not fit into this machine's memory, with the number of groups that would."""
    available = available_memory()
    if available is None or size.bytes <= 0.9 * available:
        return
    need = -(-size.bytes * groups // max(1, int(0.8 * available)))
    cure = f"give groups={need}" if shards >= need else f"cut the input into at least {need} shards and give groups={need}"
    raise DataError(
        f"a Bloom filter for {ngrams:,} n-grams takes {size.bytes / 1e9:.1f} GB, and {available / 1e9:.1f} GB of memory are "
        f"available: {cure}, or run on a larger machine (other groups give another output)"
    )


def count_shard(task: Task) -> None:
    """Count a shard's n-grams, or add up the column that has them."""
    stage = stage_of(task, Bloom)
    with TaskOutput(task, None, dropped=False) as output:
        output.facts["ngrams"] = _added_up(task, stage, output) if stage.count_column else _counted(task, stage, output)


def _counted(task: Task, stage: Bloom, output: TaskOutput) -> int:
    total = 0
    for table, texts in output.batches(task.source, columns=()):
        total += ngram_count(without_large(table, texts, stage.max_text_bytes).texts, stage.parameters)
        output.count(texts)
    return total


def _added_up(task: Task, stage: Bloom, output: TaskOutput) -> int:
    total, column = 0, str(stage.count_column)
    with format_of(task.source.path).opened(task.source) as rows:
        if column not in rows.schema.names:
            raise DataError(_not_counted(task.source, stage, f"has no column {column}"))
        for table in rows.tables([column]):
            total += int(_counts(table, stage, task.source).sum())
            output.beat()
    return total


def _counts(table: pa.Table, stage: Bloom, source: Input) -> npt.NDArray[np.int64]:
    """The column of n-gram counts: ``int64[N]``; `DataError` if it holds anything else."""
    kind = table.schema.field(str(stage.count_column)).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(_not_counted(source, stage, f"has a column of {kind}"))
    values = table[stage.count_column].cast(pa.float64(), safe=False).to_numpy()
    if not (values >= 0).all() or (values != np.floor(values)).any():
        raise DataError(_not_counted(source, stage, "has values that are no counts"))
    return np.asarray(values, np.int64)


def _not_counted(source: Input, stage: Bloom, found: str) -> str:
    expected = ", ".join(f"{name}: {value}" for name, value in stage.parameters.counts.bound.items())
    return (
        f"{source.path} {found}: bloom.count_column is {stage.count_column!r}; expected the counts of a step "
        f"{{column: ngram_count, {expected}}} of heuristics: give count_column=null to count the n-grams here"
    )


def filter_group(task: Task) -> None:
    """Take a group's shards through one filter, in their order."""
    stage = stage_of(task, Bloom)
    size = Sizing(**task.extra["sizing"])
    _check_memory(size, task.extra["ngrams"], task.extra["all_shards"], stage.groups)
    # A null text is dropped when it is read, so that a shard with nulls is not read before its turn.
    in_turn = any(source.reading.on_null == "drop" for source in task.sources)
    step: Any = nullcontext if in_turn else partial(ahead, size=_text_bytes, most=AHEAD)
    filtering = partial(_filtered, size.empty(), size.bits_per_ngram, stage.parameters)
    with (
        TaskOutput(task, None, dropped=False) as output,
        step(_cut(task, stage, output)) as cut,
        step(map(filtering, cut)) as batches,
    ):
        for number, source in zip(task.extra["shards"], task.sources, strict=True):
            others = _other_columns(schema_of(source), stage)
            output.open(f"kept{number}", f"part-{number:05d}.parquet", with_fields(others, **COLUMNS))
            output.open(f"dropped{number}", f"dropped/part-{number:05d}.parquet", DROPPED)
            for sifted, outcome in iter(partial(next, batches), None):
                _check_counts(sifted.table, outcome, stage, source)
                kept, gone, report = _divided(sifted.table.select(others.names), sifted.texts, outcome)
                output.write(f"kept{number}", kept)
                for part in [*gone, *([sifted.gone] if sifted.gone is not None else [])]:
                    output.write(f"dropped{number}", part)
                output.report += report + sifted.report
                del sifted  # the tokens of the next batch take its memory
            output.close(f"kept{number}")
            output.close(f"dropped{number}")


def _other_columns(schema: pa.Schema, stage: Bloom) -> pa.Schema:
    """The columns of the input without counts of n-grams, so that bloom's own come last, whoever has counted."""
    counts = {stage.count_column, *COLUMNS}
    return pa.schema([field for field in schema if field.name not in counts or is_input(field)])


def _check_counts(table: pa.Table, outcome: Outcome, stage: Bloom, source: Input) -> None:
    """Refuse counts that are not those of the n-grams that were looked up: the filter would have another size."""
    if stage.count_column is None:
        return
    counts = _counts(table, stage, source)
    if (counts != outcome.total).any():
        row = int(np.flatnonzero(counts != outcome.total)[0])
        document = table["id"][row].as_py()
        raise DataError(
            _not_counted(source, stage, f"has {counts[row]:,} n-grams for {document}, which has {outcome.total[row]:,}")
        )


def _cut(task: Task, stage: Bloom, output: TaskOutput) -> Iterator[tuple[Sifted, Tokens] | None]:
    """The batches of a group's shards without their large texts, and their tokens; None after each shard."""
    for number, source in zip(task.extra["shards"], task.sources, strict=True):
        for table, texts in output.batches(source, dropped=f"dropped{number}", again=not stage.count_column):
            sifted = without_large(table, texts, stage.max_text_bytes)
            yield sifted, tokens_of(sifted.texts, stage.parameters)
        yield None


def _filtered(
    filter_: Hashes, bits: int, parameters: Pass, batch: tuple[Sifted, Tokens] | None
) -> tuple[Sifted, Outcome] | None:
    """A batch, and what the filter says of it; None for None."""
    if batch is None:
        return None
    sifted, tokens = batch
    return sifted, run_pass(sifted.texts, tokens, filter_, bits, parameters)


def _text_bytes(batch: tuple[Sifted, Any] | None) -> int:
    return batch[0].texts.bytes if batch is not None else 0


def _divided(table: pa.Table, before: Texts, outcome: Outcome) -> tuple[pa.Table, list[pa.Table], Report]:
    """The kept documents with their columns, the dropped ones, and the report."""
    texts = outcome.texts
    blank = ~outcome.dropped & (outcome.removed_lines > 0) & (stripped(texts).byte_counts == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = outcome.contained / outcome.total
    gone, dropped = [], {}
    for rule, mask in (("contained_fraction", outcome.dropped), ("no_line_left", blank)):
        rows = np.flatnonzero(mask)
        if len(rows):
            gone.append(dropped_table(table["id"].take(rows), table["url"].take(rows), rule, share[rows], [None] * len(rows)))
            dropped[rule] = Count(len(rows), int(before.byte_counts[rows].sum()))
    kept = np.flatnonzero(~outcome.dropped & ~blank)
    result = _taken(table, kept, texts)
    columns = (outcome.total, outcome.contained, outcome.removed_lines)
    for name, values in zip(COLUMNS, columns, strict=True):
        result = with_column(result, name, pa.array(values[kept]))
    return result, gone, _report(before, texts, kept, dropped, outcome.removed_lines)


def _taken(table: pa.Table, rows: npt.NDArray[np.int64], texts: Texts) -> pa.Table:
    """Some rows of a table, with these texts as their texts: the table's own are not copied first."""
    others = table.drop_columns(["text"]).take(rows)
    return others.add_column(table.schema.get_field_index("text"), "text", texts.take(rows).to_arrow())


def _report(
    before: Texts, after: Texts, kept: npt.NDArray[np.int64], dropped: dict[str, Count], removed: npt.NDArray[np.int64]
) -> Report:
    kept_bytes, all_bytes = int(after.byte_counts[kept].sum()), int(before.byte_counts[kept].sum())
    lines = int(removed[kept].sum())
    edited = {"duplicate_lines": Count(int((removed[kept] > 0).sum()), all_bytes - kept_bytes)} if lines else {}
    notes = {"removed_lines": lines} if lines else {}
    return Report(Count(len(before), before.bytes), Count(len(kept), kept_bytes), dropped, edited, notes)
