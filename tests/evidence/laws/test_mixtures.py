"""Designs, Olmix's files, and proposals."""

import itertools

import numpy as np
import pytest

from goldwash.evidence.errors import EvidenceError
from goldwash.evidence.laws import mixtures as mixing

NATURAL = np.array([0.7, 0.2, 0.1])
# The example of Olmix's README.
RATIOS = "run,dclm,wikipedia,arxiv\nrun_001,0.45,0.30,0.25\nrun_002,0.60,0.20,0.20\nrun_003,0.33,0.33,0.34\n"
METRICS = (
    "run,arc_challenge_bpb,hellaswag_bpb,mmlu_stem_bpb\n"
    "run_001,1.23,0.87,1.45\nrun_002,1.15,0.91,1.38\nrun_003,1.20,0.89,1.42\n"
)


def test_a_design_is_of_mixtures_and_beats_random_ones() -> None:
    made = mixing.design(NATURAL, 8)
    assert made.shape == (8, 3)
    assert np.allclose(made.sum(axis=1), 1)
    assert (made >= 0).all()
    assert np.allclose(made[0], NATURAL)
    generator = np.random.default_rng(1)
    random = [mixing.information(np.vstack([NATURAL, generator.dirichlet(np.ones(3), 7)])) for _ in range(200)]
    assert mixing.information(made) > max(random)


def test_a_design_without_a_fixed_run_is_the_optimum_of_all_subsets() -> None:
    """For two sources the quadratic's D-optimal design has equal weight on both ends and the middle; try every subset."""
    natural = np.array([0.5, 0.5])
    made = mixing.design(natural, 4, count=8)
    pool = mixing.candidates(natural, 8, 0)
    start = int(np.argmin(np.abs(pool - natural).sum(axis=1)))
    best = max(
        mixing.information(pool[[start, *rest]]) for rest in itertools.combinations_with_replacement(range(len(pool)), 3)
    )
    assert mixing.information(made) == pytest.approx(best)


def test_a_design_honours_caps_and_seeds() -> None:
    most = np.array([1.0, 0.4, 0.3])
    made = mixing.design(NATURAL, 6, most=most)
    assert (made <= most + 1e-9).all()
    assert (made == mixing.design(NATURAL, 6, most=most)).all()
    with pytest.raises(EvidenceError, match="at least two sources"):
        mixing.design(np.array([1.0]), 4)


def test_olmixs_example_is_read_and_its_proposal_honours_repeats() -> None:
    swarm = mixing.read_swarm(RATIOS, METRICS)
    assert swarm.sources == ("dclm", "wikipedia", "arxiv")
    assert swarm.values.shape == (3, 3)
    law = mixing.fit_log_linear(swarm)
    tokens = np.array([6e9, 3e9, 1e9])
    for repeats in (2.0, 4.0):
        most = mixing.caps(tokens, 2e10, repeats)
        weights = mixing.propose(law, tokens / tokens.sum(), most)
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()
        assert (weights * 2e10 <= repeats * tokens * (1 + 1e-6)).all()


def test_the_files_go_round() -> None:
    made = mixing.design(NATURAL, 5)
    ratios = mixing.ratios_csv(("a", "b", "c"), made.tolist())
    assert mixing.metrics_csv(("m",), 5).splitlines()[:2] == ["run,m", "run_001,"]
    values = "run_id,m\n" + "".join(f"run_{i + 1:03d},{i}.5\n" for i in range(5))
    swarm = mixing.read_swarm(ratios, values)
    assert np.allclose(swarm.mixtures, made, atol=1e-6)
    assert swarm.values[:, 0].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]


def swarm_of(slopes: list[float], runs: int = 24) -> mixing.Swarm:
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.ones(len(slopes)), runs)
    values = 0.6 + np.exp(weights @ np.array(slopes))
    names = tuple(f"s{i}" for i in range(len(slopes)))
    return mixing.Swarm(tuple(map(str, range(runs))), names, ("m",), weights, values[:, None])


def test_a_made_law_is_recovered_and_its_best_mixture_found() -> None:
    swarm = swarm_of([-1.0, 0.0, 0.3])
    law = mixing.fit_log_linear(swarm)
    assert np.abs(law.predict(swarm.mixtures) - swarm.values).max() < 5e-3
    free = mixing.propose(law, np.full(3, 1 / 3), np.ones(3), kl=0.0)
    assert free[0] > 0.99
    pulled = mixing.propose(law, np.full(3, 1 / 3), np.ones(3), kl=10.0)
    assert np.abs(pulled - 1 / 3).max() < 0.05
    grid = np.array([w for w in itertools.product(np.linspace(0, 1, 51), repeat=3) if abs(sum(w) - 1) < 1e-9])
    score = law.predict(grid).mean(axis=1) + 0.1 * (np.maximum(grid, 1e-12) * np.log(np.maximum(grid, 1e-12) * 3)).sum(axis=1)
    assert np.abs(mixing.propose(law, np.full(3, 1 / 3), np.ones(3), kl=0.1) - grid[int(np.argmin(score))]).max() < 0.03


@pytest.mark.parametrize(
    ("ratios", "metrics", "message"),
    [
        (RATIOS.replace("0.45", "0.95"), METRICS, "run_001: expected weights"),
        (RATIOS.replace("run_003", "run_004"), METRICS, "the same runs"),
        (RATIOS.replace("run,", "name,"), METRICS, "'run' or 'run_id'"),
        (RATIOS, METRICS.replace("1.23", "x"), "line 2: expected a number"),
        (RATIOS, METRICS.replace("1.23", "nan"), "line 2: expected finite"),
        (RATIOS, METRICS.replace("run_002", "run_001"), "is given twice"),
        (RATIOS, "", "no rows"),
    ],
)
def test_files_that_are_refused(ratios: str, metrics: str, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        mixing.read_swarm(ratios, metrics)


def test_caps_that_leave_no_mixture() -> None:
    law = mixing.fit_log_linear(swarm_of([-1.0, 0.0]))
    with pytest.raises(EvidenceError, match=r"only 0\.5 of the budget"):
        mixing.propose(law, np.array([0.5, 0.5]), np.array([0.25, 0.25]))
