"""A CSV of training runs for `fit`: which columns are read, and what is refused.

Invariants: columns are found by names, case and punctuation aside; a row that is not usable is an error with its line, never
skipped. Runs of several tokenizers are refused: their losses per token cannot be compared.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence

import numpy as np

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws.fit import Runs
from goldwash.evidence.laws.parametric import FLOPS_PER_PARAMETER_TOKEN
from goldwash.text_output import printable

COLUMNS = {
    "parameters": ("parameters", "params", "n", "modelsize", "numparams"),
    "tokens": ("tokens", "d", "trainingtokens", "numtokens", "trainingdata"),
    "flops": ("flops", "flop", "c", "compute", "trainingflop", "trainingflops"),
    "loss": ("loss", "l", "finalloss", "valloss", "bpb", "bitsperbyte"),
    "tokenizer": ("tokenizer",),
}


def read_runs(text: str, name: str, least_ratio: float = 0.0) -> tuple[Runs, int]:
    """The runs of a CSV, and how many fell below ``least_ratio`` (tokens per parameter). Raises `EvidenceError`."""
    reader = csv.DictReader(io.StringIO(text))
    columns = _columns(reader.fieldnames or [], name)
    rows = [row for row in reader if any(v for v in row.values() if isinstance(v, str) and v.strip())]
    if "tokenizer" in columns and "bpb" not in _key(columns["loss"]) and "bits" not in _key(columns["loss"]):
        found = sorted({str(row[columns["tokenizer"]]) for row in rows})
        if len(found) > 1:
            raise EvidenceError(
                f"{name}: runs of {len(found)} tokenizers ({', '.join(map(printable, found[:4]))}); losses per token cannot "
                "be compared. Fit each tokenizer by itself, or give bits per byte in a column 'bpb'"
            )
    values = {key: _numbers(rows, column, name) for key, column in columns.items() if key != "tokenizer"}
    if "tokens" not in values:
        values["tokens"] = values["flops"] / FLOPS_PER_PARAMETER_TOKEN / values["parameters"]
    elif "parameters" not in values:
        values["parameters"] = values["flops"] / FLOPS_PER_PARAMETER_TOKEN / values["tokens"]
    runs = Runs(values["parameters"], values["tokens"], values["loss"])
    kept = runs.tokens / runs.parameters >= least_ratio
    return runs[kept], int((~kept).sum())


def _key(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


def _columns(titles: Sequence[str], name: str) -> dict[str, str]:
    found = {}
    for wanted, spellings in COLUMNS.items():
        matches = [title for title in titles if title is not None and _key(title) in spellings]
        if len(matches) > 1:
            raise EvidenceError(f"{name}: expected one column of {wanted}, found {', '.join(map(printable, matches))}")
        if matches:
            found[wanted] = matches[0]
    if "loss" not in found or len(found.keys() & {"parameters", "tokens", "flops"}) < 2:
        raise EvidenceError(
            f"{name}: expected columns loss and two of parameters, tokens, flops; found "
            f"{', '.join(printable(str(t)) for t in titles) or 'none'}"
        )
    return found


def _numbers(rows: Sequence[Mapping[str, str]], column: str, name: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    values = np.empty(len(rows))
    for line, row in enumerate(rows):
        try:
            values[line] = float(str(row[column]).replace(",", "").replace("_", ""))
        except ValueError:
            values[line] = float("nan")
        if not np.isfinite(values[line]) or values[line] <= 0:
            raise EvidenceError(
                f"{name}, line {line + 2}, {printable(column)}: expected a number above zero, "
                f"found {printable(str(row[column]))!r}"
            )
    return values
