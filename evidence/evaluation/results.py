"""Result files of llm-foundry and DCLM, lm-evaluation-harness and nanochat, as accuracies by DCLM's task names.

Invariants: an accuracy is between 0 and 1, else the file is refused; an unusable value is an error, never a missing task.
 Formats:

* DCLM: JSON with ``eval_metrics.icl``, or a line of JSONL ``{"file": ..., "content": ...}``; gzip where the name ends in .gz.
* llm-foundry: flat JSON with keys ``metrics/TASK[/SUBTASK]/N-shot/METRIC``; subtasks are averaged.
* lm-evaluation-harness: JSON with ``results`` and, in newer versions, ``n-shot``; metrics ``acc_norm``, else ``acc``, else
  ``exact_match``. Other prompts and shots than DCLM's are noted.
* nanochat: CSV ``Task, Accuracy, Centered``, JSON with ``centered_results``, or a log with ``Evaluating: TASK ... accuracy:``.
"""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.evaluation.tasks import tasks
from goldwash.text_output import printable

FLAT = re.compile(r"metrics/(?P<task>[^/]+)(?:/(?P<subtask>[^/]+))?/(?P<shots>\d+)-shot/(?P<metric>\w+)")
LOG = re.compile(r"Evaluating: (?P<task>\w+).*?accuracy: (?P<accuracy>[\d.]+)")
LM_EVAL_METRICS = ("acc_norm", "acc", "exact_match", "em")


@dataclass(frozen=True)
class Result:
    """One model's accuracies by DCLM's names. ``reported`` holds aggregates that the file itself states."""

    name: str
    accuracies: Mapping[str, float]
    form: str
    reported: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_results(path: str) -> list[Result]:
    """The results of one file, several for JSONL. Raises `EvidenceError` for files that hold none."""
    name = Path(path).name.removesuffix(".gz")
    try:
        raw = Path(path).read_bytes()
        text = (gzip.decompress(raw) if path.endswith(".gz") else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{path}: cannot read results: {error}") from None
    found = list(_parsed(text, name, path))
    if not found or not any(result.accuracies for result in found):
        raise EvidenceError(
            f"{path}: found no result of a DCLM task; expected DCLM's or llm-foundry's JSON, lm-evaluation-harness' JSON, or "
            "nanochat's CSV or log"
        )
    return found


def _parsed(text: str, name: str, path: str) -> Iterator[Result]:
    if name.endswith(".jsonl"):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                value = _json(line, f"{path}, line {number}")
                place, outer = f"{path}, line {number}", value if isinstance(value, dict) else {}
                yield _of_json(outer.get("content", value), str(outer.get("file", f"{name}:{number}")), place)
    elif text.lstrip().startswith("{"):
        yield _of_json(_json(text, path), name.removesuffix(".json"), path)
    elif re.match(r"\s*task\s*,", text, re.IGNORECASE):
        yield _of_csv(text, name.removesuffix(".csv"), path)
    else:
        pairs = {m["task"]: float(m["accuracy"]) for m in LOG.finditer(text)}
        yield _result(name, pairs, "nanochat log", path)


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EvidenceError(f"{place}: expected JSON: {error}") from None


def _of_json(value: Any, name: str, place: str) -> Result:
    if not isinstance(value, dict):
        raise EvidenceError(f"{place}: expected a JSON object, found {type(value).__name__}")
    if isinstance(value.get("eval_metrics"), dict):
        icl = value["eval_metrics"].get("icl", {})
        stated = {key: value[f"{key}_v2"] for key in ("Core", "Extended") if isinstance(value.get(f"{key}_v2"), int | float)}
        return _result(name, icl, "DCLM", place, stated)
    if isinstance(value.get("results"), dict) and "centered_results" in value:
        stated = {"Core": value["core_metric"]} if isinstance(value.get("core_metric"), int | float) else {}
        return _result(name, value["results"], "nanochat", place, stated)
    if isinstance(value.get("results"), dict):
        return _of_lm_eval(value, name, place)
    flat: dict[str, list[float]] = {}
    for key, number in value.items():
        match = FLAT.fullmatch(key)
        if match and "Accuracy" in match["metric"]:
            flat.setdefault(match["task"], []).append(_fraction(number, key, place))
    return _result(name, {task: sum(values) / len(values) for task, values in flat.items()}, "llm-foundry", place)


def _of_lm_eval(value: Mapping[str, Any], name: str, place: str) -> Result:
    names = {task.lm_eval: task for task in tasks().values() if task.lm_eval}
    accuracies, notes = {}, []
    for key, metrics in value["results"].items():
        task = names.get(key)
        if task is None or not isinstance(metrics, dict):
            continue
        plain = {metric.partition(",")[0]: number for metric, number in metrics.items()}
        metric = next((m for m in LM_EVAL_METRICS if m in plain), None)
        if metric is None:
            raise EvidenceError(
                f"{place}: {printable(key)} has none of {', '.join(LM_EVAL_METRICS)}: {', '.join(map(printable, plain))}"
            )
        accuracies[task.name] = plain[metric]
        shots = value.get("n-shot", {}).get(key)
        if shots is not None and shots != task.shots:
            notes.append(f"{task.name} was run with {shots} shots, DCLM has {task.shots}")
    notes.append(
        "lm-evaluation-harness' prompts and normalisation differ from llm-foundry's: not comparable with DCLM's leaderboard"
    )
    return _result(name, accuracies, "lm-evaluation-harness", place, notes=tuple(notes))


def _of_csv(text: str, name: str, place: str) -> Result:
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if row]
    header = [cell.lower() for cell in rows[0]]
    if "accuracy" not in header:
        raise EvidenceError(f"{place}: expected columns Task, Accuracy, found {', '.join(map(printable, rows[0]))}")
    column = header.index("accuracy")
    pairs = {row[0]: row[column] for row in rows[1:] if len(row) > column and row[0].upper() != "CORE"}
    last = next((row for row in rows[1:] if row[0].upper() == "CORE"), None)
    stated = {"Core": _number(last[-1], "CORE", place)} if last else {}
    return _result(name, pairs, "nanochat", place, stated)


def _result(
    name: str, values: Mapping[str, Any], form: str, place: str, stated: Mapping[str, float] | None = None,
    notes: tuple[str, ...] = (),
) -> Result:  # fmt: skip
    accuracies = {task: _fraction(value, task, place) for task, value in values.items() if task in tasks()}
    return Result(name, accuracies, form, stated or {}, notes)


def _number(value: Any, task: str, place: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise EvidenceError(f"{place}: {printable(task)}: expected a number, found {printable(value)!r}") from None


def _fraction(value: Any, task: str, place: str) -> float:
    number = _number(value, task, place)
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise EvidenceError(
            f"{place}: {printable(task)}: expected an accuracy between 0 and 1, found {printable(value)}; "
            "divide percentages by 100"
        )
    return number
