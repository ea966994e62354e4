"""A batch of pages: from the records of an archive to documents, dropped rows and a report.

Invariants:

- Each record of a kind in `DOCUMENTS` becomes a document or a dropped row with its reason, and its bytes count as read. Other
  records are counted by kind, damaged places are kept with their offsets.
- Nothing here opens a file or knows the stage: what decides about a page is in `PageSettings`.
- ``begin`` is told the number of a page before work on it, so that the page can be blamed if it hangs or kills the process
  (`pipeline.engines.isolation`). A page that did so before is dropped, and its bytes are not touched again.
- A page's bytes, HTML and UTF-8 are released as soon as nothing needs them: a batch holds many pages.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from goldwash.filters.lists import ListError
from goldwash.filters.signals import Signal
from goldwash.filters.texts import Texts
from goldwash.pipeline.engines.isolation import READING, TOGETHER, Again, Begin
from goldwash.pipeline.failing import naming_document
from goldwash.pipeline.html.decoding import (
    FIRST,
    HTML_TYPES,
    VAGUE_TYPES,
    Undecodable,
    content_type,
    in_utf8,
    is_page,
    title_and_language,
)
from goldwash.pipeline.html.extractors import OF_UTF8, ExtractorError
from goldwash.pipeline.html.main_content import Content
from goldwash.pipeline.html.out_links import out_links
from goldwash.pipeline.html.visible_text import visible
from goldwash.pipeline.optouts.pages import FLAGS, PageOptOuts, columns_of, of_page
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.steps import Step, clean
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import HTML_ENDINGS
from goldwash.pipeline.storage.tables import DROPPED
from goldwash.pipeline.warc.http import TooLarge, response
from goldwash.pipeline.warc.records import Damage, Record, Seams, arc_id

LOOK_BYTES = 1 << 12
"""Bytes of visible text that early rules measure: enough to identify a language and to count the words that a page needs."""
DOCUMENTS = ("response", "conversion", "file")
"""The kinds of records that become documents."""


@dataclass(frozen=True)
class PageSettings:
    """What decides about a page: parameters of the stage extract, under their names there, and what it makes of others."""

    extractor: Any
    """The function that takes the text out of HTML (`pipeline.html.extractors.extractor_of`)."""
    early: Sequence[Step]
    """The steps that drop a page before its text is extracted."""
    schema: pa.Schema
    """The columns of documents."""
    charset: str
    html_only: bool
    min_status: int
    max_status: int
    keep_empty: bool
    max_page_bytes: int
    links: bool
    keep_headers: bool
    optouts: bool


@dataclass
class Made:
    """The results of a batch of records."""

    kept: pa.Table
    dropped: pa.Table
    report: Report
    damage: list[dict[str, Any]]
    records: int
    reached: int
    """The offset of the last record."""
    seams: Seams


@dataclass
class Page:
    """A page on its way to becoming a document."""

    number: int
    record: Record
    """Without its block, whose memory is released before the next record is read."""
    status: int | None
    headers: Mapping[str, str]
    body: bytes | memoryview
    html: str | bytes | memoryview | None = None
    """The extractor's input."""
    utf8: bytes | memoryview = b""
    """The page in UTF-8, for early rules and, if it is kept, title and language."""
    text: bytes = b""
    """The extracted text in UTF-8, as it is counted and written."""
    title: str | None = None
    language: str | None = None
    links: Sequence[str] = ()
    reason: str = ""
    value: float | None = None
    detail: str | None = None
    plain: bool = False
    """Whether the record is plain text, not HTML."""
    optouts: PageOptOuts | None = None
    done: bool = False
    size: int = 0
    """Bytes that count as read."""

    def __post_init__(self) -> None:
        self.size = len(self.body)

    def drop(self, reason: str, value: float | None = None, detail: str | None = None) -> None:
        """Drop the page, with the rule that failed, the value and a detail; release its bytes."""
        self.reason, self.value, self.detail = reason, value, detail
        self.body, self.html, self.utf8 = b"", None, b""


class Batch:
    """Pages that are collected and then processed together: the early rules measure many at once."""

    def __init__(self, settings: PageSettings, archive: str, again: Again, begin: Begin, warcinfo: str = "") -> None:
        self.settings, self.archive, self.warcinfo, self.again, self.begin = settings, archive, warcinfo, again, begin
        self.skip = again.skip
        self.records, self.reached = 0, 0
        self.pages: list[Page] = []
        self.damages: list[Damage] = []
        self.warcinfos: list[str] = []
        self.notes: dict[str, int] = {}
        self.bytes = 0

    def add(self, number: int, found: Record | Damage, at_once: bool = False) -> None:
        """Add a record or damage; ``at_once``: extract its text now, while its bytes are in the core's cache."""
        if isinstance(found, Damage):
            self.damages.append(found)
            self._note("damaged_places", found.places)
            self._note("damaged_bytes", found.bytes)
            return
        self.records += 1
        self.reached = found.offset
        if found.kind not in DOCUMENTS:
            self._note(f"records.{found.kind}")
            if found.kind == "warcinfo" and self.settings.keep_headers:
                self.warcinfo = found.block.decode("utf-8", "replace")
            return
        self.begin(number)
        page = self._page(number, found) if number not in self.skip else self._skipped(number, found)
        if at_once and not page.reason:
            self._extract(page)
        self.begin(READING)
        self.pages.append(page)
        self.warcinfos.append(self.warcinfo)
        self.bytes += max(page.size, 512)  # small pages cost memory too, as Python objects

    def _note(self, name: str, count: int = 1) -> None:
        self.notes[name] = self.notes.get(name, 0) + count

    def made(self, seams: Seams) -> Made:
        """The results; ``seams``: where reading of the range began and stopped."""
        kept, dropped, report = self.tables()
        return Made(kept, dropped, report, self._damage(), self.records, self.reached, replace(seams))

    def _skipped(self, number: int, record: Record) -> Page:
        """A page on which an earlier process hung or died: its bytes are not touched again."""
        page = Page(number, record, None, {}, record.block)
        page.drop(self.skip[number])
        record.block = b""
        return page

    def _page(self, number: int, record: Record) -> Page:
        settings, most = self.settings, self.settings.max_page_bytes
        block, record.block = record.block, b""
        if not record.id:
            record.id = arc_id(record.date, record.url, block)
        if record.kind != "response":
            page = Page(number, record, None, _conversion_headers(record), block)
            kind = content_type(page.headers)
            page.plain = record.kind == "conversion" and kind not in HTML_TYPES
            if record.size > most:
                page.drop("too_large", float(record.size))
            elif page.plain and not _is_text(kind, block):
                page.drop("not_text", None, kind)
            return page
        try:
            found = response(block, most)
            for fault in found.faults:
                self._note(fault)
            if record.size > len(block):
                raise TooLarge
        except TooLarge as error:
            page = Page(number, record, None, {}, b"")
            page.drop("too_large", float(record.size), str(error) or None)
            return page
        page = Page(number, record, found.status, found.headers, found.body)
        if page.status is not None and not settings.min_status <= page.status <= settings.max_status:
            page.drop("http_status", float(page.status))
        elif settings.html_only and not is_page(page.headers, page.body):
            page.drop("not_html", None, page.headers.get("content-type"))
        return page

    def tables(self) -> tuple[pa.Table, pa.Table, Report]:
        """The pages' documents, dropped rows and report."""
        if steps := [s for s in self.settings.early if _on_url(s)]:
            self._judge(steps, Texts.of([""] * len(self._left())))
        looks = [s for s in self.settings.early if not _on_url(s)]
        if looks:
            for page in self._left():
                self.begin(page.number)
                self._decode(page)
            self.begin(READING)
            self._judge(looks, self._looks())
        for page in self._left():
            if not page.done:
                self.begin(page.number)
                self._extract(page)
                self.begin(READING)
        return self._kept(), self._dropped(), self._report()

    def _looks(self) -> Texts:
        """The texts that early rules measure: the visible text of HTML pages, and plain texts unchanged."""
        left = self._left()
        if not any(page.plain for page in left):
            return visible([page.utf8 for page in left], LOOK_BYTES)
        shown = iter(visible([page.utf8 for page in left if not page.plain], LOOK_BYTES))
        return _texts([_first(page.utf8) if page.plain else next(shown).encode() for page in left])

    def _left(self) -> list[Page]:
        return [page for page in self.pages if not page.reason]

    def _judge(self, steps: Sequence[Step], texts: Texts) -> None:
        """Drop the pages that fail: all at once, or page by page if that hung or died in an earlier process."""
        left = self._left()
        if not steps or not left:
            return
        if not self.again.singly:
            self.begin(TOGETHER)
            self._judge_some(steps, texts, left)
            self.begin(READING)
            return
        for row, page in enumerate(left):
            if page.number in self.skip:
                page.drop(self.skip[page.number])
                continue
            self.begin(page.number)
            self._judge_some(steps, texts.take(np.array([row])), [page])
            self.begin(READING)

    def _judge_some(self, steps: Sequence[Step], texts: Texts, pages: Sequence[Page]) -> None:
        urls = Texts.of([page.record.url for page in pages])

        def alone(row: int) -> None:
            clean(steps, texts.take(np.array([row])), urls.take(np.array([row])))

        try:
            with naming_document([page.record.id for page in pages], alone):
                judged = clean(steps, texts, urls)
        except ListError as error:
            raise DataError(str(error)) from error
        for rule, rows, values, details in judged.drops:
            for row, value, detail in zip(rows, values, details, strict=True):
                pages[row].drop(rule, float(value), detail)

    def _decode(self, page: Page) -> None:
        body, page.body = page.body, b""
        if page.plain:
            page.utf8 = in_utf8(body, page.headers)
            page.text = bytes(page.utf8)
            page.language = page.record.headers.get("WARC-Identified-Content-Language")
            if not page.text and not self.settings.keep_empty:
                page.drop("no_text")
            return
        try:
            page.utf8 = in_utf8(body, page.headers, self.settings.charset)
        except Undecodable as error:
            page.drop("undecodable", None, str(error))
            return
        if self.settings.optouts:
            page.optouts = of_page(page.headers, page.utf8, page.record.url, page.record.date)
        page.html = page.utf8 if isinstance(self.settings.extractor, OF_UTF8) else str(page.utf8, "utf-8")

    def _extract(self, page: Page) -> None:
        """Set the page's text, title and language, and release its HTML."""
        page.done = True
        if page.html is None and not page.text:
            self._decode(page)
        if page.html is not None:
            self._extract_html(page, page.html)
            if not page.reason:
                page.title, page.language = title_and_language(page.utf8)
        page.html, page.utf8 = None, b""

    def _extract_html(self, page: Page, html: str | bytes | memoryview) -> None:
        try:
            if isinstance(self.settings.extractor, Content):
                page.text, limits = self.settings.extractor.utf8(
                    html if not isinstance(html, str) else html.encode("utf-8", "replace")
                )
                for name in limits:
                    self._note(f"limits.{name}")
            else:
                page.text = self.settings.extractor(html).encode("utf-8", "replace")
            if self.settings.links and (page.text or self.settings.keep_empty):
                page.links = out_links(html if isinstance(html, str) else bytes(html), page.record.url)
        except ExtractorError:
            raise
        except Exception as error:  # a parser may raise anything: it costs this page only, which records it
            page.drop("extraction_error", None, f"{type(error).__name__}: {error}"[:200])
            return
        if not page.text and not self.settings.keep_empty:
            page.drop("no_text")

    def _kept(self) -> pa.Table:
        pages = [page for page in self.pages if not page.reason]
        records = [page.record for page in pages]
        columns: dict[str, list[Any]] = {
            "id": [record.id for record in records],
            "url": [record.url for record in records],
            "date": [record.date for record in records],
            "archive": [self._archive_of(record) for record in records],
            "offset": [record.offset for record in records],
            "length": [record.length for record in records],
            "status": [page.status for page in pages],
            "title": [page.title for page in pages],
            "declared_language": [page.language for page in pages],
            "text": [page.text for page in pages],
        }
        if self.settings.links:
            columns["links"] = [page.links for page in pages]
        if self.settings.keep_headers:
            columns["warc_headers"] = [_json(record.headers) for record in records]
            columns["warcinfo"] = [i for i, page in zip(self.warcinfos, self.pages, strict=True) if not page.reason]
        if self.settings.optouts:
            columns |= columns_of([page.optouts or PageOptOuts() for page in pages])
        return pa.Table.from_pydict(columns, self.settings.schema)

    def _archive_of(self, record: Record) -> str:
        """The path of a record: its archive, or its file in a folder of HTML files."""
        if record.kind != "file" or self.archive.lower().endswith(HTML_ENDINGS):
            return self.archive
        return f"{self.archive}/{record.url.removeprefix('file:///')}".removeprefix("./")

    def _dropped(self) -> pa.Table:
        rows = list(map(damage_row, self._damage()))
        rows += [
            {"id": p.record.id, "url": p.record.url, "dropped_by": p.reason, "value": p.value, "detail": p.detail}
            for p in self.pages
            if p.reason
        ]
        return pa.Table.from_pylist(rows, DROPPED)

    def _damage(self) -> list[dict[str, Any]]:
        return [{"archive": self.archive, **asdict(place)} for place in self.damages]

    def _report(self) -> Report:
        dropped: dict[str, Count] = {}
        for page in self.pages:
            if page.reason:
                dropped[page.reason] = dropped.get(page.reason, Count()) + Count(1, page.size)
        kept = [page for page in self.pages if not page.reason]
        html, text = sum(page.size for page in kept), sum(len(page.text) for page in kept)
        markup = {"markup": Count(len(kept), html - text)} if kept else {}
        for said in (page.optouts for page in kept if page.optouts):
            for name in (*(flag for flag in FLAGS if getattr(said, flag)), *(["licence"] if said.licence else [])):
                self._note(f"optouts.{name}")
            for name in said.malformed:
                self._note(f"optouts.malformed.{name}")
        read = Count(len(self.pages), sum(page.size for page in self.pages))
        return Report(read, Count(len(kept), text), dropped, markup, self.notes)


def damage_row(place: Mapping[str, Any]) -> dict[str, Any]:
    """The row among the dropped of a damaged place: its archive, offset and reason."""
    value, detail = float(place["offset"]), place["reason"]
    return {"id": "", "url": place["archive"], "dropped_by": "damage", "value": value, "detail": detail}


def _conversion_headers(record: Record) -> dict[str, str]:
    """The content type of a record that is not a response; without one, a file is HTML and a conversion record plain text."""
    named = next((value for name, value in record.headers.items() if name.lower() == "content-type"), "")
    return {"content-type": named or ("text/html" if record.kind == "file" else "text/plain")}


def _is_text(kind: str, block: bytes) -> bool:
    """Whether a conversion record is text: by its media type or, if that is vague, by the absence of zero bytes."""
    return kind.startswith("text/") or (kind in (*VAGUE_TYPES, "application/warc-record") and b"\0" not in block[:FIRST])


def _first(utf8: bytes | memoryview) -> bytes:
    """The first `LOOK_BYTES` of a text, without half a character."""
    return bytes(utf8[:LOOK_BYTES]).decode("utf-8", "ignore").encode()


def _json(headers: Mapping[str, str]) -> str:
    """Headers as JSON, sorted by name."""
    return json.dumps(dict(headers), ensure_ascii=False, sort_keys=True)


def _texts(pages: Sequence[bytes | memoryview]) -> Texts:
    """Pages joined into one buffer."""
    ends = np.cumsum([0, *map(len, pages)])
    return Texts(np.frombuffer(b"".join(pages), np.uint8), ends[:-1], ends[1:])


def _on_url(step: Step) -> bool:
    return isinstance(step.subject, Signal) and step.subject.column == "url"
