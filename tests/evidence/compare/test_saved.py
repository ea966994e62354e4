"""The multiplier that `compare` measured, as `plan` reads it."""

import json
from pathlib import Path
from typing import Any

import pytest

from goldwash.evidence.compare.saved import measured_multiplier
from goldwash.evidence.errors import EvidenceError

TWO = '{"datasets": [{"name": "a"}, {"name": "b"}], "learners": [{"results": [%s]}]}'


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


def test_a_bound_is_used_and_named(tmp_path: Path) -> None:
    file, said = saved(tmp_path, {"raw": [1.0, 1.0], "top": [2.0, 8.0]}), list[str]()
    found = json.loads(Path(file).read_text())
    found["learners"][0]["results"][3]["multiplier"]["bound"] = "at least"
    Path(file).write_text(json.dumps(found))
    assert measured_multiplier(file, said.append) == pytest.approx(4.0)
    assert len(said) == 1
    assert "knows the multiplier of top only as at least 8: one curve is beyond the end of the other" in said[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is not what"),
        ('{"datasets": [], "learners": [{"results": []}]}', "compares fewer than two datasets"),
        (TWO % '{"dataset": "b"}', "is not what"),
        (TWO % "5", "is not what"),
        (TWO % '{"dataset": "b", "multiplier": 2}', "is not what"),
        (TWO % '{"dataset": "b", "multiplier": {"value": "2"}}', "has no multiplier of b"),
        (TWO % '{"dataset": "a", "multiplier": {"value": 1}}', "has no multiplier of b"),
    ],
)
def test_files_that_compare_did_not_write(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(EvidenceError, match=message):
        measured_multiplier(str(tmp_path / "a.json"))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot be read: No such file"):
        measured_multiplier(str(tmp_path / "none.json"))
    with pytest.raises(EvidenceError, match="has no multiplier of top"):
        measured_multiplier(saved(tmp_path, {"raw": [1.0], "top": [None]}))
