"""Steps of a datatrove pipeline: cleaning, scoring, MinHash signatures and decontamination by goldwash's stages.

Invariants:

* A step takes datatrove `Document`s and yields them in order. Inside, the stages' own functions process them in batches of
  about `BATCH_BYTES` of text, so that a step and ``goldwash stage`` decide alike.
* A dropped document goes to the ``exclusion_writer``, as with datatrove's own filters, with ``filter_reason`` (the rule),
  ``filter_value`` (what the rule measured) and ``filter_detail`` in its metadata; statistics count ``dropped_RULE``.
* A step holds plain values (a stage's name and parameters, places) and makes its stage when it runs, so that executors can
  pickle it. A URL is read from ``metadata["url"]``.
* No module of datatrove is changed.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
from datatrove.data import Document
from datatrove.io import get_datafolder
from datatrove.pipeline.base import PipelineStep

from goldwash.filters.texts import TextError, Texts
from goldwash.pipeline.decontamination.matching import quotes_of
from goldwash.pipeline.dedup import minhash as kernels
from goldwash.pipeline.interface.memory import stage as stage_named
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.stage import Stage, compile_kernels
from goldwash.pipeline.stages.decontaminate import Decontaminate as DecontaminateStage
from goldwash.pipeline.stages.decontaminate import acted, prepared
from goldwash.pipeline.stages.heuristics import Heuristics, cleaned
from goldwash.pipeline.stages.minhash import MinHash
from goldwash.pipeline.stages.score import Score as ScoreStage
from goldwash.pipeline.steps import sees_row
from goldwash.pipeline.storage.batches import BATCH_BYTES
from goldwash.pipeline.storage.failures import DataError

BATCH_DOCUMENTS = 5000
"""Most documents per batch."""

Made = TypeVar("Made", bound=Stage)


class Batched(PipelineStep, Generic[Made]):  # type: ignore[misc]
    """A step that hands batches of documents to a stage's functions."""

    type = "GOLDWASH"
    stage_name: str

    def __init__(self, recipe: str | None, parameters: Mapping[str, Any], exclusion_writer: Any = None) -> None:
        super().__init__()
        made = stage_named(self.stage_name, recipe, **parameters)  # a wrong parameter fails here, not in a worker
        self.config, self.exclusion_writer = made.config(), exclusion_writer

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "stage"}

    @cached_property
    def stage(self) -> Made:
        """The stage, made once in a process, with its kernels compiled once on a machine."""
        made: Any = stage_named(self.stage_name, None, **self.config)
        made.preflight()
        compile_kernels(made)
        return made  # type: ignore[no-any-return]

    def work(
        self, table: pa.Table, texts: Texts, batch: Sequence[Document]
    ) -> Iterator[tuple[int, str | None, Any, str | None]]:
        """Process a batch; ``(row, rule, value, detail)`` for each document, in order; rule None if it is kept."""
        raise NotImplementedError

    def columns(self) -> bool:
        """Whether the stage looks at more of a document than its text and URL."""
        return False

    def run(self, data: Iterable[Document] | None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the documents that are kept."""
        if data is None:
            raise ValueError(f"{type(self).__name__} needs documents: put a reader before it")
        with self.exclusion_writer or contextlib.nullcontext() as writer:
            for batch in batches_of(data):
                texts = _texts(batch)
                with self.track_time("batch"):
                    fates = list(self.work(_table(batch, texts, self.columns()), texts, batch))
                for row, rule, value, detail in fates:
                    document = batch[row]
                    self.stat_update("total")
                    if rule is None:
                        self.stat_update("forwarded")
                        self.update_doc_stats(document)
                        yield document
                        continue
                    self.stat_update("dropped", f"dropped_{rule}")
                    if writer is not None:
                        document.metadata["filter_reason"] = rule
                        document.metadata["filter_value"] = value
                        if detail is not None:
                            document.metadata["filter_detail"] = detail
                        writer.write(document, rank)


def batches_of(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents in batches of about `BATCH_BYTES` of text."""
    batch, size = list[Document](), 0
    for document in documents:
        batch.append(document)
        size += len(document.text) if isinstance(document.text, str) else 0
        if size >= BATCH_BYTES or len(batch) >= BATCH_DOCUMENTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _texts(batch: Sequence[Document]) -> Texts:
    try:
        return Texts.of([document.text for document in batch])
    except TextError as error:
        for document in batch:
            try:
                Texts.of([document.text])
            except TextError as cause:
                raise DataError(f"document {document.id!r}: {str(cause).removeprefix('row 0 ')}") from cause
        raise DataError(str(error)) from error


def _table(batch: Sequence[Document], texts: Texts, columns: bool) -> pa.Table:
    """A batch as a stage sees it; its ids are row numbers."""
    made = {"id": [str(row) for row in range(len(batch))], "url": [str(d.metadata.get("url") or "") for d in batch]}
    names = dict.fromkeys(name for document in batch for name in document.metadata) if columns else ()
    table = pa.table({**made, "text": texts.to_arrow()})
    for name in names:
        if name not in table.column_names:
            with contextlib.suppress(pa.ArrowException, TypeError):  # values of several types cannot form a column
                table = table.append_column(name, pa.array([document.metadata.get(name) for document in batch]))
    return table


def _fates(
    kept: pa.Table, drops: Iterable[pa.Table], batch: Sequence[Document], columns: Iterable[str]
) -> Iterator[tuple[int, str | None, Any, str | None]]:
    """The result for each document of a batch, in order; texts and ``columns`` are written into the kept documents."""
    fates: dict[int, tuple[str | None, Any, str | None]] = {}
    names = [name for name in columns if name in kept.column_names]
    values = {name: kept[name].to_pylist() for name in names}
    for n, (row, text) in enumerate(zip(map(int, kept["id"].to_pylist()), kept["text"].to_pylist(), strict=True)):
        batch[row].text = text
        batch[row].metadata.update({name: values[name][n] for name in names})
        fates[row] = (None, None, None)
    for gone in drops:
        for drop in gone.to_pylist():
            fates[int(drop["id"])] = (drop["dropped_by"], drop["value"], drop["detail"])
    for row in range(len(batch)):
        yield row, *fates[row]


class Clean(Batched[Heuristics]):
    """Clean documents by a recipe's heuristics: keeps, edits and labels, in its order.

    ``recipe``: ``baseline``, ``gopher``, ``c4``, ``fineweb``, ``reference`` ..., or a recipe's path; ``parameters``: those of
    the stage ``heuristics``, such as ``steps`` and ``use``. A kept document has its new text, and ``language`` and
    ``language_probability`` in its metadata where the steps label it.
    """

    name, stage_name = "heuristics", "heuristics"

    def __init__(self, recipe: str | None = "baseline", exclusion_writer: Any = None, **parameters: Any) -> None:
        super().__init__(recipe, parameters, exclusion_writer)
        if self.config["annotate"]:
            raise RecipeError("goldwash.datatrove.Clean drops documents: annotate with goldwash.apply, or `goldwash stage`")

    def columns(self) -> bool:
        """Whether a rule looks at other metadata than the URL."""
        return any(map(sees_row, self.stage.plan))

    def work(
        self, table: pa.Table, texts: Texts, batch: Sequence[Document]
    ) -> Iterator[tuple[int, str | None, Any, str | None]]:
        """Take a batch through the steps."""
        kept, drops, _ = cleaned(self.stage, table, texts, "a batch")
        yield from _fates(kept, drops, batch, self.stage.columns())


class Score(Batched[ScoreStage]):
    """Write scores and labels into documents' metadata; drop nothing.

    ``models``: what the stage ``score`` takes, as ``{"quality": "model.fold", "language": "lid.176.ftz"}``; ``parameters``: its
    other parameters, such as ``use``.
    """

    name, stage_name = "score", "score"

    def __init__(self, models: Mapping[str, Any], **parameters: Any) -> None:
        super().__init__(None, {"models": dict(models), **parameters})

    def work(
        self, table: pa.Table, texts: Texts, batch: Sequence[Document]
    ) -> Iterator[tuple[int, str | None, Any, str | None]]:
        """Score a batch."""
        urls = Texts.of(table["url"])
        for scorer in self.stage.scorers:
            for name, column in scorer.columns(texts, urls).items():
                for document, value in zip(batch, column.to_pylist(), strict=True):
                    document.metadata[name] = value
        for row in range(len(batch)):
            yield row, None, None, None


class Decontaminate(Batched[DecontaminateStage]):
    """Drop documents that quote benchmark questions, cut the quoted strings out, or annotate.

    ``benchmarks``: names or files, as the stage ``decontaminate`` takes them; ``parameters``: its others, such as ``rule`` and
    ``action``. ``max_documents`` needs a pass over the whole crawl, which a step does not make: it is refused.
    """

    name, stage_name = "decontaminate", "decontaminate"

    def __init__(
        self,
        benchmarks: str | Sequence[str] = ("mmlu",),
        recipe: str | None = "baseline",
        exclusion_writer: Any = None,
        **parameters: Any,
    ) -> None:
        names = benchmarks if isinstance(benchmarks, str) else tuple(map(str, benchmarks))
        super().__init__(recipe, {**parameters, "benchmarks": names}, exclusion_writer)
        if self.config["max_documents"] is not None:
            raise RecipeError("max_documents needs a pass over all documents first: use `goldwash stage decontaminate`")

    def work(
        self, table: pa.Table, texts: Texts, batch: Sequence[Document]
    ) -> Iterator[tuple[int, str | None, Any, str | None]]:
        """Look for quotes in a batch."""
        items, needles = prepared(self.stage)
        kept, gone, _ = acted(self.stage, table, texts, quotes_of(texts, needles), items)
        added = [name for name in kept.column_names if name not in table.column_names]
        yield from _fates(kept, [gone] if gone is not None else [], batch, added)


class MinHashSignatures(PipelineStep):  # type: ignore[misc]
    """Write MinHash signatures for datatrove's deduplication: the first of its four steps, at goldwash's speed.

    Use it in place of ``MinhashDedupSignature``, and give the three other steps the same ``config``, which is
    `MinHashSignatures.config`: signatures are 32 bits wide. Words, shingles and hashes are those of goldwash's stage
    ``minhash`` (UAX 29 words, lowered; datasketch's permutations), so that both find the same pairs.
    """

    type = "GOLDWASH"
    name = "minhash signatures"

    def __init__(self, output_folder: Any, recipe: str | None = None, **parameters: Any) -> None:
        super().__init__()
        made = stage_named("minhash", recipe, **parameters)
        self.parameters, self.output_folder = made.config(), get_datafolder(output_folder)

    @property
    def stage(self) -> MinHash:
        """The stage whose signatures these are."""
        made: Any = stage_named("minhash", None, **self.parameters)
        return made  # type: ignore[no-any-return]

    @property
    def config(self) -> Any:
        """The `MinhashConfig` for datatrove's steps that read these signatures (they need tokenizers and xxhash installed)."""
        from datatrove.pipeline.dedup.minhash import MinhashConfig
        from datatrove.utils.hashing import HashConfig

        stage = self.stage
        bands, rows, _ = stage.layout
        return MinhashConfig(
            n_grams=stage.ngram, num_buckets=bands, hashes_per_bucket=rows, seed=stage.seed,
            hash_config=HashConfig(precision=32, hash_fc="sha1"),
        )  # fmt: skip

    def run(self, data: Iterable[Document] | None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write ``bucket_BBB/RRRRR.minhash.sig``: a band's rows and each document's number, sorted. Yields nothing."""
        if data is None:
            raise ValueError(f"{type(self).__name__} needs documents: put a reader before it")
        stage = self.stage
        compile_kernels(stage)
        bands, rows, count = stage.layout
        permutations = kernels.permutations(count, stage.seed)
        parts, first = [np.empty((0, bands * rows + 1), np.uint32)], 0
        for batch in batches_of(data):
            with self.track_time("batch"):
                signed, shingles = kernels.signatures(_texts(batch), stage.ngram, permutations)
                known = np.flatnonzero(shingles > 0)
                numbers = (known + first).astype(np.uint32)
                parts.append(np.column_stack([signed[known, : bands * rows], numbers]))
            self.stat_update("total", value=len(batch))
            first += len(batch)
        every = np.concatenate(parts)
        for band in range(bands):
            record = np.column_stack([every[:, band * rows : (band + 1) * rows], every[:, -1]])
            ordered = record[np.lexsort(record.T[::-1])] if len(record) else record
            with self.output_folder.open(f"bucket_{band:03d}/{rank:05d}.minhash.sig", mode="wb") as file:
                file.write(np.ascontiguousarray(ordered, "<u4").tobytes())
        yield from ()
