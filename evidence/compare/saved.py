"""Read a compute multiplier from the JSON that ``goldwash compare --json`` wrote."""

import json
from collections.abc import Callable
from math import exp, log
from pathlib import Path
from typing import Any

from goldwash.evidence.errors import EvidenceError
from goldwash.text_output import printable


def measured_multiplier(place: str, notify: Callable[[str], None] = lambda _: None) -> float:
    """The multiplier of a dataset over the first one: the geometric mean over the targets, by the first learner.

    ``place``: ``FILE.json``, or ``FILE.json::DATASET`` where more than two datasets were compared. A multiplier that
    ``compare`` knows only as "at least" or "at most" a value counts as that value, and ``notify`` receives a sentence that says
    so. Raises `EvidenceError` for a file that ``compare`` did not write, and a dataset that is unknown or has no multiplier.
    """
    file, _, name = place.partition("::")
    try:
        saved = json.loads(Path(file).read_text("utf-8"))
        names = [str(each["name"]) for each in saved["datasets"]]
        found = [(str(each["dataset"]), each["multiplier"]) for each in saved["learners"][0]["results"]]
        values = [(dataset, times["value"], str(times.get("bound", ""))) for dataset, times in found]
    except OSError as error:
        raise EvidenceError(f"--multiplier: {file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise EvidenceError(f"--multiplier: {file} is not what `goldwash compare --json` writes") from error
    chosen = _chosen(name, names, file)
    own = [(value, bound) for dataset, value, bound in values if dataset == chosen]
    mean = _mean([value for value, _ in own], chosen, file)
    if bounds := [f"{bound} {value:.3g}" for value, bound in own if bound]:
        notify(
            f"--multiplier: {printable(file)} knows the multiplier of {printable(chosen)} only as "
            f"{printable(', '.join(bounds))}: one curve is beyond the end of the other; compare with more --points"
        )
    return mean


def _chosen(name: str, names: list[str], file: str) -> str:
    if name in names[1:]:
        return name
    if not name and len(names) == 2:
        return names[1]
    if len(names) < 2:
        raise EvidenceError(f"--multiplier: {file} compares fewer than two datasets; expected two or more")
    others = ", ".join(map(printable, names[1:]))
    raise EvidenceError(
        f"--multiplier: {file} compares {others} with {printable(names[0])}: name one, as {file}::{printable(names[-1])}"
    )


def _mean(found: list[Any], name: str, file: str) -> float:
    if not found or any(not isinstance(value, int | float) or not 0 < value < float("inf") for value in found):
        raise EvidenceError(f"--multiplier: {file} has no multiplier of {printable(name)} for every target")
    return exp(sum(map(log, found)) / len(found))
