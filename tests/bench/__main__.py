"""``make bench``: MB of text a CPU-second and peak memory, ours beside its peer on the same input in the same run.

Each measurement is a process of its own (`measures.MEASURES`), so that its peak memory is its own; what it prepares is not
timed. Rounds go through all measurements in turn, so that a slow spell of the machine falls on everybody; medians are quoted.
Without arguments all of them are done, and `tests.bench.worker`, `scale` and `growth` after them; writes BENCHMARKS.md. With
words: those whose names have one of them, printed.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from tests.bench.measures import MEASURES, MeasureError, corpus, run

ROUNDS = 3
OUT = Path(__file__).parents[2] / "BENCHMARKS.md"


def main() -> None:
    """With a name: that measurement, as JSON. Without: all of them, and the table."""
    if len(sys.argv) > 1 and sys.argv[1] == "one":
        sys.stdout.write(json.dumps(run(sys.argv[2])) + "\n")
        return
    wanted = [name for name in MEASURES if not sys.argv[1:] or any(word in name for word in sys.argv[1:])]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in wanted}
    missing: dict[str, str] = {}
    for number in range(ROUNDS):
        for name in wanted:
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench", "one", name], capture_output=True, text=True, check=False
            )
            if done.returncode:
                missing[name] = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason given"
                continue
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
            sys.stderr.write(f"round {number + 1}: {name}: {rate(results[name][-1]):.1f} MB/s\n")
    text = report(results, missing)
    sys.stdout.write(text)
    if not sys.argv[1:]:
        OUT.write_text(text, "utf-8")
        from tests.bench import growth, scale, worker  # not before: they would weigh on every measurement

        with OUT.open("a", encoding="utf-8") as file:
            file.write(worker.section() + scale.section() + growth.section())


def rate(result: dict[str, float]) -> float:
    """MB a CPU-second."""
    return result["bytes"] / 1e6 / max(result["cpu"], 1e-9)


def report(results: dict[str, list[dict[str, float]]], missing: dict[str, str]) -> str:
    """The tables as Markdown."""
    name, size, documents = corpus()
    lines = [
        "# Benchmarks",
        "",
        f"`make bench` on {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, one process at a "
        f"time. Input: {name} ({documents:,} documents, {size / 1e6:.1f} MB of text); slow peers get a part of it, as the "
        f"column says. Medians of {ROUNDS} rounds, with the lowest and highest; the machine is shared and noisy: compare rows "
        "of a table, not numbers with those of another machine. Memory is the process's peak, imports and input included.",
        "",
    ]
    group, paged = "", False
    for key, rounds in results.items():
        title, _, label = key.partition(": ")
        if title != group:
            group = title
            paged = any(r.get("pages") for name, runs in results.items() if name.startswith(f"{title}: ") for r in runs)
            lines += [
                "",
                f"## {title}",
                "",
                f"| what | MB/CPU-s | low to high |{' pages/CPU-s |' if paged else ''} input MB | peak MB |",
                f"|---|---:|---:|{'---:|' if paged else ''}---:|---:|",
            ]
        if not rounds:
            lines.append(f"| {label} | not measured: {missing.get(key, '')} | | | |{' |' if paged else ''}")
            continue
        rates = sorted(rate(r) for r in rounds)
        pages = f" {statistics.median(r['pages'] / r['cpu'] for r in rounds):,.0f} |" if paged else ""
        memory = statistics.median(r["memory"] for r in rounds) / 1e6
        lines.append(
            f"| {label} | {statistics.median(rates):,.2f} | {rates[0]:,.1f} to {rates[-1]:,.1f} |{pages} "
            f"{rounds[0]['bytes'] / 1e6:.1f} | {memory:,.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        main()
    except MeasureError as error:
        sys.exit(str(error))
