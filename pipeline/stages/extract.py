"""extract: archives to documents.

Invariants:

- Every response record is kept as a document or dropped with a reason. A WET's conversion records become documents unchanged;
  other records are counted by kind.
- Damage is counted, and listed among the dropped with its file and offset.
- One task per archive, or per range of a large one; one shard per task.

======================  =============================================================================
dropped by              when
======================  =============================================================================
``damage``              a part of the archive that cannot be read (``id`` empty, the offset as value)
``too_large``           the page has, or unpacks to, more than ``max_page_bytes``
``http_status``         the status is outside ``min_status`` to ``max_status``
``not_html``            the content type is not HTML's, or the first bytes are those of another format
a rule of ``early``     the URL, or the page's visible text, does not pass it
``undecodable``         the bytes are not in the charset (only for ``charset: utf-8``)
``time_limit``          the page took longer than ``max_page_seconds``
``crash``               the page killed the process that read it, twice
``extraction_error``    the extractor failed
``not_text``            a conversion record of another type than text or HTML
``no_text``             no text was found (``keep_empty: true`` keeps such pages, as the reference does)
======================  =============================================================================

``early``: steps of the heuristics stage, ``keep`` and ``label`` only. Those on URLs run before a page is decoded. The others
run on the page's visible text (`pipeline.html.visible_text`), which contains any extractor's text: give them bounds so wide
that they fail only pages which later rules drop anyway. ``extractor``: a name in `pipeline.html.extractors.EXTRACTORS`.
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from goldwash.filters.lists import ListError
from goldwash.filters.signals import Signal
from goldwash.filters.texts import Texts
from goldwash.pipeline.engines.isolation import BETWEEN, READING, TIME_LIMIT, TOGETHER, Again, Begin, isolated
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
from goldwash.pipeline.html.extractors import OF_UTF8, ExtractorError, extractor_of, version_of
from goldwash.pipeline.html.main_content import A_PAGE, Content
from goldwash.pipeline.html.out_links import out_links
from goldwash.pipeline.html.visible_text import visible
from goldwash.pipeline.optouts.pages import COLUMNS, FLAGS, PageOptOuts, columns_of, of_page
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, Tasks, finish, markers_of, stage_of
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.steps import Step, clean
from goldwash.pipeline.storage.batches import BATCH_BYTES
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.indexes import Places, fetched_part, is_index
from goldwash.pipeline.storage.inputs import ARCHIVE_ENDINGS, HTML_ENDINGS, archive_location
from goldwash.pipeline.storage.locations import is_local
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.states import heartbeat
from goldwash.pipeline.storage.tables import DOCUMENT, DROPPED, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.warc.http import HEAD_BYTES, TooLarge, response
from goldwash.pipeline.warc.records import Damage, Record, Seams, arc_id, records
from goldwash.pipeline.warc.wacz import wacz_records

LOOK_BYTES = 1 << 12
"""Bytes of visible text that early rules measure: enough to identify a language and to count the words that a page needs."""
RATES = {
    "blocks": 228.0,
    "resiliparse": 65.0,
    "resiliparse_all": 120.0,
    "turbohtml": 110.0,
    "turbohtml_all": 130.0,
    "trafilatura": 8.0,
}
"""MB of HTML per CPU-second, by extractor."""
OPTIONS = ("form", "addresses", "formulas", "comments", "captions", "fallback")
"""Parameters that are options of the extractor ``blocks`` (`pipeline.html.main_content.Content`)."""
DOCUMENTS = ("response", "conversion", "file")
"""The kinds of records that become documents."""


@dataclass(frozen=True)
class Extract(Stage):
    """Read archives (WARC, ARC, WET, WACZ) and take the text out of their pages."""

    name: ClassVar[str] = "extract"
    makes_documents: ClassVar[bool] = True
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"extractor": OPTIONS}
    extractor: str = "resiliparse"
    """The function that takes the text out of HTML (`pipeline.html.extractors.EXTRACTORS`)."""
    form: Literal["plain", "markdown"] = "plain"
    """The text's form. ``markdown``: headings, fenced code, tables and lists in Markdown. This and the next five are options of
    the extractor ``blocks``."""
    addresses: bool = False
    """In Markdown, write links with their addresses."""
    formulas: Literal["brackets", "dollars"] = "brackets"
    r"""Delimiters of TeX: ``\( \)`` and ``\[ \]``, or ``$`` and ``$$``."""
    comments: Literal["judged", "all", "none"] = "judged"
    """Comment threads: each kept or dropped as a whole, as the model judges it; all with their authors; or none."""
    captions: bool = True
    """Keep those captions of figures that the model takes for content; ``false``: none."""
    fallback: Literal["none", "best", "resiliparse"] = "none"
    """The text of a page in which no block is content: none, its best blocks, or what resiliparse finds."""
    charset: Literal["detect", "utf-8"] = "detect"
    """``detect``: decode as browsers do. ``utf-8``: drop a page that is not UTF-8 as ``undecodable``."""
    html_only: bool = True
    """Drop a page that is not HTML as ``not_html``."""
    min_status: int = 200
    """The lowest HTTP status of a page that is kept."""
    max_status: int = 299
    """The highest HTTP status of a page that is kept."""
    keep_empty: bool = False
    """Keep a page without text, instead of dropping it as ``no_text``."""
    early: tuple[Any, ...] = ()
    """Steps that drop a page before its text is extracted."""
    use: tuple[Any, ...] = ()
    """The user's files or modules that declare the signals named in ``early``."""
    max_page_bytes: int = 10_000_000
    """Drop a larger page as ``too_large``."""
    max_page_seconds: float = 30.0
    """Drop a page that takes more CPU time as ``time_limit``."""
    links: bool = False
    """Add the URLs that a page links to as a column of lists, ``links`` (for `goldwash pagerank`)."""
    keep_headers: bool = False
    """Add the record's headers and the archive's ``warcinfo`` as columns."""
    optouts: bool = False
    """Add what a page says about its own use as columns: ``X-Robots-Tag``, meta tags, TDMRep, content signals and licences
    (`pipeline.optouts.pages`)."""
    split_bytes: int = 1 << 31
    """A larger local archive is read in ranges of a sixteenth of this size, one task per range, so that all workers have work.
    Not with ``keep_headers``: a range cannot see the ``warcinfo`` record before it."""

    def __post_init__(self) -> None:
        try:
            self.extract  # noqa: B018
        except ExtractorError as error:
            raise RecipeError(f"stage extract: extractor: {error}", ("extractor",)) from error
        if self.addresses and self.form != "markdown":
            raise RecipeError("stage extract: addresses is true and form is plain; expected form: markdown", ("addresses",))
        self._check_numbers()
        for number, step in enumerate(self.rules.plan, 1):
            if step.verb not in ("keep", "label"):
                raise RecipeError(f"stage extract: early, step {number}: only keep and label can come before there is a text")

    def _check_numbers(self) -> None:
        for name, least in (("min_status", 0), ("max_status", 0), ("max_page_bytes", 1), ("split_bytes", 1024)):
            if getattr(self, name) < least:
                raise RecipeError(f"stage extract: {name} is {getattr(self, name)}; expected {least} or more", (name,))
        if not 0 < self.max_page_seconds < math.inf:
            raise RecipeError(
                f"stage extract: max_page_seconds is {self.max_page_seconds}; expected seconds above 0", ("max_page_seconds",)
            )
        if self.min_status > self.max_status:
            raise RecipeError(
                f"stage extract: min_status is {self.min_status} and max_status {self.max_status}: no page can have both",
                ("min_status",),
            )

    @cached_property
    def extract(self) -> Any:
        """The extractor."""
        return extractor_of(self.extractor, **{name: getattr(self, name) for name in OPTIONS})

    @cached_property
    def rules(self) -> Heuristics:
        """The early steps."""
        return Heuristics.of({"steps": self.early, "use": self.use})

    @cached_property
    def ready(self) -> bool:
        """Load the kernels, once per process, before the processes that read pages are forked from it; always True."""
        self.warm_up()
        return True

    @property
    def schema(self) -> pa.Schema:
        """The columns of the stage's shards."""
        more: dict[str, pa.DataType] = {"links": pa.list_(pa.string())} if self.links else {}
        more |= {"warc_headers": pa.string(), "warcinfo": pa.string()} if self.keep_headers else {}
        return with_fields(DOCUMENT, **more, **(COLUMNS if self.optouts else {}))

    def versions(self) -> dict[str, str]:
        """Versions of the extractor and of the packages that read archives, and of what the early steps use.

        resiliparse 0.14, 0.15 and 2.0 write tables differently.
        """
        extractor, which = version_of(self.extractor)
        packages = {name: version(name) for name in ("endec", "fastwarc", "isal", "resiliparse")}
        return {extractor: which, **packages, **(self.rules.versions() if self.early else {})}

    def cost(self, load: Load) -> Cost:
        """MB of HTML per CPU-second by extractor (`RATES`), measured on real pages (docs/benchmarks.md)."""
        return Cost(RATES.get(self.extractor, 65.0))

    def warm_up(self) -> None:
        """Compile the kernels of the extractor and of the early steps, and load what pages need before a process is forked."""
        for part in self.warm_ups():
            part()

    def warm_ups(self) -> list[Callable[[], object]]:
        """Reading a page, and the early steps: the kernels of the one take as long to compile as those of the others."""
        return [self._read_a_page, self._look_at_a_page] if self.early else [self._read_a_page]

    def _read_a_page(self) -> None:
        pa.array([""])  # imports pandas where it is installed: 0.2 s, which the process of each archive would take again
        self.extract(A_PAGE)
        title_and_language(in_utf8(b"<p>gold", {}))

    def _look_at_a_page(self) -> None:
        self.rules.warm_up()
        visible([b"<p>gold"], LOOK_BYTES)

    def __call__(self, inputs: Sequence[Input], out: str, run: Run) -> Report:
        """Run one task per archive, or per range of a large one."""
        made = Tasks(self, inputs, out)
        ranges = [(source, *each) for source in inputs for each in self.ranges(source)]
        tasks = [made.one("part", n, sources=(source,), start=start, end=end) for n, (source, start, end) in enumerate(ranges)]
        run(extract_archive, tasks)
        _check_seams(tasks)
        return finish(self, inputs, out, tasks)

    def ranges(self, source: Input) -> list[tuple[int, int | None]]:
        """The ranges of an archive, one task each: ``(start, end)`` in bytes, the last one's end None."""
        whole = not is_local(source.path) or self.keep_headers or not source.path.lower().endswith(SPLITTABLE)
        count = 1 if whole or source.bytes <= self.split_bytes else -(-source.bytes * RANGES // self.split_bytes)
        starts = [source.bytes * n // count for n in range(count)]
        return list(zip(starts, [*starts[1:], None], strict=True))


SPLITTABLE = tuple(ending for ending in ARCHIVE_ENDINGS if ending != ".wacz")
RANGES = 16


def _check_seams(tasks: Sequence[Task]) -> None:
    """Refuse ranges of an archive that do not meet: a record between them could be lost, or read twice."""
    before, stop = "", 0
    for task, marker in zip(tasks, markers_of(tasks), strict=True):
        first, last = marker["facts"].get("seams", (0, 0))
        if task.extra["start"] and task.inputs[0] == before and first != stop:
            raise DataError(
                f"{before}: the range before byte {task.extra['start']:,} ends at {stop:,}, the next one begins at {first:,}. "
                "A record of it seems to hold another archive. Read it as one: --set extract.split_bytes=1000000000000"
            )
        before, stop = task.inputs[0], last


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


def extract_archive(task: Task) -> None:
    """Turn an archive, or a range, into a shard. Facts: ``damage``, ``records``, ``bytes`` (`stage.Losses`), ``seams``."""
    stage = stage_of(task, Extract)
    stage.ready  # noqa: B018
    archive = task.inputs[0]
    size = task.sources[0].bytes
    with TaskOutput(task, stage.schema) as output, _copy(archive) as (path, places):
        span = task.extra.get("start", 0), task.extra.get("end")

        def make(again: Again, begin: Begin) -> Iterator[tuple[_Token, Made]]:
            return extracted(stage, task.source.name or archive, path, again, begin, span)

        damage, found, seams = list[dict[str, Any]](), 0, Seams()
        nothing = places is not None and not places.starts  # none of the index's records is there
        for made in () if nothing else isolated(make, stage.max_page_seconds):
            if places is not None:
                made = _placed(made, places)
            output.write("kept", made.kept)
            output.write("dropped", made.dropped)
            output.report += made.report
            damage += made.damage
            found += made.records
            seams = Seams(made.seams.first if seams.first < 0 else seams.first, made.seams.stop)
            share = (made.reached - span[0]) / max(1, (span[1] or size) - span[0])
            heartbeat(task, output.report.read.documents, output.report.read.bytes, min(1.0, max(0.0, share)) if size else None)
        if places is not None and places.missing:
            damage += places.missing
            lost = sum(place["bytes"] for place in places.missing)
            output.report += Report(notes={"damaged_places": len(places.missing), "damaged_bytes": lost})
            output.write("dropped", pa.Table.from_pylist(list(map(_damage_row, places.missing)), DROPPED))
        read = size or _size_of(path) if span == (0, None) else max(0, seams.stop - seams.first) if found else 0
        output.facts |= {"damage": _shortened(damage), "records": found, "bytes": read, "seams": [seams.first, seams.stop]}


@contextmanager
def _copy(archive: str) -> Iterator[tuple[str, Places | None]]:
    """A file with an archive's records; for a part of an index, also where they come from."""
    if is_index(archive):
        with fetched_part(archive, lambda name: archive_location(name, archive)) as (path, places):
            yield path, places
        return
    with local_copy(archive) as path:
        yield path, None


def _placed(made: Made, places: Places) -> Made:
    """Results with the archives and offsets of an index."""
    damage = [{**place, **dict(zip(("archive", "offset"), places.of(place["offset"]), strict=True))} for place in made.damage]
    others = made.dropped.filter(pc.not_equal(made.dropped["dropped_by"], "damage"))
    damaged = pa.Table.from_pylist(list(map(_damage_row, damage)), DROPPED)
    return replace(made, kept=places.located(made.kept), dropped=pa.concat_tables([damaged, others]), damage=damage)


def _damage_row(place: Mapping[str, Any]) -> dict[str, Any]:
    value, detail = float(place["offset"]), place["reason"]
    return {"id": "", "url": place["archive"], "dropped_by": "damage", "value": value, "detail": detail}


def _size_of(path: str) -> int:
    return 0 if os.path.isdir(path) else os.path.getsize(path)


MOST_PLACES = 1000
"""Damaged places per task that are listed one by one."""


def _shortened(damage: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first `MOST_PLACES` places, and the others summed into one entry."""
    rest = damage[MOST_PLACES:]
    if not rest:
        return damage
    reason = f"{len(rest):,} further places"
    return [*damage[:MOST_PLACES], {**rest[0], "bytes": sum(place["bytes"] for place in rest), "reason": reason}]


@dataclass(frozen=True)
class _Token:
    """Where reading resumes: the offset of the last record's frame, that frame's first record, and the next record to read."""

    offset: int = 0
    first: int = 0
    next: int = 0
    warcinfo: str = ""


Span = tuple[int, int | None]


def extracted(
    stage: Extract, archive: str, path: str, again: Again, begin: Begin, span: Span = (0, None)
) -> Iterator[tuple[_Token, Made]]:
    """Results of an archive, or of a range of it, one batch of records at a time (for `pipeline.engines.isolation`)."""
    token = again.token or _Token(span[0])
    batch = _Batch(stage, archive, again, begin, token.warcinfo)
    offset, first, number, seams = token.offset, token.first, token.first - 1, Seams()
    opened = _opened(path, archive, stage.max_page_bytes + HEAD_BYTES, (token.offset, span[1]), seams, again.token is not None)
    for number, found in enumerate(opened, token.first):
        if isinstance(found, Record) and found.offset != offset:
            offset, first = found.offset, number
        if number < token.next:
            continue
        batch.add(number, found, at_once=not stage.early)
        if number == again.stop:
            break
        if batch.bytes >= 8 * BATCH_BYTES:
            yield _Token(offset, first, number + 1, batch.warcinfo), batch.made(seams)
            batch = _Batch(stage, archive, again, begin, batch.warcinfo)
    if again.stop is not None:
        reason = f"reading on took longer than {BETWEEN * stage.max_page_seconds:g} seconds: {TIME_LIMIT}"
        batch.add(number + 1, Damage(offset, reason, max(0, (span[1] or _size_of(path)) - offset)))
        seams.stop = seams.stop if seams.stop >= 0 else span[1] or _size_of(path)
    yield _Token(offset, first, number + 2, batch.warcinfo), batch.made(seams)


def _opened(path: str, archive: str, most: int, span: Span, seams: Seams, exact: bool) -> Iterator[Record | Damage]:
    """The records of an archive, a range of it, or a folder of HTML files; ``exact``: a record begins at the range's start."""
    try:
        if os.path.isdir(path) or archive.lower().endswith(HTML_ENDINGS):
            yield from _files(Path(path), archive)
            return
        with open(path, "rb") as stream:
            if archive.lower().endswith(".wacz"):
                yield from wacz_records(stream, most)
            else:
                yield from records(stream, os.path.getsize(path), most, *span, seams, exact and span[0] > 0)
    except FileNotFoundError as error:
        raise DataError(f"{archive}: no such archive") from error
    except (PermissionError, IsADirectoryError) as error:
        raise DataError(f"{archive} cannot be read: {error}") from error


def _files(path: Path, archive: str) -> Iterator[Record]:
    """HTML files as records: one file, or those of a folder (not its subfolders), sorted by name. A file's URL is its name."""
    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.name.lower().endswith(HTML_ENDINGS))
    for file in files:
        data = file.read_bytes()
        name = file.name if path.is_dir() else os.path.basename(archive)
        url = f"file:///{name.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')}"
        yield Record("file", 0, len(data), arc_id("", url, data), url, "", data, len(data))


@dataclass
class _Page:
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


def text_of(stage: Extract, record: Record) -> tuple[str, str]:
    """A record's text and "", or "" and the reason why it is dropped."""
    batch = _Batch(stage, "", Again(), lambda item: None)
    batch.add(0, record)
    batch.tables()
    return batch.pages[0].text.decode() if not batch.pages[0].reason else "", batch.pages[0].reason


class _Batch:
    """Pages that are collected and then processed together: the early rules measure many at once."""

    def __init__(self, stage: Extract, archive: str, again: Again, begin: Begin, warcinfo: str = "") -> None:
        self.stage, self.archive, self.warcinfo, self.again, self.begin = stage, archive, warcinfo, again, begin
        self.skip = again.skip
        self.records, self.reached = 0, 0
        self.pages: list[_Page] = []
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
            if found.kind == "warcinfo" and self.stage.keep_headers:
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
        damage = [{"archive": self.archive, **asdict(place)} for place in self.damages]
        return Made(kept, dropped, report, damage, self.records, self.reached, replace(seams))

    def _skipped(self, number: int, record: Record) -> _Page:
        """A page on which an earlier process hung or died: its bytes are not touched again."""
        page = _Page(number, record, None, {}, record.block)
        page.drop(self.skip[number])
        record.block = b""
        return page

    def _page(self, number: int, record: Record) -> _Page:
        stage, most = self.stage, self.stage.max_page_bytes
        block, record.block = record.block, b""
        if not record.id:
            record.id = arc_id(record.date, record.url, block)
        if record.kind != "response":
            page = _Page(number, record, None, _conversion_headers(record), block)
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
            page = _Page(number, record, None, {}, b"")
            page.drop("too_large", float(record.size), str(error) or None)
            return page
        page = _Page(number, record, found.status, found.headers, found.body)
        if page.status is not None and not stage.min_status <= page.status <= stage.max_status:
            page.drop("http_status", float(page.status))
        elif stage.html_only and not is_page(page.headers, page.body):
            page.drop("not_html", None, page.headers.get("content-type"))
        return page

    def tables(self) -> tuple[pa.Table, pa.Table, Report]:
        """The pages' documents, dropped rows and report."""
        if steps := [s for s in self.stage.rules.plan if _on_url(s)]:
            self._judge(steps, Texts.of([""] * len(self._left())))
        looks = [s for s in self.stage.rules.plan if not _on_url(s)]
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

    def _left(self) -> list[_Page]:
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

    def _judge_some(self, steps: Sequence[Step], texts: Texts, pages: Sequence[_Page]) -> None:
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

    def _decode(self, page: _Page) -> None:
        body, page.body = page.body, b""
        if page.plain:
            page.utf8 = in_utf8(body, page.headers)
            page.text = bytes(page.utf8)
            page.language = page.record.headers.get("WARC-Identified-Content-Language")
            if not page.text and not self.stage.keep_empty:
                page.drop("no_text")
            return
        try:
            page.utf8 = in_utf8(body, page.headers, self.stage.charset)
        except Undecodable as error:
            page.drop("undecodable", None, str(error))
            return
        if self.stage.optouts:
            page.optouts = of_page(page.headers, page.utf8, page.record.url, page.record.date)
        page.html = page.utf8 if isinstance(self.stage.extract, OF_UTF8) else str(page.utf8, "utf-8")

    def _extract(self, page: _Page) -> None:
        """Set the page's text, title and language, and release its HTML."""
        page.done = True
        if page.html is None and not page.text:
            self._decode(page)
        if page.html is not None:
            self._extract_html(page, page.html)
            if not page.reason:
                page.title, page.language = title_and_language(page.utf8)
        page.html, page.utf8 = None, b""

    def _extract_html(self, page: _Page, html: str | bytes | memoryview) -> None:
        try:
            if isinstance(self.stage.extract, Content):
                page.text, limits = self.stage.extract.utf8(
                    html if not isinstance(html, str) else html.encode("utf-8", "replace")
                )
                for name in limits:
                    self._note(f"limits.{name}")
            else:
                page.text = self.stage.extract(html).encode("utf-8", "replace")
            if self.stage.links and (page.text or self.stage.keep_empty):
                page.links = out_links(html if isinstance(html, str) else bytes(html), page.record.url)
        except ExtractorError:
            raise
        except Exception as error:  # a parser may raise anything: it costs this page only, which records it
            page.drop("extraction_error", None, f"{type(error).__name__}: {error}"[:200])
            return
        if not page.text and not self.stage.keep_empty:
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
        if self.stage.links:
            columns["links"] = [page.links for page in pages]
        if self.stage.keep_headers:
            columns["warc_headers"] = [_json(record.headers) for record in records]
            columns["warcinfo"] = [i for i, page in zip(self.warcinfos, self.pages, strict=True) if not page.reason]
        if self.stage.optouts:
            columns |= columns_of([page.optouts or PageOptOuts() for page in pages])
        return pa.Table.from_pydict(columns, self.stage.schema)

    def _archive_of(self, record: Record) -> str:
        """The path of a record: its archive, or its file in a folder of HTML files."""
        if record.kind != "file" or self.archive.lower().endswith(HTML_ENDINGS):
            return self.archive
        return f"{self.archive}/{record.url.removeprefix('file:///')}".removeprefix("./")

    def _dropped(self) -> pa.Table:
        rows: list[dict[str, Any]] = [
            {"id": "", "url": self.archive, "dropped_by": "damage", "value": float(d.offset), "detail": d.reason}
            for d in self.damages
        ]
        rows += [
            {"id": p.record.id, "url": p.record.url, "dropped_by": p.reason, "value": p.value, "detail": p.detail}
            for p in self.pages
            if p.reason
        ]
        return pa.Table.from_pylist(rows, DROPPED)

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
