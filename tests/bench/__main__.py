"""``make bench``: MB per CPU-second and peak memory, goldwash beside other tools on the same input in the same run.

Each measurement is a process of its own (`measures.MEASURES`), so that its peak memory is its own; what it prepares is not
timed. Rounds go through all measurements in turn, so that a slow spell of the machine affects all of them; medians are quoted.
Without arguments everything is measured, `whole`, `worker`, `scale`, `growth`, `shuffles` and `chunks` last, and BENCHMARKS.md,
docs/benchmarks.md and docs/benchmarks.json are written. With words, only the measurements whose names contain one of them are
made and printed.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import report
from tests.bench.measures import MEASURES, MeasureError, run

ROUNDS = 3
ROOT = Path(__file__).parents[2]
SUMMARY, DETAILS, KEPT = ROOT / "BENCHMARKS.md", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.json"


def main() -> None:
    """With ``one NAME``: that measurement, as JSON. Otherwise: the tables."""
    if len(sys.argv) > 1 and sys.argv[1] == "one":
        sys.stdout.write(json.dumps(run(sys.argv[2])) + "\n")
        return
    results, missing = measured([name for name in MEASURES if not sys.argv[1:] or any(word in name for word in sys.argv[1:])])
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    before = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    text = report.tables(results, missing, before, date)
    sys.stdout.write(text)
    if sys.argv[1:]:
        return
    from tests.bench import chunks, growth, scale, shuffles, whole, worker  # not before: they would weigh on every measurement

    found, rates = whole.measured(), report.medians(results)
    grown = growth.section()
    last = shuffles.section() + chunks.section()
    DETAILS.write_text(text + whole.section(found) + worker.section() + scale.section() + grown + last, "utf-8")
    SUMMARY.write_text(report.summary(rates, before, date, whole.rows(found), grown), "utf-8")
    KEPT.write_text(json.dumps({"date": date, "rates": {k: round(v, 2) for k, v in rates.items()}}, indent=1) + "\n", "utf-8")


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
