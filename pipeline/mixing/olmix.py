"""Olmix's two files: ``ratios.csv``, the weights of the mixtures that were run, and ``metrics.csv``, their results.

Invariants: rows are joined on ``run`` or ``run_id``. The weights of a mixture are not negative and sum to 1, with
`SUM_TOLERANCE` for rounded digits. Columns ``name`` and ``index`` describe a run and are no weights. (arXiv 2602.12237.)
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from goldwash.pipeline.storage.failures import DataError
from goldwash.text_output import printable

ID_COLUMNS = ("run", "run_id")
OTHER_COLUMNS = ("name", "index", "")
SUM_TOLERANCE = 0.01
"""How far a sum of weights may be from 1: weights of two digits are off by half a hundredth each."""

Table = dict[str, dict[str, float]]
"""A row of numbers by column, for each run."""


def ratios_csv(sources: Sequence[str], mixtures: Sequence[Sequence[float]], runs: Sequence[str] | None = None) -> str:
    """``ratios.csv``: a row of weights per mixture. ``runs``: their names; by default ``run_001`` and so on.

    >>> ratios_csv(["web", "code"], [[0.7, 0.3]])
    'run,web,code\\nrun_001,0.700000,0.300000\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *sources])
    names = runs if runs is not None else [f"run_{i + 1:03d}" for i in range(len(mixtures))]
    writer.writerows([name, *(f"{w:.6f}" for w in row)] for name, row in zip(names, mixtures, strict=True))
    return text.getvalue()


def metrics_csv(metrics: Sequence[str], runs: int | Sequence[str]) -> str:
    """``metrics.csv`` without values, to fill in, for the runs of `ratios_csv`.

    >>> metrics_csv(["bpb"], 1)
    'run,bpb\\nrun_001,\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"run_{i + 1:03d}" for i in range(runs)] if isinstance(runs, int) else runs
    writer.writerow(["run", *metrics])
    writer.writerows([name, *("" for _ in metrics)] for name in names)
    return text.getvalue()


def read_table(text: str, file: str) -> tuple[tuple[str, ...], Table]:
    """The columns of a file, without those that name a run, and its rows by run.

    Raises `DataError` for a file without ids or numbers, a run or a column that is given twice, or a cell that is not a finite
    number; it names the file and the line.
    """
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    header = [cell.strip() for cell in rows[0]] if rows else []
    key = next((name for name in ID_COLUMNS if name in header), None)
    columns = tuple(name for name in header if name not in (*ID_COLUMNS, *OTHER_COLUMNS))
    if key is None or not columns or len(rows) < 2:
        found = f"the columns {_shown(header)}" if header and len(rows) > 1 else "no rows"
        raise DataError(f"{file}: expected a column 'run' or 'run_id' and at least one other, found {found}")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{file}: the column {printable(repr(twice[0]))} is given twice")
    table: Table = {}
    for line, cells in enumerate(rows[1:], 2):
        if not cells:
            continue
        if len(cells) != len(header):
            raise DataError(f"{file}, line {line}: expected {len(header)} cells, as in its header, found {len(cells)}")
        row = dict(zip(header, cells, strict=True))
        run = row[key].strip()
        if run in table:
            raise DataError(f"{file}, line {line}: run {printable(repr(run))} is given twice")
        table[run] = {name: _number(row[name], name, f"{file}, line {line}") for name in columns}
    return columns, table


def _number(cell: str, column: str, place: str) -> float:
    found = f"found {printable(repr(cell))} in column {printable(column)}"
    try:
        value = float(cell)
    except ValueError:
        raise DataError(f"{place}: expected a number in each column, {found}") from None
    if not math.isfinite(value):
        raise DataError(f"{place}: expected finite numbers, {found}")
    return value


def _shown(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:10])) or "none"


def shares(weights: Mapping[str, float], place: str, tolerance: float = SUM_TOLERANCE) -> dict[str, float]:
    """Weights that are not negative and sum to 1, divided by their sum; `DataError` for others.

    >>> shares({"web": 0.67, "code": 0.33}, "a mixture")
    {'web': 0.67, 'code': 0.33}
    """
    total = math.fsum(weights.values())
    negative = [name for name, weight in weights.items() if not (math.isfinite(weight) and weight >= 0)]
    if negative or abs(total - 1) > tolerance:
        raise DataError(
            f"{place}: expected weights of at least 0 that sum to 1, found a sum of {total:g}{_cure(weights, total)}"
        )
    return {name: weight / total for name, weight in weights.items()}


def _cure(weights: Mapping[str, float], total: float) -> str:
    """The same weights, scaled to a sum of 1; "" where that is impossible."""
    if not (math.isfinite(total) and total > 0) or any(not weight >= 0 for weight in weights.values()):
        return ""
    some = ", ".join(f"{printable(name)} {weight / total:.4g}" for name, weight in list(weights.items())[:8])
    return f": divided by it they would be {some}{' ...' if len(weights) > 8 else ''}"


def read_ratios(text: str, file: str = "ratios.csv") -> Table:
    """The weights of each run of a ``ratios.csv``, each summing to 1; `DataError` as `read_table` and `shares`."""
    _, table = read_table(text, file)
    return {run: shares(row, f"{file}, {printable(run)}") for run, row in table.items()}


def weights_of(mixture: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """A mixture's weights as keys of sources: a column ``SOURCE:BUCKET`` is a bucket of a source.

    >>> weights_of({"web:science": 0.375, "web:sports": 0.125, "code": 0.5})
    {'web': {'weight': 0.5, 'weights': {'science': 0.75, 'sports': 0.25}}, 'code': {'weight': 0.5}}
    """
    parts: dict[str, dict[str, float]] = {}
    for name, weight in mixture.items():
        source, _, bucket = name.partition(":")
        parts.setdefault(source, {})[bucket] = weight
    found: dict[str, dict[str, Any]] = {}
    for source, buckets in parts.items():
        if "" in buckets and len(buckets) > 1:
            raise DataError(f"{printable(source)} has a weight of its own and weights of buckets: expected one or the other")
        whole = math.fsum(buckets.values())
        found[source] = {"weight": whole}
        if "" not in buckets and whole > 0:
            found[source]["weights"] = {bucket: weight / whole for bucket, weight in buckets.items()}
    return found
