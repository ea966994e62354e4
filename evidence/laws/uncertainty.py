"""The uncertainty of published laws: bootstrap replicates, as laws.

Invariants: intervals are percentiles over replicates, at 95%. A law without published data or standard errors has none, and the
caller says so. ``tables/epoch-bootstrap.csv`` holds 200 replicates that `fit` made from the 240 points of Hoffmann's figure 4
as Besiroglu et al. recovered them (seed 0); their spread agrees with the standard errors that the paper prints.
"""

import csv
import io
from collections.abc import Callable

from goldwash.evidence.laws.fit import NAMES, interval
from goldwash.evidence.laws.parametric import Law, law
from goldwash.evidence.tables import text

PUBLISHED = {"epoch": "epoch-bootstrap.csv"}
WHY_NONE = "published without standard errors"


def replicates(name: str) -> list[Law]:
    """The bootstrap replicates of a published law; empty where there are none."""
    if name not in PUBLISHED:
        return []
    known = law(name)
    rows = csv.DictReader(io.StringIO(text(PUBLISHED[name])))
    return [Law.of(name, (float(row[n]) for n in NAMES), known.source, known.counts) for row in rows]


def spread(made: list[Law], of: Callable[[Law], float]) -> tuple[float, float] | None:
    """The 95% interval of a quantity over replicates; None without replicates."""
    return interval([of(one) for one in made]) if made else None
