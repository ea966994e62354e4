"""The two pages that `make bench` writes: BENCHMARKS.md, one page for users, and docs/benchmarks.md with every table.

Invariants: both are made of docs/benchmarks.json alone. It has the last result of each row with its date and the result before
it, so a few rows can be measured again without the rest, and each figure says when it was measured.
"""

import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.measures import corpus

Rounds = Mapping[str, Sequence[Mapping[str, float]]]
"""The results of each row, by round."""
Kept = dict[str, Any]
"""docs/benchmarks.json: ``rows`` by name, ``chapters`` by title (Markdown), ``dump``, ``machine`` and ``input``."""


@dataclass(frozen=True)
class Comparison:
    """A row of the summary: a measurement of goldwash, and those of other tools that do the same work on the same input."""

    work: str
    ours: str
    peers: Mapping[str, str]


WHOLE = "The whole baseline"
EXTRACT, SIGN, CLEAN, DECONTAMINATE = "Extract (MB of HTML)", "MinHash", "In a datatrove pipeline", "Decontaminate"
COMPARISONS = (
    Comparison(
        "WARC to text (MB of HTML)",
        f"{EXTRACT}: the stage, blocks, .warc.gz to Parquet",
        {
            "FastWARC + resiliparse, nothing written": f"{EXTRACT}: FastWARC and resiliparse alone, nothing written",
            "datatrove + Trafilatura": f"{EXTRACT}: datatrove, WarcReader and Trafilatura",
        },
    ),
    Comparison(
        "Gopher's rules and language, on datatrove's documents",
        f"{CLEAN}: goldwash.datatrove.Clean, Gopher's rules and language",
        {"datatrove's Gopher filters": f"{CLEAN}: its own GopherRepetitionFilter and GopherQualityFilter"},
    ),
    Comparison(
        "language identification (lid.176)",
        "Language: lid.176.ftz, our kernel",
        {"fastText": "Language: lid.176.ftz, fastText"},
    ),
    Comparison(
        "fastText quality score",
        "Quality: folded classifier (dim 100, 2,000,000 buckets)",
        {"fastText": "Quality: the same by fastText"},
    ),
    Comparison(
        "MinHash signatures, 112 permutations",
        f"{SIGN}: text to signature, 112 permutations of word 5-grams",
        {
            "gaoya": f"{SIGN}: the same by gaoya, its index filled (white-space words)",
            "rensa": f"{SIGN}: the same by rensa, RMinHash (white-space words, cut in Python)",
            "datasketch": f"{SIGN}: the same by datasketch, xxhash (white-space words, cut in Python)",
        },
    ),
    Comparison(
        "13-gram decontamination",
        f"{DECONTAMINATE}: n-grams of 13 words, the same questions (MMLU: 291,242 needles, 19 MB)",
        {"datatrove": f"{DECONTAMINATE}: datatrove NGramsDecontFilter, n-grams of 12 words, the same questions at hand"},
    ),
    Comparison(
        "text to training tokens (BPE)",
        "Tokenise: the whole stage with its ids, Parquet to OpenLM's tars",
        {
            "tokenizers, ids alone": "Tokenise: tokenizers alone (encode_batch_fast), one thread",
            "tiktoken, ids alone": "Tokenise: tiktoken alone (encode_ordinary), the same tokens",
        },
    ),
    Comparison(
        "mixing sources, shuffled through files",
        "Mix: mix, every document once, through files",
        {"pyarrow, two passes of reading and writing": "Mix: reading and writing twice, pyarrow alone (zstd)"},
    ),
)


SUMMARY = """Measured by `make bench` on {machine}, one process at a time. Rates are MB per CPU-second, medians of several
rounds. The machine is shared and noisy: compare figures within a row. [docs/benchmarks.md](docs/benchmarks.md) has every table,
with ranges and memory, and says how each number is made."""

DETAILS = """Written by `make bench` on {machine}. Each row is a process of its own, which collects garbage and keeps memory as
goldwash's commands do; its preparation (loading, compiling) is not timed. Input: {input}; slow tools get a part of it, as the
column says. Rates are medians of several rounds, with the lowest and the highest. Memory is the peak of the process, imports
and input included. "before" is the result before the last one, when the machine may have been more or less busy: compare the
change of a row with those of its peers. [performance.md](performance.md) says where the time goes and what was tried."""


def rate(result: Mapping[str, float]) -> float:
    """MB per CPU-second."""
    return result["bytes"] / 1e6 / max(result["cpu"], 1e-9)


def keep(kept: Kept, results: Rounds, missing: Mapping[str, str], date: str) -> None:
    """Put results into ``kept``. A row that could not be measured keeps its last result; one that never was has its reason."""
    rows = kept["rows"]
    for name, found in results.items():
        if not found:
            rows.setdefault(name, {"missing": missing.get(name, "no reason given")})
            continue
        old, rates = rows.get(name, {}), sorted(map(rate, found))
        pages = statistics.median(r.get("pages", 0) / r["cpu"] for r in found)
        rows[name] = {
            "date": date, "rate": round(statistics.median(rates), 2), "low": round(rates[0], 2), "high": round(rates[-1], 2),
            "pages": round(pages), "mb": round(found[0]["bytes"] / 1e6, 1),
            "peak_mb": round(statistics.median(r["memory"] for r in found) / 1e6),
            "before": {"date": old["date"], "rate": old["rate"]} if "date" in old else None,
        }  # fmt: skip


def keep_chapter(kept: Kept, section: str, date: str) -> None:
    """Put a section of Markdown, which begins with its heading, into ``kept``."""
    title, _, text = section.strip().removeprefix("## ").partition("\n")
    kept["chapters"][title] = {"date": date, "text": text.strip()}


def keep_dump(kept: Kept, section: str, date: str) -> None:
    """Put what `tests.bench.growth` says of a dump into ``kept``."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")]
    hours = {row[0]: row[3] for row in cells if len(row) == 10}
    tasks = [float(row[6]) for row in cells if len(row) == 10 and re.fullmatch(r"\w+\.\w+", row[0])]  # stage.pass
    old = kept.get("dump")
    kept["dump"] = {
        "date": date, "cpu_hours": hours.get("in all", "?"), "extract_cpu_hours": hours.get("extract.part", "?"),
        "largest_task_gb": max(tasks, default=0.0), "before": old and {k: v for k, v in old.items() if k != "before"},
    }  # fmt: skip


def summary(kept: Kept) -> str:
    """BENCHMARKS.md."""
    rows = kept["rows"]
    lines = [
        "# Benchmarks",
        "",
        SUMMARY.format(machine=kept["machine"]),
        "",
        "## Beside other tools",
        "",
        "| work | goldwash | other tools | goldwash is faster by | measured | goldwash before |",
        "|---|---:|---|---|---|---|",
    ]
    for row in COMPARISONS:
        ours = rows.get(row.ours, {})
        if "rate" not in ours:
            continue
        peers = {name: rows[key] for name, key in row.peers.items() if "rate" in rows.get(key, {})}
        rates = ", ".join(f"{name} {_number(each['rate'])}{_unless(each, ours)}" for name, each in peers.items())
        times = ", ".join(f"{_number(ours['rate'] / each['rate'])}x" for each in peers.values())
        cells = row.work, _number(ours["rate"]), rates or "not measured", times, ours["date"], _before(ours, _number)
        lines.append(f"| {' | '.join(cells)} |")
    if WHOLE in kept["chapters"]:
        lines += ["", *_chapter(kept, WHOLE)]
    lines += ["", "## One Common Crawl dump", "", *_dump(kept["dump"]), ""]
    return "\n".join(lines)


def _unless(peer: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The date of a result that is not of the same day."""
    return "" if peer["date"] == ours["date"] else f" ({peer['date']})"


def _before(row: Mapping[str, Any], number: Any) -> str:
    old = row.get("before")
    return f"{number(old['rate'])} ({old['date']})" if old else ""


def _chapter(kept: Kept, title: str) -> list[str]:
    chapter = kept["chapters"][title]
    return [f"## {title}", "", f"Measured on {chapter['date']}. {chapter['text']}"]


def _dump(dump: Mapping[str, Any]) -> list[str]:
    """The cost of a dump, and the cost before."""
    old = dump.get("before")
    return [
        f"90,000 archives take {dump['cpu_hours']} CPU-hours by a model, {dump['extract_cpu_hours']} of them for extraction. "
        f"The largest task needs {dump['largest_task_gb']} GB. Of {dump['date']}."
        + (f" Before, {old['date']}: {old['cpu_hours']} CPU-hours, {old['largest_task_gb']} GB." if old else ""),
        *([dump["note"]] if "note" in dump else []),
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def describe(kept: Kept) -> None:
    """Put the machine and the input of this run into ``kept``."""
    name, size, documents = corpus()
    kept["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    kept["input"] = f"{name} ({documents:,} documents, {size / 1e6:.1f} MB of text)"


def details(kept: Kept) -> str:
    """docs/benchmarks.md."""
    lines = ["# Benchmarks in full", "", DETAILS.format(machine=kept["machine"], input=kept["input"])]
    group = ""
    for key, row in kept["rows"].items():
        title, _, label = key.partition(": ")
        if title != group:
            group = title
            lines += [
                "",
                f"## {title}",
                "",
                "| what | MB/CPU-s | low to high | pages/CPU-s | input MB | peak MB | measured | before |",
                "|---|---:|---:|---:|---:|---:|---|---|",
            ]
        lines.append(_row(label, row))
    for title in kept["chapters"]:
        lines += ["", *_chapter(kept, title)]
    return "\n".join(lines) + "\n"


def rows_of(kept: Kept, names: Sequence[str]) -> str:
    """Some rows as a table, without their titles."""
    return "\n".join(_row(name, kept["rows"][name]) for name in names) + "\n"


def _row(label: str, row: Mapping[str, Any]) -> str:
    if "rate" not in row:
        return f"| {label} | not measured: {row['missing']} | | | | | | |"
    cells = (
        label,
        f"{row['rate']:,.2f}",
        f"{row['low']:,.1f} to {row['high']:,.1f}",
        f"{row['pages']:,}" if row["pages"] else "",
        f"{row['mb']:.1f}",
        f"{row['peak_mb']:,}" if row["peak_mb"] else "",
        row["date"],
        _before(row, "{:,.2f}".format),
    )
    return f"| {' | '.join(cells)} |"
