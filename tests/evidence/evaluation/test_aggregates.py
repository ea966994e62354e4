"""CORE and EXTENDED re-added from DCLM's files, every format of results, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.evaluation.results import read_results
from goldwash.evidence.evaluation.tasks import aggregate, tasks


@pytest.mark.real
def test_dclms_files_are_added_up_as_dclm_did(real: Path) -> None:
    found = read_results(str(real / "laws" / "dclm-evals.jsonl.gz"))
    assert len(found) == 104
    for result in found:
        made = aggregate(result.accuracies)
        assert made.core is not None
        assert abs(made.core - result.reported["Core"]) < 1e-12
        if made.extended is None:
            assert "Extended" not in result.reported
            assert made.missing_extended
        else:
            assert abs(made.extended - result.reported["Extended"]) < 1e-12


def full(value: float = 0.5) -> dict[str, float]:
    return dict.fromkeys(tasks(), value)


def test_the_tasks_are_dclms() -> None:
    assert len(tasks()) == 53
    assert sum(task.core for task in tasks().values()) == 22
    assert (tasks()["boolq"].baseline, tasks()["commonsense_qa"].baseline, tasks()["copa"].baseline) == pytest.approx(
        (0.62, 0.403, 0.5)
    )


def test_guessing_is_zero_and_perfection_one() -> None:
    guess = aggregate({name: task.baseline for name, task in tasks().items()})
    perfect = aggregate(full(1.0))
    assert guess.core == pytest.approx(0)
    assert guess.extended == pytest.approx(0)
    assert perfect.core == perfect.extended == 1
    assert perfect.core_error == 0


def test_missing_tasks_are_named_and_nothing_is_added_up() -> None:
    values = full()
    del values["copa"], values["bbq"]
    made = aggregate(values)
    assert made.core is None
    assert made.core_error is None
    assert made.extended is None
    assert made.missing_core == ("copa",)
    assert made.missing_extended == ("copa", "bbq")
    assert made.partial == pytest.approx(sum(t.centred(0.5) for t in tasks().values() if t.core and t.name != "copa") / 21)
    assert aggregate({}).partial is None


def write(path: Path, value: Any) -> str:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def test_every_format_gives_the_same_core(tmp_path: Path) -> None:
    core = {name: 0.5 for name, task in tasks().items() if task.core}
    expected = aggregate(core).core
    log = "".join(
        f"Evaluating: {n} (0-shot, type: multiple_choice)... accuracy: 0.5000 | centered: 0.1 | time: 1.2s\n" for n in core
    )
    files = [
        write(tmp_path / "dclm.json", {"eval_metrics": {"icl": core}}),
        write(tmp_path / "foundry.json", {f"metrics/{n}/10-shot/InContextLearningMultipleChoiceAccuracy": 0.5 for n in core}),
        write(tmp_path / "nano.json", {"results": core, "centered_results": {}, "core_metric": expected}),
        write(
            tmp_path / "nano.csv",
            "Task  , Accuracy  , Centered\n" + "".join(f"{n}  , 0.5 , 0\n" for n in core) + f"CORE, , {expected:.6f}\n",
        ),
        write(tmp_path / "nano.log", log),
    ]
    for file in files:
        result = read_results(file)[0]
        assert aggregate(result.accuracies).core == pytest.approx(expected), file
        if "nano." in file and not file.endswith("log"):
            assert result.reported["Core"] == pytest.approx(expected, abs=1e-6)


def test_foundrys_subtasks_are_averaged(tmp_path: Path) -> None:
    metric = "10-shot/InContextLearningLMAccuracy"
    path = write(tmp_path / "f.json", {f"metrics/jeopardy/history/{metric}": 0.2, f"metrics/jeopardy/science/{metric}": 0.4})
    assert read_results(path)[0].accuracies == {"jeopardy": pytest.approx(0.3)}


def test_the_harness_is_read_with_its_metrics_and_its_differences_told(tmp_path: Path) -> None:
    value = {
        "results": {
            "arc_easy": {"alias": "arc", "acc,none": 0.6, "acc_norm,none": 0.55},
            "boolq": {"acc": 0.7},
            "openbookqa": {"acc,none": 0.3},
            "nothing_of_dclm": {"acc": 9},
        },
        "n-shot": {"arc_easy": 0, "openbookqa": 0},
    }
    result = read_results(write(tmp_path / "h.json", value))[0]
    assert result.accuracies == {"arc_easy": 0.55, "boolq": 0.7, "openbook_qa": 0.3}
    assert any("arc_easy was run with 0 shots, DCLM has 10" in note for note in result.notes)
    assert not any("openbook_qa was run" in note for note in result.notes)
    assert any("not comparable" in note for note in result.notes)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("a.json", {"eval_metrics": {"icl": {"copa": 61.0}}}, "copa: expected an accuracy between 0 and 1, found 61"),
        ("a.json", {"eval_metrics": {"icl": {"copa": "x"}}}, "copa: expected a number"),
        ("a.json", {"eval_metrics": {"icl": {"copa": float("nan")}}}, "copa: expected an accuracy"),
        ("a.json", {"eval_metrics": {"icl": {"copa": None}}}, "copa: expected a number"),
        ("a.json", {"results": {"copa": {"alias": "x"}}}, "copa has none of acc_norm"),
        ("a.json", "{", "expected JSON"),
        ("a.jsonl", "[1]\n", "expected a JSON object"),
        ("a.csv", "Task,Score\ncopa,1\n", "expected columns Task, Accuracy"),
        ("a.txt", "nothing", "found no result"),
        ("a.json", {"eval_metrics": {"icl": {}}}, "found no result"),
        ("a.json.gz", "not gzip", "cannot read results"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name: str, value: Any, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        read_results(write(tmp_path / name, value))


def test_a_file_that_is_absent() -> None:
    with pytest.raises(EvidenceError, match="cannot read results"):
        read_results("nowhere.json")
