"""decontaminate: find documents that quote a benchmark, and drop them or delete what they quote.

Law: DCLM's rule (2406.11794, section 4.6): a document that holds the last sentence of a question and one of its options is
contaminated. Both are compared as sequences of normal words (`pipeline.dedup.overlap`). A last sentence of fewer than
``min_words`` words is lengthened by the words before it; a question without options needs its sentence alone.

``action``: ``drop`` the document, ``delete`` the strings (as the reference did), or ``annotate``, which only counts. Every hit
stands in the dropped shard or in the report, with the item's name.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.texts import Texts
from pipeline.benchmarks import Item, items_of
from pipeline.dedup.overlap import Index, found, index_of, normal_words
from pipeline.report import Count, Report
from pipeline.run.work import beat
from pipeline.shards import (
    Input,
    Task,
    TaskOutput,
    dropped_table,
    read_batches,
    schema_of,
    texts_of,
    with_column,
    with_fields,
)
from pipeline.stage import Run, Stage, finish, tasks_for

RULE = "benchmark_item_count"


@dataclass(frozen=True)
class Hit:
    """A benchmark item that a text quotes, and where: byte ranges of the question's sentence and of the options."""

    item: Item
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Decontaminate(Stage):
    """Find documents that quote a benchmark's questions; drop them, delete the strings, or annotate."""

    name: ClassVar[str] = "decontaminate"
    benchmarks: str | tuple[str, ...] = ("sample",)
    action: Literal["drop", "delete", "annotate"] = "drop"
    min_words: int = 5

    @property
    def names(self) -> tuple[str, ...]:
        """The benchmarks' names or paths."""
        return (self.benchmarks,) if isinstance(self.benchmarks, str) else self.benchmarks

    def versions(self) -> dict[str, str]:
        """A digest of every benchmark's items."""
        return {f"benchmark {name}": _items_digest(name) for name in self.names}

    def rehearse(self) -> None:
        """Compile the kernels."""
        found(Texts.of(["One question after another, is it?"]), index_of(["is it", "question after another is it"]))

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """One task a shard."""
        tasks = tasks_for(self, inputs, out)
        run(clean_shard, tasks)
        index, items = _index(self.names, self.min_words)
        return finish(self, inputs, out, tasks, {"items": len(items), "index_bytes": index.bytes})

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """The items that the document quotes."""
        hits = hits_of(Texts.of([document["text"]]), self)
        count = len(hits.get(0, ()))
        return [(RULE, count, f"{RULE} <= 0", count == 0)]


@cache
def _items_digest(name: str) -> str:
    rows = [(i.subject, i.question, i.options) for i in items_of(name)]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


@cache
def _index(names: tuple[str, ...], min_words: int) -> tuple[Index, tuple[Item, ...]]:
    """The index of the items' last sentences, and the items in its order."""
    items = tuple(item for name in names for item in items_of(name))
    return index_of([_needle(item, min_words) for item in items]), items


def _needle(item: Item, min_words: int) -> str:
    words = Texts.of([item.last_sentence]).uax29_words
    if len(words) >= min_words:
        return item.last_sentence
    every = Texts.of([item.question]).uax29_words
    first = max(0, len(every) - min_words)
    return item.question.encode()[int(every.starts[first]) :].decode() if len(every) else item.question


def hits_of(texts: Texts, stage: Decontaminate) -> dict[int, list[Hit]]:
    """The items that each text quotes, by row; texts without a hit are not there."""
    index, items = _index(stage.names, stage.min_words)
    rows, firsts, needles = found(texts, index)
    if not len(rows):
        return {}
    words, hashed = texts.uax29_words, normal_words(texts)
    hits: dict[int, list[Hit]] = {}
    for row, needle in sorted(set(zip(rows.tolist(), needles.tolist(), strict=True))):
        item = items[needle]
        here = slice(words.parents[row], words.parents[row + 1])
        options = _option_spans(item, hashed[here])
        if item.options and not options:
            continue
        places = firsts[(rows == row) & (needles == needle)]
        length = int(index.lengths[needle])
        spans = [(int(p), int(p) + length) for p in places] + [(int(here.start) + a, int(here.start) + b) for a, b in options]
        ranges = tuple((int(words.starts[a]), int(words.ends[b - 1])) for a, b in sorted(spans))
        hits.setdefault(row, []).append(Hit(item, ranges))
    return hits


def _option_spans(item: Item, hashed: npt.NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Where the item's options stand among a text's words."""
    spans = []
    for option in _option_words(item.options):
        n = len(option)
        if not n or n > len(hashed):
            continue
        same = np.ones(len(hashed) - n + 1, bool)
        for k in range(n):
            same &= hashed[k : len(hashed) - n + 1 + k] == option[k]
        spans += [(int(a), int(a) + n) for a in np.flatnonzero(same)]
    return spans


@cache
def _option_words(options: tuple[str, ...]) -> tuple[npt.NDArray[np.uint64], ...]:
    if not options:
        return ()
    texts = Texts.of(list(options))
    hashed, parents = normal_words(texts), texts.uax29_words.parents
    return tuple(hashed[a:b] for a, b in pairwise(parents))


@cache
def _stage(config: str) -> Decontaminate:
    return Decontaminate.of({k: v for k, v in json.loads(config).items() if k != "name"})


def clean_shard(task: Task) -> None:
    """One shard in, one shard out."""
    stage = _stage(json.dumps(task.stage))
    location = task.inputs[0]
    schema = schema_of(location)
    if stage.action == "annotate":
        schema = with_fields(schema, **{RULE: pa.int64()})
    with TaskOutput(task, schema) as output:
        for table in read_batches(location):
            texts = texts_of(table, "text", location)
            hits = hits_of(texts, stage)
            kept, gone, report = _acted(stage, table, texts, hits)
            output.write("kept", kept)
            if gone is not None:
                output.write("dropped", gone)
            output.report += report
            beat(task, output.report.read.documents, output.report.read.bytes)


def _acted(
    stage: Decontaminate, table: pa.Table, texts: Texts, hits: Mapping[int, list[Hit]]
) -> tuple[pa.Table, pa.Table | None, Report]:
    """What the action makes of a batch."""
    read = Count(len(texts), texts.bytes)
    notes = Counter(f"item.{name}" for found_ in hits.values() for name in {hit.item.name for hit in found_})
    if stage.action == "annotate":
        counts = np.array([len(hits.get(row, ())) for row in range(len(texts))], np.int64)
        return with_column(table, RULE, pa.array(counts)), None, Report(read, read, notes=notes)
    rows = np.array(sorted(hits), np.int64)
    if stage.action == "delete":
        after = texts.replace(rows, Texts.of([_without(texts, int(row), hits[int(row)]) for row in rows]))
        kept = Count(len(texts), after.bytes)
        edited = {"benchmark_strings": Count(len(rows), texts.bytes - after.bytes)} if len(rows) else {}
        return with_column(table, "text", after.to_arrow()), None, Report(read, kept, edited=edited, notes=notes)
    left = np.setdiff1d(np.arange(len(texts)), rows)
    gone = Count(len(rows), int(texts.byte_counts[rows].sum()))
    kept = Count(len(left), int(texts.byte_counts[left].sum()))
    dropped = None
    if len(rows):
        details = ["; ".join(hit.item.name for hit in hits[int(row)]) for row in rows]
        values = [len(hits[int(row)]) for row in rows]
        dropped = dropped_table(table["id"].take(rows), table["url"].take(rows), RULE, values, details)
    return table.take(left), dropped, Report(read, kept, {RULE: gone} if len(rows) else {}, notes=notes)


def _without(texts: Texts, row: int, hits: Sequence[Hit]) -> str:
    """A text without the quoted strings."""
    data, out, at = texts.utf8, bytearray(), int(texts.starts[row])
    for start, end in sorted({span for hit in hits for span in hit.spans}):
        out += data[at : max(at, start)].tobytes()
        at = max(at, end)
    out += data[at : texts.ends[row]].tobytes()
    return out.decode()
