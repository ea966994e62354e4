"""Why a page was kept or dropped.

Invariants: nothing is guessed. The shards that a stage wrote are read again, and a rule's value is measured again on the
stage's own input text. A page is found by its id, or by its URL with ``http`` or ``https``, with or without a slash at
the end.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash.pipeline.flow import run_folders
from goldwash.pipeline.inspect.status import stage_in
from goldwash.pipeline.stage import Stage
from goldwash.pipeline.stages import STAGES
from goldwash.pipeline.storage.addresses import located
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.formats.parquet_rows import with_texts
from goldwash.pipeline.storage.locations import filesystem, join, read_json
from goldwash.pipeline.storage.parquet import read_whole
from goldwash.text_output import printable

COPY = re.compile(r"copy of (\d+):(\d+)")
"""How the stages that drop copies name the document that is kept: shard and row."""
SEEN = 20_000
"""How many names are compared to find the nearest one."""
PROPOSED = 3


@dataclass
class Passage:
    """A document in one stage: ``kept`` or the rule that dropped it, with each rule's value beside its bounds."""

    stage: str
    verdict: str
    value: float | None = None
    detail: str | None = None
    rules: list[tuple[str, Any, str, bool]] = field(default_factory=list)


def explained(run: str, page: str) -> list[tuple[dict[str, Any], list[Passage]]]:
    """Each document with this URL or id, and its passage through each stage.

    ``run``: a run's folder or a single stage's. Raises `DataError` where it has no such document, with the nearest names.
    """
    run = located(run)
    folders = stages_of(run)
    asked = names_of(page)
    pages: dict[str, list[Passage]] = {}
    before: dict[str, dict[str, Any]] = {}
    known: dict[str, dict[str, Any]] = {}
    for folder, report in folders:
        stage = STAGES[report["stage"]].of(report["config"])
        kept = {row["id"]: row for row in _rows(folder, report["shards"], asked)}
        for row in _rows(folder, _dropped(report), asked):
            passage = Passage(stage.name, row["dropped_by"], row["value"], readable(folder, row["detail"]))
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
        raise DataError(_not_found(run, page, folders))
    return [(known[id_], passages) for id_, passages in pages.items()]


def stages_of(run: str) -> list[tuple[str, dict[str, Any]]]:
    """The finished stages of a run, or the single stage whose folder it is: folders and reports."""
    if stage_in(run) is None:
        return run_folders(run)
    report = read_json(join(run, "report.json"))
    if report is None:
        raise DataError(f"{run} holds an unfinished stage: finish it by running it again")
    return [(run, dict(report))]


def names_of(page: str) -> list[str]:
    """The ids and URLs that a name may mean: itself; a URL also with the other scheme, with or without the slash at its end.

    >>> names_of("a.example/b")
    ['a.example/b', 'http://a.example/b', 'http://a.example/b/', 'https://a.example/b', 'https://a.example/b/']
    """
    if page.startswith(("urn:", "<urn:")):
        return [page, page.strip("<>")] if page.strip("<>") != page else [page]
    rest = page.partition("://")[2] if page.startswith(("http://", "https://")) else page
    bare = rest.rstrip("/")
    if not re.match(r"[\w-]+(\.[\w-]+)+", bare):
        return [page]
    variants = [f"{scheme}://{bare}{slash}" for scheme in ("http", "https") for slash in ("", "/")]
    return list(dict.fromkeys([page, *variants]))


def readable(folder: str, detail: str | None) -> str | None:
    """The detail of a document that the stage of ``folder`` dropped; a copy's with the id and URL of the one that is kept."""
    found = COPY.fullmatch(detail or "")
    if not found:
        return detail
    fs, path = filesystem(join(folder, "keys", f"keys-{int(found[1]):05d}.parquet"))
    try:
        with fs.open(path, "rb") as opened:
            row = read_whole(opened, ["id", "url"]).slice(int(found[2]), 1).to_pylist()
    except (OSError, pa.ArrowInvalid):
        return detail  # the keys were removed: shard and row are all that is known
    return f"copy of {row[0]['id']} {row[0]['url']}" if row else detail


def _rules(stage: Stage, folder: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Any]:
    """Each rule's value. A single stage's input text is not available: its rules are measured on the text that it wrote."""
    return stage.explain(folder, {**after, **({"text": before["text"]} if before else {})})


def _dropped(report: Mapping[str, Any]) -> list[str]:
    return [file for file in report["others"] if file.startswith("dropped/")]


def _rows(folder: str, files: Any, asked: Sequence[str]) -> Iterator[dict[str, Any]]:
    wanted = pa.array(list(asked), pa.string())
    for file in sorted(files):
        location = join(folder, file)
        fs, path = filesystem(location)
        with fs.open(path, "rb") as opened:
            parquet = pq.ParquetFile(opened)
            names = [name for name in ("id", "url") if name in parquet.schema_arrow.names]
            for group in range(parquet.num_row_groups):
                if not pc.any(_matches(parquet.read_row_group(group, columns=names, use_threads=False), names, wanted)).as_py():
                    continue
                table = parquet.read_row_group(group, use_threads=False)
                table = with_texts(table.filter(_matches(table, names, wanted)), parquet.schema_arrow, location)
                for row in table.to_pylist():
                    yield {"id": "", "url": "", **row}


def _matches(table: pa.Table, names: Sequence[str], wanted: pa.Array) -> Any:
    masks = [pc.is_in(table[name].cast(pa.string()), wanted) for name in names]
    found = masks[0]
    for mask in masks[1:]:
        found = pc.or_(found, mask)
    return found


def _not_found(run: str, page: str, folders: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    near = nearest_names(page, folders)
    told = f"did you mean {', '.join(printable(name, 200) for name in near)}?" if near else "no name in it is similar."
    return (
        f"{printable(page, 200)}: no page of this URL or id in {run}: {told} Ids are WARC-Record-IDs such as urn:uuid:...; "
        "URLs are found with http or https, with or without a slash at the end"
    )


def nearest_names(page: str, folders: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """The names in the first stage nearest to this one, among those of the same host, or among ids. May be empty."""
    host = re.sub(r"^[a-z]+://", "", page).partition("/")[0]
    column = "id" if page.startswith(("urn:", "<urn:")) or "." not in host else "url"
    names: dict[str, None] = {}
    for folder, report in folders[:1]:
        for file in [*sorted(report["shards"]), *sorted(_dropped(report))]:
            fs, path = filesystem(join(folder, file))
            with fs.open(path, "rb") as opened:
                parquet = pq.ParquetFile(opened)
                if column not in parquet.schema_arrow.names:
                    continue
                for batch in parquet.iter_batches(65536, columns=[column], use_threads=False):
                    values = batch.column(0).cast(pa.string())
                    if column == "url":
                        values = values.filter(pc.match_substring(values, host))
                    names |= dict.fromkeys(value for value in values.to_pylist()[: SEEN - len(names)] if value)
            if len(names) >= SEEN:
                break
    return difflib.get_close_matches(page, names, PROPOSED, 0.6)
