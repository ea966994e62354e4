"""Fitting: the points of Hoffmann's figure, made-up laws, and runs that cannot be fitted."""

from pathlib import Path

import numpy as np
import pytest

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws.fit import DELTA, NAMES, Runs, _Objective, fit, interval, laws, residuals
from goldwash.evidence.laws.parametric import law
from goldwash.evidence.laws.runs import read_runs

LEAST_RATIO = 0.43  # Epoch leaves out the five runs with the fewest tokens per parameter


def made(count: int, noise: float, seed: int = 0) -> Runs:
    generator = np.random.default_rng(seed)
    parameters, tokens = 10 ** generator.uniform(7.5, 10, count), 10 ** generator.uniform(9, 11.5, count)
    epoch = law("epoch")
    losses = np.array([epoch.loss(n, d) for n, d in zip(parameters, tokens, strict=True)])
    return Runs(parameters, tokens, losses * np.exp(noise * generator.standard_normal(count)))


@pytest.mark.real
def test_epochs_refit_of_hoffmanns_points(real: Path) -> None:
    text = (real / "laws" / "chinchilla-figure-4.csv").read_text()
    runs, left_out = read_runs(text, "figure 4", LEAST_RATIO)
    assert (len(runs), left_out) == (240, 5)
    fitted = fit(runs, bootstrap=40)
    published = law("epoch")
    for name in NAMES:
        assert abs(getattr(fitted.law, name) - getattr(published, name)) < published.errors[name]
        assert fitted.errors[name] < 2 * published.errors[name]
    assert pytest.approx(482, rel=0.01) == fitted.law.A
    assert pytest.approx(1.8172, abs=1e-4) == fitted.law.E


@pytest.mark.real
def test_runs_below_1e21_predict_the_larger_ones(real: Path) -> None:
    runs, _ = read_runs((real / "laws" / "chinchilla-figure-4.csv").read_text(), "figure 4", LEAST_RATIO)
    small = 6 * runs.parameters * runs.tokens < 1e21
    fitted = fit(runs[small], bootstrap=0)
    errors = np.expm1(residuals(fitted.law, runs[~small]))
    assert len(errors) == 23
    assert np.abs(errors).max() < 0.03


def test_a_made_law_is_found_again() -> None:
    fitted = fit(made(60, 0.0), bootstrap=0).law
    for name in NAMES:
        assert getattr(fitted, name) == pytest.approx(getattr(law("epoch"), name), rel=1e-3)


def test_noise_widens_the_bootstrap_and_outliers_hardly_move_the_fit() -> None:
    quiet, noisy = fit(made(60, 1e-4), bootstrap=15), fit(made(60, 1e-2), bootstrap=15)
    assert noisy.errors["alpha"] > 5 * quiet.errors["alpha"]
    runs = made(60, 1e-4)
    runs.losses[0] *= 2
    assert pytest.approx(law("epoch").E, rel=0.02) == fit(runs, bootstrap=0).law.E


def test_equal_seeds_give_equal_replicates() -> None:
    runs = made(40, 1e-3)
    first, second = fit(runs, bootstrap=4, seed=3), fit(runs, bootstrap=4, seed=3)
    assert (first.replicates == second.replicates).all()
    assert len(laws(first)) == 4 - first.failed


def test_the_gradient_is_the_differences() -> None:
    objective, x = _Objective(made(30, 0.01)), np.array([1.0, 0.5, 0.4, 0.3, 0.35])
    value, gradient = objective(x)
    for i in range(5):
        step = np.zeros(5)
        step[i] = 1e-6
        assert (objective(x + step)[0] - objective(x - step)[0]) / 2e-6 == pytest.approx(gradient[i], rel=1e-4, abs=1e-8)
    assert value > 0
    assert DELTA == 1e-3


def test_the_objective_is_the_papers_in_plain_python() -> None:
    import math

    runs, x = made(10, 0.01), np.array([1.0, 0.5, 0.4, 0.3, 0.35])
    objective = _Objective(runs)
    A, B, E, alpha, beta = objective.natural(x)
    total = 0.0
    for n, d, loss in zip(runs.parameters, runs.tokens, runs.losses, strict=True):
        r = abs(math.log(A / n**alpha + B / d**beta + E) - math.log(loss))
        total += r * r / 2 if r <= 1e-3 else 1e-3 * (r - 5e-4)
    assert objective(x)[0] == pytest.approx(total)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (made(4, 0), "at least 5 runs"),
        (Runs(np.full(9, 1e9), np.geomspace(1e9, 1e11, 9), np.linspace(3, 2, 9)), "several parameters"),
        (Runs(np.geomspace(1e7, 1e9, 9), np.full(9, 1e9), np.linspace(3, 2, 9)), "several tokens"),
        (Runs(np.geomspace(1e7, 1e9, 9), np.geomspace(1e9, 1e11, 9), np.array([3, 2, np.nan, 2, 2, 2, 2, 2, 2])), "run 3"),
    ],
)
def test_runs_that_cannot_be_fitted(runs: Runs, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        fit(runs)


@pytest.mark.parametrize(
    ("alpha", "beta", "message"), [(-0.3, 0.3, "alpha -0.3.* rises with parameters"), (0.3, -0.2, "beta -0.2")]
)
def test_losses_that_rise_are_no_law(alpha: float, beta: float, message: str) -> None:
    generator = np.random.default_rng(0)
    n, d = 10 ** generator.uniform(7, 10, 40), 10 ** generator.uniform(9, 12, 40)
    scale = [1e-2 if exponent < 0 else 1e3 for exponent in (alpha, beta)]
    losses = 1 + scale[0] * n**-alpha + scale[1] * d**-beta
    with pytest.raises(EvidenceError, match=message):
        fit(Runs(n, d, losses), bootstrap=0)


def test_intervals() -> None:
    assert interval(list(range(101))) == pytest.approx((2.5, 97.5))
    assert all(np.isnan(interval([])))


HEADER = "params,tokens,loss,tokenizer\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "expected columns loss and two of"),
        ("params,loss\n1,2\n", "expected columns loss and two of"),
        ("params,N,tokens,loss\n1,2,3,4\n", "one column of parameters"),
        (HEADER + "1e9,1e10,2,x\n1e9,-1,2,x\n", "line 3, tokens: expected a number above zero, found '-1'"),
        (HEADER + "1e9,1e10,,x\n", "line 2, loss"),
        (HEADER + "1e9,1e10,2,gpt2\n1e9,1e10,2,llama\n", "2 tokenizers"),
    ],
)
def test_tables_of_runs_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        read_runs(text, "runs.csv")


def test_tables_of_runs() -> None:
    by_compute, _ = read_runs("Model Size,Training FLOP,Loss\n1e9,6e19,2.5\n", "x")
    by_tokens, _ = read_runs("N,D,L\n1e9,1e10,2.5\n\n", "x")
    assert by_compute.tokens == by_tokens.tokens == np.array([1e10])
    mixed, _ = read_runs("params,tokens,bpb,tokenizer\n1e9,1e10,1,a\n1e9,1e10,1,b\n", "x")
    assert len(mixed) == 2
