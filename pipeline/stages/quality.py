"""quality: score every document, and keep exactly the top fraction of the whole run.

Law: passes, in order: the model is had (fetched, or trained on the built-in examples) and folded; each shard is scored, and its
scores and a histogram of their upper 16 bits are kept; the histograms' sum tells in which bin the threshold lies, and a second
histogram, of that bin's lower 16 bits, tells the threshold itself; then each shard is cut. Memory is bounded by the histograms,
whatever the number of documents.

Kept are the highest scores whose weight (``by``: documents, bytes, or a column of whole numbers such as token_count) reaches
``fraction`` of the whole. By documents, of equal scores at the threshold those that come first in the input are kept, so that
the count is exact and the same on every engine; else all of them are. A nan score is never kept.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.classifiers.examples import examples
from goldwash.classifiers.fasttext import Folded, load, save_fold
from goldwash.classifiers.quality import scores
from goldwash.classifiers.train import Settings, train
from goldwash.filters.fetch import fetched, file_digest
from goldwash.filters.texts import Texts
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Load, RecipeError, Run, Stage, Tasks, finish, markers_of, stage_of, tasks_for
from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.inputs import Input
from goldwash.pipeline.storage.locations import DataError, exists, filesystem, is_local, join
from goldwash.pipeline.storage.parquet import dropped_table, schema_of, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput

SAMPLE = "sample"
SAMPLE_SETTINGS = Settings(dim=16, bucket=100_000, epoch=25)

Table = Mapping[int, Sequence[int]]
"""A histogram: of each occupied bin its documents and their weight."""


@dataclass(frozen=True)
class Quality(Stage):
    """Score documents with a fastText classifier and keep the top fraction of the run, or those above a threshold."""

    name: ClassVar[str] = "quality"
    model: str = SAMPLE
    label: str | None = None
    column: str = "quality_probability"
    fraction: float | None = 0.1
    threshold: float | None = None
    by: str = "documents"

    def __post_init__(self) -> None:
        if (self.fraction is None) == (self.threshold is None):
            raise RecipeError(
                f"stage quality: give fraction or threshold, not both (fraction {self.fraction}, threshold {self.threshold}; "
                "write `fraction: null` to use a threshold)"
            )
        if not self.by:
            raise RecipeError("stage quality: by is empty; expected documents, bytes, or a column such as token_count", ("by",))
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise RecipeError(f"stage quality: fraction is {self.fraction}; expected a number above 0 and up to 1")

    def versions(self) -> dict[str, str]:
        """The model's digest; for the built-in one, what it is trained from."""
        if self.model == SAMPLE:
            import platform

            return {"model": f"sample, Python {platform.python_version()}"}
        return {"model": _digest(self.model)}

    def preflight(self) -> None:
        """Have the model at hand."""
        self.versions()

    def notes(self) -> list[str]:
        """That the built-in model is a toy."""
        if self.model != SAMPLE:
            return []
        return [
            "quality is scored by the little built-in classifier, which is for trying things out. For DCLM's own: "
            "--set quality.model=hf://mlfoundations/fasttext-oh-eli5/"
            "openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train.bin (of this stage alone: --set model=...)"
        ]

    def cost(self, load: Load) -> Cost:
        """Measured with a folded model; scores and histograms stay on disk."""
        return Cost(37.0, self.fraction if self.fraction is not None else 1.0, 15.0)

    def warm_up(self) -> None:
        """Compile the kernel."""
        ngrams, words = np.array([0.5], np.float32), np.zeros((16, 2), np.uint32)
        for array in (ngrams, words):
            array.flags.writeable = False
        Folded((" ", "hq"), words, ngrams, 2).probability(Texts.of(["a b"]), "hq")

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """Have the model, score, find the threshold, cut."""
        model = self._model(out)
        scoring = tasks_for(self, inputs, out, "scores", model=model)
        run(score_shard, scoring)
        threshold, quotas, facts = self._threshold(scoring, run)
        tasks = Tasks(self, inputs, out)
        cutting = [
            tasks.one("part", n, (_scores_file(scoring[n]),), (inputs[n],), threshold=threshold, quota=quota)
            for n, quota in enumerate(quotas)
        ]
        run(cut_shard, cutting)
        return finish(self, inputs, out, cutting, {"threshold": threshold, "model": self.model, **facts})

    def _model(self, out: str) -> str:
        """The model's place, where workers find it: folded if it can be."""
        with tempfile.TemporaryDirectory(prefix="goldwash-") as spare:
            kept = Path(join(out, "model") if is_local(out) else spare)
            source = self._sample_model(kept) if self.model == SAMPLE else fetched(self.model)
            loaded = load(source)
            place = join(out, "model", "model.fold" if isinstance(loaded, Folded) else Path(source).name)
            if not isinstance(loaded, Folded):
                return str(source) if is_local(out) else self.model
            if not exists(place):
                with atomic_write(place) as half:
                    save_fold(loaded, half)
        return place

    def _sample_model(self, kept: Path) -> Path:
        """A little classifier, trained on the spot on the built-in examples; about two seconds."""
        from goldwash.pipeline.sample.crawl import write_sample

        with tempfile.TemporaryDirectory() as folder:
            write_sample(folder)
            sides = [
                [replace(e, origin="built-in") for e in examples(Path(folder) / "classifier" / f"{side}.jsonl")]
                for side in ("positive", "negative")
            ]
        train(sides[0], sides[1], kept, SAMPLE_SETTINGS)
        return kept / "model.bin"

    def _threshold(self, scoring: Sequence[Task], run: Run) -> tuple[float, list[int], dict[str, Any]]:
        """The lowest score that is kept; of each shard, how many of the documents that have just that score are kept."""
        if self.threshold is not None:
            return self.threshold, [-1] * len(scoring), {}
        upper = _merged(marker["facts"]["histogram"] for marker in markers_of(scoring))
        total = sum(weights[self._weight] for weights in upper.values())
        wanted = ceil(total * Fraction(str(self.fraction)))  # as it is written: in floats, 0.07 of 100 is above 7
        high, above = _bin_of(upper, wanted, self._weight)
        refining = [
            replace(task, inputs=(_scores_file(task),), sources=(), part="ties", extra={"high": high}) for task in scoring
        ]
        run(refine_shard, refining)
        tables = [_table(marker["facts"]["histogram"]) for marker in markers_of(refining)]
        low, above = _bin_of(_merged(tables), wanted - above, self._weight, above)
        threshold = float(_scores_of(np.array([(high << 16) | low], np.uint32))[0]) if total else 1.0
        return (
            threshold,
            self._quotas([t.get(low, (0, 0)) for t in tables], wanted - above),
            {"documents": total, "kept": wanted},
        )

    def _quotas(self, ties: Sequence[Sequence[int]], left: int) -> list[int]:
        """How many of the equal scores each shard keeps: the first shards first (-1: all that lie at or above)."""
        if self.by != "documents":  # documents have different weights: all equal ones are kept
            return [-1] * len(ties)
        quotas = []
        for documents, _ in ties:
            quotas.append(max(0, min(documents, left)))
            left -= quotas[-1]
        return quotas

    @property
    def _weight(self) -> int:
        return 0 if self.by == "documents" else 1

    def explain(self, folder: str, document: Mapping[str, Any]) -> list[tuple[str, Any, str, bool]]:
        """The document's score beside the threshold that was found."""
        from goldwash.pipeline.storage.locations import read_json

        report = read_json(join(folder, "report.json")) or {}
        threshold, score = report.get("facts", {}).get("threshold"), document.get(self.column)
        if score is None or threshold is None:
            return []
        return [(self.column, score, f"{threshold:.9g} <= {self.column}", score >= threshold)]


@cache
def _digest(model: str) -> str:
    return file_digest(fetched(model))


def ordered_bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """float32 as whole numbers in the same order: ``uint32[N]``."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000)).astype(np.uint32)


def _scores_of(ordered: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    """The scores of such numbers."""
    bits = np.where(ordered >> 31, ordered & np.uint32(0x7FFFFFFF), ~ordered).astype(np.uint32)
    return bits.view(np.float32)


def _histogram(bins: npt.NDArray[np.uint32], sizes: npt.NDArray[np.int64]) -> dict[str, list[int]]:
    found, inverse = np.unique(bins, return_inverse=True)
    documents = np.bincount(inverse, minlength=len(found))
    weights = np.bincount(inverse, sizes, len(found)).astype(np.int64) if len(found) else documents
    return {str(b): [int(d), int(w)] for b, d, w in zip(found, documents, weights, strict=True)}


def _table(histogram: Mapping[str, Sequence[int]]) -> dict[int, Sequence[int]]:
    return {int(b): weights for b, weights in histogram.items()}


def _scores_file(task: Task) -> str:
    """Where a scoring task's scores lie."""
    return join(task.out, "scores", f"{task.name}.parquet")


def _merged(tables: Iterable[Mapping[Any, Sequence[int]]]) -> dict[int, Sequence[int]]:
    total: dict[int, list[int]] = {}
    for table in tables:
        for b, (documents, bytes_) in table.items():
            held = total.setdefault(int(b), [0, 0])
            held[0] += documents
            held[1] += bytes_
    return dict(total)


def _bin_of(table: Table, wanted: int, weight: int, above: int = 0) -> tuple[int, int]:
    """The bin in which the weight from the top reaches ``wanted``, and the weight above that bin (added to ``above``)."""
    reached = 0
    for b in sorted(table, reverse=True):
        if reached + table[b][weight] >= wanted:
            return b, above + reached
        reached += table[b][weight]
    return 0, above + reached


def score_shard(task: Task) -> None:
    """Score a shard's documents; write the scores beside it, in its order, and a histogram of their upper bits."""
    stage, model = stage_of(task, Quality), _local(task.extra["model"], task.fingerprint)
    schema = pa.schema([(stage.column, pa.float32()), ("bytes", pa.int64()), ("weight", pa.int64())])
    with TaskOutput(task, None, dropped=False) as output:
        output.open("scores", f"scores/{task.name}.parquet", schema)
        bins: list[Any] = [np.zeros(0, np.uint32)]
        sizes: list[Any] = [np.zeros(0, np.int64)]
        for table, texts in output.batches(task.source):
            values = scores(texts, model, stage.label)
            weights = _weights(table, texts, stage.by, task.inputs[0])
            output.write("scores", pa.table([pa.array(values), texts.byte_counts, weights], schema=schema))
            known = ~np.isnan(values)
            bins.append(ordered_bits(values[known]) >> 16)
            sizes.append(weights[known])
            output.count(texts)
        output.facts["histogram"] = _histogram(np.concatenate(bins), np.concatenate(sizes))


def _weights(table: pa.Table, texts: Texts, by: str, location: str) -> npt.NDArray[np.int64]:
    """What documents weigh: bytes, or a column of whole numbers that are not negative."""
    if by in ("documents", "bytes"):
        return texts.byte_counts
    return weights_in(table, by, location)


def weights_in(table: pa.Table, by: str, location: str) -> npt.NDArray[np.int64]:
    """A column of whole numbers that are not negative: ``int64[N]``; `DataError` where it is none."""
    if by not in table.column_names:
        raise DataError(f"{location} has no column {by!r} to weigh documents by: give by=documents or bytes, or add it first")
    column = table[by]
    if not pa.types.is_integer(column.type) or column.null_count or (len(column) and pc.min(column).as_py() < 0):
        raise DataError(f"{location}, column {by}: expected whole numbers from 0 on, without nulls, found {column.type}")
    return np.asarray(column, np.int64)


def _local(place: str, version: str) -> Path:
    """The model on this machine; the same place of a store may hold another one after another run."""
    return Path(place) if is_local(place) else fetched(place, version=version)


def _scores(location: str) -> pa.Table:
    fs, path = filesystem(location)
    with fs.open(path, "rb") as file:
        return pq.read_table(file)


def refine_shard(task: Task) -> None:
    """A histogram of the lower bits of the scores in the threshold's bin."""
    table = _scores(task.inputs[0])
    with TaskOutput(task, None, dropped=False) as output:
        values, sizes = table.column(0).to_numpy(), table.column(2).to_numpy()
        known = ~np.isnan(values)
        bits, sizes = ordered_bits(values[known]), sizes[known]
        inside = bits >> 16 == task.extra["high"]
        output.facts["histogram"] = _histogram(bits[inside] & np.uint32(0xFFFF), sizes[inside])


def cut_shard(task: Task) -> None:
    """Keep a shard's documents above the threshold, and of those at it as many as this shard may."""
    stage = stage_of(task, Quality)
    values = _scores(task.inputs[1]).column(0).to_numpy()
    threshold, quota = np.float32(task.extra["threshold"]), int(task.extra["quota"])
    passed = values >= threshold
    if quota >= 0:
        ties = np.flatnonzero(values == threshold)
        passed[ties[quota:]] = False
    row = 0
    with TaskOutput(task, with_fields(schema_of(task.source), **{stage.column: pa.float32()})) as output:
        for table, texts in output.batches(task.source):
            here = slice(row, row + len(texts))
            row += len(texts)
            kept, gone = np.flatnonzero(passed[here]), np.flatnonzero(~passed[here])
            table = with_column(table, stage.column, pa.array(values[here]))
            output.write("kept", table.take(kept))
            lost = Count(len(gone), int(texts.byte_counts[gone].sum()))
            if len(gone):
                ids, urls = table["id"].take(gone), table["url"].take(gone)
                output.write("dropped", dropped_table(ids, urls, stage.column, values[here][gone], [None] * len(gone)))
            output.report += Report(
                Count(len(texts), texts.bytes),
                Count(len(kept), int(texts.byte_counts[kept].sum())),
                {stage.column: lost} if len(gone) else {},
            )
