"""OLMo 3's curve: the published table, the small case, brute force, and targets that cannot be reached."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from goldwash.pipeline.mixing.curve import Curve, CurveError, solve

TOTAL = 127_939_584_000
CAPPED = {"science_math_and_technology", "software_development"}
Row = tuple[int, float, float]
"""Tokens, the topic's share of the total, and the published ratio of a bucket."""


def published(real: Path) -> dict[str, list[Row]]:
    topics = defaultdict[str, list[Row]](list)
    with open(real / "mix" / "olmo3_mix_example.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            topics[row["topic"]].append((int(row["pool_tokens"]), float(row["pstar"]), float(row["published_target_ratio"])))
    return dict(topics)


@pytest.mark.real
def test_it_makes_olmo_3s_published_mixture(real):
    topics = published(real)
    assert sum(map(len, topics.values())) == 387
    assert round(sum(size for rows in topics.values() for size, _, _ in rows) / 1e9, 1) == 284.6
    total, above, largest, equal = 0.0, 0, 0.0, set()
    for topic, rows in topics.items():
        sizes = np.array([size for size, _, _ in rows], np.float64)
        solved = solve(Curve(), sizes, rows[0][1] * TOTAL)
        ratios, expected = solved.repeats * sizes / TOTAL, np.array([ratio for _, _, ratio in rows])
        if np.abs(ratios - expected).max() <= 1e-9:
            equal.add(topic)
        else:
            assert np.abs(ratios[expected > 0] / expected[expected > 0] - 1).max() <= 0.063
        assert ((ratios > 0) == (expected > 0)).all()
        total, above = total + float((solved.repeats * sizes).sum()), above + int((solved.repeats > 0).sum())
        largest = max(largest, float(solved.repeats.max()))
    assert len(equal) == 22
    assert set(topics) - equal == CAPPED
    assert total == pytest.approx(TOTAL, abs=10)
    assert above == 201
    assert largest <= 7.01


@pytest.mark.parametrize(
    ("sizes", "share", "scale", "tail"), [([1000, 2000], 0.3, 18.3169, 3.0), ([3000, 4000], 0.7, 29.5076, 3.5)]
)
def test_the_small_case(sizes, share, scale, tail):
    solved = solve(Curve(discard=0.5, cap=7), np.array(sizes, np.float64), share * 20_000)
    assert solved.scale == pytest.approx(scale, abs=5e-5)
    assert (solved.power, solved.rate) == (2.0, 0.2)
    assert solved.repeats.tolist() == [0.0, pytest.approx(tail)]


def mean_of(scale: float, power: float, rate: float, a: float, b: float) -> float:
    """The mean of the curve over a part of the tail, by scipy's quadrature."""
    return float(quad(lambda x: scale * x**power * np.exp(rate * x), a, b, epsabs=1e-13)[0] / (b - a))


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=12),
    st.floats(0, 0.9),
    st.floats(0.5, 20),
    st.floats(0.001, 1.0),
)
def test_it_is_the_curve_reaches_the_target_and_keeps_the_cap(counts, discard, cap, part):
    sizes = np.array(counts, np.float64)
    ends = np.cumsum(sizes) / sizes.sum()
    kept = ends > discard + 1e-9
    target = part * cap * float(sizes[kept].sum())
    solved = solve(Curve(discard=discard, cap=cap), sizes, target)
    assert float(solved.repeats @ sizes) == pytest.approx(target, rel=1e-9)
    assert solved.repeats.max() <= cap * (1 + 1e-6)
    assert (solved.repeats[~kept] == 0).all()
    assert (np.diff(solved.repeats[kept]) >= -1e-6 * cap).all()
    edges = np.concatenate([[0.0], ends]) - solved.begin
    for n in np.flatnonzero(kept):
        width = edges[n + 1] - edges[n]
        expected = mean_of(solved.scale, solved.power, solved.rate, max(edges[n], 0), edges[n + 1])
        assert solved.repeats[n] == pytest.approx(expected, rel=1e-6, abs=1e-9 * cap / width)


def test_no_steeper_curve_of_the_grid_keeps_the_cap():
    sizes = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    curve = Curve(cap=1.5)
    solved = solve(curve, sizes, 9.0)
    steeper = [p for p in np.linspace(*curve.power, curve.powers) if p > solved.power]
    begin, ends = solved.begin, np.cumsum(sizes) / sizes.sum()
    assert steeper
    for power in steeper:
        whole = quad(lambda x, power=power: x**power, 0, 1 - begin)[0]
        assert mean_of(9 / sizes.sum() / whole, power, 0.0, ends[-2] - begin, 1 - begin) > curve.cap
    assert solved.repeats.max() <= 1.5 * (1 + 1e-9)


def test_a_target_near_the_cap_is_flat():
    solved = solve(Curve(discard=0.5, cap=2), np.array([10.0, 10.0, 10.0]), 40.0)
    assert (solved.power, solved.rate) == (0.0, 0.0)
    assert solved.repeats.tolist() == [0.0, 2.0, 2.0]


def test_empty_buckets_are_not_repeated():
    solved = solve(Curve(discard=0.4), np.array([0.0, 4.0, 0.0, 6.0, 0.0]), 12.0)
    assert solved.repeats.tolist() == [0.0, 0.0, 0.0, 2.0, 0.0]
    with pytest.raises(CurveError, match="nothing in any"):
        solve(Curve(), np.zeros(3), 1.0)


def test_what_cannot_be_reached_is_refused_with_the_cure():
    with pytest.raises(
        CurveError, match=r"500 are wanted, but .* 0\.4 discarded and at most 7 repeats there are 420: lower its"
    ):
        solve(Curve(), np.array([40.0, 60.0]), 500)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"discard": 1.0}, "discard is 1"), ({"discard": -0.1}, "discard is -0.1"), ({"cap": 0.0}, "cap is 0"),
        ({"cap": float("nan")}, "cap is nan"), ({"power": (2.0, 1.0)}, "power is"), ({"rate": (-1.0, 0.2)}, "rate is"),
        ({"powers": 0}, "powers is 0"),
    ],
)  # fmt: skip
def test_bounds_that_cannot_be(values, message):
    with pytest.raises(CurveError, match=message):
        Curve(**values)
