"""The two pages that `make bench` writes: BENCHMARKS.md, one page for users, and docs/benchmarks.md with every table.

Results are kept in docs/benchmarks.json: by row the median rate, so that the next run shows the old figure beside the new one.
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
Medians = Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """A row of the summary: a measurement of goldwash, and those of other tools that do the same work on the same input."""

    work: str
    ours: str
    peers: Mapping[str, str]


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


def rate(result: Mapping[str, float]) -> float:
    """MB per CPU-second."""
    return result["bytes"] / 1e6 / max(result["cpu"], 1e-9)


def medians(results: Rounds) -> dict[str, float]:
    """The median rate of each row that was measured."""
    return {name: statistics.median(map(rate, rounds)) for name, rounds in results.items() if rounds}


def summary(now: Medians, before: Mapping[str, Any], date: str, whole: Sequence[str], growth: str) -> str:
    """BENCHMARKS.md.

    ``before``: the last run, ``{"date", "rates"}``; ``whole``: rows of `tests.bench.whole`; ``growth``: that module's section.
    """
    old: Medians = before.get("rates", {})
    lines = [
        "# Benchmarks",
        "",
        f"Measured on {date} by `make bench` on {machine()}, one process at a time. Rates are MB per CPU-second, medians of "
        "the same run. The machine is shared and noisy: compare figures within a row. [docs/benchmarks.md](docs/benchmarks.md) "
        "has every table, with ranges and memory, and says how each number is made.",
        "",
        "## Beside other tools",
        "",
        f"| work | goldwash | other tools | goldwash is faster by | goldwash on {before.get('date', 'an earlier date')} |",
        "|---|---:|---|---|---:|",
    ]
    for row in COMPARISONS:
        if row.ours not in now:
            continue
        peers = {name: now[key] for name, key in row.peers.items() if key in now}
        rates = ", ".join(f"{name} {_number(value)}" for name, value in peers.items()) or "not measured"
        times = ", ".join(f"{_number(now[row.ours] / value)}x" for value in peers.values())
        held = _number(old[row.ours]) if row.ours in old else ""
        lines.append(f"| {row.work} | {_number(now[row.ours])} | {rates} | {times} | {held} |")
    if whole:
        lines += ["", "## The whole baseline", "", *whole]
    lines += ["", "## One Common Crawl dump", "", *_dump(growth), ""]
    return "\n".join(lines)


def _dump(section: str) -> list[str]:
    """What the model of a dump comes to, from its section."""
    total = re.search(r"^\| in all \|[^|]*\|[^|]*\| ([\d,.]+) \|", section, re.M)
    peaks = re.findall(r'"(\w+)": \{[^}]*"peak_memory_mb": (\d+)', section)
    return [
        f"90,000 archives take {total[1] if total else '?'} CPU-hours, by a model (docs/benchmarks.md).",
        "",
        "Peak memory of one worker on the real pages: " + ", ".join(f"{name} {peak} MB" for name, peak in peaks) + ".",
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def machine() -> str:
    """The machine in words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def tables(results: Rounds, missing: Mapping[str, str], before: Mapping[str, Any], date: str) -> str:
    """The tables of docs/benchmarks.md."""
    name, size, documents = corpus()
    rounds = max(map(len, results.values()), default=0)
    lines = [
        "# Benchmarks in full",
        "",
        f"Written by `make bench` on {date}, on {machine()}. Each row is a process of its own; its preparation (loading, "
        f"compiling) is not timed. Input: {name} ({documents:,} documents, {size / 1e6:.1f} MB of text); slow tools get a part "
        f"of it, as the column says. Rates are medians of {rounds} rounds, with the lowest and the highest. Memory is the peak "
        f'of the process, imports and input included. "before" is the median of {before.get("date", "an earlier date")}, when '
        "the machine may have been more or less busy: compare the change of a row with those of its peers. "
        "[performance.md](performance.md) says where the time goes and what was tried.",
        "",
    ]
    group = ""
    for key, found in results.items():
        title, _, label = key.partition(": ")
        if title != group:
            group = title
            lines += [
                "",
                f"## {title}",
                "",
                "| what | MB/CPU-s | low to high | before | pages/CPU-s | input MB | peak MB |",
                "|---|---:|---:|---:|---:|---:|---:|",
            ]
        lines.append(_row(label, found, before.get("rates", {}).get(key), missing.get(key, "")))
    return "\n".join(lines) + "\n"


def _row(label: str, found: Sequence[Mapping[str, float]], old: float | None, why: str) -> str:
    if not found:
        return f"| {label} | not measured: {why} | | | | | |"
    rates = sorted(map(rate, found))
    pages = statistics.median(r.get("pages", 0) / r["cpu"] for r in found)
    cells = (
        label,
        f"{statistics.median(rates):,.2f}",
        f"{rates[0]:,.1f} to {rates[-1]:,.1f}",
        "" if old is None else f"{old:,.2f}",
        f"{pages:,.0f}" if pages else "",
        f"{found[0]['bytes'] / 1e6:.1f}",
        f"{statistics.median(r['memory'] for r in found) / 1e6:,.0f}",
    )
    return f"| {' | '.join(cells)} |"
