"""Which share to keep: limits that are known without the code."""

import math

import pytest

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws import keep
from goldwash.evidence.laws.parametric import law

EPOCH = law("epoch")
DCLM = keep.published("dclm")


def test_a_multiplier_of_tokens_is_one_of_compute_at_the_optimum() -> None:
    """With a pool that never repeats, the best loss at C with data worth q is the raw one at q C."""
    for compute in (1e20, 1e23):
        assert keep.compute_multiplier(EPOCH, 1e30, DCLM, 0.1, compute) == pytest.approx(2.24, rel=1e-4)


def test_a_large_pool_keeps_the_strictest_measured_share_and_a_small_one_everything() -> None:
    assert keep.best(keep.choices(EPOCH, 1e18, DCLM, 1e22)).share == 0.1
    assert keep.best(keep.choices(EPOCH, 1e10, DCLM, 1e24)).share == 1.0


def test_the_best_share_grows_with_compute_and_the_crossover_separates() -> None:
    shares = [keep.best(keep.choices(EPOCH, 2e12, DCLM, compute)).share for compute in (1e21, 1e23, 1e24, 1e25, 1e26)]
    assert shares == sorted(shares)
    edge = keep.crossover(EPOCH, 2e12, DCLM)
    assert keep.best(keep.choices(EPOCH, 2e12, DCLM, edge * 0.98)).share < 1
    assert keep.best(keep.choices(EPOCH, 2e12, DCLM, edge * 1.02)).share == 1


def test_a_better_filter_wins_for_longer() -> None:
    assert keep.crossover(EPOCH, 2e12, keep.published("betr")) > keep.crossover(EPOCH, 2e12, DCLM)
    assert math.isnan(keep.crossover(EPOCH, 2e12, keep.published("raw")))


def test_interpolation_and_extrapolation() -> None:
    assert DCLM(1.0) == pytest.approx(1)
    assert DCLM(0.1) == pytest.approx(2.24)
    assert DCLM(10**-0.5) == pytest.approx(math.sqrt(2.24))
    assert DCLM(0.01) == pytest.approx(2.24)
    assert DCLM.measured(0.1)
    assert not DCLM.measured(0.05)


def test_tokens_add_up() -> None:
    for row in keep.choices(EPOCH, 1e11, DCLM, 1e22, 7e9):
        assert row.run.compute == pytest.approx(1e22)
        assert row.unique * row.epochs == pytest.approx(row.run.tokens)
        assert row.unique <= row.share * 1e11 * (1 + 1e-9)


@pytest.mark.parametrize("points", [[(2.0, 1.5)], [(0.1, 0.0)], [(1.0, 2.0)], [(0.1, math.nan)]])
def test_multipliers_that_are_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(EvidenceError, match="--multiplier"):
        keep.Multiplier.of(points, "test")
    with pytest.raises(EvidenceError, match="raw, dclm, betr"):
        keep.published("dcml")
