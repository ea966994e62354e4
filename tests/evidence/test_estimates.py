"""Means over seeds: Student's t against its textbook value, and what one seed cannot say."""

import math

import numpy as np
import pytest

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.estimates import estimate


def test_the_interval_is_students() -> None:
    found = estimate([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.high - found.mean == pytest.approx(4.302652729911275 / math.sqrt(3))  # t of 2 degrees of freedom, 0.975
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    assert found.above(-0.5)
    assert not found.above(0)
    assert found.below(4.6)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    made = [estimate(generator.normal(1, 2, 4).tolist()) for _ in range(2000)]
    covered = float(np.mean([one.low <= 1 <= one.high for one in made]))
    assert covered == pytest.approx(0.95, abs=0.015)


def test_one_seed_has_no_interval_and_settles_nothing() -> None:
    found = estimate([0.5])
    assert math.isnan(found.low)
    assert math.isnan(found.within(0, 1).high)
    assert estimate([0.9, 1.0]).within(0, 1).high == 1
    assert not found.above(-1e9)
    assert not found.below(1e9)
    assert found.shown() == "0.5000"
    with pytest.raises(EvidenceError, match="at least one seed"):
        estimate([])
