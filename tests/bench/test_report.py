"""The pages of benchmarks are made of docs/benchmarks.json, and keep what is not measured again."""

import json
from typing import Any

from tests.bench import report
from tests.bench.__main__ import DETAILS, KEPT, SUMMARY

NAME = "Language: lid.176.ftz, our kernel"


def kept() -> Any:
    return json.loads(KEPT.read_text("utf-8"))


def result(rate: float) -> dict[str, float]:
    return {"bytes": 1e6 * rate, "cpu": 1.0, "memory": 5e8}


def test_both_pages_are_what_the_file_says() -> None:
    assert SUMMARY.read_text("utf-8") == report.summary(kept())
    assert DETAILS.read_text("utf-8") == report.details(kept())


def test_a_result_replaces_the_last_one_and_shows_it_as_before() -> None:
    held = kept()
    old = held["rows"][NAME]
    report.keep(held, {NAME: [result(30), result(10), result(20)]}, {}, "2027-01-01")
    row = held["rows"][NAME]
    assert (row["rate"], row["low"], row["high"], row["date"]) == (20, 10, 30, "2027-01-01")
    assert row["before"] == {"date": old["date"], "rate": old["rate"]}
    peer = held["rows"]["Language: lid.176.ftz, fastText"]
    assert f" ({peer['date']}) |" in report.summary(held), "its peer was measured on another day"
    others = {name: row for name, row in held["rows"].items() if name != NAME}
    assert others == {name: row for name, row in kept()["rows"].items() if name != NAME}


def test_a_row_that_cannot_be_measured_keeps_its_last_result() -> None:
    held = kept()
    report.keep(held, {NAME: [], "Language: new": []}, {NAME: "no module", "Language: new": "no module"}, "2027-01-01")
    assert held["rows"][NAME] == kept()["rows"][NAME]
    assert "| new | not measured: no module |" in report.details(held)


def test_what_a_dump_costs_is_read_from_its_table() -> None:
    held = kept()
    section = """
## How the stages grow

| pass | documents, millions | TB read | CPU-h | of it | wall h | GB a task | TB | files | TB written |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
| extract.part | 2,970 | 439.6 | 640.1 | 0.0 | 0.27 | 0.5 | 0.0 | 0.0 | 1.71 |
| minhash.components | 591 | 3.1 | 0.6 | 0.0 | 0.63 | 3.4 | 0.0 | 0.1 | 0.00 |
| in all |  |  | 800.9 | 1.0 | 1.3 |  | 97.3 | 2.1 | 8.0 |
"""
    report.keep_dump(held, section, "2027-01-01")
    assert (held["dump"]["cpu_hours"], held["dump"]["extract_cpu_hours"], held["dump"]["largest_task_gb"]) == (
        "800.9",
        "640.1",
        3.4,
    )
    assert "take 800.9 CPU-hours by a model, 640.1 of them" in report.summary(held)
    report.keep_chapter(held, section, "2027-01-01")
    assert held["chapters"]["How the stages grow"]["text"].startswith("| pass |")
