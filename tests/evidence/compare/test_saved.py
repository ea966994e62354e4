"""The multiplier that `compare` measured, as `plan` reads it."""

import json
from pathlib import Path
from typing import Any

import pytest

from goldwash.evidence.compare.saved import measured_multiplier
from goldwash.evidence.errors import EvidenceError


def saved(folder: Path, multipliers: dict[str, list[float | None]]) -> str:
    results: list[dict[str, Any]] = [
        {"dataset": name, "target": f"t{n}", "multiplier": {"value": value}}
        for name, values in multipliers.items()
        for n, value in enumerate(values)
    ]
    told = {"datasets": [{"name": name} for name in multipliers], "learners": [{"results": results}]}
    (folder / "compare.json").write_text(json.dumps(told))
    return str(folder / "compare.json")


def test_the_geometric_mean_over_targets(tmp_path: Path) -> None:
    file = saved(tmp_path, {"raw": [1.0, 1.0], "top": [2.0, 8.0]})
    assert measured_multiplier(file) == measured_multiplier(f"{file}::top") == pytest.approx(4.0)


@pytest.mark.parametrize("name", ["", "::raw", "::none"])
def test_one_of_several_has_to_be_named(name: str, tmp_path: Path) -> None:
    file = saved(tmp_path, {"raw": [1.0], "a": [2.0], "b": [3.0]})
    with pytest.raises(EvidenceError, match=r"compares a, b with raw: name one"):
        measured_multiplier(file + name)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    for place, message in (("a.json", "is not what"), ("none.json", "cannot be read: No such file")):
        with pytest.raises(EvidenceError, match=message):
            measured_multiplier(str(tmp_path / place))
    with pytest.raises(EvidenceError, match="has no multiplier of top"):
        measured_multiplier(saved(tmp_path, {"raw": [1.0], "top": [None]}))
