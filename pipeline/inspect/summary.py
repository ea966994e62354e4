"""A run in numbers: documents read, dropped by each rule and kept, stage by stage, and the damage found in its inputs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from goldwash.pipeline.flow import Step
from goldwash.pipeline.report import Count, Report
from goldwash.pipeline.storage.formats import format_of
from goldwash.pipeline.storage.inputs import find_shards
from goldwash.pipeline.storage.locations import join, read_json

LEGEND = "- dropped by this rule   ~ edited by this step, with the bytes that it removed"
SHOWN = 10
"""Damaged archives that are named one by one; the report has all of them."""

Kind = Literal["reads", "dropped", "edited", "keeps"]


@dataclass(frozen=True)
class Line:
    """One line of the summary. ``of_stage`` and ``of_all``: shares of the documents that the stage, and the first stage,
    read.
    """

    kind: Kind
    name: str
    count: Count
    of_stage: str
    of_all: str
    time: str = ""


def share(part: int, whole: int) -> str:
    """A percentage for people; ``-`` if the whole is 0."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def size(bytes_: float) -> str:
    """A number of bytes for people, in powers of ten."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(bytes_) >= scale:
            return f"{bytes_ / scale:.1f} {unit}"
    return f"{bytes_:.0f} B"


def duration(seconds: float) -> str:
    """A time for people."""
    for unit, scale in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * scale:
            return f"{seconds / scale:,.0f} {unit}" if seconds >= 20 * scale else f"{seconds / scale:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"


def renamed_columns(steps: Sequence[Step]) -> list[str]:
    """The user's own columns that the stages kept as ``input_NAME``, since they write columns of these names themselves."""
    names = set[str]()
    for step in steps:
        of_users = not step.stage.makes_documents and step.report and step.report.kept.documents
        for shard in find_shards([step.folder])[:1] if of_users else ():
            with format_of(shard.path).opened(shard) as rows:  # not as documents: token shards have no text
                columns = rows.schema.names
            names |= {name for name in columns if f"input_{name}" in columns}
    return sorted(names)


def lines(steps: Sequence[Step]) -> Iterator[Line]:
    """The summary: what each stage reads, each rule's drops (the largest first), each edit, and what the stage keeps."""
    first = next((step.report.read.documents for step in steps if step.report), 0)
    for step in steps:
        report = step.report or Report()
        read = report.read.documents

        def line(kind: Kind, name: str, count: Count, time: str = "", read: int = read) -> Line:
            return Line(kind, name, count, share(count.documents, read), share(count.documents, first), time)

        time = "reused" if step.reused else f"{step.seconds:.1f} s" if step.seconds else ""
        yield line("reads", step.stage.name, report.read, time)
        for rule, count in sorted(report.dropped.items(), key=lambda item: (-item[1].documents, item[0])):
            yield line("dropped", rule, count)
        for rule, count in sorted(report.edited.items()):
            yield line("edited", rule, count)
        yield line("keeps", step.stage.name, report.kept)


def folded(lines: Sequence[Line], most: int) -> list[Line]:
    """At most ``most`` lines, where that is possible: the smallest rules and edits of each stage become one line.

    What a stage reads and keeps always has its line, and so does the rule that drops most.
    """
    shown = list(lines)
    for kept_rules in (12, 8, 5, 3, 2, 1):
        if len(shown) <= most:
            break
        shown = _folded(lines, kept_rules)
    return shown


def _folded(lines: Sequence[Line], most_rules: int) -> list[Line]:
    shown: list[Line] = []
    for kind, group in groupby(lines, key=lambda line: line.kind):
        each = list(group)
        whole = most_rules if kind == "dropped" else 0 if kind == "edited" else len(each)
        if len(each) <= whole + 1:
            shown += each
            continue
        rest = each[whole:]
        count = sum((line.count for line in rest), Count())
        name = f"{len(rest)} {'other rules' if kind == 'dropped' else 'edits'}"
        parts = [sum(_number(getattr(line, key)) for line in rest) for key in ("of_stage", "of_all")]
        shown += [*each[:whole], Line(kind, name, count, *(f"{part:.1f}%" for part in parts))]
    return shown


def _number(percent: str) -> float:
    return float(percent.removesuffix("%")) if percent.endswith("%") else 0.0


def ledger(steps: Sequence[Step], damaged: int) -> str:
    """``read = kept + dropped + damaged`` in documents; a damaged place counts as one. "" where no stage is finished."""
    reports = [step.report for step in steps if step.report is not None]
    if not reports:
        return ""
    dropped = sum(count.documents for report in reports for count in report.dropped.values())
    read, kept = reports[0].read.documents + damaged, reports[-1].kept.documents
    return f"{read:,} read = {kept:,} kept + {dropped:,} dropped + {damaged:,} damaged"


@dataclass(frozen=True)
class Damage:
    """A damaged place of an archive: where it begins, how many bytes were lost, and what was found there."""

    archive: str
    offset: int
    bytes: int
    reason: str


@dataclass(frozen=True)
class Losses:
    """What could not be read of a run's inputs: places (the report lists the first ones), how many there are, and their bytes;
    and inputs that have bytes and no record."""

    listed: tuple[Damage, ...] = ()
    places: int = 0
    bytes: int = 0
    without_records: tuple[str, ...] = ()
    without_documents: tuple[str, ...] = ()
    """Text files that gave no document."""


def losses_of(report: Mapping[str, Any] | None) -> Losses:
    """The losses that a stage's ``report.json`` names; none for a stage that reads no archives."""
    facts = (report or {}).get("facts") or {}
    listed = tuple(
        Damage(str(d.get("archive", "")), int(d.get("offset") or 0), int(d.get("bytes") or 0), str(d.get("reason", "")))
        for d in facts.get("damage") or ()
    )
    places = int(facts.get("damaged_places", len(listed)))
    lost = int(facts.get("damaged_bytes", sum(damage.bytes for damage in listed)))
    return Losses(
        listed,
        places,
        lost,
        tuple(map(str, facts.get("without_records") or ())),
        tuple(map(str, facts.get("without_documents") or ())),
    )


def losses_in(folders: Sequence[str]) -> Losses:
    """The losses of the finished stages in these folders."""
    found = [losses_of(read_json(join(folder, "report.json"))) for folder in folders if folder]
    return Losses(
        tuple(damage for loss in found for damage in loss.listed),
        sum(loss.places for loss in found),
        sum(loss.bytes for loss in found),
        tuple(name for loss in found for name in loss.without_records),
        tuple(name for loss in found for name in loss.without_documents),
    )


def loss_lines(losses: Losses) -> list[str]:
    """The losses in sentences: each archive with its first damaged place and the bytes lost; ``[]`` if there are none."""
    archives: dict[str, list[Damage]] = {}
    for damage in losses.listed:
        archives.setdefault(damage.archive, []).append(damage)
    lines = []
    if losses.places:
        counts = f"{_counted(len(archives), 'archive')}, {_counted(losses.places, 'place')}"
        lines.append(f"damaged input: {counts}, {size(losses.bytes)} lost")
    for archive, places in sorted(archives.items(), key=lambda item: -sum(d.bytes for d in item[1]))[:SHOWN]:
        more = f", and {_counted(len(places) - 1, 'more place')}" if len(places) > 1 else ""
        lost = size(sum(d.bytes for d in places))
        lines.append(f"  {archive}: at byte {places[0].offset:,}, {places[0].reason}{more}; {lost} lost")
    if len(archives) > SHOWN:
        lines.append(f"  and {len(archives) - SHOWN:,} more archives: see facts.damage in the stage's report.json")
    for what, files in (("with bytes and no record", losses.without_records), ("without a document", losses.without_documents)):
        if files:
            more = f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else ""
            lines.append(f"input {what}: {', '.join(files[:SHOWN])}{more}")
    if lines:
        lines.append("  check the download (size, checksum), fetch those files again, and give the same command again")
    return lines


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
