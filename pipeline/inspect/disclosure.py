"""What a publisher of a dataset must say: which domains, when crawled, which languages, and how it was processed.

Invariants: everything is read from the run: its dataset's shards, reports and resolved recipe. Domains are registered domains,
by bytes of text. Everything from data is escaped in Markdown. The same run gives the same bytes.

The European Commission's template for the public summary of training content (C(2025) 8311) asks for the domains that were
crawled; the other parts are what data cards have.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from goldwash import __version__
from goldwash.filters.domains import registered_domain
from goldwash.filters.signals import EDITS, SIGNALS
from goldwash.pipeline.by_source import crawl_of, host_of
from goldwash.pipeline.flow import held_run, resumed, run_folders
from goldwash.pipeline.optouts.pages import FLAGS
from goldwash.pipeline.storage.atomic import write_json, write_text
from goldwash.pipeline.storage.failures import DataError
from goldwash.pipeline.storage.inputs import shard_report
from goldwash.pipeline.storage.locations import filesystem, join
from goldwash.text_output import markdown

SHOWN = 200
"""Domains that the Markdown page shows; the JSON file has the whole top tenth, the CSV file all."""
ROBOTS, MASK = "robots_disallowed_count", "mask_personal_data"


def disclosure(run: str) -> tuple[dict[str, Any], list[tuple[str, int, int]]]:
    """The facts about a finished run, and every domain with its documents and bytes, the largest first.

    Raises `DataError` where the run has no dataset.
    """
    held, dataset = held_run(run), join(run, "dataset")
    report = shard_report(dataset)
    if report is None:
        raise DataError(f"{run} has no dataset yet: let the run finish")
    counted = _Counted()
    for name in sorted(report["shards"]):
        counted.take(join(dataset, name))
    domains = sorted(((d, n, b) for d, (n, b) in counted.domains.items()), key=lambda row: (-row[2], row[0]))
    recipe = resumed(run).recipe
    stages = [{"stage": stage.name, **stage.config()} for stage in recipe.stages]
    reports = [found for _, found in run_folders(run)]
    facts = {
        "goldwash": __version__,
        "recipe": recipe.name,
        "description": recipe.description,
        "input": [str(name) for name in held.get("input", ())],
        "documents": counted.documents,
        "bytes": counted.bytes,
        "domains": len(domains),
        "top_tenth": [{"domain": d, "documents": n, "bytes": b} for d, n, b in domains[: -(-len(domains) // 10)]],
        "dates": {"first": counted.first, "last": counted.last, "by_month": dict(sorted(counted.months.items()))},
        "crawls": dict(sorted(counted.crawls.items())),
        "languages": {name: {"documents": n, "bytes": b} for name, (n, b) in sorted(counted.languages.items())},
        "licences": dict(sorted(counted.licences.items())),
        "funnel": report.get("funnel", []),
        "opt_outs": _opt_outs(stages, reports),
        "personal_data": _personal_data(stages, reports),
        "decontamination": _decontamination(stages, report),
        "filters": [rule for stage in stages for rule in _rules(stage)],
    }
    return facts, domains


class _Counted:
    """Documents and bytes of a dataset, by domain, language, month and crawl."""

    def __init__(self) -> None:
        self.documents, self.bytes, self.first, self.last = 0, 0, "", ""
        self.domains: dict[str, tuple[int, int]] = {}
        self.languages: dict[str, tuple[int, int]] = {}
        self.months: Counter[str] = Counter()
        self.crawls: Counter[str] = Counter()
        self.licences: Counter[str] = Counter()

    def take(self, location: str) -> None:
        """Add a shard, a row group at a time."""
        fs, path = filesystem(location)
        with fs.open(path, "rb") as file:
            shard = pq.ParquetFile(file)
            wanted = [n for n in ("url", "text", "date", "archive", "language", "licence") if n in shard.schema_arrow.names]
            for group in range(shard.num_row_groups):
                self._take(shard.read_row_group(group, columns=wanted, use_threads=False))

    def _take(self, table: pa.Table) -> None:
        sizes = [size or 0 for size in pc.binary_length(table["text"]).to_pylist()]
        self.documents, self.bytes = self.documents + len(sizes), self.bytes + sum(sizes)
        for counts, column, name_of in (
            (self.domains, "url", lambda url: registered_domain(host_of(url)) if host_of(url) else "(none)"),
            (self.languages, "language", str),
        ):
            for value, size in zip(table[column].to_pylist() if column in table.column_names else (), sizes, strict=False):
                name = name_of(value or "")
                documents, bytes_ = counts.get(name, (0, 0))
                counts[name] = documents + 1, bytes_ + size
        dates = [date for date in _column(table, "date") if date]
        self.months.update(date[:7] for date in dates)
        self.first = min([*dates, *([self.first] if self.first else [])], default="")
        self.last = max([*dates, self.last], default="")
        self.crawls.update(filter(None, map(crawl_of, _column(table, "archive"))))
        self.licences.update(filter(None, _column(table, "licence")))


def _column(table: pa.Table, name: str) -> list[Any]:
    return list(table[name].to_pylist()) if name in table.column_names else []


def _steps(stage: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*(stage.get("early") or ()), *(stage.get("steps") or ())]


def _rules(stage: Mapping[str, Any]) -> list[dict[str, str]]:
    """A stage's rules: its steps, or its own parameters; each with what goldwash's documentation gives as its source."""
    steps = _steps(stage)
    if not steps:
        shown = ", ".join(f"{key}={value}" for key, value in sorted(stage.items()) if key not in ("stage", "use"))
        return [{"stage": str(stage["stage"]), "rule": shown, "about": ""}]
    rules = []
    for step in steps:
        verb, name = next(iter(step.items()))
        declared = SIGNALS.get(str(name)) or EDITS.get(str(name))
        shown = ", ".join(f"{key}={value}" for key, value in step.items() if key != verb)
        rule = f"{verb} {name}" + (f": {shown}" if shown else "")
        rules.append({"stage": str(stage["stage"]), "rule": rule, "about": declared.summary if declared else ""})
    return rules


def _opt_outs(stages: Sequence[Mapping[str, Any]], reports: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The opt-outs that the recipe honours, with the documents and bytes that each dropped."""
    found = []
    for stage, report in zip(stages, reports, strict=False):
        for step in _steps(stage):
            name = step.get("name") if step.get("keep") == "column" else step.get("keep")
            if name in FLAGS or name == ROBOTS:
                some = f".{'+'.join(map(str, step['for']))}" if "for" in step else ""
                rule = str(step.get("as") or f"{name}{some}")
                dropped = report["report"]["dropped"].get(rule, {"documents": 0, "bytes": 0})
                found.append({"stage": stage["stage"], "rule": str(name), **dropped})
    return found


def _personal_data(stages: Sequence[Mapping[str, Any]], reports: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The edits that mask personal data, with what they replaced."""
    found = []
    for stage, report in zip(stages, reports, strict=False):
        for step in _steps(stage):
            if step.get("edit") == MASK:
                rule = str(step.get("as") or MASK)
                notes = report["report"]["notes"]
                replaced = {n.removeprefix(f"{rule}."): c for n, c in notes.items() if n.startswith(f"{rule}.")}
                found.append({"stage": stage["stage"], "parameters": dict(step), "replaced": replaced})
    return found


def _decontamination(stages: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> dict[str, Any]:
    parameters = next((dict(stage) for stage in stages if stage["stage"] == "decontaminate"), None)
    return {} if parameters is None else {"parameters": parameters, **(report.get("decontamination") or {})}


def write_disclosure(run: str, out: str) -> dict[str, Any]:
    """Write ``disclosure.json``, ``disclosure.md`` and ``domains.csv``; returns the facts."""
    facts, domains = disclosure(run)
    write_json(join(out, "disclosure.json"), facts)
    write_text(join(out, "disclosure.md"), page(facts))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerows([("domain", "documents", "bytes"), *domains])
    write_text(join(out, "domains.csv"), table.getvalue())
    return facts


def page(facts: Mapping[str, Any]) -> str:
    """The facts as Markdown."""
    top = facts["top_tenth"]
    lines = [
        f"# About this dataset ({markdown(facts['recipe'])})", "", markdown(facts["description"]), "",
        f"- {facts['documents']:,} documents, {facts['bytes']:,} bytes of text, from {facts['domains']:,} registered domains",
        f"- crawled from {markdown(facts['dates']['first']) or 'unknown'} to {markdown(facts['dates']['last']) or 'unknown'}",
        f"- input: {', '.join(map(markdown, facts['input']))}",
        f"- made by goldwash {facts['goldwash']}", "",
        "## Languages", "", *_table(("language", "documents", "bytes"), _pairs(facts["languages"])), "",
        "## Crawls", "", *_table(("crawl", "documents"), list(facts["crawls"].items())), "",
        "## Documents through the stages", "",
        *_table(("stage", "read", "kept"), [
            (f["stage"], f["read"]["documents"], f["kept"]["documents"]) for f in facts["funnel"]
        ]),
        "", "## Opt-outs honoured", "",
        *(_table(("stage", "rule", "documents dropped", "bytes"), [tuple(row.values()) for row in facts["opt_outs"]])
          if facts["opt_outs"] else ["None: the recipe has no rule for them."]),
        "", "## Personal data", "",
        *(_table(("stage", "replaced"), [(row["stage"], ", ".join(f"{n} {k}" for k, n in row["replaced"].items()) or "nothing")
                                         for row in facts["personal_data"]])
          if facts["personal_data"] else ["Not masked."]),
        "", "## Benchmarks removed", "", _decontaminated(facts["decontamination"]), "",
        "## Rules", "",
        *_table(("stage", "rule", "what it measures, and its source"), [tuple(rule.values()) for rule in facts["filters"]]),
        "", f"## The top tenth of domains by bytes ({len(top):,})", "",
        *_table(("domain", "documents", "bytes"), [tuple(row.values()) for row in top[:SHOWN]]),
    ]  # fmt: skip
    if len(top) > SHOWN:
        lines += ["", f"{len(top) - SHOWN:,} more in `disclosure.json`; all domains in `domains.csv`."]
    return "\n".join(lines) + "\n"


def _pairs(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, int, int]]:
    rows = [(name, c["documents"], c["bytes"]) for name, c in counts.items()]
    return sorted(rows, key=lambda row: -row[2])


def _decontaminated(facts: Mapping[str, Any]) -> str:
    if not facts:
        return "The recipe has no such stage."
    parameters = facts["parameters"]
    return f"{markdown(str(parameters.get('benchmarks')))}, rule {markdown(str(parameters.get('rule')))}."


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    if not rows:
        return ["Nothing recorded."]
    cells = [[f"{cell:,}" if isinstance(cell, int) else markdown(str(cell)) for cell in row] for row in rows]
    return [" | ".join(["", *head, ""]).strip(), "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in cells)]
