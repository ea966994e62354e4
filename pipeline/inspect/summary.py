"""A run in numbers: documents read, dropped by each rule and kept, stage by stage, and the damage found in its inputs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from goldwash.pipeline.flow import Step
from goldwash.pipeline.report import Count, Report
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


@dataclass(frozen=True)
class Damage:
    """A damaged place of an archive: where it begins, how many bytes were lost, and what was found there."""

    archive: str
    offset: int
    bytes: int
    reason: str


def damage_of(report: Mapping[str, Any] | None) -> list[Damage]:
    """The damaged places that a stage's ``report.json`` names; none for a stage that reads no archives."""
    found = ((report or {}).get("facts") or {}).get("damage") or ()
    return [Damage(str(d["archive"]), int(d["offset"]), int(d["bytes"]), str(d["reason"])) for d in found]


def damage_in(folders: Sequence[str]) -> list[Damage]:
    """The damaged places found by the finished stages in these folders."""
    return [damage for folder in folders if folder for damage in damage_of(read_json(join(folder, "report.json")))]


def damage_lines(damages: Sequence[Damage]) -> list[str]:
    """The damage in sentences: each archive with its first damaged place and the bytes lost; ``[]`` if there is none."""
    if not damages:
        return []
    archives: dict[str, list[Damage]] = {}
    for damage in damages:
        archives.setdefault(damage.archive, []).append(damage)
    lost = sum(damage.bytes for damage in damages)
    told = [f"damaged input: {_counted(len(archives), 'archive')}, {_counted(len(damages), 'place')}, {size(lost)} lost"]
    for archive, places in sorted(archives.items(), key=lambda item: -sum(d.bytes for d in item[1]))[:SHOWN]:
        more = f", and {_counted(len(places) - 1, 'more place')}" if len(places) > 1 else ""
        told.append(
            f"  {archive}: at byte {places[0].offset:,}, {places[0].reason}{more}; {size(sum(d.bytes for d in places))} lost"
        )
    if len(archives) > SHOWN:
        told.append(f"  and {len(archives) - SHOWN:,} more archives: see facts.damage in the stage's report.json")
    told.append("  check the download (size, checksum), fetch those archives again, and give the same command again")
    return told


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
