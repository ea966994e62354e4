"""What a run will take: tasks, documents, CPU time, memory and disk by stage, before anything is done.

Law: an estimate, from the input's sizes, from rates that were measured, and from the shares that stages kept where it was
published; what comes from where is said beside it (`SOURCES`). Nothing of the input is opened.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from goldwash.pipeline.recipes.recipe import Recipe
from goldwash.pipeline.stage import Stage
from goldwash.pipeline.storage.inputs import Input

WARC_BYTES, PAGE_WARC_BYTES, PAGE_HTML_BYTES, PAGE_TEXT_BYTES = 1_050_000_000, 31_000, 148_000, 3_250
SHARD_TEXT_RATIO = 2.5
"""Bytes of text in a byte of a Parquet shard (zstd)."""

WORD_BYTES = 6.0
BASE_BYTES = 0.8e9
"""Memory of any task: Python, its packages, kernels, a batch and a row group."""

SOURCES = """\
an archive of unknown size: 1.05 GB, 33,900 pages of 148 kB, as in Common Crawl's CC-MAIN-2024-10 (3.16 billion pages, 425 TiB)
text: 3.2 kB a page (DCLM, 2406.11794); kept: heuristics 19.9%, deduplication 69% of what it reads (the same, figure 4)
MB a CPU-second: as measured on one core (BENCHMARKS.md; docs/clusters.md has the passes of a whole dump)"""


@dataclass(frozen=True)
class Cost:
    """What a stage takes and leaves: MB that it reads a CPU-second, the share of documents that it keeps, and disk."""

    rate: float
    keeps: float
    temporary_bytes: float = 0.0
    """Bytes a document, beside its output, that lie on disk until the run's folders are deleted."""


COSTS = {
    "extract": Cost(140.0, 1.0),  # of HTML, by blocks
    "heuristics": Cost(30.0, 0.199),
    "exact": Cost(24.0, 0.9, 60.0),
    "minhash": Cost(23.0, 0.69, 553.0),
    "bloom": Cost(27.0, 1.0),
    "quality": Cost(37.0, 1.0, 15.0),
    "decontaminate": Cost(52.0, 1.0),
    "score": Cost(50.0, 1.0),
}
"""Deduplication's 69% is put down to the first stage of it; later ones take less than is said here."""
RATES = {"resiliparse": 65.0, "resiliparse_all": 120.0, "turbohtml": 110.0, "turbohtml_all": 130.0, "trafilatura": 8.0}
"""MB of HTML a CPU-second that extract reads with other extractors."""


@dataclass(frozen=True)
class Row:
    """A stage of a plan: sizes in bytes, of HTML for what extract reads, else of text; ``written`` with temporary files."""

    stage: str
    tasks: int
    documents: float
    read: float
    cpu_seconds: float
    longest_seconds: float
    memory: float
    written: float
    cure: str = ""
    """What to set where a task would be too large for a usual machine."""


LARGE = 64e9
"""Bytes of memory that a usual machine does not have for one task."""


def plan(recipe: Recipe, inputs: Sequence[Input]) -> list[Row]:
    """What each stage of a recipe will take on these inputs."""
    documents, text = _documents(recipe.stages[0], inputs)
    rows = []
    for stage in recipe.stages:
        cost = COSTS[stage.name]
        read = documents * PAGE_HTML_BYTES if stage.makes_documents else text
        share = _kept(stage, cost)
        written = text * share / SHARD_TEXT_RATIO + documents * cost.temporary_bytes
        rate = RATES.get(getattr(stage, "extractor", ""), cost.rate)
        seconds, tasks = read / 1e6 / rate, _tasks(stage, len(inputs))
        more = _memory(stage, documents, text)
        cure = f"a task of bloom takes {more / 1e9:,.0f} GB: --set bloom.groups={math.ceil(more / LARGE)}, for one" * (
            stage.name == "bloom" and more > LARGE
        )
        rows.append(Row(stage.name, tasks, documents, read, seconds, seconds / tasks, BASE_BYTES + more, written, cure))
        documents, text = documents * share, text * share
    return rows


def _documents(first: Stage, inputs: Sequence[Input]) -> tuple[float, float]:
    """Documents and bytes of text, by the inputs' sizes."""
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


def _kept(stage: Stage, cost: Cost) -> float:
    fraction = stage.config().get("fraction")
    return float(fraction) if isinstance(fraction, float | int) else cost.keeps


def _tasks(stage: Stage, inputs: int) -> int:
    """Tasks of the stage's longest pass."""
    return max(1, min(inputs, int(stage.config().get("groups", inputs))))


def _memory(stage: Stage, documents: float, text: float) -> float:
    """Bytes of memory beyond the base of a stage's largest task."""
    config = stage.config()
    if stage.name == "bloom":  # 9.6 bits an n-gram at 1% of false positives
        return 1.2 * text / WORD_BYTES / int(config["groups"])
    if stage.name in ("minhash", "exact"):  # pairs of a slice; the components of all
        return max(50 * min(documents, 1 << 25), 20 * documents)
    return 0.0
