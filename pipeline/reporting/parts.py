"""The shards that a report reads: evenly spaced parts of a run, followed through all of its stages.

Invariants: a stage writes one part per input part, so part 7 of each stage holds the documents of part 7 of the first one;
counts of the chosen parts add up as the run's do. At most `MOST_DOCUMENTS` documents and `MOST_PARTS` parts are chosen, or
the first part alone where it has more. A shard that is missing or broken is listed in `Parts.unreadable`; it stops nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.errors import GoldwashError
from goldwash.pipeline.reporting.facts import Run, Stage
from goldwash.pipeline.storage.formats.parquet_rows import row_group
from goldwash.pipeline.storage.locations import filesystem, join

MOST_DOCUMENTS = 400_000
"""Documents of the first stage that are looked at one by one (their ids, URLs and fates)."""

MOST_PARTS = 64
"""Parts that are read."""

EXCERPT = 1_500
"""Characters of a text that are kept for an excerpt."""

PART = re.compile(r"(?:.*/)?[a-z]+-(\d+)\.parquet")

FATES = pa.schema([("id", pa.string()), ("url", pa.string()), ("stage", pa.string()), ("rule", pa.string()),
                   ("value", pa.float64()), ("detail", pa.string())])  # fmt: skip
"""A document's fate: the stage and rule that dropped it, with value and detail; stage ``""`` and rule `KEPT` if it is kept."""

KEPT = "kept"

UNKNOWN_ROWS = 1
"""Rows of a shard whose report, of an older version, does not say."""


@dataclass
class Parts:
    """The parts that a report reads. ``documents``: those of the first stage in these parts, and in all parts."""

    numbers: tuple[int, ...]
    documents: int
    all_documents: int
    unreadable: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether these are all parts of the run."""
        return self.documents >= self.all_documents


def number_of(file: str) -> int | None:
    """The number of a part; None for other files.

    >>> number_of("dropped/part-00012.parquet"), number_of("report.json")
    (12, None)
    """
    found = PART.fullmatch(file)
    return int(found[1]) if found else None


def files_of(stage: Stage, dropped: bool = False, folder: str = "") -> dict[int, tuple[str, int]]:
    """The files of a stage by part number, with their rows: of kept documents, of dropped ones, or of a further folder."""
    table = stage.held.get("others" if dropped or folder else "shards") or {}
    start = "dropped/" if dropped else f"{folder}/" if folder else ""
    found = {}
    for file, facts in table.items() if isinstance(table, Mapping) else ((str(name), None) for name in table):
        number = number_of(file)
        if number is not None and file.startswith(start) and (start or "/" not in file):
            rows = facts.get("rows") if isinstance(facts, Mapping) else None
            found[number] = (join(stage.folder, file), UNKNOWN_ROWS if rows is None else int(rows))
    return dict(sorted(found.items()))


def chosen(run: Run) -> Parts:
    """The parts of a run that are read; none of a run without a finished stage."""
    if not run.finished:
        return Parts((), 0, 0)
    kept, dropped = files_of(run.finished[0]), files_of(run.finished[0], dropped=True)
    rows = {n: kept.get(n, ("", 0))[1] + dropped.get(n, ("", 0))[1] for n in sorted({*kept, *dropped})}
    total, numbers = sum(rows.values()), list(rows)
    most = min(MOST_PARTS, len(numbers))
    while most > 1 and sum(rows[n] for n in spaced(numbers, most)) > MOST_DOCUMENTS:
        most -= 1
    picked = spaced(numbers, most)
    return Parts(tuple(picked), sum(rows[n] for n in picked), total)


def spaced(values: Sequence[int], most: int) -> list[int]:
    """At most ``most`` values, evenly spaced, the first among them.

    >>> spaced([0, 1, 2, 3, 4, 5], 3)
    [0, 2, 4]
    """
    if len(values) <= most:
        return list(values)
    return [values[k * len(values) // most] for k in range(most)]


def fates(run: Run, parts: Parts) -> pa.Table:
    """The fate of each document of the chosen parts (`FATES`), and its ``language`` where a stage has labelled it."""
    tables = [_empty()]
    for stage in run.finished:
        for number, (file, rows) in files_of(stage, dropped=True).items():
            if number in parts.numbers and rows:
                table = read_columns(parts, file, ("id", "url", "dropped_by", "value", "detail"))
                if table is not None and "dropped_by" in table.column_names:
                    tables.append(_fate(table, stage.key))
    if run.finished:
        for number, (file, rows) in files_of(run.finished[-1]).items():
            if number in parts.numbers and rows:
                table = read_columns(parts, file, ("id", "url", "language"))
                if table is not None:
                    tables.append(_fate(table, ""))
    return pa.concat_tables(tables).combine_chunks()


def _empty() -> pa.Table:
    return pa.table({f.name: pa.array([], f.type) for f in FATES} | {"language": pa.array([], pa.string())})


def _fate(table: pa.Table, stage: str) -> pa.Table:
    rows, names = table.num_rows, table.column_names

    def column(name: str, kind: pa.DataType) -> Any:
        return table[name].cast(kind) if name in names else pa.nulls(rows, kind)

    rule = column("dropped_by", pa.string()) if stage else pa.array([KEPT] * rows, pa.string())
    columns = {"id": pc.fill_null(column("id", pa.string()), ""), "url": pc.fill_null(column("url", pa.string()), "")}
    columns |= {"stage": pa.array([stage] * rows, pa.string()), "rule": pc.fill_null(rule, "")}
    columns |= {"value": column("value", pa.float64()), "detail": column("detail", pa.string())}
    return pa.table({**columns, "language": column("language", pa.string())})


def read_columns(parts: Parts, location: str, names: Sequence[str] | None) -> pa.Table | None:
    """Columns of a shard, those of ``names`` that it has (None: all); None where it cannot be read, which is then noted."""
    tables = [table for table in groups_of(parts, location, names)]
    return pa.concat_tables(tables) if tables else None


def groups_of(
    parts: Parts, location: str, names: Sequence[str] | None, groups: Iterable[int] | None = None
) -> Iterator[pa.Table]:
    """A shard's row groups, with the columns of ``names`` that it has (None: all); ends early where it cannot be read."""
    try:
        fs, path = filesystem(location)
        with fs.open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups) if groups is None else groups:
                yield row_group(parquet, location, group, names)
    except (OSError, pa.ArrowException, GoldwashError) as error:
        parts.unreadable.append(f"{location}: {error}")


def row_groups(parts: Parts, location: str) -> list[int]:
    """The rows of each row group of a shard; ``[]`` where it cannot be read."""
    try:
        fs, path = filesystem(location)
        with fs.open(path, "rb") as file:
            metadata = pq.ParquetFile(file).metadata
            return [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    except (OSError, pa.ArrowException, GoldwashError) as error:
        parts.unreadable.append(f"{location}: {error}")
        return []


def texts_by_id(parts: Parts, stage: Stage | None, ids: set[str]) -> dict[str, str]:
    """The texts of documents, as a stage left them. Ids that are not in the chosen parts are missing."""
    found: dict[str, str] = {}
    if stage is None or not ids:
        return found
    wanted = pa.array(sorted(ids), pa.string())
    for number, (file, _) in files_of(stage).items():
        if number not in parts.numbers or len(found) == len(ids):
            continue
        for k, table in enumerate(groups_of(parts, file, ("id",))):
            mask = pc.is_in(table["id"].cast(pa.string()), wanted)
            if not pc.any(mask).as_py():
                continue
            for texts in groups_of(parts, file, ("id", "text"), [k]):
                for row in texts.filter(mask).to_pylist():
                    found.setdefault(str(row["id"]), str(row.get("text") or "")[:EXCERPT])
    return found
