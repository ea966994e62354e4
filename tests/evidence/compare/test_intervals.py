"""Intervals against simulation, multipliers against curves of known shape, kinds of bytes against counting."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from goldwash.classifiers.ngram.tokenizer import ByteTokenizer
from goldwash.evidence.compare.intervals import Estimate, document_error, mean_of, multiplier, ratio, seed_error
from goldwash.evidence.compare.kinds import KINDS, kinds_of, shares
from goldwash.filters.texts import Texts


def test_the_error_over_documents_is_that_of_simulation() -> None:
    random = np.random.default_rng(0)
    population = random.gamma(2, 300, 4000)
    bits = population * (2 + 0.3 * random.normal(size=4000)) + 40
    rows = [random.integers(0, 4000, 60) for _ in range(2000)]
    spread = np.std([bits[r].sum() / population[r].sum() for r in rows])
    assert np.mean([document_error(bits[r], population[r]) for r in rows]) == pytest.approx(spread, rel=0.06)


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_error_over_seeds_covers_the_source_of_a_dataset_of_which_samples_overlap(fraction: float) -> None:
    """The mean of S overlapping samples of one dataset varies from dataset to dataset as the error says."""
    random, means, errors = np.random.default_rng(1), list[float](), list[float]()
    for _ in range(1500):
        dataset = random.normal(size=200)
        values = np.array([random.choice(dataset, int(200 * fraction), replace=False).mean() for _ in range(8)])
        means.append(float(values.mean()))
        errors.append(seed_error(values, fraction) ** 2)
    assert math.sqrt(np.mean(errors)) == pytest.approx(np.std(means), rel=0.08)


def test_an_interval_is_students_of_both_errors() -> None:
    bits = np.array([[10.0, 21.0], [12.0, 20.0], [11.0, 25.0]])
    sizes = np.array([5.0, 10.0])
    found = ratio(bits, sizes, 0.0)
    values = bits.sum(axis=1) / 15
    assert found.mean == pytest.approx(values.mean())
    assert found.over_seeds == pytest.approx(values.std(ddof=1) / math.sqrt(3))
    total = math.sqrt(found.over_seeds**2 + found.over_documents**2)
    assert found.half_width == pytest.approx(student.ppf(0.975, 1) * total)
    assert found.low < found.mean < found.high


def test_what_is_not_known_is_left_out_and_nothing_known_says_nothing() -> None:
    one_seed = ratio(np.array([[3.0, 2.0, 4.0]]), np.ones(3), 0.3)
    assert math.isnan(one_seed.over_seeds)
    assert one_seed.half_width == pytest.approx(student.ppf(0.975, 2) * one_seed.over_documents)
    one_document = ratio(np.array([[3.0], [4.0]]), np.ones(1), 0.0)
    assert one_document.half_width == pytest.approx(student.ppf(0.975, 1) * one_document.over_seeds)
    neither = ratio(np.array([[3.0]]), np.ones(1), 0.0)
    assert neither.half_width == math.inf
    assert neither.verdict == 0


@pytest.mark.parametrize(
    ("mean", "error", "verdict"), [(-0.5, 0.01, -1), (0.5, 0.01, 1), (0.01, 0.01, 0), (0.0, 0.0, 0), (0.2, 0.0, 1)]
)
def test_an_interval_that_holds_zero_ranks_nothing(mean: float, error: float, verdict: int) -> None:
    assert Estimate(mean, error, error, 5, 50).verdict == verdict


def test_the_mean_over_targets_weighs_them_equally() -> None:
    small, large = np.array([[2.0, 4.0], [2.2, 4.0]]), np.array([[100.0, 310.0, 190.0], [101.0, 312.0, 190.0]])
    parts = [(small, np.array([1.0, 2.0])), (large, np.array([50.0, 150.0, 100.0]))]
    each = [ratio(*part, 0.0) for part in parts]
    found = mean_of(parts, 0.0)
    assert found.mean == pytest.approx((each[0].mean + each[1].mean) / 2)
    assert found.over_documents == pytest.approx(math.hypot(each[0].over_documents, each[1].over_documents) / 2)
    alone = mean_of(parts[:1], 0.0)
    assert (alone.mean, alone.over_documents) == (pytest.approx(each[0].mean), pytest.approx(each[0].over_documents))


BUDGETS = [1000 * 2**n for n in range(6)]


def falling(scale: float) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Bits per byte that fall linearly in log tokens, as if ``scale`` times as many tokens had been seen."""
    return np.array([5 - 0.3 * math.log(scale * budget) for budget in BUDGETS])


@given(st.floats(1 / 30, 30))
def test_the_multiplier_of_a_shifted_curve_is_the_shift(scale: float) -> None:
    found = multiplier(BUDGETS, falling(1), falling(scale))
    assert found.bound == ""
    assert found.value == pytest.approx(scale)
    assert found.tokens_for_one == pytest.approx(1 / scale)


def test_beyond_the_curves_there_is_a_bound() -> None:
    assert vars(multiplier(BUDGETS, falling(1), falling(100))) == {"value": 32, "bound": "at least"}
    assert vars(multiplier(BUDGETS, falling(100), falling(1))) == {"value": 1 / 32, "bound": "at most"}
    assert vars(multiplier(BUDGETS, falling(1), falling(1))) == {"value": 1, "bound": ""}
    assert vars(multiplier([1000], np.array([2.0]), np.array([1.0]))) == {"value": 1, "bound": "at least"}


def test_a_lucky_value_is_kept_by_the_running_best() -> None:
    rising = falling(2)
    rising[-1] = rising[0]  # the last run is bad: the best until then counts
    assert multiplier(BUDGETS, falling(1), rising).value == pytest.approx(1)


def test_kinds() -> None:
    text = "Ask http://x.org/a?1 or www.b.de, é 42\n"
    found = [KINDS[kind] for kind in kinds_of(text.encode())]
    runs = [("prose", 3), ("white space", 1), ("URLs", 16), ("white space", 1), ("prose", 2), ("white space", 1), ("URLs", 9)]
    runs += [("white space", 1), ("non-ASCII", 2), ("white space", 1), ("digits", 2), ("white space", 1)]
    assert found == [kind for kind, count in runs for _ in range(count)]


TOKENIZER = ByteTokenizer.train(["a b 1 é http://x.org 漢字"] * 3, 270)


@given(st.text())
def test_the_bits_of_kinds_add_up(text: str) -> None:
    ids, _ = TOKENIZER.encode(Texts.of([text]))
    kinds = kinds_of(text.encode())
    found = shares(kinds, TOKENIZER.byte_counts[ids])
    assert found.shape == (len(ids), len(KINDS))
    assert found.sum(axis=1) == pytest.approx(np.ones(len(ids)))
    spread = np.zeros(len(KINDS))
    at = 0
    for size in TOKENIZER.byte_counts[ids].tolist():
        for kind in kinds[at : at + size]:
            spread[kind] += 1 / size
        at += size
    assert found.sum(axis=0) == pytest.approx(spread)
