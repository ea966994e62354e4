"""decontaminate: find documents that quote a benchmark; drop them, delete what they quote, or annotate them.

Invariants:

* Texts and items are compared as sequences of normal words (`pipeline.decontamination.index`), by DCLM's rule or by overlap of
  n-grams (`pipeline.decontamination.matching`).
* With ``max_documents``, a first pass counts the documents of the crawl that contain each run of words. A run in more documents
  is boilerplate and is ignored (GPT-3: 10).
* The last pass writes every hit to ``hits/``. `pipeline.decontamination.report` turns them into ``decontamination.json`` and
  ``decontamination.md``.

Rules: ``benchmark_item_count`` (how many items the document quotes), ``too_large``.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from goldwash.filters.texts import Texts
from goldwash.pipeline.decontamination.benchmarks import Item, items_of
from goldwash.pipeline.decontamination.matching import Needles, Quote, Rule, document_counts, needles_of, quotes_of
from goldwash.pipeline.decontamination.report import HITS, disclosed
from goldwash.pipeline.large_texts import MAX_TEXT_BYTES, without_large
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, finish, markers_of, reports_of, stage_of, tasks_for
from goldwash.pipeline.storage.atomic import write_json
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import join, read_json
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import DROPPED, dropped_table, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.unchanged import UnchangedShard

RULE, COVERAGE = "benchmark_item_count", "benchmark_coverage"
SHOWN = 300

BOILERPLATE = "boilerplate.json"
"""The needles that are ignored, in one file: in each of 90,000 tasks they would be a file list of gigabytes."""

MEASURED_BITS = {"dclm": 0.0, "ngram": 50.0}
"""Default of ``min_information``: the value that removes most false hits and fewest true ones (docs/decontamination.md)."""


@dataclass(frozen=True)
class Decontaminate(Stage):
    """Find documents that quote a benchmark's questions; drop them, delete the strings, or annotate."""

    name: ClassVar[str] = "decontaminate"
    benchmarks: str | tuple[str, ...] = ("mmlu",)
    """Names of benchmarks, files, or folders of files."""
    rule: Literal["dclm", "ngram"] = "dclm"
    """``dclm``: a question's last sentence and one of its options. ``ngram``: a run of ``ngram`` words."""
    action: Literal["drop", "delete", "annotate"] = "drop"
    """``drop`` the document, ``delete`` the matched words, or ``annotate`` with columns."""
    min_words: int = 5
    """The fewest words of a match. With ``dclm``, a shorter last sentence is extended backwards to this length."""
    ngram: int = 13
    """For ``ngram``: words per run."""
    min_coverage: float = 0.0
    """For ``ngram``: the least share of an item's words that the text must have."""
    min_information: float | None = None
    """Bits that a run must have, so that commonplace runs do not match. Null: 0 for ``dclm``, 50 for ``ngram``."""
    max_documents: int | None = None
    """Ignore runs that occur in more documents of the crawl than this. Null: no limit."""
    max_text_bytes: int = MAX_TEXT_BYTES
    """Drop longer texts as ``too_large``."""

    def __post_init__(self) -> None:
        sound = {
            "min_words": (self.min_words >= 1, "1 or more"),
            "max_text_bytes": (self.max_text_bytes >= 1, "1 or more"),
            "ngram": (self.ngram >= 2, "2 or more"),
            "min_coverage": (0 <= self.min_coverage <= 1, "0 to 1"),
            "min_information": (self.min_information is None or self.min_information >= 0, "0 bits or more, or null"),
            "max_documents": (self.max_documents is None or self.max_documents >= 1, "1 or more, or null"),
        }
        for name, (right, expected) in sound.items():
            if not right:
                raise RecipeError(f"stage decontaminate: {name} is {getattr(self, name)}; expected {expected}", (name,))

    @property
    def names(self) -> tuple[str, ...]:
        """The benchmarks' names or paths."""
        return (self.benchmarks,) if isinstance(self.benchmarks, str) else self.benchmarks

    @property
    def how(self) -> Rule:
        """The rule and its parameters."""
        bits = MEASURED_BITS[self.rule] if self.min_information is None else self.min_information
        return Rule(self.rule, self.min_words, self.ngram, self.min_coverage, bits)

    def preflight(self) -> None:
        """Read the benchmarks, so that a missing one stops the run before its first stage."""
        for name in self.names:
            _items(name)

    def versions(self) -> dict[str, str]:
        """A digest of every benchmark's items."""
        return {f"benchmark {name}": _items_digest(name) for name in self.names}

    def notes(self) -> list[str]:
        """A warning where only the built-in questions are searched."""
        if self.names != ("sample",):
            return []
        return [
            "decontaminate searches for the built-in questions only, which are for trying things out: for MMLU, or a folder of "
            "its files, --set decontaminate.benchmarks=mmlu (with `goldwash stage`: --set benchmarks=mmlu)"
        ]

    def cost(self, load: Load) -> Cost:
        """Measured with MMLU."""
        return Cost(77.0)

    def warm_up(self) -> None:
        """Compile the kernels."""
        item = Item("b", "s", 0, "One question after another, is it?", ("yes", "no"))
        quotes_of(Texts.of(["One question after another, is it? Yes."]), needles_of([item], Rule()))

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """Count the runs, act on the documents, write the report."""
        ignored = [] if self.max_documents is None else self._boilerplate(inputs, out, run, self.max_documents)
        write_json(join(out, BOILERPLATE), ignored)
        cutting = tasks_for(self, inputs, out, ignored=_digest_of(ignored))
        run(clean_shard, cutting)
        items, needles = prepared(self)
        facts = {
            "items": len(items),
            "items_not_searched": needles.unsearched,
            "needles": len(needles.items),
            "needles_ignored_as_boilerplate": len(ignored),
            "index_bytes": needles.index.bytes,
        }
        documents = reports_of(cutting).read.documents
        files = (f"hits/{task.name}.parquet" for task in cutting)
        hits = [(join(out, file), marker["files"][file]) for file, marker in zip(files, markers_of(cutting), strict=True)]
        disclosed(out, hits, items, needles.sizes, {**self.config(), **facts, "documents": documents})
        return finish(self, inputs, out, cutting, facts)

    def _boilerplate(self, inputs: Sequence[Input], out: str, run: Run, most: int) -> list[int]:
        """The needles that more than ``most`` documents contain."""
        counting = tasks_for(self, inputs, out, "count")
        run(count_shard, counting)
        counts: Counter[int] = Counter()
        for marker in markers_of(counting):
            counts.update({int(needle): n for needle, n in marker["facts"]["documents"].items()})
        return sorted(needle for needle, n in counts.items() if n > most)

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """The items that the document quotes, with the passages."""
        items, needles = prepared(self)
        texts = Texts.of([document["text"]])
        quotes = quotes_of(texts, needles, read_json(join(folder, BOILERPLATE)) or ()).get(0, [])
        told: list[tuple[str, Any, str, bool]] = [(RULE, len(quotes), f"{RULE} <= 0", not quotes)]
        for quote in quotes:
            words = " ... ".join(texts.utf8[a:b].tobytes().decode() for a, b in quote.spans)
            told.append((f"  {items[quote.item].name}", f"{quote.coverage:.0%}", f'passage: "{words[:SHOWN]}"', False))
        return told


@cache
def _items(name: str) -> tuple[Item, ...]:
    return tuple(items_of(name))


@cache
def _items_digest(name: str) -> str:
    rows = [(i.subject, i.question, i.options) for i in _items(name)]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


@cache
def _prepared(names: tuple[str, ...], rule: Rule) -> tuple[tuple[Item, ...], Needles]:
    items = tuple(item for name in names for item in _items(name))
    return items, needles_of(items, rule)


def prepared(stage: Decontaminate) -> tuple[tuple[Item, ...], Needles]:
    """The items and their needles; made once per process."""
    return _prepared(stage.names, stage.how)


def count_shard(task: Task) -> None:
    """Count the documents of a shard that contain each run of words."""
    stage = stage_of(task, Decontaminate)
    counts: Counter[int] = Counter()
    with TaskOutput(task, None, dropped=False) as output:
        _, needles = prepared(stage)
        for table, texts in output.batches(task.source, columns=()):
            counts.update(document_counts(without_large(table, texts, stage.max_text_bytes).texts, needles))
            output.count(texts)
        output.facts["documents"] = {str(needle): n for needle, n in sorted(counts.items())}


def _digest_of(ignored: Sequence[int]) -> str:
    return hashlib.sha256(json.dumps(list(ignored)).encode()).hexdigest()


def _ignored(task: Task) -> frozenset[int]:
    """The ignored needles; raises `DataError` if the file is not the one that the tasks were planned with."""
    place = join(task.out, BOILERPLATE)
    ignored = read_json(place)
    if ignored is None or _digest_of(ignored) != task.extra["ignored"]:
        raise DataError(f"{place} is missing or changed since this work was planned: run again")
    return frozenset(ignored)


def clean_shard(task: Task) -> None:
    """Process one shard into one shard, and write its hits."""
    stage = stage_of(task, Decontaminate)
    ignored = _ignored(task)
    items, needles = prepared(stage)
    schema = schema_of(task.source)
    if stage.action == "annotate":
        schema = with_fields(schema, **{RULE: pa.int64(), COVERAGE: pa.float64()})
    with TaskOutput(task, None, dropped=False) as output:
        shard = UnchangedShard(join(task.out, f"{task.name}.parquet"), schema, task.source)
        output.attach("kept", shard)
        output.open("dropped", f"dropped/{task.name}.parquet", DROPPED)
        output.open("hits", f"hits/{task.name}.parquet", HITS)
        for whole, every in output.batches(task.source):
            sifted = without_large(whole, every, stage.max_text_bytes)
            table, texts = sifted.table, sifted.texts
            quotes = quotes_of(texts, needles, ignored)
            kept, gone, report = acted(stage, table, texts, quotes, items)
            if kept is whole:
                shard.keep(kept)
            else:
                shard.write(kept)
            for dropped in (gone, sifted.gone):
                if dropped is not None:
                    output.write("dropped", dropped)
            if quotes:
                output.write("hits", _hits(table, output.report.read.documents, texts, quotes, items))
            output.report += report + sifted.report


def _hits(table: pa.Table, first: int, texts: Texts, quotes: Mapping[int, list[Quote]], items: Sequence[Item]) -> pa.Table:
    rows = [
        {
            "row": first + row,
            "id": table["id"][row].as_py(),
            "url": table["url"][row].as_py(),
            "item": quote.item,
            "name": items[quote.item].name,
            "coverage": quote.coverage,
            "words": [end for run in quote.words for end in run],
            "matched": " ... ".join(texts.utf8[a:b].tobytes().decode("utf-8") for a, b in quote.spans),
        }
        for row in sorted(quotes)
        for quote in quotes[row]
    ]
    return pa.Table.from_pylist(rows, schema=HITS)


def acted(
    stage: Decontaminate, table: pa.Table, texts: Texts, quotes: Mapping[int, list[Quote]], items: Sequence[Item]
) -> tuple[pa.Table, pa.Table | None, Report]:
    """A batch after the action: the kept table, the dropped one, and the report."""
    read = Count(len(texts), texts.bytes)
    notes = {"hits": sum(map(len, quotes.values()))} if quotes else {}
    if stage.action == "annotate":
        counts = np.array([len(quotes.get(row, ())) for row in range(len(texts))], np.int64)
        cover = np.array([max((q.coverage for q in quotes.get(row, ())), default=0.0) for row in range(len(texts))], np.float64)
        noted = with_column(with_column(table, RULE, pa.array(counts)), COVERAGE, pa.array(cover))
        return noted, None, Report(read, read, notes=notes)
    if not quotes:
        return table, None, Report(read, read)
    rows = np.array(sorted(quotes), np.int64)
    if stage.action == "delete":
        after = texts.replace(rows, Texts.of([_without(texts, int(row), quotes[int(row)]) for row in rows]))
        kept = Count(len(texts), after.bytes)
        edited = {"benchmark_strings": Count(len(rows), texts.bytes - after.bytes)}
        return with_column(table, "text", after.to_arrow()), None, Report(read, kept, edited=edited, notes=notes)
    left = np.setdiff1d(np.arange(len(texts)), rows)
    gone = Count(len(rows), int(texts.byte_counts[rows].sum()))
    kept = Count(len(left), int(texts.byte_counts[left].sum()))
    details = ["; ".join(items[quote.item].name for quote in quotes[int(row)]) for row in rows]
    values = [len(quotes[int(row)]) for row in rows]
    dropped = dropped_table(table["id"].take(rows), table["url"].take(rows), RULE, values, details)
    return table.take(left), dropped, Report(read, kept, {RULE: gone}, notes=notes)


def _without(texts: Texts, row: int, quotes: Sequence[Quote]) -> str:
    """A text without the quoted strings."""
    data, out, at = texts.utf8, bytearray(), int(texts.starts[row])
    for start, end in sorted({span for quote in quotes for span in quote.spans}):
        out += data[at : max(at, start)].tobytes()
        at = max(at, end)
    out += data[at : texts.ends[row]].tobytes()
    return out.decode()
