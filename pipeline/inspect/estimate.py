"""Estimate a run before it starts: tasks, documents, CPU time, memory and disk per stage.

Invariants: the input is not opened; estimates use its sizes, measured rates and published shares (`Stage.cost`) only.
`SOURCES` says which number comes from where.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from goldwash.pipeline.recipes.recipe import Recipe
from goldwash.pipeline.stage import Load, Stage
from goldwash.pipeline.storage.source import Input

WARC_BYTES, PAGE_WARC_BYTES, PAGE_HTML_BYTES, PAGE_TEXT_BYTES = 1_050_000_000, 31_000, 148_000, 3_250
SHARD_TEXT_RATIO = 2.5
"""Bytes of text per byte of a Parquet shard (zstd)."""
COLUMN_BYTES = 112
"""Bytes in a shard of a document's columns other than its text."""
BASE_BYTES = 0.8e9
"""Memory of any task: Python, its packages, kernels, a batch and a row group."""

SOURCES = """\
an archive of unknown size: 1.05 GB, 33,900 pages of 148 kB, as in Common Crawl's CC-MAIN-2024-10 (3.16 billion pages, 425 TiB)
text: 3.2 kB per page (DCLM, 2406.11794); kept: heuristics 19.9%, deduplication 69% of what it reads (the same, figure 4)
MB per CPU-second: measured on one core (docs/benchmarks.md; docs/clusters.md has the passes of a whole dump)"""


@dataclass(frozen=True)
class Row:
    """A stage of a plan. Sizes in bytes: ``read`` of HTML for a stage that reads archives, else of text."""

    stage: str
    tasks: int
    documents: float
    read: float
    cpu_seconds: float
    longest_seconds: float
    memory: float
    written: float
    """Temporary files included."""
    cure: str = ""
    """What to set if a task is too large for an ordinary machine."""


def plan(recipe: Recipe, inputs: Sequence[Input]) -> list[Row]:
    """The cost of each stage of a recipe on these inputs."""
    documents, text = _documents(recipe.stages[0], inputs)
    rows = []
    for stage in recipe.stages:
        cost = stage.cost(Load(documents, text, len(inputs)))
        read = documents * PAGE_HTML_BYTES if stage.makes_documents else text
        each = text / SHARD_TEXT_RATIO if cost.writes_texts else documents * COLUMN_BYTES
        written = each * cost.kept_fraction + documents * cost.temporary_bytes
        seconds, tasks = read / 1e6 / cost.megabytes_per_second, max(1, cost.tasks or len(inputs))
        memory = BASE_BYTES + cost.memory
        rows.append(Row(stage.name, tasks, documents, read, seconds, seconds / tasks, memory, written, cost.advice))
        documents, text = documents * cost.kept_fraction, text * cost.kept_fraction
    return rows


def _documents(first: Stage, inputs: Sequence[Input]) -> tuple[float, float]:
    """Documents and bytes of text, from the inputs' sizes."""
    size = sum(i.bytes or WARC_BYTES for i in inputs)
    if not first.makes_documents:
        text = size * SHARD_TEXT_RATIO
        rows = [i.rows for i in inputs]
        return (sum(r for r in rows if r) if all(r is not None for r in rows) else text / PAGE_TEXT_BYTES), text
    packed = sum((i.bytes or WARC_BYTES) * (1 if _is_packed(i.path) else 0.2) for i in inputs)
    pages = packed / PAGE_WARC_BYTES
    return pages, pages * PAGE_TEXT_BYTES


def _is_packed(path: str) -> bool:
    return PurePosixPath(path).suffix in (".gz", ".zst", ".lz4", ".wacz")
