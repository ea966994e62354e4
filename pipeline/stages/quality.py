"""quality: score every document, and keep exactly the top fraction of the whole run.

Invariants: the passes are, in order:

1. Prepare the model: fetch it, or train the built-in one, and fold it if it can be folded. Signals and columns need no model.
2. Score each shard; write its scores and a histogram of the upper 16 bits of their keys (`ordered_keys`).
3. The sum of the histograms gives the bin of the threshold. A further histogram per 16 bits, within that bin, gives the
threshold
   itself: one for scores of 32 bits, three for scores of 64 bits. Memory is bounded by the histograms.
4. Cut each shard.

The stage keeps the highest scores whose weight (``by``: documents, bytes, or a column of whole numbers such as ``token_count``)
reaches ``fraction`` of the whole. By documents, ties at the threshold are kept in input order, so that the count is exact and
the same on every engine; by other weights, all ties are kept. A document whose score is nan or null is never kept.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil, isfinite
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.classifiers.fasttext import Folded
from goldwash.classifiers.scorers import ColumnScorer, ModelScorer, Scorer, SignalScorer, named_errors, scorer
from goldwash.filters.fetch import fetched, file_digest
from goldwash.filters.signals import Signal, SignalError
from goldwash.filters.texts import Texts
from goldwash.pipeline.failing import scored
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.recipes.plugins import load_custom
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.sample.classifier import sample_classifier
from goldwash.pipeline.stage import Cost, Load, Run, Stage, Tasks, finish, markers_of, stage_of, tasks_for, versions_here
from goldwash.pipeline.storage.atomic import atomic_write
from goldwash.pipeline.storage.batches import schema_of
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.locations import is_local, join
from goldwash.pipeline.storage.machine import return_memory_early
from goldwash.pipeline.storage.parquet import read_whole
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.tables import DOCUMENT, dropped_table, with_column, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.storage.verified import verified

SAMPLE = "sample"
PUBLISHED = "hf://mlfoundations/fasttext-oh-eli5/openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train.bin"
"""DCLM's own classifier."""

KINDS: Mapping[str, pa.DataType] = {"f": pa.float32(), "d": pa.float64(), "i": pa.int64(), "u": pa.uint64()}
"""The types in which scores are compared; each keeps every value of the types that `kind_of` maps to it."""

Keys = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
Table = Mapping[int, Sequence[int]]
"""A histogram: for each occupied bin, its documents and their weight."""


@dataclass(frozen=True)
class Quality(Stage):
    """Score documents with a classifier, a signal or a column, and keep the top fraction of the run or a fixed threshold.

    ``model``: a model's path or URL, ``signal:NAME``, ``column:NAME``, or ``sample``, the built-in toy. ``column``: the name of
    the column of scores; by default ``quality_probability`` for models, else the signal's or column's name.
    """

    name: ClassVar[str] = "quality"
    model: str = SAMPLE
    """A model's path or URL, ``signal:NAME``, ``column:NAME``, or ``sample``, the built-in toy."""
    label: str | None = None
    """The model's label whose probability is the score. Null: the better of two labels."""
    column: str | None = None
    """The name of the column of scores. Null: ``quality_probability`` for a model, else the signal's or column's name."""
    fraction: float | None = 0.1
    """Keep this top fraction of the run. Null with ``threshold``."""
    threshold: float | None = None
    """Keep scores of at least this. Null with ``fraction``."""
    by: str = "documents"
    """The weight that the fraction is of: ``documents``, ``bytes``, or a column such as ``token_count``."""
    use: tuple[Any, ...] = ()
    """The user's own files or modules that declare signals."""

    def __post_init__(self) -> None:
        load_custom(self.use)
        if (self.fraction is None) == (self.threshold is None):
            raise RecipeError(
                f"stage quality: give fraction or threshold, not both (fraction {self.fraction}, threshold {self.threshold}; "
                "write `fraction: null` to use a threshold)"
            )
        if not self.by:
            raise RecipeError("stage quality: by is empty; expected documents, bytes, or a column such as token_count", ("by",))
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise RecipeError(f"stage quality: fraction is {self.fraction}; expected a number above 0 and up to 1")
        if self.threshold is not None and not isfinite(self.threshold):
            raise RecipeError(f"stage quality: threshold is {self.threshold}; expected a finite number", ("threshold",))
        if not self.model:
            raise RecipeError("stage quality: model is empty; expected a model, signal:NAME or column:NAME", ("model",))
        try:
            _ = self.named
        except SignalError as error:
            raise RecipeError(f"stage quality: {error}", ("model",)) from error
        if self.column is not None and (not self.column or self.column in DOCUMENT.names):
            raise RecipeError(
                f"stage quality: column is {self.column!r}; expected a name that documents do not have", ("column",)
            )

    @cached_property
    def named(self) -> Scorer:
        """The scorer that ``model`` names; a model is not opened yet."""
        return scorer(self.model, None, self.label)

    @property
    def score_column(self) -> str:
        """The column that holds the scores of kept documents."""
        return self.column or self.named.score

    def ranks_by(self) -> str:
        """See `Stage`."""
        return self.score_column

    @property
    def adds_column(self) -> bool:
        """Whether the scores become a column of the documents; False if they are one already."""
        return self.model != f"column:{self.score_column}"

    def versions(self) -> dict[str, str]:
        """The model's digest; for the built-in one, the version that decides what it is trained from."""
        if self.model == SAMPLE:
            import platform

            return {"model": f"sample, Python {platform.python_version()}"}
        return {("model" if k.startswith("model ") else k): v for k, v in self.named.versions().items()}

    def notes(self) -> list[str]:
        """Says that the built-in classifier is a toy."""
        if self.model != SAMPLE:
            return []
        return [
            "quality uses the small built-in classifier, a toy for trying things out: its scores mean nothing on other pages. "
            f"Train one of your own with `goldwash train`, or use DCLM's with --set quality.model={PUBLISHED}"
        ]

    def preflight(self) -> None:
        """Fetch the model, and refuse one that does not say which label is the better one."""
        self.versions()
        if self.model != SAMPLE:
            self.named.ranking()

    def cost(self, load: Load) -> Cost:
        """Measured with a folded model; scores and histograms stay on disk."""
        return Cost(150.0, self.fraction if self.fraction is not None else 1.0, 15.0)

    def measured(self, before: Mapping[str, Signal]) -> Mapping[str, Signal]:
        """See `Stage`: texts stay as they are, and columns that it does not write itself."""
        return {name: signal for name, signal in before.items() if name != self.column}

    def warm_up(self) -> None:
        """Compile the kernels."""
        ngrams, words = np.array([0.5], np.float32), np.zeros((16, 2), np.uint32)
        for array in (ngrams, words):
            array.flags.writeable = False
        Folded((" ", "hq"), words, ngrams, 2).probability(Texts.of(["a b"]), "hq")
        if self.model != SAMPLE:
            _ = self.named.ranking().fields

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """Prepare the model, score, find the threshold, cut."""
        scoring = tasks_for(self, inputs, out, "scores", **self._model(out))
        run(score_shard, scoring)
        markers = list(markers_of(scoring))
        kind = self._kind(scoring, markers)
        files = [marker["files"][_scores_file(task)] for task, marker in zip(scoring, markers, strict=True)]
        cut, quotas, facts = self._threshold(scoring, markers, files, kind, run)
        tasks = Tasks(self, inputs, out)
        cutting = [
            tasks.one(
                "part", n, (join(out, _scores_file(scoring[n])),), (inputs[n],), scores=files[n], quota=quota, kind=kind, **cut
            )
            for n, quota in enumerate(quotas)
        ]
        run(cut_shard, cutting)
        return finish(self, inputs, out, cutting, {"threshold": cut["threshold"], "model": self.model, **facts})

    def _model(self, out: str) -> dict[str, Any]:
        """The scorer's word for workers, and the digest of its file, which is written where workers find it."""
        with tempfile.TemporaryDirectory(prefix="goldwash-") as spare:
            kept = Path(join(out, "model") if is_local(out) else spare)
            sample = self.model == SAMPLE
            made = scorer(str(sample_classifier(kept, versions_here(self)))) if sample else self.named
            made = made.ranking()
            if made.file_name is None:
                return {"model": self.model, "digest": None}
            place = join(out, "model", made.file_name)
            with atomic_write(place) as half:
                made.save(half)
                digest = file_digest(half)
        return {"model": made.word(place), "place": place, "digest": digest}

    def _kind(self, scoring: Sequence[Task], markers: Sequence[Mapping[str, Any]]) -> str:
        """The kind in which all shards' scores are compared; `DataError` if shards differ."""
        found = {m["facts"]["kind"]: t.inputs[0] for t, m in zip(scoring, markers, strict=True) if m["facts"]["histogram"]}
        if len(found) > 1:
            where = "; ".join(f"{KINDS[kind]} in {place}" for kind, place in sorted(found.items()))
            raise DataError(f"stage quality: the scores of {self.model} are {where}: cast the column to one type first")
        return next(iter(found), "f")

    def _threshold(
        self, scoring: Sequence[Task], markers: Sequence[Mapping[str, Any]], files: Sequence[Any], kind: str, run: Run
    ) -> tuple[dict[str, Any], list[int], dict[str, Any]]:
        """The lowest kept score and its key, how many documents with that key each shard keeps (-1: all), facts to report."""
        if self.threshold is not None:
            return {"threshold": self.threshold, "key": None}, [-1] * len(scoring), {}
        tables = [_table(marker["facts"]["histogram"]) for marker in markers]
        total = sum(weights[self._weight] for table in tables for weights in table.values())
        wanted = ceil(total * Fraction(str(self.fraction)))  # as it is written: as floats, 0.07 * 100 is more than 7
        key, above = _bin_of(_merged(tables), wanted, self._weight)
        for digit in range(1, KINDS[kind].bit_width // 16):
            refining = [
                replace(
                    task, inputs=(join(task.out, _scores_file(task)),), sources=(), part=f"ties{digit if digit > 1 else ''}",
                    extra={"key": key, "digit": digit, "kind": kind, "scores": file},
                )
                for task, file in zip(scoring, files, strict=True)
            ]  # fmt: skip
            run(refine_shard, refining)
            tables = [_table(marker["facts"]["histogram"]) for marker in markers_of(refining)]
            low, above = _bin_of(_merged(tables), wanted - above, self._weight, above)
            key = (key << 16) | low
        if not total:
            return {"threshold": 1.0, "key": None}, [-1] * len(scoring), {"documents": 0, "kept": 0}
        quotas = self._quotas([t.get(key & 0xFFFF, (0, 0)) for t in tables], wanted - above)
        return {"threshold": value_of(key, kind), "key": key}, quotas, {"documents": total, "kept": wanted}

    def _quotas(self, ties: Sequence[Sequence[int]], left: int) -> list[int]:
        """How many ties each shard keeps, the first shards first; -1: all of them."""
        if self.by != "documents":  # documents weigh differently
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
        """The document's score and the threshold that was found."""
        from goldwash.pipeline.storage.sealed import read_sealed

        report = read_sealed(join(folder, "report.json")) or {}
        threshold, score = report.get("facts", {}).get("threshold"), document.get(self.score_column)
        if score is None or threshold is None:
            return []
        return [(self.score_column, score, f"{threshold:.9g} <= {self.score_column}", score >= threshold)]


def kind_of(type_: pa.DataType) -> str:
    """The kind (`KINDS`) for a type: f for float16 and float32, i and u for whole numbers, d for all else."""
    if pa.types.is_float16(type_) or pa.types.is_float32(type_):
        return "f"
    if pa.types.is_integer(type_):
        return "u" if pa.types.is_uint64(type_) else "i"
    return "d"


def ordered_keys(scores: pa.Array) -> tuple[Keys, npt.NDArray[np.bool_]]:
    """Scores as unsigned whole numbers in the same order, and which scores are neither null nor nan: ``bool[N]``.

    ``uint32[N]`` for float32, ``uint64[N]`` for float64, int64 and uint64. -0.0 is below 0.0.
    """
    known = pc.is_valid(scores)
    if pa.types.is_floating(scores.type):
        known = pc.and_(known, pc.invert(pc.fill_null(pc.is_nan(scores), False)))
    values = pc.fill_null(scores, 0).to_numpy(zero_copy_only=False)
    mask = np.asarray(known.to_numpy(zero_copy_only=False), bool)
    if pa.types.is_uint64(scores.type):
        return np.ascontiguousarray(values, np.uint64), mask
    unsigned: Any = np.uint32 if scores.type.bit_width == 32 else np.uint64
    top = unsigned(1) << unsigned(scores.type.bit_width - 1)
    bits = np.ascontiguousarray(values).view(unsigned)
    if pa.types.is_integer(scores.type):
        return bits ^ top, mask
    return np.where(bits & top, ~bits, bits | top).astype(unsigned), mask


def value_of(key: int, kind: str) -> float | int:
    """The score of a key of `ordered_keys`."""
    width = KINDS[kind].bit_width
    if kind == "u":
        return key
    top = 1 << (width - 1)
    if kind == "i":
        return int(key - top)
    bits = key & (top - 1) if key & top else ~key & ((1 << width) - 1)
    raw = np.array([bits], np.uint32 if width == 32 else np.uint64)
    value: float = raw.view(np.float32 if width == 32 else np.float64).item()
    return value


def _histogram(bins: npt.NDArray[Any], sizes: npt.NDArray[np.int64]) -> dict[str, list[int]]:
    found, inverse = np.unique(bins, return_inverse=True)
    documents = np.bincount(inverse, minlength=len(found))
    weights = np.zeros(len(found), np.int64)
    np.add.at(weights, inverse, sizes)
    return {str(b): [int(d), int(w)] for b, d, w in zip(found, documents, weights, strict=True)}


def _table(histogram: Mapping[str, Sequence[int]]) -> dict[int, Sequence[int]]:
    return {int(b): weights for b, weights in histogram.items()}


def _scores_file(task: Task) -> str:
    """The file of a scoring task's scores, in the stage's folder."""
    return f"scores/scores-{task.index:05d}.parquet"


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
    """Score a shard's documents; write the scores, in its order, and a histogram of the upper bits of their keys."""
    return_memory_early()
    stage = stage_of(task, Quality)
    made = _scorer(task, stage)
    name, location = made.score, task.inputs[0]
    with named_errors(location):
        kind = kind_of(made.columns(Texts.of([]), schema_of(task.source).empty_table())[name].type)
    schema = pa.schema([(stage.score_column, KINDS[kind]), ("bytes", pa.int64()), ("weight", pa.int64())])
    with TaskOutput(task, None, dropped=False) as output:
        output.open("scores", _scores_file(task), schema)
        bins: list[Any] = [np.zeros(0, np.uint64)]
        sizes: list[Any] = [np.zeros(0, np.int64)]
        for table, texts in output.batches(task.source, columns=_needed(made, stage.by)):
            scores = scored(made, texts, table, location)[name].cast(KINDS[kind])
            weights = _weights(table, texts, stage.by, location)
            output.write("scores", pa.table([scores, texts.byte_counts, weights], schema=schema))
            keys, known = ordered_keys(scores)
            bins.append(keys[known] >> (KINDS[kind].bit_width - 16))
            sizes.append(weights[known])
            output.count(texts)
        output.facts |= {"histogram": _histogram(np.concatenate(bins), np.concatenate(sizes)), "kind": kind}


def _needed(made: Scorer, by: str) -> tuple[str, ...] | None:
    """The columns besides id, URL and text that scores and weights are made of; None for all, where a scorer may use any."""
    weight = () if by in ("documents", "bytes") else (by,)
    if isinstance(made, ColumnScorer):
        return (made.column, *weight)
    plain = isinstance(made, ModelScorer) or (isinstance(made, SignalScorer) and made.signal.column in ("text", "url"))
    return weight if plain else None


def _scorer(task: Task, stage: Quality) -> Scorer:
    """The scorer of a task, its file verified."""
    if task.extra["digest"] is None:
        return stage.named.ranking()
    place = task.extra["place"]
    path = Path(place) if is_local(place) else fetched(place, version=task.fingerprint)
    if file_digest(path) != task.extra["digest"]:
        raise DataError(f"{place} is not the model that this stage wrote: give the same command again, which writes it anew")
    word = task.extra["model"]
    return scorer(word if is_local(place) else word.replace(place, str(path)), None, stage.label).ranking()


def _weights(table: pa.Table, texts: Texts, by: str, location: str) -> npt.NDArray[np.int64]:
    """The weights of documents: bytes, or a column of whole numbers that are not negative."""
    if by in ("documents", "bytes"):
        return texts.byte_counts
    return weights_in(table, by, location)


def weights_in(table: pa.Table, by: str, location: str) -> npt.NDArray[np.int64]:
    """A column of whole numbers that are not negative: ``int64[N]``; `DataError` for any other column."""
    if by not in table.column_names:
        raise DataError(f"{location} has no column {by!r} to weigh documents by: give by=documents or bytes, or add it first")
    column = table[by]
    if not pa.types.is_integer(column.type) or column.null_count or (len(column) and pc.min(column).as_py() < 0):
        raise DataError(f"{location}, column {by}: expected whole numbers from 0 on, without nulls, found {column.type}")
    return np.asarray(column, np.int64)


def _scores(task: Task) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The scores and weights of a shard, in its order; its file is verified first."""
    with verified(task.inputs[-1], task.extra["scores"]) as file:
        table = read_whole(file)
    scores = table.column(0).combine_chunks()
    return (scores if isinstance(scores, pa.Array) else pa.concat_arrays(scores.chunks)), table.column(2).to_numpy()


def refine_shard(task: Task) -> None:
    """A histogram of the next 16 bits of the keys that begin with the threshold's."""
    scores, sizes = _scores(task)
    with TaskOutput(task, None, dropped=False) as output:
        keys, known = ordered_keys(scores)
        known &= len(scores) > 0 and kind_of(scores.type) == task.extra["kind"]
        keys, sizes = keys[known], sizes[known]
        left = KINDS[task.extra["kind"]].bit_width - 16 * task.extra["digit"]
        inside = keys >> left == task.extra["key"]
        output.facts["histogram"] = _histogram((keys[inside] >> (left - 16)) & 0xFFFF, sizes[inside])


def _passed(scores: pa.Array, task: Task) -> npt.NDArray[np.bool_]:
    """Which documents of a shard are kept: those above the threshold, and as many ties as the shard may keep."""
    keys, known = ordered_keys(scores)
    if task.extra["key"] is None:
        values = pc.fill_null(scores, 0).to_numpy(zero_copy_only=False)
        threshold = task.extra["threshold"]
        least = ceil(threshold) if values.dtype.kind in "iu" else values.dtype.type(threshold)
        return np.asarray(known & (values >= least))
    passed = known & (keys >= task.extra["key"])
    if task.extra["quota"] >= 0:
        ties = np.flatnonzero(known & (keys == task.extra["key"]))
        passed[ties[task.extra["quota"] :]] = False
    return np.asarray(passed)


def cut_shard(task: Task) -> None:
    """Keep a shard's documents above the threshold, and as many ties as this shard may keep."""
    stage = stage_of(task, Quality)
    scores, _ = _scores(task)
    passed, values = _passed(scores, task), pc.cast(scores, pa.float64(), safe=False)
    column, row, schema = stage.score_column, 0, schema_of(task.source)
    with TaskOutput(task, with_fields(schema, **{column: scores.type}) if stage.adds_column else schema) as output:
        for table, texts in output.batches(task.source, again=True):
            here = slice(row, row + len(texts))
            row += len(texts)
            kept, gone = np.flatnonzero(passed[here]), np.flatnonzero(~passed[here])
            if stage.adds_column:
                table = with_column(table, column, scores[here])
            output.write("kept", table.take(kept))
            lost = Count(len(gone), int(texts.byte_counts[gone].sum()))
            if len(gone):
                ids, urls = table["id"].take(gone), table["url"].take(gone)
                shown = values[here].take(pa.array(gone)).to_numpy(zero_copy_only=False)
                output.write("dropped", dropped_table(ids, urls, column, shown, [None] * len(gone)))
            output.report += Report(
                Count(len(texts), texts.bytes),
                Count(len(kept), int(texts.byte_counts[kept].sum())),
                {column: lost} if len(gone) else {},
            )
