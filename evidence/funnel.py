"""A pool's size, the share that quality kept, and the cost of curation, from a finished run.

Invariants: tokens are bytes of text over ``bytes_per_token``. Runs record no CPU time that is comparable between machines; the
CPU hours are the bytes that each stage read, from the run's own funnel, over the stage's measured rate (docs/benchmarks.md).
"""

from dataclasses import dataclass
from typing import Any

from goldwash.evidence.errors import EvidenceError
from goldwash.pipeline.dataset import DATASET, RECIPE, REPORT
from goldwash.pipeline.flow import held_run
from goldwash.pipeline.inspect.estimate import PAGE_HTML_BYTES
from goldwash.pipeline.recipes.recipe import unresolved
from goldwash.pipeline.stage import Load
from goldwash.pipeline.storage.locations import join, read_text
from goldwash.pipeline.storage.sealed import read_sealed

BYTES_PER_TOKEN = 4.3  # GPT-NeoX's tokenizer on English web text; see docs/evidence.md


@dataclass(frozen=True)
class Funnel:
    """``pool`` and ``kept`` in tokens: before the quality stage, and in the dataset. ``stages`` are (name, CPU hours)."""

    pool: float
    share: float
    kept: float
    cpu_hours: float
    stages: tuple[tuple[str, float], ...]


def funnel(run: str, part: float = 1.0, bytes_per_token: float = BYTES_PER_TOKEN) -> Funnel:
    """Read a finished run over ``part`` of the crawl; sizes and hours are scaled up to the whole crawl.

    Raises `EvidenceError` where the run is not finished or has no quality stage, and `DataError` where the folder is no run.
    """
    held_run(run)
    report = read_sealed(join(run, DATASET, REPORT))
    if report is None:
        raise EvidenceError(f"{run} is not finished: it has no {DATASET}/{REPORT}; run it to its end, or give --pool")
    rows = {row["stage"]: row for row in report["funnel"]}
    if "quality" not in rows:
        raise EvidenceError(f"{run} has no quality stage, so no share was kept: it has {', '.join(rows)}; give --pool instead")
    read, kept = rows["quality"]["read"]["bytes"], rows["quality"]["kept"]["bytes"]
    if not kept:
        raise EvidenceError(f"{run}: the quality stage kept nothing; lower its threshold, or give --pool and --share")
    scale = 1 / (bytes_per_token * part)
    stages = _hours(run, rows, part)
    last = report["funnel"][-1]["kept"]["bytes"]
    return Funnel(read * scale, kept / read, last * scale, sum(hours for _, hours in stages), stages)


def _hours(run: str, rows: dict[str, Any], part: float) -> tuple[tuple[str, float], ...]:
    found = []
    for stage in unresolved("", read_text(join(run, DATASET, RECIPE))).stages:
        read = rows[stage.name]["read"]
        size = read["documents"] * PAGE_HTML_BYTES if stage.makes_documents else read["bytes"]
        cost = stage.cost(Load(read["documents"], read["bytes"], 1))
        found.append((stage.name, size / 1e6 / cost.megabytes_per_second / 3600 / part))
    return tuple(found)
