"""Do small runs choose the datasets that large runs would choose?

Decision accuracy: the fraction of pairs of datasets that both scales order alike (Magnusson et al. 2025, DataDecide,
arXiv 2504.11393). A tie at either scale counts as disagreement. Pairs share datasets, so the interval is a bootstrap over
datasets, and pairs of a dataset with itself are left out of a replicate.
Invariants: each dataset counts once per scale, with its best score; equal seeds give equal intervals.
"""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws.fit import interval
from goldwash.text_output import printable

SOURCE = "decision accuracy as in DataDecide, arXiv 2504.11393"


@dataclass(frozen=True)
class Agreement:
    """``agreeing`` of ``pairs`` pairs of ``datasets`` datasets, and the 95% interval of their fraction."""

    datasets: int
    agreeing: int
    pairs: int
    interval: tuple[float, float]

    @property
    def accuracy(self) -> float:
        """The fraction of the pairs that agree."""
        return self.agreeing / self.pairs


def agreement(small: Mapping[str, float], large: Mapping[str, float], replicates: int = 1000, seed: int = 0) -> Agreement:
    """Decision accuracy over the datasets that both have. Raises `EvidenceError` for fewer than two."""
    common = sorted(small.keys() & large.keys())
    if len(common) < 2:
        raise EvidenceError(
            f"decisions need at least two datasets at both scales, found {len(common)} ({len(small)} small, {len(large)} large)"
        )
    x, y = (np.array([scores[name] for name in common]) for scores in (small, large))
    same = (np.sign(x[:, None] - x) * np.sign(y[:, None] - y)) > 0
    upper = np.triu_indices(len(common), 1)
    generator, drawn = np.random.default_rng(seed), []
    for _ in range(replicates):
        rows = generator.integers(len(common), size=len(common))
        pairs = [(a, b) for i, a in enumerate(rows) for b in rows[:i] if a != b]
        if pairs:
            drawn.append(float(np.mean([same[a, b] for a, b in pairs])))
    return Agreement(len(common), int(same[upper].sum()), len(upper[0]), interval(drawn))


def best_scores(path: str, where: Mapping[str, str], by: str, score: str) -> dict[str, float]:
    """The best score per dataset of a CSV (.gz too), in the rows whose columns have the values of ``where``.

    Raises `EvidenceError` for columns that are not there, and where no row fits.
    """
    try:
        raw = Path(path).read_bytes()
        text = (gzip.decompress(raw) if path.endswith(".gz") else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{path}: cannot read a table of models: {error}") from None
    rows = csv.DictReader(io.StringIO(text))
    there: dict[str, set[str]] = {column: set() for column in where}
    lost = [name for name in (*where, by, score) if name not in (rows.fieldnames or [])]
    if lost:
        some = ", ".join(map(printable, (rows.fieldnames or [])[:12]))
        raise EvidenceError(f"{path}: no column {', '.join(map(printable, lost))}; there are {some or 'none'}")
    best: dict[str, float] = {}
    for row in rows:
        for column, values in there.items():
            values.add(row[column])
        if all(row[column] == value for column, value in where.items()):
            value = _score(row[score])
            if value is not None and row[by]:
                best[row[by]] = max(value, best.get(row[by], -np.inf))
    if not best:
        asked = ", ".join(f"{column}={value}" for column, value in where.items())
        known = "; ".join(f"{column} has {', '.join(sorted(filter(None, values))[:8])}" for column, values in there.items())
        raise EvidenceError(
            f"{path}: no row with {printable(asked)} has a number in {printable(score)}; {printable(known, 300)}"
        )
    return best


def _score(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def conditions(given: Sequence[str], option: str) -> dict[str, str]:
    """``COLUMN=VALUE`` words as a mapping. Raises `EvidenceError`."""
    found = dict(text.partition("=")[::2] for text in given)
    if not found or not all(name and value for name, value in found.items()):
        raise EvidenceError(f"{option}: expected COLUMN=VALUE, found {printable(' '.join(given))!r}")
    return found
