"""`report.json` is what its schema says, and the schema is exact enough to notice a change."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

SCHEMA: dict[str, Any] = json.loads(files("goldwash.pipeline.reporting").joinpath("report.schema.json").read_text("utf-8"))
DATASET = {**SCHEMA["$defs"]["dataset"], "$defs": SCHEMA["$defs"]}


def test_the_schemas_are_schemas() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator.check_schema(DATASET)


def test_the_reports_of_a_run_are_valid(sample_run: Path) -> None:
    reports = sorted(sample_run.glob("0*/report.json"))
    assert len(reports) == 6
    for report in reports:
        jsonschema.validate(json.loads(report.read_text()), SCHEMA)
    jsonschema.validate(json.loads((sample_run / "dataset" / "_report.json").read_text()), DATASET)


@pytest.mark.parametrize("key", ["report", "shards", "new_key"])
def test_another_report_is_not(sample_run: Path, key: str) -> None:
    held = json.loads(next(iter(sorted(sample_run.glob("0*/report.json")))).read_text())
    held = {**held, key: 1} if key not in held else {k: v for k, v in held.items() if k != key}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(held, SCHEMA)
