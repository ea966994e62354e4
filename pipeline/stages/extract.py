"""extract: archives to documents.

Law: every response record is read and either kept as a document or dropped with a reason; other records are counted by kind,
and so is damage, with its file and offset among the dropped. One archive in, one shard out.

======================  =============================================================================
dropped by              when
======================  =============================================================================
``damage``              a part of the archive that cannot be read (``id`` empty, the offset as value)
``http_status``         the status is outside ``min_status`` to ``max_status``
``not_html``            another content type than HTML's
``undecodable``         the bytes are not in the charset (only for ``charset: utf-8``)
``extraction_error``    the extractor failed
``no_text``             no text was found (``keep_empty: true`` keeps such pages, as the reference does)
======================  =============================================================================
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar, Literal

import pyarrow as pa

from pipeline.report import Count, Report
from pipeline.run.work import beat
from pipeline.shards import (
    BATCH_BYTES,
    DOCUMENT,
    DROPPED,
    DataError,
    Input,
    Task,
    TaskOutput,
    local_copy,
)
from pipeline.stage import Run, Stage, finish, stage_of, tasks_for
from pipeline.warc.html import EXTRACTORS
from pipeline.warc.pages import Undecodable, decoded, is_page
from pipeline.warc.records import Damage, Record, records


@dataclass(frozen=True)
class Extract(Stage):
    """Read archives (WARC, ARC) and take the text out of their pages."""

    name: ClassVar[str] = "extract"
    makes_documents: ClassVar[bool] = True
    extractor: Literal["resiliparse", "resiliparse_all"] = "resiliparse"
    charset: Literal["detect", "utf-8"] = "detect"
    html_only: bool = True
    min_status: int = 200
    max_status: int = 299
    keep_empty: bool = False

    def versions(self) -> dict[str, str]:
        """The extractor's version: 0.14, 0.15 and 2.0 write tables differently."""
        return {"resiliparse": version("resiliparse"), "fastwarc": version("fastwarc")}

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """One task an archive."""
        tasks = tasks_for(self, inputs, out)
        run(extract_archive, tasks)
        return finish(self, inputs, out, tasks)

    def text(self, record: Record) -> tuple[str, str]:
        """A response's text and "", or "" and the reason why there is none."""
        if record.status is not None and not self.min_status <= record.status <= self.max_status:
            return "", "http_status"
        if self.html_only and not is_page(record.http_headers, record.payload):
            return "", "not_html"
        try:
            text = EXTRACTORS[self.extractor](decoded(record.payload, record.http_headers, self.charset))
            text = text.encode("utf-8", "replace").decode("utf-8")
        except Undecodable:
            return "", "undecodable"
        except (ValueError, RuntimeError, MemoryError, RecursionError):
            return "", "extraction_error"
        return text, "" if text or self.keep_empty else "no_text"


def extract_archive(task: Task) -> None:
    """One archive in, one shard out."""
    stage = stage_of(task, Extract)
    archive = task.inputs[0]
    with TaskOutput(task, DOCUMENT) as output:
        for kept, dropped, report in extracted(stage, archive):
            output.write("kept", kept)
            output.write("dropped", dropped)
            output.report += report
            beat(task, output.report.read.documents, output.report.read.bytes)


def extracted(stage: Extract, archive: str) -> Iterator[tuple[pa.Table, pa.Table, Report]]:
    """Documents, dropped pages and the report of an archive, a batch at a time."""
    batch = _Batch()
    for found in _opened(archive):
        if isinstance(found, Damage):
            batch.damaged(archive, found)
        elif found.kind == "response":
            batch.page(archive, found, *stage.text(found))
        else:
            batch.note(f"records.{found.kind}")
        if batch.bytes >= 8 * BATCH_BYTES:
            yield batch.tables()
            batch = _Batch()
    yield batch.tables()


def _opened(archive: str) -> Iterator[Record | Damage]:
    """The records of an archive; one that lies elsewhere is fetched first, since reading goes back and forth in it."""
    with local_copy(archive) as path:
        try:
            with open(path, "rb") as stream:
                yield from records(stream, os.path.getsize(path))
        except FileNotFoundError as error:
            raise DataError(f"{archive}: no such archive") from error
        except (PermissionError, IsADirectoryError) as error:
            raise DataError(f"{archive} cannot be read: {error}") from error


class _Batch:
    """Rows that are being gathered."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.dropped: list[dict[str, Any]] = []
        self.bytes = 0
        self.report = Report()

    def note(self, name: str) -> None:
        self.report += Report(notes={name: 1})

    def damaged(self, archive: str, damage: Damage) -> None:
        self.note("damaged_places")
        self.dropped.append(
            {"id": "", "url": archive, "dropped_by": "damage", "value": float(damage.offset), "detail": damage.reason}
        )

    def page(self, archive: str, record: Record, text: str, reason: str) -> None:
        html, size = len(record.payload), len(text.encode())
        self.bytes += html
        if reason:
            value = float(record.status) if reason == "http_status" and record.status is not None else None
            detail = record.http_headers.get("content-type") if reason == "not_html" else None
            self.dropped.append({"id": record.id, "url": record.url, "dropped_by": reason, "value": value, "detail": detail})
            self.report += Report(Count(1, html), dropped={reason: Count(1, html)})
            return
        row = {"id": record.id, "url": record.url, "date": record.date, "archive": archive}
        self.kept.append({**row, "offset": record.offset, "length": record.length, "text": text})
        self.report += Report(Count(1, html), Count(1, size), edited={"markup": Count(1, html - size)})

    def tables(self) -> tuple[pa.Table, pa.Table, Report]:
        """What was gathered."""
        kept, dropped = pa.Table.from_pylist(self.kept, DOCUMENT), pa.Table.from_pylist(self.dropped, DROPPED)
        return kept, dropped, self.report
