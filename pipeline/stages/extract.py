"""extract: archives to documents.

Invariants:

- Every response record is kept as a document or dropped with a reason. A WET's conversion records become documents unchanged;
  other records are counted by kind.
- Damage is counted, and listed among the dropped with its file and offset.
- One task per archive, or per range of a large one; one shard per task.
- The stage opens archives and resumes reading after a page that hangs. `pipeline.pages` decides about the pages.

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

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from goldwash.pipeline.engines.isolation import BETWEEN, TIME_LIMIT, Again, Begin, isolated
from goldwash.pipeline.html.decoding import in_utf8, title_and_language
from goldwash.pipeline.html.extractors import ExtractorError, extractor_of, version_of
from goldwash.pipeline.html.main_content import A_PAGE
from goldwash.pipeline.html.visible_text import visible
from goldwash.pipeline.optouts.pages import COLUMNS
from goldwash.pipeline.pages import LOOK_BYTES, Batch, Made, PageSettings, damage_row
from goldwash.pipeline.parameters import RecipeError
from goldwash.pipeline.report import Report
from goldwash.pipeline.stage import Cost, Load, Run, Stage, Tasks, finish, markers_of, stage_of
from goldwash.pipeline.stages.heuristics import Heuristics
from goldwash.pipeline.storage.batches import BATCH_BYTES
from goldwash.pipeline.storage.crawls import archive_location
from goldwash.pipeline.storage.downloads import local_copy
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.indexes import Places, fetched_part, is_index
from goldwash.pipeline.storage.inputs import ARCHIVE_ENDINGS, HTML_ENDINGS
from goldwash.pipeline.storage.locations import is_local, utf8_name
from goldwash.pipeline.storage.source import Input
from goldwash.pipeline.storage.states import heartbeat
from goldwash.pipeline.storage.tables import DOCUMENT, DROPPED, with_fields
from goldwash.pipeline.storage.tasks import Task, TaskOutput
from goldwash.pipeline.warc.http import HEAD_BYTES
from goldwash.pipeline.warc.records import Damage, Record, Seams, arc_id, records
from goldwash.pipeline.warc.wacz import wacz_records

RATES = {
    "blocks": 253.0,
    "resiliparse": 65.0,
    "resiliparse_all": 120.0,
    "turbohtml": 110.0,
    "turbohtml_all": 130.0,
    "trafilatura": 8.0,
}
"""MB of HTML per CPU-second, by extractor."""
OPTIONS = ("form", "addresses", "formulas", "comments", "captions", "fallback")
"""Parameters that are options of the extractor ``blocks`` (`pipeline.html.main_content.Content`)."""


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

    @cached_property
    def page_settings(self) -> PageSettings:
        """The parameters that decide what becomes of a page."""
        return PageSettings(
            extractor=self.extract,
            early=self.rules.plan,
            schema=self.schema,
            charset=self.charset,
            html_only=self.html_only,
            min_status=self.min_status,
            max_status=self.max_status,
            keep_empty=self.keep_empty,
            max_page_bytes=self.max_page_bytes,
            links=self.links,
            keep_headers=self.keep_headers,
            optouts=self.optouts,
        )

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
            output.write("dropped", pa.Table.from_pylist(list(map(damage_row, places.missing)), DROPPED))
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
    damaged = pa.Table.from_pylist(list(map(damage_row, damage)), DROPPED)
    return replace(made, kept=places.located(made.kept), dropped=pa.concat_tables([damaged, others]), damage=damage)


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
    batch = Batch(stage.page_settings, archive, again, begin, token.warcinfo)
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
            batch = Batch(stage.page_settings, archive, again, begin, batch.warcinfo)
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
        url = f"file:///{utf8_name(file.name if path.is_dir() else os.path.basename(archive))}"
        yield Record("file", 0, len(data), arc_id("", url, data), url, "", data, len(data))


def text_of(stage: Extract, record: Record) -> tuple[str, str]:
    """A record's text and "", or "" and the reason why it is dropped."""
    batch = Batch(stage.page_settings, "", Again(), lambda item: None)
    batch.add(0, record)
    batch.tables()
    return batch.pages[0].text.decode() if not batch.pages[0].reason else "", batch.pages[0].reason
