import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from goldwash.pipeline.tokenization.permutation import positions, uniform


@given(st.one_of(st.integers(1, 50), st.integers(4000, 20_000)), st.integers(0, 1 << 40))
def test_a_permutation(count, seed):
    assert sorted(positions(np.arange(count), count, seed).tolist()) == list(range(count))


@given(st.integers(1, 9000), st.integers(0, 5), st.data())
def test_a_range_by_itself_is_the_range_of_the_whole(count, seed, data):
    a = data.draw(st.integers(0, count))
    b = data.draw(st.integers(a, count))
    assert positions(np.arange(a, b), count, seed).tolist() == positions(np.arange(count), count, seed)[a:b].tolist()


@pytest.mark.parametrize("count", [3, 10, 97, 5000])
def test_every_place_is_as_likely(count):
    """The place of the first and the last row, over 1,500 seeds, in at most ten equal parts."""
    parts = min(count, 10)
    for row in (0, count - 1):
        found = [int(positions(np.array([row]), count, seed)[0]) * parts // count for seed in range(1500)]
        sizes = np.bincount(np.arange(count) * parts // count, minlength=parts)
        assert chisquare(np.bincount(found, minlength=parts), 1500 * sizes / count).pvalue > 1e-4


def test_neighbours_are_strangers():
    """The distance between neighbours is that of two numbers drawn at random; Spearman's correlation with the rows is none."""
    found = positions(np.arange(1 << 17), 1 << 17, 7) / (1 << 17)
    gaps = np.abs(np.diff(found))
    assert kstest(gaps, lambda x: 1 - (1 - x) ** 2).pvalue > 1e-4
    assert abs(np.corrcoef(found, np.arange(len(found)))[0, 1]) < 0.01


def test_seeds_and_counts_give_other_orders():
    orders = {tuple(positions(np.arange(50), count, seed).tolist()) for count in (50, 51) for seed in range(20)}
    assert len(orders) == 40


def test_uniform_numbers():
    numbers = uniform(0, "cooldown", 3, np.arange(20_000))
    assert kstest(numbers, "uniform").pvalue > 1e-4
    assert (numbers[100:200] == uniform(0, "cooldown", 3, np.arange(100, 200))).all()
    for other in (uniform(1, "cooldown", 3, np.arange(20_000)), uniform(0, "repeats", 3, np.arange(20_000))):
        assert abs(np.corrcoef(numbers, other)[0, 1]) < 0.03
