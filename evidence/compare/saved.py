"""Read a compute multiplier from the JSON that ``goldwash compare --json`` wrote."""

import json
from math import exp, log
from pathlib import Path
from typing import Any

from goldwash.evidence.errors import EvidenceError
from goldwash.text_output import printable


def measured_multiplier(place: str) -> float:
    """The multiplier of a dataset over the first one: the geometric mean over the targets, by the first learner.

    ``place``: ``FILE.json``, or ``FILE.json::DATASET`` where more than two datasets were compared. Raises `EvidenceError` for a
    file that is none of ``compare``'s, an unknown dataset, and a multiplier that ``compare`` could not bound.
    """
    file, _, name = place.partition("::")
    try:
        saved = json.loads(Path(file).read_text("utf-8"))
        names = [str(each["name"]) for each in saved["datasets"]]
        results = saved["learners"][0]["results"]
    except OSError as error:
        raise EvidenceError(f"--multiplier: {file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise EvidenceError(f"--multiplier: {file} is not what `goldwash compare --json` writes") from error
    return _mean(results, _chosen(name, names, file), file)


def _chosen(name: str, names: list[str], file: str) -> str:
    if name in names[1:]:
        return name
    if not name and len(names) == 2:
        return names[1]
    others = ", ".join(map(printable, names[1:]))
    raise EvidenceError(
        f"--multiplier: {file} compares {others} with {printable(names[0])}: name one, as {file}::{printable(names[-1])}"
    )


def _mean(results: list[dict[str, Any]], name: str, file: str) -> float:
    found = [each["multiplier"]["value"] for each in results if each["dataset"] == name]
    if not found or any(value is None or not value > 0 for value in found):
        raise EvidenceError(f"--multiplier: {file} has no multiplier of {printable(name)} for every target")
    return exp(sum(map(log, found)) / len(found))
