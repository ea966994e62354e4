"""The harm of copies against figures that were computed independently, and a textbook formula."""

import pytest

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws.repeats import harm, peak

# Means over 20 seeds of an independent implementation.
FIGURES = {25: {1: 0.0121, 100: 0.0416, 200: 0.0307}, 100: {1: 0.0520, 25: 0.0853, 200: 0.0700}}


@pytest.mark.parametrize("width", FIGURES)
def test_harm_peaks_at_an_intermediate_number_of_copies(width: int) -> None:
    rows = harm(width, (1, 5, 25, 50, 100, 200), seeds=12)
    for row in rows:
        if row.copies in FIGURES[width]:
            assert abs(row.excess - FIGURES[width][row.copies]) < 4 * row.error + 0.003
    assert peak(rows) not in (rows[0], rows[-1])


def test_without_copies_the_error_is_the_textbooks() -> None:
    """For n normal samples in d dimensions with unit noise the expected excess is d / (n - d - 1)."""
    row = harm(50, (1,), budget=1000, seeds=40)[0]
    assert abs(row.excess - 50 / 949) < 4 * row.error


def test_equal_seeds_give_equal_numbers() -> None:
    assert harm(10, (1, 5), seeds=2) == harm(10, (1, 5), seeds=2)


@pytest.mark.parametrize("wrong", [{"width": 1900}, {"width": 5, "copies": (500,)}, {"width": 5, "part": 0.0}])
def test_impossible_experiments(wrong: dict[str, float]) -> None:
    with pytest.raises(EvidenceError, match="repeats"):
        harm(**wrong)  # type: ignore[arg-type]
