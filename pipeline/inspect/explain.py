"""Why a page was kept or dropped.

Law: nothing is guessed: what a stage wrote is read again, and what a rule measures is measured again on the very text that the
stage was given.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.pipeline.flow import run_folders
from goldwash.pipeline.stage import Stage
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.locations import DataError, filesystem, join


@dataclass
class Passage:
    """What a document met in one stage: ``kept`` or the rule that dropped it, and each rule's value beside its bounds."""

    stage: str
    verdict: str
    value: float | None = None
    detail: str | None = None
    rules: list[tuple[str, Any, str, bool]] = field(default_factory=list)


def explained(run: str, page: str) -> list[tuple[dict[str, Any], list[Passage]]]:
    """Of each document with this URL or id, what it met stage by stage; a `DataError` where the run has none."""
    folders = run_folders(run)
    pages: dict[str, list[Passage]] = {}
    before: dict[str, dict[str, Any]] = {}
    known: dict[str, dict[str, Any]] = {}
    for folder, report in folders:
        stage = STAGES[report["stage"]].of(report["config"])
        kept = {row["id"]: row for row in _rows(folder, report["shards"], page)}
        for row in _rows(folder, _dropped(report), page):
            passage = Passage(stage.name, row["dropped_by"], row["value"], row["detail"])
            if row["id"] in before:
                passage.rules = stage.explain(
                    folder, {**before[row["id"]], row["dropped_by"]: row["value"], "detail": row["detail"]}
                )
            pages.setdefault(row["id"], []).append(passage)
            known.setdefault(row["id"], row)
        for id_, row in kept.items():
            known[id_] = row
            pages.setdefault(id_, []).append(Passage(stage.name, "kept", rules=_rules(stage, folder, before.get(id_), row)))
        before = kept
    if not pages:
        raise DataError(
            f"{page}: no page of this URL or id in {run}; ids are WARC-Record-IDs such as urn:uuid:..., URLs are whole"
        )
    return [(known[id_], passages) for id_, passages in pages.items()]


def _rules(stage: Stage, folder: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Any]:
    return stage.explain(folder, {**after, **({"text": before["text"]} if before else {})})


def _dropped(report: Mapping[str, Any]) -> list[str]:
    return [file for file in report["others"] if file.startswith("dropped/")]


def _rows(folder: str, files: Any, page: str) -> Iterator[dict[str, Any]]:
    for file in sorted(files):
        fs, path = filesystem(join(folder, file))
        with fs.open(path, "rb") as opened:
            parquet = pq.ParquetFile(opened)
            names = parquet.schema_arrow.names
            for batch in parquet.iter_batches(1024, columns=[n for n in names if n in ("id", "url")]):
                mask = pc.or_(pc.equal(batch["id"], page), pc.equal(batch["url"], page))
                if pc.any(mask).as_py():
                    yield from pq.read_table(opened, filters=(pc.field("id") == page) | (pc.field("url") == page)).to_pylist()
                    break
