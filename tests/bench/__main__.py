"""``make bench``: MB per CPU-second and peak memory, goldwash beside other tools on the same input in the same run.

Each measurement is a process of its own (`measures.MEASURES`), so that its peak memory is its own; what it prepares is not
timed. Rounds go through all measurements in turn, so that a slow spell of the machine affects all of them; medians are quoted.
Without arguments everything is measured, `CHAPTERS` last, and docs/benchmarks.json and the pages made of it are written. With
words, only the chapters of these names are made and printed, and the measurements whose names contain one of the other words;
``--keep`` writes these to the pages, and leaves all others as they are.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from tests.bench import report
from tests.bench.measures import MEASURES, MeasureError, run

ROUNDS = 3
ROOT = Path(__file__).parents[2]
SUMMARY, DETAILS, KEPT = ROOT / "BENCHMARKS.md", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.json"
CHAPTERS = "whole", "worker", "scale", "growth", "shuffles", "chunks"
"""Modules here, each with a chapter of docs/benchmarks.md of its own."""


def main() -> None:
    """With ``one NAME``: that measurement, as JSON. Otherwise: the tables."""
    if sys.argv[1:2] == ["one"]:
        sys.stdout.write(json.dumps(run(sys.argv[2])) + "\n")
        return
    words = [word for word in sys.argv[1:] if word != "--keep"]
    keep, date = not words or "--keep" in sys.argv, f"{datetime.now(UTC):%Y-%m-%d}"
    kept = json.loads(KEPT.read_text("utf-8"))
    report.describe(kept)
    parts = [word for word in words if word not in CHAPTERS]
    names = [name for name in MEASURES if not words or any(part in name for part in parts)]
    results, missing = measured(names)
    report.keep(kept, results, missing, date)
    sys.stdout.write(report.rows_of(kept, names))
    if keep:
        write(kept)  # before the chapters, which take as long and may fail
    for chapter in CHAPTERS:
        if not words or chapter in words:
            section = import_module(f"tests.bench.{chapter}").section()  # not before: it would weigh on every measurement
            report.keep_chapter(kept, section, date)
            if chapter == "growth":
                report.keep_dump(kept, section, date)
            sys.stdout.write(section)
    if keep:
        write(kept)


def write(kept: report.Kept) -> None:
    """Write docs/benchmarks.json and the two pages."""
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
    SUMMARY.write_text(report.summary(kept), "utf-8")
    DETAILS.write_text(report.details(kept), "utf-8")


def measured(names: list[str]) -> tuple[dict[str, list[dict[str, float]]], dict[str, str]]:
    """Each measurement's results by round, and why those without one are missing."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    missing: dict[str, str] = {}
    for number in range(ROUNDS):
        for name in names:
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench", "one", name], capture_output=True, text=True, check=False
            )
            if done.returncode:
                missing[name] = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason given"
                continue
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
            sys.stderr.write(f"round {number + 1}: {name}: {report.rate(results[name][-1]):.1f} MB/s\n")
    return results, missing


if __name__ == "__main__":
    try:
        main()
    except MeasureError as error:
        sys.exit(str(error))
